//! Does what the plan says, phase after phase: no object of a phase is written before all of the phase before are, so
//! that no page is live before what it loads. The first failure ends it; what is under way then is let finish.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use shared::{Failure, Journal};

use crate::aws::{Bucket, Pace};
use crate::manifest::Entry;
use crate::objects::Site;
use crate::plan::{Action, Reason};

/// A log line of progress is due no more often than this.
const PROGRESS: Duration = Duration::from_secs(10);

/// Writes all `actions`, which stand in the order of their phases, and gives what the manifest will keep of them.
///
/// # Errors
/// The first that failed, and how many more did. Nothing of a later phase was begun then.
pub async fn write(
    site: &Arc<Site>,
    bucket: &Bucket,
    actions: &[Action],
    concurrency: usize,
    journal: &Journal,
) -> Result<BTreeMap<String, Entry>, Failure> {
    let mut pace = Pace::new(concurrency, bucket.slow_downs());
    let mut progress = Progress::new(site, actions);
    let mut written = BTreeMap::new();
    for phase in actions.chunk_by(|one, other| one.phase == other.phase) {
        let mut waiting = phase.iter();
        let mut under_way = FuturesUnordered::new();
        let mut failures = Vec::new();
        loop {
            while failures.is_empty() && under_way.len() < pace.limit() {
                let Some(action) = waiting.next() else { break };
                under_way.push(async move { (action, act(site, bucket, action, journal).await) });
            }
            tokio::select! {
                ended = under_way.next() => match ended {
                    Some((action, Ok(entry))) => {
                        progress.add(entry.size);
                        written.insert(site.name(action.object), entry);
                        pace.answered(bucket.slow_downs());
                    }
                    Some((_, Err(failure))) => failures.push(failure),
                    None => break,
                },
                () = progress.due() => progress.log(),
            }
        }
        let more = failures.len().saturating_sub(1);
        match failures.into_iter().next() {
            None => {}
            Some(first) if more == 0 => return Err(first),
            Some(first) => {
                return Err(first.fact(format!("{more} more that were under way failed too")));
            }
        }
    }
    Ok(written)
}

async fn act(
    site: &Arc<Site>,
    bucket: &Bucket,
    action: &Action,
    journal: &Journal,
) -> Result<Entry, Failure> {
    match &action.reason {
        Reason::HeadersDiffer(known) => bucket.reheader(site, action.object, known, journal).await,
        _ => bucket.upload(site, action.object, journal).await,
    }
}

/// How far the uploads are.
struct Progress {
    start: Instant,
    last: Instant,
    objects: (usize, usize),
    bytes: (u64, u64),
}

impl Progress {
    fn new(site: &Site, actions: &[Action]) -> Self {
        let now = Instant::now();
        let bytes = actions
            .iter()
            .map(|action| site.file(action.object).map_or(0, |file| file.size))
            .sum();
        Self {
            start: now,
            last: now,
            objects: (0, actions.len()),
            bytes: (0, bytes),
        }
    }

    fn add(&mut self, size: u64) {
        self.objects.0 += 1;
        self.bytes.0 += size;
    }

    async fn due(&self) {
        tokio::time::sleep(PROGRESS.saturating_sub(self.last.elapsed())).await;
    }

    fn log(&mut self) {
        self.last = Instant::now();
        let spent = self.start.elapsed().as_secs().max(1);
        let rate = self.bytes.0 / spent;
        let left = match rate {
            0 => String::new(),
            rate => format!(
                ", about {} s left",
                self.bytes.1.saturating_sub(self.bytes.0) / rate
            ),
        };
        tracing::info!(
            "wrote {} of {} objects, {} of {} kB, {} kB/s{left}",
            self.objects.0,
            self.objects.1,
            self.bytes.0 / 1000,
            self.bytes.1 / 1000,
            rate / 1000
        );
    }
}
