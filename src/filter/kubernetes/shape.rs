//! What events get of a pod, in the names of ECS.
//!
//! In: a pod and a place; which labels and annotations are wanted. Out: JSON objects. Promises: dots in the names
//! of labels and annotations are underscores, so that `app` and `app.kubernetes.io/name` are fields of one index;
//! only what was asked for is written. On failure: what is not known is left out.

use std::collections::BTreeMap;

use super::pod::{Container, Pod};
use super::pods::Place;
use crate::event::write_string;
use crate::settings::Section;

/// Labels that are written if nothing else is said.
const LABELS: [&str; 8] = [
    "app",
    "component",
    "tier",
    "version",
    "app.kubernetes.io/name",
    "app.kubernetes.io/instance",
    "app.kubernetes.io/component",
    "app.kubernetes.io/version",
];

/// See the module.
pub(super) struct Shape {
    labels: Vec<String>,
    annotations: Vec<String>,
    cluster: Option<String>,
}

/// What names a container's image; what is not said is empty.
#[derive(Default, PartialEq, Eq)]
struct Image<'a> {
    name: &'a str,
    tag: &'a str,
    digest: &'a str,
}

/// An object that is being written.
struct Object<'a> {
    out: &'a mut Vec<u8>,
    any: bool,
}

impl Shape {
    pub(super) fn load(section: &Section<'_>) -> Shape {
        let texts = |texts: Vec<crate::settings::Spanned<String>>| {
            texts.into_iter().map(|t| t.value).collect()
        };
        Shape {
            labels: section
                .strings("labels")
                .map_or_else(|| LABELS.map(String::from).into(), texts),
            annotations: section.strings("annotations").map_or_else(Vec::new, texts),
            cluster: section.string("cluster").map(|text| text.value),
        }
    }

    pub(super) fn kubernetes(
        &self,
        pod: &Pod,
        place: &Place,
        container: Option<&Container>,
        out: &mut Vec<u8>,
    ) -> bool {
        let mut object = Object::begin(out);
        object.text("namespace", &pod.metadata.namespace);
        object.object("pod", |of| {
            of.text("name", &pod.metadata.name);
            of.text("uid", &pod.metadata.uid);
            of.text("ip", pod.ip());
        });
        let name = container.map_or(&place.container, |container| &container.name);
        object.object("container", |of| of.text("name", name));
        object.object("node", |of| of.text("name", &pod.spec.node_name));
        if let Some((kind, name)) = pod.workload() {
            object.object(kind, |of| of.text("name", name));
        }
        object.chosen("labels", &pod.metadata.labels, &self.labels);
        object.chosen("annotations", &pod.metadata.annotations, &self.annotations);
        object.end()
    }

    pub(super) fn container(
        &self,
        place: &Place,
        container: Option<&Container>,
        out: &mut Vec<u8>,
    ) -> bool {
        let mut object = Object::begin(out);
        let own = container.and_then(Container::id);
        let id = place.id.as_deref().or(own.map(|(_, id)| id));
        object.text("id", id.unwrap_or_default());
        object.text("runtime", own.map_or("", |(runtime, _)| runtime));
        let image = Image::read(container.map_or("", |container| &container.image));
        if image != Image::default() {
            object.object("image", |of| {
                of.text("name", image.name);
                if !image.tag.is_empty() {
                    of.list("tag", image.tag);
                }
                if !image.digest.is_empty() {
                    of.object("hash", |of| of.list("all", image.digest));
                }
            });
        }
        object.end()
    }

    pub(super) fn orchestrator(&self, pod: &Pod, out: &mut Vec<u8>) -> bool {
        let mut object = Object::begin(out);
        object.text("type", "kubernetes");
        object.text("namespace", &pod.metadata.namespace);
        if let Some(cluster) = &self.cluster {
            object.object("cluster", |of| of.text("name", cluster));
        }
        object.end()
    }

    pub(super) fn logweir(&self, pod: &Pod, out: &mut Vec<u8>) -> bool {
        if pod.pipeline().is_empty() {
            return false;
        }
        let mut object = Object::begin(out);
        object.text("pipeline", pod.pipeline());
        object.end()
    }
}

impl Image<'_> {
    /// `NAME:TAG@ALGORITHM:DIGEST`, of which the runtime may tell the digest alone.
    fn read(text: &str) -> Image<'_> {
        let bare = text.starts_with("sha256:");
        let (name, digest) =
            if bare { ("", text) } else { text.split_once('@').unwrap_or((text, "")) };
        // A tag stands behind the last colon, unless that is a port's, in front of a path.
        let tagged = name.rsplit_once(':').filter(|(_, tag)| !tag.contains('/'));
        let (name, tag) = tagged.unwrap_or((name, ""));
        Image { name, tag, digest }
    }
}

impl Object<'_> {
    fn begin(out: &mut Vec<u8>) -> Object<'_> {
        out.push(b'{');
        Object { out, any: false }
    }

    fn end(self) -> bool {
        self.out.push(b'}');
        true
    }

    fn name(&mut self, name: &str) {
        if self.any {
            self.out.push(b',');
        }
        self.any = true;
        write_string(name.as_bytes(), self.out);
        self.out.push(b':');
    }

    /// Nothing is written of an empty text.
    fn text(&mut self, name: &str, text: &str) {
        if !text.is_empty() {
            self.name(name);
            write_string(text.as_bytes(), self.out);
        }
    }

    fn list(&mut self, name: &str, only: &str) {
        self.name(name);
        self.out.push(b'[');
        write_string(only.as_bytes(), self.out);
        self.out.push(b']');
    }

    fn object(&mut self, name: &str, fill: impl FnOnce(&mut Object<'_>)) {
        self.name(name);
        let mut inner = Object::begin(self.out);
        fill(&mut inner);
        inner.end();
    }

    /// The members that are wanted: by name, all with `*`, or all that begin so (`team/*`).
    fn chosen(&mut self, name: &str, all: &BTreeMap<String, String>, wanted: &[String]) {
        let is_wanted = |key: &str| {
            wanted
                .iter()
                .any(|w| w.strip_suffix('*').map_or(w == key, |start| key.starts_with(start)))
        };
        let chosen: Vec<_> = all.iter().filter(|(key, _)| is_wanted(key)).collect();
        if chosen.is_empty() {
            return;
        }
        self.object(name, |object| {
            for (key, value) in chosen {
                object.name(&key.replace('.', "_"));
                write_string(value.as_bytes(), object.out);
            }
        });
    }
}
