//! Secrets that stand in a line of a configuration, masked before the line is shown.
//!
//! In: a line. Out: the line with as many characters, secrets as stars. Promises: the value of a key that is named
//! like a secret (or nearly so: the line may be shown because of the misspelt key), and a password within a URL, are
//! not shown; a `${NAME}` is, for it says nothing. On failure: nothing can fail.

/// Names of keys whose values are secrets.
const NAMES: [&str; 7] =
    ["password", "passphrase", "secret", "token", "api_key", "webhook_url", "bot_token"];
/// How near a name must be to one of them (Jaro–Winkler).
const NEAR: f64 = 0.88;

/// Masks a line.
pub(super) fn mask(line: &str) -> String {
    let mut shown: Vec<char> = line.chars().collect();
    mask_values(&mut shown);
    mask_user_info(&mut shown);
    shown.into_iter().collect()
}

/// `password = "…"`: what stands between the quotes, or up to the end where the quote is not closed.
fn mask_values(line: &mut [char]) {
    let mut at = 0;
    while let Some(sign) = find(line, at, |c| c == '=') {
        at = sign + 1;
        if !is_secret(&name_before(line, sign)) {
            continue;
        }
        let Some(quote) = find(line, at, |c| !c.is_whitespace()) else { return };
        if !matches!(line[quote], '"' | '\'') {
            continue;
        }
        let end = find(line, quote + 1, |c| c == line[quote]).unwrap_or(line.len());
        let value = &mut line[quote + 1..end];
        if !value.starts_with(&['$', '{']) {
            value.fill('*');
        }
        at = end;
    }
}

/// `https://user:password@host`: the password.
fn mask_user_info(line: &mut [char]) {
    let mut at = 0;
    while let Some(colon) = find(line, at, |c| c == ':') {
        at = colon + 1;
        if line.get(at..at + 2) != Some(&['/', '/']) {
            continue;
        }
        let ends = |c: char| c.is_whitespace() || matches!(c, '/' | '"' | '\'' | ',');
        let end = find(line, at + 2, ends).unwrap_or(line.len());
        let Some(sign) = line[..end].iter().rposition(|c| *c == '@').filter(|s| *s > at) else {
            continue;
        };
        let from = find(&line[..sign], at + 2, |c| c == ':').map_or(at + 2, |colon| colon + 1);
        if !line[from..sign].starts_with(&['$', '{']) {
            line[from..sign].fill('*');
        }
        at = end;
    }
}

fn find(line: &[char], from: usize, wanted: impl Fn(char) -> bool) -> Option<usize> {
    line.get(from..)?.iter().position(|c| wanted(*c)).map(|at| from + at)
}

/// The key that stands before an equals sign.
fn name_before(line: &[char], sign: usize) -> String {
    let part = |c: &char| c.is_alphanumeric() || matches!(c, '_' | '-');
    let before =
        line[..sign].iter().rev().skip_while(|c| c.is_whitespace() || matches!(c, '"' | '\''));
    let name: String = before.take_while(|c| part(c)).collect();
    name.chars().rev().flat_map(char::to_lowercase).collect()
}

fn is_secret(name: &str) -> bool {
    NAMES.iter().any(|known| name.ends_with(known) || strsim::jaro_winkler(name, known) > NEAR)
}

#[cfg(test)]
mod tests {
    use super::mask;

    #[test]
    fn values_of_keys_named_like_secrets_are_stars_even_when_misspelt_or_not_closed() {
        let masked = |line: &str| mask(line);
        assert_eq!(masked("password = \"hunter2\" # x"), "password = \"*******\" # x");
        assert_eq!(masked("pasword = 'hunter2'"), "pasword = '*******'");
        assert_eq!(masked("tls = 1, api_key=\"abc"), "tls = 1, api_key=\"***");
        assert_eq!(masked("webhook_ulr = \"https://x/y\""), "webhook_ulr = \"***********\"");
        assert_eq!(masked("password = \"${NAME}\""), "password = \"${NAME}\"");
        assert_eq!(masked("keys = [\"password\"]"), "keys = [\"password\"]");
        assert_eq!(masked("index = \"logs\""), "index = \"logs\"");
    }

    #[test]
    fn a_password_within_a_url_is_stars() {
        let masked = |line: &str| mask(line);
        assert_eq!(masked("hosts = [\"http://u:pw@h:1\"]"), "hosts = [\"http://u:**@h:1\"]");
        assert_eq!(masked("hosts = [\"http://u:p:@/h\"]"), "hosts = [\"http://u:**@/h\"]");
        assert_eq!(masked("hosts = [\"http://h:1\", 'x@y']"), "hosts = [\"http://h:1\", 'x@y']");
    }
}
