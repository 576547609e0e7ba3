//! How often the byte that a run gives back to has to come in the rest of the text.
//!
//! In: a program. Out: the same, with the number noted in each run that gives back to one byte. Promises: never more
//! than any way from there to a match takes, so that the last place worth trying is known before anything is tried.
//! On failure: nothing here fails; what is only looked at counts for nothing.

use super::program::{Back, FAIL, Inst, Literal, Pc};

/// The number of a way that does not exist.
const NONE: u32 = u32::MAX;
/// So many rounds over the program; each loop in it may take one.
const MAX_ROUNDS: usize = 16;
/// A longer program takes too long to be looked through.
const MAX_INSTS: usize = 20_000;

/// Notes the numbers.
pub fn note(insts: &mut [Inst], dispatches: &[[Pc; 257]]) {
    if insts.len() > MAX_INSTS {
        return;
    }
    let looked = looked(insts);
    let mut bytes: Vec<u8> = insts.iter().filter_map(given).collect();
    bytes.sort_unstable();
    bytes.dedup();
    for byte in bytes {
        let Some(counts) = counts(insts, (dispatches, &looked), byte) else { continue };
        for (inst, count) in insts.iter_mut().zip(counts.iter().skip(1)) {
            if let Inst::Give(give) = inst
                && let Back::Byte(own, needed) = &mut give.back
                && *own == byte
                && *count != NONE
            {
                *needed = (*count).max(1);
            }
        }
    }
}

/// The byte that a run gives back to.
fn given(inst: &Inst) -> Option<u8> {
    match inst {
        Inst::Give(give) => match give.back {
            Back::Byte(byte, _) => Some(byte),
            _ => None,
        },
        _ => None,
    }
}

/// For each instruction how often a way from it to the match takes the byte at least; `None` if that takes too long
/// to tell.
fn counts(
    insts: &[Inst],
    (dispatches, looked): (&[[Pc; 257]], &[bool]),
    byte: u8,
) -> Option<Vec<u32>> {
    let mut counts = vec![NONE; insts.len()];
    for _ in 0..MAX_ROUNDS {
        let mut changed = false;
        for (at, inst) in insts.iter().enumerate().rev() {
            let then = |pc: Pc| match pc {
                FAIL => NONE,
                pc => counts.get(pc as usize).copied().unwrap_or(NONE),
            };
            let next = at as Pc + 1;
            let least = match inst {
                Inst::Match => 0,
                // The look ahead that must not find anything ends in a failure.
                Inst::LookDenied => NONE,
                Inst::LookStart(to) => then(*to).min(then(next)),
                _ if looked[at] && !jumps(inst) => then(next),
                Inst::Jump(to) => then(*to),
                Inst::Token(_, to) | Inst::Progress(_, to) => then(*to).min(then(next)),
                Inst::Split(a, b) | Inst::Choose(a, b, _) => then(*a).min(then(*b)),
                Inst::Dispatch(table) => {
                    let table = &dispatches[*table as usize];
                    table.iter().map(|to| then(*to)).min().unwrap_or(NONE)
                }
                Inst::Byte(own) => then(next).saturating_add(u32::from(*own == byte)),
                Inst::Text(text) => then(next).saturating_add(within(text, byte)),
                _ => then(next),
            };
            changed |= least != counts[at];
            counts[at] = least;
        }
        if !changed {
            return Some(counts);
        }
    }
    None
}

/// Whether an instruction can go on elsewhere than at the next one.
fn jumps(inst: &Inst) -> bool {
    matches!(
        inst,
        Inst::Jump(_)
            | Inst::Token(..)
            | Inst::Progress(..)
            | Inst::Split(..)
            | Inst::Choose(..)
            | Inst::Dispatch(_)
    )
}

/// Which instructions only look: those from the begin of a look to its end, which stand in a row.
fn looked(insts: &[Inst]) -> Vec<bool> {
    let mut depth = 0_u32;
    let look = insts.iter().map(|inst| {
        match inst {
            Inst::LookStart(_) => depth += 1,
            Inst::LookFound | Inst::LookDenied => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth > 0
    });
    look.collect()
}

fn within(text: &Literal, byte: u8) -> u32 {
    text.bytes.iter().filter(|own| **own == byte).count() as u32
}

#[cfg(test)]
mod tests {
    use super::super::{Ecs, Grok, Options, Outcome, Scratch};

    #[test]
    fn what_takes_everything_in_a_row_tries_only_where_enough_is_left() {
        let pattern =
            ["%{GREEDYDATA:a};%{GREEDYDATA:b};(?:%{GREEDYDATA:c};)?%{GREEDYDATA:d}x".to_owned()];
        let grok = Grok::compile(&pattern, &[], Ecs::V1, Options::default()).unwrap();
        assert!(grok.explain().contains("up to `;`, of which 2 are left"), "{}", grok.explain());
        let mut scratch = Scratch::default();
        let text = b";".repeat(2000);
        assert_eq!(
            grok.find(&mut scratch, &[&text[..], b"x"].concat()),
            Outcome::Match(super::super::Match { pattern: 0, start: 0, end: 2001 })
        );
        assert!(scratch.steps() < 100_000, "{}", scratch.steps());
    }
}
