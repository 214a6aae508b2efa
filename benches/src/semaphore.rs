//! Semaphores: each scenario does the same calls on each crate's own.

use std::future::Future;
use std::mem::size_of_val;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::Scenario;
use crate::polling::{Random, Slots, block_on, waker, wakes, yield_now};

mod gates;
use gates::*;

pub fn scenarios() -> Vec<Scenario> {
    let mut all = uncontended();
    for width in [1, 16, 100, 1000, 10_000, 100_000] {
        all.push(hand_off(width));
    }
    for width in [16, 1000, 10_000, 100_000] {
        all.push(cancel(width));
    }
    all.extend(weighted());
    all.extend(local());
    all.extend([two_threads(1), two_threads(2), two_threads_holding(1), runtime_tasks(), runtime_tasks_alone()]);
    all
}

// === nobody waits ===

fn uncontended() -> Vec<Scenario> {
    let mut all = Vec::new();
    for permits in [1, 8] {
        let name = format!("semaphore/acquire-{permits}");
        let scenario = Scenario::new(name, "acquire().poll() and drop, permits are free").goal(0.8);
        all.push(add_acquire::<1>(scenario, permits));
        let name = format!("semaphore/try-acquire-{permits}");
        let mut scenario = Scenario::new(name, "try_acquire() and drop, permits are free").goal(0.7);
        macro_rules! add {
            ($($gate:ty),+) => {$(
                scenario = scenario.peer(<$gate>::NAME, move || {
                    let gate = <$gate>::leaked(permits);
                    move |iters| {
                        for _ in 0..iters {
                            let lent = std::hint::black_box(gate).try_lend::<1>().expect("a free permit");
                            gate.give_back::<1>(std::hint::black_box(lent));
                        }
                    }
                });
            )+};
        }
        add!(Tollgate, Tokio, AsyncLock, Asyncband, Intrusive, Maitake, Embassy<1>, EmbassyGreedy, Saa);
        all.push(scenario.peer("floor: swap and add", bare_word));
    }
    all
}

fn add_acquire<const N: usize>(mut scenario: Scenario, permits: usize) -> Scenario {
    macro_rules! add {
        ($($gate:ty),+) => {$(
            if N == 1 || <$gate>::WEIGHTED {
                scenario = scenario.peer(<$gate>::NAME, move || {
                    let gate = <$gate>::leaked(permits);
                    move |iters| {
                        let waker = waker();
                        let mut context = Context::from_waker(&waker);
                        for _ in 0..iters {
                            let acquire = std::pin::pin!(std::hint::black_box(gate).lend::<N>());
                            let Poll::Ready(lent) = acquire.poll(&mut context) else { panic!("a free permit") };
                            gate.give_back::<N>(std::hint::black_box(lent));
                        }
                    }
                });
            }
        )+};
    }
    add!(Tollgate, Tokio, AsyncLock, Asyncband, Intrusive, Maitake, Embassy<1>, EmbassyGreedy, Saa);
    scenario
}

/// A compare-and-swap and an add on one word: what the two atomic operations alone take.
fn bare_word() -> impl FnMut(u64) {
    let word = leak(AtomicUsize::new(1));
    move |iters| {
        for _ in 0..iters {
            let word = std::hint::black_box(word);
            let free = word.load(Ordering::Relaxed);
            assert!(word.compare_exchange_weak(free, free - 1, Ordering::AcqRel, Ordering::Relaxed).is_ok());
            word.fetch_add(1, Ordering::AcqRel);
        }
    }
}

// === many wait ===

/// Steady state with `width` waiters queued for the same number of permits: give back, poll the first, queue a new one at the tail.
fn handing_off<G, F>(gate: G, width: usize, lend: impl Fn(G) -> F, give_back: impl Fn(G, F::Output)) -> impl FnMut(u64)
where
    G: Copy,
    F: Future,
{
    let waker = waker();
    let mut context = Context::from_waker(&waker);
    let Poll::Ready(lent) = std::pin::pin!(lend(gate)).poll(&mut context).map(Some) else { panic!("enough is free") };
    let mut line = Line { slots: Slots::new(width), lent };
    for slot in 0..width {
        line.slots.at(slot).set(Some(lend(gate)));
        assert!(line.slots.poll(slot, &mut context).is_pending());
    }
    let mut first = 0;
    let mut checked = false;
    move |iters| {
        // As a whole, or the closure would have its fields one by one.
        let Line { slots, lent } = &mut line;
        let mut context = Context::from_waker(&waker);
        let before = wakes();
        for _ in 0..iters {
            give_back(gate, lent.take().expect("lent all the time"));
            let Poll::Ready(next) = slots.poll(first, &mut context) else { panic!("the first waiter is served") };
            *lent = Some(next);
            slots.at(first).set(Some(lend(gate)));
            assert!(slots.poll(first, &mut context).is_pending());
            first = if first + 1 == slots.len() { 0 } else { first + 1 };
        }
        if !std::mem::replace(&mut checked, true) {
            assert!(wakes() - before >= iters, "each hand-off is a wake, or the waiter would sleep on");
        }
    }
}

