use super::super::Output;
use super::super::server::server;
use super::super::stage::{self, Stage};
use crate::health::State;

fn load(text: &str) -> (Option<Box<dyn Output>>, Vec<String>) {
    stage::load("http", text)
}

fn start(settings: &str) -> (Stage, tokio::task::JoinHandle<()>) {
    stage::start("http", settings)
}

fn document(n: usize) -> (&'static str, String) {
    ("x", format!("{{\"n\":{n}}}"))
}

const OK: &str = "200 OK";

#[tokio::test]
async fn documents_go_out_in_the_form_that_was_asked_for() {
    for (format, kind, bodies) in [
        ("lines", "x-ndjson", vec!["{\"n\":1}\n{\"n\":2}\n"]),
        ("array", "json", vec!["[{\"n\":1},{\"n\":2}]"]),
        ("single", "json", vec!["{\"n\":1}", "{\"n\":2}"]),
    ] {
        let server = server(|_, _| OK.into()).await;
        let (mut stage, _task) = start(&format!(
            "url = \"http://{}/in?x=1\"\nformat = \"{format}\"\ntoken = \"t0\"\nheaders = {{ X-A = \"b\" }}",
            server.address
        ));
        let sequence = stage.frame(&[document(1), document(2), ("", "{\"other\":1}".into())]);
        stage.until_done(sequence).await;
        let seen = server.seen.lock().unwrap();
        assert_eq!(seen.iter().map(|(_, body)| body.as_str()).collect::<Vec<_>>(), bodies);
        let head = &seen[0].0;
        for line in ["POST /in?x=1 HTTP/1.1", "authorization: Bearer t0", "x-a: b", kind] {
            assert!(head.contains(line), "{line} is not in\n{head}");
        }
    }
}

#[tokio::test]
async fn loki_gets_a_stream_for_each_set_of_labels() {
    let server = server(|_, _| OK.into()).await;
    let (mut stage, _task) = start(&format!(
        "url = \"http://{}/loki/api/v1/push\"\nformat = \"loki\"\nlabels = {{ job = \"a b\", app = \"{{app}}\" }}",
        server.address
    ));
    let document = |address: &'static str, n: usize| (address, format!("{{\"n\":{n}}}"));
    let addresses = ["a b\u{1f}shop", "a b\u{1f}", "a b\u{1f}shop"];
    let documents: Vec<_> = addresses.iter().zip(0..).map(|(a, n)| document(a, n)).collect();
    let sequence = stage.frame(&documents);
    stage.until_done(sequence).await;
    let seen = server.seen.lock().unwrap();
    let body: serde_json::Value = serde_json::from_str(&seen[0].1).unwrap();
    let wanted = serde_json::json!({ "streams": [
        { "stream": { "job": "a b", "app": "shop" }, "values": [["0", "{\"n\":0}"], ["2000000000", "{\"n\":2}"]] },
        { "stream": { "job": "a b" }, "values": [["1000000000", "{\"n\":1}"]] },
    ] });
    assert_eq!(body, wanted);
    for (settings, wanted) in [
        ("format = \"loki\"", "Loki needs at least one label"),
        ("labels = { a = \"b\" }", "`labels` are those of Loki"),
        ("format = \"loki\"\nlabels = { a = 1 }", "a label must be a text"),
    ] {
        let (output, said) = load(&format!("url = \"http://localhost/\"\n{settings}"));
        assert!(output.is_none() && said.iter().any(|s| s.contains(wanted)), "{said:?}");
    }
}

#[tokio::test]
async fn what_may_pass_is_tried_again_and_health_says_why() {
    let server = server(|number, _| match number {
        0 => "503 Service Unavailable\r\nRetry-After: 1".into(),
        1 => "401 Unauthorized".into(),
        _ => OK.into(),
    })
    .await;
    let (mut stage, _task) = start(&format!("url = \"http://{}/\"", server.address));
    let sequence = stage.frame(&[document(1)]);
    let paused = async {
        loop {
            if let State::Paused(why) = stage.state() {
                return why;
            }
            tokio::task::yield_now().await;
        }
    };
    let why = paused.await;
    assert!(why.contains("answers 503"), "{why}");
    assert!(why.ends_with("everything is kept in the journal"), "{why}");
    stage.until_done(sequence).await;
    assert_eq!(server.seen.lock().unwrap().len(), 3);
    assert_eq!(stage.state(), State::Fine);
    assert_eq!(stage.letters(), []);
}

#[tokio::test]
async fn opentelemetry_gets_a_log_record_for_each_document() {
    let server = server(|_, _| OK.into()).await;
    let settings = format!("url = \"http://{}/v1/logs\"\nformat = \"otlp\"", server.address);
    let (mut stage, _task) = start(&settings);
    let document =
        r#"{"@timestamp":"1970-01-01T00:00:00.000Z","level":"WARN","n":7,"x":1.5,"a":[true,null]}"#;
    let sequence = stage.frame(&[("x", "{\"n\":1}".into()), ("x", document.into())]);
    stage.until_done(sequence).await;
    let seen = server.seen.lock().unwrap();
    assert!(seen[0].0.contains("content-type: application/json"), "{}", seen[0].0);
    let body: serde_json::Value = serde_json::from_str(&seen[0].1).unwrap();
    let records = &body["resourceLogs"][0]["scopeLogs"][0]["logRecords"];
    let wanted = serde_json::json!({
        "timeUnixNano": "1000000000", "observedTimeUnixNano": "1000000000",
        "severityText": "WARN", "severityNumber": 13,
        "body": { "kvlistValue": { "values": [
            { "key": "a", "value": { "arrayValue": { "values": [{ "boolValue": true }, {}] } } },
            { "key": "level", "value": { "stringValue": "WARN" } },
            { "key": "n", "value": { "intValue": "7" } },
            { "key": "x", "value": { "doubleValue": 1.5 } },
        ] } },
    });
    assert_eq!(records[1], wanted);
    assert_eq!(records[0]["timeUnixNano"], "0");
}

