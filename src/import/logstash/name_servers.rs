//! The name servers of a filter `dns`.
//!
//! In: its settings. Out: those settings with addresses alone. Promises: what is no address (the mark of a template
//! that a tool fills in) is said, and the others, or this machine's servers, are asked. On failure: nothing can fail.

use crate::import::document::{Table, Value as Ours};
use crate::import::report::Account;

/// Takes out what is no address.
pub(super) fn known(table: &mut Table, account: &mut Account) {
    fn clear(value: &mut Ours, gone: &mut Vec<String>) -> bool {
        match value {
            Ours::Text(text) => {
                let address = text.parse::<std::net::IpAddr>().is_ok();
                let known = address || text.parse::<std::net::SocketAddr>().is_ok();
                gone.extend((!known).then(|| text.clone()));
                known
            }
            Ours::List(items) => {
                items.retain_mut(|item| clear(item, gone));
                !items.is_empty()
            }
            Ours::Table(inner) => {
                inner.0.iter_mut().all(|(key, value)| key != "address" || clear(value, gone))
            }
            _ => true,
        }
    }
    let mut gone = Vec::new();
    table.0.retain_mut(|(key, value)| key != "nameserver" || clear(value, &mut gone));
    let left = if table.get("nameserver").is_some() {
        "the others are"
    } else {
        "this machine's servers are"
    };
    for name in gone {
        account.differs(format!("`{name}` is no address of a name server; {left} asked"));
    }
}
