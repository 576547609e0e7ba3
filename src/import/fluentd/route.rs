//! The way of events through a Fluentd configuration: which filters and matches the events of each source come to.
//!
//! In: the elements in order. Out: a [`Draft`] with filters and outputs under conditions. Promises: the first match
//! wins, labels are followed, `copy` gives to all its stores; what is decided beforehand needs no condition. On
//! failure: nothing here fails; what cannot be converted is an entry of the draft.

use super::super::document::{Notes as Said, Todo};
use super::super::fluent::condition::{Condition, literal};
use super::super::fluent::draft::{Block, Draft, Filter, Value};
use super::super::fluent::tags::{Pattern, TAG_FIELD, Tag};
use super::super::fluent::text::settled;
use super::super::report::{Entry, Verdict};
use super::super::source::{Files, SourceFile};
use super::syntax::{Element, Item};

/// How often an event may be given a new tag before it is left where it is.
const MAX_HOPS: usize = 8;

/// Events of one input that have come the same way.
#[derive(Clone, Debug)]
pub struct Stream {
    /// The input's place in the draft.
    pub input: usize,
    /// Their tag.
    pub tag: Tag,
    /// Which of the input's events they are.
    pub when: Condition,
    /// No other stream has the same events: a filter may change them, and `grep` may drop them.
    pub own: bool,
    /// How often they were given a new tag.
    pub hops: usize,
}

/// What became of a plugin while it is translated.
#[derive(Clone, Debug, Default)]
pub struct Notes {
    /// Differences.
    pub differences: Vec<String>,
    /// Why it cannot be converted.
    pub refusal: Option<String>,
}

impl Notes {
    /// Says a difference, once.
    pub fn difference(&mut self, text: impl Into<String>) {
        let text = text.into();
        if !self.differences.contains(&text) {
            self.differences.push(text);
        }
    }
}

/// The translation of one configuration.
#[derive(Default)]
pub struct Conversion {
    /// What was made so far.
    pub draft: Draft,
    /// Texts of the files.
    pub files: Vec<SourceFile>,
    /// What each source is called in conditions.
    pub identities: Vec<String>,
    /// `<label>`s.
    pub labels: Vec<(String, Element)>,
    /// Elements of the root.
    pub root: Vec<Element>,
    /// Copies that were made so far.
    pub copies: usize,
    /// Filters that belong to the sources themselves, until all inputs are known.
    pub pending: Vec<(Stream, Vec<Block>)>,
}

impl Conversion {
    /// Translates the items of all files, in order.
    pub fn run(items: &[Item], files: &[SourceFile], _around: &dyn Files) -> Draft {
        let mut conversion = Conversion { files: files.to_vec(), ..Conversion::default() };
        let elements: Vec<Element> = flattened(items);
        for element in &elements {
            match element.name.as_str() {
                "label" => conversion.labels.push((element.argument.source(), element.clone())),
                "source" | "match" | "filter" | "system" => conversion.root.push(element.clone()),
                "" => {}
                _ => {}
            }
        }
        conversion.translate();
        conversion.draft
    }

    fn translate(&mut self) {
        let root = self.root.clone();
        let mut streams: Vec<(Option<String>, Stream)> = Vec::new();
        for source in root.iter().filter(|element| element.name == "source") {
            let label = source.parameter("@label").map(|label| label.value.source());
            if let Some(stream) = self.source(source) {
                streams.push((label, stream));
            }
        }
        if streams.is_empty() {
            streams.push((None, self.placeholder()));
        }
        self.pending();
        let unlabelled =
            streams.iter().filter(|(label, _)| label.is_none()).map(|(_, s)| s.clone()).collect();
        let labels: Vec<String> = self.labels.iter().map(|(name, _)| name.clone()).collect();
        let lost = self.route(&root, unlabelled);
        self.adopt(lost);
        for name in labels {
            let here = streams
                .iter()
                .filter(|(label, _)| label.as_deref() == Some(&name))
                .map(|(_, s)| s.clone());
            self.route_label(&name, here.collect());
        }
        self.finish();
    }

