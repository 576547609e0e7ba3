//! Tells in words what a program does.
//!
//! In: a program. Out: plain text, a line for each instruction.
//! Promises: every instruction is named; the text is for people, not for programs.
//! On failure: nothing here fails.

use super::ast::Look;
use super::charset::{CharSet, Wide};
use super::program::{Anchor, FAIL, Inst, Pc, Program, Run, Seek, UNBOUNDED};
use std::fmt::Write as _;

/// Explains a program.
pub fn explain(program: &Program) -> String {
    let mut out = String::new();
    let begin = match program.anchor {
        Anchor::Text => "only at the beginning of the text".to_owned(),
        Anchor::Line => "only at the beginning of a line".to_owned(),
        Anchor::None => match &program.prefix {
            Some(prefix) => format!("where `{}` is found", lossy(prefix.needle())),
            None => {
                let bytes = program.start.iter().filter(|on| **on).count();
                format!("at one of {bytes} first bytes")
            }
        },
    };
    let _ = writeln!(out, "begins {begin}");
    if let Some(required) = &program.required {
        let needle = lossy(required.needle());
        let _ = writeln!(out, "after a failure, goes on only if `{needle}` is in the text");
    }
    for (pc, inst) in program.insts.iter().enumerate() {
        let _ = writeln!(out, "{pc:>5}  {}", describe(program, inst));
    }
    out
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).escape_debug().to_string()
}

fn describe(program: &Program, inst: &Inst) -> String {
    let set = |number: u32| show_set(&program.sets[number as usize].set);
    match inst {
        Inst::Byte(byte) => format!("byte `{}`", lossy(&[*byte])),
        Inst::Text(text) => format!("text `{}`", lossy(text)),
        Inst::Set(number) => format!("one of {}", set(*number)),
        Inst::Take(run) => format!("{} of {}, never given back", times(run), set(run.set)),
        Inst::Maybe(number) => format!("0 to 1 of {}, never given back", set(*number)),
        Inst::Option(number, _) => format!("0 to 1 of {}, given back as needed", set(*number)),
        Inst::Give(run, _) => format!("{} of {}, given back as needed", times(run), set(run.set)),
        Inst::Seek(run, _, seek) => {
            let how = match seek {
                Seek::Step => "character by character".to_owned(),
                Seek::Byte(byte) => format!("searching `{}`", lossy(&[*byte])),
                Seek::Text(finder) => format!("searching `{}`", lossy(finder.needle())),
            };
            format!("{} of {}, as few as will do, {how}", times(run), set(run.set))
        }
        Inst::Split(a, b) => format!("try {}, else {}", goal(*a), goal(*b)),
        Inst::Choose(a, b, table) => {
            let both = program.chooses[*table as usize].iter().filter(|entry| **entry == 3).count();
            let (a, b) = (goal(*a), goal(*b));
            match both {
                0 => format!("by the next byte to {a} or {b}, never both"),
                _ => format!("by the next byte to {a} or {b}; on {both} bytes first {a}, else {b}"),
            }
        }
        Inst::Dispatch(table) => {
            let mut goals = program.dispatches[*table as usize].to_vec();
            goals.sort_unstable();
            goals.dedup();
            let goals = goals.into_iter().filter(|pc| *pc != FAIL).map(goal);
            format!("by the next byte to {}", goals.collect::<Vec<_>>().join(", "))
        }
        Inst::Jump(to) => format!("go to {}", goal(*to)),
        Inst::Save(slot) if *slot as usize >= program.captures * 2 => "note the place".to_owned(),
        Inst::Save(slot) if slot % 2 == 0 => format!("capture {} begins", slot / 2),
        Inst::Save(slot) => format!("capture {} ends", slot / 2),
        Inst::Assert(assertion) => format!("test {assertion:?}"),
        Inst::Neighbour(look, number) => format!("{} {}", neighbour(*look), set(*number)),
        other => describe_rare(other),
    }
}

fn describe_rare(inst: &Inst) -> String {
    match inst {
        Inst::Fence => "one piece begins, never tried otherwise".to_owned(),
        Inst::Cut => "one piece ends".to_owned(),
        Inst::LookStart(FAIL) => "look without taking".to_owned(),
        Inst::LookStart(pc) => format!("look without taking; if nothing is there go to {pc}"),
        Inst::LookFound => "seen; back to where the look began".to_owned(),
        Inst::LookDenied => "seen what must not be: failure".to_owned(),
        Inst::Back(count) => format!("{count} characters back"),
        Inst::AtSlot(_) => "test that the look ends where it began".to_owned(),
        Inst::Progress(_, leave) => format!("if the round took nothing go to {leave}"),
        Inst::Backref(captures, _) => format!("the text of capture {captures:?} again"),
        Inst::Match => "match".to_owned(),
        other => format!("{other:?}"),
    }
}

fn goal(pc: Pc) -> String {
    if pc == FAIL { "failure".to_owned() } else { pc.to_string() }
}

fn times(run: &Run) -> String {
    match (run.min, run.max) {
        (min, UNBOUNDED) => format!("{min} or more"),
        (min, max) if min == max => min.to_string(),
        (min, max) => format!("{min} to {max}"),
    }
}

fn neighbour(look: Look) -> &'static str {
    match (look.behind, look.negative) {
        (false, false) => "next is one of",
        (false, true) => "next is none of",
        (true, false) => "before is one of",
        (true, true) => "before is none of",
    }
}

fn show_set(set: &CharSet) -> String {
    if *set == CharSet::ALL {
        return "any".to_owned();
    }
    let many = set.ascii.count_ones() > 64;
    let shown = if many { set.negate() } else { set.clone() };
    let mut out = String::from(if many { "[^" } else { "[" });
    let mut byte = 0u8;
    while byte < 128 {
        let start = byte;
        while shown.has_ascii(byte) {
            byte += 1;
        }
        match byte - start {
            0 => byte += 1,
            1 | 2 => (start..byte).for_each(|b| out.extend(char::from(b).escape_debug())),
            _ => {
                out.extend(char::from(start).escape_debug());
                out.push('-');
                out.extend(char::from(byte - 1).escape_debug());
            }
        }
    }
    match shown.wide {
        Wide::None => {}
        Wide::All => out.push_str(" beyond ASCII"),
        Wide::Ranges(_) => out.push_str(" some beyond ASCII"),
    }
    out.push(']');
    out
}
