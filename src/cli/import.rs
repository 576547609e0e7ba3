//! `logweir import`: another agent's configuration becomes pipelines.
//!
//! In: files and folders. Out: pipeline files in a folder, or their text; the account of every plugin instance.
//! Promises: exit code 0: all converted, 2: with differences that are named, 3: something is left to do, 1: nothing
//! could be read; a file that exists is not overwritten unless told. On failure: diagnostics, and the rest is done.

use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::{FAILED, USAGE, say};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::import::document::{Table, Value};
use crate::import::positions::{self, Adopted};
use crate::import::source::{Files, SourceFile};
use crate::import::{Given, GivenFile, Language, Outcome, import};
use crate::input::adopted_head;

/// `logweir import`.
#[derive(Args)]
#[command(
    after_help = "Exit codes: 0 all converted, 2 converted with differences (each is named), 3 something is left \
                        to do (a TODO stands there), 1 nothing could be read"
)]
pub(super) struct ImportArguments {
    /// Whose configuration it is
    #[arg(value_enum)]
    language: LanguageName,
    /// Configuration files, or folders of them
    #[arg(required = true, value_name = "FILE")]
    paths: Vec<PathBuf>,
    /// Where the pipeline files go [default: their text goes to standard output]
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Print the account as one JSON object (with -o; without it, instead of the pipelines)
    #[arg(long)]
    json: bool,
    /// Overwrite pipeline files that exist
    #[arg(long)]
    force: bool,
    /// Go on reading files where the old agent stopped: stop it first (needs -o)
    #[arg(long)]
    adopt_positions: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LanguageName {
    Logstash,
    Fluentd,
    FluentBit,
}

/// The files of this machine.
struct Disk;

impl Files for Disk {
    fn read(&self, path: &Path) -> io::Result<String> {
        Ok(String::from_utf8_lossy(&std::fs::read(path)?).into_owned())
    }

    fn read_bytes(&self, path: &Path) -> io::Result<Vec<u8>> {
        std::fs::read(path)
    }

    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }

    fn find(&self, pattern: &Path) -> Vec<PathBuf> {
        if pattern.is_dir() {
            return files_of(pattern).unwrap_or_default();
        }
        let found = glob::glob(&pattern.to_string_lossy());
        let mut paths: Vec<PathBuf> =
            found.into_iter().flatten().flatten().filter(|p| p.is_file()).collect();
        paths.sort();
        paths
    }
}

/// Does what the arguments say.
pub(super) fn run(arguments: &ImportArguments) -> u8 {
    if arguments.adopt_positions && arguments.output.is_none() {
        let hint = "give the folder for the pipelines and the lists of positions: -o DIR";
        eprint!("{}", Diagnostic::error("--adopt-positions needs -o").hint(hint));
        return USAGE;
    }
    let language = match arguments.language {
        LanguageName::Logstash => Language::Logstash,
        LanguageName::Fluentd => Language::Fluentd,
        LanguageName::FluentBit => Language::FluentBit,
    };
    let mut problems = Diagnostics::default();
    let files = given(language, &arguments.paths, &mut problems);
    let unreadable = problems.error_count();
    let mut outcome = import(language, Given { files, around: &Disk });
    outcome.report.broken += unreadable;
    problems.0.append(&mut outcome.problems.0);
    eprint!("{problems}");
    if outcome.pipelines.is_empty()
        && outcome.report.entries.is_empty()
        && outcome.report.broken > 0
    {
        if arguments.json {
            say(outcome.report.json(&[]));
        }
        return FAILED;
    }
    let lists = if arguments.adopt_positions { adopt(language, &mut outcome) } else { Vec::new() };
    let written = match &arguments.output {
        Some(folder) => match write(folder, &outcome, &lists, arguments.force) {
            Ok(written) => written,
            Err(code) => return code,
        },
        None => {
            if !arguments.json {
                print(&outcome);
            }
            Vec::new()
        }
    };
    if arguments.json {
        say(outcome.report.json(&written));
    } else {
        for path in &written {
            eprintln!("wrote    {path}");
        }
        eprint!("{}", outcome.report.table());
    }
    outcome.report.exit_code()
}

/// The files that the paths name.
fn given(language: Language, paths: &[PathBuf], problems: &mut Diagnostics) -> Vec<GivenFile> {
    let mut given = Vec::new();
    for path in paths {
        let (files, folder) = if path.is_dir() {
            let of_language = |file: &PathBuf| is_configuration(language, file);
            match files_of(path) {
                Ok(files) => (files.into_iter().filter(of_language).collect(), Some(path.clone())),
                Err(why) => {
                    let message = format!("cannot read the folder `{}`", path.display());
                    problems.push(Diagnostic::error(message).because(why));
                    continue;
                }
            }
        } else {
            (vec![path.clone()], None)
        };
        if files.is_empty() {
            let message = format!("the folder `{}` holds no configuration file", path.display());
            problems.push(Diagnostic::error(message).hint("give the files themselves"));
        }
        for file in files {
            match Disk.read(&file) {
                Ok(text) => given.push(GivenFile {
                    source: SourceFile::new(file, text),
                    folder: folder.clone(),
                }),
                Err(why) => {
                    let message = format!("cannot read `{}`", file.display());
                    let hint = "give the path of a configuration file or of a folder of them";
                    problems.push(Diagnostic::error(message).because(why).hint(hint));
                }
            }
        }
    }
    given
}

/// Whether a file of a folder is a part of its configuration.
fn is_configuration(language: Language, file: &Path) -> bool {
    let extension =
        file.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default();
    let yaml = extension == "yaml" || extension == "yml";
    extension == "conf"
        || extension == "config"
        || extension == "cfg"
        || (yaml && language != Language::Logstash)
        || file.file_name().is_some_and(|name| name == "pipelines.yml")
}

