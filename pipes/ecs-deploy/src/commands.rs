//! The commands beside `deploy`: run-task, rollback, diff, status. Each reads with the same eyes and changes with the
//! same hands as a deploy does.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};
use shared::{Environment, Failure, Outcome};

use crate::apply::Deploy;
use crate::change::Wish;
use crate::code_deploy::Release;
use crate::observe;
use crate::one_off::{self, Runner};
use crate::plan::{Action, DefinitionPlan, Plan, ServicePlan};
use crate::rollback;
use crate::service::{Service, short};

/// Registers the definition if it is new, and runs one task of it to its end.
///
/// # Errors
/// What is refused, and how the task failed.
pub async fn run_task(deploy: &Deploy<'_>, plan: &Plan, wish: &Wish) -> Result<Outcome, Failure> {
    const VARIABLE: &str = "RUN_TASK";
    let Deploy { config, ecs, .. } = deploy;
    let containers = plan.wished.containers();
    let container = one_off::container(&config.task, VARIABLE, &containers)?;
    let command = match &config.task.command {
        Some(words) => shell_words::join(words),
        None => "its own command".to_owned(),
    };
    shared::log::line(format_args!(
        "run       {command} in {container}  ({VARIABLE})"
    ));
    if config.dry_run {
        return Ok(dry_run());
    }
    let definition = deploy.definition(plan).await?;
    let service = plan
        .services
        .iter()
        .find_map(|service| Some(&service.live.as_ref()?.raw))
        .unwrap_or(&Value::Null);
    // A network that was given goes before that of the service.
    let mut place = service.as_object().cloned().unwrap_or_default();
    place.extend(wish.for_create());
    let place = Value::Object(place);
    let request = one_off::request(
        &config.task,
        container,
        &definition,
        &place,
        deploy.run,
        "task",
    );
    let runner = Runner {
        ecs,
        evidence: deploy.evidence,
        journal: deploy.journal,
        log_lines: config.log_lines,
    };
    let arn = runner
        .run(
            &request,
            &plan.wished,
            container,
            VARIABLE,
            config.task.timeout,
        )
        .await?;
    Ok(Outcome {
        summary: format!(
            "the task `{}` of `{}` did its work",
            short(&arn),
            short(&definition)
        ),
        variables: BTreeMap::from([
            ("ECS_DEPLOY_TASK_ARN", arn),
            ("ECS_DEPLOY_TASK_DEFINITION_ARN", definition),
        ]),
    })
}

/// What a deploy would change; with FAIL_ON_DIFFERENCE anything is a failure.
///
/// # Errors
/// When something differs and FAIL_ON_DIFFERENCE is true.
pub fn diff(deploy: &Deploy<'_>, plan: &Plan) -> Result<Outcome, Failure> {
    let is_registered = !matches!(plan.definition, DefinitionPlan::Register(_));
    if plan.is_unchanged() && plan.moves.is_empty() && is_registered {
        return Ok(Outcome {
            summary: "no difference".to_owned(),
            variables: BTreeMap::from([("ECS_DEPLOY_DIFFERS", "false".to_owned())]),
        });
    }
    let summary = "what is live differs from what is wished, as the lines above say";
    if deploy.config.fail_on_difference {
        return Err(Failure::new(summary).hint(
            "FAIL_ON_DIFFERENCE makes a difference a failure; COMMAND deploy takes it away",
        ));
    }
    Ok(Outcome {
        summary: summary.to_owned(),
        variables: BTreeMap::from([("ECS_DEPLOY_DIFFERS", "true".to_owned())]),
    })
}

/// How the services are: their deployments, their last events, their history.
///
/// # Errors
/// What cannot be read.
pub async fn status(deploy: &Deploy<'_>) -> Result<Outcome, Failure> {
    let services = observe::services(deploy.config, deploy.ecs).await?;
    let mut settled = 0;
    let mut all = Vec::new();
    for (name, service) in &services {
        let Some(service) = service else { continue };
        settled += usize::from(service.is_settled());
        let history = match deploy.ecs.service_deployments(name, &[]).await {
            Ok(history) => history,
            Err(failure) => {
                tracing::warn!("{failure}");
                Vec::new()
            }
        };
        let mut text = format!(
            "{name}: {} of {} running, {} pending",
            service.running_count, service.desired_count, service.pending_count
        );
        for deployment in &service.deployments {
            let _ = write!(
                text,
                "\n  {:<8} {}  {} of {} running, {} failed  {}",
                deployment.status,
                short(&deployment.task_definition),
                deployment.running_count,
                deployment.desired_count,
                deployment.failed_tasks,
                deployment.rollout_state.as_deref().unwrap_or("-"),
            );
            if let Some(reason) = deployment
                .rollout_state_reason
                .as_deref()
                .filter(|reason| !reason.is_empty())
            {
                let _ = write!(text, ": {reason}");
            }
        }
        for brief in history.iter().take(5) {
            let _ = write!(
                text,
                "\n  history  {}  {}",
                short(&brief.service_deployment_arn),
                brief.status
            );
        }
        for event in service.events.iter().take(5) {
            let _ = write!(text, "\n  event    {}", event.message);
        }
        shared::log::line(text);
        all.push(json!({"service": name, "settled": service.is_settled(), "deployments": service.raw["deployments"]}));
    }
    deploy.journal.note("services", Value::Array(all));
    Ok(Outcome {
        summary: format!("{settled} of {} services are settled", services.len()),
        variables: BTreeMap::from([(
            "ECS_DEPLOY_SETTLED",
            (settled == services.len()).to_string(),
        )]),
    })
}

