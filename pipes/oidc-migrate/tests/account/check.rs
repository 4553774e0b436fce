//! `check`, as a pipe and as a command, with Bitbucket's API played behind its proxy.

use shared::testing::{Fault, Pipe, Proxy};

use crate::place::Place;

const OLD: &str = "\
pipelines:
  default:
    - step:
        name: Deploy
        script:
          - pipe: atlassian/aws-s3-deploy:1.1.0
            variables:
              AWS_ACCESS_KEY_ID: $AWS_KEY
              AWS_SECRET_ACCESS_KEY: $AWS_SECRET
              S3_BUCKET: site
";

fn in_pipelines<'a>(pipe: Pipe<'a>, proxy: &str) -> Pipe<'a> {
    pipe.envs([
        ("BITBUCKET_BUILD_NUMBER", "7"),
        ("BITBUCKET_WORKSPACE", "acme"),
        ("BITBUCKET_REPO_SLUG", "shop"),
        ("BITBUCKET_COMMIT", "0123456789abcdef"),
        ("CODE_INSIGHTS_PROXY", proxy),
    ])
}

#[test]
fn a_use_fails_with_its_line_and_is_told_to_the_pull_request() {
    let place = Place::with(OLD);
    let api = Proxy::with("http://127.0.0.1:9", |_| {
        Some(Fault::Status(200, "{}".to_owned()))
    });
    let output = in_pipelines(place.program(&[]), api.endpoint()).run();
    let plain = output.plain();
    assert_eq!(output.code, Some(1), "{plain}");
    assert!(plain.contains("bitbucket-pipelines.yml:6: step `Deploy`: `atlassian/aws-s3-deploy:1.1.0` takes access keys"), "{plain}");
    assert!(
        plain.contains("1 use of AWS access keys in 1 pipeline file"),
        "{plain}"
    );
    let requests = api.requests();
    let reports = "/2.0/repositories/acme/shop/commit/0123456789abcdef/reports/oidc-migrate";
    let asked: Vec<String> = requests
        .iter()
        .map(|request| format!("{} {}", request.method, request.path))
        .collect();
    assert_eq!(
        asked,
        [
            format!("PUT {reports}"),
            format!("POST {reports}/annotations")
        ]
    );
    assert_eq!(requests[0].headers["host"], "api.bitbucket.org");
    assert_eq!(requests[0].json()["result"], "FAILED");
    let annotation = &requests[1].json()[0];
    assert_eq!(
        (&annotation["path"], &annotation["line"]),
        (&"bitbucket-pipelines.yml".into(), &6.into())
    );
}

#[test]
fn a_report_that_cannot_be_sent_changes_no_verdict() {
    let place = Place::with(OLD);
    for (file, code) in [
        (OLD, 1),
        (
            "pipelines:\n  default:\n    - step:\n        script: [make]\n",
            0,
        ),
    ] {
        std::fs::write(place.path().join("bitbucket-pipelines.yml"), file).unwrap();
        let output = in_pipelines(place.program(&["check"]), "http://127.0.0.1:9").run();
        let plain = output.plain();
        assert_eq!(output.code, Some(code), "{plain}");
        assert!(
            plain.contains("WARNING: the Code Insights report could not be sent"),
            "{plain}"
        );
    }
}

#[test]
fn a_baseline_lets_old_uses_stand_and_new_ones_not() {
    let place = Place::with(OLD);
    let baseline = ["check", "--baseline", "baseline.txt"];
    let output = place
        .program(&[&baseline[..], &["--write-baseline"]].concat())
        .run();
    assert_eq!(output.code, Some(0), "{}", output.plain());
    let moved = format!("# a comment\n\n{OLD}");
    std::fs::write(place.path().join("bitbucket-pipelines.yml"), &moved).unwrap();
    let output = place.program(&baseline).run();
    assert_eq!(output.code, Some(0), "{}", output.plain());
    assert!(
        output
            .plain()
            .contains("1 old one let stand by the baseline"),
        "{}",
        output.plain()
    );
    let second = "          - pipe: atlassian/aws-ecs-deploy:1.6.2\n            variables:\n              CLUSTER_NAME: a\n";
    std::fs::write(place.path().join("bitbucket-pipelines.yml"), moved + second).unwrap();
    let output = place.program(&baseline).run();
    let plain = output.plain();
    assert_eq!(output.code, Some(1), "{plain}");
    assert!(
        plain.contains("aws-ecs-deploy") && !plain.contains("aws-s3-deploy"),
        "{plain}"
    );
}
