//! `docs/elasticsearch-answers.md`: each row names a test that exists.

use std::path::Path;

#[test]
fn each_row_of_the_table_of_answers_names_a_test_that_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("docs/elasticsearch-answers.md")).unwrap();
    let is_row = |line: &&str| line.starts_with("| ") && !line.contains("| logweir | says |");
    let rows: Vec<&str> = text.lines().filter(is_row).collect();
    assert!(rows.len() > 20, "{} rows", rows.len());
    for row in rows {
        let named = row.rsplit(" | ").next().unwrap();
        let named = named.split('`').nth(1).unwrap_or_else(|| panic!("no test in: {row}"));
        let (file, name) = named.split_once(": ").unwrap_or_else(|| panic!("no test in: {row}"));
        let source = std::fs::read_to_string(root.join(file));
        let source = source.unwrap_or_else(|why| panic!("{file}: {why}"));
        assert!(source.contains(&format!("fn {name}(")), "{file} has no test {name}");
    }
}
