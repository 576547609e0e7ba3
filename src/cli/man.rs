//! `logweir man DIR`: manual pages and completion scripts, for those who build packages.
//!
//! In: the command line as `--help` knows it. Out: `logweir.1`, one `logweir-COMMAND.1` for each command and its own
//! commands, and the completion scripts of bash, zsh and fish. Promises: the same bytes for the same program. On
//! failure: exit code 1 and the file that cannot be written.

use std::io;
use std::path::Path;

use clap::{Command, CommandFactory as _};
use clap_complete::Shell;
use clap_mangen::Man;

use super::{Arguments, FAILED, OK};
use crate::diagnostic::Diagnostic;

/// What `--help` does not say, in man(7).
const MORE: &str = r#".SH "EXIT STATUS"
.TP
0
Done, or stopped as asked.
.TP
1
Failed at run time, or a test failed.
.TP
64
The command line is wrong.
.TP
78
The configuration is wrong.
.SH SIGNALS
.TP
HUP
Reads the pipelines again; only what changed restarts, and a file with mistakes leaves the old one running.
.TP
TERM, INT
Hands on what was read, for at most ten seconds, and ends; a second one ends at once. Neither loses anything.
.SH ENVIRONMENT
.TP
LOGWEIR_LOG, LOGWEIR_MEMORY_MAX
As the options \-\-log\-level and \-\-memory\-max of logweir\-run(1).
.TP
LOGWEIR_HOST_NAME
The value of host.name instead of the machine's name.
.TP
STATE_DIRECTORY
Where journals live, when \-\-data\-dir is not given; set by systemd.
.SH FILES
.TP
/etc/logweir/pipelines/*.toml
One pipeline each.
.TP
/etc/logweir/environment
KEY=value lines for ${KEY} in pipelines.
.TP
/etc/logweir/secrets/NAME
Secrets for { file = "${CREDENTIALS_DIRECTORY}/secret_NAME" } in pipelines.
.TP
/var/lib/logweir
Journals, with the positions of all inputs, and dead letters.
"#;

pub(super) fn run(folder: &Path) -> u8 {
    match write_all(folder) {
        Ok(()) => OK,
        Err(problem) => {
            eprint!("{problem}");
            FAILED
        }
    }
}

fn write_all(folder: &Path) -> Result<(), Diagnostic> {
    let mut command = Arguments::command().disable_help_subcommand(true);
    command.build();
    write_pages(folder, &command, "logweir")?;
    let scripts =
        [(Shell::Bash, "logweir.bash"), (Shell::Zsh, "_logweir"), (Shell::Fish, "logweir.fish")];
    for (shell, name) in scripts {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut Arguments::command(), "logweir", &mut script);
        write(folder, name, &script)?;
    }
    Ok(())
}

/// The page of a command, and those of its own commands.
fn write_pages(folder: &Path, command: &Command, name: &str) -> Result<(), Diagnostic> {
    let named = command.clone().display_name(name).disable_help_subcommand(true);
    let source = concat!("logweir ", env!("CARGO_PKG_VERSION"));
    let mut page = rendered(&Man::new(named).title(name).source(source))?;
    if name == "logweir" {
        page.extend_from_slice(MORE.as_bytes());
    }
    write(folder, &format!("{name}.1"), &page)?;
    let subs = command.get_subcommands().filter(|sub| !sub.is_hide_set());
    for sub in subs.filter(|sub| sub.get_name() != "help") {
        write_pages(folder, sub, &format!("{name}-{}", sub.get_name()))?;
    }
    Ok(())
}

fn rendered(man: &Man) -> Result<Vec<u8>, Diagnostic> {
    let mut page = Vec::new();
    man.render(&mut page).map_err(|why| failed(Path::new("a manual page"), &why))?;
    Ok(page)
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> Result<(), Diagnostic> {
    let path = folder.join(name);
    std::fs::write(&path, bytes).map_err(|why| failed(&path, &why))
}

fn failed(path: &Path, why: &io::Error) -> Diagnostic {
    Diagnostic::error(format!("cannot write `{}`", path.display()))
        .because(why)
        .hint("give a folder that is there and that you may write")
}
