//! The pipes with the generated rights alone: the local AWS evaluates the policies of sessions.

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};
use shared::testing::{Output, Pipe};

use crate::place::Place;

/// The binary of another pipe of the workspace, made if it is not there.
fn binary(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_BIN_EXE_oidc-migrate")).with_file_name(name);
    if !path.exists() {
        let made = Command::new(env!("CARGO"))
            .args(["build", "--locked", "-p", name])
            .status()
            .unwrap();
        assert!(made.success(), "{name} cannot be built");
    }
    path
}

fn run(place: &Place, name: &str, variables: &[(&str, &str)]) -> Output {
    let token = place
        .issuer
        .step(&place.repository)
        .environment(&place.production)
        .sign();
    Pipe::new(binary(name))
        .env("BITBUCKET_STEP_OIDC_TOKEN", token)
        .env("AWS_OIDC_ROLE_ARN", place.role("production"))
        .env("AWS_DEFAULT_REGION", "us-east-1")
        .envs(variables.iter().copied())
        .current_dir(place.path())
        .through(&place.proxy)
        .run()
}

fn created(file: &str) -> Place {
    let place = Place::with(file);
    let output = place.as_administrator(&["iam", "--apply", "--yes"]).run();
    assert_eq!(output.code, Some(0), "{}", output.plain());
    place
}

#[test]
fn s3_deploy_deploys_to_its_prefix_and_nowhere_else() {
    let place = Place::new();
    assert_eq!(
        place
            .as_administrator(&["iam", "--apply", "--yes"])
            .run()
            .code,
        Some(0)
    );
    std::fs::create_dir(place.path().join("dist")).unwrap();
    std::fs::write(place.path().join("dist/index.html"), "<h1>hello</h1>").unwrap();
    place
        .aws
        .put_object(&place.bucket, "docs/old.html", b"old", &[]);
    let to = |bucket: &str| {
        run(
            &place,
            "s3-deploy",
            &[
                ("S3_BUCKET", bucket),
                ("LOCAL_PATH", "dist"),
                ("DELETE_FLAG", "true"),
                ("DELETE_LIMIT", "100%"),
            ],
        )
    };
    let output = to(&format!("{}/docs", place.bucket));
    assert_eq!(output.code, Some(0), "{}", output.plain());
    assert!(!output.plain().contains("WARNING"), "{}", output.plain());
    let keys = place.aws.keys(&place.bucket);
    assert!(
        keys.contains(&"docs/index.html".to_owned()) && !keys.contains(&"docs/old.html".to_owned()),
        "{keys:?}"
    );
    let output = to(&place.bucket);
    assert_eq!(output.code, Some(1), "{}", output.plain());
    assert!(
        output.plain().contains("AccessDenied"),
        "{}",
        output.plain()
    );
}

const FUNCTION: &str = "\
pipelines:
  default:
    - step:
        deployment: production
        oidc: true
        script:
          - pipe: keylesspipes/lambda-deploy:0.1.0
            variables:
              AWS_DEFAULT_REGION: us-east-1
              FUNCTION_NAME: $FUNCTION
              COMMAND: deploy
              ZIP_FILE: code
              ALIAS: live
              MEMORY_SIZE: '256'
";

#[test]
fn lambda_deploy_deploys_its_function_and_no_other() {
    let place = created(&FUNCTION.replace("$FUNCTION", &shared::testing::unique("orders")));
    let file = std::fs::read_to_string(place.path().join("bitbucket-pipelines.yml")).unwrap();
    let function = file
        .lines()
        .find_map(|line| line.trim().strip_prefix("FUNCTION_NAME: "))
        .unwrap()
        .to_owned();
    let other = shared::testing::unique("other");
    for name in [&function, &other] {
        create_function(&place, name);
    }
    std::fs::create_dir(place.path().join("code")).unwrap();
    std::fs::write(
        place.path().join("code/app.py"),
        "def handler(event, context):\n    return 1\n",
    )
    .unwrap();
    let deploy = |name: &str| {
        let variables = [
            ("FUNCTION_NAME", name),
            ("COMMAND", "deploy"),
            ("ZIP_FILE", "code"),
            ("ALIAS", "live"),
            ("MEMORY_SIZE", "256"),
        ];
        run(&place, "lambda-deploy", &variables)
    };
    // The local AWS asks for ListAliases where AWS asks for GetAlias.
    place.aws.put_role_policy(
        place.role("production").rsplit('/').next().unwrap(),
        &json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "lambda:ListAliases", "Resource": "*"},
        ]}),
    );
    let output = deploy(&function);
    assert_eq!(output.code, Some(0), "{}", output.plain());
    let output = deploy(&other);
    assert_eq!(output.code, Some(1), "{}", output.plain());
    assert!(
        output.plain().contains("AccessDenied"),
        "{}",
        output.plain()
    );
}

// An archive with nothing in it: its end record alone.
const EMPTY: &str = "UEsFBgAAAAAAAAAAAAAAAAAAAAAAAA==";

