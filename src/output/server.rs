//! A server of HTTP for tests of outputs.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// A server that answers each request as the test says, in order.
pub(super) struct Server {
    pub(super) address: std::net::SocketAddr,
    /// Heads and bodies.
    pub(super) seen: Arc<Mutex<Vec<(String, String)>>>,
    /// Bodies, as they came.
    pub(super) bodies: Arc<Mutex<Vec<Vec<u8>>>>,
}

/// `answer`: of the request's number and body, the status; a body may follow behind a line feed. With a third
/// argument of
/// its head, too: [`server_by_head`].
pub(super) async fn server(
    answer: impl Fn(usize, &str) -> String + Send + Sync + 'static,
) -> Server {
    server_by_head(move |number, _, body| answer(number, body)).await
}

/// As [`server`], with the head between number and body.
pub(super) async fn server_by_head(
    answer: impl Fn(usize, &str, &str) -> String + Send + Sync + 'static,
) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (seen, bodies) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Vec::new())));
    let (requests, raw) = (Arc::clone(&seen), Arc::clone(&bodies));
    tokio::spawn(async move {
        let answer = Arc::new(answer);
        while let Ok((mut socket, _)) = listener.accept().await {
            let (requests, raw, answer) =
                (Arc::clone(&requests), Arc::clone(&raw), Arc::clone(&answer));
            tokio::spawn(async move {
                let mut bytes = Vec::new();
                while socket.read_buf(&mut bytes).await.is_ok_and(|count| count > 0) {
                    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
                        continue;
                    };
                    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
                    let length = head.split("content-length: ").nth(1);
                    let length = length.map_or("0", |text| text.split('\r').next().unwrap());
                    let length: usize = length.parse().unwrap();
                    let body = bytes[end + 4..].to_vec();
                    if body.len() < length {
                        continue;
                    }
                    let text = String::from_utf8_lossy(&body).into_owned();
                    let number = {
                        let mut requests = requests.lock().unwrap();
                        requests.push((head.clone(), text.clone()));
                        raw.lock().unwrap().push(body);
                        requests.len() - 1
                    };
                    let answer = answer(number, &head, &text);
                    // A line feed alone ends the head; with a carriage return before it more of it follows.
                    let end = answer.match_indices('\n').map(|(at, _)| at);
                    let end = end.into_iter().find(|at| !answer[..*at].ends_with('\r'));
                    let (status, said) =
                        end.map_or((&*answer, "no"), |at| (&answer[..at], &answer[at + 1..]));
                    let length = said.len();
                    let answer =
                        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{said}");
                    socket.write_all(answer.as_bytes()).await.unwrap();
                    bytes.clear();
                }
            });
        }
    });
    Server { address, seen, bodies }
}
