//! `logweir try`: lines from standard input through decode and filters, events on standard output.
//!
//! In: a pipeline file, lines. Out: one JSON object a line, with `"@route"`: the outputs it would go to.
//! Promises: the same decode, filters and conditions as `run`; no network, no journal.

use std::io::{BufRead, Write};
use std::path::Path;
use std::sync::Arc;

use super::{CONFIGURATION, FAILED, OK, surroundings};
use crate::clock::SharedClock;
use crate::config::{self, Plan};
use crate::decode::{Decoder, Place};
use crate::diagnostic::{Diagnostic, Diagnostics, did_you_mean};
use crate::event::{Batch, Key, Literal, Source, SourceKind, write_string};
use crate::filter::Closing;
use crate::metrics::Metrics;
use crate::pipeline::{Flow, FlowPlan};
use crate::route::Route;

/// A pipeline without its ends.
pub(super) struct Trial {
    flow: Flow,
    plan: Arc<FlowPlan>,
    inputs: Vec<TrialInput>,
    clock: SharedClock,
    batch: Batch,
}

/// An input's name and the fields that its events get.
type TrialInput = (Arc<str>, Vec<(Key, Literal)>);

/// One event that came out.
pub(super) struct Outcome {
    /// Number of the event in [`Trial::batch`].
    pub event: usize,
    /// The outputs it goes to.
    pub routes: Vec<String>,
}

impl Trial {
    pub(super) fn new(plan: Plan, clock: SharedClock) -> Self {
        let metrics = Metrics::default();
        let mut routes = Vec::new();
        for (bit, output) in plan.outputs.into_iter().enumerate() {
            let address = output.output.address().cloned();
            routes.push(Route::new(output.name, bit as u32, output.when, address, &metrics));
        }
        let (mut codecs, mut inputs) = (Vec::new(), Vec::new());
        for input in plan.inputs {
            let name: Arc<str> = input.name.as_str().into();
            codecs.push((Arc::clone(&name), input.codec));
            inputs.push((name, input.fields));
        }
        let keys = Arc::clone(&plan.keys);
        let flow_plan = Arc::new(FlowPlan::new(plan.keys, plan.chain, codecs, routes, &metrics));
        flow_plan.states().hurry();
        let batch = Batch::new(keys, source("", Vec::new()));
        Trial { flow: Flow::new(Arc::clone(&flow_plan)), plan: flow_plan, inputs, clock, batch }
    }

    /// The number of an input.
    pub(super) fn input(&self, name: &str) -> Option<usize> {
        self.inputs.iter().position(|(n, _)| **n == *name)
    }

    /// The batch that the last call filled.
    pub(super) fn batch(&self) -> &Batch {
        &self.batch
    }

    /// A decoder for one input's lines.
    pub(super) fn decoder(&self, input: usize) -> Option<Box<dyn Decoder>> {
        self.plan.decoder(&self.inputs.get(input)?.0)
    }

    /// Sends text through a decoder and the filters; gives the events that were not dropped, and how many were.
    pub(super) fn lines(
        &mut self,
        decoder: &mut dyn Decoder,
        input: usize,
        text: Vec<u8>,
        offset: u64,
        last: bool,
    ) -> (Vec<Outcome>, usize) {
        let (name, fields) = &self.inputs[input];
        self.batch.recycle(text, source(name, fields.clone()));
        let place = Place { offset, received_ns: self.clock.now_ns(), piece: false, last };
        decoder.decode(place, &mut self.batch);
        self.finish()
    }

    /// Nothing more comes: gives the events that filters held until then.
    pub(super) fn end(&mut self) -> (Vec<Outcome>, usize) {
        self.batch.recycle(Vec::new(), source("", Vec::new()));
        self.flow.close_windows(&mut self.batch, Closing::All, &mut Vec::new());
        self.outcomes()
    }

    /// Lets filters close windows whose time is over.
    pub(super) fn tick(&mut self) -> Vec<Outcome> {
        if !self.plan.states().take_due(self.clock.elapsed_ns()) {
            return Vec::new();
        }
        self.batch.recycle(Vec::new(), source("", Vec::new()));
        self.flow.close_windows(&mut self.batch, Closing::DUE, &mut Vec::new());
        self.outcomes().0
    }

    /// Sends a finished event through the filters. `Err`: it is not a JSON object.
    pub(super) fn event(&mut self, json: &[u8]) -> Result<Vec<Outcome>, String> {
        self.batch.recycle(Vec::new(), source("", Vec::new()));
        let span = self.batch.push_text(json);
        let keys = Arc::clone(&self.batch.keys);
        let mut fields = Vec::new();
        crate::event::parse_object(&mut self.batch.text, span, &keys, &mut fields)
            .map_err(|e| format!("byte {}: {}", e.at, e.message))?;
        let event = self.batch.add_event(self.clock.now_ns(), 0);
        for field in fields {
            if field.key != Key::TIMESTAMP {
                self.batch.fields_mut(event).push(field);
                continue;
            }
            let time = self.batch.str_bytes(field.value);
            if let Some(ns) = time.and_then(|t| crate::timestamp::parse_iso8601(&t)) {
                self.batch.events[event].time_ns = ns;
            }
        }
        Ok(self.finish().0)
    }

