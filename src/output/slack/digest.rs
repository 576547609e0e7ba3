//! Equal messages folded into groups, groups into messages.
//!
//! In: texts with their times. Out: Slack text within Slack's limits. Promises: memory is bounded whatever comes:
//! at most [`GROUPS_MAX`] kinds are kept, further ones are only counted, and the count is said.
//! On failure: nothing can fail.

use std::fmt::Write as _;

use tokio::time::Instant;

use crate::likeness::mask;
use crate::timestamp::TimeTemplate;

/// Kinds of message kept at once.
const GROUPS_MAX: usize = 200;
/// Kinds told in one message.
const GROUPS_PER_MESSAGE: usize = 10;
/// Characters of one kind's text; Slack cuts a text at 40,000, and people stop reading long before.
const TEXT_CHARS_MAX: usize = 2500;
/// Bytes of a text that are kept: more than is ever shown, so that all kinds together stay small.
const TEXT_BYTES_MAX: usize = 5 * TEXT_CHARS_MAX;

/// What was collected and not yet told.
#[derive(Default)]
pub(super) struct Digest {
    groups: Vec<Group>,
    /// Messages of further kinds.
    uncounted_kinds: u64,
    since: Option<Instant>,
}

/// A kind of message.
pub(super) struct Group {
    pub(super) mask: String,
    pub(super) text: String,
    pub(super) count: u64,
    pub(super) first_ns: i64,
    pub(super) last_ns: i64,
}

/// How much of a digest a message told.
#[derive(Clone, Copy)]
pub(super) struct Told {
    pub(super) groups: usize,
    uncounted: u64,
}

impl Digest {
    pub(super) fn add(&mut self, text: &str, time_ns: i64) {
        let text = cut(text);
        let (mask, text) = (mask(text), text.to_string());
        self.put(Group { mask, text, count: 1, first_ns: time_ns, last_ns: time_ns });
    }

    /// Adds what was counted elsewhere.
    pub(super) fn put(&mut self, new: Group) {
        self.since.get_or_insert_with(Instant::now);
        if let Some(group) = self.groups.iter_mut().find(|g| g.mask == new.mask) {
            group.count += new.count;
            group.first_ns = group.first_ns.min(new.first_ns);
            group.last_ns = group.last_ns.max(new.last_ns);
        } else if self.groups.len() < GROUPS_MAX {
            self.groups.push(new);
        } else {
            self.uncounted_kinds += new.count;
        }
    }

    /// Takes over the kinds that `which` chooses, and what was only counted.
    pub(super) fn take_from(&mut self, other: &mut Digest, which: impl Fn(&Group) -> bool) {
        for group in other.groups.extract_if(.., |group| which(group)) {
            self.put(group);
        }
        if other.uncounted_kinds > 0 {
            self.since.get_or_insert_with(Instant::now);
            self.uncounted_kinds += std::mem::take(&mut other.uncounted_kinds);
        }
    }

    pub(super) fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// Documents in it.
    pub(super) fn count(&self) -> u64 {
        self.groups.iter().map(|group| group.count).sum::<u64>() + self.uncounted_kinds
    }

    pub(super) fn is_empty(&self) -> bool {
        self.groups.is_empty() && self.uncounted_kinds == 0
    }

    /// A whole message's worth is there: no reason to wait for more.
    pub(super) fn is_full(&self) -> bool {
        self.groups.len() >= GROUPS_PER_MESSAGE
    }

    pub(super) fn collecting_since(&self) -> Option<Instant> {
        self.since
    }

    /// The next message, and how much it tells.
    pub(super) fn message(&self) -> (String, Told) {
        let mut text = String::new();
        let shown = self.groups.len().min(GROUPS_PER_MESSAGE);
        for group in &self.groups[..shown] {
            group.write(&mut text);
        }
        if self.groups.len() > shown {
            let _ = writeln!(text, "_{} more kinds of message follow_", self.groups.len() - shown);
        }
        if self.uncounted_kinds > 0 {
            let count = self.uncounted_kinds;
            let _ = writeln!(text, "_{count} further messages of other kinds are not shown_");
        }
        (text.trim_end().to_string(), Told { groups: shown, uncounted: self.uncounted_kinds })
    }

    /// Forgets what a message told; gives the number of documents that it counted.
    pub(super) fn told(&mut self, told: Told) -> u64 {
        let counts: u64 = self.groups.drain(..told.groups).map(|g| g.count).sum();
        self.uncounted_kinds -= told.uncounted;
        if self.is_empty() {
            self.since = None;
        }
        counts + told.uncounted
    }
}

impl Group {
    fn write(&self, out: &mut String) {
        let mut cut: String = self.text.chars().take(TEXT_CHARS_MAX).collect();
        if cut.len() < self.text.len() {
            // An escaped sign such as `&lt;` is kept whole or left out.
            if let Some(sign) = cut.rfind('&').filter(|sign| !cut[*sign..].contains(';')) {
                cut.truncate(sign);
            }
            cut.push_str("… (cut)");
        }
        out.push_str(&cut);
        out.push('\n');
        if self.count > 1 {
            let (first, last) = (clock(self.first_ns), clock(self.last_ns));
            let _ = writeln!(out, "    ×{} from {first} to {last} UTC", self.count);
        }
    }
}

/// As much of a text as is kept.
pub(super) fn cut(text: &str) -> &str {
    let boundary = |at: &usize| text.is_char_boundary(*at);
    let end = (0..=TEXT_BYTES_MAX.min(text.len())).rev().find(boundary).unwrap_or(0);
    &text[..end]
}

fn clock(ns: i64) -> String {
    let mut out = Vec::new();
    if let Ok(template) = TimeTemplate::compile("%H:%M:%S") {
        template.write(ns, &mut out);
    }
    String::from_utf8(out).unwrap_or_default()
}

/// `&`, `<` and `>` as Slack's formatting rules want them.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_that_differ_in_numbers_ids_and_addresses_are_one_kind() {
        let mut digest = Digest::default();
        digest.add("order 17 of 10.0.0.1 failed: 550e8400-e29b-41d4-a716-446655440000", 0);
        digest.add(
            "order 4242 of 10.9.0.7 failed: 123e4567-e89b-12d3-a456-426614174000",
            61_000_000_000,
        );
        digest.add("disk full", 0);
        let (text, told) = digest.message();
        assert_eq!(
            text,
            "order 17 of 10.0.0.1 failed: 550e8400-e29b-41d4-a716-446655440000\n    ×2 from 00:00:00 \
             to 00:01:01 UTC\ndisk full"
        );
        assert_eq!(digest.told(told), 3);
        assert!(digest.is_empty());
    }

    #[test]
    fn more_kinds_than_a_message_holds_follow_in_the_next_and_too_many_are_counted() {
        let mut digest = Digest::default();
        for n in 0..GROUPS_MAX + 7 {
            let letters: String =
                n.to_string().chars().map(|c| (b'a' + c as u8 - b'0') as char).collect();
            digest.add(&format!("kind {letters}"), 0);
        }
        let (text, told) = digest.message();
        assert!(text.contains("190 more kinds of message follow"), "{text}");
        assert!(text.contains("7 further messages of other kinds are not shown"), "{text}");
        assert_eq!(digest.told(told), 17);
        assert!(!digest.is_empty());
    }
}
