//! Dates in texts to instants, in the formats of Logstash's date filter and of Fluentd.
//!
//! In: a format, compiled once; then texts or numbers. Out: nanoseconds since
//! 1970-01-01T00:00:00Z.
//! Promises: no allocation and no panic while parsing, whatever the bytes; the whole text must
//! be a date; the instants are those of Logstash, kept to the nanosecond. A local time that a
//! clock skips in spring counts as if the clock had not moved yet, where Logstash gives up.
//! On failure: a format that is not one is a [`DateFormatError`] that names the place and what
//! was perhaps meant; a text that is not a date is `None`.

mod abbreviation;
mod common_log;
mod epoch;
mod fields;
mod iso8601;
mod joda;
mod locale;
mod locale_data;
mod offset;
mod pattern;
mod strftime;
mod zone;

pub use zone::Zone;

use locale::Locale;
use pattern::Step;
use std::fmt;

/// What a format does not say itself.
#[derive(Clone, Debug, Default)]
pub struct DateOptions {
    /// Zone of texts that name none: `Europe/Berlin`, `+02:00`, `EST`. Default: UTC.
    pub timezone: Option<String>,
    /// Language of month and day names: `de`, `en-US`, `pt_BR`. Default: English, which every
    /// other one falls back to.
    pub locale: Option<String>,
}

/// What a [`DateFormatError`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorPart {
    /// The format.
    Format,
    /// [`DateOptions::timezone`].
    Timezone,
    /// [`DateOptions::locale`].
    Locale,
}

/// A format or a zone that is not one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DateFormatError {
    /// Where to look.
    pub part: ErrorPart,
    /// Byte offset in the format (0 for zones).
    pub offset: usize,
    /// What is wrong.
    pub message: String,
    /// What was perhaps meant.
    pub hint: Option<String>,
}

/// A number where a text could be, as JSON events hold them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum DateNumber {
    /// A whole number.
    Integer(i64),
    /// A number with a fraction.
    Float(f64),
}

/// A compiled format.
#[derive(Clone, Debug)]
pub struct DateFormat {
    kind: Kind,
    zone: Zone,
    locale: Locale,
}

/// What is known of the text that was read last.
#[derive(Clone, Debug, Default)]
pub struct Minute {
    iso: iso8601::Minute,
    common: common_log::Minute,
}

#[derive(Clone, Debug)]
enum Kind {
    Iso8601,
    Unix,
    UnixMs,
    Tai64n,
    /// A pattern; first the short way of web server logs?
    Pattern {
        steps: Box<[Step]>,
        common_log: bool,
    },
}

impl fmt::Display for DateFormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.message)?;
        if self.part == ErrorPart::Format {
            write!(f, " (at byte {} of the format)", self.offset)?;
        }
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, "; {hint}"))
    }
}

impl std::error::Error for DateFormatError {}

impl From<i64> for DateNumber {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<f64> for DateNumber {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

/// Why month and day names of a locale cannot be read; `None`: they can.
pub fn locale_problem(locale: &str) -> Option<DateFormatError> {
    (!locale::is_known(locale)).then(|| DateFormatError {
        part: ErrorPart::Locale,
        offset: 0,
        message: format!("the names of months and days in `{locale}` are not known"),
        hint: Some(format!("there are: {}", locale::languages().join(", "))),
    })
}

impl DateFormat {
    /// Compiles `ISO8601`, `UNIX`, `UNIX_MS`, `TAI64N`, a pattern with `%` (`strftime`) or
    /// another one (Joda-Time).
    ///
    /// # Errors
    /// An unknown letter, directive or zone, an open quote, or a mix of letters that cannot mean
    /// what it says (`yyyy-mm-dd`).
    pub fn compile(format: &str, options: &DateOptions) -> Result<Self, DateFormatError> {
        let zone = options.timezone.as_deref().map_or(Ok(Zone::UTC), zone_named)?;
        let locale = Locale::of(options.locale.as_deref());
        let kind = match format {
            "ISO8601" => Kind::Iso8601,
            "UNIX" => Kind::Unix,
            "UNIX_MS" => Kind::UnixMs,
            "TAI64N" => Kind::Tai64n,
            _ => {
                check_builtin_name(format)?;
                let compile = if format.contains('%') { strftime::compile } else { joda::compile };
                let steps = compile(format)?.into();
                let common_log = locale.english && common_log::FORMATS.contains(&format);
                Kind::Pattern { steps, common_log }
            }
        };
        Ok(Self { kind, zone, locale })
    }

