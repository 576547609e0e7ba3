//! `strftime` patterns such as `%Y-%m-%dT%H:%M:%S.%L%z`, as Fluentd users write them.
//!
//! In: a pattern with at least one `%`. Out: the steps for `pattern.rs`.
//! Promises: directives read what Ruby's `Time.strptime` reads; a blank in the pattern stands
//! for any blanks; `%L`, `%N` and `%f` take as many digits as there are; padding flags and
//! widths (`%-d`, `%3N`) are accepted.
//! On failure: the byte offset of the directive and what is wrong with it.
//!
//! Source: <https://docs.ruby-lang.org/en/master/strftime_formatting_rdoc.html>; POSIX strptime.

use super::fields::Field;
use super::pattern::{Pivot, Step};
use super::{DateFormatError, ErrorPart};

/// A fraction of a second takes every digit.
const FRACTION_DIGITS: u8 = u8::MAX;

/// Compiles a pattern.
pub fn compile(pattern: &str) -> Result<Vec<Step>, DateFormatError> {
    let mut steps = Vec::new();
    expand(pattern, &mut steps)?;
    limit_years(&mut steps);
    Ok(steps)
}

fn expand(pattern: &str, steps: &mut Vec<Step>) -> Result<(), DateFormatError> {
    let mut chars = pattern.char_indices().peekable();
    while let Some((offset, c)) = chars.next() {
        if c.is_ascii_whitespace() {
            if steps.last() != Some(&Step::Blanks) {
                steps.push(Step::Blanks);
            }
            continue;
        }
        if c != '%' {
            let mut buffer = [0; 4];
            steps.extend(c.encode_utf8(&mut buffer).bytes().map(Step::Byte));
            continue;
        }
        while chars.next_if(|(_, c)| "-_0^#:123456789".contains(*c)).is_some() {}
        let Some((_, letter)) = chars.next() else {
            let hint = Some("write %% for a percent sign".to_owned());
            return Err(error(offset, "`%` has no letter after it".to_owned(), hint));
        };
        directive(letter, offset, steps)?;
    }
    Ok(())
}

fn directive(letter: char, offset: usize, steps: &mut Vec<Step>) -> Result<(), DateFormatError> {
    let number = |field, max| Step::Number { field, max };
    let posix = |field| Step::ShortYear { field, lenient: false, pivot: Pivot::Posix };
    let whole = match letter {
        'F' => "%Y-%m-%d",
        'T' | 'X' => "%H:%M:%S",
        'R' => "%H:%M",
        'r' => "%I:%M:%S %p",
        'D' | 'x' => "%m/%d/%y",
        'v' => "%e-%b-%Y",
        'c' => "%a %b %e %H:%M:%S %Y",
        '+' => "%a %b %e %H:%M:%S %Z %Y",
        _ => "",
    };
    if !whole.is_empty() {
        return expand(whole, steps);
    }
    if matches!(letter, 'e' | 'k' | 'l') && steps.last() != Some(&Step::Blanks) {
        // These are padded with a blank.
        steps.push(Step::Blanks);
    }
    steps.push(match letter {
        'Y' => number(Field::Year, 9),
        'y' => posix(Field::Year),
        'G' => number(Field::WeekYear, 9),
        'g' => posix(Field::WeekYear),
        'm' => number(Field::Month, 2),
        'd' | 'e' => number(Field::Day, 2),
        'j' => number(Field::DayOfYear, 3),
        'H' | 'k' => number(Field::Hour, 2),
        'I' | 'l' => number(Field::ClockHalfHour, 2),
        'M' => number(Field::Minute, 2),
        'S' => number(Field::Second, 2),
        'V' => number(Field::Week, 2),
        'u' => number(Field::Weekday, 1),
        'w' => number(Field::WeekdayFromSunday, 1),
        'L' | 'N' | 'f' => Step::Fraction { max: FRACTION_DIGITS },
        'b' | 'B' | 'h' => Step::Month,
        'a' | 'A' => Step::Weekday,
        'p' | 'P' => Step::DayHalf,
        'z' | 'Z' => Step::Zone,
        's' => Step::EpochSeconds,
        'Q' => Step::EpochMillis,
        'n' | 't' => Step::Blanks,
        '%' => Step::Byte(b'%'),
        other => {
            let hint = match other {
                'C' | 'U' | 'W' => Some("use %Y, %G or %V".to_owned()),
                'i' => Some("did you mean %M (minute) or %I (hour)?".to_owned()),
                _ => None,
            };
            return Err(error(offset, format!("unknown directive `%{other}`"), hint));
        }
    });
    Ok(())
}

/// `%Y%m%d`: a year before another number has four digits, a fraction its usual nine at most.
fn limit_years(steps: &mut [Step]) {
    for index in 1..steps.len() {
        let (before, after) = steps.split_at_mut(index);
        let number_follows = match &after[0] {
            Step::Number { .. } | Step::ShortYear { .. } | Step::Fraction { .. } => true,
            Step::Byte(byte) => byte.is_ascii_digit(),
            _ => false,
        };
        let year = matches!(
            before.last(),
            Some(Step::Number { field: Field::Year | Field::WeekYear, .. })
        );
        if number_follows
            && year
            && let Some(Step::Number { max, .. }) = before.last_mut()
        {
            *max = 4;
        }
    }
}

fn error(offset: usize, message: String, hint: Option<String>) -> DateFormatError {
    DateFormatError { part: ErrorPart::Format, offset, message, hint }
}
