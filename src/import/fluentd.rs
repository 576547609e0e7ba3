//! Configurations of Fluentd.
//!
//! In: files. Out: pipelines and an account. Promises: as the import as a whole; a configuration is what one file and
//! its includes say; files of a folder that no other one includes are read in order, as one. On failure: diagnostics.

use super::fluent::handover::{Configuration, import_with};
use super::{Given, Outcome};

mod elasticsearch;
pub mod filter; // filters
pub mod joining; // lines that belong together
mod label_router; // one way of many
pub mod output; // outputs
pub mod parse_section; // parsers
pub mod parser; // the language
mod plugins; // filters that people add
pub mod route; // the way of events
pub mod source; // inputs
pub mod syntax; // the tree
#[cfg(test)]
mod tests;
mod yaml_form;

use route::Conversion;

/// Converts configurations of Fluentd.
pub fn import(given: &Given<'_>, outcome: &mut Outcome) {
    let language = Configuration {
        parse: |file, number| {
            let is_yaml = file.path.extension().is_some_and(|e| e == "yaml" || e == "yml");
            let parse = if is_yaml { yaml_form::parse } else { parser::parse };
            parse(&file.text.text, number)
        },
        convert: |items, files, around| Conversion::run(items, files, around),
    };
    import_with(&language, given, outcome);
}
