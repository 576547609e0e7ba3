//! The engine against Oniguruma, on the dictionary and on random expressions.
//!
//! In: `GROK_SEED` and `GROK_ROUNDS` set the random seed and how much is done (the long form with another seed each
//! time: `just grok-proof`); with `LOGWEIR_CONFORMANCE` the texts of the conformance cases are used too.
//! Promises: match and captures are equal wherever Oniguruma gives an answer.
//! On failure: prints seed, expression and text.

use logweir::grok::{Ecs, Grok, Options, Outcome, Scratch, definition, names};
use onig::{Regex, RegexOptions, Region, SearchOptions, Syntax};

/// A small generator, so that a seed tells everything.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}

fn seed() -> u64 {
    std::env::var("GROK_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1)
}

fn rounds(default: usize) -> usize {
    std::env::var("GROK_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(default)
}

/// Replaces names by definitions; captures become `g0`, `g1`, … and their names are noted.
fn expand(text: &str, ecs: Ecs, groups: &mut Vec<String>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while !rest.is_empty() {
        if let Some(body) = rest.strip_prefix("%{") {
            let end = body.find('}').expect("closed");
            let name_end = body.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap();
            let name = &body[..name_end];
            let definition = definition(ecs, name).expect("defined");
            if body[name_end..].starts_with(':') {
                out.push_str(&format!("(?<g{}>", groups.len()));
                groups.push(body[..end].to_owned());
            } else {
                out.push_str("(?:");
            }
            out.push_str(&expand(definition, ecs, groups));
            out.push(')');
            rest = &body[end + 1..];
            continue;
        }
        if rest.starts_with("(?<") && !rest.starts_with("(?<=") && !rest.starts_with("(?<!") {
            let end = rest.find('>').expect("closed");
            out.push_str(&format!("(?<g{}>", groups.len()));
            groups.push(rest[3..end].to_owned());
            rest = &rest[end + 1..];
            continue;
        }
        let len = match rest.as_bytes() {
            [b'\\', _, ..] => 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
            _ => rest.chars().next().map_or(0, char::len_utf8),
        };
        out.push_str(&rest[..len]);
        rest = &rest[len..];
    }
    out
}

type Spans = Option<((usize, usize), Vec<(String, usize, usize)>)>;

/// What Oniguruma finds; `Err` where it gives up.
fn theirs(regex: &Regex, groups: &[String], text: &str) -> Result<Spans, ()> {
    let mut region = Region::new();
    let param = onig::MatchParam::default();
    let found = regex.search_with_param(
        text,
        0,
        text.len(),
        SearchOptions::SEARCH_OPTION_NONE,
        Some(&mut region),
        param,
    );
    match found {
        Err(_) => return Err(()),
        Ok(None) => return Ok(None),
        Ok(Some(_)) => {}
    }
    let mut seen: Vec<&String> = Vec::new();
    let mut spans = Vec::new();
    for name in groups {
        if seen.contains(&name) {
            continue;
        }
        seen.push(name);
        for (at, _) in groups.iter().enumerate().filter(|(_, other)| *other == name) {
            if let Some((start, end)) = region.pos(at + 1).filter(|(start, end)| start != end) {
                spans.push((field(name), start, end));
            }
        }
    }
    Ok(Some((region.pos(0).unwrap(), spans)))
}

fn field(full: &str) -> String {
    let mut parts = full.split(':');
    let first = parts.next().unwrap_or_default();
    parts.next().unwrap_or(first).to_owned()
}

/// What we find; `Err` where we give up.
fn ours(grok: &Grok, scratch: &mut Scratch, text: &str) -> Result<Spans, ()> {
    match grok.find(scratch, text.as_bytes()) {
        Outcome::NoMatch => Ok(None),
        Outcome::LimitHit { .. } => Err(()),
        Outcome::Match(found) => {
            let spans = grok.captures(&found, scratch).map(|capture| {
                let path = &grok.fields()[capture.field].path;
                let name = match &path[..] {
                    [one] => one.clone(),
                    many => format!("[{}]", many.join("][")),
                };
                (name, capture.start, capture.end)
            });
            Ok(Some(((found.start, found.end), spans.collect())))
        }
    }
}

fn regex(text: &str) -> Result<Regex, onig::Error> {
    Regex::with_options(text, RegexOptions::REGEX_OPTION_MULTILINE, Syntax::ruby())
}

fn texts() -> Vec<String> {
    let own = [
        "2026-11-22T17:30:29.123+01:00 host app[42]: ERROR naïve “quotes” 10.0.0.1:8080",
        "127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] \"GET /a?b=c HTTP/1.0\" 200 2326 \"-\" \"x\"",
        "Oct 11 22:14:15 mymachine su[3]: 'su root' failed for lonvick on /dev/pts/8",
        "<34>1 2003-10-11T22:14:15.003Z m.example.com su - ID47 - BOM'su root' failed",
        "user@example.com fe80::1%eth0 ::1 1:2:3:4:5:6:7:8 ::ffff:1.2.3.4 255.256.1.1",
        "\tat com.example.Class.method(File.java:12)\nC:\\dir\\file.txt urn:isbn:1",
        "März 5 12:34:60 é [abc] key=\"va\\\"lue\" 0x1F .5 -12.5e3 aa:bb:cc:dd:ee:ff",
    ];
    let mut all: Vec<String> = own.map(str::to_owned).to_vec();
    if let Ok(folder) = std::env::var("LOGWEIR_CONFORMANCE") {
        let path = std::path::Path::new(&folder).join("grok_patterns_core.jsonl");
        let cases = std::fs::read_to_string(path).expect("the cases are there");
        for line in cases.lines() {
            let case: serde_json::Value = serde_json::from_str(line).expect("JSON");
            all.push(case["input"].as_str().unwrap_or_default().to_owned());
        }
    }
    all
}

/// Changes a text in a few places.
fn mutate(random: &mut Random, all: &[String]) -> String {
    let mut chars: Vec<char> = random.pick(all).chars().collect();
    let extra = ['"', ' ', '\n', '0', '9', ':', '.', '-', '\\', 'é', '\t', 'a', 'Z', '[', '€'];
    for _ in 0..random.below(4) {
        let at = random.below(chars.len() + 1).min(chars.len());
        match random.below(5) {
            0 => chars.truncate(at),
            1 if at < chars.len() => {
                chars.remove(at);
            }
            2 => drop(chars.splice(..at, [])),
            3 => {
                let other: Vec<char> = random.pick(all).chars().collect();
                chars.extend(&other[random.below(other.len())..]);
            }
            _ => chars.insert(at, *random.pick(&extra)),
        }
    }
    chars.into_iter().collect()
}

#[test]
fn the_dictionary_means_what_oniguruma_finds() {
    let seed = seed();
    println!("GROK_SEED={seed}");
    let mut random = Random(seed);
    let all = texts();
    let rounds = rounds(4);
    let (mut compared, mut given_up, mut matched) = (0, 0, 0);
    for ecs in [Ecs::Disabled, Ecs::V1] {
        for name in names(ecs) {
            let pattern = format!("%{{{name}:whole}}");
            let mut groups = Vec::new();
            let expanded = expand(&pattern, ecs, &mut groups);
            let regex = regex(&expanded).expect("Oniguruma takes it");
            let grok = Grok::compile(&[pattern], &[], ecs, Options::default()).expect("compiles");
            let mut scratch = Scratch::default();
            for round in 0..all.len() + rounds * 50 {
                let text = match all.get(round) {
                    Some(text) => text.clone(),
                    None => mutate(&mut random, &all),
                };
                let theirs = theirs(&regex, &groups, &text);
                let ours = ours(&grok, &mut scratch, &text);
                if theirs.is_err() || ours.is_err() {
                    given_up += 1;
                    continue;
                }
                matched += usize::from(theirs != Ok(None));
                assert_eq!(ours, theirs, "{name} {ecs:?} seed {seed}\ntext {text:?}");
                compared += 1;
            }
        }
    }
    println!("dictionary: {compared} compared, {matched} matched, {given_up} given up");
    assert!(compared > 1000);
}

/// A random expression over a small alphabet. The dot is disguised: after something of no width
/// Oniguruma 6.9 takes a bare `.*` for a reason to try only at the beginning of lines.
fn expression(random: &mut Random, depth: usize) -> String {
    let leaf = depth == 0 || random.below(3) == 0;
    if leaf {
        let leaves = [
            "a",
            "b",
            "ab",
            "é",
            "1",
            "(?:.|ß)",
            "[ab]",
            "[^a]",
            "\\w",
            "\\d",
            "\\s",
            "\\S",
            "\\W",
            "[^é]",
            "[aé1]",
            "\\b",
            "^",
            "$",
            "\\n",
            "[[:alpha:]]",
            "\\h",
            " ",
            "ba",
            "\\B",
            "",
            "[^\\s]",
            "(?i)A",
            "\\z",
            "\\Z",
            "(?i:É)",
            "\\.",
            "aab",
        ];
        return (*random.pick(&leaves)).to_owned();
    }
    let inner = expression(random, depth - 1);
    match random.below(12) {
        0 | 1 => format!("{inner}{}", expression(random, depth - 1)),
        2 => format!("(?:{inner}|{})", expression(random, depth - 1)),
        3 => {
            let (a, b) = (expression(random, depth - 1), expression(random, depth - 1));
            format!("(?:{inner}|{a}|{b})")
        }
        4 => format!("(?<x>{inner})"),
        5 => format!("(?>{inner})"),
        6 => format!("(?={inner})"),
        7 => format!("(?!{inner})"),
        8 => {
            format!("(?<{}{})", random.pick(&["=", "!"]), random.pick(&["a", "[^b]", "1|ab", "é"]))
        }
        // A counted repeat ends in Oniguruma at an empty round or goes on, by its size; such
        // expressions are left out by repeating so only what is not empty.
        9 => {
            let times = ["{2}", "{1,2}", "{2,}", "{0,2}?", "{2,3}?", "{,2}"];
            let atoms = ["a", "[ab]", "(?:ab|é)", "(?:.|ß)", "\\w", "(?:a|b1)", "[^a]"];
            let text = format!("{}{}", random.pick(&atoms), random.pick(&times));
            text
        }
        _ => {
            let times = ["*", "+", "?", "*?", "+?", "??", "*+", "++", "?+"];
            format!("(?:{inner}){}", random.pick(&times))
        }
    }
}

fn random_text(random: &mut Random) -> String {
    let alphabet = ['a', 'a', 'b', 'é', '1', ' ', '\n', 'É', 'A', '.', 'ß'];
    (0..random.below(12)).map(|_| *random.pick(&alphabet)).collect()
}

/// Names each group apart, as the dictionary's expansion does.
fn number(text: &str, groups: &mut Vec<String>) -> (String, String) {
    let (mut regex, mut grok) = (String::new(), String::new());
    for (at, part) in text.split("(?<x>").enumerate() {
        if at > 0 {
            let group = format!("(?<g{}>", groups.len());
            groups.push(format!("g{}", groups.len()));
            regex.push_str(&group);
            grok.push_str(&group);
        }
        regex.push_str(part);
        grok.push_str(part);
    }
    (regex, grok)
}

#[test]
fn random_expressions_mean_what_oniguruma_finds() {
    let seed = seed();
    println!("GROK_SEED={seed}");
    let mut random = Random(seed);
    let (mut compared, mut matched, mut refused) = (0, 0, 0);
    for _ in 0..rounds(4) * 2000 {
        let body = expression(&mut random, 4);
        let mut groups = Vec::new();
        let (text, pattern) = number(&format!("(?<x>{body})"), &mut groups);
        let Ok(regex) = regex(&text) else { continue };
        let Ok(grok) = Grok::compile(&[pattern], &[], Ecs::V1, Options::default()) else {
            refused += 1;
            continue;
        };
        let mut scratch = Scratch::default();
        for _ in 0..20 {
            let input = random_text(&mut random);
            let theirs = theirs(&regex, &groups, &input);
            let ours = ours(&grok, &mut scratch, &input);
            if theirs.is_err() || ours.is_err() {
                continue;
            }
            matched += usize::from(theirs != Ok(None));
            compared += 1;
            if ours != theirs {
                if std::env::var("GROK_ALL").is_ok() {
                    println!("DIFF {} {text} on {input:?}: {ours:?} {theirs:?}", text.len());
                    break;
                }
                panic!("seed {seed}\n{text}\non {input:?}\n{ours:?}\n{theirs:?}");
            }
        }
    }
    println!("random: {compared} compared, {matched} matched, {refused} refused by us");
}
