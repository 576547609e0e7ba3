//! Where the keys come from: the settings, the environment, or whoever runs the machine.
//!
//! In: settings. Out: keys. Promises: keys that run out are asked for anew every few minutes, and at once when they
//! are refused; they are never shown. On failure: a sentence for health; nothing is sent without keys.
//!
//! In this order, as Amazon's own programs do it: `access_key_id` and `secret_access_key`; the variables of the same
//! names;
//! the token of a Kubernetes service account (STS, `AssumeRoleWithWebIdentity`); the address that a container is given;
//! the metadata of the instance (version 2).

use std::path::PathBuf;
use std::time::Duration;

use reqwest::{RequestBuilder, Url};
use serde::Deserialize;

use super::super::cause;
use super::sign::Keys;
use crate::settings::{Secret, Section};

/// How long keys that run out are used until they are asked for again; the services hand out ones that are good longer.
const KEPT_NS: i64 = 5 * 60 * 1_000_000_000;
/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest answer.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
const METADATA: &str = "http://169.254.169.254";
const CONTAINER: &str = "http://169.254.170.2";

/// Where keys come from, and those that it gave last.
pub(super) struct Provider {
    way: Way,
    /// Keys, and when they were given.
    kept: Option<(Keys, i64)>,
}

enum Way {
    Given(Keys),
    WebIdentity { role: String, token: PathBuf, sts: String, session: String },
    Container { url: String, token: Option<String>, token_file: Option<PathBuf> },
    Instance { url: String },
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Granted {
    access_key_id: String,
    secret_access_key: String,
    token: Option<String>,
}

impl Provider {
    pub(super) fn load(section: &Section<'_>) -> Option<Provider> {
        let (access, secret) =
            (section.string("access_key_id"), section.secret("secret_access_key"));
        let token = section.secret("session_token");
        let lost = section.has("access_key_id") && access.is_none()
            || section.has("secret_access_key") && secret.is_none()
            || section.has("session_token") && token.is_none();
        if lost {
            return None;
        }
        let variable = |name: &str| {
            let found = section.expand(&format!("${{{name}:-}}"), &section.span());
            found.map(|found| found.value).filter(|text| !text.is_empty())
        };
        let token = token.map(|token| token.value);
        let way = match (access, secret) {
            (Some(access), Some(secret)) => {
                Way::Given(Keys { access: access.value, secret: secret.value, token })
            }
            (None, None) => found(&variable),
            (access, _) => {
                let hint = "set both, or none to use what the machine gives".to_string();
                let span = access.map_or(section.span(), |access| access.span);
                let message = "of `access_key_id` and `secret_access_key` one is missing";
                section.error(span, message, Some(hint));
                return None;
            }
        };
        Some(Provider { way, kept: None })
    }

    /// Keys for a request now.
    pub(super) async fn keys(
        &mut self,
        http: &reqwest::Client,
        now_ns: i64,
    ) -> Result<Keys, String> {
        if let Way::Given(keys) = &self.way {
            return Ok(keys.clone());
        }
        if let Some((keys, since)) = &self.kept
            && now_ns.saturating_sub(*since) < KEPT_NS
        {
            return Ok(keys.clone());
        }
        let keys = self.way.ask(http).await.map_err(|why| format!("no keys for AWS: {why}"))?;
        self.kept = Some((keys.clone(), now_ns));
        Ok(keys)
    }

