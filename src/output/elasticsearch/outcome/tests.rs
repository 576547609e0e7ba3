use super::*;

fn cause(kind: &str, reason: &str) -> Cause {
    Cause { kind: kind.into(), reason: reason.into() }
}

#[test]
fn each_refusal_that_real_nodes_give_has_its_outcome() {
    use ItemOutcome::{Blocked, Busy, Dead, Deduplicated, Stored};
    let table = [
        (201, "", "", Stored),
        (200, "", "", Stored),
        (409, "version_conflict_engine_exception", "document already exists", Deduplicated),
        (409, "something_else", "", Busy),
        (429, "es_rejected_execution_exception", "rejected execution", Busy),
        (429, "rejected_execution_exception", "", Busy),
        (429, "cluster_block_exception", "read-only-allow-delete", Blocked(Block::ReadOnly)),
        (403, "cluster_block_exception", "index write (api)", Blocked(Block::Writes)),
        (403, "security_exception", "action is unauthorized", Blocked(Block::Forbidden)),
        (
            404,
            "index_not_found_exception",
            "no such index [x] and [action.auto_create_index] \
          ([-x]) doesn't match",
            Blocked(Block::NoIndex),
        ),
        (400, "index_closed_exception", "closed", Blocked(Block::Closed)),
        (
            400,
            "validation_exception",
            "this action would add [2] shards, but this cluster \
          currently has [1000]/[1000] maximum normal shards open",
            Blocked(Block::Shards),
        ),
        (
            400,
            "illegal_argument_exception",
            "pipeline with id [p] does not exist",
            Blocked(Block::NoPipeline),
        ),
        (
            400,
            "illegal_argument_exception",
            "only write ops with an op_type of create are allowed \
          in data streams",
            Blocked(Block::DataStream),
        ),
        (
            400,
            "illegal_argument_exception",
            "no write index is defined for alias [a]",
            Blocked(Block::NoWriteIndex),
        ),
        (400, "illegal_argument_exception", "Limit of total fields [1000] has been exceeded", Dead),
        (400, "document_parsing_exception", "failed to parse field [x]", Dead),
        (400, "mapper_parsing_exception", "failed to parse", Dead),
        (400, "strict_dynamic_mapping_exception", "introduction of [x] is not allowed", Dead),
        (400, "invalid_index_name_exception", "must be lowercase", Dead),
        (404, "document_missing_exception", "", Dead),
        (408, "", "", Busy),
        (413, "", "", Dead),
        (500, "null_pointer_exception", "", Busy),
        (503, "unavailable_shards_exception", "not active", Blocked(Block::NoShard)),
        (503, "process_cluster_event_timeout_exception", "", Busy),
        (0, "", "", Busy),
        (302, "", "", Busy),
    ];
    for (status, kind, reason, outcome) in table {
        assert_eq!(item(status, &cause(kind, reason), true), outcome, "{status} {kind} {reason}");
    }
    let conflict = cause("version_conflict_engine_exception", "");
    assert_eq!(item(409, &conflict, false), Busy, "a conflict is only ours with our ids");
}

#[test]
fn each_status_of_a_request_has_its_outcome() {
    use RequestOutcome::*;
    let table = [
        (200, Items),
        (201, Misconfigured),
        (301, Misconfigured),
        (400, Misconfigured),
        (401, Unauthorized),
        (403, Unauthorized),
        (404, Misconfigured),
        (405, Misconfigured),
        (408, Busy),
        (413, TooLarge),
        (429, Busy),
        (500, Broken),
        (502, Broken),
        (503, Busy),
        (504, Broken),
    ];
    for (status, outcome) in table {
        assert_eq!(request(status, &Cause::default(), false, true), outcome, "{status}");
    }
    let parse = cause("parse_exception", "request body is required");
    assert_eq!(request(400, &parse, true, true), Malformed);
    let gzip = cause("x_content_parse_exception", "Illegal character ((CTRL-CHAR, code 31))");
    assert_eq!(request(400, &gzip, true, true), NoCompression);
    assert_eq!(request(400, &gzip, true, false), Malformed);
    assert_eq!(request(415, &parse, true, true), NoCompression);
    assert_eq!(request(415, &parse, true, false), Misconfigured);
}

#[test]
fn each_block_says_which_index_and_what_to_do() {
    let all = [
        Block::ReadOnly,
        Block::Writes,
        Block::NoIndex,
        Block::Closed,
        Block::Forbidden,
        Block::NoPipeline,
        Block::Shards,
        Block::DataStream,
        Block::NoWriteIndex,
        Block::NoShard,
    ];
    for block in all {
        let advice = block.advice("logs-x", "user \"u\"");
        assert!(advice.contains("`logs-x`") && advice.contains(':'), "{advice}");
    }
}

#[test]
fn each_refusal_for_ever_has_advice_of_its_own() {
    let table = [
        ("document_parsing_exception: [1:9] failed to parse field [a]", "mapping"),
        ("mapper_parsing_exception: failed to parse", "mapping"),
        (
            "document_parsing_exception: failed; Limit of total fields [9] has been exceeded",
            "total_fields",
        ),
        ("illegal_argument_exception: Limit of total fields [9] has been exceeded", "total_fields"),
        ("strict_dynamic_mapping_exception: introduction of [x] is not allowed", "add the field"),
        ("too large for the server: 9 bytes (status 413)", "max_content_length"),
        ("invalid_index_name_exception: must be lowercase", "`index`"),
        ("something: else", "holds the server's reason"),
    ];
    for (reason, part) in table {
        assert!(advice_for_dead(reason).contains(part), "{reason}: {}", advice_for_dead(reason));
    }
}
