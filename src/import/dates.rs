//! Forms of times: Joda-Time and java.time letters, and `strftime` directives.
//!
//! In: a form. Out: the same in the other language. Promises: a form is never changed in its meaning.
//! On failure: the letters that have no counterpart.

/// Joda-Time letters with the directives that write the same in UTC.
const LETTERS: [(&str, &str); 26] = [
    ("YYYY", "%Y"),
    ("yyyy", "%Y"),
    ("uuuu", "%Y"),
    ("xxxx", "%G"),
    ("YY", "%y"),
    ("yy", "%y"),
    ("MMMM", "%B"),
    ("MMM", "%b"),
    ("MM", "%m"),
    ("M", "%m"),
    ("DDD", "%j"),
    ("dd", "%d"),
    ("d", "%d"),
    ("HH", "%H"),
    ("H", "%H"),
    ("mm", "%M"),
    ("m", "%M"),
    ("ss", "%S"),
    ("s", "%S"),
    ("SSS", "%L"),
    ("ww", "%V"),
    ("w", "%V"),
    ("EEEE", "%A"),
    ("EEE", "%a"),
    ("E", "%a"),
    ("e", "%u"),
];

/// A form of Joda-Time (as in `%{+YYYY.MM.dd}`) in `strftime` directives.
///
/// # Errors
/// The letters that have no directive.
pub fn strftime_of_joda(form: &str) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = form;
    while let Some(first) = rest.chars().next() {
        if let Some(quoted) = rest.strip_prefix('\'') {
            let end = quoted.find('\'').unwrap_or(quoted.len());
            out.push_str(if end == 0 { "'" } else { &quoted[..end] });
            rest = quoted.get(end + 1..).unwrap_or_default();
            continue;
        }
        if !first.is_ascii_alphabetic() {
            out.push_str(if first == '%' { "%%" } else { &rest[..first.len_utf8()] });
            rest = &rest[first.len_utf8()..];
            continue;
        }
        let length = rest.chars().take_while(|c| *c == first).count();
        let letters = &rest[..length];
        match LETTERS.iter().find(|(known, _)| *known == letters) {
            Some((_, directive)) => out.push_str(directive),
            None if matches!(first, 'Y' | 'y' | 'u') && length != 2 => out.push_str("%Y"),
            None if first == 'Z' => out.push_str("%z"),
            None => {
                return Err(format!(
                    "the letters `{letters}` of the form `{form}` have no counterpart"
                ));
            }
        }
        rest = &rest[length..];
    }
    Ok(out)
}
