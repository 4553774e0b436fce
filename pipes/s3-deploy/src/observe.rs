//! From the wished site and the bucket to the plan: the listing is fetched in ranges that the local names suggest, each
//! is joined with the objects of its range, and files are hashed on threads of their own while further ranges arrive.

use std::sync::Arc;

use futures_util::stream::FuturesUnordered;
use futures_util::{StreamExt, TryStreamExt, stream};
use shared::Failure;

use crate::aws::{Bucket, Live, Range};
use crate::compare::{self, RemoteObject, Verdict};
use crate::headers::Headers;
use crate::manifest::Entry;
use crate::objects::{Object, Site};
use crate::plan::{Leftovers, Plan};

/// Objects of one range: a page of the listing has up to 1,000.
const RANGE: usize = 950;
/// Objects that one thread compares at a time.
const CHUNK: usize = 128;
/// HEAD requests under way at once.
const HEADS: usize = 64;

/// One object with its line of the listing and what the manifest knows of it.
struct Job {
    object: Object,
    remote: RemoteObject,
    entry: Option<Entry>,
}

/// What decides how objects are compared.
pub struct Rules<'a> {
    /// Objects that do not belong to the site, by name: neither compared nor deleted.
    pub admits: &'a dyn Fn(&str) -> bool,
    /// Compare sizes only, as EXTRA_ARGS can ask for.
    pub size_only: bool,
    /// Whether headers count: without a manifest nothing is known of them.
    pub headers: bool,
    /// What becomes of objects that no file stands for.
    pub leftovers: Leftovers<'a>,
}

/// The ranges of the listing: about a page of objects each, if the bucket resembles the site.
pub fn ranges(site: &Site) -> Vec<Range> {
    let bounds: Vec<String> = site
        .objects
        .chunks(RANGE)
        .skip(1)
        .map(|chunk| site.name(chunk[0]))
        .collect();
    let mut ranges: Vec<Range> = Vec::with_capacity(bounds.len() + 1);
    let mut after = None;
    for bound in bounds {
        ranges.push((after, Some(bound.clone())));
        after = Some(bound);
    }
    ranges.push((after, None));
    ranges
}

/// Compares all of it.
///
/// # Errors
/// When any part of the listing fails, or a file cannot be read.
pub async fn observe(
    site: &Arc<Site>,
    bucket: &Bucket,
    mut listing: impl futures_util::Stream<Item = Result<Vec<RemoteObject>, Failure>> + Unpin,
    rules: &Rules<'_>,
) -> Result<Plan, Failure> {
    let can_be_kept = site.objects.len() <= crate::live::MOST_OBJECTS;
    let mut plan = Plan::new(rules.headers && can_be_kept);
    let mut wished = site.objects.iter().copied().peekable();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut comparing = FuturesUnordered::new();
    let mut open = Vec::new();
    let mut ranges = ranges(site).into_iter();
    while let Some(remote) = listing.next().await {
        let until = ranges.next().and_then(|(_, until)| until);
        let mut jobs = Vec::new();
        let mut remote = remote?
            .into_iter()
            .filter(|object| (rules.admits)(&object.name))
            .peekable();
        loop {
            let in_range = |object: &Object| {
                until
                    .as_ref()
                    .is_none_or(|until| site.compare_name(*object, until).is_le())
            };
            let order = match (
                wished.peek().filter(|object| in_range(object)),
                remote.peek(),
            ) {
                (Some(object), Some(remote)) => site.compare_name(*object, &remote.name),
                (Some(_), None) => std::cmp::Ordering::Less,
                (None, Some(_)) => std::cmp::Ordering::Greater,
                (None, None) => break,
            };
            let object = if order.is_le() { wished.next() } else { None };
            let found = if order.is_ge() { remote.next() } else { None };
            plan.listed += usize::from(found.is_some());
            match (object, found) {
                (Some(object), Some(remote)) => {
                    let entry = rules
                        .leftovers
                        .manifest
                        .entry(&remote.name, remote.size, &remote.etag)
                        .cloned();
                    jobs.push(Job {
                        object,
                        remote,
                        entry,
                    });
                }
                (Some(object), None) => plan.add_new(site, object),
                (None, Some(remote)) => plan.add_leftover(remote),
                (None, None) => break,
            }
        }
        if rules.size_only {
            for job in jobs {
                let verdict = compare::at_once(site, job.object, &job.remote);
                plan.add(
                    site,
                    job.object,
                    verdict.unwrap_or_else(|| Verdict::Same(unproven(&job.remote))),
                );
            }
            continue;
        }
        while !jobs.is_empty() {
            // No more threads than cores: they are what hashing costs, and each holds a buffer.
            if comparing.len() >= threads
                && let Some(verdicts) = comparing.next().await
            {
                take(site, verdicts, rules, &mut plan, &mut open)?;
            }
            let chunk = jobs.split_off(jobs.len().saturating_sub(CHUNK));
            let site = Arc::clone(site);
            comparing.push(tokio::task::spawn_blocking(move || {
                compare_chunk(&site, chunk)
            }));
        }
    }
    while let Some(verdicts) = comparing.next().await {
        take(site, verdicts, rules, &mut plan, &mut open)?;
    }
    let answers = stream::iter(open).map(|(job, verdict)| resolve(site, bucket, job, verdict));
    let mut answers = answers.buffer_unordered(HEADS);
    while let Some((object, verdict)) = answers.try_next().await? {
        plan.add(site, object, verdict);
    }
    plan.finish(site, rules.leftovers);
    Ok(plan)
}

