use crate::import::report::{Report, Verdict};
use crate::import::source::{NoFiles, SourceFile};
use crate::import::trial;
use crate::import::{Given, GivenFile, Language, Outcome, import};

fn imported(text: &str) -> Outcome {
    let files = vec![GivenFile { source: SourceFile::new("app.conf", text), folder: None }];
    import(Language::Logstash, Given { files, around: &NoFiles })
}

fn printed(text: &str) -> String {
    let outcome = imported(text);
    assert!(outcome.problems.0.is_empty(), "{}", outcome.problems);
    let text = outcome.pipelines[0].print();
    assert_eq!(trial::first_fault(&outcome.pipelines[0]), None, "{text}");
    text
}

fn filters(text: &str) -> String {
    let all =
        printed(&format!("input {{ stdin {{ }} }} filter {{ {text} }} output {{ stdout {{ }} }}"));
    let start = all.find("[[filters]]").unwrap_or_else(|| panic!("no filter in {all}"));
    let end = all.find("[outputs.").unwrap();
    all[start..end].trim().to_string()
}

fn verdicts(report: &Report) -> Vec<(String, Verdict)> {
    report.entries.iter().map(|e| (e.plugin.clone(), e.verdict.clone())).collect()
}

#[test]
fn the_usual_pipeline_is_converted_whole() {
    let text = r#"
        input { beats { port => 5044 } tcp { port => 5000 codec => json_lines } }
        filter {
          if [service] == "shop" {
            # the service's own lines
            grok { match => { "message" => "\[%{TIMESTAMP_ISO8601:timestamp}\] %{LOGLEVEL:level} %{GREEDYDATA:msg}" } }
            if [msg] =~ /id=([0-9]+)/ { grok { match => { "msg" => "id=%{INT:id}" } } }
          } else if [type] in ["a", "b"] { drop { } } else { mutate { add_tag => ["other"] } }
          date { match => [ "timestamp", "ISO8601" ] }
        }
        output {
          elasticsearch { hosts => ["es:9200"] index => "logs-%{service}-%{+YYYY.MM.dd}" }
          if [level] == "ERROR" { elasticsearch { hosts => ["es:9200"] index => "errors-%{+YYYY.MM.dd}" } }
          stdout { codec => rubydebug }
        }"#;
    let outcome = imported(text);
    assert_eq!(outcome.report.counts(), (10, 0, 0), "{}", outcome.report.table());
    let text = printed(text);
    for wanted in [
        "listen = \"0.0.0.0:5044\"",
        "codec = \"json\"",
        "when = 'service == \"shop\"'",
        "  # the service's own lines\n  [[filters.then]]\n",
        "when = 'msg =~ /id=([0-9]+)/'",
        "  [[filters.else]]\n  type = \"if\"\n  when = 'type in [\"a\", \"b\"]'",
        "formats = [\"ISO8601\"]",
        "index = \"logs-{service}-{@timestamp:%Y.%m.%d}\"",
        "[outputs.errors]\ntype = \"elasticsearch\"\nwhen = 'level == \"ERROR\"'",
        "format = \"pretty\"",
    ] {
        assert!(text.contains(wanted), "{wanted}\nis not in\n{text}");
    }
}

#[test]
fn conditions_keep_their_meaning() {
    let when = |condition: &str| {
        let text = filters(&format!("if {condition} {{ drop {{ }} }}"));
        let line =
            text.lines().find(|line| line.starts_with("when")).unwrap_or_default().to_string();
        line.trim_start_matches("when = '").trim_end_matches('\'').to_string()
    };
    assert_eq!(when("[a][b] and ![c]"), "exists(a.b) and not exists(c)");
    assert_eq!(when("\"x\" in [tags] or [n] >= 500"), "\"x\" in tags or n >= 500");
    assert_eq!(when("\"x\" not in [tags]"), "\"x\" not in tags");
    assert_eq!(when("!(\"x\" in [tags])"), "\"x\" not in tags");
    assert_eq!(when("[a] =~ \"^/api\""), "a =~ /^\\/api/m");
    assert_eq!(
        when("[a] xor [b]"),
        "(exists(a) and not exists(b)) or (not exists(a) and exists(b))"
    );
    assert_eq!(when("[a] nand [b]"), "not exists(a) or not exists(b)");
    assert_eq!(when("[a.b] == 'x'"), "a\\.b == \"x\"");
    assert_eq!(when("500 <= [n]"), "n >= 500");
}

