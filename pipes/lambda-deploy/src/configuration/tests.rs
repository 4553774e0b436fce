use shared::edits::{EditFields, Entries};
use shared::{Faults, Field, FromText, List};

use super::*;

fn live() -> Configuration {
    serde_json::from_value(json!({
        "FunctionName": "orders", "Version": "$LATEST", "MemorySize": 128, "Timeout": 3, "Handler": "app.handler",
        "Environment": {"Variables": {"STAGE": "test", "URL": "first"}},
        "Layers": [{"Arn": "arn:l:a:1", "CodeSize": 1}, {"Arn": "arn:l:b:2", "CodeSize": 1}],
        "VpcConfig": {"SubnetIds": ["s-2", "s-1"], "SecurityGroupIds": ["g-1"], "VpcId": "v-1"},
        "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"},
        "ImageConfigResponse": {"ImageConfig": {"Command": ["a"]}},
        "LoggingConfig": {"LogFormat": "Text", "LogGroup": "/aws/lambda/orders"},
        "NewestMember": {"On": true, "Since": 1},
    }))
    .unwrap()
}

fn desired(members: Value) -> Desired {
    let Value::Object(members) = members else {
        panic!("an object")
    };
    Desired {
        members,
        ..Desired::default()
    }
}

fn body(members: Value) -> Option<Value> {
    desired(members)
        .change(&live())
        .map(|change| Value::Object(change.body))
}

#[test]
fn what_is_live_already_is_no_change() {
    for same in [
        json!({}),
        json!({"MemorySize": 128, "Timeout": 3.0, "Handler": "app.handler"}),
        json!({"Environment": {"Variables": {"URL": "first", "STAGE": "test"}}}),
        json!({"Layers": ["arn:l:a:1", "arn:l:b:2"]}),
        // Subnets come back in an order of Lambda's own.
        json!({"VpcConfig": {"SubnetIds": ["s-1", "s-2"]}}),
        json!({"SnapStart": {"ApplyOn": "None"}}),
        json!({"ImageConfig": {"Command": ["a"]}}),
        json!({"LoggingConfig": {"LogFormat": "Text"}}),
        // What an answer leaves out when it is at its default.
        json!({"EphemeralStorage": {"Size": 512}, "TracingConfig": {"Mode": "PassThrough"}, "Description": ""}),
        json!({"DeadLetterConfig": {"TargetArn": ""}, "FileSystemConfigs": []}),
        json!({"NewestMember": {"On": true}}),
    ] {
        assert_eq!(body(same.clone()), None, "{same}");
    }
}

#[test]
fn only_what_differs_is_sent_and_objects_whole() {
    for (wished, sent) in [
        (
            json!({"MemorySize": 256, "Timeout": 3}),
            json!({"MemorySize": 256}),
        ),
        // The order of layers matters to Lambda.
        (
            json!({"Layers": ["arn:l:b:2", "arn:l:a:1"]}),
            json!({"Layers": ["arn:l:b:2", "arn:l:a:1"]}),
        ),
        (
            json!({"VpcConfig": {"SubnetIds": ["s-3"]}}),
            json!({"VpcConfig": {"SubnetIds": ["s-3"], "SecurityGroupIds": ["g-1"]}}),
        ),
        (
            json!({"LoggingConfig": {"LogFormat": "JSON", "LogGroup": null}}),
            json!({"LoggingConfig": {"LogFormat": "JSON"}}),
        ),
        // A file that names the environment names all of it, as in the API.
        (
            json!({"Environment": {"Variables": {"STAGE": "test"}}}),
            json!({"Environment": {"Variables": {"STAGE": "test"}}}),
        ),
        (json!({"Layers": []}), json!({"Layers": []})),
        (
            json!({"NewestMember": {"On": false}}),
            json!({"NewestMember": {"On": false, "Since": 1}}),
        ),
    ] {
        assert_eq!(body(wished.clone()), Some(sent), "{wished}");
    }
}

fn edited(set: &str, unset: &str, replace: bool) -> Desired {
    let mut faults = Faults::default();
    let field = |text: &str| match text {
        "" => Field::Unset,
        text => Field::Value(Entries::from_text(text).unwrap()),
    };
    let fields = EditFields {
        set: field(set),
        unset: Field::Value(List(unset.split_whitespace().map(str::to_owned).collect())),
        replace: Field::Value(replace),
    };
    Desired {
        environment: Edits::new("ENVIRONMENT", fields, &mut faults),
        ..Desired::default()
    }
}

#[test]
fn environment_has_three_verbs_and_touches_only_what_is_named() {
    for (set, unset, replace, expected) in [
        (
            "STAGE=prod",
            "",
            false,
            json!({"STAGE": "prod", "URL": "first"}),
        ),
        ("NEW=1", "URL", false, json!({"STAGE": "test", "NEW": "1"})),
        ("STAGE=prod", "", true, json!({"STAGE": "prod"})),
    ] {
        let change = edited(set, unset, replace).change(&live()).unwrap();
        assert_eq!(
            change.body["Environment"]["Variables"], expected,
            "{set} {unset}"
        );
    }
    assert_eq!(edited("STAGE=test", "ABSENT", false).change(&live()), None);
}

#[test]
fn the_difference_shows_no_value_of_the_environment() {
    let change = edited("URL=second NEW=second", "STAGE", false)
        .change(&live())
        .unwrap();
    let lines = change.lines().join("\n");
    assert!(
        !lines.contains("first") && !lines.contains("second"),
        "{lines}"
    );
    for name in ["URL", "NEW", "STAGE"] {
        assert!(lines.contains(name), "{lines}");
    }
    let change = desired(json!({"MemorySize": 256})).change(&live()).unwrap();
    insta::assert_snapshot!(change.lines().join("\n"), @"~ MemorySize: 128 → 256");
}

#[test]
fn members_of_other_requests_and_slips_are_refused_by_name() {
    let refused = |name: &str| {
        let members = json!({name: 1});
        check(members.as_object().unwrap(), "configuration.json")
            .unwrap_err()
            .to_string()
    };
    insta::assert_snapshot!(refused("Timout"), @r"
    `configuration.json` has the member `Timout`, which UpdateFunctionConfiguration does not take
      hint: did you mean `Timeout`?
    ");
    insta::assert_snapshot!(refused("CodeSha256"), @r"
    `configuration.json` has the member `CodeSha256`, which UpdateFunctionConfiguration does not take
      hint: it is of an answer of Lambda; a request cannot set it
    ");
    assert!(refused("memorysize").contains("did you mean `MemorySize`?"));
    assert!(refused("Architectures").contains("set ARCHITECTURE"));
    let unknown = json!({"TenancyConfig": {}, "MemorySize": 1});
    assert_eq!(
        check(unknown.as_object().unwrap(), "c.json").unwrap(),
        ["TenancyConfig"]
    );
}

#[test]
fn a_layer_of_this_run_takes_the_place_of_its_older_version() {
    let mut wished = Desired::default();
    wished.add_layer("arn:l:a:7", Some(&live()));
    assert_eq!(wished.members["Layers"], json!(["arn:l:a:7", "arn:l:b:2"]));
    let mut wished = desired(json!({"Layers": ["arn:l:c:1"]}));
    wished.add_layer("arn:l:a:7", Some(&live()));
    assert_eq!(wished.members["Layers"], json!(["arn:l:c:1", "arn:l:a:7"]));
}
