use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use reqwest::Url;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};

use super::*;
use crate::budget::Budget;
use crate::delivery::{BoxFuture, DeadLetters, Feed};
use crate::health::Health;
use crate::metrics::Metrics;
use crate::output::elasticsearch::fake::{Fault, Node, Sent, frame, parse_wire};
use crate::output::elasticsearch::settings::{Credentials, IndexTemplate};
use crate::settings::Secret;

/// How the server treats its next bulk requests; afterwards it works.
#[derive(Clone, Copy, Debug)]
enum Script {
    Status(u16),
    Items(u16, &'static str),
    StoreThenDrop,
    Drop,
    Hang,
    Cut,
    Redirect,
}

#[derive(Default)]
struct Served {
    node: Node,
    script: VecDeque<Script>,
    /// First lines and headers of the requests, in order.
    heads: Vec<String>,
    /// Bytes of the largest body.
    largest: usize,
    templates: Vec<String>,
    /// Conflicts whose answer did not arrive whole: the agent cannot count these.
    untold: usize,
}

impl Served {
    /// Stores `sent` and gives an answer that will not arrive whole.
    fn store_untold(&mut self, sent: &[Sent]) -> String {
        let before = self.node.conflicts;
        let reply = self.node.bulk(sent, bad);
        self.untold += self.node.conflicts - before;
        reply
    }
}

/// A server that speaks just enough HTTP/1.1.
struct Server {
    url: String,
    served: Arc<Mutex<Served>>,
}

async fn serve(script: &[Script]) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let served = Arc::new(Mutex::new(Served::default()));
    served.lock().unwrap().script = script.iter().copied().collect();
    let shared = Arc::clone(&served);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(connection(stream, Arc::clone(&shared)));
        }
    });
    Server { url, served }
}

async fn connection(mut stream: TcpStream, served: Arc<Mutex<Served>>) -> Option<()> {
    let mut buffer = Vec::new();
    loop {
        let end = loop {
            if let Some(end) = memchr::memmem::find(&buffer, b"\r\n\r\n") {
                break end + 4;
            }
            if stream.read_buf(&mut buffer).await.ok()? == 0 {
                return None;
            }
        };
        let head = String::from_utf8(buffer[..end].to_vec()).unwrap().to_lowercase();
        let length = head.lines().find_map(|l| l.strip_prefix("content-length: "));
        let length: usize = length.map_or(0, |l| l.trim().parse().unwrap());
        while buffer.len() < end + length {
            stream.read_buf(&mut buffer).await.ok()?;
        }
        let body: Vec<u8> = buffer[end..end + length].to_vec();
        buffer.drain(..end + length);
        let reply = answer(&served, head, &body);
        match reply {
            Some(reply) => stream.write_all(&reply).await.ok()?,
            None => return None,
        }
    }
}

fn http(status: u16, more: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status} X\r\n{more}content-length: {}\r\n\r\n{body}", body.len())
        .into_bytes()
}

/// `None`: the connection is closed.
fn answer(served: &Mutex<Served>, head: String, body: &[u8]) -> Option<Vec<u8>> {
    let mut served = served.lock().unwrap();
    let gzip = head.contains("content-encoding: gzip");
    let first = head.lines().next().unwrap_or_default().to_string();
    served.heads.push(head);
    if first.contains("/_index_template/") {
        return Some(if first.starts_with("get") {
            http(404, "", "{}")
        } else {
            served.templates.push(String::from_utf8(body.to_vec()).unwrap());
            http(200, "", "{\"acknowledged\":true}")
        });
    }
    if body.is_empty() {
        let text = "{\"error\":{\"type\":\"parse_exception\",\"reason\":\"request body is required\"},\"status\":400}";
        return Some(http(400, "", text));
    }
    served.largest = served.largest.max(body.len());
    let sent = parse_wire(body, gzip);
    match served.script.pop_front() {
        None => Some(http(200, "", &served.node.bulk(&sent, bad))),
        Some(Script::Status(status)) => {
            let text = "{\"error\":{\"type\":\"some_exception\",\"reason\":\"as scripted\"}}";
            Some(http(status, "", text))
        }
        Some(Script::Items(status, kind)) => {
            let mut n = 0;
            let reply = served.node.bulk(&sent, |document| {
                n += 1;
                let refused = (n % 2 == 0).then_some((status, kind, "as scripted"));
                refused.or_else(|| bad(document))
            });
            Some(http(200, "", &reply))
        }
        Some(Script::StoreThenDrop) => {
            served.store_untold(&sent);
            None
        }
        Some(Script::Drop) => None,
        Some(Script::Hang) => Some(Vec::new()),
        Some(Script::Cut) => {
            let mut reply = http(200, "", &served.store_untold(&sent));
            let end = reply.len() - 30;
            let text = String::from_utf8(reply.split_off(end / 2)).unwrap();
            // A whole answer whose JSON is not.
            Some(http(200, "", &text))
        }
        Some(Script::Redirect) => Some(http(302, "location: http://elsewhere.invalid/\r\n", "")),
    }
}

