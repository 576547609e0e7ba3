//! A JSON object as an entry.
//!
//! In: one object. Out: the fields that a report counts, under the names of the application's formatter, of the shipped
//! pipelines, of nginx's JSON logs, and of ECS, flat or nested. Promises: values of other fields are skipped without
//! being understood. On failure: `None` for a text whose objects, strings or commas do not fit together.

use memchr::memchr2;

use super::{Entry, Text, time_of};

/// Objects that are looked into.
#[derive(Clone, Copy)]
enum Place {
    Top,
    Http,
    Request,
    Response,
    Url,
    Event,
    Client,
    Log,
    Error,
}

/// Fields that are counted.
#[derive(Clone, Copy)]
enum Field {
    Time,
    Level,
    Message,
    /// The text behind the level, where a pipeline has taken the line apart.
    Rest,
    EventType,
    Method,
    Path,
    Status,
    /// The factor that makes milliseconds of it.
    Duration(f64),
    Tool,
    Success,
    Outcome,
    Client,
    Exception,
}

struct Scan<'a> {
    text: &'a [u8],
    at: usize,
}

enum Value<'a> {
    Text(Text<'a>),
    /// A number, `true`, `false` or `null`.
    Word(&'a [u8]),
    Object,
    Other,
}

/// Deeper objects than any known field lies in are skipped.
pub(super) fn read(line: &[u8]) -> Option<Entry<'_>> {
    let mut entry = Entry::default();
    let mut scan = Scan { text: line, at: 0 };
    scan.object(Place::Top, &mut entry)?;
    scan.blank();
    (scan.at == line.len()).then_some(entry)
}

fn inner(place: Place, name: &[u8]) -> Option<Place> {
    Some(match (place, name) {
        (Place::Top, b"http") => Place::Http,
        (Place::Http, b"request") => Place::Request,
        (Place::Http, b"response") => Place::Response,
        (Place::Top, b"url") => Place::Url,
        (Place::Top, b"event") => Place::Event,
        (Place::Top, b"client" | b"source") => Place::Client,
        (Place::Top, b"log") => Place::Log,
        (Place::Top, b"error" | b"exception") => Place::Error,
        _ => return None,
    })
}

fn field(place: Place, name: &[u8]) -> Option<Field> {
    Some(match place {
        Place::Top => return top(name),
        Place::Request if name == b"method" => Field::Method,
        Place::Response if name == b"status_code" => Field::Status,
        Place::Url if name == b"path" || name == b"original" => Field::Path,
        Place::Event if name == b"duration" => Field::Duration(1e-6),
        Place::Event if name == b"outcome" => Field::Outcome,
        Place::Client if name == b"ip" || name == b"address" => Field::Client,
        Place::Log if name == b"level" => Field::Level,
        Place::Error if name == b"type" => Field::Exception,
        _ => return None,
    })
}

fn top(name: &[u8]) -> Option<Field> {
    Some(match name {
        b"@timestamp" | b"timestamp" | b"time" | b"ts" | b"time_iso8601" => Field::Time,
        b"level" | b"severity" | b"levelname" | b"log.level" => Field::Level,
        b"message" => Field::Message,
        b"msg" => Field::Rest,
        b"event_type" | b"event" => Field::EventType,
        b"method" | b"request_method" | b"http.request.method" => Field::Method,
        b"path" | b"uri" | b"request_uri" | b"url.path" | b"url.original" => Field::Path,
        b"status_code" | b"status" | b"code" | b"http.response.status_code" => Field::Status,
        b"duration_ms" | b"elapsed_ms" | b"latency_ms" | b"response_time_ms" => {
            Field::Duration(1.0)
        }
        b"request_time" | b"duration_seconds" => Field::Duration(1e3),
        b"event.duration" => Field::Duration(1e-6),
        b"tool_name" => Field::Tool,
        b"success" => Field::Success,
        b"event.outcome" => Field::Outcome,
        b"client_ip" | b"remote_addr" | b"remote" | b"client.ip" | b"source.ip"
        | b"source.address" | b"client.address" => Field::Client,
        b"error_type" | b"error.type" => Field::Exception,
        _ => return None,
    })
}

impl<'a> Scan<'a> {
    fn blank(&mut self) {
        while self.text.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
    }

