//! Patterns in the format of uap-core, and what they say about a text.
//!
//! Format: `regexes.yaml` of uap-core, as its `docs/specification.md` describes it; of YAML only what that file uses
//! is read: lists of entries with quoted texts. In: the file's text. Out: browser, system and device of a text.
//! Promises: of each kind the first pattern that matches counts; a pattern is tried only on a text that holds a
//! literal that it needs, and compiled only then. On failure: a file that cannot be read is refused with its line; a
//! pattern that cannot be compiled is passed over.

use std::sync::OnceLock;

use regex::bytes::{Captures, Regex, RegexBuilder};

use super::literals::{Needs, needs};

/// All patterns.
pub(super) struct Definitions {
    agents: Vec<Definition>,
    systems: Vec<Definition>,
    devices: Vec<Definition>,
}

/// One pattern.
struct Definition {
    pattern: String,
    ignore_case: bool,
    needs: Needs,
    compiled: OnceLock<Option<Regex>>,
    /// The name, then the parts of the version: what stands there instead of what the groups matched.
    replacements: [Option<String>; 5],
}

/// A name and up to four parts of a version.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Product {
    pub family: String,
    pub parts: [Option<String>; 4],
}

/// What is known of a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub agent: Product,
    pub system: Product,
    pub device: String,
}

/// What is not known.
const OTHER: &str = "Other";

const AGENT: [&str; 5] =
    ["family_replacement", "v1_replacement", "v2_replacement", "v3_replacement", "v4_replacement"];
const SYSTEM: [&str; 5] = [
    "os_replacement",
    "os_v1_replacement",
    "os_v2_replacement",
    "os_v3_replacement",
    "os_v4_replacement",
];
const DEVICE: [&str; 5] = ["device_replacement", "", "", "", ""];

impl Definitions {
    /// Those that come with the program.
    pub(super) fn bundled() -> Definitions {
        Definitions::read(include_str!("regexes.yaml")).unwrap_or_else(|_| Definitions::empty())
    }

    fn empty() -> Definitions {
        Definitions { agents: Vec::new(), systems: Vec::new(), devices: Vec::new() }
    }

    /// Reads a file.
    pub(super) fn read(text: &str) -> Result<Definitions, String> {
        let mut all = Definitions::empty();
        let mut kind = None;
        for (number, line) in text.lines().enumerate() {
            let trimmed = line.trim_start();
            if trimmed.is_empty() || trimmed.starts_with('#') {
                continue;
            }
            let odd = |what: &str| format!("line {}: {what}", number + 1);
            if !line.starts_with([' ', '-']) {
                kind = Some(match trimmed.trim_end() {
                    "user_agent_parsers:" => (&mut all.agents, AGENT),
                    "os_parsers:" => (&mut all.systems, SYSTEM),
                    "device_parsers:" => (&mut all.devices, DEVICE),
                    _ => return Err(odd("a list of another name")),
                });
                continue;
            }
            let Some((list, names)) = &mut kind else { return Err(odd("an entry of no list")) };
            let begins = trimmed.strip_prefix("- ");
            let entry = begins.unwrap_or(trimmed).trim();
            let (key, value) = entry.split_once(':').ok_or_else(|| odd("`:` expected"))?;
            let value = scalar(value.trim()).ok_or_else(|| odd("a text in quotes expected"))?;
            if begins.is_some() {
                list.push(Definition::default());
            }
            let Some(last) = list.last_mut() else { return Err(odd("`- regex:` expected")) };
            last.set(key.trim(), value, names);
        }
        for list in [&mut all.agents, &mut all.systems, &mut all.devices] {
            for definition in list.iter_mut() {
                definition.needs = needs(&definition.pattern);
            }
        }
        if all.agents.is_empty() { Err("it holds no user_agent_parsers".into()) } else { Ok(all) }
    }

    /// What is known of a text.
    pub(super) fn find(&self, text: &[u8]) -> Found {
        let lower = text.to_ascii_lowercase();
        let product = |list: &[Definition]| {
            let found = list.iter().find_map(|d| Some((d, d.matches(text, &lower)?)));
            let Some((definition, groups)) = found else {
                return Product { family: OTHER.into(), parts: [None, None, None, None] };
            };
            let part = |at| definition.part(at, &groups);
            let family = part(0).unwrap_or_else(|| OTHER.into());
            Product { family, parts: [part(1), part(2), part(3), part(4)] }
        };
        let device = product(&self.devices).family;
        Found { agent: product(&self.agents), system: product(&self.systems), device }
    }

