//! A container image, pinned to its digest: a tag may be moved between the plan and the change, and between two runs a
//! tag says nothing about what is live.

use shared::{Failure, SdkConfig};

use crate::aws::registry;
use crate::live::CodeLocation;

/// An image of a private registry, which is where Lambda takes images from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// As it is sent: with its digest, if that is known.
    pub uri: String,
    digest: Option<String>,
}

/// The parts of `123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/orders:v1` or `…@sha256:…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The account of the registry.
    pub account: String,
    /// Its region.
    pub region: String,
    /// The repository.
    pub repository: String,
    /// `v1`; `latest` if none is given.
    pub tag: String,
    /// `sha256:…`
    pub digest: Option<String>,
    host: String,
}

impl Reference {
    /// Takes a reference apart.
    ///
    /// # Errors
    /// When it is not of a private registry of AWS.
    pub fn parse(uri: &str) -> Result<Self, Failure> {
        let refused = || {
            Failure::new(format!("IMAGE_URI `{uri}` is not an image of a private registry of AWS"))
                .hint("Lambda takes images from there only; it looks like `123456789012.dkr.ecr.eu-west-1.amazonaws.com/orders:v1`")
        };
        let (host, rest) = uri.split_once('/').ok_or_else(refused)?;
        let parts: Vec<&str> = host.split('.').collect();
        let [account, "dkr", "ecr" | "ecr-fips", region, ..] = parts[..] else {
            return Err(refused());
        };
        if account.len() != 12 || !account.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(refused());
        }
        let (name, digest) = match rest.split_once('@') {
            Some((name, digest)) if is_digest(digest) => (name, Some(digest.to_owned())),
            Some(_) => return Err(refused()),
            None => (rest, None),
        };
        let (repository, tag) = name.rsplit_once(':').unwrap_or((name, "latest"));
        if repository.is_empty() || tag.is_empty() {
            return Err(refused());
        }
        Ok(Self {
            account: account.to_owned(),
            region: region.to_owned(),
            repository: repository.to_owned(),
            tag: tag.to_owned(),
            digest,
            host: host.to_owned(),
        })
    }

    fn pinned(&self, digest: &str) -> String {
        format!("{}/{}@{digest}", self.host, self.repository)
    }
}

fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(|digits| {
        digits.len() == 64 && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
    })
}

impl Image {
    /// Asks the registry for the digest behind the tag.
    ///
    /// # Errors
    /// When there is no such image. That it may not be asked for is only a warning: Lambda pulls by its own rights.
    pub async fn pin(uri: &str, sdk: &SdkConfig) -> Result<Self, Failure> {
        let reference = Reference::parse(uri)?;
        let digest = match &reference.digest {
            Some(digest) => Some(digest.clone()),
            None => registry::digest(&reference, uri, sdk).await?,
        };
        let uri = digest
            .as_ref()
            .map_or_else(|| uri.to_owned(), |digest| reference.pinned(digest));
        Ok(Self { uri, digest })
    }

    /// Whether the function runs it; nothing if that cannot be told.
    pub fn is(&self, live: &CodeLocation) -> Option<bool> {
        let of = |uri: &String| uri.rsplit_once('@').map(|(_, digest)| digest.to_owned());
        let live = live
            .resolved_image_uri
            .as_ref()
            .and_then(of)
            .or_else(|| live.image_uri.as_ref().and_then(of))?;
        Some(*self.digest.as_ref()? == live)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_taken_apart() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let host = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
        for (rest, repository, tag, is_pinned) in [
            ("orders", "orders", "latest", false),
            ("team/orders:v1", "team/orders", "v1", false),
            (&format!("orders:v1@{digest}"), "orders", "v1", true),
        ] {
            let reference = Reference::parse(&format!("{host}/{rest}")).unwrap();
            assert_eq!(
                (reference.repository.as_str(), reference.tag.as_str()),
                (repository, tag)
            );
            assert_eq!(reference.digest.is_some(), is_pinned);
            assert_eq!(reference.region, "eu-west-1");
            assert_eq!(
                reference.pinned(&digest),
                format!("{host}/{repository}@{digest}")
            );
        }
        for other in [
            "orders:v1",
            "docker.io/library/orders:v1",
            "public.ecr.aws/acme/orders:v1",
            &format!("{host}/orders@sha256:short"),
            &format!("{host}/:v1"),
        ] {
            let failure = Reference::parse(other).unwrap_err().to_string();
            assert!(failure.contains("hint: Lambda takes images"), "{other}");
        }
    }

    #[test]
    fn an_image_is_live_by_its_digest() {
        let digest = |letter: &str| format!("sha256:{}", letter.repeat(64));
        let image = |digest: Option<String>| Image {
            uri: "r:v1".to_owned(),
            digest,
        };
        let live = CodeLocation {
            image_uri: Some("r:v1".to_owned()),
            resolved_image_uri: Some(format!("r@{}", digest("a"))),
        };
        assert_eq!(image(Some(digest("a"))).is(&live), Some(true));
        assert_eq!(image(Some(digest("b"))).is(&live), Some(false));
        assert_eq!(image(None).is(&live), None);
        assert_eq!(image(Some(digest("a"))).is(&CodeLocation::default()), None);
    }
}
