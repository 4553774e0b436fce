//! How far the uploads are: counted by all lanes, and logged no more often than every ten seconds.

use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::objects::Site;
use crate::plan::Action;

/// A log line of progress is due no more often than this.
const PROGRESS: Duration = Duration::from_secs(10);

/// What is done of what is to be done.
pub struct Progress {
    start: Instant,
    objects: AtomicUsize,
    bytes: AtomicU64,
    all_objects: usize,
    all_bytes: u64,
}

impl Progress {
    /// Nothing is done yet of `actions`.
    pub fn new(site: &Site, actions: &[Action]) -> Self {
        Self {
            start: Instant::now(),
            objects: AtomicUsize::new(0),
            bytes: AtomicU64::new(0),
            all_objects: actions.len(),
            all_bytes: actions
                .iter()
                .map(|action| {
                    let file = site.file(site.object(action.number));
                    file.map_or(0, |file| file.size)
                })
                .sum(),
        }
    }

    /// One more object of `size` bytes is written.
    pub fn add(&self, size: u64) {
        self.objects.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(size, Ordering::Relaxed);
    }

    /// Logs every ten seconds since the start, and never ends.
    pub async fn keep_logging(&self) -> Infallible {
        loop {
            let since_last = self.start.elapsed().as_millis() % PROGRESS.as_millis();
            let since_last = Duration::from_millis(u64::try_from(since_last).unwrap_or_default());
            tokio::time::sleep(PROGRESS.saturating_sub(since_last)).await;
            self.log();
        }
    }

    fn log(&self) {
        let (objects, bytes) = (
            self.objects.load(Ordering::Relaxed),
            self.bytes.load(Ordering::Relaxed),
        );
        let rate = bytes / self.start.elapsed().as_secs().max(1);
        let left = match rate {
            0 => String::new(),
            rate => format!(
                ", about {} s left",
                self.all_bytes.saturating_sub(bytes) / rate
            ),
        };
        tracing::info!(
            "wrote {objects} of {} objects, {} of {} kB, {} kB/s{left}",
            self.all_objects,
            bytes / 1000,
            self.all_bytes / 1000,
            rate / 1000
        );
    }
}
