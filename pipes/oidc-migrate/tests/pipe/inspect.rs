//! `inspect` tells what is there, with file and line, in three forms.

use std::fs;

use serde_json::Value;

use super::{KEYS, checkout, command};

#[test]
fn findings_have_file_line_and_step() {
    let folder = checkout(&[("bitbucket-pipelines.yml", KEYS)]);
    let (code, output) = command(folder.path(), &["inspect"]);
    assert_eq!(code, Some(0));
    insta::assert_snapshot!(output, @r"
    bitbucket-pipelines.yml
      line 4: step `Deploy` of branches/main, deployment production, no oidc
    bitbucket-pipelines.yml:4: step-without-oidc: step `Deploy`: the step has no `oidc: true`
    bitbucket-pipelines.yml:8: keys-in-variables: step `Deploy`: `atlassian/aws-s3-deploy:1.1.0` takes access keys: AWS_ACCESS_KEY_ID from `$AWS_ACCESS_KEY_ID`, AWS_SECRET_ACCESS_KEY from `$AWS_SECRET_ACCESS_KEY`
    ✔ 1 findings of access keys or broken files, 2 in all, in 1 steps of 1 files
    ");
}

#[test]
fn local_imports_are_followed_and_others_are_said_to_be_unseen() {
    let folder = checkout(&[
        (
            "bitbucket-pipelines.yml",
            "definitions:\n  imports:\n    here: ci/deploy.yml\n    gone: ci/gone.yml\n    far: acme/shared:main\n\
             pipelines:\n  default:\n    import: deploy@here\n  branches:\n    a:\n      import: x@far\n    b:\n      import: y@gone\n",
        ),
        (
            "ci/deploy.yml",
            &format!(
                "export: true\ndefinitions:\n  {}",
                KEYS.replace('\n', "\n  ").trim_end()
            ),
        ),
        ("node_modules/x/bitbucket-pipelines.yml", KEYS),
    ]);
    let (_, output) = command(folder.path(), &["inspect"]);
    assert!(
        output.contains("ci/deploy.yml:10: keys-in-variables"),
        "{output}"
    );
    assert!(
        output.contains(
            "bitbucket-pipelines.yml:11: import: the pipeline is imported from another repository"
        ),
        "{output}"
    );
    assert!(output.contains("bitbucket-pipelines.yml:13: import: imports `ci/gone.yml`, which is not in the checkout"), "{output}");
    assert!(!output.contains("node_modules"), "{output}");
}

#[test]
fn json_and_sarif_are_documents() {
    let folder = checkout(&[("a b/bitbucket-pipelines.yml", KEYS)]);
    let (_, output) = command(folder.path(), &["inspect", "--format", "json"]);
    let json: Value = serde_json::from_str(&output).unwrap();
    let pipe = &json["files"][0]["steps"][0]["pipes"][0];
    assert_eq!(pipe["keys"]["AWS_ACCESS_KEY_ID"], "AWS_ACCESS_KEY_ID");
    assert_eq!(pipe["uses_keys"], true);
    assert_eq!(json["findings"][1]["line"], 8);
    let (_, output) = command(folder.path(), &["inspect", "--format", "sarif"]);
    let sarif: Value = serde_json::from_str(&output).unwrap();
    let result = &sarif["runs"][0]["results"][1];
    assert_eq!(result["ruleId"], "keys-in-variables");
    assert_eq!(result["level"], "error");
    let place = &result["locations"][0]["physicalLocation"];
    assert_eq!(
        place["artifactLocation"]["uri"],
        "a%20b/bitbucket-pipelines.yml"
    );
    assert_eq!(place["region"]["startLine"], 8);
}

#[test]
fn reading_changes_nothing() {
    let folder = checkout(&[("bitbucket-pipelines.yml", KEYS)]);
    let path = folder.path().join("bitbucket-pipelines.yml");
    let before = fs::metadata(&path).unwrap().modified().unwrap();
    command(folder.path(), &["inspect"]);
    assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), before);
    assert_eq!(folder.path().read_dir().unwrap().count(), 1);
}
