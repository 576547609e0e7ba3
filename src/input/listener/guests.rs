//! Who is connected, and who gives way when there is no room.
//!
//! Is: the table of an input's open connections. In: connections that come, show that they are of use, and go. Out: a
//! [`Guest`] for a newcomer, or why there is none.
//! Promises: who has sent a whole line or event (or, with `client_ca`, shown a certificate) is never sent away for
//! another one; of the others, *strangers*, one that was there for a while and is silent now gives way to a newcomer:
//! the oldest of the address that has most of them, so that many silent connections of one address cannot keep another
//! one out. At most `most` are open, and [`limits::CONNECTIONS_LEAVING_MAX`] on their way out.
//! On failure: nothing can fail.
//!
//! An IPv6 client has a whole /64 at its disposal, so that counts as one address.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::limits;

/// The open connections of one input; clones share them.
#[derive(Clone)]
pub(in crate::input) struct Guests(Arc<Mutex<Table>>);

/// An open connection's place; free again when dropped.
pub(in crate::input) struct Guest {
    guests: Guests,
    address: IpAddr,
    number: u64,
    farewell: Arc<Farewell>,
    known: bool,
}

/// Why a newcomer is turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// All places are taken.
    Full,
    /// The address has as many as it may have.
    AddressFull,
}

struct Table {
    most: usize,
    most_of_address: usize,
    open: usize,
    leaving: usize,
    next: u64,
    /// How many each address has.
    of_address: HashMap<IpAddr, usize>,
    /// By address, in the order in which they came.
    strangers: HashMap<IpAddr, BTreeMap<u64, Stranger>>,
}

struct Stranger {
    since_ns: u64,
    farewell: Arc<Farewell>,
}

/// Tells a connection to go.
#[derive(Default)]
struct Farewell {
    said: AtomicBool,
    /// What it sent is being handed on: it cannot go now.
    at_work: AtomicBool,
    heard: Notify,
}

impl Guests {
    /// Room for `most` connections, `most_of_address` of each address.
    pub(super) fn new(most: usize, most_of_address: usize) -> Guests {
        Guests(Arc::new(Mutex::new(Table {
            most,
            most_of_address,
            open: 0,
            leaving: 0,
            next: 0,
            of_address: HashMap::new(),
            strangers: HashMap::new(),
        })))
    }

    /// A place for a newcomer. `true`: a stranger was told to go for it.
    pub(super) fn admit(&self, ip: IpAddr, now_ns: u64) -> Result<(Guest, bool), Refusal> {
        let address = group(ip);
        let mut table = self.lock();
        if table.of_address.get(&address).is_some_and(|open| *open >= table.most_of_address) {
            return Err(Refusal::AddressFull);
        }
        let full = table.open >= table.most;
        if full && !table.send_one_away(now_ns) {
            return Err(Refusal::Full);
        }
        let number = table.next;
        table.next += 1;
        table.open += 1;
        *table.of_address.entry(address).or_default() += 1;
        let farewell = Arc::new(Farewell::default());
        let stranger = Stranger { since_ns: now_ns, farewell: Arc::clone(&farewell) };
        table.strangers.entry(address).or_default().insert(number, stranger);
        drop(table);
        Ok((Guest { guests: self.clone(), address, number, farewell, known: false }, full))
    }

    /// Tells a stranger to go, so that there is room for somebody else; false: there is none that may be.
    pub(super) fn make_room(&self, now_ns: u64) -> bool {
        self.lock().send_one_away(now_ns)
    }

    /// The place of a connection without a listener.
    #[cfg(test)]
    pub(in crate::input) fn alone() -> Guest {
        let Ok((guest, _)) = Guests::new(1, 1).admit(Ipv6Addr::LOCALHOST.into(), 0) else {
            unreachable!("there is one place");
        };
        guest
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn send_one_away(&mut self, now_ns: u64) -> bool {
        if self.leaving >= limits::CONNECTIONS_LEAVING_MAX {
            return false;
        }
        let patience_ns = limits::CONNECTION_STRANGER_MS * 1_000_000;
        let may_go = |stranger: &Stranger| {
            now_ns.saturating_sub(stranger.since_ns) >= patience_ns
                && !stranger.farewell.at_work.load(Ordering::Acquire)
        };
        let first = |of: &BTreeMap<u64, Stranger>| {
            of.iter().find(|(_, stranger)| may_go(stranger)).map(|(number, _)| *number)
        };
        let crowds = self.strangers.iter().filter_map(|(a, of)| Some((of.len(), *a, first(of)?)));
        // Of equally many the one that came first.
        let chosen = crowds.max_by_key(|(count, _, number)| (*count, std::cmp::Reverse(*number)));
        let Some((_, address, number)) = chosen else { return false };
        let Some(stranger) = self.take_stranger(address, number) else { return false };
        self.leaving += 1;
        stranger.farewell.said.store(true, Ordering::Release);
        stranger.farewell.heard.notify_one();
        true
    }

    /// Takes a connection from the list of strangers, if it is there.
    fn take_stranger(&mut self, address: IpAddr, number: u64) -> Option<Stranger> {
        let of = self.strangers.get_mut(&address)?;
        let found = of.remove(&number);
        if of.is_empty() {
            self.strangers.remove(&address);
        }
        found
    }
}

impl Guest {
    /// It has sent a whole line or event, or shown who it is: it may stay.
    pub(in crate::input) fn is_of_use(&mut self) {
        if !self.known {
            self.known = true;
            self.guests.lock().take_stranger(self.address, self.number);
        }
    }

