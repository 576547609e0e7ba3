use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::*;
use crate::decode::{Decoder, Place};
use crate::event::{Keys, Source, SourceKind};

/// 2026-11-22T12:00:00Z.
const NOW_NS: i64 = 1_795_348_800_000_000_000;

fn events(text: &str, timezone: Option<&str>) -> Vec<Json> {
    let options = DateOptions { timezone: timezone.map(str::to_string), locale: None };
    let forms = FORMS.iter().chain(&["ISO8601"]);
    let dates = forms.map(|form| DateFormat::compile(form, &options).unwrap()).collect();
    let mut decoder = PerLine::new(Syslog { dates, line: Vec::new(), text: Vec::new() });
    let source = Source { id: 1, input: "s".into(), kind: SourceKind::Stream, fields: Vec::new() };
    let mut batch = Batch::new(Arc::new(Keys::default()), Arc::new(source));
    batch.text.extend_from_slice(text.as_bytes());
    let place = Place { offset: 0, received_ns: NOW_NS, piece: false, last: true };
    decoder.decode(place, &mut batch);
    let document = |event: usize| {
        let mut out = Vec::new();
        batch.write_event(event, &mut out);
        serde_json::from_slice(&out).unwrap()
    };
    (0..batch.events.len()).map(document).collect()
}

fn event(line: &str) -> Json {
    events(&format!("{line}\n"), None).remove(0)
}

#[test]
fn a_message_of_rfc_5424_has_all_its_parts() {
    let line = "<165>1 2003-10-11T22:14:15.003Z mymachine.example.com evntslog - ID47 \
                [exampleSDID@32473 iut=\"3\" eventSource=\"Appl\\\"ication\"][x@1] \u{feff}An event";
    assert_eq!(
        event(line),
        json!({
            "@timestamp": "2003-10-11T22:14:15.003Z",
            "message": "An event",
            "host": { "name": "mymachine.example.com" },
            "log": { "syslog": {
                "priority": 165,
                "facility": { "code": 20, "name": "local4" },
                "severity": { "code": 5, "name": "notice" },
                "hostname": "mymachine.example.com",
                "appname": "evntslog",
                "msgid": "ID47",
                "structured_data": {
                    "exampleSDID@32473": { "iut": "3", "eventSource": "Appl\"ication" },
                    "x@1": {},
                },
            } },
        })
    );
    let short = event("<34>1 - - - - - -");
    assert_eq!(short["message"], "");
    assert_eq!(short["log"]["syslog"].as_object().unwrap().len(), 3);
}

#[test]
fn a_message_of_rfc_3164_has_its_host_program_and_process() {
    let full = event("<34>Oct 11 22:14:15 mymachine su[77]: 'su root' failed for lonvick");
    assert_eq!(full["@timestamp"], "2026-10-11T22:14:15.000Z");
    assert_eq!(full["message"], "'su root' failed for lonvick");
    assert_eq!(full["host"], json!({ "name": "mymachine" }));
    let syslog = &full["log"]["syslog"];
    assert_eq!((&syslog["appname"], &syslog["procid"]), (&json!("su"), &json!("77")));
    // A program beside the daemon sends no host, a device sends no program.
    let local = event("<13>Nov  2 01:02:03 root: hello");
    assert_eq!(local["@timestamp"], "2026-11-02T01:02:03.000Z");
    assert_eq!(
        (&local["message"], &local["log"]["syslog"]["appname"]),
        (&json!("hello"), &json!("root"))
    );
    assert_eq!(local.get("host"), None);
    let device = event("<13>Nov 22 01:02:03 switch link is up");
    assert_eq!(
        (&device["message"], &device["host"]["name"]),
        (&json!("link is up"), &json!("switch"))
    );
    let iso = event("<13>2026-11-22T01:02:03.5+01:00 h app: text");
    assert_eq!(iso["@timestamp"], "2026-11-22T00:02:03.500Z");
    let bare = event("<13>only text");
    assert_eq!(
        (&bare["message"], &bare["@timestamp"]),
        (&json!("only text"), &json!("2026-11-22T12:00:00.000Z"))
    );
}

#[test]
fn a_line_of_a_file_needs_no_priority_and_a_year_is_found() {
    let line = event("Nov 21 23:59:59 web cron[1]: (root) CMD");
    assert_eq!(line["@timestamp"], "2026-11-21T23:59:59.000Z");
    assert_eq!(
        line["log"]["syslog"],
        json!({ "hostname": "web", "appname": "cron", "procid": "1" })
    );
    let year = event("<13>Nov 22 2026 01:02:03: %ASA-6-302013: Built");
    assert_eq!(year["@timestamp"], "2026-11-22T01:02:03.000Z");
    let berlin = events("Nov 22 01:02:03 web a: b\n", Some("Europe/Berlin")).remove(0);
    assert_eq!(berlin["@timestamp"], "2026-11-22T00:02:03.000Z");
}

#[test]
fn what_is_no_syslog_is_kept_and_tagged() {
    for line in ["hello", "<999>x", "<>x", "", "Nov", "Nov 22", "<13"] {
        let event = event(line);
        assert_eq!(event["message"], line);
        assert_eq!(event["tags"], json!(["_syslogparsefailure"]), "{line}");
    }
    let wrong = event("<13>Nov 99 01:02:03 h a: b");
    assert_eq!(wrong["tags"], json!(["_timestampparsefailure"]));
    // Structured data that does not end is text.
    let open = event("<13>1 - - - - - [x y=\"z");
    assert_eq!(open["message"], "1 - - - - - [x y=\"z");
}
