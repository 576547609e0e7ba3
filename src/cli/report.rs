//! `logweir report`: what logs say about the service that wrote them.
//!
//! In: log files, or the documents of a cluster. Out: a text with small charts, JSON, or one HTML page. Promises:
//! files are only read, by as many threads as there are cores; memory does not grow with them. On failure: the file
//! or server that cannot be read is named, and nothing is reported.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;

use super::progress::Progress;
use super::{FAILED, OK, USAGE};
use crate::clock;
use crate::diagnostic::Diagnostic;
use crate::report::cluster::{self, Question};
use crate::report::{Gather, Report};
use crate::settings::{Secret, parse_duration};
use crate::storage;

mod chart;
mod object;
mod page;
mod sheet;
mod source;

/// `logweir report`.
#[derive(Args)]
pub(super) struct ReportArguments {
    /// Log files, also .gz; "-" is standard input. Lines may be JSON (as the application or Elasticsearch writes
    /// it), an access log in the common or combined format, or "[time] LEVEL text"
    #[arg(required_unless_present = "elasticsearch", conflicts_with = "elasticsearch")]
    files: Vec<PathBuf>,
    /// Read the documents of this cluster instead, such as http://localhost:9200
    #[arg(long, value_name = "URL")]
    elasticsearch: Option<reqwest::Url>,
    /// Which of its indices
    #[arg(long, value_name = "PATTERN", default_value = "logs-*", requires = "elasticsearch")]
    index: String,
    /// Only documents that are not older, such as 24h
    #[arg(long, value_name = "DURATION", requires = "elasticsearch", value_parser = duration)]
    since: Option<std::time::Duration>,
    /// The user; the password is taken from LOGWEIR_ELASTICSEARCH_PASSWORD
    #[arg(long, value_name = "NAME", requires = "elasticsearch")]
    user: Option<String>,
    /// One JSON object
    #[arg(long, conflicts_with = "html")]
    json: bool,
    /// One HTML page that needs nothing else
    #[arg(long)]
    html: bool,
    /// Write to a file instead of standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Rows of each table
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
    top: u16,
}

fn duration(text: &str) -> Result<std::time::Duration, String> {
    parse_duration(text).ok_or_else(|| "write a duration such as 90m, 24h or 7d".to_string())
}

pub(super) fn run(arguments: &ReportArguments) -> u8 {
    let (gathered, name) = match &arguments.elasticsearch {
        Some(url) => (from_cluster(url, arguments), shown(url)),
        None => (source::gather(&arguments.files, &storage::disk()), names(&arguments.files)),
    };
    let report = match gathered {
        Ok(gather) => gather.finish(),
        Err((problem, code)) => {
            eprint!("{problem}");
            return code;
        }
    };
    if report.unread == report.lines {
        let what =
            if report.lines == 0 { "there is no line" } else { "no line is in a known form" };
        let hint =
            "known forms: JSON objects, access logs (common or combined), `[time] LEVEL text`";
        eprint!("{}", Diagnostic::warning(what).because(&name).hint(hint));
    }
    let top = usize::from(arguments.top);
    let text = match (arguments.json, arguments.html) {
        (true, _) => object::render(&report, &name, top) + "\n",
        (_, true) => page::render(&report, &name, top),
        _ => sheet::render(&report, &name, top),
    };
    write(arguments.output.as_deref(), &text)
}

fn write(path: Option<&Path>, text: &str) -> u8 {
    let Some(path) = path else {
        // A reader that has gone away (`| head`) is no error.
        let _ = std::io::stdout().write_all(text.as_bytes());
        return OK;
    };
    if let Err(why) = std::fs::write(path, text) {
        let what = format!("cannot write the report to `{}`", path.display());
        eprint!(
            "{}",
            Diagnostic::error(what).because(why).hint("name a file in a folder that you may write")
        );
        return FAILED;
    }
    OK
}

