//! Configurations of other agents under the fuzzer.
//!
//! In: any bytes: a language, then a configuration. Promises: it is converted or said to be wrong, without a panic;
//! each problem lies within its file and can be shown; what is written is TOML. On failure: a panic.

use std::path::Path;
use std::sync::Arc;

use super::pipelines::NoEnvironment;
use crate::clock::ManualClock;
use crate::config::{Surroundings, load_text};
use crate::diagnostic::Diagnostics;
use crate::import::source::{NoFiles, SourceFile};
use crate::import::{Given, GivenFile, Language, import};
use crate::metrics::Metrics;

/// A configuration.
pub(crate) fn configuration(data: &[u8]) {
    let [language, text @ ..] = data else { return };
    let (language, name) = match language % 4 {
        0 => (Language::Logstash, "a.conf"),
        1 => (Language::Fluentd, "a.conf"),
        2 => (Language::FluentBit, "a.conf"),
        _ => (Language::FluentBit, "a.yaml"),
    };
    let text = String::from_utf8_lossy(text).into_owned();
    // What is tried names files that are read; none of them may be a device.
    if ["/dev", "/proc", "/sys"].iter().any(|folder| text.contains(folder)) {
        return;
    }
    let source = SourceFile::new(name, text);
    let files = vec![GivenFile { source, folder: None }];
    let outcome = import(language, Given { files, around: &NoFiles });
    let _ = outcome.problems.to_string();
    let _ = (outcome.report.table(), outcome.report.json(&[]));
    for pipeline in &outcome.pipelines {
        let text = pipeline.print();
        let around = Surroundings {
            environment: Arc::new(NoEnvironment),
            clock: Arc::new(ManualClock::at(1)),
            metrics: Metrics::default(),
            host_name: "host".into(),
        };
        let mut problems = Diagnostics::default();
        load_text("a.toml", text.clone(), Path::new("/none/a.toml"), &around, &mut problems);
        let problems = problems.to_string();
        assert!(!problems.contains("not valid TOML"), "{problems}\n{text}");
    }
}
