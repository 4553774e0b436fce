//! How many requests are under way: what the way to S3 needs, and half when S3 asks to slow down, as it does above 3,500
//! writes a second under one prefix. 64 are too few at 20 ms a request, and thousands are too many for a new bucket.
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance.html>

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::FinalizerInterceptorContextRef;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use tokio::runtime::Handle;

/// Of all lanes together.
const FIRST: usize = 64;
const LEAST: usize = 4;
/// So many keep a lane busy, however near S3 is.
const ENOUGH_NEARBY: usize = 8;
/// No deploy is to write faster, in objects a second: it is far above what S3 takes, and what a processor can send.
const RATE: u128 = 12_800;
/// Long enough to see a round of answers from nearby.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// The number of requests that may be under way.
#[derive(Debug)]
pub struct Pace {
    limit: usize,
    most: usize,
    lanes: usize,
    /// The shortest time that a request took: the way there and back, without waiting for others.
    fastest: Duration,
    /// Answers since the limit was last halved: one burst of 503s halves it once.
    since: usize,
    slow_downs: u32,
}

impl Pace {
    /// One of `lanes` that begin with 64 together, and never above `most`.
    pub fn new(most: usize, lanes: usize, slow_downs: u32) -> Self {
        Self {
            limit: FIRST.div_ceil(lanes).min(most),
            most,
            lanes,
            fastest: Duration::MAX,
            since: 0,
            slow_downs,
        }
    }

    /// How many may be under way now.
    pub const fn limit(&self) -> usize {
        self.limit
    }

    /// Takes note of an answer and of the time it `took`, of how often S3 has asked to slow down so far, and of whether
    /// the thread that sends is busy all the time: more requests than it can feed would only take memory.
    pub fn answered(&mut self, took: Duration, slow_downs: u32, is_saturated: bool) {
        self.since += 1;
        self.fastest = self.fastest.min(took);
        if slow_downs == self.slow_downs {
            let enough = self.enough();
            if self.limit > enough {
                self.limit -= 1;
            } else if self.limit < enough && !is_saturated {
                // One more for each answer doubles it in a round trip.
                self.limit += 1;
            }
        } else if self.since >= self.limit {
            self.slow_downs = slow_downs;
            self.since = 0;
            self.limit = (self.limit / 2).max(LEAST).min(self.most);
        }
    }

    /// A rate times the time of each is what is under way (Little's law). More would wait for each other, and their
    /// memory grow cold.
    fn enough(&self) -> usize {
        let together = self.fastest.as_micros().saturating_mul(RATE) / 1_000_000;
        let enough = usize::try_from(together).unwrap_or(usize::MAX) / self.lanes;
        enough.max(ENOUGH_NEARBY).min(self.most)
    }
}

/// How busy the runtime of this thread is.
#[derive(Debug)]
pub struct Load {
    looked: Instant,
    busy: Duration,
    is_saturated: bool,
}

impl Load {
    /// Looks from now on.
    pub fn new() -> Self {
        Self {
            looked: Instant::now(),
            busy: busy(),
            is_saturated: false,
        }
    }

    /// Whether the thread had next to no time left when it was last looked at.
    pub fn is_saturated(&mut self) -> bool {
        let since = self.looked.elapsed();
        if since >= LOOK_EVERY {
            let busy = busy();
            self.is_saturated = busy.saturating_sub(self.busy) > since * 9 / 10;
            (self.looked, self.busy) = (Instant::now(), busy);
        }
        self.is_saturated
    }
}

fn busy() -> Duration {
    Handle::current().metrics().worker_total_busy_duration(0)
}

/// Counts the attempts that S3 answered with 503 or 429; the SDK tries them again by itself and tells nobody.
#[derive(Debug)]
pub struct SlowDowns(pub Arc<AtomicU32>);

impl Intercept for SlowDowns {
    fn name(&self) -> &'static str {
        "SlowDowns"
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if context
            .response()
            .is_some_and(|response| matches!(response.status().as_u16(), 429 | 503))
        {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAR: Duration = Duration::from_millis(30);

    #[test]
    fn it_doubles_in_a_round_trip_and_halves_once_for_a_burst() {
        let mut pace = Pace::new(256, 1, 0);
        assert_eq!(pace.limit(), 64);
        (0..64).for_each(|_| pace.answered(FAR, 0, false));
        assert_eq!(pace.limit(), 128);
        (0..1000).for_each(|_| pace.answered(FAR, 0, false));
        assert_eq!(pace.limit(), 256);
        (0..40).for_each(|count| pace.answered(FAR, 1 + count, false));
        assert_eq!(pace.limit(), 128);
        // Still slow after a whole round: again.
        (0..89).for_each(|_| pace.answered(FAR, 60, false));
        assert_eq!(pace.limit(), 64);
        assert_eq!(Pace::new(2, 1, 0).limit(), 2);
        assert_eq!(Pace::new(64, 4, 0).limit(), 16);
    }

    #[test]
    fn a_thread_that_is_busy_all_the_time_gets_no_more() {
        let mut pace = Pace::new(256, 1, 0);
        (0..1000).for_each(|_| pace.answered(FAR, 0, true));
        assert_eq!(pace.limit(), 64);
        pace.answered(FAR, 0, false);
        assert_eq!(pace.limit(), 65);
    }

    #[test]
    fn near_by_a_few_are_enough() {
        for (milliseconds, lanes, limit) in [
            (0, 1, 8),
            (1, 1, 12),
            (5, 1, 64),
            (5, 2, 32),
            (10, 2, 64),
            (50, 2, 200),
        ] {
            let mut pace = Pace::new(200, lanes, 0);
            (0..1000).for_each(|_| pace.answered(Duration::from_millis(milliseconds), 0, false));
            assert_eq!(pace.limit(), limit, "{milliseconds} ms, {lanes} lanes");
            // One that had to wait says nothing of the way.
            (0..1000).for_each(|_| pace.answered(FAR * 10, 0, false));
            assert_eq!(pace.limit(), limit, "{milliseconds} ms, {lanes} lanes");
        }
    }
}
