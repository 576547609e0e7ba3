//! Tests of the whole that need nothing but the repository.

mod cli;
mod conformance;
mod diagnostics;
mod geo_database;
mod golden;

mod grok_against_oniguruma;
mod settings;
mod structure;
mod support;
