//! What a run leaves for later steps: output variables and `report.json`.
//! Both places are tried before the first change, so that a deploy is not followed by a surprise.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::failure::Failure;
use crate::journal::Changes;
use crate::variables::Environment;

/// Names the file to which `NAME=value` lines are appended for later steps that declare `output-variables`.
const VARIABLES_PATH: &str = "BITBUCKET_PIPELINES_VARIABLES_PATH";
/// Names the directory that is private to one pipe and lives as long as the pipeline.
const STORAGE_DIR: &str = "BITBUCKET_PIPE_STORAGE_DIR";

/// How a run ended well.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// One sentence with numbers, printed after the `✔`.
    pub summary: String,
    /// Output variables, name and value.
    pub variables: BTreeMap<&'static str, String>,
}

/// The places for output variables and the report, each only if it is set and can be written.
#[derive(Debug, Default)]
pub struct Results {
    variables: Option<PathBuf>,
    report: Option<PathBuf>,
}

#[derive(Serialize)]
struct Report<'a> {
    pipe: &'a str,
    version: &'a str,
    result: &'a str,
    message: String,
    #[serde(flatten)]
    changes: &'a Changes,
    variables: &'a BTreeMap<&'static str, String>,
}

impl Results {
    /// Looks for the places in the environment and tries each; one that cannot be written is warned of
    /// and left out, since a container may see the variable without having the directory mounted.
    #[must_use]
    pub fn open(environment: &Environment) -> Self {
        let variables = environment.get(VARIABLES_PATH).map(PathBuf::from);
        let report = environment
            .get(STORAGE_DIR)
            .map(|directory| Path::new(directory).join("report.json"));
        Self {
            variables: usable(variables, VARIABLES_PATH),
            report: usable(report, STORAGE_DIR),
        }
    }

    /// Whether there is a place for the report.
    pub(crate) const fn has_report(&self) -> bool {
        self.report.is_some()
    }

    /// Writes the report and, after success, the output variables.
    ///
    /// # Errors
    /// When a place that could be written at the start of the run no longer can: a later step that reads
    /// it would act on old values.
    pub fn write(
        &self,
        pipe: (&str, &str),
        ending: Result<&Outcome, &Failure>,
        changes: &Changes,
    ) -> Result<(), Failure> {
        let (result, message, variables) = match ending {
            Ok(outcome) => ("success", outcome.summary.clone(), &outcome.variables),
            Err(failure) => ("failure", failure.to_string(), &BTreeMap::new()),
        };
        if let Some(path) = &self.report {
            let report = Report {
                pipe: pipe.0,
                version: pipe.1,
                result,
                message,
                changes,
                variables,
            };
            let written = serde_json::to_vec_pretty(&report)
                .map_err(io::Error::from)
                .and_then(|text| std::fs::write(path, text));
            written.map_err(|error| not_written(path, &error))?;
        }
        if let (Some(path), false) = (&self.variables, variables.is_empty()) {
            let lines = variables
                .iter()
                .fold(String::new(), |lines, (name, value)| {
                    lines
                        + name
                        + "="
                        + value
                        + "
"
                });
            let written = append_to(path).and_then(|mut file| file.write_all(lines.as_bytes()));
            written.map_err(|error| not_written(path, &error))?;
        }
        Ok(())
    }
}

fn usable(path: Option<PathBuf>, variable: &str) -> Option<PathBuf> {
    let path = path?;
    match append_to(&path) {
        Ok(_) => Some(path),
        Err(error) => {
            tracing::warn!(
                "no results for later steps: could not write `{}` of {variable}: {error}",
                path.display()
            );
            None
        }
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

fn not_written(path: &Path, error: &io::Error) -> Failure {
    Failure::new(format!(
        "could not write the results to `{}`: {error}",
        path.display()
    ))
    .hint("the deployment itself is as said above; later steps that read this file see old values")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Journal;

    #[test]
    fn results_are_appended_and_reported() {
        let directory = tempfile::tempdir().unwrap();
        let variables = directory.path().join("variables");
        std::fs::write(&variables, "BEFORE=1\n").unwrap();
        let environment = Environment::from([
            (VARIABLES_PATH, variables.to_str().unwrap()),
            (STORAGE_DIR, directory.path().to_str().unwrap()),
        ]);
        let journal = Journal::default();
        journal.begin("upload", "a").done("uploaded", "a");
        let outcome = Outcome {
            summary: "uploaded 1".to_owned(),
            variables: BTreeMap::from([("N", "1".to_owned())]),
        };
        Results::open(&environment)
            .write(("sample", "1.0.0"), Ok(&outcome), &journal.snapshot())
            .unwrap();
        assert_eq!(
            std::fs::read_to_string(&variables).unwrap(),
            "BEFORE=1\nN=1\n"
        );
        let report = std::fs::read_to_string(directory.path().join("report.json")).unwrap();
        insta::assert_snapshot!(report, @r#"
        {
          "pipe": "sample",
          "version": "1.0.0",
          "result": "success",
          "message": "uploaded 1",
          "changed": {
            "uploaded": [
              "a"
            ]
          },
          "perhaps_changed": [],
          "variables": {
            "N": "1"
          }
        }
        "#);
    }

    #[test]
    fn a_place_that_is_not_there_is_left_out() {
        let environment = Environment::from([(STORAGE_DIR, "/nonexistent/storage")]);
        let results = Results::open(&environment);
        assert!(results.report.is_none());
        results
            .write(
                ("sample", "1.0.0"),
                Err(&Failure::new("failed")),
                &Changes::default(),
            )
            .unwrap();
    }
}
