//! Filter `if`: one chain for the events for which `when` holds, another one for the rest.
//!
//! In: `when`, `[[filters.then]]`, `[[filters.else]]`. Out: the events of both chains.
//! Promises: which chain an event takes is decided before either of them changes anything.

use super::{Chain, ChainPlan, Closing, Filter, FilterLoad, Make};
use crate::chunk::Position;
use crate::condition::Condition;
use crate::event::{Batch, Selection};
use crate::settings::Section;

struct Branch {
    when: Condition,
    then: Chain,
    otherwise: Chain,
    holds: Selection,
    rest: Selection,
}

/// Reads the settings.
pub(super) fn load(section: &Section<'_>, load: &mut FilterLoad<'_>) -> Option<Make> {
    if !section.has("when") {
        section.missing("when", "'level == \"ERROR\"'");
    }
    let when = Condition::load(section, "when", load.keys);
    let then = ChainPlan::load(section, "then", load);
    let otherwise = ChainPlan::load(section, "else", load);
    if !section.has("then") && !section.has("else") {
        let hint = "write [[filters.then]] with a type below it, or [[filters.else]]";
        section.error(section.span(), "`if` has no filters", Some(hint.into()));
        return None;
    }
    let when = when?;
    Some(Box::new(move || {
        Box::new(Branch {
            when: when.clone(),
            then: then.make(),
            otherwise: otherwise.make(),
            holds: Selection::default(),
            rest: Selection::default(),
        })
    }))
}

impl Filter for Branch {
    fn apply(&mut self, batch: &mut Batch, selected: &Selection) {
        self.holds.0.clear();
        self.rest.0.clear();
        for event in &selected.0 {
            let holds = self.when.holds(batch, *event as usize);
            let into = if holds { &mut self.holds } else { &mut self.rest };
            into.0.push(*event);
        }
        self.then.apply_to(batch, &self.holds);
        self.otherwise.apply_to(batch, &self.rest);
    }

    fn close(&mut self, batch: &mut Batch, closing: Closing) {
        self.then.close_inner(batch, closing);
        self.otherwise.close_inner(batch, closing);
    }

    fn remember(&mut self, out: &mut Vec<Position>) {
        self.then.remember(out);
        self.otherwise.remember(out);
    }
}
