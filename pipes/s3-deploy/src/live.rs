//! The manifest through a run: read at the start, taken as a lease before the first change, so that two deploys cannot
//! interleave, and written at the end with all that is known then. Each write depends on the one before.

use std::sync::{Arc, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use futures_util::{Stream, StreamExt, stream};
use shared::{Environment, Failure, Journal};

use crate::aws::{Bucket, Found};
use crate::config::{Config, Deletes};
use crate::entries::{Entries, Noted};
use crate::guard::Claim;
use crate::manifest::{self, Manifest, Release, Stale};
use crate::objects::Site;
use crate::plan::{Leftovers, Plan, Retain};
use crate::releases;

/// Above this many objects the manifest holds none of them: they would take too much memory.
pub const MOST_OBJECTS: usize = 250_000;

/// The pipeline run that deploys.
#[derive(Clone, Debug)]
pub struct Build {
    number: u64,
    commit: Option<String>,
    run: String,
    now: u64,
}

impl Build {
    /// Reads `BITBUCKET_BUILD_NUMBER` and `BITBUCKET_COMMIT`; outside of Bitbucket the number is 0.
    pub fn new(environment: &Environment) -> Self {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let number = environment
            .get("BITBUCKET_BUILD_NUMBER")
            .and_then(|text| text.trim().parse().ok())
            .unwrap_or(0);
        Self {
            number,
            commit: environment.get("BITBUCKET_COMMIT").map(str::to_owned),
            run: format!("{number}-{}", now.as_millis()),
            now: now.as_secs(),
        }
    }

    /// The build number; 0 outside of Bitbucket.
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// Tells this run from all others.
    pub fn run(&self) -> &str {
        &self.run
    }
}

/// The state of the live site as this run found it.
pub struct Live {
    manifest: Manifest,
    /// What the next write depends on: the ETag that was read, or empty if there was nothing.
    etag: String,
    kept: bool,
    claim: Claim,
    build: Build,
}

/// The right to change the site; nothing if no manifest is kept or nothing is to be changed.
pub struct Taken {
    etag: String,
    cleanup: Option<u64>,
}

impl Live {
    /// Reads the manifest, unless none is to be kept.
    ///
    /// # Errors
    /// When there is one that cannot be understood.
    pub async fn read(bucket: &Bucket, config: &Config, build: &Build) -> Result<Self, Failure> {
        let found = if config.manifest {
            bucket.manifest().await?
        } else {
            Found::Nothing
        };
        let (manifest, etag, kept) = match found {
            Found::Manifest(manifest, etag) => (*manifest, etag, true),
            Found::Nothing => (Manifest::default(), String::new(), config.manifest),
            Found::Denied(refusal) => {
                tracing::warn!(
                    "no manifest is kept, since it may not be read ({}): allow `s3:GetObject`, or set MANIFEST to false",
                    refusal.code
                );
                (Manifest::default(), String::new(), false)
            }
        };
        let claim = Claim {
            build: build.number,
            run: build.run.clone(),
            now: build.now,
            seconds: config.timeout.as_secs(),
            force: config.force,
        };
        Ok(Self {
            manifest,
            etag,
            kept,
            claim,
            build: build.clone(),
        })
    }

    /// Whether a manifest is kept.
    pub const fn is_kept(&self) -> bool {
        self.kept
    }

    /// How objects are treated that no file stands for.
    pub const fn leftovers(&self, deletes: Deletes) -> Leftovers<'_> {
        Leftovers {
            deletes,
            manifest: &self.manifest,
            now: self.build.now,
        }
    }

    /// The manifest as it was read.
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Takes what other steps of this build have uploaded for known.
    pub fn learn(&mut self, objects: &Entries) {
        self.manifest.objects = self.manifest.objects.with(objects);
    }

    /// Refuses an older build, and a site that another run is changing.
    ///
    /// # Errors
    /// See [`Claim::check`].
    pub fn check(&self) -> Result<(), Failure> {
        if self.kept {
            self.claim.check(&self.manifest)
        } else {
            Ok(())
        }
    }

    /// Refuses a site that another run is changing; an older build is what a rollback is about.
    ///
    /// # Errors
    /// See [`Claim::check`].
    pub fn check_lease(&self) -> Result<(), Failure> {
        let live = Manifest {
            lease: self.manifest.lease.clone(),
            ..Manifest::default()
        };
        self.claim.check(&live)
    }

    /// The keys of which earlier runs did not tell the caches; all that are known, if they were too many to name.
    pub fn stale_keys(&self, prefix: &str) -> Vec<String> {
        match &self.manifest.stale {
            Stale::Nothing => Vec::new(),
            Stale::Keys(keys) => keys.iter().cloned().collect(),
            Stale::Everything => self
                .manifest
                .objects
                .names()
                .map(|name| [prefix, &name].concat())
                .collect(),
        }
    }

    /// Takes the lease, if there is anything to change. It is given back when the run ends early; that the caches have
    /// to be told of `stale` keys is then still written down.
    ///
    /// # Errors
    /// When another run was faster.
    pub async fn begin(
        &self,
        bucket: &Bucket,
        plan: &Plan,
        stale: &[String],
        journal: &Journal,
    ) -> Result<Taken, Failure> {
        if self.kept && !(plan.is_empty() && stale.is_empty()) {
            return self.take(bucket, stale, journal).await;
        }
        Ok(Taken {
            etag: self.etag.clone(),
            cleanup: None,
        })
    }

    /// Takes the lease.
    ///
    /// # Errors
    /// When another run was faster.
    pub async fn take(
        &self,
        bucket: &Bucket,
        stale: &[String],
        journal: &Journal,
    ) -> Result<Taken, Failure> {
        let stale = self.manifest.stale.clone().with(stale);
        let returned = Manifest {
            lease: None,
            stale,
            ..self.manifest.clone()
        };
        let manifest = Manifest {
            lease: Some(self.claim.lease()),
            ..returned.clone()
        };
        let written = Arc::new(OnceLock::new());
        let (store, known, run) = (bucket.clone(), Arc::clone(&written), self.build.run.clone());
        let left = "the right to deploy, which ends by itself";
        let cleanup = journal.clean_up_unless_settled(left, async move {
            let given_back = async {
                let condition = match known.get().cloned() {
                    Some(etag) => Some(etag),
                    // The answer never came: it is taken if the manifest says so.
                    None => match store.manifest().await? {
                        Found::Manifest(found, etag) => found
                            .lease
                            .is_some_and(|lease| lease.run == run)
                            .then_some(etag),
                        Found::Nothing | Found::Denied(_) => None,
                    },
                };
                if let Some(condition) = condition {
                    write(&store, &returned, &condition).await?;
                }
                Ok::<_, Failure>(())
            };
            if let Err(failure) = given_back.await {
                tracing::warn!(
                    "could not give back the right to deploy, which ends by itself: {failure}"
                );
            }
        });
        let etag = write(bucket, &manifest, &self.etag)
            .await?
            .ok_or_else(overtaken)?;
        // Nobody else sets it.
        let _ = written.set(etag.clone());
        Ok(Taken {
            etag,
            cleanup: Some(cleanup),
        })
    }

    /// Sees that the lease in the bucket is the one that was taken. AWS keeps the condition of a write; some stores pass
    /// over it, and then the last one that wrote has the lease.
    ///
    /// # Errors
    /// When another run has it.
    pub async fn confirm(
        &self,
        bucket: &Bucket,
        taken: &Taken,
        journal: &Journal,
    ) -> Result<(), Failure> {
        let Some(cleanup) = taken.cleanup.filter(|_| bucket.may_ignore_conditions()) else {
            return Ok(());
        };
        if bucket.has(manifest::NAME, &taken.etag).await? {
            return Ok(());
        }
        // The ETag of a store may change by itself; the name of a run does not.
        if let Found::Manifest(found, _) = bucket.manifest().await?
            && found.lease.is_some_and(|lease| lease.run != self.build.run)
        {
            // It is not this run's to give back.
            journal.settle(cleanup);
            return Err(overtaken());
        }
        Ok(())
    }

    /// Writes what is known now, if it is more than before, and with `retain` keeps the release.
    ///
    /// # Errors
    /// When another run has written meanwhile, or S3 refuses.
    pub async fn finish(
        self,
        bucket: &Bucket,
        taken: Taken,
        site: &Site,
        (plan, noted): (&Plan, Noted),
        retain: Option<Retain>,
        journal: &Journal,
    ) -> Result<(), Failure> {
        if !self.kept {
            return Ok(());
        }
        let objects = if plan.remembers() {
            noted.into_entries(|number| site.name(site.object(number)))
        } else {
            Entries::default()
        };
        let mut manifest = Manifest {
            lease: None,
            stale: Stale::Nothing,
            objects,
            retired: plan.retired.clone(),
            ..self.manifest.clone()
        };
        if plan.is_empty() && manifest == self.manifest {
            return Ok(());
        }
        if !plan.is_empty() {
            manifest.release = Some(Release {
                id: self.build.run.clone(),
                build: self.build.number,
                commit: self.build.commit.clone(),
                finished: self.build.now,
            });
            // What is not remembered cannot be put back.
            if let Some(retain) = retain.filter(|_| plan.remembers()) {
                releases::keep(bucket, &mut manifest, retain, self.build.now, journal).await?;
            }
        }
        write(bucket, &manifest, &taken.etag)
            .await?
            .ok_or_else(overtaken)?;
        taken.settle(journal);
        Ok(())
    }

    /// Writes that an earlier release is live again, with the entry points that were restored.
    ///
    /// # Errors
    /// When another run has written meanwhile, or S3 refuses.
    pub async fn finish_rollback(
        self,
        bucket: &Bucket,
        taken: Taken,
        release: Release,
        restored: &Entries,
        journal: &Journal,
    ) -> Result<(), Failure> {
        let manifest = Manifest {
            lease: None,
            stale: Stale::Nothing,
            release: Some(release),
            objects: self.manifest.objects.with(restored),
            ..self.manifest.clone()
        };
        write(bucket, &manifest, &taken.etag)
            .await?
            .ok_or_else(overtaken)?;
        taken.settle(journal);
        Ok(())
    }
}