/// Who waits goes before what is lent: to drop one that has just been served makes local-sync panic.
struct Line<F: Future> {
    slots: Slots<F>,
    lent: Option<F::Output>,
}

fn hand_off(width: usize) -> Scenario {
    let name = format!("semaphore/hand-off-{width}");
    let mut scenario =
        Scenario::new(name, "one permit: give back, the first waiter is polled ready, a new one queues").goal(0.8);
    macro_rules! add {
        ($($gate:ty),+) => {$(
            scenario = scenario.peer(<$gate>::NAME, move || {
                handing_off(<$gate>::leaked(1), width, |gate| gate.lend::<1>(), |gate, lent| gate.give_back::<1>(lent))
            });
        )+};
    }
    add!(Tollgate, Tokio, AsyncLock, Asyncband, Intrusive, Maitake);
    if width <= 1000 {
        // It spins in each poll that has to wait, and walks the queue.
        add!(Saa);
    }
    // Its queue has a fixed room, and that is part of the type.
    match width {
        1 => {
            add!(Embassy<1>, EmbassyGreedy);
        }
        16 => {
            add!(Embassy<16>);
        }
        100 => {
            add!(Embassy<100>);
        }
        1000 => {
            add!(Embassy<1000>);
        }
        _ => {}
    }
    scenario
}

/// `width` waiters queued: drop one somewhere among them, queue a new one at the tail.
fn cancelling<G, F>(gate: G, width: usize, lend: impl Fn(G) -> F) -> impl FnMut(u64)
where
    G: Copy,
    F: Future,
{
    let waker = waker();
    let mut context = Context::from_waker(&waker);
    let mut slots = Slots::new(width);
    // Held for good.
    let lent = std::pin::pin!(lend(gate)).poll(&mut context);
    assert!(lent.is_ready(), "one free");
    std::mem::forget(lent);
    for slot in 0..width {
        slots.at(slot).set(Some(lend(gate)));
        assert!(slots.poll(slot, &mut context).is_pending());
    }
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    move |iters| {
        let mut context = Context::from_waker(&waker);
        for _ in 0..iters {
            let slot = random.below(width);
            slots.at(slot).set(None);
            slots.at(slot).set(Some(lend(gate)));
            assert!(slots.poll(slot, &mut context).is_pending());
        }
    }
}

fn cancel(width: usize) -> Scenario {
    let name = format!("semaphore/cancel-{width}");
    let mut scenario = Scenario::new(name, "drop a random one of the waiters, a new one queues").goal(0.9);
    macro_rules! add {
        ($($gate:ty),+) => {$(
            scenario = scenario.peer(<$gate>::NAME, move || cancelling(<$gate>::leaked(1), width, |gate| gate.lend::<1>()));
        )+};
    }
    // Without embassy-sync: its queue keeps the places of those that left.
    add!(Tollgate, Tokio, AsyncLock, Asyncband, Intrusive, Maitake);
    if width <= 1000 {
        add!(Saa);
    }
    scenario
}

// === several permits at once ===

fn weighted() -> [Scenario; 2] {
    let free = Scenario::new("semaphore/acquire-many-3", "acquire_many(3) of 8, permits are free").goal(0.8);
    let mut queued =
        Scenario::new("semaphore/hand-off-many-3", "16 waiters that want 3 of 3: give back, poll, queue").goal(0.8);
    macro_rules! add {
        ($($gate:ty),+) => {$(
            queued = queued.peer(<$gate>::NAME, || {
                handing_off(<$gate>::leaked(3), 16, |gate| gate.lend::<3>(), |gate, lent| gate.give_back::<3>(lent))
            });
        )+};
    }
    add!(Tollgate, Tokio, Asyncband, Intrusive, Maitake, Embassy<16>, Saa);
    [add_acquire::<3>(free, 8), queued]
}

// === one thread ===

