//! Which filter of a changed configuration takes up what one of the former held.

use std::collections::BTreeMap;

use super::super::aggregate::tests::{clocked, close, journal, send};
use super::super::windows::fingerprint;
use super::filter;
use crate::chunk::Position;

/// Each kind that remembers, with several fields.
fn kinds(more: &str) -> [String; 3] {
    let dedupe = "fields = [\"m.x\", \"k\"]";
    let aggregate =
        "by = [\"k\"]\nfields = { n = \"count\", s = \"sum(m.x)\", \"m.f\" = \"first(m)\" }";
    let multiline = "by = [\"k\"]\nfield = \"t\"\nstart = 'a'";
    [("dedupe", dedupe), ("aggregate", aggregate), ("multiline", multiline)]
        .map(|(kind, settings)| filter(kind, &format!("{settings}\n{more}")))
}

const FIRST: &str = r#"{"k":1,"m":{"x":1},"t":"a"}"#;
const NEXT: &str = r#"{"k":1,"m":{"x":1},"t":"b"}"#;

/// What the journal keeps of a chain that is killed after a first event and the next.
fn kept(toml: &str) -> Vec<Position> {
    let (mut trial, _) = clocked(toml);
    let mut kept = BTreeMap::new();
    send(&mut trial, &[FIRST, NEXT]);
    journal(&mut trial, &mut kept);
    assert_eq!(kept.len(), 1, "{toml}");
    kept.into_values().collect()
}

/// What comes out of a window after one event more. `None`: a part of what was kept was not known.
fn goes_on(toml: &str, kept: &[Position]) -> Option<Vec<String>> {
    let (mut trial, _) = clocked(toml);
    if !trial.plan.states().restore(kept).is_empty() {
        return None;
    }
    send(&mut trial, &[NEXT]);
    Some(close(&mut trial, true))
}

/// What comes out of it if nothing happens.
fn undisturbed(toml: &str) -> Vec<String> {
    let (mut trial, _) = clocked(toml);
    send(&mut trial, &[FIRST, NEXT, NEXT]);
    close(&mut trial, true)
}

#[test]
fn filters_that_are_put_before_one_do_not_make_it_forget() {
    let others = [
        filter("set", "fields = { x = \"{other}\", new = \"{k}\" }\nwhen = 'exists(never)'"),
        filter("dedupe", "when = 'exists(never)'\nfields = [\"other\", \"m.x\"]"),
        filter("aggregate", "when = 'exists(never)'\nfields = { m = \"max(other)\" }"),
        filter("multiline", "when = 'exists(never)'\nby = [\"other\"]\nevery = 2"),
    ];
    for toml in kinds("") {
        let kept = kept(&toml);
        let expected = Some(undisturbed(&toml));
        for other in &others {
            let changed = format!("{other}{toml}");
            assert_eq!(goes_on(&changed, &kept), expected, "{changed}");
        }
    }
}

#[test]
fn filters_of_equal_settings_take_up_each_its_own() {
    for (one, other) in kinds("when = 'k == 1'").iter().zip(kinds("when = 'k == 2'")) {
        for toml in [format!("{one}{other}"), format!("{other}{one}")] {
            assert_eq!(goes_on(&toml, &kept(&toml)), Some(undisturbed(&toml)), "{toml}");
        }
    }
}

#[test]
fn what_an_earlier_version_kept_by_the_numbers_of_fields_is_taken_up() {
    let key = |number: u64| format!("Key({})", (u64::from(u32::MAX) << 32) | number);
    let segment = |name: &str, number| {
        format!("Segment {{ key: {}, name: \"{name}\", index: None }}", key(number))
    };
    let path = |text: &str, root, segments: &[String]| {
        let segments = segments.join(", ");
        format!("Path {{ root: {}, segments: [{segments}], text: \"{text}\" }}", key(root))
    };
    let fields =
        [path("m.x", 7, &[segment("m", 7), segment("x", 8)]), path("k", 9, &[segment("k", 9)])];
    let former = format!("dedupe\n0\n60000000000\nSome([{}])", fields.join(", "));
    let [dedupe, ..] = kinds("");
    let mut kept = kept(&dedupe);
    kept[0].identity[1..9].copy_from_slice(&fingerprint(former).to_le_bytes());
    assert_eq!(goes_on(&dedupe, &kept), Some(undisturbed(&dedupe)));
    let other = filter("set", "fields = { x = 1 }");
    assert_eq!(goes_on(&format!("{other}{dedupe}"), &kept), None, "it hangs on the numbers");
}
