//! Aliases: reading, making, moving.

use std::collections::HashMap;

use aws_sdk_lambda::types::AliasRoutingConfiguration;
use serde::Deserialize;
use shared::raw::Answer;
use shared::{Explain, Failure, Refusal};

use super::Lambda;
use crate::live::Alias;

/// What an alias is to be.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// The version that gets what the weight does not take.
    pub version: String,
    /// A second version and its share.
    pub split: Option<(String, f64)>,
    /// The description, with the pipe's mark.
    pub description: String,
}

impl Wanted {
    /// Whether the alias is that already.
    pub fn is(&self, alias: &Alias) -> bool {
        let split = self
            .split
            .as_ref()
            .map(|(version, weight)| (version.as_str(), *weight));
        alias.function_version == self.version
            && alias.split() == split
            && alias.description == self.description
    }

    fn routing(&self) -> AliasRoutingConfiguration {
        // An empty map takes the weights away; a member that is not sent leaves them.
        let weights: HashMap<String, f64> = self.split.clone().into_iter().collect();
        AliasRoutingConfiguration::builder()
            .set_additional_version_weights(Some(weights))
            .build()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page {
    #[serde(default)]
    aliases: Vec<Alias>,
    next_marker: Option<String>,
}

impl Lambda {
    /// The alias; nothing if the function has none of this name.
    ///
    /// # Errors
    /// When it may not be read.
    pub async fn alias(&self, function: &str, name: &str) -> Result<Option<Alias>, Failure> {
        let answer = Answer::default();
        let sent = self
            .client
            .get_alias()
            .function_name(function)
            .name(name)
            .customize()
            .interceptor(answer.clone())
            .send()
            .await;
        match sent {
            Ok(_) => answer.json().map(Some),
            Err(error) if super::is_absent(&Refusal::from(&error)) => Ok(None),
            Err(error) => Err(error).explain(
                format!("could not look at alias `{name}` of `{function}`"),
                "lambda:GetAlias",
            ),
        }
    }

    /// All aliases of the function.
    ///
    /// # Errors
    /// When they may not be listed.
    pub async fn aliases(&self, function: &str) -> Result<Vec<Alias>, Failure> {
        let mut aliases = Vec::new();
        let mut marker = None;
        loop {
            let answer = Answer::default();
            self.client
                .list_aliases()
                .function_name(function)
                .set_marker(marker)
                .customize()
                .interceptor(answer.clone())
                .send()
                .await
                .explain(
                    format!("could not list the aliases of `{function}`"),
                    "lambda:ListAliases",
                )?;
            let page: Page = answer.json()?;
            aliases.extend(page.aliases);
            marker = page.next_marker.filter(|marker| !marker.is_empty());
            if marker.is_none() {
                return Ok(aliases);
            }
        }
    }

    /// Makes the alias.
    ///
    /// # Errors
    /// What Lambda refused.
    pub async fn create_alias(
        &self,
        function: &str,
        name: &str,
        wanted: &Wanted,
    ) -> Result<Alias, Refusal> {
        let answer = Answer::default();
        self.client
            .create_alias()
            .function_name(function)
            .name(name)
            .function_version(&wanted.version)
            .description(&wanted.description)
            .customize()
            .interceptor(answer.clone())
            .send()
            .await
            .map_err(|error| Refusal::from(&error))?;
        super::functions::document(&answer)
    }

    /// Changes the alias, if it is still the one of `revision`.
    ///
    /// # Errors
    /// What Lambda refused.
    pub async fn update_alias(
        &self,
        function: &str,
        name: &str,
        wanted: &Wanted,
        revision: &str,
    ) -> Result<Alias, Refusal> {
        let answer = Answer::default();
        self.client
            .update_alias()
            .function_name(function)
            .name(name)
            .function_version(&wanted.version)
            .description(&wanted.description)
            .routing_config(wanted.routing())
            .revision_id(revision)
            .customize()
            .interceptor(answer.clone())
            .send()
            .await
            .map_err(|error| Refusal::from(&error))?;
        super::functions::document(&answer)
    }
}
