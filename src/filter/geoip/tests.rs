use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use maxminddb_writer::Database;
use maxminddb_writer::metadata::IpVersion;
use maxminddb_writer::paths::IpAddrWithMask;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::super::trial::{NOW_NS, Trial, problems, run, written};
use super::reserved::is_reserved;
use crate::clock::{ManualClock, SharedClock};
use crate::event::{Batch, parse_object};

/// Made-up databases in the shape of the real ones, written once for all tests of this file.
fn database(name: &str) -> PathBuf {
    static FOLDER: LazyLock<TempDir> = LazyLock::new(write_databases);
    FOLDER.path().join(name)
}

fn write_databases() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let milton = json!({
        "city": { "names": { "en": "Milton" } },
        "continent": { "code": "NA", "names": { "en": "North America" } },
        "country": { "iso_code": "US", "names": { "en": "United States" } },
        "location": {
            "latitude": 47.25, "longitude": -122.25, "metro_code": 819_u32,
            "time_zone": "America/Los_Angeles"
        },
        "postal": { "code": "98354" },
        "subdivisions": [{ "iso_code": "WA", "names": { "en": "Washington" } }],
    });
    let sweden = json!({
        "continent": { "code": "EU", "names": { "en": "Europe" } },
        "country": { "iso_code": "SE", "names": { "en": "Sweden" } },
    });
    let asn = json!({
        "autonomous_system_number": 4_200_000_001_u32, "autonomous_system_organization": "Example AB"
    });
    let many = ("::81.2.69.0/120", &sweden);
    write(&folder, CITY, "Demo-City", &[("::216.160.83.0/120", &milton), NEAR(&sweden), many]);
    write(&folder, COUNTRY, "Demo-Country", &[NEAR(&sweden)]);
    write(&folder, ASN, "Demo-ASN", &[NEAR(&asn)]);
    let good = std::fs::read(folder.path().join(CITY)).unwrap();
    std::fs::write(folder.path().join(CUT), &good[good.len() / 2..]).unwrap();
    std::fs::write(folder.path().join(NO_METADATA), &good[..good.len() / 2]).unwrap();
    folder
}

const CITY: &str = "city.mmdb";
const COUNTRY: &str = "country.mmdb";
const ASN: &str = "asn.mmdb";
const CUT: &str = "cut.mmdb";
const NO_METADATA: &str = "no-metadata.mmdb";
const NEAR: fn(&Value) -> (&'static str, &Value) = |value| ("::89.160.20.0/120", value);

/// JSON with whole numbers in the widths that the readers of MaxMind databases insist on.
struct Typed<'a>(&'a Value);

impl Serialize for Typed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Object(map) => serializer.collect_map(map.iter().map(|(k, v)| (k, Typed(v)))),
            Value::Array(items) => serializer.collect_seq(items.iter().map(Typed)),
            Value::Number(n) => match n.as_u64().map(u16::try_from) {
                Some(Ok(short)) => serializer.serialize_u16(short),
                Some(Err(_)) => serializer.serialize_u32(n.as_u64().unwrap() as u32),
                None => serializer.serialize_f64(n.as_f64().unwrap()),
            },
            other => other.serialize(serializer),
        }
    }
}

fn write(folder: &TempDir, name: &str, kind: &str, rows: &[(&str, &Value)]) {
    let mut database = Database::default();
    database.metadata.ip_version = IpVersion::V6;
    database.metadata.database_type = kind.to_string();
    database.metadata.binary_format_major_version = 2;
    database.metadata.languages = vec!["en".to_string()];
    database.metadata.description = [("en".to_string(), "made up".to_string())].into();
    database.metadata.build_epoch = 1_795_305_600;
    for (network, value) in rows {
        let data = database.insert_value(Typed(value)).unwrap();
        database.insert_node(network.parse::<IpAddrWithMask>().unwrap(), data);
    }
    let bytes = database.write_to(Vec::new()).unwrap();
    std::fs::write(folder.path().join(name), bytes).unwrap();
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
        run(&filter(CITY, ""), r#"{"a":"216.160.83.56"}"#),
        r#"{"a":"216.160.83.56","geoip":{"ip":"216.160.83.56","city_name":"Milton","continent_code":"NA","continent_name":"North America","country_code2":"US","country_code3":"US","country_name":"United States","dma_code":819,"latitude":47.25,"longitude":-122.25,"location":{"lat":47.25,"lon":-122.25},"postal_code":"98354","region_code":"WA","region_name":"Washington","timezone":"America/Los_Angeles"}}"#
    );
}

