//! What `mutate` promises besides the cases of Logstash.

use super::super::trial::{problems, run};

#[track_caller]
fn check(settings: &str, json: &str, expected: &str) {
    let found = run(&format!("[[filters]]\ntype = \"mutate\"\n{settings}\n"), json);
    assert_eq!(found, expected, "{settings}");
}

#[test]
fn the_order_is_that_of_logstash_whatever_is_written_first() {
    let settings = "copy = { b = \"c\" }\nlowercase = [\"b\"]\nrename = { a = \"b\" }";
    check(settings, r#"{"a":"X"}"#, r#"{"b":"x","c":"x"}"#);
}

#[test]
fn values_are_made_of_other_fields() {
    check("replace = { a = \"%{b}-{b}-%{no}\" }", r#"{"b":1}"#, r#"{"b":1,"a":"1-1-%{no}"}"#);
    check("update = { a = \"x\" }", r#"{"b":1}"#, r#"{"b":1}"#);
    check("coerce = { a = \"x\", b = \"y\" }", r#"{"a":null}"#, r#"{"a":"x"}"#);
    check(
        "rename = { \"f_%{x}\" = \"[d][%{x}]\" }",
        r#"{"f_1":2,"x":1}"#,
        r#"{"x":1,"d":{"1":2}}"#,
    );
    check("replace = { a = 5 }", "{}", r#"{"a":5}"#);
}

#[test]
fn texts_are_changed_by_patterns_of_ruby() {
    check(r"gsub = ['a', '(\w)-(?=\w)', '\1_']", r#"{"a":"x-y-"}"#, r#"{"a":"x_y-"}"#);
    check("gsub = [['a', '%{b}+', '']]", r#"{"a":"abba","b":"b"}"#, r#"{"a":"aa","b":"b"}"#);
    check(
        "gsub = ['a', '%{b}', '']",
        r#"{"a":"a","b":"("}"#,
        r#"{"a":"a","b":"(","tags":["_mutate_error"]}"#,
    );
}

#[test]
fn lists_and_objects_are_merged() {
    check("merge = { a = \"b\" }", r#"{"a":"x","b":["y"]}"#, r#"{"a":["x","y"],"b":["y"]}"#);
    check("merge = { a = [\"b\", \"c\"] }", r#"{"b":1,"c":2}"#, r#"{"b":1,"c":2,"a":[1,2]}"#);
    check(
        "merge = { a = \"b\" }",
        r#"{"a":{"x":1},"b":{"y":2}}"#,
        r#"{"a":{"x":1,"y":2},"b":{"y":2}}"#,
    );
    check(
        "merge = { a = \"b\" }\ncopy = { b = \"c\" }",
        r#"{"a":{"x":1},"b":2}"#,
        r#"{"a":{"x":1},"b":2,"tags":["_mutate_error"]}"#,
    );
}

#[test]
fn a_failure_ends_the_operations_and_what_is_added() {
    check(
        "convert = { a = \"integer\" }\nlowercase = [\"b\"]\nadd_tag = [\"done\"]\ntag_on_failure = \"no\"",
        r#"{"a":"x","b":"X"}"#,
        r#"{"a":"x","b":"X","tags":["no"]}"#,
    );
    check(
        "convert = { a = \"integer\" }\nadd_tag = [\"done\"]",
        r#"{"a":"0x1F"}"#,
        r#"{"a":31,"tags":["done"]}"#,
    );
}

#[test]
fn mistakes_are_shown_with_their_place() {
    let shown = |settings: &str| problems(&format!("[[filters]]\ntype = \"mutate\"\n{settings}\n"));
    assert!(shown("gsub = ['a', 'b']").contains("three texts"));
    assert!(shown("gsub = ['a', '(', 'x']").contains("--> t.toml:3:"));
    assert!(shown("convert = { a = \"number\" }").contains("no type"));
    assert!(shown("split = { a = \"\" }").contains("empty"));
    assert!(shown("rename = { a = \"@timestamp\" }").contains("@timestamp cannot be changed"));
}
