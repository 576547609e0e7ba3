//! Which letters a person means.
//!
//! In: filters. Out: whether a letter is meant, and reasons without what differs from letter to letter.
//! Promises: letters that come after the selection was made are not in it. On failure: nothing can fail.

use serde::{Deserialize, Serialize};

use super::letters::{LetterKey, StoredLetter};

/// Some letters of a store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Selection {
    /// Only of this output.
    pub output: Option<String>,
    /// Only with this text in the reason, as it stands or as [`kind_of`] shows it.
    pub reason: Option<String>,
    /// Only with this document id.
    pub id: Option<String>,
    /// Only up to and with this key.
    pub upto: u64,
}

impl Selection {
    /// Whether a letter is meant.
    pub fn takes(&self, stored: &StoredLetter) -> bool {
        let letter = &stored.letter;
        let is = |wanted: &Option<String>, is: &String| wanted.as_ref().is_none_or(|w| w == is);
        stored.key <= LetterKey(self.upto)
            && is(&self.output, &letter.output)
            && is(&self.id, &letter.id)
            && self.reason.as_ref().is_none_or(|wanted| {
                letter.reason.contains(wanted) || kind_of(&letter.reason).contains(wanted)
            })
    }
}

/// A reason without what differs from document to document: quoted texts become `'…'`, words with digits `#`. So a
/// thousand documents that a mapping refuses are one kind.
pub fn kind_of(reason: &str) -> String {
    let mut out = String::new();
    let mut rest = reason;
    while let Some(first) = rest.chars().next() {
        // Within a word it is an apostrophe.
        let opens = first == '\'' && !out.ends_with(is_word);
        if opens && let Some(end) = rest[1..].find('\'') {
            out.push_str("'…'");
            rest = &rest[end + 2..];
            continue;
        }
        let word = rest.find(|c: char| !is_word(c)).unwrap_or(rest.len());
        if word == 0 {
            out.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        }
        let (text, behind) = rest.split_at(word);
        // Words such as `sha256` keep their meaning; numbers and ids begin with a digit or are mostly digits.
        let digits = text.bytes().filter(u8::is_ascii_digit).count();
        let number = text.starts_with(|c: char| c.is_ascii_digit()) || digits * 2 > text.len();
        out.push_str(if number { "#" } else { text });
        rest = behind;
    }
    out
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_that_differ_only_in_values_are_of_one_kind() {
        let reason = |id: &str, value: &str| {
            format!(
                "document_parsing_exception: [1:{}] failed to parse field [x] of type [long] in document with \
                 id '{id}'. Preview of field's value: '{value}'",
                value.len()
            )
        };
        let kind = kind_of(&reason("00ab-12", "abc"));
        assert_eq!(kind, kind_of(&reason("11cd-0000000001", "defg")));
        assert!(kind.starts_with("document_parsing_exception: [#:#] failed to parse field [x]"));
        assert_eq!(kind_of("limit of 1000 fields, né 'open"), "limit of # fields, né 'open");
        assert_eq!(kind_of(""), "");
    }
}
