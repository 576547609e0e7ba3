//! What is held of one stream: an event that may get more lines, and lines of which that is not sure yet.
//!
//! In: events as [`Piece`]s with their texts, and a verdict for each. Out: what is given out ([`Done`]), in the order
//! in which it came in, and which events are a part of another one now. Promises: no text is left out; what is written
//! for the journal is read back as it was. On failure: nothing can fail.

use crate::filter::kept::Kept;
use crate::filter::windows::Held;
use crate::multiline::{State, Verdict};

/// An event as its fields: a place in the batch at work, or a document of an earlier batch.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Piece {
    Here(usize),
    Kept(Kept),
}

/// What goes on: the fields of its first event, and the text of all that belong to it.
#[derive(Debug, PartialEq)]
pub(super) struct Done {
    pub(super) piece: Piece,
    pub(super) text: Vec<u8>,
    /// How many events it was made of.
    pub(super) lines: usize,
    /// It may go on in the next one: a limit was reached.
    pub(super) cut: bool,
}

/// What becomes of the events that were pushed.
#[derive(Default)]
pub(super) struct Outcome {
    /// What is given out, oldest first.
    pub(super) done: Vec<Done>,
    /// Events of the batch at work that are a part of another one now.
    pub(super) joined: Vec<usize>,
}

/// How much one event may become.
#[derive(Clone, Copy)]
pub(super) struct Bounds<'a> {
    pub(super) lines: usize,
    pub(super) bytes: usize,
    /// What is put between two texts.
    pub(super) separator: &'a [u8],
}

/// See the module.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Trail {
    state: Option<State>,
    first: Option<Piece>,
    lines: usize,
    /// The texts of all that is held.
    text: Vec<u8>,
    /// Bytes of the text that surely belong to the first event.
    sure: usize,
    /// The events after them, each with where its text begins.
    perhaps: Vec<(usize, Piece)>,
}

impl Trail {
    /// What the events before left.
    pub(super) fn state(&self) -> State {
        self.state.filter(|_| self.lines > 0).unwrap_or(State::Idle)
    }

    /// How many events are held.
    pub(super) fn lines(&self) -> usize {
        self.lines
    }

    /// Takes an event; `judge` says what it is to those before it: by their state, their number and its text.
    pub(super) fn push(
        &mut self,
        piece: Piece,
        text: &[u8],
        bounds: Bounds<'_>,
        judge: &dyn Fn(State, usize, &[u8]) -> Verdict,
        out: &mut Outcome,
    ) {
        loop {
            let verdict = judge(self.state(), self.lines, text);
            if self.lines > 0 && matches!(verdict, Verdict::Begin(_) | Verdict::Alone) {
                self.give_out_once(bounds, judge, out);
                if self.lines > 0 {
                    // What did not belong to that event holds others now, perhaps this one.
                    continue;
                }
            }
            match verdict {
                Verdict::Join(state) => self.join(piece, text, state, bounds, out),
                Verdict::JoinLast => {
                    self.join(piece, text, State::Open, bounds, out);
                    self.give_out(bounds, judge, out);
                }
                Verdict::Perhaps(state) => {
                    if self.is_full(text, bounds) {
                        self.cut(out);
                        self.begin(piece, text, state);
                    } else {
                        self.state = Some(state);
                        self.lines += 1;
                        self.text.extend_from_slice(bounds.separator);
                        self.perhaps.push((self.text.len(), piece));
                        self.text.extend_from_slice(text);
                    }
                }
                Verdict::Begin(state) => self.begin(piece, text, state),
                Verdict::Alone => {
                    out.done.push(Done { piece, text: text.to_vec(), lines: 1, cut: false });
                }
            }
            return;
        }
    }

    /// Gives out all that is held.
    pub(super) fn give_out(
        &mut self,
        bounds: Bounds<'_>,
        judge: &dyn Fn(State, usize, &[u8]) -> Verdict,
        out: &mut Outcome,
    ) {
        while self.lines > 0 {
            self.give_out_once(bounds, judge, out);
        }
    }

    /// Gives out all that is held as one event, since there is no room for it.
    pub(super) fn cut(&mut self, out: &mut Outcome) {
        self.all_sure(out);
        if let Some(mut done) = self.take() {
            done.cut = true;
            out.done.push(done);
        }
        *self = Trail::default();
    }

    /// An event of the batch is at another place now.
    pub(super) fn moved(&mut self, from: usize, to: usize) {
        for piece in self.pieces() {
            if *piece == Piece::Here(from) {
                *piece = Piece::Here(to);
            }
        }
    }

    /// The events that are held with their fields.
    pub(super) fn pieces(&mut self) -> impl Iterator<Item = &mut Piece> {
        self.first.iter_mut().chain(self.perhaps.iter_mut().map(|(_, piece)| piece))
    }

    fn begin(&mut self, piece: Piece, text: &[u8], state: State) {
        debug_assert!(self.lines == 0, "what was held has been given out");
        self.state = Some(state);
        self.first = Some(piece);
        self.lines = 1;
        self.text.extend_from_slice(text);
        self.sure = self.text.len();
    }

