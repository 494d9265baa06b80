//! A database for tests, which gives prepared answers.

use std::sync::{Arc, Mutex};

use domain::clock::Clock;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

use crate::Store;
use crate::clients::{self, AwsSettings};
use crate::tables::TableNames;

/// A store on a database that gives these answers in turn, and no further one.
pub(crate) async fn answering<Text: Into<String>>(answers: impl IntoIterator<Item = (u16, Text)>) -> Store {
    let (aws, _) = listening(answers).await;
    Store::open(&aws, clients::http_client(), TableNames::with_prefix("test"), Clock::system())
}

/// Starts such a database; gives its address, and the bodies of the requests that it has answered.
pub(crate) async fn listening<Text: Into<String>>(
    answers: impl IntoIterator<Item = (u16, Text)>,
) -> (AwsSettings, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let answers: Vec<(u16, String)> = answers.into_iter().map(|(status, body)| (status, body.into())).collect();
    let bodies = Arc::<Mutex<Vec<String>>>::default();
    let asked = Arc::clone(&bodies);
    tokio::spawn(async move {
        for (status, body) in answers {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = BufReader::new(stream);
            let mut length = 0;
            loop {
                let mut line = String::new();
                stream.read_line(&mut line).await.unwrap();
                let line = line.trim().to_ascii_lowercase();
                if line.is_empty() {
                    break;
                }
                if let Some(value) = line.strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
            }
            let mut asked_for = vec![0; length];
            stream.read_exact(&mut asked_for).await.unwrap();
            asked.lock().unwrap().push(String::from_utf8(asked_for).unwrap());
            let head = format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            stream.write_all(&[head.as_bytes(), body.as_bytes()].concat()).await.unwrap();
        }
    });
    (AwsSettings::emulator(&endpoint), bodies)
}
