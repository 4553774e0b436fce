//! Does what the plan says, in its order: register, the task before, all services, their ends, the task after. The only
//! stage that changes anything, and it goes on only when the step before is proven.

mod code_deploy;

use std::collections::BTreeSet;

use serde_json::{Value, json};
use shared::{Failure, Journal, Outcome};

use crate::aws::{Ecs, Evidence, Neighbours};
use crate::config::{Config, Wait};
use crate::findings::Search;
use crate::follow::{Follower, Known, Track};
use crate::one_off::{self, Run, Runner};
use crate::outcome;
use crate::plan::{Action, DefinitionPlan, Plan, ServicePlan, TaskPlan};
use crate::prune::Pruner;
use crate::rollback::{self, Way};
use crate::schedules::Schedule;
use crate::service::Service;

/// What every step needs.
pub struct Deploy<'a> {
    /// The settings.
    pub config: &'a Config,
    /// The cluster.
    pub ecs: &'a Ecs,
    /// Logs and target groups.
    pub evidence: &'a Evidence,
    /// Other services of AWS.
    pub neighbours: &'a Neighbours,
    /// What is changed.
    pub journal: &'a Journal,
    /// The step.
    pub run: &'a Run,
}

/// A service of the plan on its way, with what gives it back what it had.
pub struct Step {
    /// The service on its way.
    pub track: Track,
    /// How it goes back.
    pub way: Way,
}

