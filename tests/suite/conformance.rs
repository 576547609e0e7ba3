//! The cases of Logstash's own test suites, where `LOGWEIR_CONFORMANCE` names the folder that holds them.
//!
//! They are other projects' data and stay outside; `.ci/run` sets the variable. Where it is set, a missing file fails.

mod date;
mod filters;
mod geoip;
mod grok;
