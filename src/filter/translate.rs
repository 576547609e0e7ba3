//! Filter `translate`: a value looked up in a dictionary.
//!
//! In: `field` (of a list the first item) and a dictionary: `dictionary`, a table, or `dictionary_path`, a file in
//! CSV, JSON or YAML. Out: what the dictionary has for it, in `target` (default: the field itself). With
//! `exact = false` every key within the text is replaced; with `regex` keys are patterns of Ruby; `fallback` stands
//! where nothing is found; `iterate_on` names a list whose items are looked up one by one.
//! Promises: the dictionary is compiled before it is used; a file is read again within seconds when it changes.
//! On failure: what is not found changes nothing (without `fallback`); a changed file that cannot be used leaves the
//! old dictionary in use, is counted, and said.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hashbrown::{HashMap, HashSet};

use super::expressions::load_expression;
use super::mutate::Made;
use super::named::{Use, flag, hash, optional_field, path, source};
use super::watched::{self, Watched};
use super::{Filter, FilterLoad, Make, label};
use crate::clock::SharedClock;
use crate::event::{Batch, Literal, NodeId, Path, Selection, Value};
use crate::grok::{Expression, ExpressionScratch, Search};
use crate::settings::{self, Section, Spanned};

mod dictionary;
mod yaml;

struct Translate {
    plan: Arc<Plan>,
    /// The one for the batch at work.
    dictionary: Arc<Dictionary>,
    search: ExpressionScratch,
    scratch: Vec<u8>,
    text: Vec<u8>,
}

struct Plan {
    field: Path,
    target: Path,
    iterate_on: Option<Path>,
    replace: bool,
    exact: bool,
    written: Written,
    fallback: Option<Made>,
    clock: SharedClock,
}

/// Where the dictionary stands.
enum Written {
    Here(Arc<Dictionary>),
    InFile(Watched<Dictionary>),
}

/// Keys and values.
struct Dictionary {
    /// Used where keys are patterns, or parts of texts; in the order written.
    patterns: Vec<(Expression, Literal)>,
    table: HashMap<Box<[u8]>, Literal>,
}

/// How keys are meant.
#[derive(Clone, Copy)]
struct Meaning {
    exact: bool,
    regex: bool,
}

/// Reads the settings.
pub(super) fn load(section: &Section<'_>, load: &mut FilterLoad<'_>) -> Option<Make> {
    let field = source(section, None, load);
    let target = match section.string("destination") {
        Some(name) => path(section, &name, Use::Write, load).map(Some),
        None => optional_field(section, "target", load),
    };
    if section.has("destination") && section.has("target") {
        let message = "`destination` and `target` are the same: write one of them";
        section.error(section.span_of("destination"), message, None);
    }
    let iterate_on = optional_field(section, "iterate_on", load);
    let exact = flag(section, "exact", true);
    let regex = flag(section, "regex", false);
    let classic = super::json::is_classic(section);
    let written = written(section, Meaning { exact, regex }, load);
    let fallback = section.item("fallback").map(|item| Made::load(section, item, load));
    let replace = flag(section, "override", false);
    let field = field?;
    let classic = classic.then(|| Path::from_names(&["translation"], load.keys));
    let target = target?.or(classic).unwrap_or_else(|| field.clone());
    if target == field && section.has("override") && !replace {
        let message = "`override = false` with the field itself as target would do nothing";
        let hint = "write another `target`, or leave `override` out";
        section.error(section.span_of("override"), message, Some(hint.into()));
        return None;
    }
    let replace = replace || target == field;
    if fallback.as_ref().is_some_and(Option::is_none) {
        return None;
    }
    let iterate_on = iterate_on?;
    let fallback = fallback.flatten();
    let (written, clock) = (written?, Arc::clone(load.clock));
    let plan = Plan { field, target, iterate_on, replace, exact, written, fallback, clock };
    let plan = Arc::new(plan);
    Some(Box::new(move || {
        Box::new(Translate {
            plan: Arc::clone(&plan),
            dictionary: match &plan.written {
                Written::Here(dictionary) => Arc::clone(dictionary),
                Written::InFile(watched) => watched.current(),
            },
            search: ExpressionScratch::default(),
            scratch: Vec::new(),
            text: Vec::new(),
        })
    }))
}

