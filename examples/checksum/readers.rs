//! Reading files, a limited number at a time and each for a limited time.

use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tollgate::Semaphore;
use tollgate::time::{DeadlineExt, ThreadTimer};

use crate::digest::Digest;
use crate::failure::Failure;
use crate::gauge::Gauge;

/// How long a read that is told to stop is waited for, so that the next one finds a slot.
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
    gauge: Arc<Gauge>,
}

impl Readers {
    pub fn new(jobs: usize, timeout: Duration) -> Readers {
        Readers { slots: Arc::new(Semaphore::new(jobs)), timeout, gauge: Arc::default() }
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
        let stop = StopOnDrop(Arc::default());
        let job = blocking::unblock({
            let (path, stop, gauge) = (path.clone(), Arc::clone(&stop.0), Arc::clone(&self.gauge));
            let running = Arc::clone(&gauge).enter();
            move || {
                let _until_it_ends = (running, permit);
                Digest::of(&path, &stop, &gauge)
            }
        });
        let mut job = pin!(job.timeout(ThreadTimer, self.timeout));
        match job.as_mut().await {
            Ok(Ok((digest, bytes))) => Ok(Checksum { path, digest, bytes }),
            Ok(Err(error)) => Err(Failure::io(path, &error)),
            Err(_elapsed) => {
                stop.tell();
                job.as_mut().extend(GRACE);
                let _too_late = job.await;
                Err(Failure::new(path, format!("timed out after {:?}", self.timeout)))
            }
        }
    }
}

/// Tells a read that nobody waits for it any more.
struct StopOnDrop(Arc<AtomicBool>);

impl StopOnDrop {
    fn tell(&self) {
        // ORDERING: a flag alone; no data goes with it.
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.tell();
    }
}
