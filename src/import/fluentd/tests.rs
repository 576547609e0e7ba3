use super::super::source::{NoFiles, SourceFile};
use super::super::{Given, GivenFile, Language, Outcome, import};

fn converted(language: Language, name: &str, text: &str) -> (Outcome, String) {
    let files = vec![GivenFile { source: SourceFile::new(name, text), folder: None }];
    let outcome = import(language, Given { files, around: &NoFiles });
    let text = outcome.pipelines.iter().map(super::super::document::Pipeline::print).collect();
    (outcome, text)
}

#[test]
fn the_first_match_wins_and_a_label_is_followed() {
    let (outcome, text) = converted(
        Language::Fluentd,
        "a.conf",
        "<source>\n@type tail\npath /a.log\npos_file /p\ntag a.x\nformat json\n</source>\n\
         <source>\n@type tail\npath /b.log\npos_file /p\ntag b\n@label @B\n<parse>\n@type none\n</parse>\n</source>\n\
         <match a.**>\n@type elasticsearch\nhost es\nlogstash_format true\n</match>\n\
         <match **>\n@type stdout\n</match>\n\
         <label @B>\n<filter b>\n@type grep\n<regexp>\nkey message\npattern /x/\n</regexp>\n</filter>\n\
         <match **>\n@type file\npath /out\n</match>\n</label>\n",
    );
    assert_eq!(outcome.report.counts(), (4, 2, 0), "{}", outcome.report.table());
    assert!(text.contains("index = \"logstash-{@timestamp:%Y.%m.%d}\""), "{text}");
    assert!(text.contains("when = '@metadata.tag == \"b\" and message !~ /x/'"), "{text}");
    assert!(!text.contains("type = \"stdout\""), "{text}");
}

#[test]
fn a_syntax_error_has_its_place_and_nothing_is_written() {
    let (outcome, text) =
        converted(Language::Fluentd, "a.conf", "<source>\n  @type tail\n</match>\n");
    assert_eq!((outcome.report.broken, outcome.pipelines.len(), text.as_str()), (1, 0, ""));
}

#[test]
fn fluent_bit_gives_an_event_to_every_output_that_matches() {
    let (outcome, text) = converted(
        Language::FluentBit,
        "a.conf",
        "[INPUT]\n  Name tail\n  Path /a.log\n  Tag a\n  DB /x\n[FILTER]\n  Name modify\n  Match *\n  Add k v\n\
         [OUTPUT]\n  Name es\n  Match *\n  Host ${ES}\n[OUTPUT]\n  Name stdout\n  Match a\n",
    );
    assert_eq!(outcome.report.counts(), (4, 0, 0), "{}", outcome.report.table());
    assert!(text.contains("fields = { k = \"v\" }\nonly_if_absent = true"), "{text}");
    assert!(text.contains("hosts = [\"http://${ES:-not-set}:9200\"]"), "{text}");
}

#[test]
fn cut_and_mutated_configurations_never_panic() {
    let fluentd = "<source>\n@type tail\ntag k.*\npath /v/containers/*.log\n<parse>\n@type regexp\n\
        expression /^(?<a>.)$/\n</parse>\n</source>\n<match k.**>\n@type rewrite_tag_filter\n<rule>\nkey $.a['b']\n\
        pattern ^(.+)$\ntag $1.${tag_parts[1]}\n</rule>\n</match>\n<match **>\n@type copy\n<store>\n\
        @type elasticsearch\nindex_name \"é%Y.${record[\"x\"]}#{ENV['A'] || 'b'}\"\n</store>\n</match>\n";
    let bit = "@SET a=b\n[INPUT]\nName tail\nPath /x/*\nTag k.*\nmultiline.parser docker, cri\n\
        [FILTER]\n\
        Name rewrite_tag\n        Match k.*\nRule $log ^é $TAG.$1.$a['b'] false\n\
        [FILTER]\nName nest\nMatch *\nOperation lift\nNested_under k\n\
        [OUTPUT]\nName es\nMatch_Regex ^k\nHost ${H}\n";
    let mut seed = 1u64;
    for (language, text) in [(Language::Fluentd, fluentd), (Language::FluentBit, bit)] {
        for _ in 0..1500 {
            let mut chars: Vec<char> = text.chars().collect();
            for _ in 0..3 {
                seed = seed
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                let at = (seed >> 33) as usize % chars.len();
                let from = (seed >> 13) as usize % chars.len();
                match seed >> 62 {
                    0 => drop(chars.remove(at)),
                    1 => chars[at] = chars[from],
                    2 => chars.insert(at, ['"', '{', '$', '<', '[', '\n', '*', 'é'][from % 8]),
                    _ => chars.swap(at, from),
                }
            }
            let text: String = chars.into_iter().collect();
            converted(language, "a.conf", &text);
        }
    }
}
