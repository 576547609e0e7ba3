//! What `translate` promises.

use std::path::Path;

use super::super::trial::{problems, run};
use super::dictionary::read;
use crate::event::Literal;

#[track_caller]
fn check(settings: &str, json: &str, expected: &str) {
    let found =
        run(&format!("[[filters]]\ntype = \"translate\"\nsource = \"s\"\n{settings}\n"), json);
    assert_eq!(found, expected, "{settings}");
}

const CODES: &str = "dictionary = { 200 = \"OK\", 500 = { name = \"error\" } }";

#[test]
fn values_are_looked_up() {
    check(&format!("{CODES}\ntarget = \"t\""), r#"{"s":200}"#, r#"{"s":200,"t":"OK"}"#);
    check(CODES, r#"{"s":["500",1]}"#, r#"{"s":{"name":"error"}}"#);
    check(CODES, r#"{"s":"404"}"#, r#"{"s":"404"}"#);
    check(&format!("{CODES}\nfallback = \"? %{{s}}\""), r#"{"s":"404"}"#, r#"{"s":"? 404"}"#);
    check(&format!("{CODES}\ntarget = \"t\""), r#"{"s":"200","t":1}"#, r#"{"s":"200","t":1}"#);
    check(
        &format!("{CODES}\ntarget = \"t\"\noverride = true"),
        r#"{"s":"200","t":1}"#,
        r#"{"s":"200","t":"OK"}"#,
    );
    check(&format!("{CODES}\nadd_tag = \"x\""), r#"{"s":"200"}"#, r#"{"s":"OK","tags":["x"]}"#);
}

#[test]
fn keys_may_be_patterns_or_parts() {
    check(
        "regex = true\ndictionary = { '^2\\d\\d$' = \"good\" }",
        r#"{"s":"204"}"#,
        r#"{"s":"good"}"#,
    );
    check(
        "exact = false\ndictionary = { foo = \"bar\", \".\" = \"!\" }",
        r#"{"s":"foofoo."}"#,
        r#"{"s":"barbar!"}"#,
    );
    check(
        "exact = false\nregex = true\ndictionary = { '\\d+' = \"N\" }",
        r#"{"s":"a1b22"}"#,
        r#"{"s":"aNbN"}"#,
    );
}

#[test]
fn the_old_names_have_the_old_target() {
    let old = format!("{CODES}\necs_compatibility = \"disabled\"");
    check(&old, r#"{"s":200}"#, r#"{"s":200,"translation":"OK"}"#);
    let told = |settings: &str| {
        problems(&format!("[[filters]]\ntype = \"translate\"\nsource = \"s\"\n{settings}\n"))
    };
    assert!(told(&format!("{CODES}\noverride = false")).contains("would do nothing"));
    assert!(told(&format!("{CODES}\ndictionary_path = \"x.csv\"")).contains("exclude"));
    assert!(told(&format!("{CODES}\ntarget = \"a\"\ndestination = \"b\"")).contains("same"));
}

#[test]
fn the_items_of_a_list_are_looked_up_one_by_one() {
    let settings = format!("{CODES}\niterate_on = \"s\"\ntarget = \"t\"");
    check(&settings, r#"{"s":[200,"x"]}"#, r#"{"s":[200,"x"],"t":["OK",null]}"#);
    check(&settings, r#"{"s":200}"#, r#"{"s":200,"t":["OK"]}"#);
    check(&settings, r#"{"s":[200],"t":1}"#, r#"{"s":[200],"t":1}"#);
    let settings = format!("{CODES}\niterate_on = \"s\"");
    check(&settings, r#"{"s":[200,"x"]}"#, r#"{"s":["OK","x"]}"#);
    let settings = "dictionary = { 7 = \"seven\" }\niterate_on = \"l\"\ntarget = \"[t][u]\"";
    let text = format!("[[filters]]\ntype = \"translate\"\nsource = \"[a][b]\"\n{settings}\n");
    let found = run(&text, r#"{"l":[{"a":{"b":7}}]}"#);
    assert_eq!(found, r#"{"l":[{"a":{"b":7},"t":{"u":"seven"}}]}"#);
    let settings = format!("{CODES}\niterate_on = \"l\"\ntarget = \"t\"");
    check(&settings, r#"{"l":[{"s":200},{"x":1}]}"#, r#"{"l":[{"s":200,"t":"OK"},{"x":1}]}"#);
}

#[test]
fn dictionaries_are_read_from_files() {
    let text = |text: &str| Literal::Str(text.into());
    assert_eq!(
        read(Path::new("a.csv"), "a,b\n\"c,\"\"\",d\n"),
        Ok(vec![("a".into(), text("b")), ("c,\"".into(), text("d"))])
    );
    assert_eq!(
        read(Path::new("a.json"), r#"{"a":[1]}"#),
        Ok(vec![("a".into(), Literal::Array(vec![Literal::Int(1)]))])
    );
    assert_eq!(
        read(Path::new("a.yml"), "# x\n'a b': \"c\\n\" # d\n1: 2\ne: f g\n"),
        Ok(vec![
            ("a b".into(), text("c\n")),
            ("1".into(), Literal::Int(2)),
            ("e".into(), text("f g"))
        ])
    );
    for (name, bad) in [("a.csv", "a"), ("a.json", "[]"), ("a.yaml", "a: b: c"), ("a.txt", "")] {
        assert!(read(Path::new(name), bad).is_err(), "{name}");
    }
    let filter = "[[filters]]\ntype = \"translate\"\nsource = \"s\"\n";
    assert!(problems(filter).contains("`dictionary` is missing"));
    assert!(
        problems(&format!("{filter}dictionary_path = \"no.csv\""))
            .contains("cannot use the dictionary")
    );
}

#[test]
fn a_changed_file_is_read_again_and_one_that_cannot_be_used_leaves_the_old_dictionary() {
    use super::super::watched::LOOK_EVERY_NS;
    use crate::clock::{ManualClock, SharedClock};
    use std::sync::Arc;

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("codes.csv");
    std::fs::write(&file, "200,OK\n").unwrap();
    let clock = Arc::new(ManualClock::default());
    let toml = format!(
        "[[filters]]\ntype = \"translate\"\nsource = \"s\"\ntarget = \"t\"\ndictionary_path = '{}'\n",
        file.display()
    );
    let (mut trial, problems) =
        super::super::trial::Trial::load(&toml, &(Arc::clone(&clock) as SharedClock));
    assert!(problems.0.is_empty(), "{problems}");
    let mut translated = |event: &str| trial.run(event);
    assert_eq!(translated(r#"{"s":200}"#), r#"{"s":200,"t":"OK"}"#);
    std::fs::write(&file, "200,good\n404,not found\n").unwrap();
    assert_eq!(translated(r#"{"s":200}"#), r#"{"s":200,"t":"OK"}"#, "it is not yet time to look");
    clock.advance_ns(LOOK_EVERY_NS);
    assert_eq!(translated(r#"{"s":200}"#), r#"{"s":200,"t":"good"}"#);
    std::fs::write(&file, "a line that is no entry").unwrap();
    clock.advance_ns(LOOK_EVERY_NS);
    assert_eq!(translated(r#"{"s":404}"#), r#"{"s":404,"t":"not found"}"#);
    let failed = "logweir_translate_reload_failures_total{filter=\"translate\"}";
    assert_eq!(trial.counted(failed), 1);
}
