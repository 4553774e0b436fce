//! Published versions: listing and publishing.

use serde::Deserialize;
use shared::raw::Answer;
use shared::{Explain, Failure, Refusal};

use super::Lambda;
use crate::live::Configuration;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page {
    versions: Vec<Configuration>,
    next_marker: Option<String>,
}

impl Lambda {
    /// All published versions, the oldest first; `$LATEST` is not among them.
    ///
    /// # Errors
    /// When they may not be listed.
    pub async fn versions(&self, function: &str) -> Result<Vec<Configuration>, Failure> {
        let mut versions = Vec::new();
        let mut marker = None;
        loop {
            let answer = Answer::default();
            self.client
                .list_versions_by_function()
                .function_name(function)
                .set_marker(marker)
                .customize()
                .interceptor(answer.clone())
                .send()
                .await
                .explain(
                    format!("could not list the versions of `{function}`"),
                    "lambda:ListVersionsByFunction",
                )?;
            let page: Page = answer.json()?;
            versions.extend(page.versions);
            marker = page.next_marker.filter(|marker| !marker.is_empty());
            if marker.is_none() {
                versions.retain(|version| version.version() != "$LATEST");
                return Ok(versions);
            }
        }
    }

    /// Publishes `$LATEST`, if it still has this code and is still of this revision. "Lambda doesn't publish a version
    /// if the function's configuration and code haven't changed since the last version": that one is the answer then.
    ///
    /// # Errors
    /// What Lambda refused.
    pub async fn publish(
        &self,
        function: &str,
        code_sha256: Option<&str>,
        revision: &str,
        description: Option<&str>,
    ) -> Result<Configuration, Refusal> {
        let answer = Answer::default();
        self.client
            .publish_version()
            .function_name(function)
            .set_code_sha256(code_sha256.map(str::to_owned))
            .revision_id(revision)
            .set_description(description.map(str::to_owned))
            .customize()
            .interceptor(answer.clone())
            .send()
            .await
            .map_err(|error| Refusal::from(&error))?;
        super::functions::document(&answer)
    }

    /// Deletes a version; Lambda refuses one that an alias names.
    ///
    /// # Errors
    /// What Lambda refused.
    pub async fn delete_version(&self, function: &str, version: &str) -> Result<(), Refusal> {
        self.client
            .delete_function()
            .function_name(function)
            .qualifier(version)
            .send()
            .await
            .map(drop)
            .map_err(|error| Refusal::from(&error))
    }
}
