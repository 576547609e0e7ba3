//! What a group of events comes to.
//!
//! In: events. Out: for each function a number or a JSON text. Promises: whole numbers stay whole until they are too
//! large; what is written for the journal is read back as it was.

use super::super::FilterLoad;
use super::super::named::{Use, path};
use super::super::windows::{Held, write_plain};
use crate::event::{Batch, Path, Value};
use crate::limits;
use crate::settings::{Section, Spanned};

/// What is made of a field's values.
#[derive(Debug)]
pub(super) enum Function {
    Count,
    Start,
    End,
    Sum(Path),
    Min(Path),
    Max(Path),
    First(Path),
    Last(Path),
}

/// What it came to.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell {
    Empty,
    Int(i64),
    Float(f64),
    Json(Vec<u8>),
}

/// The events of one window.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Group {
    pub(super) count: u64,
    pub(super) oldest_ns: i64,
    pub(super) newest_ns: i64,
    pub(super) cells: Vec<Cell>,
}

impl Function {
    pub(super) fn read(
        section: &Section<'_>,
        text: &Spanned<String>,
        load: &mut FilterLoad<'_>,
    ) -> Option<Function> {
        let named = match text.as_str() {
            "count" => Some(Function::Count),
            "start" => Some(Function::Start),
            "end" => Some(Function::End),
            _ => None,
        };
        if named.is_some() {
            return named;
        }
        let parts = text.strip_suffix(')').and_then(|text| text.split_once('('));
        let make = parts.and_then(|(name, _)| match name.trim() {
            "sum" => Some(Function::Sum as fn(Path) -> Function),
            "min" => Some(Function::Min),
            "max" => Some(Function::Max),
            "first" => Some(Function::First),
            "last" => Some(Function::Last),
            _ => None,
        });
        let Some((make, (_, field))) = make.zip(parts) else {
            let message = format!("there is no function \"{}\"", text.value);
            let hint = "the functions are: count, sum(FIELD), min(FIELD), max(FIELD), first(FIELD), last(FIELD), \
                        start, end";
            section.error(text.span.clone(), message, Some(hint.into()));
            return None;
        };
        let field = Spanned { value: field.trim().to_string(), span: text.span.clone() };
        path(section, &field, Use::Read, load).map(make)
    }

    /// Its name, and that of its field.
    pub(super) fn written(&self) -> (&'static str, &str) {
        match self {
            Function::Count => ("count", ""),
            Function::Start => ("start", ""),
            Function::End => ("end", ""),
            Function::Sum(path) => ("sum", path.as_str()),
            Function::Min(path) => ("min", path.as_str()),
            Function::Max(path) => ("max", path.as_str()),
            Function::First(path) => ("first", path.as_str()),
            Function::Last(path) => ("last", path.as_str()),
        }
    }
}

impl Group {
    pub(super) fn new(functions: usize) -> Group {
        let cells = vec![Cell::Empty; functions];
        Group { count: 0, oldest_ns: i64::MAX, newest_ns: i64::MIN, cells }
    }

    /// Adds an event.
    pub(super) fn add(
        &mut self,
        batch: &Batch,
        event: usize,
        functions: &[(Path, Function)],
        scratch: &mut Vec<u8>,
    ) {
        let time_ns = batch.events[event].time_ns;
        self.count += 1;
        self.oldest_ns = self.oldest_ns.min(time_ns);
        self.newest_ns = self.newest_ns.max(time_ns);
        for ((_, function), cell) in functions.iter().zip(&mut self.cells) {
            match function {
                Function::Count | Function::Start | Function::End => {}
                Function::Sum(path) => cell.join(number(batch, event, path), sum),
                Function::Min(path) => cell.join(number(batch, event, path), smaller),
                Function::Max(path) => cell.join(number(batch, event, path), larger),
                Function::First(_) if *cell != Cell::Empty => {}
                Function::First(path) | Function::Last(path) => {
                    cell.keep(batch, event, path, scratch);
                }
            }
        }
    }
}

/// A number of either kind.
#[derive(Clone, Copy)]
enum Number {
    Int(i64),
    Float(f64),
}

impl Number {
    fn float(self) -> f64 {
        match self {
            Number::Int(n) => n as f64,
            Number::Float(n) => n,
        }
    }
}

impl Cell {
    fn join(&mut self, other: Option<Number>, join: fn(Number, Number) -> Number) {
        let Some(other) = other else { return };
        let joined = match self {
            Cell::Int(n) => join(Number::Int(*n), other),
            Cell::Float(n) => join(Number::Float(*n), other),
            Cell::Empty | Cell::Json(_) => other,
        };
        *self = match joined {
            Number::Int(n) => Cell::Int(n),
            Number::Float(n) => Cell::Float(n),
        };
    }

