//! Standard output, with a writer of the test in its place.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use super::*;
use crate::output::stage::Stage;
use crate::storage;

/// Bytes that were written, each time to its end or with this error.
#[derive(Clone, Default)]
struct Screen {
    text: Arc<Mutex<Vec<u8>>>,
    closed: bool,
}

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.closed {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        self.text.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn start(format: Format, closed: bool) -> (Stage, Screen) {
    let screen = Screen { closed, ..Screen::default() };
    let (stage, context) = Stage::new(storage::disk());
    let writer = screen.clone();
    tokio::spawn(print(format, context, move || writer.clone()));
    (stage, screen)
}

fn shown(screen: &Screen) -> String {
    String::from_utf8(screen.text.lock().unwrap().clone()).unwrap()
}

#[tokio::test]
async fn documents_are_lines_and_those_of_other_outputs_are_left_out() {
    let (mut stage, screen) = start(Format::Json, false);
    let texts = [("stdout", "{\"n\":1}"), ("", "{\"n\":2}"), ("stdout", "{\"n\":3}")];
    let first = stage.frame(&texts.map(|(to, text)| (to, text.to_string())));
    stage.until_done(first).await;
    assert_eq!(shown(&screen), "{\"n\":1}\n{\"n\":3}\n");
    assert_eq!(stage.counted("logweir_output_documents_total{result=\"delivered\"}"), 2);
    assert_eq!(stage.state(), State::Fine);
}

#[tokio::test]
async fn the_form_for_people_shows_names_and_values() {
    let (mut stage, screen) = start(Format::Pretty, false);
    let last = stage.frame(&[("stdout", "{\"level\":\"INFO\",\"n\":{\"a\":[1]}}".to_string())]);
    stage.until_done(last).await;
    let text = shown(&screen);
    assert!(text.contains("\"level\" => \"INFO\""), "{text}");
    assert!(text.contains("\"a\" => ["), "{text}");
}

#[tokio::test]
async fn a_closed_standard_output_pauses_and_nothing_is_done() {
    let (mut stage, _) = start(Format::Json, true);
    stage.frame(&[("stdout", "{}".to_string())]);
    let why = loop {
        if let State::Paused(why) = stage.state() {
            break why;
        }
        tokio::task::yield_now().await;
    };
    assert!(why.starts_with("cannot write to standard output: broken pipe"), "{why}");
    assert!(why.ends_with("restart with a reader at the other end"), "{why}");
    assert_eq!(*stage.done.borrow(), 0);
    stage.stop.send_replace(true);
}
