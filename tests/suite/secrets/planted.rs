//! Secrets that chance makes, and the texts that they stand in.
//!
//! In: a seed. Out: secrets of every kind in every position, each with the bytes that tell that it is there. Promises:
//! the same seed gives the same secrets. On failure: nothing can fail.

use serde_json::{Map, Value, json};

/// A row of numbers (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
pub struct Chance(pub u64);

/// A kind of secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    AwsKey,
    AwsSecret,
    Basic,
    Bearer,
    Card,
    Email,
    Entropy,
    Gcp,
    Github,
    Iban,
    Ipv4,
    Ipv6,
    Jwt,
    Named,
    Phone,
    PrivateKey,
    Slack,
    Stripe,
    UrlPassword,
}

/// Where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A value of an event in JSON.
    Member,
    /// The name of a field.
    Name,
    /// A value, or a name, deep in objects and lists.
    Deep,
    /// JSON within a text.
    JsonInText,
    /// JSON within a text within a text.
    JsonInTextTwice,
    /// A stack trace in one text.
    TraceInText,
    /// A line that is not the JSON it should be.
    BrokenJson,
    /// A plain line.
    Line,
    /// A URL's query in a plain line.
    Encoded,
    /// A stack trace of several lines.
    Trace,
}

/// A secret in its place.
#[derive(Debug)]
pub struct Planted {
    pub kind: Kind,
    pub place: Place,
    /// What the agent reads, with its line feed.
    pub text: String,
    /// What must be found nowhere.
    pub needles: Vec<String>,
    /// An output refuses the event, so that it becomes a dead letter, too.
    pub refused: bool,
}

const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz";
const DIGITS: &[u8] = b"0123456789";
const CAPITALS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const MIXED: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const BASE64: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const HEX: &[u8] = b"0123456789abcdef";

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// A number below another one.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    fn text(&mut self, letters: &[u8], length: usize) -> String {
        (0..length).map(|_| char::from(self.one(letters))).collect()
    }
}

impl Kind {
    pub const ALL: [Kind; 19] = [
        Kind::AwsKey,
        Kind::AwsSecret,
        Kind::Basic,
        Kind::Bearer,
        Kind::Card,
        Kind::Email,
        Kind::Entropy,
        Kind::Gcp,
        Kind::Github,
        Kind::Iban,
        Kind::Ipv4,
        Kind::Ipv6,
        Kind::Jwt,
        Kind::Named,
        Kind::Phone,
        Kind::PrivateKey,
        Kind::Slack,
        Kind::Stripe,
        Kind::UrlPassword,
    ];

