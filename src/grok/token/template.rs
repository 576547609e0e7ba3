//! The way that most texts take through a token, checked eight bytes at a time.
//!
//! In: the nodes of a token and its tables. Out: [`Templates`], one for each way through the optional pieces; a
//! [`Template`] is so many bytes, each out of a set, some pairs of digits and some names out of a list, and the state
//! that every such text leads to. Which one is tried is told by a byte at each place where an optional piece may begin.
//! Promises: what passes the template would have led the tables to the same state; what does not says nothing.
//! On failure: `None` where no such way is long enough to be worth it.

use super::super::ast::Node;
use super::super::first::{First, first};
use super::super::words::Words;
use super::outline::step;
use super::{NO_END, Token, UNSURE};

/// Shorter ways are as quick by the tables.
const MIN_LEN: usize = 4;
/// Longer ones are left to the tables.
const MAX_LEN: usize = 64;
/// A repetition is followed so often at most.
const MAX_TIMES: u32 = 16;
/// A name has so many letters: those of months.
const NAME: usize = 3;
/// So many names may there be, and fewer are not worth it.
const MAX_NAMES: usize = 64;
const MIN_NAMES: usize = 4;
/// A set of more bytes is not written out for names.
const MAX_LETTERS: u32 = 4;

/// So many optional pieces are told apart.
const MAX_FORKS: usize = 3;

/// The ways through a token.
#[derive(Clone, Debug)]
pub enum Templates {
    /// One way.
    One(Template),
    /// Two kinds of ways: those of the second have a byte of this set at this place.
    Fork(Box<(usize, u128, Option<Templates>, Option<Templates>)>),
}

/// The optional pieces on a way.
struct Choices {
    /// Whether each is there; the ones after these are.
    there: Vec<bool>,
    /// Where each begins, in bytes, and with which.
    forks: Vec<(usize, u128)>,
}

/// What a byte behind a way means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Behind {
    /// The token ends before it.
    End,
    /// It leads from the way's state to the same state.
    Stay,
    /// The tables tell.
    On,
}

impl Behind {
    /// What each byte means in a state.
    fn new(state: u16, token: &Token) -> Box<[Self; 257]> {
        let ends = token.ends_behind(&[state].into());
        Box::new(std::array::from_fn(|byte| {
            let stays = || step(token, state, u8::try_from(byte).ok()?).filter(|on| *on == state);
            match ends[byte] {
                true => Self::End,
                false if stays().is_some() => Self::Stay,
                false => Self::On,
            }
        }))
    }
}

/// What came of trying a way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passed {
    /// The text goes another way.
    Nothing,
    /// The tables go on in this state at this place.
    On(u16, usize),
    /// The token ends there.
    End(usize),
}

/// A way of fixed length.
#[derive(Clone, Debug)]
pub struct Template {
    /// The state that it begins in.
    from: u16,
    /// The state that it leads to.
    then: u16,
    /// What each byte behind it means; the last entry is the end of the text.
    ends: Box<[Behind; 257]>,
    words: Words,
    pairs: Vec<Pair>,
    names: Vec<Names>,
}

/// Two digits out of a list.
#[derive(Clone, Copy, Debug)]
enum Pair {
    /// They are in a row: the first as it is written, and how much above it the last is.
    Range(usize, u16, u16),
    /// A bit for each, by tens times sixteen plus ones.
    List(usize, [u64; 4]),
}

/// Three bytes out of a list, each in a place of its own.
#[derive(Clone, Debug)]
struct Names {
    at: usize,
    factor: u32,
    table: Box<[u32; 256]>,
}

impl Names {
    fn new(at: usize, list: &[[u8; NAME]]) -> Option<Self> {
        // Odd factors, until one gives each name a place of its own.
        (0..4096u32).map(|n| n.wrapping_mul(0x9E37_79B8) | 1).find_map(|factor| {
            let mut table = Box::new([0u32; 256]);
            let apart = list.iter().all(|name| {
                let name = number(*name);
                let place = &mut table[(name.wrapping_mul(factor) >> 24) as usize];
                let free = *place == 0 || *place == name;
                *place = name;
                free
            });
            apart.then_some(Self { at, factor, table })
        })
    }

    fn holds(&self, name: [u8; NAME]) -> bool {
        let name = number(name);
        self.table[(name.wrapping_mul(self.factor) >> 24) as usize] == name
    }
}

/// Three bytes as a number that is not 0.
fn number([a, b, c]: [u8; NAME]) -> u32 {
    u32::from_le_bytes([a, b, c, 1])
}

