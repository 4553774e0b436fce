//! What is printed while a rollout goes on: each new event of a service once, the numbers of tasks when they change, and
//! a sign of life every ten seconds at most. Pure: looks in, lines out.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::aws::ServiceDeployment;
use crate::rollout::Ours;
use crate::service::Service;

/// Between two lines that only say that nothing changed.
const SIGN_OF_LIFE: Duration = Duration::from_secs(30);
/// Between two lines about numbers.
const NUMBERS: Duration = Duration::from_secs(10);

/// What has been printed of one service.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    events: BTreeSet<String>,
    numbers: String,
    stage: String,
    last: Option<Duration>,
}

impl Progress {
    /// Nothing of what the service shows now is news.
    pub fn new(service: &Service) -> Self {
        Self {
            events: service
                .events
                .iter()
                .map(|event| event.id.clone())
                .collect(),
            ..Self::default()
        }
    }

    /// The lines for a look, `at` so long after the first one.
    pub fn lines(
        &mut self,
        service: &Service,
        ours: &Ours,
        detail: Option<&ServiceDeployment>,
        at: Duration,
    ) -> Vec<String> {
        let name = &service.service_name;
        let mut lines = Vec::new();
        for event in service.events.iter().rev() {
            if self.events.insert(event.id.clone()) {
                // Each begins with "(service web) ", which the line says already.
                let text = event
                    .message
                    .strip_prefix(&format!("(service {name}) "))
                    .or_else(|| event.message.strip_prefix(&format!("(service {name}, ")))
                    .unwrap_or(&event.message);
                lines.push(format!("{name}: {text}"));
            }
        }
        let stage = stage(detail);
        if stage != self.stage {
            self.stage.clone_from(&stage);
            if !stage.is_empty() {
                lines.push(format!("{name}: {stage}"));
            }
        }
        let numbers = numbers(service, ours);
        let since = self.last.map(|last| at.saturating_sub(last));
        let is_news = numbers != self.numbers && since.is_none_or(|since| since >= NUMBERS);
        let is_quiet = lines.is_empty() && since.is_some_and(|since| since >= SIGN_OF_LIFE);
        if is_news || is_quiet {
            self.last = Some(at);
            self.numbers.clone_from(&numbers);
            lines.push(format!("{name}: {numbers}, {} s", at.as_secs()));
        }
        lines
    }
}

fn stage(detail: Option<&ServiceDeployment>) -> String {
    let Some(detail) = detail else {
        return String::new();
    };
    let Some(stage) = &detail.lifecycle_stage else {
        return String::new();
    };
    let weight = detail
        .target_service_revision
        .as_ref()
        .and_then(|revision| revision.requested_production_traffic_weight);
    match weight {
        Some(weight) => format!("stage {stage}, {weight} % of the traffic on the new tasks"),
        None => format!("stage {stage}"),
    }
}

/// Such as `new 1 of 2 running, 1 pending; old 2 running`.
fn numbers(service: &Service, ours: &Ours) -> String {
    let Some(deployment) = service.deployment(&ours.deployment) else {
        return format!(
            "{} of {} running",
            service.running_count, service.desired_count
        );
    };
    let mut text = format!(
        "new {} of {} running",
        deployment.running_count, deployment.desired_count
    );
    if deployment.pending_count > 0 {
        text = format!("{text}, {} pending", deployment.pending_count);
    }
    if deployment.failed_tasks > 0 {
        text = format!("{text}, {} failed", deployment.failed_tasks);
    }
    let others = ours.others(service);
    if others > 0 {
        text = format!("{text}; old {others} running");
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn look(running: i64, events: &[(&str, &str)]) -> Service {
        let events: Vec<Value> = events
            .iter()
            .map(|(id, message)| json!({"id": id, "message": message}))
            .collect();
        Service::from_answer(
            json!({"serviceName": "web", "events": events, "deployments": [
                {"id": "new", "status": "PRIMARY", "desiredCount": 2, "runningCount": running},
                {"id": "old", "status": "ACTIVE", "desiredCount": 2, "runningCount": 2 - running},
            ]}),
        )
        .unwrap()
    }

    #[test]
    fn events_are_printed_once_and_numbers_when_they_change() {
        let ours = Ours {
            deployment: "new".to_owned(),
            ..Ours::default()
        };
        let mut progress = Progress::new(&look(0, &[("0", "(service web) old news")]));
        let mut printed = Vec::new();
        for (at, running, events) in [
            (0, 0, vec![("0", "(service web) old news")]),
            (
                2,
                0,
                vec![
                    ("1", "(service web) has started 1 tasks: (task a)."),
                    ("0", ""),
                ],
            ),
            (4, 1, vec![("1", ""), ("0", "")]),
            (
                12,
                1,
                vec![
                    ("2", "(service web) has started 1 tasks: (task b)."),
                    ("1", ""),
                ],
            ),
            (20, 1, vec![]),
            (45, 1, vec![]),
            (60, 2, vec![]),
        ] {
            for line in progress.lines(
                &look(running, &events),
                &ours,
                None,
                Duration::from_secs(at),
            ) {
                printed.push(format!("{at:>2} {line}"));
            }
        }
        insta::assert_snapshot!(printed.join("\n"), @r"
         0 web: new 0 of 2 running; old 2 running, 0 s
         2 web: has started 1 tasks: (task a).
        12 web: has started 1 tasks: (task b).
        12 web: new 1 of 2 running; old 1 running, 12 s
        45 web: new 1 of 2 running; old 1 running, 45 s
        60 web: new 2 of 2 running, 60 s
        ");
    }
}
