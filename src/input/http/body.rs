//! The body of a request as lines of JSON.
//!
//! In: bytes and what the request says they are: JSON (an object, an array, or several after one another), MessagePack,
//! a form with `json=…`, or text. Out: one JSON object a line; a line of text, and a value that is no object, is its
//! `message`. Promises: every value of the body once, in order; linear time. On failure: [`Refusal`], for a 400.

use crate::event::write_string;
use crate::msgpack::{Head, Reader};

/// What a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Json,
    MessagePack,
    /// `json=…` as a browser's form sends it.
    Fields,
    Text,
}

/// Why a body cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal(pub(super) &'static str);

impl Form {
    /// By the header `Content-Type`, and the first byte, where clients send what they always send (curl's `-d`).
    pub(super) fn of(content_type: &str, body: &[u8]) -> Form {
        let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let first = body.iter().find(|b| !b.is_ascii_whitespace());
        let like_json = matches!(first, Some(b'{' | b'['));
        match kind.as_str() {
            kind if kind.ends_with("json") => Form::Json,
            "application/msgpack" | "application/x-msgpack" => Form::MessagePack,
            "application/x-www-form-urlencoded" if body.starts_with(b"json=") => Form::Fields,
            "" | "application/x-www-form-urlencoded" | "application/octet-stream" if like_json => {
                Form::Json
            }
            _ => Form::Text,
        }
    }
}

/// Appends the lines of a body; each gets the tag.
pub(super) fn lines(form: Form, body: &[u8], tag: &str, out: &mut Vec<u8>) -> Result<(), Refusal> {
    let begin = beginning(tag);
    match form {
        Form::Json => json(body, &begin, out),
        Form::MessagePack => message_pack(body, &begin, out),
        Form::Fields => json(&form_value(&body[b"json=".len()..]), &begin, out),
        Form::Text => {
            let lines = body.split(|b| *b == b'\n').map(<[u8]>::trim_ascii_end);
            for line in lines.filter(|line| !line.is_empty()) {
                message(&begin, out, |out| write_string(line, out));
            }
            Ok(())
        }
    }
}

/// What every object begins with: a brace, and the tag where there is one.
fn beginning(tag: &str) -> Vec<u8> {
    let mut begin = b"{".to_vec();
    if !tag.is_empty() {
        begin.extend_from_slice(b"\"@metadata\":{\"tag\":");
        write_string(tag.as_bytes(), &mut begin);
        begin.push(b'}');
    }
    begin
}

/// An object whose `message` is a value.
fn message(begin: &[u8], out: &mut Vec<u8>, value: impl FnOnce(&mut Vec<u8>)) {
    members(begin, false, out);
    out.extend_from_slice(b"\"message\":");
    value(out);
    out.extend_from_slice(b"}\n");
}

/// The beginning, and a comma where members follow those that it has.
fn members(begin: &[u8], is_empty: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(begin);
    if begin.len() > 1 && !is_empty {
        out.push(b',');
    }
}

fn json(body: &[u8], begin: &[u8], out: &mut Vec<u8>) -> Result<(), Refusal> {
    let (mut rest, mut inside) = (body, false);
    loop {
        let blank = |b: &u8| b.is_ascii_whitespace() || *b == b',';
        let skipped = rest.iter().position(|b| !blank(b)).unwrap_or(rest.len());
        rest = &rest[skipped..];
        match rest.first() {
            None if inside => return Err(Refusal("the array does not end")),
            None => return Ok(()),
            Some(b'[') if !inside => {
                inside = true;
                rest = &rest[1..];
            }
            Some(b']') if inside => {
                inside = false;
                rest = &rest[1..];
            }
            Some(b']' | b'}') => return Err(Refusal("a bracket closes nothing")),
            Some(first) => {
                let length = value_length(rest)?;
                let (value, behind) = rest.split_at(length);
                rest = behind;
                let plain = |b: &u8| if matches!(b, b'\n' | b'\r') { b' ' } else { *b };
                if *first == b'{' {
                    let inner = &value[1..];
                    members(begin, inner.trim_ascii_start() == b"}", out);
                    out.extend(inner.iter().map(plain));
                    out.push(b'\n');
                } else {
                    message(begin, out, |out| out.extend(value.iter().map(plain)));
                }
            }
        }
    }
}

/// How long the JSON value is that `text` begins with; its inside is looked at later, by the codec.
fn value_length(text: &[u8]) -> Result<usize, Refusal> {
    let (mut depth, mut quoted, mut escaped) = (0_u32, false, false);
    for (at, byte) in text.iter().enumerate() {
        if quoted {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => quoted = false,
                _ => continue,
            }
            if !quoted && depth == 0 {
                return Ok(at + 1);
            }
            continue;
        }
        match byte {
            b'"' => quoted = true,
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth > 1 => depth -= 1,
            b'}' | b']' if depth == 1 => return Ok(at + 1),
            // The end of a number or a word.
            b'}' | b']' | b',' if depth == 0 => return Ok(at),
            byte if depth == 0 && byte.is_ascii_whitespace() => return Ok(at),
            _ => {}
        }
    }
    if depth > 0 || quoted { Err(Refusal("a JSON value does not end")) } else { Ok(text.len()) }
}

fn message_pack(body: &[u8], begin: &[u8], out: &mut Vec<u8>) -> Result<(), Refusal> {
    let malformed = |_| Refusal("this is no MessagePack");
    let mut reader = Reader::new(body);
    let mut items = 0;
    while !reader.rest().is_empty() {
        let mut look = reader;
        match look.head().map_err(malformed)? {
            Head::Array(count) if items == 0 => {
                items = u64::from(count);
                reader = look;
                continue;
            }
            Head::Map(count) => {
                reader = look;
                members(begin, count == 0, out);
                for number in 0..count {
                    if number > 0 {
                        out.push(b',');
                    }
                    reader.write_name(out).map_err(malformed)?;
                    reader.write_json(out).map_err(malformed)?;
                }
                out.extend_from_slice(b"}\n");
            }
            _ => {
                let mut value = Vec::new();
                reader.write_json(&mut value).map_err(malformed)?;
                message(begin, out, |out| out.extend_from_slice(&value));
            }
        }
        items = items.saturating_sub(1);
    }
    Ok(())
}

