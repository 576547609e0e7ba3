//! The names that people use most, and what runs them.

use super::{Ecs, Grok, Options, Outcome, Scratch, names};

fn grok(pattern: &str, ecs: Ecs) -> Grok {
    Grok::compile(&[pattern.to_owned()], &[], ecs, Options::default()).expect(pattern)
}

/// A line for each of the most used names, and how often its search goes back. Where it does the reason is told.
const MOST_USED: [(&str, &str, u64); 35] = [
    (
        "COMBINEDAPACHELOG",
        "203.0.113.9 - - [22/Nov/2026:17:30:29 +0000] \"GET /a?b=2 HTTP/1.1\" 200 5316 \
         \"https://example.com/start\" \"Mozilla/5.0 (X11; Linux x86_64)\"",
        0,
    ),
    // A user may be an e-mail address: `frank` is the begin of one until the blank.
    (
        "COMMONAPACHELOG",
        "127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] \"GET /a.gif HTTP/1.0\" 200 2326",
        1,
    ),
    (
        "HTTPD_COMBINEDLOG",
        "203.0.113.9 - - [22/Nov/2026:17:30:29 +0000] \"GET / HTTP/1.1\" 200 5316 \"-\" \"curl/8.0\"",
        0,
    ),
    (
        "HTTPD_COMMONLOG",
        "127.0.0.1 - - [10/Oct/2000:13:55:36 -0700] \"GET /a.gif HTTP/1.0\" 200 -",
        0,
    ),
    // The older form of such a line begins in the same way, and a client's place is optional.
    (
        "HTTPD_ERRORLOG",
        "[Fri Feb 01 22:03:08.319124 2019] [authz_core:error] [pid 9:tid 140597881775872] \
         [client 10.0.0.1:55756] AH01630: client denied",
        2,
    ),
    ("SYSLOGLINE", "Oct 11 22:14:15 mymachine su[3312]: 'su root' failed on /dev/pts/8", 1),
    ("SYSLOGBASE", "Oct 11 22:14:15 mymachine su[3312]:", 1),
    ("SYSLOGTIMESTAMP", "Oct 11 22:14:15", 0),
    ("TIMESTAMP_ISO8601", "2026-11-22T17:30:29.123Z", 0),
    ("HTTPDATE", "22/Nov/2026:17:30:29 +0000", 0),
    ("NUMBER", "-12.5", 0),
    ("INT", "-5", 0),
    ("WORD", "abc", 0),
    ("NOTSPACE", "a-b", 0),
    ("DATA", "", 0),
    ("GREEDYDATA", "a b c", 0),
    ("IP", "10.20.30.40", 0),
    // The many forms of an address of version 6 begin alike.
    ("IP", "2001:db8::17", 5),
    ("IPORHOST", "backend-7.example.com", 0),
    ("HOSTNAME", "backend-7.example.com", 0),
    ("HOSTPORT", "example.com:80", 0),
    ("URI", "https://user:pw@example.com:8443/a/b?c=d", 0),
    ("URIPATHPARAM", "/a/b?c=d", 0),
    ("PATH", "/var/log/app.log", 0),
    ("QUOTEDSTRING", "\"a \\\"b\\\" c\"", 0),
    ("UUID", "550e8400-e29b-41d4-a716-446655440000", 0),
    ("LOGLEVEL", "ERROR", 0),
    ("USER", "frank", 0),
    ("EMAILADDRESS", "a.b@example.com", 0),
    ("MAC", "aa:bb:cc:dd:ee:ff", 0),
    // A class ends where no further dot follows; the method is what follows the last one.
    ("JAVACLASS", "com.example.app.Main", 1),
    ("JAVASTACKTRACEPART", "\tat com.example.app.Main.run(Main.java:123)", 2),
    ("JAVAFILE", "Main.java", 0),
    ("JAVAMETHOD", "run", 0),
    ("JAVALOGMESSAGE", "x y", 0),
];

#[test]
fn the_most_used_names_run_without_going_back() {
    for (name, line, most) in MOST_USED {
        for ecs in [Ecs::Disabled, Ecs::V1] {
            let mut scratch = Scratch::default();
            let found = grok(&format!("^%{{{name}}}$"), ecs).find(&mut scratch, line.as_bytes());
            assert!(matches!(found, Outcome::Match(_)), "{name} {ecs:?}");
            assert!(scratch.times_back() <= most, "{name} {ecs:?}: {}", scratch.times_back());
        }
    }
}

/// All of the families that people use most: none of them asks for more than the scanner and its choices.
#[test]
fn no_name_needs_the_text_of_a_capture() {
    let families = [
        "COMBINEDAPACHELOG",
        "HTTPD_",
        "SYSLOG",
        "TIMESTAMP_ISO8601",
        "NUMBER",
        "IP",
        "HOSTNAME",
        "URI",
        "PATH",
        "QUOTEDSTRING",
        "UUID",
        "LOGLEVEL",
        "JAVA",
        "HAPROXY",
        "ELB",
        "S3_",
        "NAGIOS",
        "CISCO",
    ];
    for ecs in [Ecs::Disabled, Ecs::V1] {
        for family in families {
            let all: Vec<&str> =
                names(ecs).into_iter().filter(|name| name.starts_with(family)).collect();
            assert!(!all.is_empty(), "{family}");
            for name in all {
                let told = grok(&format!("%{{{name}}}"), ecs).explain();
                assert!(!told.contains("asks for the text of a capture"), "{name}:\n{told}");
            }
        }
    }
}

#[test]
fn an_explanation_names_the_engines_and_says_why_a_part_may_go_back() {
    let told = grok("^%{DATA:a};%{IP:b}", Ecs::V1).explain();
    for part in [
        "run by: the scanner",
        "the backtracking engine",
        "as few of any as will do",
        "looks further",
    ] {
        assert!(told.contains(part), "{part}:\n{told}");
    }
    let told = grok("^a%{INT:b} %{GREEDYDATA:rest}", Ecs::V1).explain();
    assert!(told.contains("no part goes back"), "{told}");
}
