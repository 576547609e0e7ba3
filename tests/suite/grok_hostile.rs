//! Every name of the dictionary on long texts made to take long.
//!
//! In: `GROK_HOSTILE_BYTES` sets the length (65,536 unless told; the long form is 1,048,576).
//! Promises: the search ends by an answer or at the limit, within the steps granted; the time is
//! measured by `GROK_HOSTILE=1 cargo bench --bench grok`.

use logweir::grok::{Ecs, Grok, Options, Outcome, Scratch, granted, names};

const PIECES: [&str; 7] = ["a", "1", "a.", "/a", "\\\"a", "1.2.3.4 ", "a b="];

#[test]
fn no_name_of_the_dictionary_takes_more_steps_than_granted_on_a_hostile_text() {
    let given = std::env::var("GROK_HOSTILE_BYTES").ok().and_then(|bytes| bytes.parse().ok());
    let len: usize = given.unwrap_or(65_536);
    let texts = PIECES.map(|piece| piece.repeat(len / piece.len()));
    let mut limits = 0;
    for ecs in [Ecs::Disabled, Ecs::V1] {
        for (at, name) in names(ecs).into_iter().enumerate() {
            let pattern = format!("%{{{name}:whole}}!#");
            let grok = Grok::compile(&[pattern], &[], ecs, Options::default()).expect("compiles");
            let text = &texts[at % texts.len()];
            let mut scratch = Scratch::default();
            let outcome = grok.find(&mut scratch, text.as_bytes());
            limits += usize::from(matches!(outcome, Outcome::LimitHit { .. }));
            assert!(!matches!(outcome, Outcome::Match(_)), "{name}: the text has no `!#`");
            // One way through a program may be under way when the limit is met.
            let most = granted(text.len()) + 16 * text.len() as u64;
            assert!(scratch.steps() <= most, "{name} {ecs:?}: {} steps", scratch.steps());
        }
    }
    println!("at the limit: {limits}");
}