    /// The next byte that is not blank.
    fn sign(&mut self) -> Option<u8> {
        self.blank();
        self.at += 1;
        self.text.get(self.at - 1).copied()
    }

    fn object(&mut self, place: Place, entry: &mut Entry<'a>) -> Option<()> {
        if self.sign()? != b'{' {
            return None;
        }
        self.blank();
        if self.text.get(self.at) == Some(&b'}') {
            self.at += 1;
            return Some(());
        }
        loop {
            if self.sign()? != b'"' {
                return None;
            }
            let name = self.string()?.raw;
            if self.sign()? != b':' {
                return None;
            }
            self.member(place, name, entry)?;
            match self.sign()? {
                b',' => {}
                b'}' => return Some(()),
                _ => return None,
            }
        }
    }

    fn member(&mut self, place: Place, name: &'a [u8], entry: &mut Entry<'a>) -> Option<()> {
        self.blank();
        if self.text.get(self.at) == Some(&b'{')
            && let Some(inner) = inner(place, name)
        {
            return self.object(inner, entry);
        }
        let value = self.value()?;
        if let Some(field) = field(place, name) {
            put(field, &value, entry);
        }
        Some(())
    }

    fn value(&mut self) -> Option<Value<'a>> {
        match self.text.get(self.at)? {
            b'"' => {
                self.at += 1;
                self.string().map(Value::Text)
            }
            b'{' => self.skip().map(|()| Value::Object),
            b'[' => self.skip().map(|()| Value::Other),
            _ => {
                let rest = &self.text[self.at..];
                let ends = |b: &u8| matches!(b, b',' | b'}' | b']') || b.is_ascii_whitespace();
                let word = &rest[..rest.iter().position(ends)?];
                self.at += word.len();
                (!word.is_empty()).then_some(Value::Word(word))
            }
        }
    }

    /// The inside of a string whose first quote was taken.
    fn string(&mut self) -> Option<Text<'a>> {
        let from = self.at;
        let mut escaped = false;
        loop {
            let found = self.at + memchr2(b'"', b'\\', self.text.get(self.at..)?)?;
            if self.text[found] == b'"' {
                self.at = found + 1;
                return Some(Text { raw: &self.text[from..found], escaped });
            }
            escaped = true;
            self.at = found + 2;
        }
    }

    /// Passes over a list or an object.
    fn skip(&mut self) -> Option<()> {
        let mut depth = 0_u32;
        loop {
            let byte = *self.text.get(self.at)?;
            self.at += 1;
            match byte {
                b'"' => {
                    self.string()?;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => {
                    depth = depth.checked_sub(1)?;
                    if depth == 0 {
                        return Some(());
                    }
                }
                _ => {}
            }
        }
    }
}

fn number(raw: &[u8]) -> Option<f64> {
    std::str::from_utf8(raw).ok()?.parse().ok().filter(|n: &f64| n.is_finite())
}

fn put<'a>(field: Field, value: &Value<'a>, entry: &mut Entry<'a>) {
    let (text, raw) = match value {
        Value::Text(text) => (*text, text.raw),
        Value::Word(b"null") | Value::Object | Value::Other => return,
        Value::Word(word) => (Text::plain(word), *word),
    };
    match field {
        Field::Time => entry.time_ns = time_of(raw).or(entry.time_ns),
        Field::Level => entry.level = text,
        Field::Rest => entry.message = text,
        Field::Message => {
            if entry.message.is_empty() {
                entry.message = text;
            }
        }
        Field::EventType => entry.event_type = text,
        Field::Method => entry.method = text,
        Field::Path => entry.path = text,
        Field::Status => {
            // `status` is a word (`success`, `error`) in other logs.
            let code = std::str::from_utf8(raw).ok().and_then(|t| t.parse().ok());
            entry.status = code.filter(|c| (100..1000).contains(c)).unwrap_or(entry.status);
        }
        Field::Duration(factor) => {
            entry.duration_ms = number(raw).filter(|n| *n >= 0.0).map(|n| n * factor);
        }
        Field::Tool => entry.tool = text,
        Field::Success => entry.success = Some(raw == b"true"),
        Field::Outcome => entry.success = Some(raw != b"failure"),
        Field::Client => entry.client = text,
        Field::Exception => entry.exception = text,
    }
}
