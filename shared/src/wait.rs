//! Waiting with a deadline: asks again and again, at first quickly, and ends with the last thing that was seen.
//! A deadline without that is the commonest useless line in deploy logs.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::failure::Failure;

/// How often to ask and how long in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// The pause after the first look.
    pub first: Duration,
    /// The longest pause; each is half as long again as the one before.
    pub longest: Duration,
    /// When to give up, counted from the first look.
    pub deadline: Duration,
}

/// What one look showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Observation<T> {
    /// It is there.
    Done(T),
    /// Not yet; what was seen instead, for the message at the deadline.
    Waiting(String),
}

/// Looks until `observe` is done, fails, or the deadline has come. `what` completes "waiting for …".
///
/// # Errors
/// The first error of `observe`, at once; or at the deadline one that ends with the last observation.
pub async fn until<T>(
    what: &str,
    pace: Pace,
    mut observe: impl AsyncFnMut() -> Result<Observation<T>, Failure>,
) -> Result<T, Failure> {
    let start = Instant::now();
    let mut pause = pace.first;
    let mut last = "there was no answer".to_owned();
    loop {
        // The look itself may hang: the deadline holds for it too.
        let left = pace.deadline.saturating_sub(start.elapsed());
        match tokio::time::timeout(left, observe()).await {
            Ok(Ok(Observation::Done(value))) => return Ok(value),
            Ok(Ok(Observation::Waiting(seen))) => last = seen,
            Ok(Err(failure)) => return Err(failure),
            Err(_) => return Err(gave_up(what, pace.deadline, &last)),
        }
        if start.elapsed() + pause > pace.deadline {
            return Err(gave_up(what, pace.deadline, &last));
        }
        sleep(pause).await;
        pause = pace.longest.min(pause * 3 / 2);
    }
}

/// Lets `work` take until the deadline of the whole run, which `variable` sets.
///
/// # Errors
/// Those of `work`, or that the deadline came first.
pub async fn within<T>(
    deadline: Duration,
    variable: &str,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::time::timeout(deadline, work)
        .await
        .unwrap_or_else(|_| {
            Err(Failure::new(format!(
                "gave up after {} s, the limit that {variable} sets",
                deadline.as_secs()
            ))
            .hint(format!("raise {variable} if the work needs longer")))
        })
}

fn gave_up(what: &str, deadline: Duration, last: &str) -> Failure {
    Failure::new(format!(
        "gave up waiting for {what} after {} s: {last}",
        deadline.as_secs()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace {
        first: Duration::from_secs(1),
        longest: Duration::from_secs(15),
        deadline: Duration::from_mins(1),
    };

    #[tokio::test(start_paused = true)]
    async fn it_asks_until_done_with_growing_pauses() {
        let start = Instant::now();
        let mut looks = Vec::new();
        let seen = until("the service", PACE, async || {
            looks.push(start.elapsed().as_millis());
            Ok(if looks.len() == 5 {
                Observation::Done(7)
            } else {
                Observation::Waiting("1 of 2 tasks".to_owned())
            })
        });
        assert_eq!(seen.await.unwrap(), 7);
        assert_eq!(looks, [0, 1000, 2500, 4750, 8125]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_deadline_ends_with_the_last_observation() {
        let result: Result<(), _> = until("the service", PACE, async || {
            Ok(Observation::Waiting("1 of 2 tasks".to_owned()))
        })
        .await;
        assert_eq!(
            result.unwrap_err().to_string(),
            "gave up waiting for the service after 60 s: 1 of 2 tasks"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_that_hangs_does_not_outlive_the_deadline() {
        let start = Instant::now();
        let result: Result<(), _> =
            until("the service", PACE, async || std::future::pending().await).await;
        assert!(
            result
                .unwrap_err()
                .to_string()
                .ends_with("there was no answer")
        );
        assert_eq!(start.elapsed(), PACE.deadline);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_ends_it_at_once() {
        let start = Instant::now();
        let result: Result<(), _> = until("the service", PACE, async || {
            Err(Failure::new("it is gone"))
        })
        .await;
        assert_eq!(result.unwrap_err().to_string(), "it is gone");
        assert_eq!(start.elapsed(), Duration::ZERO);
    }
}
