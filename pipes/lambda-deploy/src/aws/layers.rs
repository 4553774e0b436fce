//! Layers: the newest version, and publishing one.

use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::{Architecture, LayerVersionContentInput, Runtime};
use shared::raw::Answer;
use shared::{Explain, Failure, Refusal};

use super::{Lambda, UPLOAD_TIMEOUT, Upload};
use crate::layer::Latest;
use crate::prune::Version;

impl Lambda {
    /// The newest version of the layer; nothing if there is none.
    ///
    /// # Errors
    /// When it may not be read.
    pub async fn latest_layer(&self, name: &str) -> Result<Option<Latest>, Failure> {
        let doing = || format!("could not look at layer `{name}`");
        let listed = self
            .client
            .list_layer_versions()
            .layer_name(name)
            .max_items(1)
            .send()
            .await;
        let newest = match listed {
            Ok(page) => page.layer_versions.unwrap_or_default().into_iter().next(),
            Err(error) if super::is_absent(&Refusal::from(&error)) => None,
            Err(error) => return Err(error).explain(doing(), "lambda:ListLayerVersions"),
        };
        let Some(newest) = newest else {
            return Ok(None);
        };
        let answer = Answer::default();
        self.client
            .get_layer_version()
            .layer_name(name)
            .version_number(newest.version)
            .customize()
            .interceptor(answer.clone())
            .send()
            .await
            .explain(doing(), "lambda:GetLayerVersion")?;
        answer.json().map(Some)
    }

    /// Publishes a version of the layer.
    ///
    /// # Errors
    /// What Lambda refused.
    pub async fn publish_layer(
        &self,
        name: &str,
        upload: Upload,
        runtime: Option<&str>,
        architecture: Option<&str>,
    ) -> Result<Latest, Refusal> {
        let content = LayerVersionContentInput::builder();
        let content = match upload {
            Upload::Zip(bytes) => content.zip_file(Blob::new(bytes)),
            Upload::Object {
                bucket,
                key,
                version,
            } => content
                .s3_bucket(bucket)
                .s3_key(key)
                .set_s3_object_version(version),
            Upload::Image(_) => content,
        };
        let answer = Answer::default();
        self.client
            .publish_layer_version()
            .layer_name(name)
            .content(content.build())
            .set_compatible_runtimes(runtime.map(|name| vec![Runtime::from(name)]))
            .set_compatible_architectures(architecture.map(|name| vec![Architecture::from(name)]))
            .customize()
            .config_override(Self::attempts_of(UPLOAD_TIMEOUT))
            .interceptor(answer.clone())
            .send()
            .await
            .map_err(|error| Refusal::from(&error))?;
        super::functions::document(&answer)
    }

    /// All versions of the layer.
    ///
    /// # Errors
    /// When they may not be listed.
    pub async fn layer_versions(&self, name: &str) -> Result<Vec<Version>, Failure> {
        let mut versions = Vec::new();
        let mut marker = None;
        loop {
            let page = self
                .client
                .list_layer_versions()
                .layer_name(name)
                .set_marker(marker)
                .send()
                .await
                .explain(
                    format!("could not list the versions of layer `{name}`"),
                    "lambda:ListLayerVersions",
                )?;
            let found = page.layer_versions.unwrap_or_default();
            versions.extend(found.into_iter().filter_map(|each| {
                let made = each.created_date.unwrap_or_default();
                Version::new(&each.version.to_string(), &made)
            }));
            marker = page.next_marker.filter(|marker| !marker.is_empty());
            if marker.is_none() {
                return Ok(versions);
            }
        }
    }

    /// Deletes a version of the layer. Functions that have it go on with it.
    ///
    /// # Errors
    /// What Lambda refused.
    pub async fn delete_layer_version(&self, name: &str, number: u64) -> Result<(), Refusal> {
        self.client
            .delete_layer_version()
            .layer_name(name)
            .version_number(i64::try_from(number).unwrap_or(i64::MAX))
            .send()
            .await
            .map(drop)
            .map_err(|error| Refusal::from(&error))
    }
}
