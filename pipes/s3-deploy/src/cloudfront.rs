//! The one file that talks to CloudFront: `observe` looks at the distributions before anything is changed, `invalidate`
//! makes them forget what changed and waits until they did.
//! CloudFront is global, and the SDK knows it: for every region of a partition it takes the partition's one endpoint
//! and signs for its region (`us-east-1`, in China `cn-northwest-1`).

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_cloudfront::Client;
use aws_sdk_cloudfront::config::Builder;
use aws_sdk_cloudfront::types::{Invalidation, InvalidationBatch, Origin, Paths};
use futures_util::future;
use md5::{Digest as _, Md5};
use shared::wait::{self, Observation, Pace};
use shared::{Explain, Failure, Journal, Refusal, SdkConfig, explained};

use crate::invalidation;

/// Invalidations take from some seconds to some minutes.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(20);

/// A distribution that serves the bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Distribution {
    /// Such as `E2QWRUHAPOMQZL`.
    pub id: String,
    /// The origin path of each origin that is the bucket, such as `/docs` or nothing. At least one.
    pub origin_paths: Vec<String>,
}

impl Distribution {
    /// The sorted paths to invalidate after a change of these keys; none if the distribution serves none of them.
    pub fn paths(&self, keys: &[String]) -> Vec<String> {
        let of_origin = |origin_path: &String| {
            invalidation::paths(keys.iter().map(String::as_str), origin_path)
        };
        invalidation::united(self.origin_paths.iter().flat_map(of_origin))
    }
}

/// The CloudFront of one run.
pub struct Cdn {
    client: Client,
    pauses: (Duration, Duration),
}

impl Cdn {
    /// The CloudFront that `sdk` reaches.
    pub fn new(sdk: &SdkConfig) -> Self {
        let settings = shared::watched!(Builder::from(sdk));
        Self {
            client: Client::from_conf(settings.build()),
            pauses: (FIRST_PAUSE, LONGEST_PAUSE),
        }
    }

    /// The distributions with these ids, each once, and where in them the bucket is. Warns of one that is disabled or
    /// that does not name the bucket, as when an access point or a proxy stands between.
    ///
    /// # Errors
    /// When any of them does not exist or may not be read.
    pub async fn observe(
        &self,
        ids: &[String],
        bucket: &str,
    ) -> Result<Vec<Distribution>, Failure> {
        let mut seen = BTreeSet::new();
        let new = ids.iter().filter(|id| seen.insert(id.as_str()));
        future::try_join_all(new.map(|id| self.distribution(id, bucket))).await
    }

    async fn distribution(&self, id: &str, bucket: &str) -> Result<Distribution, Failure> {
        let doing = format!("could not read the CloudFront distribution `{id}`");
        let answer = self.client.get_distribution().id(id).send().await;
        let answer = answer.map_err(|error| {
            let refusal = Refusal::from(&error);
            let failure = explained(&refusal, &doing, "cloudfront:GetDistribution");
            if refusal.code == "NoSuchDistribution" {
                failure.hint(
                    "check CLOUDFRONT_DISTRIBUTION_ID: it takes ids such as `E2QWRUHAPOMQZL`, not domain names, of the account of the role or user that the run authenticated as",
                )
            } else {
                failure
            }
        })?;
        let config = answer
            .distribution
            .and_then(|distribution| distribution.distribution_config)
            .ok_or_else(|| Failure::new(format!("{doing}: the answer holds no configuration")))?;
        if !config.enabled {
            tracing::warn!("The CloudFront distribution `{id}` is disabled: it serves nothing now");
        }
        let origins = config.origins.map(|origins| origins.items);
        let paths = origins
            .iter()
            .flatten()
            .filter_map(|origin| path_in_bucket(origin, bucket));
        // Sorted and each once.
        let paths: BTreeSet<String> = paths.map(str::to_owned).collect();
        let mut origin_paths: Vec<String> = paths.into_iter().collect();
        if origin_paths.is_empty() {
            tracing::warn!(
                "No origin of the CloudFront distribution `{id}` is the bucket `{bucket}`: its paths are taken to be the keys"
            );
            origin_paths.push(String::new());
        }
        Ok(Distribution {
            id: id.to_owned(),
            origin_paths,
        })
    }

    /// Invalidates what these keys are served as, in all distributions at once, and waits until every edge forgot it.
    /// Returns the number of paths, which is what AWS bills; 0 means that there was nothing to invalidate.
    ///
    /// The same `reference` and paths are the same invalidation for CloudFront, so that a repeated request is harmless;
    /// but a later deploy needs another reference, or CloudFront would only show it the finished invalidation.
    ///
    /// # Errors
    /// The refusals, and which invalidation was not complete at the deadline.
    pub async fn invalidate(
        &self,
        distributions: &[Distribution],
        keys: &[String],
        reference: &str,
        deadline: Duration,
        journal: &Journal,
    ) -> Result<usize, Failure> {
        let work = distributions.iter().map(|distribution| {
            let paths = distribution.paths(keys);
            self.invalidate_one(&distribution.id, paths, reference, deadline, journal)
        });
        // When one fails the others go on: their outcome is then known and can be said.
        let (mut count, mut failures) = (0, Vec::new());
        for outcome in future::join_all(work).await {
            match outcome {
                Ok(paths) => count += paths,
                Err(failure) => failures.push(failure),
            }
        }
        let mut failures = failures.into_iter();
        match failures.next() {
            None => Ok(count),
            Some(first) => Err(failures.fold(first, |all, other| all.fact(other.to_string()))),
        }
    }

