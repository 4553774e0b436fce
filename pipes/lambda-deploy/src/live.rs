//! What Lambda says of a function, a version and an alias, as it came: members that nobody here knows are kept, so that
//! they are compared, handed on and written back untouched. Pure.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde_json::{Map, Value};

/// A FunctionConfiguration (API reference of Lambda): of `$LATEST` or of a published version.
///
/// It has no `Debug`: its environment may hold secrets.
#[derive(Clone, Default, PartialEq, Deserialize)]
#[serde(transparent)]
pub struct Configuration(Map<String, Value>);

/// Members that tell where and when a configuration is, not what a version of it would do.
const CIRCUMSTANCES: &[&str] = &[
    "ConfigSha256",
    "Description",
    "FunctionArn",
    "LastModified",
    "LastUpdateStatus",
    "LastUpdateStatusReason",
    "LastUpdateStatusReasonCode",
    "MasterArn",
    "RevisionId",
    "RuntimeVersionConfig",
    "State",
    "StateReason",
    "StateReasonCode",
    "Version",
];

impl Configuration {
    /// All members.
    pub const fn members(&self) -> &Map<String, Value> {
        &self.0
    }

    /// The document.
    pub fn to_json(&self) -> Value {
        Value::Object(self.0.clone())
    }

    fn text(&self, name: &str) -> &str {
        self.0.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    fn some(&self, name: &str) -> Option<&str> {
        Some(self.text(name)).filter(|text| !text.is_empty())
    }

    /// The base64 of the zip's SHA-256.
    pub fn code_sha256(&self) -> &str {
        self.text("CodeSha256")
    }

    /// What the next conditional change depends on.
    pub fn revision(&self) -> &str {
        self.text("RevisionId")
    }

    /// `$LATEST` or a number.
    pub fn version(&self) -> &str {
        self.text("Version")
    }

    /// The ARN, of a version with its number.
    pub fn arn(&self) -> &str {
        self.text("FunctionArn")
    }

    /// The runtime; none for images.
    pub fn runtime(&self) -> Option<&str> {
        self.some("Runtime")
    }

    /// The handler; none for images.
    pub fn handler(&self) -> Option<&str> {
        self.some("Handler")
    }

    /// `x86_64` unless it says otherwise.
    pub fn architecture(&self) -> &str {
        let list = self.0.get("Architectures").and_then(Value::as_array);
        list.and_then(|list| list.first())
            .and_then(Value::as_str)
            .unwrap_or("x86_64")
    }

    /// Whether the code is a container image.
    pub fn is_image(&self) -> bool {
        self.text("PackageType") == "Image"
    }

    /// Whether a snapshot is taken of published versions.
    pub fn has_snap_start(&self) -> bool {
        let apply_on = self.0.get("SnapStart").and_then(|snap| snap.get("ApplyOn"));
        apply_on.and_then(Value::as_str) == Some("PublishedVersions")
    }

    /// `Pending`, `Active`, `Inactive` or `Failed`; empty where the answer has none, which older answers do not.
    pub fn state(&self) -> &str {
        self.text("State")
    }

    /// Whether the last update has neither succeeded nor failed yet, or the function is still being made.
    pub fn is_in_progress(&self) -> bool {
        self.state() == "Pending" || self.text("LastUpdateStatus") == "InProgress"
    }

    /// Why the last update failed, if it did.
    pub fn failed_update(&self) -> Option<String> {
        (self.text("LastUpdateStatus") == "Failed").then(|| {
            reason(
                self.text("LastUpdateStatusReasonCode"),
                self.text("LastUpdateStatusReason"),
            )
        })
    }

    /// Why the function or version cannot work, if it is so.
    pub fn failed_state(&self) -> Option<String> {
        (self.state() == "Failed")
            .then(|| reason(self.text("StateReasonCode"), self.text("StateReason")))
    }

    /// `State Pending (Creating: …), LastUpdateStatus InProgress`, for messages.
    pub fn status(&self) -> String {
        let mut parts = Vec::new();
        for (name, code, why) in [
            ("State", "StateReasonCode", "StateReason"),
            (
                "LastUpdateStatus",
                "LastUpdateStatusReasonCode",
                "LastUpdateStatusReason",
            ),
        ] {
            let (value, code, why) = (self.text(name), self.text(code), self.text(why));
            if !value.is_empty() {
                let because = match (code, why) {
                    ("", "") => String::new(),
                    (code, why) => format!(" ({})", reason(code, why)),
                };
                parts.push(format!("{name} {value}{because}"));
            }
        }
        parts.join(", ")
    }

    /// Whether a version of the one would do what a version of the other does: all but the circumstances is equal.
    pub fn does_the_same_as(&self, other: &Self) -> bool {
        self.substance() == other.substance()
    }

    fn substance(&self) -> Map<String, Value> {
        let mut members = self.0.clone();
        members.retain(|name, value| !CIRCUMSTANCES.contains(&name.as_str()) && !is_empty(value));
        if let Some(Value::Object(snap_start)) = members.get_mut("SnapStart") {
            snap_start.remove("OptimizationStatus");
        }
        members
    }
}

/// Whether a member says as much as one that is not there.
pub fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(members) => members.values().all(is_empty),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

fn reason(code: &str, why: &str) -> String {
    match (code, why) {
        ("", "") => "AWS gives no reason".to_owned(),
        (code, "") => code.to_owned(),
        ("", why) => why.to_owned(),
        (code, why) => format!("{code}: {why}"),
    }
}

/// What GetFunction answers.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Function {
    /// `$LATEST`.
    pub configuration: Configuration,
    /// Where its code is.
    pub code: CodeLocation,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// Its reserved concurrency.
    pub concurrency: Concurrency,
}

