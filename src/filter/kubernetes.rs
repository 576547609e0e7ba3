//! Filter `kubernetes`: what the API server knows about the pod that a log came from.
//!
//! In: the fields `kubernetes` and `container` that the codec `container` read from the file's path; the pods of
//! this node, which are listed and then watched. Out: `kubernetes` (namespace, pod, container, node, workload,
//! chosen labels and annotations), `container` (id, image, runtime), `orchestrator`, in ECS names, and
//! `logweir.pipeline` where the pod is annotated so. Promises: one watch a process and filter, of this node's pods
//! alone; an object is written once a batch and shared by its events; what is known of a deleted pod is kept until
//! 1,000 others of the node were deleted after it, so that its files are read to the end with it; a start waits at
//! most `wait` for the first list, and a batch of an unknown pod at most `wait_new`, once. Pods annotated
//! `logweir.io/exclude` are dropped and counted. On failure: while the API server is away events go on with what
//! the path says; that is counted and logged.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::{Filter, FilterLoad, Make, States};
use crate::clock::SharedClock;
use crate::event::{Batch, Key, Path, Selection, Span, Value};
use crate::metrics::{Counter, Metrics};
use crate::settings::{Section, Spanned};
use crate::tls::ClientTls;
use api::{Api, Watcher};
use pods::{Place, Pods};
use shape::Shape;

mod api;
mod pod;
mod pods;
mod shape;

/// Folder of the service account in a container.
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// Waits are cut into such pieces, so that a stop does not wait.
const PIECE: Duration = Duration::from_millis(20);

struct Kubernetes {
    plan: Arc<Plan>,
    /// What was found for the place of the last event, which is that of the next one, too.
    last: Option<Found>,
}

struct Plan {
    api: Api,
    pods: Arc<Pods>,
    /// The watch; it begins with the first batch.
    watcher: OnceLock<Watcher>,
    shape: Shape,
    /// The name that a pod's annotation must have; empty: it must have none.
    pipeline: Option<String>,
    wait: Duration,
    wait_new: Duration,
    states: States,
    clock: SharedClock,
    keys: Names,
    paths: Paths,
    unknown: Counter,
}

struct Names {
    kubernetes: Key,
    container: Key,
    orchestrator: Key,
    logweir: Key,
}

struct Paths {
    namespace: Path,
    pod: Path,
    uid: Path,
    container: Path,
    id: Path,
}

/// What events of one place get.
struct Found {
    /// The values that the codec gave them.
    given: (Option<Value>, Option<Value>),
    /// `None`: nothing is known.
    fields: Option<Fields>,
    drop: bool,
}

struct Fields {
    kubernetes: Span,
    container: Option<Span>,
    orchestrator: Span,
    logweir: Option<Span>,
}

/// Reads the settings.
pub(super) fn load(section: &Section<'_>, load: &mut FilterLoad<'_>) -> Option<Make> {
    let node = node(section);
    let api = section.string("api").or_else(|| {
        let usual = "https://${KUBERNETES_SERVICE_HOST:-kubernetes.default.svc}:${KUBERNETES_SERVICE_PORT:-443}";
        section.expand(usual, &section.span())
    });
    let token = section.string_or("token_file", &format!("{ACCOUNT}/token")).value;
    let tls = tls(section);
    let shape = Shape::load(section);
    let pipeline = section.string("pipeline").map(|text| text.value);
    let wait = section.duration_or("wait", Duration::from_secs(10));
    let wait_new = section.duration_or("wait_new", Duration::from_secs(1));
    let (node, api, tls) = (node?, api?, tls?);
    let url = address(section, &api)?;
    let pods = Arc::new(Pods::default());
    let token = section.resolve(&token);
    let metrics = load.metrics.clone();
    let keys =
        ["kubernetes", "container", "orchestrator", "logweir"].map(|name| load.keys.intern(name));
    let [kubernetes, container, orchestrator, logweir] = keys;
    let mut path = |text: &str| Path::parse(text, load.keys).expect("a field's name");
    let paths = Paths {
        namespace: path("kubernetes.namespace"),
        pod: path("kubernetes.pod.name"),
        uid: path("kubernetes.pod.uid"),
        container: path("kubernetes.container.name"),
        id: path("container.id"),
    };
    let unknown = unknown(&metrics);
    let plan = Arc::new(Plan {
        api: Api::new(url, node, token, tls, metrics),
        pods,
        watcher: OnceLock::new(),
        shape,
        pipeline,
        wait,
        wait_new,
        states: load.states.clone(),
        clock: Arc::clone(load.clock),
        keys: Names { kubernetes, container, orchestrator, logweir },
        paths,
        unknown,
    });
    Some(Box::new(move || Box::new(Kubernetes { plan: Arc::clone(&plan), last: None })))
}

fn unknown(metrics: &Metrics) -> Counter {
    let help =
        "Batches of pods that were not known, so that only the path's fields are in their events.";
    metrics.counter("logweir_kubernetes_unknown_pods_total", help)
}

/// The node's name: `node`, else what the manifests set.
fn node(section: &Section<'_>) -> Option<String> {
    if let Some(node) = section.string("node") {
        return Some(node.value).filter(|node| !node.is_empty());
    }
    if section.has("node") {
        return None;
    }
    let from = |text: &str| section.expand(text, &section.span()).map(|text| text.value);
    from("${NODE_NAME:-}").filter(|node| !node.is_empty()).or_else(|| {
        let name = from("${LOGWEIR_HOST_NAME:-}").filter(|node| !node.is_empty());
        if name.is_none() {
            let hint = "write node = \"${NODE_NAME}\", and set NODE_NAME from spec.nodeName in the DaemonSet";
            section.error(section.span(), "`kubernetes` does not know the node's name", Some(hint.into()));
        }
        name
    })
}

