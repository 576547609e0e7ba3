use tokio::io::AsyncWriteExt as _;

use std::time::Duration;

use super::super::connect::Server;
use super::super::stage::{self, Stage};
use super::cluster::Cluster;
use super::connection::Way;
use super::fake::{Fake, Plan, Stored};
use super::login::Mechanism;
use super::partition;
use super::records::{Entry, Records};
use super::requests::{METADATA, write_metadata};
use super::wire::{varint_length, write_varint};
use crate::health::State;

fn start(fake: &Fake, settings: &str) -> Stage {
    let servers = format!("servers = [\"{}\"]\n", fake.address());
    stage::start("kafka", &(servers + settings)).0
}

/// Addresses of topic `a` whose keys belong to the first and the second of two partitions.
const FIRST: &str = "a\u{1f}foobar";
const SECOND: &str = "a\u{1f}lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8";

fn document(address: &'static str, n: usize) -> (&'static str, String) {
    (address, format!("{{\"n\":{n}}}"))
}

fn values(records: &[Stored]) -> Vec<&str> {
    records.iter().map(|record| record.value.as_str()).collect()
}

/// The documents that were counted as this.
fn counted(stage: &Stage, result: &str) -> u64 {
    stage.counted(&format!("logweir_output_documents_total{{result=\"{result}\"}}"))
}

#[tokio::test]
async fn documents_are_records_with_key_time_and_id_and_done_when_they_are_stored() {
    for compression in ["none", "gzip"] {
        let fake = Fake::start(&[("a", 1), ("b", 3)]).await;
        let mut stage = start(&fake, &format!("topic = \"a\"\ncompression = \"{compression}\""));
        let (one, other) = ("a", "b\u{1f}foobar");
        let documents = [document(one, 0), document(other, 1), document(one, 2), document("", 3)];
        let sequence = stage.frame(&documents);
        stage.until_done(sequence).await;
        let id = |n: usize| format!("0000000000000007-0000000001-{n:06x}");
        let stored = |n: usize, key: Option<&str>| Stored {
            time_ms: n as i64 * 1_000,
            key: key.map(ToString::to_string),
            value: format!("{{\"n\":{n}}}"),
            id: id(n),
        };
        assert_eq!(fake.stored("a", 0), [stored(0, None), stored(2, None)]);
        let partition = partition::of_bytes(b"foobar", 3) as i32;
        assert_eq!(fake.stored("b", partition), [stored(1, Some("foobar"))]);
        assert_eq!((counted(&stage, "delivered"), stage.state()), (3, State::Fine));
    }
}

#[tokio::test]
async fn what_is_stored_but_not_answered_is_stored_once() {
    let fake = Fake::start(&[("a", 1)]).await;
    fake.with(|state| state.plan.extend([Plan::StoreAndClose, Plan::StoreAndClose]));
    let mut stage = start(&fake, "topic = \"a\"");
    let mut sequence = 0;
    for n in 0..3 {
        sequence = stage.frame(&[document("a", 2 * n), document("a", 2 * n + 1)]);
        stage.until_done(sequence).await;
    }
    assert!(sequence == 3 && fake.with(|state| state.plan.is_empty()));
    let wanted: Vec<String> = (0..6).map(|n| format!("{{\"n\":{n}}}")).collect();
    assert_eq!(values(&fake.stored("a", 0)), wanted);
    // Without a name of our own the cluster cannot know.
    let fake = Fake::start(&[("a", 1)]).await;
    fake.with(|state| state.plan.push_back(Plan::StoreAndClose));
    let mut stage = start(&fake, "topic = \"a\"\nidempotent = false");
    let sequence = stage.frame(&[document("a", 0)]);
    stage.until_done(sequence).await;
    assert_eq!(values(&fake.stored("a", 0)), ["{\"n\":0}", "{\"n\":0}"]);
}

