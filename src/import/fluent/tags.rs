//! Tags and the patterns that pick them.
//!
//! In: patterns of Fluentd (`a.*`, `a.**`, `{a,b}`) or Fluent Bit (`a.*`, a regular expression), and what is known of
//! the tag of an input's events. Out: whether the pattern takes them ([`Pattern::takes`]). Promises: where that
//! cannot be known beforehand the answer is a condition over the event.

use super::condition::{Condition, literal, matches};
use regex::Regex;

/// Where the tag of an event stands, if a condition needs it.
pub const TAG_FIELD: &str = "@metadata.tag";

/// What is known of the tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tag {
    /// This one.
    Fixed(String),
    /// `before` + the file's path with dots for slashes + `after`.
    Path {
        /// Text before the path.
        before: String,
        /// Patterns of the paths.
        globs: Vec<String>,
        /// Text behind the path.
        after: String,
    },
    /// It stands in the event, and begins with this.
    Field(String),
}

/// A pattern for tags.
#[derive(Clone, Debug)]
pub struct Pattern {
    /// Without wildcards.
    exact: Option<String>,
    regex: Option<Regex>,
    text: String,
    /// What every tag of the pattern begins with.
    prefix: String,
    /// It takes the others.
    but: bool,
}

/// The inner of a group whose opening is read, and what stands behind it.
fn split_group(text: &str) -> Option<(&str, &str)> {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' if depth == 0 => return Some((&text[..at], &text[at + 1..])),
            ')' => depth -= 1,
            _ => {}
        }
    }
    None
}

impl Pattern {
    /// Fluentd's: several ones, separated by blanks, are any of them.
    pub fn fluentd(text: &str) -> Pattern {
        let text = text.trim();
        if text.is_empty() {
            return Pattern::from_regex("^.*$", "", None);
        }
        if text.len() > 1 && text.starts_with('/') && text.ends_with('/') {
            return Pattern::from_regex(&text[1..text.len() - 1], "", None);
        }
        let parts: Vec<String> = words(text).iter().map(|word| glob(word)).collect();
        let prefix = if parts.len() == 1 { plain_start(text) } else { String::new() };
        let exact =
            (parts.len() == 1 && !text.contains(['*', '{', '\\'])).then(|| text.to_string());
        let regex = if parts.len() == 1 {
            format!("^{}$", parts[0])
        } else {
            format!("^(?:{})$", parts.join("|"))
        };
        Pattern::from_regex(&regex, &prefix, exact)
    }

    /// Fluent Bit's `Match`.
    pub fn fluent_bit(text: &str) -> Pattern {
        let regex: String =
            text.chars().map(|c| if c == '*' { ".*".into() } else { escape(c) }).collect();
        let exact = (!text.contains('*')).then(|| text.to_string());
        let prefix = text.split('*').next().unwrap_or_default();
        Pattern::from_regex(&format!("^{regex}$"), prefix, exact)
    }

    /// Fluent Bit's `Match_Regex`.
    pub fn regex(text: &str) -> Pattern {
        // `^(?!a|b).*`: all but those that begin so.
        if let Some(rest) = text.strip_prefix("^(?!")
            && let Some((but, rest)) = split_group(rest)
            && matches!(rest, "" | ".*" | ".*$" | ".+" | ".+$")
        {
            let inner = Pattern::from_regex(&format!("^(?:{but})"), "", None);
            return Pattern { but: true, ..inner };
        }
        Pattern::from_regex(text, "", None)
    }

    fn from_regex(text: &str, prefix: &str, exact: Option<String>) -> Pattern {
        let text = text.replace("^.*$", "").replace(".*$", "");
        Pattern {
            exact,
            regex: Regex::new(&text).ok(),
            text,
            prefix: prefix.to_string(),
            but: false,
        }
    }

    fn fits(&self, tag: &str) -> bool {
        self.regex.as_ref().is_none_or(|regex| regex.is_match(tag))
    }

    /// Every tag.
    pub fn takes_all(&self) -> bool {
        matches!(self.text.as_str(), "" | "^" | ".*")
    }

