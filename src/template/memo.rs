//! The last text of a template, for the next event, which mostly gives the same: the index of a day and a service.
//!
//! In: events. Out: the text, and whether it is the one before. Promises: a text that is given again is the one that
//! rendering would give. On failure: a template that depends on more than days and one text of the event is rendered
//! every time.

use super::{Named, Part, Template};
use crate::event::{Batch, Value};

const DAY_NS: i64 = 86_400_000_000_000;

/// What was rendered last.
#[derive(Clone, Debug, Default)]
pub struct Memo {
    /// The text.
    pub text: Vec<u8>,
    /// No field that it names was absent.
    pub complete: bool,
    /// The text holds for events from here, nanoseconds since the epoch...
    from_ns: i64,
    /// ...to before here; empty at first.
    to_ns: i64,
    /// What the one field was.
    field: Vec<u8>,
}

impl Template {
    /// Renders into the memo; `true`: its text is the same as before.
    #[inline]
    pub fn render_again(
        &self,
        batch: &Batch,
        event: usize,
        absent: &[u8],
        memo: &mut Memo,
    ) -> bool {
        let time_ns = batch.events[event].time_ns;
        let field = self.one_text(batch, event);
        let same = memo.from_ns <= time_ns
            && time_ns < memo.to_ns
            && field.is_some_and(|field| same_text(field, &memo.field));
        if !same {
            memo.text.clear();
            memo.complete = self.render_or(batch, event, absent, &mut memo.text);
            (memo.from_ns, memo.to_ns) = self.holds_for(time_ns);
            memo.field.clear();
            match field {
                Some(field) => memo.field.extend_from_slice(field),
                None => memo.to_ns = memo.from_ns,
            }
        }
        same
    }

    /// The text of the one field that it names, empty if it names none; `None`: there are several, or it is no text.
    #[inline]
    fn one_text<'a>(&self, batch: &'a Batch, event: usize) -> Option<&'a [u8]> {
        match &self.named {
            Named::None => Some(b""),
            Named::One(path) => match batch.get(event, path)? {
                Value::Str(span) => Some(batch.bytes(span)),
                _ => None,
            },
            Named::Several => None,
        }
    }

    /// For which times around one the text is the same, as far as time goes.
    fn holds_for(&self, time_ns: i64) -> (i64, i64) {
        let timed = |part: &&Part| matches!(part, Part::Time | Part::TimeBy(_));
        let by_days = |part: &Part| match part {
            Part::Time => false,
            Part::TimeBy(form) => form.is_of_days(),
            _ => true,
        };
        if !self.parts.iter().any(|part| timed(&part)) {
            return (i64::MIN, i64::MAX);
        }
        if !self.parts.iter().all(by_days) {
            return (time_ns, time_ns);
        }
        let from = time_ns.div_euclid(DAY_NS).saturating_mul(DAY_NS);
        (from, from.saturating_add(DAY_NS))
    }
}

/// Whether two texts are the same. Most are of no length, for templates that name no field, and to compare those with
/// `memcmp` is slow: it loads nothing from a place where nothing is, which costs some processors hundreds of ns.
#[inline]
fn same_text(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && (one.is_empty() || one == other)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::event::{Key, Keys, Literal, Path, Source, SourceKind};

    /// Values of `a` and `b` and a time, one event each.
    fn batch(keys: Keys, events: &[(Option<Literal>, i64)], a: &Path) -> Batch {
        let kind = SourceKind::Stream;
        let source = Source { id: 1, input: "t".into(), kind, fields: Vec::new() };
        let mut batch = Batch::new(Arc::new(keys), Arc::new(source));
        for (value, time_ns) in events {
            let event = batch.add_event(*time_ns, 0);
            if let Some(value) = value {
                let value = batch.literal(value);
                batch.set(event, a, value);
            }
        }
        batch
    }

    #[test]
    fn what_is_remembered_is_what_rendering_gives() {
        let day = DAY_NS;
        let text = |text: &str| Some(Literal::Str(text.into()));
        let events = [
            (text("x"), 0),
            (text("x"), day - 1),
            (text("x"), day),
            (text("x"), day + 1),
            (text("y"), day + 1),
            (None, day + 1),
            (None, day + 2),
            (Some(Literal::Int(5)), day + 2),
            (Some(Literal::Int(6)), day + 2),
            (Some(Literal::Null), day + 3),
            (text(""), day + 3),
            (text("x"), -1),
            (text("x"), -day),
            (text("x"), i64::MIN),
            (text("x"), i64::MAX),
            (text("x"), i64::MAX - 1),
        ];
        let templates = [
            "logs",
            "{a}",
            "logs-{a}-{@timestamp:%Y.%m.%d}",
            "{a:-none}-{@timestamp:%G.%V}",
            "{@timestamp:%Y.%m.%d.%H}",
            "{@timestamp:%s}{a}",
            "{@timestamp}",
            "{a}{a}",
            "{c.d}{@timestamp:%j}",
        ];
        for written in templates {
            let mut keys = Keys::default();
            let a = Path::parse("a", &mut keys).unwrap();
            let template = Template::parse(written, &mut keys).unwrap();
            let batch = batch(keys, &events, &a);
            let mut memo = Memo::default();
            let mut before = Vec::new();
            for event in 0..events.len() {
                let mut expected = Vec::new();
                let complete = template.render_or(&batch, event, b"unknown", &mut expected);
                let same = template.render_again(&batch, event, b"unknown", &mut memo);
                assert_eq!((&memo.text, memo.complete), (&expected, complete), "{written} {event}");
                assert!(!same || before == expected, "{written} {event}");
                before.clone_from(&expected);
            }
        }
    }

    #[test]
    fn a_day_and_a_service_are_rendered_once() {
        let mut keys = Keys::default();
        let a = Path::parse("a", &mut keys).unwrap();
        let template = Template::parse("logs-{a}-{@timestamp:%Y.%m.%d}", &mut keys).unwrap();
        let value = Some(Literal::Str("shop".into()));
        let batch = batch(keys, &[(value.clone(), 5), (value, 77)], &a);
        let mut memo = Memo::default();
        assert!(!template.render_again(&batch, 0, b"", &mut memo));
        assert!(template.render_again(&batch, 1, b"", &mut memo));
        assert_ne!(a.root(), Key::MESSAGE);
    }
}