/// Takes the services back to their last successful deployments before the one that runs now.
///
/// # Errors
/// When there is none, or the way back fails.
pub async fn roll_back(deploy: &Deploy<'_>, environment: &Environment) -> Result<Outcome, Failure> {
    let Deploy {
        config,
        ecs,
        neighbours,
        ..
    } = *deploy;
    let app_spec = observe::read_app_spec(config, environment)?;
    let services = observe::services(config, ecs).await?;
    let mut plans = Vec::new();
    for (name, service) in services {
        if let Some(service) = service {
            let release = if service.is_code_deploy() {
                Some(observe::release(config, app_spec.as_ref(), &service)?)
            } else {
                None
            };
            let (plan, arn) = plan_back(deploy, name, service, release.as_ref()).await?;
            plans.push((ServicePlan { release, ..plan }, arn));
        }
    }
    let Some(first) = plans.first() else {
        return Err(Failure::new("no service to roll back"));
    };
    let wished = deploy.ecs.task_definition(&first.1).await?;
    let live = plans.iter().filter_map(|(plan, _)| plan.live.as_ref());
    let family = wished.definition.family();
    let schedules = observe::schedules(config, live, family, ecs, neighbours).await?;
    let definitions: Vec<String> = plans.iter().map(|(_, arn)| arn.clone()).collect();
    let plan = Plan::of_rollback(
        wished.definition,
        first.1.clone(),
        plans.into_iter().map(|(plan, _)| plan).collect(),
        &schedules,
    );
    deploy.journal.plan(plan.to_json());
    shared::log::line(plan.lines());
    if deploy.config.dry_run {
        return Ok(dry_run());
    }
    let mut outcome = deploy.apply(&plan).await?;
    let back: Vec<&str> = definitions.iter().map(|arn| short(arn)).collect();
    outcome.summary = format!("rolled back to {}. {}", back.join(", "), outcome.summary);
    Ok(outcome)
}

/// The plan for one service, and the task definition that it goes back to.
async fn plan_back(
    deploy: &Deploy<'_>,
    name: String,
    service: Service,
    release: Option<&Release>,
) -> Result<(ServicePlan, String), Failure> {
    let none = || {
        Failure::new(format!(
            "the history of `{name}` has no successful deployment but that of `{}`, which runs now",
            short(&service.task_definition)
        ))
        .hint("deploy an earlier revision by its name: TASK_DEFINITION: family:revision")
    };
    let found = match release {
        Some(release) => {
            let code_deploy = &deploy.neighbours.code_deploy;
            let now = &service.task_definition;
            let arn = code_deploy.earlier_success(&release.group, now).await?;
            arn.map(|arn| (arn, Wish::default()))
        }
        None => rollback::earlier_success(deploy, &service).await?,
    };
    let (arn, wish) = found.ok_or_else(none)?;
    let found = deploy.ecs.task_definition(&arn).await?;
    if found.status != "ACTIVE" {
        return Err(Failure::new(format!(
            "the last successful deployment of `{name}` before this one ran `{}`, which is {}: ECS starts no tasks of it",
            short(&arn),
            found.status
        ))
        .hint("deploy that version again; a larger KEEP_REVISIONS keeps revisions longer"));
    }
    let target = DefinitionPlan::Use(arn.clone(), "the last successful before this one");
    let mut plan = ServicePlan::new(deploy.config.force, name, Some(service), &target, &wish)?;
    // Each service goes back to its own definition.
    if let Action::Update {
        members,
        definition,
        ..
    } = &mut plan.action
        && std::mem::take(definition)
    {
        members.insert("taskDefinition".to_owned(), json!(arn));
        plan.lines
            .insert(0, format!("~ taskDefinition: → {}", short(&arn)));
    }
    Ok((plan, arn))
}

/// The end of a run that only shows its plan.
pub fn dry_run() -> Outcome {
    Outcome {
        summary: "DRY_RUN: nothing was changed".to_owned(),
        ..Outcome::default()
    }
}
