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
        let settings = Builder::from(sdk).interceptor(shared::LogRequests);
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
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::{SystemTime, UNIX_EPOCH};

    use aws_sdk_cloudfront::config::{Credentials, SharedCredentialsProvider};
    use shared::aws::AwsSettings;
    use shared::testing::{Fault, LocalAws, Proxy, Recorded};
    use shared::{Environment, Faults};

    use super::*;

    const API: &str = "/2020-05-31/distribution";

    /// A client that waits for milliseconds where the real one waits for seconds.
    fn cdn(endpoint: &str) -> Cdn {
        let environment = Environment::from([
            ("AWS_REGION", "eu-west-1"),
            ("AWS_ENDPOINT_URL", endpoint),
            ("AWS_MAX_ATTEMPTS", "1"),
        ]);
        let settings =
            AwsSettings::new(&environment, ("s3-deploy", "0.0.0"), &mut Faults::default());
        let credentials = Credentials::new("test", "test", None, None, "test");
        let credentials = SharedCredentialsProvider::new(credentials);
        let mut cdn = Cdn::new(&settings.unwrap().sdk_config(Some(credentials)).unwrap());
        cdn.pauses = (Duration::from_millis(10), Duration::from_millis(20));
        cdn
    }

    fn unique() -> String {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        format!("{}-{number}", time.as_nanos())
    }

    /// Makes a distribution with origins of these domains and paths; returns its id.
    fn create(aws: &LocalAws, is_enabled: bool, origins: &[(&str, &str)]) -> String {
        let items: Vec<String> = origins
            .iter()
            .enumerate()
            .map(|(index, (domain, path))| {
                format!(
                    "<Origin><Id>o{index}</Id><DomainName>{domain}</DomainName><OriginPath>{path}</OriginPath></Origin>"
                )
            })
            .collect();
        let config = format!(
            "<DistributionConfig><CallerReference>{}</CallerReference><Comment/><Enabled>{is_enabled}</Enabled>\
             <Origins><Quantity>{}</Quantity><Items>{}</Items></Origins>\
             <DefaultCacheBehavior><TargetOriginId>o0</TargetOriginId>\
             <ViewerProtocolPolicy>allow-all</ViewerProtocolPolicy></DefaultCacheBehavior></DistributionConfig>",
            unique(),
            origins.len(),
            items.concat()
        );
        let answer = aws.call("cloudfront", "POST", API, &[], config.as_bytes());
        assert_eq!(answer.status, 201, "{}", answer.text());
        element(&answer.text(), "Id")
    }

    fn element(text: &str, name: &str) -> String {
        let (_, rest) = text.split_once(&format!("<{name}>")).unwrap();
        rest.split('<').next().unwrap().to_owned()
    }

    /// The lists of paths of all invalidations of the distribution.
    fn invalidations(aws: &LocalAws, id: &str) -> Vec<Vec<String>> {
        let look = |path: &str| aws.call("cloudfront", "GET", path, &[], b"").text();
        let list = look(&format!("{API}/{id}/invalidation"));
        let ids = list
            .split("<InvalidationSummary>")
            .skip(1)
            .map(|one| element(one, "Id"));
        ids.map(|invalidation| {
            let one = look(&format!("{API}/{id}/invalidation/{invalidation}"));
            let paths = one.split("<Path>").skip(1);
            paths
                .map(|path| path.split('<').next().unwrap().to_owned())
                .collect()
        })
        .collect()
    }

    fn refusal(status: u16, code: &str) -> Fault {
        Fault::Status(
            status,
            format!(
                "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>no</Message></Error>\
                 </ErrorResponse>"
            ),
        )
    }

    fn in_progress() -> String {
        "<Invalidation><Id>I1</Id><Status>InProgress</Status><CreateTime>2026-01-01T00:00:00Z</CreateTime>\
         <InvalidationBatch><CallerReference>r</CallerReference></InvalidationBatch></Invalidation>"
            .to_owned()
    }

    fn keys(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    fn distribution(id: &str, origin_paths: &[&str]) -> Distribution {
        Distribution {
            id: id.to_owned(),
            origin_paths: keys(origin_paths),
        }
    }

    /// The method and the last word of the path of each request.
    fn said(proxy: &Proxy) -> Vec<String> {
        proxy
            .requests()
            .iter()
            .map(|one| format!("{} {}", one.method, one.path.trim_start_matches(API)))
            .collect()
    }

    const DEADLINE: Duration = Duration::from_secs(30);

    #[test]
    fn an_origin_is_the_bucket_by_any_of_its_names() {
        for (domain, path, expected) in [
            ("site.s3.amazonaws.com", "", Some("")),
            ("site.s3.eu-west-1.amazonaws.com", "/docs", Some("/docs")),
            ("site.s3-eu-west-1.amazonaws.com", "", Some("")),
            ("site.s3.dualstack.eu-west-1.amazonaws.com", "", Some("")),
            ("site.s3.cn-north-1.amazonaws.com.cn", "", Some("")),
            ("site.s3-website-us-east-1.amazonaws.com", "", Some("")),
            (
                "site.s3-website.eu-central-1.amazonaws.com",
                "/a",
                Some("/a"),
            ),
            ("s3.eu-west-1.amazonaws.com", "/site", Some("")),
            ("s3.eu-west-1.amazonaws.com", "/site/docs", Some("/docs")),
            ("s3.eu-west-1.amazonaws.com", "/site2", None),
            ("s3.eu-west-1.amazonaws.com", "", None),
            ("my.site.s3.amazonaws.com", "", None),
            ("site2.s3.amazonaws.com", "", None),
            ("site.example.com", "", None),
            ("site.s3.example.com", "", None),
            ("example.com", "/site", None),
        ] {
            let origin = Origin::builder()
                .id("o")
                .domain_name(domain)
                .origin_path(path);
            let origin = origin.build().unwrap();
            assert_eq!(path_in_bucket(&origin, "site"), expected, "{domain}{path}");
        }
    }

    #[tokio::test]
    async fn a_distribution_is_read_with_all_origins_that_are_the_bucket() {
        let aws = LocalAws::start();
        let several = create(
            &aws,
            true,
            &[
                ("site.s3.eu-west-1.amazonaws.com", "/docs"),
                ("api.example.com", "/v1"),
                ("site.s3.amazonaws.com", ""),
                ("site.s3-website.eu-west-1.amazonaws.com", "/docs"),
            ],
        );
        let none = create(&aws, false, &[("cdn.example.com", "/v1")]);
        let ids = [several.clone(), none.clone(), several.clone()];
        let observed = cdn(aws.endpoint()).observe(&ids, "site").await.unwrap();
        assert_eq!(
            observed,
            [
                distribution(&several, &["", "/docs"]),
                distribution(&none, &[""])
            ]
        );
    }

    #[tokio::test]
    async fn a_distribution_that_cannot_be_read_is_refused() {
        let aws = LocalAws::start();
        let ids = keys(&["E0NOTTHERE"]);
        let failure = cdn(aws.endpoint()).observe(&ids, "site").await;
        let text = failure.unwrap_err().to_string();
        assert!(
            text.starts_with(
                "could not read the CloudFront distribution `E0NOTTHERE`: NoSuchDistribution: "
            ),
            "{text}"
        );
        assert!(
            text.contains("\n  hint: check CLOUDFRONT_DISTRIBUTION_ID"),
            "{text}"
        );

        let proxy = Proxy::with(aws.endpoint(), |_| Some(refusal(403, "AccessDenied")));
        let failure = cdn(proxy.endpoint()).observe(&ids, "site").await;
        insta::assert_snapshot!(failure.unwrap_err(), @r"
        could not read the CloudFront distribution `E0NOTTHERE`: AccessDenied: no
          hint: allow `cloudfront:GetDistribution` in the policy of the role or user that the run authenticated as
        ");
    }

    #[tokio::test]
    async fn each_distribution_forgets_what_it_serves_once() {
        let aws = LocalAws::start();
        let origin = [("site.s3.amazonaws.com", "")];
        let [all, docs, blog] = [(); 3].map(|()| create(&aws, true, &origin));
        let distributions = [
            distribution(&all, &["", "/docs"]),
            distribution(&docs, &["/docs"]),
            distribution(&blog, &["/blog"]),
        ];
        let changed = keys(&["docs/grün.html", "index.html"]);
        let (cdn, journal) = (cdn(aws.endpoint()), Journal::default());
        // Asked again with the same reference, nothing new is made.
        for _ in 0..2 {
            let count = cdn.invalidate(&distributions, &changed, "release-1", DEADLINE, &journal);
            assert_eq!(count.await.unwrap(), 5);
        }
        assert_eq!(
            invalidations(&aws, &all),
            [[
                "/",
                "/docs/gr%C3%BCn.html",
                "/gr%C3%BCn.html",
                "/index.html"
            ]]
        );
        assert_eq!(invalidations(&aws, &docs), [["/gr%C3%BCn.html"]]);
        assert!(invalidations(&aws, &blog).is_empty());
        let noted = journal.snapshot();
        assert_eq!(
            noted.changed["invalidated"],
            [&all, &docs, &all, &docs].map(String::clone)
        );
        assert!(noted.perhaps_changed.is_empty());

        // Other paths of the same release are another invalidation, and so is another release.
        let changed = keys(&["docs/a.html"]);
        for reference in ["release-1", "release-2"] {
            let work = cdn.invalidate(
                &distributions[1..2],
                &changed,
                reference,
                DEADLINE,
                &journal,
            );
            assert_eq!(work.await.unwrap(), 1);
        }
        assert_eq!(invalidations(&aws, &docs).len(), 3);
    }

    #[tokio::test]
    async fn nothing_changed_asks_for_nothing() {
        let aws = LocalAws::start();
        let proxy = Proxy::start(aws.endpoint());
        let journal = Journal::default();
        let cdn = cdn(proxy.endpoint());
        let distributions = [distribution("E1", &["/docs"])];
        for changed in [keys(&[]), keys(&["blog/a.html"])] {
            let count = cdn.invalidate(&distributions, &changed, "r", DEADLINE, &journal);
            assert_eq!(count.await.unwrap(), 0);
        }
        assert!(proxy.requests().is_empty());
        assert_eq!(journal.snapshot().to_string(), "nothing was changed");
    }

    #[tokio::test]
    async fn it_waits_for_its_turn_and_for_the_end() {
        let aws = LocalAws::start();
        let asked = AtomicUsize::new(0);
        let proxy = Proxy::with(aws.endpoint(), move |_: &Recorded| {
            Some(match asked.fetch_add(1, Ordering::Relaxed) {
                0 | 1 => refusal(400, "TooManyInvalidationsInProgress"),
                2 => Fault::Status(201, in_progress()),
                3 => Fault::Status(200, in_progress()),
                _ => Fault::Status(200, in_progress().replace("InProgress", "Completed")),
            })
        });
        let journal = Journal::default();
        let cdn = cdn(proxy.endpoint());
        let distributions = [distribution("E1", &[""])];
        let changed = keys(&["a.html"]);
        let work = cdn.invalidate(&distributions, &changed, "r", DEADLINE, &journal);
        assert_eq!(work.await.unwrap(), 1);
        assert_eq!(
            said(&proxy),
            [
                "POST /E1/invalidation",
                "POST /E1/invalidation",
                "POST /E1/invalidation",
                "GET /E1/invalidation/I1",
                "GET /E1/invalidation/I1",
            ]
        );
        insta::assert_snapshot!(journal.snapshot(), @"changed before that: invalidated 1 (`E1`)");
    }

    #[tokio::test]
    async fn the_deadline_says_what_was_seen_last() {
        let aws = LocalAws::start();
        let distributions = [distribution("E1", &[""])];
        // The next look would come after it.
        let (deadline, pause) = (Duration::from_secs(9), Duration::from_secs(10));
        for (answer, last, journaled) in [
            (
                refusal(400, "TooManyInvalidationsInProgress"),
                "TooManyInvalidationsInProgress: no",
                "nothing was changed",
            ),
            (
                Fault::Status(200, in_progress()),
                "`I1` has the status `InProgress`",
                "changed before that: invalidated 1 (`E1`)",
            ),
        ] {
            let proxy = Proxy::with(aws.endpoint(), move |_| Some(answer.clone()));
            let journal = Journal::default();
            let mut cdn = cdn(proxy.endpoint());
            cdn.pauses = (pause, pause);
            let changed = keys(&["a.html"]);
            let work = cdn.invalidate(&distributions, &changed, "r", deadline, &journal);
            assert_eq!(
                work.await.unwrap_err().to_string(),
                format!(
                    "gave up waiting for the invalidation of the CloudFront distribution `E1` after 9 s: {last}"
                )
            );
            assert_eq!(journal.snapshot().to_string(), journaled);
        }
    }

    #[tokio::test]
    async fn one_that_fails_does_not_stop_the_others() {
        let aws = LocalAws::start();
        let good = create(&aws, true, &[("site.s3.amazonaws.com", "")]);
        let proxy = Proxy::with(aws.endpoint(), |request| {
            request
                .path
                .contains("/E0DENIED")
                .then(|| refusal(403, "AccessDenied"))
        });
        let journal = Journal::default();
        let cdn = cdn(proxy.endpoint());
        let distributions = ["E0DENIED1", &good, "E0DENIED2"].map(|id| distribution(id, &[""]));
        let changed = keys(&["a.html"]);
        let work = cdn.invalidate(&distributions, &changed, "r", DEADLINE, &journal);
        insta::assert_snapshot!(work.await.unwrap_err(), @r"
        could not invalidate paths of the CloudFront distribution `E0DENIED1`: AccessDenied: no
          could not invalidate paths of the CloudFront distribution `E0DENIED2`: AccessDenied: no
            hint: allow `cloudfront:CreateInvalidation` in the policy of the role or user that the run authenticated as
          hint: allow `cloudfront:CreateInvalidation` in the policy of the role or user that the run authenticated as
        ");
        assert_eq!(invalidations(&aws, &good), [["/a.html"]]);
        let noted = journal.snapshot();
        assert_eq!(noted.changed["invalidated"], [good]);
        assert!(noted.perhaps_changed.is_empty());
    }

    #[tokio::test]
    async fn an_invalidation_without_an_answer_was_perhaps_made() {
        let aws = LocalAws::start();
        let proxy = Proxy::with(aws.endpoint(), |_| Some(refusal(503, "ServiceUnavailable")));
        let journal = Journal::default();
        let cdn = cdn(proxy.endpoint());
        let distributions = [distribution("E1", &[""])];
        let changed = keys(&["a.html"]);
        let work = cdn.invalidate(&distributions, &changed, "r", DEADLINE, &journal);
        assert!(work.await.is_err());
        assert_eq!(
            journal.snapshot().perhaps_changed,
            BTreeSet::from(["invalidate E1".to_owned()])
        );
    }
}