/// The dictionary, or its file.
fn written(section: &Section<'_>, meaning: Meaning, load: &FilterLoad<'_>) -> Option<Written> {
    let name = section.string("dictionary_path");
    let reading = reading(section);
    // How Logstash's reader of YAML takes its memory.
    section.string("yaml_load_strategy");
    let longest = longest(section, name.as_ref());
    if let (Some(name), true) = (&name, section.has("dictionary")) {
        let message = "`dictionary` and `dictionary_path` exclude each other";
        section.error(name.span.clone(), message, Some("write one of them".into()));
        return None;
    }
    if let Some(inline) = hash(section, "dictionary") {
        let mut made = Dictionary { patterns: Vec::new(), table: HashMap::new() };
        for (key, item) in inline {
            let Some(value) = Literal::from_setting(&item.literal) else {
                let message = format!("a value cannot be {}", item.literal.kind());
                section.error(item.span.clone(), message, Some("write it in quotes".into()));
                return None;
            };
            let expression = |key: &Spanned<String>| load_expression(section, key);
            made.add(meaning, key, value, expression)?;
        }
        return Some(Written::Here(Arc::new(made)));
    }
    let Some(name) = name else {
        if section.has("fallback") {
            // Whatever comes gets the fallback.
            let empty = Dictionary { patterns: Vec::new(), table: HashMap::new() };
            return Some(Written::Here(Arc::new(empty)));
        }
        section.missing("dictionary", "{ \"200\" = \"OK\" }");
        return None;
    };
    let file = section.resolve(&name);
    // So that a reload sees a change of the file, too.
    let _ = section.read_file(&file);
    let help = "Changed dictionaries that could not be used; the old one stayed.";
    let metrics = load.metrics.with("filter", &label(section));
    let failures = metrics.counter("logweir_translate_reload_failures_total", help);
    let kept = Mutex::new(Vec::new());
    let read = move |path: &std::path::Path| {
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        Dictionary::read(path, longest, meaning, reading.merge.then_some(&mut *kept))
    };
    match Watched::open("dictionary", file.clone(), load.clock, failures, read) {
        Ok(watched) => Some(Written::InFile(watched.looked_at_every(reading.every_ns, load.clock))),
        Err(why) => {
            let message = format!("cannot use the dictionary `{}`: {why}", file.display());
            let hint = "give a file that ends with .csv, .json, .yaml or .yml";
            section.error(name.span, message, Some(hint.into()));
            None
        }
    }
}

/// How many characters the file may have: Logstash's bound for YAML.
fn longest(section: &Section<'_>, file: Option<&Spanned<String>>) -> usize {
    let key = "yaml_dictionary_code_point_limit";
    let Some(longest) = section.integer(key, 1..i64::MAX) else { return usize::MAX };
    let is_yaml = |file: &Spanned<String>| file.ends_with(".yml") || file.ends_with(".yaml");
    if !file.is_some_and(is_yaml) {
        let hint = "leave it out: it bounds dictionaries in YAML";
        let message = format!("`{key}` is for a `dictionary_path` in YAML");
        section.error(section.span_of(key), message, Some(hint.into()));
    }
    longest as usize
}

/// How a file is read again.
struct Reading {
    /// `None`: never.
    every_ns: Option<u64>,
    /// Entries that are gone from the file stay.
    merge: bool,
}

fn reading(section: &Section<'_>) -> Reading {
    let usual = Duration::from_nanos(watched::LOOK_EVERY_NS);
    let every = match section.item("refresh_interval").map(|item| &item.literal) {
        // Logstash's seconds; 0 and below mean that the file is not looked at again.
        Some(settings::Literal::Integer(_)) => {
            let seconds = section.integer_or("refresh_interval", 3, -1..1_000_000_000);
            u64::try_from(seconds).ok().filter(|seconds| *seconds > 0).map(Duration::from_secs)
        }
        _ => Some(section.duration_or("refresh_interval", usual)),
    };
    let every_ns = every.and_then(|every| u64::try_from(every.as_nanos()).ok());
    let merge =
        section.choice_or("refresh_behaviour", &[("replace", false), ("merge", true)], false);
    Reading { every_ns, merge }
}

