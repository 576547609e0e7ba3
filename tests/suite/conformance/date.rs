//! Runs the date cases of the conformance directory named by `LOGWEIR_CONFORMANCE`.
//!
//! In: `date.jsonl` there. Out: `date passed/total` on standard output and a list of failures.
//! Promises: skips only where the variable is unset.
//! On failure: a missing file, a broken line or a failing case fails the test.

use logweir::timestamp::write_iso8601_ms;
use logweir::timestamp::{DateFormat, DateNumber, DateOptions, Zone};
use serde_json::Value;
use std::time::{SystemTime, UNIX_EPOCH};

#[test]
fn date_cases() {
    let Some(directory) = std::env::var_os("LOGWEIR_CONFORMANCE") else {
        println!("date skipped: LOGWEIR_CONFORMANCE is not set");
        return;
    };
    let path = std::path::Path::new(&directory).join("date.jsonl");
    let cases = std::fs::read_to_string(&path).expect("date.jsonl is readable");
    let mut failures = Vec::new();
    let mut total = 0;
    for line in cases.lines().filter(|line| !line.trim().is_empty()) {
        let case: Value = serde_json::from_str(line).expect("a JSON object a line");
        total += 1;
        if let Err(why) = check(&case) {
            failures.push(format!("{}: {why}", case["id"]));
        }
    }
    println!("date {}/{total}", total - failures.len());
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn check(case: &Value) -> Result<(), String> {
    let now = match case["now"].as_str() {
        Some(text) => iso(text).ok_or("bad `now`")?,
        None => wall_clock(),
    };
    let found = parse(case, now)?;
    let text = found.map(iso_text);
    if case["expect_fail"] == Value::Bool(true) {
        return text.map_or(Ok(()), |text| Err(format!("should fail, gave {text}")));
    }
    let text = text.ok_or("no date found")?;
    if let Some(expected) = case["expect_utc"].as_str()
        && text != expected
    {
        return Err(format!("expected {expected}, got {text}"));
    }
    let year = match &case["expect_year"] {
        Value::Null => return Ok(()),
        Value::String(_) => iso_text(now)[..4].to_owned(),
        number => number.to_string(),
    };
    if text[..4] == year { Ok(()) } else { Err(format!("expected year {year}, got {text}")) }
}

fn parse(case: &Value, now: i64) -> Result<Option<i64>, String> {
    let timezone = case["timezone"].as_str();
    let from_event = timezone.is_some_and(|zone| zone.starts_with("%{"));
    let options = DateOptions {
        timezone: timezone.filter(|_| !from_event).map(str::to_owned),
        locale: case["locale"].as_str().map(str::to_owned),
    };
    for format in case["formats"].as_array().ok_or("no formats")? {
        let format = format.as_str().ok_or("a format that is no string")?;
        let format = DateFormat::compile(format, &options).map_err(|error| error.to_string())?;
        let found = match &case["input"] {
            Value::String(text) if from_event => {
                let field = timezone.unwrap_or_default().trim_matches(['%', '{', '}']);
                let zone = case["event"][field].as_str().ok_or("no zone in the event")?;
                let zone = Zone::named(zone).ok_or("unknown zone in the event")?;
                format.parse_in(text.as_bytes(), now, &zone)
            }
            Value::String(text) => format.parse(text.as_bytes(), now),
            Value::Number(number) => {
                let float = || DateNumber::Float(number.as_f64().unwrap_or(f64::NAN));
                format.parse_number(number.as_i64().map_or_else(float, DateNumber::Integer))
            }
            _ => None,
        };
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

fn iso(text: &str) -> Option<i64> {
    DateFormat::compile("ISO8601", &DateOptions::default()).ok()?.parse(text.as_bytes(), 0)
}

fn iso_text(ns: i64) -> String {
    let mut out = Vec::new();
    write_iso8601_ms(ns, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

fn wall_clock() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    i64::try_from(since.as_nanos()).expect("a clock before 2262")
}
