//! Texts of both forms, filled and broken.

use serde_json::json;

use super::*;

fn environment() -> Environment {
    Environment::from([
        ("TAG", "1.20"),
        ("CPU", "256"),
        ("QUOTED", "a \"b\"\\\nc: d"),
        ("EMPTY", ""),
        ("AWS_SECRET_ACCESS_KEY", "hunter2hunter2"),
        ("PATH", "/usr/bin"),
    ])
}

fn value(name: &str, text: &str) -> Value {
    read(name, text, &environment()).unwrap_or_else(|failure| panic!("{failure}"))
}

fn fault(name: &str, text: &str) -> String {
    read(name, text, &environment()).unwrap_err().to_string()
}

#[test]
fn values_stay_in_their_strings_and_keys_in_their_order() {
    let json =
        r#"{"z": "img:${TAG}", "a": ${CPU}, "m": ["$${HOME} $TAG", "${QUOTED}"], "${TAG}": null}"#;
    let yaml =
        "z: img:${TAG}\na: !!int ${CPU}\nm:\n  - $${HOME} $TAG\n  - ${QUOTED}\n${TAG}: null\n";
    for value in [value("task.json", json), value("task.yaml", yaml)] {
        assert_eq!(
            value.to_string(),
            r#"{"z":"img:1.20","a":256,"m":["${HOME} $TAG","a \"b\"\\\nc: d"],"1.20":null}"#
        );
    }
}

#[test]
fn the_form_is_known_from_the_name_or_the_first_character() {
    for (name, text) in [
        ("task.json", r#"{"a": 1}"#),
        ("ENVIRONMENT", " {\"a\": 1}"),
        ("task.yml", "{a: 1}"),
        ("ENVIRONMENT", "a: 1"),
        ("task", "\u{feff}{\"a\": 1}"),
    ] {
        assert_eq!(value(name, text), json!({"a": 1}), "{name}");
    }
}

#[test]
fn plain_scalars_of_yaml_lose_nothing() {
    for (text, expected) in [
        ("256", json!(256)),
        ("-5", json!(-5)),
        ("0.5", json!(0.5)),
        ("1.20", json!("1.20")),
        ("012345678901", json!("012345678901")),
        ("0x10", json!("0x10")),
        ("1e3", json!("1e3")),
        ("true", json!(true)),
        ("yes", json!("yes")),
        ("~", json!(null)),
        ("'256'", json!("256")),
        ("!!str 256", json!("256")),
        ("\"${CPU}\"", json!("256")),
        ("${CPU}", json!("256")),
        ("|-\n  a ${TAG}\n  b", json!("a 1.20\nb")),
    ] {
        assert_eq!(
            value("x.yaml", &format!("v: {text}")),
            json!({"v": expected}),
            "{text}"
        );
    }
}

#[test]
fn anchors_and_merge_keys_work() {
    let text = "base: &base {a: 1, b: 2}\nweb:\n  <<: *base\n  b: 3\n";
    assert_eq!(
        value("x.yaml", text),
        json!({"base": {"a": 1, "b": 2}, "web": {"b": 3, "a": 1}})
    );
}

#[test]
fn a_broken_text_is_told_with_its_place() {
    for (name, text, expected) in [
        (
            "t.json",
            "{\n  \"a\": 1,\n}",
            "could not read `t.json`: line 3, column 1: trailing comma",
        ),
        (
            "t.json",
            "{\"a\": ${CPU} 1}",
            "could not read `t.json`: line 1, column 14: expected `,` or `}`",
        ),
        (
            "t.json",
            "{\"a\": 1,\n\"a\": 2}",
            "could not read `t.json`: line 2, column 3: the key `a` comes twice",
        ),
        (
            "t.json",
            "  \n",
            "could not read `t.json`: line 1, column 1: there is nothing in it",
        ),
        (
            "t.json",
            "a: 1",
            "could not read `t.json`: line 1, column 1: expected value",
        ),
        (
            "t.yaml",
            "a: [1,\nb: 2",
            "could not read `t.yaml`: line 2, column 1: invalid indentation",
        ),
        (
            "t.yaml",
            "a: 1\na: 2",
            "could not read `t.yaml`: line 2, column 1: ",
        ),
        (
            "t.yaml",
            "a: !Ref x",
            "could not read `t.yaml`: line 1, column 4: the tag `!Ref` means nothing here",
        ),
        (
            "t.yaml",
            "a: 1\n---\nb: 2",
            "could not read `t.yaml`: line 3, column 1: a second document begins",
        ),
        (
            "t.yaml",
            "",
            "could not read `t.yaml`: line 1, column 1: there is nothing in it",
        ),
    ] {
        let fault = fault(name, text);
        assert!(fault.starts_with(expected), "{text:?}: {fault}");
    }
}

#[test]
fn everything_that_is_not_defined_is_named_at_once_and_no_value_is_shown() {
    let json = "{\n  \"a\": \"é ${ONE}\",\n  \"b\": ${TAG}, \"c\": ${QUOTED},\n  \"d\": \"${EMPTY}${AWS_SECRET_ACCESS_KEY}\",\n  \"e\": \"${HOST:-x} ${PATH}\"\n}";
    insta::assert_snapshot!(fault("task.json", json), @r"
        could not read `task.json`: line 2, column 11: `${ONE}` is not defined; line 3, column 21: `${QUOTED}` stands outside of quotes, and its value is not JSON; line 4, column 9: `${EMPTY}` is set, but to nothing; line 4, column 17: `${AWS_SECRET_ACCESS_KEY}` is a credential of this run, which belongs into no file; line 5, column 9: `${HOST:-x}` is not of the form `${NAME}`; line 5, column 20: `${PATH}` is not defined
          hint: set what is named under `variables` of this pipe; `$${NAME}` stands for the text `${NAME}` itself
        ");
    let yaml = "# ${COMMENT}\na: one ${TAG} two\n\n  ${ONE}\nb: \"\\t${TWO\"\n";
    insta::assert_snapshot!(fault("task.yaml", yaml), @r"
        could not read `task.yaml`: line 4, column 3: `${ONE}` is not defined; line 5, column 7: `${TWO` is not of the form `${NAME}`
          hint: set what is named under `variables` of this pipe; `$${NAME}` stands for the text `${NAME}` itself
        ");
}

#[test]
fn what_is_nested_too_deep_is_refused_before_the_stack_is_used_up() {
    let levels: Vec<String> = (0..140)
        .map(|level| format!("{}a:\n", " ".repeat(level)))
        .collect();
    let mapping = levels.concat();
    let entries: Vec<String> = (1..40)
        .map(|level| format!("a{level}: &a{level} [*a{}]\n", level - 1))
        .collect();
    let aliases = entries.concat();
    let aliases = format!("a0: &a0 {}{}\n{aliases}", "[".repeat(90), "]".repeat(90));
    for text in [
        format!("{}a", "- ".repeat(200_000)),
        format!("{}a", "? ".repeat(200_000)),
        mapping,
        aliases,
    ] {
        let fault = fault("task.yaml", &text);
        assert!(
            fault.contains("nested more than 100 deep"),
            "{}",
            &fault[..100.min(fault.len())]
        );
    }
    assert!(read("task.yaml", &"- ".repeat(90), &Environment::default()).is_ok());
}
