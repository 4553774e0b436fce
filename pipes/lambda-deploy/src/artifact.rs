//! ARTIFACT_BUCKET: where an archive goes that is too large for a request. Its key is its own SHA-256, so that the same
//! code is uploaded once, whoever deploys it and however often. Pure.

use std::fmt;

use shared::FromText;

use crate::package::Package;

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
    /// Whether each region has a bucket of its own.
    pub fn is_for_each_region(&self) -> bool {
        self.bucket.contains(REGION)
    }

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
            assert_eq!((read.bucket.as_str(), read.prefix.as_str()), (bucket, prefix), "{text}");
        }
        for text in ["ab", "a bucket", "{account}", "arn:aws:s3:::bucket"] {
            assert!(ArtifactBucket::from_text(text).is_err(), "{text}");
        }
        assert!(ArtifactBucket::from_text("a-{region}").unwrap().is_for_each_region());
    }
}