fn tls(section: &Section<'_>) -> Option<ClientTls> {
    let given = section.string("ca_file").map(|path| section.resolve(&path));
    let usual = std::path::PathBuf::from(ACCOUNT).join("ca.crt");
    match ClientTls::trusting(given.as_deref().unwrap_or(&usual)) {
        Ok(tls) => Some(tls),
        // Outside of a cluster, where the file is not, `check` and `test` work all the same.
        Err(_) if given.is_none() => Some(ClientTls::system()),
        Err(why) => {
            let hint = "name the PEM file with the authority of the API server";
            let message = format!("`ca_file` cannot be used: {why}");
            section.error(section.span_of("ca_file"), message, Some(hint.into()));
            None
        }
    }
}

fn address(section: &Section<'_>, text: &Spanned<String>) -> Option<reqwest::Url> {
    let text = &text.value;
    // A service's address may be one of IPv6, which stands in brackets in a URL.
    let bracketed = text.strip_prefix("https://").and_then(|rest| {
        let (host, port) = rest.rsplit_once(':')?;
        let bare = host.contains(':') && !host.starts_with('[');
        bare.then(|| format!("https://[{host}]:{port}"))
    });
    let url = reqwest::Url::parse(bracketed.as_deref().unwrap_or(text)).ok();
    let url = url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if url.is_none() {
        let hint = "write it as https://kubernetes.default.svc".to_string();
        section.error(section.span_of("api"), "`api` is not a web address", Some(hint));
    }
    url
}

impl Filter for Kubernetes {
    fn apply(&mut self, batch: &mut Batch, selected: &Selection) {
        self.last = None;
        let plan = Arc::clone(&self.plan);
        plan.begin();
        for event in selected.iter() {
            let names = &plan.keys;
            let given =
                (batch.get_root(event, names.kubernetes), batch.get_root(event, names.container));
            if self.last.as_ref().is_none_or(|last| last.given != given) {
                self.last = Some(plan.find(batch, event, given));
            }
            let Some(found) = &self.last else { continue };
            if found.drop {
                batch.events[event].dropped = true;
                continue;
            }
            let Some(fields) = &found.fields else { continue };
            batch.set_root(event, names.kubernetes, Value::Json(fields.kubernetes));
            batch.set_root(event, names.orchestrator, Value::Json(fields.orchestrator));
            if let Some(span) = fields.container {
                batch.set_root(event, names.container, Value::Json(span));
            }
            if let Some(span) = fields.logweir {
                batch.set_root(event, names.logweir, Value::Json(span));
            }
        }
    }
}

impl Plan {
    /// Begins to watch, and waits for the first list.
    fn begin(&self) {
        if self.watcher.get().is_some() || self.states.rest(Duration::ZERO) {
            return;
        }
        self.watcher.get_or_init(|| {
            let watcher = self.api.watch(Arc::clone(&self.pods));
            self.wait_until(self.wait, || self.pods.is_listed());
            watcher
        });
    }

    /// Waits for at most so long; not where there is hurry.
    fn wait_until(&self, limit: Duration, holds: impl Fn() -> bool) {
        let end = self.clock.elapsed_ns() + limit.as_nanos() as u64;
        while !holds() && self.clock.elapsed_ns() < end && !self.states.rest(PIECE) {}
    }

    fn find(
        &self,
        batch: &mut Batch,
        event: usize,
        given: (Option<Value>, Option<Value>),
    ) -> Found {
        let text = |path: &Path| {
            let value = batch.get(event, path)?;
            let bytes = batch.str_bytes(value)?;
            String::from_utf8(bytes.into_owned()).ok()
        };
        let paths = &self.paths;
        let place = Place {
            namespace: text(&paths.namespace).unwrap_or_default(),
            pod: text(&paths.pod).unwrap_or_default(),
            uid: text(&paths.uid),
            container: text(&paths.container).unwrap_or_default(),
            id: text(&paths.id),
        };
        let nothing = Found { given, fields: None, drop: false };
        if place.pod.is_empty() && place.id.is_none() {
            return nothing;
        }
        let pod = self.pods.find(&place).or_else(|| {
            if self.pods.is_listed() && self.pods.is_news(&place) {
                self.wait_until(self.wait_new, || self.pods.find(&place).is_some());
            }
            self.pods.find(&place).or_else(|| self.pods.find_by_name(&place))
        });
        let Some(pod) = pod else {
            self.unknown.increment();
            return nothing;
        };
        let foreign = self.pipeline.as_ref().is_some_and(|name| *name != pod.pipeline());
        if foreign || pod.excludes(&place.container) {
            return Found { given, fields: None, drop: true };
        }
        let mut write = |write: &dyn Fn(&mut Vec<u8>) -> bool| {
            let start = batch.text.len();
            let any = write(&mut batch.text);
            any.then(|| Span::new(start, batch.text.len()))
        };
        let shape = &self.shape;
        let container = pod.container_of(&place);
        let kubernetes = write(&|out| shape.kubernetes(&pod, &place, container, out));
        let orchestrator = write(&|out| shape.orchestrator(&pod, out));
        let of_container = write(&|out| shape.container(&place, container, out));
        let logweir = write(&|out| shape.logweir(&pod, out));
        let fields = kubernetes.zip(orchestrator).map(|(kubernetes, orchestrator)| Fields {
            kubernetes,
            container: of_container,
            orchestrator,
            logweir,
        });
        Found { given, fields, drop: false }
    }
}

#[cfg(test)]
mod tests;
