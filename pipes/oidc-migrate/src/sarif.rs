//! Findings in SARIF 2.1.0, the form that code scanners read:
//! <https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::findings::{Finding, Level, Rule};

const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// The document with one run.
#[must_use]
pub fn document(findings: &[Finding<'_>]) -> Value {
    let rules: Vec<Value> = Rule::ALL.into_iter().map(rule).collect();
    let results: Vec<Value> = findings.iter().map(result).collect();
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": env!("CARGO_PKG_NAME"),
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            }},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn rule(rule: Rule) -> Value {
    let (id, text) = rule.describe();
    json!({
        "id": id,
        "shortDescription": { "text": text },
        "defaultConfiguration": { "level": level(rule) },
    })
}

fn result(finding: &Finding<'_>) -> Value {
    let step = finding
        .step
        .map_or_else(String::new, |name| format!("step `{name}`: "));
    json!({
        "ruleId": finding.rule.describe().0,
        "level": level(finding.rule),
        "message": { "text": format!("{step}{}", finding.text) },
        "locations": [{
            "physicalLocation": {
                "artifactLocation": { "uri": uri(finding.path), "uriBaseId": "%SRCROOT%" },
                "region": { "startLine": finding.line },
            },
        }],
    })
}

const fn level(rule: Rule) -> &'static str {
    match rule.level() {
        Level::Error => "error",
        Level::Warning => "warning",
        Level::Note => "note",
    }
}

/// A path as a relative reference (RFC 3986, section 4.2).
fn uri(path: &Path) -> String {
    let mut uri = String::new();
    for byte in path.to_string_lossy().bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri
}
