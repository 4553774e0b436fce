use std::collections::BTreeSet;

use shared::Environment;

use super::*;
use crate::iam::known::Given;
use crate::model::Variable;

fn known() -> Known {
    let given = Given {
        workspace: Some("acme".to_owned()),
        account: Some("123456789012".to_owned()),
        ..Given::default()
    };
    Known::new(given, &Environment::default(), Path::new("/nonexistent")).unwrap()
}

fn pipe(reference: &str, variables: &[(&str, &str)]) -> Pipe {
    let variable = |&(name, value): &(&str, &str)| Variable {
        name: name.to_owned(),
        line: 1,
        values: vec![value.to_owned()],
    };
    Pipe {
        line: 1,
        reference: reference.to_owned(),
        variables: variables.iter().map(variable).collect(),
        keys: crate::model::Keys::Defaults,
    }
}

fn rights_in(root: &Path, reference: &str, variables: &[(&str, &str)]) -> Rights {
    let (pipe, known) = (pipe(reference, variables), known());
    let at = Use {
        pipe: &pipe,
        environment: Some("production"),
        known: &known,
        root,
        to_ours: false,
    };
    at.rights()
}

fn policy(reference: &str, variables: &[(&str, &str)]) -> Policy {
    match rights_in(Path::new("/nonexistent"), reference, variables) {
        Rights::Policy(policy, _) => policy,
        other => panic!("{other:?}"),
    }
}

/// One line for each statement.
fn shown(policy: &Policy) -> String {
    let write = |text: &Text| {
        text.write(str::to_owned, |hole| match hole {
            Hole::Variable { name, .. } => format!("<{name}>"),
            hole => format!("<{hole:?}>"),
        })
    };
    let lines = policy.statements().iter().map(|statement| {
        let actions: Vec<&str> = statement.actions.iter().copied().collect();
        let resources: Vec<String> = statement.resources.iter().map(write).collect();
        let condition = statement
            .condition
            .as_ref()
            .map_or_else(String::new, |condition| {
                let values: Vec<String> = condition.values.iter().map(write).collect();
                format!(
                    " if {} {} {}",
                    condition.key,
                    condition.operator,
                    values.join(" ")
                )
            });
        format!(
            "{} on {}{condition}\n",
            actions.join(" "),
            resources.join(" ")
        )
    });
    lines.collect()
}

const REGION: (&str, &str) = ("AWS_DEFAULT_REGION", "eu-west-1");

