//! Runs that are ended from outside: a signal to the process, or the deadline of the run.

use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use shared::testing::{Fault, Recorded};

use crate::step::{Step, last_line};

/// A site of which `slow.html` takes ten seconds to upload.
fn slow_step() -> Step {
    let step = Step::with(|request: &Recorded| {
        request
            .path
            .ends_with("/slow.html")
            .then_some(Fault::Delay(Duration::from_secs(10)))
    });
    step.file("fast.html", "fast");
    step.file("slow.html", "slow");
    step
}

#[test]
fn a_signal_ends_it_at_once_and_it_says_what_was_changed() {
    for signal in ["TERM", "INT"] {
        let step = slow_step();
        let running = step.pipe().spawn();
        running.until_printed("/fast.html: 200");
        let start = Instant::now();
        running.signal(signal);
        let output = running.wait();
        assert!(
            start.elapsed() < Duration::from_secs(5),
            "it waited for the upload"
        );
        assert_eq!(output.code, Some(1));
        let plain = output.plain();
        let told = format!(
            "✖ interrupted by SIG{signal}\n  changed before that: uploaded 1 (`fast.html`)"
        );
        assert!(plain.contains(&told), "{plain}");
        assert_eq!(
            last_line(&plain),
            "  perhaps changed, no answer came: 1 (`upload slow.html`)"
        );
    }
}

/// Two links at each of forty levels are a million million directories.
#[test]
fn a_directory_without_end_holds_up_neither_a_signal_nor_the_deadline() {
    let step = Step::new();
    for level in 0..40 {
        let directory = step.site.path().join(format!("level-{level}"));
        std::fs::create_dir(&directory).unwrap();
        for link in ["one", "two"] {
            symlink(format!("../level-{}", level + 1), directory.join(link)).unwrap();
        }
    }
    std::fs::create_dir(step.site.path().join("level-40")).unwrap();
    let running = step.pipe().spawn();
    running.until_printed("Starting deployment");
    running.signal("TERM");
    let by_signal = running.wait();
    let by_deadline = step.pipe().env("TIMEOUT", "1").run();
    for (output, why) in [
        (by_signal, "✖ interrupted by SIGTERM"),
        (
            by_deadline,
            "✖ gave up after 1 s, the limit that TIMEOUT sets",
        ),
    ] {
        assert_eq!(output.code, Some(1));
        let plain = output.plain();
        assert!(plain.contains(why), "{plain}");
        assert_eq!(last_line(&plain), "  nothing was changed");
    }
}

#[test]
fn the_deadline_ends_it_with_the_variable_that_sets_it() {
    let step = slow_step();
    let output = step.pipe().env("TIMEOUT", "2").run();
    assert_eq!(output.code, Some(1));
    let plain = output.plain();
    assert!(
        plain.contains("✖ gave up after 2 s, the limit that TIMEOUT sets"),
        "{plain}"
    );
    assert_eq!(
        last_line(&plain),
        "  perhaps changed, no answer came: 1 (`upload slow.html`)"
    );
}
