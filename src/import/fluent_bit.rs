//! Fluent Bit: its languages, and the way of events through its filters to all outputs that match.
//!
//! In: the sections as elements. Out: a draft. Promises: filters are in order, `rewrite_tag` begins anew with the first
//! one, every output that matches gets the event. On failure: what cannot be converted is an entry of the draft.

use std::collections::BTreeMap;
use std::path::Path;

use super::fluent::condition::Condition;
use super::fluent::draft::Draft;
use super::fluent::parse::Parser;
use super::fluent::tags::{Pattern, Tag};
use super::fluent::text::lua_text;
use super::fluentd::parse_section::types;
use super::fluentd::route::{Conversion, Notes, Stream};
use super::fluentd::source::text;
use super::fluentd::syntax::{Element, Item, Piece, Value};
use super::source::{Files, SourceFile};

pub mod classic;
mod filters;
mod inputs;
mod outputs;
pub mod yaml_form;

/// Modules for JSON that Fluent Bit's Lua has, by what scripts have here.
const JSON: [(&str, &str); 4] = [
    ("cjson", "return { encode = json.encode, decode = json.decode }"),
    ("json", "return { encode = json.encode, decode = json.decode }"),
    ("dkjson", "return { encode = json.encode, decode = json.decode }"),
    (
        "cjson.safe",
        "local function safe(f)\n  return function(v)\n    local fine, out = pcall(f, v)\n    \
           if fine then return out end\n    return nil, out\n  end\nend\n\
         return { encode = safe(json.encode), decode = safe(json.decode) }",
    ),
];

/// Modules of one script.
const MODULES_MAX: usize = 16;

/// The translation of one configuration.
pub struct Translation {
    conversion: Conversion,
    /// `[PARSER]`s by name.
    parsers: BTreeMap<String, Parser>,
    /// `[MULTILINE_PARSER]`s by name: the pattern of the first line.
    multiline: BTreeMap<String, String>,
    filters: Vec<Element>,
    /// Scripts that filters name, by that name.
    scripts: BTreeMap<String, String>,
}

impl Translation {
    /// Translates the items of all files, in order.
    pub fn run(items: &[Item], files: &[SourceFile], around: &dyn Files) -> Draft {
        let mut set = BTreeMap::new();
        let mut elements = Vec::new();
        for item in items {
            match item {
                Item::Parameter(parameter) if parameter.name == "@set" => {
                    if let Some((name, value)) = parameter.value.source().split_once('=') {
                        set.insert(name.trim().to_string(), value.trim().to_string());
                    }
                }
                Item::Element(element) => elements.push(with_variables(element, &set)),
                _ => {}
            }
        }
        let conversion = Conversion { files: files.to_vec(), ..Conversion::default() };
        let mut this = Translation {
            conversion,
            parsers: BTreeMap::new(),
            multiline: BTreeMap::new(),
            filters: Vec::new(),
            scripts: BTreeMap::new(),
        };
        this.known_parsers();
        let folder = files.first().and_then(|file| file.path.parent()).unwrap_or(Path::new(""));
        for service in elements.iter().filter(|element| element.name == "service") {
            for file in service.parameters().filter(|p| p.name == "parsers_file") {
                this.parsers_file(folder, &file.value.source(), around);
            }
        }
        for filter in elements.iter().filter(|element| element.name == "filter") {
            let Some(script) = filter.written().find(|p| p.name == "script") else { continue };
            let name = script.value.source().trim().to_string();
            let beside = Path::new(&name).file_name().map(|n| folder.join(n)).unwrap_or_default();
            // As it is written, beside the file, or one folder up, where the file is included from.
            let above = folder.join("..").join(Path::new(&name).file_name().unwrap_or_default());
            let places = [folder.join(&name), beside, above];
            let found = places.iter().find_map(|path| Some((path, around.read(path).ok()?)));
            if let Some((path, code)) = found {
                let folder = path.parent().unwrap_or(folder);
                this.scripts.insert(name, with_modules(&code, folder, around));
            }
        }
        this.add_parsers(&elements);
        this.translate(&elements);
        this.conversion.draft
    }

    fn parsers_file(&mut self, folder: &Path, name: &str, around: &dyn Files) {
        let beside = Path::new(name).file_name().map(|name| folder.join(name)).unwrap_or_default();
        for path in [folder.join(name), beside] {
            let Ok(text) = around.read(&path) else { continue };
            let is_yaml = path.extension().is_some_and(|e| e == "yaml" || e == "yml");
            let parse = if is_yaml { yaml_form::parse } else { classic::parse };
            let Ok(items) = parse(&text, usize::MAX) else { continue };
            let elements: Vec<Element> = items
                .into_iter()
                .filter_map(
                    |item| if let Item::Element(element) = item { Some(element) } else { None },
                )
                .collect();
            self.add_parsers(&elements);
            return;
        }
    }