/// Whether two digits are in a list.
fn listed(list: &[u64; 4], tens: u8, ones: u8) -> bool {
    list[usize::from(tens & 15) >> 2] >> (u32::from(tens & 3) << 4 | u32::from(ones & 15)) & 1 == 1
}

impl Pair {
    fn new(at: usize, list: [u64; 4]) -> Self {
        let all = (0..100u8).filter(|number| listed(&list, number / 10, number % 10));
        let all: Vec<u8> = all.collect();
        let written = |number: u8| u16::from_be_bytes([b'0' + number / 10, b'0' + number % 10]);
        match (all.first(), all.last()) {
            (Some(first), Some(last)) if usize::from(last - first) + 1 == all.len() => {
                Self::Range(at, written(*first), written(*last) - written(*first))
            }
            _ => Self::List(at, list),
        }
    }

    /// Whether the digits are there; that they are digits is known.
    #[inline]
    fn holds(&self, window: &[u8]) -> bool {
        let (Self::Range(at, ..) | Self::List(at, _)) = self;
        let Some(digits) = window.get(*at..).and_then(|window| window.first_chunk::<2>()) else {
            return false;
        };
        match self {
            // Numbers of two digits are in the order in which they are written.
            Self::Range(_, first, above) => {
                u16::from_be_bytes(*digits).wrapping_sub(*first) <= *above
            }
            Self::List(_, list) => listed(list, digits[0], digits[1]),
        }
    }
}

/// One byte of the way, or several that belong together.
#[derive(Clone, Debug)]
enum Item {
    Set(u128),
    Pair([u64; 4]),
    Names(Vec<[u8; NAME]>),
}

impl Templates {
    /// The ways through a token, as far as there are such that are long enough.
    pub fn new(nodes: &[Node], token: &Token) -> Option<Self> {
        Self::behind(nodes, token, Vec::new())
    }

    /// The ways on which the first optional pieces are there or not.
    fn behind(nodes: &[Node], token: &Token, there: Vec<bool>) -> Option<Self> {
        let decided = there.len();
        let mut choices = Choices { there, forks: Vec::new() };
        let mut items = Vec::new();
        let _ = nodes.iter().all(|node| extend(node, &mut items, &mut choices));
        let Some((at, set)) = choices.forks.get(decided).filter(|_| decided < MAX_FORKS) else {
            return Template::new(&items, token).map(Self::One);
        };
        let way = |there: bool| {
            let all = choices.there.iter().take(decided).copied().chain([there]).collect();
            Self::behind(nodes, token, all)
        };
        match (way(false), way(true)) {
            (None, None) => None,
            (without, with) => Some(Self::Fork(Box::new((*at, *set, without, with)))),
        }
    }

    /// The state that the way of a text leads to and where it ends, if the text takes one of them.
    #[inline(never)]
    pub fn pass(&self, state: u16, text: &[u8], at: usize) -> Passed {
        let mut ways = self;
        loop {
            match ways {
                Self::One(template) => {
                    if !template.holds(state, text, at) {
                        return Passed::Nothing;
                    }
                    return template.end(text, at + template.words.len);
                }
                Self::Fork(fork) => {
                    let (place, set, without, with) = &**fork;
                    let byte = text.get(at + place).copied().unwrap_or(0x80);
                    let there = byte < 0x80 && set >> byte & 1 == 1;
                    let Some(chosen) = (if there { with } else { without }) else {
                        return Passed::Nothing;
                    };
                    ways = chosen;
                }
            }
        }
    }
}

impl Template {
    /// The longest way of the begin of some items, if it is long enough.
    fn new(items: &[Item], token: &Token) -> Option<Self> {
        let mut starts = token.starts.iter().copied().filter(|start| *start > UNSURE);
        let from = starts.next()?;
        let (mut states, mut at, mut best) = (vec![from], 0, None);
        for (number, item) in items.iter().enumerate() {
            let next = passed(token, &states, item);
            let Some(next) = next else { break };
            at += item.len();
            if at > MAX_LEN {
                break;
            }
            states = next;
            if let [then] = states[..]
                && at >= MIN_LEN
            {
                best = Some((number + 1, then));
            }
        }
        let (count, then) = best?;
        Self::laid_out(&items[..count], (from, then), token)
    }

