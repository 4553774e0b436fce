//! What explains a failed deployment, gathered while ECS still has it: stopped tasks grouped by cause, the last lines of
//! the containers to blame, the target groups' view. The same goes into the log and into `report.json`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use crate::aws::{Ecs, Evidence};
use crate::causes::{self, Group};
use crate::definition::Container;
use crate::follow::Track;
use crate::task::Task;

/// Causes that are told in the log; all of them stand in the report.
const CAUSES_IN_LOG: usize = 5;

/// What was found out about one service.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Findings {
    /// The service, or the one-off task.
    pub subject: String,
    /// Our deployment.
    pub deployment: String,
    /// Why tasks stopped, the commonest cause first.
    pub causes: Vec<Finding>,
    /// Why targets take no traffic, and how many of them, by target group.
    pub targets: BTreeMap<String, BTreeMap<String, usize>>,
    /// The service's last events, the newest last.
    pub events: Vec<String>,
    /// What could not be read.
    pub missing: Vec<String>,
}

/// One cause with what the container to blame wrote last.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// The cause and its tasks.
    #[serde(flatten)]
    pub group: Group,
    /// What happened, in words.
    pub headline: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<&'static str>,
    /// The last lines of the log, of one of the tasks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<Log>,
}

/// The end of a log.
#[derive(Clone, Debug, Serialize)]
pub struct Log {
    /// Group and stream.
    pub place: String,
    /// The oldest first.
    pub lines: Vec<String>,
}

/// Where findings come from.
pub struct Search<'a> {
    /// Tasks.
    pub ecs: &'a Ecs,
    /// Logs and target groups.
    pub evidence: &'a Evidence,
    /// The containers of the deployed definition.
    pub containers: &'a [Container],
    /// Lines of each log.
    pub log_lines: u32,
}

impl Search<'_> {
    /// Gathers what explains the end of our deployment. What cannot be read is named and left out.
    pub async fn of_service(&self, track: &Track) -> Findings {
        let mut findings = Findings {
            subject: track.name.clone(),
            deployment: track.ours.deployment.clone(),
            ..Findings::default()
        };
        let mut tasks = track.stopped.clone();
        match self.ecs.stopped_tasks(&track.name).await {
            Ok(stopped) => {
                tasks = stopped
                    .into_iter()
                    .filter(|task| task.started_by == track.ours.deployment)
                    .collect();
            }
            Err(failure) => findings.missing.push(failure.to_string()),
        }
        self.causes(&tasks, &mut findings).await;
        for balancer in &track.service.load_balancers {
            let Some(group) = &balancer.target_group_arn else {
                continue;
            };
            match self.evidence.unhealthy_targets(group).await {
                Ok(reasons) if reasons.is_empty() => {}
                Ok(reasons) => _ = findings.targets.insert(group.clone(), reasons),
                Err(why) => findings.missing.push(why),
            }
        }
        findings.events = track
            .service
            .events
            .iter()
            .take(5)
            .map(|event| event.message.clone())
            .rev()
            .collect();
        findings
    }

    /// Gathers what explains the end of a one-off task.
    pub async fn of_task(&self, task: &Task) -> Findings {
        let mut findings = Findings {
            subject: format!("task {}", task.id()),
            ..Findings::default()
        };
        self.causes(std::slice::from_ref(task), &mut findings).await;
        findings
    }

    async fn causes(&self, tasks: &[Task], findings: &mut Findings) {
        for group in causes::group(tasks) {
            let log = match self.log(&group).await {
                Ok(log) => log,
                Err(why) => {
                    if !findings.missing.contains(&why) {
                        findings.missing.push(why);
                    }
                    None
                }
            };
            findings.causes.push(Finding {
                headline: group.cause.headline(),
                advice: group.cause.advice(),
                log,
                group,
            });
        }
    }

    /// The end of the log of the container to blame, or of the only essential one.
    async fn log(&self, group: &Group) -> Result<Option<Log>, String> {
        if self.log_lines == 0 {
            return Ok(None);
        }
        let blamed = group.cause.container.as_deref();
        let mut essential = self.containers.iter().filter(|each| each.essential);
        let container = match blamed {
            Some(name) => self.containers.iter().find(|each| each.name == name),
            None => essential.next(),
        };
        let (Some(container), Some(task)) = (container, group.tasks.first()) else {
            return Ok(None);
        };
        let Some((place, prefix)) = container
            .logs
            .as_ref()
            .and_then(|logs| Some((logs, logs.prefix.as_ref()?)))
        else {
            return Ok(None);
        };
        let stream = format!("{prefix}/{}/{task}", container.name);
        let count = i32::try_from(self.log_lines).unwrap_or(i32::MAX);
        let found = self.evidence.log_lines(place, &stream, count, None).await?;
        Ok((!found.lines.is_empty()).then(|| Log {
            place: format!("{} {stream}", place.group),
            lines: found.lines,
        }))
    }
}

impl Findings {
    /// For the log.
    pub fn text(&self) -> String {
        let mut out = String::new();
        if !self.causes.is_empty() {
            let _ = writeln!(out, "why tasks stopped:");
        }
        for finding in self.causes.iter().take(CAUSES_IN_LOG) {
            let _ = writeln!(
                out,
                "  {} × {}",
                finding.group.tasks.len(),
                finding.headline
            );
            for words in finding.group.cause.words() {
                let _ = writeln!(out, "      ECS says: {words}");
            }
            if let Some(advice) = finding.advice {
                let _ = writeln!(out, "      what to do: {advice}");
            }
            if let Some(log) = &finding.log {
                let _ = writeln!(out, "      last lines of {}:", log.place);
                for line in &log.lines {
                    let _ = writeln!(out, "        {line}");
                }
            }
        }
        if self.causes.len() > CAUSES_IN_LOG {
            let more = self.causes.len() - CAUSES_IN_LOG;
            let _ = writeln!(out, "  and {more} more causes, which stand in report.json");
        }
        for (group, reasons) in &self.targets {
            let name = group.rsplit(':').next().unwrap_or(group);
            let _ = writeln!(out, "targets of {name} without traffic:");
            for (reason, count) in reasons {
                let _ = writeln!(out, "  {count} × {reason}");
            }
        }
        if self.causes.is_empty() && !self.events.is_empty() {
            let _ = writeln!(out, "no task of it has stopped; the last events:");
            for event in &self.events {
                let _ = writeln!(out, "  {event}");
            }
        }
        for missing in &self.missing {
            let _ = writeln!(out, "{missing}");
        }
        out.trim_end().to_owned()
    }
}
