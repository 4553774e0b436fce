//! The credentials table, row by row, with the exchange against a STS that evaluates the role's trust policy.
//! It checks no signature and no expiry of tokens; the tests that need those play STS's answer instead and say so.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use shared::testing::{Fault, Output, Recorded, unique, uuid};

use crate::step::{Step, last_line};

const KEYS: [(&str, &str); 2] = [
    ("AWS_ACCESS_KEY_ID", "test"),
    ("AWS_SECRET_ACCESS_KEY", "test"),
];
/// Keys that no account knows: a run that used them would fail.
const WRONG_KEYS: [(&str, &str); 2] = [
    ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
    ("AWS_SECRET_ACCESS_KEY", "c2FtcGxlL3NlY3JldC9vZi9ub2JvZHk"),
];
const IS_OFF: &str =
    r#"Parameter "oidc: true" in the step configuration is required for OIDC authentication"#;

fn step() -> Step {
    let step = Step::new();
    step.file("index.html", "<h1>hello</h1>");
    step
}

fn assert_deployed(step: &Step, output: &Output) {
    assert_eq!(output.code, Some(0), "{}", output.plain());
    assert_eq!(step.keys(), ["index.html"]);
}

/// Refused, with nothing asked of S3: neither with the session nor with the keys.
fn assert_refused(step: &Step, output: &Output, texts: &[&str]) {
    let plain = output.plain();
    assert_eq!(output.code, Some(1), "{plain}");
    for text in texts {
        assert!(plain.contains(text), "{text:?} is missing in:\n{plain}");
    }
    assert_eq!(step.s3_requests(), Vec::<String>::new());
    assert_eq!(last_line(&plain), "  nothing was changed");
}

#[test]
fn row_1_the_token_buys_a_session_of_the_role() {
    let step = step();
    let output = step.pipe().run();
    assert_deployed(&step, &output);
    let role = step.role.rsplit('/').next().unwrap();
    let identity = format!(
        "Authenticated as arn:aws:sts::000000000000:assumed-role/{role}/bitbucket-site-7 (OIDC, until "
    );
    assert!(output.plain().contains(&identity), "{}", output.plain());
    assert_eq!(step.sts_requests("AssumeRoleWithWebIdentity"), 1);
}

#[test]
fn row_2_superfluous_keys_are_named_and_not_used() {
    let step = step();
    let output = step.pipe().envs(WRONG_KEYS).run();
    assert_deployed(&step, &output);
    assert!(output.plain().contains(
        "WARNING: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY can now be deleted: OIDC is used, and the keys are not"
    ));
    assert!(!output.plain().contains("AKIAIOSFODNN7EXAMPLE"));
}

#[test]
fn row_3_without_the_token_the_keys_are_used_with_the_known_warning() {
    let step = step();
    let output = step
        .pipe_without_credentials()
        .env("AWS_OIDC_ROLE_ARN", &step.role)
        .envs(KEYS)
        .run();
    assert_deployed(&step, &output);
    assert!(output.plain().contains(&format!("WARNING: {IS_OFF}")));
    assert!(
        output
            .plain()
            .contains("Authenticated as access key …test (access keys)")
    );
    assert_eq!(step.sts_requests("AssumeRoleWithWebIdentity"), 0);
}

#[test]
fn row_4_without_token_and_keys_the_line_of_the_step_is_named() {
    let step = step();
    let clone = tempfile::tempdir().unwrap();
    std::fs::write(
        clone.path().join("bitbucket-pipelines.yml"),
        "pipelines:\n  default:\n    - step:\n        name: Deploy\n        script:\n          - pipe: acme/s3-deploy:1.0.0\n",
    )
    .unwrap();
    for half in [None, Some(KEYS[0])] {
        let pipe = step
            .pipe_without_credentials()
            .env("AWS_OIDC_ROLE_ARN", &step.role);
        let output = pipe.envs(half).current_dir(clone.path()).run();
        let place =
            "hint: add `oidc: true` to the step `Deploy` in line 3 of bitbucket-pipelines.yml";
        assert_refused(&step, &output, &[IS_OFF, place]);
    }
}

