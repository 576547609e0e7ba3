//! TOML to a plan, all errors at once.
//!
//! Is: the one reading of pipeline files, for `run`, `check`, `try` and `test` alike. In: paths. Out: plans.
//! Promises: every problem of every file is reported in one go; what is accepted here starts (but for ports and
//! servers, which can only be tried then). On failure: diagnostics with file, line, column and hint; no plan.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::clock::SharedClock;
use crate::condition::Condition;
use crate::decode::{self, Codec};
use crate::diagnostic::{Diagnostic, Diagnostics, SourceText, did_you_mean};
use crate::event::{Key, Keys, Literal};
use crate::filter::{ChainPlan, FilterLoad, States, leak};
use crate::input::{self, Input, InputLoad};
use crate::journal;
use crate::limits;
use crate::metrics::Metrics;
use crate::output::{self, Output, OutputLoad};
use crate::settings::{Document, Environment, Section, Spanned};

mod files;
mod tests_section;
mod watched;

pub use files::find_files;
pub use tests_section::{Expectation, TestCase};
pub use watched::{WatchedEnvironment, WatchedFiles};

/// One pipeline, checked and ready to start.
pub struct Plan {
    /// Its name: the file's name without `.toml`.
    pub name: String,
    /// The file.
    pub source: Arc<SourceText>,
    /// Stands for the contents of the secrets, certificates and other files that it names.
    pub files: u64,
    /// Names that the configuration mentions.
    pub keys: Arc<Keys>,
    /// Its inputs, by name.
    pub inputs: Vec<InputPlan>,
    /// Its filters.
    pub chain: ChainPlan,
    /// Its outputs, by name.
    pub outputs: Vec<OutputPlan>,
    /// Its journal.
    pub journal: journal::Settings,
    /// Bytes that the store of dead letters holds at most.
    pub dead_letters_bytes: u64,
    /// Threads that decode, filter and encode.
    pub workers: usize,
    /// The tests written in it.
    pub tests: Vec<TestCase>,
}

/// An input and its codec.
pub struct InputPlan {
    /// `inputs.NAME`.
    pub name: String,
    /// The input.
    pub input: Box<dyn Input>,
    /// How its bytes become events.
    pub codec: Codec,
    /// Fields that its events get.
    pub fields: Vec<(Key, Literal)>,
}

/// An output and who gets to it.
pub struct OutputPlan {
    /// `outputs.NAME`.
    pub name: String,
    /// The output.
    pub output: Box<dyn Output>,
    /// Which events it gets.
    pub when: Option<Condition>,
    /// Whether it holds the journal (and acknowledgements) until it has everything.
    pub required: bool,
    /// Bytes that a best-effort output may lag behind.
    pub max_lag: Option<u64>,
}

/// What loading needs from outside.
#[derive(Clone)]
pub struct Surroundings {
    /// Variables and secret files.
    pub environment: Arc<dyn Environment>,
    /// Time.
    pub clock: SharedClock,
    /// Metrics of the process.
    pub metrics: Metrics,
    /// Value of `host.name`.
    pub host_name: String,
}

/// Reads all pipelines of the paths (files, or folders of `*.toml`).
pub fn load(paths: &[PathBuf], around: &Surroundings) -> (Vec<Plan>, Diagnostics) {
    let mut problems = Diagnostics::default();
    let mut plans: Vec<Plan> = Vec::new();
    for path in find_files(paths, &mut problems) {
        let Some(plan) = load_file(&path, around, &mut problems) else { continue };
        if plans.iter().any(|other| other.name == plan.name) {
            let message = format!("two pipelines are named `{}`", plan.name);
            let hint = "a pipeline's name is its file's name; rename one of the files";
            problems.push(Diagnostic::error(message).at(&plan.source, 0..0).hint(hint));
        }
        plans.push(plan);
    }
    (plans, problems)
}

/// Reads one pipeline file.
pub fn load_file(path: &Path, around: &Surroundings, problems: &mut Diagnostics) -> Option<Plan> {
    let name = path.display().to_string();
    match around.environment.read_file(path) {
        Ok(text) => load_text(&name, text, path, around, problems),
        Err(why) => {
            let hint = "give the path of a pipeline file or of a folder with pipeline files";
            let message = format!("cannot read the pipeline file `{name}`");
            problems.push(Diagnostic::error(message).because(why).hint(hint));
            None
        }
    }
}

