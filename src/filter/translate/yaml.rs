//! Dictionaries written in YAML.
//!
//! In: a text: a map, or a list of maps with one entry each (`!!omap`), in block or flow style, with anchors.
//! Out: entries in their order, values typed as Ruby's reader types them, which Logstash uses (`yes` is true).
//! Promises: aliases are filled in, but with no more than [`COPIES_MAX`] values. On failure: the line, and what is
//! wrong there.

use hashbrown::HashMap;
use saphyr_parser::{Event, Parser, ScalarStyle, StrInput, Tag};

use crate::event::Literal;

/// Values that aliases stand for in one file; those that are written are as many as fit into it.
const COPIES_MAX: usize = 1_000_000;
/// Lists and maps within each other.
const DEPTH_MAX: usize = 64;

/// A key and its value.
type Entry = (String, Literal);

/// Reads a dictionary.
pub(super) fn read(text: &str) -> Result<Vec<Entry>, String> {
    let parser = Parser::new_from_str(text);
    let mut reader = Reader { parser, line: 1, values: 0, copies: 0, anchors: HashMap::new() };
    loop {
        match reader.next()? {
            Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing => {}
            Event::StreamEnd => return Ok(Vec::new()),
            event => {
                let root = reader.value(event, 0)?;
                return entries(root).ok_or_else(|| reader.odd("keys and values expected"));
            }
        }
    }
}

fn entries(root: Literal) -> Option<Vec<Entry>> {
    match root {
        Literal::Object(entries) => Some(entries),
        Literal::Null => Some(Vec::new()),
        // `!!omap`, an ordered map, is written as a list.
        Literal::Array(items) => {
            let single = |item| match item {
                Literal::Object(mut entries) if entries.len() == 1 => entries.pop(),
                _ => None,
            };
            items.into_iter().map(single).collect()
        }
        _ => None,
    }
}

struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    line: usize,
    values: usize,
    copies: usize,
    /// What anchors stand for, and how many values that is.
    anchors: HashMap<usize, (Literal, usize)>,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<Event<'a>, String> {
        match self.parser.next_event() {
            None => Ok(Event::StreamEnd),
            Some(Ok((event, span))) => {
                self.line = span.start.line();
                Ok(event)
            }
            Some(Err(error)) => {
                self.line = error.marker().line();
                Err(self.odd(error.info()))
            }
        }
    }

    fn odd(&self, what: &str) -> String {
        format!("line {}: {what}", self.line)
    }

    fn value(&mut self, event: Event<'a>, depth: usize) -> Result<Literal, String> {
        let before = self.values;
        self.values += 1;
        if depth > DEPTH_MAX {
            return Err(self.odd("values are nested too deeply"));
        }
        let (value, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                (scalar(&text, style, tag.as_deref()), anchor)
            }
            Event::SequenceStart(anchor, _) => (self.list(depth)?, anchor),
            Event::MappingStart(anchor, _) => (self.map(depth)?, anchor),
            Event::Alias(anchor) => {
                let known = self.anchors.get(&anchor);
                let Some((value, size)) = known else {
                    return Err(self.odd("the anchor of this alias is not known here"));
                };
                self.values += size;
                self.copies += size;
                if self.copies > COPIES_MAX {
                    return Err(self.odd("aliases stand for too many values"));
                }
                return Ok(value.clone());
            }
            _ => return Err(self.odd("a value is missing here")),
        };
        if anchor > 0 {
            self.anchors.insert(anchor, (value.clone(), self.values - before));
        }
        Ok(value)
    }

    fn list(&mut self, depth: usize) -> Result<Literal, String> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                Event::SequenceEnd | Event::StreamEnd => return Ok(Literal::Array(items)),
                event => items.push(self.value(event, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Literal, String> {
        let mut entries = Vec::new();
        loop {
            let key = match self.next()? {
                Event::MappingEnd | Event::StreamEnd => return Ok(Literal::Object(entries)),
                Event::Scalar(text, ..) => text.into_owned(),
                _ => return Err(self.odd("a key that is no text")),
            };
            let event = self.next()?;
            let value = self.value(event, depth + 1)?;
            match value {
                // `<<: *other` takes over the entries of another map.
                Literal::Object(other) if key == "<<" => {
                    let is_new = |(name, _): &Entry| !entries.iter().any(|(own, _)| own == name);
                    let taken: Vec<Entry> = other.into_iter().filter(is_new).collect();
                    entries.extend(taken);
                }
                value => entries.push((key, value)),
            }
        }
    }
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Literal {
    let is_text = tag.is_some_and(|tag| tag.is_yaml_core_schema() && tag.suffix == "str");
    if style != ScalarStyle::Plain || is_text { Literal::Str(text.into()) } else { plain(text) }
}

fn plain(text: &str) -> Literal {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" => return Literal::Bool(true),
        "false" | "no" | "off" => return Literal::Bool(false),
        "" | "null" | "~" => return Literal::Null,
        _ => {}
    }
    // Rust also reads words such as `inf` and `nan`.
    let begins = text.starts_with(|c: char| c.is_ascii_digit() || ['-', '+', '.'].contains(&c));
    match (text.parse(), text.parse::<f64>()) {
        (Ok(number), _) => Literal::Int(number),
        (_, Ok(number)) if begins && number.is_finite() => Literal::Float(number),
        _ => Literal::Str(text.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::{Literal, read};

    fn text(text: &str) -> Literal {
        Literal::Str(text.into())
    }

    fn entry(key: &str, value: Literal) -> (String, Literal) {
        (key.into(), value)
    }

    #[test]
    fn block_and_flow_style_and_ordered_maps_are_read() {
        let block = "# codes\n---\na: 1\n\"b c\": \"x: y\" # no\n'd': \"'\"\nf:\n  - 1\n  - g: ~\nh: |\n  two\n  lines\n";
        let nested = Literal::Object(vec![entry("g", Literal::Null)]);
        let expected = vec![
            entry("a", Literal::Int(1)),
            entry("b c", text("x: y")),
            entry("d", text("'")),
            entry("f", Literal::Array(vec![Literal::Int(1), nested])),
            entry("h", text("two\nlines\n")),
        ];
        assert_eq!(read(block), Ok(expected));
        let expected =
            vec![entry("a", text("1")), entry("b", Literal::Int(2)), entry("c", text("3"))];
        let flow = "--- !!map {\n  ? !!str \"a\"\n  : !!str \"1\",\n  b: 2, c: !!str 3,\n}\n";
        assert_eq!(read(flow), Ok(expected.clone()));
        assert_eq!(read("!!omap\n- a: '1'\n- b: 2\n- c: \"3\"\n"), Ok(expected));
        assert_eq!(read(""), Ok(Vec::new()));
    }

    #[test]
    fn values_are_typed_as_ruby_does() {
        let of = |value: &str| read(&format!("a: {value}")).unwrap().remove(0).1;
        assert_eq!(of("yes"), Literal::Bool(true));
        assert_eq!(of("Off"), Literal::Bool(false));
        assert_eq!(of("'yes'"), text("yes"));
        assert_eq!(of("-1.5e3"), Literal::Float(-1500.0));
        assert_eq!(of("inf"), text("inf"));
        assert_eq!(of("1.2.3"), text("1.2.3"));
        assert_eq!(of(""), Literal::Null);
    }

    #[test]
    fn aliases_are_filled_in_but_cannot_grow_without_end() {
        let found = read("x: &x {p: 1}\ny: *x\nz: {<<: *x, q: 2}\n").unwrap();
        let p = entry("p", Literal::Int(1));
        assert_eq!(found[1].1, Literal::Object(vec![p.clone()]));
        assert_eq!(found[2].1, Literal::Object(vec![p, entry("q", Literal::Int(2))]));
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_string();
        for n in 1..12 {
            let items = vec![format!("*a{}", n - 1); 10].join(", ");
            bomb.push_str(&format!("a{n}: &a{n} [{items}]\n"));
        }
        assert!(read(&bomb).unwrap_err().contains("too many values"));
        assert!(read(&format!("a: {}", "[".repeat(100))).is_err());
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        assert_eq!(read("a: 1\nb: c: d\n").unwrap_err().split(':').next(), Some("line 2"));
        assert!(read("[1, 2]").unwrap_err().contains("keys and values expected"));
        assert!(read("text").unwrap_err().contains("keys and values expected"));
    }
}
