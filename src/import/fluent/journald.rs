//! `systemd` of Fluentd and of Fluent Bit as the input `journald`.
//!
//! In: the element. Out: the input, and filters: for entries that its settings do not ask for, and for names that it
//! changes. Promises: fields have journald's own names, as the source gives them; what the source does not ask for is
//! dropped. On failure: a condition that cannot be read is said.

use super::super::fluentd::route::Notes;
use super::super::fluentd::source::text;
use super::super::fluentd::syntax::Element;
use super::condition::{Condition, literal};
use super::draft::{Block, Value};
use super::parse::path;
use super::text::is_true;

/// How names are spelled.
#[derive(Clone, Copy, Default)]
struct Spelling {
    strip_underscores: bool,
    lowercase: bool,
}

/// One of the entries' conditions: a field and the values that it may have.
type Match = (String, Vec<String>);

/// `systemd` of Fluentd.
pub fn of_fluentd(element: &Element, notes: &mut Notes, filters: &mut Vec<Block>) -> Block {
    let written = text(element, "matches", notes).or_else(|| text(element, "filters", notes));
    let groups = written.map(|written| match matches_of(&written) {
        Some(groups) => groups,
        None => {
            notes.difference(format!("`matches` is not understood: {written}"));
            Vec::new()
        }
    });
    let entry = element.element("entry").unwrap_or(element);
    let flag = |from: &Element, name: &str, notes: &mut Notes| {
        text(from, name, notes).is_some_and(|text| is_true(&text))
    };
    let spelling = Spelling {
        strip_underscores: flag(entry, "fields_strip_underscores", notes)
            || flag(element, "strip_underscores", notes),
        lowercase: flag(entry, "fields_lowercase", notes),
    };
    let head = flag(element, "read_from_head", notes);
    let read = element.element("storage").is_some() || text(element, "pos_file", notes).is_some();
    let mut block = block_of(element, spelling, head, read, notes);
    chosen(&mut block, &groups.unwrap_or_default(), spelling, notes, filters);
    renamed(entry, spelling, notes, filters);
    block
}

/// `systemd` of Fluent Bit.
pub fn of_fluent_bit(element: &Element, notes: &mut Notes, filters: &mut Vec<Block>) -> Block {
    let flag = |name: &str, notes: &mut Notes| {
        text(element, name, notes).is_some_and(|text| is_true(&text))
    };
    let spelling = Spelling {
        strip_underscores: flag("strip_underscores", notes),
        lowercase: flag("lowercase", notes),
    };
    let all = text(element, "systemd_filter_type", notes)
        .is_some_and(|kind| kind.eq_ignore_ascii_case("and"));
    let wanted: Vec<Match> = element
        .written()
        .filter(|parameter| parameter.name == "systemd_filter")
        .filter_map(|parameter| {
            let source = parameter.value.source();
            let (name, value) = source.split_once('=')?;
            Some((name.trim().to_string(), vec![value.trim().to_string()]))
        })
        .collect();
    let groups = match (all, wanted.is_empty()) {
        (_, true) => Vec::new(),
        (true, _) => vec![wanted],
        (false, _) => wanted.into_iter().map(|one| vec![one]).collect(),
    };
    let head = !flag("read_from_tail", notes);
    let read = text(element, "db", notes).is_some();
    for name in ["systemd_filter", "max_fields", "max_entries"] {
        let _ = element.parameter(name);
    }
    let mut block = block_of(element, spelling, head, read, notes);
    chosen(&mut block, &groups, spelling, notes, filters);
    block
}

fn block_of(
    element: &Element,
    spelling: Spelling,
    head: bool,
    read: bool,
    notes: &mut Notes,
) -> Block {
    let mut block = Block::of("journald");
    if let Some(path) = text(element, "path", notes).filter(|path| !path.trim().is_empty()) {
        block.set("paths", vec![path]);
    }
    block.set("names", "journald");
    if spelling.strip_underscores {
        block.set("strip_underscores", true);
    }
    if spelling.lowercase {
        block.set("lowercase", true);
    }
    if !head {
        block.set("since", "now");
    }
    if read {
        notes.difference(
            "how far the old agent had read in journald's files is not taken over: `since` says what counts at first",
        );
    }
    block
}

