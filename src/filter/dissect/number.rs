//! Fields as numbers, as `convert_datatype` of Logstash's `dissect` makes them.
//!
//! In: a field. Out: a whole number of any length, or a fraction. On failure: the middle of the tag that tells why.

use crate::event::{Batch, Path, Value};

/// What a field becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NumberType {
    Int,
    Float,
}

impl NumberType {
    pub(super) fn named(word: &str) -> Option<NumberType> {
        match word {
            "int" => Some(NumberType::Int),
            "float" => Some(NumberType::Float),
            _ => None,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            NumberType::Int => "int",
            NumberType::Float => "float",
        }
    }

    /// Converts a field in place.
    pub(super) fn convert(
        self,
        batch: &mut Batch,
        event: usize,
        field: &Path,
        scratch: &mut Vec<u8>,
    ) -> Result<(), &'static str> {
        let value = batch.get(event, field).filter(|value| *value != Value::Null);
        let value = value.ok_or("nullvalue")?;
        let number = match (self, value) {
            (NumberType::Int, Value::Int(_)) | (NumberType::Float, Value::Float(_)) => {
                return Ok(());
            }
            (NumberType::Float, Value::Int(n)) => Value::Float(n as f64),
            (_, Value::Object(_) | Value::Array(_) | Value::Bool(_) | Value::Null) => {
                return Err("uncoercible");
            }
            _ => {
                scratch.clear();
                batch.write_text(value, scratch);
                self.read(batch, scratch).ok_or("uncoercible")?
            }
        };
        batch.set(event, field, number);
        Ok(())
    }

    fn read(self, batch: &mut Batch, text: &[u8]) -> Option<Value> {
        let text = std::str::from_utf8(text).ok()?.trim();
        if !text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) {
            return None;
        }
        if self == NumberType::Float {
            return text.parse().ok().filter(|n: &f64| n.is_finite()).map(Value::Float);
        }
        if let Ok(number) = text.parse() {
            return Some(Value::Int(number));
        }
        let (sign, digits) = match text.strip_prefix('-') {
            Some(digits) => ("-", digits),
            None => ("", text.strip_prefix('+').unwrap_or(text)),
        };
        if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
            // More digits than an integer has: the number goes on as it is written.
            let json = format!("{sign}{}", digits.trim_start_matches('0'));
            return Some(Value::Json(batch.push_text(json.as_bytes())));
        }
        let number: f64 = text.parse().ok()?;
        let fits = number.abs() < 9.0e18;
        fits.then_some(Value::Int(number.trunc() as i64))
    }
}
