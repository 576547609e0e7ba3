//! TLS and mutual TLS with certificates that OpenSSL made, and Elastic's own client at the other end.

use std::process::Command;

use crate::agent::Home;
use crate::beats::{acked, send};
use crate::machine::{checkout, free_port, run, text};
use crate::nodes::elasticsearch;

const PIPELINE: &str = r#"
[inputs.beats]
type = "beats"
listen = "127.0.0.1:@PORT@"
tls = { @TLS@ }
[outputs.logs]
type = "elasticsearch"
hosts = ["@ES@"]
index = "@INDEX@"
"#;

fn certificates(home: &Home) {
    run(Command::new("bash").arg(checkout("tests/tools/tls.sh")).arg(home.path("tls")));
}

#[test]
fn a_beat_delivers_over_tls_and_one_that_does_not_trust_the_certificate_does_not() {
    let (node, home, port) = (elasticsearch(), Home::new(), free_port());
    certificates(&home);
    let tls = r#"cert = "@HOME@/tls/server.crt", key = "@HOME@/tls/server.key""#;
    let tls = tls.replace("@HOME@", &home.text_path(""));
    let values =
        [("ES", node.url.as_str()), ("INDEX", "tls"), ("PORT", &port.to_string()), ("TLS", &tls)];
    home.pipeline(PIPELINE, &values);
    let agent = home.start();
    let (ca, other) = (home.text_path("tls/ca.crt"), home.text_path("tls/other-ca.crt"));
    let output = send(port, &["-count", "2000", "-compress", "3", "-tls-ca", &ca]);
    assert_eq!(acked(&output), 2000, "{}", text(&output.stderr));
    node.await_count("tls", 2000, || agent.story());
    node.assert_each_once("tls", 2000);
    let output = send(port, &["-count", "10", "-tls-ca", &other]);
    assert_eq!((acked(&output), output.status.success()), (0, false));
    let output = send(port, &["-count", "10", "-timeout", "5s"]);
    assert_eq!((acked(&output), output.status.success()), (0, false), "without TLS");
    agent.until_logged("TLS");
    assert!(agent.metric("logweir_input_protocol_errors_total", &[]) >= 1, "{}", agent.story());
    assert_eq!(node.count("tls"), 2000);
}

#[test]
fn with_mutual_tls_only_a_client_with_a_certificate_of_the_right_authority_delivers() {
    let (node, home, port) = (elasticsearch(), Home::new(), free_port());
    certificates(&home);
    let tls = r#"cert = "@HOME@/tls/server.crt", key = "@HOME@/tls/server.key", client_ca = "@HOME@/tls/ca.crt""#;
    let tls = tls.replace("@HOME@", &home.text_path(""));
    let values =
        [("ES", node.url.as_str()), ("INDEX", "mtls"), ("PORT", &port.to_string()), ("TLS", &tls)];
    home.pipeline(PIPELINE, &values);
    let agent = home.start();
    let file = |name: &str| home.text_path(&format!("tls/{name}"));
    let send_as = |client: &str| {
        let (ca, cert, key) =
            (file("ca.crt"), file(&format!("{client}.crt")), file(&format!("{client}.key")));
        send(port, &["-count", "1000", "-tls-ca", &ca, "-cert", &cert, "-key", &key])
    };
    let output = send_as("client");
    assert_eq!(acked(&output), 1000, "{}", text(&output.stderr));
    assert_eq!(acked(&send_as("wrong-client")), 0);
    assert_eq!(
        acked(&send(port, &["-count", "10", "-tls-ca", &file("ca.crt")])),
        0,
        "no certificate"
    );
    node.await_count("mtls", 1000, || agent.story());
    node.assert_each_once("mtls", 1000);
}
