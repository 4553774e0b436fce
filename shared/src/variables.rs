//! The environment as a value, and typed variables read from it with envy and serde.
//! A field keeps its own fault instead of failing the whole struct, so that [`Faults`] can report
//! every wrong variable of a run in one block: a round trip through CI is too slow for one at a time.

use std::collections::BTreeMap;
use std::fmt;
use std::time::SystemTime;

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use serde::de::{DeserializeOwned, Deserializer, Error as _, Visitor};
use serde::{Deserialize, forward_to_deserialize_any};

use crate::secret::Secret;

/// Set before the elements of a list that arrived as `NAME_COUNT`, `NAME_0`, …; never typed by a person.
const LIST: char = '\u{1f}';
/// Set before the fault of a list whose `NAME_COUNT` and elements do not fit together.
const BROKEN_LIST: char = '\u{1e}';

/// Variables whose value is a secret: none of them ends up in what is deployed, and no program that is started has them.
pub const SECRET_NAMES: [&str; 5] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "BITBUCKET_STEP_OIDC_TOKEN",
    "PIPELINES_JWT_TOKEN",
];

/// All environment variables of the process, read once at its edge.
///
/// It has no `Debug`: it holds the token and the keys.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// The environment made of these pairs of name and value.
    pub fn new(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(pairs.into_iter().collect())
    }

    /// The value of `name`, if it is neither blank nor an unexpanded `$NAME`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        match field_of(self.0.get(name)?) {
            Field::Value(text) => Some(text),
            _ => None,
        }
    }

    /// The names of all variables, set or blank, in the order of the alphabet.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Fills a struct of [`Field`]s: the field `s3_bucket` takes the variable `S3_BUCKET`, or the list
    /// `S3_BUCKET_COUNT`, `S3_BUCKET_0`, … as which Bitbucket hands a YAML list to a pipe.
    ///
    /// # Panics
    /// Never for structs whose fields are all [`Field`]s with a default, which is what this is for.
    #[must_use]
    pub fn read<V: DeserializeOwned + Default>(&self) -> V {
        let pairs = field_names::<V>()
            .into_iter()
            .filter_map(|name| self.text_of(&name).map(|text| (name, text)));
        // A `Field` never refuses its text, so the only error left is a struct of another shape.
        envy::from_iter(pairs).unwrap_or_default()
    }

    fn text_of(&self, name: &str) -> Option<String> {
        if let Some(text) = self.0.get(name) {
            return Some(text.clone());
        }
        let count = self.get(&format!("{name}_COUNT"))?;
        let Ok(count) = count.trim().parse::<usize>() else {
            return Some(format!(
                "{BROKEN_LIST}`{name}_COUNT` must be of integer type"
            ));
        };
        let mut list = String::from(LIST);
        for index in 0..count {
            let Some(element) = self.0.get(&format!("{name}_{index}")) else {
                return Some(format!(
                    "{BROKEN_LIST}`{name}_COUNT` is {count}, but `{name}_{index}` is not set"
                ));
            };
            list.push_str(element);
            list.push(LIST);
        }
        // An empty list is an absent one: the mark alone would not count as blank.
        list.pop();
        Some(list)
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Environment {
    fn from(pairs: [(&str, &str); N]) -> Self {
        Self::new(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())))
    }
}

/// One variable as it was found: absent in one of three ways, a value, or a fault to be reported.
#[derive(Clone, Default)]
pub enum Field<T> {
    /// Not in the environment.
    #[default]
    Unset,
    /// Set, but to nothing or blanks: how pipelines pass on an undefined variable.
    Blank,
    /// Set to a literal `$NAME` that nobody expanded; the text of it.
    Unexpanded(String),
    /// A value of the right form.
    Value(T),
    /// Set to something of another form; the fault, worded as Bitbucket's own pipes word it.
    Fault(String),
}

impl<T> Field<T> {
    /// Whether there is neither a value nor a fault.
    pub const fn is_absent(&self) -> bool {
        matches!(self, Self::Unset | Self::Blank | Self::Unexpanded(_))
    }

    /// The value, if there is one.
    pub fn value(self) -> Option<T> {
        match self {
            Self::Value(value) => Some(value),
            _ => None,
        }
    }

    /// Why the variable counts as absent, for messages; empty when it is simply not set.
    pub fn absence(&self) -> String {
        match self {
            Self::Blank => " (it is set, but blank)".to_owned(),
            Self::Unexpanded(text) => {
                format!(
                    " (its value is the literal `{text}`, so that variable is not defined for this step)"
                )
            }
            _ => String::new(),
        }
    }
}

impl<'de, T: FromText> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if let Some(fault) = text.strip_prefix(BROKEN_LIST) {
            return Ok(Self::Fault(fault.to_owned()));
        }
        Ok(match field_of(&text) {
            Field::Value(text) => T::from_text(text).map_or_else(Self::Fault, Self::Value),
            Field::Unexpanded(text) => Self::Unexpanded(text),
            _ => Self::Blank,
        })
    }
}

