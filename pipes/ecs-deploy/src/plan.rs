//! The decision: what is wished and what is live in, what will be done out, each with its reason and its difference. Pure.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};
use shared::Failure;

use shared::difference::{Mask, difference};

use crate::change::Wish;
use crate::code_deploy::Release;
use crate::config::{CommandName, Config, OneOff};
use crate::definition::Definition;
use crate::observe::{Observed, Wished};
use crate::one_off;
use crate::schedules::{Schedule, to_move};
use crate::service::{Service, short};
use crate::tags::TagChange;

/// What a run will do, in the order in which it is done.
#[derive(Debug)]
pub struct Plan {
    /// Where the task definition comes from.
    pub definition: DefinitionPlan,
    /// What its containers are.
    pub wished: Definition,
    /// The task before.
    pub before: Option<TaskPlan>,
    /// What happens to each service.
    pub services: Vec<ServicePlan>,
    /// The task after.
    pub after: Option<TaskPlan>,
    /// The schedules that move to the revision, as they are now.
    pub moves: Vec<Schedule>,
}

/// Where the task definition comes from.
#[derive(Debug)]
pub enum DefinitionPlan {
    /// A new revision, and what differs from the live one.
    Register(Vec<String>),
    /// A revision that exists, and why it is taken.
    Use(String, &'static str),
}

/// A one-off task.
#[derive(Debug)]
pub struct TaskPlan {
    /// What is run.
    pub one_off: OneOff,
    /// The variable that asks for it.
    pub variable: &'static str,
    /// The container that runs the command.
    pub container: String,
}

/// What happens to one service.
#[derive(Debug)]
pub struct ServicePlan {
    /// As it was given.
    pub name: String,
    /// As it is; none if it is created.
    pub live: Option<Service>,
    /// What is done.
    pub action: Action,
    /// Why, such as `task definition, desiredCount`.
    pub reasons: Vec<String>,
    /// What differs.
    pub lines: Vec<String>,
    /// Tags, which UpdateService does not take.
    pub tags: TagChange,
    /// How CodeDeploy deploys it, if it is CodeDeploy's.
    pub release: Option<Release>,
}

/// What is done to a service.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// It is created with these members.
    Create(Map<String, Value>),
    /// These members are updated; and these give it back what it had.
    Update {
        /// Members of UpdateService but the task definition.
        members: Map<String, Value>,
        /// The same members as they were.
        back: Map<String, Value>,
        /// Whether the task definition is another one.
        definition: bool,
    },
    /// It is as wished.
    Unchanged,
}

