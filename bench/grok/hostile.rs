//! Every name of the dictionary on lines of one megabyte that are made to take long.
//!
//! In: the dictionary. Out: the slowest, and how many hit the step limit; the time is that of the processor, so that
//! other load does not count.
//! On failure: a name that does not compile ends the run.

use logweir::grok::{Ecs, Grok, Options, Outcome, Scratch, names};

const MEGABYTE: usize = 1 << 20;

/// Pieces that are repeated: what names take gladly and then do not end with.
const PIECES: [&str; 14] = [
    "a", "1", " ", ":", "a.", "1.", "a1:", "/a", "\\\"", "\"a", "1.2.3.4 ", "a b=", "é", "2026-11-",
];

/// Measures and prints.
pub fn run(only: &str) {
    let lines: Vec<String> =
        PIECES.iter().map(|piece| piece.repeat(MEGABYTE / piece.len())).collect();
    let (mut worst, mut limits, mut count) = (Vec::new(), 0, 0);
    for ecs in [Ecs::Disabled, Ecs::V1] {
        for name in names(ecs).into_iter().filter(|name| name.contains(only)) {
            let pattern = format!("%{{{name}:whole}}!#");
            let grok = Grok::compile(&[pattern], &[], ecs, Options::default()).expect("compiles");
            let mut scratch = Scratch::default();
            for (piece, line) in PIECES.iter().zip(&lines) {
                let started = cpu_ns();
                let outcome = grok.find(&mut scratch, line.as_bytes());
                let ms = (cpu_ns() - started) as f64 / 1e6;
                let limit = matches!(outcome, Outcome::LimitHit { .. });
                limits += usize::from(limit);
                count += 1;
                worst.push((ms, format!("{name} {ecs:?} on {piece:?}, limit {limit}")));
            }
        }
    }
    worst.sort_by(|a, b| b.0.total_cmp(&a.0));
    let over = worst.iter().filter(|(ms, _)| *ms > 50.0).count();
    println!("\nhostile lines of 1 MiB: {count}; at the limit {limits}; over 50 ms {over}; worst:");
    worst.iter().take(10).for_each(|(ms, what)| println!("{ms:>9.1} ms  {what}"));
}

/// Nanoseconds that this thread has spent on a processor, as Linux tells it.
fn cpu_ns() -> u64 {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux has it");
    told.split(' ').next().and_then(|ns| ns.parse().ok()).expect("the first number")
}