/// The part of GetFunction's `Code` that is no presigned URL, which would be a secret.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct CodeLocation {
    /// The image as it was given.
    pub image_uri: Option<String>,
    /// The image by its digest.
    pub resolved_image_uri: Option<String>,
}

/// What GetFunction says of reserved concurrency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Concurrency {
    /// How many instances are kept for the function, and are its most.
    pub reserved_concurrent_executions: Option<u32>,
}

/// An alias.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Alias {
    /// The ARN, for which callers ask.
    #[serde(rename = "AliasArn")]
    pub arn: String,
    /// Its name.
    pub name: String,
    /// The version that gets what no weight takes.
    pub function_version: String,
    /// For people, and for the mark of this pipe.
    pub description: String,
    /// What the next conditional change depends on.
    pub revision_id: String,
    /// The second version.
    pub routing_config: Option<Routing>,
}

/// The second version of an alias.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Routing {
    /// Version and its share, 0 to 1; one entry at most.
    pub additional_version_weights: BTreeMap<String, f64>,
}

impl Alias {
    /// The second version and its share, while traffic is split.
    pub fn split(&self) -> Option<(&str, f64)> {
        let weights = &self.routing_config.as_ref()?.additional_version_weights;
        weights
            .first_key_value()
            .map(|(version, weight)| (version.as_str(), *weight))
    }
}

impl fmt::Display for Alias {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "version {}", self.function_version)?;
        match self.split() {
            Some((version, weight)) => write!(
                out,
                " with {} of the traffic on version {version}",
                percent(weight)
            ),
            None => Ok(()),
        }
    }
}

/// A share as people write it: `12.5%`.
pub fn percent(share: f64) -> String {
    let hundredths = (share * 10_000.0).round() / 100.0;
    format!("{hundredths}%")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn configuration(document: Value) -> Configuration {
        serde_json::from_value(document).unwrap()
    }

    #[test]
    fn circumstances_make_no_difference_and_all_else_does() {
        let latest = json!({"Version": "$LATEST", "CodeSha256": "a", "RevisionId": "1", "Timeout": 3, "Layers": [],
            "SnapStart": {"ApplyOn": "PublishedVersions", "OptimizationStatus": "Off"}, "NewestMember": {"On": true}});
        let mut version = json!({"Version": "7", "CodeSha256": "a", "RevisionId": "2", "Timeout": 3,
            "Description": "seven", "State": "Active",
            "SnapStart": {"ApplyOn": "PublishedVersions", "OptimizationStatus": "On"}, "NewestMember": {"On": true}});
        let of = configuration;
        assert!(of(latest.clone()).does_the_same_as(&of(version.clone())));
        for (name, value) in [
            ("CodeSha256", json!("b")),
            ("Timeout", json!(4)),
            ("NewestMember", json!({"On": false})),
            ("Layers", json!([{"Arn": "l"}])),
        ] {
            let before = std::mem::replace(&mut version[name], value);
            assert!(
                !of(latest.clone()).does_the_same_as(&of(version.clone())),
                "{name}"
            );
            version[name] = before;
        }
    }

    #[test]
    fn a_failure_has_its_reason() {
        let failed = configuration(json!({"State": "Active", "LastUpdateStatus": "Failed",
            "LastUpdateStatusReasonCode": "ImageAccessDenied", "LastUpdateStatusReason": "no pull"}));
        assert_eq!(
            failed.failed_update().unwrap(),
            "ImageAccessDenied: no pull"
        );
        assert_eq!(
            failed.status(),
            "State Active, LastUpdateStatus Failed (ImageAccessDenied: no pull)"
        );
        assert!(!failed.is_in_progress() && failed.failed_state().is_none());
    }

    #[test]
    fn shares_are_printed_as_people_write_them() {
        assert_eq!(
            [0.1, 0.125, 1.0, 0.0033].map(percent),
            ["10%", "12.5%", "100%", "0.33%"]
        );
    }
}
