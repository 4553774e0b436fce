//! All that talks to Lambda, by function and region: one method for each request, its answer as a document or a refusal.
//! Which refusals mean what is decided by the callers.

mod aliases;
mod artifacts;
mod code_deploy;
mod concurrency;
mod functions;
mod invoke;
mod layers;
mod metrics;
mod objects;
mod rate;
pub mod registry;
mod urls;
mod versions;

use std::time::Duration;

use aws_sdk_lambda::Client;
use aws_sdk_lambda::config::timeout::TimeoutConfig;
use aws_sdk_lambda::config::{Builder, Region};
use aws_smithy_runtime_api::shared::IntoShared;
use shared::{Refusal, SdkConfig};

pub use self::aliases::Wanted;
pub use self::code_deploy::CodeDeploy;
pub use self::functions::Upload;
pub use self::invoke::Invoked;
pub use self::metrics::figures;

use self::rate::AtRate;

/// A zip of 50 MB in base64 on a slow line.
const UPLOAD_TIMEOUT: Duration = Duration::from_mins(10);

/// Lambda in one region.
#[derive(Clone)]
pub struct Lambda {
    client: Client,
    sdk: SdkConfig,
    region: String,
}

impl Lambda {
    /// Lambda in `region`, reached by `sdk`.
    pub fn new(sdk: &SdkConfig, region: &str) -> Self {
        let sdk = sdk
            .to_builder()
            .region(Region::new(region.to_owned()))
            .build();
        let mut settings = shared::watched!(Builder::from(&sdk));
        settings.set_http_client(
            sdk.http_client()
                .map(|client| AtRate::new(client).into_shared()),
        );
        Self {
            client: Client::from_conf(settings.build()),
            sdk,
            region: region.to_owned(),
        }
    }

    /// The configuration for clients of other services in this region.
    pub const fn sdk(&self) -> &SdkConfig {
        &self.sdk
    }

    /// The region.
    pub fn region(&self) -> &str {
        &self.region
    }

    fn attempts_of(limit: Duration) -> Builder {
        Builder::new().timeout_config(
            TimeoutConfig::builder()
                .operation_attempt_timeout(limit)
                .build(),
        )
    }
}

/// "The operation cannot be performed at this time. An update is in progress for resource": to be tried again. For an
/// alias or a function that is to be made it means that it exists.
pub fn is_conflict(refusal: &Refusal) -> bool {
    refusal.code == "ResourceConflictException" || refusal.code == "TooManyRequestsException"
}

/// "The RevisionId provided does not match the latest RevisionId": somebody else has changed it in between.
pub fn is_other_revision(refusal: &Refusal) -> bool {
    refusal.code == "PreconditionFailedException" || refusal.status == 412
}

/// The function, version or alias does not exist.
pub fn is_absent(refusal: &Refusal) -> bool {
    refusal.code == "ResourceNotFoundException"
}
