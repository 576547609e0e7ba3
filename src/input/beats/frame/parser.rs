//! Frames, one level deep.
//!
//! In: bytes as they come. Out: events into a window; the length of a compressed frame to its caller.
//! Promises: holds ten bytes of a frame's head, and one key or value of a version 1 event.
//! On failure: a [`ProtocolError`].

use super::ProtocolError;
use super::window::Window;
use crate::event::write_string;

/// Where in a frame we are.
#[derive(Default)]
pub(super) struct Parser {
    /// The frame's first bytes: version, type, then one or two numbers.
    head: [u8; 10],
    /// How many of them there are.
    have: usize,
    body: Body,
}

/// What follows a frame's head.
#[derive(Default)]
enum Body {
    /// Nothing yet: the head itself.
    #[default]
    Head,
    /// This many bytes of JSON.
    Json(usize),
    /// Pairs of a version 1 event.
    Pairs(Box<Pairs>),
}

struct Pairs {
    /// Keys and values still to come.
    texts_left: u64,
    /// The next text is a value.
    value: bool,
    /// Bytes of the text's length: how many there are, and their value.
    length_have: usize,
    length: usize,
    text: Vec<u8>,
}

impl Parser {
    /// Takes bytes; returns how many, and the length of a compressed frame when its head is complete. Takes all of
    /// them otherwise.
    pub(super) fn feed(
        &mut self,
        input: &[u8],
        window: &mut Window,
    ) -> Result<(usize, Option<u32>), ProtocolError> {
        let mut at = 0;
        while at < input.len() {
            match &mut self.body {
                Body::Head => {
                    at += self.gather(&input[at..]);
                    self.check_head()?;
                    if self.have == self.head_length()
                        && let Some(compressed) = self.begin(window)?
                    {
                        return Ok((at, Some(compressed)));
                    }
                }
                Body::Json(left) => {
                    let taken = (*left).min(input.len() - at);
                    window.append(&input[at..at + taken]);
                    *left -= taken;
                    at += taken;
                    if *left == 0 {
                        self.end(window);
                    }
                }
                Body::Pairs(pairs) => {
                    at += pairs.feed(&input[at..], window)?;
                    if pairs.texts_left == 0 {
                        self.end(window);
                    }
                }
            }
        }
        Ok((at, None))
    }

    /// Whether a frame was just completed.
    pub(super) fn at_frame_start(&self) -> bool {
        self.have == 0
    }

    /// Bytes held on the heap.
    pub(super) fn held(&self) -> usize {
        match &self.body {
            Body::Pairs(pairs) => pairs.text.capacity(),
            _ => 0,
        }
    }

    fn gather(&mut self, input: &[u8]) -> usize {
        let taken = (self.head_length() - self.have).min(input.len());
        self.head[self.have..self.have + taken].copy_from_slice(&input[..taken]);
        self.have += taken;
        taken
    }

    /// Bytes of the head, as far as is known.
    fn head_length(&self) -> usize {
        match (self.have, self.head[1]) {
            (0 | 1, _) => 2,
            (_, b'J' | b'D') => 10,
            _ => 6,
        }
    }

    fn check_head(&self) -> Result<(), ProtocolError> {
        if !matches!(self.head[0], b'1' | b'2') {
            return Err(ProtocolError::Version(self.head[0]));
        }
        if self.have >= 2 && !matches!(self.head[1], b'W' | b'J' | b'D' | b'C') {
            return Err(ProtocolError::Frame(self.head[1]));
        }
        Ok(())
    }

    fn number(&self, at: usize) -> u32 {
        u32::from_be_bytes([self.head[at], self.head[at + 1], self.head[at + 2], self.head[at + 3]])
    }

    /// The head is complete.
    fn begin(&mut self, window: &mut Window) -> Result<Option<u32>, ProtocolError> {
        let first = self.number(2);
        match self.head[1] {
            b'W' => {
                window.open(self.head[0], first);
                self.have = 0;
            }
            b'C' => {
                self.have = 0;
                return Ok(Some(first));
            }
            b'J' => {
                let length = self.number(6) as usize;
                window.begin(first, length)?;
                self.body = Body::Json(length);
                if length == 0 {
                    self.end(window);
                }
            }
            _ => {
                window.begin(first, 0)?;
                window.event().0.push(b'{');
                let pairs = Pairs::new(self.number(6));
                let empty = pairs.texts_left == 0;
                self.body = Body::Pairs(Box::new(pairs));
                if empty {
                    self.end(window);
                }
            }
        }
        Ok(None)
    }

    fn end(&mut self, window: &mut Window) {
        if let Body::Pairs(_) = self.body {
            window.event().0.push(b'}');
        }
        window.end();
        self.body = Body::Head;
        self.have = 0;
    }
}

impl Pairs {
    fn new(count: u32) -> Self {
        let texts_left = 2 * u64::from(count);
        Pairs { texts_left, value: false, length_have: 0, length: 0, text: Vec::new() }
    }

    fn feed(&mut self, input: &[u8], window: &mut Window) -> Result<usize, ProtocolError> {
        let mut at = 0;
        while at < input.len() && self.texts_left > 0 {
            if self.length_have < 4 {
                self.length = self.length << 8 | usize::from(input[at]);
                self.length_have += 1;
                at += 1;
                if self.length_have < 4 {
                    continue;
                }
                window.check_room(self.length)?;
            }
            let taken = (self.length - self.text.len()).min(input.len() - at);
            self.text.extend_from_slice(&input[at..at + taken]);
            at += taken;
            if self.text.len() == self.length {
                self.write(window);
            }
        }
        Ok(at)
    }

    /// A key or value is complete: into the event's JSON.
    fn write(&mut self, window: &mut Window) {
        let (out, start) = window.event();
        if !self.value && out.len() > start + 1 {
            out.push(b',');
        }
        let text = String::from_utf8_lossy(&self.text);
        // Version 1 clients call the line `line`.
        let text = if !self.value && text == "line" { "message".into() } else { text };
        write_string(text.as_bytes(), out);
        if !self.value {
            out.push(b':');
        }
        self.value = !self.value;
        self.texts_left -= 1;
        (self.length, self.length_have) = (0, 0);
        self.text.clear();
    }
}
