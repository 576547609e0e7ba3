//! `<filter>` elements to filters.
//!
//! In: an element and the streams that come to it. Out: filters under the streams' condition. Promises: events that
//! other streams share are copied before they are changed, and are not dropped. On failure: a comment with its lines.

use super::super::fluent::condition::{Condition, literal, matches};
use super::super::fluent::draft::{Block, Value};
use super::super::fluent::parse::{field, path, pattern_of};
use super::super::fluent::tags::Tag;
use super::super::fluent::text::{Filled, filled, is_true, list, lua_text};
use super::super::ruby;
use super::parse_section::parser_of;
use super::plugins;
use super::route::{Conversion, Notes, Stream};
use super::source::text;
use super::syntax::Element;

/// What a filter comes to.
#[derive(Default)]
struct Outcome {
    blocks: Vec<Block>,
    /// Events for which this does not hold are not for this way any more.
    keeps: Option<Condition>,
}

impl Conversion {
    /// `Some`: the events that stay on this way, where they may not be dropped.
    pub fn filter(&mut self, element: &Element, taken: &mut [Stream]) -> Option<Condition> {
        let kind = element.kind();
        let mut notes = Notes::default();
        let mut outcome = Outcome::default();
        match kind.trim_start_matches("filter_") {
            "record_transformer" | "record_modifier" => {
                outcome.blocks = records(element, &kind, taken, &mut notes);
            }
            "grep" => outcome.keeps = grep(element, &mut notes),
            "parser" => outcome.blocks = parser(element, &mut notes),
            "stdout" => return self.printing(element, &kind, taken),
            "concat" => outcome.blocks = self.concat(element, taken, &mut notes),
            "detect_exceptions" => {
                outcome.blocks = self.detect_exceptions(element, taken, &mut notes);
            }
            "kubernetes_metadata" => {
                self.use_container_codec(taken);
                notes.difference(
                    "`kubernetes` has namespace, pod and container from the file's path, no labels",
                );
            }
            "geoip" => outcome.blocks = geoip(element, &mut notes),
            "dedot" | "de_dot" => {
                notes.difference("dots in names need no change: they are names of their own");
            }
            "prometheus" => notes.difference(
                "counters of events are at http://127.0.0.1:9600/metrics, without these labels",
            ),
            "kubernetes_sumologic" => outcome.keeps = sumo_logic(element, &mut notes),
            "elasticsearch_genid" => notes.difference("documents have stable ids always"),
            "flatten_hash" => notes.difference("nested fields stay nested"),
            "typecast" => {
                let types = super::parse_section::types(
                    &text(element, "types", &mut notes).unwrap_or_default(),
                );
                outcome.blocks = conversions(&types);
            }
            "anonymizer" => outcome.blocks = plugins::anonymizer(element, &mut notes),
            "throttle" => outcome.blocks = plugins::throttle(element, &mut notes),
            "ua_parser" => outcome.blocks = plugins::user_agent(element, &mut notes),
            "colour_stripper" | "color_stripper" => {
                outcome.blocks = plugins::without_colours(element, &mut notes);
            }
            "dns" | "record_demux" => {
                notes.refusal = Some(format!(
                    "write it as a filter of this pipeline (see docs/settings.md): `{kind}`"
                ));
            }
            "" => notes.refusal = Some("it has no @type".to_string()),
            other => notes.refusal = Some(format!("there is no filter `{other}`")),
        }
        if let (Some(keeps), Some(label)) = (&outcome.keeps, element.parameter("@label")) {
            return Some(self.route_to_label(element, keeps.clone(), &label.value.source(), taken));
        }
        if !outcome.blocks.is_empty() && taken.iter().any(|stream| !stream.own) {
            notes.difference("one event goes to all stores: the others have this change, too");
        }
        let when = self.condition(taken);
        let comments = self.entry(element, &kind, notes);
        match outcome.keeps {
            Some(keeps) if taken.iter().all(|stream| stream.own) => {
                let drops = when.and(keeps.negate());
                if let Some(text) = drops.text() {
                    let mut block = Block::of("drop").with("when", text);
                    block.notes = comments;
                    self.draft.filters.push(block.into());
                }
                None
            }
            Some(keeps) => Some(keeps),
            None if outcome.blocks.is_empty() => {
                if !comments.is_empty() {
                    let block = Block { notes: comments, entries: Vec::new() };
                    self.draft.filters.push(block.into());
                }
                None
            }
            None => {
                self.add_filters(outcome.blocks, &when, &comments);
                None
            }
        }
    }

