use std::cell::RefCell;
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};

use super::validity::{self, Validity};
use super::{ClientTls, ServerTls};
use crate::diagnostic::Diagnostics;
use crate::settings::{Document, ProcessEnvironment, Section};

/// A folder with an authority and certificates that it signed.
struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Files {
        let folder = Files(tempfile::tempdir().unwrap());
        let ca_key = KeyPair::generate().unwrap();
        let mut ca = CertificateParams::new(Vec::new()).unwrap();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        folder.write("ca.pem", &ca.self_signed(&ca_key).unwrap().pem());
        let issuer = Issuer::new(ca, ca_key);
        for (name, end) in [("server", 2090), ("old", 2020)] {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::new(vec!["localhost".into()]).unwrap();
            params.not_before = date_time_ymd(2019, 1, 1);
            params.not_after = date_time_ymd(end, 3, 4);
            let certificate = params.signed_by(&key, &issuer).unwrap();
            folder.write(&format!("{name}.pem"), &certificate.pem());
            folder.write(&format!("{name}.key"), &key.serialize_pem());
        }
        folder.write("junk.pem", "hello\n");
        folder
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.0.path().join(name), text).unwrap();
    }
}

fn load<T>(folder: &Path, text: &str, read: impl FnOnce(Section<'_>) -> T) -> (T, String) {
    let mut problems = Diagnostics::default();
    let environment = Arc::new(ProcessEnvironment);
    let document = Document::parse("t.toml", text.into(), folder, environment, &mut problems);
    let problems = RefCell::new(problems);
    let root = Section::root(&document, &problems);
    let value = read(root.section("tls").unwrap());
    (value, problems.into_inner().to_string())
}

fn server(files: &Files, text: &str) -> (Option<ServerTls>, String) {
    load(files.0.path(), &format!("[tls]\n{text}"), ServerTls::load)
}

fn client(files: &Files, text: &str) -> (Option<ClientTls>, String) {
    load(files.0.path(), &format!("[tls]\n{text}"), ClientTls::load)
}

#[test]
fn a_certificate_and_its_key_load_without_a_word() {
    let files = Files::new();
    let (tls, said) = server(&files, "cert = \"server.pem\"\nkey = \"server.key\"\n");
    assert_eq!((tls.is_some(), said.as_str()), (true, ""));
    let mutual = "cert = \"server.pem\"\nkey = \"server.key\"\nclient_ca = \"ca.pem\"\n";
    assert_eq!(server(&files, mutual).1, "");
    let both =
        "ca = \"ca.pem\"\ncert = \"server.pem\"\nkey = \"server.key\"\nserver_name = \"x.y\"";
    let (tls, said) = client(&files, both);
    assert_eq!((tls.unwrap().warning(), said.as_str()), (None, ""));
}

#[test]
fn what_is_wrong_with_a_file_is_said_with_its_place_and_a_hint() {
    let files = Files::new();
    let cases = [
        ("cert = \"none.pem\"\nkey = \"server.key\"", "no such file"),
        ("cert = \"junk.pem\"\nkey = \"server.key\"", "it must be a PEM file"),
        ("cert = \"server.key\"\nkey = \"server.pem\"", "were `cert` and `key` mixed up?"),
        ("cert = \"server.pem\"\nkey = \"old.key\"", "does not belong to the `cert` file"),
        ("cert = \"server.pem\"", "has `cert` but no `key`"),
        ("client_ca = \"ca.pem\"", "`cert` is missing"),
        ("cert = \"server.pem\"\nkey = \"server.key\"\nclient_ca = \"junk.pem\"", "no certificate"),
        ("cert = \"server.pem\"\nkey = \"server.key\"\nclint_ca = \"x\"", "`client_ca`?"),
    ];
    for (text, expected) in cases {
        let (tls, said) = server(&files, text);
        assert!(said.contains(expected), "{text}\n{said}");
        assert!(said.contains("--> t.toml:") && said.contains("hint:"), "{said}");
        assert_eq!(tls.is_some(), text.contains("clint"));
    }
}

#[test]
fn a_certificate_out_of_date_is_a_warning_that_names_the_day() {
    let files = Files::new();
    let (tls, said) = server(&files, "cert = \"old.pem\"\nkey = \"old.key\"\n");
    assert!(tls.is_some(), "the agent must start");
    assert!(said.starts_with("warning: certificate 1 of the `cert` file expired on 2020-03-04"));
}

#[test]
fn not_checking_the_server_is_said_when_loading_and_when_running() {
    let files = Files::new();
    let (tls, said) = client(&files, "verify = false\n");
    assert!(said.contains("warning: `tls` does not check the server"), "{said}");
    assert!(tls.unwrap().warning().unwrap().contains("`tls.verify` is false"));
    assert_eq!(ClientTls::system().warning(), None);
}

#[test]
fn a_server_name_that_is_none_is_refused() {
    let files = Files::new();
    let (tls, said) = client(&files, "server_name = \"https://es:9200\"\n");
    assert!(tls.is_none() && said.contains("which is no host name"), "{said}");
}

#[test]
fn a_validity_is_read_from_both_forms_of_time() {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.not_before = date_time_ymd(1999, 12, 31);
    params.not_after = date_time_ymd(2050, 1, 1);
    let certificate = params.self_signed(&key).unwrap();
    let expected = Validity { not_before_s: 946_598_400, not_after_s: 2_524_608_000 };
    assert_eq!(validity::of(certificate.der()), Some(expected));
}

#[test]
fn the_configuration_is_one_that_an_http_client_takes() {
    let client = reqwest::Client::builder().tls_backend_preconfigured(ClientTls::system().config());
    assert!(client.build().is_ok());
}

proptest! {
    #[test]
    fn any_bytes_are_no_certificate_and_no_panic(
        mut bytes in prop::collection::vec(any::<u8>(), 0..80), nest in 0_usize..4
    ) {
        let _ = validity::of(&bytes);
        for _ in 0..nest {
            bytes.splice(0..0, [0x30, bytes.len() as u8]);
        }
        let _ = validity::of(&bytes);
    }
}

/// Whether a client with these settings takes a server whose certificate says `localhost`.
async fn handshake(files: &Files, settings: &str, address: &str) -> bool {
    let end = "cert = \"server.pem\"\nkey = \"server.key\"\n";
    let server = server(files, end).0.unwrap().config();
    let client = client(files, settings).0.unwrap().config();
    let (near, far) = tokio::io::duplex(1 << 16);
    let accept = tokio::spawn(async move {
        let _ = tokio_rustls::TlsAcceptor::from(server).accept(far).await;
    });
    let name = rustls::pki_types::ServerName::try_from(address.to_string()).unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(client));
    let connected = connector.connect(name, near).await.is_ok();
    accept.await.unwrap();
    connected
}

#[tokio::test]
async fn a_server_is_taken_only_when_its_authority_and_its_name_are_right() {
    let files = Files::new();
    let ca = "ca = \"ca.pem\"\n";
    let named = "ca = \"ca.pem\"\nserver_name = \"localhost\"\n";
    let wrongly = "ca = \"ca.pem\"\nserver_name = \"example.com\"\n";
    assert!(handshake(&files, ca, "localhost").await);
    assert!(!handshake(&files, "", "localhost").await, "nobody vouches for it");
    assert!(!handshake(&files, ca, "es.internal").await, "it is another one");
    assert!(handshake(&files, named, "10.0.0.1").await, "the name is the user's");
    assert!(!handshake(&files, wrongly, "localhost").await);
    assert!(handshake(&files, "verify = false\n", "es.internal").await, "the user said so");
}
