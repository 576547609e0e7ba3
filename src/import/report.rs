//! What became of every plugin of the source: converted, converted with a difference, not convertible.
//!
//! In: a verdict for each plugin instance, with its place. Out: a table for people, one JSON object for machines, an
//! exit code. Promises: nothing is dropped in silence: who reads a plugin says what became of it.
//! On failure: nothing here fails.

use std::collections::BTreeMap;

use super::document::{Notes, Todo, Value};
use super::source::Origin;

/// All plugin instances were converted.
pub const ALL_CONVERTED: u8 = 0;
/// Some differ, each with the difference named.
pub const WITH_DIFFERENCES: u8 = 2;
/// Some could not be converted, or a file could not be read whole.
pub const NOT_ALL: u8 = 3;

/// What became of a plugin instance.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// It does the same.
    Converted,
    /// It does nearly the same; one line for each difference.
    Differs(Vec<String>),
    /// It is left to do.
    NotConvertible {
        /// Why.
        reason: String,
        /// The nearest way.
        instead: String,
    },
}

/// A plugin instance of the source.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Where it begins.
    pub origin: Origin,
    /// What the source calls its part: `input`, `filter`, `output`, `codec`, `source`, `match`, `parser`, …
    pub room: String,
    /// Its kind, such as `grok`.
    pub plugin: String,
    /// What became of it.
    pub verdict: Verdict,
}

/// The whole account.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Every plugin instance, in the source's order.
    pub entries: Vec<Entry>,
    /// Variables that the pipelines need, and what for; where a secret stood inline, what it was moved out of.
    pub variables: BTreeMap<String, String>,
    /// What else the user should know, such as a file that the pipelines name and that is not here.
    pub remarks: Vec<String>,
    /// Files that could not be read whole.
    pub broken: usize,
    /// Secrets that were moved, by a number that stands for them: the values in their place.
    pub(super) moved: BTreeMap<u64, Value>,
}

/// A plugin instance while it is translated: collects what is said about it.
#[derive(Clone, Debug)]
pub struct Account {
    /// Where it begins.
    pub origin: Origin,
    /// As in [`Entry`].
    pub room: String,
    /// As in [`Entry`].
    pub plugin: String,
    /// Its text in the source, for a TODO.
    pub text: String,
    differences: Vec<String>,
    needs: Vec<Todo>,
    missing: Option<(String, String)>,
}

impl Account {
    /// An account without an entry.
    pub fn new(origin: Origin, room: &str, plugin: &str, text: &str) -> Account {
        Account {
            origin,
            room: room.to_string(),
            plugin: plugin.to_string(),
            text: text.to_string(),
            differences: Vec::new(),
            needs: Vec::new(),
            missing: None,
        }
    }

    /// It differs so: one line.
    pub fn differs(&mut self, how: impl Into<String>) {
        let how = how.into();
        if !self.differences.contains(&how) {
            self.differences.push(how);
        }
    }

    /// It is converted but needs something that is not here, such as a file: a TODO, and a difference.
    pub fn needs(&mut self, what: impl Into<String>, instead: impl Into<String>) {
        let (what, instead) = (what.into(), instead.into());
        self.needs.push(Todo { what, instead, source: Vec::new() });
    }

    /// It cannot be converted, because; the nearest way.
    pub fn missing(&mut self, reason: impl Into<String>, instead: impl Into<String>) {
        self.missing.get_or_insert((reason.into(), instead.into()));
    }

    /// Whether it was said that it cannot be converted.
    pub fn is_missing(&self) -> bool {
        self.missing.is_some()
    }

