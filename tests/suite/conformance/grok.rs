//! The cases that Logstash's own grok patterns are tested with.
//!
//! In: the folder named by `LOGWEIR_CONFORMANCE`; without it nothing is tested, and said so.
//! Promises: every case of the file is run and counted.
//! On failure: each case that differs is printed with what was expected.

use logweir::grok::{Ecs, Grok, Kind, Options, Outcome, Scratch};
use serde_json::{Map, Value, json};

/// Puts a captured value where Logstash would.
fn set(event: &mut Value, path: &[String], value: Value) {
    let (last, objects) = path.split_last().expect("a field has a name");
    let mut at = event;
    for name in objects {
        let next = at.as_object_mut().expect("an object");
        at = next.entry(name).or_insert_with(|| Value::Object(Map::new()));
    }
    let object = at.as_object_mut().expect("an object");
    match object.get_mut(last) {
        None => {
            object.insert(last.clone(), value);
        }
        Some(Value::Array(all)) => all.push(value),
        Some(Value::String(first)) => {
            let both = vec![json!(first), value];
            object.insert(last.clone(), Value::Array(both));
        }
        Some(_) => {}
    }
}

fn convert(text: &str, kind: Kind) -> Value {
    match kind {
        Kind::Int => json!(text.parse::<f64>().unwrap_or(0.0) as i64),
        Kind::Float => json!(text.parse::<f64>().unwrap_or(0.0)),
        _ => json!(text),
    }
}

fn run(grok: &Grok, input: &str) -> Value {
    let mut event = json!({ "message": input });
    let mut scratch = Scratch::default();
    match grok.find(&mut scratch, input.as_bytes()) {
        Outcome::Match(found) => {
            for capture in grok.captures(&found, &scratch) {
                let field = &grok.fields()[capture.field];
                let value = convert(&input[capture.start..capture.end], field.kind);
                set(&mut event, &field.path, value);
            }
        }
        Outcome::NoMatch => event["tags"] = json!(["_grokparsefailure"]),
        Outcome::LimitHit { .. } => event["tags"] = json!(["_groktimeout"]),
    }
    event
}

/// Whether all that is expected is there; numbers are compared by value.
fn holds(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::Object(found), Value::Object(wanted)) => wanted
            .iter()
            .all(|(name, wanted)| found.get(name).is_some_and(|found| holds(found, wanted))),
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (a, b) => a == b,
    }
}

fn path_of(text: &str) -> Vec<String> {
    match text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(inner) => inner.split("][").map(str::to_owned).collect(),
        None => vec![text.to_owned()],
    }
}

fn at<'a>(event: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(event, |at, name| at.get(name))
}

fn texts(value: &Value) -> Vec<String> {
    let all = value.as_array().into_iter().flatten();
    all.filter_map(Value::as_str).map(str::to_owned).collect()
}

fn strict(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::Object(f), Value::Object(w)) => {
            f.len() == w.len()
                && w.iter().all(|(name, wanted)| f.get(name).is_some_and(|f| strict(f, wanted)))
        }
        (found, wanted) => holds(found, wanted),
    }
}

fn check(case: &Value) -> Result<(), String> {
    let ecs = if case["ecs"] == "v1" { Ecs::V1 } else { Ecs::Disabled };
    let definitions = case["pattern_definitions"].as_object().into_iter().flatten();
    let definitions: Vec<_> = definitions
        .filter_map(|(name, text)| Some((name.clone(), text.as_str()?.to_owned())))
        .collect();
    let patterns = texts(&case["patterns"]);
    let grok = Grok::compile(&patterns, &definitions, ecs, Options::default())
        .map_err(|error| error.to_string())?;
    let event = run(&grok, case["input"].as_str().unwrap_or_default());
    let failed = event["tags"] != Value::Null;
    if case["expect_fail"].as_bool().is_some_and(|wanted| wanted != failed) {
        return Err(format!("failed is {failed}; {event}"));
    }
    if !holds(&event, &case["expect"]) {
        return Err(format!("found {event}\n    wanted {}", case["expect"]));
    }
    for path in case["exact_paths"].as_array().into_iter().flatten() {
        let path = texts(path);
        let (found, wanted) = (at(&event, &path), at(&case["expect"], &path));
        if let (Some(found), Some(wanted)) = (found, wanted)
            && !strict(found, wanted)
        {
            return Err(format!("at {path:?} found {found}\n    wanted {wanted}"));
        }
    }
    for absent in texts(&case["expect_absent"]) {
        if at(&event, &path_of(&absent)).is_some() {
            return Err(format!("{absent} should not be there: {event}"));
        }
    }
    for other in case["other_checks"].as_array().into_iter().flatten() {
        if other["op"] == "top_keys_subset" {
            let allowed = texts(&other["value"]);
            // Metadata is no part of what Logstash shows as the event.
            let keys = event.as_object().into_iter().flatten().filter(|(k, _)| *k != "@metadata");
            if let Some((extra, _)) = keys.into_iter().find(|(key, _)| !allowed.contains(key)) {
                return Err(format!("{extra} should not be there: {event}"));
            }
        }
    }
    Ok(())
}

#[test]
fn agrees_with_logstash() {
    let Ok(folder) = std::env::var("LOGWEIR_CONFORMANCE") else {
        println!("skipped: LOGWEIR_CONFORMANCE is not set");
        return;
    };
    let path = std::path::Path::new(&folder).join("grok_patterns_core.jsonl");
    let text = std::fs::read_to_string(&path).expect("the cases are there");
    let (mut passed, mut total) = ([0, 0], [0, 0]);
    for line in text.lines() {
        let case: Value = serde_json::from_str(line).expect("a case is JSON");
        let mode = usize::from(case["ecs"] == "v1");
        total[mode] += 1;
        match check(&case) {
            Ok(()) => passed[mode] += 1,
            Err(why) => println!("{} {} {}:\n    {why}", case["id"], case["ecs"], case["name"]),
        }
    }
    println!("disabled: {}/{}; v1: {}/{}", passed[0], total[0], passed[1], total[1]);
    assert_eq!(passed, total);
}

#[test]
fn every_builtin_pattern_compiles() {
    for ecs in [Ecs::Disabled, Ecs::V1] {
        for name in logweir::grok::names(ecs) {
            let patterns = [format!("%{{{name}}}")];
            if let Err(error) = Grok::compile(&patterns, &[], ecs, Options::default()) {
                panic!("{name} ({ecs:?}): {error}");
            }
        }
    }
}