    fn join(
        &mut self,
        piece: Piece,
        text: &[u8],
        state: State,
        bounds: Bounds<'_>,
        out: &mut Outcome,
    ) {
        if self.is_full(text, bounds) {
            self.cut(out);
            return self.begin(piece, text, state);
        }
        self.state = Some(state);
        self.lines += 1;
        self.text.extend_from_slice(bounds.separator);
        self.text.extend_from_slice(text);
        self.all_sure(out);
        out.joined.extend(here(&piece));
    }

    fn is_full(&self, text: &[u8], bounds: Bounds<'_>) -> bool {
        let bytes = self.text.len() + bounds.separator.len() + text.len();
        self.lines >= bounds.lines || bytes > bounds.bytes
    }

    fn all_sure(&mut self, out: &mut Outcome) {
        out.joined.extend(self.perhaps.drain(..).filter_map(|(_, piece)| here(&piece)));
        self.sure = self.text.len();
    }

    /// Takes out what surely is one event; the caller sees to the rest.
    fn take(&mut self) -> Option<Done> {
        let piece = self.first.take()?;
        let lines = self.lines - self.perhaps.len();
        let text = self.text[..self.sure].to_vec();
        Some(Done { piece, text, lines, cut: false })
    }

    /// Gives out the event that is held; lines that do not belong to it are looked at again.
    fn give_out_once(
        &mut self,
        bounds: Bounds<'_>,
        judge: &dyn Fn(State, usize, &[u8]) -> Verdict,
        out: &mut Outcome,
    ) {
        let done = self.take();
        out.done.extend(done);
        let held = std::mem::take(self);
        let ends = held.perhaps.iter().skip(1).map(|(start, _)| start - bounds.separator.len());
        let ends: Vec<usize> = ends.chain([held.text.len()]).collect();
        for ((start, piece), end) in held.perhaps.into_iter().zip(ends) {
            self.push(piece, &held.text[start..end], bounds, judge, out);
        }
    }
}

fn here(piece: &Piece) -> Option<usize> {
    if let Piece::Here(event) = piece { Some(*event) } else { None }
}

impl Held for Trail {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.state().written());
        put(out, self.lines);
        put(out, self.sure);
        put_bytes(out, &self.text);
        for (start, piece) in self
            .first
            .iter()
            .map(|first| (0, first))
            .chain(self.perhaps.iter().map(|(s, p)| (*s, p)))
        {
            // What is still in the batch at work is kept before anything is written.
            let Piece::Kept(kept) = piece else { continue };
            put(out, start);
            out.extend_from_slice(&kept.time_ns.to_le_bytes());
            put_bytes(out, &kept.document);
            put_bytes(out, &kept.metadata);
        }
    }

    fn read(mut bytes: &[u8]) -> Option<Trail> {
        let from = &mut bytes;
        let state = State::read(*take(from)?)?;
        let (lines, sure, text) = (number(from)?, number(from)?, slice(from)?.to_vec());
        let mut pieces = Vec::new();
        while !from.is_empty() {
            let start = number(from)?;
            let time_ns = i64::from_le_bytes(*take(from)?);
            let (document, metadata) = (slice(from)?.to_vec(), slice(from)?.to_vec());
            pieces.push((start, Piece::Kept(Kept { time_ns, document, metadata })));
        }
        let mut before = sure;
        for (start, _) in pieces.iter().skip(1) {
            let right = *start >= before && *start <= text.len();
            before = right.then_some(*start)?;
        }
        if pieces.is_empty() || sure > text.len() || lines < pieces.len() {
            return None;
        }
        let (_, first) = pieces.remove(0);
        let (state, first) = (Some(state), Some(first));
        Some(Trail { state, first, lines, text, sure, perhaps: pieces })
    }

    fn bytes(&self) -> usize {
        let of = |piece: &Piece| match piece {
            Piece::Here(_) => 0,
            Piece::Kept(kept) => kept.bytes(),
        };
        let pieces = self.first.iter().chain(self.perhaps.iter().map(|(_, piece)| piece));
        self.text.len() + pieces.map(|piece| of(piece) + size_of::<Piece>()).sum::<usize>()
    }

    fn is_empty(&self) -> bool {
        self.lines == 0
    }
}

fn put(out: &mut Vec<u8>, number: usize) {
    out.extend_from_slice(&(number as u32).to_le_bytes());
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put(out, bytes.len());
    out.extend_from_slice(bytes);
}

fn take<'a, const N: usize>(from: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (taken, rest) = from.split_first_chunk()?;
    *from = rest;
    Some(taken)
}

fn number(from: &mut &[u8]) -> Option<usize> {
    take(from).map(|bytes| u32::from_le_bytes(*bytes) as usize)
}

fn slice<'a>(from: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = number(from)?;
    let (taken, rest) = from.split_at_checked(length)?;
    *from = rest;
    Some(taken)
}
