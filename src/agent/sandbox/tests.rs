//! A process of its own goes into the sandbox and tries what it must not do.

use std::io::ErrorKind;
use std::process::Command;

use super::*;

/// Set for the process that goes into the sandbox: the folder that it may write.
const FOLDER: &str = "LOGWEIR_SANDBOX_TEST";

#[test]
fn a_confined_process_writes_only_where_it_may_and_runs_nothing() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return confined(Path::new(&folder));
    }
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([
        "--exact",
        "--nocapture",
        "agent::sandbox::tests::a_confined_process_writes_only_where_it_may_and_runs_nothing",
    ]);
    let output = command.env(FOLDER, folder.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("all was tried"), "{said}");
    assert!(!folder.path().join("outside").exists());
}

fn confined(folder: &Path) {
    let (data, outside) = (folder.join("data"), folder.join("outside"));
    std::fs::write(folder.join("log"), "a line").unwrap();
    let sandbox = Sandbox::enter(&data, &[]);
    let limited = sandbox.writes.is_some();

    std::fs::write(data.join("one"), "1").unwrap();
    std::fs::create_dir(data.join("app")).unwrap();
    std::fs::rename(data.join("one"), data.join("app/one")).unwrap();
    std::fs::remove_file(data.join("app/one")).unwrap();
    assert_eq!(std::fs::read_to_string(folder.join("log")).unwrap(), "a line", "reading is free");
    if limited {
        let denied = |tried: std::io::Result<()>| tried.unwrap_err().kind();
        assert_eq!(denied(std::fs::write(&outside, "x")), ErrorKind::PermissionDenied);
        assert_eq!(denied(std::fs::create_dir(&outside)), ErrorKind::PermissionDenied);
        assert_eq!(denied(std::fs::remove_file(folder.join("log"))), ErrorKind::PermissionDenied);
        let log = std::fs::OpenOptions::new().append(true).open(folder.join("log"));
        assert_eq!(denied(log.map(drop)), ErrorKind::PermissionDenied);
    }
    // Threads that are started later are in it, too.
    let run = std::thread::spawn(|| Command::new("/bin/true").status()).join().unwrap();
    assert_eq!(run.unwrap_err().kind(), ErrorKind::PermissionDenied);
    let raw =
        rustix::net::socket(rustix::net::AddressFamily::PACKET, rustix::net::SocketType::RAW, None);
    assert_eq!(raw.unwrap_err(), rustix::io::Errno::PERM);
    drop(std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    drop(std::net::UdpSocket::bind("[::]:0").unwrap());
    println!("all was tried");
}

#[test]
fn a_path_is_compared_without_its_detours() {
    assert_eq!(plain(Path::new("/srv/../var/./log")), Path::new("/var/log"));
    assert!(plain(Path::new("out")).is_absolute());
}