fn local() -> [Scenario; 3] {
    use futures_intrusive::sync::LocalSemaphore;
    use tollgate::{LocalLock, Semaphore};

    const OURS: &str = "tollgate LocalLock";
    const INTRUSIVE: &str = "futures-intrusive Local";
    const EMBASSY: &str = "embassy-sync Noop";
    const UNSYNC: &str = "unsync";
    const LOCAL_SYNC: &str = "local-sync";

    let ours = || leak(Semaphore::<LocalLock>::with_lock(1));
    let intrusive = || leak(LocalSemaphore::new(true, 1));
    let unsync = || leak(unsync::semaphore::Semaphore::new(1));
    let local_sync = || leak(local_sync::semaphore::Semaphore::new(1));

    let acquire = Scenario::new("semaphore/local-acquire", "no Sync: acquire().poll() and drop")
        .goal(0.8)
        .peer(OURS, move || local_acquire(ours(), |gate| gate.acquire()))
        .peer(INTRUSIVE, move || local_acquire(intrusive(), |gate| gate.acquire(1)))
        .peer(EMBASSY, || {
            local_acquire(noop_embassy::<1>(), |gate| embassy_sync::semaphore::Semaphore::acquire(gate, 1))
        })
        .peer(UNSYNC, move || local_acquire(unsync(), |gate| gate.acquire(1)))
        .peer(LOCAL_SYNC, move || local_acquire(local_sync(), |gate| gate.acquire()));
    let hand_off = Scenario::new("semaphore/local-hand-off-16", "no Sync: hand-off with 16 waiters")
        .goal(0.8)
        .peer(OURS, move || handing_off(ours(), 16, |gate| gate.acquire(), |_, lent| drop(lent)))
        .peer(INTRUSIVE, move || handing_off(intrusive(), 16, |gate| gate.acquire(1), |_, lent| drop(lent)))
        .peer(EMBASSY, || {
            let lend = |gate| embassy_sync::semaphore::Semaphore::acquire(gate, 1);
            handing_off(noop_embassy::<16>(), 16, lend, |_, lent| drop(lent))
        })
        .peer(UNSYNC, move || handing_off(unsync(), 16, |gate| gate.acquire(1), |_, lent| drop(lent)))
        .peer(LOCAL_SYNC, move || handing_off(local_sync(), 16, |gate| gate.acquire(), |_, lent| drop(lent)));
    // Without the last two: they are wrong where one that waits is dropped.
    let cancel = Scenario::new("semaphore/local-cancel-16", "no Sync: cancel one of 16")
        .goal(0.9)
        .peer(OURS, move || cancelling(ours(), 16, |gate| gate.acquire()))
        .peer(INTRUSIVE, move || cancelling(intrusive(), 16, |gate| gate.acquire(1)));
    [acquire, hand_off, cancel]
}

fn local_acquire<G: Copy, F: Future>(gate: G, lend: impl Fn(G) -> F) -> impl FnMut(u64) {
    move |iters| {
        let waker = waker();
        let mut context = Context::from_waker(&waker);
        for _ in 0..iters {
            let acquire = std::pin::pin!(lend(std::hint::black_box(gate)));
            let Poll::Ready(lent) = acquire.poll(&mut context) else { panic!("a free permit") };
            drop(std::hint::black_box(lent));
        }
    }
}

// === threads ===

/// Two threads do `turn` until one of them has done its half; the time of `iters` turns at that rate.
///
/// The slower one is not waited for, so that both run all the time that is measured.
fn on_two_threads(iters: u64, turn: impl Fn() + Sync) -> Duration {
    let ready = AtomicUsize::new(0);
    let stop = AtomicBool::new(false);
    let half = iters.div_ceil(2);
    let work = || {
        ready.fetch_add(1, Ordering::SeqCst);
        while ready.load(Ordering::SeqCst) < 2 {
            // Not a barrier that sleeps: the second one to arrive would be half done before the first is awake.
            std::hint::spin_loop();
        }
        let start = Instant::now();
        let mut done = 0;
        while done < half && !stop.load(Ordering::Relaxed) {
            turn();
            done += 1;
        }
        stop.store(true, Ordering::Relaxed);
        (start, Instant::now(), done)
    };
    let [one, other] = thread::scope(|scope| {
        let threads = [scope.spawn(work), scope.spawn(work)];
        threads.map(|thread| thread.join().expect("a thread that ends"))
    });
    let elapsed = one.1.max(other.1) - one.0.min(other.0);
    elapsed.mul_f64(iters as f64 / (one.2 + other.2) as f64)
}

