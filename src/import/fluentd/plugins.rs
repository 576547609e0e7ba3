//! Filters of plugins that people add to Fluentd.
//!
//! In: an element. Out: filters that do the same. Promises: what is not the same is a difference. On failure: the
//! refusal says why.

use super::super::fluent::draft::Block;
use super::super::fluent::parse::field;
use super::super::fluent::text::{is_true, list, time};
use super::output::secret;
use super::route::Notes;
use super::source::text;
use super::syntax::Element;

/// Keyed digests, and networks for addresses.
pub fn anonymizer(element: &Element, notes: &mut Notes) -> Vec<Block> {
    let mut blocks = Vec::new();
    let _ = element.element("mask");
    for mask in element.elements().filter(|inner| inner.name == "mask") {
        let names = text(mask, "keys", notes).or_else(|| text(mask, "key", notes));
        let names: Vec<String> =
            list(&names.unwrap_or_default()).iter().map(|name| field(name)).collect();
        if names.is_empty() || mask.element("key_pattern").is_some() {
            notes.refusal = Some("a mask without `keys`; write a filter `anonymize`".to_string());
            continue;
        }
        let block = Block::of("anonymize").with("fields", names);
        let method = mask.argument.source().trim().to_lowercase();
        blocks.push(match method.as_str() {
            "md5" | "sha1" | "sha256" | "sha384" | "sha512" => {
                notes.difference("a digest is an HMAC, another text than before");
                let salt = text(mask, "salt", notes).unwrap_or_default();
                let key = secret(&salt, "ANONYMIZE_KEY", notes);
                block.with("algorithm", method.to_uppercase()).with("key", key)
            }
            "network" => {
                let bits = |name: &str, usual: i64, notes: &mut Notes| {
                    let bits = text(mask, name, notes).and_then(|text| text.trim().parse().ok());
                    bits.unwrap_or(usual)
                };
                block
                    .with("algorithm", "IP_NETWORK")
                    .with("ipv4_prefix", bits("ipv4_mask_bits", 24, notes))
                    .with("ipv6_prefix", bits("ipv6_mask_bits", 104, notes))
            }
            other => {
                notes.refusal =
                    Some(format!("there is no mask `{other}`; write a filter `anonymize`"));
                continue;
            }
        });
    }
    blocks
}

/// So many events of a group in a time.
pub fn throttle(element: &Element, notes: &mut Notes) -> Vec<Block> {
    let number = |name: &str, usual: i64, notes: &mut Notes| {
        let written = text(element, name, notes).and_then(|text| text.trim().parse::<i64>().ok());
        written.filter(|number| (1..1_000_000_000).contains(number)).unwrap_or(usual)
    };
    let limit = number("group_bucket_limit", 6000, notes);
    let seconds = number("group_bucket_period_s", 60, notes);
    if text(element, "group_drop_logs", notes).is_some_and(|text| !is_true(&text)) {
        notes.difference("nothing is dropped, and nothing is said of groups with many events");
        return Vec::new();
    }
    for name in ["group_reset_rate_s", "group_warning_delay_s"] {
        let _ = element.parameter(name);
    }
    notes.difference("a group goes on when its window ends, however many events it has then");
    let keys = text(element, "group_key", notes);
    let keys = keys.unwrap_or_else(|| "kubernetes.container_name".to_string());
    let keys: Vec<String> = list(&keys).iter().map(|key| field(&format!("$.{key}"))).collect();
    let window = time(&seconds.to_string());
    let block = Block::of("throttle").with("by", keys).with("limit", limit);
    vec![block.with("window", window.unwrap_or_else(|| "1m".to_string()))]
}

/// What a browser says of itself.
pub fn user_agent(element: &Element, notes: &mut Notes) -> Vec<Block> {
    let from = text(element, "key_name", notes).unwrap_or_else(|| "user_agent".to_string());
    let to = text(element, "out_key", notes).unwrap_or_else(|| "ua".to_string());
    notes.difference("what is found has the names of docs/settings.md (filter `useragent`)");
    for name in ["flatten", "delete_key", "patterns_path"] {
        let _ = element.parameter(name);
    }
    vec![Block::of("useragent").with("field", field(&from)).with("target", field(&to))]
}

/// Texts without the signs that colour them on a screen.
pub fn without_colours(element: &Element, notes: &mut Notes) -> Vec<Block> {
    let names = text(element, "strip_fields", notes).map(|names| list(&names));
    let names = names.filter(|names| !names.is_empty());
    let names = names.unwrap_or_else(|| vec!["message".to_string()]);
    let _ = element.parameter("tag");
    let block = |name: &String| {
        Block::of("gsub")
            .with("field", field(name))
            .with("pattern", r"\x1b\[[0-9;]*m")
            .with("replacement", "")
    };
    names.iter().map(block).collect()
}