fn field_of(text: &str) -> Field<&str> {
    let trimmed = text.trim();
    if trimmed.is_empty() {
        Field::Blank
    } else if is_unexpanded(trimmed) {
        Field::Unexpanded(trimmed.to_owned())
    } else {
        Field::Value(text)
    }
}

pub(crate) fn is_unexpanded(text: &str) -> bool {
    let Some(name) = text.strip_prefix('$') else {
        return false;
    };
    let name = name
        .strip_prefix('{')
        .and_then(|name| name.strip_suffix('}'))
        .unwrap_or(name);
    name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name
            .chars()
            .all(|each| each.is_ascii_alphanumeric() || each == '_')
}

/// A value that can be read from the text of one environment variable.
pub trait FromText: Sized {
    /// Reads it; the error is an item of the block of faults, such as `must be of boolean type`.
    fn from_text(text: &str) -> Result<Self, String>;
}

impl FromText for String {
    fn from_text(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }
}

impl FromText for Secret {
    fn from_text(text: &str) -> Result<Self, String> {
        // `echo "$TOKEN" > file` and its like add a newline that no header and no form may hold.
        Ok(Self::new(text.trim()))
    }
}

impl FromText for bool {
    /// The words of YAML 1.1, since Bitbucket's own pipes load the text as a YAML scalar: a bare `1` is
    /// an integer there and is refused.
    fn from_text(text: &str) -> Result<Self, String> {
        match text.trim() {
            "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Ok(true),
            "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Ok(false),
            _ => Err("must be of boolean type".to_owned()),
        }
    }
}

impl FromText for u32 {
    fn from_text(text: &str) -> Result<Self, String> {
        text.trim()
            .parse()
            .map_err(|_| "must be of integer type".to_owned())
    }
}

/// A moment, as ISO 8601 with an offset (`2026-12-01T00:00:00Z`), a date alone, or an HTTP date (RFC 9110).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timestamp(pub SystemTime);

impl Timestamp {
    /// As an HTTP date (RFC 9110), which is how S3 gives it back.
    #[must_use]
    pub fn http_date(self) -> String {
        DateTime::from(self.0)
            .fmt(Format::HttpDate)
            .unwrap_or_default()
    }
}

impl FromText for Timestamp {
    fn from_text(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let midnight = format!("{text}T00:00:00Z");
        let forms = [
            (text, Format::DateTimeWithOffset),
            (midnight.as_str(), Format::DateTimeWithOffset),
            (text, Format::HttpDate),
        ];
        forms
            .into_iter()
            .find_map(|(text, form)| {
                SystemTime::try_from(DateTime::from_str(text, form).ok()?).ok()
            })
            .map(Self)
            .ok_or_else(|| {
                format!("unallowed value {text} (a timestamp looks like `2026-12-01T00:00:00Z`)")
            })
    }
}

/// A list variable: Bitbucket's `NAME_COUNT`, `NAME_0`, …, or one text with blanks between the elements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List<T>(pub Vec<T>);

/// The elements of a list that arrived as `NAME_COUNT`, `NAME_0`, … without the blank ones; nothing for one text.
pub(crate) fn counted(text: &str) -> Option<Vec<&str>> {
    let list = text.strip_prefix(LIST)?.split(LIST);
    Some(list.filter(|element| !element.trim().is_empty()).collect())
}

impl<T: FromText> FromText for List<T> {
    fn from_text(text: &str) -> Result<Self, String> {
        counted(text)
            .unwrap_or_else(|| text.split_whitespace().collect())
            .into_iter()
            .map(T::from_text)
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

/// The faults of all variables of a run, by the variable's name.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
pub struct Faults(BTreeMap<String, Vec<String>>);

impl Faults {
    /// Notes a fault of the variable `name`.
    pub fn add(&mut self, name: &str, fault: impl Into<String>) {
        self.0
            .entry(name.to_owned())
            .or_default()
            .push(fault.into());
    }

    /// The value, or nothing if the variable is absent or at fault.
    pub fn optional<T>(&mut self, name: &str, field: Field<T>) -> Option<T> {
        match field {
            Field::Value(value) => Some(value),
            Field::Fault(fault) => {
                self.add(name, fault);
                None
            }
            Field::Unset | Field::Blank | Field::Unexpanded(_) => None,
        }
    }

    /// The value; its absence is a fault.
    pub fn required<T>(&mut self, name: &str, field: Field<T>) -> Option<T> {
        if field.is_absent() {
            self.add(name, format!("required field{}", field.absence()));
        }
        self.optional(name, field)
    }

    /// Whether nothing was noted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Validation errors:")?;
        for (name, faults) in &self.0 {
            write!(out, "\n{name}:")?;
            for fault in faults {
                write!(out, "\n- {fault}")?;
            }
        }
        Ok(())
    }
}

/// The variables that a struct of [`Field`]s reads, such as `S3_BUCKET`, in the order of its fields.
#[must_use]
pub fn field_names<V: DeserializeOwned>() -> Vec<String> {
    let mut fields: &'static [&'static str] = &[];
    // serde hands the names to the deserializer before it asks for a value; this one wants only them.
    let _ = V::deserialize(FieldNames(&mut fields));
    fields
        .iter()
        .map(|field| field.to_ascii_uppercase())
        .collect()
}

