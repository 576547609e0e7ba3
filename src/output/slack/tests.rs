//! The Slack output against a scripted Slack, in a time that the test moves.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::route::Route;
use super::*;
use crate::clock::{ManualClock, SharedClock};
use crate::diagnostic::Diagnostics;
use crate::output::stage::Stage;
use crate::settings::{Document, ProcessEnvironment, Secret};
use crate::storage;

mod routes;

const ADDRESS: &str = "https://hooks.slack.example/services/T0/B0/verysecret";

/// A Slack that gives these answers, then accepts everything.
struct Script {
    answers: Mutex<VecDeque<Answer>>,
    posts: mpsc::UnboundedSender<Request>,
}

/// What it was sent, and when.
struct Request {
    at: Instant,
    body: serde_json::Value,
}

struct Slack {
    stage: Stage,
    posts: mpsc::UnboundedReceiver<Request>,
    clock: Arc<ManualClock>,
}

impl Post for Script {
    fn post(&self, body: String) -> BoxFuture<'_, Answer> {
        let request = Request { at: Instant::now(), body: serde_json::from_str(&body).unwrap() };
        self.posts.send(request).ok().unwrap();
        let answer = self.answers.lock().unwrap().pop_front().unwrap_or(Answer::Accepted);
        Box::pin(async move { answer })
    }
}

impl Slack {
    fn start(answers: Vec<Answer>) -> Slack {
        Slack::with(answers, "*{level:-EVENT}* {message:-(no message)}")
    }

    fn with(answers: Vec<Answer>, template: &str) -> Slack {
        let webhooks = vec![Secret::new(ADDRESS)];
        Slack::routed(answers, template, Routes { routes: vec![Route::plain("#alerts")], webhooks })
    }

    fn routed(answers: Vec<Answer>, template: &str, routes: Routes) -> Slack {
        let (sender, posts) = mpsc::unbounded_channel();
        let script = Script { answers: Mutex::new(answers.into()), posts: sender };
        let (stage, mut context) = Stage::new(storage::disk());
        let clock = Arc::new(ManualClock::at(0));
        context.clock = Arc::clone(&clock) as SharedClock;
        let settings = Settings {
            username: None,
            icon_emoji: None,
            title: None,
            group_wait: Duration::from_secs(2),
            resolve_timeout: Duration::from_secs(300),
        };
        let mut keys = Keys::default();
        let text = Template::parse(template, &mut keys).unwrap();
        let severity = Template::parse("{level:-}", &mut keys).unwrap();
        let renderer = Renderer::new(text, severity, Arc::new(keys));
        tokio::spawn(Worker::new(context, settings, routes, vec![script], renderer).run());
        Slack { stage, posts, clock }
    }

    /// The output of these settings, behind a Slack that accepts everything.
    fn of(settings: &str) -> Slack {
        Slack::of_answers(vec![], settings)
    }

    fn of_answers(answers: Vec<Answer>, settings: &str) -> Slack {
        let (name, folder, mut problems) = ("t.toml", Path::new("/"), Diagnostics::default());
        let text = format!("webhook_url = \"{ADDRESS}\"\n{settings}");
        let environment = Arc::new(ProcessEnvironment);
        let document = Document::parse(name, text, folder, environment, &mut problems);
        let problems = RefCell::new(problems);
        let routes = Routes::load(&Section::root(&document, &problems)).unwrap();
        assert!(!problems.borrow().has_errors(), "{:?}", problems.borrow());
        Slack::routed(answers, "{level}: {message}", routes)
    }

    /// Gives a frame with one message of a severity.
    fn warn(&mut self, level: &str, message: &str) -> u64 {
        let document = serde_json::json!({ "level": level, "message": message }).to_string();
        self.stage.frame(&[("slack", document)])
    }

    /// Lets time pass, on both clocks.
    async fn pass(&self, seconds: u64) {
        self.clock.advance_ns(seconds * 1_000_000_000);
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }

    /// Gives a frame with these messages.
    fn say(&mut self, messages: &[&str]) -> u64 {
        let document = |m: &&str| ("slack", serde_json::json!({ "message": m }).to_string());
        self.stage.frame(&messages.iter().map(document).collect::<Vec<_>>())
    }

    async fn request(&mut self) -> Request {
        self.posts.recv().await.expect("the output goes on")
    }

    async fn text(&mut self) -> String {
        self.request().await.body["text"].as_str().unwrap().to_string()
    }
}

/// A kind of message for each number: digits would be masked.
fn kinds(count: usize) -> Vec<String> {
    let letter = |c: char| (b'a' + c as u8 - b'0') as char;
    (0..count).map(|n| n.to_string().chars().map(letter).collect()).collect()
}

fn as_strs(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}

