//! Answers into what becomes of the documents.

use super::{Answer, Builder, Failure, FailureKind, Kept, Request, Scheduler, Trouble};
use crate::delivery::DeadLetter;
use crate::output::elasticsearch::outcome::{self, ItemOutcome, RequestOutcome};
use crate::output::elasticsearch::reply::{self, Cause, Refusal, Reply};

/// Smallest limit that a 413 leads to.
const BULK_BYTES_MIN: usize = 64 * 1024;
/// After so many broken connections a large request is split: some servers close the connection on a request that
/// is too large before the 413 can be read.
const BROKEN_MAX: u32 = 3;
/// After so many 429 a request is split and those after it are made smaller: a node has a limit for all that it takes
/// at a time, which one request may exceed.
const PRESSED_MAX: u32 = 2;
/// Each full request that is taken lets the next ones grow by this part of their size, up to `bulk_size`.
const GROWTH_PART: usize = 16;
/// Health tells of dead letters for so long after the latest one.
const NOTICE_NS: u64 = 60_000_000_000;
/// A document that was answered 500 so often while others passed is the reason itself.
const ODD_MAX: u16 = 20;

impl Scheduler {
    /// A request was answered, or was not.
    pub(in super::super) fn answered(
        &mut self,
        ticket: u64,
        result: Result<Answer, Failure>,
        now_ns: u64,
    ) {
        let Some(at) = self.in_flight.iter().position(|r| r.ticket == ticket) else { return };
        let full = !self.may_send();
        let request = self.in_flight.swap_remove(at);
        match result {
            Err(failure) => {
                self.report.answered(0, 0);
                self.unanswered(request, &failure, now_ns);
            }
            Ok(answer) => {
                self.report.answered(answer.status, request.bulk.body().len());
                if request.bulk.entries().is_empty() {
                    self.asked(&request, &answer, now_ns);
                } else {
                    self.answer(request, &answer, full, now_ns);
                }
            }
        }
    }

    /// The answer to a request without documents: 400 is what Elasticsearch says to that.
    fn asked(&mut self, request: &Request, answer: &Answer, now_ns: u64) {
        let (cause, shaped) = reply::read_error(&answer.body);
        let outcome = outcome::request(answer.status, &cause, shaped, false);
        match outcome {
            RequestOutcome::Items | RequestOutcome::Malformed => {
                self.worked = true;
                self.hosts.works(request.host, false);
            }
            _ => {
                let trouble = self.trouble(outcome, answer, &cause);
                self.hosts.fails(request.host, trouble, now_ns, &mut self.backoff);
            }
        }
    }

    fn answer(&mut self, request: Request, answer: &Answer, full: bool, now_ns: u64) {
        let (cause, shaped) = match answer.status {
            200 => (Cause::default(), false),
            _ => reply::read_error(&answer.body),
        };
        let outcome = outcome::request(answer.status, &cause, shaped, request.bulk.is_packed());
        match outcome {
            RequestOutcome::Items => match reply::read(&answer.body, request.bulk.entries()) {
                Ok(reply) => {
                    self.worked = true;
                    self.hosts.works(request.host, true);
                    self.taken(&request, &reply, full, now_ns);
                    self.items(request, &reply, now_ns);
                }
                Err(why) => {
                    let start = reply::one_line(&String::from_utf8_lossy(
                        &answer.body[..answer.body.len().min(80)],
                    ));
                    let message = format!(
                        "answered 200, but not as the bulk API does ({}; it begins with `{start}`): if this lasts, \
                         check that `hosts` names an Elasticsearch",
                        why.0
                    );
                    let trouble = Trouble { passing: true, message, detail: String::new() };
                    self.again(request, trouble, now_ns);
                }
            },
            RequestOutcome::TooLarge => {
                self.hosts.works(request.host, true);
                self.too_large(&request, now_ns);
            }
            RequestOutcome::NoCompression => self.without_compression(request, now_ns),
            RequestOutcome::Malformed if self.hosts.is_proven(request.host) => {
                self.hosts.works(request.host, true);
                self.malformed(&request, &cause, now_ns);
            }
            _ => {
                if outcome == RequestOutcome::Busy {
                    self.window.refused(request.sent_ns, now_ns);
                }
                let trouble = self.trouble(outcome, answer, &cause);
                if answer.status == 429 && request.failures + 1 >= PRESSED_MAX && is_large(&request)
                {
                    self.pressed(request, trouble, now_ns);
                } else {
                    self.again(request, trouble, now_ns);
                }
            }
        }
    }

