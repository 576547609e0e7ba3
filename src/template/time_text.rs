//! Instants by `strftime` directives, in UTC.
//!
//! In: directives, then nanoseconds since the epoch. Out: text appended.
//! On failure: the first directive that is not known, and where it stands.

/// What [`TimeText::compile`] understands, for messages.
pub(super) const KNOWN: &str = "%Y %m %d %H %M %S %y %j %G %V %u %a %A %b %B %e %s %L %f %z %Z %%";

/// Directives, checked.
#[derive(Clone, Debug)]
pub(super) struct TimeText {
    form: String,
}

/// A directive that is not known.
#[derive(Debug)]
pub(super) struct TimeTextError {
    /// Byte of the `%`.
    pub(super) offset: usize,
    /// The directive as written.
    pub(super) directive: String,
}

impl TimeText {
    /// Checks directives.
    pub(super) fn compile(text: &str) -> Result<TimeText, TimeTextError> {
        let mut form = String::new();
        let mut chars = text.char_indices();
        while let Some((offset, c)) = chars.next() {
            if c != '%' {
                form.push(c);
                continue;
            }
            let letter = chars.next().map(|(_, letter)| letter);
            let directive = letter.map_or_else(|| "%".to_string(), |letter| format!("%{letter}"));
            match letter {
                Some('L') => form.push_str("%3f"),
                Some('f') => form.push_str("%6f"),
                Some('z') => form.push_str("+0000"),
                Some('Z') => form.push_str("UTC"),
                Some(_) if KNOWN.split(' ').any(|known| known == directive) => {
                    form.push_str(&directive);
                }
                _ => return Err(TimeTextError { offset, directive }),
            }
        }
        Ok(TimeText { form })
    }

    /// Appends an instant.
    pub(super) fn write(&self, ns: i64, out: &mut Vec<u8>) {
        let stamp = jiff::Timestamp::from_nanosecond(i128::from(ns)).unwrap_or_default();
        let civil = stamp.to_zoned(jiff::tz::TimeZone::UTC);
        out.extend_from_slice(civil.strftime(&self.form).to_string().as_bytes());
    }
}
