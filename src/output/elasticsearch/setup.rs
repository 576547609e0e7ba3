//! The index template, before the first document.
//!
//! In: the template of the settings. Out: a cluster that has it. Promises: one that is there is not replaced unless
//! the user wrote `overwrite`; no document is sent before, since an index made without its template keeps the wrong
//! mapping for ever. On failure: tried again until it works; health says why.

use reqwest::Method;

use super::failure::Failure;
use super::outcome::{self, RequestOutcome};
use super::reply::read_error;
use super::request::{Answer, Client};
use super::settings::IndexTemplate;

/// Sees to it that the template is there.
///
/// # Errors
/// Why it is not, and what to do; to be read after the node's name.
pub(super) async fn put_template(
    client: &Client,
    host: usize,
    template: &IndexTemplate,
) -> Result<(), String> {
    let path = ["_index_template", template.name.as_str()];
    if !template.overwrite {
        let found = client.send(host, Method::GET, &path, String::new()).await;
        match found {
            Ok(answer) if answer.status == 200 => return Ok(()),
            Ok(answer) if answer.status == 404 => {}
            other => return Err(problem(template, "read", other)),
        }
    }
    match client.send(host, Method::PUT, &path, template.body.clone()).await {
        Ok(answer) if answer.status == 200 => Ok(()),
        other => Err(problem(template, "set up", other)),
    }
}

fn problem(template: &IndexTemplate, verb: &str, result: Result<Answer, Failure>) -> String {
    let answer = match result {
        Err(failure) => return failure.message,
        Ok(answer) => answer,
    };
    let (cause, shaped) = read_error(&answer.body);
    let hint = match outcome::request(answer.status, &cause, shaped, false) {
        RequestOutcome::Unauthorized => {
            "check `user` and `password`, or `api_key`: the privilege `manage_index_templates` is needed"
        }
        RequestOutcome::Malformed => "correct the template's file",
        RequestOutcome::Busy | RequestOutcome::Broken => "it is tried again",
        _ => "check the URL in `hosts`",
    };
    let (name, status) = (&template.name, answer.status);
    format!("refuses to {verb} the index template `{name}` ({status} {cause}): {hint}")
}
