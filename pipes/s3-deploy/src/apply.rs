//! Does what the plan says, phase after phase: no object of a phase is written before all of the phase before are, so
//! that no page is live before what it loads. The first failure ends it; what is under way then is let finish.

mod lanes;
mod progress;

use std::sync::{Arc, Mutex, PoisonError};

use shared::{Failure, Journal};

use self::lanes::{Lanes, Work};
use self::progress::Progress;
use crate::aws::Bucket;
use crate::entries::Noted;
use crate::manifest::Entry;
use crate::objects::Site;
use crate::phase::Phase;
use crate::plan::Plan;

/// Of which of the objects that are written something is noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Everything, for the manifest.
    All,
    /// Entry points, which are looked at afterwards.
    EntryPoints,
    /// Nothing.
    Nothing,
}

impl Keep {
    fn takes(self, entry: &Entry) -> bool {
        match self {
            Self::All => true,
            Self::EntryPoints => entry.phase == Phase::EntryPoint,
            Self::Nothing => false,
        }
    }
}

/// Writes all actions of `plan`, which stand in the order of their phases, and gives what was noted with what is kept of
/// them.
///
/// # Errors
/// The first that failed, and how many more did. Nothing of a later phase was begun then.
pub async fn write(
    site: &Arc<Site>,
    bucket: &Bucket,
    plan: &Arc<Plan>,
    concurrency: usize,
    (keep, noted): (Keep, Noted),
    journal: &Journal,
) -> Result<Noted, Failure> {
    let lanes = Lanes::start(plan.actions.len(), concurrency)?;
    let progress = Arc::new(Progress::new(site, &plan.actions));
    let noted = Arc::new(Mutex::new(noted));
    let mut begin = 0;
    for phase in plan.actions.chunk_by(|one, other| one.phase == other.phase) {
        let end = begin + phase.len();
        let work = Work::new(
            site,
            bucket,
            plan,
            begin..end,
            (keep, &noted),
            &progress,
            journal,
        );
        begin = end;
        let failures = tokio::select! {
            done = lanes.run(Arc::new(work)) => done?,
            never = progress.keep_logging() => match never {},
        };
        let more = failures.len().saturating_sub(1);
        match failures.into_iter().next() {
            None => {}
            Some(first) if more == 0 => return Err(first),
            Some(first) => {
                return Err(first.fact(format!("{more} more that were under way failed too")));
            }
        }
    }
    let mut noted = std::mem::take(&mut *noted.lock().unwrap_or_else(PoisonError::into_inner));
    noted.sort();
    Ok(noted)
}
