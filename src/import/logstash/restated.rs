//! Logstash's filters that are said by others of ours: `multiline`, `metrics`, `environment`, `age`, `range`, `sleep`.
//!
//! In: the plugin's settings. Out: filters. Promises: what is not the same is a difference. On failure: a TODO with the
//! reason.

use super::codec;
use super::specification::{COMMON, apply};
use super::syntax::Value;
use super::values::{self, Settings};
use crate::import::document::{Filter, Step, Table, Value as Ours};
use crate::import::fluent::text::lua_text;
use crate::import::report::{Account, Report};
use crate::import::templates;

/// The filters for the one of this name; `None`: it is none of these.
pub fn convert(
    kind: &str,
    settings: &mut Settings,
    account: &mut Account,
    report: &mut Report,
) -> Option<Vec<Step>> {
    let made = match kind {
        "multiline" => multiline(settings, account),
        "metrics" => metrics(settings, account),
        "environment" => environment(settings),
        "age" => Some(age(settings)),
        "range" => range(settings, account),
        "sleep" => {
            settings.ignore(&["time", "every", "replay"]);
            account.differs("no pause is made: an output that is slow holds the inputs by itself");
            return Some(Vec::new());
        }
        _ => return None,
    };
    let Some(mut filter) = made else { return Some(Vec::new()) };
    let own_tags = filter.settings.get("add_tag").cloned();
    apply(&mut filter.settings, settings, &COMMON, report);
    if let (Some(Ours::List(mut tags)), Some(Ours::List(more))) =
        (own_tags, filter.settings.get("add_tag").cloned())
    {
        tags.extend(more.into_iter().filter(|tag| tag.text() != Some("multiline")));
        filter.settings.set("add_tag", Ours::List(tags));
    }
    Some(vec![Step::Filter(filter)])
}

/// Lines that belong together, joined behind the input.
fn multiline(settings: &mut Settings, account: &mut Account) -> Option<Filter> {
    let mut filter = Filter { settings: codec::joining(settings, account)?, ..Filter::default() };
    let table = &mut filter.settings;
    if let Some(source) = settings.text("source").filter(|source| source != "message") {
        table.set("field", values::field(&source));
    }
    // Without it, what came from one file or one connection is one stream, as Logstash's usual identity has it.
    if let Some(identity) = settings.text("stream_identity") {
        let names = identity.split("%{").skip(1).filter_map(|rest| rest.split('}').next());
        let path = |name: &str| match values::field(name).as_str() {
            "path" => "log.file.path".to_string(),
            "host" => "host.name".to_string(),
            other => other.to_string(),
        };
        let names: Vec<String> = names.map(path).collect();
        if !names.is_empty() {
            table.set("by", Ours::texts(names));
        }
    }
    if let Some(seconds) = settings.text("max_age").and_then(|text| text.parse::<u32>().ok()) {
        table.set("timeout", format!("{}s", seconds.max(1)));
    }
    table.set("add_tag", Ours::texts(["multiline"]));
    settings.ignore(&[
        "allow_duplicates",
        "patterns_dir",
        "enable_flush",
        "flush_interval",
        "periodic_flush",
        "multiline_tag",
    ]);
    Some(filter)
}

