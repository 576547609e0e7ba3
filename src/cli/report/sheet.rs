//! The report as text, with small charts.
//!
//! In: a report. Out: lines for a terminal. Promises: what comes from logs cannot steer the terminal.
//! On failure: nothing can fail; a part without figures is left out.

use super::super::text::{bytes, count, plain, shortened, table, time};
use super::chart::bar;
use super::{ms, number, percent, traffic};
use crate::report::{Durations, Ranking, Report};

const WIDTH: usize = 24;

/// The whole sheet.
pub(super) fn render(report: &Report, name: &str, top: usize) -> String {
    let mut out = format!("{name}: {} lines, {}", number(report.lines), bytes(report.bytes));
    if report.unread > 0 {
        out.push_str(&format!(", {} in no known form", number(report.unread)));
    }
    if let Some((first, last)) = report.times {
        out.push_str(&format!("\n{} to {}", time(first), time(last)));
    }
    out.push('\n');
    let parts = [
        ("Levels", levels(report)),
        ("Errors by kind (# stands for what varies)", errors(report, top)),
        ("Response times", times(report)),
        ("Slowest endpoints", slowest(report, top)),
        ("Endpoints", endpoints(report, top)),
        ("Status", statuses(report)),
        ("Methods", counted(&report.methods, report.requests, top)),
        ("Tools", tools(report, top)),
        ("Clients", clients(report, top)),
    ];
    for (title, rows) in parts.into_iter().filter(|(_, rows)| !rows.is_empty()) {
        out.push_str(&format!("\n{title}\n{}", indented(&table(&rows))));
    }
    out + &hours(report)
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}

fn row<const N: usize>(cells: [String; N]) -> Vec<String> {
    cells.into()
}

/// Numbers right-aligned: the figures of one column.
fn figures(rows: &mut [Vec<String>], columns: &[usize]) {
    for column in columns {
        let width = rows.iter().map(|r| r[*column].chars().count()).max().unwrap_or(0);
        for row in rows.iter_mut() {
            row[*column] = format!("{:>width$}", row[*column]);
        }
    }
}

fn others<T>(rows: &mut Vec<Vec<String>>, ranking: &Ranking<T>, shown: usize) {
    let hidden = ranking.rows.len().saturating_sub(shown);
    if hidden > 0 {
        rows.push(vec![format!("… and {} more", number(hidden as u64))]);
    }
    if ranking.others > 0 {
        rows.push(vec![format!(
            "… and {} lines of names beyond the bound",
            number(ranking.others)
        )]);
    }
}

fn counted(ranking: &Ranking<u64>, whole: u64, top: usize) -> Vec<Vec<String>> {
    let most = ranking.rows.first().map_or(0, |(_, n)| *n);
    let rows = ranking.rows.iter().take(top).map(|(name, count)| {
        let share = format!("{:.1} %", percent(*count, whole));
        row([plain(name), number(*count), share, bar(*count as f64, most as f64, WIDTH)])
    });
    let mut rows: Vec<_> = rows.collect();
    figures(&mut rows, &[1, 2]);
    others(&mut rows, ranking, top);
    rows
}

fn levels(report: &Report) -> Vec<Vec<String>> {
    counted(&report.levels, report.lines, usize::MAX)
}

fn errors(report: &Report, top: usize) -> Vec<Vec<String>> {
    let most = report.errors.rows.first().map_or(0, |(_, kind)| kind.count);
    let rows = report.errors.rows.iter().take(top).map(|(mask, kind)| {
        let last = kind.times.map_or(String::new(), |(_, last)| time(last)[..19].to_string());
        row([
            number(kind.count),
            bar(kind.count as f64, most as f64, 10),
            last,
            shortened(mask, 120),
        ])
    });
    let mut rows: Vec<_> = rows.collect();
    if !rows.is_empty() {
        rows.insert(0, row(["count", "", "last", "kind"].map(String::from)));
        figures(&mut rows, &[0]);
    }
    others(&mut rows, &report.errors, top);
    rows
}

fn five(durations: &Durations) -> [String; 5] {
    let [p50, p95, p99] = durations.percentiles([50, 95, 99]);
    [durations.mean(), p50, p95, p99, durations.bounds().1].map(ms)
}

