//! From the wished site and the bucket to the plan: the listing is fetched in ranges that the local names suggest, each
//! is joined with the objects of its range, and files are hashed on threads of their own while further ranges arrive.

use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use shared::Failure;
use tokio::task::{JoinError, JoinHandle};

use crate::aws::{Bucket, Live, Range};
use crate::compare::{self, RemoteObject, Verdict};
use crate::headers::Headers;
use crate::live::MOST_OBJECTS;
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
    /// The object's number in the site.
    number: u32,
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
    let numbered = site.objects.numbered().step_by(RANGE).skip(1);
    let bounds: Vec<String> = numbered.map(|(_, object)| site.name(object)).collect();
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
    let can_be_kept = site.objects.len() <= MOST_OBJECTS;
    if rules.headers && !can_be_kept {
        tracing::warn!(
            "the site has more than {MOST_OBJECTS} objects, so the manifest holds none of them, and the headers of \
             objects whose content is unchanged are not compared"
        );
    }
    let mut comparison = Comparison {
        site,
        bucket,
        rules,
        asks_for_headers: rules.headers && can_be_kept,
        plan: Plan::new(site, rules.headers && can_be_kept),
        comparing: FuturesUnordered::new(),
        asking: FuturesUnordered::new(),
    };
    let mut wished = site.objects.numbered().peekable();
    let mut ranges = ranges(site).into_iter();
    while let Some(remote) = listing.next().await {
        let until = ranges.next().and_then(|(_, until)| until);
        let jobs = comparison.join(&mut wished, remote?, until.as_deref());
        comparison.compare(jobs).await?;
    }
    comparison.finish().await
}

/// Wished objects with their numbers, in the order of their names.
type Wished<'a, All> = &'a mut std::iter::Peekable<All>;

/// What a thread found out, and what an answer says.
type Verdicts = Result<Vec<(Job, Verdict)>, Failure>;
type Answer = Result<(u32, Verdict), Failure>;

/// A comparison under way.
struct Comparison<'a> {
    site: &'a Arc<Site>,
    bucket: &'a Bucket,
    rules: &'a Rules<'a>,
    /// Whether a request is worth what it tells of headers: only if it is remembered.
    asks_for_headers: bool,
    plan: Plan,
    comparing: FuturesUnordered<JoinHandle<Verdicts>>,
    asking: FuturesUnordered<JoinHandle<Answer>>,
}

