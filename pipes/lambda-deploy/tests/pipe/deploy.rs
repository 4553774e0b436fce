//! `deploy` against the local AWS: what is changed, in which order, and that a second run changes nothing.

use serde_json::{Value, json};

use crate::step::{Step, answering, base64, last_line, succeeded, text, zip};

#[test]
fn everything_in_one_run_and_in_order_then_nothing() {
    let step = Step::new();
    let deploy = || {
        step.deploy("second")
            .env("MEMORY_SIZE", "256")
            .env("ENVIRONMENT", "DATABASE_URL=postgres://second-secret@db")
            .env("TAGS", "team=web")
            .env("RESERVED_CONCURRENCY", "5")
    };
    let output = deploy().run();
    let plain = succeeded(&output);
    let function = &step.function;
    assert_eq!(
        last_line(&output),
        format!("✔ Deployment successful: `{function}` alias `live` is at version 1")
    );
    let changed = [
        "PUT /configuration",
        "PUT /code",
        &format!(
            "POST /2017-03-31/tags/arn%3Aaws%3Alambda%3Aus-east-1%3A000000000000%3Afunction%3A{function}"
        ),
        "PUT /concurrency",
        "POST /versions",
        "POST /aliases",
    ];
    assert_eq!(step.changes(), changed);
    // Both halves of the environment: one by its mask, one untouched.
    assert!(plain.contains("~ MemorySize: 128 → 256"), "{plain}");
    assert!(
        plain.contains("Environment.Variables.DATABASE_URL"),
        "{plain}"
    );
    assert!(!plain.contains("STAGE"), "{plain}");
    let live = step.configuration(&format!("{function}:1"));
    assert_eq!(
        live["Environment"]["Variables"],
        json!({"STAGE": "test", "DATABASE_URL": "postgres://second-secret@db"})
    );
    assert_eq!(live["MemorySize"], 256);

    step.proxy.clear();
    let output = deploy().run();
    succeeded(&output);
    assert_eq!(
        last_line(&output),
        format!("✔ Unchanged: `{function}` alias `live` is at version 1")
    );
    assert_eq!(step.changes(), [] as [&str; 0]);
}

#[test]
fn the_next_deploy_remembers_what_was_before_and_rollback_goes_there() {
    let step = Step::new();
    succeeded(&step.deploy("second").env("DESCRIPTION", "Live").run());
    succeeded(&step.deploy("third").run());
    let function = &step.function;
    let alias = step.alias("live");
    assert_eq!(alias["FunctionVersion"], "2");
    assert_eq!(alias["Description"], "Live [lambda-deploy: 2, previous 1]");

    step.proxy.clear();
    let rollback = || {
        step.pipe()
            .env("COMMAND", "rollback")
            .env("ALIAS", "live")
            .run()
    };
    let output = rollback();
    let plain = succeeded(&output);
    assert!(
        plain.contains(&format!(
            "rollback   {function}:live  (from version 2 to version 1: the alias had it before)"
        )),
        "{plain}"
    );
    assert_eq!(
        last_line(&output),
        format!("✔ Rolled back: `{function}` alias `live` is at version 1 (before: 2)")
    );
    assert_eq!(step.changes(), ["PUT /aliases/live"]);
    assert_eq!(
        step.alias("live")["Description"],
        "Live [lambda-deploy: rolled back from 2]"
    );

    // The code of version 2 is still $LATEST: deploying it again moves the alias and nothing else.
    step.proxy.clear();
    let output = step.deploy("third").run();
    succeeded(&output);
    assert_eq!(step.changes(), ["PUT /aliases/live"]);
    assert_eq!(step.versions(), ["1", "2"]);
}

#[test]
fn a_directory_is_packed_the_same_way_every_time() {
    let step = Step::new();
    step.file("source/app.py", answering("packed"));
    step.file("source/lib/helper.py", "x = 1\n");
    step.file("source/.lambdaignore", "*.md\n");
    step.file("source/README.md", "not for Lambda");
    let deploy = || {
        step.pipe()
            .env("COMMAND", "update")
            .env("ZIP_FILE", text(&step.directory.path().join("source")))
            .run()
    };
    succeeded(&deploy());
    // A fresh checkout has other times, and another order.
    step.file("source/lib/helper.py", "x = 1\n");
    step.proxy.clear();
    let output = deploy();
    succeeded(&output);
    assert_eq!(step.changes(), [] as [&str; 0], "{}", output.plain());
    assert!(
        last_line(&output).ends_with("is at version 1"),
        "{}",
        output.plain()
    );
}

