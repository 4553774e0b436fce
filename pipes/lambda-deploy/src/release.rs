//! From a plan to a version that can take traffic: made or configured, code uploaded, published, active. No alias moves
//! here, so whatever goes wrong, what users call is as it was.

use aws_smithy_types::base64;
use serde_json::{Value, json};
use shared::{Failure, Journal, Pending, Refusal, explained};

use crate::aws::Upload;
use crate::bracket::{Act, Proof};
use crate::config::Reserved;
use crate::live::Configuration;
use crate::plan::{self, Plan, Publish, Seen, Wish, equal_version};
use crate::source::{Comparison, Source};
use crate::target::Target;

/// What a release ends with.
pub struct Released {
    /// The published version, or `$LATEST` if none is published.
    pub version: Configuration,
    /// Whether anything was changed.
    pub is_changed: bool,
}

/// What one release needs.
pub struct Release<'a> {
    /// The function.
    pub target: &'a Target,
    /// What is wished.
    pub wish: &'a Wish<'a>,
    /// What was live when the plan was made.
    pub seen: &'a Seen,
    /// The plan.
    pub plan: &'a Plan,
    /// The code as it is uploaded.
    pub upload: Option<Upload>,
    /// What was changed so far.
    pub journal: &'a Journal,
}

impl Release<'_> {
    /// Does it.
    ///
    /// # Errors
    /// When something is refused or fails, or when another deploy came in between.
    pub async fn run(&self) -> Result<Released, Failure> {
        let live = self.changed().await?;
        self.tags_and_concurrency(live.arn()).await?;
        let Publish::New(_) = &self.plan.publish else {
            let version = match &self.plan.publish {
                Publish::Reuse(number) => {
                    let is_it = |each: &&Configuration| each.version() == number;
                    self.seen.versions.iter().find(is_it).cloned()
                }
                _ => None,
            };
            return Ok(Released {
                version: version.unwrap_or(live),
                is_changed: !self.plan.is_empty(),
            });
        };
        // What could not be compared before can be now.
        let version = match equal_version(&self.seen.versions, &live) {
            Some(version) => version.clone(),
            None => self.publish(live).await?,
        };
        let number = version.version().to_owned();
        if version.has_snap_start() {
            tracing::info!(
                "Waiting for the snapshot of version {number} of `{}`, which takes minutes",
                self.target
            );
        }
        let active = self.target.bracket().active(&number).await?;
        if active.state() == "Inactive" {
            tracing::warn!(
                "version {number} of `{}` has been idle for long; its first invocations will be slow",
                self.target
            );
        }
        Ok(Released {
            version: active,
            is_changed: true,
        })
    }

    /// The function made, or its configuration and code changed.
    async fn changed(&self) -> Result<Configuration, Failure> {
        let Some(function) = &self.seen.function else {
            return self.create().await;
        };
        let mut live = function.configuration.clone();
        // First the configuration: new code may need what it says, and old code seldom minds.
        if self.plan.configuration.is_some() {
            live = self.configure(live).await?;
        }
        if self.plan.code.is_some() {
            live = self.upload(live).await?;
        }
        Ok(live)
    }

    async fn create(&self) -> Result<Configuration, Failure> {
        let name = &self.target.function;
        let mut body = plan::creation(name, self.wish.desired, self.plan);
        let code = match &self.upload {
            None => json!({}),
            Some(Upload::Zip(bytes)) => json!({"ZipFile": base64::encode(bytes)}),
            Some(Upload::Image(uri)) => json!({"ImageUri": uri}),
            Some(Upload::Object {
                bucket,
                key,
                version,
            }) => {
                json!({"S3Bucket": bucket, "S3Key": key, "S3ObjectVersion": version})
            }
        };
        if matches!(self.upload, Some(Upload::Image(_))) {
            body.insert("PackageType".to_owned(), json!("Image"));
        }
        body.insert("Code".to_owned(), without_nulls(code));
        let pending = self.begin("create", "");
        let made = self
            .target
            .lambda
            .create_function(name, &Value::Object(body))
            .await;
        self.settle(pending, &made, "created", "");
        made.map_err(|refusal| {
            explained(
                &refusal,
                format!("could not make the function `{}`", self.target),
                "lambda:CreateFunction` and `iam:PassRole",
            )
        })?;
        tracing::info!("Created `{}`", self.target);
        self.target.bracket().settled().await
    }

    async fn configure(&self, live: Configuration) -> Result<Configuration, Failure> {
        let Some(change) = &self.plan.configuration else {
            return Ok(live);
        };
        let bracket = self.target.bracket();
        let act = Act {
            doing: format!("could not change the configuration of `{}`", self.target),
            action: "lambda:UpdateFunctionConfiguration",
        };
        let attempt = async |revision: &str| {
            let mut body = change.body.clone();
            body.insert("RevisionId".to_owned(), json!(revision));
            let pending = self.begin("change", "the configuration of ");
            let made = self
                .target
                .lambda
                .update_configuration(&self.target.function, &Value::Object(body))
                .await;
            self.settle(pending, &made, "changed", "the configuration of ");
            made.map(drop)
        };
        // Members that this version of the pipe does not know may look different in the answer.
        let proof = |live: &Configuration| match self.wish.desired.change_of_known(live) {
            None => Proof::Made,
            Some(_) => Proof::NotMade,
        };
        let after = bracket.change(live, act, attempt, proof).await?;
        for name in self.wish.desired.not_taken(&after) {
            tracing::warn!(
                "Lambda did not take the member `{name}` of FUNCTION_CONFIGURATION: the configuration of `{}` does not show it",
                self.target
            );
        }
        tracing::info!("Changed the configuration of `{}`", self.target);
        Ok(after)
    }

    async fn upload(&self, live: Configuration) -> Result<Configuration, Failure> {
        let (Some(upload), Some(source)) = (&self.upload, self.wish.source) else {
            return Ok(live);
        };
        let bracket = self.target.bracket();
        let act = Act {
            doing: format!("could not change the code of `{}`", self.target),
            action: "lambda:UpdateFunctionCode",
        };
        let attempt = async |revision: &str| {
            let pending = self.begin("change", "the code of ");
            let made = self
                .target
                .lambda
                .update_code(
                    &self.target.function,
                    upload.clone(),
                    self.plan.architecture.as_deref(),
                    Some(revision),
                    false,
                )
                .await;
            self.settle(pending, &made, "changed", "the code of ");
            made.map(drop)
        };
        let sha256 = source.sha256();
        let architecture = self.plan.architecture.as_deref();
        let proof = |live: &Configuration| match &sha256 {
            _ if architecture.is_some_and(|wished| wished != live.architecture()) => Proof::NotMade,
            Some(sha256) if sha256 == live.code_sha256() => Proof::Made,
            Some(_) => Proof::NotMade,
            None => Proof::Unknown,
        };
        let after = bracket.change(live, act, attempt, proof).await?;
        if source.is_image() {
            self.check_image(source).await?;
        }
        tracing::info!("Changed the code of `{}`", self.target);
        Ok(after)
    }

    /// The configuration does not say which image it is of; the function does.
    async fn check_image(&self, source: &Source) -> Result<(), Failure> {
        let function = self.target.lambda.function(&self.target.function).await?;
        match function {
            Some(function) if source.compare(&function) == Comparison::Differs => {
                Err(Failure::new(format!(
                    "another deploy won: `{}` now runs `{}`, which is not this run's image",
                    self.target,
                    function
                        .code
                        .resolved_image_uri
                        .or(function.code.image_uri)
                        .unwrap_or_default()
                ))
                .hint("nothing was flipped; let one pipeline at a time deploy this function, and run again"))
            }
            _ => Ok(()),
        }
    }

    async fn publish(&self, live: Configuration) -> Result<Configuration, Failure> {
        let bracket = self.target.bracket();
        let description = self.wish.change.publish.as_ref();
        let description = description.and_then(|publish| publish.description.as_deref());
        let act = Act {
            doing: format!("could not publish a version of `{}`", self.target),
            action: "lambda:PublishVersion",
        };
        let sha256 = (!live.is_image()).then(|| live.code_sha256().to_owned());
        let mut published = None;
        let mut other_code = false;
        let before = live.clone();
        let attempt = async |revision: &str| {
            let pending = self.begin("publish", "a version of ");
            let made = self
                .target
                .lambda
                .publish(
                    &self.target.function,
                    sha256.as_deref(),
                    revision,
                    description,
                )
                .await;
            match made {
                Ok(version) => {
                    let shown = format!("{} version {}", self.target, version.version());
                    pending.done("published", shown);
                    published = Some(version);
                    Ok(())
                }
                Err(refusal) => {
                    if refusal.changed_nothing() {
                        pending.refused();
                    }
                    // "CodeSHA256 (…) is different from current CodeSHA256 in $LATEST"
                    other_code = refusal
                        .message
                        .contains("different from current CodeSHA256");
                    Err(refusal)
                }
            }
        };
        let unchanged = |_: &Configuration| Proof::Unknown;
        let ended = bracket.change(live, act, attempt, unchanged).await;
        let version = match (ended, published) {
            (Ok(_), Some(version)) => version,
            (Err(_), _) if other_code => {
                return Err(bracket.another_won(&before, &bracket.quiet().await?));
            }
            (Err(failure), _) => return Err(failure),
            (Ok(now), None) => return Err(bracket.another_won(&before, &now)),
        };
        if !version.does_the_same_as(&before) {
            return Err(bracket.another_won(&before, &version));
        }
        tracing::info!(
            "Published version {} of `{}`",
            version.version(),
            self.target
        );
        Ok(version)
    }

    async fn tags_and_concurrency(&self, arn: &str) -> Result<(), Failure> {
        let (lambda, plan) = (&self.target.lambda, self.plan);
        // A function that was made has them already.
        if !plan.tag.is_empty() && !plan.create {
            let pending = self.begin("tag", "");
            let made = lambda.tag(arn, plan.tag.clone()).await;
            self.settle(pending, &made, "tagged", "");
            self.explain(made, "could not tag", "lambda:TagResource")?;
        }
        if !plan.untag.is_empty() {
            let pending = self.begin("untag", "");
            let made = lambda.untag(arn, plan.untag.clone()).await;
            self.settle(pending, &made, "untagged", "");
            self.explain(made, "could not take tags from", "lambda:UntagResource")?;
        }
        if let Some(reserved) = plan.reserve {
            let (instances, action) = match reserved {
                Reserved::Instances(count) => (Some(count), "lambda:PutFunctionConcurrency"),
                Reserved::None => (None, "lambda:DeleteFunctionConcurrency"),
            };
            let pending = self.begin("reserve", "concurrency of ");
            let made = lambda.reserve(&self.target.function, instances).await;
            self.settle(pending, &made, "changed", "the concurrency of ");
            self.explain(made, "could not change the reserved concurrency of", action)?;
        }
        Ok(())
    }

    fn explain<T>(
        &self,
        made: Result<T, Refusal>,
        doing: &str,
        action: &str,
    ) -> Result<T, Failure> {
        made.map_err(|refusal| explained(&refusal, format!("{doing} `{}`", self.target), action))
    }

    fn begin(&self, verb: &'static str, what: &str) -> Pending<'_> {
        self.journal.begin(verb, &format!("{what}{}", self.target))
    }

    fn settle<T>(
        &self,
        pending: Pending<'_>,
        made: &Result<T, Refusal>,
        verb: &'static str,
        what: &str,
    ) {
        match made {
            Ok(_) => pending.done(verb, format!("{what}{}", self.target)),
            Err(refusal) if refusal.changed_nothing() => pending.refused(),
            Err(_) => {}
        }
    }
}

fn without_nulls(mut value: Value) -> Value {
    if let Value::Object(members) = &mut value {
        members.retain(|_, value| !value.is_null());
    }
    value
}
