use super::flow::{Flow, FlowPlan};
use super::*;
use crate::config::{self, Surroundings};
use crate::event::{Batch, Key, Source, SourceKind, Value};
use crate::frame::{Draft, Frame};
use crate::limits::{CUT_VALUE_BYTES, DOCUMENT_BYTES_MAX, FRAME_BYTES_USUAL};
use crate::settings::ProcessEnvironment;

const TOML: &str = r#"
[inputs.in]
type = "stdin"
[outputs.logs]
type = "elasticsearch"
hosts = ["http://localhost:9200"]
index = "logs-{message}"
[outputs.all]
type = "stdout"
"#;

fn around() -> Surroundings {
    Surroundings {
        environment: Arc::new(ProcessEnvironment),
        clock: crate::clock::system(),
        metrics: Metrics::default(),
        host_name: "h".into(),
    }
}

fn plan(toml: &str) -> Plan {
    let mut problems = crate::diagnostic::Diagnostics::default();
    let path = Path::new("/nowhere/t.toml");
    let plan = config::load_text("t.toml", toml.into(), path, &around(), &mut problems);
    plan.unwrap_or_else(|| panic!("{problems}"))
}

fn flow() -> (Flow, Batch) {
    let plan = plan(TOML);
    let metrics = Metrics::default();
    let route = |(bit, output): (usize, config::OutputPlan)| Route {
        name: output.name,
        bit: bit as u32,
        when: output.when,
        address: output.output.address().cloned(),
        incomplete: metrics.counter("x", "x"),
    };
    let routes = plan.outputs.into_iter().enumerate().map(route).collect();
    let (kind, fields) = (SourceKind::File { generation: 7 }, Vec::new());
    let source = Arc::new(Source { id: 1, input: "in".into(), kind, fields });
    let batch = Batch::new(Arc::clone(&plan.keys), source);
    let flow = FlowPlan::new(plan.keys, plan.chain, Vec::new(), routes, &metrics);
    (Flow::new(Arc::new(flow)), batch)
}

fn add(batch: &mut Batch, offset: u64, message: &[u8]) {
    let event = batch.add_event(0, offset);
    let span = batch.push_text(message);
    batch.set_root(event, Key::MESSAGE, Value::Str(span));
}

fn frames(flow: &mut Flow, batch: &mut Batch) -> Vec<Frame> {
    let (mut frames, mut next) = (Vec::new(), Some(0));
    while let Some(from) = next {
        let mut draft = Draft::new(Vec::new());
        next = flow.encode(batch, from, &mut draft);
        frames.push(draft.seal(1, frames.len() as u64 + 1));
    }
    frames
}

#[test]
fn a_batch_with_more_indices_than_a_frame_takes_goes_on_in_another_and_loses_nothing() {
    let (mut flow, mut batch) = flow();
    for n in 0..70_000_u64 {
        add(&mut batch, n, format!("m{n}").as_bytes());
    }
    let frames = frames(&mut flow, &mut batch);
    assert!(frames.len() > 60);
    let mut expected = 0_u64;
    for frame in &frames {
        for document in frame.documents() {
            let index = format!("logs-m{expected}");
            let found = (0..2).find_map(|bit| document.address(bit).filter(|a| !a.is_empty()));
            assert_eq!(found, Some(index.as_bytes()));
            assert_eq!(document.routes, 0b11, "both outputs get every document");
            let mut id = Vec::new();
            document.write_id(&mut id);
            assert!(
                id.ends_with(format!("{expected:x}").as_bytes()),
                "ids do not depend on frames"
            );
            expected += 1;
        }
    }
    assert_eq!(expected, 70_000);
}

#[test]
fn a_batch_that_grew_large_goes_on_in_another_frame() {
    let (mut flow, mut batch) = flow();
    let long = vec![b'x'; 1 << 20];
    for n in 0..20 {
        add(&mut batch, n, &long);
    }
    let frames = frames(&mut flow, &mut batch);
    assert_eq!(frames.iter().map(Frame::document_count).sum::<usize>(), 20);
    assert!(frames.iter().all(|f| f.bytes().len() < FRAME_BYTES_USUAL * 3));
}

#[test]
fn a_document_that_no_frame_could_hold_is_cut_and_says_so() {
    let (mut flow, mut batch) = flow();
    let mut huge = vec![b'a'; DOCUMENT_BYTES_MAX + 1];
    // A character on the cut.
    huge[CUT_VALUE_BYTES - 1..CUT_VALUE_BYTES + 1].copy_from_slice("é".as_bytes());
    add(&mut batch, 0, b"before");
    add(&mut batch, 1, &huge);
    let frames = frames(&mut flow, &mut batch);
    let documents: Vec<_> = frames.iter().flat_map(Frame::documents).collect();
    assert_eq!(documents.len(), 2);
    let cut: serde_json::Value = serde_json::from_slice(documents[1].body).unwrap();
    assert_eq!(cut["message"].as_str().map(str::len), Some(CUT_VALUE_BYTES - 1));
    assert_eq!(cut["tags"], serde_json::json!(["_document_cut"]));
}

#[tokio::test]
async fn a_part_that_panics_says_so_until_the_stop() {
    let health = Health::default();
    let (stop, stopped) = watch::channel(false);
    let part = Box::pin(async { panic!("on purpose") });
    let running = tokio::spawn(guarded(part, health.part("p/inputs.x"), stopped));
    let says =
        || matches!(&health.states()[0].1, State::Paused(why) if why.contains("fault of logweir"));
    while !says() {
        tokio::task::yield_now().await;
    }
    assert!(!running.is_finished(), "the others go on");
    stop.send(true).unwrap();
    running.await.unwrap();
}
