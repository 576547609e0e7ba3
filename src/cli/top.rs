//! `logweir top`: a running agent on one screen.
//!
//! In: the agent's admin address. Out: rates, lag, health and journals of its pipelines, drawn again every few
//! seconds until Ctrl-C; with `--once`, or where no terminal is, one text. Promises: the screen is as it was
//! afterwards; the figures are those of the status page. On failure: why the agent cannot be asked; while it is
//! away the last figures stay and that is said.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use clap::Args;

use super::tap::{AgentArguments, AgentClient, runtime};
use super::text::{bytes, plain, shortened, table};
use super::{FAILED, OK};
use crate::admin::figures::{Figures, PipelineFigures};
use crate::clock;
use crate::diagnostic::Diagnostic;
use crate::settings::parse_duration;

/// `logweir top`.
#[derive(Args)]
pub(super) struct TopArguments {
    #[command(flatten)]
    agent: AgentArguments,
    /// Between two looks
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = interval)]
    interval: Duration,
    /// Print once, with the rates of one interval, and end
    #[arg(long)]
    once: bool,
}

fn interval(text: &str) -> Result<Duration, String> {
    let sensible =
        |d: &Duration| (Duration::from_millis(100)..=Duration::from_secs(3600)).contains(d);
    parse_duration(text)
        .filter(sensible)
        .ok_or_else(|| "write a duration from 100ms to 1h".to_string())
}

/// The agent at one moment.
struct Look {
    at_ns: u64,
    figures: Figures,
    /// Parts with a problem, and what it is.
    problems: Vec<(String, String)>,
}

pub(super) fn run(arguments: &TopArguments) -> u8 {
    match runtime().and_then(|runtime| runtime.block_on(watch(arguments))) {
        Ok(()) => OK,
        Err(problem) => {
            eprint!("{problem}");
            FAILED
        }
    }
}

async fn watch(arguments: &TopArguments) -> Result<(), Diagnostic> {
    let client = AgentClient::new(&arguments.agent)?;
    let clock = clock::system();
    let mut before = look(&client, clock.elapsed_ns()).await?;
    let drawn = !arguments.once && std::io::stdout().is_terminal();
    if drawn {
        // The other screen; the shell's comes back at the end.
        show("\x1b[?1049h\x1b[?25l");
    }
    loop {
        tokio::select! {
            () = tokio::time::sleep(arguments.interval) => {}
            _ = tokio::signal::ctrl_c() => break,
        }
        let text = match look(&client, clock.elapsed_ns()).await {
            Ok(now) => {
                let text = page(&before, &now);
                before = now;
                text
            }
            Err(problem) if drawn => format!("{problem}"),
            Err(problem) => return Err(problem),
        };
        if !drawn {
            show(&text);
            break;
        }
        show(&format!("\x1b[H\x1b[2J{text}\nCtrl-C ends"));
    }
    if drawn {
        show("\x1b[?25h\x1b[?1049l");
    }
    Ok(())
}

