//! Reading files, a limited number at a time and each for a limited time.

use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tollgate::Semaphore;
use tollgate::time::{DeadlineExt, ThreadTimer};

use crate::digest::Digest;
use crate::failure::Failure;
use crate::gauge::Gauge;
use crate::source::Allowance;

/// How long a read whose time is up is waited for, so that the next one finds a slot.
const GRACE: Duration = Duration::from_secs(1);

/// What is known of a file that was read.
#[derive(Debug)]
pub struct Checksum {
    pub path: PathBuf,
    pub digest: Digest,
    pub bytes: u64,
}

/// Reads files on the threads of `blocking`.
///
/// The fan-out already bounds how many files are waited for. That is not enough where a read can outlive its future: a thread
/// that is stuck in the system goes on after the deadline. So each read holds a permit of the semaphore, on its own thread, until
/// it has really ended, and there are never more than `jobs` of them.
#[derive(Debug)]
pub struct Readers {
    slots: Arc<Semaphore>,
    timeout: Duration,
    /// What each file's allowance is a child of. Not below Ctrl-C's token: what is being read then is finished.
    root: Allowance,
    gauge: Arc<Gauge>,
}

impl Readers {
    pub fn new(jobs: usize, timeout: Duration) -> Readers {
        let (slots, root) = (Arc::new(Semaphore::new(jobs)), Allowance::new(ThreadTimer));
        Readers { slots, timeout, root, gauge: Arc::default() }
    }

    pub fn gauge(&self) -> &Gauge {
        &self.gauge
    }

    /// Reads one file. The time counts from the start of its read; waiting for a slot, which happens only behind reads
    /// that outlived their time, is bounded by as much again.
    pub async fn read(&self, path: PathBuf) -> Result<Checksum, Failure> {
        let slot = Arc::clone(&self.slots).acquire_owned();
        let Ok(permit) = slot.timeout(ThreadTimer, self.timeout).await else {
            return Err(Failure::new(path, format!("not read in {:?}, all readers are stuck", self.timeout)));
        };
        let allowance = self.root.with_timeout(self.timeout);
        // Dropped with this future, it tells the thread that nobody waits for the file any more.
        let _unwanted = allowance.token().clone().drop_guard();
        let job = blocking::unblock({
            let (path, allowance, gauge) = (path.clone(), allowance.clone(), Arc::clone(&self.gauge));
            let alive = gauge.enter();
            move || {
                let _until_it_ends = (alive, permit);
                Digest::of(&path, &allowance, &gauge)
            }
        });
        let mut job = pin!(allowance.run(job));
        match job.as_mut().await {
            Ok(Ok((digest, bytes))) => return Ok(Checksum { path, digest, bytes }),
            Ok(Err(error)) if !allowance.token().is_cancelled() => return Err(Failure::io(path, &error)),
            // The thread was the first to find that its time was up.
            Ok(Err(_interrupted)) => {}
            Err(_interrupted) => _ = job.inner_pin_mut().timeout(ThreadTimer, GRACE).await,
        }
        Err(Failure::new(path, format!("timed out after {:?}", self.timeout)))
    }
}
