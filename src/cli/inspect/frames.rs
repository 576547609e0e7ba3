//! Each frame of a journal, one a line.

use super::super::text;
use super::{Subject, counted, say, unreadable};
use crate::diagnostic::Diagnostic;
use crate::journal::{self, PlacedFrame};

pub(super) fn list(subject: &Subject, json: bool) -> Result<(), Diagnostic> {
    // Once to find the frames that count, once to show them.
    let storage = counted(subject, 2);
    let frames = journal::frames(&storage, &subject.journal)
        .map_err(|why| unreadable(&subject.journal, &why))?;
    if !json {
        say(format!("{}  {}", subject.name, subject.journal.display()));
        say(format!(
            "{:>20}  {:>12}  {:>12}  {:>10}  {:>9}  positions",
            "segment", "offset", "frame", "bytes", "documents"
        ));
    }
    for placed in frames {
        say(if json { object(&subject.name, &placed) } else { line(&placed) });
    }
    Ok(())
}

fn line(placed: &PlacedFrame) -> String {
    let frame = &placed.frame;
    let positions: Vec<String> = frame
        .positions()
        .iter()
        .map(|position| format!("{:016x} at {}", position.key, position.offset))
        .collect();
    format!(
        "{:>20}  {:>12}  {:>12}  {:>10}  {:>9}  {}",
        placed.segment,
        placed.offset,
        frame.sequence(),
        frame.bytes().len(),
        frame.document_count(),
        positions.join(", ")
    )
}

fn object(pipeline: &str, placed: &PlacedFrame) -> String {
    let frame = &placed.frame;
    let id = |number: usize| {
        let mut id = Vec::new();
        if number < frame.document_count() {
            frame.document(number).write_id(&mut id);
        }
        text::plain(&String::from_utf8_lossy(&id))
    };
    let positions: Vec<_> = frame
        .positions()
        .iter()
        .map(|position| {
            let source = format!("{:016x}", position.key);
            serde_json::json!({ "source": source, "offset": position.offset })
        })
        .collect();
    serde_json::json!({
        "pipeline": pipeline,
        "segment": placed.segment,
        "offset": placed.offset,
        "frame": frame.sequence(),
        "bytes": frame.bytes().len(),
        "documents": frame.document_count(),
        "first_id": id(0),
        "last_id": id(frame.document_count().saturating_sub(1)),
        "positions": positions,
    })
    .to_string()
}
