//! The code of a run, made ready before anything is changed: packed or checked, an image pinned to its digest, an object
//! looked at. What comes out can be compared with what is live, as far as AWS tells.

use std::path::Path;

use shared::Failure;

use crate::aws::{Lambda, Upload};
use crate::config::Code;
use crate::image::Image;
use crate::live::Function;
use crate::package::{Limits, Links, Origin, Package, Unusable};

/// Code that can be uploaded.
pub enum Source {
    /// A zip that is here.
    Package(Package),
    /// An image.
    Image(Image),
    /// A zip in a bucket.
    Object {
        /// Where it is.
        upload: Upload,
        /// The base64 of its SHA-256, if S3 knows it.
        sha256: Option<String>,
    },
}

/// Whether the code is live already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// It is.
    Same,
    /// Other code is.
    Differs,
    /// AWS does not tell.
    Unknown,
}

impl Source {
    /// Opens the package or reads the limits and asks the account for its own if the usual ones are exceeded.
    ///
    /// # Errors
    /// When the code cannot be what it has to be.
    pub async fn open(code: &Code, links: Links, lambda: &Lambda) -> Result<Self, Failure> {
        match code {
            Code::Path(path) => open_package("ZIP_FILE", path, links, lambda)
                .await
                .map(Self::Package),
            Code::Image(uri) => Image::pin(uri, lambda.sdk()).await.map(Self::Image),
            Code::Object {
                bucket,
                key,
                version,
            } => {
                let sha256 = lambda
                    .object_sha256(bucket, key, version.as_deref())
                    .await?;
                let upload = Upload::Object {
                    bucket: bucket.clone(),
                    key: key.clone(),
                    version: version.clone(),
                };
                Ok(Self::Object { upload, sha256 })
            }
        }
    }

    /// Whether the function has this code.
    pub fn compare(&self, function: &Function) -> Comparison {
        let live = function.configuration.code_sha256();
        let same = match self {
            Self::Package(package) => Some(package.code_sha256() == live),
            Self::Image(image) => image.is(&function.code),
            Self::Object { sha256, .. } => sha256.as_ref().map(|sha256| sha256 == live),
        };
        match same {
            Some(true) => Comparison::Same,
            Some(false) => Comparison::Differs,
            None => Comparison::Unknown,
        }
    }

    /// The base64 of the zip's SHA-256, if it is known.
    pub fn sha256(&self) -> Option<String> {
        match self {
            Self::Package(package) => Some(package.code_sha256()),
            Self::Image(_) => None,
            Self::Object { sha256, .. } => sha256.clone(),
        }
    }

    /// Whether it is an image.
    pub const fn is_image(&self) -> bool {
        matches!(self, Self::Image(_))
    }
}

/// Packs the directory, or reads the zip, that `variable` names.
///
/// # Errors
/// When it cannot be deployed.
pub async fn open_package(
    variable: &'static str,
    path: &Path,
    links: Links,
    lambda: &Lambda,
) -> Result<Package, Failure> {
    let limits = Limits::default();
    match packed(variable, path, links, limits).await {
        // An account may have other limits than most; only then is it asked.
        Err(Unusable::TooLarge(failure)) => match lambda.code_limits().await {
            Ok((_, unzipped)) if unzipped > limits.unzipped => {
                let limits = Limits { unzipped, ..limits };
                Ok(packed(variable, path, links, limits).await?)
            }
            _ => Err(failure),
        },
        opened => Ok(opened?),
    }
}

/// Packs on a thread of its own: however long a directory takes to walk, a signal and the deadline end the run.
///
/// # Errors
/// When it cannot be deployed.
pub async fn packed(
    variable: &'static str,
    path: &Path,
    links: Links,
    limits: Limits,
) -> Result<Package, Unusable> {
    let path = path.to_owned();
    let open = move || {
        let origin = Origin {
            variable,
            path: &path,
        };
        Package::open(origin, links, limits)
    };
    tokio::task::spawn_blocking(open).await.map_err(|_| {
        Failure::new("the packing was stopped by a fault of this program, shown above")
    })?
}
