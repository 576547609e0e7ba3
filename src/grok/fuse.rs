//! Makes one instruction of those that a field of a line usually is: its begin, its text, its end, what follows it.
//!
//! In: the instructions of a program. Out: the same with [`Inst::Field`] in the place of each such begin.
//! Promises: the instructions stay where they are, so that a jump among them means what it meant.
//! On failure: nothing here fails; what does not look like a field stays as it is.

use super::ast::Assertion;
use super::program::{
    FAIL, Field, Guard, Inst, Lead, Literal, Pc, Piece, RunField, Seek, SeekField, SetTable,
    Stride, TokenField, UNBOUNDED,
};
use super::spot::Pair;

/// Puts fields where they begin; `word` is the set of word characters.
pub fn fuse(insts: &mut [Inst], sets: &[SetTable], word: u32, dispatches: &[[Pc; 257]]) {
    let before = bytes_before(insts, dispatches);
    let words = Words { sets, word };
    for at in 0..insts.len() {
        let fused = match field(insts, at, &words) {
            Some(field) => Some(simpler(needless_guard(field, before[at], &words), sets)),
            None => seek(insts, at).map(|field| Inst::SeekField(Box::new(field))),
        };
        if let Some(fused) = fused {
            insts[at] = fused;
        }
    }
}

/// What is known of word characters.
struct Words<'a> {
    sets: &'a [SetTable],
    word: u32,
}

impl Words<'_> {
    /// Whether a byte is ASCII and no word character.
    fn lacks(&self, byte: u8) -> bool {
        byte.is_ascii()
            && self.sets.get(self.word as usize).is_some_and(|word| !word.set.has_ascii(byte))
    }

    /// Whether all of a set are word characters.
    fn has_all(&self, set: u32) -> bool {
        let word = self.sets.get(self.word as usize).map(|word| word.set.negate());
        word.is_some_and(|others| self.sets[set as usize].set.disjoint(&others))
    }

    /// Whether a field begins with a word character, whatever its text is.
    fn begins(&self, field: &Field) -> bool {
        match (field.lead, &field.piece) {
            (Lead::One(set), _) => self.has_all(set),
            (Lead::None, Piece::Take(run)) => run.min > 0 && self.has_all(run.set),
            _ => false,
        }
    }
}

/// What is known of the byte before an instruction.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    /// No way to the instruction is known yet.
    Nothing,
    /// It is this one.
    Byte(u8),
    /// It can be several.
    Any,
}

/// So many rounds over the program; each loop in it may take one.
const MAX_ROUNDS: usize = 8;
/// A longer program takes too long to be looked through.
const MAX_INSTS: usize = 20_000;

/// For each instruction the byte that always stands before where it is come to.
fn bytes_before(insts: &[Inst], dispatches: &[[Pc; 257]]) -> Vec<Option<u8>> {
    let mut all = vec![Before::Nothing; insts.len()];
    if let Some(first) = all.first_mut() {
        *first = Before::Any;
    }
    let mut settled = false;
    for _ in 0..MAX_ROUNDS {
        if settled || insts.len() > MAX_INSTS {
            break;
        }
        settled = true;
        for (at, inst) in insts.iter().enumerate() {
            let here = all[at];
            ways(inst, at as Pc, dispatches, &mut |pc, taken| {
                let Some(goal) = all.get_mut(pc as usize).filter(|_| pc != FAIL) else { return };
                let joined = match (*goal, taken.unwrap_or(here)) {
                    (Before::Nothing, other) | (other, Before::Nothing) => other,
                    (one, other) if one == other => one,
                    _ => Before::Any,
                };
                settled &= joined == *goal;
                *goal = joined;
            });
        }
    }
    let known = |before: &Before| match before {
        Before::Byte(byte) if settled => Some(*byte),
        _ => None,
    };
    all.iter().map(known).collect()
}