/// `[{ "_SYSTEMD_UNIT": "a.service", "PRIORITY": ["1", "2"] }, …]`: one of the objects, all of its fields.
fn matches_of(written: &str) -> Option<Vec<Vec<Match>>> {
    let text_of = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) => Some(text.clone()),
        serde_json::Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let found: serde_json::Value = serde_json::from_str(written).ok()?;
    let objects = match found {
        serde_json::Value::Array(objects) => objects,
        object @ serde_json::Value::Object(_) => vec![object],
        _ => return None,
    };
    let group = |object: &serde_json::Value| {
        let fields = object.as_object()?.iter();
        fields
            .map(|(name, value)| {
                let values = match value {
                    serde_json::Value::Array(values) => {
                        values.iter().map(text_of).collect::<Option<Vec<_>>>()?
                    }
                    one => vec![text_of(one)?],
                };
                Some((name.clone(), values))
            })
            .collect::<Option<Vec<Match>>>()
    };
    objects.iter().map(group).collect()
}

/// Entries that are asked for: `units` where only units are, else a filter that drops the others.
fn chosen(
    block: &mut Block,
    groups: &[Vec<Match>],
    spelling: Spelling,
    notes: &mut Notes,
    filters: &mut Vec<Block>,
) {
    if groups.is_empty() || groups.iter().any(Vec::is_empty) {
        return;
    }
    let unit = |group: &Vec<Match>| match group.as_slice() {
        [(name, values)] if name == "_SYSTEMD_UNIT" => {
            values.iter().all(|value| value.contains('.')).then(|| values.clone())
        }
        _ => None,
    };
    if let Some(units) = groups.iter().map(unit).collect::<Option<Vec<_>>>() {
        block.set("units", units.concat());
        notes.difference("what systemd itself says of these units is read, too");
        return;
    }
    let is = |(name, values): &Match| {
        let name = path(&[&spelling.of(name)]);
        let one = |value: &String| Condition::atom(format!("{name} == {}", literal(value)));
        values.iter().map(one).fold(Condition::Always(false), Condition::or)
    };
    let wanted = groups
        .iter()
        .map(|group| group.iter().map(&is).fold(Condition::Always(true), Condition::and))
        .fold(Condition::Always(false), Condition::or);
    if let Some(others) = wanted.negate().text() {
        filters.push(Block::of("drop").with("when", others));
    }
}

/// `field_map`: other names, and with `field_map_strict` only those.
fn renamed(entry: &Element, spelling: Spelling, notes: &mut Notes, filters: &mut Vec<Block>) {
    let Some(written) = text(entry, "field_map", notes) else { return };
    let Ok(serde_json::Value::Object(map)) = serde_json::from_str(&written) else {
        notes.difference("`field_map` is no JSON object, and is not heeded");
        return;
    };
    let mut kept = Vec::new();
    for (from, to) in &map {
        let targets: Vec<String> = match to {
            serde_json::Value::Array(names) => {
                names.iter().filter_map(|name| name.as_str().map(str::to_string)).collect()
            }
            one => one.as_str().map(str::to_string).into_iter().collect(),
        };
        let from = path(&[&spelling.of(from)]);
        kept.extend(targets.iter().map(|target| format!("^{}$", regex::escape(target))));
        if let [target] = targets.as_slice() {
            let fields = vec![(from, Value::from(path(&[target])))];
            filters.push(Block::of("rename").with("fields", fields));
            continue;
        }
        for target in &targets {
            let fields = vec![(from.clone(), Value::from(path(&[target])))];
            filters.push(Block::of("copy").with("fields", fields));
        }
        if !targets.contains(&from) {
            filters.push(Block::of("remove").with("fields", vec![from]));
        }
    }
    if text(entry, "field_map_strict", notes).is_some_and(|text| is_true(&text)) {
        filters.push(Block::of("prune").with("whitelist_names", kept));
    }
}

impl Spelling {
    fn of(self, name: &str) -> String {
        let name = if self.strip_underscores { name.trim_start_matches('_') } else { name };
        if self.lowercase { name.to_lowercase() } else { name.to_string() }
    }
}
