//! Holds the documents of a pipe in step with its code: the README's table of variables, the `pipe.yml`, the version.
//! A variable that is not in the table does not exist for a user, and one that is only there is a broken promise.

use std::collections::BTreeSet;

/// Compares the names in the first column of `readme`'s tables with the `known` variables, and sees that `pipe_yml`
/// passes on only known ones and names the image of this `version`.
///
/// # Panics
/// When they differ, naming what is missing where.
#[track_caller]
pub fn assert_documented(readme: &str, pipe_yml: &str, known: &[String], version: &str) {
    let in_table: BTreeSet<&str> = readme.lines().filter_map(variable_of_row).collect();
    let in_code: BTreeSet<&str> = known.iter().map(String::as_str).collect();
    let missing: Vec<_> = in_code.difference(&in_table).collect();
    assert!(
        missing.is_empty(),
        "not in the README's tables: {missing:?}"
    );
    let unknown: Vec<_> = in_table.difference(&in_code).collect();
    assert!(
        unknown.is_empty(),
        "in the README's tables only: {unknown:?}"
    );

    for line in pipe_yml.lines() {
        if let Some(name) = line.trim().strip_prefix("- name: ") {
            assert!(
                in_code.contains(name),
                "pipe.yml passes on `{name}`, which is not known"
            );
        }
    }
    let image = pipe_yml
        .lines()
        .find_map(|line| line.strip_prefix("image: "))
        .unwrap_or_default();
    assert!(
        image.ends_with(&format!(":{version}")),
        "pipe.yml names `{image}`, this is version {version}"
    );
    assert!(
        readme.contains(&format!(":{version}")),
        "the README's example is not of version {version}"
    );
}

/// The variable in the first cell of a table's row, if it holds one: ``| `NAME` | …``, perhaps with a mark behind it.
fn variable_of_row(line: &str) -> Option<&str> {
    let name = line.strip_prefix("| `")?.split('`').next()?;
    let is_variable = name
        .bytes()
        .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
    is_variable.then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const README: &str = "| `A` (*) | x |\n| `B_2` | y |\n| `lower` | z |\nacme/sample:1.0.0";
    const YML: &str = "image: acme/sample:1.0.0\nvariables:\n  - name: A\n";

    fn known(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn documents_in_step_pass() {
        assert_documented(README, YML, &known(&["B_2", "A"]), "1.0.0");
    }

    #[test]
    #[should_panic(expected = r#"not in the README's tables: ["C"]"#)]
    fn a_variable_without_a_row_is_named() {
        assert_documented(README, YML, &known(&["A", "B_2", "C"]), "1.0.0");
    }

    #[test]
    #[should_panic(expected = r#"in the README's tables only: ["B_2"]"#)]
    fn a_row_without_a_variable_is_named() {
        assert_documented(README, YML, &known(&["A"]), "1.0.0");
    }

    #[test]
    #[should_panic(expected = "this is version 1.0.1")]
    fn another_version_is_named() {
        assert_documented(README, YML, &known(&["A", "B_2"]), "1.0.1");
    }
}
