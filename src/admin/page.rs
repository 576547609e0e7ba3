//! The status page: one self-contained HTML text.
//!
//! In: states, what went wrong lately, reasons of dead letters, and two looks at the metrics. Out: HTML. Promises:
//! nothing is loaded from elsewhere and nothing runs; every text is escaped; light or dark as the reader's system
//! is.

use std::fmt::Write as _;

use super::figures::{Figures, PipelineFigures};
use super::letters::Reasons;
use crate::health::{Past, State};
use crate::timestamp::write_iso8601_ms;

const HEAD: &str = "<!doctype html><html lang=en><meta charset=utf-8><title>logweir</title>\
<meta name=viewport content='width=device-width,initial-scale=1'><meta http-equiv=refresh content=5>\
<meta http-equiv=Content-Security-Policy content=\"default-src 'none'; style-src 'unsafe-inline'\"><style>\
:root{color-scheme:light dark;--ink:#1c2330;--soft:#667085;--line:#e4e7ec;--back:#fff;--card:#f8f9fb;--bar:#3b6fd4;\
--good:#1f7a3d;--wait:#8a6d00;--bad:#c8372d}@media(prefers-color-scheme:dark){:root{--ink:#e6e9ef;--soft:#98a2b3;\
--line:#2c3340;--back:#12161d;--card:#1a1f29;--bar:#6c9bf5;--good:#5fc97f;--wait:#e0b94a;--bad:#f07167}}\
*{box-sizing:border-box}body{margin:0 auto;padding:1.5rem 1.2rem 4rem;max-width:64rem;font:15px/1.5 system-ui,\
sans-serif;color:var(--ink);background:var(--back)}h1{font-size:1.4rem;margin:0}h2{font-size:1.1rem;margin:2rem 0 \
.4rem}h3{font-size:.85rem;font-weight:500;color:var(--soft);margin:1rem 0 .2rem}p{color:var(--soft);margin:.2rem 0}\
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}th{text-align:left;\
font-weight:500;color:var(--soft);font-size:.85rem}td,th{padding:.3rem .8rem .3rem 0;border-bottom:1px solid \
var(--line);vertical-align:top}.n{text-align:right;white-space:nowrap}.ok{color:var(--good)}.starting{color:\
var(--soft)}.degraded{color:var(--wait)}.paused{color:var(--bad)}.bar{background:var(--line);border-radius:4px;\
height:.6rem;margin:.3rem 0}.bar i{display:block;height:100%;background:var(--bar);border-radius:4px}details{\
margin-top:2rem}@media(max-width:40rem){.tell tr{display:block;border-bottom:1px solid var(--line);padding:.3rem 0}\
.tell td{display:inline-block;border:0;padding:0 .8rem 0 0}.tell td:last-child{display:block;overflow-wrap:anywhere}}\
summary{cursor:pointer;color:var(--soft)}pre{overflow:auto;font-size:12px;background:var(--card);\
padding:.8rem;border-radius:6px}</style><h1>logweir</h1>";

/// Two looks at the metrics, with the seconds between them.
pub struct Looks<'a> {
    /// The one before.
    pub before: &'a Figures,
    /// The last one.
    pub now: &'a Figures,
    /// Between them.
    pub seconds: f64,
    /// Why there are dead letters, for each pipeline that has some.
    pub reasons: &'a [(String, Reasons)],
}

/// The page.
pub fn render(
    states: &[(String, State)],
    past: &[Past],
    looks: &Looks<'_>,
    metrics: &str,
) -> String {
    let mut html = String::from(HEAD);
    process(&mut html, states, looks);
    for pipeline in looks.now.pipelines(looks.before, looks.seconds) {
        let reasons = looks.reasons.iter().find(|(name, _)| *name == pipeline.name);
        self::pipeline(&mut html, states, &pipeline, reasons.map(|(_, r)| r));
    }
    parts(&mut html, states);
    errors(&mut html, past);
    let metrics = escape(metrics);
    let _ =
        write!(html, "<details><summary>Metrics</summary><pre>{metrics}</pre></details></html>");
    html
}

