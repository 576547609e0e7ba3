//! All rules of one filter over one text.
//!
//! In: a text. Out: the text without secrets, if it held any. Promises: one search decides whether
//! a text can hold what begins with known letters; only then its rules are run. That search can be made once over
//! many texts that stand together ([`Marks`]). A clone is for another thread: regular expressions that threads share
//! make them wait for one another's buffers.

use regex::bytes::{Regex, RegexBuilder};

use super::detect::{self, Detector};
use super::keys::Keys;
use super::ranges::{Secret, replace};
use super::replacement::Replacement;
use crate::event::{Batch, Value};

/// What a filter looks for.
#[derive(Clone)]
pub(super) struct Rules {
    pub(super) replacement: Replacement,
    keys: Option<Keys>,
    detectors: Vec<&'static Detector>,
    patterns: Vec<(Regex, Option<usize>)>,
    /// Finds the beginning of what `keys` and the detectors with markers look for.
    markers: Option<Regex>,
}

/// Buffers of one thread.
#[derive(Default)]
pub(super) struct Work {
    secrets: Vec<Secret>,
    /// Where marks stand in the next text; meant only while `known`.
    marks: Vec<(usize, usize)>,
    known: bool,
}

impl Work {
    /// Says where marks stand in the text that comes next, which is a part of what was searched.
    pub(super) fn know(&mut self, marks: &Marks, from: usize, to: usize) {
        self.known = false;
        self.marks.clear();
        if let Some((part, from, to)) = marks.part(from, to) {
            self.known = true;
            let next = part.found.partition_point(|(_, end)| *end <= from);
            let within = part.found[next..].iter().take_while(|(start, _)| *start < to);
            self.marks.extend(within.map(|(start, end)| (start.saturating_sub(from), end - from)));
        }
    }
}

/// The bytes of a block of a [`Part`], as a power of two.
const BLOCK: usize = 6;

/// Where in a batch's text the beginning of something stands that may be a secret.
#[derive(Default)]
pub(super) struct Marks {
    /// Of the texts that outlive their batch, which are searched once.
    lasting: Part,
    /// See [`crate::event::Batch::lasting_era`].
    era: u32,
    /// Of the batch's own texts, from `from` on.
    own: Part,
    from: usize,
}

/// Where marks stand in a row of texts.
#[derive(Default)]
struct Part {
    /// Ascending, none within another.
    found: Vec<(usize, usize)>,
    /// A bit for each [`BLOCK`] bytes: whether a mark has a part in them.
    blocks: Vec<u64>,
    /// Bytes that were searched.
    searched: usize,
}

impl Marks {
    /// The batch's own texts were not searched.
    pub(super) fn clear(&mut self) {
        self.own.clear();
        self.from = 0;
    }

    /// The part that these bytes are in, and where they are there; `None`: they were not searched.
    #[inline]
    fn part(&self, from: usize, to: usize) -> Option<(&Part, usize, usize)> {
        if to <= self.from {
            return Some((&self.lasting, from, to));
        }
        let from = from.checked_sub(self.from)?;
        let to = to - self.from;
        (to <= self.own.searched).then_some((&self.own, from, to))
    }

    /// Whether a mark stands in these bytes, or reaches into them; `None`: they were not searched.
    ///
    /// A mark within them that the search passed over began within another one, which it overlaps; that one then
    /// reaches into them, so that nothing is missed.
    #[inline]
    pub(super) fn within(&self, from: usize, to: usize) -> Option<bool> {
        let (part, from, to) = self.part(from, to)?;
        if !part.near(from, to) {
            return Some(false);
        }
        let next = part.found.partition_point(|(_, end)| *end <= from);
        Some(part.found.get(next).is_some_and(|(start, _)| *start < to))
    }
}

impl Part {
    /// Forgets everything.
    fn clear(&mut self) {
        self.found.clear();
        self.blocks.clear();
        self.searched = 0;
    }

    /// Goes on with the search up to the end of the texts; no mark begins before that place and ends behind it.
    fn search(&mut self, markers: Option<&Regex>, texts: &[u8]) {
        let before = self.searched;
        self.searched = texts.len();
        self.blocks.resize((texts.len() >> BLOCK) / 64 + 1, 0);
        let found = markers.iter().flat_map(|markers| markers.find_iter(&texts[before..]));
        found.for_each(|found| self.add(before + found.start(), before + found.end()));
    }

    fn add(&mut self, start: usize, end: usize) {
        self.found.push((start, end));
        for block in start >> BLOCK..=end.saturating_sub(1).max(start) >> BLOCK {
            self.blocks[block / 64] |= 1 << (block % 64);
        }
    }

    /// Whether a block of these bytes has a part of a mark: most texts have none, and that is told at once.
    fn near(&self, from: usize, to: usize) -> bool {
        let (first, last) = (from >> BLOCK, to.saturating_sub(1).max(from) >> BLOCK);
        (first..=last).any(|block| {
            self.blocks.get(block / 64).is_some_and(|bits| bits >> (block % 64) & 1 == 1)
        })
    }
}