impl Dictionary {
    /// Reads a file; what is `kept` of earlier states of it stays, and takes in the new entries.
    fn read(
        file: &std::path::Path,
        longest: usize,
        meaning: Meaning,
        kept: Option<&mut Vec<(String, Literal)>>,
    ) -> Result<Dictionary, String> {
        let text = watched::read_text(file).map_err(|why| why.to_string())?;
        let length = text.chars().count();
        if length > longest {
            return Err(format!("it has {length} characters, more than the {longest} allowed"));
        }
        let mut made = Dictionary { patterns: Vec::new(), table: HashMap::new() };
        let mut entries = dictionary::read(file, &text)?;
        if let Some(kept) = kept {
            let new: HashSet<&str> = entries.iter().map(|(key, _)| key.as_str()).collect();
            let is_gone = |entry: &&(String, Literal)| !new.contains(entry.0.as_str());
            let gone: Vec<_> = kept.iter().filter(is_gone).cloned().collect();
            drop(new);
            entries.extend(gone);
            kept.clone_from(&entries);
        }
        for (key, value) in entries {
            let key = Spanned { value: key, span: 0..0 };
            let mut wrong = String::new();
            let expression = |key: &Spanned<String>| match Expression::compile(key) {
                Ok(expression) => Some(expression),
                Err(error) => {
                    wrong = format!("the key `{}`: {}", key.value, error.message());
                    None
                }
            };
            if made.add(meaning, key, value, expression).is_none() {
                return Err(wrong);
            }
        }
        Ok(made)
    }

    /// Adds an entry. `None`: its key is no pattern.
    fn add(
        &mut self,
        meaning: Meaning,
        mut key: Spanned<String>,
        value: Literal,
        compile: impl FnOnce(&Spanned<String>) -> Option<Expression>,
    ) -> Option<()> {
        if meaning.exact && !meaning.regex {
            self.table.insert(key.value.into_bytes().into_boxed_slice(), value);
            return Some(());
        }
        if !meaning.regex {
            key.value = regex_syntax::escape(&key.value);
        }
        self.patterns.push((compile(&key)?, value));
        Some(())
    }
}

impl Filter for Translate {
    fn apply(&mut self, batch: &mut Batch, selected: &Selection) {
        let plan = Arc::clone(&self.plan);
        self.dictionary = match &plan.written {
            Written::Here(dictionary) => Arc::clone(dictionary),
            Written::InFile(watched) => {
                watched.refresh(plan.clock.elapsed_ns());
                watched.current()
            }
        };
        for event in selected.iter() {
            let done = match &plan.iterate_on {
                None => self.translate_event(&plan, batch, event),
                Some(list) => self.translate_list(&plan, batch, event, list),
            };
            // In place the field counts as handled whatever was found, as in Logstash.
            let in_place = plan.target == plan.field && batch.get(event, &plan.field).is_some();
            batch.events[event].missed = !(done || in_place);
        }
    }
}

impl Translate {
    fn translate_event(&mut self, plan: &Plan, batch: &mut Batch, event: usize) -> bool {
        let Some(value) = batch.get(event, &plan.field) else { return false };
        if !plan.replace && batch.get(event, &plan.target).is_some() {
            return false;
        }
        let first = match batch.open(value) {
            Value::Array(list) => batch.array(list).first().copied().unwrap_or(Value::Null),
            single => single,
        };
        let found = self.look_up(plan, batch, event, first);
        if let Some(found) = found {
            batch.set(event, &plan.target, found);
        }
        found.is_some()
    }

