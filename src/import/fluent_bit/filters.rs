//! `[FILTER]` sections to filters.

use std::time::Duration;

use super::super::document::{Filter, Step};
use super::super::fluent::condition::{Condition, literal};
use super::super::fluent::draft::{Block, Value};
use super::super::fluent::parse::{field, path};
use super::super::fluent::tags::{TAG_FIELD, Tag};
use super::super::fluent::text::{is_true, list, lua_text, time};
use super::super::fluentd::filter::{condition_of, geoip, known_tag};
use super::super::fluentd::joining::Joins;
use super::super::fluentd::route::{Conversion, Notes, Stream};
use super::super::fluentd::source::text;
use super::super::fluentd::syntax::Element;
use super::super::trial::{self, Fault};
use super::{Translation, name_of};

impl Translation {
    /// A script, with the same call; it is tried, since not all of Lua's libraries are there.
    fn lua(&self, element: &Element, notes: &mut Notes) -> Vec<Block> {
        let call = text(element, "call", notes).unwrap_or_default();
        let file = text(element, "script", notes).unwrap_or_default();
        let code = match text(element, "code", notes) {
            Some(code) => Some(code),
            None => self.scripts.get(&file).cloned(),
        };
        let _ = (element.parameter("protected_mode"), element.parameter("time_as_table"));
        for name in ["type_int_key", "type_array_key"] {
            let _ = element.parameter(name);
        }
        let Some(code) = code else {
            notes.refusal = Some(format!(
                "the script `{file}` is not here; import again with it beside the configuration, or write \
                 `type = \"script\"`, `file = \"{file}\"`, `call = \"{call}\"`"
            ));
            return Vec::new();
        };
        let code = code.replace("\r\n", "\n");
        let tried = Filter::new("script").with("code", code.as_str()).with("call", call.as_str());
        match trial::steps(&[Step::Filter(tried)]) {
            None => {
                notes.difference(
                    "the script runs without files, processes and the network; `tag` and time are there as before",
                );
                vec![Block::of("script").with("call", call).with("code", code)]
            }
            Some(Fault::File(why) | Fault::Wrong(why)) => {
                notes.refusal =
                    Some(format!("the script cannot be run: {why}; mend it in a `script`"));
                Vec::new()
            }
        }
    }

    pub(super) fn filter(&mut self, element: &Element, taken: &[Stream]) {
        let mut notes = Notes::default();
        let kind = name_of(element);
        let mut keeps = None;
        let mut blocks = Vec::new();
        match kind.as_str() {
            "grep" => keeps = grep(element, &mut notes),
            "modify" => blocks = modify(element, &mut notes),
            "record_modifier" => blocks = record_modifier(element),
            "content_modifier" => blocks = content_modifier(element, &mut notes),
            "nest" => blocks = nest(element, &mut notes),
            "parser" => blocks = self.parser(element, &mut notes),
            "kubernetes" => {
                self.conversion.use_container_codec(taken);
                notes.difference(
                    "`kubernetes` has namespace, pod and container from the file's path, no labels",
                );
                blocks = merged_log(element, &mut notes);
            }
            "multiline" => blocks = self.multiline(element, taken, &mut notes),
            "stdout" => {
                self.conversion.printing(element, &kind, taken);
                return;
            }
            "geoip2" => blocks = geoip(element, &mut notes),
            "type_converter" => blocks = type_converter(element),
            "expect" => {
                notes.difference("expectations are not checked while events flow: write [[tests]]");
            }
            "throttle" => blocks = throttle(element, &mut notes),
            "log_to_metrics" => notes.difference(
                "counts of events are at http://127.0.0.1:9600/metrics, without these labels",
            ),
            "lua" => blocks = self.lua(element, &mut notes),
            "aws" => blocks = instance(element, &mut notes),
            "ecs" | "ecs_metadata" => blocks = task(element, &mut notes),
            "sysinfo" => blocks.push(
                Block::of("set")
                    .with("fields", vec![("hostname".to_string(), "{host.name}".into())]),
            ),
            other => notes.refusal = Some(format!("there is no filter `{other}`")),
        }
        let when = self.conversion.condition(taken);
        let comments = self.conversion.entry(element, &kind, notes);
        match keeps {
            Some(keeps) => {
                let Some(text) = when.and(keeps.negate()).text() else { return };
                let mut block = Block::of("drop").with("when", text);
                block.notes = comments;
                self.conversion.draft.filters.push(block.into());
            }
            None if blocks.is_empty() => {
                if !comments.is_empty() {
                    self.conversion
                        .draft
                        .filters
                        .push(Block { notes: comments, entries: Vec::new() }.into());
                }
            }
            None => self.conversion.add_filters(blocks, &when, &comments),
        }
    }

