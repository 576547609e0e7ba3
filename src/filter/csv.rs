//! Filter `csv`: a line of separated values as fields (RFC 4180).
//!
//! In: `field` (default `message`), `columns`, `separator`, `quote_char`. Out: a field for each column, in the event
//! or in `target`; a column without a name is `columnN`, counted from 1. Nothing between two separators is null, an
//! empty text stands in quotes. `convert` makes columns numbers, truth values or times.
//! Promises: a value without quotes in it is a span of the text; quotes may hold separators, line feeds and doubled
//! quotes; a line feed outside of them ends what is read. On failure: a text without a line, a quote that is not
//! closed, or one that stands within a value, gives the tag `_csvparsefailure`, and nothing else changes.

use std::sync::Arc;

use column::Column;

use super::failure::Failure;
use super::named::{flag, hash, source, target};
use super::{Filter, FilterLoad, Make};
use crate::event::{Batch, Key, NodeId, Path, Selection, Span, Value};
use crate::settings::Section;

mod column;

struct Csv {
    plan: Arc<Plan>,
    values: Vec<Value>,
    scratch: Vec<u8>,
}

struct Plan {
    field: Path,
    target: Option<Path>,
    columns: Vec<String>,
    conversions: Vec<(String, Column)>,
    separator: Vec<u8>,
    quote: Option<u8>,
    autogenerate: bool,
    skip_empty_columns: bool,
    skip_empty_rows: bool,
    skip_header: bool,
    failure: Failure,
}

/// A line that is no line of separated values.
struct Malformed;

/// Reads the settings.
pub(super) fn load(section: &Section<'_>, load: &mut FilterLoad<'_>) -> Option<Make> {
    let field = source(section, Some("message"), load);
    let target = target(section, load);
    let separator = section.string_or("separator", ",");
    let mut quote = section.string_or("quote_char", "\"");
    if quote.value == "\\x00" {
        // So Logstash writes a quote that no line has.
        quote.value = "\0".to_string();
    }
    let mut good = true;
    if separator.is_empty() {
        let hint = "write for example separator = \",\"";
        section.error(separator.span.clone(), "the separator is empty", Some(hint.into()));
        good = false;
    }
    if quote.len() > 1 {
        let hint = "write one character, or \"\" for none";
        section.error(quote.span.clone(), "a quote is one character", Some(hint.into()));
        good = false;
    }
    let columns: Vec<String> =
        section.strings("columns").unwrap_or_default().into_iter().map(|c| c.value).collect();
    let mut conversions = Vec::new();
    for (name, item) in hash(section, "convert").unwrap_or_default() {
        let column = Column::load(section, item);
        good &= column.is_some();
        conversions.extend(column.map(|column| (name.value, column)));
    }
    let plan = Plan {
        columns,
        conversions,
        separator: separator.value.into_bytes(),
        quote: quote.as_bytes().first().copied(),
        autogenerate: flag(section, "autogenerate_column_names", true),
        skip_empty_columns: flag(section, "skip_empty_columns", false),
        skip_empty_rows: flag(section, "skip_empty_rows", false),
        skip_header: flag(section, "skip_header", false),
        failure: Failure::load(section, "_csvparsefailure", load),
        field: field?,
        target: target?,
    };
    super::json::ecs_compatibility(section);
    let plan = good.then(|| Arc::new(plan))?;
    Some(Box::new(move || {
        Box::new(Csv { plan: Arc::clone(&plan), values: Vec::new(), scratch: Vec::new() })
    }))
}

