//! The nodes: which one gets the next request.
//!
//! Is: round robin over the nodes that work; a failed one is left alone for a growing pause, then tried with one
//! request. In: picks, successes, failures. Out: a node, or when to ask again.
//! Promises: a node that fails costs one request per pause, not all of them. On failure: nothing can fail.

use super::retry::Backoff;

/// What is wrong with a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trouble {
    /// Whether waiting may help; otherwise somebody has to do something.
    pub(super) passing: bool,
    /// One sentence: what and what to do, without the node's name; the same each time, so that it is told once.
    pub(super) message: String,
    /// What the server said this time, for the log; may be empty.
    pub(super) detail: String,
}

/// A node.
#[derive(Debug)]
struct Host {
    name: String,
    /// It has answered a bulk request as Elasticsearch does.
    proven: bool,
    failure: Option<Failure>,
}

#[derive(Debug)]
struct Failure {
    since_ns: u64,
    count: u32,
    again_ns: u64,
    /// A request is finding out whether the node works again.
    trying: bool,
    trouble: Trouble,
}

/// Where the next request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pick {
    /// To this node.
    Host(usize),
    /// Nowhere before this time.
    At(u64),
    /// Nowhere before a request that is under way is answered.
    Later,
}

/// All nodes.
#[derive(Debug)]
pub(super) struct Hosts {
    list: Vec<Host>,
    next: usize,
}

impl Hosts {
    /// The nodes by their shown names; all are taken to work.
    pub(super) fn new(names: impl IntoIterator<Item = String>) -> Hosts {
        let host = |name| Host { name, proven: false, failure: None };
        Hosts { list: names.into_iter().map(host).collect(), next: 0 }
    }

    /// Takes the next node that works; failing that, one whose pause is over.
    pub(super) fn pick(&mut self, now_ns: u64) -> Pick {
        let count = self.list.len();
        let order = (0..count).map(|n| (self.next + n) % count);
        let working = order.clone().find(|n| self.list[*n].failure.is_none());
        let due = |n: &usize| {
            let failure = self.list[*n].failure.as_ref();
            failure.is_some_and(|f| !f.trying && f.again_ns <= now_ns)
        };
        let chosen = working.or_else(|| order.clone().find(due));
        let Some(chosen) = chosen else {
            let waits = self.list.iter().filter_map(|h| h.failure.as_ref()).filter(|f| !f.trying);
            return waits.map(|f| f.again_ns).min().map_or(Pick::Later, Pick::At);
        };
        if let Some(failure) = &mut self.list[chosen].failure {
            failure.trying = true;
        }
        self.next = (chosen + 1) % count;
        Pick::Host(chosen)
    }

    /// When a failed node may be tried again, if one waits for it.
    pub(super) fn next_try_ns(&self) -> Option<u64> {
        let waits = self.list.iter().filter_map(|h| h.failure.as_ref()).filter(|f| !f.trying);
        waits.map(|f| f.again_ns).min()
    }

    /// A failed node whose pause is over, taken for a try with a request that carries no documents: a node that
    /// hangs must not hold documents that another one would take.
    pub(super) fn pick_failed(&mut self, now_ns: u64) -> Option<usize> {
        let due = |f: &Failure| !f.trying && f.again_ns <= now_ns;
        let at = self.list.iter().position(|h| h.failure.as_ref().is_some_and(due))?;
        if let Some(failure) = &mut self.list[at].failure {
            failure.trying = true;
        }
        Some(at)
    }

    /// Whether [`Hosts::pick`] would give a node.
    pub(super) fn available(&self, now_ns: u64) -> bool {
        self.list.iter().any(|host| match &host.failure {
            None => true,
            Some(f) => !f.trying && f.again_ns <= now_ns,
        })
    }

    /// The node answered as it should; `proven`: to a request with documents.
    pub(super) fn works(&mut self, host: usize, proven: bool) {
        self.list[host].failure = None;
        self.list[host].proven |= proven;
    }

    /// Whether the node has ever answered as it should.
    pub(super) fn is_proven(&self, host: usize) -> bool {
        self.list[host].proven
    }

    /// The node failed. Requests that fail together count once.
    pub(super) fn fails(&mut self, host: usize, trouble: Trouble, now: u64, backoff: &mut Backoff) {
        let failure = &mut self.list[host].failure;
        match failure {
            Some(f) if !f.trying && f.again_ns > now => f.trouble = trouble,
            Some(f) => {
                f.count = f.count.saturating_add(1);
                f.again_ns = now + backoff.pause_ns(f.count);
                f.trying = false;
                f.trouble = trouble;
            }
            None => {
                let again_ns = now + backoff.pause_ns(1);
                let trying = false;
                *failure = Some(Failure { since_ns: now, count: 1, again_ns, trying, trouble });
            }
        }
    }

    /// Whether any node works.
    pub(super) fn any_works(&self) -> bool {
        self.list.iter().any(|h| h.failure.is_none())
    }

    /// The nodes with trouble that is worth telling: at once when somebody has to act, else when it lasts.
    pub(super) fn troubles(&self, now_ns: u64, lasting_ns: u64) -> impl Iterator<Item = String> {
        self.list.iter().filter_map(move |host| {
            let failure = host.failure.as_ref()?;
            let lasts = failure.count > 1 && now_ns.saturating_sub(failure.since_ns) >= lasting_ns;
            (lasts || !failure.trouble.passing)
                .then(|| format!("{} {}", host.name, failure.trouble.message))
        })
    }

    /// How the node is called in messages.
    pub(super) fn name(&self, host: usize) -> &str {
        &self.list[host].name
    }

    /// How many nodes there are.
    pub(super) fn count(&self) -> usize {
        self.list.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passing() -> Trouble {
        Trouble { passing: true, message: "is away".into(), detail: String::new() }
    }

    #[test]
    fn a_failed_node_is_left_out_then_tried_with_one_request() {
        let mut hosts = Hosts::new(["a".into(), "b".into()]);
        let mut backoff = Backoff::new(100, 1000, 1);
        assert_eq!(hosts.pick(0), Pick::Host(0));
        hosts.fails(0, passing(), 0, &mut backoff);
        hosts.fails(0, passing(), 0, &mut backoff);
        assert_eq!([hosts.pick(1), hosts.pick(1)], [Pick::Host(1); 2]);
        let later = 100_000_000;
        assert_eq!([hosts.pick(later), hosts.pick(later)], [Pick::Host(1); 2]);
        assert_eq!(hosts.pick_failed(later), Some(0));
        assert_eq!(hosts.pick_failed(later), None, "the try is under way");
        hosts.works(0, true);
        assert_eq!(hosts.pick(later), Pick::Host(0));
    }

    #[test]
    fn with_no_node_the_earliest_next_try_is_told() {
        let mut hosts = Hosts::new(["a".into()]);
        let mut backoff = Backoff::new(100, 1000, 1);
        hosts.fails(0, passing(), 0, &mut backoff);
        let Pick::At(at) = hosts.pick(0) else { panic!("nothing can be picked") };
        assert!((50_000_000..=100_000_000).contains(&at));
        assert_eq!(hosts.pick(at), Pick::Host(0));
        assert_eq!(hosts.pick(at), Pick::Later);
        hosts.fails(0, passing(), at, &mut backoff);
        assert!(hosts.troubles(at, 1_000_000_000).next().is_none(), "not yet worth telling");
        assert_eq!(hosts.troubles(2_000_000_000, 1_000_000_000).next().unwrap(), "a is away");
    }
}