    /// Ends the account: enters it into the report, and gives what is written above the part.
    pub fn close(self, report: &mut Report, comments: Vec<String>) -> Notes {
        let (origin, room, plugin) = (self.origin, self.room, self.plugin);
        let mut notes =
            Notes { comments, differences: self.differences.clone(), ..Notes::default() };
        let mut differences = self.differences;
        if self.missing.is_none() {
            differences.extend(self.needs.iter().map(|todo| todo.what.clone()));
            notes.todos = self.needs;
        }
        let verdict = match self.missing {
            Some((reason, instead)) => {
                notes.todos.push(Todo {
                    what: format!("{room} {plugin} ({origin}): {reason}"),
                    instead: instead.clone(),
                    source: self.text.lines().map(str::to_string).collect(),
                });
                Verdict::NotConvertible { reason, instead }
            }
            None if differences.is_empty() => Verdict::Converted,
            None => Verdict::Differs(differences),
        };
        report.entries.push(Entry { origin, room, plugin, verdict });
        notes
    }
}

impl Report {
    /// How many plugin instances were converted, differ, and could not be converted.
    pub fn counts(&self) -> (usize, usize, usize) {
        let count = |wanted: fn(&Verdict) -> bool| {
            self.entries.iter().filter(|e| wanted(&e.verdict)).count()
        };
        (
            count(|v| *v == Verdict::Converted),
            count(|v| matches!(v, Verdict::Differs(_))),
            count(|v| matches!(v, Verdict::NotConvertible { .. })),
        )
    }

    /// 0 all converted, 2 with differences, 3 something not convertible (or a file not read whole).
    pub fn exit_code(&self) -> u8 {
        match self.counts() {
            (_, _, missing) if missing > 0 || self.broken > 0 => NOT_ALL,
            (_, differs, _) if differs > 0 => WITH_DIFFERENCES,
            _ => ALL_CONVERTED,
        }
    }

    /// The account for people.
    pub fn table(&self) -> String {
        let mut out = String::new();
        for entry in &self.entries {
            let name = format!("{}: {} {}", entry.origin, entry.room, entry.plugin);
            match &entry.verdict {
                Verdict::Converted => {}
                Verdict::Differs(how) => {
                    for how in how {
                        out.push_str(&format!("differs  {name}: {how}\n"));
                    }
                }
                Verdict::NotConvertible { reason, instead } => {
                    out.push_str(&format!("to do    {name}: {reason}\n"));
                    if !instead.is_empty() {
                        out.push_str(&format!("         nearest: {instead}\n"));
                    }
                }
            }
        }
        for (name, what) in &self.variables {
            out.push_str(&format!("set      ${name}: {what}\n"));
        }
        for remark in &self.remarks {
            out.push_str(&format!("note     {remark}\n"));
        }
        let (converted, differ, missing) = self.counts();
        if !out.is_empty() {
            out.push('\n');
        }
        for (number, what) in [
            (converted, "converted"),
            (differ, "converted with a difference"),
            (missing, "not convertible"),
        ] {
            out.push_str(&format!("{number:>5}  {what}\n"));
        }
        out
    }

    /// The account for machines: one JSON object. `files`: what was written, by name.
    pub fn json(&self, files: &[String]) -> String {
        let (converted, differ, missing) = self.counts();
        let entry = |entry: &Entry| {
            let mut object = serde_json::json!({
                "file": entry.origin.file, "line": entry.origin.line,
                "kind": entry.room, "plugin": entry.plugin,
            });
            match &entry.verdict {
                Verdict::Converted => object["result"] = "converted".into(),
                Verdict::Differs(how) => {
                    object["result"] = "converted_with_difference".into();
                    object["differences"] = how.clone().into();
                }
                Verdict::NotConvertible { reason, instead } => {
                    object["result"] = "not_convertible".into();
                    object["reason"] = reason.clone().into();
                    object["instead"] = instead.clone().into();
                }
            }
            object
        };
        serde_json::json!({
            "converted": converted,
            "converted_with_difference": differ,
            "not_convertible": missing,
            "files_with_errors": self.broken,
            "files": files,
            "variables": self.variables,
            "remarks": self.remarks,
            "plugins": self.entries.iter().map(entry).collect::<Vec<_>>(),
        })
        .to_string()
    }
}
