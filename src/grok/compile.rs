//! Turns a tree into a program that chooses as rarely as it can.
//!
//! In: a parsed pattern. Out: a [`Program`].
//! Promises: the program finds what ordered backtracking over the tree would find; a choice is left
//! out only where the next byte proves that the other way cannot match.
//! On failure: [`Problem::TooLarge`] when the program would grow beyond [`MAX_INSTS`].

use super::ast::{Assertion, Look, Mode, Node};
use super::charset::CharSet;
use super::classes;
use super::error::Problem;
use super::first::{First, first, first_of};
use super::fuse::fuse;
use super::need;
use super::parse::Parsed;
use super::program::{
    Anchor, Chain, FAIL, Give, Inst, Lazy, Literal, Pc, Program, Run, SetTable, UNBOUNDED,
};
use super::require::Required;
use super::scout::Scout;
use super::shape::{self, anchor, back, is_run, is_switch, plain, seek};
use super::spot::Spot;
use super::text;
use super::token::{self, Token};
use super::words::Words;
use std::collections::HashMap;

/// A program may have so many instructions.
const MAX_INSTS: usize = 100_000;
/// A chain has at most so many characters.
const MAX_CHAIN: usize = 64;
/// A chain of fewer characters is as quick one by one.
const MIN_WORDS: usize = 4;
/// A token may take so many nodes.
const MAX_TOKEN: usize = 24;

/// How captures are numbered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbers {
    /// In the order of appearance.
    ByPlace,
    /// All of one name, then all of the next: the order in which Logstash sets fields.
    ByName,
}

/// Compiles a pattern.
pub fn compile(parsed: &Parsed, numbers: Numbers) -> Result<Program, Problem> {
    // Writing it out takes long by itself, so what is far too large is refused before.
    if shape::weight(&parsed.node) > MAX_INSTS {
        return Err(Problem::TooLarge);
    }
    let mut compiler = Compiler::new(parsed, numbers);
    let node = shape::without_idle_captures(&parsed.node, &compiler.kept);
    // A reference may ask for a capture that is open, so its begin has to be right at any time.
    shape::again(&node, has_backref(&node), &mut compiler.again);
    compiler.node(&node, &First::accept());
    compiler.emit(Inst::Match);
    if compiler.insts.len() > MAX_INSTS {
        return Err(Problem::TooLarge);
    }
    let start = first(&parsed.node, &First::accept());
    let prefix = start.literal.as_ref().filter(|text| text.len() > 1);
    compiler.thread();
    need::note(&mut compiler.insts, &compiler.dispatches);
    let ordered = ordered(&compiler.insts);
    fuse(&mut compiler.insts, &compiler.sets, compiler.word, &compiler.dispatches);
    let memo = !compiler.insts.iter().any(|inst| matches!(inst, Inst::Backref(..)));
    let anchor = if memo { anchor(&parsed.node) } else { Anchor::None };
    Ok(Program {
        entry: entry(&compiler.insts, anchor),
        ordered,
        slots: compiler.slots as usize,
        captures: compiler.kept.iter().flatten().count(),
        anchor,
        start: Box::new(start.table()),
        prefix: prefix.map(|text| Spot::new(text.as_bytes())),
        opening: Literal::new(prefix.map_or(&[], |text| text.as_bytes())),
        scout: Scout::new(begins(&start.table())),
        required: Required::new(&parsed.node),
        memo,
        word: compiler.word,
        insts: compiler.insts,
        sets: compiler.sets,
        peeks: compiler.peeks,
        chooses: compiler.chooses,
        dispatches: compiler.dispatches,
        tokens: compiler.tokens,
    })
}

/// Where execution begins: behind a test that holds wherever an attempt begins.
fn entry(insts: &[Inst], anchor: Anchor) -> Pc {
    match (insts.first(), anchor) {
        (Some(Inst::Assert(Assertion::StartText)), Anchor::Text) => 1,
        (Some(Inst::Assert(Assertion::StartLine)), Anchor::Line) => 1,
        _ => 0,
    }
}

