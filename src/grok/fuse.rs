//! Makes one instruction of those that a field of a line usually is: its begin, its text, its end, what follows it.
//!
//! In: the instructions of a program. Out: the same with [`Inst::Field`] in the place of each such begin.
//! Promises: the instructions stay where they are, so that a jump among them means what it meant.
//! On failure: nothing here fails; what does not look like a field stays as it is.

use super::ast::Assertion;
use super::program::{Field, Guard, Inst, Literal, Pc, Piece};

/// Puts fields where they begin; `word` is the set of word characters.
pub fn fuse(insts: &mut [Inst], word: u32) {
    for at in 0..insts.len() {
        if let Some(field) = field(insts, at, word) {
            insts[at] = Inst::Field(Box::new(field));
        }
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
    let tail = match insts.get(at + 1)? {
        Inst::Byte(byte) => Literal::new(&[*byte]),
        Inst::Text(text) => Literal::clone(text),
        _ => Literal::new(&[]),
    };
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
