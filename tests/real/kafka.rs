//! The output `kafka` against Kafka: kills of the broker, logins, TLS, what a topic does not take.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::agent::{Agent, Home};
use crate::machine::{
    Random, bound, cached, checkout, free_port, lines, pause, run, signal, start, text, until,
};

/// A broker that is its own controller, with a listener for each way of being spoken to.
struct Broker {
    folder: PathBuf,
    plain: u16,
    login: u16,
    secure: u16,
    child: Child,
}

/// The one broker; tests take turns at it.
fn broker() -> MutexGuard<'static, Broker> {
    static BROKER: LazyLock<Mutex<Broker>> = LazyLock::new(|| Mutex::new(Broker::new()));
    BROKER.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A program of Kafka's.
fn kafka(mut command: Command, class: &str, arguments: &[&str]) -> Command {
    let path = format!("{}/*", cached("kafka").display());
    command.args(["-Xmx384m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", &path]);
    command.arg(class).args(arguments);
    command
}

/// A command of Kafka's that ends, and what it prints.
fn asked(class: &str, arguments: &[&str]) -> String {
    let java = Command::new(cached("kafka-jdk/bin/java"));
    text(&run(&mut kafka(java, class, arguments)).stdout)
}

impl Broker {
    fn new() -> Broker {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("kafka");
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        run(Command::new("bash").arg(checkout("tests/tools/tls.sh")).arg(folder.join("tls")));
        let pem = ["server.key", "server.crt"]
            .map(|f| std::fs::read(folder.join("tls").join(f)).unwrap());
        std::fs::write(folder.join("tls/broker.pem"), pem.concat()).unwrap();
        let [plain, login, secure, controller] = [(); 4].map(|()| free_port());
        let settings = SETTINGS
            .replace("@HOME@", &folder.display().to_string())
            .replace("@PLAIN@", &plain.to_string())
            .replace("@LOGIN@", &login.to_string())
            .replace("@SECURE@", &secure.to_string())
            .replace("@CONTROLLER@", &controller.to_string());
        let file = folder.join("server.properties");
        std::fs::write(&file, settings).unwrap();
        let user = |mechanism: &str| format!("{mechanism}=[name=shipper,password=secret]");
        let (one, other) = (user("SCRAM-SHA-256"), user("SCRAM-SHA-512"));
        let file = file.to_str().unwrap();
        asked(
            "kafka.tools.StorageTool",
            &["format", "-t", "MkU3OEVBNTcwNTJENDM2Qk", "-c", file, "-S", &one, "-S", &other],
        );
        let child = launch(&folder);
        let mut broker = Broker { folder, plain, login, secure, child };
        broker.until_up();
        broker
    }

    /// Waits until it knows who has its topics.
    fn until_up(&mut self) {
        let (child, port) = (&mut self.child, self.secure);
        let log = || std::fs::read_to_string(self.folder.join("out.log")).unwrap_or_default();
        let listens = || {
            let ended = child.try_wait().unwrap();
            assert!(ended.is_none(), "Kafka ended: {}", log());
            std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
        };
        until("Kafka listens", listens, log);
    }

    fn kill(&mut self) {
        signal(self.child.id(), "KILL").unwrap();
        self.child.wait().unwrap();
    }

