//! Schedules that run tasks of the family: rules of EventBridge and schedules of EventBridge Scheduler. Each names a
//! revision, so it would run last year's image after every deploy of the service. Pure: which ones move where.

use serde_json::Value;

use crate::family::family_of;

/// One thing that starts tasks of the family at its time.
#[derive(Clone, PartialEq)]
pub struct Schedule {
    /// The rule, or `group/schedule`.
    pub name: String,
    /// How it is changed.
    pub kind: Kind,
    /// The revision that it names.
    pub task_definition: String,
}

/// What has to be sent back, as it was read, to change a revision in it.
#[derive(Clone, PartialEq)]
pub enum Kind {
    /// A target of a rule, as ListTargetsByRule answers it.
    Rule(Value),
    /// A schedule, as GetSchedule answers it.
    Schedule(Value),
}

/// Shows no inputs of tasks, which may hold secrets.
impl std::fmt::Debug for Schedule {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} → {}", self.label(), self.task_definition)
    }
}

impl Schedule {
    /// A target of the rule, if it runs tasks of this family by a revision. One that names only the family always runs
    /// the latest revision, and needs nothing.
    #[must_use]
    pub fn of_rule(rule: &str, target: &Value, family: &str) -> Option<Self> {
        let arn = target["EcsParameters"]["TaskDefinitionArn"].as_str()?;
        is_revision_of(arn, family).then(|| Self {
            name: rule.to_owned(),
            kind: Kind::Rule(target.clone()),
            task_definition: arn.to_owned(),
        })
    }

    /// The schedule, under the same conditions.
    #[must_use]
    pub fn of_schedule(schedule: &Value, family: &str) -> Option<Self> {
        let arn = schedule["Target"]["EcsParameters"]["TaskDefinitionArn"].as_str()?;
        let text = |name: &str| schedule[name].as_str().unwrap_or_default();
        is_revision_of(arn, family).then(|| Self {
            name: format!("{}/{}", text("GroupName"), text("Name")),
            kind: Kind::Schedule(schedule.clone()),
            task_definition: arn.to_owned(),
        })
    }

    /// For the log: ``rule `nightly` ``.
    #[must_use]
    pub fn label(&self) -> String {
        match self.kind {
            Kind::Rule(_) => format!("rule `{}`", self.name),
            Kind::Schedule(_) => format!("schedule `{}`", self.name),
        }
    }

    /// The same schedule with another revision.
    #[must_use]
    pub fn moved_to(&self, task_definition: &str) -> Self {
        let mut moved = self.clone();
        let target = match &mut moved.kind {
            Kind::Rule(target) => target,
            Kind::Schedule(schedule) => &mut schedule["Target"],
        };
        target["EcsParameters"]["TaskDefinitionArn"] = Value::from(task_definition);
        task_definition.clone_into(&mut moved.task_definition);
        moved
    }

    /// The body of UpdateSchedule: all that GetSchedule answered, since what is left out is reset to its default.
    /// <https://docs.aws.amazon.com/scheduler/latest/APIReference/API_UpdateSchedule.html>
    #[must_use]
    pub fn update(schedule: &Value) -> Value {
        let mut body = schedule.clone();
        if let Some(body) = body.as_object_mut() {
            for name in ["Arn", "CreationDate", "LastModificationDate", "Name"] {
                body.shift_remove(name);
            }
            body.retain(|_, value| !value.is_null());
        }
        body
    }
}

/// Those that name another revision than this one.
#[must_use]
pub fn to_move(schedules: &[Schedule], task_definition: &str) -> Vec<Schedule> {
    schedules
        .iter()
        .filter(|schedule| schedule.task_definition != task_definition)
        .cloned()
        .collect()
}

fn is_revision_of(arn: &str, family: &str) -> bool {
    family_of(arn) == family && crate::family::revision_of(arn).is_some()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const OLD: &str = "arn:aws:ecs:eu-west-1:000000000000:task-definition/web:7";
    const NEW: &str = "arn:aws:ecs:eu-west-1:000000000000:task-definition/web:8";

    fn target(arn: &str) -> Value {
        json!({"Id": "1", "Arn": "cluster", "RoleArn": "role", "Input": "{}", "EcsParameters": {
            "TaskDefinitionArn": arn, "LaunchType": "FARGATE"}})
    }

    #[test]
    fn only_revisions_of_the_family_are_moved() {
        assert!(Schedule::of_rule("nightly", &target(OLD), "web").is_some());
        for arn in [
            "arn:aws:ecs:eu-west-1:000000000000:task-definition/web",
            "arn:aws:ecs:eu-west-1:000000000000:task-definition/web-2:7",
        ] {
            assert_eq!(
                Schedule::of_rule("nightly", &target(arn), "web"),
                None,
                "{arn}"
            );
        }
        assert_eq!(
            Schedule::of_rule("nightly", &json!({"Id": "1", "Arn": "lambda"}), "web"),
            None
        );
        let schedules = [Schedule::of_rule("nightly", &target(OLD), "web").unwrap()];
        assert_eq!(to_move(&schedules, OLD), []);
        assert_eq!(to_move(&schedules, NEW).len(), 1);
    }

    #[test]
    fn all_else_is_sent_back_as_it_was() {
        let rule = Schedule::of_rule("nightly", &target(OLD), "web")
            .unwrap()
            .moved_to(NEW);
        assert!(rule.kind == Kind::Rule(target(NEW)));
        assert_eq!(format!("{rule:?}"), format!("rule `nightly` → {NEW}"));
        let schedule = json!({"Arn": "a", "Name": "report", "GroupName": "default", "CreationDate": 1.0, "EndDate": null,
            "LastModificationDate": 2.0, "State": "ENABLED", "ScheduleExpression": "rate(1 hour)", "Lane": "fast",
            "FlexibleTimeWindow": {"Mode": "OFF"}, "Target": target(OLD)});
        let moved = Schedule::of_schedule(&schedule, "web")
            .unwrap()
            .moved_to(NEW);
        assert_eq!(moved.label(), "schedule `default/report`");
        let Kind::Schedule(document) = &moved.kind else {
            panic!("{moved:?}")
        };
        assert_eq!(
            Schedule::update(document),
            json!({"GroupName": "default", "State": "ENABLED", "ScheduleExpression": "rate(1 hour)", "Lane": "fast",
                "FlexibleTimeWindow": {"Mode": "OFF"}, "Target": target(NEW)})
        );
    }
}
