use std::cell::RefCell;
use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::diagnostic::Diagnostics;
use crate::settings::{Document, ProcessEnvironment};

fn with<T>(text: &str, read: impl FnOnce(&Section<'_>) -> T) -> (T, Vec<String>) {
    let mut problems = Diagnostics::default();
    let environment = Arc::new(ProcessEnvironment);
    let document =
        Document::parse("t.toml", text.into(), Path::new("/etc"), environment, &mut problems);
    let problems = RefCell::new(problems);
    let section = Section::root(&document, &problems);
    let value = read(&section);
    section.finish();
    let messages = problems.into_inner().0.iter().map(ToString::to_string).collect();
    (value, messages)
}

#[test]
fn hosts_are_urls_and_what_is_wrong_with_one_is_told_without_its_password() {
    let text = "hosts = [\"https://u%40x:p%3Aw@es:9200/path\", \"localhost:9200\", \"http://:pw@\", \"http://a\"]";
    let ((urls, who), problems) = with(text, hosts);
    let shown: Vec<String> = urls.iter().map(shown).collect();
    assert_eq!(shown, ["https://es:9200/path", "http://a"]);
    let Credentials::Basic(user, password) = who else { panic!("no user: {who:?}") };
    assert_eq!((user.as_str(), password.reveal()), ("u@x", "p:w"));
    assert_eq!(problems.len(), 3, "{problems:?}");
    assert!(problems[0].contains("http:// or https://"), "{}", problems[0]);
    assert!(problems[2].contains("port 80"), "{}", problems[2]);
    let ((), problems) = with("", |s| drop(hosts(s)));
    assert!(problems[0].contains("`hosts` is missing"), "{problems:?}");
}

#[test]
fn half_of_a_login_and_two_logins_are_errors() {
    let read = |text| with(text, |s| credentials(s).who());
    assert_eq!(read("user = \"u\"\npassword = \"p\"").0, "user \"u\"");
    assert_eq!(read("api_key = \"k\"").0, "the API key");
    assert!(read("user = \"u\"").1[0].contains("`user` is set, but `password` is not"));
    assert!(read("password = \"u\"").1[0].contains("`password` is set, but `user` is not"));
    assert!(read("user = \"u\"\napi_key = \"p\"").1[0].contains("both `api_key` and `user`"));
}

#[test]
fn constant_parts_that_no_index_name_may_have_are_told() {
    let count = |template| name_problems(template).len();
    assert_eq!(count("logs-{service}-{@timestamp:%Y.%m.%d}"), 0);
    assert_eq!(count("{Service}-{@timestamp:%Y/%m}"), 0, "only the constant part is known");
    assert_eq!(count("Logs-{x}"), 1);
    assert_eq!(count("logs {x}"), 1);
    assert_eq!(count("_logs/*"), 2);
}

#[test]
fn an_index_template_that_is_no_json_object_is_told_at_load() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.json");
    std::fs::write(&path, "[1]").unwrap();
    let text = format!("[template]\nname = \"logs\"\nfile = \"{}\"\n", path.display());
    let read = |s: &Section<'_>| index_template(s, s.section("template").unwrap());
    let (template, problems) = with(&text, read);
    assert!(template.is_none());
    assert!(problems[0].contains("is not a JSON object"), "{problems:?}");
    std::fs::write(&path, "{\"index_patterns\": [\"logs-*\"]}").unwrap();
    assert_eq!(with(&text, read).0.unwrap().name, "logs");
}
