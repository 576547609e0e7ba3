//! Configurations of Logstash.
//!
//! In: files, folders of files that are one pipeline, `pipelines.yml`. Out: pipelines and an account.
//! Promises: every plugin instance is in the account; `if` trees stay trees; what is written was loaded on trial.
//! On failure: a syntax error ends its file; what stands before it, and the other files, are converted.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::conditions::Expression;
use super::document::{Filter, If, Notes, Part, Pipeline, Step, Value as Ours};
use super::report::{Account, Report};
use super::source::{Files, SourceFile};
use super::trial::{self, Fault};
use super::{Given, Outcome};

mod codec;
mod condition;
mod filters;
mod hosts;
mod inputs;
mod kafka;
mod mutate;
mod name_servers;
mod outputs;
mod parser;
mod pipelines;
mod restated;
mod senders;
mod services;
mod specification;
mod syntax;
mod values;

/// Takes `@timestamp` out of what filters remove: here each event has a time.
fn keep_time(steps: &mut Vec<Step>, account: &mut Account) {
    let mut kept = false;
    for step in steps.iter_mut() {
        let Step::Filter(filter) = step else { continue };
        let is_remove = filter.settings.get("type").and_then(Ours::text) == Some("remove");
        for (key, value) in &mut filter.settings.0 {
            let removes = key == "remove_field" || is_remove && key == "fields";
            if let (true, Ours::List(names)) = (removes, value) {
                let before = names.len();
                names.retain(|name| name.text() != Some("@timestamp"));
                kept |= names.len() < before;
            }
        }
        let empty = |value: &Ours| matches!(value, Ours::List(names) if names.is_empty());
        filter.settings.0.retain(|(key, value)| key != "remove_field" || !empty(value));
    }
    if kept {
        account.differs("`@timestamp` stays: each event has a time");
        let nothing = |filter: &Filter| {
            let removes = filter.settings.get("type").and_then(Ours::text) == Some("remove");
            let fields = filter.settings.get("fields");
            removes && matches!(fields, Some(Ours::List(names)) if names.is_empty())
        };
        steps.retain(|step| !matches!(step, Step::Filter(filter) if nothing(filter)));
    }
}

#[cfg(test)]
mod tests;

use syntax::{Arm, At, Branch, Plugin, Room, Section, Statement, Value};

/// Files that make one pipeline.
struct Group {
    name: String,
    files: Vec<Rc<SourceFile>>,
}

/// One pipeline in the making.
struct Translator<'a> {
    pipeline: Pipeline,
    report: &'a mut Report,
    around: &'a dyn Files,
    /// The source uses field names of Logstash 8 (ECS).
    ecs: bool,
    /// The whole text, to see which fields are used.
    text: String,
    /// The folder of the first file.
    folder: PathBuf,
}

/// Converts configurations of Logstash.
pub fn import(given: &Given<'_>, outcome: &mut Outcome) {
    for group in groups(given, outcome) {
        let mut sections: Vec<Section> = Vec::new();
        for file in &group.files {
            let parsed = parser::parse(file);
            if let Some(error) = parsed.error {
                outcome.problems.push(error);
                outcome.report.broken += 1;
            }
            sections.extend(parsed.sections);
        }
        if sections.is_empty() {
            continue;
        }
        let text: String =
            group.files.iter().map(|file| file.text.text.as_str()).collect::<Vec<_>>().join("\n");
        let folder =
            group.files.first().and_then(|file| file.path.parent()).unwrap_or(Path::new(""));
        let mut translator = Translator {
            pipeline: Pipeline::new(&group.name),
            report: &mut outcome.report,
            around: given.around,
            ecs: uses_ecs(&text),
            text,
            folder: folder.to_path_buf(),
        };
        let names: Vec<&str> = group.files.iter().map(|file| file.text.name.as_str()).collect();
        let line = format!("From the Logstash configuration {}.", names.join(", "));
        translator.pipeline.notes = Notes::comments([line]);
        translator.sections(sections);
        outcome.pipelines.push(translator.pipeline);
    }
}

/// Whether a text uses the field names of ECS, which Logstash 8 makes by default.
fn uses_ecs(text: &str) -> bool {
    let signs = [
        "[source][address]",
        "[source][ip]",
        "[http][response]",
        "[url][original]",
        "[user_agent][",
        "[event][original]",
    ];
    signs.iter().any(|sign| text.contains(sign))
        || text
            .split("ecs_compatibility")
            .skip(1)
            .any(|rest| rest.chars().take(10).any(|c| c == 'v'))
}