fn names(files: &[PathBuf]) -> String {
    let name = |file: &PathBuf| match file.to_str() {
        Some("-") => "standard input".to_string(),
        _ => super::text::plain(&file.to_string_lossy()),
    };
    match files {
        [one] => name(one),
        [first, rest @ ..] => format!("{} and {} more", name(first), rest.len()),
        [] => String::new(),
    }
}

/// An address without user and password.
fn shown(url: &reqwest::Url) -> String {
    let mut url = url.clone();
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.to_string()
}

fn from_cluster(
    url: &reqwest::Url,
    arguments: &ReportArguments,
) -> Result<Gather, (Diagnostic, u8)> {
    if !matches!(url.scheme(), "http" | "https") {
        let what = format!("`{}` is not the address of a cluster", shown(url));
        return Err((Diagnostic::error(what).hint("write it as http://localhost:9200"), USAGE));
    }
    let secret = |name: &str| std::env::var(name).ok().filter(|v| !v.is_empty()).map(Secret::new);
    let in_url = (!url.username().is_empty())
        .then(|| (url.username().to_string(), Secret::new(url.password().unwrap_or_default())));
    let user = arguments
        .user
        .clone()
        .map(|user| (user, secret("LOGWEIR_ELASTICSEARCH_PASSWORD").unwrap_or(Secret::new(""))));
    let since_ms = arguments.since.map(|since| {
        (clock::system().now_ns() / 1_000_000).saturating_sub(since.as_millis() as i64)
    });
    let question = Question {
        url: url.clone(),
        index: arguments.index.clone(),
        user: user.or(in_url),
        api_key: secret("LOGWEIR_ELASTICSEARCH_API_KEY"),
        since_ms,
    };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime
        .map_err(|why| (Diagnostic::error("cannot start the network").because(why), FAILED))?;
    // The number of documents comes with the first answer: a bar of thousandths.
    let bar = Progress::new("reading", 1000);
    let step = move |documents: u64, total: u64| {
        bar.add((documents * 500).checked_div(total).unwrap_or(0));
    };
    runtime.block_on(cluster::gather(question, step)).map_err(|why| {
        let what = format!("cannot read `{}` of {}", arguments.index, shown(url));
        let hint = "check the address, --index, and --user with LOGWEIR_ELASTICSEARCH_PASSWORD or \
                    LOGWEIR_ELASTICSEARCH_API_KEY; the privilege `read` is needed";
        (Diagnostic::error(what).because(super::text::plain(&why)).hint(hint), FAILED)
    })
}

/// Milliseconds as people read them.
fn ms(value: f64) -> String {
    match value {
        v if v >= 10_000.0 => format!("{:.1} s", v / 1000.0),
        v if v >= 100.0 => format!("{v:.0} ms"),
        v => format!("{v:.1} ms"),
    }
}

/// A share in percent.
fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 }
}

/// A number with its thousands apart.
fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Traffic in at most 48 steps: each hour, or the hours of a day where there are more.
fn traffic(report: &Report) -> (&'static str, Vec<(String, crate::report::Hour)>) {
    let (first, last) = match (report.hours.first(), report.hours.last()) {
        (Some(first), Some(last)) => (first.0, last.0),
        _ => return ("hour", Vec::new()),
    };
    if last - first < 48 {
        let of = |hour: i64| {
            let found = report.hours.binary_search_by_key(&hour, |(h, _)| *h);
            found.map_or_else(|_| crate::report::Hour::default(), |at| report.hours[at].1)
        };
        let name = |hour: i64| super::text::time(hour * 3_600_000_000_000)[5..13].replace('T', " ");
        return ("hour", (first..=last).map(|hour| (name(hour), of(hour))).collect());
    }
    let day = report.hours_of_day().into_iter().enumerate();
    ("hour of the day", day.map(|(hour, counts)| (format!("{hour:02}"), counts)).collect())
}

#[cfg(test)]
mod tests;