/// Reads the text of a pipeline file; `path` gives the pipeline's name and the folder of its relative paths.
pub fn load_text(
    name: &str,
    text: String,
    path: &Path,
    around: &Surroundings,
    problems: &mut Diagnostics,
) -> Option<Plan> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let (before, known) = (problems.error_count(), problems.0.len());
    let document = Document::parse(name, text, folder, Arc::clone(&around.environment), problems);
    if problems.error_count() > before {
        // What a broken text seems to say would only add noise to the syntax errors.
        return None;
    }
    let found = RefCell::new(std::mem::take(problems));
    let pipeline = path.file_stem().map_or("pipeline".into(), |s| s.to_string_lossy().into_owned());
    let plan = load_root(&pipeline, &Section::root(&document, &found), around);
    *problems = found.into_inner();
    problems.sort_from(known);
    if problems.error_count() > before { None } else { plan }
}

fn load_root(name: &str, root: &Section<'_>, around: &Surroundings) -> Option<Plan> {
    let mut keys = Keys::default();
    let metrics = around.metrics.with("pipeline", name);
    let inputs = load_inputs(root, around, &mut keys);
    let states = States::default();
    let mut filters =
        FilterLoad { keys: &mut keys, clock: &around.clock, metrics: &metrics, states: &states };
    let chain = ChainPlan::load(root, "filters", &mut filters);
    leak::check(root, "filters");
    let outputs = load_outputs(root, &mut keys);
    let journal_section = root.section("journal");
    let journal = journal::Settings::load(journal_section.as_ref());
    if let Some(section) = journal_section {
        section.finish();
    }
    let dead_letters_bytes =
        root.section("dead_letters").map_or(limits::DEAD_LETTER_BYTES_MAX, |table| {
            let bytes = table.bytes_or("max_size", limits::DEAD_LETTER_BYTES_MAX);
            if bytes < limits::DEAD_LETTER_BYTES_LEAST {
                let message = format!("`max_size` is {bytes} bytes, but must be at least 1MiB");
                table.error(table.span_of("max_size"), message, None);
            }
            table.finish();
            bytes
        });
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let workers = cores.min(limits::WORKERS_MAX) as i64;
    let workers = root.integer_or("workers", workers, 1..65) as usize;
    let tests = tests_section::load(root, &inputs, &outputs, &mut keys);
    check_whole(root, &inputs, &outputs);
    let (source, files) = (Arc::clone(root.source()), root.read_so_far());
    root.finish_ref();
    let keys = Arc::new(keys);
    let name = name.to_string();
    Some(Plan {
        name,
        source,
        files,
        keys,
        inputs,
        chain,
        outputs,
        journal,
        dead_letters_bytes,
        workers,
        tests,
    })
}

fn check_whole(root: &Section<'_>, inputs: &[InputPlan], outputs: &[OutputPlan]) {
    if inputs.is_empty() && root.named_sections("inputs").is_empty() {
        let hint = "add for example:\n\n    [inputs.app]\n    type = \"file\"\n    paths = [\"/var/log/app/*.log\"]";
        root.error(0..0, "the pipeline has no input", Some(hint.to_string()));
    }
    if outputs.is_empty() && root.named_sections("outputs").is_empty() {
        let hint = "add for example:\n\n    [outputs.screen]\n    type = \"stdout\"";
        root.error(0..0, "the pipeline has no output", Some(hint.to_string()));
    }
    if outputs.len() > limits::OUTPUTS_MAX {
        let message = format!(
            "{} outputs, but a pipeline has at most {}",
            outputs.len(),
            limits::OUTPUTS_MAX
        );
        root.error(0..0, message, Some("split the pipeline into two files".to_string()));
    }
}

/// The entry of a table of kinds that a section's `type` names.
fn kind<T: Copy>(section: &Section<'_>, what: &str, kinds: &[(&str, T)]) -> Option<T> {
    let example = kinds.first().map_or(String::new(), |(name, _)| format!("\"{name}\""));
    let word = section.required_string("type", &example)?;
    named(section, what, &word, kinds)
}