fn bad(sent: &Sent) -> Fault {
    sent.body.contains("bad").then_some((400, "document_parsing_exception", "as scripted"))
}

struct Frames {
    list: Arc<Mutex<VecDeque<Arc<Frame>>>>,
    more: Arc<Notify>,
    cursor: Arc<AtomicU64>,
    closes: bool,
}

impl Feed for Frames {
    fn next(&mut self) -> BoxFuture<'_, Option<Arc<Frame>>> {
        Box::pin(async move {
            loop {
                if let Some(frame) = self.next_now() {
                    return Some(frame);
                }
                if self.closes {
                    return None;
                }
                self.more.notified().await;
            }
        })
    }

    fn next_now(&mut self) -> Option<Arc<Frame>> {
        self.list.lock().unwrap().pop_front()
    }

    fn done(&mut self, sequence: u64) {
        let before = self.cursor.swap(sequence, Ordering::SeqCst);
        assert!(sequence > before, "the cursor only moves forward");
    }
}

#[derive(Default)]
struct Letters(Mutex<Vec<DeadLetter>>);

impl DeadLetters for Letters {
    fn put(&self, letters: &[DeadLetter]) -> io::Result<()> {
        self.0.lock().unwrap().extend(letters.iter().cloned());
        Ok(())
    }
}

/// An output at work.
struct Bench {
    cursor: Arc<AtomicU64>,
    frames: Arc<Mutex<VecDeque<Arc<Frame>>>>,
    more: Arc<Notify>,
    letters: Arc<Letters>,
    health: Health,
    metrics: Metrics,
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
}

fn settings(hosts: &[&str]) -> Settings {
    Settings {
        hosts: hosts.iter().map(|h| Url::parse(&format!("{h}/")).unwrap()).collect(),
        data_stream: false,
        credentials: Credentials::None,
        tls: Some(plain_tls()),
        gzip: true,
        bulk_bytes: 4000,
        bulk_wait: Duration::from_millis(2),
        requests: 3,
        waiting_bytes: 1 << 20,
        timeout: Duration::from_secs(20),
        stable_ids: true,
        pipeline: None,
        template: None,
        retry_ms: (1, 20),
    }
}

fn plain_tls() -> rustls::ClientConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    builder.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth()
}

fn start(settings: Settings, frames: Vec<Arc<Frame>>, closes: bool) -> Bench {
    let frames = Arc::new(Mutex::new(VecDeque::from(frames)));
    let (more, cursor) = (Arc::new(Notify::new()), Arc::new(AtomicU64::new(0)));
    let letters = Arc::new(Letters::default());
    let (health, metrics) = (Health::default(), Metrics::default());
    let (stop, stopped) = watch::channel(false);
    let feed = Frames {
        list: Arc::clone(&frames),
        more: Arc::clone(&more),
        cursor: Arc::clone(&cursor),
        closes,
    };
    let context = OutputContext {
        budget: Budget::default(),
        keeping: "everything is kept in the journal",
        name: "logs".into(),
        bit: 0,
        feed: Box::new(feed),
        dead_letters: Arc::clone(&letters) as Arc<dyn DeadLetters>,
        clock: crate::clock::system(),
        storage: crate::storage::disk(),
        metrics: metrics.clone(),
        health: health.part("app/outputs.logs"),
        stop: stopped,
    };
    let task = tokio::spawn(run(settings, context));
    Bench { cursor, frames, more, letters, health, metrics, stop, task }
}

