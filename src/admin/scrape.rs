//! What a scrape of `/metrics` reads at that moment: the state of every part and the process's own figures.
//!
//! In: the parts' states, `/proc/self`. Out: Prometheus text (version 0.0.4) with the names that Prometheus'
//! clients use for a process. Promises: one series per part and state; no series per event, host or file.
//! On failure: a figure that the system does not give is left out.

use std::fmt::Write as _;

use crate::health::State;

/// The words of `logweir_part_state`, the worst last.
const WORDS: [&str; 4] = ["ok", "starting", "degraded", "paused"];

/// The figures of one process.
#[derive(Debug, Default, PartialEq)]
struct Process {
    cpu_seconds: Option<f64>,
    start_seconds: Option<f64>,
    resident_bytes: Option<u64>,
    descriptors: Option<u64>,
    most_descriptors: Option<u64>,
}

/// All of it as text, to stand behind the registry's own.
pub fn render(states: &[(String, State)]) -> String {
    let mut out = String::new();
    let version = env!("CARGO_PKG_VERSION");
    family(&mut out, "logweir_build_info", "gauge", "The version that runs; always 1.");
    let _ = writeln!(out, "logweir_build_info{{version=\"{version}\"}} 1");
    parts(&mut out, states);
    Process::now().render(&mut out);
    out
}

/// A state is 1 for the one that holds and 0 for the others, so that an alert names the word that it means.
fn parts(out: &mut String, states: &[(String, State)]) {
    family(
        out,
        "logweir_part_state",
        "gauge",
        "1 for the state that the part is in, 0 for the others.",
    );
    for (name, state) in states {
        let now = match state {
            State::Fine => "ok",
            State::Starting => "starting",
            State::Degraded(_) => "degraded",
            State::Paused(_) => "paused",
        };
        let name = name.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        for word in WORDS {
            let is = u8::from(word == now);
            let _ = writeln!(out, "logweir_part_state{{part=\"{name}\",state=\"{word}\"}} {is}");
        }
    }
}

fn family(out: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

impl Process {
    fn now() -> Process {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        let [stat, system, limits] =
            ["/proc/self/stat", "/proc/stat", "/proc/self/limits"].map(read);
        let mut process =
            Process::of(&stat, &system, &limits, rustix::param::clock_ticks_per_second());
        process.resident_bytes =
            process.resident_bytes.map(|pages| pages * rustix::param::page_size() as u64);
        // The listing holds one descriptor itself.
        let open = std::fs::read_dir("/proc/self/fd").ok().map(|list| list.count() as u64 - 1);
        process.descriptors = open;
        process
    }

    /// From proc(5)'s texts; the resident size is in pages still.
    fn of(stat: &str, system: &str, limits: &str, ticks: u64) -> Process {
        // The second field is the program's name in brackets and may hold blanks: the third one comes after it.
        let fields: Vec<&str> =
            stat.rsplit_once(") ").map_or(Vec::new(), |(_, rest)| rest.split(' ').collect());
        let field =
            |number: usize| fields.get(number - 3).and_then(|text| text.trim().parse::<u64>().ok());
        #[expect(
            clippy::cast_precision_loss,
            reason = "seconds since 1970 in ticks fit into 53 bits"
        )]
        let seconds = |count: u64| count as f64 / ticks.max(1) as f64;
        let boot = system
            .lines()
            .find_map(|l| l.strip_prefix("btime "))
            .and_then(|t| t.trim().parse::<f64>().ok());
        let most = limits.lines().find_map(|l| l.strip_prefix("Max open files"));
        Process {
            cpu_seconds: field(14).zip(field(15)).map(|(user, kernel)| seconds(user + kernel)),
            start_seconds: field(22).zip(boot).map(|(since_boot, boot)| boot + seconds(since_boot)),
            resident_bytes: field(24),
            descriptors: None,
            most_descriptors: most
                .and_then(|l| l.split_whitespace().next())
                .and_then(|t| t.parse().ok()),
        }
    }

    fn render(&self, out: &mut String) {
        let mut one = |name: &str, kind: &str, help: &str, value: Option<String>| {
            if let Some(value) = value {
                family(out, name, kind, help);
                let _ = writeln!(out, "{name} {value}");
            }
        };
        let whole = |value: Option<u64>| value.map(|v| v.to_string());
        let broken = |value: Option<f64>| value.map(|v| format!("{v:.2}"));
        one("process_cpu_seconds_total", "counter", "CPU time spent.", broken(self.cpu_seconds));
        one(
            "process_max_fds",
            "gauge",
            "Descriptors that may be open.",
            whole(self.most_descriptors),
        );
        one("process_open_fds", "gauge", "Descriptors that are open.", whole(self.descriptors));
        one(
            "process_resident_memory_bytes",
            "gauge",
            "Resident memory.",
            whole(self.resident_bytes),
        );
        let help = "When the process began, in seconds since 1970.";
        one("process_start_time_seconds", "gauge", help, broken(self.start_seconds));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_is_in_one_state_and_names_are_escaped() {
        let states =
            [("a/outputs.x".to_string(), State::Paused("why".into())), ("q\"".into(), State::Fine)];
        let mut text = String::new();
        parts(&mut text, &states);
        assert!(
            text.contains("logweir_part_state{part=\"a/outputs.x\",state=\"paused\"} 1\n"),
            "{text}"
        );
        assert!(
            text.contains("logweir_part_state{part=\"a/outputs.x\",state=\"ok\"} 0\n"),
            "{text}"
        );
        assert!(text.contains("logweir_part_state{part=\"q\\\"\",state=\"ok\"} 1\n"), "{text}");
    }

    #[test]
    fn the_process_is_read_as_proc_writes_it() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 1 0 0 0 250 50 0 0 20 0 3 0 1000 9999 321 18446744073709551615 1";
        let limits = "Limit Soft Hard Units\nMax open files            1024                 4096                 files\n";
        let process = Process::of(stat, "cpu 1 2\nbtime 1700000000\n", limits, 100);
        let expected = Process {
            cpu_seconds: Some(3.0),
            start_seconds: Some(1_700_000_010.0),
            resident_bytes: Some(321),
            descriptors: None,
            most_descriptors: Some(1024),
        };
        assert_eq!(process, expected);
        assert_eq!(
            Process::of("", "", "", 100),
            Process::default(),
            "what is not given is left out"
        );
    }

    #[test]
    fn this_process_has_all_figures() {
        let process = Process::now();
        assert!(process.resident_bytes.is_some_and(|b| b > 100_000), "{process:?}");
        assert!(process.start_seconds.is_some_and(|s| s > 1e9), "{process:?}");
        assert!(process.descriptors.is_some_and(|n| n > 0), "{process:?}");
        assert!(process.most_descriptors.is_some() && process.cpu_seconds.is_some());
    }
}
