//! Codecs of inputs.
//!
//! In: the setting `codec`. Out: the codec of our input. Promises: a codec that is not there is said.
//! On failure: the input is converted with lines as they are, and the difference is named.

use super::syntax::{Plugin, Value};
use super::values::Settings;
use crate::import::conditions::linear;
use crate::import::document::{Table, Value as Ours};
use crate::import::report::Account;

/// The codec of an input. `None`: the usual one.
pub fn input(value: Option<Value>, account: &mut Account) -> Option<Ours> {
    let plugin = match value? {
        Value::Plugin(plugin) => *plugin,
        other => {
            let name = other.text()?.to_string();
            let at = super::syntax::At {
                file: std::rc::Rc::new(crate::import::source::SourceFile::new("", "")),
                span: 0..0,
            };
            Plugin { name, settings: Vec::new(), comments: Vec::new(), at }
        }
    };
    let mut settings = Settings::of(&plugin);
    let charset = settings.text("charset");
    if charset
        .as_deref()
        .is_some_and(|c| !c.eq_ignore_ascii_case("UTF-8") && !c.eq_ignore_ascii_case("US-ASCII"))
    {
        account.differs(format!(
            "bytes are taken as UTF-8, not as {}: others are written as \\xE9 and tagged",
            charset.unwrap_or_default()
        ));
    }
    match plugin.name.as_str() {
        "plain" | "line" => {
            if settings.has("delimiter") {
                account.differs("lines end with a line feed, `delimiter` is left out");
            }
            None
        }
        "json" | "json_lines" => {
            if let Some(target) = settings.text("target") {
                account.differs(format!(
                    "the object's members become fields of the event, not of `{target}`"
                ));
            }
            Some("json".into())
        }
        "multiline" => joining(&mut settings, account).map(Ours::Table),
        other => {
            account.missing(
                format!("there is no codec `{other}`"),
                "let the sender write JSON or text lines, or keep what decodes them in front",
            );
            None
        }
    }
}

/// Lines that belong together: settings of the codec `multiline`, which the filter has, too.
pub fn joining(settings: &mut Settings, account: &mut Account) -> Option<Table> {
    let Some(pattern) = settings.text("pattern") else {
        account.missing("`multiline` has no pattern", "write `start` or `continue`");
        return None;
    };
    let negate = settings.flag("negate").unwrap_or(false);
    let next = settings.text("what").is_some_and(|what| what == "next");
    let mut table = Table::of_type("multiline");
    let (pattern, _) = linear(&plain(&pattern), false);
    let key = match (next, negate) {
        (false, false) => "continue",
        (false, true) => "start",
        (true, _) => "end",
    };
    table.set(key, pattern.replace("\\/", "/"));
    if next && !negate {
        table.set("negate", true);
    }
    if let Some(lines) = settings.text("max_lines").and_then(|n| n.parse::<i64>().ok()) {
        table.set("max_lines", lines);
    }
    if let Some(bytes) = settings.text("max_bytes") {
        let spelled = bytes.replace(' ', "").to_uppercase();
        if crate::settings::parse_bytes(&spelled).is_some() {
            table.set("max_bytes", spelled);
        }
    }
    if let Some(seconds) =
        settings.text("auto_flush_interval").filter(|n| n.parse::<u32>().is_ok_and(|n| n > 0))
    {
        table.set("timeout", format!("{seconds}s"));
    }
    Some(table)
}

/// Named patterns that codecs use, as plain ones.
const NAMED: [(&str, &str); 22] = [
    (
        "TIMESTAMP_ISO8601",
        r"\d{4}-\d{1,2}-\d{1,2}[T ]\d{1,2}:?\d{2}(?::?\d{2}(?:[.,:]\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?",
    ),
    ("SYSLOGTIMESTAMP", r"[A-Z][a-z]{2} +\d{1,2} \d{2}:\d{2}:\d{2}"),
    (
        "CATALINA_DATESTAMP",
        r"(?:[A-Z][a-z]{2} \d{1,2}, \d{4} \d{1,2}:\d{2}:\d{2} (?:AM|PM)|\d{2}-[A-Z][a-z]{2}-\d{4} \d{2}:\d{2}:\d{2})",
    ),
    ("TOMCAT_DATESTAMP", r"\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2},\d{3} [+-]\d{4}"),
    ("HTTPDATE", r"\d{2}/[A-Za-z]+/\d{4}:\d{2}:\d{2}:\d{2} [+-]\d{4}"),
    (
        "LOGLEVEL",
        r"(?i:trace|debug|notice|info(?:rmation)?|warn(?:ing)?|err(?:or)?|crit(?:ical)?|fatal|severe|alert|emerg)",
    ),
    ("DATE_EU", r"\d{1,2}[./-]\d{1,2}[./-]\d{2,4}"),
    ("DATE_US", r"\d{1,2}[/-]\d{1,2}[/-]\d{2,4}"),
    ("DATE", r"\d{1,2}[./-]\d{1,2}[./-]\d{2,4}"),
    ("DATESTAMP", r"\d{1,2}[./-]\d{1,2}[./-]\d{2,4}[- ]\d{1,2}:\d{2}:\d{2}(?:[.,]\d+)?"),
    ("TIME", r"\d{1,2}:\d{2}:\d{2}(?:[.,]\d+)?"),
    ("YEAR", r"\d{2,4}"),
    ("MONTHNUM", r"(?:0?[1-9]|1[0-2])"),
    ("MONTHDAY", r"(?:0[1-9]|[12]\d|3[01]|[1-9])"),
    ("MONTH", r"[A-Z][a-z]{2,8}"),
    ("DAY", r"(?:Mon|Tues?|Wed(?:nes)?|Thu(?:rs)?|Fri|Sat(?:ur)?|Sun)(?:day)?"),
    ("HOUR", r"\d{1,2}"),
    ("MINUTE", r"\d{2}"),
    ("SECOND", r"\d{2}(?:[.,]\d+)?"),
    ("IP", r"(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-fA-F:]*:[0-9a-fA-F:.]+)"),
    ("WORD", r"\b\w+\b"),
    ("SPACE", r"\s*"),
];

/// Other named patterns, and what stands for them.
const SHORT: [(&str, &str); 7] = [
    ("NUMBER", r"[+-]?\d+(?:\.\d+)?"),
    ("INT", r"[+-]?\d+"),
    ("POSINT", r"\d+"),
    ("NOTSPACE", r"\S+"),
    ("DATA", ".*?"),
    ("GREEDYDATA", ".*"),
    ("UUID", r"[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}"),
];

/// A pattern without references to named ones (which codecs of ours do not know).
fn plain(pattern: &str) -> String {
    let (mut out, mut rest) = (String::new(), pattern);
    while let Some(at) = rest.find("%{") {
        let Some(end) = rest[at..].find('}').map(|end| at + end) else { break };
        let name = rest[at + 2..end].split(':').next().unwrap_or_default();
        out.push_str(&rest[..at]);
        match NAMED.iter().chain(&SHORT).find(|(known, _)| *known == name) {
            Some((_, plain)) => out.push_str(plain),
            None => out.push_str(&rest[at..=end]),
        }
        rest = &rest[end + 1..];
    }
    out.push_str(rest);
    out
}
