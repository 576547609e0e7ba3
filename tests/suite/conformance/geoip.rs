//! MaxMind's public test databases, where `LOGWEIR_GEOIP` names the folder that holds them; two are broken on purpose.

use std::path::PathBuf;

use crate::support::{logweir, pipeline, stderr, stdout, with_input};

fn folder() -> Option<PathBuf> {
    std::env::var_os("LOGWEIR_GEOIP").map(PathBuf::from)
}

fn text(database: &std::path::Path) -> String {
    let database = database.display();
    format!(
        "[inputs.a]\ntype = \"stdin\"\n[[filters]]\ntype = \"geoip\"\nfield = \"ip\"\n\
         database = '{database}'\n[outputs.a]\ntype = \"stdout\"\n"
    )
}

#[test]
fn known_addresses_are_found_in_the_public_test_databases() {
    let Some(folder) = folder() else { return };
    let work = tempfile::tempdir().unwrap();
    let cases = [
        ("GeoLite2-City-Test.mmdb", "81.2.69.142", "\"city_name\":\"London\""),
        ("GeoLite2-Country-Test.mmdb", "89.160.20.112", "\"country_code2\":\"SE\""),
        ("GeoLite2-ASN-Test.mmdb", "89.160.20.112", "\"asn\":29518"),
        ("GeoIP2-City-Test.mmdb", "2.125.160.216", "\"country_code2\":\"GB\""),
    ];
    for (database, address, expected) in cases {
        let path = folder.join(database);
        assert!(path.exists(), "{} is missing", path.display());
        let file = pipeline(work.path(), "p.toml", &text(&path));
        let event = format!("{{\"ip\":\"{address}\"}}\n");
        let output = with_input(logweir().arg("try").arg(file).arg("--json"), event.as_bytes());
        assert!(stdout(&output).contains(expected), "{}{}", stdout(&output), stderr(&output));
    }
}

#[test]
fn databases_that_are_broken_on_purpose_are_refused_with_a_message() {
    let Some(folder) = folder() else { return };
    let work = tempfile::tempdir().unwrap();
    for name in
        ["GeoIP2-City-Test-Broken-Double-Format.mmdb", "GeoIP2-City-Test-Invalid-Node-Count.mmdb"]
    {
        let file = pipeline(work.path(), "p.toml", &text(&folder.join(name)));
        let output = logweir().arg("check").arg(file).output().unwrap();
        assert_eq!(output.status.code(), Some(78), "{}", stderr(&output));
        assert!(stderr(&output).contains("damaged"), "{}", stderr(&output));
    }
}
