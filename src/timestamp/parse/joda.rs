//! Joda-Time patterns such as `yyyy-MM-dd'T'HH:mm:ss.SSSZZ`, compiled to steps.
//!
//! In: a pattern. Out: the steps for `pattern.rs`.
//! Promises: letters mean what they mean in Joda-Time 2, which Logstash's date filter uses:
//! `G` era, `y` and `Y` year, `x` week year, `w` week, `e` weekday number, `E` weekday name,
//! `D` day of year, `M` month (a name from three letters on), `d` day, `a` day half, `K` and `h`
//! hour of the half from 0 and 1, `H` and `k` hour of the day from 0 and 1, `m`, `s`, `S`
//! fraction, `z` zone abbreviation, `Z` and `ZZ` offset, `ZZZ` zone name; text in quotes, `''`
//! a quote. One thing is wider: a last `S` group takes as many digits as there are.
//! On failure: the byte offset, what is wrong and, where it can be told, what was meant.
//!
//! Source: <https://www.joda.org/joda-time/apidocs/org/joda/time/format/DateTimeFormat.html>.

use super::fields::Field;
use super::pattern::{Pivot, Step};
use super::{DateFormatError, ErrorPart};

/// Digits of a year where no number follows.
const YEAR_DIGITS: u8 = 9;
/// Digits of a fraction where no number follows.
const FRACTION_DIGITS: u8 = u8::MAX;

/// A run of one letter, or text between runs.
#[derive(Clone, Debug)]
enum Token {
    Letters { letter: char, count: usize, offset: usize },
    Text { text: String },
}

/// Compiles a pattern.
pub fn compile(pattern: &str) -> Result<Vec<Step>, DateFormatError> {
    let tokens = tokens(pattern)?;
    check_lookalikes(&tokens)?;
    let mut steps = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        match token {
            Token::Text { text } => steps.extend(text.bytes().map(Step::Byte)),
            Token::Letters { letter, count, offset } => {
                let before_number = tokens.get(index + 1).is_some_and(Token::is_number);
                let step = step_of(*letter, *count, before_number)
                    .ok_or_else(|| unknown(*letter, *count, *offset))?;
                steps.push(step);
            }
        }
    }
    if steps.is_empty() {
        return Err(error(0, "the format is empty", Some("try ISO8601".to_owned())));
    }
    if !tokens.iter().any(|token| matches!(token, Token::Letters { .. })) {
        return Err(error(0, "the format holds text only, no part of a date", None));
    }
    Ok(steps)
}

impl Token {
    fn is_number(&self) -> bool {
        match self {
            Self::Letters { letter: 'M', count, .. } => *count <= 2,
            Self::Letters { letter, .. } => "xyYdhHmsSeDwkK".contains(*letter),
            Self::Text { text } => text.starts_with(|c: char| c.is_ascii_digit()),
        }
    }
}

fn tokens(pattern: &str) -> Result<Vec<Token>, DateFormatError> {
    let mut tokens: Vec<Token> = Vec::new();
    let mut chars = pattern.char_indices().peekable();
    while let Some((offset, c)) = chars.next() {
        match c {
            '\'' => {
                let text = quoted(offset, &mut chars)?;
                push_text(&mut tokens, &text);
            }
            c if c.is_ascii_alphabetic() => {
                let mut count = 1;
                while chars.next_if(|&(_, next)| next == c).is_some() {
                    count += 1;
                }
                tokens.push(Token::Letters { letter: c, count, offset });
            }
            c => push_text(&mut tokens, c.encode_utf8(&mut [0; 4])),
        }
    }
    Ok(tokens)
}

/// The text up to the closing quote; `''` is a quote, inside and outside.
fn quoted(
    offset: usize,
    chars: &mut std::iter::Peekable<std::str::CharIndices<'_>>,
) -> Result<String, DateFormatError> {
    if chars.next_if(|&(_, next)| next == '\'').is_some() {
        return Ok("'".to_owned());
    }
    let mut text = String::new();
    while let Some((_, c)) = chars.next() {
        if c != '\'' {
            text.push(c);
        } else if chars.next_if(|&(_, next)| next == '\'').is_some() {
            text.push('\'');
        } else {
            return Ok(text);
        }
    }
    Err(error(offset, "the quote is never closed", Some("write '' for a quote".to_owned())))
}

