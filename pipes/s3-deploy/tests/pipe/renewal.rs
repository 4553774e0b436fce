//! Sessions that end while a run goes on. The local AWS gives no session shorter than the pause before a renewal,
//! so both STS and the listing are played here: what counts is when STS is asked again, and what is said.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use shared::diagnosis::utc;
use shared::testing::{Fault, Output, Recorded};

use crate::step::Step;

const EMPTY_LIST: &str = "<ListBucketResult><Name>site</Name><KeyCount>0</KeyCount><IsTruncated>false</IsTruncated></ListBucketResult>";

fn session_for(seconds: u64) -> String {
    let end = utc(SystemTime::now() + Duration::from_secs(seconds));
    format!(
        "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>\
         <AccessKeyId>ASIASAMPLE</AccessKeyId><SecretAccessKey>played-secret-key</SecretAccessKey>\
         <SessionToken>played-session-token</SessionToken><Expiration>{end}</Expiration></Credentials>\
         <AssumedRoleUser><Arn>arn:aws:sts::000000000000:assumed-role/deploy/s</Arn><AssumedRoleId>A:s</AssumedRoleId>\
         </AssumedRoleUser></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
    )
}

/// A step whose STS gives a first session that nearly ends, and then what `second` says.
fn step(first: u64, second: impl Fn() -> Fault + Send + Sync + 'static) -> Step {
    let asked = AtomicUsize::new(0);
    let step = Step::with(move |request: &Recorded| {
        if request.action != "AssumeRoleWithWebIdentity" {
            return Some(Fault::Status(200, EMPTY_LIST.to_owned()));
        }
        match asked.fetch_add(1, Ordering::Relaxed) {
            0 => Some(Fault::Status(200, session_for(first))),
            _ => Some(second()),
        }
    });
    step.file("index.html", "");
    step
}

/// One listing and nothing else.
fn dry_run(step: &Step) -> Output {
    let variables = [("MANIFEST", "false"), ("DRY_RUN", "true")];
    step.pipe().envs(variables).run()
}

#[test]
fn a_session_that_nearly_ends_is_renewed_before_it_does() {
    let step = step(120, || Fault::Status(200, session_for(3600)));
    let output = dry_run(&step);
    assert_eq!(output.code, Some(0), "{}", output.plain());
    assert!(
        output.plain().contains(
            "Renewed the session of arn:aws:sts::000000000000:assumed-role/deploy/s until"
        )
    );
    assert_eq!(step.sts_requests("AssumeRoleWithWebIdentity"), 2);
}

#[test]
fn a_session_that_lasts_is_bought_once() {
    let step = step(3600, || Fault::Reset);
    assert_eq!(dry_run(&step).code, Some(0));
    assert_eq!(step.sts_requests("AssumeRoleWithWebIdentity"), 1);
}

#[test]
fn a_token_that_has_ended_does_not_end_the_session_it_bought() {
    let refusal = "<ErrorResponse><Error><Code>ExpiredTokenException</Code><Message>Token expired</Message></Error></ErrorResponse>";
    let step = step(120, move || Fault::Status(400, refusal.to_owned()));
    let output = dry_run(&step);
    assert_eq!(output.code, Some(0), "{}", output.plain());
    assert!(
        output
            .plain()
            .contains("WARNING: could not renew the session, which ends in 1"),
        "{}",
        output.plain()
    );
}
