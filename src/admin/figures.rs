//! What the agent's metrics say about each pipeline, and what happened between two looks.
//!
//! In: Prometheus text (version 0.0.4), as `/metrics` gives it, once or twice. Out: figures of pipelines, inputs
//! and outputs, with rates. Promises: the page and `logweir top` show the same. On failure: a series that is not
//! there is 0.

use std::collections::BTreeMap;

/// One look at the metrics.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    series: BTreeMap<String, Vec<(Labels, f64)>>,
}

type Labels = Vec<(String, String)>;

/// A pipeline at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PipelineFigures {
    /// Its name.
    pub name: String,
    /// Its inputs.
    pub inputs: Vec<InputFigures>,
    /// Its outputs.
    pub outputs: Vec<OutputFigures>,
    /// Events in the journal's frames, per second.
    pub journaled_rate: f64,
    /// Bytes of its journal.
    pub journal_bytes: f64,
    /// What they may become.
    pub journal_limit: f64,
    /// Events that went nowhere, by reason, since the start.
    pub dropped: Vec<(String, f64)>,
    /// Dead letters that lie there.
    pub dead_letters: f64,
    /// Their bytes.
    pub dead_letters_bytes: f64,
    /// What filters could not handle, by filter, since the start.
    pub failures: Vec<(String, f64)>,
}

/// An input at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InputFigures {
    /// Its name.
    pub name: String,
    /// Events per second.
    pub events_rate: f64,
    /// Bytes per second.
    pub bytes_rate: f64,
    /// Unread bytes of its files.
    pub lag_bytes: f64,
    /// For how long the oldest of them have been there.
    pub lag_seconds: f64,
}

/// An output at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OutputFigures {
    /// Its name.
    pub name: String,
    /// Delivered documents per second.
    pub delivered_rate: f64,
    /// Documents in the journal that are before it.
    pub lag_documents: f64,
    /// Age of the oldest of them.
    pub lag_seconds: f64,
    /// Its health: `ok`, `starting`, `degraded` or `paused`.
    pub state: String,
}

/// The process at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProcessFigures {
    /// Share of one core, 1 for all of it.
    pub cores: f64,
    /// Resident bytes.
    pub resident: f64,
    /// Open descriptors.
    pub descriptors: f64,
    /// Bytes of all buffers.
    pub buffers: f64,
    /// What they may become.
    pub buffers_limit: f64,
    /// When it began, in seconds since 1970.
    pub started: f64,
}

impl Figures {
    /// Reads the text of `/metrics`.
    pub fn parse(text: &str) -> Figures {
        let mut figures = Figures::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let Some((series, value)) = line.rsplit_once(' ') else { continue };
            let Ok(value) = value.parse() else { continue };
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            figures.series.entry(name.to_string()).or_default().push((labels_of(labels), value));
        }
        figures
    }

    /// The sum of all series of a name with these labels.
    pub fn sum(&self, name: &str, wanted: &[(&str, &str)]) -> f64 {
        let all = self.series.get(name).into_iter().flatten();
        all.filter(|(labels, _)| has(labels, wanted)).fold(0.0, |sum, (_, value)| sum + value)
    }

    /// The values that a label has in the series of a name with these labels.
    fn values(&self, name: &str, label: &str, wanted: &[(&str, &str)]) -> Vec<String> {
        let all = self.series.get(name).into_iter().flatten();
        let of = |labels: &Labels| labels.iter().find(|(k, _)| k == label).map(|(_, v)| v.clone());
        let mut values: Vec<_> =
            all.filter(|(l, _)| has(l, wanted)).filter_map(|(l, _)| of(l)).collect();
        values.sort();
        values.dedup();
        values
    }

    /// What each value of a label adds up to, the largest first, without zeros.
    fn by(&self, name: &str, label: &str, wanted: &[(&str, &str)]) -> Vec<(String, f64)> {
        let values = self.values(name, label, wanted);
        let sum = |value: String| {
            let with: Vec<_> = wanted.iter().copied().chain([(label, value.as_str())]).collect();
            let sum = self.sum(name, &with);
            (value, sum)
        };
        let mut all: Vec<_> = values.into_iter().map(sum).filter(|(_, n)| *n > 0.0).collect();
        all.sort_by(|a, b| b.1.total_cmp(&a.1));
        all
    }

    /// All pipelines; rates are over `seconds` since `before`.
    pub fn pipelines(&self, before: &Figures, seconds: f64) -> Vec<PipelineFigures> {
        let names = self.values("logweir_journal_bytes", "pipeline", &[]);
        names.into_iter().map(|name| self.pipeline(name, before, seconds)).collect()
    }

    fn pipeline(&self, name: String, before: &Figures, seconds: f64) -> PipelineFigures {
        let own = [("pipeline", name.as_str())];
        let rate = |metric: &str, wanted: &[(&str, &str)]| {
            let grown = self.sum(metric, wanted) - before.sum(metric, wanted);
            if seconds > 0.0 { grown.max(0.0) / seconds } else { 0.0 }
        };
        let input = |input: String| {
            let wanted = [own[0], ("input", input.as_str())];
            InputFigures {
                events_rate: rate("logweir_events_read_total", &wanted),
                bytes_rate: rate("logweir_bytes_read_total", &wanted),
                lag_bytes: self.sum("logweir_input_lag_bytes", &wanted),
                lag_seconds: self.sum("logweir_input_lag_seconds", &wanted),
                name: input,
            }
        };
        let output = |output: String| {
            let wanted = [own[0], ("output", output.as_str())];
            let delivered = [wanted[0], wanted[1], ("result", "delivered")];
            let part = format!("{name}/outputs.{output}");
            let mut states = self.by("logweir_part_state", "state", &[("part", part.as_str())]);
            OutputFigures {
                delivered_rate: rate("logweir_output_documents_total", &delivered),
                lag_documents: self.sum("logweir_output_lag_documents", &wanted),
                lag_seconds: self.sum("logweir_output_lag_seconds", &wanted),
                state: states.pop().map_or_else(String::new, |(state, _)| state),
                name: output,
            }
        };
        let inputs = self.values("logweir_input_lag_bytes", "input", &own);
        let outputs = self.values("logweir_output_lag_documents", "output", &own);
        PipelineFigures {
            inputs: inputs.into_iter().map(input).collect(),
            outputs: outputs.into_iter().map(output).collect(),
            journaled_rate: rate("logweir_events_journaled_total", &own),
            journal_bytes: self.sum("logweir_journal_bytes", &own),
            journal_limit: self.sum("logweir_journal_limit_bytes", &own),
            dropped: self.by("logweir_events_dropped_total", "reason", &own),
            dead_letters: self.sum("logweir_dead_letters", &own),
            dead_letters_bytes: self.sum("logweir_dead_letters_bytes", &own),
            failures: self.by("logweir_filter_failures_total", "filter", &own),
            name,
        }
    }

    /// The process; `seconds` since `before`.
    pub fn process(&self, before: &Figures, seconds: f64) -> ProcessFigures {
        let one = |name: &str| self.sum(name, &[]);
        let spent = one("process_cpu_seconds_total") - before.sum("process_cpu_seconds_total", &[]);
        ProcessFigures {
            cores: if seconds > 0.0 { spent.max(0.0) / seconds } else { 0.0 },
            resident: one("process_resident_memory_bytes"),
            descriptors: one("process_open_fds"),
            buffers: one("logweir_memory_budget_bytes"),
            buffers_limit: one("logweir_memory_limit_bytes"),
            started: one("process_start_time_seconds"),
        }
    }
}

