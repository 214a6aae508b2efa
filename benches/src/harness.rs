//! Measuring: scenarios, interleaved rounds, medians, allocations, tables.
//!
//! Times on a shared machine drift by tens of per cent within seconds. So all peers of a scenario run in one process, in
//! short rounds that take turns (the order rotates), and a row is the median over its rounds. A ratio of two rows is then
//! worth more than either of them.

use std::alloc::{GlobalAlloc, Layout, System};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What is measured: the same work done by several peers.
pub struct Scenario {
    pub name: String,
    pub what: &'static str,
    /// What the ratio of our first row to a peer's is to be at most.
    goal: Option<Goal>,
    peers: Vec<Peer>,
    /// Whether one thread does all of it, so that its instructions can be counted.
    counted: bool,
    /// How many operations one turn of the work is.
    pub operations: u64,
    /// With fewer turns the work would not get to what is meant.
    pub least: u64,
}

/// What our first row is to reach.
#[derive(Clone, Copy)]
pub struct Goal {
    /// The peer of that name, or the best of all.
    against: Option<&'static str>,
    ratio: f64,
}

/// One row of a scenario.
pub struct Peer {
    pub name: &'static str,
    prepare: Box<dyn Fn() -> Run>,
    /// Whether this thread does all of it.
    alone: bool,
}

/// Does the work so many times and says how long it took.
pub type Run = Box<dyn FnMut(u64) -> Duration>;

/// How long and how often.
#[derive(Clone, Copy)]
pub struct Plan {
    pub rounds: usize,
    pub round: Duration,
}

/// One measured row.
pub struct Row {
    pub scenario: String,
    /// What is done.
    pub what: &'static str,
    pub peer: &'static str,
    pub median: f64,
    pub fastest: f64,
    /// Half of the rounds lie within this many nanoseconds of each other.
    pub spread: f64,
    /// To the best peer's median.
    pub ratio: f64,
    pub allocations: f64,
    pub bytes: f64,
}

/// Rows whose name begins so are ours, the others are peers.
const OURS: &str = "tollgate";
/// Rows whose name begins so are nobody's: the least that the machine could take.
const FLOOR: &str = "floor";

// === impl Scenario ===

impl Scenario {
    pub fn new(name: impl Into<String>, what: &'static str) -> Self {
        Self { name: name.into(), what, goal: None, peers: Vec::new(), counted: true, operations: 1, least: 1 }
    }

    /// What the ratio of our first row to the best peer's is to be at most.
    pub fn goal(mut self, ratio: f64) -> Self {
        self.goal = Some(Goal { against: None, ratio });
        self
    }

    /// The same to one peer's.
    pub fn goal_against(mut self, peer: &'static str, ratio: f64) -> Self {
        self.goal = Some(Goal { against: Some(peer), ratio });
        self
    }

    /// The work is spread over threads: instructions of one run are not those of the next.
    pub fn threaded(mut self) -> Self {
        self.counted = false;
        self
    }

    /// One turn of the work is so many operations; all figures are of one of them.
    pub fn operations(mut self, operations: u64) -> Self {
        self.operations = operations;
        self
    }

    /// The work is never done fewer times than this at once.
    pub fn at_least(mut self, turns: u64) -> Self {
        self.least = turns;
        self
    }

