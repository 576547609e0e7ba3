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
    /// A bit for each of its bytes; none if it is longer than a block.
    bytes: u32,
    length: u8,
    /// The name's number in the pipeline's table, or where the name is in the token.
    key: Key,
    /// All bits if the key stands for a place, which begins where the token is found; else none.
    moves: u64,
    /// What came after it, the newest first.
    next: [u8; 2],
}

/// Which numbers one object had. Mostly each is higher than the one before, and then nothing more is asked.
struct Seen {
    highest: u8,
    count: u8,
    /// The numbers in their order.
    numbers: [u8; NAMES_MAX + 1],
    /// A bit for each, once they did not ascend.
    bits: [u64; 4],
}

impl Seen {
    /// Takes a number; `false`: it was there.
    #[inline]
    fn is_new(&mut self, number: u8) -> bool {
        self.numbers[usize::from(self.count)] = number;
        self.count = self.count.wrapping_add(1);
        if number > self.highest {
            self.highest = number;
            return true;
        }
        self.is_new_among_all(number)
    }

    #[inline(never)]
    fn is_new_among_all(&mut self, number: u8) -> bool {
        let mut add = |number: u8| {
            let (word, bit) = (usize::from(number / 64), 1 << (number % 64));
            let new = self.bits[word] & bit == 0;
            self.bits[word] |= bit;
            new
        };
        // No name has the number 0. From now on every number comes here.
        if add(0) {
            self.highest = u8::MAX;
            let before = usize::from(self.count.wrapping_sub(1));
            self.numbers[..before].iter().for_each(|number| _ = add(*number));
        }
        add(number)
    }
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
        let line = &text[..span.end()];
        let mut at = after_blanks(line, span.start as usize);
        if line.get(at) != Some(&b'{') {
            return None;
        }
        at += 1;
        let (mut before, mut following) = (0, self.known[0].next[0]);
        let mut seen = Seen { highest: 0, count: 0, numbers: [0; NAMES_MAX + 1], bits: [0; 4] };
        let mut present = Present::NONE;
        loop {
            let (number, name) = match &self.known[usize::from(following)] {
                name if name.is_at(text, at) => (following, name),
                _ => {
                    let number = self.other(before, (line, marks), at, keys)?;
                    (number, &self.known[usize::from(number)])
                }
            };
            if !seen.is_new(number) {
                return None;
            }
            let key = name.key.moved(at as u64 & name.moves);
            if name.moves == 0 {
                present = present.with(key);
                places.put(key, out.len());
            }
            (before, following) = (number, name.next[0]);
            at += usize::from(name.length);
            let (value, next) = match string(line, at, marks).or_else(|| short_value(line, at)) {
                Some(found) => found,
                None => other_value(line, at, marks)?,
            };
            at = next;
            out.push(Field { key, value });
            let next = line.get(at).copied();
            at += 1;
            if next == Some(b',') {
                continue;
            }
            if next != Some(b'}') {
                at = after_blanks(line, at - 1) + 1;
                match line.get(at - 1) {
                    Some(b',') => continue,
                    Some(b'}') => {}
                    _ => return None,
                }
            }
            return (after_blanks(line, at) == line.len()).then_some(present);
        }
    }

    /// The number of the name that is here, where it is not the one that followed lately.
    #[inline(never)]
    fn other(
        &mut self,
        before: u8,
        (line, marks): (&[u8], &Marks),
        at: usize,
        keys: &Keys,
    ) -> Option<u8> {
        let [first, second] = self.known[usize::from(before)].next;
        if self.known[usize::from(second)].is_at(line, at) {
            self.known[usize::from(before)].next = [second, first];
            return Some(second);
        }
        self.learn(before, Scanner::marked(line, at, marks), keys)
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
        let key = keys.find(&scan.text[name.range()]);
        let known = &mut self.known[usize::from(number)];
        *known = Name { next: known.next, ..Name::new(token, place, key) };
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
        self.known.push(Name::new(b"", (0, 0), None));
        self.numbers.insert(name.into(), number);
        Some(number)
    }

    /// An empty table: number 0 stands for the start of an object.
    fn begin(&mut self) {
        self.strange = 0;
        self.known.clear();
        self.numbers.clear();
        self.known.push(Name::new(b"", (0, 0), None));
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

/// A string without escapes and where it ends; `None`: something else.
#[inline]
fn string(line: &[u8], start: usize, marks: &Marks) -> Option<(Value, usize)> {
    if line.get(start) != Some(&b'"') {
        return None;
    }
    let end = marks.next(start + 1)?;
    let quote = *line.get(end)? == b'"';
    quote.then(|| (Value::Str(Span::new(start + 1, end)), end + 1))
}

/// A number that a comma or a brace follows, or a word, and where it ends; `None`: something else.
#[inline]
fn short_value(line: &[u8], start: usize) -> Option<(Value, usize)> {
    let mut at = start;
    let mut whole = 0_i64;
    let digit = |at: usize| line.get(at).map(|byte| byte.wrapping_sub(b'0')).filter(|d| *d < 10);
    while let Some(digit) = digit(at) {
        whole = whole.wrapping_mul(10) + i64::from(digit);
        at += 1;
    }
    let digits = at - start;
    if digits == 0 {
        return word(line, start);
    }
    if !matches!(digits, 1..=18) || (line[start] == b'0' && digits > 1) {
        return None;
    }
    match line.get(at)? {
        b',' | b'}' => Some((Value::Int(whole), at)),
        b'.' if digit(at + 1).is_some() => {
            at += 2;
            while digit(at).is_some() {
                at += 1;
            }
            // An exponent may follow.
            matches!(line.get(at), Some(b',' | b'}'))
                .then(|| (Value::Json(Span::new(start, at)), at))
        }
        _ => None,
    }
}

#[inline]
fn word(line: &[u8], at: usize) -> Option<(Value, usize)> {
    match line.get(at..at + 4)? {
        b"true" => Some((Value::Bool(true), at + 4)),
        b"null" => Some((Value::Null, at + 4)),
        b"fals" if line.get(at + 4) == Some(&b'e') => Some((Value::Bool(false), at + 5)),
        _ => None,
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
    fn new(text: &[u8], (from, to): (usize, usize), key: Option<Key>) -> Name {
        let mut token = [0; TOKEN];
        token[..text.len()].copy_from_slice(text);
        let length = text.len() as u8;
        let bytes = if text.len() <= BLOCK { ((1_u64 << length) - 1) as u32 } else { 0 };
        let moves = if key.is_some() { 0 } else { u64::MAX };
        let key = key.unwrap_or(Key::from_quoted(Span::new(from, to)));
        Name { token, bytes, length, key, moves, next: [0; 2] }
    }

    /// Whether the token is here.
    #[inline]
    fn is_at(&self, text: &[u8], at: usize) -> bool {
        match text.get(at..).and_then(|rest| rest.first_chunk::<BLOCK>()) {
            Some(block) if self.bytes != 0 => {
                let (ours, _) = self.token.as_chunks::<16>();
                let (theirs, _) = block.as_chunks::<16>();
                let same = |n: usize| u8x16::new(ours[n]).simd_eq(u8x16::new(theirs[n]));
                let same = same(0).to_bitmask() | same(1).to_bitmask() << 16;
                same & self.bytes == self.bytes
            }
            _ => self.is_at_slowly(text, at),
        }
    }

    #[cold]
    fn is_at_slowly(&self, text: &[u8], at: usize) -> bool {
        let length = usize::from(self.length);
        let here = text.get(at..at + length);
        length > 0 && here.is_some_and(|here| *here == self.token[..length])
    }
}
