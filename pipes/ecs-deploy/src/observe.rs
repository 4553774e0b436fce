//! What is there and what is wished: services and task definitions are read, files too, and everything that can be
//! refused is refused. Nothing is changed.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;
use shared::{Environment, Failure};

use crate::aws::{Ecs, Neighbours};
use crate::code_deploy::{Group, Release, app_spec_of_file};
use crate::config::Config;
use crate::definition::{Definition, Revision};
use crate::schedules::Schedule;
use crate::service::{Service, short};

/// The services and the definitions of one run.
#[derive(Debug)]
pub struct Observed {
    /// The services by the names that they were given, in their order; none for one that does not exist yet.
    pub services: Vec<(String, Option<Service>)>,
    /// The revisions that the services run, each once.
    pub live: Vec<Revision>,
    /// What is wished.
    pub wished: Wished,
    /// How CodeDeploy deploys those of the services that are its own.
    pub releases: BTreeMap<String, Release>,
    /// What runs tasks of the family at its time, if that is asked for.
    pub schedules: Vec<Schedule>,
}

/// The wished task definition.
#[derive(Debug)]
pub enum Wished {
    /// A revision that exists.
    Revision(Revision),
    /// A definition that no revision may hold yet; with the newest revision of its family, if there is one.
    Definition(Definition, Option<Revision>),
}

impl Wished {
    /// What it says.
    pub const fn definition(&self) -> &Definition {
        match self {
            Self::Revision(revision) => &revision.definition,
            Self::Definition(definition, _) => definition,
        }
    }
}

/// Where the wished definition begins.
enum Source {
    File(Definition),
    Revision(Revision),
}

/// Reads it all.
///
/// # Errors
/// What is not there, is broken, or takes no deployment.
pub async fn observe(
    config: &Config,
    environment: &Environment,
    ecs: &Ecs,
    neighbours: &Neighbours,
) -> Result<Observed, Failure> {
    // A broken file needs no AWS to be refused.
    let file = read_file(config, environment)?;
    let app_spec = read_app_spec(config, environment)?;
    let services = services(config, ecs).await?;
    let mut live: Vec<Revision> = Vec::new();
    for service in services.iter().filter_map(|(_, service)| service.as_ref()) {
        let arn = &service.task_definition;
        if !arn.is_empty() && !live.iter().any(|revision| revision.arn == *arn) {
            live.push(ecs.task_definition(arn).await?);
        }
    }
    let source = match (file, &config.task_definition) {
        (Some(definition), _) => Source::File(definition),
        (None, Some(name)) => Source::Revision(ecs.task_definition(name).await?),
        (None, None) => Source::Revision(of_services(&services, &live)?),
    };
    let wished = match source {
        Source::Revision(revision) if config.edits.is_empty() && !config.pin_digest => {
            Wished::Revision(revision)
        }
        Source::Revision(Revision { definition, .. }) | Source::File(definition) => {
            let mut definition = definition.edited(&config.edits)?;
            if config.pin_digest {
                let (pinned, lines) = neighbours.registries.pin(&definition).await?;
                for line in lines {
                    tracing::info!("{line}");
                }
                definition = pinned;
            }
            let newest = newest(&definition, &live, ecs).await;
            Wished::Definition(definition, newest)
        }
    };
    let releases = releases(config, app_spec.as_ref(), &services, neighbours).await?;
    let live_services = services.iter().filter_map(|(_, service)| service.as_ref());
    let family = wished.definition().family();
    let schedules = schedules(config, live_services, family, ecs, neighbours).await?;
    Ok(Observed {
        services,
        live,
        wished,
        releases,
        schedules,
    })
}

/// The AppSpec of a file, if one is given.
///
/// # Errors
/// When it is not there, or is none.
pub fn read_app_spec(config: &Config, environment: &Environment) -> Result<Option<Value>, Failure> {
    let Some(path) = &config.code_deploy.app_spec else {
        return Ok(None);
    };
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failure::new(format!("could not read the AppSpec `{path}`: {error}"))
            .hint("CODEDEPLOY_APPSPEC is a path from the directory of the step")
    })?;
    let document = shared::document::read(path, &text, environment)?;
    // With any revision: that it can be used is what counts now.
    app_spec_of_file(document.clone(), path, "")?;
    Ok(Some(document))
}

/// How CodeDeploy deploys those of the services that are its own; it has to know them.
async fn releases(
    config: &Config,
    app_spec: Option<&Value>,
    services: &[(String, Option<Service>)],
    neighbours: &Neighbours,
) -> Result<BTreeMap<String, Release>, Failure> {
    let mut releases = BTreeMap::new();
    for (name, service) in services {
        let Some(service) = service.as_ref().filter(|service| service.is_code_deploy()) else {
            continue;
        };
        let release = release(config, app_spec, service)?;
        let service = &service.service_name;
        let code_deploy = &neighbours.code_deploy;
        code_deploy.check(&release.group, service).await?;
        releases.insert(name.clone(), release);
    }
    Ok(releases)
}

