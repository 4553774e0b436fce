//! Images in ECR: BatchGetImage for digest and manifest, GetDownloadUrlForLayer for the configuration of a single image.

use aws_sdk_ecr::Client;
use aws_sdk_ecr::config::{Builder, Region};
use serde_json::{Value, json};
use shared::{Failure, SdkConfig, explained};

use super::ask;
use crate::definition::Definition;
use crate::pin::{EcrImage, Manifest, Platform, Version, check};

/// Manifests that hold a digest each: of images and of indexes, by Docker and by the OCI.
const MEDIA_TYPES: [&str; 4] = [
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
];

/// The registries of ECR, of any account and region that the run may read.
pub struct Registries {
    sdk: SdkConfig,
}

impl Registries {
    /// Reached by `sdk`, in the region that an image names.
    pub fn new(sdk: &SdkConfig) -> Self {
        Self { sdk: sdk.clone() }
    }

    /// The definition with digests in place of the tags of all images in ECR, each checked to run where the tasks will.
    /// A line for each image says what became of it.
    ///
    /// # Errors
    /// When an image does not exist, is made for another platform, or may not be read.
    pub async fn pin(&self, definition: &Definition) -> Result<(Definition, Vec<String>), Failure> {
        let wanted = Platform::of_definition(definition);
        let mut pinned = definition.clone();
        let mut lines = Vec::new();
        for container in definition.containers() {
            let (name, image) = (&container.name, &container.image);
            let Some(reference) = EcrImage::parse(image) else {
                lines.push(format!(
                    "image of {name}: {image} is not in ECR and stays as it is"
                ));
                continue;
            };
            let (digest, platforms) = self.find(image, &reference).await?;
            if let Some(wanted) = &wanted {
                check(image, &platforms, wanted)?;
            }
            if matches!(reference.version, Version::Tag(_)) {
                let by_digest = reference.pinned(&digest);
                lines.push(format!("image of {name}: {image} is {digest}"));
                pinned = pinned.with_image(name, &by_digest);
            }
        }
        Ok((pinned, lines))
    }

    /// The digest of an image, and its platforms as far as it says them.
    async fn find(
        &self,
        image: &str,
        reference: &EcrImage,
    ) -> Result<(String, Vec<Platform>), Failure> {
        let region = Region::new(reference.region.clone());
        let settings = shared::watched!(Builder::from(&self.sdk)).region(region);
        let client = Client::from_conf(settings.build());
        let doing = format!("could not look for the image `{image}` in ECR");
        let id = match &reference.version {
            Version::Tag(tag) => json!({"imageTag": tag}),
            Version::Digest(digest) => json!({"imageDigest": digest}),
        };
        let body = json!({"registryId": reference.account, "repositoryName": reference.repository,
            "imageIds": [id], "acceptedMediaTypes": MEDIA_TYPES});
        let answer = ask!(client, batch_get_image, body).map_err(|refusal| {
            let failure = explained(&refusal, &doing, "ecr:BatchGetImage");
            match refusal.code.as_str() {
                "RepositoryNotFoundException" => failure.hint(
                    "the registry has no such repository: check account, region and name in the image",
                ),
                _ => failure,
            }
        })?;
        let answer: Value = answer.json()?;
        let found = &answer["images"][0];
        let Some(digest) = found["imageId"]["imageDigest"].as_str() else {
            let why = answer["failures"][0]["failureReason"].as_str();
            return Err(Failure::new(format!(
                "{doing}: {}",
                why.unwrap_or("there is no such image")
            ))
            .hint("the step that builds the image has to push it before this one"));
        };
        let manifest = found["imageManifest"].as_str().unwrap_or_default();
        let platforms = match Manifest::parse(manifest) {
            Manifest::Index(platforms) => platforms,
            Manifest::Single(configuration) => {
                let platform = self
                    .platform(&client, reference, &configuration, &doing)
                    .await?;
                platform.into_iter().collect()
            }
            Manifest::Other => Vec::new(),
        };
        Ok((digest.to_owned(), platforms))
    }

    async fn platform(
        &self,
        client: &Client,
        reference: &EcrImage,
        configuration: &str,
        doing: &str,
    ) -> Result<Option<Platform>, Failure> {
        let body = json!({"registryId": reference.account, "repositoryName": reference.repository,
            "layerDigest": configuration});
        let answer = ask!(client, get_download_url_for_layer, body)
            .map_err(|refusal| explained(&refusal, doing, "ecr:GetDownloadUrlForLayer"))?;
        let answer: Value = answer.json()?;
        let url = answer["downloadUrl"].as_str().unwrap_or_default();
        let bytes = shared::download(&self.sdk, url, doing).await?;
        Ok(Platform::of_configuration(&String::from_utf8_lossy(&bytes)))
    }
}