fn create_function(place: &Place, name: &str) {
    let trust = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"},
    ]});
    let role = place.aws.create_role("lambda-execution", &trust);
    let document = json!({
        "FunctionName": name, "Runtime": "python3.12", "Handler": "app.handler",
        "Role": role, "Code": {"ZipFile": EMPTY},
    });
    let body = document.to_string();
    let headers = [("content-type", "application/json")];
    let answer = place.aws.call(
        "lambda",
        "POST",
        "/2015-03-31/functions",
        &headers,
        body.as_bytes(),
    );
    assert!(answer.status < 300, "{}", answer.text());
}

const SERVICE: &str = "\
pipelines:
  default:
    - step:
        deployment: production
        oidc: true
        script:
          - pipe: keylesspipes/ecs-deploy:0.1.0
            variables:
              AWS_DEFAULT_REGION: us-east-1
              CLUSTER_NAME: the-cluster
              SERVICE_NAME: web
              TASK_DEFINITION: task.json
              WAIT: 'true'
";

/// The local AWS looks at the actions of ECS and at the cluster, and knows no ARN of a service or a task: so the
/// generated policy is taken with the cluster in their place, and what it proves is that no action is missing.
fn of_the_cluster(mut policy: Value, cluster: &str) -> Value {
    let arn = json!(format!(
        "arn:aws:ecs:us-east-1:000000000000:cluster/{cluster}"
    ));
    for statement in policy["Statement"].as_array_mut().unwrap() {
        let is_below = statement["Resource"]
            .to_string()
            .contains(&format!("/{cluster}/"));
        if is_below {
            statement["Resource"] = arn.clone();
        }
        let of_cluster = format!("{}", statement["Condition"]).contains("ecs:cluster");
        if of_cluster {
            statement["Resource"] = arn.clone();
            statement.as_object_mut().unwrap().remove("Condition");
        }
    }
    policy
}

#[test]
fn ecs_deploy_needs_no_action_that_its_policy_has_not() {
    let cluster = shared::testing::unique("shop");
    let place = Place::with(&SERVICE.replace("the-cluster", &cluster));
    let family = shared::testing::unique("web");
    let definition = json!({
        "family": family, "executionRoleArn": "arn:aws:iam::000000000000:role/execution",
        "containerDefinitions": [{"name": "web", "image": "nginx:1.27", "memory": 128, "essential": true}],
    });
    std::fs::write(place.path().join("task.json"), definition.to_string()).unwrap();
    let output = place.as_administrator(&["iam", "--apply", "--yes"]).run();
    assert_eq!(output.code, Some(0), "{}", output.plain());
    let trust = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"},
    ]});
    let _ = place.aws.create_role("execution", &trust);
    let ecs = |operation: &str, document: &serde_json::Value| {
        let target = format!("AmazonEC2ContainerServiceV20141113.{operation}");
        let headers = [
            ("content-type", "application/x-amz-json-1.1"),
            ("x-amz-target", target.as_str()),
        ];
        let answer = place.aws.call(
            "ecs",
            "POST",
            "/",
            &headers,
            document.to_string().as_bytes(),
        );
        assert!(answer.status < 300, "{}", answer.text());
    };
    ecs("CreateCluster", &json!({"clusterName": cluster}));
    ecs("RegisterTaskDefinition", &definition);
    ecs(
        "CreateService",
        &json!({"cluster": cluster, "serviceName": "web", "taskDefinition": family, "desiredCount": 1}),
    );
    let changed = definition.to_string().replace("nginx:1.27", "nginx:1.28");
    std::fs::write(place.path().join("task.json"), changed).unwrap();
    let deploy = || {
        let variables = [
            ("CLUSTER_NAME", cluster.as_str()),
            ("SERVICE_NAME", "web"),
            ("TASK_DEFINITION", "task.json"),
            ("WAIT", "true"),
            ("WAIT_INTERVAL", "1"),
        ];
        run(&place, "ecs-deploy", &variables)
    };
    let role = place.role("production");
    let role = role.rsplit('/').next().unwrap();
    let mut policy = of_the_cluster(place.aws.role_policy(role, "deploy"), &cluster);
    place.aws.put_role_policy(role, &policy);
    let output = deploy();
    assert_eq!(output.code, Some(0), "{}", output.plain());

    // The local AWS does look at actions.
    let text = policy
        .to_string()
        .replace("ecs:UpdateService", "ecs:Nothing");
    policy = serde_json::from_str(&text).unwrap();
    place.aws.put_role_policy(role, &policy);
    std::fs::write(
        place.path().join("task.json"),
        definition.to_string().replace("nginx:1.27", "nginx:1.29"),
    )
    .unwrap();
    let output = deploy();
    assert_eq!(output.code, Some(1), "{}", output.plain());
    assert!(
        output.plain().contains("ecs:UpdateService"),
        "{}",
        output.plain()
    );
}