    /// `@label` in a filter, which Fluentd does not heed: what it keeps is meant to go there, the rest goes on.
    fn route_to_label(
        &mut self,
        element: &Element,
        keeps: Condition,
        label: &str,
        taken: &[Stream],
    ) -> Condition {
        let mut notes = Notes::default();
        notes.difference(format!(
            "Fluentd does not heed @label in a filter; here the events go to {label}, the others on"
        ));
        let comments = self.entry(element, "grep", notes);
        self.draft.filters.push(Block { notes: comments, entries: Vec::new() }.into());
        let streams = taken
            .iter()
            .map(|stream| Stream { when: stream.when.clone().and(keeps.clone()), ..stream.clone() })
            .collect();
        self.route_label(label, streams);
        keeps.negate()
    }

    /// Events are printed as they come by: an output of its own, for what comes out at the end.
    pub fn printing(
        &mut self,
        element: &Element,
        kind: &str,
        taken: &[Stream],
    ) -> Option<Condition> {
        let mut notes = Notes::default();
        notes.difference("events are printed as they are at the end of all filters");
        let comments = self.entry(element, kind, notes);
        let when = self.condition(taken);
        let known = self
            .draft
            .outputs
            .iter()
            .any(|(_, block)| block.kind() == "stdout" && block.get("when").is_none());
        if !known {
            self.add_output("stdout", Block::of("stdout"), &when, comments);
        }
        None
    }

    /// Inputs that read containers' files take the codec for it.
    pub fn use_container_codec(&mut self, taken: &[Stream]) {
        for stream in taken {
            let Some((_, block)) = self.draft.inputs.get_mut(stream.input) else { continue };
            let is_container = matches!(block.get("paths"), Some(Value::List(paths)) if paths.iter().any(
                |path| matches!(path, Value::Text(path) if path.contains("/containers/"))));
            if is_container && block.get("codec").is_none() {
                block.set("codec", "container");
            }
        }
    }
}

/// The tag of all these events, where there is one.
pub fn known_tag(taken: &[Stream]) -> Option<&str> {
    let Some(Tag::Fixed(tag)) = taken.first().map(|stream| &stream.tag) else { return None };
    taken.iter().all(|stream| stream.tag == Tag::Fixed(tag.clone())).then_some(tag)
}

/// Parameters of these filters; others are fields, where they stand outside of `<record>`.
const OWN: [&str; 15] = [
    "@type",
    "type",
    "@id",
    "@log_level",
    "enable_ruby",
    "renew_record",
    "renew_time_key",
    "keep_keys",
    "remove_keys",
    "auto_typecast",
    "char_encoding",
    "prepare_value",
    "whitelist_keys",
    "tag",
    "@label",
];