#[tokio::test]
async fn another_broker_takes_over_and_the_order_stays() {
    let fake = Fake::start(&[("a", 2)]).await;
    fake.with(|state| state.plan.extend([Plan::Move, Plan::Code(7), Plan::Move]));
    let mut stage = start(&fake, "topic = \"a\"\nspread = \"batch\"");
    let mut sequence = 0;
    for n in 0..20 {
        sequence = stage.frame(&[document("a", n)]);
    }
    stage.until_done(sequence).await;
    let (one, other) = (fake.stored("a", 0), fake.stored("a", 1));
    assert_eq!(one.len() + other.len(), 20, "each once");
    for partition in [one, other] {
        assert!(partition.is_sorted_by_key(|record| record.time_ms), "{partition:?}");
    }
}

#[tokio::test]
async fn a_producer_that_the_cluster_forgot_takes_another_name() {
    let fake = Fake::start(&[("a", 1)]).await;
    let mut stage = start(&fake, "topic = \"a\"");
    let sequence = stage.frame(&[document("a", 0)]);
    stage.until_done(sequence).await;
    fake.with(|state| state.plan.push_back(Plan::Code(59)));
    let sequence = stage.frame(&[document("a", 1)]);
    stage.until_done(sequence).await;
    assert_eq!(values(&fake.stored("a", 0)), ["{\"n\":0}", "{\"n\":1}"]);
    assert_eq!(fake.with(|state| state.producers), 2);
}

#[tokio::test]
async fn a_partition_that_forgot_us_costs_no_other_one_its_numbers() {
    let fake = Fake::start(&[("a", 1), ("b", 1)]).await;
    let mut stage = start(&fake, "topic = \"{service}\"");
    // What `a` stored is not told before `b` has forgotten us.
    let first = [Plan::StoreAndClose, Plan::Code(7)];
    fake.with(|state| state.plan.extend(first.into_iter().chain([Plan::Code(7), Plan::Code(59)])));
    let sequence = stage.frame(&[document("a", 0), document("b", 1)]);
    stage.until_done(sequence).await;
    assert_eq!(fake.with(|state| (state.plan.len(), state.producers)), (0, 2));
    assert_eq!(values(&fake.stored("a", 0)), ["{\"n\":0}"]);
    assert_eq!(values(&fake.stored("b", 0)), ["{\"n\":1}"]);
    // Each goes on with its own.
    let sequence = stage.frame(&[document("a", 2), document("b", 3)]);
    stage.until_done(sequence).await;
    assert_eq!(fake.stored("a", 0).len() + fake.stored("b", 0).len(), 4);
    assert_eq!(fake.with(|state| state.producers), 2);
}

#[tokio::test]
async fn numbers_of_many_partitions_are_forgotten_between_two_rounds_only() {
    let topics = ["a", "b", "c", "d"];
    let fake = Fake::start(&topics.map(|topic| (topic, 1))).await;
    let mut stage = start(&fake, "topic = \"{service}\"");
    // What `a` stored is not told before the others, more than numbers are kept for, are stored.
    let lost = [Plan::StoreAndClose, Plan::Code(7), Plan::Code(7), Plan::Code(7)];
    fake.with(|state| state.plan.extend(lost.into_iter().chain([Plan::Code(7)])));
    let sequence = stage.frame(&topics.map(|topic| document(topic, 0)));
    stage.until_done(sequence).await;
    assert_eq!(topics.map(|topic| fake.stored(topic, 0).len()), [1; 4]);
    assert_eq!(fake.with(|state| (state.plan.len(), state.producers)), (0, 1));
    let sequence = stage.frame(&topics.map(|topic| document(topic, 1)));
    stage.until_done(sequence).await;
    assert_eq!(topics.map(|topic| fake.stored(topic, 0).len()), [2; 4]);
    assert_eq!(fake.with(|state| state.producers), 2);
}

#[tokio::test]
async fn what_an_answer_says_again_or_of_a_batch_that_its_broker_never_got_settles_nothing() {
    // What is said of the first batch, and beside it of all partitions: it is stored, too large.
    for (first, beside) in [(7, 0), (10, 0), (7, 10), (10, 10)] {
        let fake = Fake::start(&[("a", 2)]).await;
        fake.with(|state| {
            state.plan.push_back(Plan::Code(first));
            state.gossip = Some(beside);
        });
        let mut stage = start(&fake, "topic = \"a\"");
        let sequence =
            stage.frame(&[0, 1, 2, 3, 4, 5, 6, 7].map(|n| document([FIRST, SECOND][n % 2], n)));
        stage.until_done(sequence).await;
        let stored = [0, 1].map(|partition| fake.stored("a", partition).len());
        assert_eq!((stored, stage.letters().len()), ([4, 4], 0), "{first}, {beside}");
    }
}