#[tokio::test(start_paused = true)]
async fn equal_errors_become_one_message_with_their_number_and_first_and_last_time() {
    let mut slack = Slack::start(vec![]);
    slack.say(&["order 17 failed", "order 18 failed"]);
    let last = slack.say(&["disk full", "order 19 of 10.0.0.1 failed", "order 20 failed"]);
    let request = slack.request().await;
    let text = "*EVENT* order 17 failed\n    ×3 from 00:00:00 to 00:00:02 UTC\n*EVENT* disk full\n\
                *EVENT* order 19 of 10.0.0.1 failed";
    assert_eq!(request.body, serde_json::json!({ "channel": "#alerts", "text": text }));
    slack.stage.until_done(last).await;
    assert_eq!(slack.stage.counted("logweir_output_documents_total{result=\"delivered\"}"), 5);
    assert_eq!(slack.stage.counted("logweir_output_requests_total"), 1);
}

#[tokio::test(start_paused = true)]
async fn more_kinds_than_a_message_holds_follow_and_no_two_requests_are_within_a_second() {
    let mut slack = Slack::start(vec![]);
    let last = slack.say(&as_strs(&kinds(25)));
    let mut times = Vec::new();
    for follow in [Some("15 more kinds"), Some("5 more kinds"), None] {
        let request = slack.request().await;
        times.push(request.at);
        let text = request.body["text"].as_str().unwrap().to_string();
        match follow {
            Some(said) => assert!(text.contains(said), "{text}"),
            None => assert!(!text.contains("more kinds"), "{text}"),
        }
    }
    slack.stage.until_done(last).await;
    let again = slack.say(&["another"]);
    times.push(slack.request().await.at);
    slack.stage.until_done(again).await;
    for pair in times.windows(2) {
        assert!(pair[1] - pair[0] >= Duration::from_secs(1), "{times:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn kinds_beyond_the_memory_are_counted_and_the_count_is_said() {
    let mut slack = Slack::start(vec![]);
    let last = slack.say(&as_strs(&kinds(250)));
    let text = slack.text().await;
    assert!(text.contains("190 more kinds of message follow"), "{text}");
    assert!(text.contains("50 further messages of other kinds are not shown"), "{text}");
    slack.stage.until_done(last).await;
    assert_eq!(slack.stage.counted("logweir_output_documents_total{result=\"delivered\"}"), 250);
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_obeyed_and_what_came_meanwhile_is_folded_in() {
    let mut slack = Slack::start(vec![Answer::Wait(Duration::from_secs(37))]);
    slack.say(&["order 1 failed"]);
    let first = slack.request().await.at;
    let last = slack.say(&["order 2 failed"]);
    let second = slack.request().await;
    assert!(second.at - first >= Duration::from_secs(37), "{:?}", second.at - first);
    assert!(second.body["text"].as_str().unwrap().contains("×2"), "{}", second.body);
    slack.stage.until_done(last).await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_fails_is_tried_again_with_growing_pauses_up_to_a_bound() {
    let broken = || Answer::Later("503 Service Unavailable".to_string());
    let mut slack = Slack::start((0..12).map(|_| broken()).collect());
    let last = slack.say(&["disk full"]);
    let mut at = Vec::new();
    for _ in 0..12 {
        at.push(slack.request().await.at);
        assert_eq!(*slack.stage.done.borrow(), 0, "nothing was accepted yet");
    }
    at.push(slack.request().await.at);
    let pauses: Vec<Duration> = at.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(pauses.is_sorted(), "{pauses:?}");
    assert!(pauses[0] >= Duration::from_secs(1), "{pauses:?}");
    let most = Duration::from_millis(limits::RETRY_MAX_MS);
    assert_eq!(pauses.last().unwrap().as_secs(), most.as_secs(), "{pauses:?}");
    slack.stage.until_done(last).await;
    assert_eq!(slack.stage.state(), State::Fine);
}

#[tokio::test(start_paused = true)]
async fn what_fails_is_said_and_taken_back_when_it_works_again() {
    let later = Answer::Later("connection refused".to_string());
    let refused = Answer::Refused("404 Not Found no_service".to_string());
    let mut slack = Slack::start(vec![later, refused]);
    let last = slack.say(&["disk full"]);
    slack.request().await;
    // Time moves only when nobody has anything to do: then the answer was dealt with.
    let settle = Duration::from_millis(1);
    tokio::time::sleep(settle).await;
    let State::Degraded(why) = slack.stage.state() else { panic!("{:?}", slack.stage.state()) };
    assert!(why.contains("connection refused"), "{why}");
    slack.request().await;
    tokio::time::sleep(settle).await;
    let State::Paused(why) = slack.stage.state() else { panic!("{:?}", slack.stage.state()) };
    assert!(why.contains("404 Not Found no_service; make a new one"), "{why}");
    slack.request().await;
    slack.stage.until_done(last).await;
    assert_eq!(slack.stage.state(), State::Fine);
}

#[tokio::test(start_paused = true)]
async fn the_cursor_moves_when_slack_has_accepted_and_not_before() {
    let mut slack = Slack::start(vec![Answer::Refused("410 Gone".to_string())]);
    let nothing_for_slack = slack.stage.frame(&[("", "{}".to_string())]);
    slack.stage.until_done(nothing_for_slack).await;
    let first = slack.say(&["disk full"]);
    slack.request().await;
    let between = slack.stage.frame(&[("", "{}".to_string())]);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(*slack.stage.done.borrow(), nothing_for_slack, "frame {first} is not told yet");
    slack.request().await;
    slack.stage.until_done(between).await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_tells_what_was_collected_when_slack_may_be_asked() {
    let mut slack = Slack::start(vec![]);
    let last = slack.say(&["disk full"]);
    // Folded, and not yet due.
    tokio::time::sleep(Duration::from_millis(100)).await;
    slack.stage.stop.send_replace(true);
    assert_eq!(slack.text().await, "*EVENT* disk full");
    slack.stage.until_done(last).await;
}

#[tokio::test(start_paused = true)]
async fn text_of_events_is_escaped_and_that_of_the_template_is_not() {
    let mut slack = Slack::with(vec![], "*{level}* <!here> {message} {deep.list}");
    let document = serde_json::json!({
        "level": "<b>", "message": "<!channel> a & b > c \"q\" \\ \u{1f600}", "deep": { "list": ["<x>"] },
    });
    slack.stage.frame(&[("slack", document.to_string())]);
    let text = slack.text().await;
    let wanted =
        "*&lt;b&gt;* <!here> &lt;!channel&gt; a &amp; b &gt; c \"q\" \\ \u{1f600} [\"&lt;x&gt;\"]";
    assert_eq!(text, wanted);
}

#[tokio::test(start_paused = true)]
async fn a_long_text_is_cut_between_characters_and_signs() {
    let mut slack = Slack::with(vec![], "{message}");
    slack.say(&[&format!("{}<{}", "é".repeat(2497), "x".repeat(50_000))]);
    let text = slack.text().await;
    assert_eq!(text, format!("{}… (cut)", "é".repeat(2497)));
}

/// A server that gives one answer and hands out what it was sent.
async fn server(answer: &'static str) -> (String, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/services/T0/B0/verysecret", listener.local_addr().unwrap());
    let served = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"{\"text\":\"x\"}") {
            assert!(socket.read_buf(&mut request).await.unwrap() > 0);
        }
        socket.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8(request).unwrap()
    });
    (address, served)
}

async fn answer_to(reply: &'static str) -> (Answer, String) {
    let (address, served) = server(reply).await;
    let webhook = Webhook::new(Secret::new(address)).unwrap();
    let answer = webhook.post("{\"text\":\"x\"}".to_string()).await;
    (answer, served.await.unwrap())
}

#[tokio::test]
async fn answers_mean_what_slack_documents() {
    let (answer, request) = answer_to("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    assert!(matches!(answer, Answer::Accepted), "{answer:?}");
    assert!(request.starts_with("POST /services/T0/B0/verysecret HTTP/1.1\r\n"), "{request}");
    assert!(request.to_lowercase().contains("content-type: application/json"), "{request}");

    let limited = "HTTP/1.1 429 Too Many Requests\r\nretry-after: 7\r\ncontent-length: 0\r\n\r\n";
    let (answer, _) = answer_to(limited).await;
    assert!(matches!(answer, Answer::Wait(pause) if pause.as_secs() == 7), "{answer:?}");

    let (answer, _) = answer_to("HTTP/1.1 429 Busy\r\ncontent-length: 0\r\n\r\n").await;
    assert!(matches!(answer, Answer::Wait(pause) if pause.as_secs() == 30), "{answer:?}");

    for status in ["500 Internal Server Error", "503 Service Unavailable", "302 Found"] {
        let reply = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").leak();
        let (answer, _) = answer_to(reply).await;
        assert!(matches!(answer, Answer::Later(_)), "{status}: {answer:?}");
    }
    for status in ["400 Bad Request", "403 Forbidden", "404 Not Found", "410 Gone"] {
        let reply = format!("HTTP/1.1 {status}\r\ncontent-length: 10\r\n\r\nno_service").leak();
        let (answer, _) = answer_to(reply).await;
        let wanted = format!("{status} no_service");
        assert!(matches!(&answer, Answer::Refused(why) if *why == wanted), "{answer:?}");
    }
}

#[tokio::test]
async fn the_address_of_the_webhook_is_in_no_message() {
    let unused = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for address in [format!("http://{unused}/verysecret"), "http://[verysecret".to_string()] {
        let webhook = Webhook::new(Secret::new(address)).unwrap();
        let answer = webhook.post("{}".to_string()).await;
        assert!(!format!("{answer:?}").contains("verysecret"), "{answer:?}");
        assert!(matches!(answer, Answer::Later(_)), "{answer:?}");
    }
    // A server that repeats the address.
    let reply =
        "HTTP/1.1 404 Not Found\r\ncontent-length: 35\r\n\r\nno /services/T0/B0/verysecret there";
    let (answer, _) = answer_to(reply).await;
    assert!(!format!("{answer:?}").contains("verysecret"), "{answer:?}");
}
