//! The service file, as systemd itself judges it.

use std::process::Command;

use crate::agent::Home;
use crate::machine::{checkout, text};

#[test]
fn systemd_finds_nothing_wrong_with_the_service_file() {
    let home = Home::new();
    let unit = std::fs::read_to_string(checkout("packaging/systemd/logweir.service")).unwrap();
    assert!(unit.contains("/usr/bin/logweir"), "{unit}");
    let unit = unit.replace("/usr/bin/logweir", env!("CARGO_BIN_EXE_logweir"));
    std::fs::write(home.path("logweir.service"), unit).unwrap();
    let mut command = Command::new("systemd-analyze");
    let output = command.arg("verify").arg(home.path("logweir.service")).output().unwrap();
    let said = text(&output.stdout) + &text(&output.stderr);
    // The machine's other units are none of ours.
    let ours: Vec<&str> = said.lines().filter(|line| line.contains("logweir")).collect();
    assert!(output.status.success() && ours.is_empty(), "{}: {said}", output.status);
}
