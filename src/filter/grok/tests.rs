use super::super::trial::{problems, run};

fn filter(more: &str) -> String {
    format!("[[filters]]\ntype = \"grok\"\nfield = \"message\"\n{more}\n")
}

#[test]
fn captures_become_typed_and_nested_fields() {
    let toml = filter(r"patterns = ['^%{WORD:verb} %{NUMBER:took:float} %{INT:[http][code]:int}']");
    assert_eq!(
        run(&toml, r#"{"message":"GET 1.5 -200"}"#),
        r#"{"message":"GET 1.5 -200","verb":"GET","took":1.5,"http":{"code":-200}}"#
    );
}

#[test]
fn the_first_pattern_that_matches_counts_unless_all_are_wanted() {
    let patterns = r"patterns = ['a=%{INT:a}', 'b=%{INT:b}']";
    let json = r#"{"message":"a=1 b=2"}"#;
    assert_eq!(run(&filter(patterns), json), r#"{"message":"a=1 b=2","a":"1"}"#);
    let all = filter(&format!("{patterns}\nbreak_on_match = false"));
    assert_eq!(run(&all, json), r#"{"message":"a=1 b=2","a":"1","b":"2"}"#);
}

#[test]
fn a_field_that_exists_becomes_a_list_unless_it_is_overwritten() {
    let patterns = r"patterns = ['^%{WORD:x} %{GREEDYDATA:message}']";
    let json = r#"{"message":"a b","x":"old"}"#;
    assert_eq!(run(&filter(patterns), json), r#"{"message":["a b","b"],"x":["old","a"]}"#);
    let over = filter(&format!("{patterns}\noverwrite = [\"message\"]"));
    assert_eq!(run(&over, json), r#"{"message":"b","x":["old","a"]}"#);
}

#[test]
fn what_does_not_match_or_is_absent_is_tagged() {
    let toml = filter(r"patterns = ['^%{INT:n}$']");
    let tagged = r#","tags":["_grokparsefailure"]}"#;
    assert_eq!(run(&toml, r#"{"message":"x"}"#), format!(r#"{{"message":"x"{tagged}"#));
    assert_eq!(run(&toml, r#"{"a":1}"#), format!(r#"{{"a":1{tagged}"#));
    let own = filter("patterns = ['^%{INT:n}$']\ntag_on_failure = [\"no\"]");
    assert_eq!(run(&own, r#"{"message":"x"}"#), r#"{"message":"x","tags":["no"]}"#);
}

#[test]
fn own_definitions_a_target_and_the_old_names_work() {
    let toml = filter(
        "patterns = ['%{ORDER:order}']\ndefinitions = { ORDER = '[A-Z]{2}[0-9]+' }\ntarget = \"shop\"",
    );
    assert_eq!(
        run(&toml, r#"{"message":"new AB12"}"#),
        r#"{"message":"new AB12","shop":{"order":"AB12"}}"#
    );
    let old = filter("patterns = ['%{COMMONAPACHELOG}']\necs = \"disabled\"");
    let line = r#"{"message":"1.2.3.4 - - [22/Nov/2026:10:00:00 +0000] \"GET / HTTP/1.1\" 200 5"}"#;
    assert!(run(&old, line).contains(r#""clientip":"1.2.3.4""#));
}

#[test]
fn escaped_text_and_lists_of_texts_are_read() {
    let toml = filter(r"patterns = ['n=%{INT:n}']");
    assert_eq!(run(&toml, r#"{"message":"\u0041 n=7"}"#), r#"{"message":"A n=7","n":"7"}"#);
    assert_eq!(
        run(&toml, r#"{"message":["x","n=1","n=2"]}"#),
        r#"{"message":["x","n=1","n=2"],"n":["1","2"]}"#
    );
}

#[test]
fn a_bad_pattern_is_shown_at_the_byte_where_it_goes_wrong() {
    let shown = problems(&filter(r"patterns = ['ok %{WORD:a}', 'x %{WROD:b}']"));
    assert!(shown.contains("WROD") && shown.contains("did you mean"), "{shown}");
    assert!(shown.contains("t.toml:4:32"), "{shown}");
}

#[test]
fn match_names_fields_and_their_patterns_as_logstash_does() {
    let filter = |more: &str| format!("[[filters]]\ntype = \"grok\"\n{more}\n");
    let two = "match = { a = '%{INT:x}', \"[b][c]\" = ['%{INT:y}', '^(?<z>\\w+)'] }";
    let json = r#"{"a":"1","b":{"c":"2"}}"#;
    assert_eq!(run(&filter(two), json), r#"{"a":"1","b":{"c":"2"},"x":"1"}"#);
    let only_second = r#"{"b":{"c":"q"}}"#;
    assert_eq!(run(&filter(two), only_second), r#"{"b":{"c":"q"},"z":"q"}"#);
    let all = filter(&format!("{two}\nbreak_on_match = \"false\""));
    assert_eq!(run(&all, json), r#"{"a":"1","b":{"c":"2"},"x":"1","y":"2","z":"2"}"#);
    let none = run(&all, r#"{"a":"-"}"#);
    assert_eq!(none, r#"{"a":"-","tags":["_grokparsefailure"]}"#);
    let list =
        "match = [\"a\", '%{OWN:x}']\npattern_definitions = { OWN = 'o' }\ntimeout_millis = 5";
    assert_eq!(run(&filter(list), r#"{"a":"o"}"#), r#"{"a":"o","x":"o"}"#);
    assert!(problems(&filter("match = {}")).contains("`match` is empty"));
    let both = filter("match = { a = 'x' }\nfield = \"a\"");
    assert!(problems(&both).contains("`field` is too much"));
}

#[test]
fn numbers_count_as_texts_and_overwrite_takes_nested_names() {
    let toml = filter(r"patterns = ['^%{NUMBER:n}$']");
    assert_eq!(run(&toml, r#"{"message":403}"#), r#"{"message":403,"n":"403"}"#);
    assert_eq!(run(&toml, r#"{"message":[1.5]}"#), r#"{"message":[1.5],"n":"1.5"}"#);
    assert_eq!(run(&toml, r#"{"message":1.0}"#), r#"{"message":1.0,"n":"1.0"}"#);
    let toml = filter("patterns = ['^%{WORD:[a][b]}$']\noverwrite = [\"[a][b]\"]");
    let json = r#"{"message":"new","a":{"b":"old"}}"#;
    assert_eq!(run(&toml, json), r#"{"message":"new","a":{"b":"new"}}"#);
    let below = format!("{toml}target = \"t\"\n");
    let json = r#"{"message":"new","t":{"a":{"b":"old"}}}"#;
    assert_eq!(run(&below, json), r#"{"message":"new","t":{"a":{"b":"new"}}}"#);
}
