//! The fan-out inline with a wake table, polled by hand: what every fan-out does, and what is special about the table.
#![allow(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "tests always have std")]

use std::cell::Cell;
use std::future::{Future, pending, poll_fn, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use futures_core::Stream;
use futures_lite::future::block_on;
use futures_lite::{StreamExt, stream};
use tollgate::fan_out::{Direct, Inline, Launch, Tabled, Unordered, WakeTable, With};
use tollgate::{FanOut, FanOutExt};

mod fan_out_suite;
#[path = "fan_out_suite/precise.rs"]
mod precise;

use fan_out_suite::tools::*;

const SLOTS: usize = 256;
type Store = Inline<SLOTS, Tabled<8>>;

/// A table of its own for each stream, so that no test sees the stale wakers of another. They are all kept, as statics are.
fn with_table<St, M>(outputs: FanOut<St, M, Unordered, Inline<SLOTS>>) -> FanOut<St, M, Unordered, Store>
where
    St: Stream,
    M: Launch<St::Item>,
{
    static TABLES: Mutex<Vec<&'static WakeTable<8>>> = Mutex::new(Vec::new());
    let table = &*Box::leak(Box::new(WakeTable::new()));
    TABLES.lock().unwrap().push(table);
    outputs.wake_table(table)
}

/// The methods that the suite wants, which sets limits and windows at run time.
trait Form: Stream + Sized {
    #[track_caller]
    fn fan_out(self, limit: usize) -> FanOut<Self, Direct, Unordered, Store>
    where
        Self::Item: Future,
    {
        with_table(self.fan_out_inline().limit(limit).window(limit))
    }

    #[track_caller]
    fn fan_out_with<F, Fut>(self, limit: usize, f: F) -> FanOut<Self, With<F>, Unordered, Store>
    where
        F: FnMut(Self::Item) -> Fut,
        Fut: Future,
    {
        with_table(self.fan_out_inline_with(f).limit(limit).window(limit))
    }
}

impl<St: Stream> Form for St {}

const BITS: usize = usize::BITS as usize;

// === claims ===

#[test]
fn a_table_serves_one_stream_at_a_time() {
    static TABLE: WakeTable<1> = WakeTable::new();
    let outputs = || stream::iter(0..3).map(ready).fan_out_inline::<2>();
    assert!(!TABLE.is_claimed());
    let first = outputs().wake_table(&TABLE).ordered().window(2).limit(1);
    assert!(TABLE.is_claimed(), "through all settings");
    let Err(second) = outputs().try_wake_table(&TABLE) else { panic!("claimed twice") };
    assert_eq!(block_on(second.count()), 3, "it works all the same");
    assert_eq!(block_on(first.count()), 3);
    assert!(!TABLE.is_claimed());
    assert_eq!(block_on(outputs().wake_table(&TABLE).count()), 3);
    drop(outputs().wake_table(&TABLE).into_inner());
    assert!(!TABLE.is_claimed());
}

#[test]
#[should_panic(expected = "the wake table is in use by another fan-out")]
fn claiming_a_table_that_is_in_use_panics() {
    static TABLE: WakeTable<1> = WakeTable::new();
    let _first = stream::iter([ready(1)]).fan_out_inline::<2>().wake_table(&TABLE);
    let _ = stream::iter([ready(1)]).fan_out_inline::<2>().wake_table(&TABLE);
}

#[test]
#[should_panic(expected = "no more settings once it was polled")]
fn a_table_after_the_first_poll_panics() {
    static TABLE: WakeTable<1> = WakeTable::new();
    let mut outputs = stream::iter([ready(1)]).fan_out_inline::<2>();
    let _ = peek(&mut outputs);
    let _ = outputs.wake_table(&TABLE);
}

#[test]
fn a_setting_that_panics_gives_the_table_back() {
    static TABLE: WakeTable<1> = WakeTable::new();
    let outputs = stream::iter([ready(1)]).fan_out_inline::<2>().wake_table(&TABLE);
    assert!(catch_unwind(AssertUnwindSafe(|| outputs.window(9))).is_err());
    let mut polled = stream::iter([ready(1)]).fan_out_inline::<2>();
    let _ = peek(&mut polled);
    assert!(catch_unwind(AssertUnwindSafe(|| polled.wake_table(&TABLE))).is_err());
    assert!(!TABLE.is_claimed());
}

#[test]
fn a_future_whose_drop_panics_does_not_keep_the_table() {
    static TABLE: WakeTable<1> = WakeTable::new();
    struct Grenade;
    impl Future for Grenade {
        type Output = ();
        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
            Poll::Pending
        }
    }
    impl Drop for Grenade {
        fn drop(&mut self) {
            assert!(!TABLE.is_claimed() || thread::panicking(), "on purpose, while the table is claimed");
        }
    }
    let mut outputs = stream::repeat_with(|| Grenade).fan_out_inline::<3>().wake_table(&TABLE);
    assert!(peek(&mut outputs).is_pending());
    assert!(catch_unwind(AssertUnwindSafe(|| drop(outputs))).is_err(), "futures go before the table is given back");
    assert!(!TABLE.is_claimed());
}

