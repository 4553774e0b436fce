//! A pipe while it runs: its output is read as it is written, a signal can be sent at a chosen line, and one that hangs is
//! ended, so that it fails its test and not the whole run. What comes out is searched for secrets.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::Pipe;

/// What a pipe did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// The exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// Everything on standard output.
    pub stdout: String,
    /// Everything on standard error.
    pub stderr: String,
}

impl Output {
    /// Standard output without colours.
    #[must_use]
    pub fn plain(&self) -> String {
        let mut parts = self.stdout.split("\x1b[");
        let mut text = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            text.push_str(part.split_once('m').map_or(part, |(_colour, rest)| rest));
        }
        text
    }

    /// Standard output without colours and without the lines that only DEBUG brings.
    #[must_use]
    pub fn without_debug(&self) -> String {
        self.plain()
            .split_inclusive('\n')
            .filter(|line| !line.starts_with("DEBUG: "))
            .collect()
    }
}

/// A pipe that runs. One that is not waited for is ended.
#[derive(Debug)]
pub struct Running<'proxy> {
    pipe: Pipe<'proxy>,
    child: Child,
    give_up: Instant,
    stdout: Reader,
    stderr: Reader,
}

impl<'proxy> Running<'proxy> {
    pub(super) fn new(pipe: Pipe<'proxy>, mut child: Child) -> Self {
        Self {
            give_up: Instant::now() + pipe.deadline,
            stdout: Reader::new(child.stdout.take()),
            stderr: Reader::new(child.stderr.take()),
            pipe,
            child,
        }
    }

    /// Waits until the pipe has printed `text`.
    #[track_caller]
    pub fn until_printed(&self, text: &str) {
        loop {
            let is_last_look = self.stdout.is_at_end() || Instant::now() >= self.give_up;
            if self.stdout.text().contains(text) {
                return;
            }
            assert!(
                !is_last_look,
                "{} did not print `{text}`",
                self.pipe.program.display()
            );
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Sends a signal: `TERM`, as Bitbucket does when a step is stopped, or `INT`.
    #[track_caller]
    pub fn signal(&self, name: &str) {
        assert!(self.try_signal(name), "the pipe had ended before SIG{name}");
    }

    /// Sends a signal, `KILL` too; false if the pipe has ended. It is not waited for before, so the id is still its own.
    pub(super) fn try_signal(&self, name: &str) -> bool {
        let status = Command::new("kill")
            .args([&format!("-{name}"), &self.child.id().to_string()])
            .stderr(Stdio::null())
            .status()
            .expect("the system has `kill`");
        status.success()
    }

    /// Waits for its end.
    #[track_caller]
    #[must_use]
    pub fn wait(mut self) -> Output {
        let status = loop {
            match self.child.try_wait().expect("the pipe can be waited for") {
                Some(status) => break Some(status),
                None if Instant::now() < self.give_up => thread::sleep(Duration::from_millis(5)),
                None => break None,
            }
        };
        if status.is_none() {
            self.end();
        }
        let output = Output {
            code: status.and_then(|status| status.code()),
            stdout: self.stdout.finish(),
            stderr: self.stderr.finish(),
        };
        self.pipe.search(&output);
        assert!(
            status.is_some(),
            "{} was ended after {:?}:\n{}{}",
            self.pipe.program.display(),
            self.pipe.deadline,
            output.stdout,
            output.stderr
        );
        output
    }

    fn end(&mut self) {
        // Both fail when it has ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.end();
    }
}

/// Reads one stream as it is written, since a pipe whose reader waits stops at 64 KiB.
#[derive(Debug)]
struct Reader {
    bytes: Arc<Mutex<Vec<u8>>>,
    thread: Option<JoinHandle<()>>,
}

impl Reader {
    fn new(stream: Option<impl Read + Send + 'static>) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let mut stream = stream.expect("the stream is captured");
        let target = Arc::clone(&bytes);
        let thread = thread::spawn(move || {
            let mut chunk = [0; 8192];
            while let Ok(length @ 1..) = stream.read(&mut chunk) {
                let mut bytes = target.lock().unwrap_or_else(PoisonError::into_inner);
                bytes.extend_from_slice(&chunk[..length]);
            }
        });
        Self {
            bytes,
            thread: Some(thread),
        }
    }

    fn text(&self) -> String {
        let bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn is_at_end(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    fn finish(&mut self) -> String {
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the reader does not panic");
        }
        self.text()
    }
}

#[cfg(test)]
mod tests {
    use super::super::pipe::tests::{complaint, script};
    use super::*;

    #[test]
    fn colours_and_debug_lines_can_be_left_out() {
        let output = Output {
            code: Some(0),
            stdout: "\x1b[34mINFO: a\x1b[0m\n\x1b[37mDEBUG: b\x1b[0m\n\x1b[32m✔ c\x1b[0m\n"
                .to_owned(),
            stderr: String::new(),
        };
        assert_eq!(output.plain(), "INFO: a\nDEBUG: b\n✔ c\n");
        assert_eq!(output.without_debug(), "INFO: a\n✔ c\n");
    }

    #[test]
    fn a_signal_reaches_the_pipe_and_its_last_words_are_kept() {
        let directory = tempfile::tempdir().unwrap();
        let text = "trap 'echo stopped; exit 7' TERM; echo ready; while :; do sleep 0.05; done";
        let running = script(&directory, text).spawn();
        running.until_printed("ready");
        running.signal("TERM");
        let output = running.wait();
        assert_eq!(
            (output.code, output.stdout.as_str()),
            (Some(7), "ready\nstopped\n")
        );
    }

    #[test]
    fn a_pipe_that_hangs_fails_its_test() {
        let directory = tempfile::tempdir().unwrap();
        let pipe =
            script(&directory, "echo begun; exec sleep 100").deadline(Duration::from_millis(300));
        let complaint = complaint(move || drop(pipe.run()));
        assert!(
            complaint.contains("was ended after 300ms:\nbegun"),
            "{complaint}"
        );
    }

    #[test]
    fn much_output_does_not_stop_it() {
        let directory = tempfile::tempdir().unwrap();
        let text = "i=0; while [ $i -lt 20000 ]; do echo 'a line of forty characters or thereabout'; i=$((i+1)); done";
        assert_eq!(
            script(&directory, text).run().stdout.lines().count(),
            20_000
        );
    }
}
