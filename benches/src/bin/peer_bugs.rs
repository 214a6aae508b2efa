//! The same probes on this crate's semaphore and on others': what the README says about peers is checked by this program.
//!
//! ```sh
//! cargo run --release --bin peer_bugs
//! ```
//!
//! Each probe of each crate runs in a process of its own, for some hang and some abort. The program fails if ours does
//! anything but pass.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::pin::Pin;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

/// How long a probe may take before it counts as hanging.
const PATIENCE: Duration = Duration::from_secs(3);
/// Exit codes of a probe's process.
const WRONG: u8 = 10;
const NOT_OFFERED: u8 = 11;

/// Makes the probes of one crate. `acquire` may be asked for one permit only where there is no weighted form.
macro_rules! peer {
    ($name:ident, weighted: $weighted:literal, new($n:ident) $new:expr, acquire($s:ident, $k:ident) $acquire:expr,
     add($s2:ident) $add:expr, try_acquire($s3:ident) $try:expr) => {
        mod $name {
            use super::*;

            fn new($n: usize) -> &'static Semaphore {
                Box::leak(Box::new($new))
            }

            fn acquire($s: &'static Semaphore, $k: usize) -> Pin<Box<dyn Future<Output = ()>>> {
                Box::pin(async move {
                    let _ = $acquire;
                })
            }

            /// Gives one permit.
            fn add($s2: &'static Semaphore) {
                $add;
            }

            fn try_acquire($s3: &'static Semaphore) -> bool {
                $try
            }

            pub fn run(probe: &str) -> u8 {
                let reenter = |semaphore| {
                    move || {
                        let mut again = acquire(semaphore, 1);
                        let _ = again.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                    }
                };
                let passed = match probe {
                    "two releases serve two waiters" => {
                        let semaphore = new(0);
                        let (first, second) = (Count::new(), Count::new());
                        let mut a = acquire(semaphore, 1);
                        let mut b = acquire(semaphore, 1);
                        assert!(first.poll(&mut a).is_pending() && second.poll(&mut b).is_pending());
                        add(semaphore);
                        add(semaphore);
                        // Some wake one that wakes the next when it is polled; that is right too.
                        let mut served = [false; 2];
                        for _ in 0..2 {
                            served[0] |= first.woken() && !served[0] && first.poll(&mut a).is_ready();
                            served[1] |= second.woken() && !served[1] && second.poll(&mut b).is_ready();
                        }
                        served == [true; 2]
                    }
                    "a large request that is cancelled lets the next one in" => {
                        if !$weighted {
                            return NOT_OFFERED;
                        }
                        let semaphore = new(1);
                        let next = Count::new();
                        let mut large = acquire(semaphore, 3);
                        let mut small = acquire(semaphore, 1);
                        assert!(Count::new().poll(&mut large).is_pending());
                        if next.poll(&mut small).is_ready() {
                            return 0; // It need not wait for the large one at all.
                        }
                        drop(large);
                        next.woken()
                    }
                    "a grant that is dropped goes to the next one" => {
                        let semaphore = new(0);
                        let (first, second) = (Count::new(), Count::new());
                        let mut a = acquire(semaphore, 1);
                        let mut b = acquire(semaphore, 1);
                        assert!(first.poll(&mut a).is_pending() && second.poll(&mut b).is_pending());
                        add(semaphore);
                        drop(a);
                        second.woken() && second.poll(&mut b).is_ready()
                    }
                    "nobody overtakes a waiter that was woken" => {
                        let semaphore = new(0);
                        let mut waiting = acquire(semaphore, 1);
                        assert!(Count::new().poll(&mut waiting).is_pending());
                        add(semaphore);
                        !try_acquire(semaphore)
                    }
                    "cancelled waiters take no room" => {
                        let semaphore = new(0);
                        let mut first = acquire(semaphore, 1);
                        assert!(Count::new().poll(&mut first).is_pending());
                        for _ in 0..64 {
                            let mut later = acquire(semaphore, 1);
                            if Count::new().poll(&mut later).is_ready() {
                                return WRONG;
                            }
                        }
                        true
                    }
                    "two that wait do not keep waking each other" => {
                        let semaphore = new(0);
                        let (first, second) = (Count::new(), Count::new());
                        let mut a = acquire(semaphore, 1);
                        let mut b = acquire(semaphore, 1);
                        for _ in 0..5 {
                            assert!(first.poll(&mut a).is_pending() && second.poll(&mut b).is_pending());
                        }
                        !first.woken() && !second.woken()
                    }
                    "waiting and being served allocates nothing" => {
                        let semaphore = new(0);
                        let count = Count::new();
                        let mut futures: Vec<_> = (0..9).map(|_| acquire(semaphore, 1)).collect();
                        let before = ALLOCATIONS.get();
                        for future in &mut futures {
                            assert!(count.poll(future).is_pending());
                        }
                        for future in &mut futures {
                            add(semaphore);
                            let _ = count.poll(future);
                        }
                        ALLOCATIONS.get() == before
                    }
                    "a waker may come back when it is woken" => {
                        let semaphore = new(0);
                        let waker = Reenter::new(Some(Box::new(reenter(semaphore))), None);
                        let mut waiting = acquire(semaphore, 1);
                        assert!(waiting.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
                        add(semaphore);
                        true
                    }
                    "a waker may come back when it is replaced" => {
                        let semaphore = new(0);
                        let waker = Reenter::new(None, Some(Box::new(reenter(semaphore))));
                        let mut waiting = acquire(semaphore, 1);
                        assert!(waiting.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
                        drop(waker);
                        assert!(Count::new().poll(&mut waiting).is_pending());
                        true
                    }
                    "a waker may come back when its wait is cancelled" => {
                        let semaphore = new(0);
                        let waker = Reenter::new(None, Some(Box::new(reenter(semaphore))));
                        let mut waiting = acquire(semaphore, 1);
                        assert!(waiting.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
                        drop(waker);
                        drop(waiting);
                        true
                    }
                    other => panic!("no probe is called {other}"),
                };
                if passed { 0 } else { WRONG }
            }

            type Semaphore = super::types::$name;
        }
    };
}

const PROBES: [&str; 10] = [
    "two releases serve two waiters",
    "a large request that is cancelled lets the next one in",
    "a grant that is dropped goes to the next one",
    "nobody overtakes a waiter that was woken",
    "cancelled waiters take no room",
    "two that wait do not keep waking each other",
    "waiting and being served allocates nothing",
    "a waker may come back when it is woken",
    "a waker may come back when it is replaced",
    "a waker may come back when its wait is cancelled",
];

/// The semaphore of each crate, by the name of its module here.
#[allow(non_camel_case_types, reason = "named after the modules")]
mod types {
    use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;

    pub type tollgate = ::tollgate::Semaphore;
    pub type tokio = ::tokio::sync::Semaphore;
    pub type async_lock = ::async_lock::Semaphore;
    pub type asyncband = ::asyncband::semaphore::Semaphore;
    pub type futures_intrusive = ::futures_intrusive::sync::Semaphore;
    pub type maitake_sync = ::maitake_sync::Semaphore;
    pub type embassy_fair = embassy_sync::semaphore::FairSemaphore<CriticalSectionRawMutex, 16>;
    pub type embassy_greedy = embassy_sync::semaphore::GreedySemaphore<CriticalSectionRawMutex>;
}

peer!(tollgate, weighted: true, new(n) Semaphore::new(n), acquire(s, n) s.acquire_many(n).await.map(|p| p.forget()),
    add(s) s.add_permits(1), try_acquire(s) s.try_acquire().is_ok());
peer!(tokio, weighted: true, new(n) Semaphore::new(n), acquire(s, n) s.acquire_many(n as u32).await.map(|p| p.forget()),
    add(s) s.add_permits(1), try_acquire(s) s.try_acquire().is_ok());
peer!(async_lock, weighted: false, new(n) Semaphore::new(n), acquire(s, n) { assert_eq!(n, 1); s.acquire().await.forget() },
    add(s) s.add_permits(1), try_acquire(s) s.try_acquire().is_some());
peer!(asyncband, weighted: true, new(n) Semaphore::new(n), acquire(s, n) s.acquire(n).await.forget(),
    add(s) s.release(1), try_acquire(s) s.try_acquire(1).is_some());
peer!(futures_intrusive, weighted: true, new(n) Semaphore::new(true, n), acquire(s, n) s.acquire(n).await.disarm(),
    add(s) s.release(1), try_acquire(s) s.try_acquire(1).is_some());
peer!(maitake_sync, weighted: true, new(n) Semaphore::new(n), acquire(s, n) s.acquire(n).await.map(|p| p.forget()),
    add(s) s.add_permits(1), try_acquire(s) s.try_acquire(1).is_ok());
peer!(embassy_fair, weighted: true, new(n) Semaphore::new(n), acquire(s, n)
    { use embassy_sync::semaphore::Semaphore as _; s.acquire(n).await.map(|p| p.disarm()) },
    add(s) { use embassy_sync::semaphore::Semaphore as _; s.release(1) },
    try_acquire(s) { use embassy_sync::semaphore::Semaphore as _; s.try_acquire(1).is_some() });
peer!(embassy_greedy, weighted: true, new(n) Semaphore::new(n), acquire(s, n)
    { use embassy_sync::semaphore::Semaphore as _; s.acquire(n).await.map(|p| p.disarm()) },
    add(s) { use embassy_sync::semaphore::Semaphore as _; s.release(1) },
    try_acquire(s) { use embassy_sync::semaphore::Semaphore as _; s.try_acquire(1).is_some() });

/// Runs the probe of that name and says how it ended.
type Probe = fn(&str) -> u8;

const PEERS: [(&str, Probe); 8] = [
    ("tollgate", tollgate::run),
    ("tokio", tokio::run),
    ("async-lock", async_lock::run),
    ("asyncband", asyncband::run),
    ("futures-intrusive", futures_intrusive::run),
    ("maitake-sync", maitake_sync::run),
    ("embassy fair", embassy_fair::run),
    ("embassy greedy", embassy_greedy::run),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [peer, probe] = &arguments[..] {
        let (_, run) = PEERS.iter().find(|(name, _)| name == peer).expect("a peer");
        return ExitCode::from(run(probe));
    }
    print!("| probe |");
    PEERS.iter().for_each(|(name, _)| print!(" {name} |"));
    println!("\n|---|{}", "---|".repeat(PEERS.len()));
    let mut ours_failed = 0;
    let mut run = 0;
    for probe in PROBES {
        print!("| {probe} |");
        for (peer, _) in PEERS {
            let verdict = judge(peer, probe);
            if peer == "tollgate" {
                run += 1;
                ours_failed += usize::from(verdict != "ok");
            }
            print!(" {verdict} |");
        }
        println!();
    }
    println!("tollgate: {} passed, {ours_failed} failed", run - ours_failed);
    ExitCode::from(u8::from(ours_failed > 0))
}

fn judge(peer: &str, probe: &str) -> &'static str {
    let program = std::env::current_exe().expect("our own path");
    let mut child = Command::new(program)
        .args([peer, probe])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("this program runs");
    let begun = Instant::now();
    loop {
        match child.try_wait().expect("a child to wait for") {
            Some(status) => {
                return match status.code() {
                    Some(0) => "ok",
                    Some(code) if code == i32::from(WRONG) => "WRONG",
                    Some(code) if code == i32::from(NOT_OFFERED) => "-",
                    Some(_) => "PANICS",
                    None => "ABORTS",
                };
            }
            None if begun.elapsed() > PATIENCE => {
                child.kill().and_then(|()| child.wait()).expect("a child to end");
                return "HANGS";
            }
            None => std::thread::sleep(Duration::from_millis(2)),
        }
    }
}

// === wakers ===

struct Count(AtomicUsize);

impl Count {
    fn new() -> Arc<Self> {
        Arc::new(Self(AtomicUsize::new(0)))
    }

    fn poll(self: &Arc<Self>, future: &mut Pin<Box<dyn Future<Output = ()>>>) -> Poll<()> {
        future.as_mut().poll(&mut Context::from_waker(&Waker::from(self.clone())))
    }

    fn woken(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0
    }
}

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

type Call = Box<dyn Fn() + Send + Sync>;

/// A waker that calls something when it is woken, or when its last clone is dropped.
struct Reenter {
    on_wake: Option<Call>,
    on_drop: Option<Call>,
}

impl Reenter {
    #[expect(clippy::new_ret_no_self, reason = "only ever used as a waker")]
    fn new(on_wake: Option<Call>, on_drop: Option<Call>) -> Waker {
        Waker::from(Arc::new(Self { on_wake, on_drop }))
    }
}

impl Wake for Reenter {
    fn wake(self: Arc<Self>) {
        if let Some(call) = &self.on_wake {
            call();
        }
    }
}

impl Drop for Reenter {
    fn drop(&mut self) {
        if let Some(call) = &self.on_drop {
            call();
        }
    }
}

// === allocations of this thread ===

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: all is passed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;
