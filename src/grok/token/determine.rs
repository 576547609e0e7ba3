//! Makes the states of a piece deterministic.
//!
//! In: [`Parts`], and what may follow the piece. Out: the tables of a [`Token`].
//! Promises: where the rest matches anyway, what is less preferred than an end is left out, as backtracking would
//! never come to it; else no end has a possible follower with which the piece could also go on.
//! On failure: `None` where the end would not be certain, or the tables would be large.

use super::super::charset::Wide;
use super::super::first::First;
use super::parts::{Answer, Part, Parts, Says};
use super::{DEAD, Quick, Token, UNSURE};
use std::collections::{HashMap, HashSet};

/// A token may have so many states.
const MAX_STATES: usize = 512;
/// So many ways may be open at once.
const MAX_OPEN: usize = 400;

/// A way that is open: a state, and the number of what is asked of the next byte.
type Way = (u32, u16);

/// Makes the states deterministic.
pub struct Determiner<'a> {
    parts: &'a Parts,
    sure: bool,
    /// The bytes that may follow, where the rest does not match anyway.
    follow: [bool; 257],
    /// What can be asked of the next byte; the first asks nothing.
    asked: Vec<Says>,
    asked_numbers: HashMap<Says, u16>,
    /// For each byte its class, and for each class one of its bytes.
    classes: Box<[u8; 256]>,
    samples: Vec<u8>,
    numbers: HashMap<Vec<Way>, u16>,
    lists: Vec<Vec<Way>>,
    /// Whether something less preferred than an end was left out.
    pub cut: bool,
}

impl<'a> Determiner<'a> {
    /// One at rest.
    pub fn new(parts: &'a Parts, follow: &First) -> Self {
        let (classes, samples) = classes(parts, &follow.table());
        let all = [Answer::Yes; 257];
        Self {
            parts,
            sure: follow.sure,
            follow: follow.table(),
            asked: vec![all],
            asked_numbers: HashMap::from([(all, 0)]),
            classes,
            samples,
            numbers: HashMap::new(),
            lists: Vec::new(),
            cut: false,
        }
    }

    /// The tables; the piece begins at `start`.
    pub fn run(&mut self, start: usize) -> Option<Token> {
        // Beside the classes of bytes, a row has its state's end; a power of two saves nothing but is tidy.
        let width = (self.samples.len() + 1).next_power_of_two().max(2);
        let behind = self.parts.all.iter().any(|part| matches!(part, Part::Behind(..)));
        let starts = self.starts(start, behind, width)?;
        let mut token = Token {
            classes: self.classes.clone(),
            next: vec![DEAD; width],
            width,
            end_at: self.samples.len(),
            ends: Vec::new(),
            starts,
            last: self.sure,
            wide: false,
            quick: Quick::None,
        };
        let mut at = 0;
        while let Some(list) = self.lists.get(at).cloned() {
            at += 1;
            let mut row = vec![DEAD; width];
            let end = self.end(&list);
            row[self.samples.len()] = token.end_code(&end);
            for (class, byte) in self.samples.clone().into_iter().enumerate() {
                row[class] = self.step(&list, byte, width)?;
                let on = row[class] != DEAD && row[class] != UNSURE;
                let ends = end[usize::from(byte)] != Answer::No;
                if !self.sure && on && ends && self.follow[usize::from(byte)] {
                    return None;
                }
                token.wide |= row[class] == UNSURE;
            }
            token.wide |= end.contains(&Answer::Unsure);
            token.next.extend(row);
        }
        token.wide |= token.starts.contains(&UNSURE);
        Some(token)
    }

    /// For each byte before the piece where it begins; one entry if that says nothing.
    fn starts(&mut self, start: usize, behind: bool, width: usize) -> Option<Vec<u16>> {
        if !behind {
            return Some(vec![
                self.close(&[start as u32], 256)
                    .map_or(Some(UNSURE), |list| self.number(list, width))?,
            ]);
        }
        let mut starts = Vec::with_capacity(257);
        for before in 0..257 {
            let list = self.close(&[start as u32], before);
            starts.push(list.map_or(Some(UNSURE), |list| self.number(list, width))?);
        }
        Some(starts)
    }

    /// The number of a state, as the place of its row; new ones are noted.
    fn number(&mut self, list: Vec<Way>, width: usize) -> Option<u16> {
        if list.is_empty() {
            return Some(DEAD);
        }
        if let Some(number) = self.numbers.get(&list) {
            return Some(*number);
        }
        let number = u16::try_from((self.lists.len() + 1) * width).ok()?;
        self.numbers.insert(list.clone(), number);
        self.lists.push(list);
        (self.lists.len() <= MAX_STATES).then_some(number)
    }

