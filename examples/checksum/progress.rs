//! The progress bar.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tollgate::Tracker;
use tollgate::cancel::OwnedCancellationToken;

use crate::gauge::Gauge;
use crate::walk::Walk;

/// Time between two drawings.
pub const TICK: Duration = Duration::from_millis(100);

/// Characters inside the brackets; with the numbers it fits 80 columns.
const WIDTH: u64 = 24;

/// One line on the standard error that is redrawn in place; nothing unless that is a terminal.
///
/// The files are counted by a walk of its own, on its own thread, while the first are read already.
#[derive(Debug)]
pub struct Progress {
    /// None: not a terminal.
    count: Option<Arc<Count>>,
    /// Ends the count, complete or not.
    enough: OwnedCancellationToken,
    drawn: bool,
    last: Instant,
}

/// ORDERING, of both: numbers to look at; no data goes with them.
#[derive(Debug, Default)]
struct Count {
    files: AtomicU64,
    complete: AtomicBool,
}

impl Progress {
    /// Starts counting what `paths` hold, by a walk that is one of `walks`.
    pub fn new(paths: &[PathBuf], walks: &Arc<Tracker>) -> Progress {
        let count = io::stderr().is_terminal().then(|| Arc::new(Count::default()));
        let enough = OwnedCancellationToken::new();
        if let Some(count) = count.clone() {
            let (walk, enough) = (Walk::new(paths.to_vec()), enough.clone());
            let alive = walks.owned().named("count").guard();
            let job = blocking::unblock(move || {
                let _until_it_ends = alive;
                let walk = walk.take_while(|_| !enough.is_cancelled());
                walk.for_each(|_| _ = count.files.fetch_add(1, Ordering::Relaxed));
                count.complete.store(true, Ordering::Relaxed);
            });
            job.detach();
        }
        Progress { count, enough, drawn: false, last: Instant::now() }
    }

    /// Draws no more, and counts no more.
    pub fn end(&self) {
        self.enough.cancel();
    }

    pub fn is_shown(&self) -> bool {
        self.count.is_some()
    }

    /// Whether the picture is old.
    pub fn is_due(&self) -> bool {
        self.is_shown() && self.last.elapsed() >= TICK
    }

    /// Makes room for other lines on the terminal.
    pub fn clear(&mut self) {
        if self.drawn {
            let _ = write!(io::stderr(), "{}", clear_line());
            self.drawn = false;
        }
    }

    pub fn draw(&mut self, files: u64, gauge: &Gauge) {
        let Some(count) = &self.count else { return };
        let complete = count.complete.load(Ordering::Relaxed);
        // A tree may grow behind the count.
        let total = count.files.load(Ordering::Relaxed).max(files);
        let filled = if complete && total > 0 { files * WIDTH / total } else { 0 };
        let _ = write!(
            io::stderr(),
            "{}[{}{}] {files}/{total}{} files, {} MB, {} in flight",
            clear_line(),
            "#".repeat(filled as usize),
            "-".repeat((WIDTH - filled) as usize),
            if complete { "" } else { "+" },
            gauge.bytes() / 1_000_000,
            gauge.reads().live(),
        );
        self.drawn = true;
        self.last = Instant::now();
    }
}

/// Takes the bar away, if one may be there.
pub fn clear_line() -> &'static str {
    if io::stderr().is_terminal() { "\r\x1b[K" } else { "" }
}