    /// What a request that was taken says about how much may be sent at a time.
    fn taken(&mut self, request: &Request, reply: &Reply, full: bool, now_ns: u64) {
        let busy = |r: &Refusal| r.status == 429 && r.cause.kind != "cluster_block_exception";
        if reply.refused.iter().any(busy) {
            self.window.refused(request.sent_ns, now_ns);
        } else {
            self.window.taken(request.sent_ns, now_ns, full);
            let limit = self.builder.limit();
            if limit < self.ceiling && request.bulk.size > limit / 2 {
                self.builder.set_limit((limit + limit / GROWTH_PART).min(self.ceiling));
            }
        }
    }

    /// The node refuses the request again and again because it is too much at a time: in halves, and smaller ones
    /// from now on.
    fn pressed(&mut self, request: Request, trouble: Trouble, now_ns: u64) {
        let limit = (request.bulk.size / 2).max(BULK_BYTES_MIN).min(self.builder.limit());
        self.tell_trouble(&request, &trouble, now_ns);
        self.builder.set_limit(limit);
        self.hosts.fails(request.host, trouble, now_ns, &mut self.backoff);
        self.split(&request, now_ns);
    }

    fn unanswered(&mut self, mut request: Request, failure: &Failure, now_ns: u64) {
        let (passing, message) = (!failure.lasting, failure.message.clone());
        let trouble = Trouble { passing, message, detail: String::new() };
        match failure.kind {
            FailureKind::TimedOut => self.window.refused(request.sent_ns, now_ns),
            FailureKind::Broken => request.broken += 1,
            FailureKind::Unreachable => {}
        }
        if request.bulk.entries().is_empty() {
            self.hosts.fails(request.host, trouble, now_ns, &mut self.backoff);
            return;
        }
        if request.broken >= BROKEN_MAX && is_large(&request) {
            self.hosts.fails(request.host, trouble, now_ns, &mut self.backoff);
            self.split(&request, now_ns);
        } else {
            self.again(request, trouble, now_ns);
        }
    }

    /// The same documents again, at another node if there is one that has not been tried.
    fn again(&mut self, mut request: Request, trouble: Trouble, now_ns: u64) {
        self.tell_trouble(&request, &trouble, now_ns);
        let count = request.bulk.entries().len();
        self.hosts.fails(request.host, trouble, now_ns, &mut self.backoff);
        request.failures = request.failures.saturating_add(1);
        let elsewhere = self.hosts.any_works() && (request.failures as usize) < self.hosts.count();
        let pause = if elsewhere { 0 } else { self.backoff.pause_ns(request.failures) };
        request.due_ns = now_ns + pause;
        self.report.request_again();
        self.report.retried(count);
        self.queue.push_back(request);
    }

    fn tell_trouble(&mut self, request: &Request, trouble: &Trouble, now_ns: u64) {
        let host = self.hosts.name(request.host).to_string();
        self.report.problem(&trouble.message, request.bulk.entries().len(), now_ns, || {
            let Trouble { message, detail, .. } = trouble;
            let said =
                if detail.is_empty() { String::new() } else { format!(" It said: {detail}") };
            format!("{host} {message}; the documents are kept and sent again.{said}")
        });
    }

    fn items(&mut self, request: Request, reply: &Reply, now_ns: u64) {
        let entries = request.bulk.entries();
        self.report.stored(reply.stored, reply.failure_store, now_ns);
        let stable = self.policy.form.ids;
        let (mut outcomes, mut refused) = (Vec::new(), reply.refused.iter().peekable());
        for (position, entry) in entries.iter().enumerate() {
            let Some(refusal) = refused.next_if(|r| r.position == position) else {
                self.ledger.settle(entry.frame);
                continue;
            };
            let outcome = outcome::item(refusal.status, &refusal.cause, stable);
            if outcome == ItemOutcome::Deduplicated {
                self.report.deduplicated();
                self.ledger.settle(entry.frame);
            } else {
                outcomes.push((outcome, refusal));
            }
        }
        let mut retried = 0;
        if !outcomes.is_empty() {
            let numbers: Vec<usize> = outcomes.iter().map(|(_, r)| r.position).collect();
            let mut each = outcomes.iter();
            request.bulk.pick(&numbers, |_, kept| {
                if let Some((outcome, refusal)) = each.next() {
                    let again =
                        self.refused(kept, *outcome, refusal.status, &refusal.cause, now_ns);
                    retried += usize::from(again);
                }
            });
        }
        self.report.retried(retried);
        if let Some(index) = &request.group {
            let passed = entries.len() - retried;
            self.waiting.tried(index, passed, retried, now_ns, &mut self.backoff);
        }
        self.builder.recycle(request.bulk);
    }

