//! The edge of the process: the environment in, the exit code out, and in between a runtime and the signals.
//! As the only process of its image a pipe is PID 1, for which SIGTERM and SIGINT do nothing unless handled.

use std::ffi::{OsStr, OsString};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::failure::Failure;
use crate::help::help;
use crate::journal::{Changes, Journal};
use crate::log::{self, Style};
use crate::report::{Outcome, Results};
use crate::variables::{Environment, Field, SECRET_NAMES};

/// How long the cleaning up may take after the end of a run: `docker stop` gives ten seconds before it kills.
const CLEANUP_TIMEOUT: Duration = Duration::from_secs(5);

/// The variables that every pipe has.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct RunVariables {
    /// Print DEBUG lines too.
    pub debug: Field<bool>,
}

/// Runs one pipe that takes no arguments: reads the environment, calls `deploy`, prints `✔ summary` or `✖ failure` with
/// what was changed, writes the results for later steps, and gives exit code 0 or 1, never another. `readme` is what
/// `--help` is made of.
pub fn run<D>(
    pipe: &'static str,
    version: &'static str,
    readme: &'static str,
    deploy: D,
) -> ExitCode
where
    D: AsyncFnOnce(&Environment, &Journal) -> Result<Outcome, Failure>,
{
    let environment = process_environment();
    let style = Style::new(&environment);
    if let Some(argument) = std::env::args_os().nth(1) {
        match argument.to_str() {
            Some("--version" | "-V") => log::line(format_args!("{pipe} {version}")),
            Some("--help" | "-h") => log::line(help(pipe, version, readme)),
            _ => return unknown(pipe, style, &argument.to_string_lossy()),
        }
        return ExitCode::SUCCESS;
    }
    perform(pipe, version, &environment, deploy)
}

fn unknown(pipe: &str, style: Style, argument: &str) -> ExitCode {
    style.failure(&format!(
        "{pipe} takes no arguments but `--help` and `--version`, and was given `{argument}`\n  \
         hint: set it up with environment variables; `--help` lists them\n  nothing was changed"
    ));
    ExitCode::FAILURE
}

/// What [`run`] does once the arguments are read, for a pipe that is a command-line tool too: the environment is the one
/// that [`process_environment`] gave, perhaps with what the arguments say put in.
pub fn perform<D>(
    pipe: &'static str,
    version: &'static str,
    environment: &Environment,
    deploy: D,
) -> ExitCode
where
    D: AsyncFnOnce(&Environment, &Journal) -> Result<Outcome, Failure>,
{
    let style = Style::new(environment);
    let debug = environment
        .read::<RunVariables>()
        .debug
        .value()
        .unwrap_or(false);
    log::install(style, pipe, debug);

    let results = Arc::new(Results::open(environment));
    let journal = Journal::new(results.has_report());
    report_faults((pipe, version), style, &results, &journal);
    let ending = guarded(environment, &journal, deploy);
    let changes = journal.snapshot();
    let written = results.write((pipe, version), ending.as_ref(), &changes);
    match (ending, written) {
        (Ok(outcome), Ok(())) => {
            style.success(&outcome.summary);
            return ExitCode::SUCCESS;
        }
        (Ok(outcome), Err(failure)) => {
            style.failure(&format!("{}, but {failure}", outcome.summary));
        }
        (Err(failure), written) => {
            style.failure(&last_words(&failure, &changes));
            if let Err(failure) = written {
                style.failure(&failure.to_string());
            }
        }
    }
    ExitCode::FAILURE
}

fn last_words(failure: &Failure, changes: &Changes) -> String {
    let changes = changes.to_string().replace('\n', "\n  ");
    format!("{failure}\n  {changes}")
}

/// A panic, of whatever thread, ends the process there and then, with the last words that any failure has: half of a
/// program is not to go on, and a release has no code for unwinding.
#[expect(
    clippy::disallowed_methods,
    clippy::exit,
    reason = "there is nothing to return to after a panic, and 1 is the exit code of every failure"
)]
fn report_faults(
    pipe: (&'static str, &'static str),
    style: Style,
    results: &Arc<Results>,
    journal: &Journal,
) {
    let (results, journal) = (Arc::clone(results), journal.clone());
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |fault| {
        usual(fault);
        let failure = Failure::new("stopped by a fault of this program, shown above")
            .hint("report it with the lines above; they hold no secret");
        let changes = journal.snapshot();
        let written = results.write(pipe, Err(&failure), &changes);
        let mut words = last_words(&failure, &changes);
        for name in journal.left() {
            words += "\n  left behind: ";
            words += &name;
        }
        style.failure(&words);
        if let Err(failure) = written {
            style.failure(&failure.to_string());
        }
        std::process::exit(1);
    }));
}

