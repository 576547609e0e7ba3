//! `{field}` and `{@timestamp:%Y.%m.%d}` in strings.
//!
//! In: text of the configuration. Out: [`Template`], rendered per event.
//!
//! | written | stands for |
//! |---|---|
//! | `{a.b}` | the field's text; numbers plain, lists and objects as JSON |
//! | `{a:-none}` | the same, or `none` where the field is absent, null or empty |
//! | `{@timestamp}` | the event's time, `2026-11-22T01:02:03.004Z` |
//! | `{@timestamp:%Y.%m.%d}` | the event's time in UTC by `strftime` directives |
//! | `{{`, `}}` | plain braces |
//!
//! Promises: a text without fields is known as constant; rendering allocates nothing once the
//! buffer is large enough. On failure: [`TemplateError`] with the place within the text; a field
//! that is absent when rendering is reported by `false`, and the caller decides.

use crate::event::{Batch, Keys, Path, Value};
use crate::settings::{Section, Spanned};

mod memo;
mod parse;

pub use memo::Memo;

pub use crate::settings::TextError as TemplateError;
use crate::timestamp::TimeTemplate;

/// A compiled template.
#[derive(Clone, Debug)]
pub struct Template {
    parts: Box<[Part]>,
    named: Named,
}

/// Which fields a template names.
#[derive(Clone, Debug)]
enum Named {
    None,
    One(Path),
    Several,
}

#[derive(Clone, Debug)]
enum Part {
    Text(Box<str>),
    Field {
        path: Path,
        default: Option<Box<str>>,
        /// The reference as it is written.
        written: Box<str>,
    },
    /// The event's time, RFC 3339 with milliseconds.
    Time,
    /// The event's time by directives.
    TimeBy(TimeTemplate),
}

/// How references are written in a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum References {
    /// `{field}`.
    Braces,
    /// As in Logstash: `%{field}`, `%{[a][b]}`, `%{+YYYY.MM.dd}`; other braces are plain.
    Percent,
    /// Both; braces with no field's name between them are plain.
    Both,
}

impl Template {
    fn of(parts: Vec<Part>) -> Template {
        let mut template = Template { parts: parts.into(), named: Named::None };
        let mut fields = template.fields();
        let named = match (fields.next(), fields.next()) {
            (None, _) => Named::None,
            (Some(path), None) => Named::One(path.clone()),
            _ => Named::Several,
        };
        drop(fields);
        template.named = named;
        template
    }

    /// Reads a template; names go into `keys`. `{{` and `}}` are plain braces.
    ///
    /// # Errors
    /// The first thing that is not a template.
    pub fn parse(text: &str, keys: &mut Keys) -> Result<Template, TemplateError> {
        Ok(Template::of(parse::parts(text, References::Braces, keys)?))
    }

    /// Reads the template of a setting; what is wrong is reported with its place.
    pub fn load(
        section: &Section<'_>,
        text: &Spanned<String>,
        keys: &mut Keys,
    ) -> Option<Template> {
        match Template::parse(text, keys) {
            Ok(template) => Some(template),
            Err(error) => {
                section.error_within(text, error);
                None
            }
        }
    }

    /// As [`Template::load`] with these forms of references.
    pub fn load_as(
        section: &Section<'_>,
        text: &Spanned<String>,
        references: References,
        keys: &mut Keys,
    ) -> Option<Template> {
        match parse::parts(text, references, keys) {
            Ok(parts) => Some(Template::of(parts)),
            Err(error) => {
                section.error_within(text, error);
                None
            }
        }
    }

    /// The text, if it names no field.
    pub fn constant(&self) -> Option<&str> {
        match &*self.parts {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// Appends the text for an event. `false`: a field it names is absent (nothing stands in its place).
    pub fn render(&self, batch: &Batch, event: usize, out: &mut Vec<u8>) -> bool {
        self.render_or(batch, event, b"", out)
    }

    /// As [`Template::render`], with `absent` in the place of a field that is absent.
    pub fn render_or(&self, batch: &Batch, event: usize, absent: &[u8], out: &mut Vec<u8>) -> bool {
        let mut complete = true;
        for part in &*self.parts {
            match part {
                Part::Text(text) => out.extend_from_slice(text.as_bytes()),
                Part::Field { path, default, written } => {
                    if !render_field(batch, event, path, default.as_deref(), written, out) {
                        out.extend_from_slice(absent);
                        complete = false;
                    }
                }
                Part::Time => {
                    crate::timestamp::write_iso8601_ms(batch.events[event].time_ns, out);
                }
                Part::TimeBy(form) => form.write(batch.events[event].time_ns, out),
            }
        }
        complete
    }

    /// As [`Template::render`]; a reference to an absent field stays as it is written, as in Logstash.
    pub fn render_as_written(&self, batch: &Batch, event: usize, out: &mut Vec<u8>) {
        for part in &*self.parts {
            match part {
                Part::Text(text) => out.extend_from_slice(text.as_bytes()),
                Part::Field { path, default, written } => {
                    if !render_field(batch, event, path, default.as_deref(), written, out) {
                        out.extend_from_slice(written.as_bytes());
                    }
                }
                Part::Time => {
                    crate::timestamp::write_iso8601_ms(batch.events[event].time_ns, out);
                }
                Part::TimeBy(form) => form.write(batch.events[event].time_ns, out),
            }
        }
    }

    /// The fields it names, `@timestamp` left out.
    pub fn fields(&self) -> impl Iterator<Item = &Path> {
        self.parts.iter().filter_map(|part| match part {
            Part::Field { path, .. } => Some(path),
            _ => None,
        })
    }
}

fn render_field(
    batch: &Batch,
    event: usize,
    path: &Path,
    default: Option<&str>,
    written: &str,
    out: &mut Vec<u8>,
) -> bool {
    let start = out.len();
    let value = batch.get(event, path).filter(|value| *value != Value::Null);
    match value {
        Some(value) if written.starts_with("%{") => write_joined(batch, value, out),
        Some(value) => batch.write_text(value, out),
        None => {}
    }
    match default {
        Some(default) if out.len() == start => out.extend_from_slice(default.as_bytes()),
        None if value.is_none() => return false,
        _ => {}
    }
    true
}

/// Writes a value as Logstash does for `%{field}`: the items of a list with commas between them.
fn write_joined(batch: &Batch, value: Value, out: &mut Vec<u8>) {
    let mut join = |items: &mut dyn Iterator<Item = Value>| {
        for (at, item) in items.enumerate() {
            if at > 0 {
                out.push(b',');
            }
            write_joined(batch, item, out);
        }
    };
    match value {
        Value::Array(list) => join(&mut batch.array(list).iter().copied()),
        Value::Json(span) if batch.bytes(span).starts_with(b"[") => {
            join(&mut batch.raw_items(span));
        }
        single => batch.write_text(single, out),
    }
}

#[cfg(test)]
mod tests;