impl Deploy<'_> {
    /// Does it all.
    ///
    /// # Errors
    /// The first step that fails, with what explains it, after the way back if that was asked for.
    pub async fn apply(&self, plan: &Plan) -> Result<Outcome, Failure> {
        let definition = self.definition(plan).await?;
        if plan.is_unchanged() {
            let outcome = self.unchanged(plan, &definition).await?;
            self.move_schedules(&plan.moves, &definition).await?;
            return Ok(outcome);
        }
        if let Some(task) = &plan.before {
            self.run_task(plan, task, &definition, "before").await?;
        }
        let mut steps = Vec::new();
        for service in &plan.services {
            let started = self.start(service, &definition).await;
            match started {
                Ok(step) => steps.extend(step),
                // Those before it are under way already.
                Err(failure) => {
                    return Err(rollback::after_failure(self, steps, failure, false).await);
                }
            }
        }
        if let Some(wait) = self.config.wait {
            steps = self.wait(plan, steps, wait).await?;
        }
        if let Some(task) = &plan.after
            && let Err(failure) = self.run_task(plan, task, &definition, "after").await
        {
            return Err(rollback::after_failure(self, steps, failure, true).await);
        }
        if let Err(failure) = self.move_schedules(&plan.moves, &definition).await {
            return Err(rollback::after_failure(self, steps, failure, true).await);
        }
        if let (Some(keep), DefinitionPlan::Register(_)) =
            (self.config.keep_revisions, &plan.definition)
        {
            self.prune(plan, &definition, &steps, keep).await;
        }
        Ok(self.outcome(plan, &definition, &steps))
    }

    /// Moves schedules to a revision, all or none: when one is refused, those before it go back.
    ///
    /// # Errors
    /// The first refusal, with what became of the others.
    pub async fn move_schedules(
        &self,
        moves: &[Schedule],
        definition: &str,
    ) -> Result<(), Failure> {
        let schedules = &self.neighbours.schedules;
        for (index, schedule) in moves.iter().enumerate() {
            let moved = schedule.moved_to(definition);
            if let Err(failure) = schedules.put(&moved, self.journal).await {
                let mut back = Ok(());
                for before in &moves[..index] {
                    back = back.and(schedules.put(before, self.journal).await);
                }
                return Err(failure.fact(match back {
                    Ok(()) => {
                        "all schedules run the revision again that they ran before".to_owned()
                    }
                    Err(refused) => format!("the others did not all go back: {refused}"),
                }));
            }
            tracing::info!(
                "Moved the {} to {}",
                moved.label(),
                crate::service::short(definition)
            );
        }
        Ok(())
    }

    async fn prune(&self, plan: &Plan, definition: &str, steps: &[Step], keep: usize) {
        let mut needed = BTreeSet::from([definition.to_owned()]);
        for service in plan
            .services
            .iter()
            .filter_map(|service| service.live.as_ref())
        {
            needed.insert(service.task_definition.clone());
        }
        for step in steps {
            let ours = step.track.ours.service_deployment.as_deref();
            match rollback::last_success(self, &step.track.name, ours).await {
                Ok(arn) => needed.extend(arn),
                Err(failure) => {
                    tracing::warn!("no old revision was deregistered: {failure}");
                    return;
                }
            }
        }
        let pruner = Pruner {
            ecs: self.ecs,
            schedules: &self.neighbours.schedules,
            journal: self.journal,
        };
        pruner.prune(plan.wished.family(), keep, &needed).await;
    }

    /// Registers the definition if it is new, and gives the ARN of what is to run.
    ///
    /// # Errors
    /// When ECS refuses.
    pub async fn definition(&self, plan: &Plan) -> Result<String, Failure> {
        tracing::info!("Updating the task definition...");
        let arn = match &plan.definition {
            DefinitionPlan::Register(_) => self.ecs.register(&plan.wished, self.journal).await?,
            DefinitionPlan::Use(arn, _) => arn.clone(),
        };
        tracing::info!("Using task definition: {arn}");
        Ok(arn)
    }

    async fn run_task(
        &self,
        plan: &Plan,
        task: &TaskPlan,
        definition: &str,
        role: &str,
    ) -> Result<(), Failure> {
        let service = plan
            .services
            .iter()
            .find_map(|service| Some(&service.live.as_ref()?.raw))
            .unwrap_or(&Value::Null);
        let request = one_off::request(
            &task.one_off,
            &task.container,
            definition,
            service,
            self.run,
            role,
        );
        let runner = Runner {
            ecs: self.ecs,
            evidence: self.evidence,
            journal: self.journal,
            log_lines: self.config.log_lines,
        };
        runner
            .run(
                &request,
                &plan.wished,
                &task.container,
                task.variable,
                task.one_off.timeout,
            )
            .await
            .map(drop)
    }

    /// Creates or updates one service.
    async fn start(&self, plan: &ServicePlan, definition: &str) -> Result<Option<Step>, Failure> {
        if let Some(release) = &plan.release {
            return self.start_by_code_deploy(plan, release, definition).await;
        }
        let name = &plan.name;
        let (after, known) = match &plan.action {
            Action::Unchanged => return Ok(None),
            Action::Create(members) => {
                tracing::info!("Create the {name} service.");
                let mut members = Value::Object(members.clone());
                members["taskDefinition"] = json!(definition);
                let after = self
                    .ecs
                    .create_service(name, &members, self.journal)
                    .await?;
                (after, Some(Known::default()))
            }
            Action::Update {
                members,
                definition: is_other,
                ..
            } => {
                let known = self.known_deployments(name).await?;
                tracing::info!("Update the {name} service.");
                let mut members = Value::Object(members.clone());
                if *is_other {
                    members["taskDefinition"] = json!(definition);
                }
                let is_nothing_else = members.as_object().is_some_and(serde_json::Map::is_empty);
                let live = plan.live.clone().unwrap_or_default();
                self.ecs
                    .tag_service(&live, &plan.tags, self.journal)
                    .await?;
                if is_nothing_else {
                    return Ok(None);
                }
                let after = self
                    .ecs
                    .update_service(name, &members, self.journal)
                    .await?;
                (after, known)
            }
        };
        let is_readable = known.is_some();
        let track = Track::new(plan.live.as_ref(), after, known);
        Ok(Some(Step {
            track: if is_readable {
                track
            } else {
                track.without_service_deployments()
            },
            way: Way::of(plan),
        }))
    }

    /// The service deployments that there are before ours; none when that is not known.
    async fn known_deployments(&self, name: &str) -> Result<Option<Known>, Failure> {
        if self.config.wait.is_none() {
            return Ok(None);
        }
        Ok(match self.ecs.service_deployments(name, &[]).await {
            Ok(briefs) => Some(Known::new(briefs)),
            Err(failure) => {
                tracing::warn!(
                    "{failure}\n  the verdict is taken from the deployments that the service lists"
                );
                None
            }
        })
    }

    async fn wait(&self, plan: &Plan, steps: Vec<Step>, wait: Wait) -> Result<Vec<Step>, Failure> {
        let follower = Follower {
            ecs: self.ecs,
            code_deploy: &self.neighbours.code_deploy,
            wait,
            journal: self.journal,
            stop_at_first: self.config.rollback_siblings,
        };
        let (mut tracks, ways): (Vec<Track>, Vec<Way>) =
            steps.into_iter().map(|step| (step.track, step.way)).unzip();
        tracing::info!("Waiting for service to become Stable...");
        let followed = follower.follow(&mut tracks).await;
        for track in tracks.iter().filter(|track| track.is_done()) {
            tracing::info!("Service {} has become stable", track.name);
        }
        followed.map_err(|failure| {
            failure
                .fact("the deployments go on without this run; COMMAND status shows how they end")
        })?;
        let steps: Vec<Step> = tracks
            .into_iter()
            .zip(ways)
            .map(|(track, way)| Step { track, way })
            .collect();
        if !steps.iter().any(|step| step.track.is_failed()) {
            return Ok(steps);
        }
        let failure = self.explain(plan, &steps, wait).await;
        Err(rollback::after_failure(self, steps, failure, false).await)
    }

    /// One failure for all services that failed, with what explains each.
    async fn explain(&self, plan: &Plan, steps: &[Step], wait: Wait) -> Failure {
        let containers = plan.wished.containers();
        let search = Search {
            ecs: self.ecs,
            evidence: self.evidence,
            containers: &containers,
            log_lines: self.config.log_lines,
        };
        let mut all = Vec::new();
        let mut failure: Option<Failure> = None;
        for step in steps.iter().filter(|step| step.track.is_failed()) {
            let (sentence, hint) =
                outcome::sentence(&step.track, wait.timeout.as_secs(), self.config.rollback);
            let findings = search.of_service(&step.track).await;
            failure = Some(
                match failure {
                    None => {
                        let failure = Failure::new(format!(
                            "Error waiting for service to become stable: {sentence}"
                        ));
                        match hint {
                            Some(hint) => failure.hint(hint),
                            None => failure,
                        }
                    }
                    Some(failure) => failure.fact(sentence),
                }
                .fact(findings.text()),
            );
            all.push(findings);
        }
        self.journal
            .note("failures", serde_json::to_value(&all).unwrap_or_default());
        failure.unwrap_or_else(|| Failure::new("a deployment failed"))
    }

    /// Nothing to do; but what an earlier run began is waited for all the same.
    async fn unchanged(&self, plan: &Plan, definition: &str) -> Result<Outcome, Failure> {
        let open: Vec<&Service> = plan
            .services
            .iter()
            .filter_map(|service| service.live.as_ref())
            .filter(|service| !service.is_settled() && !service.is_code_deploy())
            .collect();
        if let (Some(wait), false) = (self.config.wait, open.is_empty()) {
            let steps = open
                .into_iter()
                .map(|service| Step {
                    track: Track::new(None, service.clone(), None),
                    way: Way::default(),
                })
                .collect();
            tracing::info!(
                "Nothing is to be changed, but an earlier deployment is still under way"
            );
            let steps = self.wait(plan, steps, wait).await?;
            return Ok(self.outcome(plan, definition, &steps));
        }
        let mut outcome = self.outcome(plan, definition, &[]);
        let what = if plan.moves.is_empty() {
            "unchanged"
        } else {
            "only schedules were moved"
        };
        outcome.summary = format!("{what}: {}", outcome.summary);
        Ok(outcome)
    }

    fn outcome(&self, plan: &Plan, definition: &str, steps: &[Step]) -> Outcome {
        let region = self.ecs.region();
        let names: Vec<&str> = plan
            .services
            .iter()
            .map(|service| service.name.as_str())
            .collect();
        let previous = plan
            .services
            .iter()
            .find_map(|service| Some(service.live.as_ref()?.task_definition.as_str()));
        let deployments: Vec<&str> = steps.iter().map(|step| step.track.ours.id()).collect();
        let summary = if plan.is_unchanged() && steps.is_empty() {
            format!(
                "the service{} {} runs {} already",
                if names.len() == 1 { "" } else { "s" },
                names.join(", "),
                crate::service::short(definition)
            )
        } else {
            outcome::success(region, self.config, &names)
        };
        Outcome {
            summary,
            variables: outcome::variables(region, self.config, definition, previous, &deployments),
        }
    }
}