fn has(labels: &Labels, wanted: &[(&str, &str)]) -> bool {
    wanted.iter().all(|(key, value)| labels.iter().any(|(k, v)| k == key && v == value))
}

/// `a="b",c="d"}` as pairs; `\\`, `\"` and `\n` are the signs that they stand for.
fn labels_of(text: &str) -> Labels {
    let mut labels = Vec::new();
    let mut rest = text;
    while let Some((key, behind)) = rest.split_once("=\"") {
        let mut value = String::new();
        let mut characters = behind.char_indices();
        let mut end = behind.len();
        while let Some((at, c)) = characters.next() {
            match c {
                '"' => {
                    end = at + 1;
                    break;
                }
                '\\' => match characters.next() {
                    Some((_, 'n')) => value.push('\n'),
                    Some((_, other)) => value.push(other),
                    None => {}
                },
                other => value.push(other),
            }
        }
        labels.push((key.trim_start_matches(',').to_string(), value));
        rest = &behind[end..];
    }
    labels
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = "# HELP x y\nlogweir_journal_bytes{pipeline=\"a\"} 10\n\
        logweir_events_read_total{pipeline=\"a\",input=\"i\"} 100\nprocess_cpu_seconds_total 1.00\n";
    const NOW: &str = "logweir_journal_bytes{pipeline=\"a\"} 20\nlogweir_journal_limit_bytes{pipeline=\"a\"} 40\n\
        logweir_events_read_total{pipeline=\"a\",input=\"i\"} 300\nlogweir_input_lag_bytes{pipeline=\"a\",input=\"i\"} 7\n\
        logweir_output_lag_documents{pipeline=\"a\",output=\"o\"} 5\n\
        logweir_part_state{part=\"a/outputs.o\",state=\"ok\"} 0\nlogweir_part_state{part=\"a/outputs.o\",state=\"paused\"} 1\n\
        logweir_dead_letters{pipeline=\"a\"} 3\n\
        process_cpu_seconds_total 2.00\n";

    #[test]
    fn rates_and_levels_of_each_part() {
        let (before, now) = (Figures::parse(BEFORE), Figures::parse(NOW));
        let mut pipelines = now.pipelines(&before, 2.0);
        let one = pipelines.pop().unwrap();
        assert!(pipelines.is_empty());
        assert_eq!((one.name.as_str(), one.journal_bytes, one.journal_limit), ("a", 20.0, 40.0));
        let input = &one.inputs[0];
        assert_eq!((input.name.as_str(), input.events_rate, input.lag_bytes), ("i", 100.0, 7.0));
        let output = &one.outputs[0];
        assert_eq!((output.state.as_str(), output.lag_documents), ("paused", 5.0));
        assert_eq!(one.dead_letters.to_string(), "3");
        assert_eq!(now.process(&before, 2.0).cores.to_string(), "0.5");
        assert_eq!(now.pipelines(&Figures::default(), 0.0)[0].journaled_rate.to_string(), "0");
    }

    #[test]
    fn labels_are_read_as_they_are_written() {
        let labels = labels_of("a=\"x\\\"y\\\\\",b=\"1,c=\\\"\"}");
        let wanted = [("a", "x\"y\\"), ("b", "1,c=\"")];
        let wanted: Labels = wanted.map(|(k, v)| (k.to_string(), v.to_string())).into();
        assert_eq!(labels, wanted);
        assert_eq!(labels_of(""), Labels::new());
    }
}
