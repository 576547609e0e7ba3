//! Filter `xml`: a text that holds XML as fields.
//!
//! In: `field` (or `source`), a text, or a list of one. Out: in `target` what the root element holds, as Logstash
//! writes it: attributes and children by name, children as lists (unless `force_array = false`), text beside
//! attributes as `content`; and for each entry of `xpath` a list of texts in its field. Promises: entities that grow
//! are refused, and nothing outside of the text is read; paths are read when the pipeline is loaded, and what they may
//! not hold is said there. On failure: what is no XML gives the tag `_xmlparsefailure`, and nothing else changes, but
//! that paths select from what can be read of it (unless `parse_options = "strict"`); where nothing is stored, there is
//! no tag then.

use std::sync::Arc;

use roxmltree::{Document, ParsingOptions};

use super::failure::Failure;
use super::named::{Use, flag, hash, path, source, target, text_of};
use super::{Filter, FilterLoad, Make};
use crate::event::{Batch, Path, Selection, Value};
use crate::settings::{Section, Spanned, TextError};
use select::Select;
use tree::Tree;

mod mend;
mod select;
mod tree;

/// What Logstash's parser knows.
const PARSE_OPTIONS: [&str; 22] = [
    "STRICT",
    "RECOVER",
    "NOENT",
    "DTDLOAD",
    "DTDATTR",
    "DTDVALID",
    "NOERROR",
    "NOWARNING",
    "PEDANTIC",
    "NOBLANKS",
    "SAX1",
    "XINCLUDE",
    "NONET",
    "NODICT",
    "NSCLEAN",
    "NOCDATA",
    "NOXINCNODE",
    "COMPACT",
    "OLD10",
    "NOBASEFIX",
    "HUGE",
    "BIGLINES",
];

/// Elements and texts of one document; more are refused.
const NODES_MAX: u32 = 1_000_000;

/// Elements within each other; more are refused, as in Logstash. What is done with a document takes as many steps.
const DEPTH_MAX: usize = 256;

struct Xml {
    plan: Arc<Plan>,
    text: String,
}

struct Plan {
    field: Path,
    /// `None`: the document itself is not stored.
    target: Option<Path>,
    tree: Tree,
    selects: Vec<(Select, Path)>,
    /// Prefixes of paths, and what they stand for.
    namespaces: Vec<(String, String)>,
    remove_namespaces: bool,
    /// What is not well formed is not read at all.
    strict: bool,
    failure: Failure,
}

/// Reads the settings.
pub(super) fn load(section: &Section<'_>, load: &mut FilterLoad<'_>) -> Option<Make> {
    let field = source(section, None, load);
    let target = target(section, load);
    let store = flag(section, "store_xml", true);
    let tree = Tree {
        force_array: flag(section, "force_array", true),
        force_content: flag(section, "force_content", false),
        suppress_empty: flag(section, "suppress_empty", true),
    };
    let remove_namespaces = flag(section, "remove_namespaces", false);
    let mut namespaces = Vec::new();
    for (prefix, item) in hash(section, "namespaces").unwrap_or_default() {
        namespaces.extend(text_of(section, item).map(|name| (prefix.value, name.value)));
    }
    let mut good = true;
    let mut selects = Vec::new();
    for (written, item) in hash(section, "xpath").unwrap_or_default() {
        let field = text_of(section, item).and_then(|name| path(section, &name, Use::Write, load));
        let select = select(section, &written);
        good &= field.is_some() && select.is_some();
        selects.extend(select.zip(field));
    }
    let failure = Failure::load(section, "_xmlparsefailure", load);
    super::json::ecs_compatibility(section);
    let strict = strict(section)?;
    let (field, target) = (field?, target?);
    if store && target.is_none() {
        let hint =
            "write target = \"doc\", or store_xml = false where `xpath` is all that is wanted";
        section.error(section.span(), "`target` is missing", Some(hint.into()));
        return None;
    }
    let target = target.filter(|_| store);
    let plan =
        Plan { field, target, tree, selects, namespaces, remove_namespaces, strict, failure };
    let plan = good.then(|| Arc::new(plan))?;
    Some(Box::new(move || Box::new(Xml { plan: Arc::clone(&plan), text: String::new() })))
}

