//! What a service manager is told: that the start is done, what goes on, and that events still move.
//!
//! Is: the sender of sd_notify(3) messages. In: health, pulses, the agent's own steps. Out: READY, RELOADING, STOPPING,
//! STATUS, and WATCHDOG where the manager asks for it. Promises: WATCHDOG is sent only when no thread that events
//! depend on was busy with one and the same thing since the last look; so a worker, journal or reader that hangs
//! starves the watchdog, and an idle pipeline, a full journal or a dead output does not. STATUS is one line: what is
//! wrong first. On failure: without a manager (`NOTIFY_SOCKET` is not set) nothing is sent and nothing fails.

use std::time::Duration;

use sd_notify::NotifyState;

use crate::health::{Health, State};
use crate::limits;
use crate::pulse::Watch;

/// Longest text about one part in STATUS, in characters.
const REASON_CHARACTERS_MAX: usize = 160;

/// Sends a message; who does not listen misses it.
fn tell(states: &[NotifyState<'_>]) {
    let _ = sd_notify::notify(states);
}

/// The start is done, or a reload is over.
pub(super) fn ready(health: &Health, pipelines: usize) {
    tell(&[NotifyState::Ready, NotifyState::Status(&status(health, pipelines))]);
}

/// A reload begins. Its time is for managers with `Type=notify-reload`.
pub(super) fn reloading() {
    let status = NotifyState::Status("reading the configuration again");
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now, status]),
        Err(_) => tell(&[NotifyState::Reloading, status]),
    }
}

/// The stop begins.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("handing on what was read")]);
}

/// How often the watchdog is to be fed.
fn period() -> Option<Duration> {
    // systemd.service(5): at half the time at the latest. A look that finds a thread busy proves nothing before the
    // next one, so there are at least three in the whole time.
    sd_notify::watchdog_enabled().map(|time| time / 4)
}

/// Looks at all threads as often as the watchdog wants to be fed, and keeps STATUS true. Ends with the runtime.
pub(super) async fn watch(
    health: Health,
    pipelines: tokio::sync::watch::Receiver<usize>,
    mut threads: Watch,
) {
    let period = period();
    let mut ticks = tokio::time::interval(
        period.unwrap_or(Duration::from_millis(limits::STATUS_MS)).max(Duration::from_millis(10)),
    );
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut said = (Vec::new(), String::new());
    loop {
        ticks.tick().await;
        let stuck = threads.stuck();
        if stuck != said.0 {
            complain(&stuck, &said.0);
        }
        let status = match stuck.as_slice() {
            [] => status(&health, *pipelines.borrow()),
            stuck => format!("does not get on: {}", stuck.join(", ")),
        };
        if status != said.1 {
            tell(&[NotifyState::Status(&status)]);
        }
        if period.is_some() && stuck.is_empty() {
            tell(&[NotifyState::Watchdog]);
        }
        said = (stuck, status);
    }
}

fn complain(stuck: &[String], before: &[String]) {
    for thread in stuck.iter().filter(|thread| !before.contains(thread)) {
        tracing::warn!(
            thread,
            "has been busy with one thing for long; if it hangs, the device or network file system that it works \
             with does not answer, or a filter does not end"
        );
    }
    for thread in before.iter().filter(|thread| !stuck.contains(thread)) {
        tracing::info!(thread, "gets on again");
    }
}

/// One line: the worst that parts say, or that all is well.
fn status(health: &Health, pipelines: usize) -> String {
    let states = health.states();
    let bad = |wanted: fn(&State) -> Option<&String>| -> Vec<(&String, &String)> {
        states.iter().filter_map(|(name, state)| Some((name, wanted(state)?))).collect()
    };
    let paused = bad(|state| if let State::Paused(why) = state { Some(why) } else { None });
    let degraded = bad(|state| if let State::Degraded(why) = state { Some(why) } else { None });
    let all = match pipelines {
        1 => "1 pipeline".to_string(),
        n => format!("{n} pipelines"),
    };
    let Some((name, why)) = paused.first().or(degraded.first()) else {
        return format!("{all}, all parts work");
    };
    let cut: String = why.chars().take(REASON_CHARACTERS_MAX).collect();
    let cut = cut.replace(['\n', '\r'], " ");
    let more = if cut.len() < why.len() { "…" } else { "" };
    format!("{all}; {} paused, {} degraded: {name}: {cut}{more}", paused.len(), degraded.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_names_the_worst_part_in_one_line() {
        let health = Health::default();
        let (disk, net) = (health.part("app/journal"), health.part("app/outputs.logs"));
        disk.set(State::Fine);
        net.set(State::Fine);
        assert_eq!(status(&health, 1), "1 pipeline, all parts work");
        disk.set(State::Degraded("slow".into()));
        let long = "no node\nanswers ".repeat(40);
        net.set(State::Paused(long));
        let status = status(&health, 2);
        let start = "2 pipelines; 1 paused, 1 degraded: app/outputs.logs: no node answers ";
        assert!(status.starts_with(start) && status.ends_with('…'), "{status}");
        assert!(!status.contains('\n') && status.chars().count() < 260, "{status}");
    }
}