#[test]
fn code_from_a_bucket() {
    let step = Step::new();
    let bucket = shared::testing::unique("code");
    step.aws.create_bucket(&bucket);
    let code = zip(&[("app.py", &answering("from S3"))]);
    step.aws.put_object(&bucket, "builds/7.zip", &code, &[]);
    let deploy = || {
        step.pipe()
            .env("COMMAND", "update")
            .env("S3_BUCKET", &bucket)
            .env("S3_KEY", "builds/7.zip")
            .run()
    };
    let output = deploy();
    succeeded(&output);
    assert_eq!(step.changes(), ["PUT /code", "POST /versions"]);
    let sent = step
        .proxy
        .bodies(&format!("PUT /2015-03-31/functions/{}/code", step.function));
    assert_eq!(sent[0]["S3Bucket"], json!(bucket));
    assert_eq!(sent[0]["ZipFile"], Value::Null);
    // S3 does not know its SHA-256, so it is uploaded again, and found to be the version that there is.
    step.proxy.clear();
    let output = deploy();
    succeeded(&output);
    assert_eq!(step.changes(), ["PUT /code"]);
    assert!(
        last_line(&output).ends_with("is at version 1"),
        "{}",
        output.plain()
    );

    let absent = step
        .pipe()
        .env("COMMAND", "update")
        .env("S3_BUCKET", &bucket)
        .env("S3_KEY", "builds/8.zip")
        .run();
    let plain = crate::step::failed(&absent);
    assert!(
        plain.contains(&format!(
            "✖ there is no object `s3://{bucket}/builds/8.zip`"
        )),
        "{plain}"
    );
    assert_eq!(last_line(&absent), "  nothing was changed");
}

#[test]
fn an_object_whose_sha256_s3_knows_is_compared() {
    let step = Step::new();
    let bucket = shared::testing::unique("code");
    step.aws.create_bucket(&bucket);
    let code = zip(&[("app.py", &answering("first"))]);
    // The SHA-256 of the body, as S3 keeps it.
    let digest = step.configuration(&step.function)["CodeSha256"].clone();
    let digest = digest.as_str().unwrap();
    step.aws.put_object(
        &bucket,
        "first.zip",
        &code,
        &[("x-amz-checksum-sha256", digest)],
    );
    let output = step
        .pipe()
        .env("COMMAND", "update")
        .env("S3_BUCKET", &bucket)
        .env("S3_KEY", "first.zip")
        .env("PUBLISH_FLAG", "false")
        .run();
    succeeded(&output);
    assert_eq!(step.changes(), [] as [&str; 0], "{}", output.plain());
}

#[test]
fn a_function_that_does_not_exist_is_made_when_asked_for() {
    let step = Step::with(|aws| shared::testing::Timeline::over(aws.endpoint()));
    let role = step.execution_role();
    let deploy = || {
        step.deploy("made")
            .env("RUNTIME", "python3.12")
            .env("HANDLER", "app.handler")
    };
    let output = deploy().env("CREATE", "true").run();
    let plain = crate::step::failed(&output);
    assert!(
        plain.contains("does not exist, and ROLE is not given"),
        "{plain}"
    );
    assert_eq!(last_line(&output), "  nothing was changed");

    step.proxy.clear();
    let output = deploy()
        .env("CREATE", "true")
        .env("ROLE", &role)
        .env("ENVIRONMENT", "STAGE=prod")
        .env("TAGS", "team=web")
        .run();
    let plain = succeeded(&output);
    assert!(plain.contains("(there is no such function)"), "{plain}");
    assert_eq!(
        step.changes(),
        [
            "POST /2015-03-31/functions",
            "POST /versions",
            "POST /aliases"
        ]
    );
    let sent = step.proxy.bodies("POST /2015-03-31/functions");
    assert_eq!(sent[0]["Tags"], json!({"team": "web"}));
    assert_eq!(
        sent[0]["Environment"]["Variables"],
        json!({"STAGE": "prod"})
    );
    assert_eq!(
        sent[0]["Code"]["ZipFile"],
        json!(base64(&zip(&[("app.py", &answering("made"))])))
    );
}

