//! From a tag to the digest that it means at this moment, and whether that image runs where the tasks will: pure, from
//! what ECR answers. A digest makes a rollback exact, and a fleet that scales out later run the same image.
//! <https://github.com/opencontainers/image-spec/blob/main/image-index.md>

use serde_json::Value;
use shared::Failure;

use crate::definition::Definition;

/// A reference into a private registry of ECR.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EcrImage {
    /// The account that owns the registry.
    pub account: String,
    /// The registry's region.
    pub region: String,
    /// The repository in it, such as `team/web`.
    pub repository: String,
    /// What is asked for: the tag or digest.
    pub version: Version,
    registry: String,
}

/// How an image is named in its repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Version {
    /// A tag, `latest` if none was given.
    Tag(String),
    /// A digest such as `sha256:…`.
    Digest(String),
}

/// What one image is made for, such as `linux/arm64`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Platform {
    /// `linux` or `windows`.
    pub system: String,
    /// `amd64`, `arm64`, …, in the words of images, not of ECS.
    pub architecture: String,
}

/// What a manifest says about platforms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Manifest {
    /// A list of images, of which the runtime takes the one that fits.
    Index(Vec<Platform>),
    /// One image; its platform stands in its configuration, which has this digest.
    Single(String),
    /// Something that is no image for a container runtime, or too old to say.
    Other,
}

impl EcrImage {
    /// The reference, if it is one into ECR.
    #[must_use]
    pub fn parse(image: &str) -> Option<Self> {
        let (registry, path) = image.split_once('/')?;
        let (account, host) = registry.split_once(".dkr.ecr")?;
        // `-fips` stands before the region, and other partitions have other ends.
        let host = host.strip_prefix("-fips").unwrap_or(host);
        let (region, domain) = host.strip_prefix('.')?.split_once('.')?;
        let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
        if !is_account || !domain.starts_with("amazonaws.") {
            return None;
        }
        let (repository, version) = match path.split_once('@') {
            Some((name, digest)) => {
                let repository = name.split_once(':').map_or(name, |(name, _tag)| name);
                (repository, Version::Digest(digest.to_owned()))
            }
            None => match path.split_once(':') {
                Some((name, tag)) => (name, Version::Tag(tag.to_owned())),
                None => (path, Version::Tag("latest".to_owned())),
            },
        };
        Some(Self {
            account: account.to_owned(),
            region: region.to_owned(),
            repository: repository.to_owned(),
            version,
            registry: registry.to_owned(),
        })
    }

    /// The reference by digest, which is what the task definition gets.
    #[must_use]
    pub fn pinned(&self, digest: &str) -> String {
        format!("{}/{}@{digest}", self.registry, self.repository)
    }
}

impl Manifest {
    /// Reads the manifest of an image or of an index of images.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let manifest: Value = serde_json::from_str(text).unwrap_or_default();
        if let Some(manifests) = manifest["manifests"].as_array() {
            let platforms = manifests.iter().filter_map(|entry| {
                let platform = Platform::parse(&entry["platform"], "os")?;
                // Attestations of a build stand in the index as images for nothing.
                (platform.architecture != "unknown").then_some(platform)
            });
            return Self::Index(platforms.collect());
        }
        match manifest["config"]["digest"].as_str() {
            Some(digest) => Self::Single(digest.to_owned()),
            None => Self::Other,
        }
    }
}

impl Platform {
    /// The platform in the configuration of an image.
    #[must_use]
    pub fn of_configuration(text: &str) -> Option<Self> {
        let configuration: Value = serde_json::from_str(text).ok()?;
        Self::parse(&configuration, "os")
    }

    fn parse(value: &Value, system: &str) -> Option<Self> {
        Some(Self {
            system: value[system].as_str()?.to_owned(),
            architecture: value["architecture"].as_str()?.to_owned(),
        })
    }

    /// Where the tasks of a definition run, if it says so or it can only be one.
    /// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RuntimePlatform.html>
    #[must_use]
    pub fn of_definition(definition: &Definition) -> Option<Self> {
        let body = definition.body();
        let is_fargate = body["requiresCompatibilities"]
            .as_array()
            .is_some_and(|kinds| kinds.iter().any(|kind| kind == "FARGATE"));
        let platform = &body["runtimePlatform"];
        if platform.is_null() && !is_fargate {
            return None;
        }
        let architecture = match definition.architecture() {
            Some("ARM64") => "arm64",
            Some("X86_64") | None => "amd64",
            Some(_) => return None,
        };
        let family = platform["operatingSystemFamily"].as_str();
        let is_windows = family.is_some_and(|family| family.starts_with("WINDOWS"));
        Some(Self {
            system: if is_windows { "windows" } else { "linux" }.to_owned(),
            architecture: architecture.to_owned(),
        })
    }
}

impl std::fmt::Display for Platform {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}/{}", self.system, self.architecture)
    }
}

