//! Runs that end at a random moment, by SIGTERM, SIGINT or SIGKILL, and the run after each: what visitors see is looked at
//! the whole time, and the seed of the moments is printed, so that a failure can be repeated.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::matrix::print;
use super::subject::{Reported, Subject, Trap};
use super::unique;

const SIGNALS: [&str; 3] = ["KILL", "TERM", "INT"];
/// How much longer than a run the moments spread, so that some come after its end.
const SPREAD: f64 = 1.1;

/// How often and when.
struct Moments {
    runs: usize,
    seed: u64,
    /// When no further run is begun, on a machine that has no time for all of them.
    limit: Duration,
}

impl Moments {
    /// `KILLED_RUNS`, `KILLED_SEED` and `KILLED_SECONDS` of the environment of the tests, or `runs` of a new seed.
    fn here(runs: usize) -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "set by ci/bench/killed.sh for all tests of a run"
        )]
        let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
        let new = || {
            let digits = unique("").split_off(1);
            u64::from_str_radix(&digits, 16).unwrap_or(1)
        };
        Self {
            runs: number("KILLED_RUNS")
                .and_then(|runs| usize::try_from(runs).ok())
                .unwrap_or(runs),
            seed: number("KILLED_SEED").unwrap_or_else(new),
            limit: number("KILLED_SECONDS").map_or(Duration::MAX, Duration::from_secs),
        }
    }

    /// A number from 0 to 1 for each run (SplitMix64, whose every seed is a good one).
    #[expect(
        clippy::cast_precision_loss,
        reason = "53 bits are what a float holds, and they are what is kept"
    )]
    fn of(&self, run: usize) -> f64 {
        let mut bits = self
            .seed
            .wrapping_add((run as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^= bits >> 31;
        (bits >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Ends `runs` runs at random moments, one after the other, each followed by one that nobody ends.
///
/// # Panics
/// When a signal was not obeyed, when what the run said was untrue, when visitors saw what they must not, or when the next
/// run did not bring what was wished, with the seed.
#[track_caller]
pub fn kill<S: Subject>(runs: usize, deadline: Duration) {
    let moments = Moments::here(runs);
    let usual = usual::<S>(deadline);
    let (mut wrong, mut runs, start) = (Vec::new(), 0, Instant::now());
    let mut ended: BTreeMap<(&str, &str, &str), usize> = BTreeMap::new();
    for run in 0..moments.runs {
        if start.elapsed() > moments.limit {
            break;
        }
        runs += 1;
        let signal = SIGNALS[run % SIGNALS.len()];
        let moment = usual.mul_f64(moments.of(run) * SPREAD);
        let (how, complaints) = end_one::<S>(signal, moment, deadline);
        let after = if complaints.is_empty() {
            "right"
        } else {
            "**not as it must be**"
        };
        *ended.entry((signal, how, after)).or_default() += 1;
        let at = format!("run {run}, SIG{signal} after {} ms", moment.as_millis());
        wrong.extend(complaints.into_iter().map(|text| format!("{at}: {text}")));
    }
    let mut text = "| pipe | signal | how the run ended | runs | after the second run |\n|---|---|---|---|---|\n".to_owned();
    for ((signal, how, after), count) in ended {
        let _ = writeln!(
            text,
            "| {} | SIG{signal} | {how} | {count} | {after} |",
            S::PIPE
        );
    }
    let seed = moments.seed;
    let _ = writeln!(
        text,
        "\n{}: {runs} runs, a run takes {} ms, seed {seed}, {} not as they must.",
        S::PIPE,
        usual.as_millis(),
        wrong.len()
    );
    print(&text);
    assert!(
        wrong.is_empty(),
        "KILLED_SEED={seed}:\n{}",
        wrong.join("\n")
    );
}

/// How long a run takes that nobody ends.
fn usual<S: Subject>(deadline: Duration) -> Duration {
    let subject = S::new(Trap::default());
    let start = Instant::now();
    let (output, _) = Reported::start(subject.pipe().deadline(deadline)).wait();
    assert_eq!(output.code, Some(0), "{}", output.plain());
    start.elapsed()
}

fn end_one<S: Subject>(
    signal: &str,
    moment: Duration,
    deadline: Duration,
) -> (&'static str, Vec<String>) {
    let subject = S::new(Trap::default());
    let before = subject.things();
    let (is_over, seen) = (AtomicBool::new(false), Mutex::new(None));
    let (how, mut wrong) = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                if let Some(why) = subject.is_broken() {
                    *seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
                    return;
                }
                std::thread::sleep(Duration::from_millis(2));
            }
        });
        let _end = EndOfLooking(&is_over);
        let mut wrong = Vec::new();
        let running = Reported::start(subject.pipe().deadline(deadline));
        std::thread::sleep(moment);
        let is_in_time = running.signal(signal);
        let (output, told) = running.wait();
        let how = match output.code {
            None => "killed",
            Some(0) => "done before",
            Some(_) => "stopped with its last words",
        };
        if let (Some(told), Some(_)) = (told, output.code) {
            wrong.extend(told.lies(&before, &subject.things()));
        }
        if is_in_time && output.code == Some(1) && !output.plain().contains("✖ interrupted by SIG")
        {
            wrong.push(format!("it failed by itself: {}", output.plain()));
        }
        let (again, _) = Reported::start(subject.pipe().deadline(deadline)).wait();
        if again.code == Some(0) {
            wrong.extend(subject.is_wrong(&subject.things()));
        } else {
            wrong.push(format!("the second run failed: {}", again.plain()));
        }
        let left = subject.left_behind();
        if !left.is_empty() {
            wrong.push(format!("left behind: {}", left.join(", ")));
        }
        (how, wrong)
    });
    subject.discard();
    let seen = seen.into_inner().unwrap_or_else(PoisonError::into_inner);
    wrong.extend(seen.map(|why| format!("visitors saw: {why}")));
    (how, wrong)
}

/// Ends the looking, also when a run panics, since the scope waits for its threads.
struct EndOfLooking<'a>(&'a AtomicBool);

impl Drop for EndOfLooking<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_spread_and_a_seed_gives_the_same_again() {
        let moments = |seed| Moments {
            runs: 0,
            seed,
            limit: Duration::MAX,
        };
        let all: Vec<f64> = (0..1000).map(|run| moments(7).of(run)).collect();
        assert!(all.iter().all(|moment| (0.0..1.0).contains(moment)));
        let mean = all.iter().sum::<f64>() / 1000.0;
        assert!((0.45..0.55).contains(&mean), "{mean}");
        assert!((moments(7).of(3) - all[3]).abs() < f64::EPSILON);
        assert!((moments(8).of(3) - all[3]).abs() > f64::EPSILON);
    }
}