    /// Adds a row: `prepare` builds what the work needs and hands out the work, which is timed as a whole.
    pub fn peer<F: FnMut(u64) + 'static>(self, name: &'static str, prepare: impl Fn() -> F + 'static) -> Self {
        self.clocked(name, move || {
            let mut work = prepare();
            move |iters| {
                let start = Instant::now();
                work(iters);
                start.elapsed()
            }
        })
    }

    /// Adds a row whose work reads the clock itself.
    pub fn clocked<F: FnMut(u64) -> Duration + 'static>(
        mut self,
        name: &'static str,
        prepare: impl Fn() -> F + 'static,
    ) -> Self {
        self.peers.push(Peer { name, prepare: Box::new(move || Box::new(prepare())), alone: true });
        self
    }

    /// Of the row that was added last, a thread behind the scenes does a part: its time is not all seen, and its instructions
    /// are not the same twice.
    pub fn partly_elsewhere(mut self) -> Self {
        self.peers.last_mut().expect("a row to say it of").alone = false;
        self
    }

    /// The rows whose instructions can be counted.
    pub fn countable(&self) -> impl Iterator<Item = &Peer> {
        self.peers.iter().filter(|peer| self.counted && peer.alone)
    }

    /// Measures all rows in turns.
    pub fn measure(&self, plan: Plan) -> Vec<Row> {
        let mut runs: Vec<Run> = self.peers.iter().map(|peer| (peer.prepare)()).collect();
        let iters: Vec<u64> = runs.iter_mut().map(|run| calibrate(run, plan.round, self.least)).collect();
        let mut times = vec![Vec::with_capacity(plan.rounds); runs.len()];
        for round in 0..plan.rounds {
            for turn in 0..runs.len() {
                let peer = (round + turn) % runs.len();
                let elapsed = runs[peer](iters[peer]);
                times[peer].push(elapsed.as_nanos() as f64 / (iters[peer] * self.operations) as f64);
            }
        }
        let mut rows: Vec<Row> = Vec::new();
        for (peer, mut times) in times.into_iter().enumerate() {
            times.sort_by(f64::total_cmp);
            // A pass of its own, for counting costs time.
            let counted = (iters[peer] / 4).max(self.least);
            let (allocations, bytes) = count_allocations(|| _ = runs[peer](counted));
            let operations = (counted * self.operations) as f64;
            rows.push(Row {
                scenario: self.name.clone(),
                what: self.what,
                peer: self.peers[peer].name,
                median: times[times.len() / 2],
                fastest: times[0],
                spread: times[times.len() * 3 / 4] - times[times.len() / 4],
                ratio: f64::NAN,
                allocations: allocations as f64 / operations,
                bytes: bytes as f64 / operations,
            });
        }
        let best = rows.iter().filter(|row| row.is_peer()).map(|row| row.median).fold(f64::INFINITY, f64::min);
        for row in &mut rows {
            row.ratio = row.median / best;
        }
        rows
    }

    /// Prints the rows as a table.
    pub fn print(&self, rows: &[Row]) {
        println!("\n{}: {}", self.name, self.what);
        let width = rows.iter().map(|row| row.peer.len()).max().unwrap_or(0).max(8);
        println!(
            "  {:width$}  {:>10}  {:>10}  {:>8}  {:>6}  {:>9}  {:>9}",
            "", "ns/op", "fastest", "spread", "ratio", "allocs/op", "bytes/op"
        );
        for row in rows {
            println!(
                "  {:width$}  {:>10.1}  {:>10.1}  {:>8.1}  {:>6.2}  {:>9.3}  {:>9.1}",
                row.peer, row.median, row.fastest, row.spread, row.ratio, row.allocations, row.bytes
            );
        }
        if let Some((goal, ratio)) = self.goal.and_then(|goal| Some((goal, goal.reached(rows)?))) {
            // Two figures of the second digit: what is below is noise.
            let verdict = if ratio < goal.ratio + 0.005 { "met" } else { "MISSED" };
            println!(
                "  goal {:.2} of {}'s, is {ratio:.2}: {verdict}",
                goal.ratio,
                goal.against.unwrap_or("the best peer")
            );
        }
    }

    /// Does one peer's work, for a tool that counts from outside. Returns whether there is such a peer.
    pub fn run_once(&self, peer: &str, iters: u64) -> bool {
        let Some(peer) = self.peers.iter().find(|row| row.name == peer) else { return false };
        let mut run = (peer.prepare)();
        run(iters);
        // What was prepared is of a size that depends on the scenario only; skip tearing it down.
        std::mem::forget(run);
        true
    }
}

