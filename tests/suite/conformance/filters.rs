//! The cases that Logstash's own filters are tested with.
//!
//! In: the folder named by `LOGWEIR_CONFORMANCE`; without it nothing is tested, and said so. Each case becomes a
//! pipeline with the option names of Logstash, run by `logweir try`. Promises: every case of every file is run and
//! counted; those that differ on purpose are listed in `docs/differences.md`, and no others are. On failure: each
//! case that differs without being listed is printed, and each that is listed without differing.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::support::{logweir, pipeline, stderr, stdout, with_input};

/// A value of JSON as one of TOML.
fn toml(value: &Value) -> String {
    match value {
        Value::String(text) => json!(text.replace("${", "$${")).to_string(),
        Value::Array(items) => {
            format!("[{}]", items.iter().map(toml).collect::<Vec<_>>().join(", "))
        }
        Value::Object(entries) => {
            let entry =
                |(name, value): (&String, &Value)| format!("{} = {}", json!(name), toml(value));
            format!("{{ {} }}", entries.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

fn text_of(case: &Value) -> String {
    let filter = case["filter"].as_str().unwrap();
    let mut text =
        format!("[inputs.a]\ntype = \"stdin\"\n\n[[filters]]\ntype = {}\n", json!(filter));
    let mut config = case["config"].as_object().cloned().unwrap_or_default();
    if let Some(ecs) = case["ecs"].as_str() {
        config.insert("ecs_compatibility".into(), json!(ecs));
    }
    for (name, value) in &config {
        text.push_str(&format!("{name} = {}\n", toml(value)));
    }
    text.push_str("\n[outputs.a]\ntype = \"stdout\"\n");
    text
}

/// The event that comes out. `Err`: the pipeline was refused.
fn run(folder: &Path, case: &Value) -> Result<Value, String> {
    let file = pipeline(folder, "case.toml", &text_of(case));
    let event = format!("{}\n", case["input"]);
    let output = with_input(logweir().arg("try").arg(file).arg("--json"), event.as_bytes());
    match stdout(&output).lines().next() {
        Some(line) => {
            let mut event: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
            event.as_object_mut().and_then(|fields| fields.remove("@route"));
            Ok(event)
        }
        None => Err(stderr(&output)),
    }
}

/// Whether all that is expected is there; numbers are compared by value.
fn holds(found: &Value, wanted: &Value, exact: bool) -> bool {
    match (found, wanted) {
        (Value::Object(f), Value::Object(w)) => {
            let same = |(name, wanted): (&String, &Value)| {
                f.get(name).is_some_and(|found| holds(found, wanted, exact))
            };
            (!exact || f.len() == w.len()) && w.iter().all(same)
        }
        (Value::Array(f), Value::Array(w)) => {
            f.len() == w.len() && f.iter().zip(w).all(|(f, w)| holds(f, w, exact))
        }
        (Value::Number(f), Value::Number(w)) => f.as_f64() == w.as_f64(),
        (found, wanted) => found == wanted,
    }
}

fn at<'a>(event: &'a Value, path: &Value) -> Option<&'a Value> {
    let names = path.as_array().into_iter().flatten();
    names.into_iter().try_fold(event, |at, name| match (at, name) {
        (Value::Array(items), name) => {
            let number = name.as_u64().or_else(|| name.as_str()?.parse().ok())?;
            items.get(number as usize)
        }
        (at, name) => at.get(name.as_str()?),
    })
}

/// A value after the conversions that a check names.
fn converted(event: &Value, check: &Value) -> Value {
    let mut value = at(event, &check["path"]).cloned();
    for word in check["xf"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        value = match (word, value) {
            ("exists", value) => Some(json!(value.is_some_and(|v| !v.is_null()))),
            ("keys", Some(Value::Object(fields))) => Some(json!(fields.keys().collect::<Vec<_>>())),
            ("sort", Some(Value::Array(mut items))) => {
                items.sort_by_key(ToString::to_string);
                Some(Value::Array(items))
            }
            ("count" | "size" | "length", Some(Value::Object(fields))) => Some(json!(fields.len())),
            ("count" | "size" | "length", Some(Value::Array(items))) => Some(json!(items.len())),
            ("first", Some(Value::Array(items))) => items.first().cloned(),
            (_, value) => value,
        };
    }
    value.unwrap_or(Value::Null)
}

fn is_type(value: &Value, name: &str) -> bool {
    match name {
        "Integer" | "Fixnum" => value.is_i64() || value.is_u64(),
        "Float" => value.is_f64(),
        "Hash" => value.is_object(),
        "Array" => value.is_array(),
        "String" | "LogStash::Timestamp" => value.is_string(),
        other => panic!("a type {other} that is not known here"),
    }
}

fn passes(event: &Value, check: &Value) -> bool {
    let found = converted(event, check);
    // Logstash adds a field of its own to every event.
    let mut wanted = check["value"].clone();
    if let Some(names) = wanted.as_array_mut().filter(|_| check["xf"][0] == "keys") {
        names.retain(|name| name != "@version");
    }
    let yes = match check["op"].as_str().unwrap() {
        "eq" => holds(&found, &wanted, true),
        "absent" => found.is_null(),
        "contains" => match &found {
            Value::Array(items) => items.contains(&wanted),
            Value::String(text) => wanted.as_str().is_some_and(|part| text.contains(part)),
            _ => false,
        },
        "type" => is_type(&found, wanted.as_str().unwrap()),
        "truthy" => !matches!(found, Value::Null | Value::Bool(false)),
        "approx" => {
            let (middle, width) = (wanted[0].as_f64().unwrap(), wanted[1].as_f64().unwrap());
            found.as_f64().is_some_and(|found| (found - middle).abs() <= width)
        }
        other => panic!("a check {other} that is not known here"),
    };
    yes != (check["neg"] == true)
}

fn check(folder: &Path, case: &Value) -> Result<(), String> {
    let event = run(folder, case);
    if case["expect_fail"] == true {
        let tags = event.as_ref().map(|event| event["tags"].clone()).unwrap_or_default();
        let failed = tags.as_array().is_some_and(|tags| !tags.is_empty());
        let refused = event.is_err();
        return if failed || refused { Ok(()) } else { Err(format!("should fail: {event:?}")) };
    }
    let event = event?;
    if !holds(&event, &case["expect"], false) {
        return Err(format!("found {event}\n    wanted {}", case["expect"]));
    }
    let lists = |name: &str| case[name].as_array().cloned().unwrap_or_default();
    for path in lists("exact_paths") {
        let (found, wanted) = (at(&event, &path), at(&case["expect"], &path));
        if !found.zip(wanted).is_some_and(|(found, wanted)| holds(found, wanted, true)) {
            return Err(format!("at {path} found {found:?}"));
        }
    }
    for name in lists("expect_absent") {
        if event.get(name.as_str().unwrap()).is_some_and(|found| !found.is_null()) {
            return Err(format!("{name} should not be there: {event}"));
        }
    }
    for other in lists("other_checks") {
        if !passes(&event, &other) {
            return Err(format!("{other} does not hold: {event}"));
        }
    }
    if let Some(count) = case["field_count"].as_u64() {
        let input = case["input"].as_object().map_or(0, Map::len);
        let made = event.as_object().unwrap().keys().filter(|k| *k != "@timestamp");
        if made.count() - input != count as usize {
            return Err(format!("{count} new fields expected: {event}"));
        }
    }
    Ok(())
}

/// The cases that `docs/differences.md` lists: "- `filter_kv#1`: why".
fn listed() -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("docs/differences.md")).unwrap();
    let ids = page.lines().filter_map(|line| line.strip_prefix("- `filter_"));
    ids.map(|rest| format!("filter_{}", rest.split('`').next().unwrap())).collect()
}

#[test]
fn filters_do_what_those_of_logstash_do() {
    let Some(cases) = std::env::var_os("LOGWEIR_CONFORMANCE") else {
        println!("skipped: LOGWEIR_CONFORMANCE is not set");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let listed = listed();
    let mut wrong = Vec::new();
    for name in ["dissect", "json", "kv", "mutate", "useragent"] {
        let path = Path::new(&cases).join(format!("filter_{name}.jsonl"));
        let text = std::fs::read_to_string(&path).expect("the cases are there");
        let (mut passed, mut total) = (0, 0);
        for line in text.lines() {
            let case: Value = serde_json::from_str(line).expect("a case is JSON");
            let id = case["id"].as_str().unwrap();
            total += 1;
            match (check(folder.path(), &case), listed.contains(id)) {
                (Ok(()), false) => passed += 1,
                (Ok(()), true) => wrong.push(format!("{id} is listed as a difference, but passes")),
                (Err(_), true) => println!("{id} differs, as listed"),
                (Err(why), false) => wrong.push(format!("{id} {}:\n    {why}", case["name"])),
            }
        }
        println!("filter_{name}: {passed}/{total}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
