//! Syslog messages over UDP and TCP: `type = "syslog"`.
//!
//! Is: both sockets of one address, in front of the codec `syslog`, which takes the messages apart. In: settings
//! `listen`, `protocol`, and those of `tcp`. Out: chunks with one message a line; a line feed within a message becomes
//! a blank. Over TCP a message ends with a line feed or is counted in octets (RFC 6587), told apart for each message.
//! Promises: those of the inputs `udp` and `tcp`. On failure: as there.

mod framing;

use std::sync::Arc;

use super::listener::{Address, Connection, Listener, Traffic};
use super::origin::Origin;
use super::tcp::session::{Session, Shared};
use super::udp::Receiver;
use super::{Input, InputContext, InputLoad};
use crate::delivery::BoxFuture;
use crate::settings::Section;
use framing::Unframed;

#[cfg(any(test, fuzzing))]
pub(crate) use framing::syslog_stream;

/// The input, loaded.
struct Syslog {
    udp: Option<Address>,
    tcp: Option<Listener>,
    line_bytes_max: usize,
    origin: Origin,
}

/// Reads an `[inputs.NAME]` table with `type = "syslog"`.
pub(super) fn load(section: &Section<'_>, load: &mut InputLoad<'_>) -> Option<Box<dyn Input>> {
    let example = "\"0.0.0.0:5514\"";
    let protocols = [("both", (true, true)), ("udp", (true, false)), ("tcp", (false, true))];
    let (udp, tcp) = section.choice_or("protocol", &protocols, (true, true));
    let listener = Listener::load(section, load, example);
    let line_bytes_max = super::tcp::line_bytes_max(section);
    // The address was judged with the listener's settings.
    let address = listener.as_ref().and_then(|_| Address::load_udp(section, load, example));
    let origin = Origin::load(load);
    Some(Box::new(Syslog {
        udp: Some(address?).filter(|_| udp),
        tcp: Some(listener?).filter(|_| tcp),
        line_bytes_max: line_bytes_max?,
        origin,
    }))
}

impl Input for Syslog {
    fn run(self: Box<Self>, context: InputContext) -> BoxFuture<'static, ()> {
        Box::pin(self.serve(context))
    }
}

impl Syslog {
    async fn serve(self, context: InputContext) {
        let receives = self.udp.map(|address| {
            let context = context.share("udp");
            Receiver::new(context, self.origin.clone(), false).run(address)
        });
        let datagrams = async {
            if let Some(receives) = receives {
                receives.await;
            }
        };
        let (origin, line_bytes_max) = (self.origin, self.line_bytes_max);
        let streams = async {
            if let Some(listener) = self.tcp {
                serve_streams(listener, context, origin, line_bytes_max).await;
            }
        };
        tokio::join!(datagrams, streams);
    }
}

async fn serve_streams(
    listener: Listener,
    context: InputContext,
    origin: Origin,
    line_bytes_max: usize,
) {
    let traffic = Traffic::of(&context);
    let input = context.name;
    let (intake, clock) = (context.intake, context.clock);
    let shared =
        Arc::new(Shared::new(intake, clock, Arc::clone(&traffic), listener.idle, line_bytes_max));
    let handle = move |connection: Connection| {
        let source = origin.of_connection(&input, connection.peer);
        let stream = Box::new(Unframed::new(connection.stream));
        let connection = Connection { stream, ..connection };
        Session::new(connection, source, Arc::clone(&shared)).run()
    };
    listener.serve(traffic, context.health, context.stop, handle).await;
}
