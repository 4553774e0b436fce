//! Threads that send requests: each has a runtime and so connections of its own, which costs less than handing answers
//! from one thread to another, and none waits for what another does with its answers.

use std::io;

use shared::Failure;
use tokio::runtime::Builder;
use tokio::sync::oneshot;

/// Starts one that does `work` and ends with it.
///
/// # Errors
/// When the system gives no thread.
pub fn start<F: Future<Output = ()>>(work: impl FnOnce() -> F + Send + 'static) -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new()
        .name("lane".to_owned())
        .spawn(move || runtime.block_on(work()))?;
    Ok(())
}

/// Does `work` on one, which ends with it, or when nobody waits for it any more. `what` completes "could not …".
///
/// # Errors
/// That of `work`, or when the system gives no thread.
pub async fn apart<T: Send + 'static>(
    what: &str,
    work: impl Future<Output = Result<T, Failure>> + Send + 'static,
) -> Result<T, Failure> {
    let (mut done, answer) = oneshot::channel();
    let started = start(move || async move {
        tokio::select! {
            answer = work => drop(done.send(answer)),
            () = done.closed() => {}
        }
    });
    started.map_err(|error| no_thread(&error))?;
    answer.await.unwrap_or_else(|_| {
        Err(Failure::new(format!(
            "could not {what}: a thread ended early"
        )))
    })
}

/// The error when the system gives no thread.
pub fn no_thread(error: &io::Error) -> Failure {
    Failure::new(format!("could not start a thread: {error}"))
}
