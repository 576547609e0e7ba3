//! The pairs of one text.
//!
//! In: a text of the batch. Out: fields of an object. Promises: see [`super`]; values within values are read down to
//! a fixed depth. On failure: [`TooLong`]; what was found before stays.

use super::super::expressions::{TooLong, replace_all};
use super::{Changes, Piece, Plan, Work};
use crate::event::{Batch, Key, NodeId, Span, Value};
use crate::grok::{ExpressionScratch, Search};

/// With `recursive`, values within values within … are read so deep; each level takes away at least a key.
const DEPTH_MAX: usize = 16;

impl Plan {
    /// Reads one text into `found`.
    pub(super) fn read(
        &self,
        work: &mut Work,
        batch: &mut Batch,
        text: Span,
        found: NodeId,
        depth: usize,
    ) -> Result<(), TooLong> {
        let mut from = 0;
        while from <= text.len as usize {
            let (start, end) = match self.pair.find_at(&mut work.search, batch.bytes(text), from) {
                Search::Found(start, end) => (start, end),
                Search::Nowhere => return Ok(()),
                Search::Limit => return Err(TooLong),
            };
            from = end + usize::from(start == end);
            let group = |number| self.pair.group(&work.search, number);
            let Some(key) = group(1) else { continue };
            let value = (2..=self.pair.groups()).find_map(group).unwrap_or(end..end);
            if value.is_empty() && !self.allow_empty_values {
                continue;
            }
            let (key, value) = (text.part(key.start, key.end), text.part(value.start, value.end));
            self.take(work, batch, (key, value), found, depth)?;
        }
        Ok(())
    }

    /// Changes one pair as the settings say, and adds it.
    fn take(
        &self,
        work: &mut Work,
        batch: &mut Batch,
        (key, value): (Span, Span),
        found: NodeId,
        depth: usize,
    ) -> Result<(), TooLong> {
        let changed =
            self.keys.apply(batch.bytes(key), &mut work.search, &mut work.key, &mut work.other)?;
        let name = match changed {
            Piece::Same => batch.bytes(key),
            Piece::Changed => &work.key[..],
        };
        let among = |names: &[Vec<u8>]| names.iter().any(|known| *known == name);
        if (!work.included.is_empty() && !among(&work.included)) || among(&work.excluded) {
            return Ok(());
        }
        let key = if work.prefix.is_empty() {
            match changed {
                Piece::Same => batch.key_at(key),
                Piece::Changed => batch.key_named(&work.key),
            }
        } else {
            work.other.clear();
            work.other.extend_from_slice(&work.prefix);
            work.other.extend_from_slice(name);
            batch.key_named(&work.other)
        };
        let bytes = batch.bytes(value);
        let changed =
            self.values.apply(bytes, &mut work.search, &mut work.value, &mut work.other)?;
        let span = match changed {
            Piece::Same => value,
            Piece::Changed => batch.push_text(&work.value),
        };
        if !self.allow_duplicate_values && holds(batch, found, key, span) {
            return Ok(());
        }
        let mut value = Value::Str(span);
        if self.recursive && depth < DEPTH_MAX {
            let inner = batch.new_object();
            self.read(work, batch, span, inner, depth + 1)?;
            if !batch.object(inner).is_empty() {
                value = Value::Object(inner);
            }
        }
        add(batch, found, key, value);
        Ok(())
    }
}

impl Changes {
    /// Changes a text; the result is in `out` unless it stays the same.
    fn apply(
        &self,
        text: &[u8],
        search: &mut ExpressionScratch,
        out: &mut Vec<u8>,
        other: &mut Vec<u8>,
    ) -> Result<Piece, TooLong> {
        let mut piece = Piece::Same;
        for expression in [&self.trim, &self.remove].into_iter().flatten() {
            other.clear();
            let now = if matches!(piece, Piece::Changed) { &out[..] } else { text };
            if replace_all(expression, search, now, b"", other)? {
                std::mem::swap(out, other);
                piece = Piece::Changed;
            }
        }
        if let Some(form) = self.form {
            other.clear();
            let now = if matches!(piece, Piece::Changed) { &out[..] } else { text };
            if form.write(now, other) {
                std::mem::swap(out, other);
                piece = Piece::Changed;
            }
        }
        Ok(piece)
    }
}

/// Whether the key has this value already.
fn holds(batch: &mut Batch, found: NodeId, key: Key, value: Span) -> bool {
    let known = batch.find_in(found, key);
    let text = batch.bytes(value);
    let same = |value: &Value| batch.str_bytes(*value).is_some_and(|known| *known == *text);
    match known {
        Some(Value::Array(list)) => batch.array(list).iter().any(same),
        Some(single) => same(&single),
        None => false,
    }
}

/// Adds a value; the second one of a key makes a list.
fn add(batch: &mut Batch, found: NodeId, key: Key, value: Value) {
    match batch.find_in(found, key) {
        None => batch.set_in(found, key, value),
        Some(Value::Array(list)) => batch.array_mut(list).push(value),
        Some(first) => {
            let list = batch.new_array();
            batch.array_mut(list).extend([first, value]);
            batch.set_in(found, key, Value::Array(list));
        }
    }
}
