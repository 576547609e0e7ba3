//! Replies of brokers under the fuzzer.
//!
//! In: a byte that says which reply, and its bytes. Promises: every reader comes to an end with what it read or an
//! error, and holds no more than the reply has. On failure: a panic.

use super::login::{Login, Mechanism};
use super::requests;
use crate::settings::Secret;

/// See the module.
pub(crate) fn kafka_reply(data: &[u8]) {
    let Some((which, reply)) = data.split_first() else { return };
    match which % 6 {
        0 => {
            let Ok(metadata) = requests::read_metadata(reply) else { return };
            let partitions: usize = metadata.topics.iter().map(|t| t.leaders.len()).sum();
            assert!(partitions + metadata.topics.len() + metadata.brokers.len() <= reply.len());
        }
        1 => {
            let Ok(produced) = requests::read_produce(reply) else { return };
            assert!(produced.len() <= reply.len());
        }
        2 => {
            let _ = requests::read_init_producer_id(reply);
        }
        3 => {
            let _ = requests::read_sasl_handshake(reply);
        }
        4 => {
            let _ = requests::read_sasl_authenticate(reply);
        }
        _ => {
            let mechanism = Mechanism::ScramSha256;
            let (user, password) = ("u".to_string(), Secret::new("p"));
            let login = Login { mechanism, user, password };
            if let Ok((answer, _)) = login.scram("nonce").final_message(reply) {
                assert!(answer.starts_with(b"c=biws,r=nonce"));
            }
        }
    }
}