    /// A configuration without a source is a part of one.
    pub fn placeholder(&mut self) -> Stream {
        let mut block = Block::of("stdin").with("codec", "json");
        block
            .notes
            .differences
            .push("no source was in what was given: events come from standard input".to_string());
        self.draft.inputs.push(("events".to_string(), block));
        self.identities.push(String::new());
        Stream {
            input: 0,
            tag: Tag::Field(String::new()),
            when: Condition::Always(true),
            own: true,
            hops: 0,
        }
    }

    /// Events of the streams go to the label.
    pub fn route_label(&mut self, name: &str, streams: Vec<Stream>) {
        let Some((_, label)) = self.labels.iter().find(|(label, _)| label == name).cloned() else {
            return;
        };
        let elements: Vec<Element> = label.elements().cloned().collect();
        self.route(&elements, streams);
    }

    /// Gives back what no match took.
    pub fn route(&mut self, elements: &[Element], mut streams: Vec<Stream>) -> Vec<Stream> {
        for (at, element) in elements.iter().enumerate() {
            if !matches!(element.name.as_str(), "filter" | "match") {
                continue;
            }
            let pattern = Pattern::fluentd(&settled(&element.argument, &mut Vec::new()));
            let takes: Vec<(usize, Condition)> = streams
                .iter()
                .enumerate()
                .map(|(place, stream)| (place, pattern.takes(&stream.tag)))
                .filter(|(_, condition)| *condition != Condition::Always(false))
                .collect();
            if takes.is_empty() {
                self.unreached(element);
                continue;
            }
            // A tag that stands in the event stays what it is: the element would take it again.
            let stays =
                |(place, _): &(usize, Condition)| matches!(streams[*place].tag, Tag::Field(_));
            let joins = element.kind() == "detect_exceptions" && takes.iter().all(stays);
            if element.name == "filter" || joins {
                let mut taken: Vec<Stream> = takes
                    .iter()
                    .map(|(place, when)| {
                        let mut stream = streams[*place].clone();
                        stream.when = stream.when.and(when.clone());
                        stream
                    })
                    .collect();
                let narrowed = self.filter(element, &mut taken);
                if let Some(keeps) = narrowed {
                    for (place, when) in &takes {
                        let both = when.clone().negate().or(keeps.clone());
                        streams[*place].when = streams[*place].when.clone().and(both);
                    }
                }
                continue;
            }
            let mut taken = Vec::new();
            for (place, when) in &takes {
                let mut stream = streams[*place].clone();
                stream.when = stream.when.and(when.clone());
                streams[*place].when = streams[*place].when.clone().and(when.clone().negate());
                taken.push(stream);
            }
            streams.retain(|stream| stream.when != Condition::Always(false));
            let rest = &elements[at + 1..];
            self.output(element, taken, rest);
        }
        streams
    }

    /// Filters that belong to the sources themselves.
    pub fn pending(&mut self) {
        for (stream, filters) in std::mem::take(&mut self.pending) {
            let when = self.condition(std::slice::from_ref(&stream));
            if !filters.is_empty() {
                self.add_filters(filters, &when, &Said::default());
            }
        }
    }

    /// Notes an element that nothing leads to.
    pub fn unreached_unless_known(&mut self, element: &Element, kind: &str) {
        if self.draft.entries.iter().all(|(span, _)| *span != element.span) {
            let text = "no input has a tag that it takes: left out".to_string();
            self.entry(element, kind, Notes { differences: vec![text], refusal: None });
        }
    }

    /// Nothing that was given leads to it: it is noted, and nothing is written.
    fn unreached(&mut self, element: &Element) {
        let text = "no source has a tag that it takes: left out".to_string();
        let kind = element.kind();
        let known = self.draft.entries.iter().any(|(span, _)| *span == element.span);
        if !known {
            self.entry(element, &kind, Notes { differences: vec![text], refusal: None });
        }
    }

