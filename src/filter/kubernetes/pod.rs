//! A pod as far as logs need it.
//!
//! In: a `Pod` object (Kubernetes API, core/v1). Out: names, labels, annotations, containers with their ids and
//! images. Promises: what is not used is not kept. On failure: what an object does not say is empty.

use std::collections::BTreeMap;

use serde::Deserialize;

/// Pods with this annotation are left out: `true`, or the names of containers.
const EXCLUDE: &str = "logweir.io/exclude";
/// The pipeline that a pod's logs are for.
const PIPELINE: &str = "logweir.io/pipeline";

/// See the module.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Pod {
    pub(super) metadata: Metadata,
    #[serde(default)]
    pub(super) spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Metadata {
    pub(super) name: String,
    pub(super) namespace: String,
    pub(super) uid: String,
    pub(super) resource_version: String,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) annotations: BTreeMap<String, String>,
    owner_references: Vec<Owner>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Owner {
    kind: String,
    name: String,
    controller: bool,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Spec {
    pub(super) node_name: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    #[serde(rename = "podIP")]
    pod_ip: String,
    container_statuses: Vec<Container>,
    init_container_statuses: Vec<Container>,
    ephemeral_container_statuses: Vec<Container>,
}

/// A container of a pod.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Container {
    pub(super) name: String,
    pub(super) image: String,
    /// `containerd://ID`.
    #[serde(rename = "containerID")]
    runtime_id: String,
}

impl Pod {
    /// Whether the logs of this container are not wanted.
    pub(super) fn excludes(&self, container: &str) -> bool {
        let Some(value) = self.metadata.annotations.get(EXCLUDE) else { return false };
        value.split(',').map(str::trim).any(|word| word == "true" || word == container)
    }

    /// The pipeline that the pod names; empty: none.
    pub(super) fn pipeline(&self) -> &str {
        self.metadata.annotations.get(PIPELINE).map_or("", String::as_str)
    }

    /// Its address; empty: it has none yet.
    pub(super) fn ip(&self) -> &str {
        &self.status.pod_ip
    }

    /// The containers that have run.
    pub(super) fn containers(&self) -> impl Iterator<Item = &Container> {
        let Status {
            container_statuses,
            init_container_statuses,
            ephemeral_container_statuses,
            ..
        } = &self.status;
        container_statuses.iter().chain(init_container_statuses).chain(ephemeral_container_statuses)
    }

    /// What made the pod, as a field's name and a name: a Deployment where the name of its ReplicaSet shows one.
    pub(super) fn workload(&self) -> Option<(&'static str, &str)> {
        let owner = self.metadata.owner_references.iter().find(|owner| owner.controller)?;
        Some(match owner.kind.as_str() {
            "ReplicaSet" => {
                let hash = self.metadata.labels.get("pod-template-hash");
                let stem =
                    hash.and_then(|hash| owner.name.strip_suffix(hash.as_str())?.strip_suffix('-'));
                stem.map_or(("replicaset", owner.name.as_str()), |stem| ("deployment", stem))
            }
            "StatefulSet" => ("statefulset", &owner.name),
            "DaemonSet" => ("daemonset", &owner.name),
            "Job" => ("job", &owner.name),
            _ => return None,
        })
    }
}

impl Container {
    /// The runtime and the id that it gave.
    pub(super) fn id(&self) -> Option<(&str, &str)> {
        self.runtime_id.split_once("://").filter(|(_, id)| !id.is_empty())
    }
}
