//! A thousand clients of which nine hundred are hostile: the good ones lose nothing, memory stays bounded, and the
//! agent says what it does about the others.

use std::collections::HashSet;
use std::io::Read as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::agent::{Agent, Home};
use crate::machine::{checkout, free_port, run};
use crate::memory::peak;
use crate::nodes::RUNTIME;

const MIB: u64 = 1024 * 1024;
const LINES: u64 = 50;

/// Bytes both ways.
trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// What all clients of a test share.
struct Crowd {
    over: AtomicBool,
    /// The texts that came out at the other end.
    arrived: Mutex<HashSet<String>>,
    /// Connections that hostile clients made.
    attempts: AtomicU64,
    bomb: Vec<u8>,
    tls: Option<Arc<rustls::ClientConfig>>,
}

/// What a hostile client does; the port that it does it to.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Silent,
    Drips,
    EndlessLine,
    Binary,
    HalfJson,
    Resets,
    TlsToPlain,
    TlsSilent,
    TlsHalfHello,
    WindowAlone,
    HugeLength,
    Bomb,
    WrongOrder,
}

const KINDS: [Kind; 13] = [
    Kind::Silent,
    Kind::Drips,
    Kind::EndlessLine,
    Kind::Binary,
    Kind::HalfJson,
    Kind::Resets,
    Kind::TlsToPlain,
    Kind::TlsSilent,
    Kind::TlsHalfHello,
    Kind::WindowAlone,
    Kind::HugeLength,
    Kind::Bomb,
    Kind::WrongOrder,
];

#[derive(Clone, Copy)]
struct Ports {
    plain: u16,
    tls: u16,
    beats: u16,
}

/// A connection from one of the machine's many own addresses.
async fn connect(from: u8, port: u16) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((Ipv4Addr::new(127, 0, 0, from), 0)))?;
    socket.connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await
}

/// As many descriptors as this process may have: a thousand clients need them.
fn allow_descriptors() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
}

impl Kind {
    fn port(self, ports: Ports) -> u16 {
        match self {
            Kind::TlsSilent | Kind::TlsHalfHello => ports.tls,
            Kind::WindowAlone | Kind::HugeLength | Kind::Bomb | Kind::WrongOrder => ports.beats,
            _ => ports.plain,
        }
    }

    /// Does its worst on one connection, until that is closed.
    async fn attack(self, mut to: TcpStream, crowd: &Crowd) -> std::io::Result<()> {
        match self {
            Kind::Silent | Kind::TlsSilent => {}
            Kind::Drips => return drip(&mut to, b"x").await,
            Kind::EndlessLine => {
                let block = vec![b'y'; 64 * 1024];
                for _ in 0..3 {
                    to.write_all(&block).await?;
                }
            }
            Kind::Binary => {
                let noise =
                    (0..16 * 1024_u64).map(|n| (n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8);
                to.write_all(&noise.collect::<Vec<u8>>()).await?;
            }
            Kind::HalfJson => {
                to.write_all(b"{\"message\": \"hostile, and then").await?;
                return to.shutdown().await;
            }
            Kind::Resets => {
                to.write_all(b"{\"message\": \"hostile\"}\n{\"mess").await?;
                return to.set_zero_linger();
            }
            Kind::TlsToPlain => to.write_all(&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]).await?,
            Kind::TlsHalfHello => {
                // A record of 16 KiB that begins a ClientHello of 64 KiB: most of it, then nothing.
                let record =
                    [&[0x16, 3, 1, 0x40, 0, 1, 0, 0xff, 0xff, 3, 3][..], &[7; 16_378]].concat();
                for _ in 0..3 {
                    to.write_all(&record).await?;
                }
            }
            Kind::WindowAlone => to.write_all(b"2W\xff\xff\xff\xff").await?,
            Kind::HugeLength => {
                let start = b"2W\0\0\0\x02\x32J\0\0\0\x01\xff\xff\xff\xff{\"message\":\"hostile ";
                to.write_all(&[&start[..], &b"z".repeat(60_000)].concat()).await?;
            }
            Kind::Bomb => {
                to.write_all(&crowd.bomb).await?;
            }
            Kind::WrongOrder => to.write_all(b"2J\0\0\0\x01\0\0\0\x02{}").await?,
        }
        // Holds the connection for as long as it lasts.
        let _ = to.read(&mut [0; 64]).await;
        Ok(())
    }
}