type Verdicts = Result<Result<Vec<(Job, Verdict)>, Failure>, tokio::task::JoinError>;

fn compare_chunk(site: &Site, jobs: Vec<Job>) -> Result<Vec<(Job, Verdict)>, Failure> {
    let compare = |job: Job| {
        let verdict = compare::by_content(site, job.object, &job.remote, job.entry.as_ref())?;
        Ok((job, verdict))
    };
    jobs.into_iter().map(compare).collect()
}

fn take(
    site: &Site,
    verdicts: Verdicts,
    rules: &Rules<'_>,
    plan: &mut Plan,
    open: &mut Vec<(Job, Verdict)>,
) -> Result<(), Failure> {
    let verdicts = verdicts
        .map_err(|_| Failure::new("could not compare the files: a thread ended early"))??;
    for (job, verdict) in verdicts {
        match verdict {
            Verdict::HeadersUnknown(_) | Verdict::Unknown if rules.headers => {
                open.push((job, verdict));
            }
            verdict => plan.add(site, job.object, verdict),
        }
    }
    Ok(())
}

/// Asks for what is still open of one object: its headers, and where the ETag says nothing, its checksum.
async fn resolve(
    site: &Arc<Site>,
    bucket: &Bucket,
    job: Job,
    verdict: Verdict,
) -> Result<(Object, Verdict), Failure> {
    let object = job.object;
    let Some(live) = bucket.head(&job.remote.name).await? else {
        return Ok((object, verdict));
    };
    let (headers, phase, _) = site.wish(object);
    let entry = match verdict {
        Verdict::HeadersUnknown(entry) => entry,
        verdict => {
            let Some(remote) = live.crc64nvme.clone() else {
                return Ok((object, verdict));
            };
            let site = Arc::clone(site);
            let reading = tokio::task::spawn_blocking(move || {
                let content = compare::content_of(&site, object)?;
                Ok::<_, Failure>((compare::crc64nvme_of(&site, object)?, content))
            });
            let (own, content) = reading
                .await
                .unwrap_or_else(|_| Err(Failure::new("could not compare the files")))?;
            if own != remote {
                return Ok((object, Verdict::ContentDiffers));
            }
            let RemoteObject { size, etag, .. } = job.remote;
            Entry {
                size,
                etag,
                content,
                headers: headers.digest(),
                phase,
            }
        }
    };
    Ok((
        object,
        if differs(&headers, &live) {
            Verdict::HeadersDiffer(entry)
        } else {
            Verdict::Same(entry)
        },
    ))
}

/// Whether the live headers break the wish: what is not wished for is left to S3.
fn differs(wish: &Headers, live: &Live) -> bool {
    let expires = wish.expires.map(shared::Timestamp::http_date);
    let fields: [(&str, Option<&str>); 9] = [
        ("content-type", wish.content_type.as_deref()),
        ("cache-control", wish.cache_control.as_deref()),
        ("content-encoding", wish.content_encoding.as_deref()),
        ("content-disposition", wish.content_disposition.as_deref()),
        ("content-language", wish.content_language.as_deref()),
        ("expires", expires.as_deref()),
        // S3 does not name the standard class.
        (
            "storage-class",
            wish.storage_class
                .as_deref()
                .filter(|class| *class != "STANDARD"),
        ),
        ("website-redirect", wish.website_redirect.as_deref()),
        ("encryption", wish.encryption.as_deref()),
    ];
    let of = |name| {
        live.headers
            .iter()
            .find(|(each, _)| *each == name)
            .and_then(|(_, value)| value.as_deref())
    };
    fields
        .into_iter()
        .any(|(name, wished)| wished.is_some_and(|wished| of(name) != Some(wished)))
        || wish
            .metadata
            .iter()
            .any(|(name, value)| live.metadata.get(&name.to_ascii_lowercase()) != Some(value))
}

/// For `--size-only`: nothing is known of the content, so the entry can never stand for it.
fn unproven(remote: &RemoteObject) -> Entry {
    let RemoteObject { size, etag, .. } = remote.clone();
    Entry {
        size,
        etag,
        content: String::new(),
        headers: String::new(),
        phase: crate::phase::Phase::Ordinary,
    }
}