impl Comparison<'_> {
    /// Joins a part of the listing with the wished objects up to the name `until`, and gives the pairs.
    fn join(
        &mut self,
        wished: Wished<'_, impl Iterator<Item = (u32, Object)>>,
        remote: Vec<RemoteObject>,
        until: Option<&str>,
    ) -> Vec<Job> {
        let Self {
            site, rules, plan, ..
        } = self;
        let mut jobs = Vec::new();
        let mut remote = remote
            .into_iter()
            .filter(|object| (rules.admits)(&object.name))
            .peekable();
        loop {
            let name = wished.peek().map(|(_, object)| site.name(*object));
            let in_range = |name: &String| until.is_none_or(|until| name.as_str() <= until);
            let order = match (name.filter(in_range), remote.peek()) {
                (Some(name), Some(remote)) => name.cmp(&remote.name),
                (Some(_), None) => std::cmp::Ordering::Less,
                (None, Some(_)) => std::cmp::Ordering::Greater,
                (None, None) => return jobs,
            };
            let object = if order.is_le() { wished.next() } else { None };
            let found = if order.is_ge() { remote.next() } else { None };
            plan.listed += usize::from(found.is_some());
            match (object, found) {
                (Some((number, _)), Some(remote)) => {
                    let known = &rules.leftovers.manifest;
                    let entry = known.entry(&remote.name, remote.size, &remote.etag);
                    jobs.push(Job {
                        number,
                        remote,
                        entry,
                    });
                }
                (Some((number, _)), None) => plan.add_new(site, number),
                (None, Some(remote)) => plan.add_leftover(remote),
                (None, None) => return jobs,
            }
        }
    }

    /// Compares these, or begins to.
    async fn compare(&mut self, mut jobs: Vec<Job>) -> Result<(), Failure> {
        if self.rules.size_only {
            for job in jobs {
                let object = self.site.object(job.number);
                let verdict = compare::at_once(self.site, object, &job.remote);
                let verdict = verdict.unwrap_or_else(|| Verdict::Same(unproven(&job.remote)));
                self.plan.add(self.site, job.number, verdict);
            }
            return Ok(());
        }
        // No more threads than cores: they are what hashing costs, and each holds a buffer.
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        while !jobs.is_empty() {
            if self.comparing.len() >= threads
                && let Some(verdicts) = self.comparing.next().await
            {
                self.take(verdicts).await?;
            }
            let chunk = jobs.split_off(jobs.len().saturating_sub(CHUNK));
            let site = Arc::clone(self.site);
            let comparing = tokio::task::spawn_blocking(move || compare_chunk(&site, chunk));
            self.comparing.push(comparing);
        }
        Ok(())
    }

    /// Takes what a thread found out, and asks for what is still open.
    async fn take(&mut self, verdicts: Result<Verdicts, JoinError>) -> Result<(), Failure> {
        let verdicts = verdicts
            .map_err(|_| Failure::new("could not compare the files: a thread ended early"))??;
        for (job, verdict) in verdicts {
            let is_open = match verdict {
                Verdict::HeadersUnknown(_) => self.asks_for_headers,
                Verdict::Unknown => self.rules.headers,
                _ => false,
            };
            if !is_open {
                self.plan.add(self.site, job.number, verdict);
                continue;
            }
            if self.asking.len() >= HEADS
                && let Some(answer) = self.asking.next().await
            {
                self.answered(answer)?;
            }
            // Of its own, so that it goes on while nobody waits for it.
            let (site, bucket) = (Arc::clone(self.site), self.bucket.clone());
            self.asking.push(tokio::spawn(async move {
                resolve(&site, &bucket, job, verdict).await
            }));
        }
        Ok(())
    }

    fn answered(&mut self, answer: Result<Answer, JoinError>) -> Result<(), Failure> {
        let (number, verdict) = answer
            .map_err(|_| Failure::new("could not look at the objects: a task ended early"))??;
        self.plan.add(self.site, number, verdict);
        Ok(())
    }

    /// Waits for all that is under way.
    async fn finish(mut self) -> Result<Plan, Failure> {
        while let Some(verdicts) = self.comparing.next().await {
            self.take(verdicts).await?;
        }
        while let Some(answer) = self.asking.next().await {
            self.answered(answer)?;
        }
        self.plan.finish(self.rules.leftovers);
        Ok(self.plan)
    }
}

fn compare_chunk(site: &Site, jobs: Vec<Job>) -> Verdicts {
    let compare = |job: Job| {
        let object = site.object(job.number);
        let verdict = compare::by_content(site, object, &job.remote, job.entry.as_ref())?;
        Ok((job, verdict))
    };
    jobs.into_iter().map(compare).collect()
}

/// Asks for what is still open of one object: its headers, and where the ETag says nothing, its checksum.
async fn resolve(
    site: &Arc<Site>,
    bucket: &Bucket,
    job: Job,
    verdict: Verdict,
) -> Result<(u32, Verdict), Failure> {
    let (number, object) = (job.number, site.object(job.number));
    let Some(live) = bucket.head(&job.remote.name).await? else {
        return Ok((number, verdict));
    };
    let (headers, phase, _) = site.wish(object);
    let entry = match verdict {
        Verdict::HeadersUnknown(entry) => entry,
        verdict => {
            let Some(remote) = live.crc64nvme.clone() else {
                return Ok((number, verdict));
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
                return Ok((number, Verdict::ContentDiffers));
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
        number,
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
