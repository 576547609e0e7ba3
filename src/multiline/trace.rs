//! What may follow each part of a trace.
//!
//! In: the part before, and a line. Out: how the line belongs to it, or `Alone` where it does not.
//! Promises: blank lines are never surely a part until a line of the trace follows them. On
//! failure: nothing can fail.

use super::class;
use super::preset::{Languages, Preset, Trace};
use super::{State, Verdict};

/// Lines of an exception's message, after its first one, that are looked at for the frames that must follow.
const MESSAGE_LINES_MAX: u8 = 8;

fn join(trace: Trace) -> Verdict {
    Verdict::Join(State::Trace(trace))
}

fn perhaps(trace: Trace) -> Verdict {
    Verdict::Perhaps(State::Trace(trace))
}

impl Preset {
    /// How a line belongs to the trace that is held.
    pub(super) fn follow(&self, before: Trace, line: &[u8]) -> Verdict {
        match before {
            Trace::Level => self.after_level(line),
            Trace::Header(lines) => self.after_header(lines, line),
            Trace::At | Trace::NodeProperties => self.after_at(before, line),
            Trace::NodeGap | Trace::NodePlace | Trace::NodeCode | Trace::NodeCaret => {
                after_node(before, line)
            }
            Trace::PythonFrames => self.after_python_frames(line),
            Trace::PythonEnd | Trace::PythonGap | Trace::PythonChain => after_python(before, line),
            Trace::GoPanic => after_panic(line),
            Trace::GoStack | Trace::GoGap | Trace::GoRegisters => after_goroutine(before, line),
            Trace::RubyHeader | Trace::RubyGap | Trace::RubyCode | Trace::RubyFrames => {
                after_ruby(before, line)
            }
        }
    }

    /// The first line of a trace below a log line that announced it.
    fn after_level(&self, line: &[u8]) -> Verdict {
        let is = |languages| self.languages.has(languages);
        let named = Languages::JAVA.or(Languages::NODE).or(Languages::RUBY);
        if is(Languages::JAVA.or(Languages::NODE)) && class::is_at_frame(line) {
            return join(Trace::At);
        }
        if is(Languages::RUBY) && class::is_ruby_frame(line) {
            return join(Trace::RubyFrames);
        }
        if is(Languages::PYTHON) && class::is_traceback(line) {
            return join(python_traceback(line));
        }
        if is(named) && class::begins_with_exception(line) {
            return join(Trace::Header(0));
        }
        Verdict::Alone
    }

    /// After an exception's name: frames, or further lines of its message.
    fn after_header(&self, lines: u8, line: &[u8]) -> Verdict {
        let is = |languages| self.languages.has(languages);
        if class::is_at_frame(line) || class::is_frame_note(line) {
            return join(at_or_properties(line));
        }
        if is(Languages::RUBY) && class::is_ruby_frame(line) {
            return join(Trace::RubyFrames);
        }
        if class::is_cause(line) {
            return join(Trace::Header(0));
        }
        if is(Languages::PYTHON) && class::is_traceback(line) {
            return join(python_traceback(line));
        }
        let message = !class::is_record(line) && self.begin(line).is_none();
        let more = message && lines < MESSAGE_LINES_MAX;
        if more { perhaps(Trace::Header(lines + 1)) } else { Verdict::Alone }
    }

    fn after_at(&self, before: Trace, line: &[u8]) -> Verdict {
        if before == Trace::NodeProperties {
            if class::is_indented(line) {
                return join(Trace::NodeProperties);
            }
            return if line.starts_with(b"}") { join(Trace::At) } else { Verdict::Alone };
        }
        if class::is_at_frame(line) || class::is_frame_note(line) {
            return join(at_or_properties(line));
        }
        if class::is_cause(line) {
            return join(Trace::Header(0));
        }
        let node = self.languages.has(Languages::NODE);
        if node && class::is_blank(line) { perhaps(Trace::NodeGap) } else { Verdict::Alone }
    }

