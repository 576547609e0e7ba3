//! Tests of the whole that need nothing but the repository.



mod geo_database;
mod golden;
mod structure;
mod support;
