//! The address that a `cloud_id` of Elastic's cloud holds.
//!
//! In: `name:…`, as Elastic's console shows it. Out: the cluster's address. Promises: none but what it holds.
//! On failure: `None`: it is none, or a variable.

use crate::settings::base64_decoded;

/// `https://CLUSTER.HOST:PORT`.
pub fn address(id: &str) -> Option<String> {
    let (_, coded) = id.rsplit_once(':')?;
    let plain = String::from_utf8(base64_decoded(coded.trim())?).ok()?;
    let mut parts = plain.split('$');
    let (host, cluster) = (parts.next()?, parts.next()?);
    let (host, port) = host.split_once(':').unwrap_or((host, "443"));
    let (cluster, port) = cluster.split_once(':').unwrap_or((cluster, port));
    let plain = |text: &str| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b))
    };
    let known = plain(host) && plain(cluster) && port.parse::<u16>().is_ok();
    known.then(|| format!("https://{cluster}.{host}:{port}"))
}

#[cfg(test)]
mod tests {
    use super::address;

    #[test]
    fn the_address_is_made_of_the_host_and_the_cluster() {
        let id = |plain: &str| format!("name:{}", crate::settings::base64(plain.as_bytes()));
        let known = [
            ("eu.example$abc$def", Some("https://abc.eu.example:443")),
            ("eu.example:9243$abc$def", Some("https://abc.eu.example:9243")),
            ("eu.example$abc:9244$", Some("https://abc.eu.example:9244")),
            ("eu.example", None),
            ("eu example$abc", None),
        ];
        for (plain, expected) in known {
            assert_eq!(address(&id(plain)).as_deref(), expected);
        }
        assert_eq!(address("${CLOUD_ID}"), None);
        assert_eq!(address("name:!"), None);
    }
}
