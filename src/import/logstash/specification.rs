//! Settings of a plugin that go over one by one.
//!
//! In: a table of names and kinds. Out: settings of ours. Promises: a setting that the table does not name is said to
//! be left out. On failure: a value of another kind is written as it is; the trial then says what is wrong.

use super::syntax::Value;
use super::values::{self, Settings};
use crate::import::document::{Table, Value as Ours};
use crate::import::report::{Account, Report};

/// What a setting's value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A text.
    Text,
    /// A field's name.
    Field,
    /// Fields' names.
    Fields,
    /// Texts.
    Texts,
    /// A hash whose names are fields.
    FieldHash,
    /// A hash of fields' names to fields' names.
    FieldPairs,
    /// A hash.
    Hash,
    /// Yes or no.
    Flag,
    /// A number.
    Number,
    /// As it is.
    Any,
}

/// One setting: its name there, its name here, its kind.
pub type Setting = (&'static str, &'static str, Kind);

/// Settings of all filters, after their own.
pub const COMMON: [Setting; 5] = [
    ("id", "id", Kind::Text),
    ("add_field", "add_field", Kind::FieldHash),
    ("remove_field", "remove_field", Kind::Fields),
    ("add_tag", "add_tag", Kind::Texts),
    ("remove_tag", "remove_tag", Kind::Texts),
];

/// Settings of all plugins that change nothing here.
pub const NO_EFFECT: [&str; 4] = ["enable_metric", "periodic_flush", "workers", "id"];

/// Takes the settings that the table names.
pub fn apply(table: &mut Table, settings: &mut Settings, known: &[Setting], report: &mut Report) {
    for (from, to, kind) in known {
        if let Some(value) = settings.take(from) {
            table.set(to, value_of(*kind, &value, report));
        }
    }
}

/// Says which settings nobody asked for.
pub fn say_rest(settings: &mut Settings, account: &mut Account) {
    settings.ignore(&NO_EFFECT);
    for name in settings.rest() {
        account.differs(format!("`{name}` has no counterpart and is left out"));
    }
}

fn value_of(kind: Kind, value: &Value, report: &mut Report) -> Ours {
    let text = |value: &Value, report: &mut Report| {
        let written =
            value.items().first().and_then(|item| item.text()).unwrap_or_default().to_string();
        values::text(&written, report)
    };
    match kind {
        Kind::Text => text(value, report),
        Kind::Field => Ours::Text(values::field(
            value.items().first().and_then(|v| v.text()).unwrap_or_default(),
        )),
        Kind::Fields => {
            let texts = value.items().into_iter().filter_map(Value::text);
            Ours::List(texts.map(|name| Ours::Text(values::field(name))).collect())
        }
        Kind::Texts => {
            let texts = value.items().into_iter().filter_map(Value::text);
            Ours::List(texts.map(|item| values::text(item, report)).collect())
        }
        Kind::FieldHash | Kind::FieldPairs | Kind::Hash => {
            let mut table = Table::default();
            for (name, inner) in values::pairs(value.clone()) {
                let name = if kind == Kind::Hash { name } else { values::field(&name) };
                let inner = match inner.text() {
                    Some(written) if kind == Kind::FieldPairs => Ours::Text(values::field(written)),
                    Some(written) => values::text(written, report),
                    None => values::any(&inner, report),
                };
                table.set(&name, inner);
            }
            Ours::Table(table)
        }
        Kind::Flag => match value.text() {
            Some(word) => Ours::Bool(word.eq_ignore_ascii_case("true")),
            None => values::any(value, report),
        },
        Kind::Number => match value.text().map(|text| (text, text.parse::<i64>())) {
            Some((_, Ok(number))) => Ours::Integer(number),
            Some((text, _)) => match default_of(text) {
                Some(number) => {
                    let said = format!("a number cannot be a variable: {text} is {number} now");
                    report.remarks.push(said);
                    Ours::Integer(number)
                }
                None => values::any(value, report),
            },
            None => values::any(value, report),
        },
        Kind::Any => values::any(value, report),
    }
}

/// The number of `${NAME:number}`.
fn default_of(text: &str) -> Option<i64> {
    text.strip_prefix("${")?.strip_suffix('}')?.split_once(':')?.1.trim().parse().ok()
}