fn push_text(tokens: &mut Vec<Token>, more: &str) {
    match tokens.last_mut() {
        Some(Token::Text { text }) => text.push_str(more),
        _ => tokens.push(Token::Text { text: more.to_owned() }),
    }
}

fn step_of(letter: char, count: usize, before_number: bool) -> Option<Step> {
    let number = |field, max| Some(Step::Number { field, max });
    let width = u8::try_from(count).unwrap_or(YEAR_DIGITS).min(YEAR_DIGITS);
    match letter {
        'y' | 'Y' | 'x' => {
            let field = if letter == 'x' { Field::WeekYear } else { Field::Year };
            if count == 2 {
                let lenient = !before_number;
                return Some(Step::ShortYear { field, lenient, pivot: Pivot::Sliding });
            }
            number(field, if before_number { width } else { YEAR_DIGITS })
        }
        'M' if count >= 3 => Some(Step::Month),
        'M' => number(Field::Month, 2),
        'd' => number(Field::Day, 2),
        'D' => number(Field::DayOfYear, 3),
        'w' => number(Field::Week, 2),
        'e' => number(Field::Weekday, 1),
        'H' => number(Field::Hour, 2),
        'k' => number(Field::ClockHour, 2),
        'K' => number(Field::HalfHour, 2),
        'h' => number(Field::ClockHalfHour, 2),
        'm' => number(Field::Minute, 2),
        's' => number(Field::Second, 2),
        'S' if before_number => Some(Step::Fraction { max: width }),
        'S' => Some(Step::Fraction { max: FRACTION_DIGITS }),
        'E' => Some(Step::Weekday),
        'a' => Some(Step::DayHalf),
        'G' => Some(Step::Era),
        'z' => Some(Step::Zone),
        'Z' if count >= 3 => Some(Step::ZoneId),
        'Z' => Some(Step::Offset),
        _ => None,
    }
}

/// `yyyy-mm-dd` and `yyyy-MM-DD` compile in Joda-Time and give wrong dates without a word.
fn check_lookalikes(tokens: &[Token]) -> Result<(), DateFormatError> {
    let find = |wanted: char| {
        tokens.iter().filter_map(move |token| match token {
            Token::Letters { letter, count, offset } if *letter == wanted => {
                Some((*offset, *count))
            }
            _ => None,
        })
    };
    let has = |letter: char| find(letter).next().is_some();
    if let Some((offset, count)) = find('m').next()
        && find('m').count() > 1
        && !has('M')
    {
        let hint = format!("did you mean `{}` (month)?", "M".repeat(count));
        return Err(error(offset, "`m` is the minute, and it is there twice", Some(hint)));
    }
    let hour = ['H', 'h', 'k', 'K'].into_iter().any(has);
    if let Some((offset, count)) = find('m').next()
        && !hour
        && !has('M')
        && (has('y') || has('Y') || has('d'))
    {
        let hint = format!("did you mean `{}` (month)?", "M".repeat(count));
        return Err(error(offset, "`m` is the minute, and there is no hour", Some(hint)));
    }
    if let Some((offset, count)) = find('D').next()
        && has('M')
        && !has('d')
    {
        let hint = format!("did you mean `{}` (day of the month)?", "d".repeat(count));
        return Err(error(
            offset,
            "`D` is the day of the year, which does not go with a month",
            Some(hint),
        ));
    }
    Ok(())
}

fn unknown(letter: char, count: usize, offset: usize) -> DateFormatError {
    let run = letter.to_string().repeat(count);
    let meant = match letter {
        'X' | 'V' | 'O' => Some("Z".repeat(count.min(3))),
        'u' => Some("yyyy".to_owned()),
        'L' => Some("M".repeat(count)),
        'n' | 'N' | 'f' | 'F' => Some("S".repeat(count.max(3))),
        'c' => Some("E".repeat(count)),
        'W' => Some("w".repeat(count)),
        'A' | 'p' | 'P' => Some("a".to_owned()),
        'T' | 't' => Some(format!("'{run}'")),
        _ => None,
    };
    let hint = match meant {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("put text in quotes: '{run}'"),
    };
    error(offset, &format!("`{run}` means nothing in a date format"), Some(hint))
}

fn error(offset: usize, message: &str, hint: Option<String>) -> DateFormatError {
    DateFormatError { part: ErrorPart::Format, offset, message: message.to_owned(), hint }
}
