//! What `dissect` promises besides the cases of Logstash.

use super::super::trial::{Trial, problems, run};

fn filter(mapping: &str) -> String {
    format!("[[filters]]\ntype = \"dissect\"\nmapping = {{ m = '{mapping}' }}\n")
}

#[track_caller]
fn check(mapping: &str, text: &str, expected: &str) {
    let found = run(&filter(mapping), &format!("{{\"m\":\"{text}\"}}"));
    assert_eq!(found, format!("{{\"m\":\"{text}\",{expected}}}"), "{mapping}");
}

#[test]
fn parts_are_cut_at_delimiters() {
    check("%{a} %{b}", "1 2 3", r#""a":"1","b":"2 3""#);
    check("[%{a}] %{b}:", "[1] 2:3:", r#""a":"1","b":"2:3""#);
    check("%{a->}  %{b}", "1      2", r#""a":"1","b":"2""#);
    check("%{a},%{?b},%{},%{[c][d]}", "1,2,3,4", r#""a":"1","c":{"d":"4"}"#);
    check("%{?k}=%{&k}", "x=1", r#""x":"1""#);
    check("%{+t/2} %{+t/1} %{u}", "1 2 3", r#""u":"3","t":"2 1""#);
    check("%{t} %{x} %{+t}", "1 2 3", r#""x":"2","t":"1 3""#);
}

#[test]
fn a_text_that_does_not_fit_changes_nothing() {
    check("[%{a}] %{b}", "1] 2", r#""tags":["_dissectfailure"]"#);
    check("%{a} %{b}", "12", r#""tags":["_dissectfailure"]"#);
    check("%{a}:", "1", r#""tags":["_dissectfailure"]"#);
    check("%{a}", "", r#""tags":["_dissectfailure"]"#);
    assert_eq!(run(&filter("%{a}"), r#"{"x":1}"#), r#"{"x":1}"#);
    assert_eq!(run(&filter("%{a}"), r#"{"m":1}"#), r#"{"m":1,"tags":["_dissectfailure"]}"#);
    let mut trial = Trial::new(&format!("{}id = \"d\"", filter("%{a} %{b}")));
    trial.run(r#"{"m":"x"}"#);
    assert_eq!(trial.counted("logweir_filter_failures_total{filter=\"d\"}"), 1);
}

#[test]
fn what_is_added_waits_for_success() {
    let text =
        format!("{}add_field = {{ ok = \"%{{a}}\" }}\nremove_field = \"m\"", filter("%{a} %{b}"));
    assert_eq!(run(&text, r#"{"m":"1 2"}"#), r#"{"a":"1","b":"2","ok":"1"}"#);
    assert_eq!(run(&text, r#"{"m":"12"}"#), r#"{"m":"12","tags":["_dissectfailure"]}"#);
}

#[test]
fn fields_become_numbers() {
    let text = "[[filters]]\ntype = \"dissect\"\nconvert_datatype = { a = \"int\", b = \"float\" }";
    assert_eq!(run(text, r#"{"a":"-12.9","b":"1"}"#), r#"{"a":-12,"b":1.0}"#);
    assert_eq!(
        run(text, r#"{"a":"x"}"#),
        r#"{"a":"x","tags":["_dataconversionuncoercible_a_int","_dataconversionnullvalue_b_float"]}"#
    );
}

#[test]
fn faulty_patterns_are_refused_with_their_place() {
    for (mapping, says) in [
        ("abc", "names no field"),
        ("%{a", "never closed"),
        ("%{a}%{b}", "nothing tells"),
        ("%{+&a}", "one mark"),
        ("%{a?b}", "before the name"),
        ("%{&k}", "no part is named"),
        ("%{@timestamp}", "cannot be set"),
    ] {
        let shown = problems(&filter(mapping));
        assert!(shown.contains(says) && shown.contains("--> t.toml:3"), "{shown}");
    }
}
