//! A document that is not well formed, made so: what can be read of it, for paths that select from it.
//!
//! In: a text. Out: a document of the elements that are in it, as forgiving readers take them: an end closes the
//! innermost element whatever its name, an attribute counts once, what is open at the end is closed, and what follows
//! the root is left out. Promises: the work is linear in the text's length. On failure: `None` where there is no
//! element.

/// The entities that every document knows.
const ENTITIES: [&str; 5] = ["amp", "lt", "gt", "quot", "apos"];

/// A text as a well-formed document.
pub(super) fn mend(text: &str) -> Option<String> {
    let mut mender = Mender { rest: text, out: String::new(), open: Vec::new(), began: false };
    while !mender.is_done() {
        mender.step();
    }
    while let Some(name) = mender.open.pop() {
        mender.close(name);
    }
    mender.began.then_some(mender.out)
}

struct Mender<'a> {
    rest: &'a str,
    out: String,
    /// The elements that are open, the innermost last.
    open: Vec<&'a str>,
    /// The root was there.
    began: bool,
}

impl<'a> Mender<'a> {
    fn is_done(&self) -> bool {
        self.rest.is_empty() || (self.began && self.open.is_empty())
    }

    fn step(&mut self) {
        let rest = self.rest;
        if rest.starts_with("<!--") {
            self.copy_to("-->");
        } else if rest.starts_with("<![CDATA[") {
            self.copy_to("]]>");
        } else if rest.starts_with("<?") {
            self.skip_to("?>");
        } else if rest.starts_with("<!") {
            self.skip_to(if rest.split('>').next().is_some_and(|it| it.contains('[')) {
                "]>"
            } else {
                ">"
            });
        } else if rest.starts_with("</") {
            self.skip_to(">");
            if let Some(name) = self.open.pop() {
                self.close(name);
            }
        } else if let Some(after) = rest.strip_prefix('<') {
            self.rest = after;
            self.element();
        } else {
            let end = rest.find('<').unwrap_or(rest.len());
            if !self.open.is_empty() {
                write(&rest[..end], &mut self.out);
            }
            self.rest = &rest[end..];
        }
    }

    /// Copies up to the mark; what never ends is left out.
    fn copy_to(&mut self, mark: &str) {
        match self.rest.find(mark) {
            Some(at) => {
                let (part, rest) = self.rest.split_at(at + mark.len());
                if !self.open.is_empty() {
                    self.out.push_str(part);
                }
                self.rest = rest;
            }
            None => self.rest = "",
        }
    }

    fn skip_to(&mut self, mark: &str) {
        self.rest = self.rest.find(mark).map_or("", |at| &self.rest[at + mark.len()..]);
    }

    fn close(&mut self, name: &str) {
        self.out.push_str("</");
        self.out.push_str(name);
        self.out.push('>');
    }

    /// An element's start, behind its `<`.
    fn element(&mut self) {
        let name = self.name();
        if name.is_empty() {
            return;
        }
        let mut start = format!("<{name}");
        let mut known: Vec<&str> = Vec::new();
        loop {
            self.rest = self.rest.trim_start();
            if let Some(rest) = self.rest.strip_prefix("/>") {
                self.rest = rest;
                self.began = true;
                self.out.push_str(&start);
                return self.out.push_str("/>");
            }
            if let Some(rest) = self.rest.strip_prefix('>') {
                self.rest = rest;
                self.began = true;
                self.out.push_str(&start);
                self.out.push('>');
                return self.open.push(name);
            }
            if self.rest.is_empty() || self.rest.starts_with('<') {
                return;
            }
            self.attribute(&mut start, &mut known);
        }
    }

