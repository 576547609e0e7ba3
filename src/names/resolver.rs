//! Many questions at once, asked of name servers over UDP, each in a bounded time.
//!
//! In: questions, each with those that follow where the answer is "no such name". Out: an answer for each. Promises:
//! all questions are under way at the same time, and the whole takes at most `timeout` for each try; an answer counts
//! only if it comes from the server asked, with the number and the question sent. No library of the system is used.
//! On failure: what was not answered in time is [`Answer::Late`].

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use super::message::{self, ANSWER_BYTES_MAX, Question, Reply};
use crate::clock::SharedClock;

/// Questions under way at once: a socket with the kernel's usual buffer holds so many without losing some.
const UNDER_WAY_MAX: usize = 64;

/// What became of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The address or the name, and how many seconds it holds.
    Found(String, u32),
    /// There is none.
    Absent,
    /// Nobody said anything in time.
    Late,
}

/// Name servers and how long they may take.
pub struct Resolver {
    /// Asked in turn, one for each try.
    pub servers: Vec<SocketAddr>,
    /// How long a try may take.
    pub timeout: Duration,
    /// How often what was not answered is asked again.
    pub retries: u32,
    /// Time.
    pub clock: SharedClock,
}

/// A name that is looked for.
pub struct Search {
    /// Asked one after the other until one is answered.
    questions: Vec<Question>,
    at: usize,
    answer: Option<Answer>,
    id: u16,
}

impl Search {
    /// A search by these questions.
    pub fn new(questions: Vec<Question>) -> Search {
        Search { questions, at: 0, answer: None, id: 0 }
    }

    /// What was found.
    pub fn answer(self) -> Answer {
        self.answer.unwrap_or(Answer::Late)
    }

    fn question(&self) -> Option<&Question> {
        self.questions.get(self.at).filter(|_| self.answer.is_none())
    }

    fn take(&mut self, reply: Reply) {
        match reply {
            Reply::Found(text, seconds) => self.answer = Some(Answer::Found(text, seconds)),
            Reply::Absent => {
                self.at += 1;
                if self.at == self.questions.len() {
                    self.answer = Some(Answer::Absent);
                }
            }
            Reply::Failed | Reply::Cut => {}
        }
    }
}

impl Resolver {
    /// Looks for all of them.
    pub fn find(&self, searches: &mut [Search]) {
        for attempt in 0..=self.retries {
            let Some(server) = self.servers.get(attempt as usize % self.servers.len().max(1))
            else {
                return;
            };
            let until_ns = self.clock.elapsed_ns() + self.timeout.as_nanos() as u64;
            // An error of the socket is as good as no answer: another try may succeed.
            let _ = self.attempt(*server, searches, until_ns);
            if searches.iter().all(|search| search.question().is_none()) {
                return;
            }
        }
    }

    fn attempt(
        &self,
        server: SocketAddr,
        searches: &mut [Search],
        until_ns: u64,
    ) -> std::io::Result<()> {
        let any: SocketAddr =
            if server.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
        let socket = UdpSocket::bind(any)?;
        socket.connect(server)?;
        let mut query = Vec::new();
        let mut under_way: Vec<usize> = Vec::new();
        let mut waiting: Vec<usize> = (0..searches.len()).rev().collect();
        loop {
            while under_way.len() < UNDER_WAY_MAX
                && let Some(at) = waiting.pop()
            {
                let search = &mut searches[at];
                search.id = self.clock.random() as u16;
                let Some(question) = search.question() else { continue };
                if message::write(question, search.id, &mut query).is_none() {
                    search.take(Reply::Absent);
                    waiting.push(at);
                    continue;
                }
                socket.send(&query)?;
                under_way.push(at);
            }
            let left_ns = until_ns.saturating_sub(self.clock.elapsed_ns());
            if under_way.is_empty() || left_ns == 0 {
                return Ok(());
            }
            socket.set_read_timeout(Some(Duration::from_nanos(left_ns)))?;
            let mut answer = [0; ANSWER_BYTES_MAX];
            let length = socket.recv(&mut answer)?;
            let answer = &answer[..length];
            let is_ours = |at: &usize| {
                let search = &searches[*at];
                message::id(answer) == Some(search.id)
                    && search
                        .question()
                        .is_some_and(|question| message::read(answer, question).is_some())
            };
            let Some(found) = under_way.iter().position(is_ours) else { continue };
            let at = under_way.swap_remove(found);
            let search = &mut searches[at];
            let Some(question) = search.question() else { continue };
            let mut reply = message::read(answer, question).unwrap_or(Reply::Failed);
            if reply == Reply::Cut {
                let left =
                    Duration::from_nanos(until_ns.saturating_sub(self.clock.elapsed_ns()).max(1));
                reply = over_tcp(server, question, search.id, left).unwrap_or(Reply::Failed);
            }
            let failed = matches!(reply, Reply::Failed | Reply::Cut);
            search.take(reply);
            if !failed && search.question().is_some() {
                waiting.push(at);
            }
        }
    }
}

/// Asks one question over TCP: for answers that are too long for UDP.
fn over_tcp(server: SocketAddr, question: &Question, id: u16, left: Duration) -> Option<Reply> {
    let mut stream = TcpStream::connect_timeout(&server, left).ok()?;
    stream.set_read_timeout(Some(left)).ok()?;
    stream.set_write_timeout(Some(left)).ok()?;
    let mut query = Vec::new();
    message::write(question, id, &mut query)?;
    let length = u16::try_from(query.len()).ok()?;
    stream.write_all(&[&length.to_be_bytes()[..], &query].concat()).ok()?;
    let mut length = [0; 2];
    stream.read_exact(&mut length).ok()?;
    let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut answer).ok()?;
    (message::id(&answer) == Some(id)).then(|| message::read(&answer, question)).flatten()
}
