use std::path::Path;

use shared::Environment;

use super::*;
use crate::iam::known::{Given, Known};
use crate::model::{Checkout, Keys, Pipe, PipelineFile, Step, Variable};

/// A bucket whose name nobody would choose, in two environments of which one is named like code.
fn stack(account: Option<&str>) -> Stack {
    let variable = |name: &str, value: &str| Variable {
        name: name.to_owned(),
        line: 1,
        values: vec![value.to_owned()],
    };
    let step = |deployment: &str| Step {
        deployment: Some(deployment.to_owned()),
        pipes: vec![Pipe {
            line: 3,
            reference: "atlassian/aws-ecs-deploy:1.6.2".to_owned(),
            variables: vec![
                variable("AWS_DEFAULT_REGION", "eu-west-1"),
                variable("CLUSTER_NAME", "it's\"\\x"),
                variable("SERVICE_NAME", "$SERVICE"),
                variable("TASK_DEFINITION", "none.json"),
            ],
            keys: Keys::Defaults,
        }],
        ..Step::default()
    };
    let file = PipelineFile {
        path: "bitbucket-pipelines.yml".into(),
        steps: vec![step("production"), step("QA 1")],
        ..PipelineFile::default()
    };
    let checkout = Checkout {
        files: vec![file],
        ..Checkout::default()
    };
    let given = Given {
        workspace: Some("acme".to_owned()),
        repository: Some("shop".to_owned()),
        account: account.map(str::to_owned),
        values: vec!["production:SERVICE=we${b".to_owned()],
        ..Given::default()
    };
    let known = Known::new(given, &Environment::default(), Path::new("/nonexistent")).unwrap();
    Stack::new(&checkout, &known, false)
}

#[test]
fn terraform_fills_variables_and_nothing_else() {
    let text = Format::Terraform.write(&stack(None));
    let service = r#""arn:aws:ecs:eu-west-1:${data.aws_caller_identity.current.account_id}:service/it's\"\\x/we$${b""#;
    assert!(text.contains(service), "{text}");
    assert!(
        text.contains(r#"service/it's\"\\x/${var.qa_1_service}""#),
        "{text}"
    );
    for name in [
        "workspace_uuid",
        "repository_uuid",
        "qa_1_environment_uuid",
        "production_task_role_arn",
    ] {
        assert!(
            text.contains(&format!("variable \"{name}\" {{")),
            "{name} is no variable of\n{text}"
        );
    }
    assert!(
        text.contains("resource \"aws_iam_role\" \"shop_qa_1\""),
        "{text}"
    );
}

#[test]
fn terraform_is_aligned_as_its_own_formatter_does_it() {
    let text = Format::Terraform.write(&stack(None));
    for lines in [
        "  name = \"deploy\"\n  role = aws_iam_role.shop_production.id\n  policy = jsonencode({\n",
        "        Effect   = \"Allow\"\n        Action   = \"ecs:RegisterTaskDefinition\"\n        Resource = \"*\"\n",
        "        Effect = \"Allow\"\n        Action = [\n",
        "    \"QA 1\"       = aws_iam_role.shop_qa_1.arn\n    \"production\" = aws_iam_role.shop_production.arn\n",
    ] {
        assert!(text.contains(lines), "{lines}is not in\n{text}");
    }
}

#[test]
fn a_template_is_yaml_and_fills_parameters_only() {
    let text = Format::Cloudformation.write(&stack(None));
    let document: yaml_serde::Value = yaml_serde::from_str(&text).unwrap();
    let names: Vec<&str> = document["Parameters"]
        .as_mapping()
        .unwrap()
        .keys()
        .filter_map(|key| key.as_str())
        .collect();
    assert!(
        names.contains(&"Qa1EnvironmentUuid") && names.contains(&"ProductionTaskRoleArn"),
        "{names:?}"
    );
    assert!(
        text.contains(r#"!Sub "arn:aws:ecs:eu-west-1:${AWS::AccountId}:service/it's\"\\x/we${!b""#),
        "{text}"
    );
    let filled = Format::Cloudformation.write(&stack(Some("123456789012")));
    // A text without a hole is no `!Sub`, so `${` is a literal there.
    assert!(
        filled.contains(r#"- "arn:aws:ecs:eu-west-1:123456789012:service/it's\"\\x/we${b""#)
            || filled.contains(
                r#"Resource: "arn:aws:ecs:eu-west-1:123456789012:service/it's\"\\x/we${b""#
            ),
        "{filled}"
    );
}

#[test]
fn the_script_quotes_what_the_shell_would_run() {
    let folder = tempfile::tempdir().unwrap();
    // What is printed for each document, with a shell that has the unknown parts and an `aws` that shows its arguments.
    let script = folder.path().join("create.sh");
    std::fs::write(&script, Format::AwsCli.write(&stack(None))).unwrap();
    let aws = folder.path().join("aws");
    std::fs::write(&aws, "#!/bin/sh\ncase \"$2\" in get-caller-identity) echo 123456789012 ;; get-role) exit 1 ;; *) printf '%s\\n' \"$@\" >> \"$OUT\" ;; esac\n").unwrap();
    make_executable(&aws);
    let out = folder.path().join("out");
    let uuid = "2f1c0d5e-6f3a-4b57-9d0a-3c1e8b7a5d42";
    let mut command = std::process::Command::new("bash");
    command
        .arg(&script)
        .env_clear()
        .env("PATH", format!("{}:/usr/bin:/bin", folder.path().display()))
        .env("OUT", &out);
    for name in [
        "WORKSPACE_UUID",
        "REPOSITORY_UUID",
        "PRODUCTION_ENVIRONMENT_UUID",
        "QA_1_ENVIRONMENT_UUID",
    ] {
        command.env(name, format!("{{{uuid}}}"));
    }
    for name in [
        "QA_1_SERVICE",
        "PRODUCTION_TASK_ROLE_ARN",
        "PRODUCTION_EXECUTION_ROLE_ARN",
        "QA_1_TASK_ROLE_ARN",
        "QA_1_EXECUTION_ROLE_ARN",
    ] {
        command.env(name, "x");
    }
    let output = command.output().unwrap();
    let printed = std::fs::read_to_string(&out).unwrap_or_default();
    assert!(
        printed.contains(r#"arn:aws:ecs:eu-west-1:123456789012:service/it's\"\\x/we${b""#),
        "{output:?}\n{printed}"
    );
    assert!(
        printed.contains(&format!("{{{uuid}}}:{{{uuid}}}:*")),
        "{printed}"
    );
}

fn make_executable(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn names_of_roles_are_legal_and_differ() {
    let stack = stack(None);
    let names: Vec<&str> = stack.roles.iter().map(|role| role.name.as_str()).collect();
    assert_eq!(names, ["bitbucket-shop-QA-1", "bitbucket-shop-production"]);
}
