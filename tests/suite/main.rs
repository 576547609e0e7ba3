//! Tests of the whole that need nothing but the repository.

mod agent;
mod cli;
mod golden;
mod structure;
mod support;