/// The files that lie in a folder, sorted, without hidden ones.
fn files_of(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder)?.flatten().map(|entry| entry.path()).collect();
    let hidden =
        |path: &PathBuf| path.file_name().is_some_and(|n| n.to_string_lossy().starts_with('.'));
    files.retain(|path| path.is_file() && !hidden(path));
    files.sort();
    Ok(files)
}

fn print(outcome: &Outcome) {
    for (number, pipeline) in outcome.pipelines.iter().enumerate() {
        if outcome.pipelines.len() > 1 {
            let line = if number > 0 { "\n" } else { "" };
            say(format!("{line}# ---- {}.toml", pipeline.name));
        }
        say(pipeline.print().trim_end());
    }
}

/// Writes the pipelines into a folder; gives their paths.
fn write(
    folder: &Path,
    outcome: &Outcome,
    lists: &[(String, String)],
    force: bool,
) -> Result<Vec<String>, u8> {
    let failed = |what: String, why: &io::Error| {
        eprint!("{}", Diagnostic::error(what).because(why));
        FAILED
    };
    let paths: Vec<PathBuf> =
        outcome.pipelines.iter().map(|p| folder.join(format!("{}.toml", p.name))).collect();
    let present: Vec<&PathBuf> = paths.iter().filter(|path| path.exists()).collect();
    if let Some(first) = present.first().filter(|_| !force) {
        let message = format!("`{}` is there already: nothing was written", first.display());
        eprint!(
            "{}",
            Diagnostic::error(message).hint("give another folder, or --force to overwrite")
        );
        return Err(USAGE);
    }
    std::fs::create_dir_all(folder)
        .map_err(|why| failed(format!("cannot make the folder `{}`", folder.display()), &why))?;
    let mut written = Vec::new();
    for (pipeline, path) in outcome.pipelines.iter().zip(&paths) {
        std::fs::write(path, pipeline.print())
            .map_err(|why| failed(format!("cannot write `{}`", path.display()), &why))?;
        written.push(path.display().to_string());
    }
    for (name, list) in lists {
        let path = folder.join(name);
        std::fs::write(&path, list)
            .map_err(|why| failed(format!("cannot write `{}`", path.display()), &why))?;
        eprintln!("wrote    {}", path.display());
    }
    Ok(written)
}

/// Lists of positions, by file name; the inputs that have one get `adopt`.
fn adopt(language: Language, outcome: &mut Outcome) -> Vec<(String, String)> {
    let mut lists = Vec::new();
    for pipeline in &mut outcome.pipelines {
        let name = format!("{}.positions.json", pipeline.name);
        let mut all = Vec::new();
        for record in &pipeline.records {
            let shown = record.path.display();
            let (files, wrong) = match positions::read(language, &record.path, &Disk) {
                Ok(read) => read,
                Err(why) => {
                    outcome.report.remarks.push(format!(
                        "the positions `{shown}` of the input `{}` cannot be read: {why}; its files are read as its \
                         `start_at` says",
                        record.input
                    ));
                    continue;
                }
            };
            if wrong > 0 {
                outcome.report.remarks.push(format!("{wrong} lines of `{shown}` are no positions"));
            }
            let Some(part) = pipeline.inputs.iter_mut().find(|part| part.name == record.input)
            else {
                continue;
            };
            let paths = globs_of(&part.settings);
            let before = all.len();
            for file in files {
                match found(&file, &paths) {
                    Ok(entry) => all.push(entry),
                    Err(why) => outcome.report.remarks.push(why),
                }
            }
            if all.len() > before {
                part.settings.set("adopt", name.as_str());
            }
        }
        if !all.is_empty() {
            outcome.report.remarks.push(format!(
                "{name}: reading of {} files goes on where it stopped; start logweir only when the old agent has \
                 stopped, or import again",
                all.len()
            ));
            lists.push((name, format!("{:#}\n", serde_json::Value::from(all))));
        }
    }
    lists
}

/// The `paths` of an input.
fn globs_of(settings: &Table) -> Vec<String> {
    match settings.get("paths") {
        Some(Value::List(items)) => {
            items.iter().filter_map(Value::text).map(str::to_string).collect()
        }
        _ => Vec::new(),
    }
}

/// The entry of a file that the old agent was reading; `Err`: why there is none.
fn found(file: &Adopted, globs: &[String]) -> Result<serde_json::Value, String> {
    use std::os::unix::fs::{FileExt as _, MetadataExt as _};
    let is_it = |path: &PathBuf| std::fs::metadata(path).is_ok_and(|m| m.ino() == file.inode);
    let shown = file.path.as_ref().map_or_else(
        || format!("the file with inode {}", file.inode),
        |path| format!("`{}`", path.display()),
    );
    let named = file.path.clone().filter(&is_it);
    let matching = || globs.iter().flat_map(|glob| Disk.find(Path::new(glob))).find(&is_it);
    let path = named.or_else(matching).ok_or_else(|| {
        format!(
            "{shown} is not there any more, or was rotated to a name that the input does not read"
        )
    })?;
    let open = std::fs::File::open(&path).and_then(|file| Ok((file.metadata()?.len(), file)));
    let (size, opened) = open.map_err(|why| format!("{shown} cannot be read: {why}"))?;
    if size < file.offset {
        return Err(format!(
            "{shown} is shorter than what was read of it: it is read from its start"
        ));
    }
    let mut read = |bytes: &mut [u8], offset| opened.read_at(bytes, offset);
    let head = adopted_head(&mut read, file.offset);
    let head = head.map_err(|why| format!("{shown} cannot be read: {why}"))?;
    Ok(serde_json::json!({
        "path": path, "inode": file.inode, "offset": file.offset, "head": head,
    }))
}
