//! Figures of this machine as events: `type = "host"`.
//!
//! Is: a timer. In: settings `figures`, `interval`, `interface`; the files of `/proc`. Out: chunks with one line of
//! JSON for
//! each figure. Promises: names and units are those of Fluent Bit's inputs `cpu`, `mem`, `disk` and `netif`; what grows
//! since the start of the machine is given as what came in the interval, so the first event comes after one. On
//! failure: a
//! figure that the machine does not give is left out, and health says so.
//!
//! Source: proc_stat(5), proc_meminfo(5), proc_diskstats(5), proc_net(5), proc_loadavg(5).

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::time::{MissedTickBehavior, interval};

use super::generate::made;
use super::listener::stopped;
use super::{Input, InputContext, InputLoad};
use crate::delivery::BoxFuture;
use crate::event::{Key, Literal, Source, SourceKind};
use crate::health::State;
use crate::settings::Section;

/// Bytes of a sector, whatever the device says of itself.
const SECTOR_BYTES: u64 = 512;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Figure {
    Cpu,
    Memory,
    Disk,
    Network,
    Load,
}

/// The input, loaded.
struct Host {
    figures: Vec<Figure>,
    interval: Duration,
    /// Interfaces to look at; empty: all but the loopback.
    interfaces: Vec<String>,
    fields: Vec<(Key, Literal)>,
}

/// Reads an `[inputs.NAME]` table with `type = "host"`.
pub(super) fn load(section: &Section<'_>, load: &mut InputLoad<'_>) -> Option<Box<dyn Input>> {
    let written = section.required_strings("figures", "[\"cpu\", \"memory\"]");
    let every = section.duration_or("interval", Duration::from_secs(10));
    let interfaces = section.strings("interfaces").unwrap_or_default();
    let fields = std::mem::take(&mut load.fields);
    if every.is_zero() {
        let hint = "write for example: interval = \"10s\"".to_string();
        section.error(section.span_of("interval"), "`interval` is 0", Some(hint));
        return None;
    }
    let mut figures = Vec::new();
    for word in written {
        figures.push(match word.as_str() {
            "cpu" => Figure::Cpu,
            "memory" => Figure::Memory,
            "disk" => Figure::Disk,
            "network" => Figure::Network,
            "load" => Figure::Load,
            _ => {
                let hint = "figures are: cpu, memory, disk, network, load".to_string();
                let message = format!("`{}` is no figure", word.value);
                section.error(word.span, message, Some(hint));
                return None;
            }
        });
    }
    let interfaces = interfaces.into_iter().map(|name| name.value).collect();
    let host = Host { figures, interval: every, interfaces, fields };
    (!host.figures.is_empty()).then(|| Box::new(host) as _)
}

impl Input for Host {
    fn run(self: Box<Self>, context: InputContext) -> BoxFuture<'static, ()> {
        Box::pin(self.measure(context))
    }
}

impl Figure {
    fn file(self) -> &'static str {
        match self {
            Figure::Cpu => "/proc/stat",
            Figure::Memory => "/proc/meminfo",
            Figure::Disk => "/proc/diskstats",
            Figure::Network => "/proc/net/dev",
            Figure::Load => "/proc/loadavg",
        }
    }

    /// The event of two looks at the file.
    fn event(self, before: &str, now: &str, interfaces: &[String]) -> Map<String, Value> {
        match self {
            Figure::Cpu => cpu(before, now),
            Figure::Memory => memory(now),
            Figure::Disk => disk(before, now),
            Figure::Network => network(before, now, interfaces),
            Figure::Load => load_average(now),
        }
    }
}

