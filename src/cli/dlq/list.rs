//! What is there: `ls` and `show`.

use std::collections::BTreeMap;

use serde_json::json;

use super::super::text::{count, embedded, plain, shortened, time};
use super::super::{say, say_or_stop};
use super::{FilterArguments, Mailbox, Refusal};
use crate::delivery::DeadLetter;
use crate::journal::dead_letter::kind_of;

/// Characters of an example that `ls` shows.
const EXAMPLE_CHARACTERS: usize = 160;

/// Letters with the same output and kind of reason.
struct Group {
    letters: u64,
    first_ns: i64,
    last_ns: i64,
    example: DeadLetter,
}

/// Counts by output and reason.
pub(super) fn ls(boxes: &[Mailbox], json: bool) -> Result<bool, Refusal> {
    let mut any = false;
    for one in boxes {
        let mut groups: BTreeMap<(String, String), Group> = BTreeMap::new();
        for stored in one.read()? {
            let letter = stored.letter;
            let key = (letter.output.clone(), kind_of(&letter.reason));
            let ns = letter.refused_ns;
            let group = groups.entry(key).or_insert_with(|| Group {
                letters: 0,
                first_ns: ns,
                last_ns: ns,
                example: letter,
            });
            group.letters += 1;
            group.first_ns = group.first_ns.min(ns);
            group.last_ns = group.last_ns.max(ns);
        }
        for ((output, reason), group) in &groups {
            if any && !json {
                say("");
            }
            any = true;
            let pipeline = &one.pipeline.name;
            let shown = if json {
                object(pipeline, output, reason, group)
            } else {
                text(pipeline, output, reason, group)
            };
            say(shown);
        }
        let waiting = one.requests.names().len() as u64;
        if waiting > 0 && !json {
            say(format!("{}: {} for the agent", one.pipeline.name, count(waiting, "request")));
        }
    }
    if !any && !json {
        say("no dead letters");
    }
    Ok(true)
}

fn text(pipeline: &str, output: &str, reason: &str, group: &Group) -> String {
    let (first, last) = (time(group.first_ns), time(group.last_ns));
    let example = String::from_utf8_lossy(&group.example.document);
    format!(
        "{pipeline} outputs.{output}: {}, {first} to {last}\n  {}\n  for example {}{}: {}",
        count(group.letters, "letter"),
        plain(reason),
        identity(&group.example),
        meant_for(&group.example),
        shortened(&example, EXAMPLE_CHARACTERS)
    )
}

fn identity(letter: &DeadLetter) -> String {
    if letter.id.is_empty() { "(no id)".to_string() } else { plain(&letter.id) }
}

/// Where it was to go; nothing where the output has but one place.
fn meant_for(letter: &DeadLetter) -> String {
    let place = letter.place();
    if place.is_empty() { place } else { format!(" for `{place}`") }
}

fn object(pipeline: &str, output: &str, reason: &str, group: &Group) -> String {
    json!({
        "pipeline": pipeline,
        "output": output,
        "reason": reason,
        "letters": group.letters,
        "first": time(group.first_ns),
        "last": time(group.last_ns),
        "example": {
            "id": group.example.id,
            "address": group.example.place(),
            "reason": group.example.reason,
            "document": String::from_utf8_lossy(&group.example.document),
        },
    })
    .to_string()
}

/// Each letter.
pub(super) fn show(
    boxes: &[Mailbox],
    filter: &FilterArguments,
    json: bool,
) -> Result<bool, Refusal> {
    let mut any = false;
    for one in boxes {
        for stored in one.find(filter)? {
            let (pipeline, letter) = (&one.pipeline.name, &stored.letter);
            let shown = if json { whole(pipeline, letter) } else { page(pipeline, letter) };
            if any && !json {
                say("");
            }
            any = true;
            if !say_or_stop(shown) {
                return Ok(true);
            }
        }
    }
    if !any && !json {
        say("no dead letters");
    }
    Ok(true)
}

fn page(pipeline: &str, letter: &DeadLetter) -> String {
    format!(
        "{pipeline} outputs.{}  {}  {}{}\n  {}\n  {}",
        letter.output,
        time(letter.refused_ns),
        identity(letter),
        meant_for(letter),
        plain(&letter.reason),
        plain(&String::from_utf8_lossy(&letter.document))
    )
}

/// The document stands as it is, so that `jq .document` gives what the output was sent.
fn whole(pipeline: &str, letter: &DeadLetter) -> String {
    let DeadLetter { output, id, reason, .. } = letter;
    let head = json!({
        "pipeline": pipeline, "output": output, "address": letter.place(), "id": id, "reason": reason,
        "refused": time(letter.refused_ns),
    });
    let head = head.to_string();
    let open = head.strip_suffix('}').unwrap_or(&head);
    format!("{open},\"document\":{}}}", embedded(&letter.document))
}
