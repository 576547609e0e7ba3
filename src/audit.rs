//! Proves that what the journal calls delivered is there.
//!
//! Is: a comparison of one output's documents in the journal with what its server has. In: a pipeline's folder, an
//! output, a way to ask its server. Out: counts, and the documents that are missing, as ranges. Promises: nothing is
//! changed; only documents count that the output's cursor has passed; dead letters and documents that were put back
//! and are on their way are not missing. On failure: why the journal cannot be read, or the server does not answer.
//!
//! What can be proved, and why not more: `docs/decisions/0008-audit-proves-what-the-journal-holds.md`.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::path::Path;

use crate::frame::{Document, WHOLE_ID};
use crate::journal::{self, PlacedFrame, dead_letter};
use crate::limits::AUDIT_IDS;
use crate::output::Lookup;
use crate::storage::SharedStorage;

/// What was found out about one output.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// Documents that are in the journal and were delivered, as the cursor says.
    pub delivered: u64,
    /// Those that the server has.
    pub found: u64,
    /// Those that are dead letters.
    pub dead: u64,
    /// Those that were dead letters and are on their way again.
    pub replayed: u64,
    /// Documents that are not delivered yet.
    pub waiting: u64,
    /// Those that are nowhere, in the order of the journal.
    pub missing: Vec<Range>,
    /// Sequence of the first and last frame that was looked at; 0: there was none.
    pub frames: (u64, u64),
}

/// Documents of one source, one behind the other, that are missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// Index, alias or data stream.
    pub address: String,
    /// The source's number: of a file's generation, as in positions; `None`: a connection.
    pub source: Option<u64>,
    /// Id of the first one.
    pub first: String,
    /// Id of the last one.
    pub last: String,
    /// How many.
    pub documents: u64,
    /// Sequence of the frames that hold the first and the last one.
    pub frames: (u64, u64),
}

/// Why there is no result.
#[derive(Debug)]
pub enum Failure {
    /// The journal cannot be read.
    Journal(io::Error),
    /// The server does not answer.
    Server(String),
}

/// A document on its way into a question.
struct Asked {
    id: String,
    prefix: Option<Vec<u8>>,
    frame: u64,
    /// Its number among those of the same source and address.
    ordinal: u64,
}

struct Work<'a> {
    lookup: &'a dyn Lookup,
    asked: BTreeMap<Vec<u8>, Vec<Asked>>,
    /// Documents so far of each address and source.
    counts: HashMap<(Vec<u8>, Option<Vec<u8>>), u64>,
    missing: Vec<(String, Asked)>,
    audit: Audit,
}

/// Compares what the journal in `pipeline`/journal holds for an output with what its server has.
pub async fn audit(
    storage: &SharedStorage,
    pipeline: &Path,
    output: &str,
    lookup: &dyn Lookup,
) -> Result<Audit, Failure> {
    let directory = pipeline.join("journal");
    // In this order: a document is a dead letter on disk before the cursor passes it.
    let seen = journal::inspect(storage, &directory).map_err(Failure::Journal)?;
    let cursor = seen.cursors.iter().find(|(name, ..)| name == output).map_or(0, |c| c.2);
    let dead = dead_letters(storage, &pipeline.join("dead-letters"), output);
    let replayed = replayed(storage, &directory, output, cursor).map_err(Failure::Journal)?;
    let mut work = Work {
        lookup,
        asked: BTreeMap::new(),
        counts: HashMap::new(),
        missing: Vec::new(),
        audit: Audit::default(),
    };
    for placed in journal::frames(storage, &directory).map_err(Failure::Journal)? {
        let Some(bit) = bit_of(&placed, output) else { continue };
        let sequence = placed.frame.sequence();
        let documents = placed.frame.documents().filter(|d| d.address(bit).is_some());
        if sequence > cursor {
            work.audit.waiting += documents.count() as u64;
            continue;
        }
        for document in documents {
            let id = id_of(&document);
            work.audit.delivered += 1;
            if dead.contains(&id) {
                work.audit.dead += 1;
            } else if replayed.contains(&id) {
                work.audit.replayed += 1;
            } else if let Some(address) = document.address(bit) {
                work.add(address, id, &document, sequence).await?;
            }
        }
        let (first, _) = work.audit.frames;
        work.audit.frames = (if first == 0 { sequence } else { first }, sequence);
    }
    work.finish().await
}

