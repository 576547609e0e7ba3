//! A journal that is full holds up neither the start nor the stop.

use std::time::Instant;

use super::*;

const PATIENCE: Duration = Duration::from_secs(60);

fn services() -> Services {
    Services {
        clock: crate::clock::system(),
        storage: crate::storage::disk(),
        metrics: Metrics::default(),
        health: Health::default(),
        budget: Budget::default(),
        taps: Taps::default(),
        tracer: Tracer::default(),
    }
}

/// An input that gives more than the journal takes, and an output that nobody listens to.
fn toml(input: &str, filters: &str) -> String {
    format!(
        "[inputs.in]\n{input}\n[journal]\nmax_size = \"1MiB\"\nsegment_size = \"1MiB\"\n[outputs.es]\n\
         type = \"elasticsearch\"\nhosts = [\"http://127.0.0.1:1\"]\nindex = \"x\"\n{filters}"
    )
}

fn generate() -> String {
    let line = |n| format!("'{{\"message\":\"{n} {}\"}}'", "x".repeat(10_000));
    let lines: Vec<String> = (0..300).map(line).collect();
    format!("type = \"generate\"\ninterval = \"1ms\"\nlines = [{}]", lines.join(", "))
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

async fn until_full(services: &Services) {
    let begin = Instant::now();
    let is_full = |state: &State| format!("{state:?}").contains("reached its quota");
    while !services.health.states().iter().any(|(_, state)| is_full(state)) {
        assert!(begin.elapsed() < PATIENCE, "{:?}", services.health.states());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn ends(pipeline: Pipeline) -> bool {
    let stop = pipeline.stop(Some(Duration::from_secs(1)));
    tokio::time::timeout(PATIENCE, stop).await.is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_though_an_input_waits_for_a_full_journal() {
    let (folder, services) = (tempfile::tempdir().unwrap(), services());
    let plan = plan(&toml(&generate(), ""));
    let pipeline = Pipeline::start(plan, folder.path(), &services).unwrap();
    until_full(&services).await;
    assert!(ends(pipeline).await, "generate");
    // Datagrams that come all the time.
    let (folder, services) = (tempfile::tempdir().unwrap(), self::services());
    let port = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let plan = self::plan(&toml(&format!("type = \"udp\"\nlisten = \"127.0.0.1:{port}\""), ""));
    let pipeline = Pipeline::start(plan, folder.path(), &services).unwrap();
    let sender = tokio::spawn(async move {
        let client = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let line = vec![b'x'; 30_000];
        loop {
            let _ = client.send_to(&line, ("127.0.0.1", port)).await;
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    until_full(&services).await;
    let ended = ends(pipeline).await;
    sender.abort();
    assert!(ended, "udp");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_ends_though_the_journal_is_full_and_has_to_forget_the_windows_of_a_filter() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (folder.path().join("1"), folder.path().join("2"));
    let services = services();
    let dedupe = "[[filters]]\ntype = \"dedupe\"\nwindow = \"1h\"\n";
    let pipeline = Pipeline::start(plan(&toml(&generate(), dedupe)), &one, &services).unwrap();
    until_full(&services).await;
    // As a kill leaves it.
    copy(&one, &two);
    let (tell, told) = std::sync::mpsc::channel();
    let handle = Handle::current();
    std::thread::spawn(move || {
        let _entered = handle.enter();
        let started = Pipeline::start(plan(&toml(&generate(), "")), &two, &self::services());
        let _ = tell.send(started);
    });
    let started = tokio::task::spawn_blocking(move || told.recv_timeout(PATIENCE)).await.unwrap();
    assert!(ends(pipeline).await);
    assert!(ends(started.expect("it starts").unwrap()).await);
}