#[test]
fn other_databases_give_what_they_have() {
    assert_eq!(
        run(&filter(COUNTRY, "target = \"g.x\""), r#"{"a":["89.160.20.112"]}"#),
        r#"{"a":["89.160.20.112"],"g":{"x":{"ip":"89.160.20.112","continent_code":"EU","continent_name":"Europe","country_code2":"SE","country_code3":"SE","country_name":"Sweden"}}}"#
    );
    let settings = "fields = [\"asn\", \"as_org\"]";
    let document = run(&filter(ASN, settings), r#"{"a":"89.160.20.112"}"#);
    assert!(document.contains(r#""geoip":{"asn":4200000001,"as_org":"Example AB"}"#), "{document}");
}

#[test]
fn an_address_written_as_ipv6_is_the_ipv4_address() {
    let settings = "fields = [\"country_code2\"]";
    assert_eq!(
        run(&filter(CITY, settings), r#"{"a":" ::ffff:89.160.20.112 "}"#),
        r#"{"a":" ::ffff:89.160.20.112 ","geoip":{"country_code2":"SE"}}"#
    );
}

#[test]
fn what_is_not_found_is_tagged_and_private_addresses_are_no_failure() {
    let mut trial = Trial::new(&filter(CITY, "id = \"g\""));
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
fn many_addresses_do_not_mix() {
    let mut trial = Trial::new(&filter(CITY, "fields = [\"ip\",\"country_code2\"]"));
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
    for name in [CUT, NO_METADATA] {
        let shown = problems(&filter(name, ""));
        assert!(shown.contains("damaged"), "{shown}");
    }
    let shown = problems(&filter(CITY, "fields = [\"city\", \"zzz\"]"));
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
    put(ASN);
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
        r#"{"a":"89.160.20.112","geoip":{"asn":4200000001}}"#,
        r#"{"a":"89.160.20.112","geoip":{"country_code2":"SE"}}"#,
    );
    assert_eq!(trial.run(json), asn);
    put(COUNTRY);
    assert_eq!(trial.run(json), asn, "it is not yet time to look");
    clock.advance_ns(4_000_000_000);
    assert_eq!(trial.run(json), country);
    put(NO_METADATA);
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

#[test]
fn the_common_schema_has_names_and_places_of_its_own() {
    let text = |database: &str, more: &str| {
        let database = self::database(database);
        format!(
            "[[filters]]\ntype = \"geoip\"\nsource = \"[client][ip]\"\ndatabase = '{}'\n\
             ecs_compatibility = \"v1\"\n{more}\n",
            database.display()
        )
    };
    let event = r#"{"client":{"port":80,"ip":"216.160.83.7"}}"#;
    let found: Value = serde_json::from_str(&run(&text(CITY, ""), event)).unwrap();
    let expected = json!({ "client": {
        "port": 80,
        "ip": "216.160.83.7",
        "geo": {
            "city_name": "Milton",
            "continent_code": "NA",
            "continent_name": "North America",
            "country_iso_code": "US",
            "country_name": "United States",
            "location": { "lat": 47.25, "lon": -122.25 },
            "postal_code": "98354",
            "region_iso_code": "US-WA",
            "region_name": "Washington",
            "timezone": "America/Los_Angeles"
        },
        "mmdb": { "dma_code": 819 }
    } });
    assert_eq!(found, expected);
    let event = r#"{"client":{"ip":"89.160.20.1"}}"#;
    assert_eq!(
        run(&text(ASN, "fields = [\"AUTONOMOUS_SYSTEM_NUMBER\", \"as_org\"]"), event),
        r#"{"client":{"ip":"89.160.20.1","as":{"number":4200000001,"organization":{"name":"Example AB"}}}}"#
    );
    let no_target = text(CITY, "").replace("[client][ip]", "address");
    assert!(problems(&no_target).contains("`target` is missing"));
}

/// The JSON of an address as another reader's record says it.
fn expected(record: &Value, address: IpAddr) -> Option<String> {
    let at = |path: &str| record.pointer(path).filter(|value| !value.is_null());
    let fields = [
        ("city_name", at("/city/names/en")),
        ("continent_code", at("/continent/code")),
        ("continent_name", at("/continent/names/en")),
        ("country_code2", at("/country/iso_code")),
        ("country_code3", at("/country/iso_code")),
        ("country_name", at("/country/names/en")),
        ("dma_code", at("/location/metro_code")),
        ("latitude", at("/location/latitude")),
        ("longitude", at("/location/longitude")),
        ("postal_code", at("/postal/code")),
        ("region_code", at("/subdivisions/0/iso_code")),
        ("region_name", at("/subdivisions/0/names/en")),
        ("timezone", at("/location/time_zone")),
        ("asn", at("/autonomous_system_number")),
        ("as_org", at("/autonomous_system_organization")),
        ("isp", at("/isp")),
        ("organization", at("/organization")),
    ];
    let mut all = serde_json::Map::new();
    all.insert("ip".to_string(), address.to_string().into());
    let known = fields.into_iter().filter_map(|(name, value)| Some((name, value?)));
    known.for_each(|(name, value)| drop(all.insert(name.to_string(), value.clone())));
    if let (Some(lat), Some(lon)) = (all.get("latitude"), all.get("longitude")) {
        let point = json!({ "lat": lat, "lon": lon });
        all.insert("location".to_string(), point);
    }
    // Numbers with a fraction go through the same reader on both sides.
    let again = |text: String| serde_json::from_str::<Value>(&text).unwrap().to_string();
    (all.len() > 1).then(|| again(Value::Object(all).to_string()))
}

/// The made-up databases, and real ones where the environment says where they are.
#[test]
fn our_reader_finds_what_another_reader_finds() {
    let mut paths: Vec<PathBuf> = [CITY, COUNTRY, ASN].map(database).into();
    if let Some(folder) = std::env::var_os("LOGWEIR_GEOIP").map(PathBuf::from) {
        let names = ["GeoLite2-City-Test", "GeoLite2-Country-Test", "GeoLite2-ASN-Test"];
        paths.extend(names.map(|name| folder.join(format!("{name}.mmdb"))));
    }
    let cache = std::env::var_os("LOGWEIR_TEST_CACHE").map(PathBuf::from);
    paths.extend(cache.map(|cache| cache.join("geo/city.mmdb")).filter(|path| path.exists()));
    let names: Vec<super::Name> = super::Name::ALL.iter().map(|(_, name)| *name).collect();
    for path in paths {
        let theirs = maxminddb::Reader::open_readfile(&path).unwrap();
        let ours = super::Database::open(&path).unwrap();
        let (mut pages, mut known) = (super::Pages::default(), 0);
        let seeds = ["89.160.20.112", "81.2.69.142", "216.160.83.56", "2001:218::", "2a02:cf40::"];
        let mut addresses: Vec<IpAddr> = seeds.iter().map(|text| text.parse().unwrap()).collect();
        let mut random = 1_u64;
        for _ in 0..20_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            addresses.push(std::net::Ipv4Addr::from((random >> 32) as u32).into());
            let wide = u128::from(random) << 61 | 1 << 125;
            addresses.push(std::net::Ipv6Addr::from(wide).into());
        }
        for address in addresses {
            let found = theirs.lookup(address).unwrap().decode::<Value>().unwrap();
            let expected = found.and_then(|record| expected(&record, address));
            let mut json = Vec::new();
            let record = ours.record(&mut pages, address).unwrap();
            let any = record.is_some_and(|record| record.write(address, &names, &mut json));
            let json = any.then(|| serde_json::from_slice::<Value>(&json).unwrap().to_string());
            assert_eq!(json, expected, "{address} in {}", path.display());
            known += usize::from(any);
        }
        assert!(known > 0, "{}", path.display());
    }
}

/// Puts events into a batch whose text begins with what outlives it, or into one of its own.
fn fill(batch: &mut Batch, piece: bool, jsons: &[String]) {
    if piece {
        batch.begin_piece(b"");
    } else {
        let source = Arc::clone(&batch.source);
        batch.recycle(Vec::new(), source);
    }
    for json in jsons {
        let event = batch.add_event(NOW_NS, 0);
        let span = batch.push_text(json.as_bytes());
        let (keys, mut fields) = (Arc::clone(&batch.keys), Vec::new());
        parse_object(&mut batch.text, span, &keys, &mut fields).unwrap();
        *batch.fields_mut(event) = fields;
    }
}

#[test]
fn places_that_outlive_their_batch_are_those_that_the_file_gives_and_keep_no_secret() {
    let redact = "[[filters]]\ntype = \"redact\"\nkeys = [\"timezone\", \"token\"]\n";
    let toml = filter(CITY, "") + redact;
    let (mut trial, mut once) = (Trial::new(&toml), Trial::new(&toml));
    let mut batch = trial.batch(&[]);
    let mut kept = 0;
    for round in 0..120_usize {
        let line = |n: usize| {
            // Some come again and again, most are new: more than there is room for.
            let last = if n.is_multiple_of(2) { n % 5 } else { round * 7 + n };
            let network = ["216.160.83", "89.160.20", "81.2.69"][(n / 2 + round) % 3];
            format!("{{\"a\":\"{network}.{}\",\"m\":\"n={n} token=abc{round}\"}}", last % 256)
        };
        let jsons: Vec<String> = (0..20).map(line).collect();
        fill(&mut batch, round % 4 != 3, &jsons);
        kept += usize::from(batch.input_from() > 0);
        trial.chain.apply(&mut batch);
        batch.mark();
        for (event, json) in jsons.iter().enumerate() {
            let (document, expected) = (written(&batch, event), once.run(json));
            assert_eq!(document, expected, "round {round}");
            assert!(!document.contains("America/Los_Angeles") && !document.contains("=abc"));
        }
    }
    assert!(kept > 50 && batch.lasting_era() > 0, "{kept}, {}", batch.lasting_era());
}
