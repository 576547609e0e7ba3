//! A document as one message's text.
//!
//! In: JSON and templates over its fields. Out: text with Slack's special characters escaped, and the severity.
//! Promises: what comes from the event is escaped, what the template says is not, so that `*bold*` in the template
//! works and `<!channel>` in a log line does not. On failure: a document that is not JSON is shown as it is.

use std::sync::Arc;

use super::digest::escape;
use crate::event::{Batch, Keys, Source, SourceKind, parse_object};
use crate::template::Template;

/// Renders documents; keeps its buffers.
pub(super) struct Renderer {
    text: Template,
    severity: Template,
    batch: Batch,
    source: Arc<Source>,
}

impl Renderer {
    pub(super) fn new(text: Template, severity: Template, keys: Arc<Keys>) -> Self {
        let kind = SourceKind::Stream;
        let source = Arc::new(Source { id: 0, input: "".into(), kind, fields: Vec::new() });
        Renderer { text, severity, batch: Batch::new(keys, Arc::clone(&source)), source }
    }

    /// The text, and the severity in small letters.
    pub(super) fn render(&mut self, document: &[u8], time_ns: i64) -> (String, String) {
        let escaped = escape(&String::from_utf8_lossy(document));
        self.batch.recycle(escaped.into_bytes(), Arc::clone(&self.source));
        let span = crate::event::Span::new(0, self.batch.text.len());
        let keys = Arc::clone(&self.batch.keys);
        let mut fields = Vec::new();
        // The three characters are never part of JSON's own signs, so escaping before reading is safe.
        if parse_object(&mut self.batch.text, span, &keys, &mut fields).is_err() {
            return (String::from_utf8_lossy(&self.batch.text).into_owned(), String::new());
        }
        let event = self.batch.add_event(time_ns, 0);
        self.batch.fields_mut(event).extend(fields);
        let render = |template: &Template| {
            let mut out = Vec::new();
            template.render(&self.batch, event, &mut out);
            String::from_utf8_lossy(&out).into_owned()
        };
        (render(&self.text), render(&self.severity).to_lowercase())
    }
}