/// Refuses an image that would end with `exec format error` in every task.
///
/// # Errors
/// When none of the image's platforms is the one that the tasks run on.
pub fn check(image: &str, offered: &[Platform], wanted: &Platform) -> Result<(), Failure> {
    if offered.is_empty() || offered.contains(wanted) {
        return Ok(());
    }
    let offered: Vec<String> = offered
        .iter()
        .map(|platform| format!("`{platform}`"))
        .collect();
    let platform = match wanted.architecture.as_str() {
        "arm64" => "X86_64",
        _ => "ARM64",
    };
    Err(Failure::new(format!(
        "the image `{image}` is made for {}, and the tasks run on `{wanted}`",
        offered.join(", ")
    ))
    .hint(format!(
        "build it with `--platform {wanted}`, or set `runtimePlatform.cpuArchitecture` of the task definition to `{platform}`"
    )))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ECR: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";

    fn platform(text: &str) -> Platform {
        let (system, architecture) = text.split_once('/').unwrap();
        Platform {
            system: system.to_owned(),
            architecture: architecture.to_owned(),
        }
    }

    #[test]
    fn references_into_ecr_are_known_in_all_their_forms() {
        for (image, repository, version) in [
            ("web:1.2", "web", Version::Tag("1.2".to_owned())),
            ("team/web", "team/web", Version::Tag("latest".to_owned())),
            (
                "web@sha256:0a",
                "web",
                Version::Digest("sha256:0a".to_owned()),
            ),
            (
                "web:1@sha256:0a",
                "web",
                Version::Digest("sha256:0a".to_owned()),
            ),
        ] {
            let parsed = EcrImage::parse(&format!("{ECR}/{image}")).unwrap();
            assert_eq!(
                (parsed.account.as_str(), parsed.region.as_str()),
                ("123456789012", "eu-west-1")
            );
            assert_eq!(
                (parsed.repository.as_str(), &parsed.version),
                (repository, &version)
            );
            assert_eq!(
                parsed.pinned("sha256:ff"),
                format!("{ECR}/{repository}@sha256:ff")
            );
        }
        for registry in [
            "123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com",
            "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn",
        ] {
            assert!(
                EcrImage::parse(&format!("{registry}/web:1")).is_some(),
                "{registry}"
            );
        }
        for image in [
            "nginx",
            "nginx:1",
            "public.ecr.aws/nginx/nginx:1",
            "ghcr.io/a/b:1",
            "12.dkr.ecr.eu-west-1.amazonaws.com/web",
        ] {
            assert_eq!(EcrImage::parse(image), None, "{image}");
        }
    }

    #[test]
    fn manifests_say_what_they_are_for() {
        let index = json!({"manifests": [
            {"digest": "sha256:1", "platform": {"os": "linux", "architecture": "amd64"}},
            {"digest": "sha256:2", "platform": {"os": "linux", "architecture": "arm64", "variant": "v8"}},
            {"digest": "sha256:3", "platform": {"os": "unknown", "architecture": "unknown"}},
        ]});
        assert_eq!(
            Manifest::parse(&index.to_string()),
            Manifest::Index(vec![platform("linux/amd64"), platform("linux/arm64")])
        );
        let single = json!({"config": {"digest": "sha256:c"}, "layers": []});
        assert_eq!(
            Manifest::parse(&single.to_string()),
            Manifest::Single("sha256:c".to_owned())
        );
        assert_eq!(Manifest::parse("{\"schemaVersion\": 1}"), Manifest::Other);
        let configuration = json!({"os": "linux", "architecture": "arm64", "rootfs": {}});
        assert_eq!(
            Platform::of_configuration(&configuration.to_string()),
            Some(platform("linux/arm64"))
        );
    }

    #[test]
    fn the_platform_of_the_tasks_is_known_or_not() {
        let of = |change: Value| {
            let mut document = json!({"family": "web", "containerDefinitions": [{"name": "web", "image": "web:1"}]});
            for (name, value) in change.as_object().unwrap() {
                document[name] = value.clone();
            }
            let text = document.to_string();
            let definition =
                Definition::from_file(&text, "task.json", &shared::Environment::default());
            Platform::of_definition(&definition.unwrap()).map(|platform| platform.to_string())
        };
        for (change, expected) in [
            (json!({}), None),
            (
                json!({"requiresCompatibilities": ["FARGATE"]}),
                Some("linux/amd64"),
            ),
            (
                json!({"runtimePlatform": {"cpuArchitecture": "ARM64"}}),
                Some("linux/arm64"),
            ),
            (
                json!({"runtimePlatform": {"operatingSystemFamily": "WINDOWS_SERVER_2022_CORE"}}),
                Some("windows/amd64"),
            ),
        ] {
            assert_eq!(of(change.clone()).as_deref(), expected, "{change}");
        }
    }

    #[test]
    fn an_image_for_another_machine_is_refused() {
        let offered = [platform("linux/arm64")];
        assert!(check("web:1", &offered, &platform("linux/arm64")).is_ok());
        assert!(check("web:1", &[], &platform("linux/amd64")).is_ok());
        insta::assert_snapshot!(check("web:1", &offered, &platform("linux/amd64")).unwrap_err(), @r"
        the image `web:1` is made for `linux/arm64`, and the tasks run on `linux/amd64`
          hint: build it with `--platform linux/amd64`, or set `runtimePlatform.cpuArchitecture` of the task definition to `ARM64`
        ");
    }
}