    /// Whether what it sent is being handed on; then it is not told to go.
    pub(in crate::input) fn at_work(&self, at_work: bool) {
        self.farewell.at_work.store(at_work, Ordering::Release);
    }

    /// Whether it was told to go.
    pub(in crate::input) fn must_go(&self) -> bool {
        self.farewell.said.load(Ordering::Acquire)
    }

    /// Waits until it is told to go.
    pub(in crate::input) async fn told_to_go(&self) {
        while !self.must_go() {
            self.farewell.heard.notified().await;
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut table = self.guests.lock();
        table.open -= 1;
        table.take_stranger(self.address, self.number);
        if self.must_go() {
            table.leaving -= 1;
        }
        if let Some(open) = table.of_address.get_mut(&self.address) {
            *open -= 1;
            if *open == 0 {
                table.of_address.remove(&self.address);
            }
        }
    }
}

/// What counts as one address.
fn group(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => {
            let [a, b, c, d, ..] = ip.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        ip @ IpAddr::V4(_) => ip,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND_NS: u64 = 1_000_000_000;

    fn ip(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    fn let_in(guests: &Guests, address: u8, now_ns: u64) -> Option<Guest> {
        guests.admit(ip(address), now_ns).ok().map(|(guest, _)| guest)
    }

    #[test]
    fn when_all_places_are_taken_the_oldest_stranger_of_the_largest_crowd_gives_way() {
        let guests = Guests::new(5, usize::MAX);
        let quiet = let_in(&guests, 1, 0).unwrap();
        let crowd: Vec<Guest> = (1..4).map(|n| let_in(&guests, 2, n).unwrap()).collect();
        let mut useful = let_in(&guests, 3, 4).unwrap();
        useful.is_of_use();
        assert!(let_in(&guests, 4, SECOND_NS / 2).is_none(), "nobody was there for long enough");
        crowd[0].at_work(true);
        let late = let_in(&guests, 4, 2 * SECOND_NS).unwrap();
        assert_eq!(crowd.iter().map(Guest::must_go).collect::<Vec<_>>(), [false, true, false]);
        assert!(!quiet.must_go() && !useful.must_go());
        drop(crowd);
        // Now there is room without sending anybody away.
        let (_guest, sent_away) = guests.admit(ip(5), 2 * SECOND_NS).unwrap();
        assert!(!sent_away && !late.must_go() && !quiet.must_go());
    }

    #[test]
    fn who_is_of_use_is_never_sent_away_and_few_are_on_their_way_out() {
        let guests = Guests::new(40, usize::MAX);
        let mut open: Vec<Guest> = (0..40).map(|_| let_in(&guests, 1, 0).unwrap()).collect();
        open[..20].iter_mut().for_each(Guest::is_of_use);
        let newcomers: Vec<Guest> =
            (0..40).map_while(|_| let_in(&guests, 2, 9 * SECOND_NS)).collect();
        assert_eq!(newcomers.len(), limits::CONNECTIONS_LEAVING_MAX);
        assert!(open[..20].iter().all(|guest| !guest.must_go()));
        // Those who were told go at last: others may be told.
        open.retain(|guest| !guest.must_go());
        assert!(guests.make_room(9 * SECOND_NS));
        drop((open, newcomers));
        let table = guests.lock();
        assert_eq!((table.open, table.leaving), (0, 0));
        assert!(table.strangers.is_empty() && table.of_address.is_empty());
    }

    #[test]
    fn an_address_has_no_more_than_its_share_and_a_network_of_ipv6_is_one_address() {
        let guests = Guests::new(10, 2);
        let at = |text: &str| guests.admit(text.parse().unwrap(), 0).map(|(guest, _)| guest);
        let (_one, two) = (at("2001:db8::1").unwrap(), at("2001:db8::2").unwrap());
        assert_eq!(at("2001:db8::3").err(), Some(Refusal::AddressFull));
        let _elsewhere = at("2001:db8:0:1::1").unwrap();
        drop(two);
        let _again = at("2001:db8::3").unwrap();
        let (_v4, _mapped) = (at("192.0.2.1").unwrap(), at("::ffff:192.0.2.1").unwrap());
        assert_eq!(at("192.0.2.1").err(), Some(Refusal::AddressFull));
    }

    #[tokio::test]
    async fn who_is_told_to_go_hears_it_before_and_after_it_listens() {
        let guests = Guests::new(1, usize::MAX);
        let first = let_in(&guests, 1, 0).unwrap();
        let second = let_in(&guests, 2, SECOND_NS).unwrap();
        first.told_to_go().await;
        first.told_to_go().await;
        assert!(!second.must_go());
    }
}
