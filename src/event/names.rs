//! The names of fields as the lines before had them: what stands before a value is compared, not read.
//!
//! Is: a table of the names that a decoder met, each with its text as it is written (` "level": `) and with the two
//! names that followed it last. In: a JSON object of which every byte from a value's end to the next value is the
//! same in line after line. Out: its fields. Promises: what is taken here has the fields that
//! [`super::parse_object`] gives; the table is bounded, whatever the names are. On failure: `None` for anything
//! unusual (escapes in names, line feeds between values, a name twice, no JSON): the general reader takes it.

use wide::u8x16;

use super::marks::Marks;
use super::scan::Scanner;
use super::{Field, Key, Keys, Span, Value};

/// Names kept; a number of one is a byte.
const NAMES_MAX: usize = 255;
/// Bytes of a name with what stands around it.
const TOKEN: usize = 64;
/// Bytes that are compared at once.
const BLOCK: usize = 32;
/// Objects with names that found no room, after which the table is begun anew.
const STRANGE_MAX: u32 = 1000;

/// The names that one decoder met; only ever used with one pipeline's [`Keys`].
#[derive(Clone, Debug)]
pub struct Names {
    known: Vec<Name>,
    numbers: hashbrown::HashMap<Box<[u8]>, u8, foldhash::fast::FixedState>,
    strange: u32,
}

/// Which names of the pipeline's configuration an object has, as far as a set of 64 bits can tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Present(u64);

/// For each name of the configuration where an object had it last, as far as 64 places can tell. Only a guess, which
/// whoever looks there checks: fields come and go without a word to it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Places([u8; 64]);

#[derive(Clone, Debug)]
struct Name {
    /// The token, then anything.
    token: [u8; TOKEN],
    length: u8,
    /// Where the name itself is in the token.
    from: u8,
    to: u8,
    /// The number in the pipeline's table.
    key: Option<Key>,
    /// What came after it, the newest first.
    next: [u8; 2],
}

impl Present {
    /// None of them is there.
    pub(super) const NONE: Present = Present(0);
    /// All of them may be there.
    pub(super) const ALL: Present = Present(u64::MAX);

    /// The same and one more.
    #[inline]
    pub(super) fn with(self, key: Key) -> Present {
        Present(key.number().map_or(self.0, |number| self.0 | 1 << (number & 63)))
    }

    /// Whether an object may have a field of this name of the configuration.
    #[inline]
    pub(super) fn may_have(self, key: Key) -> bool {
        key.number().is_none_or(|number| self.0 >> (number & 63) & 1 == 1)
    }
}

impl Places {
    /// Nothing is known.
    pub(super) const NONE: Places = Places([0; 64]);

    /// A field was put at `at`.
    #[inline]
    pub(super) fn put(&mut self, key: Key, at: usize) {
        if let Some(number) = key.number() {
            self.0[number & 63] = at as u8;
        }
    }

    /// Where the name with this number may be.
    #[inline]
    pub(super) fn guess(&self, number: usize) -> usize {
        usize::from(self.0[number & 63])
    }
}

impl Default for Names {
    fn default() -> Self {
        let mut names =
            Names { known: Vec::new(), numbers: hashbrown::HashMap::default(), strange: 0 };
        names.begin();
        names
    }
}

impl Names {
    /// Reads the object in `span` of `text`, whose marks are known, into `out`; see the module.
    pub(super) fn read(
        &mut self,
        (text, marks): (&[u8], &Marks),
        span: Span,
        keys: &Keys,
        (out, places): (&mut Vec<Field>, &mut Places),
    ) -> Option<Present> {
        let text = &text[..span.end()];
        let mut at = after_blanks(text, span.start as usize);
        if text.get(at) != Some(&b'{') {
            return None;
        }
        at += 1;
        let (mut before, mut seen, mut present) = (0, [0_u64; 4], Present::NONE);
        loop {
            let number = match self.guess(before, text, at) {
                Some(number) => number,
                None => self.learn(before, Scanner::marked(text, at, marks), keys)?,
            };
            let name = &self.known[usize::from(number)];
            let (word, bit) = (usize::from(number) / 64, 1_u64 << (number & 63));
            if seen[word] & bit != 0 {
                return None;
            }
            seen[word] |= bit;
            let key = match name.key {
                Some(key) => {
                    present = present.with(key);
                    places.put(key, out.len());
                    key
                }
                None => {
                    let (from, to) = (usize::from(name.from), usize::from(name.to));
                    Key::from_quoted(Span::new(at + from, at + to))
                }
            };
            at += usize::from(name.length);
            let value = match usual_value(text, at, marks) {
                Some((value, next)) => {
                    at = next;
                    value
                }
                None => {
                    let (value, next) = other_value(text, at, marks)?;
                    at = next;
                    value
                }
            };
            out.push(Field { key, value });
            before = number;
            let next = text.get(at).copied();
            at += 1;
            if next == Some(b',') {
                continue;
            }
            if next != Some(b'}') {
                at = after_blanks(text, at - 1) + 1;
                match text.get(at - 1) {
                    Some(b',') => continue,
                    Some(b'}') => {}
                    _ => return None,
                }
            }
            return (after_blanks(text, at) == text.len()).then_some(present);
        }
    }