    /// Keeps a field's value, in the memory of the one that was kept.
    fn keep(&mut self, batch: &Batch, event: usize, path: &Path, scratch: &mut Vec<u8>) {
        scratch.clear();
        let found = write_plain(batch, event, path, scratch);
        if !found || scratch.len() > limits::FILTER_EVENT_BYTES_MAX {
            return;
        }
        match self {
            Cell::Json(text) => {
                text.clear();
                text.extend_from_slice(scratch);
            }
            other => *other = Cell::Json(scratch.clone()),
        }
    }
}

fn sum(one: Number, other: Number) -> Number {
    if let (Number::Int(a), Number::Int(b)) = (one, other)
        && let Some(sum) = a.checked_add(b)
    {
        return Number::Int(sum);
    }
    Number::Float(one.float() + other.float())
}

fn smaller(one: Number, other: Number) -> Number {
    if other.float() < one.float() { other } else { one }
}

fn larger(one: Number, other: Number) -> Number {
    if other.float() > one.float() { other } else { one }
}

/// A field's number, also where it is written as a text.
fn number(batch: &Batch, event: usize, path: &Path) -> Option<Number> {
    match batch.get(event, path)? {
        Value::Int(n) => Some(Number::Int(n)),
        Value::Float(n) => Some(Number::Float(n)),
        // A number with a fraction stays the text that it was read as.
        Value::Json(span) => read_number(batch.bytes(span)),
        text => read_number(&batch.str_bytes(text)?),
    }
}

fn read_number(text: &[u8]) -> Option<Number> {
    let text = std::str::from_utf8(text).ok()?.trim();
    let whole = text.parse().ok().map(Number::Int);
    whole.or_else(|| text.parse().ok().filter(|n: &f64| n.is_finite()).map(Number::Float))
}

/// A field's number as a float; see [`number`].
pub(in super::super) fn float(batch: &Batch, event: usize, path: &Path) -> Option<f64> {
    number(batch, event, path).map(Number::float)
}

impl Held for Group {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.count.to_le_bytes());
        out.extend_from_slice(&self.oldest_ns.to_le_bytes());
        out.extend_from_slice(&self.newest_ns.to_le_bytes());
        for cell in &self.cells {
            match cell {
                Cell::Empty => out.push(0),
                Cell::Int(n) => {
                    out.push(1);
                    out.extend_from_slice(&n.to_le_bytes());
                }
                Cell::Float(n) => {
                    out.push(2);
                    out.extend_from_slice(&n.to_bits().to_le_bytes());
                }
                Cell::Json(text) => {
                    out.push(3);
                    out.extend_from_slice(&(text.len() as u32).to_le_bytes());
                    out.extend_from_slice(text);
                }
            }
        }
    }

    fn read(bytes: &[u8]) -> Option<Group> {
        let (count, bytes) = bytes.split_first_chunk::<8>()?;
        let (oldest, bytes) = bytes.split_first_chunk::<8>()?;
        let (newest, mut bytes) = bytes.split_first_chunk::<8>()?;
        let mut cells = Vec::new();
        while let Some((kind, rest)) = bytes.split_first() {
            let (cell, rest) = match kind {
                0 => (Cell::Empty, rest),
                1 => {
                    let (n, rest) = rest.split_first_chunk::<8>()?;
                    (Cell::Int(i64::from_le_bytes(*n)), rest)
                }
                2 => {
                    let (n, rest) = rest.split_first_chunk::<8>()?;
                    (Cell::Float(f64::from_bits(u64::from_le_bytes(*n))), rest)
                }
                3 => {
                    let (length, rest) = rest.split_first_chunk::<4>()?;
                    let length = u32::from_le_bytes(*length) as usize;
                    let (text, rest) = rest.split_at_checked(length)?;
                    (Cell::Json(text.to_vec()), rest)
                }
                _ => return None,
            };
            cells.push(cell);
            bytes = rest;
        }
        Some(Group {
            count: u64::from_le_bytes(*count),
            oldest_ns: i64::from_le_bytes(*oldest),
            newest_ns: i64::from_le_bytes(*newest),
            cells,
        })
    }

    fn bytes(&self) -> usize {
        let text = |cell: &Cell| if let Cell::Json(text) = cell { text.len() } else { 0 };
        self.cells.iter().map(text).sum::<usize>() + self.cells.len() * size_of::<Cell>()
    }
}
