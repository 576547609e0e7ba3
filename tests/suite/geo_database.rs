//! The small city database of the demo and the golden tests: our own made-up data for the addresses that RFC 5737 and
//! RFC 3849 reserve for documentation.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use maxminddb_writer::Database;
use maxminddb_writer::metadata::IpVersion;
use maxminddb_writer::paths::IpAddrWithMask;
use serde_json::{Value, json};

fn place(city: &str, country: [&str; 2], continent: &str, zone: &str, at: [f64; 2]) -> Value {
    json!({
        "city": { "names": { "en": city } },
        "continent": { "code": continent },
        "country": { "iso_code": country[0], "names": { "en": country[1] } },
        "location": { "latitude": at[0], "longitude": at[1], "time_zone": zone },
    })
}

fn build() -> Vec<u8> {
    let mut database = Database::default();
    database.metadata.ip_version = IpVersion::V6;
    database.metadata.database_type = "logweir-Demo-City".to_string();
    database.metadata.languages = vec!["en".to_string()];
    database.metadata.binary_format_major_version = 2;
    database.metadata.build_epoch = 1_795_305_600;
    let description = "Made-up places for documentation addresses".to_string();
    database.metadata.description =
        BTreeMap::from([("en".to_string(), description)]).into_iter().collect();
    let london =
        place("London", ["GB", "United Kingdom"], "EU", "Europe/London", [51.5074, -0.1278]);
    let tokyo = place("Tokyo", ["JP", "Japan"], "AS", "Asia/Tokyo", [35.6762, 139.6503]);
    let berlin = place("Berlin", ["DE", "Germany"], "EU", "Europe/Berlin", [52.52, 13.405]);
    let rows = [
        ("::192.0.2.0/120", &london),
        ("::198.51.100.0/120", &tokyo),
        ("::203.0.113.0/120", &berlin),
        ("2001:db8::/32", &berlin),
    ];
    for (network, value) in rows {
        let data = database.insert_value(value).unwrap();
        database.insert_node(network.parse::<IpAddrWithMask>().unwrap(), data);
    }
    database.write_to(Vec::new()).unwrap()
}

#[test]
fn the_demo_database_is_what_this_file_says() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("pipelines/demo-city.mmdb");
    let built = build();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, &built).unwrap();
    }
    let shipped = fs::read(&path).unwrap_or_default();
    assert!(shipped == built, "run `just golden` to write {} anew", path.display());
}
