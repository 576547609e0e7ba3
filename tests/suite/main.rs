//! Tests of the whole that need nothing but the repository.

mod answers;
mod cli;
mod conformance;
mod deploy;
mod diagnostics;
mod geo_database;
mod golden;

mod grok_against_oniguruma;
mod grok_hostile;
mod import;
mod journal;
mod live;
mod secrets;
mod settings;
mod structure;
mod support;
mod windows;
