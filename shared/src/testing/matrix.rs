//! The table of a pipe under faults: each fault at the first, a middle and the last call of each kind goes in; how the run
//! ended, whether what it said is true, what a second run makes of it and what is left behind come out.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::faults::{TROUBLES, Trouble};
use super::proxy::Recorded;
use super::subject::{Reported, Subject, Told, Trap};
use super::{Output, Pipe};
use crate::aws::ATTEMPT_TIMEOUT;

/// Cells under way at once: they wait most of the time.
const AT_ONCE: usize = 4;
/// Tries of a request, so that what happens twice passes and what happens for good ends soon.
const ATTEMPTS: &str = "3";
/// So many cells are named with their times: where a table takes long, they are why.
const SLOWEST: usize = 3;
/// Faults by which AWS asks to come again later: whatever the call is, a run has to.
const COME_AGAIN: [&str; 2] = ["throttled", "429"];

/// Which part of the table is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Focus {
    /// Every fault at the last call of this kind, and one fault at the first call of every other kind.
    Call(&'static str),
    /// Every fault at every place of every call.
    Everything,
}

impl Focus {
    /// Everything if `FAULTS` is `all` in the environment of the tests, the call that it names, or else this one.
    #[must_use]
    pub fn here(call: &'static str) -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "set by ci/bench/faults.sh for all tests of a run"
        )]
        match std::env::var("FAULTS").as_deref() {
            Ok("all") => Self::Everything,
            Ok(named) => Self::Call(named.to_owned().leak()),
            Err(_) => Self::Call(call),
        }
    }
}

/// One fault at one place.
#[derive(Clone)]
struct Cell {
    call: String,
    number: usize,
    place: &'static str,
    trouble: Trouble,
}

/// How a cell ended.
struct Ending {
    cell: Cell,
    /// `done` or `failed: …`.
    first: String,
    /// What the second run made of it.
    second: String,
    wrong: Vec<String>,
    /// Of both runs, and of making the world that they run in.
    took: Duration,
}

/// Tries the part of the table, prints it, and fails the test when a cell did not end as it must.
///
/// # Panics
/// When a run hung, was untrue, or left something behind, with all such cells.
#[track_caller]
pub fn tried<S: Subject>(focus: Focus, deadline: Duration) {
    let counts = survey::<S>(deadline);
    let cells = cells(&counts, focus, deadline);
    let next = AtomicUsize::new(0);
    let endings = Mutex::new(Vec::new());
    let start = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(cell) = cells.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let ending = judged::<S>(cell, deadline);
                    let mut endings = endings.lock().unwrap_or_else(PoisonError::into_inner);
                    endings.push(ending);
                }
            });
        }
    });
    let endings = endings.into_inner().unwrap_or_else(PoisonError::into_inner);
    print(&table(S::PIPE, &endings));
    print(&slowest(S::PIPE, &endings, start.elapsed()));
    let wrong: Vec<String> = endings.iter().filter_map(complaint).collect();
    assert!(
        wrong.is_empty(),
        "{} of {} cells:\n{}",
        wrong.len(),
        endings.len(),
        wrong.join("\n")
    );
}

/// How often each kind of call is made when nothing goes wrong, in the order of the first of each.
fn survey<S: Subject>(deadline: Duration) -> Vec<(String, usize)> {
    let subject = S::new(Trap::default());
    subject.proxy().clear();
    let (output, _) = Reported::start(prepared(subject.pipe(), deadline)).wait();
    assert_eq!(output.code, Some(0), "{}", output.plain());
    let things = subject.things();
    assert_eq!(
        subject.is_wrong(&things),
        None,
        "without a fault: {}",
        output.plain()
    );
    let mut counts: Vec<(String, usize)> = Vec::new();
    for request in subject.proxy().requests() {
        let call = S::call(&request);
        if call.is_empty() {
            continue;
        }
        match counts.iter_mut().find(|(known, _)| *known == call) {
            Some((_, count)) => *count += 1,
            None => counts.push((call, 1)),
        }
    }
    counts
}

