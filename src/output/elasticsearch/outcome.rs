//! What an answer means for a document, and for a whole request: the two tables.
//!
//! In: a status and the error's type and reason, as Elasticsearch 7.17–9 and `OpenSearch` 2–3 give them
//! (<https://www.elastic.co/docs/api/doc/elasticsearch/operation/operation-bulk>). Out: [`ItemOutcome`],
//! [`RequestOutcome`]. Promises: what may pass later is never taken for a refusal of the document; what is unknown
//! is tried again. On failure: nothing can fail.

use super::reply::Cause;

/// What to do with one document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ItemOutcome {
    /// It is stored.
    Stored,
    /// It was stored before, under the same id.
    Deduplicated,
    /// The server has too much to do, or a part of it is away: again soon.
    Busy,
    /// Its index takes nothing until somebody does something: again, now and then.
    Blocked(Block),
    /// The server will never take it.
    Dead,
}

/// Why an index takes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Block {
    /// `cluster_block_exception` with 429: the disk passed the flood stage.
    ReadOnly,
    /// `cluster_block_exception` with 403: `index.blocks.write` or a cluster-wide block.
    Writes,
    /// The index is not there and may not be created.
    NoIndex,
    /// The index is closed.
    Closed,
    /// The user may not write there.
    Forbidden,
    /// The ingest pipeline is not there.
    NoPipeline,
    /// The cluster has as many shards as it may have.
    Shards,
    /// The name is a data stream, which takes only `create`.
    DataStream,
    /// The name is an alias without a write index.
    NoWriteIndex,
    /// No node holds a working copy of the index.
    NoShard,
}

/// What to do with a whole request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RequestOutcome {
    /// The reply tells about each document.
    Items,
    /// Too large: split it.
    TooLarge,
    /// Too much to do (429, 408, 503 …): again, elsewhere first.
    Busy,
    /// Something on the way is broken (other 5xx): again, elsewhere first.
    Broken,
    /// 401 or 403: nothing passes until somebody does something.
    Unauthorized,
    /// The server does not take gzip.
    NoCompression,
    /// 400 with an error as Elasticsearch writes it: one of the documents may be the reason.
    Malformed,
    /// This is not the bulk endpoint of an Elasticsearch.
    Misconfigured,
}

/// The outcome of one item. `stable`: we gave it its id.
pub(super) fn item(status: u16, cause: &Cause, stable: bool) -> ItemOutcome {
    use ItemOutcome::{Blocked, Busy, Dead, Deduplicated, Stored};
    let kind = cause.kind.as_str();
    match status {
        200..=299 => Stored,
        409 if stable && (kind.is_empty() || kind.contains("conflict")) => Deduplicated,
        409 => Busy,
        429 if kind == "cluster_block_exception" => Blocked(Block::ReadOnly),
        401 | 403 if kind == "cluster_block_exception" => Blocked(Block::Writes),
        401 | 403 => Blocked(Block::Forbidden),
        404 if kind == "index_not_found_exception" => Blocked(Block::NoIndex),
        503 if kind == "unavailable_shards_exception" => Blocked(Block::NoShard),
        400..=428 => curable(kind, &cause.reason)
            .map_or_else(|| if status == 408 { Busy } else { Dead }, Blocked),
        430..=499 => Dead,
        _ => Busy,
    }
}

/// Refusals with a 400 whose reason is the state of the cluster, not the document.
fn curable(kind: &str, reason: &str) -> Option<Block> {
    let says = |text: &str| reason.contains(text);
    match kind {
        "index_closed_exception" => Some(Block::Closed),
        "cluster_block_exception" => Some(Block::Writes),
        "security_exception" => Some(Block::Forbidden),
        "validation_exception" | "illegal_argument_exception"
            if says("shards") && says("this cluster currently has") =>
        {
            Some(Block::Shards)
        }
        "illegal_argument_exception" if says("pipeline with id [") && says("does not exist") => {
            Some(Block::NoPipeline)
        }
        "illegal_argument_exception" if says("no write index is defined") => {
            Some(Block::NoWriteIndex)
        }
        "illegal_argument_exception"
            if says("only write ops with an op_type of create are allowed in data streams") =>
        {
            Some(Block::DataStream)
        }
        _ => None,
    }
}

