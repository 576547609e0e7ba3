//! What `useragent` promises besides the cases of Logstash.

use super::super::trial::{problems, run};
use super::definitions::{Definitions, Product};

const FIREFOX: &str =
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.11; rv:45.0) Gecko/20100101 Firefox/45.0";

fn filter(settings: &str) -> String {
    format!(
        "[[filters]]\ntype = \"useragent\"\nsource = \"ua\"\n{settings}\nremove_field = \"ua\"\n"
    )
}

#[test]
fn every_bundled_pattern_can_be_used() {
    assert_eq!(Definitions::bundled().faulty(), Vec::<&str>::new());
}

#[test]
fn our_own_list_knows_the_usual_texts() {
    let definitions = Definitions::bundled();
    let name = Product::full;
    let cases = include_str!("known.txt").lines();
    let cases: Vec<&str> = cases.filter(|l| !l.is_empty() && !l.starts_with('#')).collect();
    assert!(cases.len() > 100);
    let mut wrong = Vec::new();
    for case in cases.chunks(2) {
        let found = definitions.find(case[0].as_bytes());
        let system = name(&found.system);
        let found = format!("    {} | {system} | {}", name(&found.agent), found.device);
        if found != case[1] {
            wrong.push(format!("{}\nfound:\n{found}\nwanted:\n{}", case[0], case[1]));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn names_are_those_of_ecs_or_the_old_ones() {
    let event = format!("{{\"ua\":\"{FIREFOX}\"}}");
    assert_eq!(
        run(&filter(""), &event),
        r#"{"user_agent":{"name":"Firefox","version":"45.0","os":{"name":"Mac OS X","version":"10.11","full":"Mac OS X 10.11"},"device":{"name":"Mac"}}}"#
    );
    assert_eq!(
        run(&filter("ecs_compatibility = \"disabled\"\nprefix = \"x_\""), &event),
        r#"{"x_name":"Firefox","x_version":"45.0","x_major":"45","x_minor":"0","x_os":"Mac OS X","x_os_name":"Mac OS X","x_os_version":"10.11","x_os_full":"Mac OS X 10.11","x_os_major":"10","x_os_minor":"11","x_device":"Mac"}"#
    );
}

#[test]
fn what_is_not_known_is_other_and_what_is_absent_changes_nothing() {
    assert_eq!(
        run(&filter("target = \"t\""), r#"{"ua":["?","x"],"t":{"original":"?"}}"#),
        r#"{"t":{"original":"?","name":"Other","os":{"name":"Other","full":"Other"},"device":{"name":"Other"}}}"#
    );
    assert_eq!(run(&filter(""), r#"{"ua":"","a":1}"#), r#"{"ua":"","a":1}"#);
    assert_eq!(run(&filter(""), r#"{"a":1}"#), r#"{"a":1}"#);
}

#[test]
fn a_file_of_patterns_is_read_or_refused_with_its_line() {
    let text = "user_agent_parsers:\n  - regex: '(It''s)/(\\d+)'\n    family_replacement: 'x$1'\n";
    let definitions = Definitions::read(text).unwrap();
    let found = definitions.find(b"It's/3");
    assert_eq!((found.agent.family.as_str(), found.agent.version()), ("xIt's", Some("3".into())));
    assert_eq!(definitions.find(b"its/3").agent.family, "Other");
    assert_eq!(Definitions::read("a:\n").err(), Some("line 1: a list of another name".into()));
    assert!(Definitions::read("os_parsers:\n- regex: 'a\n").is_err());
    assert!(problems(&filter("regexes = \"none.yaml\"")).contains("cannot use the patterns"));
}
