//! What a log file's path says about its container.
//!
//! In: a path. Out: namespace, pod, container. Promises: only the layouts that the runtimes use are
//! believed, in whatever folder they are mounted: `…/containers/POD_NAMESPACE_CONTAINER-ID.log` and
//! `…/pods/NAMESPACE_POD_UID/CONTAINER/N.log` of the kubelet, `…/containers/ID/ID-json.log` of
//! Docker.
//! On failure: what the path does not say is absent.

use crate::event::write_string;

/// See the module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Origin<'a> {
    pub(super) namespace: Option<&'a str>,
    pub(super) pod: Option<&'a str>,
    pub(super) uid: Option<&'a str>,
    pub(super) container: Option<&'a str>,
    pub(super) id: Option<&'a str>,
}

impl<'a> Origin<'a> {
    pub(super) fn of(path: &'a str) -> Origin<'a> {
        let mut parts = path.rsplit(['/', '\\']);
        let parts = [parts.next(), parts.next(), parts.next(), parts.next()];
        let found = match parts {
            [Some(file), Some("containers"), ..] => symlink(file),
            [Some(file), Some(id), Some("containers"), _] => docker(file, id),
            [Some(file), Some(container), Some(pod), Some("pods")] => kubelet(file, container, pod),
            _ => None,
        };
        found.unwrap_or_default()
    }

    /// Writes the field `kubernetes`; false when there is nothing to say.
    pub(super) fn write_kubernetes(&self, out: &mut Vec<u8>) -> bool {
        let (Some(namespace), Some(pod), Some(container)) =
            (self.namespace, self.pod, self.container)
        else {
            return false;
        };
        out.extend_from_slice(b"{\"namespace\":");
        write_string(namespace.as_bytes(), out);
        out.extend_from_slice(b",\"pod\":{\"name\":");
        write_string(pod.as_bytes(), out);
        if let Some(uid) = self.uid {
            out.extend_from_slice(b",\"uid\":");
            write_string(uid.as_bytes(), out);
        }
        out.extend_from_slice(b"},\"container\":{\"name\":");
        write_string(container.as_bytes(), out);
        out.extend_from_slice(b"}}");
        true
    }

    /// Writes the field `container`; false when there is nothing to say.
    pub(super) fn write_container(&self, out: &mut Vec<u8>) -> bool {
        let Some(id) = self.id else { return false };
        out.extend_from_slice(b"{\"id\":");
        write_string(id.as_bytes(), out);
        out.push(b'}');
        true
    }
}

fn symlink(file: &str) -> Option<Origin<'_>> {
    let (pod, rest) = file.strip_suffix(".log")?.split_once('_')?;
    let (namespace, rest) = rest.split_once('_')?;
    let (container, id) = rest.rsplit_once('-')?;
    if !is_id(id) || [pod, namespace, container].contains(&"") {
        return None;
    }
    let [namespace, pod, container, id] = [namespace, pod, container, id].map(Some);
    Some(Origin { namespace, pod, uid: None, container, id })
}

fn kubelet<'a>(file: &str, container: &'a str, pod: &'a str) -> Option<Origin<'a>> {
    let digits = file.bytes().take_while(u8::is_ascii_digit).count();
    // A rotated file has a time, and perhaps `.gz`, after `.log`.
    if digits == 0 || !file[digits..].starts_with(".log") {
        return None;
    }
    let (namespace, rest) = pod.split_once('_')?;
    let (pod, uid) = rest.rsplit_once('_')?;
    if [namespace, pod, uid, container].contains(&"") {
        return None;
    }
    let [namespace, pod, uid, container] = [namespace, pod, uid, container].map(Some);
    Some(Origin { namespace, pod, uid, container, id: None })
}

fn docker<'a>(file: &str, id: &'a str) -> Option<Origin<'a>> {
    let own = file.strip_prefix(id)?.starts_with("-json.log");
    (own && is_id(id)).then(|| Origin { id: Some(id), ..Origin::default() })
}

fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit())
}
