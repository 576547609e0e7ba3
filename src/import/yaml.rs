//! YAML as a tree that knows its places.
//!
//! In: a text. Out: [`Node`]s. Promises: every node knows its bytes; keys keep their order; aliases are filled in, as
//! often as [`MAX_NODES`] allows. On failure: the place and what the parser expected.

use saphyr_parser::{Event, Parser};
use std::collections::HashMap;
use std::ops::Range;

/// More nodes than this, aliases included, are refused.
const MAX_NODES: usize = 200_000;
/// Lists and maps within each other.
const MAX_DEPTH: usize = 64;

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its bytes.
    pub bytes: Range<usize>,
    /// What it is.
    pub value: Value,
}

/// What a node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Any single value as it is written.
    Scalar(String),
    /// A list.
    List(Vec<Node>),
    /// Keys and values in order.
    Map(Vec<(String, Node)>),
}

impl Node {
    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries().iter().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, node)| node)
    }

    /// Keys and values; none where it is no map.
    pub fn entries(&self) -> &[(String, Node)] {
        if let Value::Map(entries) = &self.value { entries } else { &[] }
    }

    /// The items; none where it is no list.
    pub fn items(&self) -> &[Node] {
        if let Value::List(items) = &self.value { items } else { &[] }
    }

    /// The text of a single value.
    pub fn text(&self) -> Option<&str> {
        if let Value::Scalar(text) = &self.value { Some(text) } else { None }
    }
}

/// Where and why a text is no YAML.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct YamlError {
    /// Byte of the text.
    pub at: usize,
    /// What is wrong.
    pub message: String,
}

/// Reads the documents of a text.
///
/// # Errors
/// The first place that is not YAML.
pub fn documents(text: &str) -> Result<Vec<Node>, YamlError> {
    let mut reader = Reader {
        parser: Parser::new_from_str(text),
        places: text.char_indices().map(|(at, _)| at).chain([text.len()]).collect(),
        anchors: HashMap::new(),
        nodes: 0,
    };
    let mut documents = Vec::new();
    loop {
        match reader.next()? {
            (Event::StreamEnd, _) => return Ok(documents),
            (
                Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing,
                _,
            ) => {}
            (event, bytes) => documents.push(reader.node(event, bytes, 0)?),
        }
    }
}

struct Reader<'a> {
    parser: Parser<'a, saphyr_parser::StrInput<'a>>,
    /// Byte of each character.
    places: Vec<usize>,
    anchors: HashMap<usize, (Node, usize)>,
    nodes: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Range<usize>), YamlError> {
        match self.parser.next_event() {
            None => Ok((Event::StreamEnd, 0..0)),
            Some(Ok((event, span))) => {
                let (start, end) = (self.byte(span.start.index()), self.byte(span.end.index()));
                Ok((event, start..end.max(start)))
            }
            Some(Err(error)) => Err(YamlError {
                at: self.byte(error.marker().index()),
                message: error.info().to_string(),
            }),
        }
    }

    fn byte(&self, character: usize) -> usize {
        self.places.get(character).or(self.places.last()).copied().unwrap_or(0)
    }

    fn node(
        &mut self,
        event: Event<'a>,
        bytes: Range<usize>,
        depth: usize,
    ) -> Result<Node, YamlError> {
        let refuse =
            |message: &str| Err(YamlError { at: bytes.start, message: message.to_string() });
        let before = self.nodes;
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return refuse("too many values");
        }
        if depth > MAX_DEPTH {
            return refuse("values are nested too deeply");
        }
        let (value, anchor, end) = match event {
            Event::Scalar(text, _, anchor, _) => {
                (Value::Scalar(text.into_owned()), anchor, bytes.end)
            }
            Event::Alias(anchor) => {
                let Some((node, size)) = self.anchors.get(&anchor) else {
                    return refuse("the anchor of this alias is not known here");
                };
                self.nodes = self.nodes.saturating_add(*size);
                return Ok(node.clone());
            }
            Event::SequenceStart(anchor, _) => {
                let mut items = Vec::new();
                let mut end = bytes.end;
                loop {
                    match self.next()? {
                        (Event::SequenceEnd | Event::StreamEnd, _) => break,
                        (event, bytes) => {
                            let item = self.node(event, bytes, depth + 1)?;
                            end = end.max(item.bytes.end);
                            items.push(item);
                        }
                    }
                }
                (Value::List(items), anchor, end)
            }
            Event::MappingStart(anchor, _) => {
                let mut entries = Vec::new();
                let mut end = bytes.end;
                loop {
                    match self.next()? {
                        (Event::MappingEnd | Event::StreamEnd, _) => break,
                        (event, bytes) => {
                            let key = self.node(event, bytes, depth + 1)?;
                            let (event, bytes) = self.next()?;
                            let value = self.node(event, bytes, depth + 1)?;
                            end = end.max(value.bytes.end);
                            entries.push((key.text().unwrap_or_default().to_string(), value));
                        }
                    }
                }
                (Value::Map(entries), anchor, end)
            }
            _ => return refuse("a value is missing here"),
        };
        let node = Node { bytes: bytes.start..end, value };
        if anchor > 0 {
            self.anchors.insert(anchor, (node.clone(), self.nodes - before));
        }
        Ok(node)
    }
}
