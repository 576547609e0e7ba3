//! The report as one HTML page.
//!
//! In: a report. Out: a page with its own style, light or dark as the reader's system is. Promises: nothing is loaded
//! from elsewhere and nothing runs; every text of a log is escaped; the charts have their figures beside them.
//! On failure: nothing can fail; a part without figures is left out.

use std::fmt::Write as _;

use super::super::text::{bytes, time};
use super::{ms, number, percent, traffic};
use crate::report::{Durations, Hour, Report};

const HEAD: &str = "<!doctype html>\n<html lang=en><meta charset=utf-8>\
<meta name=viewport content='width=device-width,initial-scale=1'><meta name=referrer content=no-referrer>\
<meta http-equiv=Content-Security-Policy content=\"default-src 'none'; style-src 'unsafe-inline'\"><style>\
:root{color-scheme:light dark;--ink:#1c2330;--soft:#667085;--line:#e4e7ec;--back:#fff;--card:#f8f9fb;--bar:#3b6fd4;\
--bad:#c8372d}@media(prefers-color-scheme:dark){:root{--ink:#e6e9ef;--soft:#98a2b3;--line:#2c3340;--back:#12161d;\
--card:#1a1f29;--bar:#6c9bf5;--bad:#f07167}}*{box-sizing:border-box}body{margin:0 auto;padding:2rem 1.2rem 4rem;\
max-width:64rem;font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--back)}h1{font-size:1.5rem;\
margin:0}h2{font-size:1.05rem;margin:2.2rem 0 .5rem}p{color:var(--soft);margin:.2rem 0}.cards{display:flex;\
flex-wrap:wrap;gap:.8rem;margin:1.4rem 0}.card{flex:1 1 8rem;background:var(--card);border:1px solid var(--line);\
border-radius:8px;padding:.7rem .9rem}.card b{display:block;font-size:1.35rem;font-weight:600}.card span{color:\
var(--soft);font-size:.85rem}.wide{overflow-x:auto}table{border-collapse:collapse;width:100%;font-variant-numeric:\
tabular-nums}th{text-align:left;font-weight:500;color:var(--soft);font-size:.85rem}td,th{padding:.3rem .7rem .3rem 0;\
border-bottom:1px solid var(--line);vertical-align:top}td.n,th.n{text-align:right;white-space:nowrap}td.b{width:26%;\
min-width:6rem}td.k{font-family:ui-monospace,monospace;font-size:.85rem;overflow-wrap:anywhere}i{display:block;\
height:.75rem;margin-top:.35rem;background:var(--bar);border-radius:2px;min-width:1px}i.bad{background:var(--bad)}\
.hours{display:flex;align-items:flex-end;gap:2px;height:9rem;border-bottom:1px solid var(--line)}.hours div{flex:1;\
background:var(--bar);border-radius:2px 2px 0 0;min-height:1px}.ends{display:flex;justify-content:space-between;\
color:var(--soft);font-size:.85rem}</style>";

/// The whole page.
pub(super) fn render(report: &Report, name: &str, top: usize) -> String {
    let mut html = String::from(HEAD);
    let name = escape(name);
    let _ = write!(html, "<title>{name} – log report</title><h1>{name}</h1>");
    if let Some((first, last)) = report.times {
        let _ = write!(html, "<p>{} to {}</p>", time(first), time(last));
    }
    cards(&mut html, report);
    hours(&mut html, report);
    errors(&mut html, report, top);
    endpoints(&mut html, "Slowest endpoints", &report.slowest(), top, true);
    let all: Vec<_> = report.endpoints.rows.iter().map(|(n, e)| (n.as_str(), e)).collect();
    endpoints(&mut html, "Endpoints", &all, top, false);
    let statuses = report.statuses.iter().map(|(s, n)| (s.to_string(), *n)).collect::<Vec<_>>();
    words(&mut html, "Status", &statuses, |status| status >= "500");
    words(&mut html, "Methods", &report.methods.rows, |_| false);
    let bad = |level: &str| ["ERROR", "FATAL", "CRITICAL"].contains(&level);
    words(&mut html, "Levels", &report.levels.rows, bad);
    tools(&mut html, report, top);
    clients(&mut html, report, top);
    html.push_str("</html>\n");
    html
}

