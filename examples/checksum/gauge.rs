//! How much is being done.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Counts what the readers do. ORDERING, of all of it: numbers to look at; no data goes with them.
#[derive(Debug, Default)]
pub struct Gauge {
    running: AtomicUsize,
    peak: AtomicUsize,
    bytes: AtomicU64,
}

/// One read from its permit to its end, wherever that comes.
#[derive(Debug)]
#[must_use = "dropped, the read counts as ended"]
pub struct Running(Arc<Gauge>);

impl Gauge {
    pub fn enter(self: Arc<Self>) -> Running {
        let running = self.running.fetch_add(1, Ordering::Relaxed) + 1;
        self.peak.fetch_max(running, Ordering::Relaxed);
        Running(self)
    }

    pub fn add_bytes(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Reads at this moment, those included that are told to stop and have not.
    pub fn running(&self) -> usize {
        self.running.load(Ordering::Relaxed)
    }

    /// Most reads at any moment.
    pub fn peak(&self) -> usize {
        self.peak.load(Ordering::Relaxed)
    }

    /// Bytes read, those of files included that fail later.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}
