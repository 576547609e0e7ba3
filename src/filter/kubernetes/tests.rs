//! What the filter promises, against an API server of our own that speaks list, watch, bookmarks, 401 and 410.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::super::trial::{Trial, problems, written};

const NODE: &str = "node-a";
/// Longest wait for anything; a test that passes waits for milliseconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// An API server; its threads end with the test's process.
struct Server {
    address: SocketAddr,
    cluster: Arc<Cluster>,
    folder: TempDir,
}

#[derive(Default)]
struct Cluster {
    state: Mutex<State>,
    moved: Condvar,
}

#[derive(Default)]
struct State {
    version: u64,
    pods: Vec<serde_json::Value>,
    /// Version and line of each change.
    changes: Vec<(u64, String)>,
    /// Changes up to here are forgotten.
    compacted: u64,
    /// Watches that began before this number end.
    watches: u64,
    token: String,
    lists: u64,
    /// The resource versions that were watched from.
    watched: Vec<u64>,
    requests: Vec<String>,
}

fn pod(name: &str, uid: &str, more: serde_json::Value) -> serde_json::Value {
    let mut pod = serde_json::json!({
        "metadata": {
            "name": name, "namespace": "shop", "uid": uid,
            "labels": { "app": "web", "app.kubernetes.io/name": "web", "team/x": "a", "pod-template-hash": "abc" },
            "annotations": { "note": "n" },
            "ownerReferences": [{ "kind": "ReplicaSet", "name": "web-abc", "controller": true }],
        },
        "spec": { "nodeName": NODE },
        "status": { "podIP": "10.1.2.3", "containerStatuses": [{
            "name": "app", "image": "registry:5000/shop/web:1.2", "containerID": format!("containerd://{}", id_of(uid)),
        }] },
    });
    for (pointer, value) in more.as_object().into_iter().flatten() {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        pod.pointer_mut(parent).unwrap()[key] = value.clone();
    }
    pod
}

fn id_of(uid: &str) -> String {
    format!("{uid:0>64}")
}

/// The fields that the codec `container` reads from a path.
fn event(name: &str, uid: &str) -> String {
    let id = id_of(uid);
    format!(
        r#"{{"message":"m","kubernetes":{{"namespace":"shop","pod":{{"name":"{name}"}},"container":{{"name":"app"}}}},"container":{{"id":"{id}"}}}}"#
    )
}

impl Server {
    fn start() -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let cluster = Arc::new(Cluster::default());
        cluster.state().token = "t1".into();
        cluster.state().version = 10;
        let served = Arc::clone(&cluster);
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let cluster = Arc::clone(&served);
                std::thread::spawn(move || cluster.serve(socket));
            }
        });
        let folder = tempfile::tempdir().unwrap();
        let server = Server { address, cluster, folder };
        server.write_token("t1");
        server
    }

    fn write_token(&self, token: &str) {
        std::fs::write(self.folder.path().join("token"), format!("{token}\n")).unwrap();
    }

    fn trial(&self, settings: &str) -> Trial {
        self.trial_with("60s", settings)
    }

    fn trial_with(&self, wait: &str, settings: &str) -> Trial {
        let token = self.folder.path().join("token");
        Trial::new(&format!(
            "[[filters]]\ntype = \"kubernetes\"\napi = \"http://{}\"\nnode = \"{NODE}\"\ntoken_file = \"{}\"\n\
             wait = \"{wait}\"\nwait_new = \"{wait}\"\n{settings}\n",
            self.address,
            token.display()
        ))
    }

    fn change(&self, kind: &str, pod: &serde_json::Value) {
        let mut state = self.cluster.state();
        state.version += 1;
        let version = state.version;
        let mut pod = pod.clone();
        pod["metadata"]["resourceVersion"] = version.to_string().into();
        let uid = pod["metadata"]["uid"].clone();
        state.pods.retain(|known| known["metadata"]["uid"] != uid);
        let line = serde_json::json!({ "type": kind, "object": pod }).to_string() + "\n";
        if kind != "DELETED" {
            state.pods.push(pod);
        }
        state.changes.push((version, line));
        self.cluster.moved.notify_all();
    }

    fn bookmark(&self) {
        let mut state = self.cluster.state();
        state.version += 100;
        let version = state.version;
        let object = serde_json::json!({ "kind": "Pod", "metadata": { "resourceVersion": version.to_string() } });
        let line = serde_json::json!({ "type": "BOOKMARK", "object": object }).to_string() + "\n";
        state.changes.push((version, line));
        self.cluster.moved.notify_all();
    }

    /// Ends the watches that are open.
    fn end_watches(&self) {
        self.cluster.state().watches += 1;
        self.cluster.moved.notify_all();
    }

    fn until(&self, what: &str, holds: impl Fn(&State) -> bool) {
        let start = Instant::now();
        while !holds(&self.cluster.state()) {
            assert!(start.elapsed() < PATIENCE, "waited too long: {what}");
            std::thread::yield_now();
        }
    }
}