/// Logstash's names of what its parser may do, with commas between them; of these only `strict` changes anything.
fn strict(section: &Section<'_>) -> Option<bool> {
    let Some(options) = section.string("parse_options") else { return Some(false) };
    let mut strict = false;
    for option in options.split([',', '|']) {
        let name: String = option.trim().replace('_', "").to_ascii_uppercase();
        strict |= name == "STRICT";
        if !name.is_empty() && !PARSE_OPTIONS.contains(&name.as_str()) {
            let message = format!("there is no parse option `{}`", option.trim());
            let hint = "write parse_options = \"strict\", or leave it out";
            section.error(options.span.clone(), message, Some(hint.into()));
            return None;
        }
    }
    Some(strict)
}

fn select(section: &Section<'_>, written: &Spanned<String>) -> Option<Select> {
    match Select::parse(written) {
        Ok(select) => Some(select),
        Err(fault) => {
            let message = format!("`{}` cannot be selected: {}", written.value, fault.message);
            let hint = "paths hold names, `*`, `@name`, `text()`, `.`, `..`, `//`, conditions such as [1], [@a='b'] \
                        and [name='x'], several of them with `|`, or one of string(), name(), local-name() and count()";
            let end = (fault.at + 1).min(written.len());
            section
                .error_within(written, TextError::new(fault.at.min(end)..end, message).hint(hint));
            None
        }
    }
}

impl Filter for Xml {
    fn apply(&mut self, batch: &mut Batch, selected: &Selection) {
        let plan = Arc::clone(&self.plan);
        for event in selected.iter() {
            let Some(value) = batch.get(event, &plan.field) else {
                batch.events[event].missed = true;
                continue;
            };
            let value = match batch.open(value) {
                Value::Array(list) if batch.array(list).len() == 1 => batch.array(list)[0],
                other => other,
            };
            self.text.clear();
            match batch.str_bytes(value).as_deref().map(std::str::from_utf8) {
                Some(Ok(text)) => self.text.push_str(text.trim_start()),
                _ => {
                    plan.failure.mark(batch, event);
                    continue;
                }
            }
            if self.text.is_empty() {
                batch.events[event].missed = true;
                continue;
            }
            match parse(&self.text) {
                Some(document) => plan.set(batch, event, &document),
                None => plan.set_from_mended(batch, event, &self.text),
            }
        }
    }
}

fn parse(text: &str) -> Option<Document<'_>> {
    let options =
        ParsingOptions { allow_dtd: true, nodes_limit: NODES_MAX, ..ParsingOptions::default() };
    Document::parse_with_options(text, options).ok().filter(|document| !is_deep(document))
}

fn is_deep(document: &Document<'_>) -> bool {
    let (mut node, mut depth) = (document.root(), 0);
    loop {
        if let Some(child) = node.first_child() {
            (node, depth) = (child, depth + 1);
            if depth > DEPTH_MAX {
                return true;
            }
            continue;
        }
        while node.next_sibling().is_none() {
            let Some(parent) = node.parent() else { return false };
            (node, depth) = (parent, depth - 1);
        }
        let Some(next) = node.next_sibling() else { return false };
        node = next;
    }
}

impl Plan {
    fn set(&self, batch: &mut Batch, event: usize, document: &Document<'_>) {
        let mut any = self.set_selected(batch, event, document);
        if let Some(target) = &self.target {
            let value = self.tree.value(batch, document.root_element());
            batch.set(event, target, value);
            any = true;
        }
        batch.events[event].missed = !any;
    }

    /// Takes what paths select from a text that is not well formed.
    fn set_from_mended(&self, batch: &mut Batch, event: usize, text: &str) {
        let mended = if self.strict { None } else { mend::mend(text) };
        match mended.as_deref().and_then(parse) {
            Some(document) => {
                let any = self.set_selected(batch, event, &document);
                batch.events[event].missed = !any;
                if self.target.is_some() {
                    self.failure.mark(batch, event);
                }
            }
            None => self.failure.mark(batch, event),
        }
    }

    /// Sets what the paths select; whether there was anything.
    fn set_selected(&self, batch: &mut Batch, event: usize, document: &Document<'_>) -> bool {
        let mut any = false;
        for (select, field) in &self.selects {
            let found = select.find(document, &self.namespaces, self.remove_namespaces);
            let Some(found) = found else {
                self.failure.mark(batch, event);
                continue;
            };
            if found.is_empty() {
                continue;
            }
            any = true;
            if let ([text], false) = (found.as_slice(), self.tree.force_array) {
                let text = Value::Str(batch.push_text(text.as_bytes()));
                batch.set(event, field, text);
                continue;
            }
            let list = batch.new_array();
            for text in found {
                let text = batch.push_text(text.as_bytes());
                batch.array_mut(list).push(Value::Str(text));
            }
            batch.set(event, field, Value::Array(list));
        }
        any
    }
}

#[cfg(test)]
mod tests;
