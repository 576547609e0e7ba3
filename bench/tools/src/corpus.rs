//! Logs to ship, the same bytes for the same arguments.
//!
//! In: a kind and a number of lines. Out: a file. Promises: every line carries its number (`seq=N`, in JSON
//! `"seq":N`), so that a sink can tell whether each arrived once; values repeat as they do in real logs: a few thousand
//! addresses, a few hundred paths. On failure: the file system's error.

use std::fmt::Write as _;
use std::io::{Error, Result, Write as _};

/// Writes `lines` lines of a kind to `file`.
pub fn write(kind: &str, lines: u64, file: &str) -> Result<()> {
    let line: fn(&mut Dice, u64, &mut String) = match kind {
        "nginx" => nginx,
        "json" => json,
        "mcp" => mcp,
        _ => return Err(Error::other(format!("unknown kind `{kind}`: nginx, json or mcp"))),
    };
    let mut out = std::io::BufWriter::with_capacity(1 << 20, std::fs::File::create(file)?);
    let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
    let mut text = String::new();
    for number in 0..lines {
        text.clear();
        line(&mut dice, number, &mut text);
        text.push('\n');
        out.write_all(text.as_bytes())?;
    }
    out.flush()
}

/// Numbers that look random (xorshift64*, Vigna 2016) and are the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % end
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn level(&mut self) -> &'static str {
        match self.below(100) {
            0..78 => "INFO",
            78..89 => "DEBUG",
            89..97 => "WARN",
            _ => "ERROR",
        }
    }

    /// One of 4,000 addresses.
    fn address(&mut self) -> [u64; 4] {
        let n = self.below(4000) * 2_654_435_761 % (1 << 32);
        [
            [2, 17, 37, 62, 84, 101, 151, 193, 212][(n % 9) as usize],
            n >> 24,
            n >> 8 & 255,
            n >> 16 & 255,
        ]
    }

    /// One of 2,000 request ids in the form of a UUID.
    fn uuid(&mut self, out: &mut String) {
        let n = self.below(2000) * 0x9E37_79B9_7F4A;
        let _ = write!(
            out,
            "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
            n & 0xFFFF_FFFF,
            n >> 8 & 0xFFFF,
            n & 0xFFF,
            n >> 4 & 0xFFF,
            n & 0xFFFF_FFFF_FFFF
        );
    }
}

/// Hour, minute, second and millisecond of a line: one every five milliseconds.
fn time(number: u64) -> (u64, u64, u64, u64) {
    let ms = number * 5 % 86_400_000;
    (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60, ms % 1000)
}

fn dotted([a, b, c, d]: [u64; 4], out: &mut String) {
    let _ = write!(out, "{a}.{b}.{c}.{d}");
}

const TOOLS: [&str; 6] =
    ["list_files", "fetch_page", "run_tests", "query_db", "send_report", "open_ticket"];

fn nginx(dice: &mut Dice, number: u64, out: &mut String) {
    const AGENTS: [&str; 4] = [
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15",
        "python-requests/2.32",
        "Go-http-client/1.1",
    ];
    let (hour, minute, second, _) = time(number);
    dotted(dice.address(), out);
    let user = dice.of(&["-", "-", "-", "carol", "dave"]);
    let method = dice.of(&["GET", "GET", "GET", "GET", "POST", "PUT"]);
    let _ =
        write!(out, " - {user} [24/Nov/2026:{hour:02}:{minute:02}:{second:02} +0000] \"{method} ");
    match dice.below(5) {
        0 => out.push_str("/health"),
        1 => {
            let _ = write!(
                out,
                "/assets/{}.{}.css",
                dice.of(&["main", "theme", "print"]),
                dice.below(90)
            );
        }
        2 => {
            let _ = write!(out, "/api/v2/orders/{}", dice.below(800_000));
        }
        3 => {
            let _ = write!(
                out,
                "/search?q={}&page={}",
                dice.of(&["shoes", "lamp", "blue+chair"]),
                dice.below(40)
            );
        }
        _ => {
            let _ = write!(out, "/api/v2/users/{}/cart", dice.below(50_000));
        }
    }
    let status = dice.of(&[200, 200, 200, 200, 200, 201, 301, 304, 404, 502]);
    let (size, page, agent) = (dice.below(80_000), dice.below(300), dice.of(&AGENTS));
    let _ = write!(
        out,
        " HTTP/1.1\" {status} {size} \"https://shop.example.com/p/{page}\" \"{agent} seq={number}\""
    );
}