async fn drip(to: &mut TcpStream, bytes: &[u8]) -> std::io::Result<()> {
    loop {
        to.write_all(bytes).await?;
        sleep(Duration::from_millis(300)).await;
    }
}

/// 32 MB of JSON in one compressed frame of a few KB.
fn bomb() -> Vec<u8> {
    use std::io::Write as _;
    let mut frames = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    let event = [&b"2J\0\0\0\x01\0\x01\0\0"[..], &b" ".repeat(65_536)].concat();
    for _ in 0..512 {
        frames.write_all(&event).unwrap();
    }
    let frames = frames.finish().unwrap();
    let length = u32::try_from(frames.len()).unwrap().to_be_bytes();
    [&b"2W\0\0\x10\0\x32C"[..], &length, &frames].concat()
}

impl Crowd {
    fn new(tls: Option<Arc<rustls::ClientConfig>>) -> Arc<Crowd> {
        Arc::new(Crowd {
            over: AtomicBool::new(false),
            arrived: Mutex::default(),
            attempts: AtomicU64::new(0),
            bomb: bomb(),
            tls,
        })
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    fn has(&self, text: &str) -> bool {
        self.arrived.lock().unwrap().contains(text)
    }

    /// Attacks again and again.
    async fn hostile(self: Arc<Self>, kind: Kind, ports: Ports) {
        while !self.is_over() {
            if let Ok(to) = connect(1, kind.port(ports)).await {
                self.attempts.fetch_add(1, Ordering::Relaxed);
                let attack = kind.attack(to, &self);
                tokio::select! {
                    _ = attack => {}
                    () = async { while !self.is_over() { sleep(Duration::from_millis(100)).await; } } => return,
                }
            }
            sleep(Duration::from_millis(500)).await;
        }
    }

    /// A stream to the agent, plain or TLS.
    async fn open(&self, from: u8, port: u16, tls: bool) -> std::io::Result<Box<dyn Duplex>> {
        let socket = connect(from, port).await?;
        let Some(config) = self.tls.as_ref().filter(|_| tls) else { return Ok(Box::new(socket)) };
        let connector = tokio_rustls::TlsConnector::from(Arc::clone(config));
        let name = ServerName::try_from("localhost").unwrap();
        Ok(Box::new(connector.connect(name, socket).await?))
    }

    /// Connects until it is let in, as any client does, then sends its lines and ends in order.
    async fn good(self: Arc<Self>, number: u64, port: u16, tls: bool) {
        let from = 2 + (number % 100) as u8;
        for attempt in 0.. {
            let hello = format!("hello {number} {attempt}");
            let Ok(mut stream) = self.open(from, port, tls).await else {
                sleep(Duration::from_millis(50)).await;
                continue;
            };
            if self.is_let_in(&mut stream, &hello).await {
                for seq in 0..LINES {
                    stream.write_all(&line(&format!("good {number} {seq}"))).await.unwrap();
                    stream.flush().await.unwrap();
                    sleep(Duration::from_millis(50)).await;
                }
                stream.shutdown().await.unwrap();
                let _ = stream.read(&mut [0; 1]).await;
                return;
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Whether the first line arrives before the connection is closed.
    async fn is_let_in(&self, stream: &mut Box<dyn Duplex>, hello: &str) -> bool {
        let sent = async {
            stream.write_all(&line(hello)).await?;
            stream.flush().await
        };
        if sent.await.is_err() {
            return false;
        }
        let arrived = async {
            while !self.has(hello) {
                sleep(Duration::from_millis(20)).await;
            }
        };
        let mut answer = [0; 1];
        tokio::select! {
            () = arrived => true,
            _ = stream.read(&mut answer) => self.has(hello),
        }
    }
}

fn line(message: &str) -> Vec<u8> {
    format!("{}\n", json!({ "message": message })).into_bytes()
}

/// Reads what was added to the output's file.
struct Follower {
    file: std::path::PathBuf,
    read: u64,
    rest: Vec<u8>,
    texts: Vec<String>,
}

impl Follower {
    fn new(home: &Home) -> Follower {
        Follower { file: home.path("out.jsonl"), read: 0, rest: Vec::new(), texts: Vec::new() }
    }

    fn follow(&mut self, crowd: &Crowd) {
        use std::io::Seek as _;
        let Ok(mut file) = std::fs::File::open(&self.file) else { return };
        file.seek(std::io::SeekFrom::Start(self.read)).unwrap();
        self.read += file.read_to_end(&mut self.rest).unwrap() as u64;
        let end = self.rest.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        let whole: Vec<u8> = self.rest.drain(..end).collect();
        for line in whole.split(|b| *b == b'\n').filter(|l| !l.is_empty()) {
            let event: Value = serde_json::from_slice(line).unwrap();
            let text = event["message"].as_str().unwrap().to_string();
            crowd.arrived.lock().unwrap().insert(text.clone());
            self.texts.push(text);
        }
    }

    /// How many different good lines there are; panics when one is there twice.
    fn good_lines(&self) -> u64 {
        let good: Vec<&String> = self.texts.iter().filter(|t| t.starts_with("good ")).collect();
        let different: HashSet<&String> = good.iter().copied().collect();
        assert_eq!(good.len(), different.len(), "each line once");
        good.len() as u64
    }
}

/// Follows the output until all good clients are done and all their lines are there; asks for `/health` all the time.
fn await_lines(
    agent: &Agent,
    crowd: &Crowd,
    follower: &mut Follower,
    good: &mut JoinSet<()>,
    count: u64,
) {
    let mut slowest = Duration::ZERO;
    agent.until("all good lines are there", || {
        follower.follow(crowd);
        while let Some(ended) = good.try_join_next() {
            ended.unwrap();
        }
        for page in ["/health", "/metrics"] {
            let asked = Instant::now();
            assert!(agent.get(page).is_some(), "{page} answers");
            slowest = slowest.max(asked.elapsed());
        }
        good.is_empty() && follower.good_lines() == count
    });
    println!("the slowest answer of /health or /metrics took {slowest:?}");
}

const PIPELINE: &str = r#"
[inputs.plain]
type = "tcp"
listen = "127.0.0.1:@PLAIN@"
codec = "json"
max_connections = 500
idle_timeout = "10s"
[inputs.tls]
type = "tcp"
listen = "127.0.0.1:@TLS@"
codec = "json"
idle_timeout = "10s"
tls = { cert = "@HOME@/tls/server.crt", key = "@HOME@/tls/server.key" }
[inputs.beats]
type = "beats"
listen = "127.0.0.1:@BEATS@"
idle_timeout = "10s"
max_event = "1MiB"
max_inflated = "8MiB"
[[filters]]
type = "drop"
when = 'not (message =~ /^(good|hello) /)'
[outputs.out]
type = "file"
path = "@HOME@/out.jsonl"
"#;

/// A client of the TLS input, which trusts the tests' authority.
fn trusting(home: &Home) -> Arc<rustls::ClientConfig> {
    run(Command::new("bash").arg(checkout("tests/tools/tls.sh")).arg(home.path("tls")));
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(home.path("tls/ca.crt")).unwrap()).unwrap();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = rustls::ClientConfig::builder().with_root_certificates(roots);
    Arc::new(config.with_no_client_auth())
}

#[test]
fn nine_hundred_hostile_clients_of_a_thousand_cost_the_good_ones_nothing() {
    const LIMIT: u64 = 64 * MIB;
    allow_descriptors();
    let (mut home, ports) =
        (Home::new(), Ports { plain: free_port(), tls: free_port(), beats: free_port() });
    let crowd = Crowd::new(Some(trusting(&home)));
    home.set("LOGWEIR_MEMORY_MAX", "64MiB");
    let text = |port: u16| port.to_string();
    let values =
        [("PLAIN", text(ports.plain)), ("TLS", text(ports.tls)), ("BEATS", text(ports.beats))];
    home.pipeline(PIPELINE, &values.each_ref().map(|(name, port)| (*name, port.as_str())));
    let agent = home.start();
    let before = peak(&agent);
    let mut hostile = JoinSet::new();
    for n in 0..900 {
        // Two of three go for the plain input, whose places are fewer than they are.
        let kind = if n % 3 == 0 { KINDS[n / 3 % KINDS.len()] } else { KINDS[n % 7] };
        hostile.spawn_on(Arc::clone(&crowd).hostile(kind, ports), RUNTIME.handle());
    }
    let input = |name: &str| format!("input=\"{name}\"");
    let refused = || agent.metric("logweir_input_connections_refused_total", &[&input("plain")]);
    agent.until("the hostile ones have taken all places", || refused() > 0);
    let mut good = JoinSet::new();
    for number in 0..90 {
        let (port, tls) = if number < 75 { (ports.plain, false) } else { (ports.tls, true) };
        good.spawn_on(Arc::clone(&crowd).good(number, port, tls), RUNTIME.handle());
    }
    for number in 90..100 {
        let event = |seq| json!({"message": format!("good {number} {seq}")});
        let events: Vec<Value> = (0..LINES).map(event).collect();
        good.spawn_blocking_on(
            move || crate::lumberjack::send(ports.beats, &events, 10),
            RUNTIME.handle(),
        );
    }
    let mut follower = Follower::new(&home);
    await_lines(&agent, &crowd, &mut follower, &mut good, 100 * LINES);
    let closed = |reason: &str| {
        let reason = format!("reason=\"{reason}\"");
        agent.metric("logweir_input_connections_closed_total", &[&reason])
    };
    agent.until("silent and dripping ones are closed", || closed("silent") > 0);
    agent.until("some gave way", || closed("gave_way") > 0);
    // Bombs end at their own bound, or at that of all connections together where others hold much.
    let bombs = ["reason=\"inflated_too_large\"", "reason=\"too_much_held\""];
    let errors = |reason| agent.metric("logweir_input_protocol_errors_total", &[reason]);
    agent.until("bombs are counted", || bombs.into_iter().map(errors).sum::<i64>() > 0);
    agent.until("who breaks the protocol is counted", || {
        ["no_window", "tls_timeout", "tls_on_plain_port"].iter().all(|reason| {
            let reason = format!("reason=\"{reason}\"");
            agent.metric("logweir_input_protocol_errors_total", &[&reason]) > 0
        })
    });
    for words in ["raise `max_connections`", "gives way", "speaks TLS"] {
        agent.until_logged(words);
    }
    let lines = agent.log().lines().count();
    assert!(lines < 200, "the log stays readable: {lines} lines");
    let peak = peak(&agent);
    println!(
        "{} hostile connections, {} refused, {} silent, {} gave way; peak {} MiB, {} at the start",
        crowd.attempts.load(Ordering::Relaxed),
        refused(),
        closed("silent"),
        closed("gave_way"),
        peak / MIB,
        before / MIB
    );
    // Besides the buffers: code, stacks and tables, and for each connection its task and the state of its TLS.
    assert!(peak <= LIMIT + 32 * MIB + 1_000 * 32 * 1024, "{} MiB\n{}", peak / MIB, agent.story());
    crowd.over.store(true, Ordering::Relaxed);
    RUNTIME.block_on(async { while hostile.join_next().await.is_some() {} });
    agent.until("nobody is connected any more", || {
        agent.metric("logweir_input_connections", &[]) == 0
    });
    follower.follow(&crowd);
    assert_eq!(follower.good_lines(), 100 * LINES);
}

#[test]
fn connections_leave_descriptors_to_files_and_outputs_and_that_is_said() {
    allow_descriptors();
    let (home, port) = (Home::new(), free_port());
    let crowd = Crowd::new(None);
    home.pipeline(
        r#"
        [inputs.app]
        type = "file"
        paths = ["@HOME@/logs/*.log"]
        [inputs.net]
        type = "tcp"
        listen = "127.0.0.1:@PORT@"
        codec = "json"
        [outputs.out]
        type = "file"
        path = "@HOME@/out.jsonl"
        "#,
        &[("PORT", &port.to_string())],
    );
    std::fs::create_dir(home.path("logs")).unwrap();
    let agent = home.start_with_descriptors(160);
    let silent: Vec<_> = (0..300).map(|_| RUNTIME.block_on(connect(1, port)).unwrap()).collect();
    let why = agent.until_health("app/inputs.net", "degraded");
    assert!(why.contains("descriptors") && why.contains("LimitNOFILE"), "{why}");
    let few = ["reason=\"too_few_descriptors\""];
    let refused = agent.metric("logweir_input_connections_refused_total", &few);
    assert!(refused > 0, "{}", agent.story());
    // New files are found and read, and a client that has something to say gets in.
    for n in 0..20 {
        home.append(&format!("logs/{n}.log"), format!("good file {n}\n"));
    }
    let mut good = JoinSet::new();
    good.spawn_on(Arc::clone(&crowd).good(7, port, false), RUNTIME.handle());
    let mut follower = Follower::new(&home);
    await_lines(&agent, &crowd, &mut follower, &mut good, 20 + LINES);
    drop(silent);
    agent.until("nobody is connected any more", || {
        agent.metric("logweir_input_connections", &[]) == 0
    });
    // The next one that comes finds room again.
    good.spawn_on(Arc::clone(&crowd).good(8, port, false), RUNTIME.handle());
    await_lines(&agent, &crowd, &mut follower, &mut good, 20 + 2 * LINES);
    agent.until_health("app/inputs.net", "ok");
}
