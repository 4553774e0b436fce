//! `update` and `deploy`, for all functions of a run in phases: look at all, plan all, then change and publish all, test
//! all, and only then move all aliases. Whatever fails before the last phase has moved no traffic.

use std::collections::BTreeMap;

use serde_json::json;
use shared::{Environment, Failure, Journal, Outcome, explained};

use crate::artifact::{self, Artifacts};
use crate::aws::{Lambda, Upload};
use crate::canary::Run;
use crate::config::{Change, Config, architecture};
use crate::configuration::Desired;
use crate::layer::Layers;
use crate::live::Configuration;
use crate::output::SharedFile;
use crate::package;
use crate::plan::{Plan, Seen, Wish};
use crate::release::{Release, Released};
use crate::shift::{self, Arrived, Journey};
use crate::source::Source;
use crate::target::{Target, for_all};

/// How many names are offered for one that does not exist.
const NAMES_TO_OFFER: usize = 3;

/// One run of `update` or `deploy`.
pub struct Deploy<'a> {
    /// The settings.
    pub config: &'a Config,
    /// What is changed.
    pub change: &'a Change,
    /// The functions.
    pub targets: &'a [Target],
    /// This run.
    pub run: &'a Run,
    /// The variables of the step.
    pub environment: &'a Environment,
    /// What was changed so far.
    pub journal: &'a Journal,
}

/// A function with its plan.
struct Planned<'a> {
    target: &'a Target,
    seen: Seen,
    plan: Plan,
    source: Option<&'a Source>,
    desired: Desired,
    upload: Option<Upload>,
}