    /// Whether the document is kept to be tried again.
    fn refused(
        &mut self,
        mut kept: Kept,
        outcome: ItemOutcome,
        status: u16,
        cause: &Cause,
        now_ns: u64,
    ) -> bool {
        let (index, id) = kept.address();
        let block = match outcome {
            ItemOutcome::Dead => {
                self.dead(&kept, cause.to_string(), now_ns);
                return false;
            }
            ItemOutcome::Blocked(block) => Some(block),
            _ => None,
        };
        if status == 500 && kept.refused_alone(self.report.delivered()) >= ODD_MAX {
            let reason = format!("{cause} (status 500, {ODD_MAX} times while others were taken)");
            self.dead(&kept, reason, now_ns);
            return false;
        }
        if self.latest != cause.kind {
            self.latest.clone_from(&cause.kind);
        }
        let class = format!("{} {index}", cause.kind);
        self.report.problem(&class, 1, now_ns, || {
            let cause = cause.to_string();
            let why = without_values(&cause);
            format!("refused for now with status {status}, kept: index {index}, id {id}: {why}")
        });
        self.waiting.keep(&index, kept, block, now_ns, &mut self.backoff);
        true
    }

    fn dead(&mut self, kept: &Kept, reason: String, now_ns: u64) {
        let (address, id) = kept.address();
        let class = reason.split(':').next().unwrap_or_default().to_string();
        let letter = DeadLetter {
            output: self.policy.name.clone(),
            address,
            id,
            reason,
            refused_ns: 0,
            document: kept.document().to_vec(),
        };
        self.add_letter(kept.frame(), letter, &class, now_ns);
    }

    /// A document that no server will take, to the dead letters.
    pub(super) fn add_letter(&mut self, frame: u64, letter: DeadLetter, class: &str, now_ns: u64) {
        let (index, id, reason) = (&letter.address, &letter.id, &letter.reason);
        self.report.problem(class, 1, now_ns, || {
            let why = without_values(reason);
            let advice = outcome::advice_for_dead(reason);
            format!("refused for ever, now a dead letter: index {index}, id {id}: {why}. To do: {advice}")
        });
        self.notice_dead(&letter, now_ns);
        self.letters.add(frame, letter);
    }

    /// Health says for a while that there are dead letters; in the same words, however many come.
    fn notice_dead(&mut self, letter: &DeadLetter, now_ns: u64) {
        let until = now_ns + NOTICE_NS;
        if let Some((_, known)) = self.notice.as_mut().filter(|(_, until)| *until > now_ns) {
            *known = until;
            return;
        }
        let (index, kind) = (&letter.address, letter.reason.split([':', '(']).next());
        let (kind, advice) =
            (kind.unwrap_or_default().trim_end(), outcome::advice_for_dead(&letter.reason));
        let said = format!(
            "documents became dead letters in the last minute, such as one for the index `{index}` ({kind}): {advice}"
        );
        self.notice = Some((said, until));
    }

    fn too_large(&mut self, request: &Request, now_ns: u64) {
        let size = request.bulk.size;
        if request.bulk.entries().len() > 1 {
            let limit = (size / 2).max(BULK_BYTES_MIN).min(self.builder.limit());
            self.report.problem("413", request.bulk.entries().len(), now_ns, || {
                format!(
                    "a request of {size} bytes is too large for the server (413) and is split; requests now have \
                     at most {limit} bytes: set `bulk_size` or raise the server's `http.max_content_length`"
                )
            });
            self.builder.set_limit(limit);
            self.ceiling = limit;
            self.split(request, now_ns);
        } else {
            let reason = format!("too large for the server: {size} bytes (status 413)");
            self.dead_alone(request, &reason, now_ns);
        }
    }

    /// One document of the request makes the server refuse all: found by halving.
    fn malformed(&mut self, request: &Request, cause: &Cause, now_ns: u64) {
        if request.bulk.entries().len() > 1 {
            self.report.problem("400", request.bulk.entries().len(), now_ns, || {
                format!("a request was refused as a whole and is split to find out why: {cause}")
            });
            self.split(request, now_ns);
        } else {
            self.dead_alone(request, &cause.to_string(), now_ns);
        }
    }

