//! What the filter promises.

use super::super::trial::{Trial, problems, run};

fn filter(settings: &str, code: &str) -> String {
    format!("[[filters]]\ntype = \"script\"\n{settings}\ncode = '''\n{code}\n'''\n")
}

#[track_caller]
fn check(code: &str, json: &str, expected: &str) {
    assert_eq!(run(&filter("", code), json), expected, "{code}");
}

#[test]
fn a_script_reads_and_writes_fields() {
    check("event:set('b', event:get('a') * 2)", r#"{"a":2}"#, r#"{"a":2,"b":4}"#);
    check("event.b = event.a .. '!'", r#"{"a":"x"}"#, r#"{"a":"x","b":"x!"}"#);
    check(
        "event:set('[a][b]', event:get('a.c').d[2])",
        r#"{"a":{"c":{"d":[1,2.5]}}}"#,
        r#"{"a":{"c":{"d":[1,2.5]},"b":2.5}}"#,
    );
    check(
        "event:set('n' .. 1, {x = {1, 'y'}, e = list(), o = {}})",
        "{}",
        r#"{"n1":{"e":[],"o":{},"x":[1,"y"]}}"#,
    );
    check("event.b = event:remove('a') event.c = nil", r#"{"a":[],"c":1}"#, r#"{"b":[]}"#);
    check("if not event:has('a') then event.a = 10 / 4 end", "{}", r#"{"a":2.5}"#);
}

#[test]
fn a_script_tags_and_drops_and_sets_the_time() {
    check(
        "event:tag('x') event:untag('y') event.is = event:has_tag('x')",
        r#"{"tags":["y"]}"#,
        r#"{"tags":["x"],"is":true}"#,
    );
    check("event:drop()", "{}", "dropped");
    check("event.t = event['@timestamp']", "{}", r#"{"t":"2026-11-22T01:02:03.004Z"}"#);
    check("event['@timestamp'] = 1.5", "{}", r#"{"@timestamp":"1970-01-01T00:00:01.500Z"}"#);
    check(
        "event:set('@timestamp', '2020-01-01T00:00:00Z')",
        "{}",
        r#"{"@timestamp":"2020-01-01T00:00:00.000Z"}"#,
    );
}

#[test]
fn a_function_of_fluent_bit_is_called_as_there() {
    let code = |body: &str| {
        filter("call = \"f\"", &format!("count = 0\nfunction f(tag, time, record)\n{body}\nend"))
    };
    let event = r#"{"b":1,"a":[],"@metadata":{"x":1}}"#;
    assert_eq!(run(&code("return 0, time, record"), event), r#"{"b":1,"a":[]}"#);
    assert_eq!(run(&code("return -1, 0, 0"), event), "dropped");
    assert_eq!(
        run(&code("record.c = tag record.b = nil return 2, time, record"), event),
        r#"{"a":[],"c":"t"}"#
    );
    assert_eq!(
        run(&code("count = count + 1 record.n = count return 1, 1.5, record"), event),
        r#"{"@timestamp":"1970-01-01T00:00:01.500Z","b":1,"a":[],"n":1}"#
    );
    assert_eq!(run(&code("return 'x'"), "{}"), r#"{"tags":["_scripterror"]}"#);
    assert!(problems(&filter("call = \"g\"", "x = 1")).contains("there is no function `g`"));
}

#[test]
fn an_error_leaves_the_event_with_a_tag() {
    let mut trial =
        Trial::new(&filter("tag_on_failure = \"t\"", "event.a = 1\nevent.b = event.x.y"));
    assert_eq!(trial.run("{}"), r#"{"a":1,"tags":["t"]}"#);
    assert_eq!(trial.counted("logweir_filter_failures_total{filter=\"script\"}"), 1);
    check("error('no')", "{}", r#"{"tags":["_scripterror"]}"#);
    check("event:set('a..b', 1)", "{}", r#"{"tags":["_scripterror"]}"#);
    check("event.a = print", "{}", r#"{"tags":["_scripterror"]}"#);
    check("local t = {} t.t = t event.a = t", "{}", r#"{"tags":["_scripterror"]}"#);
    check("event.a = 0 / 0", "{}", r#"{"tags":["_scripterror"]}"#);
}

#[test]
fn a_script_that_never_ends_is_ended_even_if_it_catches_errors() {
    let mut trial = Trial::new(&filter(
        "steps = 10000",
        "if event.loop == 1 then while true do end end\nif event.loop == 2 then while true do pcall(function() while true do end end) end end\nevent.done = true",
    ));
    assert_eq!(trial.run(r#"{"loop":1}"#), r#"{"loop":1,"tags":["_scripterror"]}"#);
    assert_eq!(trial.run(r#"{"loop":2}"#), r#"{"loop":2,"tags":["_scripterror"]}"#);
    // The next event has all its steps again.
    assert_eq!(trial.run(r#"{"loop":3}"#), r#"{"loop":3,"done":true}"#);
}

#[test]
fn a_script_that_takes_too_much_memory_is_stopped_and_goes_on_with_the_next_event() {
    let mut trial = Trial::new(&filter(
        "memory = \"1MiB\"",
        "if event.big then local s = string.rep('x', 100000000) end\nevent.done = true",
    ));
    assert_eq!(trial.run(r#"{"big":1}"#), r#"{"big":1,"tags":["_scripterror"]}"#);
    assert_eq!(trial.run("{}"), r#"{"done":true}"#);
}

#[test]
fn nothing_outside_of_the_script_can_be_reached() {
    for name in [
        "io",
        "require",
        "load",
        "loadfile",
        "dofile",
        "debug",
        "package",
        "os.execute",
        "os.getenv",
        "os.exit",
        "string.dump",
        "coroutine",
    ] {
        check(&format!("event.a = ({name} == nil)"), "{}", r#"{"a":true}"#);
    }
    check(
        "event.a = os.time() > 0 event.b = unpack({1, 2}) event.c = math.pow(2, 3)",
        "{}",
        r#"{"a":true,"b":1,"c":8.0}"#,
    );
}

#[test]
fn a_mistake_is_shown_with_its_line() {
    let told = problems(&filter("", "event.a = 1\nif event.b the\nend"));
    assert!(
        told.contains("t.toml:6:12") && told.contains("line 2") && told.contains("'then' expected"),
        "{told}"
    );
    assert!(problems("[[filters]]\ntype = \"script\"").contains("`code` is missing"));
    assert!(
        problems("[[filters]]\ntype = \"script\"\nfile = \"x.lua\"")
            .contains("cannot read the script")
    );
}

#[test]
fn a_script_reads_and_writes_json() {
    check(
        "event.b = json.decode(event.a) event.c = json.encode({ x = list{1}, y = list(), a = 'q' })",
        r#"{"a":"{\"n\":[1,2.5,{}],\"e\":[]}"}"#,
        r#"{"a":"{\"n\":[1,2.5,{}],\"e\":[]}","b":{"e":[],"n":[1,2.5,{}]},"c":"{\"a\":\"q\",\"x\":[1],\"y\":[]}"}"#,
    );
    check(
        "local fine, why = pcall(json.decode, '{') event.fine = fine event.why = tostring(why):match('not valid JSON')",
        "{}",
        r#"{"fine":false,"why":"not valid JSON"}"#,
    );
    check("local t = {} t.t = t json.encode(t)", "{}", r#"{"tags":["_scripterror"]}"#);
    check("json.encode(0 / 0)", "{}", r#"{"tags":["_scripterror"]}"#);
}

#[test]
fn a_script_uses_regular_expressions() {
    check(
        "local m = regex.match(event.a, '(?<k>[a-z]+)=([0-9])?') event.m = { m[0], m[1], m.k, tostring(m[2]) }",
        r#"{"a":"- ab="}"#,
        r#"{"a":"- ab=","m":["ab=","ab","ab","nil"]}"#,
    );
    check(
        "event.b = regex.scan(event.a, '[a-z]+') event.c = regex.scan(event.a, '([a-z])([0-9])')",
        r#"{"a":"a1 b2"}"#,
        r#"{"a":"a1 b2","b":["a","b"],"c":[["a","1"],["b","2"]]}"#,
    );
    check(
        "event.b = regex.gsub(event.a, '([a-z])([0-9])', '${2}$1', 1) event.c = regex.match('x', 'y')",
        r#"{"a":"a1 b2"}"#,
        r#"{"a":"a1 b2","b":"1a b2"}"#,
    );
    check("regex.match('a', '(')", "{}", r#"{"tags":["_scripterror"]}"#);
    // More patterns than are kept.
    check(
        "for n = 1, 200 do event.n = regex.match('a' .. n, '^a' .. n .. '$')[0] end",
        "{}",
        r#"{"n":"a200"}"#,
    );
}

#[test]
fn a_script_reads_and_writes_times() {
    check(
        "event.a = date.parse('10/Oct/2026:13:55:36 +0200', '%d/%b/%Y:%H:%M:%S %z') event.b = date.parse('x')",
        "{}",
        r#"{"a":1791633336}"#,
    );
    check("event.a = date.parse('2026-11-22T01:02:03.25Z')", "{}", r#"{"a":1795309323.25}"#);
    check("event.a = date.format(1795309323.25, '%H:%M:%S.%L')", "{}", r#"{"a":"01:02:03.250"}"#);
    check("date.format(1, '%Q')", "{}", r#"{"tags":["_scripterror"]}"#);
    check("date.format(1e300, '%Y')", "{}", r#"{"tags":["_scripterror"]}"#);
}