#[tokio::test]
async fn what_a_collector_leaves_out_of_a_request_is_counted_or_a_dead_letter() {
    let answer = |count: &str| {
        format!(
            "200 OK\n{{\"partialSuccess\":{{\"rejectedLogRecords\":{count},\"errorMessage\":\"too old\"}}}}"
        )
    };
    let server = server(move |number, body| match number {
        0 => answer("\"1\""),
        1 => answer("3"),
        _ if body.contains("\"6\"") => answer(&body.matches("\"body\"").count().to_string()),
        _ => answer("0"),
    })
    .await;
    let settings = format!("url = \"http://{}/v1/logs\"\nformat = \"otlp\"", server.address);
    let (mut stage, _task) = start(&settings);
    let sequence = stage.frame(&[document(1), document(2), document(3)]);
    stage.until_done(sequence).await;
    assert_eq!(stage.letters(), []);
    assert_eq!(stage.counted("logweir_output_left_out_documents_total"), 1);
    // It takes none of them: each is tried by itself.
    let sequence = stage.frame(&[document(4), document(5), document(6)]);
    stage.until_done(sequence).await;
    let [letter] = &stage.letters()[..] else { panic!("{:?}", stage.letters()) };
    assert_eq!(letter.document, b"{\"n\":6}");
    assert!(letter.reason.ends_with("takes 1 of 1 records not: too old"), "{}", letter.reason);
}

#[tokio::test]
async fn only_the_document_that_is_refused_becomes_a_dead_letter() {
    let server =
        server(
            |_, body| {
                if body.contains("\"n\":3}") { "400 Bad Request".into() } else { OK.into() }
            },
        )
        .await;
    let (mut stage, _task) = start(&format!("url = \"http://{}/\"", server.address));
    let documents: Vec<_> = (0..8).map(document).collect();
    let sequence = stage.frame(&documents);
    stage.until_done(sequence).await;
    let letters = stage.letters();
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].document, b"{\"n\":3}");
    assert!(letters[0].reason.contains("answers 400 Bad Request no"), "{}", letters[0].reason);
    let taken: Vec<String> = server.seen.lock().unwrap().iter().map(|(_, b)| b.clone()).collect();
    let taken: Vec<&String> = taken.iter().filter(|body| !body.contains("\"n\":3}")).collect();
    // In order, each once.
    let all: String = taken.into_iter().cloned().collect();
    assert_eq!(
        all,
        "{\"n\":0}\n{\"n\":1}\n{\"n\":2}\n{\"n\":4}\n{\"n\":5}\n{\"n\":6}\n{\"n\":7}\n"
    );
    assert_eq!(stage.counted("logweir_output_documents_total{result=\"delivered\"}"), 7);
    assert_eq!(stage.counted("logweir_output_documents_total{result=\"dead_letter\"}"), 1);
}

#[tokio::test]
async fn a_batch_is_no_larger_than_asked_for() {
    let server = server(|_, _| OK.into()).await;
    let settings = format!("url = \"http://{}/\"\nbatch_size = \"20B\"", server.address);
    let (mut stage, _task) = start(&settings);
    let sequence = stage.frame(&[document(1), document(2), document(3)]);
    stage.until_done(sequence).await;
    let bodies: Vec<usize> = server.seen.lock().unwrap().iter().map(|(_, b)| b.len()).collect();
    assert_eq!(bodies, [16, 8]);
}

#[test]
fn what_is_wrong_with_the_settings_is_said() {
    for (text, wanted) in [
        ("", "`url` is missing"),
        ("url = \"ftp://x\"", "`url` is not a web address"),
        ("url = \"http://x\"\nuser = \"u\"", "`user` is set, but `password` is not"),
        ("url = \"http://x\"\npassword = \"p\"", "how the output shows who it is"),
        ("url = \"http://x\"\nheaders = { \"a b\" = \"c\" }", "is no header"),
        ("url = \"http://x\"\nbatch_size = 0", "`batch_size` is 0"),
    ] {
        let (output, said) = load(text);
        assert!(output.is_none() && said.iter().any(|s| s.contains(wanted)), "{text}: {said:?}");
    }
}

#[tokio::test]
async fn a_frame_is_done_with_its_last_document_though_later_ones_cannot_be_sent() {
    let server =
        server(
            |number, _| {
                if number == 0 { OK.into() } else { "503 Service Unavailable".to_string() }
            },
        )
        .await;
    let settings = format!("url = \"http://{}/\"\nformat = \"single\"", server.address);
    let (mut stage, _task) = start(&settings);
    let first = stage.frame(&[document(0)]);
    stage.frame(&[document(1)]);
    stage.until_paused().await;
    let done = stage.until_done(first);
    let done = tokio::time::timeout(std::time::Duration::from_secs(20), done).await;
    assert!(done.is_ok(), "after a stop it would come again");
}
