//! Tests of the whole that need nothing but the repository.

mod cli;
mod diagnostics;
mod geo_database;
mod golden;
mod structure;
mod support;
