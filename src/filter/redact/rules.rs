//! All rules of one filter over one text.
//!
//! In: a text. Out: the text without secrets, if it held any. Promises: one search decides whether
//! a text can hold what begins with known letters; only then its rules are run.

use regex::bytes::{Regex, RegexBuilder};

use super::detect::{self, Detector};
use super::keys::Keys;
use super::ranges::{Secret, replace};
use crate::event::Value;

/// What a filter looks for.
#[derive(Default)]
pub(super) struct Rules {
    pub(super) replacement: String,
    keys: Option<Keys>,
    detectors: Vec<&'static Detector>,
    patterns: Vec<(Regex, Option<usize>)>,
    /// Finds the beginning of what `keys` and the detectors with markers look for.
    markers: Option<Regex>,
}

/// Buffers of one thread.
#[derive(Default)]
pub(super) struct Work {
    secrets: Vec<Secret>,
}

impl Rules {
    /// No rules yet.
    pub(super) fn new(replacement: String) -> Rules {
        Rules { replacement, ..Rules::default() }
    }

    /// Adds a pattern of the user; of one with a group `secret` only that part counts.
    pub(super) fn add_pattern(&mut self, pattern: Regex) {
        let group = pattern.capture_names().position(|name| name == Some("secret"));
        self.patterns.push((pattern, group));
    }

    /// Adds a known kind of secret.
    pub(super) fn add_detector(&mut self, detector: &'static Detector) {
        if !self.detectors.iter().any(|known| std::ptr::eq(*known, detector)) {
            self.detectors.push(detector);
        }
    }

    /// Adds the keys and prepares the search.
    pub(super) fn finish(&mut self, names: &[&str]) -> Result<(), String> {
        if !names.is_empty() {
            self.keys = Some(Keys::new(names)?);
        }
        let mut markers: Vec<String> =
            self.detectors.iter().filter_map(|d| d.marker.map(str::to_string)).collect();
        markers.extend(self.keys.iter().map(|keys| format!("(?i:{})", keys.alternatives())));
        if !markers.is_empty() {
            let mut builder = RegexBuilder::new(&markers.join("|"));
            let built = builder.unicode(false).size_limit(64 << 20).build();
            self.markers = Some(built.map_err(|error| error.to_string())?);
        }
        Ok(())
    }

    /// Whether there is nothing to look for.
    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_none() && self.detectors.is_empty() && self.patterns.is_empty()
    }

    /// Whether a field of this name is a secret.
    pub(super) fn names(&self, name: &[u8]) -> bool {
        self.keys.as_ref().is_some_and(|keys| keys.name(name))
    }

    /// Whether a number can be a secret: a card's number has at least twelve digits.
    pub(super) fn may_be_in_number(&self, value: Value) -> bool {
        let card = self.detectors.iter().any(|d| d.name == detect::CREDIT_CARD);
        let long = matches!(value, Value::Int(n) if n.unsigned_abs() >= 100_000_000_000);
        !self.patterns.is_empty() || (card && long)
    }

    /// Whether raw JSON without escapes can hold anything that goes. A pattern of the user may ask
    /// where a text begins or ends, so that only each text by itself can tell.
    pub(super) fn may_be_in(&self, text: &[u8]) -> bool {
        self.markers.as_ref().is_some_and(|markers| markers.is_match(text))
            || self.detectors.iter().any(|d| d.marker.is_none() && d.may_be_in(text))
            || !self.patterns.is_empty()
    }

    /// Writes the text without secrets; `false` when it holds none and nothing was written.
    pub(super) fn redact(&self, text: &[u8], work: &mut Work, out: &mut Vec<u8>) -> bool {
        let secrets = &mut work.secrets;
        secrets.clear();
        let marked = self.markers.as_ref().is_some_and(|markers| markers.is_match(text));
        if marked && let Some(keys) = &self.keys {
            keys.find(text, secrets);
        }
        for detector in &self.detectors {
            if if detector.marker.is_some() { marked } else { detector.may_be_in(text) } {
                detector.find(text, secrets);
            }
        }
        for (pattern, group) in &self.patterns {
            find_pattern(pattern, *group, text, secrets);
        }
        if secrets.is_empty() {
            return false;
        }
        replace(text, secrets, self.replacement.as_bytes(), out);
        true
    }
}

fn find_pattern(pattern: &Regex, group: Option<usize>, text: &[u8], secrets: &mut Vec<Secret>) {
    let Some(group) = group else {
        let found = pattern.find_iter(text).filter(|found| !found.is_empty());
        secrets.extend(found.map(|found| Secret::plain(found.range())));
        return;
    };
    if !pattern.is_match(text) {
        return;
    }
    for captures in pattern.captures_iter(text) {
        if let Some(part) = captures.get(group).filter(|part| !part.is_empty()) {
            secrets.push(Secret::plain(part.range()));
        }
    }
}
