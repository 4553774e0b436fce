//! What is done once an alias is where it is to be: warm instances, the URL, and old versions away.

use shared::{Failure, Faults, Journal};

use crate::config::Reserved;
use crate::function_url::{self, FunctionUrl};
use crate::prune::Keep;
use crate::target::Target;
use crate::{provisioned, prune};

/// PROVISIONED_CONCURRENCY, FUNCTION_URL and KEEP_VERSIONS.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Aftermath {
    /// Warm instances of the alias.
    pub provisioned: Option<Reserved>,
    /// The function's own address.
    pub url: Option<FunctionUrl>,
    /// Which old versions are kept.
    pub keep: Option<Keep>,
}

impl Aftermath {
    /// Refuses what does not fit together.
    pub fn check(&self, has_alias: bool, publishes: bool, faults: &mut Faults) {
        if self.provisioned.is_some() && !has_alias {
            faults.add(
                "PROVISIONED_CONCURRENCY",
                "is of an alias, so it is for COMMAND `deploy` only",
            );
        }
        if self.provisioned == Some(Reserved::Instances(0)) {
            faults.add(
                "PROVISIONED_CONCURRENCY",
                "unallowed value 0 (`none` takes it away)",
            );
        }
        if self.keep.is_some() && !publishes {
            faults.add(
                "KEEP_VERSIONS",
                "needs a published version, and PUBLISH_FLAG is false",
            );
        }
    }

    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Lines of the plan.
    pub fn lines(&self, target: &Target, alias: Option<&str>) -> Vec<String> {
        let mut lines = Vec::new();
        let at = alias.map_or_else(|| target.to_string(), |alias| format!("{target}:{alias}"));
        match self.provisioned {
            Some(Reserved::Instances(count)) => {
                lines.push(format!("provision  {at}  ({count} warm instances)"));
            }
            Some(Reserved::None) => lines.push(format!("provision  {at}  (none any more)")),
            None => {}
        }
        if let Some(url) = &self.url {
            lines.push(format!("url        {at}  ({})", url.auth.as_str()));
        }
        if let Some(keep) = self.keep {
            lines.push(format!(
                "prune      {target}  (all but {keep} and those in use)"
            ));
        }
        lines
    }

    /// Does it, and gives the URL if one was asked for.
    ///
    /// # Errors
    /// When Lambda refuses. Traffic has been moved by then, and stays.
    pub async fn run(
        &self,
        target: &Target,
        alias: Option<&str>,
        version: &str,
        journal: &Journal,
    ) -> Result<Option<String>, Failure> {
        if let (Some(wished), Some(alias)) = (self.provisioned, alias) {
            provisioned::apply(target, alias, wished, journal).await?;
        }
        let mut url = None;
        if let Some(wished) = &self.url {
            url = Some(function_url::apply(target, wished, alias, journal).await?);
        }
        if let Some(keep) = self.keep {
            prune::prune(target, keep, version, journal).await;
        }
        Ok(url)
    }
}