    /// The patterns that cannot be compiled.
    #[cfg(test)]
    pub(super) fn faulty(&self) -> Vec<&str> {
        let all = self.agents.iter().chain(&self.systems).chain(&self.devices);
        all.filter(|d| d.regex().is_none()).map(|d| d.pattern.as_str()).collect()
    }
}

impl Default for Definition {
    fn default() -> Self {
        Definition {
            pattern: String::new(),
            ignore_case: false,
            needs: Needs::Anything,
            compiled: OnceLock::new(),
            replacements: Default::default(),
        }
    }
}

impl Definition {
    fn set(&mut self, key: &str, value: Option<String>, names: &[&str; 5]) {
        let Some(value) = value else { return };
        match key {
            "regex" => self.pattern = value,
            "regex_flag" => self.ignore_case = value == "i",
            _ => {
                if let Some(at) = names.iter().position(|name| *name == key) {
                    self.replacements[at] = Some(value);
                }
            }
        }
    }

    fn regex(&self) -> Option<&Regex> {
        let compile = || {
            let mut builder = RegexBuilder::new(&self.pattern);
            builder.case_insensitive(self.ignore_case).unicode(false).build().ok()
        };
        self.compiled.get_or_init(compile).as_ref()
    }

    fn matches<'t>(&self, text: &'t [u8], lower: &[u8]) -> Option<Captures<'t>> {
        if !self.needs.met_by(lower) {
            return None;
        }
        self.regex()?.captures(text)
    }

    /// The name (0) or a part of the version: the replacement, or what the group matched.
    fn part(&self, at: usize, groups: &Captures<'_>) -> Option<String> {
        let group = |n| groups.get(n).map(|m| String::from_utf8_lossy(m.as_bytes()));
        let text = match &self.replacements[at] {
            None => group(at + 1)?.into_owned(),
            Some(template) => {
                let mut text = String::new();
                let mut rest = template.as_str();
                while let Some(sign) = rest.find('$') {
                    text.push_str(&rest[..sign]);
                    rest = &rest[sign + 1..];
                    let digit = rest.chars().next().and_then(|c| c.to_digit(10));
                    match digit {
                        Some(digit) => {
                            text.push_str(&group(digit as usize).unwrap_or_default());
                            rest = &rest[1..];
                        }
                        None => text.push('$'),
                    }
                }
                text.push_str(rest);
                text
            }
        };
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_string())
    }
}

impl Product {
    /// The parts of the version that are known, with dots.
    pub(super) fn version(&self) -> Option<String> {
        let mut parts = self.parts.iter().map_while(|part| part.as_deref());
        let mut version = parts.next()?.to_string();
        // A version that begins with a name, such as `XP`, has a blank after it.
        let mut mark = if version.bytes().all(|b| b.is_ascii_digit()) { '.' } else { ' ' };
        for part in parts {
            version.push(mark);
            version.push_str(part);
            mark = '.';
        }
        Some(version)
    }

    /// Name and version, where there is one.
    pub(super) fn full(&self) -> String {
        match self.version() {
            Some(version) => format!("{} {version}", self.family),
            None => self.family.clone(),
        }
    }
}

/// A text of YAML in quotes, or a bare one; `Some(None)` for null. `None`: it is something else.
#[allow(clippy::option_option)] // null and faulty are different things
fn scalar(text: &str) -> Option<Option<String>> {
    if let Some(inner) = text.strip_prefix('\'') {
        return Some(Some(inner.strip_suffix('\'')?.replace("''", "'")));
    }
    if let Some(inner) = text.strip_prefix('"') {
        return Some(Some(inner.strip_suffix('"')?.replace("\\\"", "\"").replace("\\\\", "\\")));
    }
    let plain = !text.starts_with(['{', '[', '&', '*', '|', '>', '!']);
    plain.then(|| (!matches!(text, "" | "null" | "~")).then(|| text.to_string()))
}