    /// The instant a text names, in nanoseconds since the epoch. `now_ns` is the present, on the
    /// same scale, for formats without a year.
    #[inline]
    pub fn parse(&self, text: &[u8], now_ns: i64) -> Option<i64> {
        self.parse_in(text, now_ns, &self.zone)
    }

    /// As [`Self::parse`], for many texts one behind the other, which are mostly of the same minute.
    #[inline]
    pub fn parse_again(&self, text: &[u8], now_ns: i64, minute: &mut Minute) -> Option<i64> {
        match &self.kind {
            Kind::Iso8601 => iso8601::parse_again(text, &self.zone, &mut minute.iso),
            Kind::Pattern { common_log: true, .. } => {
                let known = common_log::parse_again(text, &mut minute.common);
                known.or_else(|| self.parse(text, now_ns))
            }
            _ => self.parse(text, now_ns),
        }
    }

    /// As [`Self::parse`], with another zone for texts that name none: one from the event.
    #[inline]
    pub fn parse_in(&self, text: &[u8], now_ns: i64, zone: &Zone) -> Option<i64> {
        match &self.kind {
            Kind::Iso8601 => iso8601::parse(text, zone),
            Kind::Unix => epoch::unix_text(text),
            Kind::UnixMs => epoch::unix_ms_text(text),
            Kind::Tai64n => epoch::tai64n(text),
            Kind::Pattern { steps, common_log } => {
                if *common_log && let Some(instant) = common_log::parse(text) {
                    return Some(instant);
                }
                pattern::run(steps, text, &self.locale, now_ns)?.resolve(now_ns, zone)
            }
        }
    }

    /// The instant a number names; only `UNIX` and `UNIX_MS` take numbers.
    pub fn parse_number(&self, number: impl Into<DateNumber>) -> Option<i64> {
        match (&self.kind, number.into()) {
            (Kind::Unix, DateNumber::Integer(seconds)) => epoch::unix_integer(seconds),
            (Kind::Unix, DateNumber::Float(seconds)) => epoch::unix_float(seconds),
            (Kind::UnixMs, DateNumber::Integer(millis)) => epoch::unix_ms_integer(millis),
            (Kind::UnixMs, DateNumber::Float(millis)) => epoch::unix_ms_float(millis),
            _ => None,
        }
    }
}

fn zone_named(name: &str) -> Result<Zone, DateFormatError> {
    Zone::named(name).ok_or_else(|| DateFormatError {
        part: ErrorPart::Timezone,
        offset: 0,
        message: format!("`{name}` is not a time zone"),
        hint: Some(zone::suggest(name).map_or_else(
            || "write a name such as Europe/Berlin, or a difference such as +01:00".to_string(),
            |name| format!("did you mean `{name}`?"),
        )),
    })
}

/// `iso8601` or `UNIXMS` would be taken for patterns and blamed for their letters.
fn check_builtin_name(format: &str) -> Result<(), DateFormatError> {
    let plain: String = format
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_uppercase())
        .collect();
    let meant = match plain.as_str() {
        "ISO8601" | "ISO" | "RFC3339" => "ISO8601",
        "UNIX" | "EPOCH" | "UNIXTIME" => "UNIX",
        "UNIXMS" | "EPOCHMS" | "UNIXMILLIS" | "EPOCHMILLIS" => "UNIX_MS",
        "TAI64N" | "TAI64" => "TAI64N",
        _ => return Ok(()),
    };
    Err(DateFormatError {
        part: ErrorPart::Format,
        offset: 0,
        message: format!("`{format}` is not a date format"),
        hint: Some(format!("did you mean `{meant}`?")),
    })
}

/// ISO 8601 without compiling a format first.
pub(super) fn parse_iso8601(text: &[u8], zone: &Zone) -> Option<i64> {
    iso8601::parse(text, zone)
}