fn times(report: &Report) -> Vec<Vec<String>> {
    if report.requests == 0 {
        return Vec::new();
    }
    let failed = percent(report.failed_requests, report.requests);
    let mut rows = vec![row([
        "requests".into(),
        format!("{}, {failed:.2} % failed (status 5xx)", number(report.requests)),
    ])];
    if report.durations.count() > 0 {
        let names = ["mean", "p50", "p95", "p99", "longest"];
        let most = report.durations.bounds().1;
        let [p50, p95, p99] = report.durations.percentiles([50, 95, 99]);
        let values = [report.durations.mean(), p50, p95, p99, most];
        for (name, value) in names.into_iter().zip(values) {
            rows.push(row([name.into(), format!("{:>9}  {}", ms(value), bar(value, most, WIDTH))]));
        }
    }
    rows
}

fn slowest(report: &Report, top: usize) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for (name, endpoint) in report.slowest().into_iter().take(top) {
        let [mean, p50, p95, p99, most] = five(&endpoint.durations);
        rows.push(row([shortened(name, 60), number(endpoint.count), mean, p50, p95, p99, most]));
    }
    if !rows.is_empty() {
        let names = ["path", "requests", "mean", "p50", "p95", "p99", "longest"];
        rows.insert(0, row(names.map(String::from)));
        figures(&mut rows, &[1, 2, 3, 4, 5, 6]);
    }
    rows
}

fn endpoints(report: &Report, top: usize) -> Vec<Vec<String>> {
    let most = report.endpoints.rows.first().map_or(0, |(_, e)| e.count);
    let rows = report.endpoints.rows.iter().take(top).map(|(name, endpoint)| {
        let failed = format!("{:.1} % failed", percent(endpoint.failed, endpoint.count));
        let drawn = bar(endpoint.count as f64, most as f64, WIDTH);
        row([shortened(name, 60), number(endpoint.count), failed, drawn])
    });
    let mut rows: Vec<_> = rows.collect();
    figures(&mut rows, &[1, 2]);
    others(&mut rows, &report.endpoints, top);
    rows
}

fn statuses(report: &Report) -> Vec<Vec<String>> {
    let most = report.statuses.iter().map(|(_, n)| *n).max().unwrap_or(0);
    let rows = report.statuses.iter().map(|(status, count)| {
        let share = format!("{:.1} %", percent(*count, report.requests));
        row([status.to_string(), number(*count), share, bar(*count as f64, most as f64, WIDTH)])
    });
    let mut rows: Vec<_> = rows.collect();
    figures(&mut rows, &[1, 2]);
    rows
}

fn tools(report: &Report, top: usize) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for (name, tool) in report.tools.rows.iter().take(top) {
        let failed = format!("{:.1} %", percent(tool.failed, tool.count));
        let timed = tool.durations.count() > 0;
        let [mean, _, p95, ..] =
            if timed { five(&tool.durations) } else { [const { String::new() }; 5] };
        rows.push(row([shortened(name, 40), number(tool.count), failed, mean, p95]));
    }
    if !rows.is_empty() {
        rows.insert(0, row(["tool", "calls", "failed", "mean", "p95"].map(String::from)));
        figures(&mut rows, &[1, 2, 3, 4]);
    }
    others(&mut rows, &report.tools, top);
    rows
}

fn clients(report: &Report, top: usize) -> Vec<Vec<String>> {
    let most = report.clients.rows.first().map_or(0, |(_, c)| c.count);
    let rows = report.clients.rows.iter().take(top).map(|(name, client)| {
        let refused = format!("{:.1} % 4xx/5xx", percent(client.refused, client.count));
        row([
            shortened(name, 45),
            number(client.count),
            refused,
            bar(client.count as f64, most as f64, WIDTH),
        ])
    });
    let mut rows: Vec<_> = rows.collect();
    figures(&mut rows, &[1, 2]);
    others(&mut rows, &report.clients, top);
    rows
}

fn hours(report: &Report) -> String {
    let (unit, steps) = traffic(report);
    let of =
        |hour: &crate::report::Hour| if report.requests > 0 { hour.requests } else { hour.events };
    let most = steps.iter().map(|(_, hour)| of(hour)).max().unwrap_or(0);
    if most == 0 {
        return String::new();
    }
    let what = if report.requests > 0 { "Requests" } else { "Lines" };
    let rows = steps.iter().map(|(name, hour)| {
        let errors = if hour.errors > 0 { count(hour.errors, "error") } else { String::new() };
        row([
            name.clone(),
            number(of(hour)),
            format!("{:WIDTH$}", bar(of(hour) as f64, most as f64, WIDTH)),
            errors,
        ])
    });
    let mut rows: Vec<_> = rows.collect();
    figures(&mut rows, &[1]);
    format!("\n{what} by {unit} (UTC)\n{}", indented(&table(&rows)))
}