#[tokio::test]
async fn a_broker_that_reads_nothing_is_given_up() {
    let fake = Fake::start(&[("a", 1)]).await;
    let settings = "topic = \"a\"\ntimeout = \"1s\"\nbatch_size = \"64MB\"";
    let mut stage = start(&fake, settings);
    fake.with(|state| state.read_max = Some(1_000_000));
    // More than the system takes for a connection.
    let sequence = stage.frame(&[("a", format!("{{\"m\":\"{}\"}}", "x".repeat(32 << 20)))]);
    let said = stage.until_paused().await;
    let wanted = format!("broker 0, {}: it took nothing for 1 seconds", fake.address());
    assert!(said.starts_with(&wanted), "{said}");
    fake.with(|state| state.read_max = None);
    stage.until_done(sequence).await;
    assert_eq!(fake.stored("a", 0).len(), 1);
}

#[tokio::test]
async fn what_is_too_large_is_a_dead_letter_and_the_rest_is_stored() {
    let fake = Fake::start(&[("a", 1)]).await;
    fake.with(|state| state.bytes_max = Some(400));
    let mut stage = start(&fake, "topic = \"a\"");
    let large = ("a", format!("{{\"n\":\"{}\"}}", "x".repeat(500)));
    let mut documents: Vec<_> = (0..5).map(|n| document("a", n)).collect();
    documents.insert(3, large);
    let sequence = stage.frame(&documents);
    stage.until_done(sequence).await;
    let wanted: Vec<String> = (0..5).map(|n| format!("{{\"n\":{n}}}")).collect();
    assert_eq!(values(&fake.stored("a", 0)), wanted);
    let [letter] = &stage.letters()[..] else { panic!("{:?}", stage.letters()) };
    assert_eq!(letter.address, "a");
    let reason = "topic `a`, partition 0: MESSAGE_TOO_LARGE (raise the topic's `max.message.bytes`, \
                  or cut with the filter `truncate`)";
    assert_eq!(letter.reason, reason);
    assert_eq!((counted(&stage, "delivered"), stage.state()), (5, State::Fine));
}

#[tokio::test]
async fn a_name_that_no_topic_has_is_a_dead_letter() {
    let fake = Fake::start(&[("a", 1)]).await;
    let mut stage = start(&fake, "topic = \"{service}\"");
    let sequence = stage.frame(&[document("a", 0), document("no topic", 1), document("..", 2)]);
    stage.until_done(sequence).await;
    assert_eq!(values(&fake.stored("a", 0)), ["{\"n\":0}"]);
    let reasons: Vec<String> = stage.letters().into_iter().map(|l| l.reason).collect();
    assert!(reasons[0].starts_with("`no topic` is no topic: INVALID_TOPIC"), "{reasons:?}");
    assert_eq!(reasons.len(), 2);
}

#[tokio::test]
async fn a_name_that_the_cluster_calls_none_of_a_topic_holds_up_no_other() {
    let fake = Fake::start(&[("a.b", 1)]).await;
    fake.with(|state| state.never = vec!["a_b"]);
    let mut stage = start(&fake, "topic = \"{service}\"");
    let sequence = stage.frame(&[document("a_b", 0), document("a.b", 1)]);
    stage.until_done(sequence).await;
    assert_eq!(values(&fake.stored("a.b", 0)), ["{\"n\":1}"]);
    let [letter] = &stage.letters()[..] else { panic!("{:?}", stage.letters()) };
    assert!(letter.reason.starts_with("`a_b` is no topic: INVALID_TOPIC"), "{}", letter.reason);
    // It may also come to that while a batch is under way.
    let fake = Fake::start(&[("a", 1), ("b", 1)]).await;
    fake.with(|state| state.plan.push_back(Plan::Code(7)));
    let mut stage = start(&fake, "topic = \"{service}\"");
    let sequence = stage.frame(&[document("a", 0), document("b", 1)]);
    stage.until_paused().await;
    fake.with(|state| (state.topics.remove("a"), state.never.push("a")));
    stage.until_done(sequence).await;
    assert_eq!((stage.letters().len(), fake.stored("b", 0).len()), (1, 1));
}

