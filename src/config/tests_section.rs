//! `[[tests]]` of a pipeline: input lines and what must become of them.
//!
//! In: the section. Out: [`TestCase`]s. Promises: a test names only inputs and outputs that the pipeline has.
//! On failure: diagnostics.

use super::{InputPlan, OutputPlan};
use crate::diagnostic::did_you_mean;
use crate::event::{Keys, Literal, Path};
use crate::settings::{Section, Spanned};

/// One test.
pub struct TestCase {
    /// What it shows.
    pub name: String,
    /// Which input's codec and fields the lines get: its number in the plan.
    pub input: usize,
    /// The lines.
    pub lines: Vec<String>,
    /// What must come out, in order; dropped events are not among them.
    pub expect: Vec<Expectation>,
    /// How many events must be dropped; `None`: not said.
    pub dropped: Option<usize>,
}

/// What one event must be.
pub struct Expectation {
    /// Fields and their values.
    pub fields: Vec<(Path, Literal)>,
    /// Fields that must not be there.
    pub absent: Vec<Path>,
    /// Outputs it must go to, exactly; `None`: not said.
    pub routes: Option<Vec<String>>,
}

/// Reads `[[tests]]`.
pub fn load(
    root: &Section<'_>,
    inputs: &[InputPlan],
    outputs: &[OutputPlan],
    keys: &mut Keys,
) -> Vec<TestCase> {
    let mut cases = Vec::new();
    for section in root.sections("tests") {
        let name = section.string_or("name", &section.name).value;
        let input = input_number(&section, inputs);
        let lines = section.required_strings("lines", "[\"a line of input\"]");
        let dropped = section.integer("dropped", 0..1_000_000).map(|n| n as usize);
        let expected = section.sections("expect");
        let expect = expected.into_iter().map(|e| expectation(e, outputs, keys)).collect();
        section.finish();
        let lines = lines.into_iter().map(|l| l.value).collect();
        cases.push(TestCase { name, input, lines, expect, dropped });
    }
    cases
}

fn input_number(section: &Section<'_>, inputs: &[InputPlan]) -> usize {
    let Some(wanted) = section.string("input") else { return 0 };
    let names = inputs.iter().map(|i| i.name.as_str());
    inputs.iter().position(|i| i.name == wanted.value).unwrap_or_else(|| {
        unknown(section, "input", &wanted, names);
        0
    })
}

fn expectation(section: Section<'_>, outputs: &[OutputPlan], keys: &mut Keys) -> Expectation {
    let mut fields = Vec::new();
    for (name, item) in section.entries("fields").unwrap_or_default() {
        let literal = Literal::from_setting(&item.literal);
        if let (Some(path), Some(literal)) = (path(&section, name, keys), literal) {
            fields.push((path, literal));
        }
    }
    let absent = section.strings("absent").unwrap_or_default();
    let absent = absent.iter().filter_map(|name| path(&section, name, keys)).collect();
    let routes = section.strings("routes").map(|wanted| {
        for name in &wanted {
            if !outputs.iter().any(|o| o.name == name.value) {
                unknown(&section, "output", name, outputs.iter().map(|o| o.name.as_str()));
            }
        }
        wanted.into_iter().map(|n| n.value).collect()
    });
    section.finish();
    Expectation { fields, absent, routes }
}

fn path(section: &Section<'_>, name: &Spanned<String>, keys: &mut Keys) -> Option<Path> {
    match Path::parse(name, keys) {
        Ok(path) => Some(path),
        Err(error) => {
            let message = format!("`{}` is not a field's name: {}", name.value, error.message);
            section.error(name.span.clone(), message, None);
            None
        }
    }
}

fn unknown<'a>(
    section: &Section<'_>,
    what: &str,
    name: &Spanned<String>,
    known: impl Iterator<Item = &'a str> + Clone,
) {
    let hint = match did_you_mean(name, known.clone()) {
        Some(nearest) => format!("did you mean \"{nearest}\"?"),
        None => format!("there are: {}", known.collect::<Vec<_>>().join(", ")),
    };
    let message = format!("the pipeline has no {what} `{}`", name.value);
    section.error(name.span.clone(), message, Some(hint));
}
