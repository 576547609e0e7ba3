//! The fourth room: which outputs get an event, and where each puts it.
//!
//! Is: the `when` and the address template of every output. In: a filtered event. Out: route bits and addresses in
//! a draft. Promises: conditions are asked once per event and output, in the order of the configuration.
//! On failure: a field that an address names and the event lacks is written as `unknown`, and counted: a document is
//! never lost because of its address.

use crate::condition::Condition;
use crate::event::Batch;
use crate::frame::{Draft, StringId};
use crate::metrics::{Counter, Metrics};
use crate::template::{Memo, Template};

/// One output as the router sees it; a clone is for another thread.
#[derive(Clone)]
pub struct Route {
    /// The output's name.
    pub name: String,
    /// Its bit.
    pub bit: u32,
    /// Which events it gets; `None`: all.
    pub when: Option<Condition>,
    /// Where it puts them; `None`: it has only one place.
    pub address: Option<Template>,
    /// Addresses that named a field which the event lacks.
    pub incomplete: Counter,
}

impl Route {
    /// The route of an output; `metrics` carry its name.
    pub fn new(
        name: String,
        bit: u32,
        when: Option<Condition>,
        address: Option<Template>,
        metrics: &Metrics,
    ) -> Route {
        let help = "Addresses that named a field which the event lacks.";
        let incomplete = metrics.counter("logweir_output_address_incomplete_total", help);
        Route { name, bit, when, address, incomplete }
    }
}

/// What stands in an address for a field that the event lacks.
pub const ABSENT: &[u8] = b"unknown";

/// The routes of one event; keeps its buffers for the next one.
#[derive(Default)]
pub struct Routing {
    /// One bit for each output.
    pub bits: u32,
    /// One string for each bit, lowest first.
    pub addresses: Vec<StringId>,
    /// The routes do not stand in the order of their bits.
    unordered: bool,
    by_bit: Vec<(u32, StringId)>,
    memos: Vec<RouteMemo>,
}

/// The last address of a route, and its number in the draft.
#[derive(Default)]
struct RouteMemo {
    address: Memo,
    string: Option<StringId>,
}

impl Routing {
    /// The next events go into another draft.
    pub fn begin_draft(&mut self) {
        for memo in &mut self.memos {
            memo.string = None;
        }
    }

    /// Finds the outputs of an event; strings go into the draft. The routes are always the same ones.
    pub fn find(&mut self, routes: &[Route], batch: &Batch, event: usize, draft: &mut Draft) {
        self.bits = 0;
        self.addresses.clear();
        if self.memos.len() != routes.len() {
            self.memos.resize_with(routes.len(), RouteMemo::default);
            self.unordered = !routes.is_sorted_by_key(|route| route.bit);
        }
        for (route, memo) in routes.iter().zip(&mut self.memos) {
            if route.when.as_ref().is_some_and(|when| !when.holds(batch, event)) {
                continue;
            }
            let string = memo.string(route, batch, event, draft);
            self.bits |= 1 << route.bit;
            self.addresses.push(string);
            if self.unordered {
                self.by_bit.push((route.bit, string));
            }
        }
        // Bits are given out by name, so the order of the configuration need not be theirs.
        if self.unordered {
            self.by_bit.sort_unstable_by_key(|(bit, _)| *bit);
            self.addresses.clear();
            self.addresses.extend(self.by_bit.drain(..).map(|(_, string)| string));
        }
    }
}

impl RouteMemo {
    /// The address of an event, as a string of the draft.
    #[inline]
    fn string(
        &mut self,
        route: &Route,
        batch: &Batch,
        event: usize,
        draft: &mut Draft,
    ) -> StringId {
        let address = &mut self.address;
        let same = match &route.address {
            Some(template) => {
                let same = template.render_again(batch, event, ABSENT, address);
                if !address.complete {
                    route.incomplete.increment();
                }
                same
            }
            None => true,
        };
        if let Some(string) = self.string.filter(|_| same) {
            return string;
        }
        let Some(string) = draft.string(&address.text) else {
            unreachable!("a draft is left for another one long before its table is full");
        };
        self.string = Some(string);
        string
    }
}