    fn parser(&self, element: &Element, notes: &mut Notes) -> Vec<Block> {
        let key = field(&text(element, "key_name", notes).unwrap_or_else(|| "log".to_string()));
        let keeps = text(element, "preserve_key", notes).is_some_and(|value| is_true(&value));
        if !text(element, "reserve_data", notes).is_some_and(|value| is_true(&value)) {
            notes.difference("fields beside the parsed one stay (Reserve_Data Off)");
        }
        let names: Vec<String> = element
            .parameters()
            .filter(|parameter| parameter.name == "parser")
            .map(|parameter| parameter.value.source().trim().to_lowercase())
            .collect();
        if names.len() > 1 {
            notes.difference("of several parsers only the first is taken");
        }
        let name = names.into_iter().next().unwrap_or_default();
        let Some(parser) = self.parsers.get(&name) else {
            notes.difference(format!(
                "the parser `{name}` is not in what was given: the field is not parsed"
            ));
            return Vec::new();
        };
        match parser.filters(&key, None) {
            Ok(mut blocks) => {
                if let Some(first) =
                    blocks.first_mut().filter(|block| !keeps && block.get("overwrite").is_none())
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

    fn multiline(&mut self, element: &Element, taken: &[Stream], notes: &mut Notes) -> Vec<Block> {
        let key = text(element, "multiline.key_content", notes);
        let mut joins = Joins { field: field(key.as_deref().unwrap_or("log")), ..Joins::default() };
        joins.wait = text(element, "flush_ms", notes)
            .and_then(|text| time(&format!("{}ms", text.trim())))
            .filter(|wait| wait != "0s");
        for name in ["buffer", "emitter_name", "emitter_storage.type", "emitter_mem_buf_limit"] {
            let _ = element.parameter(name);
        }
        let mode = text(element, "mode", notes).unwrap_or_default().to_lowercase();
        if mode == "partial_message" {
            joins.by.push("partial_id".to_string());
            let unfinished = "partial_message == \"true\" and partial_last != \"true\"";
            joins.own.push(("unfinished".to_string(), unfinished.into()));
            joins.own.push(("separator".to_string(), "".into()));
            let gone = ["partial_message", "partial_id", "partial_ordinal", "partial_last"];
            joins.own.push(("remove_field".to_string(), gone.map(str::to_string).to_vec().into()));
            return self.conversion.join(taken, joins, notes);
        }
        let names = text(element, "multiline.parser", notes).unwrap_or_default().to_lowercase();
        let names = list(&names);
        let own = names.iter().find_map(|name| self.multiline.get(name));
        let rule = match (names.as_slice(), own) {
            ([one], _) if matches!(one.as_str(), "java" | "python" | "go" | "ruby") => {
                ("preset", one.clone())
            }
            (_, Some(pattern)) => {
                notes.difference("an event goes on up to the next line that can begin one");
                ("start", pattern.clone())
            }
            _ => ("preset", "any".to_string()),
        };
        joins.rule.push((rule.0.to_string(), rule.1.into()));
        self.conversion.join(taken, joins, notes)
    }

    /// What stays under its tag, and what gets another one.
    pub(super) fn rewrite_tag(
        &mut self,
        element: &Element,
        taken: &[Stream],
    ) -> (Condition, Vec<Stream>) {
        let mut notes = Notes::default();
        let mut stays = Condition::Always(true);
        let mut new = Vec::new();
        let mut blocks = Vec::new();
        let known = known_tag(taken).map(str::to_string);
        for rule in element.parameters().filter(|parameter| parameter.name == "rule") {
            let source = rule.value.source();
            let words: Vec<&str> = source.split_whitespace().collect();
            let [key, pattern @ .., tag, keep] = words.as_slice() else { continue };
            let Some(condition) = condition_of(key, &pattern.join(" "), &mut notes) else {
                continue;
            };
            let when = stays.clone().and(condition.clone());
            let here: Vec<Stream> = taken
                .iter()
                .map(|s| Stream { when: s.when.clone().and(when.clone()), ..s.clone() })
                .collect();
            if is_true(keep) {
                notes.difference("an event under two tags is one event");
            } else {
                stays = stays.and(condition.negate());
            }
            let tag = known
                .as_ref()
                .map_or_else(|| (*tag).to_string(), |known| tag.replace("$TAG", known));
            if tag.contains('$') {
                let template = template_of(&tag, &field(key));
                let prefix = template.split('{').next().unwrap_or_default().to_string();
                let fields = vec![(TAG_FIELD.to_string(), Value::from(template))];
                let mut block = Block::of("set").with("fields", fields);
                if let Some(when) = self.conversion.condition(&here).text() {
                    block.entries.insert(1, ("when".to_string(), when.into()));
                }
                blocks.push(block);
                new.extend(Conversion::retagged(&here, &Tag::Field(prefix)));
            } else {
                new.extend(Conversion::retagged(&here, &Tag::Fixed(tag)));
            }
        }
        self.conversion.said(element, "rewrite_tag", notes);
        for block in blocks {
            self.conversion.draft.filters.push(block.into());
        }
        new.retain(|stream| stream.when != Condition::Always(false));
        (stays, new)
    }
}

/// `$TAG`, `$1`, `$key['a']` in a new tag.
fn template_of(tag: &str, key: &str) -> String {
    let mut out = String::new();
    for (at, part) in tag.split('$').enumerate() {
        if at == 0 {
            out.push_str(part);
            continue;
        }
        let end = part.find(['.', '-', '/']).filter(|_| !part.contains('[')).unwrap_or(part.len());
        let name = &part[..end];
        match name {
            "TAG" => out.push_str("{@metadata.tag}"),
            name if name.starts_with(|c: char| c.is_ascii_digit()) => {
                out.push_str(&format!("{{{key}}}"));
            }
            name => out.push_str(&format!("{{{}}}", field(&format!("${name}")))),
        }
        out.push_str(&part[end..]);
    }
    out
}

/// What the metadata of an instance says, as variables of the environment.
fn instance(element: &Element, notes: &mut Notes) -> Vec<Block> {
    let known = [
        ("az", "az", "AWS_AVAILABILITY_ZONE", true),
        ("ec2_instance_id", "ec2_instance_id", "EC2_INSTANCE_ID", true),
        ("ec2_instance_type", "ec2_instance_type", "EC2_INSTANCE_TYPE", false),
        ("private_ip", "private_ip", "EC2_PRIVATE_IP", false),
        ("ami_id", "ami_id", "EC2_AMI_ID", false),
        ("account_id", "account_id", "AWS_ACCOUNT_ID", false),
        ("hostname", "hostname", "EC2_HOSTNAME", false),
        ("vpc_id", "vpc_id", "AWS_VPC_ID", false),
    ];
    let mut fields = Vec::new();
    for (name, ours, variable, usual) in known {
        let on = text(element, name, notes).map_or(usual, |text| is_true(&text));
        if on {
            fields.push((ours.to_string(), Value::from(format!("${{{variable}:-unknown}}"))));
        }
    }
    if text(element, "tags_enabled", notes).is_some_and(|on| is_true(&on)) {
        notes.difference("tags of the instance are no fields");
    }
    from_environment(fields, notes)
}

/// `ADD name $Key`: what the metadata of a task says, as variables of the environment.
fn task(element: &Element, notes: &mut Notes) -> Vec<Block> {
    let mut fields = Vec::new();
    for parameter in element.parameters().filter(|parameter| parameter.name == "add") {
        let Some((name, value)) = pair(&parameter.value.source()) else { continue };
        let mut variable = "ECS".to_string();
        let mut small = true;
        for c in value.chars().filter(char::is_ascii_alphanumeric) {
            if c.is_ascii_uppercase() && small {
                variable.push('_');
            }
            small = !c.is_ascii_uppercase();
            variable.push(c.to_ascii_uppercase());
        }
        fields.push((field(&name), Value::from(format!("${{{variable}:-unknown}}"))));
    }
    if fields.is_empty() {
        notes.refusal = Some("it adds nothing that is named; write a filter `set`".to_string());
        return Vec::new();
    }
    from_environment(fields, notes)
}

fn from_environment(fields: Vec<(String, Value)>, notes: &mut Notes) -> Vec<Block> {
    let named = fields.iter().filter_map(|(_, value)| match value {
        Value::Text(text) => text.trim_start_matches("${").split(":-").next(),
        _ => None,
    });
    notes.difference(format!(
        "Amazon's metadata is not asked for: set {} in the environment of the service",
        named.collect::<Vec<_>>().join(", ")
    ));
    if fields.is_empty() { Vec::new() } else { vec![Block::of("set").with("fields", fields)] }
}

/// Two words: a key, and the rest of the line.
fn pair(text: &str) -> Option<(String, String)> {
    let (key, value) = text.trim().split_once(char::is_whitespace).unwrap_or((text.trim(), ""));
    let unquoted = value.trim();
    let unquoted = unquoted.strip_prefix('"').and_then(|t| t.strip_suffix('"')).unwrap_or(unquoted);
    (!key.is_empty()).then(|| (key.to_string(), unquoted.to_string()))
}

fn constant(text: &str) -> Value {
    if text.contains("${HOSTNAME") {
        return Value::Text("{host.name}".to_string());
    }
    let text = text.replace('{', "{{").replace('}', "}}");
    Value::Text(restored(&text))
}

/// `${{NAME}}` is a variable again.
fn restored(text: &str) -> String {
    let mut out = text.to_string();
    while let Some(start) = out.find("${{") {
        let Some(end) = out[start..].find("}}") else { break };
        out = format!(
            "{}${{{}}}{}",
            &out[..start],
            &out[start + 3..start + end],
            &out[start + end + 2..]
        );
    }
    out
}

fn grep(element: &Element, notes: &mut Notes) -> Option<Condition> {
    let any = text(element, "logical_op", notes).is_some_and(|op| op.eq_ignore_ascii_case("or"));
    let mut keeps = Vec::new();
    let mut excluded = Vec::new();
    for parameter in element.parameters() {
        if !matches!(parameter.name.as_str(), "regex" | "exclude") {
            continue;
        }
        let Some((key, pattern)) = pair(&parameter.value.source()) else { continue };
        let condition = condition_of(&key, &pattern, notes)?;
        if parameter.name == "regex" { keeps.push(condition) } else { excluded.push(condition) }
    }
    let all =
        |parts: Vec<Condition>| parts.into_iter().fold(Condition::Always(true), Condition::and);
    let one =
        |parts: Vec<Condition>| parts.into_iter().fold(Condition::Always(false), Condition::or);
    let legacy = !element.parameters().any(|parameter| parameter.name == "logical_op");
    let kept = if keeps.is_empty() {
        Condition::Always(true)
    } else if any {
        one(keeps)
    } else {
        all(keeps)
    };
    let gone = if excluded.is_empty() {
        Condition::Always(false)
    } else if any || legacy {
        one(excluded)
    } else {
        all(excluded)
    };
    Some(kept.and(gone.negate()))
}

fn modify(element: &Element, notes: &mut Notes) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut when = Condition::Always(true);
    for parameter in element.parameters() {
        let Some((key, value)) = pair(&parameter.value.source()) else { continue };
        let name = field(&key);
        let block = match parameter.name.as_str() {
            "set" => Block::of("set").with("fields", vec![(name, constant(&value))]),
            "add" => Block::of("set")
                .with("fields", vec![(name, constant(&value))])
                .with("only_if_absent", true),
            "remove" => Block::of("remove").with("fields", vec![name]),
            "remove_wildcard" => {
                Block::of("remove").with("fields", vec![format!("{}*", name.trim_end_matches('*'))])
            }
            "remove_regex" => Block::of("prune").with("blacklist_names", vec![key]),
            "rename" | "hard_rename" | "copy" | "hard_copy" if value == "@timestamp" => {
                let formats = ["ISO8601", "UNIX", "UNIX_MS"].map(str::to_string).to_vec();
                let date = Block::of("date").with("field", name.as_str()).with("formats", formats);
                match parameter.name.ends_with("rename") {
                    true => date.with("remove_field", vec![name]),
                    false => date,
                }
            }
            "rename" | "hard_rename" => {
                Block::of("rename").with("fields", vec![(name, Value::from(field(&value)))])
            }
            "copy" | "hard_copy" => {
                Block::of("copy").with("fields", vec![(name, Value::from(field(&value)))])
            }
            "condition" => {
                match condition(&key, &value, notes) {
                    Some(condition) => when = when.and(condition),
                    None => notes.refusal = Some(format!("a condition `{key}` is not understood")),
                }
                continue;
            }
            _ => continue,
        };
        match blocks.last_mut() {
            // One after the other of a kind are one filter.
            Some(last)
                if last.kind() == block.kind()
                    && last.get("only_if_absent") == block.get("only_if_absent") =>
            {
                join(last, &block);
            }
            _ => blocks.push(block),
        }
    }
    if let Some(text) = when.text() {
        for block in &mut blocks {
            block.entries.insert(1, ("when".to_string(), text.as_str().into()));
        }
    }
    blocks
}

fn join(last: &mut Block, next: &Block) {
    for (key, value) in &next.entries {
        let joined = match (last.get(key).cloned(), value) {
            (Some(Value::Table(mut known)), Value::Table(more)) => {
                for (name, value) in more {
                    known.retain(|(other, _)| other != name);
                    known.push((name.clone(), value.clone()));
                }
                Value::Table(known)
            }
            (Some(Value::List(mut known)), Value::List(more)) => {
                known.extend(more.iter().cloned());
                Value::List(known)
            }
            _ => continue,
        };
        last.set(key, joined);
    }
}

/// `Condition Key_value_matches a ^b`.
fn condition(kind: &str, rest: &str, notes: &mut Notes) -> Option<Condition> {
    let (key, value) = pair(rest)?;
    let name = field(&key);
    let exists = Condition::atom(format!("exists({name})"));
    Some(match kind.to_lowercase().as_str() {
        "key_exists" => exists,
        "key_does_not_exist" => exists.negate(),
        "key_value_equals" => Condition::atom(format!("{name} == {}", literal(&value))),
        "key_value_does_not_equal" => {
            Condition::atom(format!("{name} == {}", literal(&value))).negate()
        }
        "key_value_matches" => condition_of(&key, &value, notes)?,
        "key_value_does_not_match" => condition_of(&key, &value, notes)?.negate(),
        _ => return None,
    })
}

fn record_modifier(element: &Element) -> Vec<Block> {
    let mut set = Vec::new();
    let mut removed = Vec::new();
    let mut kept = Vec::new();
    for parameter in element.parameters() {
        let source = parameter.value.source();
        match parameter.name.as_str() {
            "record" => {
                set.extend(pair(&source).map(|(key, value)| (path(&[&key]), constant(&value))));
            }
            "remove_key" => removed.push(path(&[source.trim()])),
            "allowlist_key" | "whitelist_key" => {
                kept.push(format!("^{}$", regex::escape(source.trim())));
            }
            _ => {}
        }
    }
    let mut blocks = Vec::new();
    if !set.is_empty() {
        let mut unique: Vec<(String, Value)> = Vec::new();
        for (name, value) in set {
            unique.retain(|(other, _)| *other != name);
            unique.push((name, value));
        }
        blocks.push(Block::of("set").with("fields", unique));
    }
    if !removed.is_empty() {
        blocks.push(Block::of("remove").with("fields", removed));
    }
    if !kept.is_empty() {
        blocks.push(Block::of("prune").with("whitelist_names", kept));
    }
    blocks
}

fn content_modifier(element: &Element, notes: &mut Notes) -> Vec<Block> {
    let key = field(&text(element, "key", notes).unwrap_or_default());
    let value = text(element, "value", notes).unwrap_or_default();
    match text(element, "action", notes).unwrap_or_default().as_str() {
        "insert" => {
            vec![
                Block::of("set")
                    .with("fields", vec![(key, constant(&value))])
                    .with("only_if_absent", true),
            ]
        }
        "upsert" => vec![Block::of("set").with("fields", vec![(key, constant(&value))])],
        "delete" => vec![Block::of("remove").with("fields", vec![key])],
        "rename" => {
            vec![Block::of("rename").with("fields", vec![(key, Value::from(field(&value)))])]
        }
        other => {
            notes.refusal = Some(format!("there is no action `{other}`"));
            Vec::new()
        }
    }
}

fn nest(element: &Element, notes: &mut Notes) -> Vec<Block> {
    let operation = text(element, "operation", notes).unwrap_or_default().to_lowercase();
    let under = field(
        &text(element, "nest_under", notes)
            .or_else(|| text(element, "nested_under", notes))
            .unwrap_or_default(),
    );
    if operation == "nest" {
        let removed = text(element, "remove_prefix", notes).unwrap_or_default();
        let wildcards: Vec<String> = element
            .parameters()
            .filter(|p| p.name == "wildcard")
            .map(|p| p.value.source().trim().to_string())
            .collect();
        if wildcards.is_empty() {
            notes.refusal = Some("it has no `Wildcard`; move fields with `rename`".to_string());
            return Vec::new();
        }
        if wildcards.iter().any(|name| name.contains('*')) {
            return vec![Block::of("script").with("code", nested(&wildcards, &under, &removed))];
        }
        let to = |name: &String| {
            let short = name.strip_prefix(&removed).unwrap_or(name);
            (path(&[name]), Value::from(format!("{under}.{}", path(&[short]))))
        };
        return vec![
            Block::of("rename").with("fields", wildcards.iter().map(to).collect::<Vec<_>>()),
        ];
    }
    let added = text(element, "add_prefix", notes).or_else(|| text(element, "prefix_with", notes));
    vec![Block::of("script").with("code", lifted(&under, &added.unwrap_or_default()))]
}

/// A function that makes a name one that is not taken for a path.
const NAMED: &str = "local function named(name) return (name:gsub('([\\\\.])', '\\\\%1')) end\n";

/// Lua that puts the fields whose names begin so into an object.
fn nested(wildcards: &[String], under: &str, removed: &str) -> String {
    let wanted: Vec<String> = wildcards
        .iter()
        .map(|name| match name.strip_suffix('*') {
            Some(start) => {
                format!("k:sub(1, {}) == {}", start.len(), lua_text(start))
            }
            None => format!("k == {}", lua_text(name)),
        })
        .collect();
    let short = if removed.is_empty() {
        "k".to_string()
    } else {
        let (length, removed) = (removed.len(), lua_text(removed));
        format!("k:sub(1, {length}) == {removed} and k:sub({}) or k", length + 1)
    };
    format!(
        "{NAMED}local under = event:get({0}) or {{}}\n\
         for k, v in pairs(event:to_table()) do\n  \
           if k ~= '@timestamp' and k ~= '@metadata' and ({1}) then\n    \
             under[{short}] = v\n    event:remove(named(k))\n  end\nend\n\
         if next(under) then event:set({0}, under) end\n",
        lua_text(under),
        wanted.join(" or ")
    )
}

/// Lua that puts an object's fields beside it.
fn lifted(under: &str, prefix: &str) -> String {
    format!(
        "{NAMED}local inner = event:get({0})\n\
         if type(inner) == 'table' then\n  event:remove({0})\n  \
           for k, v in pairs(inner) do event:set(named({1} .. k), v) end\nend\n",
        lua_text(under),
        lua_text(prefix)
    )
}

fn merged_log(element: &Element, notes: &mut Notes) -> Vec<Block> {
    if !text(element, "merge_log", notes).is_some_and(|value| is_true(&value)) {
        return Vec::new();
    }
    let mut block = Block::of("json").with("field", "log").with("skip_invalid", true);
    if let Some(key) = text(element, "merge_log_key", notes) {
        block.set("target", field(&key));
    }
    if text(element, "keep_log", notes).is_some_and(|value| !is_true(&value)) {
        block.set("remove_field", vec!["log".to_string()]);
    }
    vec![block]
}

fn type_converter(element: &Element) -> Vec<Block> {
    let mut blocks = Vec::new();
    for parameter in element.parameters().filter(|parameter| parameter.name.ends_with("_key")) {
        let source = parameter.value.source();
        let words: Vec<&str> = source.split_whitespace().collect();
        let [from, to, kind] = words.as_slice() else { continue };
        if from != to {
            blocks.push(
                Block::of("copy").with("fields", vec![(field(from), Value::from(field(to)))]),
            );
        }
        let kind = super::super::fluent::parse::product_type(kind).unwrap_or("string");
        blocks.push(Block::of("convert").with("fields", vec![(field(to), Value::from(kind))]));
    }
    blocks
}

/// A limit on average over some intervals, as one on all of them together.
fn throttle(element: &Element, notes: &mut Notes) -> Vec<Block> {
    let number = |name: &str, usual: f64, notes: &mut Notes| {
        let written = text(element, name, notes).and_then(|text| text.trim().parse::<f64>().ok());
        written.filter(|number| *number >= 1.0 && *number < 1e9).unwrap_or(usual)
    };
    let (rate, window) = (number("rate", 1000.0, notes), number("window", 5.0, notes));
    let interval = text(element, "interval", notes).and_then(|text| time(&text));
    let interval = interval.and_then(|text| crate::settings::parse_duration(&text));
    let interval = interval.filter(|span| !span.is_zero()).unwrap_or(Duration::from_secs(1));
    let Some(span) = time(&format!("{}", interval.as_secs_f64() * window)) else {
        return Vec::new();
    };
    notes.difference(format!(
        "the limit counts in windows of {span} that follow one another, not in one that slides"
    ));
    let _ = text(element, "print_status", notes);
    vec![Block::of("throttle").with("limit", (rate * window) as i64).with("window", span)]
}
