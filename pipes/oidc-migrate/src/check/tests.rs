use super::*;
use crate::model::{Keys, Pipe, PipelineFile, Step};

fn checkout(line: usize, version: &str, pipes: usize) -> Checkout {
    let pipe = |number| Pipe {
        line: line + number,
        reference: format!("atlassian/aws-s3-deploy:{version}"),
        keys: Keys::Defaults,
        ..Pipe::default()
    };
    let step = Step {
        name: Some("Deploy".to_owned()),
        line,
        pipes: (0..pipes).map(pipe).collect(),
        ..Step::default()
    };
    let file = PipelineFile {
        path: "bitbucket-pipelines.yml".into(),
        steps: vec![step],
        ..PipelineFile::default()
    };
    Checkout {
        files: vec![file],
        ..Checkout::default()
    }
}

#[test]
fn a_baseline_outlives_moved_lines_and_raised_versions() {
    let baseline = Baseline::of(&uses(&checkout(4, "1.1.0", 1)));
    let verdict = baseline.judge(uses(&checkout(40, "1.8.0", 1)));
    assert_eq!(
        (verdict.new.len(), verdict.known, verdict.gone.len()),
        (0, 1, 0)
    );
}

#[test]
fn a_second_use_of_the_same_kind_is_new() {
    let baseline = Baseline::of(&uses(&checkout(4, "1.1.0", 1)));
    let verdict = baseline.judge(uses(&checkout(4, "1.1.0", 2)));
    assert_eq!((verdict.new.len(), verdict.known), (1, 1));
}

#[test]
fn what_was_migrated_is_named_so_that_it_can_be_taken_out() {
    let baseline = Baseline::of(&uses(&checkout(4, "1.1.0", 1)));
    let verdict = baseline.judge(Vec::new());
    assert_eq!(
        verdict.gone,
        [
            "bitbucket-pipelines.yml | Deploy | keys-by-default | `atlassian/aws-s3-deploy` takes AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY by its defaults"
        ]
    );
}

#[test]
fn a_baseline_is_written_and_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("baseline.txt");
    let baseline = Baseline::of(&uses(&checkout(4, "1.1.0", 2)));
    baseline.write(&path).unwrap();
    assert_eq!(Baseline::read(&path).unwrap(), baseline);
    let failure = Baseline::read(&folder.path().join("none"))
        .unwrap_err()
        .to_string();
    assert!(failure.contains("--write-baseline"), "{failure}");
}
