//! `[time] LEVEL text`, with or without brackets.
//!
//! In: a line; its text may be a JSON object, or name a tool and a client (`tool=…`, `client_ip=…`). Out: an entry.
//! On failure: `None` where no time and level begin the line.

use memchr::memmem;

use super::{Entry, Text, json, time_of};

pub(super) fn read(line: &[u8]) -> Option<Entry<'_>> {
    let (time, rest) = match line.strip_prefix(b"[") {
        Some(inside) => split(inside, b']')?,
        None => split(line, b' ')?,
    };
    let time_ns = time_of(time).filter(|_| time.len() >= 10)?;
    let rest = rest.trim_ascii_start();
    let end =
        rest.iter().position(|b| !b.is_ascii_alphabetic() && *b != b'[').unwrap_or(rest.len());
    let level = rest[..end].strip_prefix(b"[").unwrap_or(&rest[..end]);
    if level.is_empty() || level.len() > 9 {
        return None;
    }
    let text = rest[end..].trim_ascii_start();
    let text = text.strip_prefix(b"]").or(text.strip_prefix(b":")).unwrap_or(text);
    let text = text.trim_ascii_start();
    let mut entry =
        if text.starts_with(b"{") { json::read(text) } else { None }.unwrap_or_else(|| Entry {
            message: Text::plain(text),
            tool: Text::plain(value_of(text, b"tool=")),
            client: Text::plain(value_of(text, b"client_ip=")),
            ..Entry::default()
        });
    entry.time_ns = entry.time_ns.or(Some(time_ns));
    if entry.level.is_empty() {
        entry.level = Text::plain(level);
    }
    Some(entry)
}

fn split(text: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let place = memchr::memchr(at, text)?;
    Some((&text[..place], &text[place + 1..]))
}

fn value_of<'a>(text: &'a [u8], name: &[u8]) -> &'a [u8] {
    let Some(at) = memmem::find(text, name) else { return b"" };
    if at > 0 && !text[at - 1].is_ascii_whitespace() {
        return b"";
    }
    let value = &text[at + name.len()..];
    let ends = |b: &u8| b.is_ascii_whitespace() || matches!(b, b'&' | b',' | b'"');
    &value[..value.iter().position(ends).unwrap_or(value.len())]
}