/// Runs `deploy` to its end or to a signal, whichever comes first.
fn guarded<D>(environment: &Environment, journal: &Journal, deploy: D) -> Result<Outcome, Failure>
where
    D: AsyncFnOnce(&Environment, &Journal) -> Result<Outcome, Failure>,
{
    // One thread for the requests: it costs less CPU per request than work stealing, and the
    // work that needs the cores (hashing) runs on threads of its own.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| cannot_start(&error))?;
    let work = async {
        let ending = until_signal(environment, journal, deploy).await;
        // An image is killed some seconds after SIGTERM; what is not cleaned up by then never will be.
        journal.clean_up(CLEANUP_TIMEOUT).await;
        ending
    };
    let ending = runtime.block_on(work);
    // Threads that still hash must not hold up the answer to a signal.
    runtime.shutdown_background();
    ending
}

async fn until_signal<D>(
    environment: &Environment,
    journal: &Journal,
    deploy: D,
) -> Result<Outcome, Failure>
where
    D: AsyncFnOnce(&Environment, &Journal) -> Result<Outcome, Failure>,
{
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| cannot_start(&error))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| cannot_start(&error))?;
    tokio::select! {
        ending = deploy(environment, journal) => ending,
        name = next(&mut terminate, "SIGTERM") => Err(interrupted(name)),
        name = next(&mut interrupt, "SIGINT") => Err(interrupted(name)),
    }
}

fn cannot_start(error: &std::io::Error) -> Failure {
    Failure::new(format!("could not start: {error}"))
}

async fn next(signals: &mut Signal, name: &'static str) -> &'static str {
    signals.recv().await;
    name
}

fn interrupted(signal: &str) -> Failure {
    Failure::new(format!("interrupted by {signal}"))
}

/// The environment of the process, read once, as a value. Afterwards no program that is started inherits a secret of it,
/// and neither a core dump nor another process of the same user gets to see one. To be called before any thread is started.
#[must_use]
pub fn process_environment() -> Environment {
    process::close_memory();
    let text = |text: OsString| text.to_string_lossy().into_owned();
    let is_secret = |name: &OsStr| SECRET_NAMES.iter().any(|secret| name == *secret);
    let variables = process::take_environment(is_secret);
    Environment::new(
        variables
            .into_iter()
            .map(|(name, value)| (text(name), text(value))),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The test's own program, started again as a child with a part to play.
    #[test]
    fn a_panic_is_a_failure_that_still_knows_what_was_changed() {
        const PART: &str = "PART_OF_THE_CHILD";
        let environment = process_environment();
        if let Some(part) = environment.get(PART) {
            let deploy = async |_: &Environment, journal: &Journal| {
                journal.begin("upload", "a.js").done("uploaded", "a.js");
                journal.clean_up_unless_settled("the unfinished upload of `b.js`", async {});
                if part == "thread" {
                    let _ = tokio::task::spawn_blocking(|| panic!("a fault of a thread")).await;
                    return Ok(Outcome::default());
                }
                panic!("a fault of the program");
            };
            let _ = perform("pipe", "0", &environment, deploy);
            return;
        }
        for part in ["own", "thread"] {
            let directory = tempfile::tempdir().unwrap();
            let output = std::process::Command::new(std::env::current_exe().unwrap())
                .args([
                    "--exact",
                    "run::tests::a_panic_is_a_failure_that_still_knows_what_was_changed",
                ])
                .arg("--nocapture")
                .env(PART, part)
                .env("BITBUCKET_PIPE_STORAGE_DIR", directory.path())
                .output()
                .unwrap();
            assert_eq!(output.status.code(), Some(1), "{part}");
            let text = String::from_utf8(output.stdout).unwrap();
            let last_words = "✖ stopped by a fault of this program, shown above\n  \
                hint: report it with the lines above; they hold no secret\n  \
                changed before that: uploaded 1 (`a.js`)\n  \
                left behind: the unfinished upload of `b.js`\n";
            assert!(text.ends_with(last_words), "{text}");
            let report = std::fs::read_to_string(directory.path().join("report.json")).unwrap();
            assert!(
                report.contains("\"result\": \"failure\"") && report.contains("a.js"),
                "{report}"
            );
        }
    }
}