    async fn invalidate_one(
        &self,
        id: &str,
        paths: Vec<String>,
        reference: &str,
        deadline: Duration,
        journal: &Journal,
    ) -> Result<usize, Failure> {
        let count = paths.len();
        if count == 0 {
            tracing::info!("CloudFront distribution `{id}`: nothing that it serves has changed");
            return Ok(0);
        }
        tracing::info!(
            "CloudFront distribution `{id}`: invalidating {}",
            paths.join(" ")
        );
        let batch = batch(id, paths, reference)?;
        let pace = Pace {
            first: self.pauses.0,
            longest: self.pauses.1,
            deadline,
        };
        let mut created = None::<String>;
        let what = format!("the invalidation of the CloudFront distribution `{id}`");
        wait::until(&what, pace, async || {
            let invalidation = match &created {
                Some(invalidation) => self.look(id, invalidation).await?,
                None => match self.create(id, &batch, journal).await? {
                    Observation::Done(invalidation) => invalidation,
                    Observation::Waiting(seen) => return Ok(Observation::Waiting(seen)),
                },
            };
            let Invalidation { id, status, .. } = invalidation;
            Ok(if status == "Completed" {
                Observation::Done(())
            } else {
                let seen = format!("`{id}` has the status `{status}`");
                created = Some(id);
                Observation::Waiting(seen)
            })
        })
        .await?;
        tracing::info!("CloudFront distribution `{id}`: the invalidation is complete");
        Ok(count)
    }

    /// Waits while others fill the limit of what may be in progress, which every deploy that runs beside does.
    async fn create(
        &self,
        id: &str,
        batch: &InvalidationBatch,
        journal: &Journal,
    ) -> Result<Observation<Invalidation>, Failure> {
        let doing = format!("could not invalidate paths of the CloudFront distribution `{id}`");
        let request = self.client.create_invalidation().distribution_id(id);
        let pending = journal.begin("invalidate", id);
        match request.invalidation_batch(batch.clone()).send().await {
            Ok(answer) => {
                pending.done("invalidated", id);
                let invalidation = answer.invalidation.ok_or_else(|| {
                    Failure::new(format!("{doing}: the answer names no invalidation"))
                })?;
                Ok(Observation::Done(invalidation))
            }
            Err(error) => {
                let refusal = Refusal::from(&error);
                if refusal.changed_nothing() {
                    pending.refused();
                }
                if refusal.code == "TooManyInvalidationsInProgress" {
                    return Ok(Observation::Waiting(refusal.to_string()));
                }
                Err(explained(&refusal, doing, "cloudfront:CreateInvalidation"))
            }
        }
    }

    async fn look(&self, id: &str, invalidation: &str) -> Result<Invalidation, Failure> {
        let doing = format!(
            "could not learn how far the invalidation `{invalidation}` of the CloudFront distribution `{id}` is"
        );
        let request = self.client.get_invalidation().distribution_id(id);
        let answer = request.id(invalidation).send().await;
        let answer = answer.explain(&doing, "cloudfront:GetInvalidation")?;
        answer
            .invalidation
            .ok_or_else(|| Failure::new(format!("{doing}: the answer is empty")))
    }
}

/// "If `CallerReference` is a value you already sent in a previous invalidation batch request but the content of any
/// `Path` is different from the original request, CloudFront returns an `InvalidationBatchAlreadyExists` error" (API
/// reference, `InvalidationBatch`): so the paths are part of the reference.
fn batch(id: &str, paths: Vec<String>, reference: &str) -> Result<InvalidationBatch, Failure> {
    let digest = u128::from_be_bytes(Md5::digest(paths.join("\n")).into());
    let listed = Paths::builder()
        .quantity(i32::try_from(paths.len()).unwrap_or(i32::MAX))
        .set_items(Some(paths))
        .build();
    let batch = listed.and_then(|paths| {
        InvalidationBatch::builder()
            .paths(paths)
            .caller_reference(format!("{reference}-{digest:032x}"))
            .build()
    });
    batch.map_err(|error| {
        Failure::new(format!(
            "could not invalidate paths of the CloudFront distribution `{id}`: {error}"
        ))
    })
}

/// The origin path within the bucket, if the origin is the bucket: by its REST or website endpoint, old or new style,
/// or by an endpoint of S3 with the bucket in the path.
fn path_in_bucket<'a>(origin: &'a Origin, bucket: &str) -> Option<&'a str> {
    let is_s3 = |host: &str| {
        (host.starts_with("s3.") || host.starts_with("s3-")) && host.contains(".amazonaws.")
    };
    let domain = origin.domain_name();
    let path = origin.origin_path().unwrap_or_default();
    let host = domain
        .strip_prefix(bucket)
        .and_then(|rest| rest.strip_prefix('.'));
    if host.is_some_and(is_s3) {
        return Some(path);
    }
    let below = path.strip_prefix('/')?.strip_prefix(bucket)?;
    let is_bucket = below.is_empty() || below.starts_with('/');
    (is_bucket && is_s3(domain)).then_some(below)
}

#[cfg(test)]
mod tests;
