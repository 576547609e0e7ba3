//! A syslog message as its parts.
//!
//! In: a line. Out: where its parts stand in it. Promises: every part lies within the line, between characters.
//! On failure: `None`: the line has neither a priority nor a time at its front.
//!
//! Sources: RFC 3164, section 4; RFC 5424, section 6.

use super::Part;
use crate::event::write_string;

/// Where the parts of a message stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) priority: Option<u8>,
    pub(super) time: Option<Part>,
    pub(super) host: Option<Part>,
    pub(super) program: Option<Part>,
    pub(super) process: Option<Part>,
    pub(super) id: Option<Part>,
    pub(super) data: Option<Part>,
    pub(super) text: Part,
}

const MONTHS: [&[u8; 3]; 12] = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
];

/// A line, and how far it was read.
struct Reader<'a> {
    line: &'a [u8],
    at: usize,
}

/// The parts of a line.
pub(super) fn message(line: &[u8]) -> Option<Message> {
    let mut reader = Reader { line, at: 0 };
    let priority = reader.priority();
    if priority.is_some() && reader.rest().starts_with(b"1 ") {
        let start = reader.at;
        reader.at += 2;
        if let Some(message) = reader.rfc5424() {
            return Some(Message { priority, ..message });
        }
        reader.at = start;
    }
    let time = reader.time();
    if priority.is_none() && time.is_none() {
        return None;
    }
    let message = if time.is_some() { reader.origin() } else { Message::default() };
    let message = Message { priority, time, ..message };
    Some(Message { text: reader.at..line.len(), ..message })
}

/// The elements of structured data as a JSON object of objects.
pub(super) fn write_data(data: &[u8], out: &mut Vec<u8>) {
    let mut reader = Reader { line: data, at: 0 };
    out.push(b'{');
    let mut first = true;
    while reader.take(b'[') {
        if !std::mem::take(&mut first) {
            out.push(b',');
        }
        write_string(reader.until(b" ]"), out);
        out.extend_from_slice(b":{");
        let mut inner = true;
        while reader.take(b' ') {
            if !std::mem::take(&mut inner) {
                out.push(b',');
            }
            write_string(reader.until(b"="), out);
            out.push(b':');
            reader.at += 2;
            write_string(&reader.quoted(), out);
        }
        reader.take(b']');
        out.push(b'}');
    }
    out.push(b'}');
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a [u8] {
        &self.line[self.at.min(self.line.len())..]
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.rest().first() == Some(&byte);
        self.at += usize::from(found);
        found
    }

    /// Up to one of these bytes, or the end.
    fn until(&mut self, ends: &[u8]) -> &'a [u8] {
        let rest = self.rest();
        let length = rest.iter().position(|b| ends.contains(b)).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    /// A value behind its opening quote, without escapes; reads its closing quote, too.
    fn quoted(&mut self) -> Vec<u8> {
        let mut value = Vec::new();
        while let [first, rest @ ..] = self.rest() {
            self.at += 1;
            match (first, rest) {
                (b'"', _) => break,
                (b'\\', [second @ (b'"' | b'\\' | b']'), ..]) => {
                    value.push(*second);
                    self.at += 1;
                }
                (byte, _) => value.push(*byte),
            }
        }
        value
    }

    /// `<34>`.
    fn priority(&mut self) -> Option<u8> {
        let rest = self.rest().strip_prefix(b"<")?;
        let digits = rest.iter().take(4).position(|b| *b == b'>')?;
        let number = std::str::from_utf8(&rest[..digits]).ok()?;
        let plain = number.bytes().all(|b| b.is_ascii_digit());
        let priority = number.parse::<u8>().ok().filter(|p| plain && *p <= 191)?;
        self.at += digits + 2;
        Some(priority)
    }

    /// What stands up to the next blank; `-` is nothing. Reads the blank, too.
    fn word(&mut self) -> Option<Option<Part>> {
        let start = self.at;
        let word = self.until(b" ");
        let part = start..self.at;
        (!word.is_empty()).then(|| {
            self.take(b' ');
            (word != b"-").then_some(part)
        })
    }

    /// Behind the version.
    fn rfc5424(&mut self) -> Option<Message> {
        let [time, host, program, process, id] =
            [self.word()?, self.word()?, self.word()?, self.word()?, self.word()?];
        let start = self.at;
        let data = if self.take(b'-') {
            None
        } else {
            self.data()?;
            Some(start..self.at)
        };
        if !self.rest().is_empty() && !self.take(b' ') {
            return None;
        }
        if self.rest().starts_with("\u{feff}".as_bytes()) {
            self.at += 3;
        }
        let text = self.at..self.line.len();
        Some(Message { priority: None, time, host, program, process, id, data, text })
    }

    /// `[id name="value" …]…`, as it must be.
    fn data(&mut self) -> Option<()> {
        let start = self.at;
        while self.take(b'[') {
            if self.until(b" ]=\"").is_empty() {
                return None;
            }
            while self.take(b' ') {
                if self.until(b" ]=\"").is_empty() || !self.take(b'=') || !self.take(b'"') {
                    return None;
                }
                self.quoted();
                if self.line.get(self.at.wrapping_sub(1)) != Some(&b'"') {
                    return None;
                }
            }
            if !self.take(b']') {
                return None;
            }
        }
        (self.at > start).then_some(())
    }

    /// `Nov 22 10:00:00`, with a year or a fraction, or an ISO 8601 time; reads the blank behind it, too.
    fn time(&mut self) -> Option<Part> {
        let start = self.at;
        let rest = self.rest();
        let is_month = MONTHS.iter().any(|month| rest.starts_with(*month));
        let is_iso = matches!(rest, [a, b, c, d, b'-', ..] if [a, b, c, d].iter().all(|b| b.is_ascii_digit()));
        if is_iso {
            self.until(b" ");
        } else if is_month {
            self.at += 3;
            self.blanks();
            // The day, perhaps a year, the time.
            for _ in 0..3 {
                let word = self.until(b" ");
                if word.contains(&b':') {
                    break;
                }
                if word.is_empty() || !word.iter().all(u8::is_ascii_digit) {
                    self.at = start;
                    return None;
                }
                self.blanks();
            }
            if !self.line[start..self.at].contains(&b':') {
                self.at = start;
                return None;
            }
        } else {
            return None;
        }
        let end = self.at - usize::from(self.line[self.at - 1] == b':');
        self.take(b' ');
        Some(start..end)
    }

    fn blanks(&mut self) {
        while self.take(b' ') {}
    }

    /// The host, and `program[process]:`; each may be missing.
    fn origin(&mut self) -> Message {
        let start = self.at;
        let word = self.until(b" ");
        let is_tag = word.ends_with(b":") || word.contains(&b'[');
        let mut host = None;
        if is_tag || word.is_empty() {
            self.at = start;
        } else {
            host = Some(start..self.at);
            self.take(b' ');
        }
        let (program, process) = self.tag();
        Message { host, program, process, ..Message::default() }
    }

    fn tag(&mut self) -> (Option<Part>, Option<Part>) {
        let start = self.at;
        let program = self.until(b" :[");
        let end = self.at;
        let mut process = None;
        if self.take(b'[') {
            let from = self.at;
            self.until(b"] ");
            process = Some(from..self.at).filter(|part| !part.is_empty());
            if !self.take(b']') {
                self.at = start;
                return (None, None);
            }
        }
        if program.is_empty() || (!self.take(b':') && process.is_none()) {
            self.at = start;
            return (None, None);
        }
        self.take(b' ');
        (Some(start..end), process)
    }
}
