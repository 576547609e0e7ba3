//! The three forms of a report.
#![expect(clippy::float_cmp, reason = "the figures are exact")]

use super::*;

const LINES: &str = concat!(
    r#"{"timestamp":"2026-11-22T10:00:00Z","level":"INFO","message":"HTTP Request","event_type":"http_request","method":"GET","path":"/a/1?x","status_code":200,"duration_ms":10,"client_ip":"1.1.1.1"}"#,
    "\n",
    r#"{"timestamp":"2026-11-22T12:00:00Z","level":"INFO","message":"HTTP Request","event_type":"http_request","method":"GET","path":"/b","status_code":503,"duration_ms":30,"client_ip":"1.1.1.1"}"#,
    "\n",
    r#"{"timestamp":"2026-11-22T12:00:01Z","level":"INFO","message":"Tool call","event_type":"tool_call","tool_name":"<t>","success":false,"duration_ms":5}"#,
    "\n",
    r#"{"timestamp":"2026-11-22T12:00:02Z","level":"ERROR","message":"<script>order 17 of \u001b[31mbob failed password=hunter2"}"#,
    "\nhello\n",
);

fn report() -> Report {
    let mut gather = Gather::default();
    gather.add_lines(LINES.as_bytes());
    gather.finish()
}

#[test]
fn the_sheet() {
    let sheet = sheet::render(&report(), "app.log", 10);
    let wanted = "app.log: 5 lines, 660 B, 1 in no known form
2026-11-22T10:00:00.000Z to 2026-11-22T12:00:02.000Z

Levels
  INFO   3  60.0 %  ████████████████████████
  ERROR  1  20.0 %  ████████

Errors by kind (# stands for what varies)
  count              last                 kind
      1  ██████████  2026-11-22T12:00:02  <script>order # of \u{fffd}[# failed password=***
";
    assert!(sheet.starts_with(wanted), "{sheet}");
    for line in [
        "  requests  2, 50.00 % failed (status 5xx)\n",
        "  mean        20.0 ms  ████████████████\n",
        "  /b           1  30.0 ms  30.0 ms  30.0 ms  30.0 ms  30.0 ms\n",
        "  <t>       1  100.0 %  5.0 ms  5.0 ms\n",
        "  11-22 10  1  ████████████████████████\n",
        "  11-22 12  1  ████████████████████████  1 error\n",
    ] {
        assert!(sheet.contains(line), "{line:?} in\n{sheet}");
    }
    assert!(!sheet.contains("hunter2") && !sheet.contains('\x1b'), "{sheet}");
}

#[test]
fn the_object() {
    let object: serde_json::Value =
        serde_json::from_str(&object::render(&report(), "app.log", 10)).unwrap();
    let at = |path: &str| object.pointer(path).cloned().unwrap_or_default();
    let figures: [(&str, serde_json::Value); 14] = [
        ("/lines", 5.into()),
        ("/unread", 1.into()),
        ("/errors/total", 1.into()),
        ("/errors/by_type/Other", 1.into()),
        ("/response_times/duration_ms/mean", 20.0.into()),
        ("/response_times/duration_ms/p95", 30.0.into()),
        ("/response_times/slowest/0", "/b".into()),
        ("/endpoints/top/0/name", "/a/*".into()),
        ("/traffic/by_status/503", 1.into()),
        ("/traffic/by_method/GET", 2.into()),
        ("/traffic/requests_by_hour_of_day/12", 1.into()),
        ("/tools/top/0/failure_rate", 1.0.into()),
        ("/clients/top/0/refused", 1.into()),
        ("/from", "2026-11-22T10:00:00.000Z".into()),
    ];
    for (path, wanted) in figures {
        assert_eq!(at(path), wanted, "{path} of {object}");
    }
    assert!(!object.to_string().contains("hunter2"));
}

#[test]
fn the_page_needs_nothing_else_and_runs_nothing() {
    let page = page::render(&report(), "a<b.log", 10);
    assert!(page.contains("a&lt;b.log") && page.contains("&lt;script&gt;order # of"), "{page}");
    for word in ["<script", "http://", "https://", "src=", "url(", "@import", "hunter2", "\x1b"] {
        assert!(!page.contains(word), "{word}");
    }
    assert!(page.contains("prefers-color-scheme:dark"));
    let empty = page::render(&Gather::default().finish(), "x", 10);
    assert!(empty.contains("0</b><span>lines") && !empty.contains("<table"), "{empty}");
}

#[test]
fn numbers_as_people_read_them() {
    assert_eq!([number(7), number(1234), number(1_234_567)], ["7", "1,234", "1,234,567"]);
    assert_eq!([ms(1.25), ms(250.4), ms(12_340.0)], ["1.2 ms", "250 ms", "12.3 s"]);
    assert_eq!([percent(1, 4), percent(1, 0)], [25.0, 0.0]);
}