    /// Sources whose events no match takes at all: they go where the last one goes.
    fn adopt(&mut self, lost: Vec<Stream>) {
        let whole = |stream: &&Stream| stream.when == Condition::Always(true) && stream.hops == 0;
        let lost: Vec<usize> = lost.iter().filter(whole).map(|stream| stream.input).collect();
        let kinds = ["elasticsearch", "file", "stdout"];
        let Some(name) = self
            .draft
            .outputs
            .iter()
            .rev()
            .find(|(_, b)| kinds.contains(&b.kind()))
            .map(|(name, _)| name.clone())
        else {
            return;
        };
        for input in lost {
            let identity = self.identities[input].clone();
            if identity.is_empty() {
                continue;
            }
            let added = format!("{TAG_FIELD} == {}", literal(&identity));
            let said = format!(
                "no <match> takes tag `{identity}`: Fluentd drops its events, here they go to `{name}`"
            );
            if let Some((_, output)) =
                self.draft.outputs.iter_mut().find(|(other, _)| *other == name)
                && let Some(Value::Text(when)) = output.get("when").cloned()
            {
                output.set("when", format!("{when} or {added}"));
            }
            if let Some((_, block)) = self.draft.inputs.get_mut(input) {
                block.notes.comments.push(said.clone());
            }
            if let Some((_, entry)) = self.draft.entries.get_mut(input) {
                match &mut entry.verdict {
                    Verdict::Differs(all) => all.push(said),
                    verdict => *verdict = Verdict::Differs(vec![said]),
                }
            }
        }
    }

    /// The condition that picks these streams' events out of the pipeline's.
    pub fn condition(&self, streams: &[Stream]) -> Condition {
        let mut groups: Vec<(Condition, Vec<usize>)> = Vec::new();
        for stream in streams {
            match groups.iter_mut().find(|(when, _)| *when == stream.when) {
                Some((_, inputs)) => inputs.push(stream.input),
                None => groups.push((stream.when.clone(), vec![stream.input])),
            }
        }
        groups
            .into_iter()
            .map(|(when, inputs)| self.picks(&inputs).and(when))
            .fold(Condition::Always(false), Condition::or)
    }

    fn picks(&self, inputs: &[usize]) -> Condition {
        if (0..self.draft.inputs.len()).all(|input| inputs.contains(&input)) {
            return Condition::Always(true);
        }
        let mut names: Vec<&str> =
            inputs.iter().map(|&input| self.identities[input].as_str()).collect();
        names.retain(|name| !name.is_empty());
        names.sort_unstable();
        names.dedup();
        match names.as_slice() {
            [] => Condition::Always(true),
            [name] => Condition::atom(format!("{TAG_FIELD} == {}", literal(name))),
            names => {
                let names: Vec<String> = names.iter().map(|name| literal(name)).collect();
                Condition::atom(format!("{TAG_FIELD} in [{}]", names.join(", ")))
            }
        }
    }

    /// Adds filters for the events of these streams, under one condition.
    pub fn add_filters(&mut self, blocks: Vec<Block>, when: &Condition, comments: &Said) {
        let Some(text) = when.text() else {
            for (at, mut block) in blocks.into_iter().enumerate() {
                if at == 0 {
                    block.notes.append(comments.clone());
                }
                self.draft.filters.push(block.into());
            }
            return;
        };
        let is_plain = blocks.len() == 1 && blocks[0].get("when").is_none();
        let mut filter = if is_plain {
            let mut block = blocks.into_iter().next().unwrap_or_default();
            if block.entries.is_empty() {
                block.notes.append(comments.clone());
                self.draft.filters.push(block.into());
                return;
            }
            block.entries.insert(1, ("when".to_string(), text.into()));
            Filter::from(block)
        } else {
            let block = Block::of("if").with("when", text);
            Filter { block, then: blocks.into_iter().map(Filter::from).collect() }
        };
        filter.block.notes.append(comments.clone());
        self.draft.filters.push(filter);
    }

