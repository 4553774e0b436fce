//! Words and values for the end of a run: the sentences that users of the existing pipe look for, the output variables.

use std::collections::BTreeMap;

use crate::config::Config;
use crate::follow::{Ending, Track};
use crate::rollout::Verdict;
use crate::service::short;

/// The page of a service in AWS's console, by the address that the existing pipe gives.
pub fn console_url(region: &str, config: &Config, service: &str) -> String {
    format!(
        "https://console.aws.amazon.com/ecs/home?region={region}#/clusters/{}/services/{}/details",
        config.cluster.name(),
        short(service)
    )
}

/// What is said of services that were updated; the words are the existing pipe's, with its slip.
pub fn success(region: &str, config: &Config, names: &[&str]) -> String {
    let pages: Vec<String> = names
        .iter()
        .map(|name| console_url(region, config, name))
        .collect();
    let names: Vec<&str> = names.iter().map(|name| short(name)).collect();
    format!(
        "Successfully updated the {} service{}. You can check you service here: \n{}",
        names.join(", "),
        if names.len() == 1 { "" } else { "s" },
        pages.join("\n")
    )
}

/// Output variables for later steps.
pub fn variables(
    region: &str,
    config: &Config,
    definition: &str,
    previous: Option<&str>,
    deployments: &[&str],
) -> BTreeMap<&'static str, String> {
    let pages: Vec<String> = config
        .services
        .iter()
        .map(|name| console_url(region, config, name))
        .collect();
    let mut variables = BTreeMap::from([
        ("ECS_DEPLOY_TASK_DEFINITION_ARN", definition.to_owned()),
        ("ECS_DEPLOY_CONSOLE_URL", pages.join(" ")),
    ]);
    if let Some(previous) = previous {
        variables.insert(
            "ECS_DEPLOY_PREVIOUS_TASK_DEFINITION_ARN",
            previous.to_owned(),
        );
    }
    if !deployments.is_empty() {
        variables.insert("ECS_DEPLOY_DEPLOYMENT_ID", deployments.join(" "));
    }
    variables
}

/// Why a service is not deployed, in one sentence, and what to do about it; `goes_back` if the pipe rolls back next.
pub fn sentence(track: &Track, timeout_seconds: u64, goes_back: bool) -> (String, Option<String>) {
    let (name, id, who) = (&track.name, track.ours.id(), track.ours.who());
    let deployment = format!("the deployment `{id}` of `{name}`");
    match &track.ending {
        Some(Ending::CrashLoop(group)) => (
            format!(
                "{deployment} is in a crash loop: {} of its tasks stopped for the same cause, {}",
                group.tasks.len(),
                group.cause.headline()
            ),
            (!goes_back).then(|| {
                format!("{who} goes on trying; with ROLLBACK: true the pipe would go back to the last successful deployment now")
            }),
        ),
        Some(Ending::Timeout(seen)) => (
            format!(
                "gave up waiting for `{name}` after {timeout_seconds} s, the limit that WAIT_TIMEOUT sets: {seen}"
            ),
            Some(format!(
                "{who} goes on with the deployment; raise WAIT_TIMEOUT if it needs longer"
            )),
        ),
        Some(Ending::Verdict(verdict)) => of_verdict(&deployment, track, verdict),
        None => (format!("{deployment} was not waited for to its end"), None),
    }
}

fn of_verdict(deployment: &str, track: &Track, verdict: &Verdict) -> (String, Option<String>) {
    match verdict {
        Verdict::Done | Verdict::Waiting(_) => (format!("{deployment} completed"), None),
        Verdict::Failed(why) => (format!("{deployment} failed: {why}"), None),
        Verdict::RolledBack { why, to } => {
            let to = if to.is_empty() {
                String::new()
            } else if to == short(&track.ours.task_definition) {
                format!(", to the same revision `{to}` as it ran before")
            } else {
                format!(", to `{to}`")
            };
            let who = track.ours.who();
            (
                format!("{deployment} failed and {who} rolled it back{to}: {why}"),
                None,
            )
        }
        Verdict::RollbackFailed(why) => (
            format!("{deployment} failed, and the way back failed too: {why}"),
            Some("look at the service in the console: neither version may be whole".to_owned()),
        ),
        Verdict::Superseded(other) => (
            format!(
                "{deployment} was superseded by `{other}` before it completed: another deploy took over the service"
            ),
            Some("the service runs what the other deploy says; let deploys of one environment follow each other, with `deployment` on the step".to_owned()),
        ),
        Verdict::Stopped(why) => (format!("{deployment} was stopped: {why}"), None),
    }
}