#[test]
fn row_5_without_a_role_the_keys_are_used() {
    let step = step();
    let output = step
        .pipe_without_credentials()
        .env("BITBUCKET_STEP_OIDC_TOKEN", step.token())
        .envs(KEYS)
        .run();
    assert_deployed(&step, &output);
    assert!(
        output
            .plain()
            .contains("INFO: oidc-migrate takes a pipeline from these keys to OIDC")
    );
}

#[test]
fn row_6_a_token_without_a_role_asks_for_the_role() {
    let step = step();
    let output = step
        .pipe_without_credentials()
        .env("BITBUCKET_STEP_OIDC_TOKEN", step.token())
        .run();
    assert_refused(&step, &output, &["hint: set AWS_OIDC_ROLE_ARN"]);
}

#[test]
fn row_7_half_a_key_pair_names_the_other_half() {
    let step = step();
    let output = step.pipe_without_credentials().envs([KEYS[0]]).run();
    assert_refused(
        &step,
        &output,
        &["AWS_SECRET_ACCESS_KEY:\n- required field"],
    );
    let output = step.pipe_without_credentials().envs([KEYS[1]]).run();
    assert_refused(&step, &output, &["AWS_ACCESS_KEY_ID:\n- required field"]);
}

#[test]
fn row_8_nothing_at_all_lists_both_ways() {
    let step = step();
    let output = step.pipe_without_credentials().run();
    let names = [
        "AWS_OIDC_ROLE_ARN:\n- required field",
        "AWS_ACCESS_KEY_ID:\n- required field",
    ];
    assert_refused(&step, &output, &names);
}

/// Row 9, in the ways a trust policy can refuse; the keys at hand would work and must not be used.
fn assert_diagnosed(step: &Step, role: &str, token: &str, texts: &[&str]) {
    let pipe = step.pipe_without_credentials().envs(KEYS);
    let output = pipe
        .env("AWS_OIDC_ROLE_ARN", role)
        .env("BITBUCKET_STEP_OIDC_TOKEN", token)
        .run();
    let unused = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are set and were not used";
    let refused = format!(
        "✖ could not assume role `{role}` with the OIDC token of the step: AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity"
    );
    assert_refused(
        step,
        &output,
        &[&[refused.as_str(), unused], texts].concat(),
    );
    assert_eq!(
        step.sts_requests("AssumeRoleWithWebIdentity"),
        1,
        "a refusal is final"
    );
}

#[test]
fn row_9_wrong_subject_gets_the_statement_that_admits_it() {
    let step = step();
    let other = uuid();
    let token = step.issuer.step(&other);
    let subject = format!("sub  {}  (repository, step)", token.subject());
    let provider = format!(
        "\"Federated\": \"arn:aws:iam::000000000000:oidc-provider/{}\"",
        step.issuer.provider()
    );
    let audience = format!(
        "\"{}:aud\": \"{}\"",
        step.issuer.provider(),
        step.issuer.audience()
    );
    let admits = format!("\"{}:sub\": \"{other}:*\"", step.issuer.provider());
    let first = "1. the trust policy names another repository, or an environment";
    assert_diagnosed(
        &step,
        &step.role,
        &token.sign(),
        &[&subject, first, &provider, &audience, &admits],
    );
}

#[test]
fn row_9_other_environment_gets_a_statement_for_it_and_one_for_all() {
    let step = Step::admitting(
        |repository, environment| format!("{repository}:{environment}:*"),
        |_| None,
    );
    step.file("index.html", "");
    let other = uuid();
    let token = step
        .issuer
        .step(&step.repository)
        .environment(&other)
        .sign();
    let this = format!(":sub\": \"{}:{other}:*\"", step.repository);
    let any = format!(":sub\": \"{}:*\"", step.repository);
    assert_diagnosed(
        &step,
        &step.role,
        &token,
        &["this step's environment", &this, "every step", &any],
    );
    // The environment that it names gets in.
    let token = step
        .issuer
        .step(&step.repository)
        .environment(&step.environment)
        .sign();
    let pipe = step
        .pipe_without_credentials()
        .env("AWS_OIDC_ROLE_ARN", &step.role);
    assert_deployed(&step, &pipe.env("BITBUCKET_STEP_OIDC_TOKEN", token).run());
}

