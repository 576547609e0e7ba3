//! What a single line looks like to somebody who knows stack traces.
//!
//! In: one line. Out: yes or no. Promises: plain byte comparisons, time linear in the line. The
//! forms are those that the runtimes print: Java `Throwable.printStackTrace`, Python `traceback`,
//! Go `runtime/traceback.go`, Ruby `Exception#full_message`, Node.js (V8 stack trace API).
//! On failure: nothing can fail.

use memchr::memmem;

/// Words of log levels that mean that something went wrong, so that a trace may follow on the next line.
const LEVELS: [&[u8]; 6] = [b"ERROR", b"WARN", b"WARNING", b"FATAL", b"SEVERE", b"CRITICAL"];

/// How far into a line a level is looked for, in bytes.
const LEVEL_WITHIN: usize = 256;

pub(super) fn is_blank(line: &[u8]) -> bool {
    line.iter().all(u8::is_ascii_whitespace)
}

pub(super) fn is_indented(line: &[u8]) -> bool {
    matches!(line.first(), Some(b' ' | b'\t'))
}

/// `\tat com.acme.Foo.bar(Foo.java:12)`, `    at foo (/app/x.js:3:9)`.
pub(super) fn is_at_frame(line: &[u8]) -> bool {
    is_indented(line) && line.trim_ascii_start().starts_with(b"at ")
}

/// `\t... 12 more`, `    ... 4 lines matching cause stack trace ...`, `\t- locked <0x…>`, `\t--- End of …`.
pub(super) fn is_frame_note(line: &[u8]) -> bool {
    let text = line.trim_ascii_start();
    let marks: [&[u8]; 4] = [b"... ", b"- locked ", b"- waiting ", b"--- End of "];
    is_indented(line) && marks.iter().any(|mark| text.starts_with(mark))
}

/// `Caused by: …`, `\tSuppressed: …`, `Wrapped by: …`.
pub(super) fn is_cause(line: &[u8]) -> bool {
    let text = line.trim_ascii_start();
    let marks: [&[u8]; 4] =
        [b"Caused by: ", b"Suppressed: ", b"Wrapped by: ", b"nested exception is"];
    marks.iter().any(|mark| text.starts_with(mark))
}

/// `java.lang.IllegalStateException: boom`, `TypeError: x`, `Exception in thread "main" …`, `com.acme.Oops`.
pub(super) fn begins_with_exception(line: &[u8]) -> bool {
    if line.starts_with(b"Exception in thread ") {
        return true;
    }
    let line = line.strip_prefix(b"Uncaught ").unwrap_or(line);
    let of_name = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'$' | b'/');
    let end = line.iter().position(|b| !of_name(b)).unwrap_or(line.len());
    let (name, rest) = line.split_at(end);
    if !ends_a_header(rest) || !name.first().is_some_and(u8::is_ascii_alphabetic) {
        return false;
    }
    let last = name.rsplit(|b| *b == b'.').next().unwrap_or(name);
    let qualified = last.len() < name.len() && last.first().is_some_and(u8::is_ascii_uppercase);
    qualified || is_exception_name(last)
}

/// An exception's name anywhere in the line, followed by what follows such a name in a header.
pub(super) fn names_exception(line: &[u8]) -> bool {
    let words: [&[u8]; 3] = [b"Exception", b"Error", b"Throwable"];
    words
        .iter()
        .any(|word| memmem::find_iter(line, word).any(|at| ends_a_header(&line[at + word.len()..])))
}

/// A level that announces trouble, as a word of its own.
pub(super) fn has_error_level(line: &[u8]) -> bool {
    has_word(line, &LEVELS)
}

/// What a logger writes at the start of an event: a time, a level, or a JSON object.
pub(super) fn is_record(line: &[u8]) -> bool {
    let quiet: [&[u8]; 9] =
        [b"INFO", b"DEBUG", b"TRACE", b"NOTICE", b"info", b"debug", b"notice", b"warn", b"error"];
    let marked = line.first().is_some_and(|b| b.is_ascii_digit() || b"[{<".contains(b));
    marked || has_word(line, &quiet)
}

fn has_word(line: &[u8], words: &[&[u8]]) -> bool {
    let head = &line[..line.len().min(LEVEL_WITHIN)];
    let apart = |b: Option<&u8>| !b.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
    words.iter().any(|word| {
        memmem::find_iter(head, word).any(|at| {
            apart(at.checked_sub(1).and_then(|n| head.get(n))) && apart(head.get(at + word.len()))
        })
    })
}

/// `ValueError: x`, `app.errors.Rejected`, `SystemExit: 1`: the last line of a Python traceback.
pub(super) fn is_python_exception(line: &[u8]) -> bool {
    let of_name = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_') || *b >= 0x80;
    let end = line.iter().position(|b| !of_name(b)).unwrap_or(line.len());
    let named = line.first().is_some_and(|b| !b.is_ascii_digit());
    let rest = &line[end..];
    end > 0 && named && (rest.is_empty() || rest == b":" || rest.starts_with(b": "))
}

pub(super) fn is_traceback(line: &[u8]) -> bool {
    line.trim_ascii_end().ends_with(b"Traceback (most recent call last):")
}

