//! Definitions from files and from AWS: read, refused, edited, compared and shown.

use serde::Deserialize;
use serde_json::json;
use shared::edits::Entries;
use shared::{Faults, Field, List};

use super::*;

fn environment() -> Environment {
    Environment::from([("TAG", "1.4.2"), ("LOG_LEVEL", "debug")])
}

fn read(name: &str, text: &str) -> Result<Definition, String> {
    Definition::from_file(text, name, &environment()).map_err(|failure| failure.to_string())
}

fn definition(document: &Value) -> Definition {
    read("task.json", &document.to_string()).unwrap_or_else(|failure| panic!("{failure}"))
}

fn web() -> Value {
    json!({
        "family": "web",
        "networkMode": "awsvpc",
        "requiresCompatibilities": ["FARGATE"],
        "cpu": "256",
        "memory": "512",
        "containerDefinitions": [{
            "name": "web",
            "image": "registry/web:1",
            "portMappings": [{"containerPort": 8080}],
            "environment": [{"name": "LOG_LEVEL", "value": "info"}, {"name": "PORT", "value": "8080"}],
            "secrets": [{"name": "TOKEN", "valueFrom": "arn:aws:ssm:eu-west-1:000000000000:parameter/token"}],
            "logConfiguration": {"logDriver": "awslogs", "options": {
                "awslogs-group": "/web", "awslogs-region": "eu-west-1", "awslogs-stream-prefix": "web"}},
        }],
    })
}

fn two_containers() -> Value {
    let mut document = web();
    let agent = json!({"name": "agent", "image": "registry/agent:7", "essential": false});
    let containers = document["containerDefinitions"].as_array_mut();
    containers.unwrap().push(agent);
    document
}

/// What DescribeTaskDefinition answers when [`web`] was registered.
fn described() -> Value {
    json!({
        "taskDefinition": {
            "taskDefinitionArn": "arn:aws:ecs:eu-west-1:000000000000:task-definition/web:7",
            "containerDefinitions": [{
                "name": "web",
                "image": "registry/web:1",
                "cpu": 0,
                "portMappings": [{"containerPort": 8080, "hostPort": 8080, "protocol": "tcp"}],
                "essential": true,
                "environment": [{"name": "PORT", "value": "8080"}, {"name": "LOG_LEVEL", "value": "info"}],
                "mountPoints": [],
                "volumesFrom": [],
                "secrets": [{"name": "TOKEN", "valueFrom": "arn:aws:ssm:eu-west-1:000000000000:parameter/token"}],
                "logConfiguration": {"logDriver": "awslogs", "options": {
                    "awslogs-group": "/web", "awslogs-region": "eu-west-1", "awslogs-stream-prefix": "web"},
                    "secretOptions": []},
                "systemControls": [],
            }],
            "family": "web",
            "networkMode": "awsvpc",
            "revision": 7,
            "volumes": [],
            "status": "ACTIVE",
            "requiresAttributes": [{"name": "com.amazonaws.ecs.capability.docker-remote-api.1.18"}],
            "placementConstraints": [],
            "compatibilities": ["EC2", "FARGATE"],
            "requiresCompatibilities": ["FARGATE"],
            "cpu": "256",
            "memory": "512",
            "registeredAt": 1_764_000_000.123,
            "registeredBy": "arn:aws:sts::000000000000:assumed-role/deploy/bitbucket-web-41",
            "enableFaultInjection": false,
        },
        "tags": [],
    })
}

#[test]
fn what_describe_prints_can_be_registered_and_is_the_same() {
    let live = Revision::from_answer(&described()).unwrap();
    assert_eq!(
        (live.arn.as_str(), live.status.as_str()),
        (
            "arn:aws:ecs:eu-west-1:000000000000:task-definition/web:7",
            "ACTIVE"
        )
    );
    for printed in [described(), described()["taskDefinition"].clone()] {
        let read = definition(&printed);
        assert!(read.is_same_as(&live.definition));
        for name in [
            "taskDefinitionArn",
            "revision",
            "status",
            "registeredAt",
            "compatibilities",
            "taskDefinition",
        ] {
            assert_eq!(read.body().get(name), None, "{name}");
        }
    }
    let file = definition(&web());
    assert!(file.is_same_as(&live.definition));
    assert_eq!(file.difference(Some(&live.definition)), []);
}