    fn after_python_frames(&self, line: &[u8]) -> Verdict {
        if class::is_indented(line) {
            return join(Trace::PythonFrames);
        }
        if self.languages.has(Languages::RUBY) && class::is_ruby_header(line) {
            return join(Trace::RubyHeader);
        }
        if class::is_python_exception(line) { join(Trace::PythonEnd) } else { Verdict::Alone }
    }
}

/// What a traceback's first line begins.
pub(super) fn python_traceback(line: &[u8]) -> Trace {
    if class::is_group_traceback(line) { Trace::PythonEnd } else { Trace::PythonFrames }
}

fn at_or_properties(line: &[u8]) -> Trace {
    if line.ends_with(b" {") { Trace::NodeProperties } else { Trace::At }
}

fn after_node(before: Trace, line: &[u8]) -> Verdict {
    let blank = class::is_blank(line);
    match before {
        Trace::NodeGap if line.starts_with(b"Node.js v") => Verdict::JoinLast,
        Trace::NodePlace if !blank => perhaps(Trace::NodeCode),
        Trace::NodeCode if class::is_caret(line) => join(Trace::NodeCaret),
        Trace::NodeCaret if blank => perhaps(Trace::NodeCaret),
        Trace::NodeCaret if class::begins_with_exception(line) => join(Trace::Header(0)),
        _ => Verdict::Alone,
    }
}

fn after_python(before: Trace, line: &[u8]) -> Verdict {
    let blank = class::is_blank(line);
    match before {
        Trace::PythonEnd if blank => perhaps(Trace::PythonGap),
        Trace::PythonEnd if class::is_indented(line) => join(Trace::PythonEnd),
        Trace::PythonGap if class::is_python_chain(line) => join(Trace::PythonChain),
        Trace::PythonChain if blank => perhaps(Trace::PythonChain),
        Trace::PythonChain if class::is_traceback(line) => join(python_traceback(line)),
        _ => Verdict::Alone,
    }
}

fn after_panic(line: &[u8]) -> Verdict {
    if class::is_blank(line) {
        return perhaps(Trace::GoPanic);
    }
    if class::is_goroutine(line) || line.starts_with(b"runtime stack:") {
        return join(Trace::GoStack);
    }
    let more =
        class::is_indented(line) || line.starts_with(b"[signal ") || line.starts_with(b"PC=");
    if more { join(Trace::GoPanic) } else { Verdict::Alone }
}

fn after_goroutine(before: Trace, line: &[u8]) -> Verdict {
    let stack = before == Trace::GoStack;
    if class::is_blank(line) {
        return if before == Trace::GoGap { Verdict::Alone } else { perhaps(Trace::GoGap) };
    }
    if class::is_goroutine(line) || line.starts_with(b"runtime stack:") {
        return join(Trace::GoStack);
    }
    if stack && (line.starts_with(b"\t") || class::is_go_call(line)) {
        return join(Trace::GoStack);
    }
    if line.starts_with(b"exit status ") {
        return Verdict::JoinLast;
    }
    if !stack && class::is_register(line) { join(Trace::GoRegisters) } else { Verdict::Alone }
}

fn after_ruby(before: Trace, line: &[u8]) -> Verdict {
    let blank = class::is_blank(line);
    let header = before == Trace::RubyHeader;
    match before {
        Trace::RubyGap => return if blank { Verdict::Alone } else { perhaps(Trace::RubyCode) },
        Trace::RubyCode => {
            return if class::is_caret(line) { join(Trace::RubyHeader) } else { Verdict::Alone };
        }
        _ => {}
    }
    if class::is_ruby_frame(line) || class::is_frame_note(line) {
        return join(Trace::RubyFrames);
    }
    if line.starts_with(b"Did you mean?") {
        return join(before);
    }
    if !header && class::is_ruby_header(line) {
        return join(Trace::RubyHeader);
    }
    if header && blank { perhaps(Trace::RubyGap) } else { Verdict::Alone }
}
