//! Names of secrets, and the values behind them in a text.
//!
//! In: names. Out: whether a field's name is one of them, and where in a text their values are.
//! A name is also recognised at the end of a longer one (`db_password`), in any case, and with or
//! without `-` and `_` (`api_key`, `apiKey`, `api-key`): rather too much goes than too little.

use regex::bytes::{Regex, RegexBuilder};

use super::extent::{Opening, extent};
use super::ranges::Secret;

/// Names of secrets.
pub(super) struct Keys {
    /// Lower case, without `-` and `_`.
    names: Vec<Box<[u8]>>,
    /// Whether a name ends with this byte (lower case).
    ends: [bool; 256],
    alternatives: String,
    /// A name with what stands between it and its value.
    assignment: Regex,
}

/// Between a name and its value: the name's closing quote (group 1), blanks, the sign (group 2),
/// blanks, opening signs. A quote may be escaped or URL-encoded, also several times.
const SIGN: &str = r#"(\\*["']|%(?:25)*2[27])?[ \t]*(=>|:=|==?|:|%(?:25)*3[ad])"#;

impl Keys {
    /// Prepares names, none of them empty.
    pub(super) fn new(names: &[&str]) -> Result<Keys, String> {
        let alternatives: Vec<String> = names.iter().map(|name| alternative(name)).collect();
        let alternatives = alternatives.join("|");
        let mut builder = RegexBuilder::new(&format!("(?i)(?:{alternatives}){SIGN}"));
        let built = builder.unicode(false).size_limit(64 << 20).build();
        let assignment = built.map_err(|error| error.to_string())?;
        let names: Vec<Box<[u8]>> = names.iter().map(|name| bare(name)).collect();
        let mut ends = [false; 256];
        for last in names.iter().filter_map(|name| name.last()) {
            ends[usize::from(*last)] = true;
        }
        Ok(Keys { names, ends, alternatives, assignment })
    }

    /// The names as alternatives of a pattern that ignores case.
    pub(super) fn alternatives(&self) -> &str {
        &self.alternatives
    }

    /// Whether a field's name is one of these, or ends with one.
    pub(super) fn name(&self, name: &[u8]) -> bool {
        let Some(last) = name.last() else { return false };
        if !self.ends[usize::from(last.to_ascii_lowercase())] && !matches!(last, b'-' | b'_') {
            return false;
        }
        self.names.iter().any(|known| ends_with(name, known))
    }

    /// Finds the values behind names in a text.
    pub(super) fn find(&self, text: &[u8], secrets: &mut Vec<Secret>) {
        let mut groups = self.assignment.capture_locations();
        let mut from = 0;
        while let Some(found) = self.assignment.captures_read_at(&mut groups, text, from) {
            let (sign, _) = groups.get(2).unwrap_or((found.end(), found.end()));
            let quote = groups.get(1).map_or(0..0, |(start, end)| start..end);
            let opening = Opening { name: found.start()..sign, quote, sign: sign..found.end() };
            from = found.end();
            if let Some(secret) = extent(text, &opening) {
                from = from.max(secret.span.end);
                secrets.push(secret);
            }
        }
    }
}

/// `api_key` as `api[-_]?key`; signs that mean something in patterns are escaped.
fn alternative(name: &str) -> String {
    let parts = name.trim().split(['-', '_']).map(regex::escape);
    parts.collect::<Vec<_>>().join("[-_]?")
}

fn bare(name: &str) -> Box<[u8]> {
    let kept = name.trim().bytes().filter(|b| !matches!(b, b'-' | b'_'));
    kept.map(|b| b.to_ascii_lowercase()).collect()
}

/// Whether a name ends with a bare one; `-` and `_` do not count.
fn ends_with(name: &[u8], bare: &[u8]) -> bool {
    let mut rest = name.iter().rev().filter(|b| !matches!(b, b'-' | b'_'));
    bare.iter().rev().all(|wanted| rest.next().is_some_and(|b| b.to_ascii_lowercase() == *wanted))
}