    fn laid_out(items: &[Item], (from, then): (u16, u16), token: &Token) -> Option<Self> {
        let (mut sets, mut pairs, mut names) = (Vec::new(), Vec::new(), Vec::new());
        for item in items {
            match item {
                Item::Set(set) => sets.push(*set),
                Item::Pair(list) => {
                    pairs.push(Pair::new(sets.len(), *list));
                    sets.extend([0x3FFu128 << b'0'; 2]);
                }
                Item::Names(list) => {
                    names.push(Names::new(sets.len(), list)?);
                    sets.extend([u128::MAX; NAME]);
                }
            }
        }
        let ends = Behind::new(then, token);
        Some(Self { from, then, ends, words: Words::new(&sets)?, pairs, names })
    }

    /// What is behind the way: the token's end, or a run up to it.
    #[inline]
    fn end(&self, text: &[u8], mut at: usize) -> Passed {
        loop {
            let next = text.get(at).map_or(256, |byte| usize::from(*byte));
            match self.ends[next] {
                Behind::End => return Passed::End(at),
                Behind::Stay => at += 1,
                Behind::On => return Passed::On(self.then, at),
            }
        }
    }

    /// Whether a text goes this way.
    #[inline]
    fn holds(&self, state: u16, text: &[u8], at: usize) -> bool {
        if state != self.from || self.words.hold(text, at) != Some(true) {
            return false;
        }
        let Some(window) = text.get(at..at + self.words.len) else { return false };
        let name = |names: &Names| {
            let name = window.get(names.at..).and_then(|rest| rest.first_chunk::<NAME>());
            name.is_some_and(|name| names.holds(*name))
        };
        self.pairs.iter().all(|pair| pair.holds(window)) && self.names.iter().all(name)
    }
}

impl Item {
    fn len(&self) -> usize {
        match self {
            Self::Set(_) => 1,
            Self::Pair(_) => 2,
            Self::Names(_) => NAME,
        }
    }
}

/// Where all texts of an item lead from some states; `None` if one of them leads nowhere, or ends on the way where
/// the last end counts.
fn passed(token: &Token, states: &[u16], item: &Item) -> Option<Vec<u16>> {
    let step = |state: u16, byte: u8| {
        let row = usize::from(state);
        let next = token.next[row + usize::from(token.classes[usize::from(byte)])];
        let ends = token.last && token.next[row + token.end_at] != NO_END;
        (next > UNSURE && !ends).then_some(next)
    };
    let mut all = Vec::new();
    for state in states {
        match item {
            Item::Set(set) => {
                for byte in (0..128u8).filter(|byte| set >> byte & 1 == 1) {
                    all.push(step(*state, byte)?);
                }
            }
            Item::Pair(list) => {
                for at in (0..256u16).filter(|at| list[usize::from(at >> 6)] >> (at & 63) & 1 == 1)
                {
                    let then = step(*state, b'0' + (at >> 4) as u8)?;
                    all.push(step(then, b'0' + (at & 15) as u8)?);
                }
            }
            Item::Names(list) => {
                for name in list {
                    all.push(name.iter().try_fold(*state, |state, byte| step(state, *byte))?);
                }
            }
        }
    }
    all.sort_unstable();
    all.dedup();
    Some(all)
}

/// Adds the way that most texts take through a node; whether it comes to the node's end.
fn extend(node: &Node, items: &mut Vec<Item>, choices: &mut Choices) -> bool {
    match node {
        Node::Empty | Node::Look(..) | Node::Assert(_) => true,
        Node::Literal(text) => {
            // A word tells only bytes below 128 apart.
            items.extend(text.bytes().take_while(u8::is_ascii).map(|byte| Item::Set(1 << byte)));
            text.is_ascii()
        }
        Node::Set(set) => {
            items.push(Item::Set(set.ascii));
            set.ascii != 0
        }
        Node::Concat(nodes) => nodes.iter().all(|node| extend(node, items, choices)),
        Node::Atomic(node) => extend(node, items, choices),
        Node::Alt(_) => match pairs(node) {
            Some(list) if list != [0; 4] => {
                items.push(Item::Pair(list));
                true
            }
            _ => match names(node) {
                Some(list) => {
                    items.push(Item::Names(list));
                    true
                }
                None => false,
            },
        },
        Node::Repeat { node: inner, min: 0, max: Some(1), .. }
            if inner.as_set().is_none_or(|set| set.ascii.count_ones() > 1) =>
        {
            choices.forks.push((items.iter().map(Item::len).sum::<usize>(), opens(inner)));
            let there = choices.there.get(choices.forks.len() - 1).is_none_or(|there| *there);
            !there || extend(inner, items, choices)
        }
        Node::Repeat { node: inner, min, max, .. } => {
            // Of one byte as many as needed: most texts have no more.
            let one = max.is_none() && inner.as_set().is_some_and(|set| set.single().is_some());
            if one {
                return (0..(*min).min(MAX_TIMES)).all(|_| extend(inner, items, choices));
            }
            let whole = max.is_some_and(|max| max <= MAX_TIMES);
            let times = max.filter(|_| whole).unwrap_or(*min).min(MAX_TIMES);
            (0..times).all(|_| extend(inner, items, choices)) && whole
        }
        Node::Capture(..) | Node::Backref(..) => false,
    }
}