impl Cluster {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn serve(&self, mut socket: TcpStream) {
        let mut reader = BufReader::new(socket.try_clone().unwrap());
        loop {
            let (mut request, mut line) = (String::new(), String::new());
            while reader.read_line(&mut line).is_ok_and(|n| n > 0) && line != "\r\n" {
                request.push_str(&std::mem::take(&mut line));
            }
            if request.is_empty() || self.answer(&request, &mut socket).is_err() {
                return;
            }
        }
    }

    fn answer(&self, request: &str, socket: &mut TcpStream) -> std::io::Result<()> {
        let mut state = self.state();
        state.requests.push(request.to_string());
        let first = request.lines().next().unwrap();
        assert!(
            first.starts_with("GET /api/v1/pods?fieldSelector=spec.nodeName%3Dnode-a"),
            "{first}"
        );
        if !request.contains(&format!("authorization: Bearer {}\r\n", state.token)) {
            return reply(socket, "401 Unauthorized", r#"{"message":"Unauthorized","code":401}"#);
        }
        if !first.contains("watch=true") {
            state.lists += 1;
            let half = state.pods.len().div_ceil(2);
            let (items, more) = if first.contains("continue=next") {
                (&state.pods[half..], "")
            } else {
                (&state.pods[..half], if half < state.pods.len() { "next" } else { "" })
            };
            let version = state.version.to_string();
            let metadata = serde_json::json!({ "resourceVersion": version, "continue": more });
            let body =
                serde_json::json!({ "kind": "PodList", "metadata": metadata, "items": items });
            return reply(socket, "200 OK", &body.to_string());
        }
        let from = first.split("resourceVersion=").nth(1).unwrap();
        let from: String = from.chars().take_while(char::is_ascii_digit).collect();
        let mut from: u64 = from.parse().unwrap();
        state.watched.push(from);
        self.moved.notify_all();
        let watch = state.watches;
        socket.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")?;
        if from < state.compacted {
            let gone = r#"{"type":"ERROR","object":{"kind":"Status","code":410,"message":"too old resource version"}}"#;
            chunk(socket, &format!("{gone}\n"))?;
            return chunk(socket, "");
        }
        loop {
            let new: Vec<_> = state.changes.iter().filter(|(v, _)| *v > from).cloned().collect();
            for (version, line) in new {
                // In two pieces: a change may come in as many as the network likes.
                let (start, end) = line.split_at(line.len() / 2);
                chunk(socket, start)?;
                chunk(socket, end)?;
                from = version;
            }
            if state.watches != watch {
                return chunk(socket, "");
            }
            state = self.moved.wait(state).unwrap();
        }
    }
}

fn reply(socket: &mut TcpStream, status: &str, body: &str) -> std::io::Result<()> {
    let length = body.len();
    socket.write_all(
        format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}")
            .as_bytes(),
    )
}

fn chunk(socket: &mut TcpStream, text: &str) -> std::io::Result<()> {
    socket.write_all(format!("{:x}\r\n{text}\r\n", text.len()).as_bytes())
}

fn until(trial: &mut Trial, json: &str, wanted: impl Fn(&str) -> bool) -> String {
    let start = Instant::now();
    loop {
        let text = trial.run(json);
        if wanted(&text) {
            return text;
        }
        assert!(start.elapsed() < PATIENCE, "{text}");
    }
}

#[test]
fn events_get_what_is_known_of_their_pod_in_ecs_names() {
    let server = Server::start();
    server.change("ADDED", &pod("web-abc-1", "u1", serde_json::json!({})));
    server.change("ADDED", &pod("web-abc-2", "u2", serde_json::json!({})));
    let mut trial = server.trial(
        "labels = [\"app\", \"app.kubernetes.io/*\"]\nannotations = [\"note\"]\ncluster = \"c1\"",
    );
    let document: serde_json::Value =
        serde_json::from_str(&trial.run(&event("web-abc-2", "u2"))).unwrap();
    let wanted = serde_json::json!({
        "message": "m",
        "kubernetes": {
            "namespace": "shop", "pod": { "name": "web-abc-2", "uid": "u2", "ip": "10.1.2.3" },
            "container": { "name": "app" }, "node": { "name": NODE }, "deployment": { "name": "web" },
            "labels": { "app": "web", "app_kubernetes_io/name": "web" }, "annotations": { "note": "n" },
        },
        "container": {
            "id": id_of("u2"), "runtime": "containerd",
            "image": { "name": "registry:5000/shop/web", "tag": ["1.2"] },
        },
        "orchestrator": { "type": "kubernetes", "namespace": "shop", "cluster": { "name": "c1" } },
    });
    assert_eq!(document, wanted);
    assert_eq!(server.cluster.state().lists, 2, "two pages");
}

