//! The fields that a setting's text names.
//!
//! In: a pattern of grok or dissect, a template, a reference. Out: field names with dots. Promises: fields that become
//! numbers are left out: no secret is in them. On failure: what is no name is passed over.

/// Parts of the names of patterns whose text is too narrow for a secret: times, numbers, addresses, levels.
const HARMLESS: [&str; 10] =
    ["TIME", "DATE", "LEVEL", "INT", "NUM", "IP", "MONTH", "YEAR", "HOUR", "MINUTE"];

/// `[a][b]` and `a.b` are the same field.
pub(super) fn plain(name: &str) -> String {
    match name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(inner) => inner.replace("][", "."),
        None => name.to_string(),
    }
}

/// The fields that a grok pattern makes, those of the patterns that it uses included.
pub(super) fn of_grok<'a>(
    pattern: &str,
    definition: impl Fn(&str) -> Option<&'a str>,
) -> Vec<String> {
    let mut names = Vec::new();
    let mut used: Vec<String> = Vec::new();
    let mut next = vec![pattern.to_string()];
    while let Some(pattern) = next.pop() {
        for part in pattern.split("%{").skip(1) {
            let Some((inside, _)) = part.split_once('}') else { continue };
            let mut parts = inside.splitn(3, ':');
            let (name, field, kind) =
                (parts.next().unwrap_or_default(), parts.next(), parts.next());
            match (field, kind) {
                (Some(_), _) if HARMLESS.iter().any(|harmless| name.contains(harmless)) => {}
                (Some(field), None | Some("string" | "")) => names.push(plain(field)),
                (Some(_), Some(_)) => {}
                (None, _) if used.iter().any(|known| known == name) => {}
                (None, _) => {
                    used.push(name.to_string());
                    next.extend(definition(name).map(str::to_string));
                }
            }
        }
        for part in pattern.split("(?<").skip(1) {
            let name = part.split('>').next().unwrap_or_default();
            if !name.starts_with(['=', '!']) && !name.is_empty() && part.contains('>') {
                names.push(plain(name));
            }
        }
    }
    names
}

/// The fields of a dissect pattern.
pub(super) fn of_dissect(pattern: &str) -> Vec<String> {
    let inside = pattern.split("%{").skip(1).filter_map(|part| Some(part.split_once('}')?.0));
    let name = |inside: &str| {
        let name = inside.trim_start_matches('+').trim_end_matches("->");
        plain(name.split('/').next().unwrap_or_default())
    };
    inside
        .filter(|inside| !inside.is_empty() && !inside.starts_with(['?', '&', '*']))
        .map(name)
        .collect()
}

/// The fields whose values a template puts in: `{name}` and `%{name}`, with or without a default.
pub(super) fn of_template(template: &str) -> Vec<String> {
    let inside = template.split('{').skip(1).filter_map(|part| Some(part.split_once('}')?.0));
    let name = |inside: &str| plain(inside.split(":-").next().unwrap_or_default());
    inside.map(name).filter(|name| !name.is_empty() && !name.starts_with(['@', '+'])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_of_patterns_and_templates_are_found_and_numbers_are_not() {
        let inner = |name: &str| (name == "OUTER").then_some("%{INNER:deep} (?<own>x)");
        let pattern =
            r"%{OUTER} %{INT:n:int} %{WORD:[a][b]} %{HTTPDATE:at} (?<named>a)(?<!no)(?<=no)";
        let mut found = of_grok(pattern, inner);
        found.sort();
        assert_eq!(found, ["a.b", "deep", "named", "own"]);
        assert_eq!(of_dissect("%{a} %{+a/2} %{?no} %{} %{b->}"), ["a", "a", "b"]);
        assert_eq!(
            of_template("x {a.b} {c:-none} {@timestamp:%Y} %{[d][e]} ${NO"),
            ["a.b", "c", "d.e"]
        );
    }

    #[test]
    fn what_is_cut_off_or_refers_to_itself_ends() {
        assert!(of_grok("%{A", |_| Some("%{A}")).is_empty());
        assert!(of_grok("%{A}", |_| Some("%{A}")).is_empty());
        assert!(of_dissect("%{").is_empty() && of_template("{").is_empty());
    }
}