#[tokio::test]
async fn a_topic_that_is_made_anew_with_fewer_partitions_holds_nothing_up() {
    let fake = Fake::start(&[("a", 2)]).await;
    // The second partition's broker is asked last.
    fake.with(|state| state.plan.extend([Plan::Code(7), Plan::Code(7)]));
    let mut stage = start(&fake, "topic = \"a\"");
    let sequence = stage.frame(&[0, 1, 2, 3].map(|n| document([FIRST, SECOND][n % 2], n)));
    stage.until_paused().await;
    fake.add("a", 1);
    stage.until_done(sequence).await;
    let stored = fake.stored("a", 0);
    assert_eq!(values(&stored), [0, 2, 1, 3].map(|n| format!("{{\"n\":{n}}}")));
    // It grows again: the numbers of the partition that was there before are gone.
    fake.add("a", 2);
    fake.with(|state| state.plan.push_back(Plan::Code(7)));
    let sequence = stage.frame(&[document(FIRST, 4)]);
    stage.until_done(sequence).await;
    let sequence = stage.frame(&[document(SECOND, 5)]);
    stage.until_done(sequence).await;
    assert_eq!((fake.stored("a", 0).len(), fake.stored("a", 1).len()), (5, 1));
    assert_eq!(stage.letters(), []);
}

#[tokio::test]
async fn a_topic_that_is_missing_is_waited_for() {
    let fake = Fake::start(&[]).await;
    let mut stage = start(&fake, "topic = \"later\"\ncreate = false");
    let sequence = stage.frame(&[document("later", 0)]);
    let said = stage.until_paused().await;
    let wanted = "topic `later`: UNKNOWN_TOPIC_OR_PARTITION (create the topic, or let the brokers \
                  do it (`auto.create.topics.enable`)); everything is kept in the journal";
    assert!(said.ends_with(wanted), "{said}");
    fake.add("later", 1);
    stage.until_done(sequence).await;
    assert_eq!(fake.stored("later", 0).len(), 1);
}

#[tokio::test]
async fn users_are_let_in_by_each_mechanism_and_nobody_else() {
    for (name, mechanism) in Mechanism::NAMES {
        let fake = Fake::start(&[("a", 1)]).await;
        fake.with(|state| state.user = Some((*mechanism, "shipper", "secret")));
        let sasl = |password: &str| {
            format!(
                "topic = \"a\"\nsasl = {{ mechanism = \"{name}\", user = \"shipper\", password = \"{password}\" }}"
            )
        };
        let mut stage = start(&fake, &sasl("wrong"));
        stage.frame(&[document("a", 0)]);
        let said = stage.until_paused().await;
        assert!(
            said.contains("SASL_AUTHENTICATION_FAILED (check `user` and `password`)"),
            "{said}"
        );
        assert!(said.contains("wrong password"), "the broker's words: {said}");
        let mut stage = start(&fake, &sasl("secret"));
        let sequence = stage.frame(&[document("a", 0)]);
        stage.until_done(sequence).await;
        assert_eq!(fake.stored("a", 0).len(), 1);
        // Without a login the broker just ends the connection.
        let mut stage = start(&fake, "topic = \"a\"");
        stage.frame(&[document("a", 0)]);
        let said = stage.until_paused().await;
        assert!(said.contains("does it want TLS, or a login?"), "{said}");
    }
}