    /// A secret as it is written, and the parts of it that must be found nowhere.
    fn make(self, chance: &mut Chance) -> (String, Vec<String>) {
        let whole = |text: String| (text.clone(), vec![text]);
        match self {
            Kind::AwsKey => {
                let begin = chance.one(&["AKIA", "ASIA", "AROA"]);
                whole(format!("{begin}{}", chance.text(CAPITALS, 16)))
            }
            Kind::AwsSecret => {
                let secret = chance.text(BASE64, 40);
                let sign = chance.one(&["=", ": ", "\": \""]);
                (format!("aws_secret_access_key{sign}{secret}"), vec![secret])
            }
            Kind::Basic => {
                let login = format!("{}:{}", chance.text(LETTERS, 7), chance.text(MIXED, 12));
                let secret = base64(login.as_bytes());
                (format!("Authorization: Basic {secret}"), vec![secret])
            }
            Kind::Bearer => {
                let secret = chance.text(MIXED, 24);
                (format!("Bearer {secret}"), vec![secret])
            }
            Kind::Card => whole(card(chance)),
            Kind::Email => {
                let user = chance.text(LETTERS, 12);
                (format!("{user}@mail.example.org"), vec![user])
            }
            Kind::Entropy => loop {
                let text = chance.text(MIXED, 40);
                let has = |is: fn(&u8) -> bool| text.as_bytes().iter().any(is);
                if has(u8::is_ascii_digit)
                    && has(u8::is_ascii_uppercase)
                    && has(u8::is_ascii_lowercase)
                {
                    return whole(text);
                }
            },
            Kind::Gcp => whole(format!("AIza{}", chance.text(MIXED, 35))),
            Kind::Github => whole(format!("ghp_{}", chance.text(MIXED, 36))),
            Kind::Iban => whole(iban(chance)),
            Kind::Ipv4 => {
                let mut part = || 100 + chance.below(156);
                whole(format!("{}.{}.{}.{}", part(), part(), part(), part()))
            }
            Kind::Ipv6 => {
                let mut part = || chance.text(HEX, 4);
                whole(format!("2001:db8:{}:{}::{}:{}", part(), part(), part(), part()))
            }
            Kind::Jwt => {
                let body = base64(format!("{{\"sub\":\"{}\"}}", chance.text(MIXED, 16)).as_bytes());
                let body = body.trim_end_matches('=').to_string();
                let sign = chance.text(MIXED, 43);
                (format!("eyJhbGciOiJIUzI1NiJ9.{body}.{sign}"), vec![body, sign])
            }
            Kind::Named => {
                let secret = chance.text(MIXED, 14);
                let name =
                    chance.one(&["password", "db_password", "token", "X-Api-Key", "client_secret"]);
                (format!("{name}={secret}"), vec![secret])
            }
            Kind::Phone => {
                let digits = chance.text(b"123456789", 9);
                let (one, two) = digits.split_at(3);
                whole(
                    chance
                        .one(&[format!("+49{digits}"), format!("+49 {one} {two}")].each_ref())
                        .clone(),
                )
            }
            Kind::PrivateKey => {
                let lines: Vec<String> = (0..4).map(|_| chance.text(BASE64, 64)).collect();
                let name = chance.one(&["RSA PRIVATE KEY", "PRIVATE KEY", "EC PRIVATE KEY"]);
                let text =
                    format!("-----BEGIN {name}-----\n{}\n-----END {name}-----", lines.join("\n"));
                (text, lines)
            }
            Kind::Slack => {
                let secret = format!("{}-{}", chance.text(DIGITS, 12), chance.text(MIXED, 24));
                (format!("xoxb-{secret}"), vec![secret])
            }
            Kind::Stripe => whole(format!("sk_live_{}", chance.text(MIXED, 24))),
            Kind::UrlPassword => {
                let secret = chance.text(MIXED, 14);
                (format!("postgres://shop:{secret}@db.internal:5432/x"), vec![secret])
            }
        }
    }
}

/// Ones that fit no other place: a key of several lines is no plain line.
fn fits(kind: Kind, place: Place) -> bool {
    kind != Kind::PrivateKey || !matches!(place, Place::Line | Place::BrokenJson)
}

impl Place {
    const ALL: [Place; 10] = [
        Place::Member,
        Place::Name,
        Place::Deep,
        Place::JsonInText,
        Place::JsonInTextTwice,
        Place::TraceInText,
        Place::BrokenJson,
        Place::Line,
        Place::Encoded,
        Place::Trace,
    ];

    pub fn is_json(self) -> bool {
        !self.is_line() && !self.is_trace()
    }

    pub fn is_line(self) -> bool {
        matches!(self, Place::Line | Place::Encoded)
    }

    pub fn is_trace(self) -> bool {
        self == Place::Trace
    }

