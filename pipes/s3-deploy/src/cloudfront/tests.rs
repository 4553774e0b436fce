//! Against the local CloudFront for what it can do, and against played answers for what it never shows.

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
    let settings = AwsSettings::new(&environment, ("s3-deploy", "0.0.0"), &mut Faults::default());
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
    // The distributions of one run are told at the same time, so either may be first.
    let noted = journal.snapshot();
    let mut told = noted.changed["invalidated"]
        .iter()
        .map(str::to_owned)
        .collect::<Vec<_>>();
    told.sort();
    let mut expected = [&all, &docs, &all, &docs].map(String::clone);
    expected.sort();
    assert_eq!(told, expected);
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
    assert!(noted.changed["invalidated"].iter().eq([good]));
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
