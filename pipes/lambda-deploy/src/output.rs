//! The file that later steps read with jq: the answer of Lambda as it came, `Version` among its members, at the place
//! where users of the pipe that people come from expect it.

use std::path::{Path, PathBuf};

use serde_json::Value;
use shared::{Environment, Failure};

use crate::live::Configuration;

const DIRECTORY: &str = "BITBUCKET_PIPE_SHARED_STORAGE_DIR";
const NAME: &str = "aws-lambda-deploy-env";

/// Where the answer goes, if anywhere.
pub struct SharedFile(Option<PathBuf>);

impl SharedFile {
    /// Looks for the directory and tries to write there before anything is changed, so that a deploy is not followed by a
    /// surprise.
    ///
    /// # Errors
    /// When the directory is there and cannot be written.
    pub fn open(environment: &Environment) -> Result<Self, Failure> {
        let Some(directory) = environment.get(DIRECTORY).map(Path::new) else {
            return Ok(Self(None));
        };
        let path = directory.join(NAME);
        std::fs::create_dir_all(directory)
            .and_then(|()| {
                let mut options = std::fs::OpenOptions::new();
                options.create(true).append(true).open(&path)
            })
            .map_err(|error| {
                Failure::new(format!(
                    "could not write `{}` for later steps: {error}",
                    path.display()
                ))
            })?;
        Ok(Self(Some(path)))
    }

    /// Writes the answer; of several functions a list.
    ///
    /// # Errors
    /// When it no longer can be written: a later step would read an old version.
    pub fn write(&self, versions: &[&Configuration]) -> Result<(), Failure> {
        let Some(path) = &self.0 else {
            return Ok(());
        };
        let document = match versions {
            [version] => version.to_json(),
            versions => Value::Array(versions.iter().map(|version| version.to_json()).collect()),
        };
        std::fs::write(path, format!("{document}\n")).map_err(|error| {
            Failure::new(format!(
                "could not write `{}` for later steps: {error}",
                path.display()
            ))
            .hint(
                "the function was deployed; a later step that reads this file sees an old version",
            )
        })
    }
}
