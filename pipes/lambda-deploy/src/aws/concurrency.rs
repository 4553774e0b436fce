//! Provisioned concurrency: of one alias, and of all versions and aliases of a function.

use std::collections::BTreeSet;

use shared::raw::Answer;
use shared::{Explain, Failure, Refusal};

use super::Lambda;
use crate::provisioned::Provisioned;

impl Lambda {
    /// The provisioned concurrency of an alias; nothing if it has none.
    ///
    /// # Errors
    /// When it may not be read.
    pub async fn provisioned(
        &self,
        function: &str,
        alias: &str,
    ) -> Result<Option<Provisioned>, Failure> {
        let answer = Answer::default();
        let sent = self
            .client
            .get_provisioned_concurrency_config()
            .function_name(function)
            .qualifier(alias)
            .customize()
            .interceptor(answer.clone())
            .send()
            .await;
        match sent {
            Ok(_) => answer.json().map(Some),
            Err(error) => {
                let refusal = Refusal::from(&error);
                if refusal.status == 404 {
                    return Ok(None);
                }
                Err(error).explain(
                    format!(
                        "could not look at the provisioned concurrency of `{function}:{alias}`"
                    ),
                    "lambda:GetProvisionedConcurrencyConfig",
                )
            }
        }
    }

    /// Changes the provisioned concurrency of an alias, or takes it away.
    ///
    /// # Errors
    /// What Lambda refused.
    pub async fn provision(
        &self,
        function: &str,
        alias: &str,
        instances: Option<u32>,
    ) -> Result<(), Refusal> {
        match instances {
            Some(instances) => self
                .client
                .put_provisioned_concurrency_config()
                .function_name(function)
                .qualifier(alias)
                .provisioned_concurrent_executions(i32::try_from(instances).unwrap_or(i32::MAX))
                .send()
                .await
                .map(drop)
                .map_err(|error| Refusal::from(&error)),
            None => self
                .client
                .delete_provisioned_concurrency_config()
                .function_name(function)
                .qualifier(alias)
                .send()
                .await
                .map(drop)
                .map_err(|error| Refusal::from(&error)),
        }
    }

    /// The versions, by their numbers, that have provisioned concurrency of their own.
    ///
    /// # Errors
    /// When they may not be listed.
    pub async fn provisioned_versions(&self, function: &str) -> Result<BTreeSet<String>, Failure> {
        let mut versions = BTreeSet::new();
        let mut marker = None;
        loop {
            let sent = self
                .client
                .list_provisioned_concurrency_configs()
                .function_name(function)
                .set_marker(marker)
                .send()
                .await;
            let page = match sent {
                Ok(page) => page,
                // "No Provisioned Concurrency Config found for this function": none, in the words of the other request.
                Err(error) if Refusal::from(&error).status == 404 => return Ok(versions),
                Err(error) => {
                    return Err(error).explain(
                        format!("could not list the provisioned concurrency of `{function}`"),
                        "lambda:ListProvisionedConcurrencyConfigs",
                    );
                }
            };
            let configs = page.provisioned_concurrency_configs.unwrap_or_default();
            versions.extend(configs.into_iter().filter_map(|config| {
                let arn = config.function_arn?;
                arn.rsplit(':').next().map(str::to_owned)
            }));
            marker = page.next_marker.filter(|marker| !marker.is_empty());
            if marker.is_none() {
                return Ok(versions);
            }
        }
    }

    /// The versions, by their numbers, that queues and streams send their events to.
    ///
    /// # Errors
    /// When they may not be listed.
    pub async fn versions_with_events(&self, function: &str) -> Result<BTreeSet<String>, Failure> {
        let mut versions = BTreeSet::new();
        let mut marker = None;
        loop {
            let page = self
                .client
                .list_event_source_mappings()
                .function_name(function)
                .set_marker(marker)
                .send()
                .await
                .explain(
                    format!("could not list the event sources of `{function}`"),
                    "lambda:ListEventSourceMappings",
                )?;
            let mappings = page.event_source_mappings.unwrap_or_default();
            versions.extend(mappings.into_iter().filter_map(|mapping| {
                let arn = mapping.function_arn?;
                arn.rsplit(':').next().map(str::to_owned)
            }));
            marker = page.next_marker.filter(|marker| !marker.is_empty());
            if marker.is_none() {
                return Ok(versions);
            }
        }
    }
}
