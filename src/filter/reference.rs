//! A field's name in a setting where Logstash allows references: `field_%{x}`, `[a][%{b}]`.
//!
//! In: a text. Out: a path, fixed at load or made for each event. Promises: a fixed one costs nothing per event.
//! On failure: at load, the place of what is wrong; a made name that is no field's name is passed over.

use std::borrow::Cow;

use super::FilterLoad;
use super::named::{Use, path};
use crate::event::{Batch, Path};
use crate::settings::{Section, Spanned};
use crate::template::{References, Template};

/// The name of a field.
pub(super) enum FieldName {
    /// Known at load.
    Fixed(Path),
    /// Made from other fields.
    Made(Template),
}

impl FieldName {
    /// Reads a name.
    pub(super) fn load(
        section: &Section<'_>,
        text: &Spanned<String>,
        usage: Use,
        load: &mut FilterLoad<'_>,
    ) -> Option<FieldName> {
        if !text.contains("%{") {
            return path(section, text, usage, load).map(FieldName::Fixed);
        }
        Template::load_as(section, text, References::Percent, load.keys).map(FieldName::Made)
    }

    /// The path for an event.
    pub(super) fn at(&self, batch: &mut Batch, event: usize) -> Option<Cow<'_, Path>> {
        match self {
            FieldName::Fixed(path) => Some(Cow::Borrowed(path)),
            FieldName::Made(template) => {
                let mut text = Vec::new();
                template.render_as_written(batch, event, &mut text);
                let text = String::from_utf8(text).ok()?;
                Path::resolve(&text, batch).filter(|path| !path.is_timestamp()).map(Cow::Owned)
            }
        }
    }
}
