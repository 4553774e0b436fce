//! Looks into `bitbucket-pipelines.yml` for the steps that call this pipe without `oidc: true`, so that an error
//! can name the line to edit. Anything it cannot read it says nothing about.

use saphyr::{LoadableYamlNode, MarkedYaml};

use crate::document::too_deep;

/// The step to which `oidc: true` has to be added, such as "the step `Deploy` in line 12 of …"; several
/// if it cannot be told which one runs, nothing if none can be found.
#[must_use]
pub fn step_without_oidc(text: &str, pipe: &str, environment: Option<&str>) -> Option<String> {
    if too_deep(text).is_some() {
        return None;
    }
    let documents = MarkedYaml::load_from_str(text).ok()?;
    let mut steps = Vec::new();
    for document in &documents {
        collect(document, pipe, 0, &mut steps);
    }
    if let Some(environment) = environment
        && steps
            .iter()
            .any(|step| step.deployment.as_deref() == Some(environment))
    {
        steps.retain(|step| step.deployment.as_deref() == Some(environment));
    }
    let names: Vec<String> = steps
        .iter()
        .map(|step| match &step.name {
            Some(name) => format!("the step `{name}` in line {}", step.line),
            None => format!("the step in line {}", step.line),
        })
        .collect();
    if names.is_empty() {
        None
    } else {
        Some(format!("{} of bitbucket-pipelines.yml", names.join(" or ")))
    }
}

struct Step {
    line: usize,
    name: Option<String>,
    deployment: Option<String>,
}

/// An alias is a copy of its anchor, so a file can be far larger in memory than on disk, but no deeper than this.
const DEEPEST: usize = 64;

fn collect(node: &MarkedYaml<'_>, pipe: &str, depth: usize, steps: &mut Vec<Step>) {
    if depth > DEEPEST {
        return;
    }
    if let Some(list) = node.data.as_sequence() {
        for item in list {
            collect(item, pipe, depth + 1, steps);
        }
    }
    let Some(mapping) = node.data.as_mapping() else {
        return;
    };
    for (key, value) in mapping {
        if key.data.as_str() == Some("step") && calls(value, pipe) && !has_oidc(value) {
            let line = key.span.start.line();
            if !steps.iter().any(|step| step.line == line) {
                steps.push(Step {
                    line,
                    name: text(value, "name"),
                    deployment: text(value, "deployment"),
                });
            }
        }
        collect(value, pipe, depth + 1, steps);
    }
}

fn calls(step: &MarkedYaml<'_>, pipe: &str) -> bool {
    ["script", "after-script"]
        .iter()
        .filter_map(|part| get(step, part)?.data.as_sequence())
        .flatten()
        .any(|item| {
            text(item, "pipe").is_some_and(|reference| {
                let image = reference.rsplit('/').next().unwrap_or_default();
                image
                    .split([':', '@'])
                    .next()
                    .is_some_and(|name| name.ends_with(pipe))
            })
        })
}

fn has_oidc(step: &MarkedYaml<'_>) -> bool {
    get(step, "oidc")
        .is_some_and(|oidc| oidc.data.as_bool() == Some(true) || oidc.data.is_mapping())
}

fn text(node: &MarkedYaml<'_>, name: &str) -> Option<String> {
    get(node, name)?.data.as_str().map(str::to_owned)
}

fn get<'a, 'b>(node: &'a MarkedYaml<'b>, name: &str) -> Option<&'a MarkedYaml<'b>> {
    node.data
        .as_mapping()?
        .iter()
        .find_map(|(key, value)| (key.data.as_str() == Some(name)).then_some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "\
pipelines:
  default:
    - step:
        name: Build
        script:
          - make
  branches:
    main:
      - step:
          name: Deploy to staging
          deployment: staging
          script:
            - pipe: acme/s3-deploy:1.0.0
              variables:
                S3_BUCKET: staging
      - parallel:
          - step:
              deployment: production
              script:
                - pipe: docker://acme/s3-deploy@sha256:00
          - step:
              oidc: true
              script:
                - pipe: acme/s3-deploy:1.0.0
";

    #[test]
    fn the_step_is_named_with_its_line() {
        let of = |environment| step_without_oidc(FILE, "s3-deploy", environment);
        assert_eq!(
            of(Some("staging")).unwrap(),
            "the step `Deploy to staging` in line 9 of bitbucket-pipelines.yml"
        );
        assert_eq!(
            of(Some("production")).unwrap(),
            "the step in line 17 of bitbucket-pipelines.yml"
        );
        assert_eq!(
            of(None).unwrap(),
            "the step `Deploy to staging` in line 9 or the step in line 17 of bitbucket-pipelines.yml"
        );
        assert_eq!(step_without_oidc(FILE, "ecs-deploy", None), None);
    }

    #[test]
    fn a_file_it_cannot_read_is_no_trouble() {
        for text in [
            "",
            "a: [",
            "- *a",
            "\t",
            "step: 1",
            "- step:\n    script: x",
        ] {
            assert_eq!(step_without_oidc(text, "s3-deploy", None), None, "{text:?}");
        }
    }
}
