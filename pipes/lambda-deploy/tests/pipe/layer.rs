//! LAYER_NAME: a directory as a layer, published when its bytes are others, and on the function.

use serde_json::Value;
use shared::testing::{Pipe, unique};

use crate::step::{Step, last_line, succeeded, text_of};

fn update<'a>(step: &'a Step, layer: &str) -> Pipe<'a> {
    step.pipe()
        .env("COMMAND", "update")
        .env("LAYER_NAME", layer)
        .env("LAYER_PATH", "layer")
}

fn layers(step: &Step) -> Vec<String> {
    let live = step.configuration(&step.function);
    let layers = live["Layers"].as_array().cloned().unwrap_or_default();
    layers
        .iter()
        .map(|layer: &Value| text_of(&layer["Arn"]))
        .collect()
}

#[test]
fn a_layer_is_published_when_it_differs_and_replaces_its_older_version() {
    let step = Step::new();
    let layer = unique("deps");
    step.file("layer/python/shared.py", "VALUE = 1\n");
    let dry = update(&step, &layer).env("DRY_RUN", "true").run();
    let plain = succeeded(&dry);
    assert!(
        plain.contains(&format!("layer      {layer}  (new, ")),
        "{plain}"
    );
    assert!(
        plain.contains(&format!("layer:{layer}:(new version)")),
        "{plain}"
    );
    assert_eq!(step.changes(), [] as [&str; 0]);

    succeeded(&update(&step, &layer).run());
    let first = layers(&step);
    assert_eq!(first.len(), 1);
    assert!(
        first[0].ends_with(&format!(":layer:{layer}:1")),
        "{first:?}"
    );
    assert_eq!(
        step.changes(),
        [
            &format!("POST /2018-10-31/layers/{layer}/versions"),
            "PUT /configuration",
            "POST /versions"
        ]
    );

    step.proxy.clear();
    let output = update(&step, &layer).run();
    let plain = succeeded(&output);
    assert!(
        plain.contains(&format!("layer      {layer}  (unchanged, version 1)")),
        "{plain}"
    );
    assert!(last_line(&output).starts_with("✔ Unchanged: "), "{plain}");
    assert_eq!(step.changes(), [] as [&str; 0]);

    step.file("layer/python/shared.py", "VALUE = 2\n");
    succeeded(&update(&step, &layer).run());
    let second = layers(&step);
    assert_eq!(second.len(), 1);
    assert!(
        second[0].ends_with(&format!(":layer:{layer}:2")),
        "{second:?}"
    );
}

#[test]
fn versions_of_the_layer_that_nothing_has_are_pruned() {
    let step = Step::new();
    let layer = unique("deps");
    for value in ["1", "2", "3"] {
        step.file("layer/python/shared.py", value);
        let keep = if value == "3" { "1" } else { "9" };
        let output = update(&step, &layer).env("KEEP_VERSIONS", keep).run();
        let plain = succeeded(&output);
        assert_eq!(
            plain.contains("old versions of layer"),
            value == "3",
            "{plain}"
        );
    }
    assert_eq!(step.versions(), ["3"]);
    let path = format!("/2018-10-31/layers/{layer}/versions");
    let listed = step.call("GET", &path, &Value::Null);
    let versions = listed["LayerVersions"].as_array().unwrap();
    let numbers: Vec<&Value> = versions.iter().map(|each| &each["Version"]).collect();
    assert_eq!(numbers, [3]);
}
