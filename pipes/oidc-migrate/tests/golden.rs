//! Pipeline files before and after, with what is said about them: `tests/golden/<case>/{before.yml,after.yml,report.txt}`.
//! `UPDATE_GOLDEN=1 cargo test -p oidc-migrate --test golden` writes them anew; every difference is then read by eye.
//! A case whose name begins with `ours-` is rewritten for the pipes of this project.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use oidc_migrate::findings;
use oidc_migrate::keys::without_secrets;
use oidc_migrate::model::{Checkout, PipelineFile};
use oidc_migrate::pipe_edit::Target;
use oidc_migrate::plan::Item;
use oidc_migrate::rewrite;

#[expect(
    clippy::disallowed_methods,
    reason = "a switch for whoever runs the tests"
)]
fn is_update() -> bool {
    std::env::var_os("UPDATE_GOLDEN").is_some()
}

fn report(bytes: &[u8], target: Target) -> (String, Vec<u8>) {
    let mut report = String::new();
    let (mut file, _) = PipelineFile::from_bytes(bytes);
    file.path = PathBuf::from("before.yml");
    let checkout = Checkout {
        root: PathBuf::new(),
        files: vec![file],
    };
    let after = match rewrite::of_bytes(bytes, target) {
        Err(fault) => {
            let _ = writeln!(report, "refused: {fault}");
            bytes.to_vec()
        }
        Ok(rewrite) => {
            for (title, items) in [
                ("done", &rewrite.done),
                ("left", &rewrite.left),
                ("notes", &rewrite.notes),
            ] {
                for Item { line, step, text } in items {
                    let step = step
                        .as_ref()
                        .map_or_else(String::new, |name| format!("step `{name}`: "));
                    let _ = writeln!(report, "{title} {line}: {step}{text}");
                }
            }
            rewrite.text.into_bytes()
        }
    };
    for finding in findings::find(&checkout) {
        let _ = writeln!(
            report,
            "inspect {}: {}: {}",
            finding.line,
            finding.rule.describe().0,
            finding.text
        );
    }
    (report, after)
}

#[test]
fn every_case_comes_out_as_it_is_kept() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut cases: Vec<PathBuf> = folder
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    cases.sort();
    assert!(cases.len() >= 60, "{} cases", cases.len());
    let mut wrong = Vec::new();
    for case in &cases {
        let name = case.file_name().unwrap().to_string_lossy().into_owned();
        let target = if name.starts_with("ours-") {
            Target::Ours
        } else {
            Target::Keep
        };
        let before = std::fs::read(case.join("before.yml")).unwrap();
        let (report, after) = report(&before, target);
        assert_eq!(
            report,
            report
                .lines()
                .map(|line| without_secrets(line) + "\n")
                .collect::<String>(),
            "{name}"
        );
        if is_update() {
            std::fs::write(case.join("after.yml"), &after).unwrap();
            std::fs::write(case.join("report.txt"), &report).unwrap();
            continue;
        }
        for (file, found) in [("after.yml", &after[..]), ("report.txt", report.as_bytes())] {
            let kept = std::fs::read(case.join(file)).unwrap_or_default();
            if kept != found {
                wrong.push(format!(
                    "{name}/{file}:\n{}",
                    String::from_utf8_lossy(found)
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