/// Whether captures end in the order of their numbers, whichever way is taken: none is taken several times, and
/// all other ways go forward.
fn ordered(insts: &[Inst]) -> bool {
    let numbers = insts.iter().filter_map(|inst| match inst {
        Inst::Close(number) => Some(Some(*number)),
        Inst::CloseAgain(_) => Some(None),
        _ => None,
    });
    let numbers: Option<Vec<u32>> = numbers.collect();
    numbers.is_some_and(|numbers| numbers.is_sorted_by(|one, other| one < other))
}

/// The bytes that an attempt can begin with; none begins within a character.
fn begins(start: &[bool; 257]) -> [bool; 256] {
    std::array::from_fn(|byte| start[byte] && !text::continues(byte as u8))
}

/// Whether a node refers to captures.
fn has_backref(node: &Node) -> bool {
    match node {
        Node::Backref(..) => true,
        Node::Concat(nodes) | Node::Alt(nodes) => nodes.iter().any(has_backref),
        Node::Repeat { node, .. } | Node::Capture(_, node) => has_backref(node),
        Node::Atomic(node) | Node::Look(_, node) => has_backref(node),
        _ => false,
    }
}

/// For each capture of a tree its number in the program.
fn kept(parsed: &Parsed, numbers: Numbers) -> Vec<Option<u32>> {
    let captures = &parsed.captures;
    // As in Oniguruma, plain groups capture only where no group has a name.
    let named = captures.iter().any(Option::is_some);
    let keeps = |at: &usize| if named { captures[*at].is_some() } else { parsed.numbered };
    let mut order: Vec<usize> = (0..captures.len()).filter(keeps).collect();
    if named && numbers == Numbers::ByName {
        order.sort_by_key(|at| captures.iter().position(|name| *name == captures[*at]));
    }
    let mut kept = vec![None; captures.len()];
    for (number, at) in (0..).zip(order) {
        kept[at] = Some(number);
    }
    kept
}

struct Compiler {
    insts: Vec<Inst>,
    sets: Vec<SetTable>,
    set_numbers: HashMap<CharSet, u32>,
    peeks: Vec<[bool; 257]>,
    chooses: Vec<[u8; 257]>,
    dispatches: Vec<[Pc; 257]>,
    tokens: Vec<Token>,
    /// What became of nodes in front of what: the number of the token, or none. Repetitions and dictionaries bring
    /// the same nodes again and again, and tables take long to make.
    token_numbers: HashMap<(Vec<Node>, First), Option<u32>>,
    /// Whether the piece has a token already, so that its instructions need none.
    covered: bool,
    /// For each capture of the tree its number in the program.
    kept: Vec<Option<u32>>,
    /// Which of them may be taken several times.
    again: Vec<bool>,
    slots: u32,
    /// The number of the set of word characters, once it is needed.
    word: u32,
}

impl Compiler {
    fn new(parsed: &Parsed, numbers: Numbers) -> Self {
        let kept = kept(parsed, numbers);
        let count = kept.iter().flatten().count() as u32;
        Self {
            insts: Vec::new(),
            sets: Vec::new(),
            set_numbers: HashMap::new(),
            peeks: Vec::new(),
            chooses: Vec::new(),
            dispatches: Vec::new(),
            tokens: Vec::new(),
            token_numbers: HashMap::new(),
            covered: false,
            kept,
            again: vec![false; parsed.captures.len()],
            slots: count,
            word: 0,
        }
    }

    fn emit(&mut self, inst: Inst) -> Pc {
        // Once too large nothing more is kept; `compile` reports it.
        if self.insts.len() <= MAX_INSTS {
            self.insts.push(inst);
        }
        self.here() - 1
    }

    fn here(&self) -> Pc {
        self.insts.len() as Pc
    }

    fn full(&self) -> bool {
        self.insts.len() > MAX_INSTS
    }

    fn slot(&mut self) -> u32 {
        self.slots += 1;
        self.slots - 1
    }

