//! `label_router`: events to labels by what Kubernetes says of them.
//!
//! In: the element with its routes. Out: the streams' further way. Promises: of a route's matches the first that fits
//! decides; an event goes along every route that takes it. On failure: what is asked of pods' labels is said.

use super::super::fluent::condition::{Condition, literal};
use super::super::fluent::text::{is_true, list};
use super::route::{Conversion, Notes, Stream};
use super::source::text;
use super::syntax::Element;

impl Conversion {
    /// Routes, and what none of them takes.
    pub fn label_router(&mut self, element: &Element, kind: &str, taken: &[Stream]) {
        let mut notes = Notes::default();
        let routes: Vec<Element> =
            element.elements().filter(|inner| inner.name == "route").cloned().collect();
        let shared = routes.len() > 1;
        let mut ways = Vec::new();
        let mut rest = Condition::Always(true);
        for route in &routes {
            let Some(label) = text(route, "@label", &mut notes) else { continue };
            let when = wanted(route, &mut notes);
            rest = rest.and(when.clone().negate());
            ways.push((label, when));
        }
        let usual = text(element, "default_route", &mut notes)
            .or_else(|| text(element, "default_label", &mut notes))
            .filter(|label| label.starts_with('@'));
        if let Some(label) = usual {
            ways.push((label, rest));
        }
        for name in ["emit_mode", "sticky_tags", "metrics", "tag"] {
            let _ = element.parameter(name);
        }
        self.said(element, kind, notes);
        for (label, when) in ways {
            let streams = taken.iter().map(|stream| Stream {
                when: stream.when.clone().and(when.clone()),
                own: stream.own && !shared,
                ..stream.clone()
            });
            let streams: Vec<Stream> =
                streams.filter(|stream| stream.when != Condition::Always(false)).collect();
            self.route_label(&label, streams);
        }
    }
}

/// Which events a route takes.
fn wanted(route: &Element, notes: &mut Notes) -> Condition {
    let matches: Vec<&Element> = route.elements().filter(|inner| inner.name == "match").collect();
    if matches.is_empty() {
        // As older versions wrote it: without an element of its own.
        return fits(route, notes);
    }
    let mut whole = Condition::Always(false);
    for element in matches.into_iter().rev() {
        let here = fits(element, notes);
        let negated = text(element, "negate", notes).is_some_and(|text| is_true(&text));
        let others = here.clone().negate().and(whole);
        whole = if negated { others } else { here.or(others) };
    }
    whole
}

/// What one match asks for; all of it must hold.
fn fits(element: &Element, notes: &mut Notes) -> Condition {
    let mut when = Condition::Always(true);
    for (name, field) in [
        ("namespaces", "kubernetes.namespace"),
        ("container_names", "kubernetes.container.name"),
        ("hosts", "host.name"),
    ] {
        let names = text(element, name, notes).map(|text| list(&text)).unwrap_or_default();
        if !names.is_empty() {
            let names: Vec<String> = names.iter().map(|name| literal(name)).collect();
            when = when.and(Condition::atom(format!("{field} in [{}]", names.join(", "))));
        }
    }
    let labels = text(element, "labels", notes).unwrap_or_default();
    let labels: Vec<(String, String)> = match serde_json::from_str(&labels) {
        Ok(serde_json::Value::Object(labels)) => labels
            .into_iter()
            .map(|(name, value)| (name, value.as_str().unwrap_or_default().to_string()))
            .collect(),
        _ => list(&labels)
            .iter()
            .filter_map(|pair| pair.split_once(':'))
            .map(|(name, value)| (name.trim().to_string(), value.trim().to_string()))
            .collect(),
    };
    if !labels.is_empty() {
        notes.difference("labels of pods are there with the filter `kubernetes`: put it first");
    }
    for (name, value) in labels {
        let name = name.replace(['.', '/'], "_");
        when =
            when.and(Condition::atom(format!("kubernetes.labels.{name} == {}", literal(&value))));
    }
    when
}