    fn finish(&mut self) -> (Vec<Outcome>, usize) {
        self.flow.filter(&mut self.batch);
        self.outcomes()
    }

    fn outcomes(&mut self) -> (Vec<Outcome>, usize) {
        let (mut outcomes, mut dropped) = (Vec::new(), 0);
        for event in 0..self.batch.events.len() {
            if self.batch.events[event].dropped {
                dropped += 1;
            } else {
                let routes = self.flow.routes_of(&self.batch, event);
                outcomes.push(Outcome { event, routes });
            }
        }
        (outcomes, dropped)
    }

    /// The event as a line of JSON.
    pub(super) fn write(&self, outcome: &Outcome, out: &mut Vec<u8>) {
        self.batch.write_event(outcome.event, out);
        out.pop();
        out.extend_from_slice(b",\"@route\":[");
        for (n, name) in outcome.routes.iter().enumerate() {
            if n > 0 {
                out.push(b',');
            }
            write_string(name.as_bytes(), out);
        }
        out.extend_from_slice(b"]}\n");
    }
}

fn source(input: &str, fields: Vec<(Key, Literal)>) -> Arc<Source> {
    Arc::new(Source { id: 0, input: input.into(), kind: SourceKind::Stream, fields })
}

pub(super) fn run(path: &Path, json: bool, input: Option<&str>) -> u8 {
    let around = surroundings(Metrics::default());
    let mut problems = Diagnostics::default();
    let plan = config::load_file(path, &around, &mut problems);
    eprint!("{problems}");
    let Some(plan) = plan else { return CONFIGURATION };
    let mut trial = Trial::new(plan, around.clock);
    let number = match input {
        None => 0,
        Some(name) => match trial.input(name) {
            Some(number) => number,
            None => {
                eprint!("{}", no_such_input(name, &trial));
                return super::USAGE;
            }
        },
    };
    let done = if json { try_events(&mut trial) } else { try_lines(&mut trial, number) };
    match done {
        Ok(code) => code,
        Err(why) if why.kind() == std::io::ErrorKind::BrokenPipe => OK,
        Err(why) => {
            eprintln!("error: cannot go on\n  = because: {why}");
            FAILED
        }
    }
}

fn no_such_input(name: &str, trial: &Trial) -> Diagnostic {
    let names: Vec<&str> = trial.inputs.iter().map(|(name, _)| &**name).collect();
    let hint = match did_you_mean(name, names.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("there are: {}", names.join(", ")),
    };
    Diagnostic::error(format!("the pipeline has no input `{name}`")).hint(hint)
}

fn try_events(trial: &mut Trial) -> std::io::Result<u8> {
    let mut stdout = std::io::stdout().lock();
    let mut code = OK;
    for (number, line) in std::io::stdin().lock().split(b'\n').enumerate() {
        let line = line?;
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        match trial.event(&line) {
            Ok(outcomes) => print(trial, &outcomes, &mut stdout)?,
            Err(why) => {
                eprintln!("error: line {} is not a JSON object: {why}", number + 1);
                code = FAILED;
            }
        }
    }
    let (outcomes, _) = trial.end();
    print(trial, &outcomes, &mut stdout)?;
    Ok(code)
}

fn try_lines(trial: &mut Trial, input: usize) -> std::io::Result<u8> {
    let mut stdout = std::io::stdout().lock();
    let mut stdin = std::io::stdin().lock();
    let Some(mut decoder) = trial.decoder(input) else { return Ok(FAILED) };
    let mut offset = 0;
    loop {
        let mut text = Vec::new();
        // Whole lines, as many as are there: a person typing sees each line's event at once.
        let last = stdin.read_until(b'\n', &mut text)? == 0;
        let length = text.len() as u64;
        let (outcomes, _) = trial.lines(&mut *decoder, input, text, offset, last);
        print(trial, &outcomes, &mut stdout)?;
        offset += length;
        let outcomes = if last { trial.end().0 } else { trial.tick() };
        print(trial, &outcomes, &mut stdout)?;
        if last {
            return Ok(OK);
        }
    }
}

fn print(trial: &Trial, outcomes: &[Outcome], out: &mut impl Write) -> std::io::Result<()> {
    let mut text = Vec::new();
    for outcome in outcomes {
        trial.write(outcome, &mut text);
    }
    out.write_all(&text)
}
