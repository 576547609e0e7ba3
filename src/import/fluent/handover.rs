//! From drafts to what an import gives: pipelines, the account, diagnostics; includes are read on the way.
//!
//! In: the files that were given, and how a language is parsed and converted. Out: pipelines in the [`Outcome`].
//! Promises: a file that another one includes is not a configuration of its own; no include is read twice in one
//! chain. On failure: a diagnostic with the place; the other files are still converted.

use std::path::{Path, PathBuf};

use super::super::document::{Filter, If, Notes, Part, Pipeline, Step, Table, Todo, Value};
use super::super::fluentd::syntax::{Element, Item, Parameter, SyntaxError};
use super::super::positions::Record;
use super::super::report::{Entry, Report, Verdict};
use super::super::source::{Files, SourceFile};
use super::super::trial::{self, Fault};
use super::super::{Given, Outcome};
use super::draft::{self, Block, Draft};
use super::text::settled;

/// Includes within includes.
const MAX_INCLUDES: usize = 16;
/// Files of one configuration.
const MAX_FILES: usize = 500;

/// How a language is read and converted.
pub struct Configuration {
    /// The items of a file with its number.
    pub parse: fn(&SourceFile, usize) -> Result<Vec<Item>, SyntaxError>,
    /// A draft of the items of these files.
    pub convert: fn(&[Item], &[SourceFile], &dyn Files) -> Draft,
}

/// A file's number, its folder, its items, and the files that they stand in.
type Piece = (usize, Option<PathBuf>, Vec<Item>, Vec<SourceFile>);

struct Reading<'a, 'b> {
    language: &'a Configuration,
    given: &'a Given<'b>,
    files: Vec<SourceFile>,
    included: Vec<PathBuf>,
}

/// Converts all files that were given.
pub fn import_with(language: &Configuration, given: &Given<'_>, outcome: &mut Outcome) {
    let mut included = Vec::new();
    let mut pieces: Vec<Piece> = Vec::new();
    for (number, file) in given.files.iter().enumerate() {
        let mut reading = Reading { language, given, files: Vec::new(), included: Vec::new() };
        let items = reading.file(&file.source, 0, outcome, true);
        included.append(&mut reading.included);
        if let Some(items) = items {
            pieces.push((number, file.folder.clone(), items, reading.files));
        }
    }
    pieces.retain(|(number, ..)| !included.contains(&given.files[*number].source.path));
    // Files that lie in one folder are one configuration, as are those that were named together without sources or
    // outputs of their own.
    let mut all: Vec<(String, Vec<Item>, Vec<SourceFile>)> = Vec::new();
    let mut folder_of_last: Option<PathBuf> = None;
    for (number, folder, items, files) in pieces {
        match all.last_mut() {
            Some((_, known, known_files)) if folder.is_some() && folder == folder_of_last => {
                known.extend(items.into_iter().map(|item| shifted(item, known_files.len())));
                known_files.extend(files);
            }
            _ => {
                let name = match &folder {
                    Some(folder) => {
                        folder.file_name().map(|name| name.to_string_lossy().into_owned())
                    }
                    None => None,
                };
                all.push((name.unwrap_or_else(|| given.files[number].source.stem()), items, files));
            }
        }
        folder_of_last = folder;
    }
    for (name, items, files) in all {
        let draft = (language.convert)(&items, &files, given.around);
        finish(draft, &name, outcome);
    }
}

impl Reading<'_, '_> {
    fn file(
        &mut self,
        file: &SourceFile,
        depth: usize,
        outcome: &mut Outcome,
        reports: bool,
    ) -> Option<Vec<Item>> {
        let number = self.files.len();
        self.files.push(file.clone());
        match (self.language.parse)(file, number) {
            Ok(items) => Some(self.expanded(items, &file.path, depth, outcome)),
            Err(error) => {
                if reports {
                    let mut diagnostic = file.error(error.span.bytes, error.message);
                    if let Some(hint) = error.hint {
                        diagnostic = diagnostic.hint(hint);
                    }
                    outcome.problems.push(diagnostic);
                    outcome.report.broken += 1;
                }
                None
            }
        }
    }

