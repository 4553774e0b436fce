//! What has to hold for the bytes of any pipeline file: `ci/fuzz` looks for inputs that break it, and the tests try again
//! the ones that it keeps. Nothing of the pipe calls this.

use std::path::{Path, PathBuf};

use shared::Environment;
use similar::{ChangeTag, TextDiff};

use crate::check::uses;
use crate::iam::{Format as Tool, Given, Known, Stack};
use crate::inspect::{Arguments, Format};
use crate::keys::{KEY_NAMES, ROLE_NAME};
use crate::model::{Checkout, PipelineFile};
use crate::pipe_edit::Target;
use crate::rewrite::{self, Rewrite};
use crate::work_order;

/// What an edit puts into a line or takes out of it.
const OURS: [&str; 8] = [
    "oidc",
    "pipe",
    "script",
    "step",
    "variables",
    ROLE_NAME,
    "AWS_",
    "<<",
];

/// A file: each command reads it or says what is wrong with it, and an edit is settled, small, and keeps every break.
///
/// # Panics
/// When it does not.
pub fn pipeline_file(input: &[u8]) {
    let checkout = read(input);
    for target in [Target::Keep, Target::Ours] {
        match rewrite::of_bytes(input, target) {
            Err(fault) => assert!(!fault.to_string().is_empty()),
            Ok(rewrite) => edited(input, target, &rewrite),
        }
    }
    for format in [Format::Json, Format::Sarif] {
        let Ok(document) = (Arguments { format }).document(&checkout) else {
            panic!("what was read could not be written");
        };
        serde_json::from_str::<serde_json::Value>(&document).expect("it is JSON");
    }
    assert!(work_order::text(&checkout).ends_with('\n'));
    for found in uses(&checkout) {
        assert!(!found.fingerprint().is_empty());
    }
    let given = Given {
        workspace: Some("acme".to_owned()),
        ..Given::default()
    };
    let Ok(known) = Known::new(given, &Environment::new([]), Path::new(".")) else {
        panic!("a workspace is enough");
    };
    for to_ours in [false, true] {
        let stack = Stack::new(&checkout, &known, to_ours);
        for tool in [Tool::Terraform, Tool::Cloudformation, Tool::AwsCli] {
            let text = tool.write(&stack);
            assert!(text.ends_with('\n'));
            if tool == Tool::Cloudformation {
                let template = yaml_serde::from_str::<yaml_serde::Value>(&text);
                assert!(template.is_ok(), "{template:?}\n{text}");
            }
        }
    }
}

fn read(input: &[u8]) -> Checkout {
    let (mut file, _) = PipelineFile::from_bytes(input);
    file.path = PathBuf::from("bitbucket-pipelines.yml");
    Checkout {
        root: PathBuf::from("."),
        files: vec![file],
    }
}

fn edited(input: &[u8], target: Target, rewrite: &Rewrite) {
    let before = std::str::from_utf8(input).expect("what is no text is a fault");
    if rewrite.text == before {
        assert!(rewrite.done.is_empty(), "done: {:?}", rewrite.done);
        return;
    }
    assert!(!rewrite.done.is_empty(), "an edit that is not told");
    let again = rewrite::for_target(&rewrite.text, target).expect("the edited text is a file too");
    assert_eq!(again.text, rewrite.text, "a second run changes it again");
    assert!(
        yaml_serde::from_str::<yaml_serde::Value>(rewrite.text.trim_start_matches('\u{feff}'))
            .is_ok(),
        "another parser cannot read it"
    );
    for key in KEY_NAMES {
        let count = |text: &str| text.matches(key).count();
        assert!(count(&rewrite.text) <= count(before), "a key came");
    }
    assert_eq!(rewrite.text.contains('\r'), before.contains('\r'));
    // The last lines are compared as if both had a break: whether the end has one follows from which line is last.
    let whole = |text: &str| format!("{}\n", text.trim_end_matches(['\r', '\n']));
    let (old, new) = (whole(before), whole(&rewrite.text));
    let diff = TextDiff::from_lines(&old, &new);
    let came = diff
        .iter_all_changes()
        .filter(|change| change.tag() == ChangeTag::Insert);
    for change in came {
        let line = change.value();
        assert!(
            OURS.iter().any(|word| line.contains(word)),
            "a line came that has nothing to do with keys: {line:?}"
        );
    }
}

#[cfg(test)]
mod tests {
    use shared::testing::replay;

    #[test]
    fn the_corpus_of_pipeline_files_holds() {
        replay("pipeline-file", super::pipeline_file);
    }
}