fn records(element: &Element, kind: &str, taken: &[Stream], notes: &mut Notes) -> Vec<Block> {
    let tag = known_tag(taken);
    let mut blocks = Vec::new();
    let mut set: Vec<(String, Value)> = Vec::new();
    let mut after = Vec::new();
    let mut names = Vec::new();
    let sections: Vec<&Element> =
        element.elements().filter(|inner| inner.name == "record").collect();
    let bare = element.parameters().filter(|p| {
        sections.is_empty() && kind == "record_modifier" && !OWN.contains(&p.name.as_str())
    });
    let parameters = sections.iter().flat_map(|section| section.parameters()).chain(bare);
    for parameter in parameters {
        let mut said = Vec::new();
        let source = parameter.value.source();
        // Within `${…}` a `#{…}` is one of the code's own texts.
        let is_code = !parameter.value.quoted && is_one_code(&source);
        let value = match is_code {
            true => source,
            false => super::super::fluent::text::settled(&parameter.value, &mut said),
        };
        for note in said {
            notes.difference(note);
        }
        names.push(parameter.name.clone());
        if let Ok(json @ (serde_json::Value::Object(_) | serde_json::Value::Array(_))) =
            serde_json::from_str(&value)
        {
            match of_json(&json, tag) {
                Some(value) => set.push((path(&[&parameter.name]), value)),
                None => notes.difference(format!("`{}` is left out: {value}", parameter.name)),
            }
            continue;
        }
        let is_time = parameter.name == "@timestamp";
        match filled(&without_requires(&value), tag) {
            Ok(Filled { text, .. }) if is_time && text == "{@timestamp}" => {
                notes.difference("`@timestamp` is the event's own time");
            }
            Ok(Filled { copies: Some(from), then, .. }) if is_time && then.is_empty() => {
                let formats = vec!["ISO8601".to_string(), "UNIX".to_string()];
                blocks.push(Block::of("date").with("field", from).with("formats", formats));
            }
            Ok(Filled { copies: Some(from), then, .. }) => {
                let to = path(&[&parameter.name]);
                if from != to {
                    blocks.push(Block::of("copy").with("fields", vec![(from, to.clone().into())]));
                }
                after.extend(then.iter().map(|step| after_block(step, &to)));
            }
            Ok(Filled { text, .. }) => set.push((path(&[&parameter.name]), text.into())),
            Err(code) => {
                let blocks = tag_parts(&parameter.name, &value, taken)
                    .map(|block| vec![block])
                    .or_else(|| of_ruby(&parameter.name, &value, taken, notes));
                if let Some(blocks) = blocks {
                    after.extend(blocks);
                    continue;
                }
                notes.refusal = Some(format!(
                    "`{}`: Ruby is not run; write it with `set`, `gsub`, `script`: {code}",
                    parameter.name
                ));
            }
        }
    }
    if !set.is_empty() {
        blocks.push(Block::of("set").with("fields", set));
    }
    blocks.extend(after);
    let removed: Vec<String> =
        text(element, "remove_keys", notes).map(|keys| list(&keys)).unwrap_or_default();
    if !removed.is_empty() {
        let removed: Vec<String> = removed.iter().map(|name| field(name)).collect();
        blocks.push(Block::of("remove").with("fields", removed));
    }
    let kept = text(element, "keep_keys", notes).or_else(|| text(element, "whitelist_keys", notes));
    let renews = text(element, "renew_record", notes).is_some_and(|value| is_true(&value));
    if renews || element.parameter("whitelist_keys").is_some() {
        names.extend(kept.map(|keys| list(&keys)).unwrap_or_default());
        let names: Vec<String> =
            names.iter().map(|name| format!("^{}$", regex::escape(name))).collect();
        blocks.push(Block::of("prune").with("whitelist_names", names));
    }
    if let Some(key) = text(element, "renew_time_key", notes) {
        let formats = vec!["UNIX".to_string(), "ISO8601".to_string()];
        blocks.push(Block::of("date").with("field", field(&key)).with("formats", formats));
    }
    blocks
}

/// Code without the libraries that it asks for: what is known of them is there.
fn without_requires(value: &str) -> String {
    let inner = value.strip_prefix("${").map(str::trim_start);
    let rest = inner.and_then(|inner| inner.strip_prefix("require ")).and_then(|rest| {
        let (name, rest) = rest.split_once([';', '\n'])?;
        matches!(name.trim().trim_matches(['"', '\'']), "time" | "date" | "json").then_some(rest)
    });
    rest.map_or_else(|| value.to_string(), |rest| format!("${{{}", rest.trim_start()))
}