#[test]
fn a_bucket_gets_its_prefix_and_what_the_variables_ask_for() {
    let bare = policy(
        "atlassian/aws-s3-deploy:1.1.0",
        &[REGION, ("S3_BUCKET", "site")],
    );
    insta::assert_snapshot!(shown(&bare), @r"
    s3:ListBucket on arn:aws:s3:::site
    s3:AbortMultipartUpload s3:PutObject on arn:aws:s3:::site/*
    ");
    let full = policy(
        "keylesspipes/s3-deploy:0.1.0",
        &[
            REGION,
            ("S3_BUCKET", "site/docs"),
            ("ACL", "public-read"),
            ("DELETE_FLAG", "$DELETE"),
            ("CLOUDFRONT_DISTRIBUTION_ID", "E1 E2"),
            ("EXTRA_ARGS", "--sse aws:kms --sse-kms-key-id 1234"),
        ],
    );
    insta::assert_snapshot!(shown(&full), @r"
    s3:ListBucket on arn:aws:s3:::site if s3:prefix StringLike docs/*
    s3:ListBucketMultipartUploads on arn:aws:s3:::site
    s3:AbortMultipartUpload s3:DeleteObject s3:GetObject s3:PutObject s3:PutObjectAcl on arn:aws:s3:::site/docs/*
    cloudfront:CreateInvalidation cloudfront:GetDistribution cloudfront:GetInvalidation on arn:aws:cloudfront::123456789012:distribution/E1 arn:aws:cloudfront::123456789012:distribution/E2
    kms:Decrypt kms:GenerateDataKey on arn:aws:kms:eu-west-1:123456789012:key/1234
    ");
    // A prefix that differs in each run, and a bucket that only the variable knows.
    let preview = policy(
        "keylesspipes/s3-deploy:0.1.0",
        &[("S3_BUCKET", "$PREVIEWS/pr/$BITBUCKET_PR_ID")],
    );
    insta::assert_snapshot!(shown(&preview), @r"
    s3:ListBucket on arn:aws:s3:::<PREVIEWS> if s3:prefix StringLike pr/*/*
    s3:ListBucketMultipartUploads on arn:aws:s3:::<PREVIEWS>
    s3:AbortMultipartUpload s3:GetObject s3:PutObject on arn:aws:s3:::<PREVIEWS>/pr/*/*
    ");
}

#[test]
fn china_and_government_have_partitions_of_their_own() {
    let china = policy(
        "atlassian/aws-s3-deploy:1.1.0",
        &[("AWS_DEFAULT_REGION", "cn-north-1"), ("S3_BUCKET", "site")],
    );
    assert!(shown(&china).contains("arn:aws-cn:s3:::site/*"));
}

#[test]
fn a_service_gets_its_cluster_and_the_roles_of_its_definition() {
    let folder = tempfile::tempdir().unwrap();
    let definition = r#"{"taskRoleArn": "arn:aws:iam::123456789012:role/shop-task", "executionRoleArn": "shop-execution",
        "containerDefinitions": [{"logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-group": "/shop"}}}]}"#;
    std::fs::write(folder.path().join("task.json"), definition).unwrap();
    let variables = [
        REGION,
        ("CLUSTER_NAME", "shop"),
        ("SERVICE_NAME", "web"),
        ("TASK_DEFINITION", "task.json"),
    ];
    let Rights::Policy(vendor, _) =
        rights_in(folder.path(), "atlassian/aws-ecs-deploy:1.6.2", &variables)
    else {
        panic!("no policy");
    };
    insta::assert_snapshot!(shown(&vendor), @r"
    ecs:RegisterTaskDefinition on *
    ecs:DescribeServices ecs:UpdateService on arn:aws:ecs:eu-west-1:123456789012:service/shop/web
    iam:PassRole on arn:aws:iam::123456789012:role/shop-task arn:aws:iam::123456789012:role/shop-execution if iam:PassedToService StringEquals ecs-tasks.amazonaws.com
    ");
    let variables = [&variables[..], &[("WAIT", "true")]].concat();
    let Rights::Policy(ours, _) =
        rights_in(folder.path(), "keylesspipes/ecs-deploy:0.1.0", &variables)
    else {
        panic!("no policy");
    };
    let ours = shown(&ours);
    for line in [
        "logs:GetLogEvents on arn:aws:logs:eu-west-1:123456789012:log-group:/shop:*",
        "ecs:ListTasks on * if ecs:cluster ArnEquals arn:aws:ecs:eu-west-1:123456789012:cluster/shop",
        "ecs:DescribeTasks on arn:aws:ecs:eu-west-1:123456789012:task/shop/*",
    ] {
        assert!(ours.contains(line), "{line} is not in\n{ours}");
    }
}

#[test]
fn a_function_gets_its_versions_and_aliases() {
    let update = policy(
        "atlassian/aws-lambda-deploy:1.3.0",
        &[
            REGION,
            ("FUNCTION_NAME", "orders"),
            ("COMMAND", "update"),
            ("ZIP_FILE", "a.zip"),
        ],
    );
    insta::assert_snapshot!(shown(&update), @"lambda:GetFunction lambda:GetFunctionConfiguration lambda:PublishVersion lambda:UpdateFunctionCode on arn:aws:lambda:eu-west-1:123456789012:function:orders arn:aws:lambda:eu-west-1:123456789012:function:orders:*");
    let package = rights_in(
        Path::new("/"),
        "keylesspipes/lambda-deploy:0.1.0",
        &[("COMMAND", "package")],
    );
    assert!(matches!(package, Rights::Policy(policy, _) if policy.is_empty()));
}

#[test]
fn a_file_outside_the_checkout_is_not_read() {
    let (pipe, known) = (
        pipe(
            "keylesspipes/s3-deploy:0.1.0",
            &[("RULES_FILE", "/etc/passwd"), ("S3_BUCKET", "x")],
        ),
        known(),
    );
    let at = Use {
        pipe: &pipe,
        environment: None,
        known: &known,
        root: Path::new("/"),
        to_ours: false,
    };
    assert_eq!(at.file("RULES_FILE"), None);
    // What cannot be read may hold anything.
    let Rights::Policy(policy, _) = at.rights() else {
        panic!("no policy")
    };
    assert!(policy.actions().contains("s3:PutObjectTagging"));
}

#[test]
fn of_what_nobody_knows_no_policy_is_made() {
    let of = |reference| rights_in(Path::new("/"), reference, &[]);
    assert!(
        matches!(of("atlassian/aws-cloudformation-deploy:0.20.1"), Rights::Unknown(why) if why.contains("template"))
    );
    assert!(matches!(of("acme/terraform:1.0.0"), Rights::Unknown(_)));
    let plain = Pipe {
        keys: crate::model::Keys::None,
        ..pipe("atlassian/slack-notify:2.0.0", &[])
    };
    let known = known();
    let at = Use {
        pipe: &plain,
        environment: None,
        known: &known,
        root: Path::new("/"),
        to_ours: false,
    };
    assert!(matches!(at.rights(), Rights::NotAws));
}

#[test]
fn a_chain_of_roles_needs_only_its_beginning() {
    let chain = policy(
        "keylesspipes/s3-deploy:0.1.0",
        &[
            ("S3_BUCKET", "site"),
            (
                "AWS_ROLE_CHAIN",
                "arn:aws:iam::210987654321:role/a arn:aws:iam::210987654321:role/b",
            ),
        ],
    );
    assert_eq!(
        shown(&chain),
        "sts:AssumeRole on arn:aws:iam::210987654321:role/a\n"
    );
}

/// Permissions that no request of a pipe is named by: AWS asks for them itself while it answers another request.
const WITHIN: &[&str] = &[
    // RegisterTaskDefinition, RunTask, CreateFunction and PutTargets hand roles over.
    "iam:PassRole",
    // A chain of roles is followed by the crate that all pipes share; the tests of s3-deploy do it.
    "sts:AssumeRole",
    // S3 encrypts and decrypts with the caller's rights.
    "kms:Decrypt",
    "kms:GenerateDataKey",
    // CreateDeployment looks at and registers what it is to deploy.
    "codedeploy:GetApplicationRevision",
    "codedeploy:GetDeploymentConfig",
    "codedeploy:RegisterApplicationRevision",
    // Lambda looks with the caller's rights whether it may pull an image.
    "ecr:BatchGetImage",
    "ecr:GetDownloadUrlForLayer",
    "ecr:GetRepositoryPolicy",
    // Lambda reads the archive in a bucket with the caller's rights.
    "s3:GetObjectVersion",
    // Without it S3 answers 403, not 404, for an object that is not there.
    "s3:ListBucket",
];

/// What is no right that the pipe needs: calls for a hint only, whose refusal changes nothing, and rights of others.
const FOR_A_HINT: &[&str] = &[
    // The names of other functions, when the one that is meant does not exist.
    "lambda:ListFunctions",
    // Given to those who call a function's URL.
    "lambda:InvokeFunctionUrl",
];

/// Every variable that adds a right, with each command.
fn all_rights(name: &str) -> BTreeSet<&'static str> {
    let (commands, variables): (&[&str], &[&str]) = match name {
        "s3-deploy" => (
            &[""],
            &[
                "S3_BUCKET",
                "ACL",
                "DELETE_FLAG",
                "RULES_FILE",
                "CLOUDFRONT_DISTRIBUTION_ID",
                "RETAIN",
            ],
        ),
        "ecs-deploy" => (
            &["deploy", "run-task", "rollback", "diff", "status"],
            &[
                "WAIT",
                "RUN_TASK_BEFORE",
                "CREATE_SERVICE",
                "TAGS",
                "PAUSE_HOOK",
                "PIN_DIGEST",
                "SCHEDULES",
                "KEEP_REVISIONS",
                "CODEDEPLOY_APPLICATION",
            ],
        ),
        _ => (
            &["update", "alias", "deploy", "rollback"],
            &[
                "ALIAS",
                "MEMORY_SIZE",
                "SMOKE_TEST",
                "CREATE",
                "TAGS",
                "RESERVED_CONCURRENCY",
                "PROVISIONED_CONCURRENCY",
                "FUNCTION_URL",
                "KEEP_VERSIONS",
                "ROLE",
                "LAYER_NAME",
                "ARTIFACT_BUCKET",
                "S3_BUCKET",
                "S3_OBJECT_VERSION",
                "IMAGE_URI",
                "CANARY",
                "ALARMS",
                "CODEDEPLOY_GROUP",
            ],
        ),
    };
    let mut actions = BTreeSet::new();
    for command in commands {
        let variables: Vec<(&str, &str)> = variables
            .iter()
            .map(|&name| (name, "true"))
            .chain([("COMMAND", *command)])
            .collect();
        actions.extend(policy(&format!("keylesspipes/{name}:0.1.0"), &variables).actions());
    }
    let chain = policy(
        &format!("keylesspipes/{name}:0.1.0"),
        &[("AWS_ROLE_CHAIN", "arn:aws:iam::1:role/a")],
    );
    actions.extend(chain.actions());
    actions
}

/// The name of the SDK's method for an action whose call the end-to-end tests do not reach, such as the removal of a setting.
fn method(action: &str) -> String {
    let operation = action
        .split_once(':')
        .map_or(action, |(_, operation)| operation);
    let snake = operation
        .chars()
        .fold(String::new(), |snake, character| match character {
            upper if upper.is_ascii_uppercase() => snake + "_" + &upper.to_lowercase().to_string(),
            lower => snake + &lower.to_string(),
        });
    snake.trim_start_matches('_').to_owned()
}

/// All source files of a pipe.
fn source_of(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(name)
        .join("src");
    let files = walkdir::WalkDir::new(folder)
        .into_iter()
        .filter_map(Result::ok);
    let texts = files.filter_map(|file| std::fs::read_to_string(file.path()).ok());
    texts.collect()
}

/// The actions that a pipe names when AWS denies one of its calls: literals such as `"ecs:UpdateService"`.
fn named(source: &str) -> BTreeSet<&str> {
    let literals = source.split('"').filter(|literal| {
        literal.split_once(':').is_some_and(|(service, operation)| {
            !service.is_empty()
                && service
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
                && operation.starts_with(|first: char| first.is_ascii_uppercase())
                && operation.bytes().all(|byte| byte.is_ascii_alphabetic())
        })
    });
    literals.collect()
}

#[test]
fn no_call_is_without_permission_and_no_permission_without_a_call() {
    for (name, recorded) in [
        (
            "s3-deploy",
            include_str!("../../../../s3-deploy/tests/actions.txt"),
        ),
        (
            "lambda-deploy",
            include_str!("../../../../lambda-deploy/tests/actions.txt"),
        ),
        (
            "ecs-deploy",
            include_str!("../../../../ecs-deploy/tests/actions.txt"),
        ),
    ] {
        let source = source_of(name);
        let recorded: BTreeSet<&str> = recorded.lines().collect();
        let called: BTreeSet<&str> = recorded.union(&named(&source)).copied().collect();
        let allowed = all_rights(name);
        let missing: Vec<_> = called
            .difference(&allowed)
            .filter(|action| !FOR_A_HINT.contains(action))
            .collect();
        assert!(
            missing.is_empty(),
            "{name} calls these without permission: {missing:?}"
        );
        let is_called = |action: &str| WITHIN.contains(&action) || source.contains(&method(action));
        let idle: Vec<_> = allowed
            .difference(&called)
            .filter(|action| !is_called(action))
            .collect();
        assert!(
            idle.is_empty(),
            "{name} is allowed these and calls none of them: {idle:?}"
        );
    }
}
