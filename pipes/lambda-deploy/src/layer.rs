//! LAYER_NAME: a directory becomes a version of a layer, and the function has it. A layer whose latest version has these
//! very bytes is not published again, and as packing is canonical, equal directories have equal bytes.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;
use shared::{Failure, Faults, Journal, explained};

use crate::artifact;
use crate::aws::{Lambda, Upload};
use crate::config::{Change, architecture_name};
use crate::configuration::Desired;
use crate::live::Configuration;
use crate::package::{Links, Package};
use crate::source::open_package;
use crate::target::Target;

/// LAYER_NAME and LAYER_PATH.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerSettings {
    /// Its name.
    pub name: String,
    /// The directory, or a zip.
    pub path: PathBuf,
}

/// A layer whose content is here.
pub struct Layer {
    /// Its name.
    pub name: String,
    /// Its content.
    pub package: Package,
}

/// The newest version of a layer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Latest {
    /// Its ARN, with the version.
    pub layer_version_arn: String,
    /// What it holds.
    pub content: Content,
}

/// The content of a layer's version, without its presigned URL, which would be a secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Content {
    /// The base64 of the zip's SHA-256.
    pub code_sha256: String,
}

/// What becomes of a layer in one region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Layering {
    /// The newest version has this content already.
    Unchanged(String),
    /// A version is published, and why.
    Publish(&'static str),
}

impl LayerSettings {
    /// From both variables.
    pub fn new(name: Option<String>, path: Option<String>, faults: &mut Faults) -> Option<Self> {
        if name.is_some() != path.is_some() {
            let (missing, given) = if path.is_none() {
                ("LAYER_PATH", "LAYER_NAME")
            } else {
                ("LAYER_NAME", "LAYER_PATH")
            };
            faults.add(missing, format!("required field ({given} is given)"));
        }
        let name = name?.trim().to_owned();
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        if name.len() > 64 || !name.bytes().all(is_word) {
            faults.add(
                "LAYER_NAME",
                format!("unallowed value {name} (at most 64 letters, digits, `-` and `_`; the account and region are the function's)"),
            );
        }
        Some(Self {
            name,
            path: PathBuf::from(path?.trim()),
        })
    }

    /// Packs the directory, or reads the zip.
    ///
    /// # Errors
    /// When it cannot be a layer.
    pub async fn open(&self, links: Links, lambda: &Lambda) -> Result<Layer, Failure> {
        Ok(Layer {
            name: self.name.clone(),
            package: open_package("LAYER_PATH", &self.path, links, lambda).await?,
        })
    }
}

impl Layer {
    /// What is to be done in the region of `lambda`.
    ///
    /// # Errors
    /// When the layer may not be looked at.
    async fn look(&self, lambda: &Lambda) -> Result<Layering, Failure> {
        Ok(match lambda.latest_layer(&self.name).await? {
            None => Layering::Publish("new"),
            Some(latest) if latest.content.code_sha256 == self.package.code_sha256() => {
                Layering::Unchanged(latest.layer_version_arn)
            }
            Some(_) => Layering::Publish("content differs"),
        })
    }

    /// Publishes a version, and gives its ARN.
    ///
    /// # Errors
    /// What Lambda refused, or that it has other bytes than were sent.
    async fn publish(
        &self,
        lambda: &Lambda,
        upload: Upload,
        change: &Change,
        journal: &Journal,
    ) -> Result<String, Failure> {
        let runtime = change.wishes.members.get("Runtime").and_then(Value::as_str);
        let architecture = change.architecture.map(architecture_name);
        let pending = journal.begin("publish", &format!("layer {}", self.name));
        let made = lambda
            .publish_layer(&self.name, upload, runtime, architecture)
            .await;
        let made = match made {
            Ok(made) => made,
            Err(refusal) => {
                if refusal.changed_nothing() {
                    pending.refused();
                }
                let doing = format!("could not publish a version of layer `{}`", self.name);
                return Err(explained(&refusal, doing, "lambda:PublishLayerVersion"));
            }
        };
        pending.done("published", &made.layer_version_arn);
        if made.content.code_sha256 != self.package.code_sha256() {
            return Err(Failure::new(format!(
                "`{}` has the SHA-256 `{}`, and `{}` was sent",
                made.layer_version_arn,
                made.content.code_sha256,
                self.package.code_sha256()
            ))
            .hint("no function was changed; run it again"));
        }
        tracing::info!("Published `{}`", made.layer_version_arn);
        Ok(made.layer_version_arn)
    }

    /// The ARN in a plan, before the version has its number.
    fn planned_arn(&self, live: Option<&Configuration>) -> String {
        let prefix = live
            .and_then(|live| live.arn().split_once(":function:"))
            .map_or("arn", |(prefix, _)| prefix);
        format!("{prefix}:layer:{}:(new version)", self.name)
    }
}

