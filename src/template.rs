//! `{field}` and `{@timestamp:%Y.%m.%d}` in strings.
//!
//! In: text of the configuration. Out: [`Template`], rendered per event.

use crate::event::{Batch, Keys};

/// A compiled template.
#[derive(Clone, Debug)]
pub struct Template {}

/// Why a text is not a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateError {
    /// Bytes of the template's text.
    pub span: std::ops::Range<usize>,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Template {
    /// Reads a template; names go into `keys`. `{{` and `}}` are plain braces.
    pub fn parse(_text: &str, _keys: &mut Keys) -> Result<Template, TemplateError> {
        todo!("template")
    }

    /// The text, if it names no field.
    pub fn constant(&self) -> Option<&str> {
        todo!("template")
    }

    /// Appends the text for an event. `false`: a field it names is absent (nothing stands in its place).
    pub fn render(&self, _batch: &Batch, _event: usize, _out: &mut Vec<u8>) -> bool {
        todo!("template")
    }
}