#[test]
fn row_9_wrong_audience_is_the_first_cause() {
    let step = step();
    let token = step
        .issuer
        .step(&step.repository)
        .audiences(&["sts.amazonaws.com"])
        .sign();
    assert_diagnosed(
        &step,
        &step.role,
        &token,
        &["1. the audience is not that of the claimed workspace"],
    );
}

#[test]
fn row_9_an_absent_role_is_among_the_causes() {
    let step = step();
    let role = "arn:aws:iam::000000000000:role/nobody-made-this";
    let cause = format!("there is no role `{role}` in account 000000000000");
    assert_diagnosed(&step, role, &step.token(), &[&cause]);
}

#[test]
fn row_9_a_token_of_another_issuer_is_no_reason_to_open_a_policy() {
    let step = step();
    let github = "https://token.actions.githubusercontent.com";
    let token = step
        .issuer
        .step(&step.repository)
        .claim("iss", github)
        .claim("mood", "good")
        .sign();
    let pipe = step.pipe().env("BITBUCKET_STEP_OIDC_TOKEN", token);
    let output = pipe.run();
    let first = format!("1. the token was not issued by Bitbucket Pipelines but by `{github}`");
    let unknown = "claims that Bitbucket's tokens were not known to have: mood";
    assert_refused(&step, &output, &[&first, unknown]);
    assert!(!output.plain().contains("\"Federated\""));
}

#[test]
fn a_malformed_token_is_refused_before_any_request() {
    let step = step();
    let no_subject = step
        .issuer
        .step(&step.repository)
        .claim("sub", serde_json::Value::Null)
        .sign();
    let odd_expiry = step
        .issuer
        .step(&step.repository)
        .claim("exp", "tomorrow")
        .sign();
    for (token, text) in [
        (
            "not-a-token",
            "is not a JSON Web Token: it has 1 parts instead of 3",
        ),
        (
            "eyJhbGciOiJub25lIn0.!!!.c2ln",
            "is not a JSON Web Token: its claims part is not base64url",
        ),
        (no_subject.as_str(), "has no `sub` claim"),
        (
            odd_expiry.as_str(),
            "has a claim `exp` that is not a whole number of seconds",
        ),
    ] {
        let output = step
            .pipe()
            .envs(KEYS)
            .env("BITBUCKET_STEP_OIDC_TOKEN", token)
            .run();
        assert_refused(&step, &output, &["BITBUCKET_STEP_OIDC_TOKEN:", text]);
        assert!(step.proxy.requests().is_empty());
    }
}

#[test]
fn an_expired_token_is_refused_before_any_request() {
    let step = step();
    let token = step
        .issuer
        .step(&step.repository)
        .times(-7200, -3600)
        .sign();
    let output = step
        .pipe()
        .envs(KEYS)
        .env("BITBUCKET_STEP_OIDC_TOKEN", token)
        .run();
    assert_refused(&step, &output, &["expired 36", "a step gets one token"]);
    assert!(step.proxy.requests().is_empty());
}

fn sts_error(code: &str, message: &str) -> String {
    format!(
        "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
    )
}

fn is_exchange(request: &Recorded) -> bool {
    request.action == "AssumeRoleWithWebIdentity"
}

/// The local AWS checks no expiry, so its answer is played: a token that this machine takes for valid may
/// be too old for AWS.
#[test]
fn what_sts_alone_can_know_is_explained_and_final() {
    for (status, code, message, cause) in [
        (
            400,
            "ExpiredTokenException",
            "Token expired: current date/time must be before the expiration date/time",
            "1. the token is too old",
        ),
        (
            400,
            "InvalidIdentityToken",
            "No OpenIDConnect provider found in your account for https://api.bitbucket.org/x",
            "1. account 000000000000 has no identity provider",
        ),
        (
            400,
            "InvalidIdentityToken",
            "Incorrect token audience",
            "1. the identity provider does not list the audience",
        ),
    ] {
        let body = sts_error(code, message);
        let step = Step::with(move |request| {
            is_exchange(request).then(|| Fault::Status(status, body.clone()))
        });
        step.file("index.html", "");
        let output = step.pipe().envs(KEYS).run();
        assert_refused(&step, &output, &[&format!("{code}: {message}"), cause]);
        assert_eq!(
            step.sts_requests("AssumeRoleWithWebIdentity"),
            1,
            "{code} is final"
        );
    }
}

