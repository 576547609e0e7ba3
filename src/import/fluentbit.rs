//! Configurations of Fluent Bit.
//!
//! In: files. Out: pipelines and an account. Promises: as the import as a whole; parsers files that are given or named
//! are known to all. On failure: diagnostics.

use super::fluent::handover::{Configuration, import_with};
use super::fluent_bit::{Translation, classic, yaml_form};
use super::{Given, Outcome};

/// Converts configurations of Fluent Bit.
pub fn import(given: &Given<'_>, outcome: &mut Outcome) {
    let language = Configuration {
        parse: |file, number| {
            let is_yaml = file.path.extension().is_some_and(|e| e == "yaml" || e == "yml");
            let parse = if is_yaml { yaml_form::parse } else { classic::parse };
            parse(&file.text.text, number)
        },
        convert: Translation::run,
    };
    import_with(&language, given, outcome);
}
