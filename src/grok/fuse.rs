//! Makes one instruction of those that a field of a line usually is: its begin, its text, its end, what follows it.
//!
//! In: the instructions of a program. Out: the same with [`Inst::Field`] in the place of each such begin.
//! Promises: the instructions stay where they are, so that a jump among them means what it meant.
//! On failure: nothing here fails; what does not look like a field stays as it is.

use super::ast::Assertion;
use super::program::{
    FAIL, Field, Guard, Inst, Literal, Pc, Piece, RunField, Seek, SeekField, SetTable, Stride,
    TokenField, UNBOUNDED,
};
use super::spot::Pair;

/// Puts fields where they begin; `word` is the set of word characters.
pub fn fuse(insts: &mut [Inst], sets: &[SetTable], word: u32, dispatches: &[[Pc; 257]]) {
    let goals = goals(insts, dispatches);
    for at in 0..insts.len() {
        let before = if goals[at] { None } else { last_byte(insts, at) };
        let fused = match field(insts, at, word) {
            Some(field) => Some(simpler(needless_guard(field, before, (sets, word)), sets)),
            None => seek(insts, at).map(|field| Inst::SeekField(Box::new(field))),
        };
        if let Some(fused) = fused {
            insts[at] = fused;
        }
    }
}

/// Which instructions are come to otherwise than from the one before.
fn goals(insts: &[Inst], dispatches: &[[Pc; 257]]) -> Vec<bool> {
    let mut goals = vec![false; insts.len()];
    let mut goal = |pc: Pc| {
        if let Some(goal) = goals.get_mut(pc as usize).filter(|_| pc != FAIL) {
            *goal = true;
        }
    };
    for inst in insts {
        match inst {
            Inst::Jump(to) | Inst::Token(_, to) | Inst::Progress(_, to) => goal(*to),
            Inst::LookStart(to) => goal(*to),
            Inst::Split(a, b) | Inst::Choose(a, b, _) => [*a, *b].into_iter().for_each(&mut goal),
            Inst::Dispatch(table) => dispatches[*table as usize].iter().for_each(|to| goal(*to)),
            _ => {}
        }
    }
    goals
}

/// The byte that the instruction before has always taken.
fn last_byte(insts: &[Inst], at: usize) -> Option<u8> {
    match insts.get(at.checked_sub(1)?)? {
        Inst::Byte(byte) => Some(*byte),
        Inst::Text(text) => text.bytes.last().copied(),
        _ => None,
    }
    .filter(u8::is_ascii)
}

/// Leaves out what has to be in front of a field where the byte before it tells that it always is.
fn needless_guard(field: Field, before: Option<u8>, (sets, word): (&[SetTable], u32)) -> Field {
    let Some(before) = before else { return field };
    let has = |set: u32| sets[set as usize].set.has_ascii(before);
    let holds = match field.guard {
        Guard::None => true,
        Guard::Edge => {
            let words = matches!(&field.piece, Piece::Take(run) if run.set == word && run.min > 0);
            words && field.lead.is_none() && !has(word)
        }
        Guard::Neighbour(look, set) => look.behind && has(set) != look.negative,
    };
    let guard = if holds { Guard::None } else { field.guard };
    let plain = holds && field.lead.is_none();
    Field { guard, plain, ..field }
}

/// The quickest form of a field.
fn simpler(field: Field, sets: &[SetTable]) -> Inst {
    let Field { number, next, .. } = field;
    if field.again || !matches!(field.guard, Guard::None) {
        return Inst::Field(Box::new(field));
    }
    match field.piece {
        Piece::Token(token, otherwise) if field.lead.is_none() => {
            let tail = field.tail;
            Inst::TokenField(Box::new(TokenField { number, next, token, otherwise, tail }))
        }
        Piece::Take(ref run) if run.min <= 1 && run.max == UNBOUNDED => {
            let lead = field.lead.map(|set| &sets[set as usize]);
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

fn field(insts: &[Inst], at: usize, word: u32) -> Option<Field> {
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
        Inst::Maybe(set) => Some(*set),
        _ => None,
    };
    at += usize::from(lead.is_some());
    let piece = match insts.get(at)? {
        Inst::Take(run) => Piece::Take(run.clone()),
        Inst::Token(token, _) if lead.is_none() => Piece::Token(*token, at as Pc + 1),
        _ => return None,
    };
    at = match insts.get(at)? {
        Inst::Token(_, end) => *end as usize,
        _ => at + 1,
    };
    // Behind all the word characters that there are is always the edge of a word.
    let edge = matches!(&piece, Piece::Take(run) if run.set == word && run.min > 0);
    if edge && matches!(insts.get(at)?, Inst::Assert(Assertion::WordEdge)) {
        at += 1;
    }
    if !matches!(insts.get(at)?, Inst::Close(end) | Inst::CloseAgain(end) if end == number) {
        return None;
    }
    insts.get(at + 1)?;
    let tail = tail(insts, at + 1);
    let next = at + 1 + usize::from(!tail.bytes.is_empty());
    let plain = matches!(guard, Guard::None) && lead.is_none();
    Some(Field { number: *number, plain, again, guard, lead, piece, tail, next: next as Pc })
}

#[cfg(test)]
mod tests {
    use super::super::{Ecs, Grok, Options};

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
}
