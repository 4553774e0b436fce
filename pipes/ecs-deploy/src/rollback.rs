//! The way back: to the last deployment that was successful, which is found in the service's history and is not simply
//! the one before: that may have failed too. Its own end is followed and said like that of any deployment.

use serde_json::{Map, Value, json};
use shared::Failure;

use crate::apply::{Deploy, Step};
use crate::aws::Brief;
use crate::change::Wish;
use crate::code_deploy::Release;
use crate::config::Wait;
use crate::follow::{Ending, Follower, Track};
use crate::outcome;
use crate::plan::{Action, ServicePlan};
use crate::rollout::Verdict;
use crate::service::{Service, short};
use crate::tags::TagChange;

/// Members of a service revision that UpdateService takes: what a rollback gives back beside the task definition.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ServiceRevision.html>
const OF_REVISION: [&str; 6] = [
    "capacityProviderStrategy",
    "networkConfiguration",
    "platformVersion",
    "serviceConnectConfiguration",
    "volumeConfigurations",
    "vpcLatticeConfigurations",
];

/// What gives a service back what it had.
#[derive(Clone, Debug, Default)]
pub struct Way {
    /// Members of UpdateService.
    pub members: Map<String, Value>,
    /// Its tags, which UpdateService does not take.
    pub tags: TagChange,
    /// The service as it was; none if it was created by this run.
    pub before: Option<Service>,
    /// How CodeDeploy deploys it, if it is CodeDeploy's.
    pub release: Option<Release>,
}

impl Way {
    /// Of a service of the plan.
    pub fn of(plan: &ServicePlan) -> Self {
        let members = match &plan.action {
            Action::Update { back, .. } => back.clone(),
            _ => Map::new(),
        };
        let tags = plan.live.as_ref().map(|live| plan.tags.back(live));
        Self {
            members,
            tags: tags.unwrap_or_default(),
            before: plan.live.clone(),
            release: plan.release.clone(),
        }
    }
}

/// What the way back of one service is.
#[derive(Clone, Debug, PartialEq)]
enum Target {
    /// ECS itself takes a deployment back that is under way.
    Stop(String),
    /// An update to this task definition.
    Definition(String),
    /// Nothing, for this reason.
    Nothing(String),
}

/// After a failure: the failed services go back if ROLLBACK says so, and the others if ROLLBACK_SIBLINGS does or `all`
/// have to; then the failure says what became of that.
pub async fn after_failure(
    deploy: &Deploy<'_>,
    steps: Vec<Step>,
    failure: Failure,
    all: bool,
) -> Failure {
    let (config, wait) = (deploy.config, deploy.config.wait);
    let Some(wait) = wait.filter(|_| config.rollback || config.rollback_siblings) else {
        return failure;
    };
    let is_asked_for = |step: &Step| {
        if step.track.is_failed() {
            config.rollback
        } else {
            config.rollback_siblings || (all && config.rollback)
        }
    };
    let mut failure = failure;
    let mut under_way = Vec::new();
    for step in steps.iter().filter(|step| is_asked_for(step)) {
        let name = &step.track.name;
        match begin(deploy, step).await {
            Ok(Begun::Track(track)) => {
                under_way.push(*track);
                let tagged =
                    deploy
                        .ecs
                        .tag_service(&step.track.service, &step.way.tags, deploy.journal);
                if let Err(refused) = tagged.await {
                    failure = failure.fact(format!("`{name}` has the new tags still: {refused}"));
                }
            }
            Ok(Begun::Nothing(why)) => {
                failure = failure.fact(format!("`{name}` was not rolled back: {why}"));
            }
            Err(refused) => {
                failure = failure.fact(format!("`{name}` could not be rolled back: {refused}"));
            }
        }
    }
    for line in watch(deploy, under_way, wait).await {
        failure = failure.fact(line);
    }
    failure
}

enum Begun {
    Track(Box<Track>),
    Nothing(String),
}

async fn begin(deploy: &Deploy<'_>, step: &Step) -> Result<Begun, Failure> {
    let name = &step.track.name;
    match target(deploy, step).await? {
        Target::Nothing(why) => Ok(Begun::Nothing(why)),
        Target::Stop(arn) => {
            tracing::info!("Rolling back the deployment of {name}");
            if let Some(id) = &step.track.ours.code_deploy {
                let code_deploy = &deploy.neighbours.code_deploy;
                code_deploy.stop(id, deploy.journal).await?;
                return Ok(Begun::Track(Box::new(step.track.clone().open())));
            }
            deploy
                .ecs
                .roll_back_deployment(&arn, deploy.journal)
                .await?;
            Ok(Begun::Track(Box::new(step.track.clone().open())))
        }
        Target::Definition(arn) => {
            tracing::info!("Rolling back {name} to {}", short(&arn));
            let mut members = Value::Object(step.way.members.clone());
            if let Some(release) = &step.way.release {
                if !step.way.members.is_empty() {
                    deploy
                        .ecs
                        .update_service(name, &members, deploy.journal)
                        .await?;
                }
                let live = &step.track.service;
                let track = deploy.deploy_by_code_deploy(live, release, &arn).await?;
                return Ok(Begun::Track(Box::new(track)));
            }
            members["taskDefinition"] = json!(arn);
            let after = deploy
                .ecs
                .update_service(name, &members, deploy.journal)
                .await?;
            let known = step.track.known.clone().map(|mut known| {
                known
                    .arns
                    .extend(step.track.ours.service_deployment.clone());
                known
            });
            Ok(Begun::Track(Box::new(Track::new(
                Some(&step.track.service),
                after,
                known,
            ))))
        }
    }
}

