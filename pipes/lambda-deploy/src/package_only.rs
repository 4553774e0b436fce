//! COMMAND `package`: packs or checks ZIP_FILE, says its SHA-256, and asks nobody. Two machines can be compared with it,
//! and an archive can be kept that a later step deploys.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use shared::{Environment, Failure, Faults, Field, Outcome};

use crate::config::CommandName;
use crate::package::{Limits, Links, Package};
use crate::source::packed;

/// What envy fills from the environment.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Variables {
    command: Field<CommandName>,
    zip_file: Field<String>,
    package_file: Field<String>,
    symlinks: Field<Links>,
}

/// What is packed, and where the archive is kept.
pub struct PackageOnly {
    path: PathBuf,
    links: Links,
    file: Option<PathBuf>,
}

impl PackageOnly {
    /// What COMMAND asks for; nothing if it is another command.
    ///
    /// # Errors
    /// When a variable is missing or faulty.
    pub fn new(environment: &Environment) -> Result<Option<Self>, Failure> {
        let variables: Variables = environment.read();
        if !matches!(variables.command, Field::Value(CommandName::Package)) {
            return Ok(None);
        }
        let mut faults = Faults::default();
        let path = faults.required("ZIP_FILE", variables.zip_file);
        let file = faults.optional("PACKAGE_FILE", variables.package_file);
        let links = faults.optional("SYMLINKS", variables.symlinks);
        match path {
            Some(path) if faults.is_empty() => Ok(Some(Self {
                path: PathBuf::from(path.trim()),
                links: links.unwrap_or_default(),
                file: file.map(|file| PathBuf::from(file.trim())),
            })),
            _ => Err(faults.into()),
        }
    }

    /// Packs.
    ///
    /// # Errors
    /// When it cannot be deployed, or the archive cannot be written.
    pub async fn run(&self) -> Result<Outcome, Failure> {
        let package = packed("ZIP_FILE", &self.path, self.links, Limits::default()).await?;
        if let Some(file) = &self.file {
            write(file, &package)?;
        }
        let kept = match &self.file {
            Some(file) => format!(" in `{}`", file.display()),
            None => String::new(),
        };
        Ok(Outcome {
            summary: format!(
                "Packed `{}`: {} files of {} bytes are {} bytes{kept}, CodeSha256 {}",
                self.path.display(),
                package.files(),
                package.unzipped(),
                package.size(),
                package.code_sha256()
            ),
            variables: [("LAMBDA_DEPLOY_CODE_SHA256", package.code_sha256())].into(),
        })
    }
}

fn write(file: &Path, package: &Package) -> Result<(), Failure> {
    std::fs::write(file, package.bytes()).map_err(|error| {
        Failure::new(format!(
            "could not write PACKAGE_FILE `{}`: {error}",
            file.display()
        ))
        .hint("its directory has to exist")
    })
}