/// Whether a text is one `${…}` and nothing else.
fn is_one_code(text: &str) -> bool {
    let inner = text.strip_prefix("${");
    inner.is_some_and(|inner| ruby::closing(inner).is_some_and(|at| at + 1 == inner.len()))
}

/// A text with `${…}` of Ruby as filters, where all of it is understood.
fn of_ruby(name: &str, value: &str, taken: &[Stream], notes: &mut Notes) -> Option<Vec<Block>> {
    let code = as_ruby(value)?;
    let names = names_of(&code, taken)?;
    let steps = ruby::assignment(name, &names, &code)?;
    let blocks = steps.into_iter().map(|step| Block::try_from(step).ok());
    let blocks = blocks.collect::<Option<Vec<_>>>()?;
    for difference in ruby::differences(&code) {
        notes.difference(difference);
    }
    Some(blocks)
}

/// A text with `${…}` as Ruby: the code alone, or a text with `#{…}`.
fn as_ruby(value: &str) -> Option<String> {
    let end = |inner: &str| ruby::closing(inner);
    if is_one_code(value) {
        return Some(value[2..value.len() - 1].trim().to_string());
    }
    let plain = |text: &str| {
        text.replace('\\', "\\\\").replace('"', "\\\"").replace('#', "\\#").replace('\n', "\\n")
    };
    let mut out = String::from("\"");
    let mut rest = value;
    while let Some(start) = rest.find("${") {
        let inner = &rest[start + 2..];
        let end = end(inner)?;
        out.push_str(&format!("{}#{{{}}}", plain(&rest[..start]), inner[..end].trim()));
        rest = &inner[end + 1..];
    }
    Some(out + &plain(rest) + "\"")
}

/// What code may name beside the record, as statements: the tag, its parts, the time. `None`: the tag has many forms.
fn names_of(code: &str, taken: &[Stream]) -> Option<String> {
    let word = |wanted: &str| {
        code.match_indices(wanted).any(|(at, _)| {
            let of_name = |c: char| c.is_alphanumeric() || c == '_';
            !code[..at].ends_with(|c| of_name(c) || matches!(c, '.' | '"' | '\'' | '@'))
                && !code[at + wanted.len()..].starts_with(|c| of_name(c) || matches!(c, '"' | '\''))
        })
    };
    let mut out = String::new();
    if word("tag") || word("tag_parts") {
        let text = |text: &str| format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"));
        let tag = match (known_tag(taken), taken.first().map(|stream| &stream.tag)) {
            (Some(tag), _) => text(tag),
            (None, Some(Tag::Path { before, after, .. })) => format!(
                "{} + event.get('[log][file][path]').gsub(/^\\/+/, '').gsub('/', '.') + {}",
                text(before),
                text(after)
            ),
            (None, Some(Tag::Field(_))) => "event.get('[@metadata][tag]').to_s".to_string(),
            _ if taken.iter().all(in_event) => "event.get('[@metadata][tag]').to_s".to_string(),
            _ => return None,
        };
        let first = taken.first().map(|stream| &stream.tag);
        let same = |stream: &Stream| match (&stream.tag, first) {
            (Tag::Path { before: a, after: b, .. }, Some(Tag::Path { before, after, .. })) => {
                a == before && b == after
            }
            (Tag::Field(_), Some(Tag::Field(_))) => true,
            (own, first) => Some(own) == first,
        };
        if !taken.iter().all(same) && !taken.iter().all(in_event) {
            return None;
        }
        out.push_str(&format!("tag = {tag}\ntag_parts = tag.split('.')\n"));
    }
    if word("time") {
        out.push_str("time = event.get('@timestamp')\n");
    }
    Some(out)
}