fn process(html: &mut String, states: &[(String, State)], looks: &Looks<'_>) {
    let process = looks.now.process(looks.before, looks.seconds);
    let bad = states.iter().filter(|(_, s)| matches!(s, State::Degraded(_) | State::Paused(_)));
    let (class, said) = match bad.count() {
        0 => ("ok", "everything works".to_string()),
        1 => ("paused", "one part has a problem".to_string()),
        n => ("paused", format!("{n} parts have a problem")),
    };
    let (resident, buffers, limit) =
        (bytes(process.resident), bytes(process.buffers), bytes(process.buffers_limit));
    let _ = write!(
        html,
        "<p><span class={class}>{said}</span> · version {} · CPU {:.1} % of a core · memory {resident}, buffers \
         {buffers} of {limit} · {} descriptors</p>",
        env!("CARGO_PKG_VERSION"),
        process.cores * 100.0,
        process.descriptors
    );
}

fn state_cell(html: &mut String, states: &[(String, State)], part: &str) {
    let state = states.iter().find(|(name, _)| name == part).map(|(_, state)| state);
    let (word, why) = state.map_or(("starting", ""), word_of);
    let _ = write!(html, "<td class={word} title=\"{}\">{word}", escape(why));
}

fn pipeline(
    html: &mut String,
    states: &[(String, State)],
    pipeline: &PipelineFigures,
    reasons: Option<&Reasons>,
) {
    let name = escape(&pipeline.name);
    let _ = write!(
        html,
        "<h2>{name}</h2><h3>Inputs</h3><div class=wide><table><tr><th>input<th>state\
        <th class=n>events/s<th class=n>bytes/s<th class=n>unread<th class=n>for"
    );
    for input in &pipeline.inputs {
        let _ = write!(html, "<tr><td>{}", escape(&input.name));
        state_cell(html, states, &format!("{}/inputs.{}", pipeline.name, input.name));
        let _ = write!(
            html,
            "<td class=n>{:.1}<td class=n>{}<td class=n>{}<td class=n>{} s",
            input.events_rate,
            bytes(input.bytes_rate),
            bytes(input.lag_bytes),
            input.lag_seconds
        );
    }
    html.push_str(
        "</table></div><h3>Outputs</h3><div class=wide><table><tr><th>output<th>state\
        <th class=n>delivered/s<th class=n>waiting<th class=n>for",
    );
    for output in &pipeline.outputs {
        let _ = write!(html, "<tr><td>{}", escape(&output.name));
        state_cell(html, states, &format!("{}/outputs.{}", pipeline.name, output.name));
        let _ = write!(
            html,
            "<td class=n>{:.1}<td class=n>{}<td class=n>{} s",
            output.delivered_rate, output.lag_documents, output.lag_seconds
        );
    }
    let share = pipeline.journal_bytes / pipeline.journal_limit.max(1.0) * 100.0;
    let _ = write!(
        html,
        "</table></div><h3>Journal</h3>{:.1} events/s, {} of {}<div class=bar><i style='width:{:.1}%'></i></div>",
        pipeline.journaled_rate,
        bytes(pipeline.journal_bytes),
        bytes(pipeline.journal_limit),
        share.clamp(0.0, 100.0)
    );
    if pipeline.dead_letters > 0.0 {
        letters(html, pipeline.dead_letters, reasons);
    }
    for (title, rows) in
        [("Dropped by reason", &pipeline.dropped), ("Not handled, by filter", &pipeline.failures)]
    {
        if rows.is_empty() {
            continue;
        }
        let _ = write!(html, "<h3>{title}</h3><table>");
        for (name, count) in rows {
            let _ = write!(html, "<tr><td>{}<td class=n>{count}", escape(name));
        }
        html.push_str("</table>");
    }
}

fn letters(html: &mut String, count: f64, reasons: Option<&Reasons>) {
    let _ = write!(html, "<h3>Dead letters by reason</h3>{count} in all, see `logweir dlq`");
    let Some(reasons) = reasons else { return };
    html.push_str("<div class=wide><table class=tell>");
    for ((output, reason), count) in reasons {
        let (output, reason) = (escape(output), escape(reason));
        let _ = write!(html, "<tr><td class=n>{count}<td>{output}<td>{reason}");
    }
    html.push_str("</table></div>");
}

