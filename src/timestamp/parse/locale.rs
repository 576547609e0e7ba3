//! Finding a month, a weekday or a day half by name at the start of a text.
//!
//! In: a locale name at compile time; later the bytes of a text. Out: the value named and how
//! many bytes it took.
//! Promises: the longest name wins; case does not matter (in any script); short and full names
//! are taken alike, with and without the abbreviation's point; names of the locale come before
//! English ones, which every locale takes too; no allocation on look-up.
//! On failure: `None` where no name fits. An unknown language is English.

use super::locale_data::{ENGLISH, Names, OTHERS};

/// Matchers of one locale.
#[derive(Clone, Debug)]
pub struct Locale {
    /// Values 1 to 12.
    pub months: NameTable,
    /// Values 1 (Monday) to 7 (Sunday).
    pub days: NameTable,
    /// Values 0 (before noon) and 1 (after noon).
    pub halves: NameTable,
    /// Is it English, and nothing else?
    pub english: bool,
}

/// Names and what each stands for.
#[derive(Clone, Debug)]
pub struct NameTable {
    /// By first byte, then longest first.
    names: Box<[Name]>,
    /// For each first byte the range in `names`.
    ranges: Box<[(u16, u16); 256]>,
}

#[derive(Clone, Debug)]
struct Name {
    /// Lower case.
    text: Box<str>,
    value: u8,
}

impl Locale {
    /// The matchers of `en-US`, `de_DE`, `de`, `de_DE.UTF-8`; `None` and unknown ones: English.
    pub fn of(locale: Option<&str>) -> Self {
        let names = locale.map_or(&ENGLISH, find);
        Self {
            months: NameTable::new(&names.months, &ENGLISH.months, 1),
            days: NameTable::new(&names.days, &ENGLISH.days, 1),
            halves: NameTable::new(&names.halves, &ENGLISH.halves, 0),
            english: names.code == ENGLISH.code,
        }
    }
}

/// Whether the names of a locale's months and days are known.
pub fn is_known(locale: &str) -> bool {
    known(locale).is_some()
}

/// The languages whose names are known.
pub fn languages() -> Vec<&'static str> {
    let mut codes: Vec<&str> = OTHERS.iter().chain([&ENGLISH]).map(|names| names.code).collect();
    codes.sort_unstable();
    codes
}

impl NameTable {
    fn new(names: &[&str], english: &[&str], first: u8) -> Self {
        let mut all: Vec<Name> = Vec::new();
        for source in [names, english] {
            for (value, alternatives) in (first..).zip(source) {
                for text in alternatives.split('|') {
                    // The locale's own names came first and stay what they are.
                    if all.iter().all(|name| *name.text != *text) {
                        all.push(Name { text: text.into(), value });
                    }
                }
            }
        }
        all.sort_by_key(|name| {
            (name.text.as_bytes().first().copied(), std::cmp::Reverse(name.text.len()))
        });
        let mut ranges = Box::new([(0, 0); 256]);
        for (index, name) in all.iter().enumerate() {
            let range = &mut ranges[usize::from(name.text.as_bytes()[0])];
            if range.1 == 0 {
                range.0 = index as u16;
            }
            range.1 = index as u16 + 1;
        }
        Self { names: all.into(), ranges }
    }

    /// The value of the longest name that `text` begins with, and its length in `text`.
    pub fn find(&self, text: &[u8]) -> Option<(u8, usize)> {
        let first = text.first()?;
        let key = if first.is_ascii() {
            first.to_ascii_lowercase()
        } else {
            first_byte_in_lower_case(text)?
        };
        let (start, end) = self.ranges[usize::from(key)];
        let names = &self.names[usize::from(start)..usize::from(end)];
        names.iter().find_map(|name| Some((name.value, prefix_length(text, &name.text)?)))
    }
}

/// How many bytes of `text` a name (in lower case) covers, case aside.
fn prefix_length(text: &[u8], name: &str) -> Option<usize> {
    if let Some(prefix) = text.get(..name.len())
        && prefix.eq_ignore_ascii_case(name.as_bytes())
    {
        return Some(name.len());
    }
    if name.is_ascii() {
        return None;
    }
    // Upper and lower case may differ in length, so count along the text.
    let mut wanted = name.chars();
    let mut length = 0;
    for c in valid_start(text).chars() {
        if wanted.as_str().is_empty() {
            break;
        }
        for lower in c.to_lowercase() {
            if wanted.next() != Some(lower) {
                return None;
            }
        }
        length += c.len_utf8();
    }
    wanted.as_str().is_empty().then_some(length)
}

