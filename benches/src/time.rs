//! Deadlines around a future: each scenario puts the same future under each crate's own timeout.
//!
//! Nothing ever elapses here: what is measured is what a deadline costs that is not reached, which is nearly all of them.
//! The timers of all crates are alive in one process, each with its own driver asleep until the first of the crowd.

use std::cell::RefCell;
use std::future::{Future, pending, ready};
use std::pin::pin;
use std::rc::{Rc, Weak};
use std::task::Context;
use std::thread;
use std::time::{Duration, Instant};

use futures_lite::future::or;
use futures_util::future::select;
use tollgate::DeadlineExt;
use tollgate::time::{ThreadTimer, Timer, TimerQueue, TokioTimer};

use crate::harness::Scenario;
use crate::polling::{Random, Slots, waker};

mod embassy;

/// How many timers live beside the one that comes and goes.
const CROWDS: [usize; 5] = [1, 100, 1000, 10_000, 100_000];

/// The first of the crowd. Nobody ends before it, so no driver has to be told of a newcomer.
const FIRST: Duration = Duration::from_secs(900);

pub fn scenarios() -> Vec<Scenario> {
    let mut all = vec![at_once()];
    all.extend(CROWDS.map(not_yet));
    all.push(ticks_at_once());
    // More would not find room in embassy-time's queue.
    all.extend(CROWDS.into_iter().filter(|live| *live < embassy::ROOM).map(ticks_not_yet));
    all
}

// === the inner future is ready at once ===

fn at_once() -> Scenario {
    let limit = Duration::from_secs(1000);
    Scenario::new("time/ready", "make a timeout around a future that is ready at once, poll, drop")
        .goal_against("tokio", 0.3)
        .peer("tollgate ThreadTimer", move || polling(move || ready(1).timeout(ThreadTimer, limit)))
        .peer("tollgate TimerQueue", move || timer_queue_at_once(limit))
        .peer("tollgate TokioTimer", move || in_tokio(polling(move || ready(1).timeout(TokioTimer, limit))))
        .peer("tokio", move || in_tokio(polling(move || tokio::time::timeout(limit, ready(1)))))
        .peer("async-io", move || polling(move || async_io_timeout(ready(1), limit)))
        .peer("futures-timer", move || polling(move || select(ready(1), futures_timer::Delay::new(limit))))
        .partly_elsewhere()
        .peer("futures-time", move || polling(move || futures_time_timeout(ready(1), limit)))
        .peer("floor: the future alone", || polling(|| ready(1)))
}

/// Makes one, polls it ready, drops it.
fn polling<F: Future>(make: impl Fn() -> F) -> impl FnMut(u64) {
    move |iters| {
        let waker = waker();
        let mut context = Context::from_waker(&waker);
        for _ in 0..iters {
            let future = pin!(std::hint::black_box(&make)());
            assert!(std::hint::black_box(future.poll(&mut context)).is_ready());
        }
    }
}

// === the inner future is pending ===

fn not_yet(live: usize) -> Scenario {
    let name = format!("time/pending-{live}");
    let what = "make a timeout around a future that is pending, poll, drop; others live beside it";
    let io = Shared::new(move || crowd(live, async_io::Timer::after));
    let io_too = io.clone();
    let tokio = Shared::new(move || {
        let _entered = runtime().enter();
        let crowd = crowd(live, tokio::time::sleep);
        // Its driver learns of the first one to end by going to sleep.
        runtime().block_on(tokio::time::sleep(Duration::from_millis(1)));
        crowd
    });
    let tokio_too = tokio.clone();
    // The row with the system's clock and a driver of its own is the one that compares with the peers.
    Scenario::new(name, what)
        .goal(0.8)
        .peer("tollgate ThreadTimer", move || {
            let crowd = crowd(live, |limit| ThreadTimer.sleep_until(Instant::now() + limit));
            among(crowd, |limit| pending::<()>().timeout(ThreadTimer, limit))
        })
        .peer("tollgate TimerQueue", move || timer_queue_not_yet(live))
        .peer("tollgate TokioTimer", move || {
            in_tokio(among(tokio_too.get(), |limit| pending::<()>().timeout(TokioTimer, limit)))
        })
        .peer("tokio", move || in_tokio(among(tokio.get(), |limit| tokio::time::timeout(limit, pending::<()>()))))
        .peer("async-io", move || among(io.get(), |limit| async_io_timeout(pending::<()>(), limit)))
        .partly_elsewhere()
        .peer("futures-timer", move || {
            let crowd = crowd(live, futures_timer::Delay::new);
            among(crowd, |limit| select(pending::<()>(), futures_timer::Delay::new(limit)))
        })
        .partly_elsewhere()
        // Its timers are async-io's, and so is its crowd.
        .peer("futures-time", move || among(io_too.get(), |limit| futures_time_timeout(pending::<()>(), limit)))
        .partly_elsewhere()
}

