//! How long to pause between two looks. Calls to ECS are shared with everybody else in the account, so their number is
//! held near that of a look every WAIT_INTERVAL; within it they are spent where they tell something: a few at the start,
//! and most when all tasks run and the end is near. Pure.

use std::time::Duration;

/// Calls that may be made ahead of the rate: the first events are worth it.
const AHEAD: f64 = 3.0;
/// A third more than a look every interval.
const RATE: f64 = 4.0 / 3.0;

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
}

/// The pause after a look, where `interval` is WAIT_INTERVAL.
///
/// While tasks come and go it is most of what is left at the speed so far, so that the looks close in on the end; when
/// only ECS's own word is missing, the shortest that the rate allows.
pub fn pause(interval: Duration, moment: Moment) -> Duration {
    let steady = interval.as_secs_f64();
    let (shortest, longest) = (steady / 10.0, steady * RATE);
    let elapsed = moment.elapsed.as_secs_f64();
    let wished = if moment.progress >= 1.0 {
        shortest
    } else if moment.progress > 0.0 {
        let left = elapsed * (1.0 - moment.progress) / moment.progress;
        (left * 0.7).clamp(shortest, longest)
    } else {
        // Nothing has happened yet: at an interval of 15 s looks after 2, 6 and 18 s, then every 20 s.
        (elapsed * 2.0).clamp(steady / 7.5, longest)
    };
    // When the calls of the next look come within the rate.
    let calls = f64::from(moment.calls + moment.per_look);
    let allowed_at = (calls - AHEAD) * steady / RATE;
    let longest = longest * f64::from(moment.per_look.max(1));
    Duration::from_secs_f64(wished.max(allowed_at - elapsed).min(longest))
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
    fn looks(end: f64, progress: impl Fn(f64) -> f64) -> Vec<f64> {
        let (mut at, mut looks) = (0.0, vec![0.0]);
        while at < end {
            let moment = Moment {
                elapsed: Duration::from_secs_f64(at),
                calls: u32::try_from(looks.len()).unwrap(),
                per_look: 1,
                progress: progress(at),
            };
            at += pause(INTERVAL, moment).as_secs_f64();
            looks.push(at);
        }
        looks
    }

    #[test]
    fn it_is_quick_at_first_and_then_steady() {
        let looks = looks(60.0, |_| 0.0);
        assert_eq!(
            looks.iter().map(|at| at.round()).collect::<Vec<_>>(),
            [0.0, 2.0, 6.0, 18.0, 38.0, 58.0, 78.0]
        );
    }

    #[test]
    fn the_rate_stays_within_a_third_more_than_a_look_each_interval() {
        for end in [60.0, 120.0, 600.0] {
            // All tasks run after a third of the time, but ECS does not say that it is done.
            let looks = looks(end, |at| if at > end / 3.0 { 1.0 } else { 0.0 });
            let most = AHEAD + end / 15.0 * RATE + 1.0;
            assert!(
                (looks.len() as f64) <= most,
                "{end}: {} > {most}",
                looks.len()
            );
        }
    }

    #[test]
    fn the_looks_close_in_on_the_end() {
        // Tasks change over evenly until second 80, and ECS says so two seconds later.
        let looks = looks(82.0, |at| (at / 80.0).min(1.0));
        let late = looks.last().unwrap() - 82.0;
        assert!(late < 2.0, "{late} s late: {looks:?}");
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
