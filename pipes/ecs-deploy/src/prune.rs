//! After a deploy old revisions of its family are deregistered. One in use by a service, a task or a schedule of any
//! cluster stays, and so does the one that a rollback would need.

use std::collections::BTreeSet;

use shared::{Failure, Journal};

use crate::aws::{Ecs, Schedules};
use crate::family::superfluous;

/// What is looked at to know what is in use, and by whom the rest is deregistered.
pub struct Pruner<'a> {
    /// The account's clusters.
    pub ecs: &'a Ecs,
    /// What runs tasks at its time.
    pub schedules: &'a Schedules,
    /// What is changed.
    pub journal: &'a Journal,
}

impl Pruner<'_> {
    /// Deregisters what is superfluous of a family; `needed` stays in any case. The deploy is done by then, so nothing
    /// here fails it: where it cannot be seen what is in use, a warning says so and all stays.
    pub async fn prune(&self, family: &str, keep: usize, needed: &BTreeSet<String>) {
        let superfluous = match self.superfluous(family, keep, needed).await {
            Ok(superfluous) => superfluous,
            Err(failure) => {
                tracing::warn!("no old revision of {family} was deregistered: {failure}");
                return;
            }
        };
        let mut done = 0;
        for arn in &superfluous {
            if let Err(failure) = self.ecs.deregister(arn, self.journal).await {
                tracing::warn!("{failure}");
                break;
            }
            done += 1;
        }
        if done > 0 {
            tracing::info!("Deregistered {done} old revisions of {family} that nothing uses");
        }
    }

    async fn superfluous(
        &self,
        family: &str,
        keep: usize,
        needed: &BTreeSet<String>,
    ) -> Result<Vec<String>, Failure> {
        let active = self.ecs.active_revisions(family).await?;
        // Mostly there is nothing to do, and then all the other calls can be left out.
        if superfluous(&active, needed, keep).is_empty() {
            return Ok(Vec::new());
        }
        let clusters = self.ecs.clusters().await?;
        let mut in_use = needed.clone();
        for cluster in &clusters {
            in_use.extend(self.ecs.revisions_in_use(cluster, family).await?);
        }
        let scheduled = self.schedules.of_family(&clusters, family).await?;
        in_use.extend(
            scheduled
                .into_iter()
                .map(|schedule| schedule.task_definition),
        );
        Ok(superfluous(&active, &in_use, keep))
    }
}
