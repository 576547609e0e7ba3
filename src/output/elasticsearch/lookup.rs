//! Asks the cluster which documents it has; for `logweir audit`.
//!
//! In: an index, alias or data stream, and ids. Out: which of them are there. Promises: nothing is written; a search
//! by ids is used, because it works for data streams and after a rollover, too, and the index is refreshed once
//! before, so that what was just stored is seen. On failure: what every node said, and what to do.

use std::collections::HashSet;
use std::sync::Mutex;

use reqwest::Method;
use serde::Deserialize;

use super::reply::read_error;
use super::request::{Answer, Client};
use super::settings::{Settings, shown};
use crate::delivery::BoxFuture;
use crate::output::Lookup;

/// The cluster of one output.
pub(super) struct ClusterLookup {
    client: Client,
    hosts: Vec<String>,
    refreshed: Mutex<HashSet<String>>,
}

#[derive(Deserialize)]
struct Found {
    timed_out: bool,
    #[serde(rename = "_shards")]
    shards: Shards,
    hits: Hits,
}

#[derive(Deserialize)]
struct Shards {
    failed: u64,
}

#[derive(Deserialize)]
struct Hits {
    hits: Vec<Hit>,
}

#[derive(Deserialize)]
struct Hit {
    #[serde(rename = "_id")]
    id: String,
}

impl ClusterLookup {
    pub(super) fn new(settings: &Settings) -> Result<ClusterLookup, String> {
        if !settings.stable_ids {
            return Err("its documents have the server's ids (ids = \"server\")".to_string());
        }
        let client =
            Client::new(settings).map_err(|why| format!("no requests can be made: {why}"))?;
        let hosts = settings.hosts.iter().map(shown).collect();
        Ok(ClusterLookup { client, hosts, refreshed: Mutex::default() })
    }

    async fn search(&self, index: &str, ids: &[String]) -> Result<Vec<bool>, String> {
        if self.first_time(index) {
            // Without the privilege to do so it refreshes by itself, by default within a second.
            let _ = self.ask(&[index, "_refresh"], String::new()).await;
        }
        let body = serde_json::json!({
            "query": { "ids": { "values": ids } },
            "size": ids.len(), "_source": false, "track_total_hits": false,
        });
        let answer = self.ask(&[index, "_search"], body.to_string()).await?;
        if answer.status == 404 {
            return Ok(vec![false; ids.len()]);
        }
        if answer.status != 200 {
            let (cause, _) = read_error(&answer.body);
            let hint = match answer.status {
                401 | 403 => {
                    "check `user` and `password`, or `api_key`: the privilege `read` is needed"
                }
                _ => "try again when the cluster works",
            };
            return Err(format!("the cluster refuses ({} {cause}): {hint}", answer.status));
        }
        let found: Found = serde_json::from_slice(&answer.body)
            .map_err(|why| format!("the answer is not Elasticsearch's ({why}): check `hosts`"))?;
        if found.timed_out || found.shards.failed > 0 {
            return Err(format!("{} shards of `{index}` did not answer", found.shards.failed));
        }
        let there: HashSet<String> = found.hits.hits.into_iter().map(|hit| hit.id).collect();
        Ok(ids.iter().map(|id| there.contains(id)).collect())
    }

    fn first_time(&self, index: &str) -> bool {
        let mut refreshed =
            self.refreshed.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        refreshed.insert(index.to_string())
    }

    /// The answer of the first node that gives one.
    async fn ask(&self, path: &[&str], body: String) -> Result<Answer, String> {
        let mut failures = Vec::new();
        for (number, host) in self.hosts.iter().enumerate() {
            match self.client.send(number, Method::POST, path, body.clone()).await {
                Ok(answer) if answer.status < 500 => return Ok(answer),
                Ok(answer) => failures.push(format!("{host} answers {}", answer.status)),
                Err(failure) => failures.push(format!("{host} {}", failure.message)),
            }
        }
        Err(failures.join("; "))
    }
}

impl Lookup for ClusterLookup {
    fn present<'a>(
        &'a self,
        address: &'a str,
        ids: &'a [String],
    ) -> BoxFuture<'a, Result<Vec<bool>, String>> {
        Box::pin(async move {
            // As it is sent: index names have no upper-case letters.
            let index = address.to_lowercase();
            self.search(&index, ids).await
        })
    }
}