impl Host {
    async fn measure(self, mut context: InputContext) {
        let source = Arc::new(Source {
            id: Source::new_id(),
            input: Arc::clone(&context.name),
            kind: SourceKind::Stream,
            fields: self.fields.clone(),
        });
        let read = |figure: &Figure| std::fs::read_to_string(figure.file());
        let mut looks: Vec<String> =
            self.figures.iter().map(|figure| read(figure).unwrap_or_default()).collect();
        let mut ticks = interval(self.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.tick().await;
        let mut offset = 0;
        loop {
            tokio::select! {
                biased;
                () = stopped(&mut context.stop) => return,
                _ = ticks.tick() => {}
            }
            let mut state = State::Fine;
            for (figure, before) in self.figures.iter().zip(&mut looks) {
                let now = match read(figure) {
                    Ok(now) => now,
                    Err(why) => {
                        state = State::Paused(format!("cannot read `{}`: {why}", figure.file()));
                        continue;
                    }
                };
                let event = figure.event(before, &now, &self.interfaces);
                *before = now;
                if event.is_empty() {
                    continue;
                }
                let line = format!("{}\n", Value::Object(event)).into_bytes();
                let length = line.len() as u64;
                let chunk = made(line, &source, offset, context.clock.now_ns());
                if context.intake.submit(chunk).await.is_err() {
                    return;
                }
                offset += length;
            }
            context.health.set(state);
        }
    }
}

/// The numbers of a line behind its name.
fn numbers(line: &str) -> Vec<u64> {
    line.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

/// Percent of the time of all processors, to two digits.
fn percent(part: u64, whole: u64) -> Value {
    json!((part as f64 * 10_000.0 / whole.max(1) as f64).round() / 100.0)
}

/// Time of user and system, of all processors and of each.
fn cpu(before: &str, now: &str) -> Map<String, Value> {
    let mut event = Map::new();
    for line in now.lines().filter(|line| line.starts_with("cpu")) {
        let name = line.split_whitespace().next().unwrap_or_default();
        let old = before.lines().find(|old| old.split_whitespace().next() == Some(name));
        let (old, new) = (numbers(old.unwrap_or_default()), numbers(line));
        // user, nice, system, idle, iowait, irq, softirq, steal; guests are in user.
        let gone = |at: usize| {
            let new = new.get(at).copied().unwrap_or(0);
            new.saturating_sub(old.get(at).copied().unwrap_or(0))
        };
        let whole: u64 = (0..8).map(gone).sum();
        let (user, system) = (gone(0) + gone(1), gone(2));
        let [all, of_user, of_system] = match name {
            "cpu" => ["cpu_p".to_string(), "user_p".to_string(), "system_p".to_string()],
            name => ["p_cpu", "p_user", "p_system"].map(|what| format!("{name}.{what}")),
        };
        event.insert(all, percent(user + system, whole));
        event.insert(of_user, percent(user, whole));
        event.insert(of_system, percent(system, whole));
    }
    event
}

/// Memory and swap in KiB.
fn memory(now: &str) -> Map<String, Value> {
    let get = |name: &str| {
        let line = now.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.and_then(|line| numbers(line).first().copied())
    };
    let mut event = Map::new();
    let mut part = |name: &str, total: Option<u64>, free: Option<u64>| {
        let (Some(total), Some(free)) = (total, free) else { return };
        event.insert(format!("{name}.total"), total.into());
        event.insert(format!("{name}.used"), total.saturating_sub(free).into());
        event.insert(format!("{name}.free"), free.into());
    };
    part("Mem", get("MemTotal"), get("MemAvailable").or_else(|| get("MemFree")));
    part("Swap", get("SwapTotal"), get("SwapFree"));
    event
}

/// Bytes that were read and written in the interval, of whole devices.
fn disk(before: &str, now: &str) -> Map<String, Value> {
    let sums = |text: &str| {
        let whole = |line: &&str| {
            let name = line.split_whitespace().nth(2).unwrap_or_default();
            // A partition is within its device; those of the kernel's own devices are no disks.
            let partition = match name {
                name if name.starts_with("nvme") || name.starts_with("mmcblk") => {
                    name.contains('p')
                }
                name => name.ends_with(|c: char| c.is_ascii_digit()),
            };
            !partition && !name.starts_with("loop") && !name.starts_with("ram")
        };
        text.lines().filter(whole).fold((0_u64, 0_u64), |(read, written), line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let number = |at: usize| words.get(at).and_then(|w| w.parse::<u64>().ok()).unwrap_or(0);
            (read + number(5), written + number(9))
        })
    };
    let ((old_read, old_written), (read, written)) = (sums(before), sums(now));
    let mut event = Map::new();
    let bytes = |new: u64, old: u64| Value::from(new.saturating_sub(old) * SECTOR_BYTES);
    event.insert("read_size".to_string(), bytes(read, old_read));
    event.insert("write_size".to_string(), bytes(written, old_written));
    event
}

/// Bytes, packets and errors of the interval, of each interface.
fn network(before: &str, now: &str, interfaces: &[String]) -> Map<String, Value> {
    let of = |text: &str, name: &str| {
        let line = text.lines().find_map(|line| {
            let (known, rest) = line.split_once(':')?;
            (known.trim() == name).then(|| numbers(rest))
        });
        line.unwrap_or_default()
    };
    let mut event = Map::new();
    for name in now.lines().filter_map(|line| Some(line.split_once(':')?.0.trim())) {
        let wanted = if interfaces.is_empty() {
            name != "lo"
        } else {
            interfaces.iter().any(|wanted| wanted == name)
        };
        if !wanted {
            continue;
        }
        let (old, new) = (of(before, name), of(now, name));
        for (at, what) in [
            (0, "rx.bytes"),
            (1, "rx.packets"),
            (2, "rx.errors"),
            (8, "tx.bytes"),
            (9, "tx.packets"),
            (10, "tx.errors"),
        ] {
            let number = |numbers: &[u64]| numbers.get(at).copied().unwrap_or(0);
            event
                .insert(format!("{name}.{what}"), number(&new).saturating_sub(number(&old)).into());
        }
    }
    event
}

/// Processes that run or wait, on average over one, five and fifteen minutes.
fn load_average(now: &str) -> Map<String, Value> {
    let names = ["load_1m", "load_5m", "load_15m"];
    let values = now.split_whitespace().map_while(|word| word.parse::<f64>().ok());
    names.into_iter().zip(values).map(|(name, value)| (name.to_string(), json!(value))).collect()
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{pipeline, soon};
    use super::*;

    #[test]
    fn figures_are_what_came_in_the_interval() {
        let before = "cpu  100 0 50 850 0 0 0 0 0 0\ncpu0 100 0 50 850 0 0 0 0 0 0\nintr 5\n";
        let now = "cpu  120 5 60 915 0 0 0 0 0 0\ncpu0 120 5 60 915 0 0 0 0 0 0\nintr 9\n";
        let wanted = json!({ "cpu_p": 35.0, "user_p": 25.0, "system_p": 10.0,
            "cpu0.p_cpu": 35.0, "cpu0.p_user": 25.0, "cpu0.p_system": 10.0 });
        assert_eq!(Value::Object(cpu(before, now)), wanted);

        let before = " 8 0 sda 1 0 10 0 1 0 20 0\n 8 1 sda1 1 0 10 0 1 0 20 0\n";
        let now =
            " 8 0 sda 1 0 12 0 1 0 25 0\n 8 1 sda1 1 0 12 0 1 0 25 0\n 7 0 loop0 1 0 9 0 1 0 9 0\n";
        let wanted = json!({ "read_size": 1024, "write_size": 2560 });
        assert_eq!(Value::Object(disk(before, now)), wanted);

        let head = "Inter-|   Receive\n face |bytes\n";
        let before = format!(
            "{head}    lo: 1 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n  eth0: 10 2 0 0 0 0 0 0 20 3 1 0 0 0 0 0\n"
        );
        let now = format!(
            "{head}    lo: 9 9 0 0 0 0 0 0 9 9 0 0 0 0 0 0\n  eth0: 15 4 0 0 0 0 0 0 29 4 1 0 0 0 0 0\n"
        );
        let wanted = json!({ "eth0.rx.bytes": 5, "eth0.rx.packets": 2, "eth0.rx.errors": 0,
            "eth0.tx.bytes": 9, "eth0.tx.packets": 1, "eth0.tx.errors": 0 });
        assert_eq!(Value::Object(network(&before, &now, &[])), wanted);
        let of_lo = network(&before, &now, &["lo".to_string()]);
        assert_eq!(of_lo["lo.rx.bytes"], 8);
    }

    #[test]
    fn memory_and_load_are_as_they_are_now() {
        let now = "MemTotal: 100 kB\nMemFree: 10 kB\nMemAvailable: 40 kB\nSwapTotal: 8 kB\nSwapFree: 8 kB\n";
        let wanted = json!({ "Mem.total": 100, "Mem.used": 60, "Mem.free": 40,
            "Swap.total": 8, "Swap.used": 0, "Swap.free": 8 });
        assert_eq!(Value::Object(memory(now)), wanted);
        let wanted = json!({ "load_1m": 0.5, "load_5m": 1.0, "load_15m": 2.25 });
        assert_eq!(Value::Object(load_average("0.50 1.00 2.25 1/99 7\n")), wanted);
        assert!(memory("nothing").is_empty() && load_average("").is_empty());
    }

    #[tokio::test]
    async fn an_event_comes_each_interval_until_the_stop() {
        let (context, mut pipeline) = pipeline(4);
        let (interval, figures) = (Duration::from_millis(5), vec![Figure::Memory]);
        let host = Host { figures, interval, interfaces: Vec::new(), fields: Vec::new() };
        let task = tokio::spawn(host.measure(context));
        for _ in 0..2 {
            let chunk = pipeline.chunk().await;
            let event: Value = serde_json::from_slice(&chunk.text).unwrap();
            assert!(event["Mem.total"].as_u64().unwrap() > 0, "{event}");
        }
        pipeline.stop.send(true).unwrap();
        soon(task).await.unwrap();
    }
}