// === the same in firmware, where the time is that of the last tick ===

fn ticks_at_once() -> Scenario {
    let limit = Duration::from_secs(1000);
    let what = "the time is that of the last tick: make a timeout around a future that is ready at once, poll, drop";
    Scenario::new("time/ticks-ready", what)
        .peer("tollgate TimerQueue", move || timer_queue_at_once(limit))
        .peer("embassy-time", move || polling(move || embassy::timeout(ready(1), limit)))
}

fn ticks_not_yet(live: usize) -> Scenario {
    let name = format!("time/ticks-pending-{live}");
    let what =
        "the time is that of the last tick: make a timeout around a pending future, poll, drop; others live beside it";
    Scenario::new(name, what).peer("tollgate TimerQueue", move || timer_queue_not_yet(live)).peer(
        "embassy-time",
        move || {
            embassy::crowd(live, FIRST, limit);
            among((), |limit| embassy::timeout(pending::<()>(), limit))
        },
    )
}

/// Makes one, polls it pending, drops it.
fn among<F: Future>(crowd: impl Sized + 'static, make: impl Fn(Duration) -> F) -> impl FnMut(u64) {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    move |iters| {
        let _crowd = &crowd;
        let waker = waker();
        let mut context = Context::from_waker(&waker);
        for _ in 0..iters {
            let future = pin!(std::hint::black_box(&make)(limit(&mut random)));
            assert!(std::hint::black_box(future.poll(&mut context)).is_pending());
        }
    }
}

/// Ends after the first of the crowd, and among the others.
fn limit(random: &mut Random) -> Duration {
    Duration::from_millis(1_000_000 + random.below(1_000_000) as u64)
}

/// So many sleeps, each polled once.
fn crowd<S: Future>(live: usize, sleep: impl Fn(Duration) -> S) -> Slots<S> {
    let waker = waker();
    let mut context = Context::from_waker(&waker);
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    let mut slots = Slots::new(live);
    for slot in 0..live {
        let end = if slot == 0 { FIRST } else { limit(&mut random) };
        slots.at(slot).set(Some(sleep(end)));
        assert!(slots.poll(slot, &mut context).is_pending());
    }
    // The drivers that are threads see to them now, and not while somebody is measured.
    thread::sleep(Duration::from_millis(if live > 1000 { 200 } else { 20 }));
    slots
}

/// One crowd for all rows that use the same driver, made by the first and dropped by the last.
struct Shared<T> {
    there: Rc<RefCell<Weak<T>>>,
    make: Rc<dyn Fn() -> T>,
}

// === impl Shared ===

impl<T> Shared<T> {
    fn new(make: impl Fn() -> T + 'static) -> Self {
        Self { there: Rc::default(), make: Rc::new(make) }
    }

    fn get(&self) -> Rc<T> {
        let there = self.there.borrow().upgrade();
        there.unwrap_or_else(|| {
            let made = Rc::new((self.make)());
            *self.there.borrow_mut() = Rc::downgrade(&made);
            made
        })
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self { there: self.there.clone(), make: self.make.clone() }
    }
}

// === rows that two scenarios have, compiled once ===

fn timer_queue_at_once(limit: Duration) -> impl FnMut(u64) {
    let timers = queue();
    polling(move || ready(1).timeout(timers, limit))
}

fn timer_queue_not_yet(live: usize) -> impl FnMut(u64) {
    let timers = queue();
    let crowd = crowd(live, |limit| timers.sleep(limit));
    among(crowd, move |limit| pending::<()>().timeout(timers, limit))
}

// === drivers ===

/// As firmware has it: ticks of a millisecond, and the time is that of the last tick.
fn queue() -> &'static TimerQueue {
    Box::leak(Box::new(TimerQueue::new()))
}

/// With nothing but its timers, and driven by nobody once the crowd is there.
fn runtime() -> &'static tokio::runtime::Runtime {
    thread_local! {
        static RUNTIME: &'static tokio::runtime::Runtime = Box::leak(Box::new(
            tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime with timers"),
        ));
    }
    RUNTIME.with(|runtime| *runtime)
}

fn in_tokio(mut work: impl FnMut(u64)) -> impl FnMut(u64) {
    move |iters| {
        let _entered = runtime().enter();
        work(iters);
    }
}

/// As async-io's and smol's docs have it.
fn async_io_timeout<F: Future>(inner: F, limit: Duration) -> impl Future<Output = Option<F::Output>> {
    or(async { Some(inner.await) }, async move {
        async_io::Timer::after(limit).await;
        None
    })
}

/// Its extension trait has a `timeout` too.
fn futures_time_timeout<F: Future>(inner: F, limit: Duration) -> impl Future {
    futures_time::future::FutureExt::timeout(inner, futures_time::time::Duration::from(limit))
}
