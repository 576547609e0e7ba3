//! The parts of a text that must go.
//!
//! In: ranges, in any order, overlapping or not. Out: the text with each of them replaced.
//! Promises: overlapping and touching ranges are replaced as one; nothing of any of them is left.

use std::ops::Range;

use super::replacement::Replacement;

/// A part of a text, and what stands around its replacement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Secret {
    pub(super) span: Range<usize>,
    /// Bytes of the text to put before and behind the replacement: the quotes of a value that was
    /// written without, so that JSON within a text stays JSON. Empty: none.
    pub(super) quote: Range<usize>,
}

impl Secret {
    /// A part of a text.
    pub(super) fn plain(span: Range<usize>) -> Secret {
        Secret { span, quote: 0..0 }
    }
}

/// Writes the text with the secrets replaced.
pub(super) fn replace(
    text: &[u8],
    secrets: &mut [Secret],
    replacement: &Replacement,
    out: &mut Vec<u8>,
) {
    secrets.sort_by_key(|secret| (secret.span.start, usize::MAX - secret.span.end));
    let mut copied = 0;
    let mut at = 0;
    while let Some(first) = secrets.get(at) {
        let mut end = first.span.end;
        at += 1;
        while let Some(next) = secrets.get(at).filter(|next| next.span.start <= end) {
            end = end.max(next.span.end);
            at += 1;
        }
        // Wider than the first one: its quotes no longer belong there.
        let quote = if end == first.span.end { first.quote.clone() } else { 0..0 };
        out.extend_from_slice(&text[copied..first.span.start]);
        out.extend_from_slice(&text[quote.clone()]);
        replacement.write(&text[first.span.start..end], out);
        out.extend_from_slice(&text[quote]);
        copied = end;
    }
    out.extend_from_slice(&text[copied..]);
}

#[cfg(test)]
mod tests {
    use super::super::replacement::Mode;
    use super::*;

    #[test]
    fn overlapping_parts_are_replaced_as_one() {
        let text = b"0123456789";
        let mut secrets = [5..7, 1..3, 2..4, 7..8].map(Secret::plain);
        let mut out = Vec::new();
        let mask = Replacement::new("*".into(), Mode::Mask);
        replace(text, &mut secrets, &mask, &mut out);
        assert_eq!(out, b"0*4*89");
    }
}