fn parts(html: &mut String, states: &[(String, State)]) {
    html.push_str("<h2>Parts</h2><div class=wide><table class=tell>");
    for (name, state) in states {
        let (word, why) = word_of(state);
        let (name, why) = (escape(name), escape(why));
        let _ = write!(html, "<tr><td>{name}<td class={word}>{word}<td>{why}");
    }
    html.push_str("</table></div>");
}

fn errors(html: &mut String, past: &[Past]) {
    html.push_str("<h2>Last errors</h2>");
    if past.is_empty() {
        html.push_str("<p>none since the start</p>");
        return;
    }
    html.push_str("<div class=wide><table class=tell>");
    for Past { time_ns, part, state } in past.iter().rev() {
        let (word, why) = word_of(state);
        let mut time = Vec::new();
        write_iso8601_ms(*time_ns, &mut time);
        let time = String::from_utf8_lossy(&time[..19]).replace('T', " ");
        let (part, why) = (escape(part), escape(why));
        let _ = write!(html, "<tr><td class=n>{time}<td>{part}<td class={word}>{word}<td>{why}");
    }
    html.push_str("</table></div>");
}

fn word_of(state: &State) -> (&'static str, &str) {
    match state {
        State::Fine => ("ok", ""),
        State::Starting => ("starting", ""),
        State::Degraded(why) => ("degraded", why.as_str()),
        State::Paused(why) => ("paused", why.as_str()),
    }
}

/// `1.5 MiB`.
fn bytes(count: f64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let power =
        if count < 1024.0 { 0 } else { ((count.log2() / 10.0) as usize).min(units.len() - 1) };
    let digits = usize::from(power > 0);
    format!("{:.digits$} {}", count / 1024_f64.powi(power as i32), units[power])
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_shows_every_part_loads_nothing_and_escapes_everything() {
        let before = Figures::parse("logweir_events_read_total{pipeline=\"a<b\",input=\"i\"} 0\n");
        let text = "logweir_journal_bytes{pipeline=\"a<b\"} 512\nlogweir_journal_limit_bytes{pipeline=\"a<b\"} 1024\n\
            logweir_events_read_total{pipeline=\"a<b\",input=\"i\"} 30\n\
            logweir_input_lag_bytes{pipeline=\"a<b\",input=\"i\"} 2048\n\
            logweir_output_lag_documents{pipeline=\"a<b\",output=\"o\"} 9\n\
            logweir_dead_letters{pipeline=\"a<b\"} 4\n";
        let now = Figures::parse(text);
        let why = State::Paused("no node <script>".to_string());
        let states = [("a<b/outputs.o".to_string(), why.clone())];
        let past = [Past { time_ns: 0, part: "a<b/outputs.o".into(), state: why }];
        let reasons = [("a<b".to_string(), vec![(("o".to_string(), "no <field>".to_string()), 4)])];
        let looks = Looks { before: &before, now: &now, seconds: 3.0, reasons: &reasons };
        let page = render(&states, &past, &looks, text);
        for part in [
            "<h2>a&lt;b</h2>",
            "one part has a problem",
            "<td class=n>10.0<td class=n>0 B<td class=n>2.0 KiB",
            "<td class=paused title=\"no node &lt;script&gt;\">paused<td class=n>0.0<td class=n>9",
            "512 B of 1.0 KiB<div class=bar><i style='width:50.0%'>",
            "<h3>Dead letters by reason</h3>4 in all",
            "<tr><td class=n>4<td>o<td>no &lt;field&gt;",
            "1970-01-01 00:00:00<td>a&lt;b/outputs.o",
            "prefers-color-scheme:dark",
        ] {
            assert!(page.contains(part), "{part} in {page}");
        }
        for word in ["<script", "http://", "https://", "src=", "url(", "@import"] {
            assert!(!page.contains(word), "{word}");
        }
    }
}