async fn target(deploy: &Deploy<'_>, step: &Step) -> Result<Target, Failure> {
    let track = &step.track;
    let nothing = |why: &str| Ok(Target::Nothing(why.to_owned()));
    match &track.ending {
        Some(Ending::Verdict(Verdict::RolledBack { .. })) => {
            return nothing(&format!("{} did so already", track.ours.who()));
        }
        Some(Ending::Verdict(Verdict::Superseded(_))) => {
            return nothing("another deploy took it over");
        }
        _ => {}
    }
    let Some(before) = &step.way.before else {
        return nothing("this run created it, so there is nothing to go back to");
    };
    let is_under_way = !matches!(track.ending, Some(Ending::Verdict(_)));
    if let Some(id) = &track.ours.code_deploy {
        // What CodeDeploy had made the primary one was its last success.
        return Ok(if is_under_way {
            Target::Stop(id.clone())
        } else {
            Target::Definition(before.task_definition.clone())
        });
    }
    if let (true, true, Some(arn)) = (
        track.service.is_staged(),
        is_under_way,
        &track.ours.service_deployment,
    ) {
        return Ok(Target::Stop(arn.clone()));
    }
    let ours = track.ours.service_deployment.as_deref();
    let history = match last_success(deploy, &track.name, ours).await {
        Ok(history) => history,
        Err(failure) => {
            tracing::warn!("{failure}\n  the way back is taken from what ran before");
            None
        }
    };
    let arn = match history {
        Some(arn) => arn,
        // Without a history the service itself shows whether what it ran had completed.
        None if before.is_settled() => before.task_definition.clone(),
        None => {
            return nothing("no deployment before this one is known to have been successful");
        }
    };
    if arn == track.ours.task_definition && step.way.members.is_empty() {
        return Ok(Target::Nothing(format!(
            "the last successful deployment ran the same revision `{}`",
            short(&arn)
        )));
    }
    Ok(Target::Definition(arn))
}

/// The task definition of the last successful deployment of a service but for the one with the ARN `except`.
///
/// # Errors
/// When the history cannot be read.
pub async fn last_success(
    deploy: &Deploy<'_>,
    service: &str,
    except: Option<&str>,
) -> Result<Option<String>, Failure> {
    let is_another = |brief: &Brief| Some(brief.service_deployment_arn.as_str()) != except;
    let history = successes(deploy, service, is_another).await?;
    let last = history
        .iter()
        .find_map(|revision| revision["taskDefinition"].as_str());
    Ok(last.map(str::to_owned))
}

/// The service revisions of the successful deployments that `admits` takes, the newest first, as ECS keeps them.
async fn successes(
    deploy: &Deploy<'_>,
    service: &str,
    admits: impl Fn(&Brief) -> bool,
) -> Result<Vec<Value>, Failure> {
    let briefs = deploy
        .ecs
        .service_deployments(service, &["SUCCESSFUL"])
        .await?;
    let mut arns: Vec<&str> = Vec::new();
    for brief in &briefs {
        let arn = brief.target_service_revision_arn.as_str();
        if brief.status == "SUCCESSFUL" && admits(brief) && !arns.contains(&arn) {
            arns.push(arn);
        }
    }
    deploy.ecs.service_revisions(&arns).await
}

/// The service revision of the last successful deployment that is another than what runs now, with the change that leads
/// back to it; none if there is none.
///
/// # Errors
/// When the history cannot be read.
pub async fn earlier_success(
    deploy: &Deploy<'_>,
    service: &Service,
) -> Result<Option<(String, Wish)>, Failure> {
    let number = service.primary().map_or("", |primary| {
        primary.id.rsplit('/').next().unwrap_or_default()
    });
    let is_another = |brief: &Brief| {
        let of_now = format!("/{number}");
        number.is_empty() || !brief.target_service_revision_arn.ends_with(&of_now)
    };
    for revision in successes(deploy, &service.service_name, is_another).await? {
        let Some(arn) = revision["taskDefinition"].as_str() else {
            continue;
        };
        let mut members = Map::new();
        for member in OF_REVISION {
            if let Some(value) = revision.get(member) {
                members.insert(member.to_owned(), value.clone());
            }
        }
        let wish = Wish::from_file(Value::Object(members), "the service revision")?;
        if arn != service.task_definition || !wish.change(service)?.members.is_empty() {
            return Ok(Some((arn.to_owned(), wish)));
        }
    }
    Ok(None)
}

/// Follows the ways back, and says how each ended.
async fn watch(deploy: &Deploy<'_>, mut tracks: Vec<Track>, wait: Wait) -> Vec<String> {
    if tracks.is_empty() {
        return Vec::new();
    }
    let follower = Follower {
        ecs: deploy.ecs,
        code_deploy: &deploy.neighbours.code_deploy,
        wait,
        journal: deploy.journal,
        stop_at_first: false,
    };
    let followed = follower.follow(&mut tracks).await;
    let mut lines: Vec<String> = tracks
        .iter()
        .map(|track| {
            let (name, to) = (&track.name, short(&track.service.task_definition));
            let is_back = matches!(
                track.ending,
                Some(Ending::Verdict(Verdict::Done | Verdict::RolledBack { .. }))
            );
            if is_back {
                return format!(
                    "`{name}` was rolled back to `{to}`, and that deployment completed"
                );
            }
            let (sentence, _) = outcome::sentence(track, wait.timeout.as_secs(), true);
            format!("`{name}` was told to go back to `{to}`, but {sentence}")
        })
        .collect();
    if let Err(failure) = followed {
        lines.push(format!("the way back could not be followed: {failure}"));
    }
    lines
}
