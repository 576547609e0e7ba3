//! Filters `lowercase`, `uppercase`, `capitalize` and `strip`.
//!
//! In: `fields`. Out: their texts, and the texts of their lists, in the other form; anything else
//! stays. `capitalize` makes the first letter upper case and the rest lower case; `strip` takes
//! blanks from both ends.

use std::sync::Arc;

use super::named::{Use, fields};
use super::texts::change_at;
use super::{Filter, FilterLoad, Make};
use crate::event::{Batch, Path, Selection};
use crate::settings::Section;

/// A form that texts can have.
#[derive(Clone, Copy, Debug)]
pub(super) enum Form {
    /// Lower case.
    Lower,
    /// Upper case.
    Upper,
    /// The first letter in upper case, the rest in lower case.
    Capital,
    /// Without blanks at both ends.
    Stripped,
}

struct Letters {
    paths: Arc<Vec<Path>>,
    form: Form,
    scratch: Vec<u8>,
}

/// Reads the settings of `lowercase`.
pub(super) fn load_lowercase(section: &Section<'_>, load: &mut FilterLoad<'_>) -> Option<Make> {
    load_as(Form::Lower, section, load)
}

/// Reads the settings of `uppercase`.
pub(super) fn load_uppercase(section: &Section<'_>, load: &mut FilterLoad<'_>) -> Option<Make> {
    load_as(Form::Upper, section, load)
}

/// Reads the settings of `capitalize`.
pub(super) fn load_capitalize(section: &Section<'_>, load: &mut FilterLoad<'_>) -> Option<Make> {
    load_as(Form::Capital, section, load)
}

/// Reads the settings of `strip`.
pub(super) fn load_strip(section: &Section<'_>, load: &mut FilterLoad<'_>) -> Option<Make> {
    load_as(Form::Stripped, section, load)
}

fn load_as(form: Form, section: &Section<'_>, load: &mut FilterLoad<'_>) -> Option<Make> {
    let paths = Arc::new(fields(section, Use::Write, load)?);
    Some(Box::new(move || {
        Box::new(Letters { paths: Arc::clone(&paths), form, scratch: Vec::new() })
    }))
}

impl Filter for Letters {
    fn apply(&mut self, batch: &mut Batch, selected: &Selection) {
        let form = self.form;
        let mut change = |text: &[u8], out: &mut Vec<u8>| form.write(text, out);
        for event in selected.iter() {
            for path in &*self.paths {
                change_at(batch, event, path, &mut self.scratch, &mut change);
            }
        }
    }
}

impl Form {
    /// Writes a text in this form; `false` when it already has it.
    pub(super) fn write(self, text: &[u8], out: &mut Vec<u8>) -> bool {
        let Ok(plain) = std::str::from_utf8(text) else { return false };
        match self {
            Form::Stripped => out.extend_from_slice(plain.trim().as_bytes()),
            Form::Lower => lower(plain, out),
            Form::Upper => upper(plain, out),
            Form::Capital => {
                let first = plain.chars().next().map_or(0, char::len_utf8);
                upper(&plain[..first], out);
                lower(&plain[first..], out);
            }
        }
        out != text
    }
}

fn lower(text: &str, out: &mut Vec<u8>) {
    if text.is_ascii() {
        out.extend(text.bytes().map(|b| b.to_ascii_lowercase()));
    } else {
        out.extend_from_slice(text.to_lowercase().as_bytes());
    }
}

fn upper(text: &str, out: &mut Vec<u8>) {
    if text.is_ascii() {
        out.extend(text.bytes().map(|b| b.to_ascii_uppercase()));
    } else {
        out.extend_from_slice(text.to_uppercase().as_bytes());
    }
}
