//! `doctor`.

use shared::testing::Pipe;

use crate::place::{FILE, Place};

#[test]
fn it_shows_the_claims_and_says_why_a_token_is_refused() {
    let place = Place::new();
    let token = place
        .issuer
        .step(&place.repository)
        .environment(&place.production);
    let subject = token.subject();
    let output = place.doctor(&token.sign(), &[]);
    let plain = output.plain();
    assert_eq!(output.code, Some(1), "{plain}");
    for text in [
        format!("sub  {subject}"),
        format!(
            "trust policy       StringLike on sub: {}:{}:*",
            place.repository, place.production
        ),
        "possible causes, the likeliest first".to_owned(),
    ] {
        assert!(plain.contains(&text), "{text} is not in\n{plain}");
    }
}

#[test]
fn keys_do_not_hide_a_token_that_is_refused() {
    let place = Place::new();
    let token = place.issuer.step(&place.repository).sign();
    let output = place
        .program(&["doctor"])
        .env("BITBUCKET_STEP_OIDC_TOKEN", token)
        .env("AWS_OIDC_ROLE_ARN", place.role("production"))
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("OIDC_FALLBACK", "true")
        .through(&place.proxy)
        .run();
    assert_eq!(output.code, Some(1), "{}", output.plain());
}

#[test]
fn without_a_token_it_names_the_steps_that_get_none() {
    let place = Place::new();
    let file = place.path().join("bitbucket-pipelines.yml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("        oidc: true\n", "")).unwrap();
    let output = place.program(&["doctor"]).run();
    let plain = output.plain();
    assert_eq!(output.code, Some(1), "{plain}");
    assert!(
        plain.contains("the step `Deploy` has no `oidc: true`"),
        "{plain}"
    );
}

#[test]
fn the_rights_that_a_role_lacks_are_named() {
    // The local AWS simulates without conditions, and a whole bucket needs none.
    let place = Place::with(&FILE.replace("/docs", ""));
    assert_eq!(
        place
            .as_administrator(&["iam", "--apply", "--yes"])
            .run()
            .code,
        Some(0)
    );
    let token = || {
        place
            .issuer
            .step(&place.repository)
            .environment(&place.production)
            .sign()
    };
    let told = place.told();
    let arguments: Vec<&str> = ["--simulate"]
        .into_iter()
        .chain(told.iter().map(String::as_str))
        .collect();
    let simulate = |allowed: &[&str]| {
        let bucket = format!("arn:aws:s3:::{}", place.bucket);
        let role = place.role("production");
        let name = role.rsplit('/').next().unwrap();
        // Besides the generated policy, which is of another name.
        place.aws.put_role_policy(
            name,
            &serde_json::json!({"Version": "2012-10-17", "Statement": [
                {"Effect": "Allow", "Action": "iam:SimulatePrincipalPolicy", "Resource": "*"},
                {"Effect": "Deny", "NotAction": allowed, "Resource": format!("{bucket}/*")},
            ]}),
        );
        place.doctor(&token(), &arguments)
    };
    let output = simulate(&["s3:*"]);
    assert_eq!(output.code, Some(0), "{}", output.plain());
    assert!(
        output.plain().contains("rights that were asked for"),
        "{}",
        output.plain()
    );
    let output = simulate(&["s3:PutObject", "s3:GetObject", "s3:AbortMultipartUpload"]);
    let plain = output.plain();
    assert_eq!(output.code, Some(1), "{plain}");
    assert!(
        plain.contains(&format!(
            "s3:DeleteObject on arn:aws:s3:::{}/*: a policy denies it",
            place.bucket
        )),
        "{plain}"
    );
}

#[test]
fn no_arguments_and_an_unknown_command_are_told() {
    let output = Pipe::new(env!("CARGO_BIN_EXE_oidc-migrate"))
        .env("COMMAND", "docter")
        .run();
    assert_eq!(output.code, Some(1));
    assert!(
        output
            .plain()
            .contains("unallowed value docter (one of `check`"),
        "{}",
        output.plain()
    );
}
