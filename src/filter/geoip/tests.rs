use std::path::PathBuf;
use std::sync::Arc;

use super::super::trial::{NOW_NS, Trial, problems, run};
use super::reserved::is_reserved;
use crate::clock::{ManualClock, SharedClock};

/// MaxMind's public test databases.
fn database(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/geoip").join(name)
}

fn filter(name: &str, more: &str) -> String {
    let path = database(name);
    format!(
        "[[filters]]\ntype = \"geoip\"\nfield = \"a\"\ndatabase = '{}'\n{more}\n",
        path.display()
    )
}

#[test]
fn a_city_database_gives_the_names_that_logstash_uses() {
    assert_eq!(
        run(&filter("GeoLite2-City-Test.mmdb", ""), r#"{"a":"216.160.83.56"}"#),
        r#"{"a":"216.160.83.56","geoip":{"ip":"216.160.83.56","city_name":"Milton","continent_code":"NA","continent_name":"North America","country_code2":"US","country_code3":"US","country_name":"United States","dma_code":819,"latitude":47.2513,"longitude":-122.3149,"location":{"lat":47.2513,"lon":-122.3149},"postal_code":"98354","region_code":"WA","region_name":"Washington","timezone":"America/Los_Angeles"}}"#
    );
}

#[test]
fn other_databases_give_what_they_have() {
    assert_eq!(
        run(
            &filter("GeoLite2-Country-Test.mmdb", "target = \"g.x\""),
            r#"{"a":["89.160.20.112"]}"#
        ),
        r#"{"a":["89.160.20.112"],"g":{"x":{"ip":"89.160.20.112","continent_code":"EU","continent_name":"Europe","country_code2":"SE","country_code3":"SE","country_name":"Sweden"}}}"#
    );
    let settings = "fields = [\"asn\", \"as_org\"]";
    let document = run(&filter("GeoLite2-ASN-Test.mmdb", settings), r#"{"a":"89.160.20.112"}"#);
    assert!(document.contains(r#""geoip":{"asn":29518,"as_org":"Bredband2 AB"}"#), "{document}");
}

#[test]
fn an_address_written_as_ipv6_is_the_ipv4_address() {
    let settings = "fields = [\"country_code2\"]";
    assert_eq!(
        run(&filter("GeoLite2-City-Test.mmdb", settings), r#"{"a":" ::ffff:89.160.20.112 "}"#),
        r#"{"a":" ::ffff:89.160.20.112 ","geoip":{"country_code2":"SE"}}"#
    );
}

#[test]
fn what_is_not_found_is_tagged_and_private_addresses_are_no_failure() {
    let mut trial = Trial::new(&filter("GeoLite2-City-Test.mmdb", "id = \"g\""));
    let failed = |json: &str| json.replace('}', ",\"tags\":[\"_geoip_lookup_failure\"]}");
    for json in
        [r#"{"a":"8.8.8.8"}"#, r#"{"a":"nowhere"}"#, r#"{"a":""}"#, r#"{"a":5}"#, r#"{"a":[]}"#]
    {
        assert_eq!(trial.run(json), failed(json));
    }
    for json in [r#"{"a":"10.1.2.3"}"#, r#"{"a":"::1"}"#, r#"{"a":"fe80::1"}"#] {
        assert_eq!(trial.run(json), json.replace('}', ",\"tags\":[\"_geoip_private\"]}"));
    }
    for json in [r#"{"b":"8.8.8.8"}"#, r#"{"a":null}"#] {
        assert_eq!(trial.run(json), json);
    }
    assert_eq!(trial.counted("logweir_filter_failures_total{filter=\"g\"}"), 5);
}

#[test]
fn two_addresses_of_one_slot_do_not_mix() {
    let mut trial =
        Trial::new(&filter("GeoLite2-City-Test.mmdb", "fields = [\"ip\",\"country_code2\"]"));
    for round in 0..2 {
        for n in 0..20_000_u32 {
            let address = std::net::Ipv4Addr::from(0x5102_4500 + n % 256 + (n / 256) * 0x0100_0000);
            let document = trial.run(&format!("{{\"a\":\"{address}\"}}"));
            let known = format!("\"geoip\":{{\"ip\":\"{address}\",");
            assert!(document.contains("tags") || document.contains(&known), "{round} {document}");
        }
    }
}

#[test]
fn a_missing_or_damaged_database_is_an_error_of_the_settings() {
    let shown = problems(&filter("None.mmdb", ""));
    assert!(shown.contains("cannot be read") && shown.contains("maxmind.com"), "{shown}");
    assert!(shown.contains("t.toml:4:12"), "{shown}");
    for name in
        ["GeoIP2-City-Test-Broken-Double-Format.mmdb", "GeoIP2-City-Test-Invalid-Node-Count.mmdb"]
    {
        let shown = problems(&filter(name, ""));
        assert!(shown.contains("damaged"), "{shown}");
    }
    let shown = problems(&filter("GeoLite2-City-Test.mmdb", "fields = [\"city\", \"zzz\"]"));
    assert!(shown.contains("makes no field \"city\"") && shown.contains("known are"), "{shown}");
}

#[test]
fn a_changed_file_is_read_again_and_a_damaged_one_is_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.mmdb");
    let put = |name: &str| {
        let next = folder.path().join("next");
        std::fs::copy(database(name), &next).unwrap();
        std::fs::rename(&next, &path).unwrap();
    };
    put("GeoLite2-ASN-Test.mmdb");
    let clock = Arc::new(ManualClock::at(NOW_NS));
    let shared: SharedClock = Arc::clone(&clock) as SharedClock;
    let toml = format!(
        "[[filters]]\ntype = \"geoip\"\nfield = \"a\"\nid = \"g\"\nfields = [\"asn\", \"country_code2\"]\ndatabase = '{}'\n",
        path.display()
    );
    let (mut trial, problems) = Trial::load(&toml, &shared);
    assert!(problems.0.is_empty(), "{problems}");
    let json = r#"{"a":"89.160.20.112"}"#;
    let (asn, country) = (
        r#"{"a":"89.160.20.112","geoip":{"asn":29518}}"#,
        r#"{"a":"89.160.20.112","geoip":{"country_code2":"SE"}}"#,
    );
    assert_eq!(trial.run(json), asn);
    put("GeoLite2-Country-Test.mmdb");
    assert_eq!(trial.run(json), asn, "it is not yet time to look");
    clock.advance_ns(4_000_000_000);
    assert_eq!(trial.run(json), country);
    put("GeoIP2-City-Test-Invalid-Node-Count.mmdb");
    clock.advance_ns(4_000_000_000);
    assert_eq!(trial.run(json), country);
    assert_eq!(trial.counted("logweir_geoip_reload_failures_total{filter=\"g\"}"), 1);
    std::fs::remove_file(&path).unwrap();
    clock.advance_ns(4_000_000_000);
    assert_eq!(trial.run(json), country);
}

#[test]
fn reserved_addresses_are_told_from_public_ones() {
    let reserved = |text: &str| is_reserved(text.parse().unwrap());
    for text in [
        "10.0.0.1",
        "172.16.0.1",
        "100.64.0.1",
        "169.254.1.1",
        "240.0.0.1",
        "fd00::1",
        "2001:db8::1",
    ] {
        assert!(reserved(text), "{text}");
    }
    for text in ["100.128.0.1", "172.32.0.1", "8.8.8.8", "2a00::1"] {
        assert!(!reserved(text), "{text}");
    }
}