    fn set(&mut self, set: &CharSet) -> u32 {
        if let Some(number) = self.set_numbers.get(set) {
            return *number;
        }
        let number = self.sets.len() as u32;
        self.sets.push(SetTable::new(set.clone()));
        self.set_numbers.insert(set.clone(), number);
        number
    }

    fn peek(&mut self, first: &First) -> u32 {
        let table = first.table();
        let known = self.peeks.iter().position(|known| *known == table);
        known.unwrap_or_else(|| {
            self.peeks.push(table);
            self.peeks.len() - 1
        }) as u32
    }

    fn node(&mut self, node: &Node, follow: &First) {
        if self.full() {
            return;
        }
        let one = std::slice::from_ref(node);
        if matches!(node, Node::Alt(_) | Node::Repeat { .. }) && self.token(one, follow) == 1 {
            return;
        }
        match node {
            Node::Empty => {}
            Node::Literal(text) => self.literal(text),
            Node::Set(set) => self.one(set),
            Node::Concat(nodes) => self.concat(nodes, follow),
            Node::Alt(nodes) => self.alt(nodes, follow),
            Node::Repeat { node, min, max, mode } => match node.as_set() {
                Some(set) => self.run(&set, *min, *max, *mode, follow),
                None => self.repeat(node, (*min, *max), *mode, follow),
            },
            Node::Capture(index, node) => self.capture(*index, node, follow),
            Node::Atomic(node) => self.atomic(node, follow),
            Node::Look(look, node) => self.look(*look, node),
            Node::Assert(assertion) => {
                if matches!(assertion, Assertion::WordEdge | Assertion::NotWordEdge) {
                    let word = classes::posix("word").unwrap_or(CharSet::EMPTY);
                    self.word = self.set(&word);
                }
                self.emit(Inst::Assert(*assertion));
            }
            Node::Backref(captures, icase) => {
                let kept = captures.iter().filter_map(|index| self.kept[*index]).collect();
                self.emit(Inst::Backref(Box::new((kept, *icase))));
            }
        }
    }

    fn literal(&mut self, text: &str) {
        match text.as_bytes() {
            [] => {}
            [byte] => {
                self.emit(Inst::Byte(*byte));
            }
            bytes => {
                self.emit(Inst::Text(Box::new(Literal::new(bytes))));
            }
        }
    }

    fn one(&mut self, set: &CharSet) {
        let inst = match set.single() {
            Some(byte) => Inst::Byte(byte),
            None => Inst::Set(self.set(set)),
        };
        self.emit(inst);
    }

    fn concat(&mut self, nodes: &[Node], follow: &First) {
        let mut at = 0;
        while at < nodes.len() {
            let taken = self.chain(&nodes[at..]).max(self.token(&nodes[at..], follow));
            if taken == 0 {
                let follow = first_of(&nodes[at + 1..], follow);
                self.node(&nodes[at], &follow);
            }
            at += taken.max(1);
        }
    }

    /// Makes one instruction of single characters in a row; tells how many nodes it took.
    fn chain(&mut self, nodes: &[Node]) -> usize {
        let (mut sets, mut taken) = (Vec::new(), 0);
        for node in nodes {
            let before = sets.len();
            if !shape::singles(node, MAX_CHAIN, &mut sets) {
                sets.truncate(before);
                break;
            }
            taken += 1;
        }
        if sets.len() < 2 || nodes[..taken].iter().all(|node| matches!(node, Node::Literal(_))) {
            return 0;
        }
        let ascii: Vec<u128> = sets.iter().map(|set| set.ascii).collect();
        let words = (sets.len() >= MIN_WORDS).then(|| Words::new(&ascii)).flatten();
        let sets = sets.iter().map(|set| self.set(set)).collect();
        self.emit(Inst::Chain(Box::new(Chain { sets, words })));
        taken
    }

    /// Makes a token of as many nodes as have a certain end; tells how many it took.
    fn token(&mut self, nodes: &[Node], follow: &First) -> usize {
        if self.covered || !nodes.first().is_some_and(token::chooses) {
            return 0;
        }
        let most = nodes.iter().take(MAX_TOKEN).take_while(|node| token::suits(node)).count();
        for taken in (1..=most).rev() {
            let (inner, rest) = nodes.split_at(taken);
            let follow = first_of(rest, follow);
            let Some(number) = self.token_number(inner, &follow) else { continue };
            self.covered_by(number, inner, &follow);
            return taken;
        }
        0
    }

