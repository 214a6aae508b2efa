//! The timer with a thread of its own.
#![cfg(feature = "std")]
#![allow(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "tests always have std")]

mod support;

use std::env;
use std::future::pending;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::task::{Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use futures_lite::future::block_on;
use support::seeded::Seeded;
use support::{forever, poll, poll_with};
use tollgate::time::{ThreadTimer, Timer};
use tollgate::{DeadlineExt, Elapsed};

const SHORT: Duration = Duration::from_millis(5);
const YEARS: Duration = Duration::from_secs(60 * 60 * 24 * 365 * 3);

/// Runs `f` in a process that does nothing else: this test's own, started again. Panics if that fails, or hangs.
fn alone(test: &str, f: impl FnOnce()) {
    const CHILD: &str = "TOLLGATE_TEST_ALONE";
    if env::var_os(CHILD).is_some() {
        return f();
    }
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(CHILD, "1")
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if begun.elapsed() > Duration::from_secs(60) {
            child.kill().unwrap();
            panic!("{test}: it hangs");
        }
        thread::sleep(Duration::from_millis(2));
    };
    assert!(status.success(), "{test}: {status}");
}

/// The threads of this process that are called `name`, where the system tells.
fn threads(name: &str) -> Option<usize> {
    let tasks = std::fs::read_dir("/proc/self/task").ok()?;
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    Some(names.filter(|own| own.trim() == name).count())
}

#[test]
fn first_use_by_many_at_once_starts_one_thread() {
    alone("first_use_by_many_at_once_starts_one_thread", || {
        let before = threads("tollgate-timer");
        assert!(matches!(before, None | Some(0)), "not before it is used");
        // Neither making a deadline nor one that is not needed is a use.
        assert_eq!(block_on(std::future::ready(1).timeout(ThreadTimer, SHORT)), Ok(1));
        assert_eq!(block_on(pending::<()>().timeout(ThreadTimer, Duration::ZERO)), Err(Elapsed));
        assert_eq!(threads("tollgate-timer"), before);
        let barrier = Barrier::new(16);
        thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    barrier.wait();
                    for _ in 0..5 {
                        assert_eq!(block_on(pending::<()>().timeout(ThreadTimer, SHORT)), Err(Elapsed));
                    }
                });
            }
        });
        assert!(matches!(threads("tollgate-timer"), None | Some(1)));
    });
}

#[test]
fn a_process_that_leaves_sleeps_behind_exits_cleanly() {
    alone("a_process_that_leaves_sleeps_behind_exits_cleanly", || {
        for n in 0..1000 {
            let mut sleep = Box::pin(ThreadTimer.sleep_until(Instant::now() + SHORT + n * Duration::from_micros(10)));
            assert!(poll(sleep.as_mut()).is_pending());
            forever(sleep);
        }
        // The thread is awake and at work as `main` returns.
        thread::sleep(SHORT + Duration::from_millis(3));
    });
}

#[test]
fn wakers_that_panic_cost_nobody_else_a_wake() {
    struct Some {
        woken: AtomicUsize,
        panics: bool,
    }
    impl Wake for Some {
        fn wake(self: Arc<Self>) {
            self.woken.fetch_add(1, Ordering::SeqCst);
            if self.panics {
                // Without the message that a test's reader would take for a failure.
                std::panic::resume_unwind(Box::new("waker panics"));
            }
        }
    }
    let some = |panics| Arc::new(Some { woken: AtomicUsize::new(0), panics });
    let (good, bad) = (some(false), some(true));
    let at = Instant::now() + SHORT;
    let mut sleeps: Vec<_> = (0..100).map(|_| Box::pin(ThreadTimer.sleep_until(at))).collect();
    let (mut of_good, mut of_bad) = (0, 0);
    for (n, sleep) in sleeps.iter_mut().enumerate() {
        let (waker, count) = if n % 3 == 0 { (&bad, &mut of_bad) } else { (&good, &mut of_good) };
        *count += usize::from(poll_with(sleep.as_mut(), &Waker::from(waker.clone())).is_pending());
    }
    assert_eq!(block_on(pending::<()>().deadline(ThreadTimer, at + SHORT)), Err(Elapsed), "it goes on");
    let begun = Instant::now();
    while (good.woken.load(Ordering::SeqCst), bad.woken.load(Ordering::SeqCst)) != (of_good, of_bad) {
        assert!(begun.elapsed() < Duration::from_secs(20), "somebody is not woken");
        thread::sleep(Duration::from_millis(1));
    }
    assert!(sleeps.iter_mut().all(|sleep| poll(sleep.as_mut()).is_ready()));
}

/// A hundred thousand sleeps, each with a time of its own, of which every third is dropped and some are moved.
#[test]
fn a_hundred_thousand_sleeps_live_at_once() {
    struct OnTime {
        at: Instant,
        early: Arc<AtomicUsize>,
        woken: Arc<AtomicUsize>,
    }
    impl Wake for OnTime {
        fn wake(self: Arc<Self>) {
            self.early.fetch_add(usize::from(Instant::now() < self.at), Ordering::SeqCst);
            self.woken.fetch_add(1, Ordering::SeqCst);
        }
    }
    let mut random = Seeded::new(5);
    let (early, woken) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let start = Instant::now() + Duration::from_secs(2);
    let mut sleeps: Vec<_> = (0..100_000)
        .map(|n| {
            let at = start + Duration::from_nanos(random.next() % 500_000_000);
            let waker = Waker::from(Arc::new(OnTime { at, early: early.clone(), woken: woken.clone() }));
            // Some begin at another time than they get in the end.
            let first = if n % 7 == 0 { start + YEARS } else { at };
            let mut sleep = Box::pin(ThreadTimer.sleep_until(first));
            assert!(poll_with(sleep.as_mut(), &waker).is_pending(), "two seconds are enough to begin with them all");
            if n % 7 == 0 {
                ThreadTimer.reset(sleep.as_mut(), at);
            }
            sleep
        })
        .collect();
    let mut n = 0;
    sleeps.retain(|_| {
        n += 1;
        n % 3 != 0
    });
    let begun = Instant::now();
    while woken.load(Ordering::SeqCst) < sleeps.len() {
        assert!(begun.elapsed() < Duration::from_secs(60), "somebody is not woken");
        thread::sleep(Duration::from_millis(1));
    }
    assert!(sleeps.iter_mut().all(|sleep| poll(sleep.as_mut()).is_ready()));
    assert_eq!(early.load(Ordering::SeqCst), 0, "nobody is woken early");
}