impl Filter for Csv {
    fn apply(&mut self, batch: &mut Batch, selected: &Selection) {
        let plan = Arc::clone(&self.plan);
        for event in selected.iter() {
            let Some(text) = batch.plain_str(event, &plan.field) else {
                batch.events[event].missed = true;
                continue;
            };
            if text.len == 0 && plan.skip_empty_rows {
                batch.add_tag(event, "_csvskippedemptyfield");
                batch.events[event].missed = true;
            } else if text.len == 0 || self.cut(&plan, batch, text).is_err() {
                plan.failure.mark(batch, event);
            } else if plan.skip_header && self.is_header(&plan.columns, batch) {
                batch.events[event].dropped = true;
            } else {
                self.set(&plan, batch, event);
            }
        }
    }
}

impl Csv {
    /// Whether the values are the names of the columns.
    fn is_header(&self, columns: &[String], batch: &Batch) -> bool {
        let is = |(value, name): (&Value, &String)| match value {
            Value::Str(span) => batch.bytes(*span) == name.as_bytes(),
            _ => false,
        };
        !columns.is_empty()
            && self.values.len() == columns.len()
            && self.values.iter().zip(columns).all(is)
    }

    /// Cuts the first line of a text into its values.
    fn cut(&mut self, plan: &Plan, batch: &mut Batch, line: Span) -> Result<(), Malformed> {
        self.values.clear();
        let mut at = 0;
        if let [b'\r' | b'\n', ..] = batch.bytes(line) {
            return Ok(());
        }
        loop {
            let rest = &batch.bytes(line)[at..];
            let quoted = plan.quote.filter(|quote| rest.first() == Some(quote));
            let taken = if let Some(quote) = quoted {
                let (inner, taken) = self.quoted(rest, quote)?;
                let value = match inner {
                    Some(inner) => line.part(at + 1, at + 1 + inner),
                    None => batch.push_text(&self.scratch),
                };
                self.values.push(Value::Str(value));
                taken
            } else {
                let end = memchr::memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
                let found = memchr::memmem::find(&rest[..end], &plan.separator).unwrap_or(end);
                if plan.quote.is_some_and(|quote| rest[..found].contains(&quote)) {
                    return Err(Malformed);
                }
                let value = Value::Str(line.part(at, at + found));
                self.values.push(if found == 0 { Value::Null } else { value });
                found
            };
            at += taken;
            match batch.bytes(line)[at..].first() {
                None | Some(b'\r' | b'\n') => return Ok(()),
                Some(_) if !batch.bytes(line)[at..].starts_with(&plan.separator) => {
                    return Err(Malformed);
                }
                Some(_) => at += plan.separator.len(),
            }
        }
    }

    /// A value in quotes: the length of its inside where that can be taken as it is (else it is in the scratch), and
    /// the length with the quotes.
    fn quoted(&mut self, text: &[u8], quote: u8) -> Result<(Option<usize>, usize), Malformed> {
        self.scratch.clear();
        let mut from = 1;
        loop {
            let end = from + memchr::memchr(quote, &text[from..]).ok_or(Malformed)?;
            if text.get(end + 1) != Some(&quote) {
                if self.scratch.is_empty() {
                    return Ok((Some(end - 1), end + 1));
                }
                self.scratch.extend_from_slice(&text[from..end]);
                return Ok((None, end + 1));
            }
            self.scratch.extend_from_slice(&text[from..=end]);
            from = end + 2;
        }
    }

