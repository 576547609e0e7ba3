//! What lines say.

use super::*;

fn read(line: &str) -> Option<Entry<'_>> {
    Reader::default().read(line.as_bytes())
}

fn text(text: Text<'_>) -> &str {
    std::str::from_utf8(text.raw).unwrap()
}

#[test]
fn the_applications_formatter() {
    let line = r#"{"timestamp": "2026-11-22T10:00:01.000250Z", "level": "INFO", "logger": "x", "message": "Tool call: \"a\"", "line": 3, "event_type": "tool_call", "tool_name": "read_file", "parameters": {"path": "}", "n": [1, {"a": "]"}]}, "duration_ms": 12.5, "success": false, "error": null}"#;
    let entry = read(line).unwrap();
    assert_eq!(entry.time_ns, Some(1_795_341_601_000_250_000));
    assert!(entry.is_tool_call() && entry.has_failed() && !entry.is_request() && !entry.is_error());
    assert_eq!((text(entry.tool), entry.duration_ms), ("read_file", Some(12.5)));
    assert!(entry.message.escaped);
    let line = r#"{"level":"ERROR","message":"x","exception":{"type":"ValueError","message":"y","traceback":["a\n"]}}"#;
    let entry = read(line).unwrap();
    assert_eq!((text(entry.exception), entry.is_error()), ("ValueError", true));
}

#[test]
fn ecs_nested_and_flat_and_what_the_pipelines_write() {
    let nested = r#"{"@timestamp":"2026-11-22T10:00:01Z","http":{"request":{"method":"GET"},"response":{"status_code":404}},"url":{"path":"/a"},"client":{"ip":"10.0.0.1"},"event":{"duration":2500000,"outcome":"failure"},"log":{"level":"error"}}"#;
    let flat = r#"{"@timestamp":"2026-11-22T10:00:01Z","http.request.method":"GET","http.response.status_code":404,"url.path":"/a","client.ip":"10.0.0.1","event.duration":2500000,"event.outcome":"failure","log.level":"error"}"#;
    for line in [nested, flat] {
        let entry = read(line).unwrap();
        let words = [text(entry.method), text(entry.path), text(entry.client), text(entry.level)];
        assert_eq!(words, ["GET", "/a", "10.0.0.1", "error"], "{line}");
        assert_eq!((entry.status, entry.duration_ms), (404, Some(2.5)), "{line}");
        assert!(entry.is_request() && entry.is_error() && entry.has_failed(), "{line}");
    }
    let entry = read(r#"{"message":"[t] ERROR late","msg":"late","level":"ERROR"}"#).unwrap();
    assert_eq!(text(entry.message), "late", "the part behind time and level");
    let entry =
        read(r#"{"method":"GET","path":"/","code":200,"remote":"::1","request_time":"0.250"}"#);
    let entry = entry.unwrap();
    assert_eq!((entry.status, entry.duration_ms, text(entry.client)), (200, Some(250.0), "::1"));
    assert_eq!(read(r#"{"status":"error","tool_name":"x"}"#).unwrap().status, 0);
}

#[test]
fn access_logs() {
    let line = r#"10.0.0.1 - bob [22/Nov/2026:11:00:01 +0100] "GET /a?b=1 HTTP/1.1" 200 17 "-" "curl [x] 8.5" 0.250"#;
    let entry = read(line).unwrap();
    assert_eq!(entry.time_ns, Some(1_795_341_601_000_000_000));
    assert_eq!((text(entry.method), text(entry.path), entry.status), ("GET", "/a?b=1", 200));
    assert_eq!((text(entry.client), entry.duration_ms), ("10.0.0.1", Some(250.0)));
    let common = read(r#"h - - [22/Nov/2026:11:00:01 +0100] "POST / HTTP/1.0" 404 -"#).unwrap();
    assert_eq!((common.status, common.duration_ms), (404, None));
    let greeting = read(r#"h - - [22/Nov/2026:11:00:01 +0100] "\x16\x03\x01" 400 150 "-" "-""#);
    let greeting = greeting.unwrap();
    assert_eq!((text(greeting.method), text(greeting.path)), ("", "(no request)"));
    assert!(greeting.is_request());
}

#[test]
fn lines_of_text() {
    let entry = read(
        "[2026-11-22T10:00:01.250Z] ERROR failed user_id=4 tool=search_code client_ip=1.2.3.4 x",
    );
    let entry = entry.unwrap();
    assert_eq!(text(entry.message), "failed user_id=4 tool=search_code client_ip=1.2.3.4 x");
    assert_eq!((text(entry.tool), text(entry.client)), ("search_code", "1.2.3.4"));
    assert!(entry.is_tool_call() && entry.has_failed());
    let entry = read(
        r#"2026-11-22T10:00:01Z [warn] {"event":"tool_call","tool_name":"x","duration_ms":3}"#,
    );
    let entry = entry.unwrap();
    assert_eq!((text(entry.level), text(entry.tool), entry.duration_ms), ("warn", "x", Some(3.0)));
}

#[test]
fn what_is_none_of_these() {
    for line in [
        "",
        "hello",
        "{",
        "{}x",
        r#"{"a"}"#,
        r#"{"a":}"#,
        r#"{"a":1"#,
        r#"{"a":"b}"#,
        r#"{"a":"\"#,
        "[x] ERROR y",
        "h - - [nonsense] \"GET / HTTP/1.1\" 200 1",
        "2026-11-22T10:00:01Z",
    ] {
        assert_eq!(read(line), None, "{line}");
    }
    assert_eq!(read("{}"), Some(Entry::default()));
}

#[test]
fn any_bytes_are_read_without_a_panic() {
    let seeds = [
        r#"{"timestamp":"2026-11-22T10:00:01Z","http":{"request":{"method":"GET"}},"a":["\\"]}"#,
        r#"h - - [22/Nov/2026:11:00:01 +0100] "GET / HTTP/1.0" 404 - "-" "-" 0.1"#,
        "[2026-11-22T10:00:01.250Z] ERROR tool=x {",
    ];
    for seed in seeds {
        for cut in 0..seed.len() {
            for byte in [b'"', b'\\', b'{', b'}', b'[', b' ', 0xff] {
                let mut line = seed.as_bytes().to_vec();
                line[cut] = byte;
                let _ = Reader::default().read(&line);
                let _ = Reader::default().read(&line[..cut]);
                let _ = Reader::default().read(&line[cut..]);
            }
        }
    }
}