#[test]
fn images_are_told_apart_from_tags_ports_and_digests() {
    let image = |text: &str| {
        let server = Server::start();
        let status = "/status/containerStatuses/0/image";
        server.change("ADDED", &pod("web", "u1", serde_json::json!({ status: text })));
        let document: serde_json::Value =
            serde_json::from_str(&server.trial("").run(&event("web", "u1"))).unwrap();
        document["container"]["image"].clone()
    };
    let digest = "sha256:0123";
    assert_eq!(image("web"), serde_json::json!({ "name": "web" }));
    assert_eq!(image("a:5000/web"), serde_json::json!({ "name": "a:5000/web" }));
    let pinned =
        serde_json::json!({ "name": "a:5000/web", "tag": ["1"], "hash": { "all": [digest] } });
    assert_eq!(image("a:5000/web:1@sha256:0123"), pinned);
    let untagged = serde_json::json!({ "name": "web", "hash": { "all": [digest] } });
    assert_eq!(image("web@sha256:0123"), untagged);
    assert_eq!(image("sha256:0123"), serde_json::json!({ "hash": { "all": [digest] } }));
    assert_eq!(image(""), serde_json::Value::Null);
}

#[test]
fn what_is_written_is_written_once_a_batch() {
    let server = Server::start();
    server.change("ADDED", &pod("web-abc-1", "u1", serde_json::json!({})));
    let mut trial = server.trial("");
    let one = event("web-abc-1", "u1");
    // All events of a file share the codec's value.
    let mut batch = trial.batch(&[&one, "{}", "{}", "{}"]);
    let keys = ["kubernetes", "container"].map(|name| batch.key_named(name.as_bytes()));
    for key in keys {
        let value = batch.get_root(0, key).unwrap();
        (1..4).for_each(|event| batch.set_root(event, key, value));
    }
    let before = batch.text.len();
    trial.chain.apply(&mut batch);
    let first = batch.text.len() - before;
    let kubernetes = batch.get_root(0, keys[0]);
    assert!((1..4).all(|event| batch.get_root(event, keys[0]) == kubernetes));
    let mut single = trial.batch(&[&one]);
    let before = single.text.len();
    trial.chain.apply(&mut single);
    assert_eq!(first, single.text.len() - before, "four events cost what one does");
}

