//! The threads that write: each drives its own requests on its own connections, and all take the next object from one
//! list. A lane ends with the run that started it.

use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use shared::{Failure, Journal};
use tokio::sync::{mpsc, oneshot};

use super::Keep;
use super::progress::Progress;
use crate::aws::{Bucket, Load, Pace};
use crate::entries::Noted;
use crate::manifest::Entry;
use crate::objects::Site;
use crate::plan::{Action, Plan, Reason};
use crate::threads;

/// Lanes at the most: above this the network is the limit, not the processor.
const MOST: usize = 4;
/// Objects that are worth a lane.
const OBJECTS: usize = 500;

/// The lanes beside the one that every run has, its own thread.
pub struct Lanes {
    others: Vec<mpsc::UnboundedSender<Order>>,
    at_once: AtOnce,
}

/// How many requests each lane may have under way.
#[derive(Clone, Copy)]
struct AtOnce {
    most: usize,
    /// So many lanes do as many each.
    lanes: usize,
}

/// A phase for a lane. When nobody waits for the answer any more, the run has ended.
struct Order {
    work: Arc<Work>,
    done: oneshot::Sender<Done>,
}

/// What failed in a lane.
type Done = Vec<Failure>;

impl Lanes {
    /// As many lanes as the cores and `objects` suggest, with `concurrency` requests under way in all of them.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(objects: usize, concurrency: usize) -> Result<Self, Failure> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let lanes = cores
            .min(MOST)
            .min(concurrency)
            .min(objects / OBJECTS)
            .max(1);
        let at_once = AtOnce {
            most: concurrency.div_ceil(lanes),
            lanes,
        };
        let others = (1..lanes).map(|_| start_one(at_once)).collect();
        let others: std::io::Result<Vec<_>> = others;
        others
            .map(|others| Self { others, at_once })
            .map_err(|error| threads::no_thread(&error))
    }

    /// Does `work` in all lanes, and gives what failed in all of them.
    ///
    /// # Errors
    /// When a lane ended early; failures of single objects are in the answer.
    pub async fn run(&self, work: Arc<Work>) -> Result<Done, Failure> {
        let mut answers = Vec::new();
        for lane in &self.others {
            let (done, answer) = oneshot::channel();
            let work = Arc::clone(&work);
            // A lane that is gone drops the order, and with it the answer that is waited for below.
            let _ = lane.send(Order { work, done });
            answers.push(answer);
        }
        let mut failures = work.lane(self.at_once, true).await;
        for answer in answers {
            let failed = answer
                .await
                .map_err(|_| Failure::new("could not upload: a thread ended early"))?;
            failures.extend(failed);
        }
        Ok(failures)
    }
}

fn start_one(at_once: AtOnce) -> std::io::Result<mpsc::UnboundedSender<Order>> {
    let (orders, receiver) = mpsc::unbounded_channel();
    threads::start(move || follow(receiver, at_once))?;
    Ok(orders)
}

/// Works until the run drops its end of `orders`, or of an answer.
async fn follow(mut orders: mpsc::UnboundedReceiver<Order>, at_once: AtOnce) {
    while let Some(Order { work, mut done }) = orders.recv().await {
        tokio::select! {
            answer = work.lane(at_once, false) => drop(done.send(answer)),
            () = done.closed() => return,
        }
    }
}

/// One phase of a plan, done by all lanes together.
pub struct Work {
    site: Arc<Site>,
    bucket: Bucket,
    plan: Arc<Plan>,
    keep: Keep,
    noted: Arc<Mutex<Noted>>,
    progress: Arc<Progress>,
    journal: Journal,
    small: Small,
    /// Files that go up in parts: by the run's own lane only, which is the one that aborts them when it is stopped.
    large: Large,
    failed: AtomicBool,
}

impl Work {
    /// The actions in `range` of `plan`.
    pub fn new(
        site: &Arc<Site>,
        bucket: &Bucket,
        plan: &Arc<Plan>,
        range: Range<usize>,
        (keep, noted): (Keep, &Arc<Mutex<Noted>>),
        progress: &Arc<Progress>,
        journal: &Journal,
    ) -> Self {
        let is_large =
            |index: &usize| Bucket::goes_in_parts(site, site.object(plan.actions[*index].number));
        let large = range.clone().filter(is_large).collect();
        Self {
            site: Arc::clone(site),
            bucket: bucket.clone(),
            plan: Arc::clone(plan),
            keep,
            noted: Arc::clone(noted),
            progress: Arc::clone(progress),
            journal: journal.clone(),
            small: Small::new(range),
            large: Large::new(large),
            failed: AtomicBool::new(false),
        }
    }