fn prepared(pipe: Pipe<'_>, deadline: Duration) -> Pipe<'_> {
    pipe.env("AWS_MAX_ATTEMPTS", ATTEMPTS).deadline(deadline)
}

fn cells(counts: &[(String, usize)], focus: Focus, deadline: Duration) -> Vec<Cell> {
    let mut cells = Vec::new();
    for (call, count) in counts {
        let places = [
            (0, "first"),
            (count / 2, "middle"),
            (count.saturating_sub(1), "last"),
        ];
        let mut numbers = BTreeSet::new();
        let distinct = places
            .into_iter()
            .filter(|(number, _)| numbers.insert(*number));
        for (number, place) in distinct.collect::<Vec<_>>() {
            for trouble in TROUBLES {
                // Where it is an attempt's own limit that ends it, it takes minutes.
                let is_long = trouble.name.starts_with("no answer") && deadline > ATTEMPT_TIMEOUT;
                let is_chosen = match focus {
                    Focus::Everything => true,
                    Focus::Call(chosen) if chosen == call => number + 1 == *count && !is_long,
                    Focus::Call(_) => number == 0 && trouble.name == "reset after it was taken",
                };
                if is_chosen {
                    cells.push(Cell {
                        call: call.clone(),
                        number,
                        place: if *count == 1 { "only" } else { place },
                        trouble: *trouble,
                    });
                }
            }
        }
    }
    cells
}

/// A panic of a run, such as that of one which was ended because it hung, is a complaint about its cell.
fn judged<S: Subject>(cell: &Cell, deadline: Duration) -> Ending {
    let start = Instant::now();
    let judging = AssertUnwindSafe(|| judge::<S>(cell, deadline));
    catch_unwind(judging).unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Ending {
            cell: cell.clone(),
            first: "panic".to_owned(),
            second: String::new(),
            wrong: vec![text.unwrap_or_else(|| "a panic without words".to_owned())],
            took: start.elapsed(),
        }
    })
}

fn judge<S: Subject>(cell: &Cell, deadline: Duration) -> Ending {
    let start = Instant::now();
    let trap = Trap::default();
    let subject = S::new(trap.clone());
    subject.proxy().clear();
    let before = subject.things();
    let mut wrong = Vec::new();

    let call = cell.call.clone();
    let is_it = move |request: &Recorded| S::call(request) == call;
    trap.set(cell.trouble.at(cell.number, is_it));
    let (output, told) = Reported::start(prepared(subject.pipe(), deadline)).wait();
    trap.clear();
    subject.proxy().recover();
    let after = subject.things();
    let first = first_ending(&output, told.as_ref());
    if output.code == Some(0) {
        wrong.extend(subject.is_wrong(&after).map(|why| format!("✔, but {why}")));
        wrong.extend(left(&subject, "after ✔"));
    } else if output.code != Some(1) {
        wrong.push(format!("exit code {:?}", output.code));
    } else if COME_AGAIN.contains(&cell.trouble.name) {
        wrong.push(format!("it did not come again: {first}"));
    }
    match &told {
        Some(told) => wrong.extend(told.lies(&before, &after)),
        None => wrong.push("no report".to_owned()),
    }
    wrong.extend(subject.is_broken());

    let (again, _) = Reported::start(prepared(subject.pipe(), deadline)).wait();
    let second = if again.code == Some(0) {
        let things = subject.things();
        match subject.is_wrong(&things) {
            None => "right".to_owned(),
            Some(why) => format!("wrong: {why}"),
        }
    } else {
        format!("failed: {}", verdict(&again.plain()))
    };
    if second != "right" {
        wrong.push(format!("the second run: {second}"));
    }
    wrong.extend(left(&subject, "after the second run"));
    if !wrong.is_empty() {
        wrong.push(format!(
            "the first run said:\n{}\nthe second:\n{}",
            output.plain(),
            again.without_debug()
        ));
    }
    subject.discard();
    Ending {
        cell: cell.clone(),
        first,
        second,
        wrong,
        took: start.elapsed(),
    }
}