    fn expanded(
        &mut self,
        items: Vec<Item>,
        path: &Path,
        depth: usize,
        outcome: &mut Outcome,
    ) -> Vec<Item> {
        let mut all = Vec::new();
        for item in items {
            match item {
                Item::Include(include) => all.extend(self.include(&include, path, depth, outcome)),
                Item::Element(mut element) => {
                    let body = std::mem::take(&mut element.body);
                    element.body = self.expanded(body, path, depth, outcome);
                    all.push(Item::Element(element));
                }
                parameter @ Item::Parameter(_) => all.push(parameter),
            }
        }
        all
    }

    fn include(
        &mut self,
        include: &Parameter,
        path: &Path,
        depth: usize,
        outcome: &mut Outcome,
    ) -> Vec<Item> {
        let written = settled(&include.value, &mut Vec::new());
        let folder = path.parent().unwrap_or(Path::new(""));
        let pattern = folder.join(&written);
        let mut found = self.given.around.find(&pattern);
        if found.is_empty() && !written.contains('*') {
            // Named by the place where it is installed, and given beside this file.
            let name =
                Path::new(&written).file_name().map(|name| folder.join(name)).unwrap_or_default();
            found = self.given.around.find(&name);
        }
        let mut items = Vec::new();
        let mut any = false;
        for path in found {
            if depth >= MAX_INCLUDES
                || self.files.len() >= MAX_FILES
                || self.files.iter().any(|file| file.path == path)
            {
                continue;
            }
            let Ok(text) = self.given.around.read(&path) else { continue };
            any = true;
            self.included.push(path.clone());
            let is_given = self.given.files.iter().any(|file| file.source.path == path);
            let file = SourceFile::new(path, text);
            items.extend(self.file(&file, depth + 1, outcome, !is_given).unwrap_or_default());
        }
        if !any {
            let origin =
                self.files.get(include.span.file).map(|file| file.origin(include.span.bytes.start));
            let place = origin.map(|origin| format!(" ({origin})")).unwrap_or_default();
            outcome
                .report
                .remarks
                .push(format!("`{written}`{place} is not there: what it holds is not converted"));
        }
        items
    }
}

/// The same item with its files' numbers moved by this many.
fn shifted(item: Item, by: usize) -> Item {
    match item {
        Item::Element(mut element) => {
            element.span.file += by;
            element.body = element.body.into_iter().map(|item| shifted(item, by)).collect();
            Item::Element(Element { ..element })
        }
        Item::Parameter(mut parameter) => {
            parameter.span.file += by;
            Item::Parameter(parameter)
        }
        Item::Include(mut include) => {
            include.span.file += by;
            Item::Include(include)
        }
    }
}

fn finish(draft: Draft, name: &str, outcome: &mut Outcome) {
    let mut pipeline = Pipeline::new(name);
    let report = &mut outcome.report;
    for (name, mut block) in draft.inputs {
        let record = block.get(draft::RECORD).cloned();
        block.entries.retain(|(key, _)| key != draft::RECORD);
        let part = part(name, block, report);
        let input = pipeline.add_input(part);
        if let Some(draft::Value::Text(path)) = record {
            pipeline.records.push(Record { input, path: path.into() });
        }
    }
    for filter in draft.filters {
        pipeline.steps.push(step(filter, report));
    }
    if !draft.journal.entries.is_empty() {
        let journal = part("journal".to_string(), draft.journal, report);
        pipeline.tables.push(("journal".to_string(), journal.notes, journal.settings));
    }
    for (name, block) in draft.outputs {
        let part = part(name, block, report);
        pipeline.add_output(part);
    }
    let mut entries: Vec<Entry> = draft.entries.into_iter().map(|(_, entry)| entry).collect();
    for part in &mut pipeline.inputs {
        let tried = (!part.settings.is_empty()).then(|| part.clone());
        judge(&mut part.notes, tried, trial::input, &mut entries);
    }
    for part in &mut pipeline.outputs {
        let tried = (!part.settings.is_empty()).then(|| part.clone());
        judge(&mut part.notes, tried, trial::output, &mut entries);
    }
    for step in &mut pipeline.steps {
        let tried = (!step.is_silent()).then(|| step.clone());
        let load = |step: &Step| trial::steps(std::slice::from_ref(step));
        judge(step.notes_mut(), tried, load, &mut entries);
    }
    outcome.report.entries.append(&mut entries);
    outcome.pipelines.push(pipeline);
}

