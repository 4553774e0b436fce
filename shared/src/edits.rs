//! Changes to a map of names and values (environment, secrets, tags) in three verbs: set, unset, replace. By default
//! only what is named is touched: a deploy that forgets an entry must not delete it.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::Value;

use crate::variables::{Faults, Field, FromText, List, counted, is_unexpanded};

/// The three variables of one map: `NAME`, `NAME_UNSET`, `NAME_REPLACE`.
#[derive(Default)]
pub struct EditFields {
    /// What is set.
    pub set: Field<Entries>,
    /// The names that are taken away.
    pub unset: Field<List<String>>,
    /// Whether all goes that is not set.
    pub replace: Field<bool>,
}

/// Entries as a variable gives them. A YAML list has one `KEY=value` per element, and the value is everything behind
/// the first `=`. One text has one entry per line if it has several lines, else entries between blanks, or it is a
/// JSON object, in which null takes an entry away.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Entries {
    set: Vec<(String, String)>,
    unset: Vec<String>,
}

impl FromText for Entries {
    fn from_text(text: &str) -> Result<Self, String> {
        if let Some(elements) = counted(text) {
            return pairs(&elements);
        }
        let text = text.trim();
        if text.starts_with('{') {
            return object(text);
        }
        if text.contains('\n') {
            let lines = text.lines().map(str::trim);
            let entries: Vec<&str> = lines
                .filter(|line| !line.is_empty() && !line.starts_with('#'))
                .collect();
            return pairs(&entries);
        }
        let entries: Vec<&str> = text.split_whitespace().collect();
        let is_quoted = |entry: &&str| {
            let value = entry.split_once('=').map_or(*entry, |(_, value)| value);
            value.starts_with(['"', '\''])
        };
        // Whoever writes a quote means a value with blanks, which would be cut here.
        match entries.iter().position(is_quoted) {
            Some(index) => Err(format!(
                "the value of entry {} begins with a quote, and quotes are not read here: give a YAML list with one `KEY=value` per element",
                index + 1
            )),
            None => pairs(&entries),
        }
    }
}

/// No message shows an entry: what has no `=` may be a part of a secret.
fn pairs(entries: &[&str]) -> Result<Entries, String> {
    let mut set = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        let number = index + 1;
        let Some((key, value)) = entry.split_once('=') else {
            return Err(format!("entry {number} has no `=`: it is `KEY=value`"));
        };
        let key = named(key.trim(), number)?;
        if is_unexpanded(value) {
            return Err(format!(
                "the value of `{key}` is the literal `{value}`, so that variable is not defined for this step"
            ));
        }
        set.push((key, value.to_owned()));
    }
    Ok(Entries {
        set,
        unset: Vec::new(),
    })
}

fn object(text: &str) -> Result<Entries, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        format!("begins like a JSON object and is none (line {line}, column {column})")
    })?;
    let mut entries = Entries::default();
    for (index, (key, value)) in value.as_object().into_iter().flatten().enumerate() {
        let key = named(key, index + 1)?;
        match value {
            Value::Null => entries.unset.push(key),
            Value::String(value) => entries.set.push((key, value.clone())),
            Value::Bool(_) | Value::Number(_) => entries.set.push((key, value.to_string())),
            Value::Array(_) | Value::Object(_) => {
                return Err(format!("the value of `{key}` has to be a text"));
            }
        }
    }
    Ok(entries)
}

fn named(key: &str, number: usize) -> Result<String, String> {
    if key.is_empty()
        || key
            .chars()
            .any(|each| each.is_whitespace() || each.is_control())
    {
        return Err(format!(
            "the key of entry {number} is empty or has blanks in it"
        ));
    }
    Ok(key.to_owned())
}

/// What is to be done to one map.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Edits {
    set: Vec<(String, String)>,
    unset: BTreeSet<String>,
    replace: bool,
}

