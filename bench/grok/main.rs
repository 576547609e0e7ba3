//! How long grok takes for a line, ours beside Oniguruma (`cargo bench --bench grok`).
//!
//! In: our own cases; with `LOGWEIR_CONFORMANCE` also every grok case of the conformance files;
//! `GROK_ONLY=TEXT` keeps the cases whose pattern has the text. Out: a table on standard output; with `GROK_ROWS=1`
//! every line as `row`, `match` or `miss`, our ns, Oniguruma's ns, ratio and name, apart by tabs.
//! Promises: both engines compile once, reuse their memory and take turns on the same line; the
//! least of several rounds counts; a ratio compares only what was measured in one run.
//! On failure: a case that either cannot compile, or where the two differ, is counted and named.

mod cases;
mod hostile;

use cases::{Case, Reference};
use logweir::grok::{Grok, Options, Outcome, Scratch};
use onig::{Region, SearchOptions};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Rounds of each engine; the fastest counts.
const ROUNDS: usize = 7;
/// About how long a round takes.
const ROUND: Duration = Duration::from_micros(150);

/// What one case took.
struct Row {
    name: String,
    matched: bool,
    ours: f64,
    theirs: f64,
}

impl Row {
    fn ratio(&self) -> f64 {
        self.theirs / self.ours
    }
}

fn main() {
    let only = std::env::var("GROK_ONLY").unwrap_or_default();
    let (mut rows, mut skipped) = (Vec::new(), Vec::new());
    for case in cases::all() {
        if !case.patterns.iter().any(|pattern| pattern.contains(&only)) {
            continue;
        }
        match measure(&case) {
            Ok(found) => rows.extend(found),
            Err(why) => skipped.push(format!("{}: {why}", case.name)),
        }
    }
    report(&rows);
    if std::env::var_os("GROK_ROWS").is_some() {
        rows.iter().for_each(row);
    }
    println!("left out: {}", skipped.len());
    for why in &skipped {
        println!("  {why}");
    }
    if std::env::var_os("GROK_HOSTILE").is_some() {
        hostile::run(&only);
    }
}

/// One row for the line of the case, and one for a line that does not match.
fn measure(case: &Case) -> Result<Vec<Row>, String> {
    let grok = Grok::compile(&case.patterns, &case.definitions, case.ecs, Options::default());
    let grok = grok.map_err(|error| error.message())?;
    let reference = Reference::new(case)?;
    let mut rows = Vec::new();
    for (what, line) in case.lines.iter().enumerate() {
        let (mut scratch, mut region) = (Scratch::default(), Region::new());
        let ours = matches!(grok.find(&mut scratch, line.as_bytes()), Outcome::Match(_));
        let theirs = search(&reference, line, &mut region);
        if ours != theirs {
            return Err(format!("we say {ours}, Oniguruma {theirs}"));
        }
        if what > 0 && ours {
            continue;
        }
        let mut us = || {
            black_box(grok.find(&mut scratch, black_box(line.as_bytes())));
        };
        let mut them = || {
            black_box(search(&reference, black_box(line), &mut region));
        };
        let (us_times, them_times) = (times(&mut us), times(&mut them));
        let (mut ours_ns, mut theirs_ns) = (f64::MAX, f64::MAX);
        for _ in 0..ROUNDS {
            ours_ns = ours_ns.min(round(&mut us, us_times));
            theirs_ns = theirs_ns.min(round(&mut them, them_times));
        }
        let name = format!("{} on {}", case.name, shortened(line));
        rows.push(Row { name, matched: ours, ours: ours_ns, theirs: theirs_ns });
        if rows.len() == 2 {
            break;
        }
    }
    Ok(rows)
}

fn search(reference: &Reference, line: &str, region: &mut Region) -> bool {
    let found = |regex: &onig::Regex, region: &mut Region| {
        regex.search_with_options(
            line,
            0,
            line.len(),
            SearchOptions::SEARCH_OPTION_NONE,
            Some(region),
        )
    };
    reference.regexes.iter().any(|regex| found(regex, region).is_some())
}

fn times(run: &mut dyn FnMut()) -> u32 {
    let (started, mut count) = (Instant::now(), 0);
    while started.elapsed() < ROUND / 2 || count == 0 {
        run();
        count += 1;
    }
    count * 2
}

/// Nanoseconds for one run.
fn round(run: &mut dyn FnMut(), times: u32) -> f64 {
    let started = Instant::now();
    for _ in 0..times {
        run();
    }
    started.elapsed().as_nanos() as f64 / f64::from(times)
}

fn shortened(line: &str) -> String {
    line.escape_debug().take(30).collect()
}

fn report(rows: &[Row]) {
    println!("{:>9} {:>10} {:>7}  case", "ours ns", "Onig. ns", "ratio");
    rows.iter().filter(|row| row.name.starts_with("own ")).for_each(line);
    for matched in [true, false] {
        let mut some: Vec<&Row> = rows.iter().filter(|row| row.matched == matched).collect();
        if some.is_empty() {
            continue;
        }
        some.sort_by(|a, b| a.ratio().total_cmp(&b.ratio()));
        let logs: f64 = some.iter().map(|row| row.ratio().ln()).sum();
        let at = |part: usize| some[(some.len() - 1) * part / 100].ratio();
        let what = if matched { "matching" } else { "not matching" };
        println!("\n{what}: {} lines", some.len());
        println!("geometric mean of the ratio: {:.1}", (logs / some.len() as f64).exp());
        let ours: f64 = some.iter().map(|row| row.ours).sum();
        let theirs: f64 = some.iter().map(|row| row.theirs).sum();
        println!(
            "mean ns: ours {:.0}, Oniguruma {:.0}",
            ours / some.len() as f64,
            theirs / some.len() as f64
        );
        let parts = [0, 5, 10, 25, 50, 75, 90, 95, 100];
        let shown: Vec<String> =
            parts.iter().map(|part| format!("p{part} {:.1}", at(*part))).collect();
        println!("ratio: {}", shown.join("  "));
        println!("slower than Oniguruma: {}", some.iter().filter(|row| row.ratio() < 1.0).count());
        println!("the worst ten:");
        some.iter().take(10).for_each(|row| line(row));
    }
}

/// A line for programs.
fn row(row: &Row) {
    let what = if row.matched { "match" } else { "miss" };
    println!("row\t{what}\t{:.1}\t{:.1}\t{:.2}\t{}", row.ours, row.theirs, row.ratio(), row.name);
}

fn line(row: &Row) {
    println!("{:>9.0} {:>10.0} {:>7.1}  {}", row.ours, row.theirs, row.ratio(), row.name);
}