#[test]
fn settings_that_are_written_twice_are_joined() {
    let text =
        filters("grok { match => { \"message\" => \"a\" } match => { \"message\" => \"b\" } }");
    assert!(text.contains("patterns = [\"a\", \"b\"]"), "{text}");
    let text = filters("mutate { add_field => { \"a\" => \"1\" } add_field => [\"b\", \"2\"] }");
    assert!(text.contains("add_field = { a = \"1\", b = \"2\" }"), "{text}");
}

#[test]
fn secrets_move_to_variables() {
    let text = "input { stdin {} } output { elasticsearch { hosts => \"es\" user => \"u\" password => \"hunter2\" } }";
    let outcome = imported(text);
    let printed = outcome.pipelines[0].print();
    assert!(printed.contains("password = \"${ELASTICSEARCH_PASSWORD:-not-set}\""), "{printed}");
    assert!(!printed.contains("hunter2") && !outcome.report.table().contains("hunter2"));
    assert!(outcome.report.variables.contains_key("ELASTICSEARCH_PASSWORD"));
}

#[test]
fn what_is_not_there_is_said_with_its_source() {
    let outcome = imported(
        "input { kafka { topics => [\"a\"] sasl_password => \"s3\" } } output { stdout { } }",
    );
    let found = verdicts(&outcome.report);
    assert!(
        matches!(&found[0], (name, Verdict::NotConvertible { .. }) if name == "kafka"),
        "{found:?}"
    );
    let text = outcome.pipelines[0].print();
    assert!(
        text.contains("# TODO input kafka (app.conf:1)") && text.contains("topics => [\"a\"]"),
        "{text}"
    );
    assert!(!text.contains("s3"), "{text}");
    assert_eq!(outcome.report.exit_code(), 3);
}

#[test]
fn an_error_has_its_place_and_what_stands_before_it_is_kept() {
    let outcome = imported(
        "input {\n  stdin { }\n}\nfilter {\n  drop { }\n  mutate { add_tag = \"x\" }\n}\n",
    );
    let said = outcome.problems.to_string();
    assert!(
        said.contains("app.conf:6:20") && said.contains("`=>` after `add_tag` expected"),
        "{said}"
    );
    let text = outcome.pipelines[0].print();
    assert!(text.contains("type = \"drop\""), "{text}");
    assert_eq!(outcome.report.exit_code(), 3);
}

#[test]
fn another_language_is_recognised() {
    let outcome = imported("<source>\n  @type tail\n</source>\n");
    assert!(
        outcome.problems.to_string().contains("this looks like Fluentd"),
        "{}",
        outcome.problems
    );
}

/// A small generator of numbers, so that a failure can be repeated.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end.max(1)
    }
}

#[test]
fn mutated_configurations_never_panic() {
    let seed = "input { tcp { port => 5000 codec => json } }\nfilter { if [a] =~ /x/ and \"b\" in [tags] {\n\
        grok { match => { \"message\" => \"%{WORD:a} ${X:1}\" } } } else { mutate { gsub => [\"a\",\"b\",\"c\"] } } }\n\
        output { stdout { } file { path => \"/tmp/%{+YYYY}/%{[a][b]}.log\" } } # é\n";
    let signs = [
        "{", "}", "[", "]", "\"", "'", "=>", "%{", "${", "/", "#", "if ", "é", "\u{0}", "\\", "!",
        "(", ")",
    ];
    let mut numbers = Numbers(7);
    for _ in 0..400 {
        let mut text: Vec<char> = seed.chars().collect();
        for _ in 0..=numbers.below(4) {
            let at = numbers.below(text.len());
            match numbers.below(3) {
                0 => drop(text.remove(at)),
                1 => drop(text.splice(at..at, signs[numbers.below(signs.len())].chars()).count()),
                _ => text.truncate(at.max(1)),
            }
        }
        let text: String = text.into_iter().collect();
        for pipeline in imported(&text).pipelines {
            pipeline.print();
        }
    }
}
