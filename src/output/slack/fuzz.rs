//! Messages to Slack, and its answers, under the fuzzer.
//!
//! In: any bytes, as a document, as the value of `Retry-After`, and as many texts. Promises: nothing of a document
//! is a sign of Slack's formatting; a message is bounded; a pause never runs over. On failure: a panic.

use std::sync::Arc;

use tokio::time::Instant;

use super::digest::Digest;
use super::message::Renderer;
use super::request::{PAUSE_MAX, pause_of};
use crate::event::Keys;
use crate::template::Template;

/// See the module.
pub(crate) fn slack(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Some(pause) = pause_of(&text) {
        assert!(pause <= PAUSE_MAX && Instant::now().checked_add(pause).is_some());
    }
    let mut keys = Keys::default();
    let Ok(template) = Template::parse("{message:-none} {a.b:-none}", &mut keys) else { return };
    let Ok(severity) = Template::parse("{level:-}", &mut keys) else { return };
    let mut renderer = Renderer::new(template, severity, Arc::new(keys));
    let mut digest = Digest::default();
    for line in data.split(|b| *b == b'\n') {
        let (message, _) = renderer.render(line, 0);
        assert!(!message.contains(['<', '>']), "{message} is not escaped");
        digest.add(&message, 0);
    }
    while !digest.is_empty() {
        let (message, told) = digest.message();
        assert!(message.chars().count() < 40_000, "Slack cuts a longer text");
        assert!(!message.contains(['<', '>']), "{message} is not escaped");
        assert!(digest.told(told) > 0, "a message told nothing");
    }
}
