//! Two documents become the lines that tell them apart, for a person to read before anything is changed. Values at
//! masked paths are never shown: equal values have equal masks, so that a change is seen without its value.

use std::collections::BTreeMap;
use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;
use std::sync::LazyLock;

use serde::Serialize;
use serde_json::{Map, Value};

/// Elements of lists that have one of these, all of them and each its own, are told apart by it and not by place.
const NAMES: &[&str] = &[
    "name",
    "Name",
    "key",
    "Key",
    "containerName",
    "containerPath",
];
/// Longer values are cut.
const LONGEST: usize = 200;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Where, such as `containerDefinitions[web].image`.
    pub path: String,
    /// What was there, as JSON or as a mask.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old: Option<String>,
    /// What is to be there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new: Option<String>,
}

impl fmt::Display for Change {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, old, new } = self;
        match (old, new) {
            (None, Some(new)) => write!(out, "+ {path}: {new}"),
            (Some(old), None) => write!(out, "- {path}: {old}"),
            (Some(old), Some(new)) => write!(out, "~ {path}: {old} → {new}"),
            (None, None) => write!(out, "  {path}"),
        }
    }
}

/// The paths whose values are not for the log.
#[derive(Clone, Debug, Default)]
pub struct Mask(Vec<Vec<Step<'static>>>);

/// A step from a value into what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step<'a> {
    Key(&'a str),
    /// The place or the name of an element of a list.
    Element(String),
    /// In a mask: any element or key.
    Any,
}

impl Mask {
    /// Masks these paths and all below them: `containerDefinitions[*].environment[*].value`, `Environment.Variables.*`.
    #[must_use]
    pub fn new(paths: &[&'static str]) -> Self {
        let steps = |path: &&'static str| {
            path.split('.')
                .flat_map(|part| {
                    let (key, element) = match part.strip_suffix("[*]") {
                        Some(key) => (key, true),
                        None => (part, false),
                    };
                    let key = if key == "*" {
                        Step::Any
                    } else {
                        Step::Key(key)
                    };
                    [Some(key), element.then_some(Step::Any)]
                })
                .flatten()
                .collect()
        };
        Self(paths.iter().map(steps).collect())
    }

    /// A copy in which the values at the paths are masks.
    #[must_use]
    pub fn masked(&self, value: &Value) -> Value {
        self.masked_at(&mut Vec::new(), value)
    }

    fn masked_at<'a>(&self, path: &mut Vec<Step<'a>>, value: &'a Value) -> Value {
        if self.covers(path) {
            return Value::from(mask(value));
        }
        let mut below = |step, value| {
            path.push(step);
            let masked = self.masked_at(path, value);
            path.pop();
            masked
        };
        match value {
            Value::Object(entries) => {
                let entries = entries
                    .iter()
                    .map(|(key, value)| (key.clone(), below(Step::Key(key), value)));
                Value::Object(entries.collect())
            }
            Value::Array(items) => items
                .iter()
                .map(|value| below(Step::Element(String::new()), value))
                .collect(),
            _ => value.clone(),
        }
    }

    fn covers(&self, path: &[Step<'_>]) -> bool {
        self.0.iter().any(|pattern| {
            pattern.len() == path.len()
                && pattern
                    .iter()
                    .zip(path)
                    .all(|(expected, found)| *expected == Step::Any || expected == found)
        })
    }

    fn shown(&self, path: &[Step<'_>], value: &Value) -> String {
        if self.covers(path) {
            return mask(value);
        }
        let text = value.to_string();
        match text.char_indices().nth(LONGEST) {
            Some((end, _)) => format!("{}… ({} characters)", &text[..end], text.chars().count()),
            None => text,
        }
    }
}

/// What stands for a value in the log of one run. The key of the hash is random and never leaves the process, so that
/// nobody can look for the value of a mask by trying.
#[must_use]
pub fn mask(value: &Value) -> String {
    static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    let hash = KEY.hash_one(value.to_string());
    format!("(masked {:08x})", hash >> 32)
}

/// What has to be done to `old` to make it `new`; nothing if they are equal. Null is nothing at all.
#[must_use]
pub fn difference(old: &Value, new: &Value, mask: &Mask) -> Vec<Change> {
    let mut comparison = Comparison {
        mask,
        path: Vec::new(),
        changes: Vec::new(),
    };
    comparison.compare(Some(old), Some(new));
    comparison.changes
}

struct Comparison<'a> {
    mask: &'a Mask,
    path: Vec<Step<'a>>,
    changes: Vec<Change>,
}

impl<'a> Comparison<'a> {
    fn compare(&mut self, old: Option<&'a Value>, new: Option<&'a Value>) {
        let old = old.filter(|value| !value.is_null());
        let new = new.filter(|value| !value.is_null());
        if old == new {
            return;
        }
        let is_leaf = self.mask.covers(&self.path);
        match (old, new) {
            (Some(Value::Object(old)), Some(Value::Object(new))) if !is_leaf => {
                self.compare_objects(old, new);
            }
            (Some(Value::Object(old)), None) if !is_leaf && !old.is_empty() => {
                self.compare_objects(old, empty_map());
            }
            (None, Some(Value::Object(new))) if !is_leaf && !new.is_empty() => {
                self.compare_objects(empty_map(), new);
            }
            (Some(Value::Array(old)), Some(Value::Array(new))) if !is_leaf => {
                self.compare_lists(old, new);
            }
            (Some(Value::Array(old)), None) if !is_leaf && !old.is_empty() => {
                self.compare_lists(old, &[]);
            }
            (None, Some(Value::Array(new))) if !is_leaf && !new.is_empty() => {
                self.compare_lists(&[], new);
            }
            _ => self.changes.push(Change {
                path: shown_path(&self.path),
                old: old.map(|value| self.mask.shown(&self.path, value)),
                new: new.map(|value| self.mask.shown(&self.path, value)),
            }),
        }
    }

    fn below(&mut self, step: Step<'a>, old: Option<&'a Value>, new: Option<&'a Value>) {
        self.path.push(step);
        self.compare(old, new);
        self.path.pop();
    }

    fn compare_objects(&mut self, old: &'a Map<String, Value>, new: &'a Map<String, Value>) {
        for (key, value) in new {
            self.below(Step::Key(key), old.get(key), Some(value));
        }
        for (key, value) in old {
            if !new.contains_key(key) {
                self.below(Step::Key(key), Some(value), None);
            }
        }
    }

    fn compare_lists(&mut self, old: &'a [Value], new: &'a [Value]) {
        if let Some((old_names, new_names)) = named(old, new) {
            for (name, value) in &new_names {
                let step = Step::Element((*name).to_owned());
                self.below(step, old_names.get(name).copied(), Some(value));
            }
            for (name, value) in &old_names {
                if !new_names.contains_key(name) {
                    self.below(Step::Element((*name).to_owned()), Some(value), None);
                }
            }
            return;
        }
        let same_start = old.iter().zip(new).take_while(|(a, b)| a == b).count();
        let (old_rest, new_rest) = (&old[same_start..], &new[same_start..]);
        let same_end = (old_rest.iter().rev())
            .zip(new_rest.iter().rev())
            .take_while(|(a, b)| a == b)
            .count();
        let old_rest = &old_rest[..old_rest.len() - same_end];
        let new_rest = &new_rest[..new_rest.len() - same_end];
        for index in 0..old_rest.len().max(new_rest.len()) {
            let step = Step::Element((same_start + index).to_string());
            self.below(step, old_rest.get(index), new_rest.get(index));
        }
    }
}

fn empty_map() -> &'static Map<String, Value> {
    static EMPTY: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);
    &EMPTY
}