/// The values may be secrets.
impl fmt::Debug for Edits {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set: Vec<&str> = self.set.iter().map(|(key, _)| key.as_str()).collect();
        let (unset, replace) = (&self.unset, self.replace);
        write!(
            out,
            "Edits {{ set: {set:?}, unset: {unset:?}, replace: {replace} }}"
        )
    }
}

impl Edits {
    /// From the variables `name`, `name_UNSET` and `name_REPLACE`.
    #[must_use]
    pub fn new(name: &str, fields: EditFields, faults: &mut Faults) -> Self {
        let has_entries = !fields.set.is_absent();
        let entries = faults.optional(name, fields.set).unwrap_or_default();
        let unset_name = format!("{name}_UNSET");
        let unset = faults.optional(&unset_name, fields.unset);
        let replace_name = format!("{name}_REPLACE");
        let replace = faults.optional(&replace_name, fields.replace) == Some(true);
        if replace && !has_entries {
            faults.add(
                &replace_name,
                format!("needs {name}, which is not set; `{name}: '{{}}'` takes everything away"),
            );
        }
        let mut edits = Self {
            set: Vec::new(),
            unset: entries.unset.into_iter().collect(),
            replace,
        };
        edits
            .unset
            .extend(unset.into_iter().flat_map(|list| list.0));
        for (key, value) in entries.set {
            if edits.set.iter().any(|(known, _)| *known == key) {
                faults.add(name, format!("`{key}` comes twice"));
            } else if edits.unset.contains(&key) {
                faults.add(name, format!("`{key}` is to be set and unset"));
            }
            edits.set.push((key, value));
        }
        edits
    }

