//! The names of fields that stand in a script as literals.
//!
//! In: the code. Out: a path for each text in quotes that is one. Promises: a name that the script writes out is read
//! once, when the pipeline is loaded; a made one is read each time. On failure: what is no path is not in the table.

use hashbrown::HashMap;

use crate::event::{Keys, Path};

/// Longest text that is taken for a name.
const NAME_BYTES_MAX: usize = 256;

/// Paths by the text that the script writes.
pub(super) struct Paths(HashMap<Box<[u8]>, Path>);

impl Paths {
    /// Reads the literals of a script.
    pub(super) fn of(code: &str, keys: &mut Keys) -> Paths {
        let mut paths = HashMap::new();
        for literal in literals(code).chain(words(code)) {
            if !paths.contains_key(literal.as_bytes())
                && let Ok(path) = Path::parse(literal, keys)
            {
                paths.insert(literal.as_bytes().into(), path);
            }
        }
        Paths(paths)
    }

    /// The path of a text of the script.
    pub(super) fn find(&self, text: &[u8]) -> Option<&Path> {
        self.0.get(text)
    }
}

/// Texts in quotes without escapes, each on one line.
fn literals(code: &str) -> impl Iterator<Item = &str> {
    code.lines()
        .flat_map(|line| ['"', '\''].into_iter().flat_map(|quote| line.split(quote)))
        .filter(is_name)
}

/// `event.name`.
fn words(code: &str) -> impl Iterator<Item = &str> {
    let word = |rest: &'_ str| {
        rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len())
    };
    code.split("event.").skip(1).map(move |rest| &rest[..word(rest)]).filter(is_name)
}

fn is_name(text: &&str) -> bool {
    // What stands between two literals is taken, too, and is hardly ever asked for.
    let odd = |c: char| c.is_control() || matches!(c, '(' | ')' | ',' | ';' | '=' | ' ');
    !text.is_empty() && text.len() <= NAME_BYTES_MAX && !text.contains(odd)
}