impl Plan {
    /// Decides.
    ///
    /// # Errors
    /// What cannot be done, before anything is changed.
    pub fn new(config: &Config, observed: Observed, wish: &Wish) -> Result<Self, Failure> {
        let Observed {
            services,
            live,
            wished,
            mut releases,
            schedules,
        } = observed;
        let definition = match &wished {
            Wished::Revision(revision) => {
                let is_live = live.iter().any(|each| each.arn == revision.arn);
                let why = if is_live { "live" } else { "as given" };
                DefinitionPlan::Use(revision.arn.clone(), why)
            }
            Wished::Definition(definition, newest) => {
                let same_as = |revision: &&crate::definition::Revision| {
                    definition.is_same_as(&revision.definition)
                };
                if let Some(revision) = live.iter().find(same_as) {
                    DefinitionPlan::Use(revision.arn.clone(), "same as live")
                } else if let Some(revision) = newest.as_ref().filter(same_as) {
                    DefinitionPlan::Use(revision.arn.clone(), "registered already")
                } else {
                    let before = live
                        .iter()
                        .chain(newest)
                        .find(|revision| revision.definition.family() == definition.family());
                    let changes = definition.difference(before.map(|each| &each.definition));
                    DefinitionPlan::Register(changes.iter().map(ToString::to_string).collect())
                }
            }
        };
        let moves = match &definition {
            DefinitionPlan::Register(_) => schedules,
            DefinitionPlan::Use(arn, _) => to_move(&schedules, arn),
        };
        let wished = wished.definition().clone();
        let containers = wished.containers();
        let task = |one_off: &Option<OneOff>, variable: &'static str| {
            let Some(one_off) = one_off else {
                return Ok(None);
            };
            let container = one_off::container(one_off, variable, &containers)?.to_owned();
            Ok::<_, Failure>(Some(TaskPlan {
                one_off: one_off.clone(),
                variable,
                container,
            }))
        };
        let is_deploy = config.command != CommandName::RunTask;
        let (before, after) = if is_deploy {
            (
                task(&config.before, "RUN_TASK_BEFORE")?,
                task(&config.after, "RUN_TASK_AFTER")?,
            )
        } else {
            (None, None)
        };
        let services = services
            .into_iter()
            .map(|(name, live)| {
                let release = releases.remove(&name);
                let plan = ServicePlan::new(config.force, name, live, &definition, wish)?;
                Ok::<_, Failure>(ServicePlan { release, ..plan })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            definition,
            wished,
            before,
            services,
            after,
            moves,
        })
    }

    /// The way back to an earlier deployment: each service has its own definition, so that they come with the actions.
    pub fn of_rollback(
        wished: Definition,
        arn: String,
        services: Vec<ServicePlan>,
        schedules: &[Schedule],
    ) -> Self {
        let moves = to_move(schedules, &arn);
        Self {
            moves,
            definition: DefinitionPlan::Use(arn, "the last successful before this one"),
            wished,
            before: None,
            services,
            after: None,
        }
    }

    /// Whether no service needs anything.
    pub fn is_unchanged(&self) -> bool {
        self.services
            .iter()
            .all(|service| service.action == Action::Unchanged)
    }

    /// For the log: a line for each action with its reason, what differs below it, and the numbers.
    pub fn lines(&self) -> String {
        let mut out = String::new();
        let family = self.wished.family();
        match &self.definition {
            DefinitionPlan::Register(lines) => {
                let _ = writeln!(out, "register  {family}");
                for line in lines {
                    let _ = writeln!(out, "            {line}");
                }
            }
            DefinitionPlan::Use(arn, why) => {
                let _ = writeln!(out, "use       {}  ({why})", short(arn));
            }
        }
        let task = |out: &mut String, plan: &Option<TaskPlan>| {
            if let Some(plan) = plan {
                let command = plan.one_off.command.as_deref().unwrap_or_default();
                let _ = writeln!(
                    out,
                    "run       {} in {}  ({})",
                    shell_words::join(command),
                    plan.container,
                    plan.variable
                );
            }
        };
        // Without a service to update nothing is run either.
        if !self.is_unchanged() {
            task(&mut out, &self.before);
        }
        for service in &self.services {
            let verb = match service.action {
                Action::Create(_) => "create    ",
                Action::Update { .. } => "update    ",
                Action::Unchanged => "unchanged ",
            };
            let _ = write!(out, "{verb}{}", service.name);
            if !service.reasons.is_empty() {
                let _ = write!(out, "  ({})", service.reasons.join(", "));
            }
            out.push('\n');
            for line in &service.lines {
                let _ = writeln!(out, "            {line}");
            }
        }
        if !self.is_unchanged() {
            task(&mut out, &self.after);
        }
        for schedule in &self.moves {
            let (label, old) = (schedule.label(), short(&schedule.task_definition));
            let _ = writeln!(out, "move      {label}  ({old} is not the new revision)");
        }
        let count = |wanted: fn(&Action) -> bool| {
            self.services
                .iter()
                .filter(|service| wanted(&service.action))
                .count()
        };
        let registered = usize::from(matches!(self.definition, DefinitionPlan::Register(_)));
        let _ = write!(
            out,
            "plan: register {registered}, create {}, update {}, unchanged {}",
            count(|action| matches!(action, Action::Create(_))),
            count(|action| matches!(action, Action::Update { .. })),
            count(|action| matches!(action, Action::Unchanged)),
        );
        if !self.moves.is_empty() {
            let _ = write!(out, ", move {}", self.moves.len());
        }
        out
    }

    /// For `report.json`.
    pub fn to_json(&self) -> Value {
        let services: Vec<Value> = self
            .services
            .iter()
            .map(|service| {
                json!({
                    "service": service.name,
                    "action": match service.action {
                        Action::Create(_) => "create",
                        Action::Update { .. } => "update",
                        Action::Unchanged => "unchanged",
                    },
                    "reasons": service.reasons,
                    "difference": service.lines,
                })
            })
            .collect();
        let definition = match &self.definition {
            DefinitionPlan::Register(lines) => {
                json!({"action": "register", "family": self.wished.family(), "difference": lines})
            }
            DefinitionPlan::Use(arn, why) => json!({"action": "use", "arn": arn, "reason": why}),
        };
        let moves: Vec<String> = self.moves.iter().map(Schedule::label).collect();
        json!({"definition": definition, "services": services, "moves": moves})
    }
}

impl ServicePlan {
    /// Decides for one service.
    ///
    /// # Errors
    /// What cannot be changed.
    pub fn new(
        force: bool,
        name: String,
        live: Option<Service>,
        definition: &DefinitionPlan,
        wish: &Wish,
    ) -> Result<Self, Failure> {
        let Some(service) = live else {
            let members = wish.for_create();
            return Ok(Self {
                name,
                live: None,
                action: Action::Create(members),
                reasons: vec!["new".to_owned()],
                lines: Vec::new(),
                tags: TagChange::default(),
                release: None,
            });
        };
        let change = wish.change(&service)?;
        let mut reasons = Vec::new();
        let is_other = match definition {
            DefinitionPlan::Register(_) => true,
            DefinitionPlan::Use(arn, _) => *arn != service.task_definition,
        };
        if is_other {
            reasons.push("task definition".to_owned());
        }
        reasons.extend(change.members.keys().cloned());
        let mut members = change.members.clone();
        let failed = service
            .primary()
            .is_some_and(|primary| primary.rollout_state.as_deref() == Some("FAILED"));
        if force {
            reasons.push("forced".to_owned());
        } else if failed && !is_other {
            // The same definition again would start nothing by itself.
            reasons.push("its last deployment failed".to_owned());
        }
        if force || (failed && !is_other) {
            members.insert("forceNewDeployment".to_owned(), json!(true));
        }
        let tags = wish.tags(&service);
        let mut lines: Vec<String> = difference(
            &Value::Object(change.live.clone()),
            &Value::Object(change.members.clone()),
            &Mask::default(),
        )
        .iter()
        .map(ToString::to_string)
        .collect();
        lines.extend(tags.lines());
        if !tags.is_empty() {
            reasons.push("tags".to_owned());
        }
        let action = if reasons.is_empty() {
            Action::Unchanged
        } else {
            Action::Update {
                members,
                back: change.back(),
                definition: is_other,
            }
        };
        Ok(Self {
            name,
            live: Some(service),
            action,
            reasons,
            lines,
            tags,
            release: None,
        })
    }
}
