//! Who sent it: the source of what comes over the network.
//!
//! Is: the fields that every event of an input gets, and the one that names the sender. In: an input's `fields`, then
//! an address of the other end. Out: a new source for it, with ECS `source.ip` (and `source.port` of a connection).
//! Promises: a `source` that the user wrote stays as it is; an IPv4 address that came in on an IPv6 socket is shown as
//! the IPv4 address that it is. On failure: there is nothing that can fail.

use std::net::SocketAddr;
use std::sync::Arc;

use super::InputLoad;
use crate::event::{Key, Literal, Source, SourceKind};

/// The fields of an input's events, and the key of the sender's.
#[derive(Clone)]
pub(super) struct Origin {
    fields: Arc<[(Key, Literal)]>,
    source: Key,
}

impl Origin {
    /// Takes the input's fields.
    pub(super) fn load(load: &mut InputLoad<'_>) -> Origin {
        let source = load.keys.intern("source");
        Origin { fields: std::mem::take(&mut load.fields).into(), source }
    }

    /// What one connection is to the pipeline.
    pub(super) fn of_connection(&self, input: &Arc<str>, peer: SocketAddr) -> Arc<Source> {
        self.source(input, peer, Some(peer.port()))
    }

    /// What the sender of datagrams is to the pipeline; its port says nothing.
    pub(super) fn of_sender(&self, input: &Arc<str>, peer: SocketAddr) -> Arc<Source> {
        self.source(input, peer, None)
    }

    fn source(&self, input: &Arc<str>, peer: SocketAddr, port: Option<u16>) -> Arc<Source> {
        let mut fields = self.fields.to_vec();
        if !fields.iter().any(|(key, _)| *key == self.source) {
            let ip = peer.ip().to_canonical().to_string();
            let mut sender = vec![("ip".into(), Literal::Str(ip))];
            sender.extend(port.map(|port| ("port".into(), Literal::Int(port.into()))));
            fields.push((self.source, Literal::Object(sender)));
        }
        let kind = SourceKind::Stream;
        Arc::new(Source { id: Source::new_id(), input: Arc::clone(input), kind, fields })
    }
}
