//! The registry of container images: the digest behind a tag.

use aws_sdk_ecr::Client;
use aws_sdk_ecr::config::{Builder, Region};
use aws_sdk_ecr::types::ImageIdentifier;
use shared::{Failure, Refusal, SdkConfig, explained};

use crate::image::Reference;

/// The digest that the tag of `reference` stands for now; nothing, with a warning, if it may not be asked for.
///
/// # Errors
/// When there is no such image, or no answer.
pub async fn digest(
    reference: &Reference,
    uri: &str,
    sdk: &SdkConfig,
) -> Result<Option<String>, Failure> {
    let config = shared::watched!(Builder::from(sdk))
        .region(Region::new(reference.region.clone()))
        .build();
    let answer = Client::from_conf(config)
        .describe_images()
        .registry_id(&reference.account)
        .repository_name(&reference.repository)
        .image_ids(ImageIdentifier::builder().image_tag(&reference.tag).build())
        .send()
        .await;
    match answer {
        Ok(answer) => {
            let details = answer.image_details.unwrap_or_default();
            Ok(details.into_iter().find_map(|image| image.image_digest))
        }
        Err(error) => {
            let refusal = Refusal::from(&error);
            if matches!(
                refusal.code.as_str(),
                "ImageNotFoundException" | "RepositoryNotFoundException"
            ) {
                return Err(
                    Failure::new(format!("IMAGE_URI `{uri}` does not exist: {refusal}"))
                        .hint("push the image first, in a step before this one"),
                );
            }
            if refusal.is_denied() {
                tracing::warn!(
                    "`{uri}` is not pinned to its digest, since the registry may not be asked ({}): allow `ecr:DescribeImages`, or give `…@sha256:…`",
                    refusal.code
                );
                return Ok(None);
            }
            Err(explained(
                &refusal,
                format!("could not look at image `{uri}`"),
                "ecr:DescribeImages",
            ))
        }
    }
}
