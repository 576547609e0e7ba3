//! `/tap`: events at a point of a pipeline, as they pass.
//!
//! In: `pipeline` (may be left out where there is one), `at` (`input`, the number of a filter, `output`), `name`
//! (of the input or output), `when` (a condition), `rate` (events a second, 1 to 1000). Out: lines of JSON until
//! the reader goes or the pipeline stops. Promises: those of [`crate::tap`]. On failure: 400 or 404 with one
//! sentence.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};

use crate::diagnostic::did_you_mean;
use crate::tap::{FILTERS_MAX, Look, Point, Question, Taps};

/// Events a second if nothing else is asked for, and at most.
const RATE: u64 = 100;
const RATE_MAX: u64 = 1000;

struct Lines(Look);

impl futures_core::Stream for Lines {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_line(context).map(|line| line.map(|line| Ok(line.into())))
    }
}

/// The lines that a query asks for.
///
/// # Errors
/// The status and what is wrong with the query.
pub(super) fn body(taps: &Taps, query: &str) -> Result<Body, (u16, String)> {
    let (mut pipeline, mut at, mut name, mut when, mut rate) =
        (None, Point::Output, None, None, RATE);
    // A query is read as that of an address.
    let address = reqwest::Url::parse(&format!("http://localhost/?{query}"));
    let address = address.map_err(|why| (400, format!("the query cannot be read: {why}")))?;
    for (key, value) in address.query_pairs() {
        match &*key {
            "pipeline" => pipeline = Some(value.into_owned()),
            "at" => {
                at = Point::parse(&value).ok_or_else(|| {
                    let known =
                        format!("`input`, `output`, or a filter's number (1 to {FILTERS_MAX})");
                    (400, format!("there is no point `{value}`: at is {known}"))
                })?;
            }
            "name" => name = Some(value.into_owned()),
            "when" => when = Some(value.into_owned()),
            "rate" => {
                let number = value.parse().ok().filter(|n| (1..=RATE_MAX).contains(n));
                rate = number.ok_or((400, format!("rate is a number from 1 to {RATE_MAX}")))?;
            }
            other => return Err((400, format!("there is no parameter `{other}`"))),
        }
    }
    let pipeline = one_of(taps, pipeline)?;
    let tap = taps.get(&pipeline).ok_or((404, "the pipeline has just stopped".to_string()))?;
    let look = tap.look(Question { point: at, name, when, rate }).map_err(|why| (400, why))?;
    Ok(Body::from_stream(Lines(look)))
}

fn one_of(taps: &Taps, wanted: Option<String>) -> Result<String, (u16, String)> {
    let names = taps.names();
    match (wanted, names.as_slice()) {
        (None, [one]) => Ok(one.clone()),
        (None, []) => Err((404, "no pipeline runs".to_string())),
        (None, many) => Err((400, format!("say which pipeline: {}", many.join(", ")))),
        (Some(wanted), _) if names.contains(&wanted) => Ok(wanted),
        (Some(wanted), _) => {
            let hint = match did_you_mean(&wanted, names.iter().map(String::as_str)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("there are: {}", names.join(", ")),
            };
            Err((404, format!("there is no pipeline `{wanted}`: {hint}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tap::Tap;

    #[test]
    fn what_is_wrong_with_a_query_is_said() {
        let taps = Taps::default();
        assert_eq!(body(&taps, "").err().unwrap(), (404, "no pipeline runs".into()));
        taps.add("app", &Tap::default());
        assert!(body(&taps, "").is_ok());
        let said = |query: &str| body(&taps, query).err().unwrap().1;
        assert_eq!(said("pipeline=ap"), "there is no pipeline `ap`: did you mean `app`?");
        assert!(said("at=63").contains("there is no point `63`"));
        assert!(
            said("when=a%20%3D%3D").contains("the condition is wrong at byte"),
            "{}",
            said("when=a%20%3D%3D")
        );
        assert!(said("rate=0").contains("1 to 1000") && said("x=1").contains("no parameter `x`"));
        taps.add("web", &Tap::default());
        assert_eq!(said(""), "say which pipeline: app, web");
        assert!(body(&taps, "pipeline=web&at=2&name=x&when=a+%3D%3D+1&rate=5").is_ok());
    }
}
