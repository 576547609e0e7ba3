//! What the filter promises.

use super::super::trial::{Trial, problems, run, written};
use super::write_uuid;

fn filter(settings: &str) -> String {
    format!(
        "[[filters]]\ntype = \"fingerprint\"\nremove_field = [\"message\", \"a\", \"b\"]\n{settings}\n"
    )
}

#[track_caller]
fn check(settings: &str, json: &str, expected: &str) {
    assert_eq!(run(&filter(settings), json), expected, "{settings}");
}

#[test]
fn a_text_has_its_digest() {
    check(
        "",
        r#"{"message":"abc"}"#,
        r#"{"event":{"hash":"a9993e364706816aba3e25717850c26c9cd0d89d"}}"#,
    );
    check(
        "method = \"MD5\"\necs_compatibility = \"disabled\"",
        r#"{"message":"abc"}"#,
        r#"{"fingerprint":"900150983cd24fb0d6963f7d28e17f72"}"#,
    );
    check(
        "method = \"MD5\"\nbase64encode = true\ntarget = \"t\"",
        r#"{"message":"abc"}"#,
        r#"{"t":"kAFQmDzST7DWlj99KOF/cg=="}"#,
    );
    check(
        "key = \"Jefe\"\ntarget = \"t\"",
        r#"{"message":"what do ya want for nothing?"}"#,
        r#"{"t":"effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"}"#,
    );
}

#[test]
fn other_methods_give_what_their_names_say() {
    check("method = \"MURMUR3\"\ntarget = \"t\"", r#"{"message":"hello"}"#, r#"{"t":613153351}"#);
    check(
        "method = \"MURMUR3_128\"\ntarget = \"t\"",
        r#"{"message":"The quick brown fox jumps over the lazy dog"}"#,
        r#"{"t":"dcd8970e8b4270158c6fdd9481c3cbe3"}"#,
    );
    check(
        "method = \"IPV4_NETWORK\"\nkey = 16\ntarget = \"t\"",
        r#"{"message":"1.2.3.4"}"#,
        r#"{"t":"1.2.0.0"}"#,
    );
    check(
        "method = \"IPV4_NETWORK\"\nkey = \"24\"\ntarget = \"t\"",
        r#"{"message":"1.2.3.4"}"#,
        r#"{"t":"1.2.3.0"}"#,
    );
    check(
        "method = \"PUNCTUATION\"\ntarget = \"t\"",
        r#"{"message":"PHP Warning:  json_encode() [<a>]: x in /var/x.php on 1"}"#,
        r#"{"t":":_()[<>]://."}"#,
    );
}

#[test]
fn several_sources_are_put_together_or_the_last_one_counts() {
    // The digest of `|a|1|b|x|`.
    let both =
        "source = [\"b\", \"a\"]\nmethod = \"MD5\"\ntarget = \"t\"\nconcatenate_sources = true";
    let text = run(
        "[[filters]]\ntype = \"fingerprint\"\nmethod = \"MD5\"\ntarget = \"t\"\nremove_field = \"message\"",
        r#"{"message":"|a|1|b|x|"}"#,
    );
    check(both, r#"{"a":1,"b":"x"}"#, &text);
    let last = "source = [\"a\", \"b\"]\nmethod = \"MD5\"\ntarget = \"t\"";
    check(last, r#"{"b":"abc","a":1}"#, r#"{"t":"900150983cd24fb0d6963f7d28e17f72"}"#);
    check(last, r#"{"a":"abc"}"#, r#"{"t":"900150983cd24fb0d6963f7d28e17f72"}"#);
    check(last, r#"{"b":["abc"]}"#, r#"{"t":["900150983cd24fb0d6963f7d28e17f72"]}"#);
}

#[test]
fn all_fields_are_put_together_by_name_whatever_their_order() {
    let settings = "concatenate_all_fields = true\nmethod = \"SHA256\"\ntarget = \"t\"";
    let one = run(&filter(settings), r#"{"b":{"y":1,"x":[2]},"a":"z"}"#);
    let other = run(&filter(settings), r#"{"a":"z","b":{"x":[2],"y":1}}"#);
    assert_eq!(one, other);
    let text = "|@timestamp|2026-11-22T01:02:03.004Z|@version|1|a|z|b|x|2|y|1|";
    check("method = \"SHA256\"\ntarget = \"t\"", &format!("{{\"message\":\"{text}\"}}"), &one);
}

#[test]
fn absent_sources_change_nothing_and_odd_ones_are_tagged() {
    check("", r#"{"x":1}"#, r#"{"x":1}"#);
    check(
        "method = \"IPV4_NETWORK\"\nkey = 8",
        r#"{"message":"x"}"#,
        r#"{"message":"x","tags":["_fingerprintfailure"]}"#,
    );
}

#[test]
fn a_uuid_is_random_and_says_that_it_is() {
    let mut trial =
        Trial::new("[[filters]]\ntype = \"fingerprint\"\nmethod = \"UUID\"\ntarget = \"t\"\n");
    let mut batch = trial.batch(&["{}", "{}"]);
    trial.chain.apply(&mut batch);
    assert_ne!(written(&batch, 0), written(&batch, 1));
    let mut out = Vec::new();
    write_uuid([u64::MAX, 0], &mut out);
    assert_eq!(out, b"ffffffff-ffff-4fff-8000-000000000000");
}

#[test]
fn a_key_that_is_no_length_is_an_error_that_does_not_show_it() {
    let told = problems(
        "[[filters]]\ntype = \"fingerprint\"\nmethod = \"IPV4_NETWORK\"\nkey = \"hunter2\"",
    );
    assert!(told.contains("no number from 0 to 128") && !told.contains("hunter2"), "{told}");
    assert!(
        problems("[[filters]]\ntype = \"fingerprint\"\nmethod = \"IPV4_NETWORK\"")
            .contains("`key` is missing")
    );
    assert!(problems("[[filters]]\ntype = \"fingerprint\"\nmethod = \"SHA2\"").contains("SHA256"));
}