/// How CodeDeploy deploys a service.
///
/// # Errors
/// When no AppSpec is given, and none can be made.
pub fn release(
    config: &Config,
    app_spec: Option<&Value>,
    service: &Service,
) -> Result<Release, Failure> {
    let wishes = &config.code_deploy;
    let names = (wishes.application.as_deref(), wishes.group.as_deref());
    let group = Group::new(names, config.cluster.name(), &service.service_name);
    let file = wishes.app_spec.as_deref().zip(app_spec);
    Release::new(group, file, service)
}

/// What runs tasks of the family in the cluster at its time, if SCHEDULES asks for that.
///
/// # Errors
/// When it may not be read.
pub async fn schedules(
    config: &Config,
    mut services: impl Iterator<Item = &Service>,
    family: &str,
    ecs: &Ecs,
    neighbours: &Neighbours,
) -> Result<Vec<Schedule>, Failure> {
    if !config.schedules {
        return Ok(Vec::new());
    }
    let cluster = services.find_map(|service| service.raw["clusterArn"].as_str());
    let cluster = match cluster {
        Some(arn) => arn.to_owned(),
        None => ecs.cluster_arn().await?,
    };
    neighbours.schedules.of_family(&[cluster], family).await
}

/// The services; those that do not exist or take no deployment are refused.
pub async fn services(
    config: &Config,
    ecs: &Ecs,
) -> Result<Vec<(String, Option<Service>)>, Failure> {
    let found = ecs.services(&config.services).await?;
    let mut services = Vec::new();
    for (name, service) in config.services.iter().zip(found) {
        match &service {
            Some(service) if service.status == "INACTIVE" && config.service.create => {
                // What was deleted can be created again by the same name.
                services.push((name.clone(), None));
                continue;
            }
            Some(service) => service.check()?,
            None if config.service.create => {}
            None => return Err(not_found(name, config, ecs)),
        }
        services.push((name.clone(), service));
    }
    Ok(services)
}

fn not_found(name: &str, config: &Config, ecs: &Ecs) -> Failure {
    Failure::new(format!(
        "ECS service not found. Check your SERVICE_NAME. There is no service `{name}` in the cluster `{}` of `{}`",
        config.cluster.name(),
        ecs.region()
    ))
    .hint("set CREATE_SERVICE to true and SERVICE_DEFINITION to a file, and it is created")
}

/// TASK_DEFINITION as a file, if it is one.
fn read_file(config: &Config, environment: &Environment) -> Result<Option<Definition>, Failure> {
    let Some(name) = &config.task_definition else {
        return Ok(None);
    };
    let path = Path::new(name);
    if name.starts_with("arn:") {
        return Ok(None);
    }
    let looks_like_a_file = name.contains('/')
        || path.extension().is_some_and(|extension| {
            ["json", "yaml", "yml"]
                .iter()
                .any(|each| extension.eq_ignore_ascii_case(each))
        });
    match std::fs::read_to_string(path) {
        Ok(text) => Definition::from_file(&text, name, environment).map(Some),
        Err(_) if !looks_like_a_file => Ok(None),
        Err(error) => {
            let here = std::env::current_dir().unwrap_or_default();
            Err(Failure::new(format!(
                "Not able to find {name} in your repository. {error}"
            ))
            .hint(format!(
                "TASK_DEFINITION is a path from `{}`, a family, `family:revision` or an ARN",
                here.display()
            )))
        }
    }
}

/// The newest revision of the definition's family: by itself it is no news if there is none.
async fn newest(definition: &Definition, live: &[Revision], ecs: &Ecs) -> Option<Revision> {
    let is_live = live
        .iter()
        .any(|revision| definition.is_same_as(&revision.definition));
    if is_live {
        return None;
    }
    ecs.task_definition(definition.family()).await.ok()
}

/// What all services run: one family, of which the newest revision counts.
fn of_services(
    services: &[(String, Option<Service>)],
    live: &[Revision],
) -> Result<Revision, Failure> {
    let families: Vec<&str> = live
        .iter()
        .map(|revision| revision.definition.family())
        .collect();
    if families.windows(2).any(|pair| pair[0] != pair[1]) {
        let of_service = services.iter().filter_map(|(name, service)| {
            let service = service.as_ref()?;
            Some(format!(
                "`{name}` runs `{}`",
                short(&service.task_definition)
            ))
        });
        return Err(Failure::new(format!(
            "without TASK_DEFINITION all services have to run the same family: {}",
            of_service.collect::<Vec<_>>().join(", ")
        ))
        .hint("set TASK_DEFINITION, or deploy each family in a step of its own"));
    }
    live.iter()
        .max_by_key(|revision| number(&revision.arn))
        .cloned()
        .ok_or_else(|| {
            Failure::new("no service runs a task definition yet").hint("set TASK_DEFINITION")
        })
}

/// The number of a revision: 7 of `…/web:7`.
fn number(arn: &str) -> u64 {
    arn.rsplit(':')
        .next()
        .and_then(|number| number.parse().ok())
        .unwrap_or_default()
}
