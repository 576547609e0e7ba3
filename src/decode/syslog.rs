//! Codec `syslog`: messages of syslog daemons (RFC 3164, RFC 5424), with and without a priority.
//!
//! In: lines. Out: events with `message`, `host.name` (who sent it) and `log.syslog`, under the names of ECS:
//! `priority`, `facility.code` and `.name`, `severity.code` and `.name`, `hostname`, `appname`, `procid`, `msgid`,
//! `structured_data`. Promises: the event's time is the message's; one without a year gets the one that the filter
//! `date` would give it; one without a zone is in `timezone`; what a message does not have is absent.
//! On failure: a line in neither form is kept as `message`, tagged `_syslogparsefailure`; a message without a time, or
//! with one that cannot be read, has the time at which it was read.

use std::ops::Range;

use super::{Codec, Line, Marks, PerLine, Shape, add_common, add_mark_tags, message_event, placed};
use crate::event::{Batch, Field, Key, Keys, Span, Value, write_string};
use crate::settings::Section;
use crate::timestamp::{DateFormat, DateOptions};

mod parse;

use parse::Message;

const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv",
    "ftp", "ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4",
    "local5", "local6", "local7",
];
const SEVERITIES: [&str; 8] =
    ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];
/// The times of RFC 3164, and what senders make of them.
const FORMS: [&str; 3] = ["MMM d HH:mm:ss", "MMM d yyyy HH:mm:ss", "MMM d HH:mm:ss.SSS"];

struct Syslog {
    dates: Vec<DateFormat>,
    /// The line under way, so that the batch's text can grow meanwhile.
    line: Vec<u8>,
    text: Vec<u8>,
}

pub(super) fn load(section: &Section<'_>, _: &mut Keys) -> Option<Codec> {
    let timezone = section.string("timezone");
    let span = timezone.as_ref().map_or(section.span(), |zone| zone.span.clone());
    let options = DateOptions { timezone: timezone.map(|zone| zone.value), locale: None };
    let compile = |form: &&str| DateFormat::compile(form, &options);
    let forms = FORMS.iter().chain(&["ISO8601"]).map(compile);
    let dates = match forms.collect::<Result<Vec<_>, _>>() {
        Ok(dates) => dates,
        Err(why) => {
            section.error(span, why.message, why.hint);
            return None;
        }
    };
    Some(Codec {
        ordered: false,
        make: Box::new(move || {
            let (line, text) = (Vec::new(), Vec::new());
            Box::new(PerLine::new(Syslog { dates: dates.clone(), line, text }))
        }),
    })
}

impl Shape for Syslog {
    fn event(&mut self, batch: &mut Batch, line: Line, common: &[Field]) {
        self.line.clear();
        self.line.extend_from_slice(batch.bytes(line.span));
        let Some(message) = parse::message(&self.line) else {
            let marks = line.marks.and(Marks::NOT_SYSLOG);
            message_event(batch, Line { marks, ..line }, common);
            return;
        };
        let written = message.time.clone().map(|range| &self.line[range]);
        let time_ns = written.and_then(|text| self.time(text, line.time_ns));
        let event = batch.add_event(time_ns.unwrap_or(line.time_ns), line.offset);
        let text = line.span.part(message.text.start, message.text.end);
        batch.fields_mut(event).push(Field { key: Key::MESSAGE, value: Value::Str(text) });
        if let Some(host) = message.host.clone() {
            self.text.clear();
            self.text.extend_from_slice(b"{\"name\":");
            write_string(&self.line[host], &mut self.text);
            self.text.push(b'}');
            let host = batch.push_text(&self.text);
            batch.fields_mut(event).push(Field { key: Key::HOST, value: Value::Json(host) });
        }
        self.add_log(batch, event, &message, common);
        add_common(batch, event, common);
        let untimed = Marks::UNTIMED.when(message.time.is_some() && time_ns.is_none());
        let marks = line.marks.and(untimed);
        if marks != Marks::default() {
            add_mark_tags(batch, event, marks);
        }
    }
}

impl Syslog {
    fn time(&self, text: &[u8], now_ns: i64) -> Option<i64> {
        // A day of one digit is written with a blank before it.
        let mut plain = [0; 64];
        let text = match text.iter().zip(&text[1..]).position(|pair| pair == (&b' ', &b' ')) {
            Some(at) if text.len() <= plain.len() => {
                let (before, behind) = (&text[..at], &text[at + 1..]);
                plain[..at].copy_from_slice(before);
                plain[at..at + behind.len()].copy_from_slice(behind);
                &plain[..at + behind.len()]
            }
            _ => text,
        };
        self.dates.iter().find_map(|date| date.parse(text, now_ns))
    }

    /// `log`: what the message says about itself, and what the source says about its file.
    fn add_log(&mut self, batch: &mut Batch, event: usize, message: &Message, common: &[Field]) {
        self.text.clear();
        self.text.extend_from_slice(b"{\"syslog\":");
        message.write(&self.line, &mut self.text);
        let own = common.iter().find(|field| field.key == Key::LOG);
        if let Some(Field { value: Value::Json(span), .. }) =
            own.map(|field| placed(batch, event, *field))
            && span.len > 2
        {
            self.text.push(b',');
            let members: Span = span.part(1, span.len as usize - 1);
            self.text.extend_from_slice(batch.bytes(members));
        }
        self.text.push(b'}');
        let log = batch.push_text(&self.text);
        batch.fields_mut(event).push(Field { key: Key::LOG, value: Value::Json(log) });
    }
}

impl Message {
    /// `log.syslog` as JSON.
    fn write(&self, line: &[u8], out: &mut Vec<u8>) {
        let mut first = true;
        let mut comma = |out: &mut Vec<u8>| {
            out.push(if std::mem::take(&mut first) { b'{' } else { b',' });
        };
        if let Some(priority) = self.priority {
            comma(out);
            let (facility, severity) = (usize::from(priority / 8), usize::from(priority % 8));
            let (long, short) = (FACILITIES[facility], SEVERITIES[severity]);
            out.extend_from_slice(
                format_args!(
                    "\"priority\":{priority},\"facility\":{{\"code\":{facility},\"name\":\"{long}\"}},\
                     \"severity\":{{\"code\":{severity},\"name\":\"{short}\"}}"
                )
                .to_string()
                .as_bytes(),
            );
        }
        let texts = [
            ("hostname", &self.host),
            ("appname", &self.program),
            ("procid", &self.process),
            ("msgid", &self.id),
        ];
        for (name, range) in texts {
            let Some(range) = range.clone() else { continue };
            comma(out);
            write_string(name.as_bytes(), out);
            out.push(b':');
            write_string(&line[range], out);
        }
        if let Some(range) = self.data.clone() {
            comma(out);
            out.extend_from_slice(b"\"structured_data\":");
            parse::write_data(&line[range], out);
        }
        if std::mem::take(&mut first) {
            out.push(b'{');
        }
        out.push(b'}');
    }
}

/// A part of a line.
type Part = Range<usize>;

#[cfg(test)]
mod tests;
