//! ARTIFACT_BUCKET: where an archive goes that is too large for a request. Its key is its own SHA-256, so that the same
//! code is uploaded once, whoever deploys it and however often.

use std::fmt;

use shared::{Failure, FromText, Journal};

use crate::aws::{Lambda, Upload};
use crate::package::{Limits, Package};

/// Stands for the region of the function, since Lambda reads code from a bucket of its own region only.
const REGION: &str = "{region}";
/// Where keys are unless the variable says otherwise.
const PREFIX: &str = "lambda-deploy/";

/// `bucket` or `bucket/prefix`; `{region}` in it is the region of the function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArtifactBucket {
    bucket: String,
    prefix: String,
}

/// An object that has, or is to have, an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The bucket.
    pub bucket: String,
    /// The key.
    pub key: String,
}

impl FromText for ArtifactBucket {
    fn from_text(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let path = text.strip_prefix("s3://").unwrap_or(text);
        let (bucket, prefix) = path.split_once('/').unwrap_or((path, PREFIX));
        let plain = bucket.replace(REGION, "region");
        let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        if !(3..=255).contains(&plain.len()) || !plain.bytes().all(is_legal) {
            return Err(format!(
                "unallowed value {text} (it is `bucket` or `bucket/prefix`, and `{REGION}` in it is the function's region)"
            ));
        }
        let prefix = prefix.trim_matches('/');
        Ok(Self {
            bucket: bucket.to_owned(),
            prefix: if prefix.is_empty() {
                String::new()
            } else {
                format!("{prefix}/")
            },
        })
    }
}

impl ArtifactBucket {
    /// Where this archive belongs in a region.
    pub fn place(&self, region: &str, package: &Package) -> Place {
        let sha256 = package.hex_sha256();
        Place {
            bucket: self.bucket.replace(REGION, region),
            key: format!("{}{sha256}.zip", self.prefix),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "s3://{}/{}", self.bucket, self.key)
    }
}

/// An archive as it is sent to Lambda: with the request if that has room, else by way of the bucket.
///
/// # Errors
/// When it has to go through a bucket and there is none.
pub fn upload_of(
    package: &Package,
    bucket: Option<&ArtifactBucket>,
    lambda: &Lambda,
) -> Result<Upload, Failure> {
    if package.is_direct(Limits::default()) {
        return Ok(Upload::Zip(package.bytes().to_vec()));
    }
    let Some(bucket) = bucket else {
        return Err(Failure::new(format!(
            "the archive has {} bytes, and Lambda takes 50 MB with a request",
            package.size()
        ))
        .hint(
            "set ARTIFACT_BUCKET to a bucket of the function's region, and it goes through there",
        ));
    };
    let place = bucket.place(lambda.region(), package);
    Ok(Upload::Object {
        bucket: place.bucket,
        key: place.key,
        version: None,
    })
}

/// The archives of a run that have to be in a bucket, each once for each place.
#[derive(Default)]
pub struct Artifacts(Vec<Artifact>);

struct Artifact {
    place: Place,
    package: Package,
    lambda: Lambda,
    is_there: bool,
}

impl Artifacts {
    /// Adds one, and looks whether it is there already.
    ///
    /// # Errors
    /// When the bucket cannot be the one.
    pub async fn add(
        &mut self,
        bucket: &ArtifactBucket,
        package: &Package,
        lambda: &Lambda,
    ) -> Result<(), Failure> {
        let place = bucket.place(lambda.region(), package);
        if self.0.iter().any(|artifact| artifact.place == place) {
            return Ok(());
        }
        self.0.push(Artifact {
            is_there: lambda.has_artifact(&place, package).await?,
            place,
            package: package.clone(),
            lambda: lambda.clone(),
        });
        Ok(())
    }

    /// Lines of the plan.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|artifact| {
            let reason = if artifact.is_there {
                "unchanged"
            } else {
                "new"
            };
            format!("artifact   {}  ({reason})", artifact.place)
        })
    }

    /// Whether `upload` names an object that is not there yet.
    pub fn lacks(&self, upload: &Upload) -> bool {
        let Upload::Object { bucket, key, .. } = upload else {
            return false;
        };
        self.0.iter().any(|artifact| {
            !artifact.is_there && artifact.place.bucket == *bucket && artifact.place.key == *key
        })
    }

    /// Uploads those that are not there.
    ///
    /// # Errors
    /// When S3 refuses one.
    pub async fn upload(&self, journal: &Journal) -> Result<(), Failure> {
        for artifact in self.0.iter().filter(|artifact| !artifact.is_there) {
            let Artifact {
                place,
                package,
                lambda,
                ..
            } = artifact;
            lambda.upload_artifact(place, package, journal).await?;
            tracing::info!("Uploaded `{place}`");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_may_have_a_prefix_and_one_for_each_region() {
        for (text, bucket, prefix) in [
            ("artifacts", "artifacts", "lambda-deploy/"),
            ("s3://artifacts/", "artifacts", ""),
            ("artifacts/a/b/", "artifacts", "a/b/"),
            ("artifacts-{region}/a", "artifacts-{region}", "a/"),
        ] {
            let read = ArtifactBucket::from_text(text).unwrap();
            assert_eq!(
                (read.bucket.as_str(), read.prefix.as_str()),
                (bucket, prefix),
                "{text}"
            );
        }
        for text in ["ab", "a bucket", "{account}", "arn:aws:s3:::bucket"] {
            assert!(ArtifactBucket::from_text(text).is_err(), "{text}");
        }
    }
}