    /// Where a byte leads from a state; `None` when it grows too large.
    fn step(&mut self, list: &[Way], byte: u8, width: usize) -> Option<u16> {
        let mut goals: Vec<u32> = Vec::new();
        for (part, asked) in list {
            let answer = self.asked[usize::from(*asked)][usize::from(byte)];
            if answer == Answer::No {
                continue;
            }
            let goal = match &self.parts.all[*part as usize] {
                Part::Byte(wanted, then) if *wanted == byte => *then,
                Part::Take(set, _) if byte >= 0x80 && set.wide != Wide::None => {
                    return Some(UNSURE);
                }
                Part::Take(set, then) if set.has_ascii(byte) => *then,
                Part::End if self.sure && answer == Answer::Yes => {
                    self.cut |= list.last() != Some(&(*part, *asked));
                    break;
                }
                Part::End if self.sure => return Some(UNSURE),
                _ => continue,
            };
            if answer == Answer::Unsure {
                return Some(UNSURE);
            }
            goals.push(goal as u32);
        }
        if goals.is_empty() {
            return Some(DEAD);
        }
        let Some(list) = self.close(&goals, usize::from(byte)) else { return Some(UNSURE) };
        if list.len() > MAX_OPEN { None } else { self.number(list, width) }
    }

    /// All that can be reached without taking, in the order of preference; `None` where no table can tell.
    fn close(&mut self, goals: &[u32], before: usize) -> Option<Vec<Way>> {
        let (mut list, mut seen): (Vec<Way>, HashSet<Way>) = (Vec::new(), HashSet::new());
        let mut open: Vec<Way> = goals.iter().rev().map(|goal| (*goal, 0)).collect();
        while let Some((part, asked)) = open.pop() {
            if !seen.insert((part, asked)) {
                continue;
            }
            match &self.parts.all[part as usize] {
                Part::Either(one, other) => {
                    open.extend([(*other as u32, asked), (*one as u32, asked)]);
                }
                Part::Behind(says, then) => match says[before] {
                    Answer::Yes => open.push((*then as u32, asked)),
                    Answer::No => {}
                    Answer::Unsure => return None,
                },
                Part::Ahead(says, then) => {
                    let (says, then) = (says.clone(), *then as u32);
                    if let Some(asked) = self.both(asked, &says) {
                        open.push((then, asked));
                    }
                }
                Part::Doubt => return None,
                Part::End => {
                    list.push((part, asked));
                    if self.sure && asked == 0 {
                        self.cut |= !open.is_empty();
                        break;
                    }
                }
                Part::Take(..) | Part::Byte(..) => list.push((part, asked)),
            }
        }
        if !self.sure {
            list.sort_unstable();
        }
        Some(list)
    }

    /// The number of two questions at once; `None` if nothing answers both.
    fn both(&mut self, asked: u16, says: &Says) -> Option<u16> {
        let mut both = self.asked[usize::from(asked)];
        for (entry, other) in both.iter_mut().zip(says) {
            *entry = match (*entry, *other) {
                (Answer::No, _) | (_, Answer::No) => Answer::No,
                (Answer::Yes, Answer::Yes) => Answer::Yes,
                _ => Answer::Unsure,
            };
        }
        if both.iter().all(|answer| *answer == Answer::No) {
            return None;
        }
        if let Some(number) = self.asked_numbers.get(&both) {
            return Some(*number);
        }
        let number = u16::try_from(self.asked.len()).ok()?;
        self.asked.push(both);
        self.asked_numbers.insert(both, number);
        Some(number)
    }

    /// Whether a state is an end, by the byte that comes next.
    fn end(&self, list: &[Way]) -> Says {
        let mut end = [Answer::No; 257];
        for (part, asked) in list {
            if matches!(self.parts.all[*part as usize], Part::End) {
                for (entry, answer) in end.iter_mut().zip(&self.asked[usize::from(*asked)]) {
                    *entry = match (*entry, *answer) {
                        (Answer::Yes, _) | (_, Answer::Yes) => Answer::Yes,
                        (Answer::No, Answer::No) => Answer::No,
                        _ => Answer::Unsure,
                    };
                }
            }
        }
        end
    }
}

/// Bytes that nothing in the parts tells apart have one class.
fn classes(parts: &Parts, follow: &[bool; 257]) -> (Box<[u8; 256]>, Vec<u8>) {
    let mut classes = Box::new([0u8; 256]);
    let mut known: HashSet<Vec<u8>> = HashSet::new();
    let mut split = |of: &dyn Fn(u8) -> u8, classes: &mut [u8; 256]| {
        let key: Vec<u8> = (0..=255).map(of).collect();
        if !known.insert(key.clone()) {
            return;
        }
        let mut numbers: HashMap<(u8, u8), u8> = HashMap::new();
        for (class, by) in classes.iter_mut().zip(&key) {
            let next = numbers.len() as u8;
            *class = *numbers.entry((*class, *by)).or_insert(next);
        }
    };
    split(&|byte| u8::from(byte >= 0x80) | u8::from(follow[usize::from(byte)]) << 1, &mut classes);
    for part in &parts.all {
        match part {
            Part::Take(set, _) => {
                let wide = u8::from(set.wide != Wide::None);
                split(
                    &|byte| if byte < 0x80 { u8::from(set.has_ascii(byte)) } else { wide },
                    &mut classes,
                );
            }
            Part::Byte(wanted, _) => split(&|byte| u8::from(byte == *wanted), &mut classes),
            Part::Ahead(says, _) | Part::Behind(says, _) => {
                split(&|byte| says[usize::from(byte)] as u8, &mut classes);
            }
            _ => {}
        }
    }
    let count = usize::from(classes.iter().copied().max().unwrap_or(0)) + 1;
    let mut samples = vec![0; count];
    for byte in (0..=255u8).rev() {
        samples[usize::from(classes[usize::from(byte)])] = byte;
    }
    (classes, samples)
}