/// The files as pipelines: those of a folder are one, as are several that are no pipelines by themselves.
fn groups(given: &Given<'_>, outcome: &mut Outcome) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut parts: Vec<Rc<SourceFile>> = Vec::new();
    let mut folders: Vec<PathBuf> = Vec::new();
    for file in &given.files {
        let source = Rc::new(file.source.clone());
        if pipelines::is_pipelines_file(&source) {
            groups.extend(pipelines::groups(&source, given.around, outcome));
        } else if let Some(folder) = &file.folder {
            match folders.iter().position(|known| known == folder) {
                Some(at) => groups[at].files.push(source),
                None => {
                    folders.push(folder.clone());
                    groups.insert(
                        folders.len() - 1,
                        Group { name: folder_name(folder), files: vec![source] },
                    );
                }
            }
        } else if given.files.len() == 1 || is_whole(&source) {
            groups.push(Group { name: source.stem(), files: vec![source] });
        } else {
            parts.push(source);
        }
    }
    if let Some(first) = parts.first() {
        let name = match first.path.parent() {
            Some(folder) if parts.len() > 1 => folder_name(folder),
            _ => first.stem(),
        };
        groups.push(Group { name, files: parts });
    }
    groups
}

/// Whether a file has an input and an output.
fn is_whole(file: &Rc<SourceFile>) -> bool {
    let sections = parser::parse(file).sections;
    let has = |room: Room| sections.iter().any(|s| s.room == room && !s.body.is_empty());
    has(Room::Input) && has(Room::Output)
}

/// A folder's name, unless it says nothing.
fn folder_name(folder: &Path) -> String {
    let name = |path: &Path| path.file_name().map(|n| n.to_string_lossy().into_owned());
    let telling = |name: &String| {
        !["conf.d", "conf", "config", "pipeline", ".", ".."].contains(&name.as_str())
    };
    let own = name(folder).filter(telling);
    let above = folder.parent().and_then(name).filter(telling);
    own.or(above).unwrap_or_else(|| "logstash".to_string())
}

impl Translator<'_> {
    fn sections(&mut self, sections: Vec<Section>) {
        let mut routes = Vec::new();
        for section in sections {
            match section.room {
                Room::Input => self.inputs(&section.body),
                Room::Filter => {
                    let mut steps = self.steps(&section.body);
                    self.pipeline.steps.append(&mut steps);
                }
                Room::Output => routes.push(section.body),
            }
            self.pipeline.end.comments.extend(section.comments);
        }
        for body in routes {
            self.outputs(&body, &Expression::Constant(true), &[]);
        }
        self.name_fields();
    }

    /// Fields that Logstash's own inputs make under other names.
    fn name_fields(&mut self) {
        let tails = self
            .pipeline
            .inputs
            .iter()
            .any(|p| p.settings.get("type").and_then(|v| v.text()) == Some("file"));
        let used = ["[path]", "%{path}", "\"path\" =>", "\"path\",", "'path'"]
            .iter()
            .any(|sign| self.text.contains(sign));
        if tails && used && !self.ecs {
            let copy = crate::import::document::Table::default().with("log.file.path", "path");
            let mut step = Filter::new("copy").with("fields", copy);
            step.notes.comments.push("Logstash's input `file` calls it `path`.".into());
            self.pipeline.steps.insert(0, Step::Filter(step));
        }
    }

    fn inputs(&mut self, body: &[Statement]) {
        for statement in body {
            match statement {
                Statement::Plugin(plugin) => inputs::convert(self, plugin),
                Statement::Branch(branch) => {
                    branch.arms.iter().for_each(|arm| self.inputs(&arm.body));
                }
            }
        }
    }

    fn steps(&mut self, body: &[Statement]) -> Vec<Step> {
        let mut steps = Vec::new();
        for statement in body {
            match statement {
                Statement::Plugin(plugin) => steps.append(&mut filters::convert(self, plugin)),
                Statement::Branch(branch) => steps.push(self.branch(&branch.arms, &branch.at)),
            }
        }
        steps
    }

    /// A conditional; `else if` is an `if` in the `else`.
    fn branch(&mut self, arms: &[Arm], at: &At) -> Step {
        let Some((first, rest)) = arms.split_first() else { return Step::notes(Notes::default()) };
        let mut notes = Notes::comments(first.comments.clone());
        let when = self.condition(first, at, &mut notes);
        let mut then = self.steps(&first.body);
        if !first.end.is_empty() {
            then.push(Step::notes(Notes::comments(first.end.clone())));
        }
        let otherwise = match rest.first() {
            None => Vec::new(),
            Some(arm) if arm.test.is_none() => {
                let mut steps = self.steps(&arm.body);
                if let Some(first) = steps.first_mut() {
                    first.notes_mut().comments.splice(0..0, arm.comments.clone());
                }
                if !arm.end.is_empty() {
                    steps.push(Step::notes(Notes::comments(arm.end.clone())));
                }
                steps
            }
            Some(_) => vec![self.branch(rest, at)],
        };
        If { notes, when, then, otherwise }.into_step()
    }

    /// The text of a condition; one that cannot be said never holds, with a TODO.
    fn condition(&mut self, arm: &Arm, at: &At, notes: &mut Notes) -> String {
        let Some(test) = &arm.test else { return "true".to_string() };
        match condition::expression(test).and_then(|expression| expression.print()) {
            Ok(text) => text,
            Err(why) => {
                self.condition_missing(&arm.written, at, why, notes);
                "false".to_string()
            }
        }
    }

    fn condition_missing(&mut self, written: &str, at: &At, why: String, notes: &mut Notes) {
        let origin = at.file.origin(at.span.start);
        let mut account = Account::new(origin, "condition", "if", &format!("if {written}"));
        account
            .missing(why, "write the condition with what docs/settings.md lists under Conditions");
        notes.append(account.close(self.report, Vec::new()));
    }

    /// Outputs; `held`: what the conditionals around them ask.
    fn outputs(&mut self, body: &[Statement], held: &Expression, comments: &[String]) {
        let mut above: Vec<String> = comments.to_vec();
        for statement in body {
            match statement {
                Statement::Plugin(plugin) => {
                    outputs::convert(self, plugin, held, std::mem::take(&mut above));
                }
                Statement::Branch(branch) => {
                    self.output_branch(branch, held, &std::mem::take(&mut above));
                }
            }
        }
    }

    fn output_branch(&mut self, branch: &Branch, held: &Expression, comments: &[String]) {
        let mut before: Vec<Expression> = vec![held.clone()];
        for (number, arm) in branch.arms.iter().enumerate() {
            let own = match &arm.test {
                None => Expression::Constant(true),
                Some(test) => match condition::expression(test) {
                    Ok(expression) => expression,
                    Err(why) => {
                        let mut notes = Notes::default();
                        self.condition_missing(&arm.written, &branch.at, why, &mut notes);
                        self.pipeline.outputs.push(Part { notes, ..Part::default() });
                        Expression::Constant(false)
                    }
                },
            };
            let mut all = before.clone();
            all.push(own.clone());
            let mut above = if number == 0 { comments.to_vec() } else { Vec::new() };
            above.extend(arm.comments.clone());
            self.outputs(&arm.body, &Expression::all(all), &above);
            before.push(own.negated());
        }
    }

    /// Begins the account of a plugin.
    fn account(&self, room: &str, plugin: &Plugin) -> Account {
        let origin = plugin.at.file.origin(plugin.at.span.start);
        let text = plugin.at.file.excerpt(plugin.at.span.clone());
        Account::new(origin, room, &plugin.name, &masked(&text, plugin))
    }

    /// Ends the account of filters: tried first; what does not load becomes a TODO.
    fn finish_steps(
        &mut self,
        mut account: Account,
        mut steps: Vec<Step>,
        comments: Vec<String>,
    ) -> Vec<Step> {
        if !account.is_missing() {
            keep_time(&mut steps, &mut account);
            judge(&mut account, trial::steps(&steps));
        }
        if account.is_missing() {
            steps.clear();
        }
        let notes = account.close(self.report, comments);
        match steps.first_mut() {
            None if notes.is_empty() => {}
            None => steps.push(Step::notes(notes)),
            Some(first) => {
                let own = std::mem::replace(first.notes_mut(), notes);
                first.notes_mut().append(own);
            }
        }
        steps
    }
}

