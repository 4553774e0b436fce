//! Rules of EventBridge (ListRuleNamesByTarget, ListTargetsByRule, PutTargets) and schedules of EventBridge Scheduler
//! (ListSchedules, GetSchedule, UpdateSchedule) that run tasks in one cluster.

use aws_sdk_eventbridge::Client as EventBridge;
use aws_sdk_eventbridge::config::Builder as EventBridgeBuilder;
use aws_sdk_scheduler::Client as Scheduler;
use aws_sdk_scheduler::config::Builder as SchedulerBuilder;
use serde_json::{Value, json};
use shared::{Failure, Journal, SdkConfig, explained};

use super::services::settle;
use super::{ask, list};
use crate::schedules::{Kind, Schedule};

/// What runs tasks at its time.
pub struct Schedules {
    event_bridge: EventBridge,
    scheduler: Scheduler,
}

impl Schedules {
    /// Reached by `sdk`.
    pub fn new(sdk: &SdkConfig) -> Self {
        let event_bridge = shared::watched!(EventBridgeBuilder::from(sdk));
        let scheduler = shared::watched!(SchedulerBuilder::from(sdk));
        Self {
            event_bridge: EventBridge::from_conf(event_bridge.build()),
            scheduler: Scheduler::from_conf(scheduler.build()),
        }
    }

    /// All that run revisions of the family in the clusters with these ARNs. Rules are looked for on the default event
    /// bus, which is the only one that keeps time.
    ///
    /// # Errors
    /// When they may not be read.
    pub async fn of_family(
        &self,
        clusters: &[String],
        family: &str,
    ) -> Result<Vec<Schedule>, Failure> {
        let mut schedules = self.schedules(clusters, family).await?;
        for cluster in clusters {
            schedules.extend(self.rules(cluster, family).await?);
        }
        Ok(schedules)
    }

    async fn rules(&self, cluster_arn: &str, family: &str) -> Result<Vec<Schedule>, Failure> {
        let doing = "could not look for the rules of EventBridge that run tasks in the cluster";
        let mut names = Vec::new();
        let mut body = json!({"TargetArn": cluster_arn});
        loop {
            let answer = ask!(self.event_bridge, list_rule_names_by_target, body)
                .map_err(|refusal| explained(&refusal, doing, "events:ListRuleNamesByTarget"))?;
            let answer: Value = answer.json()?;
            let token = answer["NextToken"].clone();
            names.extend(list(answer, "RuleNames"));
            if token.is_null() {
                break;
            }
            body["NextToken"] = token;
        }
        let mut schedules = Vec::new();
        for name in names.iter().filter_map(Value::as_str) {
            let doing =
                format!("could not look at the targets of the rule `{name}` of EventBridge");
            let mut body = json!({"Rule": name});
            loop {
                let answer = ask!(self.event_bridge, list_targets_by_rule, body)
                    .map_err(|refusal| explained(&refusal, &doing, "events:ListTargetsByRule"))?;
                let answer: Value = answer.json()?;
                let token = answer["NextToken"].clone();
                let targets = list(answer, "Targets");
                let of_cluster = targets.iter().filter(|target| target["Arn"] == cluster_arn);
                schedules.extend(
                    of_cluster.filter_map(|target| Schedule::of_rule(name, target, family)),
                );
                if token.is_null() {
                    break;
                }
                body["NextToken"] = token;
            }
        }
        Ok(schedules)
    }

    async fn schedules(&self, clusters: &[String], family: &str) -> Result<Vec<Schedule>, Failure> {
        let doing = "could not look for the schedules of EventBridge Scheduler";
        let mut found = Vec::new();
        let mut token = None;
        loop {
            let answer = shared::raw::Answer::default();
            let sent = self
                .scheduler
                .list_schedules()
                .set_next_token(token)
                .customize();
            let sent = sent.interceptor(answer.clone()).send().await;
            sent.map_err(|error| explained(&(&error).into(), doing, "scheduler:ListSchedules"))?;
            let answer: Value = answer.json()?;
            token = answer["NextToken"].as_str().map(str::to_owned);
            let summaries = list(answer, "Schedules");
            let is_of_cluster = |summary: &Value| {
                let target = summary["Target"]["Arn"].as_str();
                target.is_some_and(|target| clusters.iter().any(|cluster| cluster == target))
            };
            found.extend(summaries.into_iter().filter(is_of_cluster));
            if token.is_none() {
                break;
            }
        }
        let mut schedules = Vec::new();
        for summary in found {
            let text = |name: &str| summary[name].as_str().unwrap_or_default();
            let (group, name) = (text("GroupName"), text("Name"));
            let answer = shared::raw::Answer::default();
            let ask = self.scheduler.get_schedule().group_name(group).name(name);
            let sent = ask.customize().interceptor(answer.clone()).send().await;
            sent.map_err(|error| {
                let doing = format!("could not look at the schedule `{group}/{name}`");
                explained(&(&error).into(), doing, "scheduler:GetSchedule")
            })?;
            schedules.extend(Schedule::of_schedule(&answer.json()?, family));
        }
        Ok(schedules)
    }

    /// Makes one as it is here.
    ///
    /// # Errors
    /// When it may not be changed, or there is no answer.
    pub async fn put(&self, schedule: &Schedule, journal: &Journal) -> Result<(), Failure> {
        let (label, revision) = (
            schedule.label(),
            crate::service::short(&schedule.task_definition),
        );
        let doing = format!("could not move the {label} to {revision}");
        let pending = journal.begin("move", &label);
        match &schedule.kind {
            Kind::Rule(target) => {
                let body = json!({"Rule": schedule.name, "Targets": [target]});
                let answer = match ask!(self.event_bridge, put_targets, body) {
                    Ok(answer) => answer,
                    Err(refusal) => {
                        settle(pending, &refusal);
                        return Err(explained(&refusal, doing, "events:PutTargets"));
                    }
                };
                // A success may hold the failure of a target.
                let failed = list(answer.json()?, "FailedEntries");
                if let Some(entry) = failed.first() {
                    pending.refused();
                    let why = entry["ErrorMessage"].as_str().unwrap_or_default();
                    return Err(Failure::new(format!("{doing}: {why}")));
                }
            }
            Kind::Schedule(document) => {
                let name = document["Name"].as_str().unwrap_or_default();
                let body = Schedule::update(document);
                let ask = self.scheduler.update_schedule().name(name);
                let sent = ask
                    .customize()
                    .mutate_request(shared::raw::body(&body))
                    .send()
                    .await;
                if let Err(error) = sent {
                    let refusal = (&error).into();
                    settle(pending, &refusal);
                    return Err(explained(&refusal, doing, "scheduler:UpdateSchedule"));
                }
            }
        }
        pending.done("moved", format!("{label} to {revision}"));
        Ok(())
    }
}
