//! The test's own program, started again as a child: what it can no longer see, and what no longer can be seen of it.

#![expect(clippy::unwrap_used, reason = "an unwrap that fails is a failed test")]

use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Output};

/// Tells the child what to do; none for the test itself.
const PART: &str = "PART_OF_THE_CHILD";

#[expect(
    clippy::disallowed_methods,
    reason = "the child's part comes by the only way past the test runner's arguments"
)]
fn part() -> Option<String> {
    std::env::var(PART).ok()
}

fn child(test: &str, part: &str, directory: &std::path::Path) -> Output {
    Command::new("sh")
        .args(["-c", "ulimit -c unlimited; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(PART, part)
        .env("TOKEN", "secret-of-the-step")
        .env("PLAIN", "seen by all")
        .current_dir(directory)
        .output()
        .unwrap()
}

#[test]
fn what_is_started_later_inherits_no_secret() {
    let name = "what_is_started_later_inherits_no_secret";
    if part().is_some() {
        let taken = process::take_environment(|name| name == "TOKEN");
        assert!(taken.contains(&("TOKEN".into(), "secret-of-the-step".into())));
        let inherited = Command::new("env").output().unwrap();
        println!("{}", String::from_utf8(inherited.stdout).unwrap());
        return;
    }
    let output = child(name, "take", std::path::Path::new("."));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("PLAIN=seen by all"), "{text}");
    assert!(!text.contains("secret-of-the-step"), "{text}");
}

#[cfg(target_os = "linux")]
#[test]
fn no_core_dump_holds_the_memory() {
    let name = "no_core_dump_holds_the_memory";
    match part().as_deref() {
        None => {}
        Some("closed") => {
            process::close_memory();
            std::process::abort();
        }
        Some(_) => std::process::abort(),
    }
    let directory = tempfile::tempdir().unwrap();
    // So that the second half can fail: this system does write core dumps.
    let open = child(name, "open", directory.path()).status;
    assert!(open.core_dumped(), "no core dump at all: {open}");
    let closed = child(name, "closed", directory.path()).status;
    assert_eq!(closed.signal(), Some(6));
    assert!(!closed.core_dumped());
}