fn some_frames(count: u64) -> Vec<Arc<Frame>> {
    let one = |sequence| {
        let body = |n| {
            let word = if n == 7 { "bad" } else { "good" };
            ("logs-x", format!("{{\"f\":{sequence},\"n\":{n},\"is\":\"{word}\"}}"))
        };
        frame(sequence, &(0..20).map(body).collect::<Vec<_>>())
    };
    (1..=count).map(one).collect()
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < Duration::from_secs(30), "never: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

impl Bench {
    fn state(&self) -> State {
        self.health.states().remove(0).1
    }

    fn metric(&self, line: &str) -> bool {
        self.metrics.render().lines().any(|l| l == line)
    }
}

#[tokio::test]
async fn whatever_the_server_does_each_document_is_stored_once_or_is_a_dead_letter() {
    let script = [
        Script::Status(503),
        Script::Items(429, "es_rejected_execution_exception"),
        Script::StoreThenDrop,
        Script::Status(413),
        Script::Drop,
        Script::Status(401),
        Script::Items(403, "cluster_block_exception"),
        Script::Cut,
        Script::Status(429),
        Script::Status(500),
        Script::Status(404),
        Script::Redirect,
        Script::StoreThenDrop,
        Script::Status(415),
        Script::Items(404, "index_not_found_exception"),
        Script::Items(503, "unavailable_shards_exception"),
    ];
    let server = serve(&script).await;
    let bench = start(settings(&[&server.url]), some_frames(40), true);
    bench.task.await.unwrap();
    let seen = server.served.lock().unwrap();
    assert!(seen.script.is_empty(), "all of the script was played");
    assert_eq!(seen.node.stored.len(), 40 * 19);
    let letters = bench.letters.0.lock().unwrap();
    let distinct: std::collections::HashSet<&str> = letters.iter().map(|l| l.id.as_str()).collect();
    assert_eq!((letters.len(), distinct.len()), (40, 40));
    assert!(letters.iter().all(|l| l.reason == "document_parsing_exception: as scripted"));
    assert!(letters.iter().all(|l| l.refused_ns > 0));
    assert_eq!(bench.cursor.load(Ordering::SeqCst), 40);
    assert!(seen.largest <= 4000);
    assert!(seen.node.conflicts > 0, "what was stored before the connection broke came again");
    let conflicts = seen.node.conflicts - seen.untold;
    let text = bench.metrics.render();
    assert!(text.contains(&format!("{{result=\"deduplicated\"}} {conflicts}\n")), "{text}");
    assert!(
        text.contains(&format!("{{result=\"delivered\"}} {}\n", 40 * 19 - conflicts)),
        "{text}"
    );
}

#[tokio::test]
async fn a_node_that_never_answers_loses_its_documents_to_another_one() {
    let hanging = serve(&[Script::Hang; 50]).await;
    let working = serve(&[]).await;
    let mut settings = settings(&[&hanging.url, &working.url]);
    settings.timeout = Duration::from_millis(300);
    let bench = start(settings, some_frames(10), true);
    bench.task.await.unwrap();
    assert_eq!(bench.cursor.load(Ordering::SeqCst), 10);
    assert_eq!(working.served.lock().unwrap().node.stored.len(), 190);
}

#[tokio::test]
async fn with_no_node_it_pauses_and_goes_on_when_one_comes_up() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let bench = start(settings(&[&format!("http://{address}")]), some_frames(3), true);
    until("paused", || matches!(bench.state(), State::Paused(_))).await;
    let State::Paused(why) = bench.state() else { panic!("not paused") };
    assert!(why.contains(&format!("http://{address} cannot be reached")), "{why}");
    assert_eq!(bench.cursor.load(Ordering::SeqCst), 0);
    let listener = TcpListener::bind(address).await.unwrap();
    let served = Arc::new(Mutex::new(Served::default()));
    let shared = Arc::clone(&served);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(connection(stream, Arc::clone(&shared)));
        }
    });
    bench.task.await.unwrap();
    assert_eq!(bench.cursor.load(Ordering::SeqCst), 3);
    let state = bench.health.states().remove(0).1;
    let State::Degraded(why) = state else { panic!("not degraded: {state:?}") };
    assert!(why.starts_with("documents became dead letters"), "and nothing else: {why}");
}

#[tokio::test]
async fn an_idle_output_says_whether_its_server_answers() {
    let server = serve(&[]).await;
    let bench = start(settings(&[&server.url]), Vec::new(), false);
    until("fine", || bench.state() == State::Fine).await;
    bench.frames.lock().unwrap().push_back(some_frames(1).remove(0));
    bench.more.notify_one();
    until("delivered", || bench.cursor.load(Ordering::SeqCst) == 1).await;
    assert!(bench.metric("logweir_output_documents_total{result=\"delivered\"} 19"));
    bench.stop.send(true).unwrap();
    bench.task.await.unwrap();
}