    fn start_again(&mut self) {
        self.child = launch(&self.folder);
        self.until_up();
    }

    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.plain)
    }

    fn create(&self, topic: &str, more: &[&str]) {
        let address = self.address();
        let mut arguments = vec!["--bootstrap-server", &address, "--create", "--topic", topic];
        arguments.extend(more);
        asked("org.apache.kafka.tools.TopicCommand", &arguments);
    }

    /// All records of a topic, each as its partition, its key and its value, those of a partition in order.
    fn records(&self, topic: &str) -> Vec<(String, String, String)> {
        let address = self.address();
        let asked_for = ["--bootstrap-server", &address, "--topic", topic];
        let offsets = asked("org.apache.kafka.tools.GetOffsetShell", &asked_for);
        let count: usize =
            offsets.lines().map(|l| l.rsplit(':').next().unwrap().parse::<usize>().unwrap()).sum();
        if count == 0 {
            return Vec::new();
        }
        let count = count.to_string();
        let mut arguments = asked_for.to_vec();
        arguments.extend([
            "--from-beginning",
            "--max-messages",
            &count,
            "--property",
            "print.partition=true",
        ]);
        arguments.extend(["--property", "print.key=true"]);
        let printed = asked("org.apache.kafka.tools.consumer.ConsoleConsumer", &arguments);
        let record = |line: &str| {
            let mut parts = line.splitn(3, '\t').map(ToString::to_string);
            (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap())
        };
        printed.lines().filter(|line| line.starts_with("Partition:")).map(record).collect()
    }
}

/// Starts the broker on what its folder holds.
fn launch(folder: &Path) -> Child {
    let settings = folder.join("server.properties");
    let java = bound("KILL", cached("kafka-jdk/bin/java"));
    let mut command = kafka(java, "kafka.Kafka", &[settings.to_str().unwrap()]);
    let log = File::options().create(true).append(true).open(folder.join("out.log")).unwrap();
    command.stdout(Stdio::from(log.try_clone().unwrap())).stderr(Stdio::from(log));
    start(command)
}

const SETTINGS: &str = r#"
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:@CONTROLLER@
listeners=PLAINTEXT://127.0.0.1:@PLAIN@,SASL_PLAINTEXT://127.0.0.1:@LOGIN@,SASL_SSL://127.0.0.1:@SECURE@,CONTROLLER://127.0.0.1:@CONTROLLER@
advertised.listeners=PLAINTEXT://127.0.0.1:@PLAIN@,SASL_PLAINTEXT://127.0.0.1:@LOGIN@,SASL_SSL://127.0.0.1:@SECURE@
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs=@HOME@/data
num.partitions=3
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
listener.name.sasl_plaintext.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256
listener.name.sasl_ssl.sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.sasl_plaintext.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_shipper="secret";
listener.name.sasl_plaintext.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
ssl.keystore.type=PEM
ssl.keystore.location=@HOME@/tls/broker.pem
"#;

const PIPELINE: &str = r#"
[inputs.app]
type = "file"
paths = ["@HOME@/*.jsonl"]
start_at = "beginning"
codec = "json"
[outputs.events]
type = "kafka"
servers = ["@SERVER@"]
topic = "@TOPIC@"
@MORE@
"#;

fn pipeline(home: &Home, server: &str, topic: &str, more: &str) {
    home.pipeline(PIPELINE, &[("SERVER", server), ("TOPIC", topic), ("MORE", more)]);
}

/// The number in a document.
fn number(document: &str) -> u64 {
    let value: serde_json::Value = serde_json::from_str(document).unwrap();
    value["n"].as_u64().unwrap_or_else(|| panic!("no number: {document}"))
}

fn until_delivered(agent: &Agent, count: i64) {
    agent.until(&format!("{count} documents are delivered"), || {
        agent.metric("logweir_output_documents_total", &["result=\"delivered\""]) >= count
    });
}

#[test]
fn each_record_is_there_once_and_in_order_though_the_broker_is_killed() {
    let (mut broker, home, mut random) = (broker(), Home::new(), Random::new());
    pipeline(&home, &broker.address(), "app", "batch_size = \"4KB\"");
    let agent = home.start();
    let mut written = 0;
    for round in 0..5 {
        for file in 0..4 {
            let numbers = written..written + 1_000;
            let line = |n| format!("{{\"n\":{n},\"file\":{file}}}");
            home.append(&format!("{file}.jsonl"), lines(numbers.map(line)));
            written += 1_000;
        }
        if round < 3 {
            // At any moment of sending.
            pause(Duration::from_millis(random.below(400)));
            broker.kill();
            agent.until_health("app/outputs.events", "paused");
            broker.start_again();
        }
    }
    until_delivered(&agent, i64::from(written));
    drop(agent);
    let (mut seen, mut files) =
        (vec![0; written as usize], HashMap::<String, (String, u64)>::new());
    for (partition, _, document) in broker.records("app") {
        seen[number(&document) as usize] += 1;
        let file: serde_json::Value = serde_json::from_str(&document).unwrap();
        let last = files.entry(file["file"].to_string()).or_insert((partition.clone(), 0));
        assert!(last.0 == partition && last.1 <= number(&document), "out of order: {document}");
        last.1 = number(&document);
    }
    let (lost, doubled) =
        (seen.iter().filter(|n| **n == 0).count(), seen.iter().filter(|n| **n > 1).count());
    assert_eq!((lost, doubled), (0, 0), "lost and doubled of {written}");
}