    /// The number of the name that is here, if it followed the one before lately.
    #[inline]
    fn guess(&mut self, before: u8, text: &[u8], at: usize) -> Option<u8> {
        let [first, second] = self.known[usize::from(before)].next;
        if self.known[usize::from(first)].is_at(text, at) {
            return Some(first);
        }
        if self.known[usize::from(second)].is_at(text, at) {
            self.known[usize::from(before)].next = [second, first];
            return Some(second);
        }
        None
    }

    /// Reads the name that is here, so that it is known the next time.
    #[cold]
    fn learn(&mut self, before: u8, mut scan: Scanner<'_, &Marks>, keys: &Keys) -> Option<u8> {
        let start = scan.at;
        scan.blank();
        let (name, escaped) = scan.string().ok()?;
        scan.blank();
        if scan.next() != Some(b':') {
            return None;
        }
        scan.blank();
        let token = &scan.text[start..scan.at];
        if escaped || scan.odd || token.len() > TOKEN {
            return None;
        }
        let number = self.number(&scan.text[name.range()])?;
        let place = (name.start as usize - start, name.end() - start);
        let known = &mut self.known[usize::from(number)];
        *known = Name { next: known.next, ..Name::new(token, place) };
        known.key = keys.find(&scan.text[name.range()]);
        let next = &mut self.known[usize::from(before)].next;
        *next = [number, next[0]];
        Some(number)
    }

    /// The number of a name, which may be new; `None`: there is no room for it.
    fn number(&mut self, name: &[u8]) -> Option<u8> {
        if let Some(number) = self.numbers.get(name) {
            return Some(*number);
        }
        if self.known.len() > NAMES_MAX {
            self.strange += 1;
            if self.strange > STRANGE_MAX {
                self.begin();
            }
            return None;
        }
        let number = self.known.len() as u8;
        self.known.push(Name::new(b"", (0, 0)));
        self.numbers.insert(name.into(), number);
        Some(number)
    }

    /// An empty table: number 0 stands for the start of an object.
    fn begin(&mut self) {
        self.strange = 0;
        self.known.clear();
        self.numbers.clear();
        self.known.push(Name::new(b"", (0, 0)));
    }
}

/// The first byte from `at` on that is neither a blank nor a tab.
#[inline]
fn after_blanks(text: &[u8], mut at: usize) -> usize {
    while matches!(text.get(at), Some(b' ' | b'\t')) {
        at += 1;
    }
    at
}

/// A string without escapes, or a short number that a comma or a brace follows, and where it ends; `None`: something
/// else.
#[inline]
fn usual_value(text: &[u8], start: usize, marks: &Marks) -> Option<(Value, usize)> {
    let first = *text.get(start)?;
    if first == b'"' {
        let end = marks.next(start + 1)?;
        let quote = *text.get(end)? == b'"';
        return quote.then(|| (Value::Str(Span::new(start + 1, end)), end + 1));
    }
    let (mut at, mut whole) = (start, 0_i64);
    loop {
        let byte = *text.get(at)?;
        let digit = byte.wrapping_sub(b'0');
        if digit < 10 {
            whole = whole.wrapping_mul(10) + i64::from(digit);
            at += 1;
            continue;
        }
        let digits = at - start;
        let usual = matches!(byte, b',' | b'}') && matches!(digits, 1..=18);
        return (usual && (first != b'0' || digits == 1)).then_some((Value::Int(whole), at));
    }
}

/// Any value and where it ends; `None`: it is not one, or holds line feeds.
#[inline(never)]
fn other_value(text: &[u8], at: usize, marks: &Marks) -> Option<(Value, usize)> {
    let mut scan = Scanner::marked(text, at, marks);
    // The token before it may have been learned where no blank followed it.
    scan.blank();
    let value = scan.value().ok()?;
    (!scan.odd).then_some((value, scan.at))
}

impl Name {
    fn new(text: &[u8], (from, to): (usize, usize)) -> Name {
        let mut token = [0; TOKEN];
        token[..text.len()].copy_from_slice(text);
        let length = text.len() as u8;
        Name { token, length, from: from as u8, to: to as u8, key: None, next: [0; 2] }
    }

    /// Whether the token is here.
    #[inline]
    fn is_at(&self, text: &[u8], at: usize) -> bool {
        let length = usize::from(self.length);
        if length == 0 {
            return false;
        }
        let block = text.get(at..).and_then(|rest| rest.first_chunk::<BLOCK>());
        match (block, SAME.get(length)) {
            (Some(block), Some(mask)) => {
                let (ours, _) = self.token.as_chunks::<16>();
                let (theirs, _) = block.as_chunks::<16>();
                let (mask, _) = mask.as_chunks::<16>();
                let differ =
                    |n: usize| (u8x16::new(ours[n]) ^ u8x16::new(theirs[n])) & u8x16::new(mask[n]);
                (differ(0) | differ(1)).simd_eq(u8x16::splat(0)).to_bitmask() == 0xffff
            }
            _ => text.get(at..at + length).is_some_and(|here| *here == self.token[..length]),
        }
    }
}

/// Which bytes of a block a token of so many bytes has: `0xff` for each.
static SAME: [[u8; BLOCK]; BLOCK + 1] = {
    let mut masks = [[0; BLOCK]; BLOCK + 1];
    let mut length = 0;
    while length <= BLOCK {
        let mut at = 0;
        while at < length {
            masks[length][at] = 0xff;
            at += 1;
        }
        length += 1;
    }
    masks
};
