//! All that a pipe reads before its first request: its own variables, the AWS settings and the credentials,
//! with every fault of all three in one block, and warnings for variables that nobody reads.

use std::path::Path;
use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use serde::de::DeserializeOwned;

use crate::aws::{AwsSettings, AwsVariables};
use crate::credentials::{Circumstances, CredentialVariables, Credentials, Note};
use crate::diagnosis::Place;
use crate::failure::Failure;
use crate::pipeline_file::step_without_oidc;
use crate::run::RunVariables;
use crate::session::Session;
use crate::typos::unknown_variables;
use crate::variables::{Environment, Faults, field_names};
use crate::web::Web;

/// The way to AWS of one run: decided, and not yet tried.
pub struct Access {
    settings: AwsSettings,
    credentials: Credentials,
    place: Place,
}

/// What a pipe's own variables have to say about the whole run.
pub trait Settings: Sized {
    /// The struct of fields that envy fills.
    type Variables: DeserializeOwned + Default;

    /// From what was found to valid settings; what is wrong is added to `faults`.
    fn new(variables: Self::Variables, faults: &mut Faults) -> Option<Self>;

    /// How long the whole run may take, in wall time.
    fn deadline(&self) -> Duration;
}

/// Reads everything; nothing is sent and nothing is changed.
///
/// # Errors
/// All faults of all variables in one block.
pub fn configure<S: Settings>(
    environment: &Environment,
    pipe: (&'static str, &'static str),
) -> Result<(S, Access), Failure> {
    for warning in unknown_variables(environment, &known_variables::<S>()) {
        tracing::warn!("{warning}");
    }
    let mut faults = Faults::default();
    let run: RunVariables = environment.read();
    faults.optional("DEBUG", run.debug);
    let own = S::new(environment.read(), &mut faults);
    let settings = AwsSettings::new(environment, pipe, &mut faults);
    let circumstances = Circumstances {
        now: SystemTime::now(),
        deadline: own.as_ref().map_or(Duration::ZERO, Settings::deadline),
        step_without_oidc: &|| look_for_step(environment, pipe.0),
    };
    let credentials = Credentials::choose(environment, &circumstances, &mut faults);
    if let (Some(settings), Some(credentials)) = (&settings, &credentials) {
        check_partition(settings, credentials, &mut faults);
    }
    match (own, settings, credentials) {
        (Some(own), Some(settings), Some(credentials)) if faults.is_empty() => Ok((
            own,
            Access {
                settings,
                credentials,
                place: Place::new(environment, pipeline_file(environment).as_deref()),
            },
        )),
        _ => Err(faults.into()),
    }
}

/// Every variable that a pipe with these settings reads, its own and the common ones.
#[must_use]
pub fn known_variables<S: Settings>() -> Vec<String> {
    let mut names = field_names::<S::Variables>();
    names.extend(field_names::<CredentialVariables>());
    names.extend(field_names::<AwsVariables>());
    names.extend(field_names::<RunVariables>());
    names
}

impl Access {
    /// The region of the run.
    #[must_use]
    pub fn region(&self) -> &str {
        self.settings.region()
    }

    /// The way to the web for requests without credentials, such as those for the deployed site.
    ///
    /// # Errors
    /// When the certificates of `AWS_CA_BUNDLE` cannot be used.
    pub fn web(&self) -> Result<Web, Failure> {
        self.settings.web()
    }

    /// Trades the token, or takes the keys, says who the run is, and gives the configuration for all clients.
    ///
    /// # Errors
    /// When STS refuses, with the diagnosis, or when the identity is in an account that is not allowed.
    pub async fn open(self) -> Result<SdkConfig, Failure> {
        for note in &self.credentials.notes {
            match note {
                Note::Info(text) => tracing::info!("{text}"),
                Note::Warning(text) => tracing::warn!("{text}"),
            }
        }
        Session::open(self.settings, self.credentials, self.place).await
    }
}

fn pipeline_file(environment: &Environment) -> Option<String> {
    let clone = environment.get("BITBUCKET_CLONE_DIR").unwrap_or(".");
    std::fs::read_to_string(Path::new(clone).join("bitbucket-pipelines.yml")).ok()
}

fn look_for_step(environment: &Environment, pipe: &str) -> Option<String> {
    let text = pipeline_file(environment)?;
    step_without_oidc(
        &text,
        pipe,
        environment.get("BITBUCKET_DEPLOYMENT_ENVIRONMENT"),
    )
}

/// A role of one partition cannot be assumed at the STS of another; AWS answers that with a riddle.
fn check_partition(settings: &AwsSettings, credentials: &Credentials, faults: &mut Faults) {
    let Some(role) = credentials.last_role() else {
        return;
    };
    let expected = match settings.region() {
        region if region.starts_with("cn-") => "aws-cn",
        region if region.starts_with("us-gov-") => "aws-us-gov",
        _ => return,
    };
    if role.partition() != expected {
        let region = settings.region();
        faults.add(
            "AWS_DEFAULT_REGION",
            format!(
                "unallowed value {region} (the role is in partition `{}`)",
                role.partition()
            ),
        );
    }
}
