//! What explains a failure and is not ECS's: the last lines of a container's log, and why a target group calls a target
//! unhealthy. A run that may not read them says so once and goes on: the failure itself is the news.

use std::collections::BTreeMap;

use aws_sdk_cloudwatchlogs as logs;
use aws_sdk_elasticloadbalancingv2 as balancing;
use shared::{Refusal, SdkConfig, explained};

use crate::definition::AwsLogs;

/// CloudWatch Logs and Elastic Load Balancing of one run.
#[derive(Clone)]
pub struct Evidence {
    logs: logs::Client,
    balancing: balancing::Client,
}

/// Lines of a log, and where the next ones begin.
#[derive(Clone, Debug, Default)]
pub struct Lines {
    /// The lines, the oldest first.
    pub lines: Vec<String>,
    /// For the next call.
    pub next: Option<String>,
}

impl Evidence {
    /// Reached by `sdk`.
    pub fn new(sdk: &SdkConfig) -> Self {
        let settings = shared::watched!(logs::config::Builder::from(sdk));
        let logs = logs::Client::from_conf(settings.build());
        let settings = shared::watched!(balancing::config::Builder::from(sdk));
        let balancing = balancing::Client::from_conf(settings.build());
        Self { logs, balancing }
    }

    /// The last `count` lines that a container of a task wrote with the log driver awslogs, or those after `from`.
    /// Nothing if there is no such stream, as when the container never ran.
    ///
    /// # Errors
    /// Why they could not be read, as one sentence.
    pub async fn log_lines(
        &self,
        place: &AwsLogs,
        stream: &str,
        count: i32,
        from: Option<&str>,
    ) -> Result<Lines, String> {
        let mut settings = logs::config::Builder::new();
        if let Some(region) = &place.region {
            settings.set_region(Some(logs::config::Region::new(region.clone())));
        }
        let answer = self
            .logs
            .get_log_events()
            .log_group_name(&place.group)
            .log_stream_name(stream)
            .limit(count)
            .start_from_head(from.is_some())
            .set_next_token(from.filter(|from| !from.is_empty()).map(str::to_owned))
            .customize()
            .config_override(settings)
            .send()
            .await;
        match answer {
            Ok(answer) => Ok(Lines {
                next: answer.next_forward_token,
                lines: answer
                    .events
                    .unwrap_or_default()
                    .into_iter()
                    .filter_map(|event| event.message)
                    .map(|line| line.trim_end().to_owned())
                    .collect(),
            }),
            Err(error) => {
                let refusal = Refusal::from(&error);
                if refusal.code == "ResourceNotFoundException" {
                    return Ok(Lines {
                        next: from.map(str::to_owned),
                        ..Lines::default()
                    });
                }
                let doing = format!("could not read the log `{}`", place.group);
                Err(explained(&refusal, doing, "logs:GetLogEvents").to_string())
            }
        }
    }

    /// Why targets of a target group take no traffic, with the number of those that do not for this reason.
    ///
    /// # Errors
    /// Why it could not be read, as one sentence.
    pub async fn unhealthy_targets(
        &self,
        target_group: &str,
    ) -> Result<BTreeMap<String, usize>, String> {
        let answer = self
            .balancing
            .describe_target_health()
            .target_group_arn(target_group)
            .send()
            .await
            .map_err(|error| {
                let doing = format!("could not read the health of the targets of `{target_group}`");
                let action = "elasticloadbalancing:DescribeTargetHealth";
                explained(&Refusal::from(&error), doing, action).to_string()
            })?;
        let mut reasons = BTreeMap::new();
        for target in answer.target_health_descriptions.unwrap_or_default() {
            let Some(health) = target.target_health else {
                continue;
            };
            let state = health.state.as_ref().map_or("", |state| state.as_str());
            if state == "healthy" || state == "draining" {
                continue;
            }
            let mut reason = state.to_owned();
            if let Some(code) = &health.reason {
                reason = format!("{reason}, {}", code.as_str());
            }
            if let Some(description) = &health.description {
                reason = format!("{reason}: {description}");
            }
            *reasons.entry(reason).or_insert(0) += 1;
        }
        Ok(reasons)
    }
}
