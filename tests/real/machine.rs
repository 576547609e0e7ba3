//! The machine under the tests: processes that end with the test run, free ports, random numbers, waiting.
//!
//! Promises: a process started here ends when this process does, even by SIGKILL: the kernel sends its signal when
//! the one thread that starts everything is gone.

use std::fmt::{Display, Write as _};
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{LazyLock, Mutex, mpsc};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// How long a condition is awaited before the test fails.
pub const PATIENCE: Duration = Duration::from_secs(600);
const PAUSE: Duration = Duration::from_millis(25);

type Order = (Command, mpsc::Sender<std::io::Result<Child>>);

static STARTER: LazyLock<Mutex<mpsc::Sender<Order>>> = LazyLock::new(|| {
    let (orders, inbox) = mpsc::channel::<Order>();
    std::thread::spawn(move || {
        for (mut command, answer) in inbox {
            let _ = answer.send(command.spawn());
        }
    });
    Mutex::new(orders)
});

/// A command whose process gets `signal` when this process ends.
pub fn bound(signal: &str, program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", signal]).arg(program).stdin(Stdio::null());
    command
}

/// Starts a command of [`bound`] from the thread that lives as long as the process.
pub fn start(command: Command) -> Child {
    let (answer, reply) = mpsc::channel();
    let shown = format!("{command:?}");
    STARTER.lock().unwrap().send((command, answer)).unwrap();
    reply.recv().unwrap().unwrap_or_else(|why| panic!("{shown}: {why}"))
}

/// Runs a command to its end and gives its output; panics when it failed.
pub fn run(command: &mut Command) -> Output {
    let output = command.stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|why| panic!("{command:?}: {why}"));
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{out}{err}", output.status);
    output
}

/// Mounting needs root: directly, or by sudo that asks for no password.
pub fn as_root(program: &str) -> Command {
    if rustix::process::geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("sudo");
    command.args(["-n", program]);
    command
}

/// Bytes as text.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Sends a signal, named as `kill` names it, by the system call: a small machine has no such command.
pub fn signal(pid: u32, name: &str) -> rustix::io::Result<()> {
    let signal = match name {
        "HUP" => Signal::HUP,
        "KILL" => Signal::KILL,
        "TERM" => Signal::TERM,
        other => panic!("no test sends {other} so far"),
    };
    kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), signal)
}

/// A port that nothing listens on. Below the ephemeral ports, so that no client's connection takes it meanwhile.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 15_000 + (std::process::id() % 10_000) as u16;
    loop {
        let port = first + NEXT.fetch_add(1, Ordering::Relaxed) % 5_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// A file of the checkout.
pub fn checkout(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A file of the cache that `tests/tools/install.sh` filled.
pub fn cached(path: &str) -> PathBuf {
    let cache = std::env::var_os("LOGWEIR_TEST_CACHE");
    let cache = cache.map_or_else(|| checkout("target/test-tools"), PathBuf::from);
    let path = cache.join(path);
    assert!(path.exists(), "{} is missing; run tests/tools/install.sh", path.display());
    path
}

/// Waits until the condition holds; `context` is shown when it does not come true.
pub fn until(what: &str, mut condition: impl FnMut() -> bool, context: impl FnOnce() -> String) {
    let pauses = PATIENCE.as_millis() / PAUSE.as_millis();
    for _ in 0..pauses {
        if condition() {
            return;
        }
        pause(PAUSE);
    }
    panic!("waited {} s in vain: {what}\n{}", PATIENCE.as_secs(), context());
}

/// Lets time pass: between two looks at a condition, between two lines of a service that writes at a rate, before a
/// kill at a random moment. Never to wait until something has probably happened.
pub fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// One line for each item.
pub fn lines(items: impl IntoIterator<Item = impl Display>) -> String {
    let mut text = String::new();
    for item in items {
        let _ = writeln!(text, "{item}");
    }
    text
}

/// Random numbers (xorshift64*, Marsaglia 2003); the seed is printed, `LOGWEIR_TEST_SEED` sets it.
pub struct Random(u64);

impl Random {
    /// Seeded, and saying so in the test's output.
    pub fn new() -> Random {
        let given = std::env::var("LOGWEIR_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
        // Every map of the standard library is seeded by the operating system.
        let chance = || RandomState::new().build_hasher().finish() >> 16;
        let seed: u64 = given.unwrap_or_else(chance);
        println!("seed: LOGWEIR_TEST_SEED={seed}");
        Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// Another one, for another thread.
    pub fn other(&mut self) -> Random {
        Random(self.below(u64::MAX).rotate_left(32) | 1)
    }

    /// From 0 to `end`, less `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % end
    }
}