// === impl Goal ===

impl Goal {
    /// The first row of ours is the one that goals are about; the others are there to compare.
    fn reached(&self, rows: &[Row]) -> Option<f64> {
        let ours = rows.iter().find(|row| row.is_ours())?.median;
        let medians = |named: &dyn Fn(&Row) -> bool| {
            rows.iter().filter(|row| named(row)).map(|row| row.median).fold(f64::INFINITY, f64::min)
        };
        let theirs = match self.against {
            Some(name) => medians(&|row| row.peer == name),
            None => medians(&Row::is_peer),
        };
        Some(ours / theirs).filter(|ratio| ratio.is_finite() && *ratio > 0.0)
    }
}

// === rounds ===

/// How many times the work is done in a round of that length.
fn calibrate(run: &mut Run, round: Duration, least: u64) -> u64 {
    let mut iters = least;
    loop {
        // The better of two, for the first one may have to wake threads and fill caches.
        let took = run(iters).min(run(iters));
        if took * 4 >= round {
            let per_op = took.as_secs_f64() / iters as f64;
            return ((round.as_secs_f64() / per_op) as u64).max(least);
        }
        iters *= 4;
    }
}

// === impl Row ===

impl Row {
    fn is_ours(&self) -> bool {
        self.peer.starts_with(OURS)
    }

    fn is_peer(&self) -> bool {
        !self.is_ours() && !self.peer.starts_with(FLOOR)
    }
}

/// All rows as one JSON array.
pub fn json(rows: &[Row]) -> String {
    let mut out = String::from("[\n");
    for (i, row) in rows.iter().enumerate() {
        let ratio = if row.ratio.is_finite() { format!("{:.4}", row.ratio) } else { "null".into() };
        let _ = writeln!(
            out,
            "  {{\"scenario\": \"{}\", \"what\": \"{}\", \"peer\": \"{}\", \"ns\": {:.3}, \"fastest\": {:.3}, \"spread\": {:.3}, \"ratio\": {ratio}, \"allocations\": {:.4}, \"bytes\": {:.2}}}{}",
            row.scenario,
            row.what,
            row.peer,
            row.median,
            row.fastest,
            row.spread,
            row.allocations,
            row.bytes,
            if i + 1 < rows.len() { "," } else { "" },
        );
    }
    out.push_str("]\n");
    out
}

/// All rows as lines of comma-separated values.
pub fn csv(rows: &[Row]) -> String {
    let mut out = String::from("scenario,peer,ns,fastest,spread,ratio,allocations,bytes\n");
    for row in rows {
        let _ = writeln!(
            out,
            "{},{},{:.3},{:.3},{:.3},{:.4},{:.4},{:.2}",
            row.scenario, row.peer, row.median, row.fastest, row.spread, row.ratio, row.allocations, row.bytes
        );
    }
    out
}

// === allocations ===

/// The system's allocator; it counts while it is told to, and costs one load otherwise.
pub struct Counting;

static COUNT: AtomicBool = AtomicBool::new(false);
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);

/// Runs `work` and tells how many allocations it made, and of how many bytes.
fn count_allocations(work: impl FnOnce()) -> (u64, u64) {
    let before = (ALLOCATIONS.load(Ordering::SeqCst), BYTES.load(Ordering::SeqCst));
    COUNT.store(true, Ordering::SeqCst);
    work();
    COUNT.store(false, Ordering::SeqCst);
    (ALLOCATIONS.load(Ordering::SeqCst) - before.0, BYTES.load(Ordering::SeqCst) - before.1)
}

#[inline]
fn note(bytes: usize) {
    if COUNT.load(Ordering::Relaxed) {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        BYTES.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: the caller keeps the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: the caller keeps the contract.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size);
        // SAFETY: the caller keeps the contract.
        unsafe { System.realloc(at, layout, size) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract.
        unsafe { System.dealloc(at, layout) }
    }
}
