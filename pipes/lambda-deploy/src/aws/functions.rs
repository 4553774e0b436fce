//! Functions: reading, making, changing code and configuration.

use std::collections::BTreeMap;

use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::Architecture;
use serde::Deserialize;
use serde_json::Value;
use shared::raw::{self, Answer};
use shared::{Explain, Failure, Refusal};

use super::{Lambda, UPLOAD_TIMEOUT};
use crate::live::{Configuration, Function};

/// How many pages of functions are looked through for a name that is near.
const PAGES_OF_NAMES: usize = 20;

/// The code of one UpdateFunctionCode or CreateFunction.
#[derive(Clone)]
pub enum Upload {
    /// A zip in the request itself.
    Zip(Vec<u8>),
    /// An object in a bucket of the same region.
    Object {
        /// The bucket.
        bucket: String,
        /// The key.
        key: String,
        /// The version of the object.
        version: Option<String>,
    },
    /// A container image.
    Image(String),
}

impl Lambda {
    /// The function with its tags and reserved concurrency; nothing if there is none of this name.
    ///
    /// # Errors
    /// When it may not be read.
    pub async fn function(&self, name: &str) -> Result<Option<Function>, Failure> {
        let answer = Answer::default();
        let sent = self
            .client
            .get_function()
            .function_name(name)
            .customize()
            .interceptor(answer.clone())
            .send()
            .await;
        match sent {
            Ok(_) => answer.json().map(Some),
            Err(error) if super::is_absent(&Refusal::from(&error)) => Ok(None),
            Err(error) => {
                Err(error).explain(format!("could not look at `{name}`"), "lambda:GetFunction")
            }
        }
    }

    /// The configuration of `$LATEST`, or of the version or alias that `qualifier` names; nothing if there is none.
    ///
    /// # Errors
    /// When it may not be read.
    pub async fn configuration(
        &self,
        name: &str,
        qualifier: Option<&str>,
    ) -> Result<Option<Configuration>, Failure> {
        let answer = Answer::default();
        let sent = self
            .client
            .get_function_configuration()
            .function_name(name)
            .set_qualifier(qualifier.map(str::to_owned))
            .customize()
            .interceptor(answer.clone())
            .send()
            .await;
        match sent {
            Ok(_) => answer.json().map(Some),
            Err(error) if super::is_absent(&Refusal::from(&error)) => Ok(None),
            Err(error) => Err(error).explain(
                format!("could not look at the configuration of `{name}`"),
                "lambda:GetFunctionConfiguration",
            ),
        }
    }

    /// Changes the configuration to what `body` says, in the shape of UpdateFunctionConfiguration, members that the SDK
    /// does not know included.
    ///
    /// # Errors
    /// What Lambda refused.
    pub async fn update_configuration(
        &self,
        name: &str,
        body: &Value,
    ) -> Result<Configuration, Refusal> {
        let answer = Answer::default();
        self.client
            .update_function_configuration()
            .function_name(name)
            .customize()
            .mutate_request(raw::body(body))
            .interceptor(answer.clone())
            .send()
            .await
            .map_err(|error| Refusal::from(&error))?;
        document(&answer)
    }

    /// Changes the code; with `dry_run` it is only looked at. `revision` is what the change depends on.
    ///
    /// # Errors
    /// What Lambda refused.
    pub async fn update_code(
        &self,
        name: &str,
        upload: Upload,
        architecture: Option<&str>,
        revision: Option<&str>,
        dry_run: bool,
    ) -> Result<Configuration, Refusal> {
        let mut request = self
            .client
            .update_function_code()
            .function_name(name)
            .set_architectures(architecture.map(|name| vec![Architecture::from(name)]))
            .set_revision_id(revision.map(str::to_owned))
            .set_dry_run(dry_run.then_some(true));
        request = match upload {
            Upload::Zip(bytes) => request.zip_file(Blob::new(bytes)),
            Upload::Object {
                bucket,
                key,
                version,
            } => request
                .s3_bucket(bucket)
                .s3_key(key)
                .set_s3_object_version(version),
            Upload::Image(uri) => request.image_uri(uri),
        };
        let answer = Answer::default();
        request
            .customize()
            .config_override(Self::attempts_of(UPLOAD_TIMEOUT))
            .interceptor(answer.clone())
            .send()
            .await
            .map_err(|error| Refusal::from(&error))?;
        document(&answer)
    }

