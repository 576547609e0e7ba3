//! What a broker says when it does not do as it was asked.
//!
//! In: the number of an error. Out: its name, what it means for us, and what a person can do. Promises: an error that
//! we do not know is tried again, and shown by its number. On failure: nothing can fail.
//!
//! Source: <https://kafka.apache.org/protocol#protocol_error_codes>.

/// The number of an error; 0: none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Code(pub(super) i16);

/// What becomes of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The broker has it.
    Stored,
    /// It will never have it as it is: the halves may do.
    Refused,
    /// It does not know us any more: a new producer, then again.
    Forgotten,
    /// Another broker has the partition now, or something else that passes.
    Again,
}

/// Number, name, and what to do where a person has to.
const KNOWN: &[(i16, &str, &str)] = &[
    (-1, "UNKNOWN_SERVER_ERROR", "the broker's own log says more"),
    (2, "CORRUPT_MESSAGE", ""),
    (
        3,
        "UNKNOWN_TOPIC_OR_PARTITION",
        "create the topic, or let the brokers do it (`auto.create.topics.enable`)",
    ),
    (5, "LEADER_NOT_AVAILABLE", ""),
    (6, "NOT_LEADER_OR_FOLLOWER", ""),
    (7, "REQUEST_TIMED_OUT", ""),
    (8, "BROKER_NOT_AVAILABLE", ""),
    (
        10,
        "MESSAGE_TOO_LARGE",
        "raise the topic's `max.message.bytes`, or cut with the filter `truncate`",
    ),
    (13, "NETWORK_EXCEPTION", ""),
    (
        17,
        "INVALID_TOPIC_EXCEPTION",
        "a topic has at most 249 of the characters a-z A-Z 0-9 . _ -, and `a.b` and `a_b` are one name",
    ),
    (18, "RECORD_LIST_TOO_LARGE", "raise the topic's `segment.bytes`"),
    (
        19,
        "NOT_ENOUGH_REPLICAS",
        "start the other brokers, or lower the topic's `min.insync.replicas`",
    ),
    (
        20,
        "NOT_ENOUGH_REPLICAS_AFTER_APPEND",
        "start the other brokers, or lower the topic's `min.insync.replicas`",
    ),
    (
        29,
        "TOPIC_AUTHORIZATION_FAILED",
        "allow our user to write to the topic (`kafka-acls --producer`)",
    ),
    (
        31,
        "CLUSTER_AUTHORIZATION_FAILED",
        "allow our user `IdempotentWrite` on the cluster, or set `idempotent = false`",
    ),
    (
        32,
        "INVALID_TIMESTAMP",
        "look at `message.timestamp.before.max.ms` of the topic, and at the filter `date`",
    ),
    (33, "UNSUPPORTED_SASL_MECHANISM", "set `mechanism` to one that the broker offers"),
    (35, "UNSUPPORTED_VERSION", "Kafka 0.11 or later is needed"),
    (44, "POLICY_VIOLATION", "the cluster has a rule of its own against it"),
    (45, "OUT_OF_ORDER_SEQUENCE_NUMBER", ""),
    (46, "DUPLICATE_SEQUENCE_NUMBER", ""),
    (47, "INVALID_PRODUCER_EPOCH", ""),
    (56, "KAFKA_STORAGE_ERROR", "look at the broker's disk"),
    (58, "SASL_AUTHENTICATION_FAILED", "check `user` and `password`"),
    (59, "UNKNOWN_PRODUCER_ID", ""),
    (74, "FENCED_LEADER_EPOCH", ""),
    (87, "INVALID_RECORD", "the topic may be compacted, and want a `key`"),
    (89, "THROTTLING_QUOTA_EXCEEDED", ""),
];

impl Code {
    pub(super) const NONE: Code = Code(0);
    /// No topic can have this name.
    pub(super) const INVALID_TOPIC: Code = Code(17);

    /// What it means for a batch.
    pub(super) fn meaning(self) -> Meaning {
        match self.0 {
            0 | 46 => Meaning::Stored,
            10 | 17 | 18 | 32 | 87 => Meaning::Refused,
            45 | 47 | 49 | 59 => Meaning::Forgotten,
            _ => Meaning::Again,
        }
    }

    /// `Err` with a sentence, unless it is none.
    pub(super) fn checked(self) -> Result<(), String> {
        if self == Code::NONE { Ok(()) } else { Err(self.to_string()) }
    }
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match KNOWN.iter().find(|(number, ..)| *number == self.0) {
            Some((_, name, "")) => f.write_str(name),
            Some((_, name, advice)) => write!(f, "{name} ({advice})"),
            None => write!(f, "error {}", self.0),
        }
    }
}