/// Played as well: the local AWS has no trouble with keys, and no bad moments.
#[test]
fn what_passes_by_itself_is_tried_again() {
    for (status, code, message) in [
        (
            400,
            "InvalidIdentityToken",
            "Couldn't retrieve verification key from your identity provider, please reference AssumeRoleWithWebIdentity documentation for requirements",
        ),
        (
            400,
            "IDPCommunicationError",
            "The identity provider could not be reached",
        ),
        (400, "Throttling", "Rate exceeded"),
        (503, "ServiceUnavailable", "busy"),
    ] {
        let asked = AtomicUsize::new(0);
        let body = sts_error(code, message);
        let step = Step::with(move |request| {
            let fails = is_exchange(request) && asked.fetch_add(1, Ordering::Relaxed) < 2;
            fails.then(|| Fault::Status(status, body.clone()))
        });
        step.file("index.html", "");
        assert_deployed(&step, &step.pipe().run());
        assert_eq!(step.sts_requests("AssumeRoleWithWebIdentity"), 3, "{code}");
    }
}

/// Played: the local AWS gives any duration.
#[test]
fn a_role_that_gives_only_an_hour_is_asked_for_an_hour() {
    let asked = AtomicUsize::new(0);
    let body = sts_error(
        "ValidationError",
        "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
    );
    let step = Step::with(move |request| {
        let fails = is_exchange(request) && asked.fetch_add(1, Ordering::Relaxed) == 0;
        fails.then(|| Fault::Status(400, body.clone()))
    });
    step.file("index.html", "");
    let output = step.pipe().env("TIMEOUT", "7200").run();
    assert_deployed(&step, &output);
    let warning = "WARNING: the role does not give a session of 7200 s, so 3600 s are asked for";
    assert!(output.plain().contains(warning), "{}", output.plain());
    assert_eq!(step.sts_requests("AssumeRoleWithWebIdentity"), 2);
}

#[test]
fn blank_and_unexpanded_roles_are_absent() {
    for role in ["", "  ", "$AWS_OIDC_ROLE_ARN", "${AWS_OIDC_ROLE_ARN}"] {
        let step = step();
        let output = step.pipe().env("AWS_OIDC_ROLE_ARN", role).envs(KEYS).run();
        assert_deployed(&step, &output);
        assert_eq!(
            step.sts_requests("AssumeRoleWithWebIdentity"),
            0,
            "{role:?}"
        );
        step.proxy.clear();
        let output = step.pipe().env("AWS_OIDC_ROLE_ARN", role).run();
        assert_refused(&step, &output, &["AWS_OIDC_ROLE_ARN:\n- required field"]);
    }
}

#[test]
fn oidc_only_never_uses_keys() {
    let step = step();
    let only = || {
        step.pipe_without_credentials()
            .env("OIDC_ONLY", "true")
            .envs(KEYS)
    };
    assert_refused(&step, &only().run(), &["since OIDC_ONLY is true"]);
    assert_refused(
        &step,
        &only().env("AWS_OIDC_ROLE_ARN", &step.role).run(),
        &[IS_OFF],
    );
    assert_deployed(
        &step,
        &step.pipe().env("OIDC_ONLY", "true").envs(KEYS).run(),
    );
}

#[test]
fn oidc_fallback_uses_keys_of_the_same_account_with_the_diagnosis_as_a_warning() {
    let step = step();
    let token = step.issuer.step(&uuid()).sign();
    let pipe = step.pipe().env("OIDC_FALLBACK", "true").envs(KEYS);
    let output = pipe.env("BITBUCKET_STEP_OIDC_TOKEN", token).run();
    assert_deployed(&step, &output);
    let plain = output.plain();
    assert!(plain.contains("WARNING: could not assume role"), "{plain}");
    assert!(
        plain.contains("OIDC_FALLBACK is true, so the access keys are used"),
        "{plain}"
    );
    assert!(
        plain.contains("Authenticated as arn:aws:iam::000000000000:root (access keys)"),
        "{plain}"
    );
}