    /// Notes what became of a plugin, and gives what is to be said above its part.
    pub fn entry(&mut self, element: &Element, kind: &str, mut notes: Notes) -> Said {
        if notes.refusal.is_none()
            && !notes
                .differences
                .iter()
                .any(|text| text.ends_with("left out") || text.ends_with("always"))
        {
            for name in element.left_out() {
                notes.difference(format!("`{name}` has no counterpart and is left out"));
            }
        }
        let mut said = Said { comments: element.comments.clone(), ..Said::default() };
        said.comments.truncate(20);
        said.differences.clone_from(&notes.differences);
        let kind = if kind.is_empty() { "(no type)" } else { kind };
        let room = element.name.as_str();
        let (origin, excerpt) =
            self.files.get(element.span.file).map_or_else(Default::default, |file| {
                (file.origin(element.span.bytes.start), file.excerpt(element.span.bytes.clone()))
            });
        let verdict = match notes.refusal {
            Some(reason) => {
                let (reason, instead) = reason.split_once("; ").unwrap_or((&reason, ""));
                said.todos.push(Todo {
                    what: format!("{room} {kind} ({origin}): {reason}"),
                    instead: instead.to_string(),
                    source: excerpt.lines().take(60).map(str::to_string).collect(),
                });
                Verdict::NotConvertible { reason: reason.to_string(), instead: instead.to_string() }
            }
            None if notes.differences.is_empty() => Verdict::Converted,
            None => Verdict::Differs(notes.differences),
        };
        let known = self.draft.entries.iter().position(|(span, _)| *span == element.span);
        said.entry = known.or(Some(self.draft.entries.len()));
        match self.draft.entries.iter_mut().find(|(span, _)| *span == element.span) {
            // A plugin that several ways lead to is one plugin: the worst counts, and it is said once.
            Some((_, entry)) => {
                said.comments.clear();
                let rank = |verdict: &Verdict| match verdict {
                    Verdict::Converted => 0,
                    Verdict::Differs(_) => 1,
                    Verdict::NotConvertible { .. } => 2,
                };
                if rank(&verdict) > rank(&entry.verdict) {
                    entry.verdict = verdict;
                }
            }
            None => {
                let entry =
                    Entry { origin, room: room.to_string(), plugin: kind.to_string(), verdict };
                self.draft.entries.push((element.span.clone(), entry));
            }
        }
        said
    }

    /// Gives inputs their tags where a condition needs them, and makes the pipeline one that can be run.
    pub fn finish(&mut self) {
        if !self.draft.mentions(TAG_FIELD) {
            return;
        }
        for (at, (_, block)) in self.draft.inputs.iter_mut().enumerate() {
            let identity = self.identities.get(at).cloned().unwrap_or_default();
            if identity.is_empty() {
                continue;
            }
            let mut fields = match block.get("fields") {
                Some(Value::Table(fields)) => fields.clone(),
                _ => Vec::new(),
            };
            let tag = vec![("tag".to_string(), identity.into())];
            fields.push(("@metadata".to_string(), Value::Table(tag)));
            block.set("fields", fields);
        }
    }

    /// The streams with a new tag.
    pub fn retagged(streams: &[Stream], tag: &Tag) -> Vec<Stream> {
        streams
            .iter()
            .filter(|stream| stream.hops < MAX_HOPS)
            .map(|stream| Stream { tag: tag.clone(), hops: stream.hops + 1, ..stream.clone() })
            .collect()
    }
}

/// `<worker>` elements hold what else stands in the root.
fn flattened(items: &[Item]) -> Vec<Element> {
    let mut all = Vec::new();
    for item in items {
        if let Item::Element(element) = item {
            if element.name == "worker" {
                all.extend(flattened(&element.body));
            } else {
                all.push(element.clone());
            }
        }
    }
    all
}