/// Whether the tag stands in the event: that of a sender, or of an input, which gets it where it is asked for.
fn in_event(stream: &Stream) -> bool {
    match stream.tag {
        Tag::Field(_) => true,
        Tag::Fixed(_) => stream.hops == 0,
        Tag::Path { .. } => false,
    }
}

/// A text with parts of a tag that is not known beforehand, by a script. `None`: there is more in it.
fn tag_parts(name: &str, value: &str, taken: &[Stream]) -> Option<Block> {
    let mut parts = Vec::new();
    let mut rest = value;
    while let Some(start) = rest.find("${") {
        let end = start + rest[start..].find('}')?;
        if start > 0 {
            parts.push(lua_text(&rest[..start]));
        }
        let code = rest[start + 2..end].trim();
        let (list, index) = match code.strip_suffix(']').and_then(|code| code.split_once('[')) {
            Some((list, index)) => (list, index.trim().parse::<i64>().ok()?),
            None => (code, 0),
        };
        let at =
            if index < 0 { format!("#parts + {}", index + 1) } else { (index + 1).to_string() };
        parts.push(match list {
            "tag" => "tag".to_string(),
            "tag_parts" => format!("(parts[{at}] or '')"),
            "tag_prefix" => format!("table.concat(parts, '.', 1, math.min({at}, #parts))"),
            "tag_suffix" => format!("table.concat(parts, '.', {at})"),
            _ => return None,
        });
        rest = &rest[end + 1..];
    }
    if !rest.is_empty() {
        parts.push(lua_text(rest));
    }
    let mut path_tag: Option<(&str, &str)> = None;
    for stream in taken {
        match &stream.tag {
            Tag::Path { before, after, .. } => {
                let this = (before.as_str(), after.as_str());
                if path_tag.is_some_and(|known| known != this) {
                    return None;
                }
                path_tag = Some(this);
            }
            // Its events have a path, too, perhaps, but no tag of it.
            Tag::Fixed(_) if !taken.iter().all(in_event) => return None,
            Tag::Fixed(_) | Tag::Field(_) => {}
        }
    }
    let from_field = "event:get('@metadata.tag') or ''";
    let tag = match path_tag {
        Some((before, after)) => {
            let (before, after) = (lua_text(before), lua_text(after));
            format!(
                "event:get('log.file.path')\n\
                 tag = tag and {before} .. (tag:gsub('^/+', ''):gsub('/', '.')) .. {after} or {from_field}"
            )
        }
        None => from_field.to_string(),
    };
    let code = format!(
        "local tag = {tag}\nlocal parts = {{}}\n\
         for part in tag:gmatch('[^.]+') do parts[#parts + 1] = part end\n\
         event:set({}, {})\n",
        lua_text(&path(&[name])),
        parts.join(" .. ")
    );
    Some(Block::of("script").with("code", code))
}

/// What the metadata of Sumo Logic leaves out; what it adds is for the output to say.
fn sumo_logic(element: &Element, notes: &mut Notes) -> Option<Condition> {
    notes.difference(
        "source category, name and host are one for all events: headers such as `X-Sumo-Category`",
    );
    let mut keeps = Condition::Always(true);
    for (name, field) in [
        ("exclude_namespace_regex", "kubernetes.namespace"),
        ("exclude_pod_regex", "kubernetes.pod.name"),
        ("exclude_container_regex", "kubernetes.container.name"),
        ("exclude_host_regex", "host.name"),
        ("exclude_unit_regex", "_SYSTEMD_UNIT"),
    ] {
        let Some(pattern) = text(element, name, notes).filter(|text| !text.trim().is_empty())
        else {
            continue;
        };
        if pattern.contains("${") {
            notes.difference(format!("`{name}` is left out, since the environment says it"));
            continue;
        }
        keeps = keeps.and(condition_of(field, &pattern, notes)?.negate());
    }
    for name in [
        "source_category",
        "source_category_prefix",
        "source_category_replace_dash",
        "source_name",
        "source_host",
        "log_format",
        "kubernetes_meta",
        "kubernetes_meta_reduce",
        "add_stream",
        "add_time",
    ] {
        let _ = element.parameter(name);
    }
    (keeps != Condition::Always(true)).then_some(keeps)
}