    /// The number of the token of some nodes, made at the first need.
    fn token_number(&mut self, nodes: &[Node], follow: &First) -> Option<u32> {
        if !nodes.iter().all(token::suits) {
            return None;
        }
        let key = (nodes.to_vec(), follow.clone());
        if let Some(known) = self.token_numbers.get(&key) {
            return *known;
        }
        let number = Token::new(nodes, follow).map(|token| {
            self.tokens.push(token);
            self.tokens.len() as u32 - 1
        });
        self.token_numbers.insert(key, number);
        number
    }

    /// Emits a token, and instructions for the same nodes where it can be unsure.
    fn covered_by(&mut self, number: u32, nodes: &[Node], follow: &First) {
        let wide = self.tokens[number as usize].wide;
        let entry = self.emit(Inst::Token(number, FAIL));
        if wide {
            self.covered = true;
            self.concat(nodes, follow);
            self.covered = false;
        }
        if !self.full() {
            self.insts[entry as usize] = Inst::Token(number, self.here());
        }
    }

    fn capture(&mut self, index: usize, node: &Node, follow: &First) {
        match self.kept[index] {
            Some(number) => {
                let again = self.again[index];
                self.emit(if again { Inst::Save(number) } else { Inst::Note(number) });
                self.node(node, follow);
                self.emit(if again { Inst::CloseAgain(number) } else { Inst::Close(number) });
            }
            None => self.node(node, follow),
        }
    }

    /// A run of one set: possessive wherever giving back could not help.
    fn run(&mut self, set: &CharSet, min: u32, max: Option<u32>, mode: Mode, follow: &First) {
        let number = self.set(set);
        let mut run = Run { set: number, min, max: max.unwrap_or(UNBOUNDED) };
        if mode == Mode::Lazy && follow.sure {
            run.max = min;
        }
        if run.max == 0 {
            return;
        }
        let fixed = run.min == run.max;
        let safe = follow.sure || follow.excludes(set);
        if fixed && run.min == 1 {
            self.one(set);
        } else if fixed || safe || mode == Mode::Possessive {
            let maybe = (run.min, run.max) == (0, 1);
            self.emit(if maybe { Inst::Maybe(number) } else { Inst::Take(run) });
        } else if mode == Mode::Greedy {
            let peek = self.peek(follow);
            let option = (run.min, run.max) == (0, 1);
            self.emit(if option {
                Inst::Option(number, peek)
            } else {
                Inst::Give(Box::new(Give { run, peek, back: back(follow) }))
            });
        } else {
            let peek = self.peek(follow);
            let seek = seek(set, &run, follow);
            self.emit(Inst::Seek(Box::new(Lazy { run, peek, seek })));
        }
    }

    fn alt(&mut self, nodes: &[Node], follow: &First) {
        let firsts: Vec<First> = nodes.iter().map(|node| first(node, follow)).collect();
        let entry = self.emit(Inst::Jump(FAIL));
        let mut starts = Vec::with_capacity(nodes.len());
        let mut ends = Vec::with_capacity(nodes.len());
        for node in nodes {
            starts.push(self.here());
            self.node(node, follow);
            ends.push(self.emit(Inst::Jump(FAIL)));
        }
        let inst = self.dispatch(&starts, &firsts);
        let end = self.here();
        if self.full() {
            return;
        }
        self.insts[entry as usize] = inst;
        for jump in ends {
            self.insts[jump as usize] = Inst::Jump(end);
        }
    }

