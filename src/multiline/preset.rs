//! Which lines belong together, by knowledge of stack traces.
//!
//! In: lines. Out: verdicts. Promises: a line holds up an event only if it can begin a trace: it
//! names an exception, has a level such as `ERROR` (loggers print the trace on the lines that
//! follow), or is a part of a trace itself. Any other line is given out at once; so is every line
//! that begins with `{`.
//! On failure: an unknown name is reported with the nearest known one.

use regex::bytes::Regex;

use super::class;
use super::trace::python_traceback;
use super::{State, Verdict};
use crate::settings::Section;

/// A part of a trace, named for the line before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trace {
    /// A line with a level such as `ERROR`.
    Level,
    /// A line that names an exception, then so many lines of its message.
    Header(u8),
    /// Frames that begin with `at`.
    At,
    /// The properties of a Node.js error, in braces.
    NodeProperties,
    /// A blank line after the frames of Node.js.
    NodeGap,
    /// Where an uncaught error of Node.js happened.
    NodePlace,
    /// The code at that place.
    NodeCode,
    /// The `^` under it.
    NodeCaret,
    /// A Python traceback before its exception.
    PythonFrames,
    /// The exception, or a group of exceptions.
    PythonEnd,
    /// A blank line after it.
    PythonGap,
    /// The sentence that links two tracebacks.
    PythonChain,
    /// A panic before its goroutines.
    GoPanic,
    /// A goroutine.
    GoStack,
    /// A blank line after it.
    GoGap,
    /// Registers.
    GoRegisters,
    /// A Ruby error's first line.
    RubyHeader,
    /// A blank line after it.
    RubyGap,
    /// The code that is to blame.
    RubyCode,
    /// Frames.
    RubyFrames,
}

/// The first byte of a part's two bytes, where all but [`Trace::Header`] have a number.
const PLAIN: u8 = 2;
/// Of [`Trace::Header`].
const HEADER: u8 = 3;

impl Trace {
    /// All but the header, by the number that stands for them in a journal: never change their order.
    pub(super) const PLAIN: [Trace; 19] = [
        Trace::Level,
        Trace::At,
        Trace::NodeProperties,
        Trace::NodeGap,
        Trace::NodePlace,
        Trace::NodeCode,
        Trace::NodeCaret,
        Trace::PythonFrames,
        Trace::PythonEnd,
        Trace::PythonGap,
        Trace::PythonChain,
        Trace::GoPanic,
        Trace::GoStack,
        Trace::GoGap,
        Trace::GoRegisters,
        Trace::RubyHeader,
        Trace::RubyGap,
        Trace::RubyCode,
        Trace::RubyFrames,
    ];

    pub(super) fn written(self) -> [u8; 2] {
        if let Trace::Header(lines) = self {
            return [HEADER, lines];
        }
        let number = Trace::PLAIN.iter().position(|trace| *trace == self);
        [PLAIN, number.map_or(u8::MAX, |number| number as u8)]
    }

    pub(super) fn read(bytes: [u8; 2]) -> Option<Trace> {
        match bytes {
            [PLAIN, number] => Trace::PLAIN.get(usize::from(number)).copied(),
            [HEADER, lines] => Some(Trace::Header(lines)),
            _ => None,
        }
    }
}

/// Languages, as a set of bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Languages(u8);

impl Languages {
    pub(super) const JAVA: Languages = Languages(1);
    pub(super) const PYTHON: Languages = Languages(2);
    pub(super) const GO: Languages = Languages(4);
    pub(super) const RUBY: Languages = Languages(8);
    pub(super) const NODE: Languages = Languages(16);
    pub(super) const ANY: Languages = Languages(31);

    /// Whether one of `others` is in this set.
    pub(super) fn has(self, others: Languages) -> bool {
        self.0 & others.0 != 0
    }

    pub(super) const fn or(self, other: Languages) -> Languages {
        Languages(self.0 | other.0)
    }
}

/// See the module.
pub(super) struct Preset {
    pub(super) languages: Languages,
    /// Finds a line without any of these words to be an ordinary one, quickly.
    words: Regex,
}

impl Preset {
    /// Reads `preset`; `None` when it is wrong, which was reported.
    pub(super) fn load(section: &Section<'_>) -> Option<Preset> {
        let choices = [
            ("java", Languages::JAVA),
            ("python", Languages::PYTHON),
            ("go", Languages::GO),
            ("ruby", Languages::RUBY),
            ("node", Languages::NODE),
            ("any", Languages::ANY),
        ]
        .map(|(name, languages)| (name, Some(languages)));
        section.choice_or("preset", &choices, None).map(Preset::new)
    }

    pub(super) fn new(languages: Languages) -> Preset {
        let words =
            r"ERROR|WARN|FATAL|SEVERE|CRITICAL|Exception|Error|Throwable|Traceback|panic|:in ";
        // A list of words is a valid pattern.
        let words = Regex::new(words).expect("a list of words");
        Preset { languages, words }
    }

    pub(super) fn verdict(&self, state: State, line: &[u8]) -> Verdict {
        if let State::Trace(trace) = state {
            let verdict = self.follow(trace, line);
            if verdict != Verdict::Alone {
                return verdict;
            }
        }
        self.begin(line).map_or(Verdict::Alone, |trace| Verdict::Begin(State::Trace(trace)))
    }

    /// What a line begins, if it begins a trace.
    pub(super) fn begin(&self, line: &[u8]) -> Option<Trace> {
        const AT: Languages = Languages::JAVA.or(Languages::NODE);
        let is = |languages| self.languages.has(languages);
        match line.first()? {
            b'{' => return None,
            b' ' | b'\t' => {
                if is(AT) && (class::is_at_frame(line) || class::is_frame_note(line)) {
                    return Some(Trace::At);
                }
                if is(Languages::PYTHON) && class::is_python_frame(line) {
                    return Some(Trace::PythonFrames);
                }
                if is(Languages::RUBY) && class::is_ruby_frame(line) {
                    return Some(Trace::RubyFrames);
                }
            }
            b'/' | b'f' | b'n' if is(Languages::NODE) && class::is_node_place(line) => {
                return Some(Trace::NodePlace);
            }
            b'g' if is(Languages::GO) && class::is_goroutine(line) => return Some(Trace::GoStack),
            b'p' | b'f' | b'S' if is(Languages::GO) && class::is_go_panic(line) => {
                return Some(Trace::GoPanic);
            }
            b'C' | b'W' if is(AT) && class::is_cause(line) => return Some(Trace::Header(0)),
            _ => {}
        }
        if self.words.is_match(line) { self.begin_by_word(line) } else { None }
    }

    fn begin_by_word(&self, line: &[u8]) -> Option<Trace> {
        const NAMED: Languages = Languages::JAVA.or(Languages::NODE).or(Languages::RUBY);
        const LEVELLED: Languages = NAMED.or(Languages::PYTHON);
        let is = |languages| self.languages.has(languages);
        if is(Languages::PYTHON.or(Languages::RUBY)) && class::is_traceback(line) {
            return Some(python_traceback(line));
        }
        if is(Languages::GO) && class::is_go_panic(line) {
            return Some(Trace::GoPanic);
        }
        if is(Languages::RUBY) && class::is_ruby_header(line) {
            return Some(Trace::RubyHeader);
        }
        if is(Languages::RUBY) && class::is_ruby_frame(line) {
            return Some(Trace::RubyFrames);
        }
        if is(NAMED) && (class::begins_with_exception(line) || class::names_exception(line)) {
            return Some(Trace::Header(0));
        }
        (is(LEVELLED) && class::has_error_level(line)).then_some(Trace::Level)
    }
}
