//! Whether a compiled condition holds for an event.
//!
//! In: a batch and the number of an event. Out: yes or no. Promises: nothing is allocated (a text
//! with escapes is decoded into a buffer of the thread, kept for the next one).

use std::cell::RefCell;
use std::cmp::Ordering;

use super::check::{Node, Order, Pairing, Scalar};
use crate::event::{Batch, Path, Value, decode_escapes};

thread_local! {
    /// The decoded text of a string with escapes.
    static PLAIN: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl Node {
    /// Whether it holds.
    pub(super) fn holds(&self, batch: &Batch, event: usize) -> bool {
        let get = |path: &Path| batch.get(event, path);
        match self {
            Node::Text { path, text } => get(path).is_some_and(|v| is_text(batch, v, text)),
            Node::All(parts) => parts.iter().all(|p| p.holds(batch, event)),
            Node::Any(parts) => parts.iter().any(|p| p.holds(batch, event)),
            Node::Not(inner) => !inner.holds(batch, event),
            Node::Constant(value) => *value,
            Node::Exists(path) => {
                path.is_timestamp() || get(path).is_some_and(|v| v != Value::Null)
            }
            Node::Equal { path, to: Scalar::Null } => {
                get(path).is_none_or(|value| value == Value::Null)
            }
            Node::Equal { path, to } => get(path).is_some_and(|v| equals(batch, v, to)),
            Node::Order { path, order, to } => get(path)
                .and_then(|value| order_of(batch, value, to))
                .is_some_and(|ordering| order.admits(ordering)),
            Node::Time { order, to_ns } => order.admits(batch.events[event].time_ns.cmp(to_ns)),
            Node::OneOf { path, texts, others } => match get(path) {
                Some(value) => {
                    let text = |plain: &[u8]| texts.binary_search_by(|t| (**t).cmp(plain)).is_ok();
                    with_text(batch, value, text)
                        .unwrap_or_else(|| others.iter().any(|o| equals(batch, value, o)))
                }
                None => false,
            },
            Node::Holds { path, value, finder } => get(path).is_some_and(|container| {
                let found = finder.as_ref().and_then(|finder| {
                    with_text(batch, container, |text| finder.find(text).is_some())
                });
                found.unwrap_or_else(|| any_item(batch, container, |i| equals(batch, i, value)))
            }),
            Node::Match { path, pattern } => get(path)
                .and_then(|value| with_text(batch, value, |text| pattern.is_match(text)))
                .unwrap_or(false),
            Node::Network { path, networks } => get(path)
                .and_then(|value| with_text(batch, value, address))
                .flatten()
                .is_some_and(|address| networks.iter().any(|n| n.contains(address))),
            Node::Pair { left, right, how } => match (get(left), get(right)) {
                (Some(left), Some(right)) => pair(batch, left, right, *how),
                _ => false,
            },
        }
    }
}

fn address(text: &[u8]) -> Option<std::net::IpAddr> {
    std::str::from_utf8(text).ok()?.trim().parse().ok()
}

/// Runs `read` over the plain text of a string; `None` when the value is not a string.
#[inline]
fn with_text<T>(batch: &Batch, value: Value, read: impl FnOnce(&[u8]) -> T) -> Option<T> {
    match value {
        Value::Str(span) => Some(read(batch.bytes(span))),
        Value::Escaped(span) => PLAIN.with_borrow_mut(|plain| {
            plain.clear();
            decode_escapes(batch.bytes(span), plain);
            Some(read(plain))
        }),
        _ => None,
    }
}

#[inline]
fn is_text(batch: &Batch, value: Value, text: &[u8]) -> bool {
    match value {
        Value::Str(span) => batch.bytes(span) == text,
        // An escape is longer than what it stands for.
        Value::Escaped(span) if (span.len as usize) < text.len() => false,
        _ => with_text(batch, value, |plain| plain == text).unwrap_or(false),
    }
}

fn equals(batch: &Batch, value: Value, to: &Scalar) -> bool {
    match to {
        Scalar::Null => value == Value::Null,
        Scalar::Bool(b) => value == Value::Bool(*b),
        Scalar::Text(text) => is_text(batch, value, text),
        Scalar::Int(_) | Scalar::Float(_) => {
            order_of(batch, value, to).is_some_and(Ordering::is_eq)
        }
    }
}

/// How a value stands to a number or a text; `None` where they have no order.
fn order_of(batch: &Batch, value: Value, to: &Scalar) -> Option<Ordering> {
    match to {
        Scalar::Text(text) => with_text(batch, value, |plain| plain.cmp(text)),
        Scalar::Int(n) => number(batch, value)?.compare(Number::Whole(i128::from(*n))),
        Scalar::Float(n) => number(batch, value)?.compare(Number::Fraction(*n)),
        Scalar::Null | Scalar::Bool(_) => None,
    }
}

#[derive(Clone, Copy)]
enum Number {
    Whole(i128),
    Fraction(f64),
}

impl Number {
    fn compare(self, other: Number) -> Option<Ordering> {
        match (self, other) {
            (Number::Whole(a), Number::Whole(b)) => Some(a.cmp(&b)),
            (a, b) => a.float().partial_cmp(&b.float()),
        }
    }

    fn float(self) -> f64 {
        match self {
            Number::Whole(n) => n as f64,
            Number::Fraction(n) => n,
        }
    }
}

fn number(batch: &Batch, value: Value) -> Option<Number> {
    match value {
        Value::Int(n) => Some(Number::Whole(i128::from(n))),
        Value::Float(n) => Some(Number::Fraction(n)),
        Value::Json(span) => {
            let text = std::str::from_utf8(batch.bytes(span)).ok()?;
            let whole = text.parse().ok().map(Number::Whole);
            whole.or_else(|| text.parse().ok().map(Number::Fraction))
        }
        _ => None,
    }
}

/// Whether an item of a list satisfies `is`; other values have no items.
fn any_item(batch: &Batch, value: Value, mut is: impl FnMut(Value) -> bool) -> bool {
    match value {
        Value::Array(node) => batch.array(node).iter().any(|item| is(*item)),
        Value::Json(span) if batch.bytes(span).first() == Some(&b'[') => {
            batch.raw_items(span).any(is)
        }
        _ => false,
    }
}

fn pair(batch: &Batch, left: Value, right: Value, how: Pairing) -> bool {
    match how {
        Pairing::Equal => same(batch, left, right),
        Pairing::Order(order) => ordered(batch, left, right, order),
        Pairing::In => {
            let part = both_texts(batch, left, right, |part, whole| {
                memchr::memmem::find(whole, part).is_some()
            });
            part.unwrap_or_else(|| any_item(batch, right, |item| same(batch, left, item)))
        }
    }
}

fn same(batch: &Batch, left: Value, right: Value) -> bool {
    if let Some(same) = both_texts(batch, left, right, |a, b| a == b) {
        return same;
    }
    match (number(batch, left), number(batch, right)) {
        (Some(a), Some(b)) => a.compare(b).is_some_and(Ordering::is_eq),
        _ => left == right && matches!(left, Value::Null | Value::Bool(_)),
    }
}

fn ordered(batch: &Batch, left: Value, right: Value, order: Order) -> bool {
    if let Some(ordering) = both_texts(batch, left, right, <[u8]>::cmp) {
        return order.admits(ordering);
    }
    match (number(batch, left), number(batch, right)) {
        (Some(a), Some(b)) => a.compare(b).is_some_and(|ordering| order.admits(ordering)),
        _ => false,
    }
}

/// Runs `read` over two texts; `None` unless both are texts.
fn both_texts<T>(
    batch: &Batch,
    left: Value,
    right: Value,
    read: impl FnOnce(&[u8], &[u8]) -> T,
) -> Option<T> {
    match (left, right) {
        (Value::Str(a), b) => with_text(batch, b, |b| read(batch.bytes(a), b)),
        (a, Value::Str(b)) => with_text(batch, a, |a| read(a, batch.bytes(b))),
        // Two texts with escapes are the one case that needs a second buffer; it is rare.
        (Value::Escaped(_), Value::Escaped(_)) => {
            let left = batch.str_bytes(left)?;
            with_text(batch, right, |right| read(&left, right))
        }
        _ => None,
    }
}
