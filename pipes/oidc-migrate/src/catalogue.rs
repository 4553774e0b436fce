//! The pipes that take AWS credentials, from which version on they take a role, and which of them this project has too.
//! Their changelogs could not all be read, so a version here is one that was seen with a role, or a later one: whoever
//! knows better changes the table and nothing else.

use std::fmt;

/// One pipe of the vendor.
#[derive(Debug)]
pub struct Known {
    /// The name behind `atlassian/`.
    pub name: &'static str,
    /// The first version that surely takes AWS_OIDC_ROLE_ARN; nothing where it is not known of any.
    pub oidc_since: Option<Version>,
    /// What an older one is raised to.
    pub raise_to: Option<Version>,
    /// The pipe of this project that takes its place.
    pub ours: Option<&'static str>,
}

const fn known(
    name: &'static str,
    oidc_since: (u32, u32, u32),
    raise_to: (u32, u32, u32),
    ours: Option<&'static str>,
) -> Known {
    Known {
        name,
        oidc_since: Some(Version(oidc_since.0, oidc_since.1, oidc_since.2)),
        raise_to: Some(Version(raise_to.0, raise_to.1, raise_to.2)),
        ours,
    }
}

const fn unknown(name: &'static str) -> Known {
    Known {
        name,
        oidc_since: None,
        raise_to: None,
        ours: None,
    }
}

/// The table.
const CATALOGUE: &[Known] = &[
    known("aws-s3-deploy", (1, 0, 0), (1, 1, 0), Some("s3-deploy")),
    known("aws-ecs-deploy", (1, 6, 0), (1, 8, 0), Some("ecs-deploy")),
    known(
        "aws-lambda-deploy",
        (1, 3, 0),
        (1, 8, 0),
        Some("lambda-deploy"),
    ),
    known("aws-cloudfront-invalidate", (0, 5, 0), (0, 6, 0), None),
    known("aws-cloudformation-deploy", (0, 16, 0), (0, 20, 1), None),
    known("aws-code-deploy", (1, 0, 0), (1, 3, 0), None),
    known("aws-elasticbeanstalk-deploy", (1, 0, 0), (1, 0, 2), None),
    known("aws-ecr-push-image", (2, 0, 0), (2, 6, 0), None),
    unknown("aws-eks-kubectl-run"),
    unknown("aws-sam-deploy"),
    unknown("aws-sns-notify"),
];

/// Whose pipes the ones of this project are.
pub const OUR_WORKSPACE: &str = "keylesspipes";
/// Their version, which is that of this program.
pub const OUR_VERSION: &str = env!("CARGO_PKG_VERSION");
/// The names of those that take AWS credentials.
const OURS: &[&str] = &["s3-deploy", "ecs-deploy", "lambda-deploy", "oidc-migrate"];

/// A version of three numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(u32, u32, u32);

impl Version {
    fn read(text: &str) -> Option<Self> {
        let mut numbers = text.split('.').map(str::parse);
        let version = Self(
            numbers.next()?.ok()?,
            numbers.next()?.ok()?,
            numbers.next()?.ok()?,
        );
        numbers.next().is_none().then_some(version)
    }

    /// Whether a step from one to the other may break what was configured, by the rules of semantic versions.
    #[must_use]
    pub const fn is_major_step(self, to: Self) -> bool {
        self.0 != to.0
    }
}

impl fmt::Display for Version {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// The text behind `pipe:`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reference<'text> {
    /// `workspace/name` or the image, without version.
    pub name: &'text str,
    /// What stands behind the last colon, or behind `@`.
    pub version: &'text str,
}

impl<'text> Reference<'text> {
    /// Takes it apart.
    #[must_use]
    pub fn new(text: &'text str) -> Self {
        let path = text.rfind('/').map_or(0, |slash| slash + 1);
        let end = text[path..].find([':', '@']);
        let (name, version) = match end {
            Some(end) => (&text[..path + end], &text[path + end + 1..]),
            None => (text, ""),
        };
        Self { name, version }
    }

    /// The workspace and the name, of `workspace/name` and of `docker://workspace/name`.
    fn parts(self) -> (&'text str, &'text str) {
        let name = self.name.strip_prefix("docker://").unwrap_or(self.name);
        let (workspace, name) = name.rsplit_once('/').unwrap_or(("", name));
        (workspace, name)
    }

    /// The vendor's pipe that it is, if it is one that takes AWS credentials.
    #[must_use]
    pub fn known(self) -> Option<&'static Known> {
        let (workspace, name) = self.parts();
        let is_vendor = matches!(workspace, "atlassian" | "bitbucketpipelines");
        let mut catalogue = CATALOGUE.iter();
        is_vendor.then(|| catalogue.find(|known| known.name == name))?
    }

    /// Whether it is a pipe of this project.
    #[must_use]
    pub fn is_ours(self) -> bool {
        let (workspace, name) = self.parts();
        workspace == OUR_WORKSPACE && OURS.contains(&name)
    }

    /// Its version as numbers, if it is written in full.
    #[must_use]
    pub fn semantic(self) -> Option<Version> {
        Version::read(self.version)
    }
}

/// The reference of one of our pipes.
#[must_use]
pub fn our_reference(name: &str) -> String {
    format!("{OUR_WORKSPACE}/{name}:{OUR_VERSION}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_taken_apart() {
        for (text, name, version, known) in [
            (
                "atlassian/aws-s3-deploy:1.1.0",
                "atlassian/aws-s3-deploy",
                "1.1.0",
                true,
            ),
            (
                "docker://bitbucketpipelines/aws-s3-deploy:1.1.0",
                "docker://bitbucketpipelines/aws-s3-deploy",
                "1.1.0",
                true,
            ),
            (
                "docker://host:5000/aws-s3-deploy@sha256:00",
                "docker://host:5000/aws-s3-deploy",
                "sha256:00",
                false,
            ),
            ("acme/aws-s3-deploy", "acme/aws-s3-deploy", "", false),
            (
                "atlassian/slack-notify:2.0.0",
                "atlassian/slack-notify",
                "2.0.0",
                false,
            ),
        ] {
            let reference = Reference::new(text);
            assert_eq!((reference.name, reference.version), (name, version));
            assert_eq!(reference.known().is_some(), known, "{text}");
        }
        assert!(Reference::new("keylesspipes/s3-deploy:0.1.0").is_ours());
        assert!(!Reference::new("keylesspipes/s3-deployer:0.1.0").is_ours());
    }

    #[test]
    fn a_raise_never_ends_below_what_takes_a_role() {
        for known in CATALOGUE {
            assert_eq!(known.oidc_since.is_some(), known.raise_to.is_some());
            assert!(known.raise_to >= known.oidc_since, "{}", known.name);
        }
    }

    #[test]
    fn only_full_versions_are_compared() {
        let version = |text| Reference::new(text).semantic();
        assert!(version("a/b:1.10.0") > version("a/b:1.9.9"));
        for text in ["a/b:1.1", "a/b:latest", "a/b", "a/b:1.1.0-beta"] {
            assert_eq!(version(text), None);
        }
    }
}
