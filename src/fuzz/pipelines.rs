//! Pipeline files under the fuzzer.
//!
//! In: any bytes. Promises: a text is a plan or has errors, never both; each error has a place within the text and
//! can be shown. On failure: a panic.

use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::clock::ManualClock;
use crate::config::{Surroundings, load_text};
use crate::diagnostic::Diagnostics;
use crate::metrics::Metrics;
use crate::settings::Environment;

/// No variables, no files.
pub(super) struct NoEnvironment;

impl Environment for NoEnvironment {
    fn variable(&self, name: &str) -> Option<String> {
        (name == "SET").then(|| "value".to_string())
    }

    fn read_file(&self, _: &Path) -> io::Result<String> {
        Err(io::ErrorKind::NotFound.into())
    }
}

/// A pipeline file.
pub(super) fn toml(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    // Some settings name files that are read at load; none of them may be a device.
    if ["/dev", "/proc", "/sys"].iter().any(|folder| text.contains(folder)) {
        return;
    }
    let around = Surroundings {
        environment: Arc::new(NoEnvironment),
        clock: Arc::new(ManualClock::at(1)),
        metrics: Metrics::default(),
        host_name: "host".into(),
    };
    let mut problems = Diagnostics::default();
    let path = Path::new("/nowhere/t.toml");
    let plan = load_text("t.toml", text.to_string(), path, &around, &mut problems);
    assert_eq!(plan.is_none(), problems.has_errors(), "{problems}");
    for problem in &problems.0 {
        assert!(!problem.message.is_empty());
        let Some(place) = &problem.place else { panic!("{problem} has no place") };
        let inside = text.get(place.span.clone()).is_some();
        assert!(inside, "{:?} is not a place of the text: {problem}", place.span);
        let (line, _) = place.line_column();
        assert!(line <= text.lines().count() + 1, "line {line}: {problem}");
        let shown = problem.to_string();
        assert!(!shown.chars().any(|c| c.is_control() && c != '\n'), "{shown:?}");
    }
}
