//! A gate before a service: open, it lets everything through; closed, it does what a network does that has failed.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What becomes of what is sent through a gate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Way {
    Open,
    /// Connections are closed, and new ones too, as when nobody listens any more.
    Refusing,
    /// Connections stay, and nothing arrives before the gate is open again: then it does, however late that is.
    Hanging,
}

/// A gate on a port of its own. Dropping it closes it for good.
pub struct Gate {
    address: SocketAddr,
    path: String,
    way: watch::Sender<Way>,
    accepting: JoinHandle<()>,
}

impl Gate {
    /// An open gate before the service at `url`, which is `http://ADDRESS:PORT/PATH`.
    ///
    /// # Panics
    /// When the URL is another one, or no port is free.
    pub async fn before(url: &str) -> Self {
        let service = url.strip_prefix("http://").expect("http");
        let (service, path) = service.split_once('/').unwrap_or((service, ""));
        let (service, path) = (service.to_owned(), path.to_owned());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("its address");
        let (way, watched) = watch::channel(Way::Open);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(connect(client, service.clone(), watched.clone()));
            }
        });
        Self { address, path, way, accepting }
    }

    /// Where the service seems to be.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/{}", self.address, self.path)
    }

    /// Opens or closes it, for the connections that there are too.
    pub fn set(&self, way: Way) {
        self.way.send_replace(way);
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.accepting.abort();
        self.way.send_replace(Way::Refusing);
    }
}

async fn connect(client: TcpStream, service: String, mut way: watch::Receiver<Way>) {
    if !opened(&mut way).await {
        return;
    }
    let Ok(service) = TcpStream::connect(service).await else { return };
    // Small requests would otherwise wait for acknowledgements twice.
    drop((client.set_nodelay(true), service.set_nodelay(true)));
    let ((from_client, to_client), (from_service, to_service)) = (client.into_split(), service.into_split());
    tokio::select! {
        () = forward(from_client, to_service, way.clone()) => {}
        () = forward(from_service, to_client, way) => {}
    }
}

async fn forward(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut way: watch::Receiver<Way>) {
    let mut buffer = vec![0; 64 * 1024];
    let mut refused = way.clone();
    loop {
        let read = tokio::select! {
            read = from.read(&mut buffer) => read,
            _ = refused.wait_for(|way| *way == Way::Refusing) => return,
        };
        let Ok(count @ 1..) = read else { return };
        if !opened(&mut way).await || to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}

/// Waits while the gate hangs, and answers whether it then is open.
async fn opened(way: &mut watch::Receiver<Way>) -> bool {
    way.wait_for(|way| *way != Way::Hanging).await.is_ok_and(|way| *way == Way::Open)
}
