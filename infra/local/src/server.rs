//! The HTTP server of the local run: what API Gateway does in front of the deployed functions, as far as it can be seen.
//!
//! A head and a body have to arrive in time. A request has one host, and what is refused before it is a request at all is
//! refused in the words of the API.

use std::convert::Infallible;
use std::future::Future;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use access::Source;
use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::header::HOST;
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderValue, Uri, Version};
use axum::response::{IntoResponse, Response};
use domain::problem::{Problem, WithMessage};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Sleep;
use tower::ServiceExt;
use wire::Failure;

/// Headers of one request. The parser makes room for so many at each request, so no more than anybody sends.
const MOST_HEADERS: usize = 1_000;

/// A head that is larger is not read: seven times what the API allows headers and query, so that whoever is over those limits is
/// told which.
const HEAD_BYTES: usize = 128 * 1024;

/// How long a connection that cannot be accepted, for want of file descriptors say, holds up the next.
const AFTER_TROUBLE: Duration = Duration::from_millis(50);

/// Time limits for a client that sends a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// The time for the request's head, and for an idle connection before it.
    pub(crate) head: Duration,
    /// The time for the request's body.
    pub(crate) body: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { head: Duration::from_secs(30), body: Duration::from_mins(1) }
    }
}

/// Answers requests until `stopped`; then lets those that are running finish.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    patience: Patience,
    stopped: impl Future<Output = ()>,
) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(patience.head).max_headers(MOST_HEADERS).max_buf_size(HEAD_BYTES);
    let connections = GracefulShutdown::new();
    let mut stopped = pin!(stopped);
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut stopped => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection cannot be accepted");
                tokio::time::sleep(AFTER_TROUBLE).await;
                continue;
            }
        };
        // Small answers would otherwise wait for the client's acknowledgement of the one before.
        let _ = stream.set_nodelay(true);
        let router = router.clone();
        let service = service_fn(move |request| answer(router.clone(), request, peer, patience.body));
        let connection = http.serve_connection(TokioIo::new(Answering::on(stream)), service);
        // What ends a connection is for the client to see.
        tokio::spawn(connections.watch(connection));
    }
    connections.shutdown().await;
}

async fn answer(
    router: Router,
    request: hyper::Request<Incoming>,
    peer: SocketAddr,
    patience: Duration,
) -> Result<Response, Infallible> {
    let mut request = request.map(|body| Body::new(InTime { body, late: Box::pin(tokio::time::sleep(patience)) }));
    // Nothing stands between the client and us.
    request.extensions_mut().insert(Source::of(peer.ip()));
    match with_one_host(request) {
        Ok(request) => router.oneshot(request).await,
        Err(failure) => Ok(failure.into_response()),
    }
}

/// The request with the one `Host` that it is for. Where the target of the request names one, that is it (RFC 9112, 3.2.2).
fn with_one_host(mut request: Request) -> Result<Request, Failure> {
    match request.headers().get_all(HOST).iter().count() {
        0 if request.version() == Version::HTTP_11 => return Err(Failure::bad_request("`Host` is missing")),
        0 | 1 => {}
        _ => return Err(Failure::bad_request("`Host` is given more than once")),
    }
    let Some(authority) = request.uri().authority() else { return Ok(request) };
    let (_, host) = authority.as_str().rsplit_once('@').unwrap_or(("", authority.as_str()));
    let host = HeaderValue::from_str(host).map_err(Failure::internal)?;
    let path = request.uri().path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
    *request.uri_mut() = Uri::from(path);
    request.headers_mut().insert(HOST, host);
    Ok(request)
}

/// A body that is an error once its time is over.
struct InTime {
    body: Incoming,
    late: Pin<Box<Sleep>>,
}

