//! Reading of a request's body to its end, although it was answered before.
//!
//! API Gateway takes a whole request before a function sees any of it. Here a connection that is closed while the client
//! still sends would take the answer, a 413 say, away with it.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use futures_util::StreamExt;
use http_body::{Frame, SizeHint};

/// What is read at the most of a body that nobody wants: over what API Gateway takes (10 MB), so that whoever is refused
/// there is told here too.
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// How long that may take. A run that ends waits no longer than this either.
const MOST_TIME: Duration = Duration::from_secs(3);

/// Makes a request whose body is read to its end when it is dropped.
pub(crate) async fn to_the_end(request: Request) -> Request {
    request.map(|body| Body::new(Drained(Some(body))))
}

/// A body whose rest is read when it is dropped.
struct Drained(Option<Body>);

impl HttpBody for Drained {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        match &mut self.0 {
            Some(body) => Pin::new(body).poll_frame(context),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.0.as_ref().map_or_else(SizeHint::default, HttpBody::size_hint)
    }
}

impl Drop for Drained {
    fn drop(&mut self) {
        let Some(body) = self.0.take().filter(|body| !body.is_end_stream()) else { return };
        // No runtime, nobody to read.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        drop(runtime.spawn(tokio::time::timeout(MOST_TIME, discard(body))));
    }
}

async fn discard(body: Body) {
    let mut pieces = body.into_data_stream();
    let mut left = MOST_BYTES;
    while let Some(Ok(piece)) = pieces.next().await {
        let Some(rest) = left.checked_sub(piece.len()) else { return };
        left = rest;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::stream;

    use super::*;

    /// A request with a body of so many pieces of 1 MiB, and how many of them were asked for.
    fn request(pieces: usize) -> (Request, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let pieces = stream::iter(0..pieces).map(move |_| {
            count.fetch_add(1, Ordering::SeqCst);
            Ok::<_, axum::Error>(Bytes::from(vec![0; 1024 * 1024]))
        });
        (Request::new(Body::from_stream(pieces)), asked)
    }

    async fn check_dropped(pieces: usize, read: usize) {
        let (request, asked) = request(pieces);
        drop(to_the_end(request).await);
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(asked.load(Ordering::SeqCst), read);
    }

    #[tokio::test]
    async fn what_nobody_read_is_read_up_to_a_bound() {
        check_dropped(0, 0).await;
        check_dropped(7, 7).await;
        check_dropped(40, 17).await;
    }

    #[tokio::test]
    async fn what_is_wanted_arrives_as_it_is() {
        let (request, asked) = request(3);
        let body = axum::body::to_bytes(to_the_end(request).await.into_body(), usize::MAX).await.unwrap();
        assert_eq!((body.len(), asked.load(Ordering::SeqCst)), (3 * 1024 * 1024, 3));
        let known = to_the_end(Request::new(Body::from("seven.."))).await.into_body();
        assert_eq!(known.size_hint().exact(), Some(7));
    }
}