    fn attribute(&mut self, start: &mut String, known: &mut Vec<&'a str>) {
        let name = self.name();
        let value = self.rest.trim_start().strip_prefix('=').map(str::trim_start);
        let quote =
            value.and_then(|value| value.chars().next()).filter(|c| matches!(c, '"' | '\''));
        let (Some(value), Some(quote), false) = (value, quote, name.is_empty()) else {
            // No attribute: one sign is passed over, so that each step takes something.
            let mut chars = self.rest.chars();
            if name.is_empty() {
                chars.next();
            }
            return self.rest = chars.as_str();
        };
        let inner = &value[1..];
        let Some(end) = inner.find(quote) else {
            return self.rest = "";
        };
        self.rest = &inner[end + 1..];
        if !known.contains(&name) {
            known.push(name);
            start.push(' ');
            start.push_str(name);
            start.push('=');
            start.push(quote);
            write(&inner[..end], start);
            start.push(quote);
        }
    }

    fn name(&mut self) -> &'a str {
        let begins = |c: char| c.is_alphabetic() || matches!(c, '_' | ':');
        if !self.rest.starts_with(begins) {
            return "";
        }
        let goes_on = |c: char| !(c.is_alphanumeric() || matches!(c, '_' | ':' | '-' | '.'));
        let end = self.rest.find(goes_on).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        self.rest = rest;
        name
    }
}

/// Writes a text without what stands for nothing: a bare `&`, an entity that is not known, signs that XML has not.
fn write(text: &str, out: &mut String) {
    let mut rest = text;
    while let Some(at) = rest.find(['&', '<']) {
        push(&rest[..at], out);
        if rest[at..].starts_with('<') {
            out.push_str("&lt;");
            rest = &rest[at + 1..];
            continue;
        }
        rest = &rest[at + 1..];
        let Some(end) = rest.find(';').filter(|end| *end <= 10) else { continue };
        let name = &rest[..end];
        let known = ENTITIES.contains(&name) || reference(name).is_some_and(is_allowed);
        if known {
            out.push('&');
            out.push_str(&rest[..=end]);
        }
        let is_name = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '#');
        if known || is_name {
            rest = &rest[end + 1..];
        }
    }
    push(rest, out);
}

fn push(text: &str, out: &mut String) {
    out.extend(text.chars().filter(|c| is_allowed(*c)));
}

/// The character of `#65` or `#x41`.
fn reference(name: &str) -> Option<char> {
    let digits = name.strip_prefix('#')?;
    let code = match digits.strip_prefix('x') {
        Some(digits) => u32::from_str_radix(digits, 16).ok()?,
        None => digits.parse().ok()?,
    };
    char::from_u32(code)
}

fn is_allowed(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..) && !matches!(c, '\u{fffe}' | '\u{ffff}')
}

#[cfg(test)]
mod tests {
    use super::mend;

    #[test]
    fn what_can_be_read_is_well_formed() {
        let check = |text: &str, expected: &str| {
            let found = mend(text).unwrap();
            assert_eq!(found, expected, "{text}");
            assert!(roxmltree::Document::parse(&found).is_ok(), "{found}");
        };
        check("<a><b>x</b><c>y<c></a>", "<a><b>x</b><c>y<c></c></c></a>");
        check("<x> <s p='1' p=\"2\"> <i> </s> </x>", "<x> <s p='1'> <i> </i> </s></x>");
        check(
            "<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;&amp;& &#65;</a>z",
            "<a>&amp; &#65;</a>",
        );
        check("<a b=c d e='<&'>1 < 2</a><b/>", "<a e='&lt;'>1  2</a>");
        check("<a><![CDATA[<&]]><!-- - --><b", "<a><![CDATA[<&]]><!-- - --></a>");
        check("<a>\u{0}é&#0;</a>", "<a>é</a>");
        check("<a/>", "<a/>");
    }

    #[test]
    fn without_an_element_there_is_no_document() {
        for text in ["", "text", "<", "<a", "</a>", "<a b='", "<!-- <a>", "<1>"] {
            assert_eq!(mend(text), None, "{text}");
        }
    }
}
