//! Who changes things in the account: the keys or the token of the environment, as in every pipe, or on a laptop what the
//! AWS tools have in their profile.

use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::provider_config::ProviderConfig;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_sts::Client as Sts;
use aws_sdk_sts::config::Builder;
use aws_types::region::Region;
use shared::aws::AwsSettings;
use shared::{Environment, Explain, Failure, Faults, SdkConfig, configure, known_variables};

use crate::credentials_only::CredentialsOnly;

/// IAM answers in one region for a whole partition, so any region of it will do.
const REGION: &str = "us-east-1";

/// The way into the account, and which it is.
pub struct Caller {
    /// For clients.
    pub config: SdkConfig,
    /// Twelve digits.
    pub account: String,
    /// The ARN of the identity.
    pub arn: String,
}

impl Caller {
    /// Finds credentials and asks whose they are.
    ///
    /// # Errors
    /// When there are none, or AWS refuses them.
    pub async fn new(environment: &Environment) -> Result<Self, Failure> {
        let environment = with_region(environment);
        let is_given = [
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
            "BITBUCKET_STEP_OIDC_TOKEN",
        ]
        .iter()
        .any(|name| environment.get(name).is_some());
        let pipe = (env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
        let config = if is_given {
            // Longer than the answer to a question takes.
            let (CredentialsOnly::<60>, access) = configure(&environment, pipe)?;
            access.open().await?
        } else {
            of_profile(&environment, pipe).await?
        };
        let settings = shared::watched!(Builder::from(&config));
        let sts = Sts::from_conf(settings.build());
        let answer = sts.get_caller_identity().send().await;
        let answer = answer.explain("could not ask STS who this is", "sts:GetCallerIdentity").map_err(|failure| {
            failure.fact("credentials come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or from the profile of AWS_PROFILE; for one with single sign-on: eval \"$(aws configure export-credentials --format env)\"")
        })?;
        let account = answer.account.unwrap_or_default();
        Ok(Self {
            config,
            account,
            arn: answer.arn.unwrap_or_default(),
        })
    }
}

/// The variables that the way to AWS depends on, the same in every pipe.
#[must_use]
pub fn common_variables() -> Vec<String> {
    known_variables::<CredentialsOnly<60>>()
}

/// The environment with a region, if it has none: IAM and STS answer the same in any.
#[must_use]
pub fn with_region(environment: &Environment) -> Environment {
    let names: Vec<&str> = environment.names().collect();
    let mut pairs: Vec<(String, String)> = names
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), environment.get(name)?.to_owned())))
        .collect();
    if environment
        .get("AWS_REGION")
        .or_else(|| environment.get("AWS_DEFAULT_REGION"))
        .is_none()
    {
        pairs.push(("AWS_DEFAULT_REGION".to_owned(), REGION.to_owned()));
    }
    Environment::new(pairs)
}

async fn of_profile(environment: &Environment, pipe: (&str, &str)) -> Result<SdkConfig, Failure> {
    let mut faults = Faults::default();
    let settings = AwsSettings::new(environment, pipe, &mut faults);
    let Some(settings) = settings.filter(|_| faults.is_empty()) else {
        return Err(faults.into());
    };
    let plain = settings.sdk_config(None)?;
    let mut provider =
        ProviderConfig::default().with_region(Some(Region::new(settings.region().to_owned())));
    if let Some(client) = plain.http_client() {
        provider = provider.with_http_client(client);
    }
    let chain = DefaultCredentialsChain::builder()
        .configure(provider)
        .build()
        .await;
    settings.sdk_config(Some(SharedCredentialsProvider::new(chain)))
}