#[test]
fn oidc_fallback_refuses_keys_of_another_account() {
    let step = step();
    let token = step.issuer.step(&uuid()).sign();
    let keys = [
        ("AWS_ACCESS_KEY_ID", "111111111111"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
    ];
    let pipe = step.pipe().env("OIDC_FALLBACK", "true").envs(keys);
    let output = pipe.env("BITBUCKET_STEP_OIDC_TOKEN", token).run();
    let text = "OIDC_FALLBACK was not followed: the access keys belong to `arn:aws:iam::111111111111:root`, not to account 000000000000";
    assert_refused(&step, &output, &["✖ could not assume role", text]);
}

#[test]
fn another_account_is_refused_before_the_first_change() {
    let step = step();
    let output = step
        .pipe()
        .env("AWS_ALLOWED_ACCOUNT_IDS", "111111111111 222222222222")
        .run();
    assert_refused(
        &step,
        &output,
        &["AWS_ALLOWED_ACCOUNT_IDS does not list its account"],
    );
    assert!(step.proxy.requests().is_empty());
    let pipe = step
        .pipe_without_credentials()
        .envs(KEYS)
        .env("AWS_ALLOWED_ACCOUNT_IDS", "111111111111");
    assert_refused(
        &step,
        &pipe.run(),
        &["`arn:aws:iam::000000000000:root`, whose account AWS_ALLOWED_ACCOUNT_IDS does not list"],
    );
    let listed = [
        ("AWS_ALLOWED_ACCOUNT_IDS_COUNT", "1"),
        ("AWS_ALLOWED_ACCOUNT_IDS_0", "000000000000"),
    ];
    assert_deployed(&step, &step.pipe().envs(listed).run());
}

#[test]
fn a_chain_ends_in_the_last_role() {
    let step = step();
    // The first role may only assume the second, which may only be assumed by the first, and deploys.
    let (first, second) = (unique("first"), unique("second"));
    let trust = step
        .aws
        .trust_policy(&step.issuer, &format!("{}:*", step.repository));
    let first_arn = step.aws.create_role(&first, &trust);
    let second_arn = step.aws.create_role(
        &second,
        &json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": {"AWS": &first_arn}, "Action": "sts:AssumeRole"}
        ]}),
    );
    let allow = |action: &str, resource: &str| json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": resource}]});
    step.aws
        .put_role_policy(&first, &allow("sts:AssumeRole", &second_arn));
    step.aws.put_role_policy(&second, &allow("s3:*", "*"));
    let output = step
        .pipe()
        .env("AWS_OIDC_ROLE_ARN", &first_arn)
        .env("AWS_ROLE_CHAIN", &second_arn)
        .run();
    assert_deployed(&step, &output);
    let identity =
        format!("assumed-role/{second}/bitbucket-site-7 (OIDC, then AWS_ROLE_CHAIN, until ");
    assert!(output.plain().contains(&identity), "{}", output.plain());

    step.proxy.clear();
    let nobody = "arn:aws:iam::000000000000:role/nobody-made-this";
    let output = step
        .pipe()
        .env("AWS_OIDC_ROLE_ARN", &first_arn)
        .env("AWS_ROLE_CHAIN", nobody)
        .run();
    assert_refused(
        &step,
        &output,
        &[
            "could not assume role `arn:aws:iam::000000000000:role/nobody-made-this` of AWS_ROLE_CHAIN",
            "hint: allow `sts:AssumeRole`",
        ],
    );
}

#[test]
fn a_session_name_of_ones_own_is_used() {
    let step = step();
    let output = step.pipe().env("AWS_ROLE_SESSION_NAME", "release@7").run();
    assert_deployed(&step, &output);
    assert!(
        output.plain().contains("/release@7 (OIDC"),
        "{}",
        output.plain()
    );
}
