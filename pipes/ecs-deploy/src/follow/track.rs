//! One service on its way: what our update started, what was known before it, and what the looks have shown so far.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::aws::{Brief, ServiceDeployment};
use crate::causes::Group;
use crate::pace;
use crate::progress::Progress;
use crate::rollout::{Ours, Verdict};
use crate::service::Service;
use crate::task::Task;

/// How often the service deployment of an update is looked for.
pub(super) const SEARCHES: u32 = 4;
/// Deployments that say how long the next one takes.
const RECENT: usize = 5;
/// Words of events that come with a task that stopped.
const BAD_NEWS: [&str; 5] = [
    "unhealthy",
    "unable",
    "failed",
    "has stopped",
    "rolling back",
];

/// One service on its way.
#[derive(Clone, Debug, Default)]
pub struct Track {
    /// Its name.
    pub name: String,
    /// What our update started.
    pub ours: Ours,
    /// As the last look showed it.
    pub service: Service,
    /// The service deployments before the update; none if that is not known.
    pub known: Option<Known>,
    /// The tasks of our deployment that stopped.
    pub stopped: Vec<Task>,
    /// How it ended; none when it was not waited for to the end.
    pub ending: Option<Ending>,
    /// The last service deployment that a look showed.
    pub detail: Option<ServiceDeployment>,
    pub(super) progress: Progress,
    pub(super) old: i64,
    pub(super) searches: u32,
    pub(super) continued: BTreeSet<String>,
    pub(super) failed_tasks: i64,
    pub(super) running: i64,
    pub(super) events: BTreeSet<String>,
    pub(super) looked_for_stops: Duration,
    pub(super) stops_are_hidden: bool,
    pub(super) last: String,
    pub(super) seen: String,
    pub(super) said: Option<Duration>,
}

/// What the history of a service says before it is updated.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// ARNs of its service deployments.
    pub arns: BTreeSet<String>,
    /// How long the last successful ones took.
    pub expected: Option<Duration>,
}

impl Known {
    /// From the list, the newest first.
    pub fn new(briefs: Vec<Brief>) -> Self {
        let successful = briefs.iter().filter(|brief| brief.status == "SUCCESSFUL");
        let times = successful
            .filter_map(Brief::duration)
            .take(RECENT)
            .collect();
        Self {
            expected: pace::median(times),
            arns: briefs
                .into_iter()
                .map(|brief| brief.service_deployment_arn)
                .collect(),
        }
    }
}

/// How following a service ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// By ECS's own verdict.
    Verdict(Verdict),
    /// By the brake: tasks stop for the same cause again and again.
    CrashLoop(Group),
    /// By WAIT_TIMEOUT; what was seen last.
    Timeout(String),
}

impl Track {
    /// A service that was just updated, which was `before` that.
    pub fn new(before: Option<&Service>, after: Service, known: Option<Known>) -> Self {
        let ours = Ours::of_update(before, &after);
        Self {
            name: after.service_name.clone(),
            old: ours.others(&after),
            progress: Progress::new(before.unwrap_or(&after)),
            events: after.events.iter().map(|event| event.id.clone()).collect(),
            service: after,
            ours,
            known,
            ..Self::default()
        }
    }

    /// The same, where service deployments may not be read: they are not asked for again.
    pub fn without_service_deployments(self) -> Self {
        Self {
            searches: SEARCHES,
            ..self
        }
    }

    /// The same, to be followed further.
    pub fn open(self) -> Self {
        Self {
            ending: None,
            ..self
        }
    }

    /// How long it takes, by its history.
    pub(super) fn expected(&self) -> Option<Duration> {
        self.known.as_ref()?.expected
    }

    /// Whether our deployment completed.
    pub fn is_done(&self) -> bool {
        self.ending == Some(Ending::Verdict(Verdict::Done))
    }

    /// Whether our deployment ended otherwise.
    pub fn is_failed(&self) -> bool {
        self.ending.is_some() && !self.is_done()
    }

    /// Whether this look gives a reason to look for stopped tasks.
    pub(super) fn has_bad_news(&mut self, service: &Service) -> bool {
        let Some(ours) = service.deployment(&self.ours.deployment) else {
            return false;
        };
        let mut is_bad = ours.failed_tasks > self.failed_tasks || ours.running_count < self.running;
        (self.failed_tasks, self.running) = (ours.failed_tasks, ours.running_count);
        for event in &service.events {
            let is_new = self.events.insert(event.id.clone());
            is_bad |= is_new && BAD_NEWS.iter().any(|words| event.message.contains(words));
        }
        is_bad
    }
}

/// UpdateService does not answer which service deployment it started: it is one that was not there before, with the
/// number of our deployment in its service revision, or else the oldest of the new ones.
pub(super) fn find(ours: &Ours, known: Option<&Known>, mut briefs: Vec<Brief>) -> Option<Brief> {
    if let Some(known) = known {
        briefs.retain(|brief| !known.arns.contains(&brief.service_deployment_arn));
    }
    let number = ours.deployment.rsplit('/').next().unwrap_or_default();
    let is_ours = |brief: &Brief| {
        let revision = &brief.target_service_revision_arn;
        !number.is_empty() && revision.ends_with(&format!("/{number}"))
    };
    match briefs.iter().position(is_ours) {
        Some(place) => Some(briefs.swap_remove(place)),
        None => briefs.pop().filter(|_| known.is_some()),
    }
}
