//! A document for people, in the manner of Logstash's `rubydebug`: keys aligned, one a line.
//!
//! In: JSON. Out: text. On failure: text that is not JSON is written as it is.

use serde_json::Value;

/// Appends the document.
pub fn write(document: &[u8], out: &mut Vec<u8>) {
    match serde_json::from_slice::<Value>(document) {
        Ok(value) => write_value(&value, 0, out),
        Err(_) => out.extend_from_slice(document),
    }
}

fn write_value(value: &Value, depth: usize, out: &mut Vec<u8>) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            let quoted = |key: &str| Value::from(key).to_string();
            let width = fields.keys().map(|k| quoted(k).chars().count()).max().unwrap_or(0);
            out.extend_from_slice(b"{\n");
            for (n, (key, value)) in fields.iter().enumerate() {
                let comma = if n > 0 { ",\n" } else { "" };
                let indent = " ".repeat((depth + 1) * 4);
                let line = format!("{comma}{indent}{:>width$} => ", quoted(key));
                out.extend_from_slice(line.as_bytes());
                write_value(value, depth + 1, out);
            }
            out.push(b'\n');
            out.extend_from_slice(" ".repeat(depth * 4).as_bytes());
            out.push(b'}');
        }
        Value::Array(items) if !items.is_empty() => {
            out.extend_from_slice(b"[\n");
            for (n, item) in items.iter().enumerate() {
                let comma = if n > 0 { ",\n" } else { "" };
                let indent = " ".repeat((depth + 1) * 4);
                out.extend_from_slice(format!("{comma}{indent}[{n}] ").as_bytes());
                write_value(item, depth + 1, out);
            }
            out.push(b'\n');
            out.extend_from_slice(" ".repeat(depth * 4).as_bytes());
            out.push(b']');
        }
        scalar => out.extend_from_slice(scalar.to_string().as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn keys_are_aligned_and_nested_values_indented() {
        let mut out = Vec::new();
        super::write(br#"{"a":1,"long":{"b":["x"]},"e":{}}"#, &mut out);
        let expected = "{\n       \"a\" => 1,\n       \"e\" => {},\n    \"long\" => {\n        \"b\" => [\n            \
                        [0] \"x\"\n        ]\n    }\n}";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
