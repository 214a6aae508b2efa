//! How much is being done.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tollgate::Tracker;
use tollgate::track::Guard;

/// Counts what the readers do.
#[derive(Debug, Default)]
pub struct Gauge {
    reads: Arc<Tracker>,
    bytes: AtomicU64,
}

impl Gauge {
    /// Counts one read from its permit to its end, wherever that comes.
    pub fn enter(&self) -> Guard<Arc<Tracker>> {
        self.reads.owned().named("read").guard()
    }

    pub fn add_bytes(&self, bytes: usize) {
        // ORDERING: a number to look at; no data goes with it.
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Reads at this moment, those included whose time is up and that have not ended.
    pub fn reads(&self) -> &Tracker {
        &self.reads
    }

    /// Bytes read, those of files included that fail later.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}