    /// The instruction that picks among branches by the next byte.
    fn dispatch(&mut self, starts: &[Pc], firsts: &[First]) -> Inst {
        let tables: Vec<[bool; 257]> = firsts.iter().map(First::table).collect();
        if let ([a, b], [first, second]) = (starts, &tables[..]) {
            return self.choose(*a, *b, first, second);
        }
        let mut chains: HashMap<Vec<Pc>, Pc> = HashMap::new();
        let mut table = [FAIL; 257];
        for (at, entry) in table.iter_mut().enumerate() {
            let possible: Vec<Pc> = (starts.iter().zip(&tables))
                .filter(|(_, table)| table[at])
                .map(|(start, _)| *start)
                .collect();
            *entry = match chains.get(&possible) {
                Some(chain) => *chain,
                None => {
                    let chain = self.tries(&possible);
                    chains.insert(possible, chain);
                    chain
                }
            };
        }
        self.dispatches.push(table);
        Inst::Dispatch(self.dispatches.len() as u32 - 1)
    }

    /// Instructions that try some branches in turn, placed out of the way of the others.
    fn tries(&mut self, branches: &[Pc]) -> Pc {
        let Some((last, others)) = branches.split_last() else { return FAIL };
        if others.is_empty() {
            return *last;
        }
        // A branch falls through to the end, so a chain needs a way around itself; all branches
        // end in jumps, which leaves this place free.
        let start = self.here();
        for (at, branch) in others.iter().enumerate() {
            let next = self.here() + 1;
            let other = if at + 1 == others.len() { *last } else { next };
            self.emit(Inst::Split(*branch, other));
        }
        start
    }

    fn choose(&mut self, a: Pc, b: Pc, first: &[bool; 257], second: &[bool; 257]) -> Inst {
        let mut table = [0u8; 257];
        for (entry, (first, second)) in table.iter_mut().zip(first.iter().zip(second)) {
            *entry = u8::from(*first) | u8::from(*second) << 1;
        }
        let known = self.chooses.iter().position(|known| *known == table);
        let number = known.unwrap_or_else(|| {
            self.chooses.push(table);
            self.chooses.len() - 1
        });
        Inst::Choose(a, b, number as u32)
    }

    fn repeat(&mut self, node: &Node, times: (u32, Option<u32>), mode: Mode, follow: &First) {
        let (min, max) = times;
        if mode == Mode::Possessive {
            let node = Box::new(node.clone());
            return self.atomic(&Node::Repeat { node, min, max, mode: Mode::Greedy }, follow);
        }
        if let Some(set) = shape::flat_run(node, min, max, mode) {
            return self.run(&set, 0, None, Mode::Greedy, follow);
        }
        let again = first(node, &First::unknown()).or(follow);
        let again = if node.nullable() { First::unknown() } else { again };
        let again = First { sure: false, ..again };
        for round in 1..=min {
            let last = round == min && max == Some(min);
            self.node(node, if last { follow } else { &again });
            if self.full() {
                return;
            }
        }
        match max {
            None => self.endless(node, mode, &again, follow),
            Some(max) => self.optional(node, max - min, mode, &again, follow),
        }
    }

    /// The choice between another round and the rest.
    fn round(&mut self, at: Pc, mode: Mode, firsts: (&First, &First), leave: Pc) {
        let (inner, outer) = (firsts.0.table(), firsts.1.table());
        let inst = match mode {
            Mode::Lazy => self.choose(leave, at + 1, &outer, &inner),
            _ => self.choose(at + 1, leave, &inner, &outer),
        };
        if !self.full() {
            self.insts[at as usize] = inst;
        }
    }

    fn endless(&mut self, node: &Node, mode: Mode, again: &First, follow: &First) {
        let guard = node.nullable().then(|| self.slot());
        let start = self.emit(Inst::Jump(FAIL));
        if let Some(slot) = guard {
            self.emit(Inst::Save(slot));
        }
        self.node(node, again);
        let progress = guard.map(|slot| (self.emit(Inst::Progress(slot, FAIL)), slot));
        self.emit(Inst::Jump(start));
        let end = self.here();
        if self.full() {
            return;
        }
        if let Some((at, slot)) = progress {
            self.insts[at as usize] = Inst::Progress(slot, end);
        }
        self.round(start, mode, (&first(node, again), follow), end);
    }

