//! `iam --apply` in an account that has nothing of it yet, under every fault of the table and under signals at random
//! moments. `FAULTS=all` tries the whole table (`ci/bench/faults.sh`), `KILLED_RUNS=200` more signals (`ci/bench/killed.sh`).

use std::time::Duration;

use shared::testing::{Focus, Pipe, Proxy, Recorded, Subject, Things, Trap, kill, tried};

use crate::place::{FILE, Place};

/// IAM is waited for by attempts and not by one limit: three of them without an answer take three minutes.
const DEADLINE: Duration = Duration::from_mins(8);
const ENVIRONMENTS: [&str; 2] = ["production", "staging"];

/// A provider and two roles about to be made.
struct Account(Place);

impl Account {
    fn role(&self, environment: &str) -> String {
        format!("bitbucket-{}-{environment}", self.0.slug)
    }

    /// What IAM has, as it says it; nothing if there is no such thing.
    fn ask(&self, action: &str, parameters: &[(&str, &str)]) -> Option<String> {
        let answer = self.0.aws.ask_iam(action, parameters);
        (answer.status == 200).then(|| answer.text())
    }

    fn trust(&self, role: &str) -> Option<String> {
        self.ask("GetRole", &[("RoleName", role)])
    }

    fn policy(&self, role: &str) -> Option<String> {
        let parameters = [("RoleName", role), ("PolicyName", "deploy")];
        self.ask("GetRolePolicy", &parameters)
    }
}

impl Subject for Account {
    const PIPE: &'static str = "oidc-migrate";

    fn new(trap: Trap) -> Self {
        Self(Place::of(FILE, move |request| trap.fault(request)))
    }

    fn pipe(&self) -> Pipe<'_> {
        self.0.as_administrator(&["iam", "--apply", "--yes"])
    }

    fn proxy(&self) -> &Proxy {
        &self.0.proxy
    }

    fn call(request: &Recorded) -> String {
        request.operation()
    }

    fn things(&self) -> Things {
        let provider = self.0.issuer.provider();
        let arn = format!("arn:aws:iam::000000000000:oidc-provider/{provider}");
        let parameters = [("OpenIDConnectProviderArn", arn.as_str())];
        let mut things = Things::new();
        if let Some(text) = self.ask("GetOpenIDConnectProvider", &parameters) {
            let has_audience = text.contains(&self.0.issuer.audience());
            things.insert(provider, format!("with the audience: {has_audience}"));
        }
        for role in ENVIRONMENTS.map(|environment| self.role(environment)) {
            if self.trust(&role).is_some() {
                let policy = self.policy(&role).is_some();
                things.insert(role, format!("with a policy: {policy}"));
            }
        }
        things
    }

    fn is_wrong(&self, things: &Things) -> Option<String> {
        if things.len() != 3 || things.values().any(|thing| thing.ends_with("false")) {
            return Some(format!("the account has {things:?}"));
        }
        ENVIRONMENTS.into_iter().find_map(|environment| {
            let policy = self.policy(&self.role(environment))?;
            (!policy.contains(&self.0.bucket)).then(|| format!("a role may do {policy}"))
        })
    }

    /// A role without its policy may do nothing; the next run goes on with it.
    fn left_behind(&self) -> Vec<String> {
        Vec::new()
    }

    /// A role lets in the steps of its repository and nobody else, from its first moment on.
    fn is_broken(&self) -> Option<String> {
        let repository = self.0.repository.trim_matches(['{', '}']);
        ENVIRONMENTS.into_iter().find_map(|environment| {
            let trust = self.trust(&self.role(environment))?;
            (!trust.contains(repository)).then(|| format!("{environment} trusts {trust}"))
        })
    }
}

#[test]
fn an_account_under_faults() {
    tried::<Account>(Focus::here("CreateRole"), DEADLINE);
}

#[test]
fn an_account_whose_changes_are_killed() {
    kill::<Account>(6, DEADLINE);
}