/// Gives the new ETag; nothing if another run has written meanwhile.
async fn write(
    bucket: &Bucket,
    manifest: &Manifest,
    condition: &str,
) -> Result<Option<String>, Failure> {
    let pieces = manifest
        .pieces()
        .map_err(|error| Failure::new(format!("could not write the manifest: {error}")))?;
    bucket.write(manifest::NAME, pieces, Some(condition)).await
}

fn overtaken() -> Failure {
    Failure::new("another deploy of this site began or ended in the meantime").hint(
        "run this step again; steps with the same `concurrency-group` never run at the same time",
    )
}

impl Taken {
    /// Whether nobody else may change the site.
    pub const fn is_held(&self) -> bool {
        self.cleanup.is_some()
    }

    fn settle(self, journal: &Journal) {
        if let Some(cleanup) = self.cleanup {
            journal.settle(cleanup);
        }
    }
}

/// Lets the listing begin while `work` goes on, and gives both. A bucket that cannot be listed is the better news: the
/// answer says whether it exists.
///
/// # Errors
/// That of the listing's first part, or of `work`.
pub async fn beside<T: Send + 'static>(
    mut listing: impl Stream<Item = Result<T, Failure>> + Unpin + Send,
    work: impl Future<Output = Result<Live, Failure>>,
) -> Result<(impl Stream<Item = Result<T, Failure>> + Unpin + Send, Live), Failure> {
    let (first, live) = tokio::join!(listing.next(), work);
    let first = first.transpose()?.map(Ok);
    Ok((stream::iter(first).chain(listing), live?))
}