/// The layer of a run in all its regions; empty if none is wished.
pub struct Layers<'a> {
    layer: Option<Layer>,
    regions: BTreeMap<&'a str, (&'a Lambda, Layering)>,
}

impl<'a> Layers<'a> {
    /// Opens the layer, and looks at it in the regions of all `targets`.
    ///
    /// # Errors
    /// When it cannot be a layer, or may not be looked at.
    pub async fn look(change: &Change, targets: &'a [Target]) -> Result<Self, Failure> {
        let mut regions = BTreeMap::new();
        let (Some(settings), Some(first)) = (&change.layer, targets.first()) else {
            return Ok(Self {
                layer: None,
                regions,
            });
        };
        let layer = settings.open(change.links, &first.lambda).await?;
        for target in targets {
            let lambda = &target.lambda;
            if !regions.contains_key(lambda.region()) {
                let layering = layer.look(lambda).await?;
                if matches!(layering, Layering::Publish(_)) {
                    // Refused here if it is too large and there is no bucket for it.
                    artifact::upload_of(&layer.package, change.artifacts.as_ref(), lambda)?;
                }
                regions.insert(lambda.region(), (lambda, layering));
            }
        }
        Ok(Self {
            layer: Some(layer),
            regions,
        })
    }

    /// Whether there is no layer.
    pub const fn is_empty(&self) -> bool {
        self.layer.is_none()
    }

    /// What is wished of the configuration, with the layer.
    pub fn on(&self, desired: &Desired, target: &Target, live: Option<&Configuration>) -> Desired {
        let mut desired = desired.clone();
        let region = self.regions.get(target.lambda.region());
        if let (Some(layer), Some((_, layering))) = (&self.layer, region) {
            match layering {
                Layering::Unchanged(arn) => desired.add_layer(arn, live),
                Layering::Publish(_) => desired.add_layer(&layer.planned_arn(live), live),
            }
        }
        desired
    }

    /// Contents that are published, and where.
    pub fn to_be_published(&self) -> impl Iterator<Item = (&Package, &'a Lambda)> {
        let regions = self.regions.values();
        regions.filter_map(|(lambda, layering)| match (layering, &self.layer) {
            (Layering::Publish(_), Some(layer)) => Some((&layer.package, *lambda)),
            _ => None,
        })
    }

    /// Lines of the plan.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        let several = self.regions.len() > 1;
        self.regions
            .iter()
            .filter_map(move |(region, (_, layering))| {
                let layer = self.layer.as_ref()?;
                let place = if several {
                    format!("{} in {region}", layer.name)
                } else {
                    layer.name.clone()
                };
                Some(layering.line(&place, &layer.package))
            })
    }

    /// Publishes it where it is to be.
    ///
    /// # Errors
    /// What Lambda refused.
    pub async fn publish(mut self, change: &Change, journal: &Journal) -> Result<Self, Failure> {
        let Some(layer) = &self.layer else {
            return Ok(self);
        };
        for (lambda, layering) in self.regions.values_mut() {
            if matches!(layering, Layering::Publish(_)) {
                let upload =
                    artifact::upload_of(&layer.package, change.artifacts.as_ref(), lambda)?;
                let arn = layer.publish(lambda, upload, change, journal).await?;
                *layering = Layering::Unchanged(arn);
            }
        }
        Ok(self)
    }
}

impl Layering {
    /// The line of the plan.
    fn line(&self, name: &str, package: &Package) -> String {
        match self {
            Self::Unchanged(arn) => {
                let version = arn.rsplit(':').next().unwrap_or_default();
                format!("layer      {name}  (unchanged, version {version})")
            }
            Self::Publish(reason) => {
                format!("layer      {name}  ({reason}, {} bytes)", package.size())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_variables_or_none() {
        let read = |name: Option<&str>, path: Option<&str>| {
            let mut faults = Faults::default();
            let settings = LayerSettings::new(
                name.map(str::to_owned),
                path.map(str::to_owned),
                &mut faults,
            );
            (settings, faults.to_string())
        };
        assert!(read(None, None).0.is_none());
        assert!(read(Some("deps"), Some("layer")).0.is_some());
        insta::assert_snapshot!(read(Some("deps"), None).1, @r"
        Validation errors:
        LAYER_PATH:
        - required field (LAYER_NAME is given)
        ");
        insta::assert_snapshot!(read(None, Some("layer")).1, @r"
        Validation errors:
        LAYER_NAME:
        - required field (LAYER_PATH is given)
        ");
        insta::assert_snapshot!(read(Some("arn:aws:lambda:x"), Some("layer")).1, @r"
        Validation errors:
        LAYER_NAME:
        - unallowed value arn:aws:lambda:x (at most 64 letters, digits, `-` and `_`; the account and region are the function's)
        ");
    }
}