impl HttpBody for InTime {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        ready!(self.late.as_mut().poll(context));
        Poll::Ready(Some(Err("it took too long".into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A connection on which the server's own refusals, of what is no request or too large a head, have a body like all others.
struct Answering {
    stream: TcpStream,
    /// What is still to be written in place of a refusal.
    instead: Vec<u8>,
}

impl Answering {
    const fn on(stream: TcpStream) -> Self {
        Self { stream, instead: Vec::new() }
    }
}

/// What is written in place of what the server writes by itself, if that is a refusal: it alone has no body.
fn instead_of(written: &[u8]) -> Option<Vec<u8>> {
    const LONGEST: usize = 512;
    // Nearly everything that is written ends here, however large it is.
    if written.len() > LONGEST || !written.starts_with(b"HTTP/1.1 4") {
        return None;
    }
    let head = str::from_utf8(written).ok()?.strip_suffix("\r\n\r\n")?.to_ascii_lowercase();
    let status = head.strip_prefix("http/1.1 ")?.get(..3)?;
    if !head.contains("\r\ncontent-length: 0") || head.contains("\r\ncontent-type:") {
        return None;
    }
    let problem = Problem::bad_request(match status {
        "414" => format!("The path and the query are too long: a head has at most {HEAD_BYTES} bytes"),
        "431" => format!("The head is too large: it has at most {HEAD_BYTES} bytes and {MOST_HEADERS} headers"),
        _ => "The request is not HTTP/1.1: its first line or a header cannot be read".to_owned(),
    });
    let body = serde_json::json!({"errors": [WithMessage(&problem)]}).to_string();
    let head = "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json; charset=utf-8\r\nconnection: close";
    Some(format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes())
}

impl AsyncRead for Answering {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, read: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, read)
    }
}

impl AsyncWrite for Answering {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if this.instead.is_empty() {
            match instead_of(bytes) {
                None => return Pin::new(&mut this.stream).poll_write(context, bytes),
                Some(instead) => this.instead = instead,
            }
        }
        while !this.instead.is_empty() {
            let written = ready!(Pin::new(&mut this.stream).poll_write(context, &this.instead))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            this.instead.drain(..written);
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match pieces {
            // A refusal is one piece.
            [one] => self.poll_write(context, one),
            _ => Pin::new(&mut self.stream).poll_write_vectored(context, pieces),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use axum::http::HeaderMap;
    use axum::routing::any;
    use serde_json::Value;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::oneshot;

    use super::*;

    const PATIENCE: Patience = Patience { head: Duration::from_millis(300), body: Duration::from_millis(300) };

    struct Running {
        address: SocketAddr,
        stop: oneshot::Sender<()>,
        server: tokio::task::JoinHandle<()>,
    }

    /// A server that answers with the target, the host, and the length of the body.
    async fn start() -> Running {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let answer = async |uri: Uri, headers: HeaderMap, body: Body| -> Result<String, Failure> {
            let body = wire::read_body(body, 1_000_000).await?;
            Ok(format!("{uri} {} {}", headers[HOST].to_str().unwrap(), body.len()))
        };
        let router = Router::new().fallback(any(answer));
        let (stop, stopped) = oneshot::channel::<()>();
        let stopped = async {
            let _ = stopped.await;
        };
        let server = tokio::spawn(serve(listener, router, PATIENCE, stopped));
        Running { address, stop, server }
    }

    /// What comes back on a connection on which this is sent, until the server closes it.
    async fn sent(running: &Running, text: &str) -> String {
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // A server that closes while something is unread resets the connection.
        drop(
            tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await.expect("it is closed"),
        );
        String::from_utf8(answer).unwrap()
    }

    async fn said(running: &Running, head: &str) -> String {
        let answer = sent(running, &format!("{head}connection: close\r\n\r\n")).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer:?}"));
        assert!(head.starts_with("HTTP/1.1 200 "), "{answer}");
        body.to_owned()
    }

    async fn refused(running: &Running, text: &str) -> String {
        let answer = sent(running, text).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer:?}"));
        assert!(head.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{answer}");
        assert!(head.contains("application/json; charset=utf-8"), "{answer}");
        let body: Value = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"));
        let error = &body["errors"][0];
        assert_eq!((&error["code"], &error["status"]), (&"BadRequest".into(), &"400".into()), "{body}");
        assert_eq!(error["message"], error["detail"]);
        error["detail"].as_str().unwrap().to_owned()
    }

    #[tokio::test]
    async fn a_request_has_one_host() {
        let running = start().await;
        assert_eq!(said(&running, "GET /a?b=c HTTP/1.1\r\nhost: here\r\n").await, "/a?b=c here 0");
        for target in ["http://there/a?b=c", "http://nobody@there/a?b=c"] {
            let head = format!("GET {target} HTTP/1.1\r\nhost: here\r\n");
            assert_eq!(said(&running, &head).await, "/a?b=c there 0", "{target}");
        }
        assert_eq!(said(&running, "GET http://there HTTP/1.1\r\nhost: here\r\n").await, "/ there 0");
        let refused = async |head: &str| refused(&running, &format!("{head}connection: close\r\n\r\n")).await;
        let twice = "`Host` is given more than once";
        assert_eq!(refused("GET / HTTP/1.1\r\nhost: here\r\nHost: there\r\n").await, twice);
        assert_eq!(refused("GET / HTTP/1.1\r\nhost: here\r\nHost: here\r\n").await, twice);
        assert_eq!(refused("GET / HTTP/1.1\r\n").await, "`Host` is missing");
    }

    #[tokio::test]
    async fn what_is_no_request_is_refused_in_the_words_of_the_api() {
        let running = start().await;
        for garbage in
            ["nonsense\r\n\r\n", "GET / HTTP/1.1\r\nno colon\r\n\r\n", "GET /\u{0} HTTP/1.1\r\nhost: a\r\n\r\n"]
        {
            assert!(refused(&running, garbage).await.starts_with("The request is not HTTP/1.1"), "{garbage:?}");
        }
        let large = format!("GET / HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n", "x".repeat(2 * HEAD_BYTES));
        assert!(refused(&running, &large).await.starts_with("The head is too large"));
        let many = |count: usize| format!("GET / HTTP/1.1\r\nhost: here\r\n{}", "a: b\r\n".repeat(count));
        assert_eq!(said(&running, &many(900)).await, "/ here 0");
        assert!(refused(&running, &format!("{}\r\n", many(1_000))).await.starts_with("The head is too large"));
    }

    #[tokio::test]
    async fn what_is_not_sent_in_time_is_not_waited_for() {
        let running = start().await;
        let whole = "POST / HTTP/1.1\r\nhost: here\r\ncontent-length: 10\r\n\r\n12345";
        // The head, or nothing at all: the connection is closed.
        for half in ["", "GET / HTTP/1.1\r\nhost: he", "POST / HTTP/1.1\r\nhost: here\r\ncontent-length: 10\r\n"] {
            let started = Instant::now();
            assert_eq!(sent(&running, half).await, "", "{half:?}");
            assert!(started.elapsed() < PATIENCE.head * 10, "{half:?}");
        }
        assert_eq!(refused(&running, whole).await, "The body broke off");
        // Nobody beside them waits.
        let halves = futures_util::future::join_all((0..100).map(|_| sent(&running, "GET / HTTP/1.1\r\n")));
        let beside = async {
            let started = Instant::now();
            assert_eq!(said(&running, "GET / HTTP/1.1\r\nhost: here\r\n").await, "/ here 0");
            started.elapsed()
        };
        let (halves, waited) = tokio::join!(halves, beside);
        assert!(halves.iter().all(String::is_empty));
        assert!(waited < PATIENCE.head, "{waited:?}");
    }

    #[tokio::test]
    async fn the_end_waits_for_what_is_running_and_for_nothing_else() {
        let running = start().await;
        let _idle = TcpStream::connect(running.address).await.unwrap();
        let mut busy = TcpStream::connect(running.address).await.unwrap();
        busy.write_all(b"POST / HTTP/1.1\r\nhost: here\r\ncontent-length: 2\r\n\r\n1").await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        running.stop.send(()).unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(TcpStream::connect(running.address).await.is_err() || !running.server.is_finished());
        busy.write_all(b"2").await.unwrap();
        let mut answer = String::new();
        busy.read_to_string(&mut answer).await.unwrap();
        assert!(answer.ends_with("/ here 2"), "{answer}");
        tokio::time::timeout(PATIENCE.head * 10, running.server).await.expect("it ends").unwrap();
    }
}