/// The outcome of a whole request. `shaped`: the cause is written as Elasticsearch writes errors; `gzip`: the
/// request was sent compressed.
pub(super) fn request(status: u16, cause: &Cause, shaped: bool, gzip: bool) -> RequestOutcome {
    use RequestOutcome::{
        Broken, Busy, Items, Malformed, Misconfigured, NoCompression, TooLarge, Unauthorized,
    };
    match status {
        200 => Items,
        413 => TooLarge,
        401 | 403 => Unauthorized,
        408 | 425 | 429 | 503 => Busy,
        415 if gzip => NoCompression,
        400 if gzip && speaks_of_compression(cause) => NoCompression,
        400 if shaped => Malformed,
        500..=599 => Broken,
        _ => Misconfigured,
    }
}

fn speaks_of_compression(cause: &Cause) -> bool {
    let reason = cause.reason.to_ascii_lowercase();
    ["gzip", "compress", "illegal character ((ctrl-char, code 31))", "content-encoding"]
        .iter()
        .any(|word| reason.contains(word))
}

impl Block {
    /// What is wrong with this index and what to do.
    pub(super) fn advice(self, index: &str, user: &str) -> String {
        match self {
            Block::ReadOnly => format!(
                "the index `{index}` is read-only because the disk of a node is nearly full: free space or add a \
                 node; Elasticsearch then lifts the block by itself"
            ),
            Block::Writes => format!(
                "writes to the index `{index}` are blocked: lift the block, for example with \
                 PUT /{index}/_settings {{\"index.blocks.write\": null}}"
            ),
            Block::NoIndex => format!(
                "the index `{index}` does not exist and may not be created by itself: create it, or allow its name \
                 in the cluster setting `action.auto_create_index`"
            ),
            Block::Closed => {
                format!("the index `{index}` is closed: open it with POST /{index}/_open")
            }
            Block::Forbidden => format!(
                "{user} may not write to the index `{index}`: give it the privileges `create_doc` and \
                 `auto_configure` for this name"
            ),
            Block::NoPipeline => format!(
                "the ingest pipeline for the index `{index}` does not exist: create it, or correct `pipeline`"
            ),
            Block::Shards => format!(
                "the index `{index}` cannot be created because the cluster has as many shards as it may have: \
                 delete old indices or raise `cluster.max_shards_per_node`"
            ),
            Block::DataStream => format!(
                "`{index}` is a data stream, which takes only `create`: set `data_stream = true` or \
                 `ids = \"stable\"`"
            ),
            Block::NoWriteIndex => format!(
                "`{index}` is an alias of several indices and none is its write index: set `is_write_index`"
            ),
            Block::NoShard => format!(
                "the primary shard of the index `{index}` is on no working node: start the node that is missing; \
                 GET /_cluster/allocation/explain tells more"
            ),
        }
    }
}

/// What to do about documents that are refused for ever with this cause (its text, as in the dead letter).
pub(super) fn advice_for_dead(cause: &str) -> &'static str {
    let says = |text: &str| cause.contains(text);
    if says("otal fields") {
        "raise `index.mapping.total_fields.limit` of the index, or remove fields by a filter"
    } else if cause.starts_with("strict_dynamic_mapping_exception") {
        "add the field to the mapping of the index, or remove it by a filter"
    } else if says("parsing_exception") || says("mapper") {
        "correct the field by a filter, or the mapping in the template of the index"
    } else if cause.starts_with("too large for the server") {
        "raise the server's `http.max_content_length`, or make the documents smaller"
    } else if cause.starts_with("invalid_index_name_exception") {
        "correct `index`"
    } else {
        "each dead letter holds the server's reason"
    }
}

#[cfg(test)]
mod tests;
