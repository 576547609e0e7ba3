//! The status page: one self-contained HTML text.
//!
//! In: states and metrics. Out: HTML. Promises: nothing is loaded from elsewhere; every text is escaped.

use std::fmt::Write as _;

use crate::health::State;

const HEAD: &str = "<!doctype html><html lang=en><meta charset=utf-8><title>logweir</title>\
<meta name=viewport content='width=device-width'><meta http-equiv=refresh content=5><style>\
:root{color-scheme:light dark;font:15px/1.5 system-ui,sans-serif}body{max-width:60rem;margin:2rem auto;\
padding:0 1rem}table{border-collapse:collapse;width:100%}td{padding:.3rem .6rem;border-bottom:1px solid #8884;\
vertical-align:top}.ok{color:#2a8a3e}.starting{color:#888}.degraded{color:#b8860b}.paused{color:#c0392b}\
pre{overflow:auto;font-size:12px}</style><h1>logweir</h1>";

/// The page.
pub fn render(states: &[(String, State)], metrics: &str) -> String {
    let mut html = String::from(HEAD);
    html.push_str("<h2>Parts</h2><table>");
    for (name, state) in states {
        let (word, why) = match state {
            State::Fine => ("ok", ""),
            State::Starting => ("starting", ""),
            State::Degraded(why) => ("degraded", why.as_str()),
            State::Paused(why) => ("paused", why.as_str()),
        };
        let (name, why) = (escape(name), escape(why));
        let _ = write!(html, "<tr><td>{name}<td class={word}>{word}<td>{why}");
    }
    let _ = write!(html, "</table><h2>Metrics</h2><pre>{}</pre></html>", escape(metrics));
    html
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