/// What is done to a value after it was set.
pub fn after_block(step: &str, target: &str) -> Block {
    match step {
        "string" | "int" | "float" => {
            Block::of("convert").with("fields", vec![(target.to_string(), Value::from(step))])
        }
        step => Block::of(step).with("field", target),
    }
}

fn of_json(json: &serde_json::Value, tag: Option<&str>) -> Option<Value> {
    use serde_json::Value as Json;
    Some(match json {
        Json::String(text) => Value::Text(filled(text, tag).ok()?.text),
        Json::Bool(value) => Value::Boolean(*value),
        Json::Number(number) => {
            number.as_i64().map(Value::Integer).or_else(|| number.as_f64().map(Value::Float))?
        }
        Json::Array(items) => {
            Value::List(items.iter().map(|item| of_json(item, tag)).collect::<Option<_>>()?)
        }
        Json::Object(entries) => Value::Table(
            entries
                .iter()
                .map(|(key, value)| Some((key.clone(), of_json(value, tag)?)))
                .collect::<Option<_>>()?,
        ),
        Json::Null => return None,
    })
}

/// What stays.
fn grep(element: &Element, notes: &mut Notes) -> Option<Condition> {
    let mut keeps = Condition::Always(true);
    for inner in element.elements() {
        let condition = match inner.name.as_str() {
            "regexp" => one_of_grep(inner, notes)?,
            "exclude" => one_of_grep(inner, notes)?.negate(),
            "and" | "or" => {
                let parts: Vec<(bool, Condition)> = inner
                    .elements()
                    .map(|part| Some((part.name == "exclude", one_of_grep(part, notes)?)))
                    .collect::<Option<_>>()?;
                let excludes = parts.iter().any(|(excludes, _)| *excludes);
                let conditions = parts.into_iter().map(|(_, condition)| condition);
                let all = if inner.name == "and" {
                    conditions.fold(Condition::Always(true), Condition::and)
                } else {
                    conditions.fold(Condition::Always(false), Condition::or)
                };
                if excludes { all.negate() } else { all }
            }
            _ => continue,
        };
        keeps = keeps.and(condition);
    }
    for parameter in element.parameters() {
        let name = parameter.name.trim_end_matches(|c: char| c.is_ascii_digit());
        if !matches!(name, "regexp" | "exclude") {
            continue;
        }
        let value = parameter.value.source();
        let Some((key, pattern)) = value.split_once(' ') else { continue };
        let condition = condition_of(key, pattern.trim(), notes)?;
        keeps = keeps.and(if name == "exclude" { condition.negate() } else { condition });
    }
    if let Some(pattern) = text(element, "pattern", notes) {
        let key = text(element, "input_key", notes).or_else(|| text(element, "key", notes));
        keeps = keeps.and(condition_of(&key.unwrap_or_else(|| "message".into()), &pattern, notes)?);
    }
    Some(keeps)
}

fn one_of_grep(element: &Element, notes: &mut Notes) -> Option<Condition> {
    let key = text(element, "key", notes)?;
    let pattern = text(element, "pattern", notes)?;
    condition_of(&key, &pattern, notes)
}