/// Tells where an instruction can go on, and what then stands before: `None` is what stood before itself.
fn ways(inst: &Inst, at: Pc, dispatches: &[[Pc; 257]], go: &mut dyn FnMut(Pc, Option<Before>)) {
    let next = at + 1;
    let two = |one: Pc, other: Pc, go: &mut dyn FnMut(Pc, Option<Before>)| {
        go(one, None);
        go(other, None);
    };
    match inst {
        Inst::Byte(byte) => go(next, Some(Before::Byte(*byte))),
        Inst::Text(text) => go(next, text.bytes.last().map(|byte| Before::Byte(*byte))),
        Inst::Jump(to) => go(*to, None),
        Inst::Progress(_, to) | Inst::LookStart(to) => two(*to, next, go),
        Inst::Split(a, b) | Inst::Choose(a, b, _) => two(*a, *b, go),
        Inst::Dispatch(table) => dispatches[*table as usize].iter().for_each(|to| go(*to, None)),
        Inst::Note(_) | Inst::Save(_) | Inst::Close(_) | Inst::CloseAgain(_) => go(next, None),
        Inst::Assert(_) | Inst::Neighbour(..) | Inst::Fence | Inst::Cut => go(next, None),
        Inst::Token(_, to) => {
            go(*to, Some(Before::Any));
            go(next, Some(Before::Any));
        }
        _ => go(next, Some(Before::Any)),
    }
}

/// Leaves out what has to be in front of a field where the byte before it tells that it always is.
fn needless_guard(field: Field, before: Option<u8>, words: &Words<'_>) -> Field {
    let Some(before) = before.filter(u8::is_ascii) else { return field };
    let holds = match field.guard {
        Guard::None => true,
        Guard::Edge => words.lacks(before) && words.begins(&field),
        Guard::Neighbour(look, set) => {
            look.behind && words.sets[set as usize].set.has_ascii(before) != look.negative
        }
    };
    let guard = if holds { Guard::None } else { field.guard };
    let plain = holds && matches!(field.lead, Lead::None);
    Field { guard, plain, ..field }
}

/// The quickest form of a field.
fn simpler(field: Field, sets: &[SetTable]) -> Inst {
    let Field { number, next, .. } = field;
    if field.again || !matches!(field.guard, Guard::None) {
        return Inst::Field(Box::new(field));
    }
    match field.piece {
        Piece::Token(token, otherwise) if field.plain => {
            let tail = field.tail;
            Inst::TokenField(Box::new(TokenField { number, next, token, otherwise, tail }))
        }
        Piece::Take(ref run) if run.min <= 1 && run.max == UNBOUNDED => {
            let (lead, needed) = match field.lead {
                Lead::None => (None, false),
                Lead::Maybe(set) => (Some(&sets[set as usize]), false),
                Lead::One(set) => (Some(&sets[set as usize]), true),
            };
            if lead.is_some_and(|set| !set.narrow) {
                return Inst::Field(Box::new(field));
            }
            let table = &sets[run.set as usize];
            Inst::RunField(Box::new(RunField {
                number,
                next,
                set: run.set,
                min: run.min,
                all: table.stride == Stride::All,
                lead: lead.map(|set| Box::new(set.bytes)),
                needed,
                wide: !table.ranges.is_empty(),
                stop: table.stop.clone(),
                tail: field.tail,
            }))
        }
        _ => Inst::Field(Box::new(field)),
    }
}

/// A capture of everything up to a text.
fn seek(insts: &[Inst], at: usize) -> Option<SeekField> {
    let Inst::Note(number) = insts.get(at)? else { return None };
    let Inst::Seek(lazy) = insts.get(at + 1)? else { return None };
    let Inst::Close(end) = insts.get(at + 2)? else { return None };
    if end != number || lazy.run.min > 0 {
        return None;
    }
    let spot = match &lazy.seek {
        Seek::Byte(byte) => Pair::new(&[*byte])?,
        Seek::Text(finder) => Pair::new(finder.needle())?,
        Seek::Step => return None,
    };
    let tail = tail(insts, at + 3);
    let next = at + 3 + usize::from(!tail.bytes.is_empty());
    // What is found need not be looked at again.
    let tail = (*tail.bytes != *spot.text()).then_some(tail);
    Some(SeekField { number: *number, next: next as Pc, pc: at as Pc + 1, spot, tail })
}

/// The text that an instruction takes, or none.
fn tail(insts: &[Inst], at: usize) -> Literal {
    match insts.get(at) {
        Some(Inst::Byte(byte)) => Literal::new(&[*byte]),
        Some(Inst::Text(text)) => Literal::clone(text),
        _ => Literal::new(&[]),
    }
}

