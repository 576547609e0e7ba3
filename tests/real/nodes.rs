//! Real search nodes and what the tests ask them.
//!
//! One Elasticsearch and one OpenSearch serve all tests, which keep apart by index names; tests that stop a node or
//! change its settings take turns at one of their own. Nodes stop when the test process ends.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::{
    LazyLock, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
};
use std::time::Duration;

use serde_json::{Value, json};

use crate::machine::{bound, checkout, free_port, signal, start, text, until};

/// Runs clients, and what stands between clients and nodes.
pub static RUNTIME: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| {
    let _ = rustls::crypto::ring::default_provider().install_default();
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
});

/// A node.
pub struct Node {
    /// Its address.
    pub url: String,
    /// Its folder.
    pub folder: PathBuf,
    engine: &'static str,
    secure: bool,
    settings: Vec<String>,
    port: u16,
    script: Child,
    client: reqwest::Client,
}

/// The Elasticsearch that all tests share.
pub fn elasticsearch() -> &'static Node {
    static NODE: LazyLock<Node> =
        LazyLock::new(|| Node::start("elasticsearch", "shared", false, &[]));
    &NODE
}

/// The OpenSearch that all tests share.
pub fn opensearch() -> &'static Node {
    static NODE: LazyLock<Node> = LazyLock::new(|| Node::start("opensearch", "shared", false, &[]));
    &NODE
}

/// An Elasticsearch that one test at a time may stop, kill and configure.
pub fn own() -> MutexGuard<'static, Node> {
    static NODE: LazyLock<Mutex<Node>> =
        // How full the disk is, it asks as often as it can.
        LazyLock::new(|| {
            let often = "cluster.info.update.interval=10s".to_string();
            Mutex::new(Node::start("elasticsearch", "own", false, &[often]))
        });
    NODE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Three small Elasticsearch nodes that are one cluster. Each is short of something: `n1` takes requests of 1 MB at
/// most, `n2` indexes 200 KB at a time, `n3` has one thread and one place in the queue for writes.
static CLUSTER: LazyLock<RwLock<Vec<Node>>> = LazyLock::new(|| RwLock::new(start_cluster()));

/// The cluster, for tests that share it.
pub fn cluster() -> RwLockReadGuard<'static, Vec<Node>> {
    CLUSTER.read().unwrap_or_else(PoisonError::into_inner)
}

/// The cluster, for a test that stops a node.
pub fn cluster_alone() -> RwLockWriteGuard<'static, Vec<Node>> {
    CLUSTER.write().unwrap_or_else(PoisonError::into_inner)
}

fn start_cluster() -> Vec<Node> {
    let short = [
        &["http.max_content_length=1mb"][..],
        &["indexing_pressure.memory.limit=200kb"],
        &["node.processors=1", "thread_pool.write.queue_size=1"],
    ];
    let ports = [free_port(), free_port(), free_port()];
    let seeds = ports.map(|port| format!("127.0.0.1:{port}")).join(",");
    let starting = [("n1", 0), ("n2", 1), ("n3", 2)].map(|(name, at)| {
        let mut settings = vec![
            "cluster.name=three".to_string(),
            format!("node.name={name}"),
            format!("transport.port={}", ports[at]),
            format!("discovery.seed_hosts={seeds}"),
            "cluster.initial_master_nodes=n1,n2,n3".to_string(),
        ];
        settings.extend(short[at].iter().map(ToString::to_string));
        std::thread::spawn(move || Node::start("elasticsearch", name, false, &settings))
    });
    starting.into_iter().map(|thread| thread.join().unwrap()).collect()
}

impl Node {
    /// A node with TLS and passwords (`logweir`, `logweir-secret`).
    pub fn secure() -> Node {
        Node::start("elasticsearch", "secure", true, &[])
    }