    /// Whether it takes events with this tag.
    pub fn takes(&self, tag: &Tag) -> Condition {
        if self.but {
            return Pattern { but: false, ..self.clone() }.takes(tag).negate();
        }
        if self.takes_all() {
            return Condition::Always(true);
        }
        match tag {
            Tag::Fixed(tag) => Condition::Always(self.fits(tag)),
            Tag::Field(known) => {
                let shorter = known.len().min(self.prefix.len());
                if known.as_bytes()[..shorter] != self.prefix.as_bytes()[..shorter] {
                    return Condition::Always(false);
                }
                match &self.exact {
                    Some(tag) => Condition::atom(format!("{TAG_FIELD} == {}", literal(tag))),
                    None => matches(TAG_FIELD, &self.text, ""),
                }
            }
            Tag::Path { before, globs, after } => self.takes_paths(before, globs, after),
        }
    }

    fn takes_paths(&self, before: &str, globs: &[String], after: &str) -> Condition {
        let tags = |filler: &str| -> Vec<String> {
            let path =
                |glob: &String| glob.trim_start_matches('/').replace('*', filler).replace('/', ".");
            globs.iter().map(|glob| format!("{before}{}{after}", path(glob))).collect()
        };
        let fits_all = ["x", "x.y-z_w", "a-b-c_d_e-f"]
            .iter()
            .all(|filler| tags(filler).iter().all(|t| self.fits(t)));
        if fits_all {
            return Condition::Always(true);
        }
        let starts: Vec<String> = tags("\0")
            .iter()
            .map(|tag| tag.split('\0').next().unwrap_or_default().to_string())
            .collect();
        let possible = starts.iter().any(|start| {
            let shorter = start.len().min(self.prefix.len());
            start.as_bytes()[..shorter] == self.prefix.as_bytes()[..shorter]
        });
        if !possible || globs.iter().all(|glob| !glob.contains('*')) {
            return Condition::Always(tags("").iter().any(|tag| self.fits(tag)));
        }
        let start = format!("^{}", regex::escape(before));
        let rest = match self.text.strip_prefix(&start) {
            Some(rest) => format!("^/{rest}"),
            None => self.text.trim_start_matches('^').to_string(),
        };
        matches("log.file.path", &rest.replace("\\.", "[./]").replace("[^.]+", "[^/]+"), "")
    }
}

/// Patterns separated by blanks; `{a, b}` is one.
fn words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut depth = 0usize;
    for c in text.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 && c.is_whitespace() {
            words.push(String::new());
        } else if let Some(word) = words.last_mut() {
            word.push(c);
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Up to the first wildcard; `a.**` also takes `a`.
fn plain_start(text: &str) -> String {
    let start = text.split(['*', '{', '\\']).next().unwrap_or_default();
    start.strip_suffix('.').unwrap_or(start).to_string()
}

/// One pattern of Fluentd as a regular expression (lib/fluent/match.rb describes the form in its tests).
fn glob(pattern: &str) -> String {
    let mut out = String::new();
    let mut depth = 0usize;
    let chars: Vec<char> = pattern.chars().collect();
    let mut at = 0;
    while at < chars.len() {
        let rest: String = chars[at..].iter().take(4).collect();
        if rest.starts_with(".**") && at + 3 == chars.len() {
            out.push_str("(?:\\..*)?");
            at += 3;
        } else if rest.starts_with("**.") {
            out.push_str("(?:.*\\.)?");
            at += 3;
        } else if rest.starts_with("**") {
            out.push_str(".*");
            at += 2;
        } else {
            match chars[at] {
                '*' => out.push_str("[^.]+"),
                '{' => {
                    depth += 1;
                    out.push_str("(?:");
                }
                '}' if depth > 0 => {
                    depth -= 1;
                    out.push(')');
                }
                ',' if depth > 0 => out.push('|'),
                ' ' if depth > 0 => {}
                '\\' if at + 1 < chars.len() => {
                    at += 1;
                    out.push_str(&escape(chars[at]));
                }
                c => out.push_str(&escape(c)),
            }
            at += 1;
        }
    }
    out.push_str(&")".repeat(depth));
    out
}

fn escape(c: char) -> String {
    regex::escape(c.encode_utf8(&mut [0; 4]))
}
