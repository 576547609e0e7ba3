//! What a script has beside Lua's own libraries: `json`, `regex`, `date`.
//!
//! In: calls such as `json.decode(text)`, `regex.match(text, pattern)`, `date.parse(text, form)`. Out: values of Lua.
//! Promises: a pattern's time is linear in the text; patterns and forms are compiled once, and no more than
//! [`KEPT_MAX`] are kept. On failure: an error in the script; a text that is no time, or that a pattern does not
//! match, gives `nil`.

use hashbrown::HashMap;
use mlua::{Error, Lua, LuaString, Result, Table, Value as LuaValue};
use regex::bytes::{Captures, Regex};
use serde_json::Value as Json;

use super::Plan;
use crate::limits::JSON_DEPTH_MAX;
use crate::pattern::{self, Flags};
use crate::timestamp::{DateFormat, DateOptions, TimeTemplate};

/// Compiled patterns and forms that one script keeps.
const KEPT_MAX: usize = 64;

/// What was compiled, by its text.
#[derive(Default)]
struct Compiled {
    patterns: HashMap<String, Regex>,
    forms: HashMap<String, DateFormat>,
    templates: HashMap<String, TimeTemplate>,
}

/// Adds the libraries; `list` is what marks tables that are lists.
pub(super) fn add(lua: &Lua, list: &Table, plan: &Plan) -> Result<()> {
    lua.set_app_data(Compiled::default());
    let globals = lua.globals();
    globals.set("json", json(lua, list)?)?;
    globals.set("regex", regex(lua, list)?)?;
    globals.set("date", date(lua, plan)?)
}

/// The compiled form of a text; what was kept goes when there is too much of it.
fn kept<T: Clone>(
    known: &mut HashMap<String, T>,
    text: &LuaString,
    make: impl FnOnce(&str) -> std::result::Result<T, String>,
) -> Result<T> {
    let text = text.to_str()?;
    if let Some(found) = known.get(&*text) {
        return Ok(found.clone());
    }
    let made = make(&text).map_err(Error::runtime)?;
    if known.len() >= KEPT_MAX {
        known.clear();
    }
    known.insert(text.to_string(), made.clone());
    Ok(made)
}

fn pattern_of(lua: &Lua, text: &LuaString) -> Result<Regex> {
    let mut compiled = lua.app_data_mut::<Compiled>().ok_or_else(gone)?;
    kept(&mut compiled.patterns, text, |text| {
        pattern::compile(text, Flags::default()).map_err(|error| error.message)
    })
}

fn gone() -> Error {
    Error::runtime("the script's library is gone")
}

fn json(lua: &Lua, list: &Table) -> Result<Table> {
    let library = lua.create_table()?;
    let own = list.clone();
    let decode = move |lua: &Lua, text: LuaString| {
        let json: Json = serde_json::from_slice(&text.as_bytes())
            .map_err(|error| Error::runtime(format!("not valid JSON: {error}")))?;
        of_json(lua, &json, &own)
    };
    library.set("decode", lua.create_function(decode)?)?;
    let own = list.clone();
    let encode =
        move |lua: &Lua, value: LuaValue| lua.create_string(to_json(&value, &own, 0)?.to_string());
    library.set("encode", lua.create_function(encode)?)?;
    Ok(library)
}

/// JSON as Lua sees it; `serde_json` bounds how deep it may be.
fn of_json(lua: &Lua, json: &Json, list: &Table) -> Result<LuaValue> {
    Ok(match json {
        Json::Null => LuaValue::Nil,
        Json::Bool(value) => LuaValue::Boolean(*value),
        Json::Number(number) => match number.as_i64() {
            Some(number) => LuaValue::Integer(number),
            None => LuaValue::Number(number.as_f64().unwrap_or_default()),
        },
        Json::String(text) => LuaValue::String(lua.create_string(text)?),
        Json::Array(items) => {
            let table = lua.create_table_with_capacity(items.len(), 0)?;
            for (at, item) in items.iter().enumerate() {
                table.raw_set(at + 1, of_json(lua, item, list)?)?;
            }
            table.set_metatable(Some(list.clone()))?;
            LuaValue::Table(table)
        }
        Json::Object(members) => {
            let table = lua.create_table_with_capacity(0, members.len())?;
            for (name, value) in members {
                table.raw_set(name.as_str(), of_json(lua, value, list)?)?;
            }
            LuaValue::Table(table)
        }
    })
}