    fn dead_alone(&mut self, request: &Request, reason: &str, now_ns: u64) {
        request.bulk.pick(&[0], |_, kept| self.dead(&kept, reason.to_string(), now_ns));
        if let Some(index) = &request.group {
            self.waiting.tried(index, 1, 0, now_ns, &mut self.backoff);
        }
    }

    fn split(&mut self, request: &Request, now_ns: u64) {
        let mut builder = self.spare_builder();
        let (first, second) = request.bulk.split(&mut builder);
        self.report.request_again();
        self.report.retried(request.bulk.entries().len());
        for half in [second, first].into_iter().filter(|half| !half.entries().is_empty()) {
            let mut half = Request::new(half, request.group.clone(), now_ns);
            half.failures = request.failures;
            self.queue.push_front(half);
        }
    }

    fn without_compression(&mut self, mut request: Request, now_ns: u64) {
        let host = self.hosts.name(request.host).to_string();
        if self.policy.form.gzip {
            self.report.problem("gzip", request.bulk.entries().len(), now_ns, || {
                format!("{host} does not take gzip: sent without from now on; set `compression = \"none\"`")
            });
            self.policy.form.gzip = false;
            let begun = self.builder.seal();
            self.builder.set_gzip(false);
            begun.write_into(&mut self.builder);
        }
        self.hosts.works(request.host, false);
        let mut builder: Builder = self.spare_builder();
        request.bulk.write_into(&mut builder);
        request.bulk = builder.seal();
        request.due_ns = now_ns;
        self.queue.push_front(request);
    }

    fn trouble(&self, outcome: RequestOutcome, answer: &Answer, cause: &Cause) -> Trouble {
        let (status, user) = (answer.status, &self.policy.user);
        let mut detail = String::new();
        let message = match outcome {
            RequestOutcome::Unauthorized if cause.kind == "cluster_block_exception" => {
                format!("takes no writes ({status} {cause}): lift the block of the cluster")
            }
            RequestOutcome::Unauthorized => format!(
                "refuses {user} ({status} {cause}): check `user` and `password`, or `api_key`, and its privileges"
            ),
            RequestOutcome::Busy | RequestOutcome::Broken if cause.kind.is_empty() => {
                format!("cannot take documents now ({status} {cause})")
            }
            RequestOutcome::Busy | RequestOutcome::Broken => {
                // Not its reason, which has numbers that differ each time.
                detail.clone_from(&cause.reason);
                let kind = &cause.kind;
                let advice = if status == 429 {
                    ": requests are made fewer and smaller; if this lasts, the cluster needs more memory or nodes"
                } else {
                    ""
                };
                format!("cannot take documents now ({status} {kind}){advice}")
            }
            _ => {
                let to = answer.location.as_deref();
                let to = to.map(|to| format!(", to {to}")).unwrap_or_default();
                format!(
                    "is no bulk endpoint of an Elasticsearch (POST /_bulk: {status} {cause}{to}): correct the URL \
                     in `hosts`"
                )
            }
        };
        let passing = matches!(outcome, RequestOutcome::Busy | RequestOutcome::Broken);
        Trouble { passing, message, detail }
    }
}

/// Whether a request is worth splitting.
fn is_large(request: &Request) -> bool {
    request.bulk.entries().len() > 1 && request.bulk.size > BULK_BYTES_MIN
}

/// Reasons quote what the document holds; that belongs into the dead letter, not into the log.
fn without_values(reason: &str) -> &str {
    let ends = ["Preview of field's value", "For input string", "; "];
    let end = ends.iter().filter_map(|end| reason.find(end)).min();
    reason[..end.unwrap_or(reason.len())].trim_end_matches([' ', ';', ':', '.'])
}

#[cfg(test)]
mod tests {
    use super::without_values;

    #[test]
    fn the_log_does_not_quote_what_a_document_holds() {
        let reason = "document_parsing_exception: [1:80] failed to parse field [a] of type [long] in document \
                      with id 'x'. Preview of field's value: 'secret'; For input string: \"secret\"";
        assert_eq!(
            without_values(reason),
            "document_parsing_exception: [1:80] failed to parse field [a] of type [long] in document with id 'x'"
        );
        assert_eq!(without_values("no such index [x]"), "no such index [x]");
    }
}
