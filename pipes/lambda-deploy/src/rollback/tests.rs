use serde_json::json;

use super::*;
use crate::live::Routing;
use crate::mark::Canary;

fn versions(numbers: &[&str]) -> Vec<Configuration> {
    let of = |number: &&str| serde_json::from_value(json!({"Version": number})).unwrap();
    numbers.iter().map(of).collect()
}

fn alias(version: &str, mark: Option<Mark>) -> Alias {
    Alias {
        name: "live".to_owned(),
        function_version: version.to_owned(),
        description: Description {
            text: "Live".to_owned(),
            mark,
        }
        .to_string(),
        ..Alias::default()
    }
}

fn previous(alias: &Alias, numbers: &[&str]) -> Result<String, String> {
    choose(alias, &Target::Previous, &versions(numbers))
        .map(|choice| choice.version)
        .map_err(|failure| failure.to_string())
}

#[test]
fn previous_is_what_the_alias_had_and_not_the_next_lower_number() {
    let mark = Mark::Previous {
        of: "9".to_owned(),
        version: "5".to_owned(),
    };
    let marked = alias("9", Some(mark.clone()));
    assert_eq!(previous(&marked, &["5", "8", "9"]).unwrap(), "5");
    let gone = previous(&marked, &["8", "9"]).unwrap_err();
    assert!(
        gone.starts_with("version 5, which the alias had before, does not exist any more"),
        "{gone}"
    );
    // Somebody else has moved it on since, and left the description.
    let moved = alias("10", Some(mark));
    assert_eq!(previous(&moved, &["5", "8", "9", "10"]).unwrap(), "9");
}

#[test]
fn without_a_memory_it_is_the_next_lower_number_that_exists() {
    assert_eq!(
        previous(&alias("9", None), &["2", "7", "9", "10"]).unwrap(),
        "7"
    );
    // A second time it goes on, and not back to where it came from.
    let back = alias("7", Some(Mark::RolledBack("9".to_owned())));
    assert_eq!(previous(&back, &["2", "7", "9"]).unwrap(), "2");
    let first = previous(&alias("1", None), &["1"]).unwrap_err();
    assert!(first.starts_with("there is no version before 1"), "{first}");
}

#[test]
fn a_shift_is_undone() {
    let mut split = alias("7", None);
    split.routing_config = Some(Routing {
        additional_version_weights: [("9".to_owned(), 0.1)].into(),
    });
    let choice = choose(&split, &Target::Previous, &versions(&["7", "9"])).unwrap();
    assert_eq!((choice.version.as_str(), choice.from.as_str()), ("7", "9"));
    let full = Mark::Canary(Canary {
        to: "9".to_owned(),
        from: "4".to_owned(),
        run: "orders#12".to_owned(),
        until: std::time::UNIX_EPOCH,
    });
    assert_eq!(
        previous(&alias("9", Some(full)), &["4", "7", "9"]).unwrap(),
        "4"
    );
}

#[test]
fn a_version_that_is_named_has_to_exist() {
    let of = |number: &str| {
        choose(
            &alias("9", None),
            &Target::from_text(number).unwrap(),
            &versions(&["3", "9"]),
        )
    };
    assert_eq!(of("3").unwrap().version, "3");
    insta::assert_snapshot!(of("4").unwrap_err(), @r"
    there is no version 4
      hint: the newest versions are 9, 3
    ");
    assert!(Target::from_text("live").is_err());
}
