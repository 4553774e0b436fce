//! `doctor`: says, from within a step, whether its token gets in and what with: the claims, the exchange against
//! AWS_OIDC_ROLE_ARN with the diagnosis of the pipes, and, asked to simulate, what each pipe of the file would be denied.

mod simulate;

use std::fmt::Write as _;
use std::time::SystemTime;

use shared::log;
use shared::token::{Claims, Token};
use shared::{Environment, Failure, Journal, Outcome, Secret, configure};

use crate::credentials_only::CredentialsOnly;
use crate::iam;
use crate::model::{Checkout, Oidc};

/// What `doctor` is asked for.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Arguments {
    /// Ask IAM whether the role may do what each pipe of the file needs; the role needs iam:SimulatePrincipalPolicy on itself
    #[arg(long)]
    pub simulate: bool,
    /// The deployment environment whose pipes are simulated; at first that of the step
    #[arg(long, value_name = "NAME")]
    pub deployment: Option<String>,
    /// What fills the blanks
    #[command(flatten)]
    pub place: iam::Place,
}

impl Arguments {
    /// Looks, tries, asks.
    ///
    /// # Errors
    /// When the token does not get in, with the likely causes, or the role lacks a right.
    pub async fn run(
        &self,
        checkout: &Checkout,
        environment: &Environment,
        journal: &Journal,
    ) -> Result<Outcome, Failure> {
        let claims = claims(checkout, environment)?;
        log::line(shown(&claims, environment));
        let role = environment.get("AWS_OIDC_ROLE_ARN").ok_or_else(|| {
            Failure::new("the step has a token, and AWS_OIDC_ROLE_ARN is not set: there is no role to try it on")
                .hint("`oidc-migrate iam` makes one; set its ARN as a deployment variable")
        })?;
        // A key that is set must not hide that the token does not get in.
        let only = with(environment, &[("OIDC_ONLY", "true"), ("OIDC_FALLBACK", "")]);
        let (CredentialsOnly::<15>, access) = configure(
            &iam::with_region(&only),
            (env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION")),
        )?;
        let config = access.open().await?;
        if !self.simulate {
            return Ok(outcome(format!(
                "the token of this step gets into `{role}`"
            )));
        }
        let deployment = self.deployment.clone().or_else(|| {
            environment
                .get("BITBUCKET_DEPLOYMENT_ENVIRONMENT")
                .map(str::to_owned)
        });
        let mut known = self.place.known(environment, checkout)?;
        if let Some(account) = role.split(':').nth(4) {
            known.set_account(account);
        }
        let rights = simulate::run(
            &iam::Iam::new(&config),
            role,
            checkout,
            &known,
            deployment.as_deref(),
        )
        .await?;
        journal.note(
            "simulation",
            serde_json::to_value(&rights).unwrap_or_default(),
        );
        rights.verdict(role).map(outcome)
    }
}

fn outcome(summary: String) -> Outcome {
    Outcome {
        summary,
        ..Outcome::default()
    }
}

fn with(environment: &Environment, more: &[(&str, &str)]) -> Environment {
    let names: Vec<&str> = environment.names().collect();
    let pairs = names
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), environment.get(name)?.to_owned())));
    let more = more
        .iter()
        .map(|&(name, value)| (name.to_owned(), value.to_owned()));
    Environment::new(pairs.chain(more))
}

/// The claims of the step's token, or why there are none.
fn claims(checkout: &Checkout, environment: &Environment) -> Result<Claims, Failure> {
    let Some(token) = environment.get("BITBUCKET_STEP_OIDC_TOKEN") else {
        let mut failure = Failure::new("there is no token: BITBUCKET_STEP_OIDC_TOKEN is not set")
            .hint("set `oidc: true` on the step that this runs in");
        for file in &checkout.files {
            for step in file
                .steps
                .iter()
                .filter(|step| step.oidc != Oidc::On && !step.pipes.is_empty())
            {
                let name = step.name.as_deref().unwrap_or(&step.pipeline);
                failure = failure.fact(format!(
                    "{}:{}: the step `{name}` has no `oidc: true`",
                    file.path.display(),
                    step.line
                ));
            }
        }
        return Err(failure);
    };
    let token = Token::new(Secret::new(token.trim()))
        .map_err(|fault| Failure::new(format!("BITBUCKET_STEP_OIDC_TOKEN {fault}")))?;
    Ok(token.claims().clone())
}

/// What the token says, with what has to fit it in AWS.
fn shown(claims: &Claims, environment: &Environment) -> String {
    let left = match claims.left(SystemTime::now()) {
        Some(left) => format!("holds for {} s", left.as_secs()),
        None => "has ended".to_owned(),
    };
    let kind = match (
        claims.environment.as_deref(),
        environment.get("BITBUCKET_DEPLOYMENT_ENVIRONMENT"),
    ) {
        (Some(id), Some(name)) => format!("of the deployment environment `{name}`, {id}"),
        (Some(id), None) => format!("of the deployment environment {id}"),
        (None, _) => "of a step without a `deployment`".to_owned(),
    };
    let subject = match (
        claims.subject.split(':').next(),
        claims.environment.as_deref(),
    ) {
        (Some(repository), Some(environment)) => format!("{repository}:{environment}:*"),
        (Some(repository), None) => format!("{repository}:*"),
        (None, _) => claims.subject.clone(),
    };
    let mut text = format!(
        "the token {left}; it is {kind}\n  iss  {}\n  aud  {}\n  sub  {}\nin AWS this has to fit:\n  identity provider  {}\n  its audience       {}\n  trust policy       StringLike on sub: {subject}",
        claims.issuer,
        claims.audiences.join(", "),
        claims.subject,
        claims.provider(),
        claims.audiences.join(" or "),
    );
    if claims.audiences.len() > 1 {
        text.push_str("\n  AWS documents no answer to a list of audiences: use `oidc: true` without `audiences` for steps that go to AWS");
    }
    if !claims.unknown.is_empty() {
        let _ = write!(
            text,
            "\n  claims that tokens of Bitbucket were not known to have: {}",
            claims.unknown.join(", ")
        );
    }
    text
}
