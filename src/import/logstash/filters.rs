//! Logstash's filters as ours.
//!
//! In: a filter plugin. Out: filters. Promises: those that ours are named after go over setting by setting; each is
//! loaded on trial. On failure: a TODO with the source and the nearest way.

use super::specification::Kind::{Any, Field, FieldHash, Fields, Flag, Hash, Number, Text, Texts};
use super::specification::{COMMON, Setting, apply, say_rest};
use super::syntax::{Plugin, Value};
use super::values::{self, Settings};
use super::{Translator, mutate, restated};
use crate::import::document::{Filter, Step, Table, Value as Ours};
use crate::import::report::Account;
use crate::import::ruby;

/// A filter that goes over setting by setting: its name there and here, its settings, those without effect.
type Plain = (&'static str, &'static str, &'static [Setting], &'static [&'static str]);

const SOURCE: Setting = ("source", "field", Field);
const TARGET: Setting = ("target", "target", Field);
const TAGS: Setting = ("tag_on_failure", "tag_on_failure", Texts);

const PLAIN: [Plain; 26] = [
    (
        "json",
        "json",
        &[SOURCE, TARGET, ("skip_on_invalid_json", "skip_invalid", Flag), TAGS],
        &["ecs_compatibility"],
    ),
    (
        "kv",
        "kv",
        &[
            SOURCE,
            TARGET,
            TAGS,
            ("field_split", "field_split", Text),
            ("field_split_pattern", "field_split_pattern", Text),
            ("value_split", "value_split", Text),
            ("value_split_pattern", "value_split_pattern", Text),
            ("whitespace", "whitespace", Text),
            ("include_brackets", "include_brackets", Flag),
            ("prefix", "prefix", Text),
            ("trim_key", "trim_key", Text),
            ("trim_value", "trim_value", Text),
            ("trimkey", "trim_key", Text),
            ("trim", "trim_value", Text),
            ("remove_char_key", "remove_char_key", Text),
            ("remove_char_value", "remove_char_value", Text),
            ("transform_key", "transform_key", Text),
            ("transform_value", "transform_value", Text),
            ("include_keys", "include_keys", Texts),
            ("exclude_keys", "exclude_keys", Texts),
            ("default_keys", "default_keys", Hash),
            ("allow_duplicate_values", "allow_duplicate_values", Flag),
            ("allow_empty_values", "allow_empty_values", Flag),
            ("recursive", "recursive", Flag),
            ("tag_on_timeout", "tag_on_timeout", Text),
        ],
        &["ecs_compatibility", "timeout_millis"],
    ),
    (
        "dissect",
        "dissect",
        &[
            ("mapping", "mapping", FieldHash),
            ("convert_datatype", "convert_datatype", FieldHash),
            TAGS,
        ],
        &[],
    ),
    (
        "useragent",
        "useragent",
        &[
            SOURCE,
            TARGET,
            ("prefix", "prefix", Text),
            ("regexes", "regexes", Text),
            ("lru_cache_size", "lru_cache_size", Number),
            ("ecs_compatibility", "ecs_compatibility", Text),
        ],
        &[],
    ),
    (
        "csv",
        "csv",
        &[
            SOURCE,
            TARGET,
            ("columns", "columns", Texts),
            ("separator", "separator", Text),
            ("quote_char", "quote_char", Text),
            ("convert", "convert", Hash),
            ("autogenerate_column_names", "autogenerate_column_names", Flag),
            ("skip_empty_columns", "skip_empty_columns", Flag),
            ("skip_empty_rows", "skip_empty_rows", Flag),
            ("skip_header", "skip_header", Flag),
            TAGS,
        ],
        &["ecs_compatibility"],
    ),
    (
        "translate",
        "translate",
        &[
            ("source", "field", Field),
            ("field", "field", Field),
            TARGET,
            ("destination", "target", Field),
            ("dictionary", "dictionary", Hash),
            ("dictionary_path", "dictionary_path", Text),
            ("exact", "exact", Flag),
            ("regex", "regex", Flag),
            ("fallback", "fallback", Any),
            ("override", "override", Flag),
            ("iterate_on", "iterate_on", Field),
            ("refresh_behaviour", "refresh_behaviour", Text),
            ("yaml_dictionary_code_point_limit", "yaml_dictionary_code_point_limit", Number),
        ],
        &["ecs_compatibility", "refresh_interval", "yaml_load_strategy"],
    ),
    (
        "cidr",
        "cidr",
        &[
            ("address", "address", Texts),
            ("address_field", "address_field", Field),
            ("network", "network", Texts),
            ("network_path", "network_path", Text),
            ("separator", "separator", Text),
        ],
        &["refresh_interval"],
    ),
    (
        "syslog_pri",
        "syslog_pri",
        &[
            ("syslog_pri_field_name", "field", Field),
            ("ecs_compatibility", "ecs_compatibility", Text),
            ("use_labels", "use_labels", Flag),
            ("facility_labels", "facility_labels", Texts),
            ("severity_labels", "severity_labels", Texts),
        ],
        &[],
    ),
    (
        "urldecode",
        "urldecode",
        &[
            ("field", "field", Field),
            ("all_fields", "all_fields", Flag),
            ("charset", "charset", Text),
        ],
        &[],
    ),
    (
        "prune",
        "prune",
        &[
            ("whitelist_names", "whitelist_names", Texts),
            ("blacklist_names", "blacklist_names", Texts),
            ("whitelist_values", "whitelist_values", Hash),
            ("blacklist_values", "blacklist_values", Hash),
            ("interpolate", "interpolate", Flag),
        ],
        &[],
    ),
    (
        "truncate",
        "truncate",
        &[("fields", "fields", Fields), ("length_bytes", "length_bytes", Number)],
        &[],
    ),
    (
        "clone",
        "clone",
        &[("clones", "clones", Texts), ("ecs_compatibility", "ecs_compatibility", Text)],
        &[],
    ),
    (
        "split",
        "split",
        &[("field", "field", Field), TARGET, ("terminator", "terminator", Text)],
        &[],
    ),
    ("drop", "drop", &[("percentage", "percentage", Number)], &[]),
    (
        "fingerprint",
        "fingerprint",
        &[
            ("source", "source", Fields),
            TARGET,
            ("method", "method", Text),
            ("key", "key", Text),
            ("concatenate_sources", "concatenate_sources", Flag),
            ("concatenate_all_fields", "concatenate_all_fields", Flag),
            ("base64encode", "base64encode", Flag),
            ("ecs_compatibility", "ecs_compatibility", Text),
        ],
        &[],
    ),
    (
        "anonymize",
        "anonymize",
        &[("fields", "fields", Fields), ("algorithm", "algorithm", Text), ("key", "key", Text)],
        &[],
    ),
    (
        "dns",
        "dns",
        &[
            ("resolve", "resolve", Fields),
            ("reverse", "reverse", Fields),
            ("action", "action", Text),
            ("nameserver", "nameserver", Any),
            ("hit_cache_size", "hit_cache_size", Number),
            ("hit_cache_ttl", "hit_cache_ttl", Number),
            ("failed_cache_size", "failed_cache_size", Number),
            ("failed_cache_ttl", "failed_cache_ttl", Number),
            ("hostsfile", "hostsfile", Texts),
            ("max_retries", "max_retries", Number),
            ("timeout", "timeout", Any),
            ("tag_on_timeout", "tag_on_timeout", Texts),
        ],
        &[],
    ),
    (
        "xml",
        "xml",
        &[
            ("source", "source", Field),
            TARGET,
            ("store_xml", "store_xml", Flag),
            ("xpath", "xpath", Hash),
            ("namespaces", "namespaces", Hash),
            ("force_array", "force_array", Flag),
            ("force_content", "force_content", Flag),
            ("remove_namespaces", "remove_namespaces", Flag),
            ("suppress_empty", "suppress_empty", Flag),
            ("parse_options", "parse_options", Text),
        ],
        &["ecs_compatibility"],
    ),
    (
        "throttle",
        "throttle",
        &[
            ("key", "key", Text),
            ("before_count", "before_count", Any),
            ("after_count", "after_count", Any),
            ("period", "period", Any),
            ("max_age", "max_age", Any),
            ("max_counters", "max_counters", Any),
        ],
        &[],
    ),
    ("noop", "", &[], &[]),
    ("uuid", "fingerprint", &[TARGET], &["ecs_compatibility"]),
    ("json_encode", "json_encode", &[SOURCE, TARGET], &[]),
    (
        "de_dot",
        "de_dot",
        &[
            // As they are written: dots within them are meant.
            ("fields", "fields", Texts),
            ("separator", "separator", Text),
            ("nested", "nested", Flag),
            ("recursive", "recursive", Flag),
        ],
        &[],
    ),
    (
        "bytes",
        "bytes",
        &[
            SOURCE,
            TARGET,
            ("conversion_method", "conversion_method", Text),
            ("prefix_system", "prefix_system", Text),
            ("decimal_separator", "decimal_separator", Text),
            ("digit_group_separator", "digit_group_separator", Text),
            TAGS,
        ],
        &[],
    ),
    (
        "date",
        "date",
        &[TARGET, ("timezone", "timezone", Text), ("locale", "locale", Text), TAGS],
        &[],
    ),
    (
        "geoip",
        "geoip",
        &[SOURCE, ("target", "target", Field), ("fields", "fields", Texts), TAGS],
        &["ecs_compatibility", "cache_size", "lru_cache_size", "default_database_type"],
    ),
];

/// Filters that are not there, and the nearest way.
const MISSING: [(&str, &str); 10] = [
    (
        "jdbc_streaming",
        "write the table to a file and use the filter `translate` with `dictionary_path`",
    ),
    (
        "jdbc_static",
        "write the table to a file and use the filter `translate` with `dictionary_path`",
    ),
    ("memcached", "use the filter `translate` with `dictionary_path`"),
    (
        "elasticsearch",
        "use an enrich processor in an ingest pipeline (`pipeline` of the output `elasticsearch`)",
    ),
    ("http", "use the filter `translate` with `dictionary_path`, or an ingest pipeline"),
    (
        "elapsed",
        "keep the start's time with a filter `aggregate`, or compute it in Elasticsearch by a transform",
    ),
    ("aggregate", "the filter `aggregate` folds events; the source's Ruby code says what into"),
    ("tld", "use the filter `grok` on the host's name"),
    ("cipher", "use the filter `fingerprint` or `redact`"),
    ("extractnumbers", "use the filter `grok` with %{NUMBER:name}"),
];

/// Converts one.
pub fn convert(translator: &mut Translator<'_>, plugin: &Plugin) -> Vec<Step> {
    let mut account = translator.account("filter", plugin);
    let mut settings = Settings::of(plugin);
    let steps = match plugin.name.as_str() {
        "grok" => grok(translator, &mut settings, &mut account),
        "mutate" => mutate::convert(&mut settings, &mut account, translator.report),
        "alter" => mutate::alter(translator, &mut settings),
        "ruby" => script(&mut settings, &mut account),
        name => match PLAIN.iter().find(|(known, ..)| *known == name) {
            Some((_, "", ..)) => Vec::new(),
            Some(plain) => goes_over(translator, plain, &mut settings, &mut account),
            None => restated::convert(name, &mut settings, &mut account, translator.report)
                .unwrap_or_else(|| {
                    let nearest = MISSING.iter().find(|(known, _)| *known == name);
                    let instead = nearest.map_or(
                        "say it with the filters of docs/settings.md, or in front",
                        |(_, way)| *way,
                    );
                    account.missing(format!("there is no filter `{name}`"), instead);
                    Vec::new()
                }),
        },
    };
    if !account.is_missing() {
        say_rest(&mut settings, &mut account);
    }
    translator.finish_steps(account, steps, plugin.comments.clone())
}

fn goes_over(
    translator: &mut Translator<'_>,
    plain: &Plain,
    settings: &mut Settings,
    account: &mut Account,
) -> Vec<Step> {
    let (name, ours, known, ignored) = *plain;
    let mut filter = Filter::new(ours);
    settings.ignore(ignored);
    if name == "clone" && !settings.has("clones") {
        account.differs("it names no clones, so it makes none");
        return Vec::new();
    }
    if name == "date" {
        date(settings, &mut filter, account);
    }
    apply(&mut filter.settings, settings, known, translator.report);
    let table = &mut filter.settings;
    match name {
        "date" => {
            if let Some(Ours::Variables(zone)) = table.get("timezone").cloned() {
                table.set("timezone", Ours::Variables(zone.replace(":-not-set}", ":-UTC}")));
            }
        }
        "useragent" | "syslog_pri" | "fingerprint" | "clone"
            if !translator.ecs && table.get("ecs_compatibility").is_none() =>
        {
            table.set("ecs_compatibility", "disabled");
        }
        "dissect" => doubled(table),
        "dns" => {
            seconds(table);
            super::name_servers::known(table, account);
        }
        "geoip" => geoip(translator, settings, table),
        "uuid" => {
            table.set("method", "UUID");
            let target = table.get("target").and_then(Ours::text).map(str::to_string);
            if let Some(target) = target.filter(|_| settings.flag("overwrite") != Some(true)) {
                table.add_when(&format!("not exists({target})"));
            }
        }
        "csv" => csv(settings, account),
        "translate"
            if table.get("target").is_none() && !translator.ecs && table.get("field").is_some() =>
        {
            // Logstash before 8 writes to `translation`.
            table.set("target", "translation");
        }
        "split" => {
            table.0.retain(|(key, value)| key != "terminator" || value.text() != Some("\\n"));
        }
        _ => {}
    }
    apply(&mut filter.settings, settings, &COMMON, translator.report);
    vec![Step::Filter(filter)]
}

fn date(settings: &mut Settings, filter: &mut Filter, account: &mut Account) {
    let mut items = settings.texts("match").unwrap_or_default();
    // `match => { "field" => ["form", …] }`, too.
    if items.is_empty() {
        return account.missing("the filter says no `match`", "give `field` and `formats`");
    }
    let field = items.remove(0);
    filter.settings.set("field", values::field(&field));
    filter.settings.set("formats", Ours::texts(items));
}

fn geoip(translator: &mut Translator<'_>, settings: &mut Settings, table: &mut Table) {
    let asn = settings.text("default_database_type").is_some_and(|kind| kind == "ASN");
    let name = if asn { "GEOIP_ASN_DATABASE" } else { "GEOIP_DATABASE" };
    let usual = if asn { "GeoLite2-ASN.mmdb" } else { "GeoLite2-City.mmdb" };
    match settings.text("database") {
        Some(path) => table.set("database", values::text(&path, translator.report)),
        None => {
            let what =
                "the GeoIP database, which Logstash brings along (here: any MaxMind .mmdb file)";
            translator.report.variables.insert(name.to_string(), what.to_string());
            table.set("database", Ours::Variables(format!("${{{name}:-{usual}}}")));
        }
    }
    // Logstash starts without its database, too, and tags what it cannot look up.
    table.set("optional", true);
}

/// `%{[[a][b]]}`, which Logstash reads as `%{[a][b]}`.
fn doubled(table: &mut Table) {
    let Some((_, Ours::Table(mapping))) = table.0.iter_mut().find(|(key, _)| key == "mapping")
    else {
        return;
    };
    for (_, value) in &mut mapping.0 {
        if let Ours::Text(text) = value
            && text.contains("[[")
        {
            let parts = text.split('}').map(|part| match part.split_once("%{") {
                Some((before, name)) => {
                    format!("{before}%{{{}", name.replace("[[", "[").replace("]]", "]"))
                }
                None => part.to_string(),
            });
            *text = parts.collect::<Vec<_>>().join("}");
        }
    }
}

/// `timeout` in seconds, or a list of them of which each try takes the next, as one time.
fn seconds(table: &mut Table) {
    let number = |value: &Ours| match value {
        Ours::Integer(number) => Some(*number as f64),
        Ours::Float(number) => Some(*number),
        Ours::Text(text) => text.parse().ok(),
        _ => None,
    };
    let written = match table.get("timeout") {
        Some(Ours::List(items)) => items.first().and_then(number),
        Some(value) => number(value),
        None => None,
    };
    if let Some(seconds) = written.filter(|seconds| (0.001..86_400.0).contains(seconds)) {
        table.set("timeout", format!("{}ms", (seconds * 1000.0).round() as i64));
    }
}

fn csv(settings: &mut Settings, account: &mut Account) {
    if settings.flag("autodetect_column_names") == Some(true) {
        account.missing(
            "the filter takes its columns' names from the first line",
            "write the names into `columns`",
        );
    }
    settings.take("autodetect_column_names");
}

fn grok(
    translator: &mut Translator<'_>,
    settings: &mut Settings,
    account: &mut Account,
) -> Vec<Step> {
    let mut fields: Vec<(String, Vec<String>)> = Vec::new();
    for (name, value) in settings.hash("match").unwrap_or_default() {
        let patterns = value.items().into_iter().filter_map(Value::text).map(str::to_string);
        match fields.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => old.extend(patterns),
            None => fields.push((name, patterns.collect())),
        }
    }
    if let Some(patterns) = settings.texts("pattern") {
        fields.push(("message".into(), patterns));
    }
    if fields.is_empty() {
        account.missing("the filter says no `match`", "give `field` and `patterns`");
        return Vec::new();
    }
    let mut shared = Table::default();
    apply(
        &mut shared,
        settings,
        &[
            ("pattern_definitions", "definitions", Hash),
            ("target", "target", Field),
            ("ecs_compatibility", "ecs", Text),
            ("overwrite", "overwrite", Fields),
            ("break_on_match", "break_on_match", Flag),
            ("named_captures_only", "named_captures_only", Flag),
            ("keep_empty_captures", "keep_empty_captures", Flag),
            TAGS,
            ("tag_on_timeout", "tag_on_timeout", Text),
        ],
        translator.report,
    );
    for pattern in fields.iter_mut().flat_map(|(_, patterns)| patterns) {
        without_odd_types(pattern, account);
    }
    settings.ignore(&["timeout_millis", "timeout_scope", "patterns_files_glob", "singles"]);
    definitions(translator, settings, &mut shared, account);
    let implied = |patterns: &Vec<String>| patterns.iter().any(|p| names_fields_by_itself(p));
    if !translator.ecs && shared.get("ecs").is_none() && fields.iter().any(|(_, p)| implied(p)) {
        shared.set("ecs", "disabled");
    }
    apply(&mut shared, settings, &COMMON, translator.report);
    let mut filter = Filter::new("grok");
    if fields.len() == 1 {
        let (name, patterns) = fields.remove(0);
        filter.settings.set("field", values::field(&name));
        filter.settings.set("patterns", Ours::texts(patterns));
    } else {
        let mut table = Table::default();
        for (name, patterns) in fields {
            table.set(&values::field(&name), Ours::texts(patterns));
        }
        filter.settings.set("match", table);
    }
    filter.settings.0.extend(shared.0);
    vec![Step::Filter(filter)]
}

/// Takes away types of fields that Logstash's grok does not know: such a field is a text there.
fn without_odd_types(pattern: &mut String, account: &mut Account) {
    for odd in ["integer", "long", "double", "number", "bool", "date", "ip"] {
        let end = format!(":{odd}}}");
        // `%{IP:ip}` names a field; only what stands behind one is a type.
        let of_field = |at: usize| {
            let start = pattern[..at].rfind("%{");
            start.is_some_and(|start| pattern[start..at].contains(':'))
        };
        let places: Vec<usize> =
            pattern.match_indices(&end).map(|(at, _)| at).filter(|at| of_field(*at)).collect();
        if places.is_empty() {
            continue;
        }
        for at in places.into_iter().rev() {
            pattern.replace_range(at..at + end.len() - 1, "");
        }
        account.differs(format!("grok knows no type `{odd}`, there or here: the field is a text"));
    }
}

/// Whether a pattern uses a named one that makes fields of names that the dictionary chooses.
fn names_fields_by_itself(pattern: &str) -> bool {
    let names = [
        "APACHELOG",
        "SYSLOGBASE",
        "SYSLOGLINE",
        "SYSLOGPROG",
        "SYSLOG5424",
        "HTTPD",
        "CISCO",
        "HAPROXY",
        "CATALINA",
        "TOMCATLOG",
        "NAGIOS",
        "RUBY_LOGGER",
        "RAILS3",
        "REDISLOG",
        "MONGO",
        "POSTGRESQL",
        "JAVASTACK",
        "JAVAFILE",
        "S3_ACCESS",
        "ELB_",
        "CLOUDFRONT",
        "BACULA",
        "BIND9",
        "BRO_",
        "SQUID",
        "NETSCREEN",
        "SHOREWALL",
        "EXIM",
        "MCOLLECTIVE",
        "SFW2",
        "ZEEK",
        "SYSLOGFACILITY",
        "RPROCESSING",
        "CRON_ACTION",
        "CRONLOG",
    ];
    pattern.split("%{").skip(1).any(|rest| {
        let reference = rest.split('}').next().unwrap_or_default();
        names.iter().any(|name| reference.split(':').next().unwrap_or_default().contains(name))
    })
}

/// `patterns_dir`: the files in these folders.
fn definitions(
    translator: &mut Translator<'_>,
    settings: &mut Settings,
    table: &mut Table,
    account: &mut Account,
) {
    let mut files = Vec::new();
    for folder in settings.texts("patterns_dir").unwrap_or_default() {
        let path = std::path::Path::new(&folder);
        let beside = translator.folder.join(path.file_name().unwrap_or_default());
        let found = translator.around.find(path);
        let found = if found.is_empty() && path.is_absolute() {
            translator.around.find(&beside)
        } else {
            found
        };
        if found.is_empty() {
            let what = format!("the patterns of `{folder}` are not on this machine");
            account.needs(what, "copy the folder here, and name its files in `definition_files`");
            files.push(folder);
        }
        let absolute =
            |path: &std::path::PathBuf| std::path::absolute(path).unwrap_or_else(|_| path.clone());
        files.extend(found.iter().map(|file| absolute(file).display().to_string()));
    }
    if !files.is_empty() {
        table.set("definition_files", Ours::texts(files));
    }
}

/// Ruby code: idioms as filters, else a skeleton of a script.
fn script(settings: &mut Settings, account: &mut Account) -> Vec<Step> {
    settings.ignore(&["tag_on_exception", "tag_with_exception_message"]);
    let code = settings.text("code").unwrap_or_default();
    if settings.has("path") || code.trim().is_empty() {
        account.missing(
            "Ruby code in a file of its own",
            "write what it does as a filter `script` (Lua)",
        );
        return Vec::new();
    }
    if ruby::keeps_state(&code) {
        account.missing(
            "Ruby code that keeps something from event to event",
            "write it as a filter `script` (Lua), `aggregate` or `throttle`",
        );
        return Vec::new();
    }
    // What Ruby runs once is run for each event: it sets the same each time, or it is not understood.
    let code = match settings.text("init") {
        Some(init) => format!("{init}\n{code}"),
        None => code,
    };
    match ruby::statements(&code) {
        Some(mut steps) => {
            for difference in ruby::differences(&code) {
                account.differs(difference);
            }
            let mut common = Table::default();
            apply(&mut common, settings, &COMMON, &mut crate::import::report::Report::default());
            if let Some(Step::Filter(last)) = steps.last_mut() {
                last.settings.0.extend(common.0);
            }
            steps
        }
        None => {
            account.missing("Ruby code that is no idiom", "write it as a filter `script` (Lua)");
            Vec::new()
        }
    }
}