    /// The parsers of the files that Fluent Bit comes with.
    fn known_parsers(&mut self) {
        for (name, kind) in [
            ("json", "json"),
            ("docker", "json"),
            ("docker-daemon", "json"),
            ("nginx", "nginx"),
            ("apache2", "apache2"),
            ("apache", "apache2"),
            ("apache_error", "apache_error"),
            ("syslog-rfc3164", "syslog"),
            ("syslog-rfc3164-local", "syslog"),
            ("syslog", "syslog"),
            ("syslog-rfc5424", "syslog-rfc5424"),
            ("cri", "cri"),
            ("containerd", "cri"),
            ("logfmt", "logfmt"),
            ("ltsv", "ltsv"),
            ("k8s-nginx-ingress", "nginx"),
        ] {
            self.parsers.insert(name.to_string(), Parser::of(kind));
        }
    }

    fn add_parsers(&mut self, elements: &[Element]) {
        let mut unused = Notes::default();
        for element in elements {
            let mut get =
                |name: &str| text(element, name, &mut unused).filter(|text| !text.is_empty());
            let Some(name) = get("name") else { continue };
            match element.name.as_str() {
                "parser" => {
                    let format = get("format").unwrap_or_default().to_lowercase();
                    let kind = if format == "regex" { "regexp".to_string() } else { format };
                    let parser = Parser {
                        kind,
                        pattern: get("regex"),
                        time_key: get("time_key"),
                        time_format: get("time_format"),
                        keeps_time: get("time_keep")
                            .is_some_and(|text| super::fluent::text::is_true(&text)),
                        types: types(&get("types").unwrap_or_default()),
                        ..Parser::default()
                    };
                    self.parsers.insert(name.to_lowercase(), parser);
                }
                "multiline_parser" => {
                    let rules =
                        element.parameters().filter(|p| p.name == "rule").map(|p| p.value.source());
                    let first = rules.into_iter().find(|rule| rule.contains("start_state"));
                    let pattern = first.and_then(|rule| start_of(&rule));
                    self.multiline
                        .insert(name.to_lowercase(), pattern.unwrap_or_else(|| r"^\S".to_string()));
                }
                _ => {}
            }
        }
    }

    fn translate(&mut self, elements: &[Element]) {
        let mut streams = Vec::new();
        for input in elements.iter().filter(|element| element.name == "input") {
            streams.extend(self.input(input));
        }
        if streams.is_empty() {
            streams.push(self.conversion.placeholder());
        }
        self.conversion.pending();
        self.filters =
            elements.iter().filter(|element| element.name == "filter").cloned().collect();
        let mut done = Vec::new();
        let mut next = streams;
        while !next.is_empty() {
            let (finished, again) = self.pass(next);
            done.extend(finished);
            next = again;
        }
        for output in elements.iter().filter(|element| element.name == "output") {
            let taken = taken_by(output, &done);
            self.output(output, &taken);
        }
        for task in elements.iter().filter(|element| element.name == "stream_task") {
            let refusal =
                Some("queries over streams are not run; count with the filter `metric`".into());
            let notes = Notes { refusal, ..Notes::default() };
            self.conversion.said(task, "sql", notes);
        }
        for element in &self.filters.clone() {
            self.conversion.unreached_unless_known(element, &name_of(element));
        }
        self.conversion.finish();
    }

    /// Once through all filters: what comes out, and what begins anew with another tag.
    fn pass(&mut self, mut streams: Vec<Stream>) -> (Vec<Stream>, Vec<Stream>) {
        let mut again = Vec::new();
        for filter in self.filters.clone() {
            let taken = taken_by(&filter, &streams);
            if taken.is_empty() {
                continue;
            }
            if name_of(&filter) == "rewrite_tag" {
                let (keeps, new) = self.rewrite_tag(&filter, &taken);
                for stream in streams
                    .iter_mut()
                    .filter(|s| taken.iter().any(|t| t.input == s.input && t.tag == s.tag))
                {
                    stream.when = stream.when.clone().and(keeps.clone());
                }
                streams.retain(|stream| stream.when != Condition::Always(false));
                again.extend(new);
            } else {
                self.filter(&filter, &taken);
            }
        }
        (streams, again)
    }
}