    /// The text with a secret in it.
    fn text(self, secret: &str, number: usize, refused: bool, chance: &mut Chance) -> String {
        let sentence =
            format!("{} {secret} {number}", chance.one(&["login of", "key is", "from", "<"]));
        let trace = format!(
            "java.lang.IllegalStateException: {secret}\n\tat com.example.Shop.pay(Shop.java:{number})\n\
             Caused by: java.io.IOException: refused for {secret}\n\tat com.example.Db.open(Db.java:7)"
        );
        let event = |name: &str, value: Value| {
            let mut fields = Map::new();
            fields.insert("n".into(), number.into());
            fields.insert(name.into(), value);
            if refused {
                fields.insert("refuse".into(), "/refused/absolute".into());
            }
            format!("{}\n", Value::Object(fields))
        };
        match self {
            Place::Member => event("message", sentence.into()),
            Place::Name => event(secret, 1.into()),
            Place::Deep => {
                let inner = chance
                    .one(
                        &[json!([1, sentence]), json!({ secret: true }), json!({ "b": sentence })]
                            .each_ref(),
                    )
                    .clone();
                event("a", json!({ "list": [{ "x": null }, [inner]], "other": 2.5 }))
            }
            Place::JsonInText => event("message", json!({ "body": sentence }).to_string().into()),
            Place::JsonInTextTwice => {
                let inner = json!({ "body": sentence }).to_string();
                event("message", json!({ "request": inner }).to_string().into())
            }
            Place::TraceInText => event("stack", trace.into()),
            Place::BrokenJson => format!("{{\"message\":\"{sentence}\",\"n\":{number}\n"),
            Place::Line => format!("{sentence}\n"),
            Place::Encoded => format!("GET /shop?n={number}&q={}&x=1 HTTP/1.1\n", encoded(secret)),
            Place::Trace => format!("BEGIN {number}\n{trace}\n"),
        }
    }
}

/// Secrets of all kinds in all places, in an order of chance.
pub fn plant(seed: u64, count: usize) -> Vec<Planted> {
    let mut chance = Chance(seed);
    let mut planted = Vec::with_capacity(count);
    while planted.len() < count {
        let (kind, place) = (chance.one(&Kind::ALL), chance.one(&Place::ALL));
        if !fits(kind, place) {
            continue;
        }
        let (secret, mut needles) = kind.make(&mut chance);
        if place == Place::Encoded {
            needles.extend(needles.clone().iter().map(|needle| encoded(needle)));
            needles.dedup();
        }
        let refused = place.is_json() && place != Place::BrokenJson && chance.below(4) == 0;
        let text = place.text(&secret, planted.len(), refused, &mut chance);
        planted.push(Planted { kind, place, text, needles, refused });
    }
    planted
}

/// As a browser writes it into a URL.
fn encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn base64(bytes: &[u8]) -> String {
    let mut out = String::new();
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte))
            << (8 * (3 - group.len()));
        for at in 0..4 {
            let value = bits >> (18 - 6 * at) & 63;
            out.push(if at > group.len() { '=' } else { char::from(BASE64[value as usize]) });
        }
    }
    out
}

/// A card's number with the right check digit, in groups or not.
fn card(chance: &mut Chance) -> String {
    let mut digits = format!("4{}", chance.text(DIGITS, 14));
    let weigh = |(n, digit): (usize, u8)| {
        let digit = u32::from(digit - b'0') * if n % 2 == 0 { 2 } else { 1 };
        digit / 10 + digit % 10
    };
    let sum: u32 = digits.bytes().rev().enumerate().map(weigh).sum();
    digits.push_str(&((10 - sum % 10) % 10).to_string());
    let groups: Vec<&str> = (0..4).map(|n| &digits[n * 4..n * 4 + 4]).collect();
    let between = chance.one(&["", " ", "-"]);
    groups.join(between)
}

/// A German account number with the right check digits, in groups or not.
fn iban(chance: &mut Chance) -> String {
    let account = chance.text(DIGITS, 18);
    // `DE00` at the end: D is 13, E is 14.
    let remainder = format!("{account}131400")
        .bytes()
        .fold(0_u32, |all, digit| (all * 10 + u32::from(digit - b'0')) % 97);
    let number = format!("DE{:02}{account}", 98 - remainder);
    if chance.below(2) == 0 {
        return number;
    }
    let groups: Vec<String> = number
        .as_bytes()
        .chunks(4)
        .map(|group| String::from_utf8_lossy(group).into_owned())
        .collect();
    groups.join(" ")
}
