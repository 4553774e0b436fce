//! Variables that were set but that this pipe does not read: taken from another pipe's example, or mistyped.
//! The platform drops nothing and says nothing, so a wish such as `DELETE_FLG: true` would be ignored in silence.

use crate::variables::Environment;

/// Variables of the deploy pipes for Bitbucket that people copy examples from: the pipe's name and what it reads.
const OTHER_PIPES: &[(&str, &[&str])] = &[
    (
        "s3-deploy",
        &[
            "S3_BUCKET",
            "LOCAL_PATH",
            "DELETE_FLAG",
            "CACHE_CONTROL",
            "CONTENT_ENCODING",
            "EXTRA_ARGS",
        ],
    ),
    (
        "ecs-deploy",
        &[
            "CLUSTER_NAME",
            "SERVICE_NAME",
            "TASK_DEFINITION",
            "FORCE_NEW_DEPLOYMENT",
            "WAIT_MAX_ATTEMPTS",
        ],
    ),
    (
        "lambda-deploy",
        &[
            "FUNCTION_NAME",
            "FUNCTION_CONFIGURATION",
            "ZIP_FILE",
            "ALIAS",
        ],
    ),
    ("cloudfront-invalidate", &["DISTRIBUTION_ID", "PATHS"]),
    (
        "cloudformation-deploy",
        &[
            "STACK_NAME",
            "TEMPLATE",
            "STACK_PARAMETERS",
            "CAPABILITIES",
            "OUTPUTS_FILENAME",
        ],
    ),
    (
        "code-deploy",
        &[
            "DEPLOYMENT_GROUP",
            "BUNDLE_TYPE",
            "FILE_EXISTS_BEHAVIOR",
            "IGNORE_APPLICATION_STOP_FAILURES",
        ],
    ),
    (
        "elasticbeanstalk-deploy",
        &["ENVIRONMENT_NAME", "VERSION_LABEL", "WARMUP_INTERVAL"],
    ),
    ("ecr-push-image", &["IMAGE_NAME", "TAGS"]),
    (
        "eks-kubectl-run",
        &[
            "KUBECTL_COMMAND",
            "KUBECTL_ARGS",
            "KUBECTL_APPLY_ARGS",
            "RESOURCE_PATH",
        ],
    ),
];

/// Shorter names are one slip away from too many innocent ones.
const SHORTEST_FOR_A_GUESS: usize = 5;

/// One warning for each variable in `environment` that is not among `known` but another pipe's, or one
/// typing slip (a letter more, less, other, or two swapped) away from a known one.
#[must_use]
pub fn unknown_variables(environment: &Environment, known: &[String]) -> Vec<String> {
    let is_known = |name: &str| {
        known.iter().any(|each| {
            name == each
                || name
                    .strip_prefix(each.as_str())
                    .and_then(|rest| rest.strip_prefix('_'))
                    .is_some_and(|index| {
                        index == "COUNT"
                            || (!index.is_empty()
                                && index.bytes().all(|digit| digit.is_ascii_digit()))
                    })
        })
    };
    environment
        .names()
        .filter(|name| !is_known(name))
        .filter_map(|name| warning(name, known))
        .collect()
}

fn warning(name: &str, known: &[String]) -> Option<String> {
    let letters = name.chars().count();
    let guess = known.iter().find(|each| {
        each.len() >= SHORTEST_FOR_A_GUESS
            // Most pairs end here: to compare them all was a twentieth of a small deploy.
            && each.chars().count().abs_diff(letters) <= 1
            && strsim::damerau_levenshtein(each, name) == 1
    });
    if let Some(guess) = guess {
        return Some(format!(
            "the variable `{name}` is not known to this pipe and is ignored; did you mean `{guess}`?"
        ));
    }
    let (pipe, _) = OTHER_PIPES
        .iter()
        .find(|(_, variables)| variables.contains(&name))?;
    Some(format!(
        "the variable `{name}` belongs to {pipe}, not to this pipe, and is ignored"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warnings<const N: usize>(pairs: [(&str, &str); N]) -> Vec<String> {
        let known = ["S3_BUCKET", "DELETE_FLAG", "ACL", "AWS_ROLE_CHAIN"].map(str::to_owned);
        unknown_variables(&Environment::from(pairs), &known)
    }

    #[test]
    fn a_slip_is_named_with_the_right_name() {
        for slip in ["DELETE_FLG", "DELETE_FLAGS", "DELTEE_FLAG", "DELETE_FLAT"] {
            let warnings = warnings([(slip, "true")]);
            assert_eq!(warnings.len(), 1, "{slip}");
            assert!(
                warnings[0].contains(slip) && warnings[0].ends_with("did you mean `DELETE_FLAG`?"),
                "{warnings:?}"
            );
        }
    }

    #[test]
    fn another_pipes_variable_is_named_with_its_pipe() {
        assert_eq!(
            warnings([("ZIP_FILE", "a.zip"), ("S3_BUCKET", "site")]),
            ["the variable `ZIP_FILE` belongs to lambda-deploy, not to this pipe, and is ignored"]
        );
    }

    #[test]
    fn known_lists_short_names_and_strangers_are_left_alone() {
        assert_eq!(
            warnings([
                ("AWS_ROLE_CHAIN_COUNT", "1"),
                ("AWS_ROLE_CHAIN_0", "arn"),
                ("ALL", "1"),
                ("PATH", "/bin"),
                ("HOME", "/"),
                ("CI", "true"),
                ("BITBUCKET_COMMIT", "abc"),
            ]),
            Vec::<String>::new()
        );
    }
}