    /// Makes a function of `body`, in the shape of CreateFunction.
    ///
    /// # Errors
    /// What Lambda refused.
    pub async fn create_function(
        &self,
        name: &str,
        body: &Value,
    ) -> Result<Configuration, Refusal> {
        let answer = Answer::default();
        // The SDK asks for the members that the API requires before the body is replaced.
        self.client
            .create_function()
            .function_name(name)
            .role("")
            .code(aws_sdk_lambda::types::FunctionCode::builder().build())
            .customize()
            .config_override(Self::attempts_of(UPLOAD_TIMEOUT))
            .mutate_request(raw::body(body))
            .interceptor(answer.clone())
            .send()
            .await
            .map_err(|error| Refusal::from(&error))?;
        document(&answer)
    }

    /// The names of functions in this region, as far as they may be listed.
    pub async fn names(&self) -> Vec<String> {
        let mut names = Vec::new();
        let mut marker = None;
        for _ in 0..PAGES_OF_NAMES {
            let page = self.client.list_functions().set_marker(marker).send().await;
            let Ok(page) = page else { break };
            let functions = page.functions.unwrap_or_default();
            names.extend(functions.into_iter().filter_map(|each| each.function_name));
            marker = page.next_marker.filter(|marker| !marker.is_empty());
            if marker.is_none() {
                break;
            }
        }
        names
    }

    /// Adds tags to the function of this ARN, or changes their values.
    ///
    /// # Errors
    /// What Lambda refused.
    pub async fn tag(&self, arn: &str, tags: BTreeMap<String, String>) -> Result<(), Refusal> {
        self.client
            .tag_resource()
            .resource(arn)
            .set_tags(Some(tags.into_iter().collect()))
            .send()
            .await
            .map(drop)
            .map_err(|error| Refusal::from(&error))
    }

    /// Takes tags away.
    ///
    /// # Errors
    /// What Lambda refused.
    pub async fn untag(&self, arn: &str, names: Vec<String>) -> Result<(), Refusal> {
        self.client
            .untag_resource()
            .resource(arn)
            .set_tag_keys(Some(names))
            .send()
            .await
            .map(drop)
            .map_err(|error| Refusal::from(&error))
    }

    /// Reserves concurrency for the function, or gives it back.
    ///
    /// # Errors
    /// What Lambda refused.
    pub async fn reserve(&self, name: &str, instances: Option<u32>) -> Result<(), Refusal> {
        match instances {
            Some(instances) => self
                .client
                .put_function_concurrency()
                .function_name(name)
                .reserved_concurrent_executions(i32::try_from(instances).unwrap_or(i32::MAX))
                .send()
                .await
                .map(drop)
                .map_err(|error| Refusal::from(&error)),
            None => self
                .client
                .delete_function_concurrency()
                .function_name(name)
                .send()
                .await
                .map(drop)
                .map_err(|error| Refusal::from(&error)),
        }
    }

    /// The account's limits for code, in bytes: of a zip in a request, and unzipped with all layers.
    ///
    /// # Errors
    /// When they may not be read.
    pub async fn code_limits(&self) -> Result<(u64, u64), Failure> {
        let answer = self.client.get_account_settings().send().await.explain(
            "could not read the account's limits for code",
            "lambda:GetAccountSettings",
        )?;
        let limit = answer.account_limit.ok_or_else(|| {
            Failure::new("AWS answers for the account's limits, and does not say them")
        })?;
        let bytes = |size: i64| u64::try_from(size).unwrap_or_default();
        Ok((
            bytes(limit.code_size_zipped),
            bytes(limit.code_size_unzipped),
        ))
    }
}

/// The document of a change that was made.
pub(super) fn document<T: for<'de> Deserialize<'de>>(answer: &Answer) -> Result<T, Refusal> {
    answer.json().map_err(|failure| Refusal {
        message: failure.to_string(),
        status: 200,
        ..Refusal::default()
    })
}