#[test]
fn changes_arrive_a_deleted_pod_is_still_known_and_a_younger_one_of_its_name_is_told_apart() {
    let server = Server::start();
    server.change("ADDED", &pod("web-0", "u1", serde_json::json!({})));
    let mut trial = server.trial("labels = [\"app\"]");
    assert!(trial.run(&event("web-0", "u1")).contains(r#""app":"web""#));
    server.change(
        "MODIFIED",
        &pod("web-0", "u1", serde_json::json!({ "/metadata/labels/app": "new" })),
    );
    until(&mut trial, &event("web-0", "u1"), |text| text.contains(r#""app":"new""#));
    server.change(
        "DELETED",
        &pod("web-0", "u1", serde_json::json!({ "/metadata/labels/app": "new" })),
    );
    server.change(
        "ADDED",
        &pod("web-0", "u2", serde_json::json!({ "/metadata/labels/app": "young" })),
    );
    // The event of the young pod waits until the pod is known.
    assert!(trial.run(&event("web-0", "u2")).contains(r#""app":"young""#));
    assert!(trial.run(&event("web-0", "u1")).contains(r#""app":"new""#));
    assert_eq!(trial.counted("logweir_kubernetes_pods"), 1);
}

#[test]
fn a_watch_that_ends_goes_on_where_it_was_and_a_version_that_is_gone_is_listed_anew() {
    let server = Server::start();
    server.change("ADDED", &pod("web-0", "u1", serde_json::json!({})));
    let mut trial = server.trial("labels = [\"app\"]");
    trial.run(&event("web-0", "u1"));
    server.until("the watch", |state| state.watched == [11]);
    server.bookmark();
    server.change("ADDED", &pod("web-1", "u2", serde_json::json!({})));
    trial.run(&event("web-1", "u2"));
    server.end_watches();
    server.until("the next watch", |state| state.watched == [11, 112]);
    assert_eq!(server.cluster.state().lists, 1, "no list is needed");
    {
        let mut state = server.cluster.state();
        state.compacted = 1000;
        state.version = 1000;
        state.pods.clear();
    }
    server.end_watches();
    server.until("the list", |state| state.lists >= 2);
    server.until("the watch of the new version", |state| state.watched.last() == Some(&1000));
    assert!(
        trial.run(&event("web-0", "u1")).contains(r#""app":"web""#),
        "deleted meanwhile, still known"
    );
    assert_eq!(trial.counted("logweir_kubernetes_pods"), 0);
}

#[test]
fn a_new_token_is_read_and_a_refused_one_is_said() {
    let server = Server::start();
    server.write_token("old");
    server.change("ADDED", &pod("web-0", "u1", serde_json::json!({})));
    let mut trial = server.trial_with("1ms", "labels = [\"app\"]");
    assert_eq!(trial.run(&event("web-0", "u1")), event("web-0", "u1"), "the path's fields stay");
    server.until("two attempts", |state| state.requests.len() >= 2);
    assert!(trial.counted("logweir_kubernetes_failures_total") >= 1);
    assert_eq!(trial.counted("logweir_kubernetes_connected"), 0);
    server.write_token("t1");
    until(&mut trial, &event("web-0", "u1"), |text| text.contains(r#""app":"web""#));
    assert_eq!(trial.counted("logweir_kubernetes_connected"), 1);
}

#[test]
fn annotations_leave_out_and_choose() {
    let server = Server::start();
    let annotated = |name: &str, uid: &str, key: &str, value: &str| {
        pod(name, uid, serde_json::json!({ "/metadata/annotations": { key: value } }))
    };
    server.change("ADDED", &annotated("a-0", "u1", "logweir.io/exclude", "true"));
    server.change("ADDED", &annotated("b-0", "u2", "logweir.io/exclude", "sidecar, other"));
    server.change("ADDED", &annotated("c-0", "u3", "logweir.io/pipeline", "shop"));
    let mut trial = server.trial("");
    assert_eq!(trial.run(&event("a-0", "u1")), "dropped");
    assert!(trial.run(&event("b-0", "u2")).contains(r#""uid":"u2""#));
    assert_eq!(
        trial.run(&event("b-0", "u2").replace(r#""name":"app""#, r#""name":"other""#)),
        "dropped"
    );
    assert!(trial.run(&event("c-0", "u3")).contains(r#""logweir":{"pipeline":"shop"}"#));
    let mut shop = server.trial("pipeline = \"shop\"");
    assert!(shop.run(&event("c-0", "u3")).contains(r#""uid":"u3""#));
    assert_eq!(shop.run(&event("b-0", "u2")), "dropped");
    let mut rest = server.trial("pipeline = \"\"");
    assert_eq!(rest.run(&event("c-0", "u3")), "dropped");
    assert!(rest.run(&event("b-0", "u2")).contains(r#""uid":"u2""#));
}

#[test]
fn while_nobody_answers_the_paths_fields_stay_and_a_stop_does_not_wait() {
    let unused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut trial = Trial::new(&format!(
        "[[filters]]\ntype = \"kubernetes\"\napi = \"http://{unused}\"\nnode = \"a\"\nwait = \"1h\"\n"
    ));
    // The test ends because hurry ends the wait.
    trial.plan.states().hurry();
    let one = event("web-0", "u1");
    assert_eq!(trial.run(&one), one);
    let mut batch = trial.batch(&["{\"message\":\"no container\"}"]);
    trial.chain.apply(&mut batch);
    assert_eq!(written(&batch, 0), "{\"message\":\"no container\"}");
}

#[test]
fn settings_that_cannot_work_are_said() {
    let said = problems("[[filters]]\ntype = \"kubernetes\"\n");
    assert!(said.contains("`kubernetes` does not know the node's name"), "{said}");
    let said = problems("[[filters]]\ntype = \"kubernetes\"\nnode = \"a\"\napi = \"cluster\"\n");
    assert!(said.contains("`api` is not a web address"), "{said}");
    let said =
        problems("[[filters]]\ntype = \"kubernetes\"\nnode = \"a\"\nca_file = \"gone.pem\"\n");
    assert!(said.contains("`ca_file` cannot be used"), "{said}");
}