fn bit_of(placed: &PlacedFrame, output: &str) -> Option<u32> {
    placed.outputs.iter().find(|(_, name)| name == output).map(|(bit, _)| *bit).filter(|b| *b < 32)
}

fn id_of(document: &Document<'_>) -> String {
    let mut id = Vec::new();
    document.write_id(&mut id);
    String::from_utf8_lossy(&id).into_owned()
}

fn dead_letters(storage: &SharedStorage, directory: &Path, output: &str) -> HashSet<String> {
    // Without a store there are no letters.
    let letters = dead_letter::read_all(storage, directory).into_iter().flatten();
    letters.map(|stored| stored.letter).filter(|l| l.output == output).map(|l| l.id).collect()
}

/// Ids of documents that were put back and are not delivered yet: what they were first is not missing.
fn replayed(
    storage: &SharedStorage,
    directory: &Path,
    output: &str,
    cursor: u64,
) -> io::Result<HashSet<String>> {
    let mut ids = HashSet::new();
    for placed in journal::frames(storage, directory)? {
        let Some(bit) = bit_of(&placed, output) else { continue };
        if placed.frame.sequence() > cursor {
            let again = placed.frame.documents().filter(|d| d.suffix() == WHOLE_ID);
            ids.extend(again.filter(|d| d.address(bit).is_some()).map(|d| id_of(&d)));
        }
    }
    Ok(ids)
}

impl Work<'_> {
    async fn add(
        &mut self,
        address: &[u8],
        id: String,
        document: &Document<'_>,
        frame: u64,
    ) -> Result<(), Failure> {
        let whole = document.suffix() == WHOLE_ID;
        let prefix = document.prefix().filter(|_| !whole).map(<[u8]>::to_vec);
        let count = self.counts.entry((address.to_vec(), prefix.clone())).or_default();
        *count += 1;
        let asked = Asked { id, prefix, frame, ordinal: *count };
        let list = self.asked.entry(address.to_vec()).or_default();
        list.push(asked);
        if list.len() >= AUDIT_IDS {
            let list = std::mem::take(list);
            self.ask(address, list).await?;
        }
        Ok(())
    }

    async fn ask(&mut self, address: &[u8], list: Vec<Asked>) -> Result<(), Failure> {
        let address = String::from_utf8_lossy(address).into_owned();
        let ids: Vec<String> = list.iter().map(|asked| asked.id.clone()).collect();
        let there = self.lookup.present(&address, &ids).await.map_err(Failure::Server)?;
        for (asked, there) in list.into_iter().zip(there) {
            if there {
                self.audit.found += 1;
            } else {
                self.missing.push((address.clone(), asked));
            }
        }
        Ok(())
    }

    async fn finish(mut self) -> Result<Audit, Failure> {
        for (address, list) in std::mem::take(&mut self.asked) {
            self.ask(&address, list).await?;
        }
        self.missing.sort_by(|(at, a), (bt, b)| {
            (at, &a.prefix, a.ordinal).cmp(&(bt, &b.prefix, b.ordinal))
        });
        self.audit.missing = ranges(&self.missing);
        self.audit.missing.sort_by_key(|range| range.frames);
        Ok(self.audit)
    }
}

/// Documents of one source that follow one another are one range.
fn ranges(missing: &[(String, Asked)]) -> Vec<Range> {
    let mut ranges: Vec<Range> = Vec::new();
    let mut before: Option<&(String, Asked)> = None;
    for one in missing {
        let (address, asked) = one;
        let follows = before.is_some_and(|(address_before, b)| {
            address_before == address && b.prefix == asked.prefix && b.ordinal + 1 == asked.ordinal
        });
        match ranges.last_mut() {
            Some(range) if follows => {
                range.last.clone_from(&asked.id);
                range.documents += 1;
                range.frames.1 = asked.frame;
            }
            _ => ranges.push(Range {
                address: address.clone(),
                source: source(asked.prefix.as_deref()),
                first: asked.id.clone(),
                last: asked.id.clone(),
                documents: 1,
                frames: (asked.frame, asked.frame),
            }),
        }
        before = Some(one);
    }
    ranges
}

fn source(prefix: Option<&[u8]>) -> Option<u64> {
    u64::from_str_radix(std::str::from_utf8(prefix?).ok()?, 16).ok()
}

#[cfg(test)]
mod tests;