fn first_byte_in_lower_case(text: &[u8]) -> Option<u8> {
    let first = valid_start(text).chars().next()?;
    let mut buffer = [0; 4];
    let lower = first.to_lowercase().next()?.encode_utf8(&mut buffer);
    lower.as_bytes().first().copied()
}

/// The text up to the first byte that is not UTF-8, and no longer than names are.
fn valid_start(text: &[u8]) -> &str {
    let text = &text[..text.len().min(MAX_NAME_BYTES)];
    match std::str::from_utf8(text) {
        Ok(valid) => valid,
        Err(error) => std::str::from_utf8(&text[..error.valid_up_to()]).unwrap_or(""),
    }
}

/// More than any name in `locale_data.rs` takes in either case.
const MAX_NAME_BYTES: usize = 64;

fn find(locale: &str) -> &'static Names {
    known(locale).unwrap_or(&ENGLISH)
}

fn known(locale: &str) -> Option<&'static Names> {
    let language = locale.split(['-', '_', '.', '@']).next().unwrap_or("");
    let language = match language.to_ascii_lowercase().as_str() {
        "no" => "nb".to_owned(),
        other => other.to_owned(),
    };
    OTHERS.iter().chain([&ENGLISH]).find(|names| names.code == language)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn month(locale: &str, text: &str) -> Option<(u8, usize)> {
        Locale::of(Some(locale)).months.find(text.as_bytes())
    }

    #[test]
    fn longest_name_in_any_case() {
        assert_eq!(month("en", "Jan 1"), Some((1, 3)));
        assert_eq!(month("en", "JANUARY"), Some((1, 7)));
        assert_eq!(month("en-US", "Sept."), Some((9, 4)));
        assert_eq!(month("fr", "juillet 1789"), Some((7, 7)));
        assert_eq!(month("fr_FR.UTF-8", "FÉVRIER"), Some((2, 8)));
        assert_eq!(month("de_AT", "Jänner"), Some((1, 7)));
        assert_eq!(month("ru", "ЯНВАРЯ"), Some((1, 12)));
        assert_eq!(month("ru", "Апр 5"), Some((4, 6)));
        assert_eq!(month("zh", "十一月"), Some((11, 9)));
        assert_eq!(month("tr", "ŞUBAT"), Some((2, 6)));
        assert_eq!(month("tr", "NİSAN"), Some((4, 6)));
        assert_eq!(month("no", "desember"), Some((12, 8)));
    }

    #[test]
    fn english_is_understood_everywhere() {
        for names in OTHERS.iter().chain([&ENGLISH]) {
            for (index, full) in ENGLISH.months.iter().enumerate() {
                let full = full.split('|').next().expect("one name at least");
                let found = month(names.code, full).expect("English month");
                assert_eq!(usize::from(found.0), index + 1, "{}: {full}", names.code);
            }
        }
        assert_eq!(month("xx-YY", "september"), Some((9, 9)));
        assert_eq!(month("", "may"), Some((5, 3)));
    }

    #[test]
    fn own_names_in_upper_case() {
        for names in &OTHERS {
            let locale = Locale::of(Some(names.code));
            for (index, alternatives) in names.days.iter().enumerate() {
                for name in alternatives.split('|') {
                    let upper = name.to_uppercase();
                    let found = locale.days.find(upper.as_bytes());
                    let wanted = Some((index as u8 + 1, upper.len()));
                    // Dotless i and combining dots do not survive a round trip.
                    if names.code != "tr" {
                        assert_eq!(found, wanted, "{}: {upper}", names.code);
                    }
                }
            }
        }
    }

    #[test]
    fn not_names() {
        for text in ["", "xyz", "ja", "\u{fffd}"] {
            assert_eq!(month("en", text), None, "{text}");
        }
        assert_eq!(Locale::of(Some("de")).months.find(b"m\xc3"), None);
        assert_eq!(Locale::of(Some("de")).months.find(b"\xff\xfe"), None);
    }
}
