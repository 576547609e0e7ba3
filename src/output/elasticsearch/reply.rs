//! The reply to a bulk request.
//!
//! In: its bytes and the documents that were sent. Out: how many were stored, and each one that was not, by its
//! position. Promises: a reply is believed only when it is whole, has one item for each document and, where it tells
//! ids, tells ours; nothing is decided by searching for words in text that a document could have written.
//! On failure: [`Garbled`]: the documents' fate is unknown and they are sent again.

use std::borrow::Cow;
use std::fmt;

use memchr::memmem;
use serde::Deserialize;
use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::bulk::hash;
use super::contents::Entry;

/// An error as Elasticsearch describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Cause {
    /// Such as `document_parsing_exception`; may be empty.
    pub(super) kind: String,
    /// One or two sentences.
    pub(super) reason: String,
}

/// A document that was not stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// Its number in the bulk.
    pub(super) position: usize,
    /// The item's status.
    pub(super) status: u16,
    /// Why.
    pub(super) cause: Cause,
}

/// What became of the documents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Reply {
    /// Documents with a 2xx status.
    pub(super) stored: usize,
    /// Those of them that went to the failure store of their data stream.
    pub(super) failure_store: usize,
    /// All others, ascending by position.
    pub(super) refused: Vec<Refusal>,
}

/// Why a reply is not believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Garbled(pub(super) String);

/// Longest reason that is kept.
const REASON_BYTES_MAX: usize = 600;

/// What stands before the items of a reply without blanks.
const ITEMS: &[u8] = b"\"items\":[";
/// What stands before an item's status.
const STATUS: &[u8] = b"\"status\":";

/// Reads the reply to a bulk of these documents.
pub(super) fn read(body: &[u8], entries: &[Entry]) -> Result<Reply, Garbled> {
    if all_alike(body, entries.len()) || all_stored(body, entries.len()) {
        return Ok(Reply { stored: entries.len(), ..Reply::default() });
    }
    read_whole(body, entries)
}

/// As [`read`], the long way, which understands everything.
pub(super) fn read_whole(body: &[u8], entries: &[Entry]) -> Result<Reply, Garbled> {
    let mut reply = Reply::default();
    let mut reader = serde_json::Deserializer::from_slice(body);
    let seed = Top { entries, reply: &mut reply };
    seed.deserialize(&mut reader).map_err(|why| Garbled(why.to_string()))?;
    reader.end().map_err(|why| Garbled(why.to_string()))?;
    Ok(reply)
}

/// The error of a request that was refused as a whole, and whether it is written as Elasticsearch writes errors.
pub(super) fn read_error(body: &[u8]) -> (Cause, bool) {
    #[derive(Deserialize)]
    struct Whole {
        error: Cause,
    }
    if let Ok(Whole { error }) = serde_json::from_slice(body) {
        let shaped = !error.kind.is_empty();
        return (error, shaped);
    }
    let start = &body[..body.len().min(200)];
    let reason = one_line(String::from_utf8_lossy(start).trim());
    (Cause { kind: String::new(), reason }, false)
}

/// The short way for the usual reply, which costs more to read than all else about a request.
///
/// Why it may look for bytes: within JSON without escapes, a quote begins or ends a string, and no string holds one; so
/// `"status":` is always a key. Without a list among the items, `},{` stands only between two items (or in a string,
/// which makes the counts differ). So with as many items as documents, each of which is one operation, holds no object
/// but `_shards`, and ends with its only status, 200 or 201, all are stored. Anything unusual (spaces, another order, a
/// cut end) goes the long way.
fn all_stored(body: &[u8], count: usize) -> bool {
    // An escaped quote may make a part of a name or a text look like a status.
    if memchr::memchr(b'\\', body).is_some() {
        return false;
    }
    let body = body.trim_ascii_end();
    let Some(at) = memmem::find(&body[..body.len().min(256)], ITEMS) else { return false };
    let (head, items) = (&body[..at], &body[at + ITEMS.len()..]);
    let head_is_good = head.starts_with(b"{\"")
        && memmem::find(head, b"\"errors\":false,").is_some()
        && memchr::memchr2(b'[', b'{', &head[1..]).is_none();
    let Some(items) = items.strip_suffix(b"]}").filter(|_| head_is_good) else { return false };
    let has = |what: &[u8]| memmem::find(items, what).is_some();
    if memchr::memchr2(b'[', b']', items).is_some()
        || has(b"\"error\":")
        || has(b"\"failure_store\":")
    {
        return false;
    }
    let many = |what: &[u8]| memmem::find_iter(items, what).count();
    let operations: [&[u8]; 2] = [b"}},{\"create\":{", b"}},{\"index\":{"];
    let Some(next) = operations.into_iter().find(|next| items.starts_with(&next[3..])) else {
        return false;
    };
    let alike = many(b"},{") + 1 == count && many(next) + 1 == count;
    let objects = memchr::memchr_iter(b'{', items).count();
    let flat = objects == 2 * count + many(b"\"_shards\":{") && !has(b"},\"_shards\":{");
    let ends = |at: usize| {
        let value = &items[at + STATUS.len()..];
        let end = value.strip_prefix(b"201").or_else(|| value.strip_prefix(b"200"));
        end.is_some_and(|end| end == b"}}" || end.starts_with(b"}},{"))
    };
    let mut statuses = 0;
    let all_end = memmem::find_iter(items, STATUS).inspect(|_| statuses += 1).all(ends);
    alike && flat && all_end && statuses == count
}