impl Deploy<'_> {
    /// Does it.
    ///
    /// # Errors
    /// When something is refused or fails; what was changed by then is in the journal.
    pub async fn run(&self) -> Result<Outcome, Failure> {
        let shared_file = SharedFile::open(self.environment)?;
        let desired = self
            .change
            .wishes
            .load(&self.config.functions, self.environment)?;
        let events = match &self.change.smoke {
            Some(smoke) => smoke.load(self.environment)?,
            None => Vec::new(),
        };
        let sources = self.sources().await?;
        let layers = Layers::look(self.change, self.targets).await?;
        let mut planned = for_all(self.targets, |target| {
            let region = target.lambda.region();
            self.plan(target, &desired, sources.get(region), &layers)
        })
        .await?;
        let artifacts = self.artifacts(&planned, &layers).await?;
        self.show(&planned, &layers, &artifacts);
        if let Some(traffic) = &self.change.traffic {
            for_all(self.targets, |target| shift::check_sight(target, traffic)).await?;
        }
        if self.config.dry_run {
            return self.dry_run(&planned, &artifacts).await;
        }

        artifacts.upload(self.journal).await?;
        let layers = layers.publish(self.change, self.journal).await?;
        for each in &mut planned {
            self.plan_again(each, &desired, &layers)?;
        }
        let released = for_all(&planned, |each| self.release(each)).await?;
        if let Some(smoke) = &self.change.smoke {
            let fresh = planned.iter().zip(&released);
            // A version that has all traffic already was tested when it was new.
            let fresh = fresh.filter(|(planned, _)| !planned.plan.is_empty());
            let tests = for_all(fresh, |(planned, released)| {
                let target = planned.target;
                let version = released.version.version();
                smoke.test(&events, &target.lambda, &target.function, version)
            });
            tests.await?;
        }
        let mut arrived = Vec::new();
        if let Some(traffic) = &self.change.traffic {
            let journeys = planned
                .iter()
                .zip(&released)
                .map(|(planned, released)| Journey {
                    target: planned.target,
                    alias: planned.seen.alias.clone(),
                    to: released.version.version().to_owned(),
                });
            arrived = shift::all(journeys.collect(), traffic, self.run, self.journal).await?;
        }
        let versions: Vec<&Configuration> = released.iter().map(|each| &each.version).collect();
        shared_file.write(&versions)?;
        let urls = for_all(planned.iter().zip(&released), |(planned, released)| {
            let version = released.version.version();
            self.change
                .aftermath
                .run(planned.target, self.alias(), version, self.journal)
        })
        .await?;
        if let Some(keep) = self.change.aftermath.keep {
            layers.prune(self.targets, keep, self.journal).await;
        }
        Ok(self.outcome(&released, &arrived, &urls))
    }

    /// The code, once for each region: an object or an image may be there in the one and not in the other.
    async fn sources(&self) -> Result<BTreeMap<String, Source>, Failure> {
        let mut sources = BTreeMap::new();
        let Some(code) = &self.change.code else {
            return Ok(sources);
        };
        for target in self.targets {
            let region = target.lambda.region();
            if !sources.contains_key(region) {
                let known: Option<&Source> = sources.values().next();
                let source = match known {
                    Some(Source::Package(package)) => Source::Package(package.clone()),
                    _ => Source::open(code, self.change.links, &target.lambda).await?,
                };
                sources.insert(region.to_owned(), source);
            }
        }
        Ok(sources)
    }

    async fn plan<'t>(
        &self,
        target: &'t Target,
        desired: &Desired,
        source: Option<&'t Source>,
        layers: &Layers<'_>,
    ) -> Result<Planned<'t>, Failure> {
        let seen = self.look(target).await?;
        let desired = layers.on(desired, target, live(&seen));
        let wish = self.wish(&desired, source);
        let plan = Plan::new(&target.to_string(), &wish, &seen)?;
        if let Some(Source::Package(package)) = source {
            self.check_package(package, &desired, live(&seen))?;
        }
        let upload = match source {
            Some(source) if plan.code.is_some() => Some(self.upload_of(source, target)?),
            _ => None,
        };
        Ok(Planned {
            target,
            seen,
            plan,
            source,
            desired,
            upload,
        })
    }

    /// The same plan with the layers that were published since, whose versions have numbers now.
    fn plan_again(
        &self,
        each: &mut Planned<'_>,
        desired: &Desired,
        layers: &Layers<'_>,
    ) -> Result<(), Failure> {
        if layers.is_empty() {
            return Ok(());
        }
        each.desired = layers.on(desired, each.target, live(&each.seen));
        let wish = self.wish(&each.desired, each.source);
        each.plan = Plan::new(&each.target.to_string(), &wish, &each.seen)?;
        Ok(())
    }

    /// All archives that have to be in a bucket first.
    async fn artifacts(
        &self,
        planned: &[Planned<'_>],
        layers: &Layers<'_>,
    ) -> Result<Artifacts, Failure> {
        let mut artifacts = Artifacts::default();
        let Some(bucket) = &self.change.artifacts else {
            return Ok(artifacts);
        };
        for each in planned {
            if let (Some(Source::Package(package)), Some(Upload::Object { .. })) =
                (each.source, &each.upload)
            {
                artifacts.add(bucket, package, &each.target.lambda).await?;
            }
        }
        for (package, lambda) in layers.to_be_published() {
            if !package.is_direct(package::Limits::default()) {
                artifacts.add(bucket, package, lambda).await?;
            }
        }
        Ok(artifacts)
    }

    /// The code as it is sent.
    fn upload_of(&self, source: &Source, target: &Target) -> Result<Upload, Failure> {
        match source {
            Source::Package(package) => {
                artifact::upload_of(package, self.change.artifacts.as_ref(), &target.lambda)
            }
            Source::Image(image) => Ok(Upload::Image(image.uri.clone())),
            Source::Object { upload, .. } => Ok(upload.clone()),
        }
    }

    /// The alias that traffic goes through.
    fn alias(&self) -> Option<&str> {
        let traffic = self.change.traffic.as_ref();
        traffic.map(|traffic| traffic.alias.as_str())
    }

    fn wish<'w>(&'w self, desired: &'w Desired, source: Option<&'w Source>) -> Wish<'w> {
        Wish {
            change: self.change,
            desired,
            source,
            run: self.run,
        }
    }

    /// What is live. An update that is in progress is waited for, so that the plan is of what comes of it.
    async fn look(&self, target: &Target) -> Result<Seen, Failure> {
        let (lambda, name) = (&target.lambda, &target.function);
        let Some(mut function) = lambda.function(name).await? else {
            if self.change.create {
                return Ok(Seen::default());
            }
            return Err(absent(lambda, name).await);
        };
        if function.configuration.is_in_progress() {
            tracing::info!(
                "`{target}` is being updated by somebody else ({}); waiting for it",
                function.configuration.status()
            );
            target.bracket().quiet().await?;
            function = lambda.function(name).await?.unwrap_or_default();
        }
        let versions = match self.change.publish {
            Some(_) => lambda.versions(name).await?,
            None => Vec::new(),
        };
        let alias = match &self.change.traffic {
            Some(traffic) => lambda.alias(name, &traffic.alias).await?,
            None => None,
        };
        Ok(Seen {
            function: Some(function),
            versions,
            alias,
        })
    }

    fn check_package(
        &self,
        package: &package::Package,
        desired: &Desired,
        live: Option<&Configuration>,
    ) -> Result<(), Failure> {
        let of_live = || architecture(live.map_or("x86_64", Configuration::architecture));
        let architecture = self.change.architecture.or_else(of_live);
        let layers = desired.layers().unwrap_or_else(|| {
            let layers = live.and_then(|live| live.members().get("Layers"));
            layers
                .and_then(|layers| layers.as_array())
                .map_or(0, Vec::len)
        });
        let runs_in = package::Target {
            runtime: desired
                .text("Runtime")
                .or_else(|| live.and_then(Configuration::runtime)),
            handler: desired
                .text("Handler")
                .or_else(|| live.and_then(Configuration::handler)),
            architecture: architecture.unwrap_or_default(),
            has_layers: layers > 0,
        };
        for warning in package.check(&runs_in)? {
            tracing::warn!("{warning}");
        }
        Ok(())
    }

    fn show(&self, planned: &[Planned<'_>], layers: &Layers<'_>, artifacts: &Artifacts) {
        let mut lines = String::new();
        for line in artifacts.lines().chain(layers.lines()) {
            lines = lines + &line + "\n";
        }
        for each in planned {
            let wish = self.wish(&each.desired, each.source);
            lines += &each.plan.lines(&each.target.to_string(), &wish);
            for line in self.change.aftermath.lines(each.target, self.alias()) {
                lines = lines + &line + "\n";
            }
        }
        shared::log::line(lines.trim_end());
        let plans = planned
            .iter()
            .map(|each| each.plan.to_json(&each.target.to_string()));
        self.journal
            .plan(json!({"functions": plans.collect::<Vec<_>>()}));
    }

    /// The plan is all there is, but for AWS's own look at the code.
    async fn dry_run(
        &self,
        planned: &[Planned<'_>],
        artifacts: &Artifacts,
    ) -> Result<Outcome, Failure> {
        for_all(planned, |each| async move {
            let (Some(upload), false) = (each.upload.clone(), each.plan.create) else {
                return Ok(());
            };
            if artifacts.lacks(&upload) {
                tracing::info!(
                    "Lambda was not asked about the code of `{}`: it is not in the bucket yet",
                    each.target
                );
                return Ok(());
            }
            let architecture = each.plan.architecture.as_deref();
            each.target
                .lambda
                .update_code(&each.target.function, upload, architecture, None, true)
                .await
                .map_err(|refusal| {
                    let doing = format!("the code of `{}` would be refused", each.target);
                    explained(&refusal, doing, "lambda:UpdateFunctionCode")
                })?;
            tracing::info!("Lambda would take the code of `{}`", each.target);
            Ok(())
        })
        .await?;
        let differing = planned.iter().filter(|each| !each.plan.is_empty());
        let differing: Vec<String> = differing.map(|each| format!("`{}`", each.target)).collect();
        if self.config.fail_on_difference && !differing.is_empty() {
            return Err(Failure::new(format!(
                "what is live differs from what is wished: {}",
                differing.join(", ")
            ))
            .hint("the lines above say how; FAIL_ON_DIFFERENCE makes it a failure"));
        }
        Ok(Outcome {
            summary: format!("DRY_RUN: nothing was changed in {}", names(self.targets)),
            variables: BTreeMap::from([(
                "LAMBDA_DEPLOY_DIFFERS",
                (!differing.is_empty()).to_string(),
            )]),
        })
    }

    async fn release(&self, each: &Planned<'_>) -> Result<Released, Failure> {
        let wish = self.wish(&each.desired, each.source);
        let release = Release {
            target: each.target,
            wish: &wish,
            seen: &each.seen,
            plan: &each.plan,
            upload: each.upload.clone(),
            journal: self.journal,
        };
        release.run().await
    }

    fn outcome(
        &self,
        released: &[Released],
        arrived: &[Arrived],
        urls: &[Option<String>],
    ) -> Outcome {
        let is_changed =
            released.iter().any(|each| each.is_changed) || arrived.iter().any(|each| each.is_moved);
        let mut parts = Vec::new();
        for (index, (target, released)) in self.targets.iter().zip(released).enumerate() {
            let version = released.version.version();
            let what = match arrived.get(index) {
                Some(arrived) => format!(
                    "`{target}` alias `{}` is at version {version}{}",
                    arrived.alias.name,
                    match &arrived.from {
                        Some(from) if from != version => format!(" (before: {from})"),
                        _ => String::new(),
                    }
                ),
                None if version == "$LATEST" => {
                    format!("`{target}` is updated, no version published")
                }
                None => format!("`{target}` is at version {version}"),
            };
            parts.push(what);
        }
        let what = parts.join(", ");
        let summary = if is_changed {
            format!("Deployment successful: {what}")
        } else {
            format!("Unchanged: {what}")
        };
        let joined = |value: &dyn Fn(usize) -> String| {
            let values: Vec<String> = (0..released.len()).map(value).collect();
            values.join(" ")
        };
        let mut variables = BTreeMap::from([
            (
                "LAMBDA_DEPLOY_VERSION",
                joined(&|index| released[index].version.version().to_owned()),
            ),
            (
                "LAMBDA_DEPLOY_FUNCTION_ARN",
                joined(&|index| released[index].version.arn().to_owned()),
            ),
            (
                "LAMBDA_DEPLOY_CODE_SHA256",
                joined(&|index| released[index].version.code_sha256().to_owned()),
            ),
            ("LAMBDA_DEPLOY_CHANGED", is_changed.to_string()),
        ]);
        if !arrived.is_empty() {
            variables.insert(
                "LAMBDA_DEPLOY_ALIAS_ARN",
                joined(&|index| arrived[index].alias.arn.clone()),
            );
            variables.insert(
                "LAMBDA_DEPLOY_PREVIOUS_VERSION",
                joined(&|index| {
                    arrived[index]
                        .from
                        .clone()
                        .unwrap_or_else(|| "none".to_owned())
                }),
            );
        }
        if urls.iter().any(Option::is_some) {
            let urls: Vec<&str> = urls.iter().flatten().map(String::as_str).collect();
            variables.insert("LAMBDA_DEPLOY_FUNCTION_URL", urls.join(" "));
        }
        Outcome { summary, variables }
    }
}

fn live(seen: &Seen) -> Option<&Configuration> {
    let function = seen.function.as_ref();
    function.map(|function| &function.configuration)
}

/// The failure for a function that does not exist.
pub async fn absent(lambda: &Lambda, name: &str) -> Failure {
    let own = name.rsplit(':').next().unwrap_or(name);
    let names = lambda.names().await;
    let mut near: Vec<(usize, &String)> = names
        .iter()
        .map(|each| (strsim::damerau_levenshtein(each, own), each))
        .filter(|(distance, each)| {
            *distance <= own.len().max(3) / 3 + 1
                || each.contains(own)
                || own.contains(each.as_str())
        })
        .collect();
    near.sort();
    let near: Vec<String> = near
        .iter()
        .take(NAMES_TO_OFFER)
        .map(|(_, name)| format!("`{name}`"))
        .collect();
    let failure = Failure::new(format!(
        "there is no function `{name}` in {}",
        lambda.region()
    ));
    if near.is_empty() {
        failure
            .hint("check FUNCTION_NAME, AWS_DEFAULT_REGION and the account; CREATE: true makes it")
    } else {
        failure.hint(format!(
            "did you mean {}? CREATE: true makes a new one",
            near.join(" or ")
        ))
    }
}

/// The names of functions, for a sentence.
pub fn names(targets: &[Target]) -> String {
    let names: Vec<String> = targets.iter().map(|target| format!("`{target}`")).collect();
    names.join(", ")
}
