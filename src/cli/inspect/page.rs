//! What was seen, for people and as JSON.

use serde_json::{Value, json};

use super::super::text::{bytes, count, duration, plain, table, time};
use super::Seen;
use crate::filter;
use crate::input;
use crate::journal::{InspectedOutput, Wound};

/// The page for people.
pub(super) fn text(seen: &Seen) -> String {
    let inspection = &seen.inspection;
    let report = &inspection.report;
    let mut out = format!("{}  {}\n", seen.name, seen.directory.display());
    let documents: u64 = inspection.segments.iter().map(|s| s.documents).sum();
    out.push_str(&format!(
        "{}, {}, {} with {}\n",
        count(inspection.segments.len() as u64, "segment"),
        bytes(report.bytes),
        count(report.frames, "frame"),
        count(documents, "document")
    ));
    match &seen.user {
        Some(process) => out.push_str(&format!("in use by process {process}\n")),
        None => out.push_str("not in use\n"),
    }
    for part in [segments(seen), outputs(seen), positions(seen), wounds(seen), letters(seen)] {
        if !part.is_empty() {
            out.push('\n');
            out.push_str(&part);
        }
    }
    out.truncate(out.trim_end().len());
    out
}

fn heading(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

fn segments(seen: &Seen) -> String {
    let mut rows = vec![heading(&["segment", "frames", "documents", "bytes", "made"])];
    for segment in &seen.inspection.segments {
        let made = match segment.created_ns {
            0 => "(its header is broken)".to_string(),
            ns => time(ns),
        };
        let numbers = [segment.first, segment.frames, segment.documents, segment.bytes];
        let mut row: Vec<String> = numbers.iter().map(ToString::to_string).collect();
        row.push(made);
        rows.push(row);
    }
    if rows.len() == 1 { String::new() } else { table(&rows) }
}

fn outputs(seen: &Seen) -> String {
    let mut rows =
        vec![heading(&["output", "done up to frame", "behind: documents", "bytes", "since"])];
    for output in &seen.inspection.outputs {
        let cursor = output.cursor.map_or("(cursor lost)".to_string(), |c| c.to_string());
        rows.push(vec![
            format!("outputs.{}", output.name),
            cursor,
            output.documents.to_string(),
            output.bytes.to_string(),
            age(seen, output)
                .map_or(String::new(), |seconds| format!("at most {}", duration(seconds))),
        ]);
    }
    if rows.len() == 1 { String::new() } else { table(&rows) }
}

/// Seconds that the oldest document of an output has waited at most.
fn age(seen: &Seen, output: &InspectedOutput) -> Option<u64> {
    let ns = output.oldest_ns?;
    Some((seen.now_ns.saturating_sub(ns).max(0) / 1_000_000_000) as u64)
}

fn positions(seen: &Seen) -> String {
    let mut rows = vec![heading(&["input", "source", "read up to", "file"])];
    let mut windows = 0;
    for position in &seen.inspection.positions {
        if filter::is_window(&position.identity) {
            windows += 1;
            continue;
        }
        let file = input::file_of(&position.identity);
        let (input, path) = match file {
            Some((input, path)) => (format!("inputs.{input}"), plain(&path.to_string_lossy())),
            None => ("-".to_string(), String::new()),
        };
        rows.push(vec![input, format!("{:016x}", position.key), position.offset.to_string(), path]);
    }
    if windows > 0 {
        rows.push(vec!["filters".into(), "-".into(), format!("{windows} windows"), String::new()]);
    }
    if rows.len() == 1 { String::new() } else { table(&rows) }
}

/// What is at the end of the newest segment while an agent writes there.
fn being_written(seen: &Seen, wound: &Wound) -> bool {
    let newest = seen.inspection.segments.last();
    let at_end = |s: &crate::journal::InspectedSegment| {
        s.first == wound.segment && wound.offset + wound.bytes >= s.bytes && wound.bytes > 0
    };
    seen.user.is_some() && wound.unfinished && newest.is_some_and(at_end)
}

fn wounds(seen: &Seen) -> String {
    let mut out = String::new();
    for wound in &seen.inspection.report.wounds {
        let what = if being_written(seen, wound) {
            "being written"
        } else if wound.unfinished {
            "unfinished write, nothing is lost"
        } else {
            "damaged"
        };
        out.push_str(&format!(
            "{what}: segment {} at byte {}: {}, about {}: {}\n",
            wound.segment,
            wound.offset,
            count(wound.bytes, "byte"),
            count(wound.frames_lost_estimate, "frame"),
            plain(&wound.reason)
        ));
    }
    for (path, why) in &seen.inspection.report.foreign {
        out.push_str(&format!("not of this journal: `{}`: {}\n", path.display(), plain(why)));
    }
    for (path, size) in &seen.inspection.quarantine {
        out.push_str(&format!("in quarantine: `{}`, {}\n", path.display(), count(*size, "byte")));
    }
    out
}

fn letters(seen: &Seen) -> String {
    let Some(kinds) = &seen.dead_letters else { return String::new() };
    let all: u64 = kinds.values().sum();
    let mut out = count(all, "dead letter");
    if all > 0 {
        out.push_str(&format!(" (`logweir dlq show {}` prints them)", seen.name));
    }
    out.push('\n');
    for ((output, reason), number) in kinds {
        out.push_str(&format!("  {number} of outputs.{output}: {}\n", plain(reason)));
    }
    out
}

/// The same as one JSON object.
pub(super) fn json(seen: &Seen) -> String {
    let inspection = &seen.inspection;
    let segments: Vec<Value> = inspection
        .segments
        .iter()
        .map(|s| {
            json!({
                "path": s.path.to_string_lossy(), "first": s.first, "last": s.last, "bytes": s.bytes,
                "frames": s.frames, "documents": s.documents,
                "created": (s.created_ns > 0).then(|| time(s.created_ns)),
            })
        })
        .collect();
    let outputs: Vec<Value> = inspection
        .outputs
        .iter()
        .map(|o| {
            json!({
                "name": o.name, "bit": o.bit, "cursor": o.cursor, "lag_frames": o.frames,
                "lag_bytes": o.bytes, "lag_documents": o.documents,
                "lag_seconds_at_most": age(seen, o),
            })
        })
        .collect();
    let positions: Vec<Value> = inspection
        .positions
        .iter()
        .map(|p| {
            let file = input::file_of(&p.identity);
            let path = file.as_ref().map(|(_, path)| path.to_string_lossy().into_owned());
            json!({
                "source": format!("{:016x}", p.key), "offset": p.offset,
                "input": file.map(|(input, _)| input), "path": path,
            })
        })
        .collect();
    let wounds: Vec<Value> = inspection
        .report
        .wounds
        .iter()
        .map(|w| {
            json!({
                "segment": w.segment, "offset": w.offset, "bytes": w.bytes,
                "frames_lost_estimate": w.frames_lost_estimate, "reason": w.reason,
                "unfinished": w.unfinished, "being_written": being_written(seen, w),
            })
        })
        .collect();
    let named = |(path, why): &(std::path::PathBuf, String)| json!({ "path": path.to_string_lossy(), "reason": why });
    let foreign: Vec<Value> = inspection.report.foreign.iter().map(named).collect();
    let kept = inspection.quarantine.iter();
    let quarantine: Vec<Value> =
        kept.map(|(path, size)| json!({ "path": path.to_string_lossy(), "bytes": size })).collect();
    let letters = seen.dead_letters.as_ref().map(|kinds| {
        let one = |((output, reason), number): (&(String, String), &u64)| {
            json!({ "output": output, "reason": reason, "letters": number })
        };
        kinds.iter().map(one).collect::<Vec<Value>>()
    });
    json!({
        "pipeline": seen.name,
        "directory": seen.directory.to_string_lossy(),
        "journal": inspection.journal.map(|n| format!("{n:016x}")),
        "in_use_by": seen.user,
        "frames": inspection.report.frames,
        "bytes": inspection.report.bytes,
        "segments": segments,
        "outputs": outputs,
        "positions": positions,
        "wounds": wounds,
        "foreign": foreign,
        "quarantine": quarantine,
        "dead_letters": letters,
    })
    .to_string()
}