/// Takes note of what the loader says.
fn judge(account: &mut Account, fault: Option<Fault>) {
    match fault {
        None => {}
        Some(Fault::File(what)) => account.needs(what, "copy the file here, or change the path"),
        Some(Fault::Wrong(what)) if what.contains("no pattern is named") => {
            account.needs(
                what,
                "write the pattern into `definitions`, or its file into `definition_files`",
            );
        }
        Some(Fault::Wrong(what)) => {
            account.missing(what, "write it with what docs/settings.md lists");
        }
    }
}

/// A source's text without its secrets.
fn masked(text: &str, plugin: &Plugin) -> String {
    let mut secrets = Vec::new();
    plugin.settings.iter().for_each(|(name, value)| collect_secrets(name, value, &mut secrets));
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    secrets.iter().fold(text.to_string(), |text, secret| text.replace(secret.as_str(), "***"))
}

fn collect_secrets(name: &str, value: &Value, secrets: &mut Vec<String>) {
    const WORDS: [&str; 12] = [
        "password",
        "passphrase",
        "secret",
        "token",
        "api_key",
        "apikey",
        "access_key",
        "cloud_auth",
        "jaas",
        "authorization",
        "webhook",
        "credential",
    ];
    let lower = name.to_lowercase();
    match value {
        Value::Text(text) | Value::Bare(text) => {
            let secret = WORDS.iter().any(|word| lower.contains(word)) && !text.contains("${");
            // An address may hold a login.
            let login = text.split("://").nth(1).and_then(|rest| rest.split('/').next());
            let login =
                login.and_then(|host| host.rsplit_once('@')).map(|(login, _)| login.to_string());
            secrets.extend(
                login.into_iter().chain(secret.then(|| text.clone())).filter(|s| !s.is_empty()),
            );
        }
        Value::List(items) => items.iter().for_each(|item| collect_secrets(name, item, secrets)),
        Value::Hash(entries) => {
            for (name, value) in entries {
                collect_secrets(name, value, secrets);
            }
        }
        Value::Plugin(plugin) => {
            plugin.settings.iter().for_each(|(name, value)| collect_secrets(name, value, secrets));
        }
    }
}