    fn set(&mut self, plan: &Plan, batch: &mut Batch, event: usize) {
        let object: Option<NodeId> = plan.target.as_ref().map(|target| {
            match batch.get(event, target).map(|value| batch.open(value)) {
                Some(Value::Object(node)) => node,
                _ => batch.new_object(),
            }
        });
        let values = std::mem::take(&mut self.values);
        for (number, value) in values.iter().enumerate() {
            let is_empty = matches!(value, Value::Null | Value::Str(Span { len: 0, .. }));
            if plan.skip_empty_columns && is_empty {
                continue;
            }
            let generated;
            let name = match plan.columns.get(number) {
                Some(name) => name.as_str(),
                None if !plan.autogenerate => break,
                None => {
                    generated = format!("column{}", number + 1);
                    generated.as_str()
                }
            };
            let conversion = plan.conversions.iter().find(|(known, _)| known == name);
            let value = conversion.map_or(*value, |(_, column)| column.convert(batch, *value));
            match object {
                Some(node) if name.starts_with('[') => {
                    if let Some(path) = Path::resolve(name, batch) {
                        batch.set_within(node, &path, value);
                    }
                }
                Some(node) => {
                    let key = batch.key_named(name.as_bytes());
                    batch.set_in(node, key, value);
                }
                None if name.starts_with('[') => {
                    if let Some(path) = Path::resolve(name, batch) {
                        batch.set(event, &path, value);
                    }
                }
                None => {
                    let key = batch.key_named(name.as_bytes());
                    if key != Key::TIMESTAMP {
                        batch.set_root(event, key, value);
                    }
                }
            }
        }
        self.values = values;
        if let Some((target, node)) = plan.target.as_ref().zip(object) {
            batch.set(event, target, Value::Object(node));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::trial::{problems, run};

    #[track_caller]
    fn check(settings: &str, line: &str, expected: &str) {
        let text = format!("[[filters]]\ntype = \"csv\"\nremove_field = \"message\"\n{settings}\n");
        assert_eq!(run(&text, &format!("{{\"message\":\"{line}\"}}")), expected, "{settings}");
    }

    #[test]
    fn a_line_becomes_columns() {
        check(
            "",
            "big,bird,sesame street",
            r#"{"column1":"big","column2":"bird","column3":"sesame street"}"#,
        );
        check(
            "columns = [\"a\"]",
            r#"x,\"y, \"\"z\"\"\",\"\","#,
            r#"{"a":"x","column2":"y, \"z\"","column3":"","column4":null}"#,
        );
        check(
            "separator = \";\"\nquote_char = \"'\"\ntarget = \"t\"",
            "1;'2;3'",
            r#"{"t":{"column1":"1","column2":"2;3"}}"#,
        );
        check(
            "columns = [\"a\", \"[b][c]\"]\nautogenerate_column_names = false",
            "1,2,3",
            r#"{"a":"1","b":{"c":"2"}}"#,
        );
        check("skip_empty_columns = true", "1,,3", r#"{"column1":"1","column3":"3"}"#);
        check(
            "convert = { column1 = \"integer\", column2 = \"boolean\" }",
            "1,true",
            r#"{"column1":1,"column2":true}"#,
        );
        check("columns = [\"a\", \"b\"]\nskip_header = true", "a,b", "dropped");
        check(
            "target = \"t\"\ncolumns = [\"[a][b]\", \"[a][c]\"]",
            "1,2",
            r#"{"t":{"a":{"b":"1","c":"2"}}}"#,
        );
        check("quote_char = '\\x00'", r#"a \"b\",c"#, r#"{"column1":"a \"b\"","column2":"c"}"#);
        check("", r"a,b\nc,d", r#"{"column1":"a","column2":"b"}"#);
        check("", r"a\r\n", r#"{"column1":"a"}"#);
    }

    #[test]
    fn a_line_that_is_none_is_tagged_and_kept() {
        check("", "", r#"{"message":"","tags":["_csvparsefailure"]}"#);
        check("skip_empty_rows = true", "", r#"{"message":"","tags":["_csvskippedemptyfield"]}"#);
        check("skip_empty_rows = true", " ", r#"{"column1":" "}"#);
        check("", r#"a,b\"c"#, r#"{"message":"a,b\"c","tags":["_csvparsefailure"]}"#);
        check("", r#"a,\"b"#, r#"{"message":"a,\"b","tags":["_csvparsefailure"]}"#);
        check("", r#"\"a\"b"#, r#"{"message":"\"a\"b","tags":["_csvparsefailure"]}"#);
        assert!(
            problems("[[filters]]\ntype = \"csv\"\nquote_char = \"ab\"").contains("one character")
        );
    }
}