#[tokio::test]
async fn a_connection_that_rested_for_long_is_opened_anew() {
    let fake = Fake::start(&[("a", 1)]).await;
    let Some(server) = Server::parse(&fake.address().to_string(), None) else { panic!() };
    let way = Way { tls: None, login: None, timeout: Duration::from_secs(5) };
    let mut cluster = Cluster::new(vec![server], true, way);
    let minute = 60 * 1_000_000_000;
    cluster.learn(&["a".to_string()], 0).await.unwrap();
    // Two times used, then after five minutes.
    let mut opened = Vec::new();
    for at in [0, minute, 6 * minute] {
        let connection = cluster.broker(0, at).await.unwrap();
        let nothing = |out: &mut Vec<u8>| write_metadata(&[], false, out);
        connection.ask(METADATA, Duration::from_secs(5), nothing).await.unwrap();
        opened.push(fake.with(|state| state.connections));
    }
    assert_eq!(opened, [2, 2, 3], "the first was to learn");
}

#[tokio::test]
async fn one_that_is_no_broker_is_said_to_be_none() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let settings = format!("servers = [\"{address}\"]\ntopic = \"a\"");
    let (mut stage, _task) = stage::start("kafka", &settings);
    stage.frame(&[document("a", 0)]);
    let (mut stream, _) = listener.accept().await.unwrap();
    stream.write_all(b"HTTP/1.0 400 Bad Request\r\n\r\n").await.unwrap();
    let said = stage.until_paused().await;
    assert!(said.contains("none of Kafka's (does this port want TLS?)"), "{said}");
}

#[test]
fn mistakes_in_settings_are_told() {
    for (text, wanted) in [
        ("topic = \"a\"", "`servers` is missing"),
        ("servers = [\"a:x\"]\ntopic = \"a\"", "`a:x` is no host with a port"),
        ("servers = [\"a\"]", "`topic` is missing"),
        ("servers = [\"a\"]\ntopic = \"a b\"", "`a b` is no topic"),
        ("servers = [\"a\"]\ntopic = \"a\"\nkey = \"{\"", "is never closed"),
        ("servers = [\"a\"]\ntopic = \"a\"\nsasl = { user = \"u\" }", "`password` is missing"),
        (
            "servers = [\"a\"]\ntopic = \"a\"\nacks = \"leader\"\nidempotent = true",
            "what the leader alone has cannot be stored once for certain",
        ),
    ] {
        let (output, said) = stage::load("kafka", text);
        assert!(output.is_none() && said.iter().any(|s| s.contains(wanted)), "{text}: {said:?}");
    }
    let (output, said) =
        stage::load("kafka", "servers = [\"a\"]\ntopic = \"a\"\nacks = \"leader\"");
    assert!(output.is_some() && said.is_empty(), "{said:?}");
}

#[test]
fn numbers_are_as_long_as_they_are_said_to_be() {
    for number in [0, -1, 1, 63, 64, -64, -65, 8191, 8192, i64::MAX, i64::MIN] {
        let mut out = Vec::new();
        write_varint(number, &mut out);
        assert_eq!(out.len(), varint_length(number), "{number}");
    }
}

#[test]
fn a_batch_that_is_signed_again_is_the_same() {
    let entry = Entry { time_ms: 5, key: b"", value: b"{}", id: b"i" };
    let mut records = Records::pack(&[entry], false);
    let (one, other) = (producer(1), producer(2));
    records.sign(one, 3);
    let first = records.bytes().to_vec();
    records.sign(other, 0);
    assert_ne!(records.bytes(), first);
    records.sign(one, 3);
    assert_eq!(records.bytes(), first);
}

fn producer(id: i64) -> super::records::Producer {
    super::records::Producer { id, epoch: 0 }
}

#[tokio::test]
async fn a_letter_that_is_put_back_has_its_key() {
    let fake = Fake::start(&[("a", 1)]).await;
    fake.with(|state| state.plan.push_back(Plan::Code(10)));
    let mut stage = start(&fake, "topic = \"a\"");
    let sequence = stage.frame(&[document("a\u{1f}foobar", 0)]);
    stage.until_done(sequence).await;
    let letter = stage.letters().remove(0);
    assert_eq!(letter.place(), "a / foobar");
    // As `dlq replay` does.
    let sequence = stage.frame(&[(&letter.address, "{}".to_string())]);
    stage.until_done(sequence).await;
    assert_eq!(fake.stored("a", 0)[0].key.as_deref(), Some("foobar"));
}
