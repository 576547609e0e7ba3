//! Outputs to Amazon's services: `cloudwatch_logs`, `kinesis`, `firehose` and `s3`.
//!
//! In: frames. Out: signed requests. Promises: those of `post`; keys are never part of a message and are renewed before
//! they run out; what Amazon says by its error's name decides whether a batch comes later or is refused. On failure:
//! health says `paused` with the error's name and its words; nothing is lost.

use std::time::Duration;

use reqwest::Url;

use super::{Output, OutputLoad};
use crate::delivery::{BoxFuture, OutputContext};
use crate::diagnostic::Diagnostic;
use crate::settings::{Section, Spanned};
use crate::template::Template;
use crate::tls::ClientTls;

mod client;
mod cloudwatch;
mod credentials;
mod records;
mod s3;
mod sign;

#[cfg(test)]
mod tests;

use client::Client;
use credentials::Provider;

/// Stands between the two parts of an address.
const BETWEEN: char = '\u{1f}';

/// An output to Amazon, loaded.
struct Amazon<S> {
    service: S,
    address: Option<Template>,
}

impl<S: super::post::Service> Output for Amazon<S> {
    fn address(&self) -> Option<&Template> {
        self.address.as_ref()
    }

    fn run(self: Box<Self>, context: OutputContext) -> BoxFuture<'static, ()> {
        super::post::run(self.service, context)
    }
}

pub(super) fn load_cloudwatch(
    section: &Section<'_>,
    load: &mut OutputLoad<'_>,
) -> Option<Box<dyn Output>> {
    cloudwatch::load(section, load)
}

pub(super) fn load_firehose(
    section: &Section<'_>,
    load: &mut OutputLoad<'_>,
) -> Option<Box<dyn Output>> {
    records::load(section, load, records::Kind::Firehose)
}

pub(super) fn load_kinesis(
    section: &Section<'_>,
    load: &mut OutputLoad<'_>,
) -> Option<Box<dyn Output>> {
    records::load(section, load, records::Kind::Kinesis)
}

pub(super) fn load_s3(section: &Section<'_>, load: &mut OutputLoad<'_>) -> Option<Box<dyn Output>> {
    s3::load(section, load)
}

/// The settings that all have, and the client they come to; `host`: the first part of the service's name on the
/// network.
fn client(section: &Section<'_>, service: &'static str, host: &str) -> Option<Client> {
    let region = region(section);
    let endpoint = endpoint(section);
    let provider = Provider::load(section);
    let timeout = section.duration_or("timeout", Duration::from_secs(60));
    let tls = match section.section("tls") {
        Some(table) => ClientTls::load(table)?,
        None => ClientTls::system(),
    };
    section.not_zero("timeout", timeout.is_zero(), "30s")?;
    let (region, endpoint, provider) = (region?, endpoint?, provider?);
    let url = match endpoint {
        Some(url) => url,
        None => {
            let suffix = if region.starts_with("cn-") { ".com.cn" } else { ".com" };
            let text = format!("https://{host}.{}.amazonaws{suffix}/", region.value);
            match Url::parse(&text) {
                Ok(url) => url,
                Err(why) => {
                    let message = format!("`{text}` is no address: {why}");
                    let hint = "look at `region`, or set `endpoint`".to_string();
                    section.error(region.span, message, Some(hint));
                    return None;
                }
            }
        }
    };
    match Client::new((service, region.value), url, provider, &tls.config(), timeout) {
        Ok(client) => Some(client),
        Err(why) => {
            let problem = Diagnostic::error("cannot make an HTTP client").because(why);
            section.report(problem, section.span());
            None
        }
    }
}

/// `region`, or the one of the environment.
fn region(section: &Section<'_>) -> Option<Spanned<String>> {
    let written = section.string("region");
    if section.has("region") && written.is_none() {
        return None;
    }
    let variable = |name: &str| {
        let found = section.expand(&format!("${{{name}:-}}"), &section.span());
        found.filter(|region| !region.is_empty())
    };
    let region = written.filter(|region| !region.is_empty());
    let region = region.or_else(|| variable("AWS_REGION"));
    let region = region.or_else(|| variable("AWS_DEFAULT_REGION"));
    let Some(region) = region else {
        let hint = "write for example: region = \"eu-central-1\", or set AWS_REGION".to_string();
        section.error(section.span(), "`region` is missing", Some(hint));
        return None;
    };
    let sound = region.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if !sound {
        let message = format!("`{}` is no region", region.value);
        let hint = "write for example: region = \"eu-central-1\"".to_string();
        section.error(region.span, message, Some(hint));
        return None;
    }
    Some(region)
}

/// `endpoint`: another address than Amazon's; `Some(None)`: none.
fn endpoint(section: &Section<'_>) -> Option<Option<Url>> {
    let Some(text) = section.string("endpoint") else {
        return (!section.has("endpoint")).then_some(None);
    };
    match Url::parse(&text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Some(Some(url)),
        _ => {
            let hint = "write for example: endpoint = \"http://localhost:4566\"".to_string();
            section.error(text.span, "`endpoint` is not a web address", Some(hint));
            None
        }
    }
}

/// A name that must be there and not be empty.
fn name(section: &Section<'_>, key: &'static str, example: &str) -> Option<Spanned<String>> {
    let name = section.required_string(key, example)?;
    if name.is_empty() {
        let hint = format!("write for example: {key} = {example}");
        section.error(name.span, format!("`{key}` is empty"), Some(hint));
        return None;
    }
    Some(name)
}