impl Rules {
    /// No rules yet.
    pub(super) fn new(replacement: Replacement) -> Rules {
        Rules {
            replacement,
            keys: None,
            detectors: Vec::new(),
            patterns: Vec::new(),
            markers: None,
        }
    }

    /// Adds a pattern of the user; of one with a group `secret` only that part counts.
    pub(super) fn add_pattern(&mut self, pattern: Regex) {
        let group = pattern.capture_names().position(|name| name == Some("secret"));
        self.patterns.push((pattern, group));
    }

    /// Adds a known kind of secret.
    pub(super) fn add_detector(&mut self, detector: &'static Detector) {
        if !self.detectors.iter().any(|known| std::ptr::eq(*known, detector)) {
            self.detectors.push(detector);
        }
    }

    /// Adds the keys and prepares the search.
    pub(super) fn finish(&mut self, names: &[&str]) -> Result<(), String> {
        if !names.is_empty() {
            self.keys = Some(Keys::new(names)?);
        }
        let mut markers: Vec<String> =
            self.detectors.iter().filter_map(|d| d.marker.map(str::to_string)).collect();
        markers.extend(self.keys.iter().map(|keys| format!("(?i:{})", keys.alternatives())));
        if !markers.is_empty() {
            let mut builder = RegexBuilder::new(&markers.join("|"));
            let built = builder.unicode(false).size_limit(64 << 20).build();
            self.markers = Some(built.map_err(|error| error.to_string())?);
        }
        Ok(())
    }

    /// Whether there is nothing to look for.
    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_none() && self.detectors.is_empty() && self.patterns.is_empty()
    }

    /// Whether a field of this name is a secret.
    pub(super) fn names(&self, name: &[u8]) -> bool {
        self.keys.as_ref().is_some_and(|keys| keys.name(name))
    }

    /// Whether a number can be a secret: a card's number has at least twelve digits.
    pub(super) fn may_be_in_number(&self, value: Value) -> bool {
        let long_ones = [detect::CREDIT_CARD, detect::HIGH_ENTROPY];
        let card = self.detectors.iter().any(|d| long_ones.contains(&d.name));
        let long = matches!(value, Value::Int(n) if n.unsigned_abs() >= 100_000_000_000);
        !self.patterns.is_empty() || (card && long)
    }

    /// Whether raw JSON without escapes can hold anything that goes. A pattern of the user may ask
    /// where a text begins or ends, so that only each text by itself can tell.
    pub(super) fn may_be_in(&self, text: &[u8], marked: bool) -> bool {
        marked
            || self.detectors.iter().any(|d| d.marker.is_none() && d.may_be_in(text))
            || !self.patterns.is_empty()
    }

    /// Whether a text without marks holds nothing that goes.
    pub(super) fn marks_tell_all(&self) -> bool {
        self.patterns.is_empty() && self.detectors.iter().all(|d| d.marker.is_some())
    }

    /// Whether the beginning of something stands in the text that may be a secret.
    pub(super) fn marked(&self, text: &[u8]) -> bool {
        self.markers.as_ref().is_some_and(|markers| markers.is_match(text))
    }

    /// Searches all texts of a batch at once. Those that outlive it were searched already, but for the newest.
    pub(super) fn mark(&self, batch: &Batch, marks: &mut Marks) {
        let (lasting, own) = batch.text.split_at(batch.input_from());
        let markers = self.markers.as_ref();
        if !lasting.is_empty() {
            if marks.era != batch.lasting_era() {
                marks.lasting.clear();
                marks.era = batch.lasting_era();
            }
            marks.lasting.search(markers, lasting);
        }
        marks.from = lasting.len();
        marks.own.clear();
        marks.own.search(markers, own);
    }

    /// Writes the text without secrets; `false` when it holds none and nothing was written. `marked`: what
    /// [`Rules::marked`] says of it, or `true`.
    pub(super) fn redact(
        &self,
        text: &[u8],
        marked: bool,
        work: &mut Work,
        out: &mut Vec<u8>,
    ) -> bool {
        let Work { secrets, marks, known } = work;
        secrets.clear();
        let marks = std::mem::take(known).then_some(&marks[..]);
        if marked && let Some(keys) = &self.keys {
            keys.find(text, marks, secrets);
        }
        for detector in &self.detectors {
            if if detector.marker.is_some() { marked } else { detector.may_be_in(text) } {
                detector.find(text, secrets);
            }
        }
        for (pattern, group) in &self.patterns {
            find_pattern(pattern, *group, text, secrets);
        }
        if secrets.is_empty() {
            return false;
        }
        replace(text, secrets, &self.replacement, out);
        true
    }
}

fn find_pattern(pattern: &Regex, group: Option<usize>, text: &[u8], secrets: &mut Vec<Secret>) {
    let Some(group) = group else {
        let found = pattern.find_iter(text).filter(|found| !found.is_empty());
        secrets.extend(found.map(|found| Secret::plain(found.range())));
        return;
    };
    if !pattern.is_match(text) {
        return;
    }
    for captures in pattern.captures_iter(text) {
        if let Some(part) = captures.get(group).filter(|part| !part.is_empty()) {
            secrets.push(Secret::plain(part.range()));
        }
    }
}
