//! How long to pause between two looks. Calls to ECS are shared with everybody else in the account, so their number is
//! held near that of a look every WAIT_INTERVAL; within it they are spent where they tell something: some at the start,
//! few while nothing can be done yet, and most around the moment at which this service was done in its last deployments.

use std::time::Duration;

/// Calls that may be made ahead of the rate: the first events are worth it.
const AHEAD: f64 = 2.5;
/// A third more than a look every interval.
const RATE: f64 = 4.0 / 3.0;

/// The share of the expected time after which the end is looked for closely.
const SHORTLY_BEFORE: f64 = 0.92;

/// What the pause depends on.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Since the first look.
    pub elapsed: Duration,
    /// Calls made so far.
    pub calls: u32,
    /// Calls that one look takes.
    pub per_look: u32,
    /// How much of the way is done, from 0 to 1.
    pub progress: f64,
    /// How long the last deployments of this service took, if that is known.
    pub expected: Option<Duration>,
}

/// The pause between the update, whose answer has shown how all stands, and the first look.
pub fn first(interval: Duration) -> Duration {
    interval.mul_f64(2.0 / 15.0)
}

/// The pause after a look, where `interval` is WAIT_INTERVAL.
///
/// Before the expected end it is what is left until shortly before that, and from then on the shortest that the rate
/// allows. Without a history the speed of the tasks' coming and going stands in for it.
pub fn pause(interval: Duration, moment: Moment) -> Duration {
    let steady = interval.as_secs_f64();
    let shortest = steady / 5.0;
    let elapsed = moment.elapsed.as_secs_f64();
    let expected = moment.expected.map(|expected| expected.as_secs_f64());
    let wished = match expected {
        // Only ECS's own word is missing.
        _ if moment.progress >= 1.0 => shortest,
        Some(expected) => (expected * SHORTLY_BEFORE - elapsed).clamp(shortest, steady * 2.0),
        None if moment.progress > 0.0 => {
            let left = elapsed * (1.0 - moment.progress) / moment.progress;
            (left * 0.7).clamp(shortest, steady * RATE)
        }
        // Nothing has happened yet: at an interval of 15 s looks after 2, 6 and 18 s, then every 20 s.
        None => (elapsed * 2.0).clamp(first(interval).as_secs_f64(), steady * RATE),
    };
    // When the calls of the next look come within the rate.
    let calls = f64::from(moment.calls + moment.per_look);
    let allowed_at = (calls - AHEAD) * steady / RATE;
    let longest = steady * 2.0 * f64::from(moment.per_look.max(1));
    Duration::from_secs_f64(wished.max(allowed_at - elapsed).min(longest))
}

/// The middle one of some times.
pub fn median(mut times: Vec<Duration>) -> Option<Duration> {
    times.sort_unstable();
    times.get(times.len() / 2).copied()
}

/// A pause made up to a tenth shorter or longer by `dice`, from 0 to 1, so that steps that began together do not ask
/// together.
pub fn jittered(pause: Duration, dice: f64) -> Duration {
    pause.mul_f64(0.9 + 0.2 * dice)
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(15);

    /// The moments of the looks until `end`, where `progress` gives the progress at a second.
    fn looks(end: f64, expected: Option<u64>, progress: impl Fn(f64) -> f64) -> Vec<f64> {
        let (mut at, mut looks) = (2.0, vec![2.0]);
        while at < end {
            let moment = Moment {
                elapsed: Duration::from_secs_f64(at),
                calls: u32::try_from(looks.len()).unwrap(),
                per_look: 1,
                progress: progress(at),
                expected: expected.map(Duration::from_secs),
            };
            at += pause(INTERVAL, moment).as_secs_f64();
            looks.push(at);
        }
        looks
    }

    fn late(looks: &[f64], end: f64) -> f64 {
        looks.last().unwrap() - end
    }

    #[test]
    fn it_is_quick_at_first_and_then_steady() {
        let looks = looks(60.0, None, |_| 0.0);
        assert_eq!(
            looks.iter().map(|at| at.round()).collect::<Vec<_>>(),
            [2.0, 6.0, 18.0, 38.0, 58.0, 78.0]
        );
    }

    #[test]
    fn the_rate_stays_within_a_third_more_than_a_look_each_interval() {
        for end in [60.0, 120.0, 600.0] {
            for expected in [None, Some(20)] {
                // All tasks run after a third of the time, but ECS does not say that it is done.
                let looks = looks(end, expected, |at| if at > end / 3.0 { 1.0 } else { 0.0 });
                let most = AHEAD + end / 15.0 * RATE + 1.0;
                let count = f64::from(u32::try_from(looks.len()).unwrap());
                assert!(count <= most, "{end}: {count} > {most}");
            }
        }
    }

    #[test]
    fn the_looks_close_in_on_the_end() {
        // Tasks change over evenly until second 80, and ECS says so two seconds later.
        let evenly = looks(82.0, None, |at| (at / 80.0).min(1.0));
        assert!(late(&evenly, 82.0) <= 3.0, "{evenly:?}");
    }

    #[test]
    fn the_last_deployments_say_when_to_look_closely() {
        // All tasks run early; what then takes its time is the draining of one old task, which shows nothing.
        for end in [112.0, 118.0, 120.0, 126.0] {
            let looks = looks(
                end,
                Some(120),
                |at| if at > 50.0 { 0.875 } else { at / 100.0 },
            );
            assert!(late(&looks, end) <= 3.0, "{end}: {looks:?}");
            assert!(looks.len() <= 13, "{end}: {looks:?}");
        }
    }

    #[test]
    fn the_median_is_the_middle_one() {
        let seconds = |all: &[u64]| median(all.iter().copied().map(Duration::from_secs).collect());
        assert_eq!(seconds(&[90, 30, 60]), Some(Duration::from_mins(1)));
        assert_eq!(seconds(&[]), None);
    }

    #[test]
    fn jitter_is_a_tenth_each_way() {
        assert_eq!(
            jittered(Duration::from_secs(10), 0.0),
            Duration::from_secs(9)
        );
        assert_eq!(
            jittered(Duration::from_secs(10), 1.0),
            Duration::from_secs(11)
        );
    }
}