fn named<T: Copy>(
    section: &Section<'_>,
    what: &str,
    word: &Spanned<String>,
    kinds: &[(&str, T)],
) -> Option<T> {
    if let Some((_, load)) = kinds.iter().find(|(name, _)| *name == word.value) {
        return Some(*load);
    }
    let names: Vec<&str> = kinds.iter().map(|(name, _)| *name).collect();
    let hint = match did_you_mean(word, names.iter().copied()) {
        Some(nearest) => format!("did you mean \"{nearest}\"?"),
        None => format!("there are: {}", names.join(", ")),
    };
    section.error(word.span.clone(), format!("unknown {what} `{}`", word.value), Some(hint));
    None
}

fn load_inputs(root: &Section<'_>, around: &Surroundings, keys: &mut Keys) -> Vec<InputPlan> {
    let mut inputs = Vec::new();
    for (name, section) in root.named_sections("inputs") {
        let load = kind(&section, "input type", input::KINDS);
        let default = section.string("type").map_or("plain", |kind| input::usual_codec(&kind));
        let codec = load_codec(&section, default, keys);
        let mut fields = vec![host_field(&around.host_name)];
        fields.extend(configured_fields(&section, keys));
        let Some(load) = load else { continue };
        let mut needs = InputLoad { name: &name, keys, fields: fields.clone(), probe: false };
        let input = load(&section, &mut needs);
        section.finish();
        if let (Some(input), Some(codec)) = (input, codec) {
            inputs.push(InputPlan { name: name.value, input, codec, fields });
        }
    }
    inputs
}

fn host_field(name: &str) -> (Key, Literal) {
    (Key::HOST, Literal::Object(vec![("name".into(), Literal::Str(name.into()))]))
}

/// `fields = { service = "x" }` of an input.
fn configured_fields(section: &Section<'_>, keys: &mut Keys) -> Vec<(Key, Literal)> {
    let mut fields = Vec::new();
    for (name, item) in section.entries("fields").unwrap_or_default() {
        let literal = match &item.literal {
            crate::settings::Literal::String(text) => {
                section.expand(text, &item.span).map(|t| Literal::Str(t.value))
            }
            other => Literal::from_setting(other),
        };
        match literal {
            Some(literal) => fields.push((keys.intern(&name.value), literal)),
            // What is wrong with a text was said when it was read.
            None if matches!(item.literal, crate::settings::Literal::String(_)) => {}
            None => {
                let message =
                    format!("`fields.{}` must be text, a number, true or false", name.value);
                section.error(item.span.clone(), message, None);
            }
        }
    }
    fields
}

/// `codec = "json"` or `codec = { type = "multiline", … }`.
fn load_codec(section: &Section<'_>, default: &str, keys: &mut Keys) -> Option<Codec> {
    use crate::settings::Literal as Setting;
    if !matches!(section.item("codec").map(|i| &i.literal), Some(Setting::Table(_))) {
        let word = section.string_or("codec", default);
        let load = named(section, "codec", &word, decode::KINDS)?;
        return load(section, keys);
    }
    let table = section.section("codec")?;
    let codec = kind(&table, "codec", decode::KINDS).and_then(|load| load(&table, keys));
    table.finish();
    codec
}

fn load_outputs(root: &Section<'_>, keys: &mut Keys) -> Vec<OutputPlan> {
    let mut outputs = Vec::new();
    for (name, section) in root.named_sections("outputs") {
        let load = kind(&section, "output type", output::KINDS);
        let gated = section.has("when");
        let when = Condition::load(&section, "when", keys);
        let Some(load) = load else { continue };
        let output = load(&section, &mut OutputLoad { name: &name, keys });
        let by_default = output.as_ref().is_some_and(|o| o.best_effort_by_default());
        let best_effort = section.bool_or("best_effort", by_default);
        let lag = section.bytes_or("max_lag", limits::BEST_EFFORT_LAG_BYTES);
        let max_lag = best_effort.then_some(lag);
        section.finish();
        // A condition with an error was reported; without it the output would silently get everything.
        if let Some(output) = output.filter(|_| when.is_some() || !gated) {
            outputs.push(OutputPlan {
                name: name.value,
                output,
                when,
                required: !best_effort,
                max_lag,
            });
        }
    }
    outputs
}
