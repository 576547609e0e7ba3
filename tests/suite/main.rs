//! Tests of the whole that need nothing but the repository.

mod agent;
mod cli;
mod geo_database;
mod golden;
mod structure;
mod support;
