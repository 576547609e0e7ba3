//! Ruby's patterns as those of Lua, or of the library `regex` that scripts have.
//!
//! In: a pattern. Out: the same in the other language. Promises: what one of them cannot say is not guessed.
//! On failure: `None`.

/// A pattern that stands for one text.
pub(super) fn plain_of(pattern: &str) -> Option<String> {
    let mut out = String::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.push(chars.next().filter(char::is_ascii_punctuation)?),
            '.' | '*' | '+' | '?' | '|' | '(' | ')' | '[' | ']' | '{' | '}' | '^' | '$' => {
                return None;
            }
            c => out.push(c),
        }
    }
    Some(out)
}

/// A simple pattern of Ruby as one of Lua: characters, classes, `+`, `*`, `^`, `$`.
pub(super) fn lua_pattern(pattern: &str) -> Option<String> {
    let mut out = String::new();
    let mut chars = pattern.chars().peekable();
    let mut class = false;
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next()? {
                c @ ('s' | 'd' | 'S' | 'D') => out.extend(['%', c]),
                'w' if class => out.push_str("%w_"),
                'w' => out.push_str("[%w_]"),
                'n' => out.push('\n'),
                't' => out.push('\t'),
                'r' => out.push('\r'),
                c if c.is_ascii_punctuation() => out.extend(['%', c]),
                _ => return None,
            },
            '[' if !class => {
                class = true;
                out.push(c);
            }
            ']' if class => {
                class = false;
                out.push(c);
            }
            '+' | '*' | '^' | '$' | '.' => out.push(c),
            '-' if class => out.push(c),
            '%' | '-' => out.extend(['%', c]),
            '(' | ')' | '|' | '?' | '{' | '}' | '[' => return None,
            c => out.push(c),
        }
    }
    (!class).then_some(out)
}

/// A pattern of Ruby for the library `regex`; `^` and `$` are those of lines there, too.
pub(super) fn regex_of(pattern: &str) -> Option<String> {
    let mut out = String::from("(?m)");
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next()? {
            'h' => out.push_str("[0-9A-Fa-f]"),
            'Z' => out.push_str("\\z"),
            other => out.extend(['\\', other]),
        }
    }
    regex::bytes::Regex::new(&out).ok().map(|_| out)
}