/// The shortest way, for a reply that says the same of each document, as one does whose ids are filtered out: an item
/// that is success by itself ([`all_stored`]), and as many copies of it as there are documents, which one comparison
/// of the items with themselves shows.
fn all_alike(body: &[u8], count: usize) -> bool {
    let body = body.trim_ascii_end();
    let Some(items) = memmem::find(&body[..body.len().min(256)], ITEMS) else { return false };
    let from = items + ITEMS.len();
    let Some(end) = memmem::find(&body[from..body.len().min(from + 256)], b"}}") else {
        return false;
    };
    let length = end + 2;
    let Some(items) = body[from..].strip_suffix(b"]}") else { return false };
    // Each item but the last one has a comma behind it.
    if items.len() + 1 != count * (length + 1) {
        return false;
    }
    let copies = count == 1
        || (items[length] == b',' && items[length + 1..] == items[..items.len() - length - 1]);
    copies && all_stored(&[&body[..from + length], b"]}"].concat(), 1)
}

struct Top<'a> {
    entries: &'a [Entry],
    reply: &'a mut Reply,
}

struct Items<'a> {
    entries: &'a [Entry],
    reply: &'a mut Reply,
}

/// `{"create": {…}}`: the operation's name is of no interest.
struct Item<'a>(Details<'a>);

#[derive(Deserialize)]
struct Details<'a> {
    #[serde(borrow, default, rename = "_id")]
    id: Option<Cow<'a, str>>,
    status: u16,
    #[serde(default)]
    error: Option<Cause>,
    #[serde(borrow, default)]
    failure_store: Option<Cow<'a, str>>,
}

impl<'de> DeserializeSeed<'de> for Top<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Top<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the reply to a bulk request")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = false;
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            if key == "items" && !seen {
                seen = true;
                map.next_value_seed(Items { entries: self.entries, reply: &mut *self.reply })?;
            } else {
                // `errors` too: the items tell more, and cannot disagree with themselves.
                map.next_value::<IgnoredAny>()?;
            }
        }
        if seen { Ok(()) } else { Err(de::Error::custom("there is no list `items`")) }
    }
}

impl<'de> DeserializeSeed<'de> for Items<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Items<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of items")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        for (position, entry) in self.entries.iter().enumerate() {
            let Some(Item(item)) = list.next_element()? else {
                let wanted = self.entries.len();
                return Err(de::Error::custom(format!("{position} items for {wanted} documents")));
            };
            if item.id.is_some_and(|id| entry.id != 0 && hash(id.as_bytes()) != entry.id) {
                return Err(de::Error::custom(format!("item {position} has another id")));
            }
            if (200..300).contains(&item.status) {
                self.reply.stored += 1;
                let failed_over = item.failure_store.as_deref() == Some("used");
                self.reply.failure_store += usize::from(failed_over);
            } else {
                let cause = item.error.unwrap_or_default();
                self.reply.refused.push(Refusal { position, status: item.status, cause });
            }
        }
        match list.next_element::<IgnoredAny>()? {
            None => Ok(()),
            Some(_) => Err(de::Error::custom("more items than documents")),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Item<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct One<'a>(std::marker::PhantomData<&'a ()>);
        impl<'de: 'a, 'a> Visitor<'de> for One<'a> {
            type Value = Item<'a>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an item with one operation")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Item<'a>, A::Error> {
                let Some((_, details)) = map.next_entry::<IgnoredAny, Details<'a>>()? else {
                    return Err(de::Error::custom("an item is empty"));
                };
                match map.next_entry::<IgnoredAny, IgnoredAny>()? {
                    None => Ok(Item(details)),
                    Some(_) => Err(de::Error::custom("an item has two operations")),
                }
            }
        }
        deserializer.deserialize_map(One(std::marker::PhantomData))
    }
}

impl<'de> Deserialize<'de> for Cause {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form;
        impl<'de> Visitor<'de> for Form {
            type Value = Cause;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an error")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Cause, E> {
                Ok(Cause { kind: String::new(), reason: one_line(text) })
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Cause, A::Error> {
                let mut cause = Cause::default();
                let mut deeper = None;
                while let Some(key) = map.next_key::<Cow<'de, str>>()? {
                    match &*key {
                        "type" => cause.kind = text_of(map.next_value()?),
                        "reason" => cause.reason = text_of(map.next_value()?),
                        "caused_by" => deeper = map.next_value::<Option<Cause>>()?,
                        _ => drop(map.next_value::<IgnoredAny>()?),
                    }
                }
                cause.add(deeper);
                Ok(cause)
            }
        }
        deserializer.deserialize_any(Form)
    }
}

fn text_of(value: serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => one_line(&text),
        serde_json::Value::Null => String::new(),
        other => one_line(&other.to_string()),
    }
}

impl Cause {
    fn add(&mut self, deeper: Option<Cause>) {
        let Some(deeper) = deeper.filter(|d| !d.reason.is_empty()) else { return };
        if !self.reason.contains(&deeper.reason) && self.reason.len() < REASON_BYTES_MAX {
            self.reason = one_line(&format!("{}; {}", self.reason, deeper.reason));
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.kind.as_str(), self.reason.as_str()) {
            ("", "") => f.write_str("no reason given"),
            (one, "") | ("", one) => f.write_str(one),
            (kind, reason) => write!(f, "{kind}: {reason}"),
        }
    }
}

/// Control characters become spaces, and what is too long is cut.
pub(super) fn one_line(text: &str) -> String {
    let mut end = text.len().min(REASON_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let mut line: String =
        text[..end].chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if end < text.len() {
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests;