struct FieldNames<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for FieldNames<'_> {
    type Error = serde::de::value::Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, Self::Error> {
        *self.0 = fields;
        Err(Self::Error::custom("only the names were asked for"))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Self::Error> {
        Err(Self::Error::custom("not a struct of variables"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize, Default)]
    #[serde(default)]
    struct Sample {
        name: Field<String>,
        flag: Field<bool>,
        count: Field<u32>,
        paths: Field<List<String>>,
    }

    fn sample<const N: usize>(pairs: [(&str, &str); N]) -> Sample {
        Environment::from(pairs).read()
    }

    #[test]
    fn booleans_are_those_of_yaml_1_1() {
        for text in ["true", "True", "TRUE", "yes", "on", " true\n"] {
            assert!(
                matches!(sample([("FLAG", text)]).flag, Field::Value(true)),
                "{text:?}"
            );
        }
        for text in ["false", "no", "Off"] {
            assert!(
                matches!(sample([("FLAG", text)]).flag, Field::Value(false)),
                "{text:?}"
            );
        }
        for text in ["1", "0", "'true'", "y", "tRue"] {
            let Field::Fault(fault) = sample([("FLAG", text)]).flag else {
                panic!("{text:?} was taken")
            };
            assert_eq!(fault, "must be of boolean type");
        }
    }

    #[test]
    fn blank_and_unexpanded_are_absent() {
        for text in ["", "  ", "\n", "$NAME", "${NAME}", " $NAME_2 "] {
            assert!(sample([("NAME", text)]).name.is_absent(), "{text:?}");
            assert_eq!(
                Environment::from([("NAME", text)]).get("NAME"),
                None,
                "{text:?}"
            );
        }
        for text in ["$", "$5", "a$NAME", "$NAME/x", "${NAME"] {
            assert!(!sample([("NAME", text)]).name.is_absent(), "{text:?}");
        }
    }

    #[test]
    fn lists_come_counted_or_in_one_text() {
        let counted = sample([("PATHS_COUNT", "2"), ("PATHS_0", "a b"), ("PATHS_1", "c")]);
        assert_eq!(counted.paths.value().unwrap().0, ["a b", "c"]);
        assert_eq!(
            sample([("PATHS", "a b\n c")]).paths.value().unwrap().0,
            ["a", "b", "c"]
        );
        assert!(sample([("PATHS_COUNT", "")]).paths.is_absent());
        assert!(sample([("PATHS_COUNT", "0")]).paths.is_absent());
        for broken in [
            [("PATHS_COUNT", "two"), ("PATHS_0", "a")],
            [("PATHS_COUNT", "2"), ("PATHS_0", "a")],
        ] {
            assert!(
                matches!(sample(broken).paths, Field::Fault(_)),
                "{broken:?}"
            );
        }
    }

    #[test]
    fn timestamps_come_in_three_forms() {
        for text in [
            "2026-12-01T00:00:00Z",
            "2026-12-01",
            "2026-12-01T01:00:00+01:00",
            "Tue, 01 Dec 2026 00:00:00 GMT",
        ] {
            let time = Timestamp::from_text(text).unwrap_or_else(|fault| panic!("{fault}"));
            assert_eq!(DateTime::from(time.0).secs(), 1_796_083_200, "{text}");
        }
        assert!(Timestamp::from_text("tomorrow").is_err());
    }

    #[test]
    fn all_faults_stand_in_one_block() {
        let sample = sample([("FLAG", "1"), ("COUNT", "1.5"), ("NAME", "$NAME")]);
        let mut faults = Faults::default();
        assert_eq!(faults.required("NAME", sample.name), None);
        assert_eq!(faults.optional("FLAG", sample.flag), None);
        assert_eq!(faults.optional("COUNT", sample.count), None);
        assert!(faults.optional("PATHS", sample.paths).is_none());
        insta::assert_snapshot!(faults, @r"
        Validation errors:
        COUNT:
        - must be of integer type
        FLAG:
        - must be of boolean type
        NAME:
        - required field (its value is the literal `$NAME`, so that variable is not defined for this step)
        ");
    }

    #[test]
    fn the_names_come_from_the_struct() {
        assert_eq!(field_names::<Sample>(), ["NAME", "FLAG", "COUNT", "PATHS"]);
    }
}
