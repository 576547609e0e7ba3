//! What decides whether events belong together.
//!
//! In: `preset`, or `start`, `continue`, `end`, `negate`; or `unfinished`, or `every`. Out: verdicts. Promises: exactly
//! one kind is written. On failure: two kinds, or none, are reported with their place.

use crate::condition::Condition;
use crate::event::{Batch, Keys};
use crate::multiline::{Rule, State, Verdict};
use crate::settings::Section;

/// See the module.
pub(super) enum Judge {
    /// By the text.
    Lines(Rule),
    /// An event for which it holds goes on in the next one.
    Unfinished(Condition),
    /// So many events are one.
    Every(usize),
}

impl Judge {
    pub(super) fn load(section: &Section<'_>, keys: &mut Keys) -> Option<Judge> {
        let texts = ["preset", "start", "continue", "end", "negate"].map(|key| section.has(key));
        let by_text = texts.contains(&true).then_some("a preset or patterns");
        let unfinished = section.has("unfinished").then_some("`unfinished`");
        let every = section.has("every").then_some("`every`");
        let condition = Condition::load(section, "unfinished", keys);
        let number = section.integer("every", 2..10_001);
        let written: Vec<&str> = [by_text, unfinished, every].into_iter().flatten().collect();
        if let [one, other, ..] = written[..] {
            let message = format!("`{}` has both {one} and {other}", section.name);
            let key = if unfinished.is_some() { "unfinished" } else { "every" };
            let hint = "keep the one that says which events belong together";
            section.error(section.span_of(key), message, Some(hint.into()));
            return None;
        }
        match (unfinished, every) {
            (Some(_), _) => condition.map(Judge::Unfinished),
            (_, Some(_)) => number.map(|number| Judge::Every(number as usize)),
            (None, None) => Rule::load(section).map(Judge::Lines),
        }
    }

    /// Whether an event says of itself that it goes on.
    pub(super) fn goes_on(&self, batch: &Batch, event: usize) -> bool {
        if let Judge::Unfinished(condition) = self { condition.holds(batch, event) } else { false }
    }

    /// What a text is to the `lines` events before it, which left `state`; `goes_on`: see [`Judge::goes_on`].
    pub(super) fn verdict(
        &self,
        state: State,
        lines: usize,
        goes_on: bool,
        text: &[u8],
    ) -> Verdict {
        let more = match self {
            Judge::Lines(rule) => return rule.verdict(state, text),
            Judge::Unfinished(_) => goes_on,
            Judge::Every(number) => lines + 1 < *number,
        };
        match (lines, more) {
            (0, true) => Verdict::Begin(State::Open),
            (0, false) => Verdict::Alone,
            (_, true) => Verdict::Join(State::Open),
            (_, false) => Verdict::JoinLast,
        }
    }
}