type Named<'a> = BTreeMap<&'a str, &'a Value>;

/// Both lists by the names of their elements, if all have one.
fn named<'a>(old: &'a [Value], new: &'a [Value]) -> Option<(Named<'a>, Named<'a>)> {
    NAMES
        .iter()
        .find_map(|key| Some((by_name(old, key)?, by_name(new, key)?)))
}

fn by_name<'a>(items: &'a [Value], key: &str) -> Option<Named<'a>> {
    let names: Option<Named<'a>> = items
        .iter()
        .map(|item| Some((item.get(key)?.as_str()?, item)))
        .collect();
    names.filter(|names| names.len() == items.len())
}

fn shown_path(path: &[Step<'_>]) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            Step::Key(key) if text.is_empty() => text.push_str(key),
            Step::Key(key) => {
                text.push('.');
                text.push_str(key);
            }
            Step::Element(name) => {
                text.push('[');
                text.push_str(name);
                text.push(']');
            }
            Step::Any => {}
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lines(old: &Value, new: &Value) -> String {
        let mask = Mask::new(&["env[*].value", "variables.*"]);
        let lines: Vec<String> = difference(old, new, &mask)
            .iter()
            .map(Change::to_string)
            .collect();
        lines.join("\n")
    }

    #[test]
    fn what_differs_is_said_with_its_path() {
        let old = json!({"cpu": "256", "containers": [
            {"name": "web", "image": "web:1", "command": ["a", "b", "c"]},
            {"name": "old", "image": "old:1"},
        ], "same": {"deep": [1]}, "gone": null});
        let new = json!({"cpu": 512, "same": {"deep": [1]}, "containers": [
            {"name": "new", "ports": [], "limits": {}},
            {"name": "web", "image": "web:2", "command": ["a", "x", "b", "c"]},
        ]});
        insta::assert_snapshot!(lines(&old, &new), @r#"
        ~ cpu: "256" → 512
        + containers[new].name: "new"
        + containers[new].ports: []
        + containers[new].limits: {}
        ~ containers[web].image: "web:1" → "web:2"
        + containers[web].command[1]: "x"
        - containers[old].name: "old"
        - containers[old].image: "old:1"
        "#);
        assert_eq!(difference(&old, &old, &Mask::default()), []);
        assert_eq!(
            lines(&Value::Null, &json!({"a": {"b": [true]}})),
            "+ a.b[0]: true"
        );
    }

    #[test]
    fn masked_values_are_never_shown_and_equal_ones_look_equal() {
        let old = json!({"env": [{"name": "A", "value": "hunter2"}, {"name": "B", "value": "two"}],
            "variables": {"C": {"deep": "hunter3"}}});
        let new = json!({"env": [{"name": "A", "value": "two"}, {"name": "D", "value": "hunter2"}], "variables": {}});
        let text = lines(&old, &new);
        assert!(!text.contains("hunter") && !text.contains("two"), "{text}");
        let (one, two) = (mask(&json!("hunter2")), mask(&json!("two")));
        assert_ne!(one, two);
        assert!(
            text.contains(&format!("~ env[A].value: {one} → {two}")),
            "{text}"
        );
        assert!(text.contains(&format!("+ env[D].value: {one}")), "{text}");
        assert!(text.contains(&format!("- env[B].value: {two}")), "{text}");
        assert!(text.contains("- variables.C: (masked "), "{text}");
        let masked = Mask::new(&["env[*].value", "variables.*"])
            .masked(&old)
            .to_string();
        assert!(
            !masked.contains("hunter") && masked.contains(&one),
            "{masked}"
        );
    }

    #[test]
    fn long_values_are_cut() {
        let text = lines(&Value::Null, &json!({"a": "é".repeat(300)}));
        assert!(text.ends_with("… (302 characters)"), "{text}");
    }
}
