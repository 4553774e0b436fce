//! `iam --apply`.

use shared::testing::unique;

use crate::place::Place;

#[test]
fn it_creates_all_once_and_only_the_right_tokens_get_in() {
    let place = Place::new();
    let output = place.as_administrator(&["iam", "--apply", "--yes"]).run();
    let plain = output.plain();
    assert_eq!(output.code, Some(0), "{plain}");
    assert_eq!(
        place.changes(),
        [
            "CreateOpenIDConnectProvider",
            "CreateRole",
            "PutRolePolicy",
            "CreateRole",
            "PutRolePolicy"
        ]
    );
    let arn = place.role("production");
    assert!(
        plain.contains(&format!("AWS_OIDC_ROLE_ARN of production: {arn}")),
        "{plain}"
    );
    assert!(
        plain.contains("5 changes made in account 000000000000"),
        "{plain}"
    );

    place.proxy.clear();
    let output = place.as_administrator(&["iam", "--apply"]).run();
    assert_eq!(output.code, Some(0), "{}", output.plain());
    assert!(
        output.plain().contains("Unchanged: 2 roles"),
        "{}",
        output.plain()
    );
    assert_eq!(place.changes(), Vec::<String>::new());

    place.assert_only_production_gets_in();
}

#[test]
fn a_change_of_the_file_is_shown_and_made() {
    let place = Place::new();
    assert_eq!(
        place
            .as_administrator(&["iam", "--apply", "--yes"])
            .run()
            .code,
        Some(0)
    );
    let file = place.path().join("bitbucket-pipelines.yml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(
        &file,
        text.replace("DELETE_FLAG: 'true'", "DELETE_FLAG: 'false'"),
    )
    .unwrap();
    place.proxy.clear();
    let output = place.as_administrator(&["iam", "--apply", "--yes"]).run();
    let plain = output.plain();
    assert_eq!(output.code, Some(0), "{plain}");
    assert!(
        plain.contains("s3:DeleteObject"),
        "the difference is not shown:\n{plain}"
    );
    assert_eq!(place.changes(), ["PutRolePolicy", "PutRolePolicy"]);
}

#[test]
fn nothing_is_changed_before_somebody_has_agreed() {
    let place = Place::new();
    let output = place.as_administrator(&["iam", "--apply"]).run();
    let plain = output.plain();
    assert_eq!(output.code, Some(1), "{plain}");
    assert!(
        plain.contains("run it with --yes") && plain.contains("create     role"),
        "{plain}"
    );
    assert!(plain.ends_with("nothing was changed\n"), "{plain}");
    assert_eq!(place.changes(), Vec::<String>::new());
}

#[test]
fn blanks_and_another_account_are_refused_before_the_first_change() {
    let place = Place::new();
    let output = place
        .program(&["iam", "--apply", "--yes", "--workspace", "acme"])
        .run();
    let plain = output.plain();
    assert_eq!(output.code, Some(1), "{plain}");
    assert!(
        plain.contains("--environment 'production=UUID'")
            && plain.contains("--set 'staging:SITE_BUCKET=VALUE'"),
        "{plain}"
    );
    let output = place
        .as_administrator(&["iam", "--apply", "--yes", "--account", "111122223333"])
        .run();
    assert_eq!(output.code, Some(1), "{}", output.plain());
    assert!(
        output.plain().contains("--account says 111122223333"),
        "{}",
        output.plain()
    );
    assert_eq!(place.changes(), Vec::<String>::new());
}

#[test]
fn a_role_of_somebody_else_is_left_alone() {
    let place = Place::new();
    let name = format!("bitbucket-{}-production", place.slug);
    let others = serde_json::json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole",
    }]});
    let _ = place.aws.create_role(&name, &others);
    let output = place.as_administrator(&["iam", "--apply", "--yes"]).run();
    assert_eq!(output.code, Some(1), "{}", output.plain());
    assert!(
        output
            .plain()
            .contains("trusts others than Bitbucket Pipelines"),
        "{}",
        output.plain()
    );
    assert_eq!(place.changes(), Vec::<String>::new());
}

#[test]
fn a_refusal_in_the_middle_says_what_was_made() {
    use shared::testing::{Fault, Proxy};
    let place = Place::new();
    let denied = "<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>";
    let proxy = Proxy::with(place.aws.endpoint(), move |request| {
        (request.operation() == "PutRolePolicy").then(|| Fault::Status(403, denied.to_owned()))
    });
    let output = place
        .as_administrator(&["iam", "--apply", "--yes"])
        .through(&proxy)
        .run();
    let plain = output.plain();
    assert_eq!(output.code, Some(1), "{plain}");
    assert!(plain.contains("allow `iam:PutRolePolicy`"), "{plain}");
    assert!(
        plain.contains("created role 1") && plain.contains("created identity provider 1"),
        "{plain}"
    );
    assert!(!plain.contains(&unique("x")), "names are unique");
}

#[test]
fn the_profile_of_the_aws_tools_is_enough() {
    let place = Place::new();
    let home = place.path().join("home");
    std::fs::create_dir_all(home.join(".aws")).unwrap();
    std::fs::write(
        home.join(".aws/credentials"),
        "[admin]\naws_access_key_id = test\naws_secret_access_key = test\n",
    )
    .unwrap();
    let told = place.told();
    let arguments: Vec<&str> = ["iam", "--apply", "--yes"]
        .into_iter()
        .chain(told.iter().map(String::as_str))
        .collect();
    let run = |profile: &str| {
        let program = place.program(&arguments).through(&place.proxy);
        let home = home.display().to_string();
        program
            .env("HOME", home)
            .env("AWS_PROFILE", profile)
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .run()
    };
    let output = run("nobody");
    assert_eq!(output.code, Some(1), "{}", output.plain());
    assert!(
        output.plain().contains("aws configure export-credentials"),
        "{}",
        output.plain()
    );
    assert_eq!(place.changes(), Vec::<String>::new());
    let output = run("admin");
    assert_eq!(output.code, Some(0), "{}", output.plain());
}