fn two_threads(permits: usize) -> Scenario {
    let name = format!("semaphore/two-threads-{permits}");
    let mut scenario =
        Scenario::new(name, "two threads acquire and give back without a pause; who waits parks").goal(1.0).threaded();
    macro_rules! add {
        ($($gate:ty),+) => {$(
            scenario = scenario.clocked(<$gate>::NAME, move || {
                let gate = <$gate>::leaked(permits);
                move |iters| on_two_threads(iters, || gate.give_back::<1>(block_on(gate.lend::<1>())))
            });
        )+};
    }
    add!(Tollgate, TollgateBarging, Tokio, AsyncLock, Asyncband, Intrusive, Maitake, Saa);
    scenario
}

fn two_threads_holding(permits: usize) -> Scenario {
    let name = format!("semaphore/two-threads-holding-{permits}");
    let mut scenario = Scenario::new(name, "two threads hold a permit for 20 spins and pause for 60; who waits parks")
        .goal(1.0)
        .threaded();
    let spin = |turns: u32| (0..turns).for_each(|_| std::hint::spin_loop());
    macro_rules! add {
        ($($gate:ty),+) => {$(
            scenario = scenario.clocked(<$gate>::NAME, move || {
                let gate = <$gate>::leaked(permits);
                move |iters| on_two_threads(iters, || {
                    let lent = block_on(gate.lend::<1>());
                    spin(20);
                    gate.give_back::<1>(lent);
                    spin(60);
                })
            });
        )+};
    }
    add!(Tollgate, TollgateBarging, Tokio, AsyncLock, Asyncband, Intrusive, Maitake, Saa);
    scenario
}

// === tasks of a runtime ===

fn runtime() -> &'static tokio::runtime::Runtime {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("a runtime of two threads")
    })
}

const TASKS: u64 = 64;

/// One turn is one acquire in each task.
fn in_tasks<G: Gate>(gate: &'static G, runtime: &tokio::runtime::Runtime, turns: u64) {
    runtime.block_on(async {
        let task = || async move {
            for _ in 0..turns {
                let lent = gate.lend::<1>().await;
                yield_now().await;
                gate.give_back::<1>(lent);
            }
        };
        let tasks: Vec<_> = (0..TASKS).map(|_| tokio::spawn(task())).collect();
        for task in tasks {
            task.await.expect("a task that ends");
        }
    });
}

fn runtime_tasks() -> Scenario {
    let what = "64 tasks on tokio's two workers, 4 permits: acquire, yield while holding, give back";
    let mut scenario = Scenario::new("semaphore/runtime-tasks", what).goal(1.0).operations(TASKS).threaded();
    macro_rules! add {
        ($($gate:ty),+) => {$(
            scenario = scenario.peer(<$gate>::NAME, || {
                let gate = <$gate>::leaked(4);
                move |turns| in_tasks(gate, runtime(), turns)
            });
        )+};
    }
    // Without saa: its futures spin in each poll, for milliseconds a turn here.
    add!(Tollgate, TollgateBarging, Tokio, AsyncLock, Asyncband, Intrusive, Maitake, Embassy<64>);
    scenario
}

fn runtime_tasks_alone() -> Scenario {
    let what = "64 tasks on tokio's one-thread runtime, 4 permits: acquire, yield while holding, give back";
    let mut scenario = Scenario::new("semaphore/runtime-one-thread", what).goal(1.0).operations(TASKS);
    macro_rules! add {
        ($($gate:ty),+) => {$(
            scenario = scenario.peer(<$gate>::NAME, || {
                let gate = <$gate>::leaked(4);
                let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime of one thread");
                move |turns| in_tasks(gate, &runtime, turns)
            });
        )+};
    }
    add!(Tollgate, TollgateBarging, Tokio, AsyncLock, Asyncband, Intrusive, Maitake, Embassy<64>);
    scenario
}

// === sizes ===

/// Prints how many bytes a semaphore, its acquire future and its permit take.
pub fn print_sizes() {
    println!("\nsemaphore/sizes: bytes on this machine; what they keep on the heap comes on top");
    println!("  {:24}  {:>9}  {:>7}  {:>7}", "", "semaphore", "acquire", "permit");
    macro_rules! print {
        ($($gate:ty),+) => {$({
            let gate = <$gate>::leaked(1);
            let future = size_of_val(&gate.lend::<1>());
            let lent = gate.try_lend::<1>().expect("a free permit");
            println!("  {:24}  {:>9}  {future:>7}  {:>7}", <$gate>::NAME, size_of_val(gate), size_of_val(&lent));
            gate.give_back::<1>(lent);
        })+};
    }
    print!(Tollgate, Tokio, AsyncLock, Asyncband, Intrusive, Maitake, Embassy<16>, EmbassyGreedy, Saa);
}