fn json(dice: &mut Dice, number: u64, out: &mut String) {
    let (hour, minute, second, ms) = time(number);
    let level = dice.level();
    let _ = write!(
        out,
        "{{\"timestamp\": \"2026-11-24T{hour:02}:{minute:02}:{second:02}.{ms:03}000Z\", \"level\": \"{level}\", \
         \"logger\": \"shop.api\", \"message\": \""
    );
    let n = dice.below(100_000);
    let _ = match dice.below(4) {
        0 => write!(out, "order {n} was paid"),
        1 => write!(out, "cache hit for basket:{n}"),
        2 => write!(out, "request took {n} us"),
        _ => write!(out, "worker {} of 64 is idle", n % 64),
    };
    let _ = write!(
        out,
        "\", \"module\": \"api\", \"function\": \"{}\", \"line\": {}, \"seq\": {number}, \"service\": \"shop\", \"request_id\": \"",
        dice.of(&["serve", "route", "drain"]),
        dice.below(1200)
    );
    dice.uuid(out);
    out.push('"');
    let kind = dice.below(10);
    let duration = (dice.below(3000), dice.below(1000));
    if kind < 4 {
        let _ = write!(
            out,
            ", \"event_type\": \"http_request\", \"method\": \"{}\", \"path\": \"{}\", \"status_code\": {}, \"duration_ms\": {}.{:03}, \"client_ip\": \"",
            dice.of(&["GET", "GET", "POST"]),
            dice.of(&["/api/v2/orders", "/api/v2/users", "/health", "/search"]),
            dice.of(&[200, 200, 200, 404, 500]),
            duration.0,
            duration.1
        );
        dotted(dice.address(), out);
        out.push('"');
    } else if kind < 7 {
        let _ = write!(
            out,
            ", \"event_type\": \"tool_call\", \"tool_name\": \"{}\", \"parameters\": {{\"path\": \"/data/{}\", \"limit\": {}}}, \
             \"duration_ms\": {}.{:03}, \"success\": {}",
            dice.of(&TOOLS),
            dice.below(9000),
            dice.below(100),
            duration.0,
            duration.1,
            level != "ERROR"
        );
    }
    if level == "ERROR" {
        let _ = write!(
            out,
            ", \"exception\": {{\"type\": \"TimeoutError\", \"message\": \"no answer from db-{}\", \"traceback\": [\"Traceback:\\n\", \
             \"  File \\\"/srv/api.py\\\", line 88, in serve\\n\", \"TimeoutError\\n\"]}}",
            dice.below(9)
        );
    }
    out.push('}');
}

fn mcp(dice: &mut Dice, number: u64, out: &mut String) {
    let (hour, minute, second, ms) = time(number);
    let level = dice.level();
    let _ = write!(out, "[2026-11-24T{hour:02}:{minute:02}:{second:02}.{ms:03}Z] {level} ");
    if dice.chance(15) {
        let _ = write!(
            out,
            "{{\"event\": \"tool_call\", \"tool_name\": \"{}\", \"duration_ms\": {}.{:02}, \"note\": \"seq={number}\", \"client_ip\": \"",
            dice.of(&TOOLS),
            dice.below(900),
            dice.below(100)
        );
        dotted(dice.address(), out);
        out.push_str("\"}");
        return;
    }
    let n = dice.below(100_000);
    let _ = match dice.below(4) {
        0 => write!(out, "session {n} opened"),
        1 => write!(out, "call finished after {n} us"),
        2 => write!(out, "budget of {n} tokens left"),
        _ => write!(out, "upstream answered in {n} ms"),
    };
    if dice.chance(45) {
        out.push_str(" request_id=");
        dice.uuid(out);
    }
    if dice.chance(60) {
        let _ = write!(out, " user_id={}", dice.below(1_000_000));
    }
    if dice.chance(50) {
        let _ = write!(out, " tool={}", dice.of(&TOOLS));
    }
    let secret = dice.below(1 << 30);
    let _ = match dice.below(100) {
        0..8 => write!(out, " password=swordfish{}&next=1", secret % 1000),
        8..13 => write!(out, " token=tok_{secret:016x}{secret:016x}"),
        13..18 => write!(out, " api_key=AKIA{secret:016X}"),
        _ => Ok(()),
    };
    out.push_str(" client_ip=");
    dotted(dice.address(), out);
    let _ = write!(out, " seq={number}");
}