/// Events that are counted, as an event now and then.
fn metrics(settings: &mut Settings, account: &mut Account) -> Option<Filter> {
    let mut fields = Table::default();
    let mut by: Vec<String> = Vec::new();
    let mut names: Vec<(String, Option<String>)> =
        settings.texts("meter").unwrap_or_default().into_iter().map(|name| (name, None)).collect();
    for (name, value) in settings.hash("timer").unwrap_or_default() {
        names.push((name, value.text().map(str::to_string)));
    }
    for (name, value) in names {
        // A name with a field in it: the events of each value are counted by themselves.
        let (plain, field) = match name.split_once("%{") {
            Some((before, rest)) => {
                let field = values::field(rest.split('}').next().unwrap_or_default());
                (before.trim_end_matches(['_', '.', '-', '/']).to_string(), Some(field))
            }
            None => (name.clone(), None),
        };
        if let Some(field) = field {
            account.differs(format!(
                "the events of each value of `{field}` are counted in an event of their own"
            ));
            by.push(field);
        }
        let plain = if plain.is_empty() { "events".to_string() } else { values::field(&plain) };
        fields.set(&format!("{plain}.count"), "count");
        let measured = value.as_deref().and_then(|value| value.strip_prefix("%{"));
        if let Some(measured) = measured.and_then(|value| value.strip_suffix('}')) {
            let measured = values::field(measured);
            fields.set(&format!("{plain}.min"), format!("min({measured})"));
            fields.set(&format!("{plain}.max"), format!("max({measured})"));
        }
    }
    if fields.is_empty() {
        account.missing("it measures nothing", "count with the filter `metric` or `aggregate`");
        return None;
    }
    account.differs(
        "the figures are those of each interval, not since the start; there are no rates and percentiles",
    );
    let seconds = settings.text("flush_interval").and_then(|text| text.parse::<u64>().ok());
    let mut filter = Filter::new("aggregate");
    by.dedup();
    if !by.is_empty() {
        filter = filter.with("by", Ours::texts(by));
    }
    let window = super::inputs::duration(seconds.filter(|s| *s > 0).unwrap_or(5));
    settings.ignore(&["clear_interval", "ignore_older_than", "percentiles", "rates"]);
    Some(filter.with("window", window).with("fields", fields))
}

/// Variables of the environment as fields.
fn environment(settings: &mut Settings) -> Option<Filter> {
    let mut fields = Table::default();
    let metadata = settings.hash("add_metadata_from_env").unwrap_or_default();
    let metadata =
        metadata.into_iter().map(|(name, value)| (format!("[@metadata][{name}]"), value));
    let plain = settings.hash("add_field_from_env").unwrap_or_default();
    for (name, value) in plain.into_iter().chain(metadata) {
        let variable = value.text().unwrap_or_default().to_string();
        fields.set(&values::field(&name), Ours::Variables(format!("${{{variable}:-}}")));
    }
    (!fields.is_empty()).then(|| Filter::new("set").with("fields", fields))
}

/// How old an event is, in seconds.
fn age(settings: &mut Settings) -> Filter {
    let target = settings.text("target").unwrap_or_else(|| "[@metadata][age]".to_string());
    let code =
        format!("event:set({}, os.time() - event:time())\n", lua_text(&values::field(&target)));
    Filter::new("script").with("code", code)
}

/// Fields between limits: texts by their length.
fn range(settings: &mut Settings, account: &mut Account) -> Option<Filter> {
    let ranges = settings.take("ranges")?;
    let negate = settings.flag("negate") == Some(true);
    let items: Vec<String> =
        ranges.items().into_iter().filter_map(Value::text).map(str::to_string).collect();
    let mut code = String::new();
    for rule in items.chunks(4) {
        let [name, low, high, action] = rule else {
            account.missing("a range is a field, two limits and an action", "write a `script`");
            return None;
        };
        let (Ok(low), Ok(high)) = (low.parse::<f64>(), high.parse::<f64>()) else {
            account.missing("a limit is no number", "write a `script`");
            return None;
        };
        let done = match action.split_once(':') {
            _ if action == "drop" => "event:drop() return".to_string(),
            Some(("tag", tag)) if !templates::has_references(tag) => {
                format!("event:tag({})", lua_text(tag))
            }
            Some(("field", rest)) if !templates::has_references(rest) => {
                let (field, value) = rest.split_once(':').unwrap_or((rest, ""));
                let value = match value.parse::<f64>() {
                    Ok(_) => value.to_string(),
                    Err(_) => lua_text(value),
                };
                format!("event:set({}, {value})", lua_text(&values::field(field)))
            }
            _ => {
                account.missing(format!("an action `{action}`"), "write a `script`");
                return None;
            }
        };
        let not = if negate { "not " } else { "" };
        code.push_str(&format!(
            "v = event:get({})\nif type(v) == 'string' then v = utf8.len(v) or #v end\n\
             if type(v) == 'number' and {not}(v >= {low} and v <= {high}) then {done} end\n",
            lua_text(&values::field(name))
        ));
    }
    Some(Filter::new("script").with("code", format!("local v\n{code}")))
}
