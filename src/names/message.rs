//! Messages of the domain name system (RFC 1035, with EDNS of RFC 6891).
//!
//! In: a question; the bytes of an answer. Out: the bytes of a query; what was answered. Promises: whatever the bytes
//! hold, reading ends and nothing outside of them is read; an answer to another question is no answer.
//! On failure: `None`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Bytes of an answer over UDP that we are ready to take.
pub const ANSWER_BYTES_MAX: usize = 1232;
/// Longest name, in bytes, as it is sent.
const NAME_BYTES_MAX: usize = 255;
/// Parts of one name that may point elsewhere.
const JUMPS_MAX: usize = 64;
const CNAME: u16 = 5;
const INTERNET: u16 = 1;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The address by IPv4.
    A,
    /// The address by IPv6.
    Aaaa,
    /// The name of an address.
    Ptr,
}

/// A name and what is asked of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Question {
    /// The name, with dots.
    pub name: String,
    /// What is asked of it.
    pub kind: Kind,
}

/// What a server says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The text of the record, and how many seconds it holds.
    Found(String, u32),
    /// There is no such name or record.
    Absent,
    /// The server cannot say now.
    Failed,
    /// The answer was cut: it is to be asked for over TCP.
    Cut,
}

impl Kind {
    fn number(self) -> u16 {
        match self {
            Kind::A => 1,
            Kind::Aaaa => 28,
            Kind::Ptr => 12,
        }
    }
}

/// The name under which an address is asked for (RFC 1035, section 3.5; RFC 3596).
pub fn reverse_name(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(v6) => {
            let digits = (0..32).map(|at| format!("{:x}.", v6.to_bits() >> (4 * at) & 15));
            format!("{}ip6.arpa", digits.collect::<String>())
        }
    }
}

/// Writes a query; `None` when the name cannot be sent.
pub fn write(question: &Question, id: u16, out: &mut Vec<u8>) -> Option<()> {
    out.clear();
    out.extend_from_slice(&id.to_be_bytes());
    // Recursion is desired; one question, one additional record.
    out.extend_from_slice(&[1, 0, 0, 1, 0, 0, 0, 0, 0, 1]);
    let start = out.len();
    for label in question.name.trim_end_matches('.').split('.') {
        let length = u8::try_from(label.len()).ok().filter(|length| (1..64).contains(length))?;
        out.push(length);
        out.extend_from_slice(label.as_bytes());
    }
    out.push(0);
    if out.len() - start > NAME_BYTES_MAX {
        return None;
    }
    out.extend_from_slice(&question.kind.number().to_be_bytes());
    out.extend_from_slice(&INTERNET.to_be_bytes());
    let [high, low] = (ANSWER_BYTES_MAX as u16).to_be_bytes();
    out.extend_from_slice(&[0, 0, 41, high, low, 0, 0, 0, 0, 0, 0]);
    Some(())
}

/// The number of an answer, by which its question is found.
pub fn id(answer: &[u8]) -> Option<u16> {
    number(answer, 0)
}

/// Reads an answer to a question; `None` when it is none.
pub fn read(answer: &[u8], question: &Question) -> Option<Reply> {
    let flags = number(answer, 2)?;
    if flags & 0x8000 == 0 || number(answer, 4)? != 1 {
        return None;
    }
    let (name, mut at) = read_name(answer, 12)?;
    let same = name.eq_ignore_ascii_case(question.name.trim_end_matches('.'));
    if !same || number(answer, at)? != question.kind.number() {
        return None;
    }
    at += 4;
    if flags & 0x0200 != 0 {
        return Some(Reply::Cut);
    }
    match flags & 15 {
        0 => {}
        3 => return Some(Reply::Absent),
        _ => return Some(Reply::Failed),
    }
    // Of a chain of aliases, the shortest time holds.
    let mut seconds = u32::MAX;
    for _ in 0..number(answer, 6)? {
        let (_, after) = read_name(answer, at)?;
        let (kind, length) = (number(answer, after)?, usize::from(number(answer, after + 8)?));
        let time =
            u32::from(number(answer, after + 4)?) << 16 | u32::from(number(answer, after + 6)?);
        let data = answer.get(after + 10..after + 10 + length)?;
        at = after + 10 + length;
        if kind == CNAME || kind == question.kind.number() {
            seconds = seconds.min(time);
        }
        if kind != question.kind.number() {
            continue;
        }
        let text = match question.kind {
            Kind::A => Ipv4Addr::from(<[u8; 4]>::try_from(data).ok()?).to_string(),
            Kind::Aaaa => Ipv6Addr::from(<[u8; 16]>::try_from(data).ok()?).to_string(),
            Kind::Ptr => read_name(answer, after + 10)?.0,
        };
        return Some(Reply::Found(text, seconds));
    }
    Some(Reply::Absent)
}