fn show(text: &str) {
    let mut stdout = std::io::stdout();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

async fn look(client: &AgentClient, at_ns: u64) -> Result<Look, Diagnostic> {
    let unread = |why| Diagnostic::error("the agent's answer cannot be read").because(why);
    let metrics = client.get("/metrics", &[]).await?.text().await.map_err(unread)?;
    let health = client.get("/health", &[]).await?.text().await.map_err(unread)?;
    Ok(Look { at_ns, figures: Figures::parse(&metrics), problems: problems(&health) })
}

fn problems(health: &str) -> Vec<(String, String)> {
    let report: serde_json::Value = serde_json::from_str(health).unwrap_or_default();
    let parts = report["parts"].as_object().into_iter().flatten();
    let reason = |part: &serde_json::Value| part["reason"].as_str().map(str::to_string);
    parts.filter_map(|(name, part)| Some((name.clone(), reason(part)?))).collect()
}

fn page(before: &Look, now: &Look) -> String {
    let seconds = now.at_ns.saturating_sub(before.at_ns) as f64 / 1e9;
    let process = now.figures.process(&before.figures, seconds);
    let mut out = format!(
        "CPU {:.1} % of a core, memory {}, buffers {} of {}, {} descriptors\n",
        process.cores * 100.0,
        bytes(process.resident as u64),
        bytes(process.buffers as u64),
        bytes(process.buffers_limit as u64),
        process.descriptors
    );
    for pipeline in now.figures.pipelines(&before.figures, seconds) {
        out.push('\n');
        out.push_str(&section(&pipeline));
    }
    if !now.problems.is_empty() {
        out.push('\n');
        for (part, why) in &now.problems {
            out.push_str(&format!("{}: {}\n", plain(part), shortened(why, 200)));
        }
    }
    out
}

fn section(pipeline: &PipelineFigures) -> String {
    let share = pipeline.journal_bytes / pipeline.journal_limit.max(1.0) * 100.0;
    let mut out = format!(
        "{}  journal {} of {} ({share:.0} %), {:.1} events/s",
        plain(&pipeline.name),
        bytes(pipeline.journal_bytes as u64),
        bytes(pipeline.journal_limit as u64),
        pipeline.journaled_rate
    );
    if pipeline.dead_letters > 0.0 {
        out.push_str(&format!(", {} dead letters", pipeline.dead_letters));
    }
    for (reason, count) in &pipeline.dropped {
        out.push_str(&format!(", {count} dropped ({})", plain(reason)));
    }
    out.push('\n');
    let mut rows = Vec::new();
    for input in &pipeline.inputs {
        rows.push(vec![
            format!("  inputs.{}", plain(&input.name)),
            format!("{:.1} events/s", input.events_rate),
            format!("{}/s", bytes(input.bytes_rate as u64)),
            format!("{} unread for {} s", bytes(input.lag_bytes as u64), input.lag_seconds),
        ]);
    }
    for output in &pipeline.outputs {
        rows.push(vec![
            format!("  outputs.{}", plain(&output.name)),
            format!("{:.1} delivered/s", output.delivered_rate),
            output.state.clone(),
            format!("{} waiting for {} s", output.lag_documents, output.lag_seconds),
        ]);
    }
    out + &table(&rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_screen_has_every_part_and_what_is_wrong() {
        let look = |at_ns, read: u64| Look {
            at_ns,
            figures: Figures::parse(&format!(
                "logweir_journal_bytes{{pipeline=\"a\"}} 1024\nlogweir_journal_limit_bytes{{pipeline=\"a\"}} 4096\n\
                 logweir_input_lag_bytes{{pipeline=\"a\",input=\"i\"}} 10\n\
                 logweir_events_read_total{{pipeline=\"a\",input=\"i\"}} {read}\n\
                 logweir_output_lag_documents{{pipeline=\"a\",output=\"o\"}} 3\n\
                 logweir_part_state{{part=\"a/outputs.o\",state=\"paused\"}} 1\n"
            )),
            problems: problems(
                r#"{"parts":{"a/outputs.o":{"status":"paused","reason":"no node"},"b":{"reason":null}}}"#,
            ),
        };
        let text = page(&look(0, 0), &look(2_000_000_000, 50));
        let wanted = "
a  journal 1.0 KiB of 4.0 KiB (25 %), 0.0 events/s
  inputs.i   25.0 events/s    0 B/s   10 B unread for 0 s
  outputs.o  0.0 delivered/s  paused  3 waiting for 0 s

a/outputs.o: no node
";
        assert!(text.ends_with(wanted), "{text}");
    }

    #[test]
    fn an_interval_is_sensible() {
        assert_eq!(interval("2s"), Ok(Duration::from_secs(2)));
        assert!(interval("1ms").is_err() && interval("x").is_err());
    }
}
