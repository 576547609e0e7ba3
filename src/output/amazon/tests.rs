use std::io::Read as _;
use std::sync::Arc;

use serde_json::{Value, json};

use super::super::Output;
use super::super::server::{Server, server, server_by_head};
use super::super::stage::{self, Stage};
use crate::health::State;
use crate::settings::Environment;

/// An environment with these variables.
struct Variables(Vec<(&'static str, String)>);

impl Environment for Variables {
    fn variable(&self, name: &str) -> Option<String> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone())
    }

    fn read_file(&self, path: &std::path::Path) -> std::io::Result<String> {
        std::fs::read_to_string(path)
    }
}

fn load_in(
    kind: &str,
    text: &str,
    variables: Vec<(&'static str, String)>,
) -> (Option<Box<dyn Output>>, Vec<String>) {
    stage::load_in(kind, text, Arc::new(Variables(variables)))
}

const KEYS: &str =
    "region = \"eu-central-1\"\naccess_key_id = \"AK\"\nsecret_access_key = \"SK\"\n";

fn start(kind: &str, server: &Server, settings: &str) -> (Stage, tokio::task::JoinHandle<()>) {
    let text = format!("endpoint = \"http://{}\"\n{KEYS}{settings}", server.address);
    stage::start_in(kind, &text, Arc::new(Variables(Vec::new())))
}

fn document(address: &'static str, n: usize) -> (&'static str, String) {
    (address, format!("{{\"n\":{n}}}"))
}

/// The bodies of the calls of one operation.
fn calls(server: &Server, operation: &str) -> Vec<Value> {
    let seen = server.seen.lock().unwrap();
    let wanted = seen.iter().filter(|(head, _)| head.contains(operation));
    wanted.map(|(_, body)| serde_json::from_str(body).unwrap()).collect()
}

fn decoded(text: &str) -> Vec<u8> {
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bits = Vec::new();
    for byte in text.bytes().filter(|byte| *byte != b'=') {
        let value = letters.iter().position(|letter| *letter == byte).unwrap();
        bits.extend((0..6).rev().map(|bit| value >> bit & 1));
    }
    let byte = |eight: &[usize]| eight.iter().fold(0, |byte, bit| byte << 1 | *bit as u8);
    bits.chunks_exact(8).map(byte).collect()
}

#[tokio::test]
async fn a_missing_group_and_stream_are_made_and_events_go_in_the_order_of_their_times() {
    let server = server_by_head(|number, head, _| {
        let missing = number < 2 || number == 2 && head.contains("PutLogEvents");
        match head {
            head if head.contains("CreateLogGroup") => "200 OK\n{}".into(),
            _ if missing => {
                "400 Bad Request\n{\"__type\":\"com.amazon#ResourceNotFoundException\"}".into()
            }
            _ => "200 OK\n{}".to_string(),
        }
    })
    .await;
    let settings = "log_group = \"/shop/{app}\"\nlog_stream = \"web\"";
    let (mut stage, _task) = start("cloudwatch_logs", &server, settings);
    let sequence = stage.frame(&[
        document("/shop/a\u{1f}web", 0),
        document("/shop/b\u{1f}web", 1),
        document("/shop/a\u{1f}web", 2),
    ]);
    stage.until_done(sequence).await;
    assert_eq!(calls(&server, "CreateLogGroup"), [json!({ "logGroupName": "/shop/a" })]);
    let put = calls(&server, "PutLogEvents");
    let events = |n: usize| json!({ "timestamp": n * 1000, "message": format!("{{\"n\":{n}}}") });
    let whole = |group: &str, events: Vec<Value>| {
        let stream = "web";
        json!({ "logGroupName": group, "logStreamName": stream, "logEvents": events })
    };
    assert_eq!(
        put[1..],
        [whole("/shop/a", vec![events(0), events(2)]), whole("/shop/b", vec![events(1)]),]
    );
    let seen = server.seen.lock().unwrap();
    let head = &seen[0].0;
    for part in [
        "x-amz-target: Logs_20140328.PutLogEvents",
        "AWS4-HMAC-SHA256 Credential=AK/19700101/eu-central-1/logs/aws4_request",
        "content-type;host;x-amz-content-sha256;x-amz-date;x-amz-target",
    ] {
        assert!(head.contains(part), "{part} is not in\n{head}");
    }
}

#[tokio::test]
async fn what_is_too_old_for_the_service_is_a_dead_letter() {
    let answer = "200 OK\n{\"rejectedLogEventsInfo\":{\"tooOldLogEventEndIndex\":1}}";
    let server = server(move |_, _| answer.into()).await;
    let settings = "log_group = \"g\"\nlog_stream = \"s\"";
    let (mut stage, _task) = start("cloudwatch_logs", &server, settings);
    let sequence = stage.frame(&[document("g\u{1f}s", 0), document("g\u{1f}s", 1)]);
    stage.until_done(sequence).await;
    let letters = stage.letters();
    assert_eq!(letters.len(), 1);
    assert_eq!((&*letters[0].address, &*letters[0].document), ("g\u{1f}s", &b"{\"n\":0}"[..]));
    assert!(letters[0].reason.starts_with("too old"), "{}", letters[0].reason);
    assert_eq!(stage.counted("logweir_output_documents_total{result=\"delivered\"}"), 1);
}

#[tokio::test(start_paused = true)]
async fn of_records_only_those_that_were_held_back_are_sent_again() {
    for (kind, settings, operation, answers, failed) in [
        ("kinesis", "stream = \"s\"\npartition_key = \"{k}\"", "PutRecords", "Records", "Failed"),
        ("firehose", "stream = \"s\"", "PutRecordBatch", "RequestResponses", "FailedPut"),
    ] {
        let server = server(move |number, _| {
            let held = json!({ "ErrorCode": "ProvisionedThroughputExceededException",
                "ErrorMessage": "slow down" });
            let taken = json!({ "RecordId": "1" });
            let records = if number == 0 { vec![taken, held] } else { vec![taken] };
            format!("200 OK\n{}", json!({ failed: 1, answers: records }))
        })
        .await;
        let (mut stage, _task) = start(kind, &server, settings);
        let sequence = stage.frame(&[document("a", 0), document("b", 1)]);
        stage.until_done(sequence).await;
        let sent = calls(&server, operation);
        assert_eq!(sent.len(), 2);
        let lines = |call: &Value| -> Vec<u8> {
            let records = call["Records"].as_array().unwrap();
            records.iter().flat_map(|r| decoded(r["Data"].as_str().unwrap())).collect()
        };
        assert_eq!(lines(&sent[0]), b"{\"n\":0}\n{\"n\":1}\n");
        assert_eq!(lines(&sent[1]), b"{\"n\":1}\n");
        if kind == "kinesis" {
            assert_eq!(sent[0]["Records"][0]["PartitionKey"], "a");
            assert_eq!(sent[1]["StreamName"], "s");
        }
        assert_eq!(stage.counted("logweir_output_documents_total{result=\"delivered\"}"), 2);
        assert_eq!(stage.state(), State::Fine);
    }
}

#[tokio::test]
async fn records_of_which_an_answer_does_not_speak_are_sent_again() {
    for (kind, operation, answers) in
        [("kinesis", "PutRecords", "Records"), ("firehose", "PutRecordBatch", "RequestResponses")]
    {
        for spoken_of in [0, 1, 3] {
            let server = server(move |number, _| {
                let records = vec![json!({}); if number == 0 { spoken_of } else { 2 }];
                format!("200 OK\n{}", json!({ answers: records }))
            })
            .await;
            let (mut stage, _task) = start(kind, &server, "stream = \"s\"");
            let sequence = stage.frame(&[document("x", 0), document("x", 1)]);
            let said = stage.until_paused().await;
            let wanted =
                format!("it speaks of {spoken_of} records, and 2 were sent; look at `endpoint`");
            assert!(said.contains(&wanted), "{said}");
            stage.until_done(sequence).await;
            assert_eq!(calls(&server, operation).len(), 2, "{spoken_of}");
            assert_eq!(stage.counted("logweir_output_documents_total{result=\"delivered\"}"), 2);
        }
    }
}

#[tokio::test]
async fn an_answer_that_is_none_of_the_service_is_no_success() {
    let settings = "log_group = \"g\"\nlog_stream = \"s\"";
    for (kind, settings, operation, good) in [
        ("cloudwatch_logs", settings, "PutLogEvents", "{}"),
        ("kinesis", "stream = \"s\"", "PutRecords", "{\"Records\":[{}]}"),
    ] {
        let server = server(move |number, _| {
            let page = "<html>Sign in to the network</html>";
            format!("200 OK\n{}", if number == 0 { page } else { good })
        })
        .await;
        let (mut stage, _task) = start(kind, &server, settings);
        let sequence = stage.frame(&[document("g\u{1f}s", 0)]);
        let said = stage.until_paused().await;
        assert!(
            said.contains("answers 200, but not as the service does: expected value"),
            "{said}"
        );
        stage.until_done(sequence).await;
        assert_eq!(calls(&server, operation).len(), 2);
    }
}

#[tokio::test]
async fn objects_are_named_after_their_first_document() {
    let server = server(|_, _| "200 OK".into()).await;
    let settings = "bucket = \"b\"\nprefix = \"{app} x/\"\nmax_wait = \"1ms\"";
    let (mut stage, _task) = start("s3", &server, settings);
    let sequence = stage.frame(&[document("a x/", 0), document("b x/", 1), document("a x/", 2)]);
    stage.until_done(sequence).await;
    let seen = server.seen.lock().unwrap();
    let id = "0000000000000007-0000000001-00000";
    let first = |n: usize| seen[n].0.lines().next().unwrap().to_string();
    assert_eq!(first(0), format!("PUT /b/a%20x/{id}0.json.gz HTTP/1.1"));
    assert_eq!(first(1), format!("PUT /b/b%20x/{id}1.json.gz HTTP/1.1"));
    let bodies = server.bodies.lock().unwrap();
    let mut lines = String::new();
    flate2::read::GzDecoder::new(&*bodies[0]).read_to_string(&mut lines).unwrap();
    assert_eq!(lines, "{\"n\":0}\n{\"n\":2}\n");
}

#[tokio::test(start_paused = true)]
async fn a_missing_bucket_and_wrong_keys_are_waited_for() {
    let answers = [
        "404 Not Found\n<Error><Code>NoSuchBucket</Code><Message>none</Message></Error>",
        "400 Bad Request\n<Error><Code>ExpiredToken</Code><Message>old</Message></Error>",
        "200 OK",
    ];
    let server = server(move |number, _| answers[number.min(2)].into()).await;
    let (mut stage, _task) = start("s3", &server, "bucket = \"b\"\nmax_wait = \"1ms\"");
    let sequence = stage.frame(&[document("x/", 0)]);
    stage.until_done(sequence).await;
    assert_eq!(server.seen.lock().unwrap().len(), 3);
    assert_eq!(stage.letters(), []);
}

#[tokio::test]
async fn keys_come_from_the_instance_or_a_token_of_kubernetes() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "t0\n").unwrap();
    let granted =
        json!({ "AccessKeyId": "IK", "SecretAccessKey": "IS", "Token": "IT" }).to_string();
    let server = server_by_head(move |_, head, _| match head {
        head if head.starts_with("PUT /latest/api/token") => "200 OK\ntt".into(),
        head if head.starts_with("GET /latest/meta-data/iam/security-credentials/role") => {
            assert!(head.contains("x-aws-ec2-metadata-token: tt"), "{head}");
            format!("200 OK\n{granted}")
        }
        head if head.starts_with("GET /latest/meta-data") => "200 OK\nrole".into(),
        head if head.contains("Action=AssumeRoleWithWebIdentity") => {
            assert!(head.contains("WebIdentityToken=t0"), "{head}");
            "200 OK\n<R><Credentials><AccessKeyId>WK</AccessKeyId><SecretAccessKey>WS</SecretAccessKey>\
             <SessionToken>WT</SessionToken></Credentials></R>"
                .into()
        }
        _ => "200 OK\n{\"Records\":[{\"SequenceNumber\":\"1\"}]}".to_string(),
    })
    .await;
    let address = format!("http://{}", server.address);
    let token = token.display().to_string();
    for (variables, key, session) in [
        (vec![("AWS_EC2_METADATA_SERVICE_ENDPOINT", address.clone())], "IK/", "IT"),
        (
            vec![
                ("AWS_ROLE_ARN", "arn:r".to_string()),
                ("AWS_WEB_IDENTITY_TOKEN_FILE", token),
                ("AWS_ENDPOINT_URL_STS", address.clone()),
            ],
            "WK/",
            "WT",
        ),
    ] {
        let text = format!("region = \"eu-central-1\"\nendpoint = \"{address}\"\nstream = \"s\"");
        let (output, said) = load_in("kinesis", &text, variables);
        assert_eq!(said, Vec::<String>::new());
        let (mut stage, context) = Stage::new(crate::storage::disk());
        let _task = tokio::spawn(output.unwrap().run(context));
        let sequence = stage.frame(&[document("a", 0)]);
        stage.until_done(sequence).await;
        let seen = server.seen.lock().unwrap();
        let put = seen.iter().rev().find(|(head, _)| head.contains("PutRecords")).unwrap();
        assert!(put.0.contains(&format!("Credential={key}")), "{}", put.0);
        assert!(put.0.contains(&format!("x-amz-security-token: {session}")), "{}", put.0);
    }
}