    /// Whether nothing is to be done.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.unset.is_empty() && !self.replace
    }

    /// All names that are set or unset.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        let set = self.set.iter().map(|(key, _)| key);
        set.chain(&self.unset).map(String::as_str)
    }

    /// The edits of those names to which `key` gives one, under that: how `web:LOG_LEVEL` becomes `LOG_LEVEL` of `web`.
    #[must_use]
    pub fn select<'a>(&'a self, key: impl Fn(&'a str) -> Option<&'a str>) -> Self {
        let set = self.set.iter();
        let set = set.filter_map(|(name, value)| Some((key(name)?.to_owned(), value.clone())));
        let unset = self.unset.iter().filter_map(|name| key(name));
        Self {
            set: set.collect(),
            unset: unset.map(str::to_owned).collect(),
            replace: self.replace,
        }
    }

    /// The entries as they are to be: what stays keeps its place, what is new comes last.
    #[must_use]
    pub fn apply(&self, live: impl IntoIterator<Item = (String, String)>) -> Vec<(String, String)> {
        let set = |key: &str| {
            let mut set = self.set.iter();
            set.find(|(name, _)| name == key).map(|(_, value)| value)
        };
        let mut entries: Vec<(String, String)> = live
            .into_iter()
            .filter(|(key, _)| set(key).is_some() || !self.replace && !self.unset.contains(key))
            .map(|(key, value)| {
                let value = set(&key).cloned().unwrap_or(value);
                (key, value)
            })
            .collect();
        for (key, value) in &self.set {
            if !entries.iter().any(|(known, _)| known == key) {
                entries.push((key.clone(), value.clone()));
            }
        }
        entries
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::variables::Environment;

    #[derive(Deserialize, Default)]
    #[serde(default)]
    struct Variables {
        environment: Field<Entries>,
        environment_unset: Field<List<String>>,
        environment_replace: Field<bool>,
    }

    fn edits(pairs: &[(&str, &str)]) -> Result<Edits, String> {
        let pairs = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let variables: Variables = Environment::new(pairs).read();
        let fields = EditFields {
            set: variables.environment,
            unset: variables.environment_unset,
            replace: variables.environment_replace,
        };
        let mut faults = Faults::default();
        let edits = Edits::new("ENVIRONMENT", fields, &mut faults);
        if faults.is_empty() {
            Ok(edits)
        } else {
            Err(faults.to_string())
        }
    }

    fn applied(pairs: &[(&str, &str)]) -> String {
        let live = [("A", "1"), ("B", "2"), ("C", "3")];
        let live = live.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let entries = edits(pairs).unwrap().apply(live);
        let lines: Vec<String> = entries
            .into_iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        lines.join("|")
    }

    #[test]
    fn only_what_is_named_is_touched() {
        for (pairs, expected) in [
            (&[][..], "A=1|B=2|C=3"),
            (&[("ENVIRONMENT", "B=x D=")], "A=1|B=x|C=3|D="),
            (&[("ENVIRONMENT_UNSET", "A X")], "B=2|C=3"),
            (
                &[("ENVIRONMENT", "B=x"), ("ENVIRONMENT_REPLACE", "true")],
                "B=x",
            ),
            (
                &[("ENVIRONMENT", "{}"), ("ENVIRONMENT_REPLACE", "true")],
                "",
            ),
            (
                &[(
                    "ENVIRONMENT",
                    r#"{"A": null, "B": "x y", "C": 4, "D": true}"#,
                )],
                "B=x y|C=4|D=true",
            ),
            (
                &[("ENVIRONMENT", "A=x y\n# a comment\n\nD = z=1\n")],
                "A=x y|B=2|C=3|D= z=1",
            ),
            (
                &[
                    ("ENVIRONMENT_COUNT", "2"),
                    ("ENVIRONMENT_0", "A=\"x\"\ny"),
                    ("ENVIRONMENT_1", "D=$5 #"),
                ],
                "A=\"x\"\ny|B=2|C=3|D=$5 #",
            ),
        ] {
            assert_eq!(applied(pairs), expected, "{pairs:?}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_a_fault_that_shows_no_value() {
        for (pairs, expected) in [
            (
                &[("ENVIRONMENT", "A=hunter 2hunter2")][..],
                "entry 2 has no `=`",
            ),
            (
                &[("ENVIRONMENT", "A='hunter 2'")],
                "entry 1 begins with a quote",
            ),
            (
                &[("ENVIRONMENT", "A=$HUNTER")],
                "the value of `A` is the literal `$HUNTER`",
            ),
            (
                &[("ENVIRONMENT", "=hunter2")],
                "the key of entry 1 is empty",
            ),
            (&[("ENVIRONMENT", "A=hunter2 A=hunter3")], "`A` comes twice"),
            (
                &[("ENVIRONMENT", "A=hunter2"), ("ENVIRONMENT_UNSET", "A")],
                "`A` is to be set and unset",
            ),
            (
                &[("ENVIRONMENT", r#"{"A": "hunter2""#)],
                "is none (line 1, column 15)",
            ),
            (
                &[("ENVIRONMENT", r#"{"A": ["hunter2"]}"#)],
                "`A` has to be a text",
            ),
            (
                &[("ENVIRONMENT_REPLACE", "true")],
                "needs ENVIRONMENT, which is not set",
            ),
        ] {
            let fault = edits(pairs).unwrap_err();
            assert!(fault.contains(expected), "{pairs:?}: {fault}");
            assert!(!fault.contains("hunter"), "{fault}");
        }
    }

    #[test]
    fn edits_can_be_for_a_part_and_hide_their_values() {
        let edits = edits(&[
            ("ENVIRONMENT", "web:A=hunter2 db:B=x"),
            ("ENVIRONMENT_UNSET", "web:C"),
        ])
        .unwrap();
        let web = edits.select(|key| key.strip_prefix("web:"));
        assert_eq!(
            format!("{web:?}"),
            r#"Edits { set: ["A"], unset: {"C"}, replace: false }"#
        );
        assert!(edits.select(|key| key.strip_prefix("other:")).is_empty());
    }
}
