//! Texts that differ only in what varies are one kind.
//!
//! Is: the mask that Slack's groups and `logweir report` share. In: a message. Out: the message with everything taken
//! out that tells equal ones apart: runs of letters and digits that hold a digit (numbers, ids, addresses, times).
//! Promises: time is linear, the mask is never longer than the text. On failure: nothing can fail.

/// What stands for a part that varies.
pub const VARIES: char = '#';

/// The mask of a text.
pub fn mask(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    mask_into(text, &mut out);
    out
}

/// As [`mask`], behind what is in `out`.
pub fn mask_into(text: &str, out: &mut String) {
    let mut word = None;
    for (at, c) in text.char_indices() {
        if c.is_alphanumeric() || (matches!(c, '-' | '.' | ':') && word.is_some()) {
            word.get_or_insert(at);
        } else {
            end_word(word.take().map(|from| &text[from..at]), out);
            out.push(c);
        }
    }
    end_word(word.map(|from| &text[from..]), out);
}

fn end_word(word: Option<&str>, out: &mut String) {
    let Some(word) = word else { return };
    if word.bytes().any(|b| b.is_ascii_digit()) {
        out.push(VARIES);
    } else {
        out.push_str(word);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_ids_addresses_and_times_are_taken_out() {
        for (text, kind) in [
            ("order 17 of 10.0.0.1 failed", "order # of # failed"),
            ("id 550e8400-e29b-41d4-a716-446655440000", "id #"),
            ("at 10:00:01.250Z: late", "at # late"),
            ("käse-3 … 7é", "# … #"),
            ("a - b", "a - b"),
            ("", ""),
        ] {
            assert_eq!(mask(text), kind, "{text}");
        }
    }

    #[test]
    fn a_mask_is_never_longer_and_masks_again_to_itself() {
        for text in ["x1", "#", "1", "–1-", "a.b.c 1:2", "\u{1f600}7"] {
            let once = mask(text);
            assert!(once.len() <= text.len(), "{text}");
            assert_eq!(mask(&once), once, "{text}");
        }
    }
}