fn left<S: Subject>(subject: &S, when: &str) -> Option<String> {
    let left = subject.left_behind();
    (!left.is_empty()).then(|| format!("left behind {when}: {}", left.join(", ")))
}

fn first_ending(output: &Output, told: Option<&Told>) -> String {
    if output.code == Some(0) {
        return "done".to_owned();
    }
    let message = told.map_or_else(|| verdict(&output.plain()), |told| told.message.clone());
    format!("failed: {}", message.lines().next().unwrap_or_default())
}

fn verdict(output: &str) -> String {
    let line = output.lines().rfind(|line| line.starts_with(['✔', '✖']));
    line.unwrap_or_default().to_owned()
}

fn complaint(ending: &Ending) -> Option<String> {
    let Cell {
        call,
        place,
        trouble,
        ..
    } = &ending.cell;
    (!ending.wrong.is_empty()).then(|| {
        format!(
            "{call}, {}, {place}: {}",
            trouble.name,
            ending.wrong.join("\n  ")
        )
    })
}

/// One row for all faults of a call that ended in the same way, with the places of each.
fn table(pipe: &str, endings: &[Ending]) -> String {
    type Row<'a> = (&'a str, String, &'a str);
    let mut rows: BTreeMap<Row<'_>, BTreeMap<&str, BTreeSet<&str>>> = BTreeMap::new();
    for ending in endings {
        let ended = match ending.first.split_once(": ") {
            Some((how, _)) => how.to_owned(),
            None => ending.first.clone(),
        };
        let wrong = if ending.wrong.is_empty() {
            ""
        } else {
            " **and not as it must**"
        };
        let row = (
            ending.cell.call.as_str(),
            format!("{ended}{wrong}"),
            ending.second.as_str(),
        );
        rows.entry(row)
            .or_default()
            .entry(ending.cell.trouble.name)
            .or_default()
            .insert(ending.cell.place);
    }
    let mut text =
        "| pipe | call | fault | place | how it ended | after the second run |\n|---|---|---|---|---|---|\n"
            .to_owned();
    for ((call, ended, second), faults) in rows {
        let mut by_places: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for (fault, places) in faults {
            let order = ["only", "first", "middle", "last"];
            let places: Vec<&str> = order
                .into_iter()
                .filter(|place| places.contains(place))
                .collect();
            by_places.entry(places.join(", ")).or_default().push(fault);
        }
        for (places, faults) in by_places {
            let _ = writeln!(
                text,
                "| {pipe} | {call} | {} | {places} | {ended} | {second} |",
                faults.join("; ")
            );
        }
    }
    let _ = writeln!(
        text,
        "\n{pipe}: {} cells, {} done, {} failed with a true sentence, {} not as they must.",
        endings.len(),
        count(endings, |ending| ending.first == "done"
            && ending.wrong.is_empty()),
        count(endings, |ending| ending.first != "done"
            && ending.wrong.is_empty()),
        count(endings, |ending| !ending.wrong.is_empty()),
    );
    text
}

fn slowest(pipe: &str, endings: &[Ending], took: Duration) -> String {
    let mut longest: Vec<&Ending> = endings.iter().collect();
    longest.sort_by_key(|ending| std::cmp::Reverse(ending.took));
    let shown = longest.into_iter().take(SLOWEST).map(|ending| {
        let (cell, seconds) = (&ending.cell, ending.took.as_secs());
        format!(
            "{}, {}, {}: {seconds} s",
            cell.call, cell.trouble.name, cell.place
        )
    });
    let shown: Vec<String> = shown.collect();
    format!(
        "{pipe}: {} s in all; {}.\n",
        took.as_secs(),
        shown.join("; ")
    )
}

fn count(endings: &[Ending], is_it: impl Fn(&Ending) -> bool) -> usize {
    endings.iter().filter(|ending| is_it(ending)).count()
}

#[expect(
    clippy::print_stdout,
    reason = "the table is what ci/bench/faults.sh is run for"
)]
pub(super) fn print(text: &str) {
    println!("{text}");
}
