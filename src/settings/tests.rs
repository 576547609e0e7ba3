use super::*;
use std::collections::HashMap;
use std::io;
use std::path::Path;

struct Fixed(HashMap<&'static str, &'static str>);

impl Environment for Fixed {
    fn variable(&self, name: &str) -> Option<String> {
        self.0.get(name).map(ToString::to_string)
    }

    fn read_file(&self, _: &Path) -> io::Result<String> {
        Ok("s3cret\n".into())
    }
}

fn with<T>(text: &str, read: impl FnOnce(&Section<'_>) -> T) -> (T, Vec<String>) {
    let mut problems = Diagnostics::default();
    let environment = Arc::new(Fixed(HashMap::from([("NAME", "value")])));
    let document =
        Document::parse("t.toml", text.into(), Path::new("/etc"), environment, &mut problems);
    let problems = RefCell::new(problems);
    let section = Section::root(&document, &problems);
    let value = read(&section);
    section.finish();
    let messages = problems.into_inner().0.iter().map(|d| d.message.clone()).collect();
    (value, messages)
}

#[test]
fn all_problems_of_a_table_are_reported_at_once() {
    let text = "size = \"12 parsecs\"\nwait = 5\nmode = \"dsk\"\nunkown = 1\n";
    let ((), problems) = with(text, |s| {
        s.bytes_or("size", 1);
        s.duration_or("wait", Duration::ZERO);
        s.choice_or("mode", &[("disk", 1), ("memory", 2)], 1);
        s.has("unknown");
    });
    assert_eq!(
        problems,
        [
            "`size` cannot be read",
            "`wait` must be a time such as \"5s\", but is a whole number",
            "`mode` is \"dsk\", but must be one of: disk, memory",
            "unknown key `unkown`"
        ]
    );
}

#[test]
fn variables_are_put_in_and_a_missing_one_is_named() {
    let text = "a = \"x-${NAME}-${NONE:-d}\"\nb = \"${NONE}\"\nc = \"^a$$${NAME} ${}\"\n";
    let (values, problems) = with(text, |s| {
        let value = |k| s.string(k).map(|v| v.value);
        (value("a"), value("b"), value("c"))
    });
    assert_eq!(values.0.as_deref(), Some("x-value-d"));
    assert_eq!(values.1, None);
    assert_eq!(values.2.as_deref(), Some("^a$${NAME} ${}"));
    assert_eq!(problems, ["the environment variable `NONE` is not set"]);
}

#[test]
fn a_secret_comes_from_a_file_and_is_not_shown() {
    let (secret, problems) = with("key = { file = \"k\" }\n", |s| s.secret("key").unwrap().value);
    assert_eq!(problems, Vec::<String>::new());
    assert_eq!(secret.reveal(), "s3cret");
    assert_eq!(format!("{secret:?} {secret}"), "*** ***");
}

#[test]
fn units_are_read_as_people_write_them() {
    assert_eq!(parse_bytes("64MiB"), Some(64 << 20));
    assert_eq!(parse_bytes("1.5 GB"), Some(1_500_000_000));
    assert_eq!(parse_bytes("12 parsecs"), None);
    assert_eq!(parse_duration("500ms"), Some(Duration::from_millis(500)));
    assert_eq!(parse_duration("5"), None);
}