fn field(insts: &[Inst], at: usize, words: &Words<'_>) -> Option<Field> {
    let (Inst::Save(number) | Inst::Note(number)) = insts.get(at)? else { return None };
    let again = matches!(insts[at], Inst::Save(_));
    let mut at = at + 1;
    let guard = match insts.get(at)? {
        Inst::Assert(Assertion::WordEdge) => Guard::Edge,
        Inst::Neighbour(look, set) => Guard::Neighbour(*look, *set),
        _ => Guard::None,
    };
    at += usize::from(!matches!(guard, Guard::None));
    let lead = match insts.get(at)? {
        Inst::Maybe(set) => Lead::Maybe(*set),
        Inst::Set(set) => Lead::One(*set),
        _ => Lead::None,
    };
    at += usize::from(!matches!(lead, Lead::None));
    let plain = matches!((guard, lead), (Guard::None, Lead::None));
    let piece = match insts.get(at)? {
        Inst::Take(run) => Piece::Take(run.clone()),
        Inst::Token(token, _) if matches!(lead, Lead::None) => Piece::Token(*token, at as Pc + 1),
        _ => return None,
    };
    at = match insts.get(at)? {
        Inst::Token(_, end) => *end as usize,
        _ => at + 1,
    };
    // Behind all the word characters that there are is always the edge of a word, and between one and another
    // character as well.
    let edge = matches!(insts.get(at)?, Inst::Assert(Assertion::WordEdge));
    if let (true, Piece::Take(run)) = (edge, &piece) {
        let behind = tail(insts, at + 2).bytes.first().is_some_and(|byte| words.lacks(*byte));
        let some = match lead {
            Lead::One(set) => words.has_all(set),
            _ => run.min > 0,
        };
        let all = run.set == words.word;
        if some && (all || behind && words.has_all(run.set)) {
            at += 1;
        }
    }
    if !matches!(insts.get(at)?, Inst::Close(end) | Inst::CloseAgain(end) if end == number) {
        return None;
    }
    insts.get(at + 1)?;
    let tail = tail(insts, at + 1);
    let next = at + 1 + usize::from(!tail.bytes.is_empty());
    Some(Field { number: *number, plain, again, guard, lead, piece, tail, next: next as Pc })
}

#[cfg(test)]
mod tests {
    use super::super::expand::Names;
    use super::super::program::{Inst, Program};
    use super::super::{Ecs, Grok, Options, compile, dictionary, parse};

    #[test]
    fn the_most_used_fields_are_one_instruction_with_what_follows_them() {
        let names = "IP IPV4 IPORHOST NUMBER INT WORD NOTSPACE USER TIMESTAMP_ISO8601 HTTPDATE LOGLEVEL MONTH \
                     MONTHDAY YEAR TIME SYSLOGTIMESTAMP ISO8601_TIMEZONE";
        for name in names.split_whitespace() {
            let pattern = [format!("%{{{name}:field}} ")];
            let grok = Grok::compile(&pattern, &[], Ecs::V1, Options::default()).unwrap();
            let told = grok.explain();
            assert!(told.contains("capture 0 in one go"), "{name}:\n{told}");
        }
    }

    /// What the byte before tells is not asked for again, whichever way leads there; what it does not tell is.
    #[test]
    fn a_guard_is_left_out_only_where_the_byte_before_proves_it() {
        let guarded = |pattern: &str| {
            let parsed = parse(pattern);
            let fields = parsed.insts.iter().filter(|inst| matches!(inst, Inst::Field(_)));
            fields.count()
        };
        for (pattern, expected) in [
            ("%{WORD:a} ", 1),
            (" %{WORD:a} ", 0),
            ("a%{WORD:a} ", 1),
            ("[ a]%{WORD:a} ", 1),
            (" (?:-|%{NUMBER:a}) ", 0),
            ("(?: |x)%{NUMBER:a} ", 1),
            ("(?: |-)y?%{NUMBER:a} ", 1),
            ("\\[%{POSINT:a}\\]", 0),
            ("1%{POSINT:a}\\]", 1),
        ] {
            assert_eq!(guarded(pattern), expected, "{pattern}");
        }
    }

    fn parse(pattern: &str) -> Program {
        let mut names = Names::new(dictionary::builtin(Ecs::V1), &[]);
        let parsed = parse::parse(pattern, 0, &mut names, true).unwrap();
        compile::compile(&parsed, compile::Numbers::ByName).unwrap()
    }
}
