//! `logweir grok`: patterns tried on lines of standard input.
//!
//! In: patterns, lines. Out: one JSON object a line with the captured fields, `null` where no pattern matches.
//! On failure: a pattern that cannot be compiled is shown with a caret; exit code 64.

use std::io::{BufRead, Write};
use std::sync::Arc;

use super::{EcsMode, FAILED, GrokArguments, OK, USAGE, say};
use crate::diagnostic::{Diagnostic, SourceText};
use crate::event::{Batch, Keys, Source, SourceKind, Value};
use crate::filter::grok::{Matcher, Tried};
use crate::grok::{Ecs, Grok, GrokError, Options, Scratch};

pub(super) fn run(arguments: &GrokArguments) -> u8 {
    let ecs = if arguments.ecs == EcsMode::Disabled { Ecs::Disabled } else { Ecs::V1 };
    let mut definitions = Vec::new();
    for given in &arguments.definitions {
        let Some((name, regex)) = given.split_once('=') else {
            eprintln!("error: `{given}` is not a definition\n  = hint: write NAME=REGEX");
            return USAGE;
        };
        definitions.push((name.to_string(), regex.to_string()));
    }
    let grok = match Grok::compile(&arguments.patterns, &definitions, ecs, Options::default()) {
        Ok(grok) => grok,
        Err(error) => {
            eprint!("{}", diagnostic(&error, &arguments.patterns));
            return USAGE;
        }
    };
    if arguments.explain {
        say(grok.explain());
        return OK;
    }
    let mut keys = Keys::default();
    let matcher = Matcher::new(grok, arguments.patterns.len(), None, &[], &mut keys);
    match lines(&matcher, keys, arguments.json) {
        Ok(code) => code,
        Err(why) if why.kind() == std::io::ErrorKind::BrokenPipe => OK,
        Err(why) => {
            eprintln!("error: cannot go on\n  = because: {why}");
            FAILED
        }
    }
}

fn diagnostic(error: &GrokError, patterns: &[String]) -> Diagnostic {
    let text = patterns.get(error.pattern).cloned().unwrap_or_default();
    let at = error.offset.min(text.len());
    let name = format!("pattern {}", error.pattern + 1);
    let source = Arc::new(SourceText { name, text });
    Diagnostic::error(error.message()).at(&source, at..at + 1).maybe_hint(error.hint.clone())
}

fn lines(matcher: &Matcher, keys: Keys, json: bool) -> std::io::Result<u8> {
    let kind = SourceKind::Stream;
    let source = Arc::new(Source { id: 0, input: "".into(), kind, fields: Vec::new() });
    let mut batch = Batch::new(Arc::new(keys), Arc::clone(&source));
    let mut scratch = Scratch::default();
    let (mut stdin, mut stdout) = (std::io::stdin().lock(), std::io::stdout().lock());
    let (mut line, mut code) = (Vec::new(), OK);
    loop {
        line.clear();
        if stdin.read_until(b'\n', &mut line)? == 0 {
            return Ok(code);
        }
        if line.last() == Some(&b'\n') {
            line.pop();
        }
        let mut out = Vec::new();
        match text_of(&line, json) {
            Ok(text) => {
                batch.recycle(text, Arc::clone(&source));
                captured(matcher, &mut scratch, &mut batch, &mut out);
            }
            Err(why) => {
                eprintln!("error: this line is not a JSON string: {why}");
                out.extend_from_slice(b"null");
                code = FAILED;
            }
        }
        out.push(b'\n');
        stdout.write_all(&out)?;
    }
}

fn text_of(line: &[u8], json: bool) -> Result<Vec<u8>, serde_json::Error> {
    if json { Ok(serde_json::from_slice::<String>(line)?.into_bytes()) } else { Ok(line.to_vec()) }
}

fn captured(matcher: &Matcher, scratch: &mut Scratch, batch: &mut Batch, out: &mut Vec<u8>) {
    let text = crate::event::Span::new(0, batch.text.len());
    let event = batch.add_event(0, 0);
    match matcher.apply(scratch, batch, event, text) {
        Tried::Matched => batch.write_json(Value::Object(batch.events[event].root), out),
        Tried::Failed | Tried::TimedOut => out.extend_from_slice(b"null"),
    }
}
