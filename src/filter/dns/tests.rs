//! What the filter promises, against a name server of our own.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::trial::{Trial, problems, written};

/// Answers by name until it is dropped; how many questions there were.
struct Server {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
}

/// The name of a question, and the bytes after it.
fn asked_for(query: &[u8]) -> (String, usize) {
    let (mut name, mut at) = (String::new(), 12);
    while query[at] != 0 {
        let length = usize::from(query[at]);
        name.push_str(std::str::from_utf8(&query[at + 1..=at + length]).unwrap());
        name.push('.');
        at += length + 1;
    }
    (name, at + 1)
}

impl Server {
    /// A server that knows `web.example.` (192.0.2.7), its address's name, and `six.example.` (2001:db8::6); it says
    /// nothing about `late.example.` and what is below
    fn start() -> Server {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let (address, asked) = (socket.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
        let count = Arc::clone(&asked);
        std::thread::spawn(move || {
            let mut query = [0; 1500];
            // The test's process ends this thread.
            while let Ok((length, peer)) = socket.recv_from(&mut query) {
                count.fetch_add(1, Ordering::Relaxed);
                if let Some(answer) = answer(&query[..length]) {
                    let _ = socket.send_to(&answer, peer);
                }
            }
        });
        Server { address, asked }
    }

    /// A filter that waits long enough for whatever this server answers.
    fn trial(&self, settings: &str) -> Trial {
        self.trial_with("20s", settings)
    }

    fn trial_with(&self, timeout: &str, settings: &str) -> Trial {
        let address = self.address;
        Trial::new(&format!(
            "[[filters]]\ntype = \"dns\"\nnameserver = \"{address}\"\ntimeout = \"{timeout}\"\nmax_retries = 0\nfailed_cache_ttl = \"1h\"\n\
             {settings}\n"
        ))
    }

    /// How many questions there were, once there are as many as `least`: the server's thread may be behind.
    fn asked_at_least(&self, least: usize) -> usize {
        while self.asked() < least {
            std::thread::yield_now();
        }
        self.asked()
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

fn answer(query: &[u8]) -> Option<Vec<u8>> {
    let (name, at) = asked_for(query);
    let kind = query[at + 1];
    let record: Option<Vec<u8>> = match (name.as_str(), kind) {
        (late, _) if late.ends_with("late.example.") => return None,
        ("web.example." | "short.search.example.", 1) => Some(vec![192, 0, 2, 7]),
        ("six.example.", 28) => {
            Some("2001:db8::6".parse::<std::net::Ipv6Addr>().unwrap().octets().into())
        }
        ("7.2.0.192.in-addr.arpa.", 12) => Some(b"\x03web\x07example\x00".to_vec()),
        _ => None,
    };
    let known = record.is_some() || name == "six.example.";
    let mut answer = query[..at + 4].to_vec();
    (answer[2], answer[3]) = (0x81, if known { 0 } else { 3 });
    (answer[7], answer[11]) = (u8::from(record.is_some()), 0);
    if let Some(record) = record {
        answer.extend_from_slice(&[0xc0, 12, 0, kind, 0, 1, 0, 0, 1, 0, 0, record.len() as u8]);
        answer.extend_from_slice(&record);
    }
    Some(answer)
}

fn all(trial: &mut Trial, jsons: &[&str]) -> Vec<String> {
    let mut batch = trial.batch(jsons);
    trial.chain.apply(&mut batch);
    (0..batch.events.len()).map(|event| written(&batch, event)).collect()
}

#[test]
fn names_and_addresses_are_found() {
    let server = Server::start();
    let mut trial = server
        .trial("resolve = [\"h\"]\nreverse = [\"a\"]\naction = \"replace\"\nremove_field = \"x\"");
    let found = all(
        &mut trial,
        &[
            r#"{"h":"web.example","x":1}"#,
            r#"{"h":["six.example"],"a":"x","x":1}"#,
            r#"{"a":"192.0.2.7"}"#,
        ],
    );
    // What a filter adds or removes needs all of an event's fields to be found.
    assert_eq!(
        found,
        [r#"{"h":"192.0.2.7"}"#, r#"{"h":"2001:db8::6","a":"x","x":1}"#, r#"{"a":"web.example"}"#]
    );
    let mut trial = server.trial("reverse = \"a\"\nadd_tag = \"t\"");
    let found = all(
        &mut trial,
        &[r#"{"a":"192.0.2.7"}"#, r#"{"a":"192.0.2.8"}"#, r#"{"a":"x"}"#, r#"{"b":1}"#],
    );
    assert_eq!(
        found,
        [
            r#"{"a":["192.0.2.7","web.example"],"tags":["t"]}"#,
            r#"{"a":"192.0.2.8"}"#,
            r#"{"a":"x"}"#,
            r#"{"b":1}"#
        ]
    );
}

#[test]
fn a_name_is_asked_for_once_however_often_it_stands_there() {
    let server = Server::start();
    let mut trial = server.trial("resolve = \"h\"\naction = \"replace\"");
    let found = all(&mut trial, &[r#"{"h":"web.example"}"#; 100]);
    assert!(found.iter().all(|event| event == r#"{"h":"192.0.2.7"}"#));
    all(&mut trial, &[r#"{"h":"web.example"}"#]);
    assert_eq!(server.asked(), 1);
    all(&mut trial, &[r#"{"h":"no.example"}"#]);
    let asked = server.asked();
    all(&mut trial, &[r#"{"h":"no.example"}"#]);
    assert_eq!(server.asked(), asked, "what is absent is kept, too");
}

#[test]
fn what_is_not_answered_in_time_is_tagged_and_not_waited_for_again() {
    let server = Server::start();
    let mut trial = server.trial_with("200ms", "resolve = \"h\"\nadd_field = { x = 1 }");
    let late = r#"{"h":"late.example","tags":["_dnstimeout"]}"#;
    assert_eq!(all(&mut trial, &[r#"{"h":"late.example"}"#]), [late]);
    assert_eq!(all(&mut trial, &[r#"{"h":"late.example"}"#]), [late]);
    assert_eq!(server.asked_at_least(1), 1);
    assert_eq!(trial.counted("logweir_filter_failures_total{filter=\"dns\"}"), 2);
}

#[test]
fn while_no_server_answers_nothing_is_asked() {
    let server = Server::start();
    let mut trial = server.trial_with("200ms", "resolve = \"h\"");
    let events: Vec<String> = (0..8).map(|n| format!("{{\"h\":\"{n}.late.example\"}}")).collect();
    let jsons: Vec<&str> = events.iter().map(String::as_str).collect();
    assert!(all(&mut trial, &jsons).iter().all(|event| event.contains("_dnstimeout")));
    assert_eq!(server.asked_at_least(8), 8);
    assert_eq!(
        all(&mut trial, &[r#"{"h":"web.example"}"#]),
        [r#"{"h":"web.example","tags":["_dnstimeout"]}"#]
    );
    assert_eq!(server.asked(), 8);
}

#[test]
fn short_names_are_looked_for_in_the_domains_of_the_search_list() {
    let server = Server::start();
    let text = format!(
        "[[filters]]\ntype = \"dns\"\nresolve = \"h\"\naction = \"replace\"\n\
         timeout = 20\nnameserver = {{ address = \"{}\", search = [\"no.example\", \"search.example\"] }}\n",
        server.address
    );
    assert_eq!(all(&mut Trial::new(&text), &[r#"{"h":"short"}"#]), [r#"{"h":"192.0.2.7"}"#]);
}

#[test]
fn more_names_than_may_be_under_way_are_all_found() {
    let server = Server::start();
    let mut trial = server.trial("reverse = \"a\"");
    let events: Vec<String> =
        (0..1000).map(|n| format!("{{\"a\":\"10.0.{}.{}\"}}", n / 250, n % 250)).collect();
    let jsons: Vec<&str> = events.iter().map(String::as_str).collect();
    assert_eq!(all(&mut trial, &jsons), events);
    assert_eq!(server.asked(), 1000);
}

#[test]
fn mistakes_are_shown() {
    let told = |settings: &str| problems(&format!("[[filters]]\ntype = \"dns\"\n{settings}"));
    assert!(told("").contains("`reverse` is missing"));
    assert!(
        told("reverse = \"a\"\nnameserver = \"dns.example\"")
            .contains("no address of a name server")
    );
    assert!(
        told("reverse = \"a\"\nhostsfile = \"none\"").contains("cannot read the file of hosts")
    );
}