#[test]
fn users_write_over_tls_and_with_each_mechanism_and_are_told_when_the_password_is_wrong() {
    let broker = broker();
    let ca = broker.folder.join("tls/ca.crt").display().to_string();
    let sasl = |mechanism: &str, password: &str| {
        format!(
            "sasl = {{ mechanism = \"{mechanism}\", user = \"shipper\", password = \"{password}\" }}"
        )
    };
    let tls = format!(
        "compression = \"gzip\"\ntls = {{ ca = \"{ca}\" }}\n{}",
        sasl("SCRAM-SHA-512", "secret")
    );
    for (topic, port, more) in [
        ("plain", broker.login, sasl("PLAIN", "secret")),
        ("scram", broker.login, sasl("SCRAM-SHA-256", "secret")),
        ("tls", broker.secure, tls),
    ] {
        let home = Home::new();
        let more = format!("key = \"{{user:-}}\"\n{more}");
        pipeline(&home, &format!("127.0.0.1:{port}"), topic, &more);
        let user = |n: u64| if n.is_multiple_of(2) { "ada" } else { "bob" };
        home.append(
            "a.jsonl",
            lines((0..500).map(|n| format!("{{\"n\":{n},\"user\":\"{}\"}}", user(n)))),
        );
        let agent = home.start();
        until_delivered(&agent, 500);
        let records = broker.records(topic);
        assert_eq!(records.len(), 500, "{topic}");
        let mut places = HashMap::new();
        for (partition, key, document) in &records {
            assert_eq!(key, user(number(document)));
            assert_eq!(
                places.entry(key).or_insert(partition),
                &partition,
                "one key, one partition"
            );
        }
    }
    let home = Home::new();
    pipeline(
        &home,
        &format!("127.0.0.1:{}", broker.login),
        "wrong",
        &sasl("SCRAM-SHA-256", "other"),
    );
    home.append("a.jsonl", lines(["{\"n\":0}"]));
    let agent = home.start();
    let why = agent.until_health("app/outputs.events", "paused");
    assert!(why.contains("SASL_AUTHENTICATION_FAILED (check `user` and `password`)"), "{why}");
    assert!(why.ends_with("everything is kept in the journal"), "{why}");
}

#[test]
fn what_a_topic_does_not_take_is_a_dead_letter_and_the_rest_arrives() {
    let (broker, home) = (broker(), Home::new());
    broker.create("small", &["--partitions", "1", "--config", "max.message.bytes=2000"]);
    pipeline(&home, &broker.address(), "small", "");
    let line = |n: u64| {
        format!("{{\"n\":{n},\"text\":\"{}\"}}", "x".repeat(if n == 40 { 3_000 } else { 30 }))
    };
    home.append("a.jsonl", lines((0..100).map(line)));
    let agent = home.start();
    until_delivered(&agent, 99);
    agent.until("the long one is a dead letter", || {
        agent.metric("logweir_output_documents_total", &["result=\"dead_letter\""]) == 1
    });
    let numbers: Vec<u64> =
        broker.records("small").iter().map(|(.., document)| number(document)).collect();
    assert_eq!(numbers, (0..100).filter(|n| *n != 40).collect::<Vec<_>>());
}