    fn start(engine: &'static str, name: &str, secure: bool, settings: &[String]) -> Node {
        let run = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("nodes");
        remove_old(&run);
        let folder = run.join(std::process::id().to_string()).join(format!("{engine}-{name}"));
        std::fs::create_dir_all(&folder).unwrap();
        let port = free_port();
        let settings: Vec<String> = settings.iter().map(|s| format!("-E{s}")).collect();
        let (script, url) = launch(engine, port, &folder, secure, &settings);
        let mut builder = reqwest::Client::builder().timeout(Duration::from_secs(60));
        builder = builder.pool_max_idle_per_host(0);
        if secure {
            let ca = std::fs::read(folder.join("tls/ca.crt")).unwrap();
            builder = builder.tls_certs_only([reqwest::Certificate::from_pem(&ca).unwrap()]);
        }
        let client = {
            LazyLock::force(&RUNTIME);
            builder.build().unwrap()
        };
        let node = Node { url, folder, engine, secure, settings, port, script, client };
        // Nobody wants copies on a single node; a full disk is a test of its own.
        node.put(
            "/_cluster/settings",
            &json!({"persistent": {"cluster.routing.allocation.disk.threshold_enabled": false}}),
        );
        node
    }

    /// The server's process.
    pub fn server(&self) -> u32 {
        let pid = std::fs::read_to_string(self.folder.join("server.pid")).unwrap();
        pid.trim().parse().unwrap()
    }

    /// Stops the node, by SIGTERM or as a crash would.
    pub fn stop(&mut self, how: &str) {
        let pid = if how == "KILL" { self.server() } else { self.script.id() };
        signal(pid, how).unwrap();
        let _ = self.script.wait();
    }

    /// Starts it again on its data and its port.
    pub fn start_again(&mut self) {
        let settings = &self.settings;
        self.script = launch(self.engine, self.port, &self.folder, self.secure, settings).0;
    }

    /// One request; status 0 means no answer.
    pub fn request(&self, method: &str, path: &str, body: Option<String>) -> (u16, Value) {
        RUNTIME.block_on(async {
            let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
            let mut request = self.client.request(method, format!("{}{path}", self.url));
            if self.secure {
                request = request.basic_auth("logweir", Some("logweir-secret"));
            }
            if let Some(body) = body {
                request = request.header("Content-Type", "application/json").body(body);
            }
            let Ok(response) = request.send().await else { return (0, Value::Null) };
            let status = response.status().as_u16();
            let bytes = response.bytes().await.unwrap_or_default();
            let answer = serde_json::from_slice(&bytes).unwrap_or_else(|_| text(&bytes).into());
            (status, answer)
        })
    }

    /// PUT that must succeed.
    pub fn put(&self, path: &str, body: &Value) -> Value {
        let (status, answer) = self.request("PUT", path, Some(body.to_string()));
        assert!((200..300).contains(&status), "PUT {path}: {status} {answer}");
        answer
    }

    /// POST that must succeed.
    pub fn post(&self, path: &str, body: &Value) -> Value {
        let (status, answer) = self.request("POST", path, Some(body.to_string()));
        assert!((200..300).contains(&status), "POST {path}: {status} {answer}");
        answer
    }

    /// How many documents an index (or several, by wildcard) has now; 0 when there is none.
    pub fn count(&self, index: &str) -> u64 {
        self.request("POST", &format!("/{index}/_refresh"), None);
        self.request("GET", &format!("/{index}/_count"), None).1["count"].as_u64().unwrap_or(0)
    }

    /// All documents of an index as the engine gives them back (`_index`, `_id`, `_source`).
    pub fn documents(&self, index: &str) -> Vec<Value> {
        let mut all = Vec::new();
        self.each_document(index, |hit| all.push(hit));
        all
    }

    /// Hands over every document of an index, page by page: an index of millions does not fit into memory.
    pub fn each_document(&self, index: &str, mut take: impl FnMut(Value)) {
        self.request("POST", &format!("/{index}/_refresh"), None);
        let query = json!({"size": 10_000, "sort": ["_doc"]});
        let mut page = self.post(&format!("/{index}/_search?scroll=1m"), &query);
        loop {
            let Value::Array(hits) = page["hits"]["hits"].take() else { panic!("no hits: {page}") };
            let scroll = json!({"scroll": "1m", "scroll_id": page["_scroll_id"].clone()});
            if hits.is_empty() {
                self.request("DELETE", "/_search/scroll", Some(scroll.to_string()));
                return;
            }
            hits.into_iter().for_each(&mut take);
            page = self.post("/_search/scroll", &scroll);
        }
    }