#[test]
fn the_drop_of_the_tasks_waker_may_claim_the_table() {
    static TABLE: WakeTable<1> = WakeTable::new();
    struct Task(Arc<AtomicBool>);
    impl Wake for Task {
        fn wake(self: Arc<Self>) {}
    }
    impl Drop for Task {
        fn drop(&mut self) {
            drop(stream::iter([ready(())]).fan_out_inline::<1>().wake_table(&TABLE));
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let dropped = Arc::new(AtomicBool::new(false));
    let waker = Waker::from(Arc::new(Task(dropped.clone())));
    let mut outputs = stream::repeat_with(pending::<()>).fan_out_inline::<1>().wake_table(&TABLE);
    assert!(poll(&mut outputs, &waker).is_pending());
    drop(waker);
    assert!(!dropped.load(Ordering::Relaxed));
    drop(outputs);
    assert!(dropped.load(Ordering::Relaxed), "nothing of the task lives on in the table");
    assert!(!TABLE.is_claimed());
}

#[test]
fn a_table_can_be_claimed_from_any_thread() {
    static TABLE: WakeTable<1> = WakeTable::new();
    static INSIDE: AtomicUsize = AtomicUsize::new(0);
    static TURNS: AtomicUsize = AtomicUsize::new(0);
    let threads: Vec<_> = (0..4)
        .map(|_| {
            thread::spawn(|| {
                for _ in 0..2000 {
                    let Ok(outputs) = stream::iter([ready(())]).fan_out_inline::<1>().try_wake_table(&TABLE) else {
                        thread::yield_now();
                        continue;
                    };
                    assert_eq!(INSIDE.fetch_add(1, Ordering::Relaxed), 0);
                    TURNS.fetch_add(1, Ordering::Relaxed);
                    INSIDE.fetch_sub(1, Ordering::Relaxed);
                    drop(outputs);
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert!(TURNS.load(Ordering::Relaxed) > 0);
    assert!(!TABLE.is_claimed());
}

// === room ===

#[test]
fn every_bit_of_every_word_can_be_used() {
    static TABLE: WakeTable<3> = WakeTable::new();
    assert_eq!(WakeTable::<3>::SLOTS, 3 * BITS);
    let gates = gates(WakeTable::<3>::SLOTS);
    let mut outputs = through(&gates).fan_out_inline::<{ WakeTable::<3>::SLOTS }>().wake_table(&TABLE);
    assert!(peek(&mut outputs).is_pending());
    for (n, gate) in gates.iter().enumerate().rev() {
        gate.open();
        assert_eq!(peek(&mut outputs), Poll::Ready(Some(n)));
        assert_eq!(gate.polls(), 2);
    }
    assert_eq!(peek(&mut outputs), Poll::Ready(None));
}

#[test]
fn a_table_is_as_small_as_its_docs_say() {
    let unit = if BITS == 64 { 64 } else { 32 };
    assert_eq!(size_of::<WakeTable<1>>(), 2 * unit);
    assert_eq!(size_of::<WakeTable<5>>(), 6 * unit);
}

#[test]
fn debug_tells_whether_it_is_claimed() {
    static TABLE: WakeTable<1> = WakeTable::new();
    assert!(format!("{TABLE:?}").contains("claimed: false"));
    let _outputs = stream::iter([ready(1)]).fan_out_inline::<2>().wake_table(&TABLE);
    assert!(format!("{TABLE:?}").contains("claimed: true"));
}

// === wakers of the last stream ===

#[test]
fn a_stale_waker_costs_the_next_stream_a_poll_at_most() {
    static TABLE: WakeTable<1> = WakeTable::new();
    let old = gates(3);
    let mut outputs = through(&old).fan_out_inline::<3>().wake_table(&TABLE);
    assert!(peek(&mut outputs).is_pending());
    let stale: Vec<_> = old.iter().map(Gate::waker).collect();
    drop(outputs);
    stale.iter().for_each(Waker::wake_by_ref);

    let new = gates(2);
    let mut outputs = through(&new).fan_out_inline::<3>().wake_table(&TABLE);
    let (wakes, waker) = Wakes::new();
    // Before anything is there, as the first poll, and later.
    stale.iter().for_each(Waker::wake_by_ref);
    assert!(poll(&mut outputs, &waker).is_pending());
    assert_eq!(wakes.take(), 0);
    stale[0].wake_by_ref();
    assert_eq!(wakes.take(), 1);
    stale[2].wake_by_ref();
    assert!(poll(&mut outputs, &waker).is_pending());
    assert!(new[0].polls() <= 3 && new[1].polls() <= 2);
    new[1].open();
    assert_eq!(poll(&mut outputs, &waker), Poll::Ready(Some(1)));
    new[0].open();
    assert_eq!(poll(&mut outputs, &waker), Poll::Ready(Some(0)));
    assert_eq!(poll(&mut outputs, &waker), Poll::Ready(None));
}

#[test]
fn bits_that_the_last_stream_left_do_not_swallow_wakes() {
    static TABLE: WakeTable<2> = WakeTable::new();
    for woken in [vec![0, 1], vec![0, 65], vec![0, 1, 65], vec![65, 66]] {
        // Dropped in the middle of a round: flags are taken, and bits not.
        let old = gates(100);
        let mut outputs = through(&old).fan_out_inline::<100>().wake_table(&TABLE);
        assert!(peek(&mut outputs).is_pending());
        woken.iter().for_each(|&n| old[n].open());
        assert!(peek(&mut outputs).is_ready());
        drop(outputs);

        let new = gates(100);
        let mut outputs = through(&new).fan_out_inline::<100>().wake_table(&TABLE);
        let (wakes, waker) = Wakes::new();
        assert!(poll(&mut outputs, &waker).is_pending());
        for (n, gate) in new.iter().enumerate() {
            gate.open();
            assert_eq!(wakes.take(), 1, "slot {n} after {woken:?}");
            assert_eq!(poll(&mut outputs, &waker), Poll::Ready(Some(n)));
            let _ = poll(&mut outputs, &waker);
        }
    }
}

#[test]
fn stale_wakers_on_other_threads_do_no_harm_to_the_streams_that_come_after() {
    static TABLE: WakeTable<2> = WakeTable::new();
    let stop = Arc::new(AtomicBool::new(false));
    let stale = {
        let old = gates(100);
        let mut outputs = through(&old).fan_out_inline::<100>().wake_table(&TABLE);
        assert!(peek(&mut outputs).is_pending());
        old.iter().map(Gate::waker).collect::<Vec<_>>()
    };
    let noise = {
        let stop = stop.clone();
        thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                for waker in &stale {
                    let clone = waker.clone();
                    clone.wake();
                }
                thread::yield_now();
            }
        })
    };
    for _ in 0..30 {
        let (send, receive) = std::sync::mpsc::channel::<Gate>();
        let opener = thread::spawn(move || receive.iter().for_each(|gate| gate.open()));
        let jobs = stream::iter(0..200).fan_out_inline_with::<100, _, _>(move |n: usize| {
            let gate = Gate::default();
            send.send(gate.clone()).unwrap();
            async move {
                gate.pass().await;
                n
            }
        });
        assert_eq!(block_on(jobs.wake_table(&TABLE).count()), 200);
        opener.join().unwrap();
    }
    stop.store(true, Ordering::Relaxed);
    noise.join().unwrap();
}

#[test]
fn a_waker_can_be_leaked_and_used_for_ever() {
    static TABLE: WakeTable<1> = WakeTable::new();
    static KEPT: std::sync::OnceLock<Waker> = std::sync::OnceLock::new();
    let seen = Cell::new(0);
    {
        let job = poll_fn(|cx| -> Poll<()> {
            seen.set(seen.get() + 1);
            let _ = KEPT.set(cx.waker().clone());
            Poll::Pending
        });
        let mut outputs = pin!(stream::iter([job]).fan_out_inline::<1>().wake_table(&TABLE));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(outputs.as_mut().poll_next(&mut cx).is_pending());
        let waker = KEPT.get().unwrap();
        thread::spawn(|| waker.wake_by_ref()).join().unwrap();
        assert!(outputs.as_mut().poll_next(&mut cx).is_pending());
    }
    assert_eq!(seen.get(), 2);
    let waker = KEPT.get().unwrap();
    thread::spawn(|| waker.wake_by_ref()).join().unwrap();
}