/// A script with the modules that it requires, where they lie beside it; the product's scripts read no files.
fn with_modules(code: &str, folder: &Path, around: &dyn Files) -> String {
    let mut modules: Vec<(String, String)> = Vec::new();
    let mut left = required(code);
    while let Some(name) = left.pop() {
        if modules.iter().any(|(known, _)| *known == name) || modules.len() >= MODULES_MAX {
            continue;
        }
        let file = folder.join(format!("{}.lua", name.replace('.', "/")));
        let module = match around.read(&file) {
            Ok(module) => module,
            // The library of scripts has it under another name.
            Err(_) => match JSON.iter().find(|(known, _)| *known == name) {
                Some((_, module)) => (*module).to_string(),
                None => continue,
            },
        };
        left.extend(required(&module));
        modules.push((name, module));
    }
    if modules.is_empty() {
        return code.to_string();
    }
    let mut out = "local modules, loaded = {}, {}\n\
        local function require(name)\n  \
          if loaded[name] == nil then loaded[name] = modules[name](name) or true end\n  \
          return loaded[name]\nend\n"
        .to_string();
    for (name, module) in modules {
        let name = lua_text(&name);
        out.push_str(&format!("modules[{name}] = function(...)\n{}\nend\n", module.trim_end()));
    }
    out + code
}

/// The names in `require "a"` and `require('a')`.
fn required(code: &str) -> Vec<String> {
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("--"));
    let found = lines.flat_map(|line| line.split("require").skip(1)).filter_map(|rest| {
        let rest = rest.trim_start_matches([' ', '\t', '(']);
        let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        let name = rest[1..].split(quote).next()?;
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        (!name.is_empty() && !name.contains("..") && name.chars().all(plain))
            .then(|| name.to_string())
    });
    found.collect()
}

/// The plugin's name in lower case.
fn name_of(element: &Element) -> String {
    element
        .parameter("name")
        .map(|name| name.value.source().trim().to_lowercase())
        .unwrap_or_default()
}

/// The streams that `Match` or `Match_Regex` takes.
fn taken_by(element: &Element, streams: &[Stream]) -> Vec<Stream> {
    let pattern = match (element.parameter("match"), element.parameter("match_regex")) {
        (Some(pattern), _) => Pattern::fluent_bit(pattern.value.source().trim()),
        (None, Some(pattern)) => Pattern::regex(pattern.value.source().trim()),
        (None, None) => Pattern::fluent_bit("*"),
    };
    let take = |stream: &Stream| {
        let when = stream.when.clone().and(pattern.takes(&stream.tag));
        (when != Condition::Always(false)).then(|| Stream { when, ..stream.clone() })
    };
    streams.iter().filter_map(take).collect()
}

/// `"start_state" "/pattern/" "cont"`.
fn start_of(rule: &str) -> Option<String> {
    let (_, rest) = rule.split_once("start_state")?;
    let rest = rest.trim_start_matches(['"', '\'', ' ', '\t', ',']);
    let rest = rest.strip_prefix('/')?;
    let end = rest.rfind('/')?;
    Some(rest[..end].to_string())
}

/// `${NAME}` of `@SET`, and those of the environment with a default.
fn with_variables(element: &Element, set: &BTreeMap<String, String>) -> Element {
    let mut element = element.clone();
    for item in &mut element.body {
        if let Item::Parameter(parameter) = item {
            let text = parameter.value.source();
            if text.contains("${") {
                parameter.value =
                    Value { pieces: vec![Piece::Text(replaced(&text, set))], quoted: false };
            }
        }
    }
    element
}

fn replaced(text: &str, set: &BTreeMap<String, String>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let Some(end) = rest[start..].find('}') else { break };
        let name = &rest[start + 2..start + end];
        let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        out.push_str(&rest[..start]);
        match set.get(name) {
            Some(value) => out.push_str(value),
            None if plain && name.to_ascii_uppercase().contains("PORT") => {
                out.push_str(&format!("${{{name}:-9200}}"));
            }
            None if plain => out.push_str(&format!("${{{name}:-not-set}}")),
            None => out.push_str(&rest[start..=start + end]),
        }
        rest = &rest[start + end + 1..];
    }
    out.push_str(rest);
    out
}

/// The tag that a stream's events have in conditions.
pub fn tag_of(tag: &str, paths: &[String]) -> Tag {
    match tag.split_once('*') {
        Some((before, after)) if !paths.is_empty() => Tag::Path {
            before: before.to_string(),
            globs: paths.to_vec(),
            after: after.to_string(),
        },
        _ if tag.contains('<') => Tag::Path {
            before: tag.split('<').next().unwrap_or_default().to_string(),
            globs: vec!["*".to_string()],
            after: String::new(),
        },
        _ => Tag::Fixed(tag.to_string()),
    }
}