/// A value of Lua as JSON; an object's members are sorted by name, for Lua keeps no order.
fn to_json(value: &LuaValue, list: &Table, depth: usize) -> Result<Json> {
    Ok(match value {
        LuaValue::Nil => Json::Null,
        LuaValue::Boolean(value) => Json::Bool(*value),
        LuaValue::Integer(number) => Json::from(*number),
        LuaValue::Number(number) => serde_json::Number::from_f64(*number)
            .map(Json::Number)
            .ok_or_else(|| Error::runtime("JSON has no number that is not finite"))?,
        LuaValue::String(text) => Json::String(text.to_string_lossy()),
        LuaValue::Table(_) if depth >= JSON_DEPTH_MAX => {
            return Err(Error::runtime("a table is nested too deep, or holds itself"));
        }
        LuaValue::Table(table) => {
            let marked = table.metatable().is_some_and(|meta| meta == *list);
            if marked || table.raw_len() > 0 {
                let item = |at| to_json(&table.raw_get(at)?, list, depth + 1);
                return (1..=table.raw_len()).map(item).collect::<Result<_>>().map(Json::Array);
            }
            let mut members: Vec<(String, Json)> = Vec::new();
            for pair in table.pairs::<LuaValue, LuaValue>() {
                let (name, value) = pair?;
                members.push((name.to_string()?, to_json(&value, list, depth + 1)?));
            }
            members.sort_by(|a, b| a.0.cmp(&b.0));
            Json::Object(members.into_iter().collect())
        }
        other => return Err(Error::runtime(format!("JSON has no {}", other.type_name()))),
    })
}

/// `match`, `scan`, `gsub`.
fn regex(lua: &Lua, list: &Table) -> Result<Table> {
    let library = lua.create_table()?;
    let found = |lua: &Lua, (text, pattern): (LuaString, LuaString)| {
        let pattern = pattern_of(lua, &pattern)?;
        let text = text.as_bytes();
        pattern.captures(&text).map(|found| groups(lua, &pattern, &found)).transpose()
    };
    library.set("match", lua.create_function(found)?)?;
    let own = list.clone();
    let scan = move |lua: &Lua, (text, pattern): (LuaString, LuaString)| {
        let pattern = pattern_of(lua, &pattern)?;
        let text = text.as_bytes();
        let all = lua.create_table()?;
        for (at, found) in pattern.captures_iter(&text).enumerate() {
            if found.len() == 1 {
                all.raw_set(at + 1, lua.create_string(&found[0])?)?;
                continue;
            }
            let one = groups(lua, &pattern, &found)?;
            one.raw_set(0, LuaValue::Nil)?;
            one.set_metatable(Some(own.clone()))?;
            all.raw_set(at + 1, one)?;
        }
        all.set_metatable(Some(own.clone()))?;
        Ok(all)
    };
    library.set("scan", lua.create_function(scan)?)?;
    let replace =
        |lua: &Lua,
         (text, pattern, new, most): (LuaString, LuaString, LuaString, Option<usize>)| {
            let pattern = pattern_of(lua, &pattern)?;
            let (text, new) = (text.as_bytes(), new.as_bytes());
            lua.create_string(pattern.replacen(&text, most.unwrap_or(0), &*new))
        };
    library.set("gsub", lua.create_function(replace)?)?;
    Ok(library)
}

/// What a pattern caught: the whole at 0, the groups at their numbers and names.
fn groups(lua: &Lua, pattern: &Regex, found: &Captures<'_>) -> Result<Table> {
    let table = lua.create_table()?;
    for (at, name) in pattern.capture_names().enumerate() {
        let Some(text) = found.get(at) else { continue };
        let text = lua.create_string(text.as_bytes())?;
        if let Some(name) = name {
            table.raw_set(name, &text)?;
        }
        table.raw_set(at, text)?;
    }
    Ok(table)
}

/// `parse`, `format`.
fn date(lua: &Lua, plan: &Plan) -> Result<Table> {
    let library = lua.create_table()?;
    let clock = plan.clock.clone();
    let parse = move |lua: &Lua, (text, form): (LuaString, Option<LuaString>)| {
        let form = form.map_or_else(|| lua.create_string("ISO8601"), Ok)?;
        let mut compiled = lua.app_data_mut::<Compiled>().ok_or_else(gone)?;
        let form = kept(&mut compiled.forms, &form, |form| {
            DateFormat::compile(form, &DateOptions::default()).map_err(|error| error.to_string())
        })?;
        let time_ns = form.parse(&text.as_bytes(), clock.now_ns());
        Ok(time_ns.map(|ns| match ns % 1_000_000_000 {
            0 => LuaValue::Integer(ns / 1_000_000_000),
            // The nanoseconds of a year have more digits than a float holds.
            part => LuaValue::Number((ns / 1_000_000_000) as f64 + part as f64 / 1e9),
        }))
    };
    library.set("parse", lua.create_function(parse)?)?;
    let format = |lua: &Lua, (seconds, form): (f64, LuaString)| {
        let mut compiled = lua.app_data_mut::<Compiled>().ok_or_else(gone)?;
        let template = kept(&mut compiled.templates, &form, |form| {
            TimeTemplate::compile(form).map_err(|error| error.to_string())
        })?;
        // A float of seconds is not exact to the nanosecond: to the microsecond it is.
        let micros = (seconds * 1e6).round();
        if micros.is_nan() || micros.abs() >= 9e15 {
            return Err(Error::runtime("no time: the seconds are too many"));
        }
        let mut out = Vec::new();
        template.write(micros as i64 * 1000, &mut out);
        lua.create_string(out)
    };
    library.set("format", lua.create_function(format)?)?;
    Ok(library)
}