#[test]
fn what_is_wrong_with_the_settings_is_said() {
    for (kind, text, wanted) in [
        ("kinesis", "stream = \"s\"", "`region` is missing"),
        ("kinesis", "region = \"x y\"\nstream = \"s\"", "`x y` is no region"),
        ("kinesis", "region = \"x\"", "`stream` is missing"),
        ("firehose", "region = \"x\"\nstream = \"\"", "`stream` is empty"),
        ("cloudwatch_logs", "region = \"x\"\nlog_stream = \"s\"", "`log_group` is missing"),
        ("s3", "region = \"x\"\nbucket = \"a/b\"", "`a/b` is no bucket's name"),
        ("s3", "region = \"x\"\nbucket = \"b\"\nbatch_size = \"1GiB\"", "no size of a batch"),
        ("s3", "region = \"x\"\nbucket = \"b\"\nendpoint = \"x\"", "`endpoint` is not a web"),
        ("s3", "region = \"x\"\nbucket = \"b\"\naccess_key_id = \"a\"", "one is missing"),
    ] {
        let (output, said) = load_in(kind, text, Vec::new());
        assert!(output.is_none() && said.iter().any(|s| s.contains(wanted)), "{text}: {said:?}");
    }
    let variables = vec![("AWS_DEFAULT_REGION", "eu-west-1".to_string())];
    let (output, said) = load_in("firehose", "stream = \"s\"", variables);
    assert!(output.is_some(), "{said:?}");
}

#[tokio::test]
async fn a_letter_of_cloudwatch_that_is_put_back_goes_to_its_group_and_stream() {
    let server = server(|number, _| match number {
        0 => "400 Bad Request\n{\"__type\":\"InvalidParameterException\"}".into(),
        _ => "200 OK\n{}".into(),
    })
    .await;
    let settings = "log_group = \"/shop\"\nlog_stream = \"web\"";
    let (mut stage, _task) = start("cloudwatch_logs", &server, settings);
    let sequence = stage.frame(&[document("/shop\u{1f}web", 0)]);
    stage.until_done(sequence).await;
    let letter = stage.letters().remove(0);
    assert_eq!(letter.place(), "/shop / web");
    // As `dlq replay` does.
    let sequence = stage.frame(&[(&letter.address, "{}".to_string())]);
    stage.until_done(sequence).await;
    let put = calls(&server, "PutLogEvents");
    let place = |call: &Value| (call["logGroupName"].clone(), call["logStreamName"].clone());
    assert_eq!((put.len(), place(&put[1])), (2, place(&put[0])));
}
