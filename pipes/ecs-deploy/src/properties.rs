//! What has to hold for any task definition and any variables: `ci/fuzz` looks for inputs that break it, and the tests
//! try again the ones that it keeps. Nothing of the pipe calls this.

use shared::Environment;

use crate::config::Config;
use crate::definition::Definition;

/// A task definition, in JSON and in YAML: it is read or refused in words, is the same as itself, and what is sent of
/// it is the same when it is read again.
///
/// # Panics
/// When it is not.
pub fn definition(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let environment = Environment::from([("TAG", "1.2.3"), ("QUOTED", "\"a\": ${TAG}\n- b")]);
    for name in ["task.json", "task.yaml"] {
        let Ok(definition) = Definition::from_file(text, name, &environment) else {
            continue;
        };
        assert!(definition.is_same_as(&definition));
        assert!(definition.difference(Some(&definition)).is_empty());
        assert!(!definition.difference(None).is_empty());
        let printed = definition.body().to_string().replace("${", "$${");
        let again = Definition::from_file(&printed, "again.json", &Environment::default())
            .unwrap_or_else(|failure| panic!("{printed}\n{failure}"));
        assert_eq!(again.body(), definition.body());
    }
}

/// The pipe's variables, as [`shared::properties::variables`] wants them.
///
/// # Panics
/// When they are not.
pub fn variables(input: &[u8]) {
    shared::properties::variables::<Config>(input, "ecs-deploy");
}

#[cfg(test)]
mod tests {
    use shared::testing::replay;

    #[test]
    fn the_corpus_of_definitions_holds() {
        replay("task-definition", super::definition);
    }

    #[test]
    fn the_corpus_of_variables_holds() {
        replay("variables", super::variables);
    }
}