    /// Does what is left, with as many requests under way as `at_once` and the pace allow, until there is nothing or
    /// something failed.
    async fn lane(&self, at_once: AtOnce, is_own: bool) -> Done {
        let AtOnce { most, lanes } = at_once;
        let pace = Pace::new(most, lanes, self.bucket.slow_downs());
        let pace = RefCell::new((pace, Load::new()));
        let done = RefCell::new(Done::default());
        let under_way = Cell::new(0);
        let mut workers = FuturesUnordered::new();
        loop {
            // A worker goes on by itself; one more is added here when the pace allows it.
            while under_way.get() < pace.borrow().0.limit() {
                let Some(action) = self.next(is_own) else {
                    break;
                };
                under_way.set(under_way.get() + 1);
                workers.push(self.worker(action, is_own, &under_way, &pace, &done));
            }
            if workers.next().await.is_none() {
                break;
            }
        }
        drop(workers);
        done.into_inner()
    }

    /// Does `action` and then the next ones, until the pace has changed or nothing is left.
    async fn worker(
        &self,
        action: &Action,
        is_own: bool,
        under_way: &Cell<usize>,
        pace: &RefCell<(Pace, Load)>,
        done: &RefCell<Done>,
    ) {
        let mut next = Some(action);
        while let Some(action) = next {
            let began = Instant::now();
            match self.act(action).await {
                Ok(entry) => {
                    self.progress.add(entry.size);
                    if self.keep.takes(&entry) {
                        self.noted().set(action.number, &entry);
                    }
                }
                Err(failure) => {
                    self.failed.store(true, Ordering::Relaxed);
                    done.borrow_mut().push(failure);
                }
            }
            let (pace, load) = &mut *pace.borrow_mut();
            let took = began.elapsed();
            pace.answered(took, self.bucket.slow_downs(), load.is_saturated());
            next = (pace.limit() == under_way.get())
                .then(|| self.next(is_own))
                .flatten();
        }
        under_way.set(under_way.get() - 1);
    }

    fn next(&self, is_own: bool) -> Option<&Action> {
        if self.failed.load(Ordering::Relaxed) {
            return None;
        }
        let large = if is_own { self.large.take() } else { None };
        let is_small = |index: &usize| self.large.indices.binary_search(index).is_err();
        let index = large.or_else(|| std::iter::from_fn(|| self.small.take()).find(is_small))?;
        Some(&self.plan.actions[index])
    }

    async fn act(&self, action: &Action) -> Result<Entry, Failure> {
        let (site, bucket, journal) = (&self.site, &self.bucket, &self.journal);
        let known = match action.reason {
            Reason::HeadersDiffer => self.noted().get(action.number),
            _ => None,
        };
        let object = site.object(action.number);
        match known {
            Some(known) => bucket.reheader(site, object, &known, journal).await,
            None => bucket.upload(site, object, journal).await,
        }
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The indices of actions that take one request, each taken once; those of the large ones come too, and are passed over.
struct Small {
    next: AtomicUsize,
    end: usize,
}

impl Small {
    const fn new(range: Range<usize>) -> Self {
        Self {
            next: AtomicUsize::new(range.start),
            end: range.end,
        }
    }

    fn take(&self) -> Option<usize> {
        let index = self.next.fetch_add(1, Ordering::Relaxed);
        (index < self.end).then_some(index)
    }
}

/// The indices of actions that take many requests, in their order, each taken once.
struct Large {
    indices: Vec<usize>,
    taken: AtomicUsize,
}

impl Large {
    const fn new(indices: Vec<usize>) -> Self {
        Self {
            indices,
            taken: AtomicUsize::new(0),
        }
    }

    fn take(&self) -> Option<usize> {
        let index = self.taken.fetch_add(1, Ordering::Relaxed);
        self.indices.get(index).copied()
    }
}