/// `key =~ pattern`; a pattern that is one word between anchors is that word.
pub fn condition_of(key: &str, pattern: &str, notes: &mut Notes) -> Option<Condition> {
    let field = field(key);
    let pattern = pattern_of(pattern);
    let inner = pattern.strip_prefix('^').and_then(|p| p.strip_suffix('$')).unwrap_or_default();
    let is_word =
        |text: &str| text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | ' '));
    if !inner.is_empty() && is_word(inner) {
        return Some(Condition::atom(format!("{field} == {}", literal(inner))));
    }
    let alternatives =
        inner.strip_prefix('(').and_then(|p| p.strip_suffix(')')).unwrap_or_default();
    let words: Vec<String> =
        alternatives.trim_start_matches("?:").split('|').map(str::to_string).collect();
    if !alternatives.is_empty() && words.iter().all(|word| !word.is_empty() && is_word(word)) {
        let words: Vec<String> = words.iter().map(|word| literal(word)).collect();
        return Some(Condition::atom(format!("{field} in [{}]", words.join(", "))));
    }
    let (flags, rest) = match pattern.strip_prefix("(?i)") {
        Some(rest) => ("i", rest),
        None => ("", pattern.as_str()),
    };
    let rest = rest.replace("\\h", "[0-9a-fA-F]").replace("\\Z", "\\z").replace("(?m)", "(?s)");
    if let Err(error) = regex::Regex::new(&without_variables(&rest)) {
        let why = error.to_string().lines().last().unwrap_or_default().to_string();
        notes.refusal =
            Some(format!("the pattern of a condition has no look-around ({why}): {pattern}"));
        return None;
    }
    Some(matches(&field, &rest, flags))
}

/// A pattern with a letter where a variable of the environment stands.
fn without_variables(pattern: &str) -> String {
    let mut out = String::new();
    let mut rest = pattern;
    while let Some(start) = rest.find("${") {
        let Some(end) = rest[start..].find('}') else { break };
        out.push_str(&rest[..start]);
        out.push('x');
        rest = &rest[start + end + 1..];
    }
    out.push_str(rest);
    out
}

fn parser(element: &Element, notes: &mut Notes) -> Vec<Block> {
    let key = field(&text(element, "key_name", notes).unwrap_or_else(|| "message".to_string()));
    let keeps = text(element, "reserve_data", notes).is_some_and(|value| is_true(&value));
    let removes =
        text(element, "remove_key_name_field", notes).is_some_and(|value| is_true(&value));
    let target = text(element, "hash_value_field", notes).map(|target| field(&target));
    if !keeps {
        notes.difference("fields beside the parsed one stay (reserve_data false)");
    }
    if element.parameter("inject_key_prefix").is_some() {
        notes.difference("inject_key_prefix is left out");
    }
    let parser = parser_of(element, notes);
    match parser.filters(&key, target.as_deref()) {
        Ok(mut blocks) => {
            if let Some(first) = blocks.first_mut()
                && (removes || !keeps)
                && first.get("overwrite").is_none()
                && parser.kind != "none"
            {
                first.set("remove_field", vec![key]);
            }
            blocks
        }
        Err(why) => {
            notes.refusal = Some(why);
            Vec::new()
        }
    }
}

/// A lookup for each field.
pub fn geoip(element: &Element, notes: &mut Notes) -> Vec<Block> {
    let keys = text(element, "geoip_lookup_keys", notes)
        .or_else(|| text(element, "geoip_lookup_key", notes))
        .unwrap_or_else(|| "host".to_string());
    let database = text(element, "geoip2_database", notes)
        .or_else(|| text(element, "geoip_database", notes))
        .unwrap_or_else(|| "GeoLite2-City.mmdb".to_string());
    notes.difference("what is found is in `geoip`, under the names of docs/settings.md");
    notes.difference(format!("the database {database} is MaxMind's: download it"));
    let block = |key: &String| {
        Block::of("geoip")
            .with("field", field(key))
            .with("database", database.as_str())
            .with("optional", true)
    };
    list(&keys).iter().map(block).collect()
}

/// A `convert` of these types.
pub fn conversions(types: &[(String, String)]) -> Vec<Block> {
    let known = |(key, kind): &(String, String)| {
        Some((field(key), Value::from(super::super::fluent::parse::product_type(kind)?)))
    };
    let fields: Vec<(String, Value)> = types.iter().filter_map(known).collect();
    if fields.is_empty() { Vec::new() } else { vec![Block::of("convert").with("fields", fields)] }
}