    /// They were refused.
    pub(super) fn forget(&mut self) {
        self.kept = None;
    }
}

/// What the environment says.
fn found(variable: &dyn Fn(&str) -> Option<String>) -> Way {
    if let (Some(access), Some(secret)) =
        (variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY"))
    {
        let token = variable("AWS_SESSION_TOKEN").map(Secret::new);
        return Way::Given(Keys { access, secret: Secret::new(secret), token });
    }
    if let (Some(role), Some(token)) =
        (variable("AWS_ROLE_ARN"), variable("AWS_WEB_IDENTITY_TOKEN_FILE"))
    {
        let region = variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION"));
        let usual = region.map_or_else(
            || "https://sts.amazonaws.com/".to_string(),
            |region| format!("https://sts.{region}.amazonaws.com/"),
        );
        let sts = variable("AWS_ENDPOINT_URL_STS").unwrap_or(usual);
        let session = variable("AWS_ROLE_SESSION_NAME").unwrap_or_else(|| "logweir".to_string());
        return Way::WebIdentity { role, token: token.into(), sts, session };
    }
    let relative =
        variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI").map(|uri| format!("{CONTAINER}{uri}"));
    if let Some(url) = relative.or_else(|| variable("AWS_CONTAINER_CREDENTIALS_FULL_URI")) {
        let token_file = variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE").map(PathBuf::from);
        let token = variable("AWS_CONTAINER_AUTHORIZATION_TOKEN");
        return Way::Container { url, token, token_file };
    }
    let url = variable("AWS_EC2_METADATA_SERVICE_ENDPOINT");
    Way::Instance { url: url.unwrap_or_else(|| METADATA.to_string()) }
}

impl Way {
    async fn ask(&self, http: &reqwest::Client) -> Result<Keys, String> {
        match self {
            Way::Given(keys) => Ok(keys.clone()),
            Way::WebIdentity { role, token, sts, session } => {
                let token = read(token)?;
                let parameters = [
                    ("Action", "AssumeRoleWithWebIdentity"),
                    ("Version", "2011-06-15"),
                    ("RoleArn", role),
                    ("RoleSessionName", session),
                    ("WebIdentityToken", &token),
                ];
                let url = Url::parse_with_params(sts, parameters)
                    .map_err(|why| format!("the address of STS: {why}"))?;
                of_xml(&answer("STS", http.get(url)).await?)
            }
            Way::Container { url, token, token_file } => {
                let token = match token_file {
                    Some(file) => Some(read(file)?),
                    None => token.clone(),
                };
                let mut request = http.get(url);
                if let Some(token) = token {
                    request = request.header("authorization", token);
                }
                of_json(&answer("the container's service", request).await?)
            }
            Way::Instance { url } => {
                let what = "the instance's metadata";
                let url = url.trim_end_matches('/');
                let request = http
                    .put(format!("{url}/latest/api/token"))
                    .header("x-aws-ec2-metadata-token-ttl-seconds", "300");
                let token = answer(what, request).await?;
                let get = |path: &str| {
                    let url = format!("{url}/latest/meta-data/iam/security-credentials/{path}");
                    http.get(url).header("x-aws-ec2-metadata-token", token.as_str())
                };
                let role = answer(what, get("")).await?;
                let role = role.lines().next().unwrap_or_default().trim();
                of_json(&answer(what, get(role)).await?)
            }
        }
    }
}

fn read(path: &PathBuf) -> Result<String, String> {
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|why| format!("cannot read `{}`: {why}", path.display()))?;
    Ok(text.trim().to_string())
}

async fn answer(whose: &str, request: RequestBuilder) -> Result<String, String> {
    let no_answer = |why: reqwest::Error| {
        format!(
            "no answer from {whose}: {} (is there a role, or are the keys in the environment?)",
            cause(&why.without_url())
        )
    };
    let mut response = request.timeout(PATIENCE).send().await.map_err(no_answer)?;
    let status = response.status();
    let mut bytes = Vec::new();
    while bytes.len() < ANSWER_BYTES_MAX {
        match response.chunk().await.map_err(no_answer)? {
            Some(chunk) => bytes.extend_from_slice(&chunk),
            None => break,
        }
    }
    let text = String::from_utf8_lossy(&bytes).into_owned();
    if !status.is_success() {
        let said: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let said: String = said.chars().take(200).collect();
        return Err(format!("{whose} answers {status} {said}"));
    }
    Ok(text)
}

fn of_json(text: &str) -> Result<Keys, String> {
    let granted: Granted = serde_json::from_str(text)
        .map_err(|_| "the answer holds no keys (is a role attached?)".to_string())?;
    Ok(Keys {
        access: granted.access_key_id,
        secret: Secret::new(granted.secret_access_key),
        token: granted.token.map(Secret::new),
    })
}

fn of_xml(text: &str) -> Result<Keys, String> {
    let document = roxmltree::Document::parse(text)
        .map_err(|why| format!("the answer of STS is no XML: {why}"))?;
    let get = |name: &str| {
        let found = document.descendants().find(|node| node.tag_name().name() == name);
        found.and_then(|node| node.text()).map(str::to_string)
    };
    match (get("AccessKeyId"), get("SecretAccessKey")) {
        (Some(access), Some(secret)) => {
            let token = get("SessionToken").map(Secret::new);
            Ok(Keys { access, secret: Secret::new(secret), token })
        }
        _ => Err("the answer of STS holds no keys".to_string()),
    }
}