#[test]
fn what_is_newer_than_this_program_stays() {
    let mut document = web();
    document["quantumMode"] = json!({"qubits": 3});
    document["containerDefinitions"][0]["portMappings"][0]["lane"] = json!("fast");
    let definition = definition(&document);
    assert_eq!(definition.body()["quantumMode"], json!({"qubits": 3}));
    assert_eq!(
        definition.body()["containerDefinitions"][0]["portMappings"][0]["lane"],
        "fast"
    );
    let mut answer = described();
    answer["taskDefinition"]["quantumMode"] = json!({"qubits": 3});
    let live = Revision::from_answer(&answer).unwrap().definition;
    assert_eq!(live.body()["quantumMode"], json!({"qubits": 3}));
}

#[test]
fn tags_of_aws_are_not_sent_back() {
    let mut answer = described();
    answer["tags"] = json!([{"key": "aws:cloudformation:stack-name", "value": "x"}, {"key": "team", "value": "a"}]);
    let live = Revision::from_answer(&answer).unwrap().definition;
    assert_eq!(live.body()["tags"], json!([{"key": "team", "value": "a"}]));
    answer["tags"] = json!([{"key": "aws:cloudformation:stack-name", "value": "x"}]);
    let live = Revision::from_answer(&answer).unwrap().definition;
    assert_eq!(live.body().get("tags"), None);
}

#[test]
fn yaml_may_write_numbers_and_texts_as_it_likes() {
    let text = "
family: web
cpu: 256
memory: 0.5 GB
networkMode: awsvpc
requiresCompatibilities: [FARGATE]
containerDefinitions:
  - name: web
    image: registry/web:${TAG}
    essential: 'true'
    portMappings: [{containerPort: '8080'}]
    environment:
      - {name: PORT, value: 8080}
      - {name: VERSION, value: 1.20}
      - {name: DEBUG, value: false}
      - name: LOG_LEVEL
        value: $${LOG_LEVEL} is ${LOG_LEVEL}
";
    let body = read("task.yaml", text).unwrap().body().clone();
    let container = &body["containerDefinitions"][0];
    assert_eq!(
        (&body["cpu"], &container["image"]),
        (&json!("256"), &json!("registry/web:1.4.2"))
    );
    assert_eq!(container["essential"], json!(true));
    assert_eq!(container["portMappings"], json!([{"containerPort": 8080}]));
    let values: Vec<&Value> = (0..4)
        .map(|index| &container["environment"][index]["value"])
        .collect();
    assert_eq!(values, ["8080", "1.20", "false", "${LOG_LEVEL} is debug"]);
}

#[test]
fn defaults_order_and_units_make_no_difference() {
    let same = |change: &dyn Fn(&mut Value)| {
        let mut document = two_containers();
        change(&mut document);
        definition(&document).is_same_as(&definition(&two_containers()))
    };
    assert!(same(&|document| document["cpu"] = json!(".25 vCPU")));
    assert!(same(&|document| document["memory"] = json!("0.5GB")));
    assert!(same(&|document| document["volumes"] = json!([])));
    assert!(same(&|document| document["pidMode"] = Value::Null));
    assert!(same(
        &|document| document["containerDefinitions"][0]["cpu"] = json!(0)
    ));
    assert!(same(
        &|document| document["containerDefinitions"][0]["linuxParameters"] =
            json!({"capabilities": {"add": []}})
    ));
    assert!(same(
        &|document| document["containerDefinitions"][1]["privileged"] = json!(false)
    ));
    assert!(same(&|document| document["containerDefinitions"]
        .as_array_mut()
        .unwrap()
        .reverse()));
    assert!(!same(&|document| document["cpu"] = json!("512")));
    assert!(!same(
        &|document| document["containerDefinitions"][1]["essential"] = json!(true)
    ));
    assert!(!same(
        &|document| document["containerDefinitions"][1]["command"] = json!(["b", "a"])
    ));
    assert!(!same(
        &|document| document["tags"] = json!([{"key": "a", "value": "b"}])
    ));
    assert!(!same(&|document| document["unknown"] = json!(1)));
    // The order of a command is not that of a set.
    let with = |command: Value| {
        let mut document = web();
        document["containerDefinitions"][0]["command"] = command;
        definition(&document)
    };
    assert!(!with(json!(["a", "b"])).is_same_as(&with(json!(["b", "a"]))));
}