/// Its exceptions are indented as its frames are: `  + Exception Group Traceback (most recent call last):`.
pub(super) fn is_group_traceback(line: &[u8]) -> bool {
    is_traceback(line) && memmem::find(line, b"Exception Group Traceback").is_some()
}

/// `  File "/app/x.py", line 3, in run`.
pub(super) fn is_python_frame(line: &[u8]) -> bool {
    is_indented(line) && line.trim_ascii_start().starts_with(b"File \"")
}

/// What stands between two Python tracebacks of which one led to the other.
pub(super) fn is_python_chain(line: &[u8]) -> bool {
    line.starts_with(b"During handling of the above exception, another exception")
        || line.starts_with(b"The above exception was the direct cause of")
}

/// `panic: …`, `fatal error: …`, `SIGQUIT: quit`, `2026/11/22 01:02:03 http: panic serving …`.
pub(super) fn is_go_panic(line: &[u8]) -> bool {
    let marks: [&[u8]; 6] =
        [b"panic: ", b"fatal error: ", b"SIGQUIT: ", b"SIGABRT: ", b"SIGSEGV: ", b"SIGBUS: "];
    marks.iter().any(|mark| line.starts_with(mark))
        || memmem::find(line, b"http: panic serving ").is_some()
}

/// `goroutine 17 [chan receive, 5 minutes]:`.
pub(super) fn is_goroutine(line: &[u8]) -> bool {
    let Some(rest) = line.strip_prefix(b"goroutine ") else { return false };
    let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    let running = rest.starts_with(b"running on other thread");
    running || (digits > 0 && line.trim_ascii_end().ends_with(b":"))
}

/// `main.(*Server).run(0xc000012345, {0x1, 0x2})`, `created by main.main`, `...additional frames elided...`.
pub(super) fn is_go_call(line: &[u8]) -> bool {
    if line.starts_with(b"created by ") || (line.starts_with(b"...") && line.ends_with(b"...")) {
        return true;
    }
    let Some(open) = memchr::memchr(b'(', line) else { return false };
    let name = &line[..open];
    let named = name == b"panic" || name.contains(&b'.');
    named && !name.contains(&b' ') && line.trim_ascii_end().ends_with(b")")
}

/// `rax    0xca`: a processor's register, printed after the goroutines when a signal ended the process.
pub(super) fn is_register(line: &[u8]) -> bool {
    let Some(gap) = line.iter().position(|b| *b == b' ' || *b == b'\t') else { return false };
    let short = (2..=6).contains(&gap) && line[..gap].iter().all(u8::is_ascii_alphanumeric);
    short && line[gap..].trim_ascii_start().starts_with(b"0x")
}

/// ``app.rb:3:in `run': boom (RuntimeError)``; since Ruby 3.4 the first quote is `'`.
pub(super) fn is_ruby_header(line: &[u8]) -> bool {
    ruby_method_end(line).is_some_and(|rest| rest.starts_with(b": "))
}

/// ``app.rb:3:in `run'``, alone, or after `\tfrom `.
pub(super) fn is_ruby_frame(line: &[u8]) -> bool {
    let text = line.trim_ascii_start();
    let from = is_indented(line) && text.starts_with(b"from ");
    from || ruby_method_end(text).is_some_and(<[u8]>::is_empty)
}

/// What follows the method's name.
fn ruby_method_end(line: &[u8]) -> Option<&[u8]> {
    let at = memmem::find(line, b":in ")?;
    let before = line[..at].iter().rev().take_while(|b| b.is_ascii_digit()).count();
    let numbered = before > 0 && line[..at - before].ends_with(b":");
    let rest = line[at + 4..].strip_prefix(b"`").or_else(|| line[at + 4..].strip_prefix(b"'"))?;
    let quote = memchr::memchr(b'\'', rest)?;
    numbered.then(|| &rest[quote + 1..])
}

/// `   ^^^^^`, under the code that a runtime blames.
pub(super) fn is_caret(line: &[u8]) -> bool {
    let text = line.trim_ascii();
    !text.is_empty() && text.iter().all(|b| matches!(b, b'^' | b'~')) && text.contains(&b'^')
}

/// `/app/server.js:12`, `file:///app/x.mjs:3`, `node:internal/modules/loader:936`.
pub(super) fn is_node_place(line: &[u8]) -> bool {
    let digits = line.iter().rev().take_while(|b| b.is_ascii_digit()).count();
    let place = &line[..line.len() - digits];
    let rooted = place.starts_with(b"/") || place.starts_with(b"file://");
    let script: [&[u8]; 6] = [b".js:", b".cjs:", b".mjs:", b".ts:", b".mts:", b".cts:"];
    let known = place.starts_with(b"node:internal/") && place.ends_with(b":");
    digits > 0 && (known || (rooted && script.iter().any(|end| place.ends_with(end))))
}

fn is_exception_name(name: &[u8]) -> bool {
    name.ends_with(b"Exception") || name.ends_with(b"Error") || name.ends_with(b"Throwable")
}

/// What may follow an exception's name: nothing, `: message`, ` [CODE]`, ` (message)`.
fn ends_a_header(rest: &[u8]) -> bool {
    rest.is_empty()
        || rest.starts_with(b":")
        || rest.starts_with(b" [")
        || rest.starts_with(b" (")
        || rest.starts_with(b")")
}