/// A part that does not load gets a TODO that says why, unless one stands there; its plugin is then not converted, or,
/// where only a file is missing, differs.
fn judge<P>(
    notes: &mut Notes,
    part: Option<P>,
    tried: impl Fn(&P) -> Option<Fault>,
    entries: &mut [Entry],
) {
    if !notes.todos.is_empty() {
        return;
    }
    let entry = notes.entry.and_then(|number| entries.get_mut(number));
    let (what, instead) = match part.as_ref().and_then(tried) {
        None => return,
        Some(Fault::File(what)) => {
            if let Some(entry) = entry {
                match &mut entry.verdict {
                    Verdict::Differs(all) => all.push(what.clone()),
                    Verdict::NotConvertible { .. } => {}
                    verdict @ Verdict::Converted => {
                        *verdict = Verdict::Differs(vec![what.clone()]);
                    }
                }
            }
            (what, "copy the file here, or change the path")
        }
        Some(Fault::Wrong(what)) => {
            let instead = "mend it with what docs/settings.md lists";
            if let Some(entry) = entry {
                let (reason, instead) = (what.clone(), instead.to_string());
                entry.verdict = Verdict::NotConvertible { reason, instead };
            }
            (what, instead)
        }
    };
    notes.todos.push(Todo { what, instead: instead.to_string(), source: Vec::new() });
}

fn part(name: String, block: Block, report: &mut Report) -> Part {
    let name = if name.is_empty() { "todo".to_string() } else { name };
    Part { notes: block.notes, name, settings: table(block.entries, report) }
}

fn step(filter: draft::Filter, report: &mut Report) -> Step {
    if filter.then.is_empty() {
        let settings = table(filter.block.entries, report);
        return Step::Filter(Filter { notes: filter.block.notes, settings });
    }
    let when = match filter.block.get("when") {
        Some(draft::Value::Text(when)) => when.clone(),
        _ => "true == true".to_string(),
    };
    let then = filter.then.into_iter().map(|inner| step(inner, report)).collect();
    If { notes: filter.block.notes, when, then, otherwise: Vec::new() }.into_step()
}

fn table(entries: Vec<(String, draft::Value)>, report: &mut Report) -> Table {
    Table(entries.into_iter().map(|(key, entry)| (key, value(entry, report))).collect())
}

fn value(value: draft::Value, report: &mut Report) -> Value {
    let list = |items: Vec<draft::Value>, report: &mut Report| {
        items.into_iter().map(|item| self::value(item, report)).collect()
    };
    match value {
        draft::Value::Text(text) => match variables(&text) {
            names if names.is_empty() => Value::Text(text),
            names => {
                for name in names {
                    report
                        .variables
                        .entry(name)
                        .or_insert_with(|| "a variable of the source".to_string());
                }
                Value::Variables(text)
            }
        },
        draft::Value::Integer(number) => Value::Integer(number),
        draft::Value::Float(number) => Value::Float(number),
        draft::Value::Boolean(value) => Value::Bool(value),
        draft::Value::List(items) => Value::List(list(items, report)),
        draft::Value::Table(entries) => Value::Table(table(entries, report)),
    }
}

/// Names of `${NAME}` and `${NAME:-default}` in a text.
fn variables(text: &str) -> Vec<String> {
    let is_name = |name: &&str| {
        !name.is_empty()
            && !name.starts_with(|c: char| c.is_ascii_digit())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    text.split("${")
        .skip(1)
        .filter_map(|rest| rest.split_once('}'))
        .map(|(inner, _)| inner.split(":-").next().unwrap_or_default())
        .filter(is_name)
        .map(str::to_string)
        .collect()
}