    /// The documents of an index without what surrounds them.
    pub fn sources(&self, index: &str) -> Vec<Value> {
        self.documents(index).into_iter().map(|mut hit| hit["_source"].take()).collect()
    }

    /// Asserts that the index holds each of the numbers 0 to `count`, less `count`, in the field `seq` once.
    pub fn assert_each_once(&self, index: &str, count: u64) {
        let mut numbers = Vec::new();
        self.each_document(index, |hit| numbers.push(sequence(&hit["_source"])));
        assert_each_once(numbers, count);
    }

    /// Waits until the index has `count` documents; more are an error at once.
    pub fn await_count(&self, index: &str, count: u64, context: impl Fn() -> String) {
        let mut found = 0;
        let reached = || {
            found = self.count(index);
            assert!(found <= count, "{found} documents instead of {count}\n{}", context());
            found == count
        };
        until(&format!("{count} documents in {index}"), reached, || {
            format!("there are {}\n{}", self.count(index), context())
        });
    }
}

/// GET of a JSON object from any server; `Null`: no answer.
pub fn get_json(url: &str) -> Value {
    RUNTIME.block_on(async {
        let Ok(response) = reqwest::get(url).await else { return Value::Null };
        let bytes = response.bytes().await.unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_default()
    })
}

/// The number that a document carries in `seq`, or after `seq=` in its message.
fn sequence(document: &Value) -> u64 {
    let in_text = || {
        let message = document["message"].as_str().or(document["path"].as_str())?;
        let digits = message.split("seq=").nth(1)?;
        digits.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    };
    document["seq"].as_u64().or_else(in_text).unwrap_or_else(|| panic!("no seq: {document}"))
}

/// Asserts that the numbers are 0 to `count`, less `count`, each once.
pub fn assert_each_once(mut numbers: Vec<u64>, count: u64) {
    numbers.sort_unstable();
    let total = numbers.len() as u64;
    let doubled: Vec<u64> =
        numbers.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect();
    numbers.dedup();
    let missing: Vec<u64> = (0..count).filter(|n| numbers.binary_search(n).is_err()).collect();
    let first = |list: &[u64]| list.iter().take(20).copied().collect::<Vec<_>>();
    assert!(
        doubled.is_empty() && missing.is_empty() && total == count,
        "{total} of {count}; {} missing, first {:?}; {} doubled, first {:?}",
        missing.len(),
        first(&missing),
        doubled.len(),
        first(&doubled)
    );
}

fn launch(
    engine: &str,
    port: u16,
    folder: &PathBuf,
    secure: bool,
    settings: &[String],
) -> (Child, String) {
    let errors = folder.with_extension("err");
    let mut command = bound("TERM", "bash");
    command.arg(checkout("tests/tools/search-node.sh")).args([engine, &port.to_string()]);
    command.arg(folder).args(settings).env("SECURE", if secure { "1" } else { "0" });
    command.stdout(Stdio::piped()).stderr(File::create(&errors).unwrap());
    let mut script = start(command);
    let mut line = String::new();
    let mut reader = BufReader::new(script.stdout.take().unwrap());
    reader.read_line(&mut line).unwrap();
    let Some(url) = line.strip_prefix("READY ") else {
        let _ = script.wait();
        panic!("no {engine}: {line}{}", std::fs::read_to_string(errors).unwrap_or_default());
    };
    (script, url.trim().to_string())
}

/// Folders of test processes that are gone.
fn remove_old(run: &PathBuf) {
    for entry in std::fs::read_dir(run).into_iter().flatten().flatten() {
        let owner = PathBuf::from("/proc").join(entry.file_name());
        if !owner.exists() {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}
