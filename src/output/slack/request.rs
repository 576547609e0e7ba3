//! One request to a webhook and what Slack's answer means.
//!
//! In: a JSON body. Out: an [`Answer`]. Source: Slack's documentation of incoming webhooks and rate limits
//! (`api.slack.com`). Promises: the webhook's address is a secret and never part of a message.
//! On failure: see [`Answer`].

use std::time::Duration;

use crate::delivery::BoxFuture;
use crate::names;
use crate::settings::Secret;
use crate::tls::ClientTls;

/// Longest wait for an answer.
const ANSWER_WAIT: Duration = Duration::from_secs(15);
/// Longest pause that an answer can ask for; more is a mistake, and what is beyond all clocks would end the task.
pub(super) const PAUSE_MAX: Duration = Duration::from_secs(60 * 60);

pub(super) struct Webhook {
    client: reqwest::Client,
    address: Secret,
}

/// What takes messages.
pub(super) trait Post: Send + Sync {
    /// Sends one body.
    fn post(&self, body: String) -> BoxFuture<'_, Answer>;
}

/// What became of a request.
#[derive(Debug)]
pub(super) enum Answer {
    /// It is in the channel.
    Accepted,
    /// Too many requests: come back after this time.
    Wait(Duration),
    /// It may work later.
    Later(String),
    /// It will not work until a person changes something.
    Refused(String),
}

impl Webhook {
    pub(super) fn new(address: Secret) -> Result<Self, String> {
        let plain = address.reveal().starts_with("http://");
        let config = if plain { ClientTls::unused() } else { ClientTls::system() }.config();
        let builder = names::client().tls_backend_preconfigured(config);
        let client = builder.timeout(ANSWER_WAIT).redirect(reqwest::redirect::Policy::none());
        let client = client.build().map_err(|why| why.to_string())?;
        Ok(Webhook { client, address })
    }

    async fn send(&self, body: String) -> Answer {
        let request = self.client.post(self.address.reveal());
        let sent = request.header("Content-Type", "application/json").body(body).send().await;
        let response = match sent {
            Ok(response) => response,
            // The error's own text would show the address.
            Err(why) => return Answer::Later(super::super::cause(&why.without_url())),
        };
        let status = response.status();
        let pause = retry_after(&response);
        let text = response.text().await.unwrap_or_default();
        let said = self.without_address(&text.chars().take(200).collect::<String>());
        let said = format!("{status} {said}").trim().to_string();
        match status.as_u16() {
            200..=299 => Answer::Accepted,
            429 => Answer::Wait(pause.unwrap_or(Duration::from_secs(30))),
            400 | 401 | 403 | 404 | 410 => Answer::Refused(said),
            _ => Answer::Later(said),
        }
    }

    /// What a server said, in which it may have repeated the path that it was asked for.
    fn without_address(&self, said: &str) -> String {
        let address = self.address.reveal();
        let secret = address.splitn(4, '/').nth(3).filter(|path| !path.is_empty());
        secret.map_or_else(|| said.to_string(), |path| said.replace(path, "***"))
    }
}

impl Post for Webhook {
    fn post(&self, body: String) -> BoxFuture<'_, Answer> {
        Box::pin(self.send(body))
    }
}

fn retry_after(response: &reqwest::Response) -> Option<Duration> {
    pause_of(response.headers().get("Retry-After")?.to_str().ok()?)
}

/// The pause that a value of `Retry-After` asks for, as far as it is believed.
pub(super) fn pause_of(seconds: &str) -> Option<Duration> {
    Some(Duration::from_secs(seconds.trim().parse().ok()?).min(PAUSE_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_beyond_all_clocks_is_cut() {
        assert_eq!(pause_of(" 7 "), Some(Duration::from_secs(7)));
        assert_eq!(pause_of("18446744073709551615"), Some(PAUSE_MAX));
        assert_eq!(pause_of("Wed, 21 Oct 2026 07:28:00 GMT"), None);
    }
}
