//! Addresses of Elasticsearch as Logstash writes them.
//!
//! In: hosts with or without scheme, port and login, or a `cloud_id`. Out: addresses of ours. Promises: variables stay
//! variables. On failure: the loader says what is wrong with an address.

use super::Translator;
use super::values;
use crate::import::cloud;
use crate::import::document::Value as Ours;
use crate::import::fluent::places;
use crate::import::report::Account;

/// The address that a `cloud_id` holds in a coded form; where it is a variable, another one holds it.
pub fn in_cloud(translator: &mut Translator<'_>, id: &str, account: &mut Account) -> Ours {
    if let Some(url) = cloud::address(id) {
        return url.into();
    }
    let what = "the cluster's address, which `cloud_id` held in a coded form".to_string();
    account.differs("the cluster's address is in ELASTICSEARCH_URL, not in a `cloud_id`");
    translator.report.variables.insert("ELASTICSEARCH_URL".to_string(), what);
    Ours::Variables("${ELASTICSEARCH_URL:-https://localhost:9200}".to_string())
}

/// The login in an address.
pub fn login_of(host: &str) -> Option<(String, String)> {
    let rest = host.split_once("://").map_or(host, |(_, rest)| rest);
    let (login, _) = rest.rsplit_once('@')?;
    // The colon of `${NAME:default}` is none between user and password.
    let from = if login.starts_with("${") { login.find('}')? } else { 0 };
    let colon = login[from..].find(':').map_or(login.len(), |at| from + at);
    let password = login.get(colon + 1..).unwrap_or_default();
    Some((login[..colon].to_string(), password.to_string()))
}

/// A host with its scheme and port.
pub fn host(
    translator: &mut Translator<'_>,
    written: &str,
    tls: bool,
    port: Option<&str>,
    path: &str,
    account: &mut Account,
) -> Ours {
    let filled = places::filled(written.trim());
    if let Some((_, names)) = &filled {
        account.differs(format!("the address has places to fill in: set {}", names.join(", ")));
    }
    // Logstash writes a default behind one colon.
    let written =
        filled.map_or_else(|| written.trim().to_string(), |(text, _)| text.replace(":-", ":"));
    let text = match values::text(&written, translator.report) {
        Ours::Text(text) | Ours::Variables(text) => text,
        _ => String::new(),
    };
    let scheme = if tls { "https" } else { "http" };
    let only_variable = text.starts_with("${") && text.find('}') == Some(text.len() - 1);
    let mut url = match text.split_once("://") {
        Some(_) => text.clone(),
        // A variable alone may hold the scheme and the port.
        None if only_variable => match text.split_once(":-") {
            Some((name, "not-set}")) => format!("{name}:-{scheme}://localhost:9200}}"),
            Some((name, usual)) => format!("{name}:-{scheme}://{usual}"),
            None => text.clone(),
        },
        None => format!("{scheme}://{text}"),
    };
    if let Some((head, rest)) = url.clone().split_once("://")
        && let Some((_, host)) = rest.rsplit_once('@')
    {
        url = format!("{head}://{host}");
    }
    let authority = url
        .split("://")
        .nth(1)
        .unwrap_or_default()
        .split('/')
        .next()
        .unwrap_or_default()
        .to_string();
    let has_port = authority.rsplit_once(':').is_some_and(|(head, port)| {
        !head.ends_with("${")
            && (port.chars().all(|c| c.is_ascii_digit()) && !port.is_empty()
                || port.ends_with('}') && port.contains("${"))
    }) || authority.matches("${").count() > 1;
    let plain_variable = only_variable;
    if !has_port && !plain_variable {
        let add = format!(":{}", port.unwrap_or("9200"));
        let end = url.find("://").map_or(0, |at| at + 3) + authority.len();
        url.insert_str(end, &add);
    }
    if !path.is_empty() && path != "/" {
        url = format!("{}/{}", url.trim_end_matches('/'), path.trim_matches('/'));
    }
    let url = url.trim_end_matches('/').to_string();
    if url.contains("${") { Ours::Variables(url) } else { Ours::Text(url) }
}
