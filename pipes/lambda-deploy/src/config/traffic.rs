//! How the traffic of an alias gets to a new version.

use std::time::Duration;

use shared::Faults;

use super::{Variables, alias, list};
use crate::canary::{Share, Steps, Thresholds};
use crate::code_deploy::Group;

/// Where traffic goes, and how.
#[derive(Debug)]
pub struct Traffic {
    /// The alias.
    pub alias: String,
    /// What people are to read.
    pub description: Option<String>,
    /// How.
    pub shift: Shift,
    /// CloudWatch alarms that must not go off.
    pub alarms: Vec<String>,
}

/// How traffic gets there.
#[derive(Clone, Debug, PartialEq)]
pub enum Shift {
    /// All of it with one request.
    AtOnce,
    /// In steps, watched.
    Canary(Steps, Thresholds),
    /// As a deployment group of CodeDeploy says.
    CodeDeploy(Group),
}

impl Traffic {
    pub(super) fn new(
        variables: &mut Variables,
        is_wanted: bool,
        description: Option<String>,
        faults: &mut Faults,
    ) -> Option<Self> {
        let steps = faults.optional("CANARY", std::mem::take(&mut variables.canary));
        let errors = faults.optional(
            "CANARY_ERRORS",
            std::mem::take(&mut variables.canary_errors),
        );
        let throttles = faults.optional(
            "CANARY_THROTTLES",
            std::mem::take(&mut variables.canary_throttles),
        );
        let duration = faults.optional(
            "CANARY_DURATION",
            std::mem::take(&mut variables.canary_duration),
        );
        let alarms = list(faults, "ALARMS", std::mem::take(&mut variables.alarms));
        let group = Group::new(
            faults.optional(
                "CODEDEPLOY_APPLICATION",
                std::mem::take(&mut variables.codedeploy_application),
            ),
            faults.optional(
                "CODEDEPLOY_GROUP",
                std::mem::take(&mut variables.codedeploy_group),
            ),
            faults.optional(
                "CODEDEPLOY_CONFIG",
                std::mem::take(&mut variables.codedeploy_config),
            ),
            faults,
        );
        if group.is_some() && steps.is_some() {
            faults.add(
                "CANARY",
                "cannot be given together with CODEDEPLOY_GROUP, whose configuration has the steps",
            );
        }
        let needs_canary = [
            ("CANARY_ERRORS", errors.is_some()),
            ("CANARY_THROTTLES", throttles.is_some()),
            ("CANARY_DURATION", duration.is_some()),
            ("ALARMS", !alarms.is_empty()),
        ];
        for (name, is_given) in needs_canary {
            if is_given && steps.is_none() {
                faults.add(name, "needs CANARY: it is watched while traffic is shifted");
            }
        }
        if !is_wanted {
            if steps.is_some() {
                faults.add("CANARY", "is for COMMAND `deploy` only");
            }
            if group.is_some() {
                faults.add("CODEDEPLOY_GROUP", "is for COMMAND `deploy` only");
            }
            return None;
        }
        let alias = alias(faults, std::mem::take(&mut variables.alias))?;
        let shift = steps.map_or(Shift::AtOnce, |steps| {
            let thresholds = Thresholds {
                errors: errors.unwrap_or(Share::ONE_PERCENT),
                throttles: throttles.unwrap_or(Share::ONE_PERCENT),
                duration: duration.map(|limit| Duration::from_millis(limit.into())),
            };
            Shift::Canary(steps, thresholds)
        });
        let shift = group.map_or(shift, Shift::CodeDeploy);
        Some(Self {
            alias,
            description,
            shift,
            alarms,
        })
    }

    /// How long the steps take together.
    pub fn time(&self) -> Duration {
        match &self.shift {
            Shift::AtOnce | Shift::CodeDeploy(_) => Duration::ZERO,
            Shift::Canary(steps, _) => steps.time(),
        }
    }
}