#[test]
fn health_checks_and_volumes_have_the_defaults_of_aws() {
    let mut short = web();
    short["containerDefinitions"][0]["healthCheck"] = json!({"command": ["CMD", "true"]});
    short["containerDefinitions"][0]["mountPoints"] =
        json!([{"sourceVolume": "data", "containerPath": "/data"}]);
    short["volumes"] =
        json!([{"name": "data", "efsVolumeConfiguration": {"fileSystemId": "fs-1"}}]);
    let mut long = short.clone();
    long["containerDefinitions"][0]["healthCheck"] =
        json!({"command": ["CMD", "true"], "interval": 30, "timeout": 5, "retries": 3});
    long["containerDefinitions"][0]["mountPoints"][0]["readOnly"] = json!(false);
    long["volumes"][0] = json!({"name": "data", "host": {}, "efsVolumeConfiguration": {
        "fileSystemId": "fs-1", "rootDirectory": "/", "transitEncryption": "DISABLED"}});
    assert!(definition(&short).is_same_as(&definition(&long)));
    long["containerDefinitions"][0]["healthCheck"]["retries"] = json!(4);
    assert!(!definition(&short).is_same_as(&definition(&long)));
}

#[test]
fn the_difference_names_every_path_and_no_secret() {
    let mut document = two_containers();
    document["memory"] = json!("1024");
    document["containerDefinitions"][0]["image"] = json!("registry/web:2");
    document["containerDefinitions"][0]["environment"] =
        json!([{"name": "LOG_LEVEL", "value": "hunter2"}, {"name": "SAME", "value": "hunter2"}]);
    document["containerDefinitions"][0]["secrets"] = json!([]);
    let live = Revision::from_answer(&described()).unwrap().definition;
    let lines: Vec<String> = definition(&document)
        .difference(Some(&live))
        .iter()
        .map(Change::to_string)
        .collect();
    let mask = |text: &str| shared::difference::mask(&json!(text));
    let text = lines
        .join("\n")
        .replace(&mask("hunter2"), "HUNTER")
        .replace(&mask("info"), "INFO")
        .replace(&mask("8080"), "PORT")
        .replace(
            &mask("arn:aws:ssm:eu-west-1:000000000000:parameter/token"),
            "ARN",
        );
    insta::assert_snapshot!(text, @r#"
        ~ memory: "512" → "1024"
        + containerDefinitions[agent].image: "registry/agent:7"
        + containerDefinitions[agent].essential: false
        + containerDefinitions[agent].cpu: 0
        ~ containerDefinitions[web].image: "registry/web:1" → "registry/web:2"
        ~ containerDefinitions[web].environment[LOG_LEVEL].value: INFO → HUNTER
        + containerDefinitions[web].environment[SAME].value: HUNTER
        - containerDefinitions[web].environment[PORT].value: PORT
        - containerDefinitions[web].secrets[TOKEN].valueFrom: ARN
        "#);
    let all = definition(&document).difference(None);
    assert!(all.iter().all(|change| change.old.is_none()));
    assert!(
        !all.iter()
            .any(|change| change.to_string().contains("hunter2"))
    );
    assert_eq!(format!("{:?}", definition(&document)), "Definition(web)");
}

#[test]
fn containers_are_known_with_their_logs_and_ports() {
    let definition = definition(&two_containers());
    assert_eq!(
        definition.containers(),
        [
            Container {
                name: "web".to_owned(),
                image: "registry/web:1".to_owned(),
                essential: true,
                logs: Some(AwsLogs {
                    group: "/web".to_owned(),
                    region: Some("eu-west-1".to_owned()),
                    prefix: Some("web".to_owned()),
                }),
                ports: vec![8080],
            },
            Container {
                name: "agent".to_owned(),
                image: "registry/agent:7".to_owned(),
                essential: false,
                logs: None,
                ports: vec![],
            },
        ]
    );
    assert_eq!(
        definition
            .with_image("agent", "registry/agent@sha256:0")
            .containers()[1]
            .image,
        "registry/agent@sha256:0"
    );
}

#[test]
fn what_no_definition_can_say_is_refused_in_one_line() {
    let with = |change: &dyn Fn(&mut Value)| {
        let mut document = two_containers();
        change(&mut document);
        let edited = read("task.json", &document.to_string()).and_then(|read| {
            read.edited(&Edits::default())
                .map_err(|failure| failure.to_string())
        });
        edited.unwrap_err()
    };
    let container = |name: &'static str, value: Value| {
        with(&move |document| document["containerDefinitions"][0][name] = value.clone())
    };
    let refusals = [
        read(
            "task.json",
            "{\"family\": \"web\",\n \"containerDefinitions\": [}",
        )
        .unwrap_err(),
        read("task.yaml", "family: web\ncontainerDefinitions: [").unwrap_err(),
        read(
            "task.json",
            &web().to_string().replace(":1\"", ":${NOTAG}\""),
        )
        .unwrap_err(),
        read("task.json", "[]").unwrap_err(),
        with(&|document| document["containerDefinitions"] = json!([])),
        with(&|document| document["containerDefinitions"] = Value::Null),
        with(&|document| document["containerDefinitions"] = json!({})),
        with(&|document| document["containerDefinitions"][1] = json!("web")),
        with(&|document| document["family"] = json!("")),
        with(&|document| document["ContainerDefinitions"] = json!([])),
        container("name", json!("agent")),
        container("name", json!("")),
        container("image", json!("")),
        container("essential", json!(false)),
        container("command", json!("run me")),
        container("portMappings", json!([{"containerPort": "http"}])),
        container("environment", json!([{"name": "A", "value": ["hunter2"]}])),
        container(
            "environment",
            json!([{"name": "TOKEN", "value": "hunter2"}]),
        ),
    ];
    insta::assert_snapshot!(refusals.join("\n"), @r"
        Failed to parse the task definition file: invalid JSON provided. Could not read `task.json`: line 2, column 27: expected value
          hint: correct it at that place; with DRY_RUN: true the pipe reads it and changes nothing
        Failed to parse the task definition file: invalid JSON provided. Could not read `task.yaml`: line 3, column 1: while parsing a node, did not find expected node content
          hint: correct it at that place; with DRY_RUN: true the pipe reads it and changes nothing
        could not read `task.json`: line 1, column 165: `${NOTAG}` is not defined
          hint: set what is named under `variables` of this pipe; `$${NAME}` stands for the text `${NAME}` itself
        could not use `task.json`: it is no object of a task definition
        could not use `task.json`: it has no containers
          hint: a task definition has at least one in `containerDefinitions`
        could not use `task.json`: it has no containers
          hint: a task definition has at least one in `containerDefinitions`
        could not use `task.json`: `containerDefinitions` has to be a list
        could not use `task.json`: `containerDefinitions[1]` has to be an object
        could not use `task.json`: it has no `family`
        could not use `task.json`: it has the form of CloudFormation
          hint: the members of RegisterTaskDefinition begin with small letters: `containerDefinitions`
        could not use `task.json`: two containers are named `agent`
        could not use `task.json`: `containerDefinitions[0]` has no `name`
        could not use the task definition `web`: the container `web` has no `image`
          hint: give it in the file, or with IMAGES: `web=repository:tag`
        could not use the task definition `web`: none of its containers is `essential`
        could not use `task.json`: `containerDefinitions[web].command` has to be a list
        could not use `task.json`: `containerDefinitions[web].portMappings[0].containerPort` has to be a whole number
        could not use `task.json`: `containerDefinitions[web].environment[A].value` has to be a text
        could not use the task definition `web`: `TOKEN` of the container `web` is in `environment` and in `secrets`, and AWS takes it in one only
          hint: take one away: `TOKEN` in ENVIRONMENT_UNSET or SECRETS_UNSET
        ");
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Variables {
    image: Field<Image>,
    images: Field<List<ContainerImage>>,
    environment: Field<Entries>,
    environment_unset: Field<List<String>>,
    environment_replace: Field<bool>,
    secrets: Field<Entries>,
    secrets_unset: Field<List<String>>,
    cpu: Field<Cpu>,
    memory: Field<Memory>,
    tags: Field<Entries>,
}

fn edits<const N: usize>(pairs: [(&str, &str); N]) -> Result<Edits, String> {
    let variables: Variables = Environment::from(pairs).read();
    let mut faults = Faults::default();
    let edits = Edits::new(
        EditFields {
            image: variables.image,
            images: variables.images,
            environment: shared::edits::EditFields {
                set: variables.environment,
                unset: variables.environment_unset,
                replace: variables.environment_replace,
            },
            secrets: shared::edits::EditFields {
                set: variables.secrets,
                unset: variables.secrets_unset,
                ..shared::edits::EditFields::default()
            },
            cpu: variables.cpu,
            memory: variables.memory,
            tags: shared::edits::EditFields {
                set: variables.tags,
                ..shared::edits::EditFields::default()
            },
        },
        &mut faults,
    );
    if faults.is_empty() {
        Ok(edits)
    } else {
        Err(faults.to_string())
    }
}

fn edited<const N: usize>(document: &Value, pairs: [(&str, &str); N]) -> Result<Value, String> {
    let edits = edits(pairs)?;
    let edited = definition(document).edited(&edits);
    edited
        .map(|definition| definition.body().clone())
        .map_err(|failure| failure.to_string())
}

#[test]
fn edits_touch_what_they_name() {
    assert!(edits([]).unwrap().is_empty());
    let body = edited(
        &web(),
        [
            ("IMAGE", "registry/web:2"),
            ("ENVIRONMENT", "LOG_LEVEL=debug NEW=x"),
            ("ENVIRONMENT_UNSET", "PORT"),
            (
                "SECRETS",
                "PASSWORD=arn:aws:secretsmanager:eu-west-1:000000000000:secret:db:password::",
            ),
            ("CPU", "1 vCPU"),
            ("MEMORY", "2gb"),
            ("TAGS", "team=web"),
        ],
    )
    .unwrap();
    let container = &body["containerDefinitions"][0];
    assert_eq!(container["image"], "registry/web:2");
    assert_eq!(
        container["environment"],
        json!([{"name": "LOG_LEVEL", "value": "debug"}, {"name": "NEW", "value": "x"}])
    );
    assert_eq!(container["secrets"][0]["name"], "TOKEN");
    assert_eq!(
        container["secrets"][1],
        json!({"name": "PASSWORD", "valueFrom": "arn:aws:secretsmanager:eu-west-1:000000000000:secret:db:password::"})
    );
    assert_eq!(
        (&body["cpu"], &body["memory"]),
        (&json!("1024"), &json!("2048"))
    );
    assert_eq!(body["tags"], json!([{"key": "team", "value": "web"}]));
    assert_eq!(
        container["portMappings"],
        web()["containerDefinitions"][0]["portMappings"]
    );
}

#[test]
fn with_several_containers_each_is_named() {
    let body = edited(
        &two_containers(),
        [
            ("IMAGES", "agent=registry/agent:8 web=registry/web:2"),
            ("ENVIRONMENT", "web:ONLY=1"),
            ("ENVIRONMENT_REPLACE", "true"),
        ],
    )
    .unwrap();
    let containers = &body["containerDefinitions"];
    assert_eq!(
        (&containers[0]["image"], &containers[1]["image"]),
        (&json!("registry/web:2"), &json!("registry/agent:8"))
    );
    assert_eq!(
        containers[0]["environment"],
        json!([{"name": "ONLY", "value": "1"}])
    );
    assert_eq!(containers[1].get("environment"), None);
}

#[test]
fn a_file_may_leave_its_image_to_the_variable() {
    let mut document = web();
    document["containerDefinitions"][0]
        .as_object_mut()
        .unwrap()
        .remove("image");
    let body = edited(&document, [("IMAGE", "registry/web:2")]).unwrap();
    assert_eq!(body["containerDefinitions"][0]["image"], "registry/web:2");
}

#[test]
fn a_secret_can_take_the_place_of_a_variable() {
    let moved = edited(
        &web(),
        [("SECRETS", "PORT=arn:x"), ("ENVIRONMENT_UNSET", "PORT")],
    )
    .unwrap();
    assert_eq!(
        moved["containerDefinitions"][0]["secrets"][1]["name"],
        "PORT"
    );
}

#[test]
fn edits_that_fit_nothing_are_refused_in_one_line() {
    let refusals = [
        edited(&two_containers(), [("IMAGE", "registry/web:2")]),
        edited(&two_containers(), [("IMAGES", "wbe=registry/web:2")]),
        edited(&two_containers(), [("ENVIRONMENT", "A=1")]),
        edited(&two_containers(), [("ENVIRONMENT", "wbe:A=1")]),
        edited(&web(), [("SECRETS", "PORT=arn:x")]),
        edited(&web(), [("IMAGE", "a:1"), ("IMAGES", "web=b:1 web=c:1")]),
        edited(
            &web(),
            [
                ("IMAGE", "registry/web:"),
                ("IMAGES", "web"),
                ("CPU", "lots"),
                ("MEMORY", "0"),
            ],
        ),
    ];
    let texts: Vec<String> = refusals.into_iter().map(Result::unwrap_err).collect();
    insta::assert_snapshot!(texts.join("\n"), @r"
        could not use the task definition `web`: IMAGE is for a single container, and there are `web`, `agent`
          hint: name it in IMAGES: `web=registry/web:2`
        could not use the task definition `web`: IMAGES names the container `wbe`, which it does not have; it has `web`, `agent`
          hint: write one of these names in IMAGES
        could not use the task definition `web`: `A` of ENVIRONMENT does not say for which of the containers `web`, `agent` it is
          hint: write the container before it: `web:A`
        could not use the task definition `web`: ENVIRONMENT names the container `wbe`, which it does not have; it has `web`, `agent`
          hint: write one of these names in ENVIRONMENT
        could not use the task definition `web`: `PORT` of the container `web` is in `environment` and in `secrets`, and AWS takes it in one only
          hint: take one away: `PORT` in ENVIRONMENT_UNSET or SECRETS_UNSET
        Validation errors:
        IMAGE:
        - cannot be given together with IMAGES
        IMAGES:
        - `web` comes twice
        Validation errors:
        CPU:
        - unallowed value lots (CPU is in units such as `256`, or as `0.25 vCPU`)
        IMAGE:
        - unallowed value registry/web: (an image looks like `registry/repository:tag`)
        IMAGES:
        - unallowed value web (it is `container=image`, such as `web=repository:tag`)
        MEMORY:
        - unallowed value 0 (memory is in MiB such as `512`, or as `0.5 GB`)
        ");
}
