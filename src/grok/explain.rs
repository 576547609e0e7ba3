//! Tells in words what a program does.
//!
//! In: a program. Out: plain text, a line for each instruction.
//! Promises: every instruction is named; the text is for people, not for programs.
//! On failure: nothing here fails.

use super::ast::Look;
use super::charset::{CharSet, Wide};
use super::program::{Anchor, Back, FAIL, Inst, Pc, Program, Run, Seek, UNBOUNDED};
use std::fmt::Write as _;

/// Explains a program.
pub fn explain(program: &Program) -> String {
    let mut out = String::new();
    let begin = match program.anchor {
        Anchor::Text => "only at the beginning of the text".to_owned(),
        Anchor::Line => "only at the beginning of a line".to_owned(),
        Anchor::None => match &program.prefix {
            Some(prefix) => format!("where `{}` is found", lossy(prefix.text())),
            None => {
                let bytes = program.start.iter().filter(|on| **on).count();
                format!("at one of {bytes} first bytes")
            }
        },
    };
    let _ = writeln!(out, "begins {begin}");
    if let Some(lead) = &program.required.lead {
        let (needle, min, max) = (lossy(lead.text.text()), lead.min, lead.max);
        let _ = writeln!(out, "begins {min} to {max} bytes before a `{needle}`");
    }
    let texts: Vec<String> =
        (program.required.texts.iter()).map(|text| format!("`{}`", lossy(text.text()))).collect();
    if !texts.is_empty() {
        let texts = texts.join(", ");
        let _ =
            writeln!(out, "after a failure, goes on only if the text has {texts} in this order");
    }
    engines(program, &mut out);
    for (pc, inst) in program.insts.iter().enumerate() {
        let _ = writeln!(out, "{pc:>5}  {}", describe(program, inst));
    }
    let slow: Vec<String> = (program.insts.iter().enumerate())
        .filter_map(|(pc, inst)| Some(format!("{pc:>5}  {}", why_slow(program, inst)?)))
        .collect();
    if slow.is_empty() {
        out.push_str("no part goes back\n");
    } else {
        let _ = writeln!(out, "parts that may go back, and why:\n{}", slow.join("\n"));
    }
    out
}

/// Which engine runs what of the pattern.
fn engines(program: &Program, out: &mut String) {
    let count = |is: &dyn Fn(&Inst) -> bool| program.insts.iter().filter(|inst| is(inst)).count();
    let tables = count(&|inst| matches!(inst, Inst::Token(..)));
    let runs = count(&|inst| matches!(inst, Inst::Take(_) | Inst::Maybe(_) | Inst::Chain(_)));
    let back = count(&|inst| why_slow(program, inst).is_some());
    let _ = writeln!(
        out,
        "run by: the scanner, {} instructions ({tables} tables, {runs} runs); the backtracking engine, {back} of them",
        program.insts.len(),
    );
}

/// Why an instruction may have to be tried otherwise; `None`: it need not.
fn why_slow(program: &Program, inst: &Inst) -> Option<String> {
    let set = |number: u32| show_set(&program.sets[number as usize].set);
    Some(match inst {
        Inst::Give(give) => {
            format!("{} may also take what follows it, so it gives back", set(give.run.set))
        }
        Inst::Option(number, _) => {
            format!("one of {} may also be the begin of what follows", set(*number))
        }
        Inst::Seek(lazy) => {
            format!(
                "as few of {} as will do: each place to stop is tried with the rest",
                set(lazy.run.set)
            )
        }
        Inst::Split(..) => "two ways begin with the same character".to_owned(),
        Inst::Choose(a, b, table) => {
            let both = program.chooses[*table as usize].iter().filter(|entry| **entry == 3).count();
            if both == 0 {
                return None;
            }
            format!(
                "the ways to {} and {} both begin with some of the same bytes",
                goal(*a),
                goal(*b)
            )
        }
        Inst::Fence => "a piece that is tried as a whole, whose inside has several ways".to_owned(),
        Inst::LookStart(_) => "looks further than one character".to_owned(),
        Inst::Backref(..) => "asks for the text of a capture, which no table can".to_owned(),
        _ => return None,
    })
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).escape_debug().to_string()
}

fn describe(program: &Program, inst: &Inst) -> String {
    let set = |number: u32| show_set(&program.sets[number as usize].set);
    match inst {
        Inst::Byte(byte) => format!("byte `{}`", lossy(&[*byte])),
        Inst::Text(text) => format!("text `{}`", lossy(&text.bytes)),
        Inst::Set(number) => format!("one of {}", set(*number)),
        Inst::Chain(chain) => {
            let sets: Vec<String> = chain.sets.iter().map(|number| set(*number)).collect();
            format!("one each of {}", sets.join(", "))
        }
        Inst::Token(number, to) => {
            let token = &program.tokens[*number as usize];
            let states = token.states();
            let wide = if token.wide { "; outside ASCII by what follows" } else { "" };
            format!("a piece by a table of {states} states, then {}{wide}", goal(*to))
        }
        Inst::Field(field) => in_one_go(field.number, field.next),
        Inst::RunField(field) => in_one_go(field.number, field.next),
        Inst::TokenField(field) => in_one_go(field.number, field.next),
        Inst::SeekField(field) => {
            let wanted = lossy(field.spot.text());
            format!("{}, up to `{wanted}`", in_one_go(field.number, field.next))
        }
        Inst::Take(run) => format!("{} of {}, never given back", times(run), set(run.set)),
        Inst::Maybe(number) => format!("0 to 1 of {}, never given back", set(*number)),
        Inst::Option(number, _) => format!("0 to 1 of {}, given back as needed", set(*number)),
        Inst::Give(give) => {
            let how = match &give.back {
                Back::Step => String::new(),
                Back::Byte(byte, 1) => format!(" up to `{}`", lossy(&[*byte])),
                Back::Byte(byte, needed) => {
                    format!(" up to `{}`, of which {needed} are left", lossy(&[*byte]))
                }
                Back::Text(finder) => format!(" up to `{}`", lossy(finder.needle())),
            };
            format!("{} of {}, given back as needed{how}", times(&give.run), set(give.run.set))
        }
        Inst::Seek(lazy) => {
            let how = match &lazy.seek {
                Seek::Step => "character by character".to_owned(),
                Seek::Byte(byte) => format!("searching `{}`", lossy(&[*byte])),
                Seek::Text(finder) => format!("searching `{}`", lossy(finder.needle())),
            };
            format!("{} of {}, as few as will do, {how}", times(&lazy.run), set(lazy.run.set))
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
        Inst::Save(slot) if *slot as usize >= program.captures => "note the place".to_owned(),
        Inst::Save(slot) | Inst::Note(slot) => format!("capture {slot} begins"),
        Inst::Close(number) | Inst::CloseAgain(number) => format!("capture {number} ends"),
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
        Inst::Backref(wanted) => format!("the text of capture {:?} again", wanted.0),
        Inst::Match => "match".to_owned(),
        other => format!("{other:?}"),
    }
}

fn in_one_go(number: u32, next: Pc) -> String {
    format!("capture {number} in one go, then {}", goal(next))
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