/// The ASCII bytes that a node begins with.
fn opens(node: &Node) -> u128 {
    first(node, &First::unknown()).set.ascii
}

/// The names of three letters that a node matches, if they are a few.
fn names(node: &Node) -> Option<Vec<[u8; NAME]>> {
    let all = written_out(node)?;
    let names: Vec<[u8; NAME]> =
        all.iter().filter_map(|text| <[u8; NAME]>::try_from(&text[..]).ok()).collect();
    (MIN_NAMES..=MAX_NAMES).contains(&names.len()).then_some(names)
}

/// The ASCII texts that a node matches, as far as they are no longer than a name; `None` if they are many.
fn written_out(node: &Node) -> Option<Vec<Vec<u8>>> {
    let mut all = match node {
        Node::Empty | Node::Look(..) | Node::Assert(_) => vec![Vec::new()],
        Node::Literal(text) => vec![text.as_bytes().to_vec()],
        Node::Set(set) if set.ascii.count_ones() <= MAX_LETTERS => {
            (0..128u8).filter(|byte| set.has_ascii(*byte)).map(|byte| vec![byte]).collect()
        }
        Node::Concat(nodes) => row(nodes.iter())?,
        Node::Alt(nodes) => {
            let all: Option<Vec<_>> = nodes.iter().map(written_out).collect();
            all?.into_iter().flatten().collect()
        }
        Node::Atomic(node) => written_out(node)?,
        Node::Repeat { node, min, max: Some(max @ 1..=2), .. } => {
            let times = (*min..=*max).map(|times| row((0..times).map(|_| &**node)));
            let all: Option<Vec<_>> = times.collect();
            all?.into_iter().flatten().collect()
        }
        _ => return None,
    };
    all.retain(|text| text.len() <= NAME && text.is_ascii());
    (all.len() <= 4 * MAX_NAMES).then_some(all)
}

/// The same for nodes in a row.
fn row<'a>(nodes: impl Iterator<Item = &'a Node>) -> Option<Vec<Vec<u8>>> {
    let mut all = vec![Vec::new()];
    for node in nodes {
        let next = written_out(node)?;
        let pairs = all.iter().flat_map(|one: &Vec<u8>| {
            next.iter().map(move |other| [&one[..], &other[..]].concat())
        });
        all = pairs.filter(|text| text.len() <= NAME).collect();
        if all.len() > 4 * MAX_NAMES {
            return None;
        }
    }
    Some(all)
}

/// The pairs of digits that a node matches; `None` if that is not simple to tell.
fn pairs(node: &Node) -> Option<[u64; 4]> {
    let mut list = [0u64; 4];
    let choices = match node {
        Node::Alt(nodes) => &nodes[..],
        node => std::slice::from_ref(node),
    };
    for choice in choices {
        let mut digits: Vec<u16> = Vec::new();
        if !digits_of(choice, &mut digits) {
            return None;
        }
        let [tens, ones] = digits[..] else { continue };
        for ten in (0..10u16).filter(|ten| tens >> ten & 1 == 1) {
            let row = u64::from(ones) << ((ten & 3) << 4);
            list[usize::from(ten >> 2)] |= row;
        }
    }
    Some(list)
}

/// The digits that a node takes one after the other, as bits, as many as it can.
fn digits_of(node: &Node, digits: &mut Vec<u16>) -> bool {
    match node {
        Node::Concat(nodes) => nodes.iter().all(|node| digits_of(node, digits)),
        Node::Repeat { node, max: Some(max @ 1..=2), .. } => {
            (0..*max).all(|_| digits_of(node, digits))
        }
        Node::Literal(text) => text.bytes().all(|byte| {
            digits.push(1u16 << (byte & 15));
            byte.is_ascii_digit()
        }),
        node => {
            let Some(set) = node.as_set() else { return false };
            digits.push((set.ascii >> b'0' & 0x3FF) as u16);
            set.ascii & !(0x3FFu128 << b'0') == 0
        }
    }
}