fn escape(text: &str) -> String {
    let text = super::super::text::plain(text);
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn cards(html: &mut String, report: &Report) {
    let mut cards = vec![
        (number(report.lines), format!("lines, {}", bytes(report.bytes))),
        (number(report.errors_total()), "errors".to_string()),
    ];
    if report.requests > 0 {
        let failed = percent(report.failed_requests, report.requests);
        cards.push((number(report.requests), format!("requests, {failed:.2} % failed")));
    }
    if report.durations.count() > 0 {
        let [p50, p95, p99] = report.durations.percentiles([50, 95, 99]).map(ms);
        cards.push((ms(report.durations.mean()), "mean response time".to_string()));
        cards.push((p95, format!("p95; p50 {p50}, p99 {p99}")));
    }
    if report.unread > 0 {
        cards.push((number(report.unread), "lines in no known form".to_string()));
    }
    html.push_str("<div class=cards>");
    for (figure, what) in cards {
        let _ = write!(html, "<div class=card><b>{figure}</b><span>{what}</span></div>");
    }
    html.push_str("</div>");
}

fn hours(html: &mut String, report: &Report) {
    let (unit, steps) = traffic(report);
    let of = |hour: &Hour| if report.requests > 0 { hour.requests } else { hour.events };
    let most = steps.iter().map(|(_, hour)| of(hour)).max().unwrap_or(0);
    let (Some(first), Some(last)) = (steps.first(), steps.last()) else { return };
    if most == 0 {
        return;
    }
    let what = if report.requests > 0 { "Requests" } else { "Lines" };
    let _ = write!(html, "<h2>{what} by {unit} (UTC)</h2><div class=hours>");
    for (name, hour) in &steps {
        let height = percent(of(hour), most);
        let (count, errors) = (number(of(hour)), number(hour.errors));
        let title = format!("{name}: {count}, {errors} errors");
        let _ = write!(html, "<div style='height:{height:.1}%' title='{title}'></div>");
    }
    let _ =
        write!(html, "</div><div class=ends><span>{}</span><span>{}</span></div>", first.0, last.0);
}

fn begin(html: &mut String, title: &str, columns: &[&str]) {
    let _ = write!(html, "<h2>{title}</h2><div class=wide><table><tr>");
    for column in columns {
        // A heading that begins with a blank is one of figures.
        let class = if column.starts_with(' ') { " class=n" } else { "" };
        let _ = write!(html, "<th{class}>{}", column.trim());
    }
}

fn end(html: &mut String, shown: usize, all: usize, beyond: u64) {
    html.push_str("</table></div>");
    if all > shown {
        let _ = write!(html, "<p>… and {} more</p>", number((all - shown) as u64));
    }
    if beyond > 0 {
        let _ = write!(html, "<p>… and {} lines of names beyond the bound</p>", number(beyond));
    }
}

fn bar(count: u64, most: u64, bad: bool) -> String {
    let class = if bad { " class=bad" } else { "" };
    format!("<td class=b><i{class} style='width:{:.1}%'></i>", percent(count, most))
}

fn errors(html: &mut String, report: &Report, top: usize) {
    let rows = &report.errors.rows;
    let Some(most) = rows.first().map(|(_, kind)| kind.count) else { return };
    begin(
        html,
        "Errors by kind",
        &[" count", "", "kind (# stands for what varies)", "first", "last"],
    );
    for (mask, kind) in rows.iter().take(top) {
        let times = kind.times.map(|(a, b)| [a, b].map(|t| time(t)[..19].replace('T', " ")));
        let [first, last] = times.unwrap_or_default();
        let (count, drawn) = (number(kind.count), bar(kind.count, most, true));
        let (mask, example) = (escape(mask), escape(&kind.example));
        let _ = write!(
            html,
            "<tr><td class=n>{count}{drawn}<td class=k title=\"{example}\">{mask}<td>{first}<td>{last}"
        );
    }
    end(html, rows.len().min(top), rows.len(), report.errors.others);
}

fn five(html: &mut String, durations: &Durations) {
    if durations.count() == 0 {
        return html.push_str("<td><td><td><td><td>");
    }
    let [p50, p95, p99] = durations.percentiles([50, 95, 99]);
    for value in [durations.mean(), p50, p95, p99, durations.bounds().1] {
        let _ = write!(html, "<td class=n>{}", ms(value));
    }
}

fn endpoints(
    html: &mut String,
    title: &str,
    rows: &[(&str, &crate::report::Endpoint)],
    top: usize,
    timed: bool,
) {
    let most = rows.iter().map(|(_, e)| e.count).max().unwrap_or(0);
    if rows.is_empty() {
        return;
    }
    let figures = [" mean", " p50", " p95", " p99", " longest"];
    let start: &[&str] = &["path", " requests"];
    let columns =
        if timed { [start, &figures].concat() } else { [start, &[" failed", ""]].concat() };
    begin(html, title, &columns);
    for (name, endpoint) in rows.iter().take(top) {
        let _ =
            write!(html, "<tr><td class=k>{}<td class=n>{}", escape(name), number(endpoint.count));
        if timed {
            five(html, &endpoint.durations);
        } else {
            let failed = percent(endpoint.failed, endpoint.count);
            let _ = write!(html, "<td class=n>{failed:.1} %{}", bar(endpoint.count, most, false));
        }
    }
    end(html, rows.len().min(top), rows.len(), 0);
}

fn words(html: &mut String, title: &str, rows: &[(String, u64)], bad: impl Fn(&str) -> bool) {
    let (most, all) = (rows.iter().map(|r| r.1).max().unwrap_or(0), rows.iter().map(|r| r.1).sum());
    if rows.is_empty() {
        return;
    }
    begin(html, title, &["", " count", " share", ""]);
    for (name, count) in rows {
        let drawn = bar(*count, most, bad(name));
        let share = percent(*count, all);
        let _ = write!(
            html,
            "<tr><td>{}<td class=n>{}<td class=n>{share:.1} %{drawn}",
            escape(name),
            number(*count)
        );
    }
    end(html, 0, 0, 0);
}

fn tools(html: &mut String, report: &Report, top: usize) {
    let rows = &report.tools.rows;
    if rows.is_empty() {
        return;
    }
    let columns = ["tool", " calls", " failed", " mean", " p50", " p95", " p99", " longest"];
    begin(html, "Tools", &columns);
    for (name, tool) in rows.iter().take(top) {
        let failed = percent(tool.failed, tool.count);
        let (name, calls) = (escape(name), number(tool.count));
        let _ = write!(html, "<tr><td>{name}<td class=n>{calls}<td class=n>{failed:.1} %");
        five(html, &tool.durations);
    }
    end(html, rows.len().min(top), rows.len(), report.tools.others);
}

fn clients(html: &mut String, report: &Report, top: usize) {
    let rows = &report.clients.rows;
    let Some(most) = rows.first().map(|(_, client)| client.count) else { return };
    begin(html, "Clients", &["client", " events", " 4xx/5xx", ""]);
    for (name, client) in rows.iter().take(top) {
        let refused = percent(client.refused, client.count);
        let (name, count, drawn) =
            (escape(name), number(client.count), bar(client.count, most, false));
        let _ = write!(
            html,
            "<tr><td class=k>{name}<td class=n>{count}<td class=n>{refused:.1} %{drawn}"
        );
    }
    end(html, rows.len().min(top), rows.len(), report.clients.others);
}