#[tokio::test]
async fn stopping_waits_for_the_answer_under_way_and_takes_nothing_new() {
    let server = serve(&[Script::Items(429, "es_rejected_execution_exception")]).await;
    let mut slow = settings(&[&server.url]);
    slow.retry_ms = (600_000, 600_000);
    let bench = start(slow, some_frames(1), false);
    until("the answer", || server.served.lock().unwrap().node.stored.len() == 10).await;
    bench.stop.send(true).unwrap();
    bench.task.await.unwrap();
    assert_eq!(bench.cursor.load(Ordering::SeqCst), 0, "what waits comes again after a restart");
}

#[tokio::test]
async fn requests_carry_login_pipeline_and_name_and_the_template_comes_first() {
    let server = serve(&[]).await;
    let mut settings = settings(&[&format!("{}/search", server.url)]);
    settings.credentials = Credentials::Basic("u".into(), Secret::new("p"));
    settings.pipeline = Some("a b".into());
    let body = "{\"index_patterns\":[\"logs-*\"]}".to_string();
    settings.template =
        Some(IndexTemplate { name: "logs".into(), body: body.clone(), overwrite: false });
    let bench = start(settings, some_frames(1), true);
    bench.task.await.unwrap();
    let seen = server.served.lock().unwrap();
    assert_eq!(seen.templates, [body]);
    let heads = &seen.heads;
    assert!(heads[0].starts_with("get /search/_index_template/logs "), "{}", heads[0]);
    assert!(heads[1].starts_with("put /search/_index_template/logs "), "{}", heads[1]);
    for head in &heads[2..] {
        assert!(head.starts_with("post /search/_bulk?filter_path="), "{head}");
        assert!(
            head.contains("&pipeline=a+b ") && head.contains("content-type: application/x-ndjson")
        );
        assert!(head.contains(&format!("user-agent: logweir/{}", env!("CARGO_PKG_VERSION"))));
        assert!(head.contains("authorization: basic dtpw"), "{head}");
    }
}

/// Many documents to a server that is there: `LOGWEIR_TEST_ELASTICSEARCH=http://localhost:9200`. Its faults may be
/// anything that passes. Prints the rate; whoever runs it compares the count with the server's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a server"]
async fn many_documents_reach_a_server_that_is_there() {
    let Ok(urls) = std::env::var("LOGWEIR_TEST_ELASTICSEARCH") else { return };
    let number = |name: &str, default: u64| {
        std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default)
    };
    let hosts: Vec<&str> = urls.split(',').collect();
    let mut settings = settings(&hosts);
    settings.gzip = number("GZIP", 1) == 1;
    settings.bulk_bytes = number("BULK_BYTES", 5 << 20) as usize;
    settings.bulk_wait = Duration::from_millis(20);
    settings.retry_ms = (100, 2000);
    settings.waiting_bytes = number("WAITING_BYTES", 16 << 20) as usize;
    settings.timeout = Duration::from_secs(number("TIMEOUT", 60));
    let count = number("FRAMES", 200);
    let index = std::env::var("INDEX").unwrap_or_else(|_| "logs-x".into());
    let body = |f: u64, n: u64| {
        let seq = f * 1000 + n;
        let message =
            format!("GET /api/item/{seq} HTTP/1.1 from 10.0.0.{} took {}", seq % 250, seq % 777);
        (
            index.as_str(),
            format!(
                "{{\"@timestamp\":\"2026-11-22T00:00:00.000Z\",\"seq\":{seq},\"service\":\"shop\",\"message\":\"{message}\"}}"
            ),
        )
    };
    let frames = (1..=count).map(|f| frame(f, &(0..1000).map(|n| body(f, n)).collect::<Vec<_>>()));
    let frames = frames.collect();
    let begin = Instant::now();
    let mut bench = start(settings, frames, true);
    while tokio::time::timeout(Duration::from_secs(1), &mut bench.task).await.is_err() {
        eprintln!("{} frames, {:?}", bench.cursor.load(Ordering::SeqCst), bench.state());
    }
    let seconds = begin.elapsed().as_secs_f64();
    println!("{count}000 documents in {seconds:.2} s\n{}", bench.metrics.render());
    println!("dead letters: {}", bench.letters.0.lock().unwrap().len());
    for letter in bench.letters.0.lock().unwrap().iter().take(3) {
        println!("{} {}", letter.id, letter.reason);
    }
}
