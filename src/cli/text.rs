//! Numbers, times and foreign texts as a terminal shows them.

use crate::event::write_string;
use crate::timestamp::write_iso8601_ms;

/// `2026-11-22T10:00:00.000Z`.
pub(super) fn time(ns: i64) -> String {
    let mut out = Vec::new();
    write_iso8601_ms(ns, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

/// `1.5 MiB`.
pub(super) fn bytes(count: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let (mut value, mut unit) = (count as f64, None);
    for next in UNITS {
        if value < 1024.0 {
            break;
        }
        (value, unit) = (value / 1024.0, Some(next));
    }
    match unit {
        None => format!("{count} B"),
        Some(unit) => format!("{value:.1} {unit}"),
    }
}

/// `3 documents`, `1 document`.
pub(super) fn count(number: u64, word: &str) -> String {
    format!("{number} {word}{}", if number == 1 { "" } else { "s" })
}

/// `2 h 3 min`, `5 s`.
pub(super) fn duration(seconds: u64) -> String {
    match (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0, s) => format!("{s} s"),
        (0, 0, m, s) => format!("{m} min {s} s"),
        (0, h, m, _) => format!("{h} h {m} min"),
        (d, h, _, _) => format!("{d} d {h} h"),
    }
}

/// A text of others without what could steer a terminal.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// The first characters of a text, with `…` where more follows.
pub(super) fn shortened(text: &str, most: usize) -> String {
    let mut short: String = text.chars().take(most).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    plain(&short)
}

/// A document as a part of a JSON line: itself where it is JSON, else a string.
pub(super) fn embedded(document: &[u8]) -> String {
    let json = std::str::from_utf8(document).ok();
    let json = json.filter(|text| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok());
    match json {
        // JSON has line feeds only between tokens.
        Some(text) => text.replace(['\n', '\r'], " "),
        None => {
            let mut out = Vec::new();
            write_string(String::from_utf8_lossy(document).as_bytes(), &mut out);
            String::from_utf8_lossy(&out).into_owned()
        }
    }
}

/// Rows with columns of equal width; the last column is as long as it is.
pub(super) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |n: usize| {
        let cells = rows.iter().filter_map(|row| row.get(n));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut out = String::new();
    for row in rows {
        let mut line = String::new();
        for (n, cell) in row.iter().enumerate() {
            let padding = if n + 1 == row.len() { 0 } else { widths[n] + 2 };
            line.push_str(&format!("{cell:padding$}"));
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_people_write_them() {
        assert_eq!([bytes(1023), bytes(1536), bytes(3 << 30)], ["1023 B", "1.5 KiB", "3.0 GiB"]);
        assert_eq!([duration(5), duration(65), duration(7384)], ["5 s", "1 min 5 s", "2 h 3 min"]);
        assert_eq!(duration(90_000), "1 d 1 h");
        assert_eq!([count(1, "frame"), count(0, "frame")], ["1 frame", "0 frames"]);
        assert_eq!(embedded(b"{\"a\":\n1}"), "{\"a\": 1}");
        assert_eq!(embedded(b"\x1b[31m"), "\"\\u001b[31m\"");
        assert_eq!(shortened("a\x1bbc", 3), "a\u{fffd}b…");
        assert_eq!(
            table(&[vec!["a".into(), "b".into()], vec!["cc".into(), String::new()]]),
            "a   b\ncc\n"
        );
    }
}