    fn optional(&mut self, node: &Node, times: u32, mode: Mode, again: &First, follow: &First) {
        let mut choices = Vec::new();
        for round in 1..=times {
            choices.push(self.emit(Inst::Jump(FAIL)));
            self.node(node, if round == times { follow } else { again });
            if self.full() {
                return;
            }
        }
        let end = self.here();
        for (round, at) in (1..).zip(choices) {
            let inner = first(node, if round == times { follow } else { again });
            self.round(at, mode, (&inner, follow), end);
        }
    }

    /// A piece that is never tried otherwise; no fence is needed if nothing in it can be.
    fn atomic(&mut self, node: &Node, follow: &First) {
        if !follow.sure && shape::decided(node, follow) {
            return self.node(node, follow);
        }
        if !self.covered && token::chooses(node) {
            let number = self.token_number(std::slice::from_ref(node), &First::accept());
            if let Some(number) = number {
                let whole = Node::Atomic(Box::new(node.clone()));
                return self.covered_by(number, &[whole], &First::accept());
            }
        }
        if plain(node) || is_run(node) || is_switch(node) {
            return self.node(node, &First::accept());
        }
        self.emit(Inst::Fence);
        self.node(node, &First::accept());
        self.emit(Inst::Cut);
    }

    /// Makes jumps to jumps go to where those go.
    fn thread(&mut self) {
        for at in 0..self.insts.len() {
            let mut inst = std::mem::replace(&mut self.insts[at], Inst::Match);
            match &mut inst {
                Inst::Jump(to) | Inst::Token(_, to) => *to = self.goal(*to),
                Inst::Split(a, b) | Inst::Choose(a, b, _) => {
                    (*a, *b) = (self.goal(*a), self.goal(*b));
                }
                _ => {}
            }
            self.insts[at] = inst;
        }
        let mut tables = std::mem::take(&mut self.dispatches);
        for to in tables.iter_mut().flat_map(|table| table.iter_mut()) {
            *to = self.goal(*to);
        }
        self.dispatches = tables;
    }

    /// Where a jump ends up; loops have no cycle of jumps alone, but a bound is safer than trust.
    fn goal(&self, to: Pc) -> Pc {
        let step = |to: &Pc| match self.insts.get(*to as usize) {
            Some(Inst::Jump(next)) if *next != FAIL => Some(*next),
            _ => None,
        };
        std::iter::successors(Some(to), step).take(64).last().unwrap_or(to)
    }

    fn look(&mut self, look: Look, node: &Node) {
        if let Some(set) = node.as_set() {
            let set = self.set(&set);
            self.emit(Inst::Neighbour(look, set));
            return;
        }
        let origin = look.behind.then(|| self.slot());
        if let Some(slot) = origin {
            self.emit(Inst::Save(slot));
        }
        let start = self.emit(Inst::LookStart(FAIL));
        match origin {
            Some(slot) => self.behind(node, slot),
            None => self.node(node, &First::accept()),
        }
        self.emit(if look.negative { Inst::LookDenied } else { Inst::LookFound });
        if look.negative && !self.full() {
            let end = self.here();
            self.insts[start as usize] = Inst::LookStart(end);
        }
    }

    /// To the left, each length that the node can have is tried by itself.
    fn behind(&mut self, node: &Node, slot: u32) {
        let (min, max) = node.width();
        let lengths: Vec<u32> = (min..=max.unwrap_or(min)).collect();
        let mut ends = Vec::new();
        for (at, length) in lengths.iter().enumerate() {
            let last = at + 1 == lengths.len();
            let split = (!last).then(|| self.emit(Inst::Jump(FAIL)));
            self.emit(Inst::Back(*length));
            self.node(node, &First::unknown());
            self.emit(Inst::AtSlot(slot));
            if self.full() {
                return;
            }
            if let Some(split) = split {
                ends.push(self.emit(Inst::Jump(FAIL)));
                self.insts[split as usize] = Inst::Split(split + 1, self.here());
            }
        }
        let end = self.here();
        for jump in ends {
            self.insts[jump as usize] = Inst::Jump(end);
        }
    }
}