/// A form's value: `+` is a blank, `%41` a byte; another field's `&` ends it.
fn form_value(text: &[u8]) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::with_capacity(text.len()), text);
    while let [first, behind @ ..] = rest {
        let code = behind.get(..2).filter(|_| *first == b'%');
        let code = code.and_then(|code| std::str::from_utf8(code).ok());
        rest = behind;
        match (first, code.and_then(|code| u8::from_str_radix(code, 16).ok())) {
            (b'&', _) => break,
            (_, Some(byte)) => {
                out.push(byte);
                rest = &behind[2..];
            }
            (b'+', _) => out.push(b' '),
            (byte, _) => out.push(*byte),
        }
    }
    out
}

/// A body under the fuzzer.
#[cfg(any(test, fuzzing))]
pub(crate) fn http_body(data: &[u8]) {
    let [form, body @ ..] = data else { return };
    let forms = [Form::Json, Form::MessagePack, Form::Fields, Form::Text];
    let form = forms[usize::from(form % 4)];
    let body = if form == Form::Fields { [b"json=", body].concat() } else { body.to_vec() };
    let mut out = Vec::new();
    if lines(form, &body, if body.len() % 2 == 0 { "t" } else { "" }, &mut out).is_ok() {
        for line in out.split_inclusive(|b| *b == b'\n') {
            assert!(line.starts_with(b"{") && line.ends_with(b"\n"), "no whole line");
            let inner = String::from_utf8_lossy(&line[..line.len() - 1]);
            let whole = form == Form::MessagePack || form == Form::Text;
            if whole && std::str::from_utf8(&body).is_ok() {
                assert!(
                    serde_json::from_str::<serde_json::Value>(&inner).is_ok(),
                    "no JSON: {inner}"
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(form: Form, body: &[u8], tag: &str) -> String {
        let mut out = Vec::new();
        lines(form, body, tag, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn objects_arrays_and_lines_of_json_give_the_same() {
        let wanted = "{\"a\":\"x]}\\\"\"}\n{ }\n";
        let object = "{\"a\":\"x]}\\\"\"}";
        for body in [
            format!("[{object},{{ }}]"),
            format!("{object}\n{{ }}\n"),
            format!(" [ {object} ,\n {{\n}} ] "),
            format!("[{object}][{{ }}]"),
        ] {
            assert_eq!(text(Form::Json, body.as_bytes(), ""), wanted, "{body}");
        }
        let pretty = "{\n  \"a\": [1,\r\n 2]\n}";
        assert_eq!(text(Form::Json, pretty.as_bytes(), ""), "{   \"a\": [1,   2] }\n");
        let tagged =
            "{\"@metadata\":{\"tag\":\"app.x\"},\"a\":1}\n{\"@metadata\":{\"tag\":\"app.x\"}}\n";
        assert_eq!(text(Form::Json, b"{\"a\":1}{}", "app.x"), tagged);
        let scalars = "{\"message\":1}\n{\"message\":\"a b\"}\n{\"message\":null}\n";
        assert_eq!(text(Form::Json, b"[1,\"a b\", null]", ""), scalars);
    }

    #[test]
    fn text_forms_and_message_pack_become_json() {
        assert_eq!(
            text(Form::Text, b"a\r\n\n\"b\n", ""),
            "{\"message\":\"a\"}\n{\"message\":\"\\\"b\"}\n"
        );
        assert_eq!(
            text(Form::Fields, b"json=%7B%22a%22:%22b+c%22}&time=1", ""),
            "{\"a\":\"b c\"}\n"
        );
        assert_eq!(text(Form::MessagePack, b"\x92\x81\xa1a\x01\x80", ""), "{\"a\":1}\n{}\n");
        assert_eq!(text(Form::MessagePack, b"\x81\xa1a\x01\x2a", "t"), {
            "{\"@metadata\":{\"tag\":\"t\"},\"a\":1}\n{\"@metadata\":{\"tag\":\"t\"},\"message\":42}\n"
        });
    }

    #[test]
    fn what_does_not_end_is_refused() {
        for body in [&b"[{}"[..], b"{\"a\":1", b"\"a", b"}", b"[1,2"] {
            assert!(lines(Form::Json, body, "", &mut Vec::new()).is_err(), "{body:?}");
        }
        assert!(lines(Form::MessagePack, b"\x92\x01", "", &mut Vec::new()).is_ok());
        assert!(lines(Form::MessagePack, b"\x81\xa1a", "", &mut Vec::new()).is_err());
    }

    #[test]
    fn a_form_is_told_by_its_type_and_its_first_byte() {
        assert_eq!(Form::of("application/json; charset=utf-8", b"x"), Form::Json);
        assert_eq!(Form::of("application/vnd.api+json", b"x"), Form::Json);
        assert_eq!(Form::of("application/x-ndjson", b"x"), Form::Json);
        assert_eq!(Form::of("application/x-www-form-urlencoded", b" {\"a\":1}"), Form::Json);
        assert_eq!(Form::of("application/x-www-form-urlencoded", b"json={}"), Form::Fields);
        assert_eq!(Form::of("text/plain", b"{\"a\":1}"), Form::Text);
        assert_eq!(Form::of("", b"hello"), Form::Text);
    }
}