/// A name with dots, and where it ends.
fn read_name(message: &[u8], mut at: usize) -> Option<(String, usize)> {
    let (mut name, mut end) = (String::new(), None);
    for _ in 0..JUMPS_MAX * 2 {
        let length = *message.get(at)?;
        match length >> 6 {
            0 if length == 0 => return Some((name, end.unwrap_or(at + 1))),
            0 => {
                let label = message.get(at + 1..at + 1 + usize::from(length))?;
                if !name.is_empty() {
                    name.push('.');
                }
                name.push_str(&String::from_utf8_lossy(label));
                at += 1 + usize::from(length);
            }
            3 => {
                end = end.or(Some(at + 2));
                at = usize::from(number(message, at)? & 0x3fff);
            }
            _ => return None,
        }
        if name.len() > NAME_BYTES_MAX * 4 {
            return None;
        }
    }
    None
}

fn number(message: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*message.get(at)?, *message.get(at + 1)?]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn question(name: &str, kind: Kind) -> Question {
        Question { name: name.into(), kind }
    }

    #[test]
    fn an_address_is_asked_for_under_its_reversed_name() {
        assert_eq!(reverse_name("192.0.2.1".parse().unwrap()), "1.2.0.192.in-addr.arpa");
        let v6 = reverse_name("2001:db8::1".parse().unwrap());
        assert!(v6.starts_with("1.0.0.0.") && v6.ends_with("8.b.d.0.1.0.0.2.ip6.arpa"), "{v6}");
    }

    #[test]
    fn aliases_are_followed_and_the_shortest_time_holds() {
        let asked = question("www.a.example", Kind::A);
        let mut answer = Vec::new();
        write(&asked, 7, &mut answer).unwrap();
        answer.truncate(answer.len() - 11);
        answer[2] = 0x81;
        answer[7] = 2;
        answer[11] = 0;
        // `www.a.example` is `a.example` for 60 s, which has an address for 300 s.
        answer.extend_from_slice(&[0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 60, 0, 2, 0xc0, 16]);
        answer.extend_from_slice(&[0xc0, 16, 0, 1, 0, 1, 0, 0, 1, 44, 0, 4, 192, 0, 2, 9]);
        assert_eq!(id(&answer), Some(7));
        assert_eq!(read(&answer, &asked), Some(Reply::Found("192.0.2.9".into(), 60)));
        assert_eq!(read(&answer, &question("b.example", Kind::A)), None);
        assert_eq!(read(&answer, &question("www.a.example", Kind::Aaaa)), None);
        answer[3] = 3;
        assert_eq!(read(&answer, &asked), Some(Reply::Absent));
    }

    #[test]
    fn names_that_cannot_be_sent_are_refused() {
        let mut out = Vec::new();
        for name in ["", "a..b", &"x".repeat(64), &"x.".repeat(200)] {
            assert_eq!(write(&question(name, Kind::A), 1, &mut out), None, "{name}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_reading_fail(
            mut bytes in proptest::collection::vec(any::<u8>(), 0..200),
            jump in any::<bool>(),
        ) {
            let asked = question("a", Kind::Ptr);
            if jump && bytes.len() > 16 {
                // A name that points at itself.
                bytes[12..14].copy_from_slice(&[0xc0, 12]);
            }
            let _ = read(&bytes, &asked);
        }
    }
}