    /// Translates each item of a list. Where the list is the field itself, its items are looked up, and what is found
    /// makes a list at the target; otherwise they are objects, in which the field is looked up and the target set.
    fn translate_list(
        &mut self,
        plan: &Plan,
        batch: &mut Batch,
        event: usize,
        list: &Path,
    ) -> bool {
        let in_objects = *list != plan.field;
        if !in_objects && !plan.replace && batch.get(event, &plan.target).is_some() {
            return false;
        }
        let Some(value) = batch.get(event, list) else { return false };
        let items = match batch.open(value) {
            Value::Array(items) => items,
            single => {
                let items = batch.new_array();
                batch.array_mut(items).push(single);
                items
            }
        };
        if in_objects {
            return self.translate_objects(plan, batch, event, items);
        }
        let made = batch.new_array();
        let mut any = false;
        for at in 0..batch.array(items).len() {
            let item = batch.array(items)[at];
            let found = self.look_up(plan, batch, event, item);
            any |= found.is_some();
            // In place, what is not found stays; beside it, null says that there is nothing for it.
            let otherwise = if plan.target == plan.field { item } else { Value::Null };
            batch.array_mut(made).push(found.unwrap_or(otherwise));
        }
        batch.set(event, &plan.target, Value::Array(made));
        any
    }

    fn translate_objects(
        &mut self,
        plan: &Plan,
        batch: &mut Batch,
        event: usize,
        items: NodeId,
    ) -> bool {
        let mut any = false;
        for at in 0..batch.array(items).len() {
            let item = batch.array(items)[at];
            let Value::Object(node) = batch.open(item) else { continue };
            batch.array_mut(items)[at] = Value::Object(node);
            let mut way = plan.field.segments().iter();
            let member = way.try_fold(Value::Object(node), |value, name| batch.step(value, name));
            let Some(member) = member.filter(|member| *member != Value::Null) else { continue };
            if let Some(found) = self.look_up(plan, batch, event, member) {
                batch.set_within(node, &plan.target, found);
                any = true;
            }
        }
        if let Some(list) = &plan.iterate_on {
            batch.set(event, list, Value::Array(items));
        }
        any
    }

    /// What the dictionary, or the fallback, has for a value.
    fn look_up(
        &mut self,
        plan: &Plan,
        batch: &mut Batch,
        event: usize,
        value: Value,
    ) -> Option<Value> {
        self.text.clear();
        if value != Value::Null {
            batch.write_text(value, &mut self.text);
        }
        let literal = if plan.exact {
            self.dictionary.table.get(self.text.as_slice()).or_else(|| {
                let search = &mut self.search;
                let text = &self.text;
                let mut matches = |pattern: &Expression| {
                    matches!(pattern.find_at(search, text, 0), Search::Found(..))
                };
                let found = self.dictionary.patterns.iter().find(|(pattern, _)| matches(pattern));
                found.map(|(_, value)| value)
            })
        } else {
            return self.replaced(batch).or_else(|| self.fall_back(plan, batch, event));
        };
        match literal {
            Some(literal) => Some(batch.literal(literal)),
            None => self.fall_back(plan, batch, event),
        }
    }

    fn fall_back(&mut self, plan: &Plan, batch: &mut Batch, event: usize) -> Option<Value> {
        plan.fallback.as_ref().map(|made| made.value(batch, event, &mut self.scratch))
    }

    /// The text with every key within it replaced; at each place the first key that fits counts.
    fn replaced(&mut self, batch: &mut Batch) -> Option<Value> {
        self.scratch.clear();
        let (mut from, mut any) = (0, false);
        while from < self.text.len() {
            let mut first: Option<(usize, usize, &Literal)> = None;
            for (pattern, value) in &self.dictionary.patterns {
                if let Search::Found(start, end) =
                    pattern.find_at(&mut self.search, &self.text, from)
                    && end > start
                    && first.is_none_or(|(earlier, _, _)| start < earlier)
                {
                    first = Some((start, end, value));
                }
            }
            let Some((start, end, literal)) = first else { break };
            self.scratch.extend_from_slice(&self.text[from..start]);
            match literal {
                Literal::Str(text) => self.scratch.extend_from_slice(text.as_bytes()),
                other => other.write_json(&mut self.scratch),
            }
            (from, any) = (end, true);
        }
        self.scratch.extend_from_slice(&self.text[from..]);
        any.then(|| Value::Str(batch.push_text(&self.scratch)))
    }
}

#[cfg(test)]
mod tests;
