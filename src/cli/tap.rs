//! `logweir tap`: events of a running agent, as they pass.
//!
//! In: the agent's admin address, a point, perhaps a condition. Out: events as JSON lines, until Ctrl-C, `--limit`,
//! or the agent's end. Promises: secrets are masked by the agent before they leave it; the agent is not held up. On
//! failure: why the agent cannot be asked, or what it says is wrong with the question.

use std::io::Write as _;
use std::path::PathBuf;

use clap::Args;

use super::{FAILED, OK, run};
use crate::diagnostic::Diagnostic;
use crate::settings::Secret;
use crate::tls::ClientTls;

/// Where a running agent is asked.
#[derive(Args)]
pub(super) struct AgentArguments {
    /// The agent's admin address
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9600")]
    admin: String,
    /// A file with the admin token [default: $LOGWEIR_ADMIN_TOKEN, or none]
    #[arg(long, value_name = "FILE")]
    admin_token_file: Option<PathBuf>,
}

/// `logweir tap`.
#[derive(Args)]
pub(super) struct TapArguments {
    #[command(flatten)]
    agent: AgentArguments,
    /// Where to look: "input" (decoded), the number of a filter (behind it), "output" (what outputs get)
    #[arg(long, value_name = "POINT", default_value = "output")]
    at: String,
    /// Only events for which this holds, as in `when`
    #[arg(long, value_name = "CONDITION")]
    when: Option<String>,
    /// Only of this input, or for this output
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Events in a second at most; how many were left out is said
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=1000))]
    rate: u16,
    /// End after so many events
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// The pipeline; needed where several run
    pipeline: Option<String>,
}

/// Asks an agent.
pub(super) struct AgentClient {
    http: reqwest::Client,
    address: String,
    token: Option<Secret>,
}

impl AgentClient {
    pub(super) fn new(arguments: &AgentArguments) -> Result<AgentClient, Diagnostic> {
        let token = run::admin_token(arguments.admin_token_file.as_deref())?;
        let tls = ClientTls::unused().config();
        let builder = crate::names::client().tls_backend_preconfigured(tls).no_proxy();
        let http = builder
            .build()
            .map_err(|why| Diagnostic::error("cannot make requests").because(why))?;
        Ok(AgentClient { http, address: arguments.admin.clone(), token })
    }

    /// The answer to a question that the agent understands.
    pub(super) async fn get(
        &self,
        path: &str,
        query: &[(&str, String)],
    ) -> Result<reqwest::Response, Diagnostic> {
        let failed = || Diagnostic::error(format!("cannot ask the agent at {}", self.address));
        let hint = "is it running, and is --admin the address that it was given?";
        let text = format!("http://{}{path}", self.address);
        let mut url = reqwest::Url::parse(&text).map_err(|why| failed().because(why).hint(hint))?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut request = self.http.get(url);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.reveal());
        }
        let response = request
            .send()
            .await
            .map_err(|why| failed().because(innermost(&why.without_url())).hint(hint))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let said = response.text().await.unwrap_or_default();
        let said: String = super::text::plain(said.trim()).chars().take(500).collect();
        Err(failed().because(format!("it answers {status}: {said}")))
    }
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut at = error;
    while let Some(source) = at.source() {
        at = source;
    }
    at.to_string()
}

/// One thread with the network.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime, Diagnostic> {
    let built = tokio::runtime::Builder::new_current_thread().enable_all().build();
    built.map_err(|why| Diagnostic::error("cannot start the network").because(why))
}

pub(super) fn run(arguments: &TapArguments) -> u8 {
    let followed = runtime().and_then(|runtime| runtime.block_on(follow(arguments)));
    match followed {
        Ok(()) => OK,
        Err(problem) => {
            eprint!("{problem}");
            FAILED
        }
    }
}

async fn follow(arguments: &TapArguments) -> Result<(), Diagnostic> {
    let client = AgentClient::new(&arguments.agent)?;
    let mut query = vec![("at", arguments.at.clone()), ("rate", arguments.rate.to_string())];
    let optional =
        [("pipeline", &arguments.pipeline), ("when", &arguments.when), ("name", &arguments.name)];
    query.extend(optional.into_iter().filter_map(|(key, value)| Some((key, value.clone()?))));
    let mut response = client.get("/tap", &query).await?;
    let mut left = arguments.limit.unwrap_or(u64::MAX);
    let mut held = Vec::new();
    loop {
        let piece = tokio::select! {
            piece = response.chunk() => piece,
            _ = tokio::signal::ctrl_c() => return Ok(()),
        };
        let piece = piece.map_err(|why| {
            Diagnostic::error("the agent has gone away").because(innermost(&why.without_url()))
        })?;
        let Some(piece) = piece else { return Ok(()) };
        held.extend_from_slice(&piece);
        while let Some(end) = memchr::memchr(b'\n', &held) {
            let line: Vec<u8> = held.drain(..=end).collect();
            // What the agent says about the tap itself is no event.
            let own = line.starts_with(b"{\"@tap\"");
            let mut stdout = std::io::stdout();
            if stdout.write_all(&line).and_then(|()| stdout.flush()).is_err() {
                return Ok(());
            }
            left -= u64::from(!own);
            if left == 0 {
                return Ok(());
            }
        }
    }
}