#[test]
fn members_that_nobody_knows_yet_are_sent_on_and_looked_for() {
    let step = Step::new();
    let file = step.file(
        "configuration.yml",
        "MemorySize: 192\nQuantumConfig: { Mode: Fast }\n",
    );
    let output = step
        .pipe()
        .env("COMMAND", "update")
        .env("FUNCTION_CONFIGURATION", text(&file))
        .run();
    let plain = succeeded(&output);
    let sent = step.proxy.bodies(&format!(
        "PUT /2015-03-31/functions/{}/configuration",
        step.function
    ));
    assert_eq!(sent[0]["QuantumConfig"], json!({"Mode": "Fast"}));
    assert!(
        plain.contains("WARNING: Lambda did not take the member `QuantumConfig`"),
        "{plain}"
    );
}

#[test]
fn dry_run_prints_the_plan_and_lets_lambda_look_at_the_code() {
    let step = Step::scripted(|script, function| {
        script.on(
            &*format!("PUT /2015-03-31/functions/{function}/code"),
            [shared::testing::Reply::json(
                &json!({"FunctionName": function}),
            )],
        )
    });
    let output = step
        .deploy("second")
        .env("MEMORY_SIZE", "256")
        .env("DRY_RUN", "true")
        .run();
    let plain = succeeded(&output);
    let function = &step.function;
    assert!(
        plain.contains(&format!(
            "publish    {function}  (code differs, configuration differs)"
        )),
        "{plain}"
    );
    assert_eq!(step.changes(), ["PUT /code"]);
    let sent = step
        .proxy
        .bodies(&format!("PUT /2015-03-31/functions/{function}/code"));
    assert_eq!(sent[0]["DryRun"], json!(true));
    assert_eq!(
        last_line(&output),
        format!("✔ DRY_RUN: nothing was changed in `{function}`")
    );
    assert_eq!(step.configuration(function)["MemorySize"], 128);
}

#[test]
fn a_conflict_with_another_update_is_tried_again() {
    let step = Step::scripted(|script, function| {
        let conflict = "The operation cannot be performed at this time. An update is in progress for resource: x";
        let again = || {
            [
                shared::testing::Reply::error(409, "ResourceConflictException", conflict),
                shared::testing::Reply::forward(),
            ]
        };
        script
            .on(
                &*format!("PUT /2015-03-31/functions/{function}/code"),
                again(),
            )
            .on(
                &*format!("POST /2015-03-31/functions/{function}/versions"),
                again(),
            )
    });
    let output = step.deploy("second").run();
    succeeded(&output);
    assert_eq!(
        step.changes(),
        [
            "PUT /code",
            "PUT /code",
            "POST /versions",
            "POST /versions",
            "POST /aliases"
        ]
    );
    assert_eq!(step.versions(), ["1"]);
}

#[test]
fn update_without_a_version_leaves_the_answer_of_latest() {
    let step = Step::new();
    let shared = step.directory.path().join("shared");
    let output = step
        .pipe()
        .env("COMMAND", "update")
        .env("ZIP_FILE", step.zip("second.zip", "second"))
        .env("PUBLISH_FLAG", "false")
        .env("BITBUCKET_PIPE_SHARED_STORAGE_DIR", text(&shared))
        .run();
    succeeded(&output);
    assert_eq!(step.changes(), ["PUT /code"]);
    let answer = std::fs::read(shared.join("aws-lambda-deploy-env")).unwrap();
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    assert_eq!(answer["Version"], "$LATEST");
    assert_eq!(answer["LastUpdateStatus"], "Successful");
}

#[test]
fn drift_is_a_failure_when_asked_for() {
    let step = Step::new();
    let check = |memory: &str| {
        step.pipe()
            .env("COMMAND", "update")
            .env("MEMORY_SIZE", memory)
            .env("PUBLISH_FLAG", "false")
            .env("DRY_RUN", "true")
            .env("FAIL_ON_DIFFERENCE", "true")
            .run()
    };
    succeeded(&check("128"));
    let output = check("256");
    let plain = crate::step::failed(&output);
    assert!(
        plain.contains(&format!(
            "✖ what is live differs from what is wished: `{}`",
            step.function
        )),
        "{plain}"
    );
    assert_eq!(step.changes(), [] as [&str; 0]);
}
