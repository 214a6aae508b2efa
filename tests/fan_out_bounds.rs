//! What lets an item start beside a free place: its weight, its key, a limit set at run time, a permit.
#![cfg(feature = "std")]
#![allow(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "tests always have std")]

use std::cell::{Cell, RefCell};
use std::future::{Future, pending, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures_core::Stream;
use futures_lite::future::block_on;
use futures_lite::{StreamExt, stream};
use tollgate::fan_out::{Limit, WakeTable};
use tollgate::{FanOutExt, Semaphore};

#[path = "fan_out_suite/tools.rs"]
#[allow(dead_code, reason = "shared with tests that need more of it")]
mod tools;
use tools::*;

/// Polls once, whatever the stream is.
fn peek_pinned<S: Stream>(stream: Pin<&mut S>) -> Poll<Option<S::Item>> {
    stream.poll_next(&mut Context::from_waker(Waker::noop()))
}

fn panics<R>(f: impl FnOnce() -> R) {
    assert!(catch_unwind(AssertUnwindSafe(f)).is_err(), "there should have been a panic");
}

/// Passes the gate of its number, and returns it.
fn through_gate(gates: &[Gate]) -> impl FnMut(usize) -> Pin<Box<dyn Future<Output = usize>>> + use<> {
    let gates = gates.to_vec();
    move |n| {
        let gate = gates[n].clone();
        Box::pin(async move {
            gate.pass().await;
            n
        })
    }
}

fn started(gates: &[Gate]) -> Vec<usize> {
    (0..gates.len()).filter(|&n| gates[n].polls() > 0).collect()
}

// === weights ===

#[test]
fn weights_count_against_the_limit() {
    let gates = gates(5);
    let weights = [3, 3, 5, 4, 1];
    let mut outputs = stream::iter(0..5).fan_out_with(10, through_gate(&gates)).weighted(move |&n| weights[n]);
    assert!(peek(&mut outputs).is_pending());
    assert_eq!(started(&gates), [0, 1], "3 + 3 + 5 is more than 10");
    gates[1].open();
    assert_eq!(peek(&mut outputs), Poll::Ready(Some(1)));
    assert_eq!(started(&gates), [0, 1, 2], "3 + 5, and 4 more do not fit");
    gates[0].open();
    assert_eq!(peek(&mut outputs), Poll::Ready(Some(0)));
    assert_eq!(started(&gates), [0, 1, 2, 3, 4], "5 + 4 + 1");
    gates.iter().for_each(Gate::open);
    let mut out: Vec<_> = block_on(outputs.collect());
    out.sort_unstable();
    assert_eq!(out, [2, 3, 4]);
}

#[test]
fn a_heavy_item_is_not_overtaken_by_light_ones_behind_it() {
    let gates = gates(5);
    let weights = [2, 3, 1, 1, 1];
    let mut outputs = stream::iter(0..5).fan_out_with(4, through_gate(&gates)).weighted(move |&n| weights[n]).window(5);
    for _ in 0..3 {
        assert!(peek(&mut outputs).is_pending());
        assert_eq!(started(&gates), [0], "room for two is kept for the one of three");
    }
    assert_eq!((outputs.in_flight(), outputs.waiting()), (1, 4), "a window was asked for, so it is filled");
    gates[0].open();
    assert_eq!(peek(&mut outputs), Poll::Ready(Some(0)));
    assert_eq!(started(&gates), [0, 1, 2]);
}

#[test]
fn an_item_heavier_than_the_limit_runs_alone() {
    let gates = gates(3);
    let mut outputs = stream::iter(0..3)
        .fan_out_with(4, through_gate(&gates))
        .weighted(|&n| if n == 1 { usize::MAX } else { 1 })
        .ordered();
    assert!(peek(&mut outputs).is_pending());
    assert_eq!(started(&gates), [0]);
    gates[0].open();
    assert_eq!(peek(&mut outputs), Poll::Ready(Some(0)));
    assert!(peek(&mut outputs).is_pending());
    assert_eq!(started(&gates), [0, 1]);
    gates[1].open();
    assert_eq!(peek(&mut outputs), Poll::Ready(Some(1)));
    assert!(peek(&mut outputs).is_pending());
    assert_eq!(started(&gates), [0, 1, 2]);
}

#[test]
fn items_that_weigh_nothing_take_up_a_place_all_the_same() {
    let (source, given) = Source::new(usize::MAX);
    let mut outputs = source.fan_out_with(3, |_| pending::<()>()).weighted(|_| 0);
    assert!(peek(&mut outputs).is_pending());
    assert_eq!((given.get(), outputs.in_flight()), (3, 3));

    let (source, given) = Source::new(usize::MAX);
    let mut outputs = source.fan_out_with(3, |_| pending::<()>()).weighted(|_| 0).window(7);
    assert!(peek(&mut outputs).is_pending());
    assert_eq!((given.get(), outputs.in_flight()), (7, 7));
}

#[test]
fn a_window_may_be_below_a_limit_in_other_units() {
    let mut outputs = stream::iter(0..9).fan_out_with(1_000_000, |_| pending::<()>()).weighted(|_| 1).window(2);
    assert!(peek(&mut outputs).is_pending());
    assert_eq!(outputs.in_flight(), 2);
}

#[test]
fn nothing_is_taken_behind_a_heavy_item_unless_a_window_is_set() {
    let (source, given) = Source::new(10);
    let mut outputs = source.fan_out_with(4, |_| pending::<()>()).weighted(|_| 3);
    assert!(peek(&mut outputs).is_pending());
    assert_eq!((given.get(), outputs.in_flight(), outputs.waiting()), (2, 1, 1));
}

#[test]
fn a_weight_is_asked_for_once_an_item() {
    let asked = Rc::new(RefCell::new(Vec::new()));
    let log = asked.clone();
    let outputs = stream::iter(0..20).fan_out_with(3, |n| Box::pin(yields(n % 3))).weighted(move |&n| {
        log.borrow_mut().push(n);
        n % 4
    });
    assert_eq!(block_on(outputs.count()), 20);
    assert_eq!(*asked.borrow(), (0..20).collect::<Vec<_>>());
}

#[test]
fn a_panicking_weight_takes_its_item_along_and_nothing_else() {
    let mut outputs = stream::iter(0..6)
        .fan_out_with(2, |n| {
            Box::pin(async move {
                yields(1).await;
                n
            })
        })
        .weighted(|&n| if n == 2 { panic!("on purpose") } else { 1 })
        .ordered();
    let mut out = Vec::new();
    let mut panics = 0;
    loop {
        match catch_unwind(AssertUnwindSafe(|| block_on(outputs.next()))) {
            Ok(Some(n)) => out.push(n),
            Ok(None) => break,
            Err(_) => panics += 1,
        }
    }
    assert_eq!((out, panics), (vec![0, 1, 3, 4, 5], 1));
}

#[test]
fn a_panicking_future_gives_its_weight_back() {
    for step in [0, 1] {
        let mut outputs = stream::iter(0..2)
            .fan_out_with(4, move |n| {
                Box::pin(async move {
                    yields(step).await;
                    assert!(n != 0, "on purpose");
                    n
                })
            })
            .weighted(|_| 4);
        panics(|| block_on(outputs.next()));
        assert_eq!(block_on(outputs.next()), Some(1));
        assert_eq!(block_on(outputs.next()), None);
    }
}

#[test]
fn weights_work_inline() {
    let gates = gates(3);
    let mut outputs =
        stream::iter(0..3).fan_out_inline_with::<8, _, _>(through_gate(&gates)).weighted(|&n| n).limit(100);
    assert!(peek(&mut outputs).is_pending());
    assert_eq!(outputs.in_flight(), 3);
}

// === keys ===

#[test]
fn one_runs_at_a_time_for_each_key_and_keys_run_side_by_side() {
    let gates = gates(6);
    let keys = ["a", "a", "b", "a", "b", "c"];
    let mut outputs = stream::iter(0..6).fan_out_with(4, through_gate(&gates)).window(6).keyed(move |&n| keys[n]);
    assert!(peek(&mut outputs).is_pending());
    assert_eq!(started(&gates), [0, 2, 5]);
    assert_eq!((outputs.in_flight(), outputs.waiting()), (3, 3));
    gates[0].open();
    assert_eq!(peek(&mut outputs), Poll::Ready(Some(0)));
    assert_eq!(started(&gates), [0, 1, 2, 5], "the next of that key");
    gates[2].open();
    gates[1].open();
    assert_eq!(peek(&mut outputs), Poll::Ready(Some(1)));
    assert_eq!(peek(&mut outputs), Poll::Ready(Some(2)));
    assert!(peek(&mut outputs).is_pending());
    assert_eq!(started(&gates), [0, 1, 2, 3, 4, 5]);
}

#[test]
fn results_of_a_key_come_in_the_order_of_its_items() {
    let jobs = stream::iter(0..3000usize).fan_out_with(16, |n| {
        Box::pin(async move {
            yields((n * 7919) % 5).await;
            n
        })
    });
    let mut last = [None; 13];
    let mut count = 0;
    for n in block_on(jobs.keyed(|n| n % 13).window(100).collect::<Vec<_>>()) {
        assert!(last[n % 13] < Some(n), "{n} after {:?}", last[n % 13]);
        last[n % 13] = Some(n);
        count += 1;
    }
    assert_eq!(count, 3000);
}

#[test]
fn a_window_full_of_one_key_is_a_window() {
    let gates = gates(10);
    let mut outputs = stream::iter(0..10).fan_out_with(3, through_gate(&gates)).keyed(|_| ());
    for n in 0..10 {
        assert!(peek(&mut outputs).is_pending());
        assert_eq!(started(&gates), (0..=n).collect::<Vec<_>>());
        assert_eq!(outputs.in_flight() + outputs.waiting(), 3.min(10 - n));
        gates[n].open();
        assert_eq!(peek(&mut outputs), Poll::Ready(Some(n)));
    }
    assert_eq!(peek(&mut outputs), Poll::Ready(None));
}

#[test]
fn keys_and_the_limit_hold_together_whatever_finishes_first() {
    // Every set of keys that are busy, many times over, against a list.
    let mut random = Random(7);
    for round in 0..40 {
        let keys = 1 + random.below(9);
        let (limit, count) = (1 + random.below(6), 200);
        let window = limit + random.below(30);
        let gates = gates(count);
        let key_of: Vec<usize> = (0..count).map(|_| random.below(keys)).collect();
        let theirs = key_of.clone();
        let mut outputs =
            stream::iter(0..count).fan_out_with(limit, through_gate(&gates)).window(window).keyed(move |&n| theirs[n]);
        let mut out = Vec::new();
        while out.len() < count {
            match peek(&mut outputs) {
                Poll::Ready(Some(n)) => out.push(n),
                Poll::Ready(None) => panic!("ended early"),
                Poll::Pending => {
                    let running: Vec<_> = started(&gates).into_iter().filter(|&n| !gates[n].is_open()).collect();
                    assert!(running.len() <= limit && !running.is_empty(), "{running:?} of {limit}, round {round}");
                    let mut busy = vec![false; keys];
                    for &n in &running {
                        assert!(!std::mem::replace(&mut busy[key_of[n]], true), "two of a key");
                    }
                    gates[running[random.below(running.len())]].open();
                }
            }
        }
        assert_eq!(peek(&mut outputs), Poll::Ready(None));
        for key in 0..keys {
            assert!(out.iter().filter(|&&n| key_of[n] == key).is_sorted());
        }
        out.sort_unstable();
        assert_eq!(out, (0..count).collect::<Vec<_>>());
    }
}

#[test]
fn keys_may_be_owned_and_need_no_good_hash() {
    #[derive(PartialEq, Eq)]
    struct Same(String);
    impl std::hash::Hash for Same {
        fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
            0.hash(state);
        }
    }
    let gates = gates(5);
    let mut jobs = stream::iter(0..5).fan_out_with(5, through_gate(&gates)).keyed(|n| Same(n.to_string()));
    assert!(peek(&mut jobs).is_pending());
    assert_eq!(jobs.in_flight(), 5, "keys of one hash run side by side all the same");

    let jobs = stream::iter(0..200usize).fan_out_with(50, |n| {
        Box::pin(async move {
            yields(n % 3).await;
            n
        })
    });
    let out: Vec<_> = block_on(jobs.keyed(|n| Same(format!("{}", n % 70))).window(200).collect());
    for key in 0..70 {
        assert!(out.iter().filter(|&&n| n % 70 == key).is_sorted());
    }
    assert_eq!(out.len(), 200);
}

#[test]
fn a_panicking_future_frees_its_key() {
    for step in [0, 1] {
        let mut outputs = stream::iter(0..3)
            .fan_out_with(3, move |n| {
                Box::pin(async move {
                    yields(step).await;
                    assert!(n != 0, "on purpose");
                    n
                })
            })
            .keyed(|_| 1);
        panics(|| block_on(outputs.next()));
        assert_eq!(block_on(outputs.next()), Some(1));
        assert_eq!(block_on(outputs.next()), Some(2));
        assert_eq!(block_on(outputs.next()), None);
    }
}

#[test]
fn a_panicking_key_takes_its_item_along_and_nothing_else() {
    let mut outputs = stream::iter(0..5).fan_out_with(2, ready).keyed(|&n| assert!(n != 2, "on purpose"));
    assert_eq!(block_on(outputs.next()), Some(0));
    assert_eq!(block_on(outputs.next()), Some(1));
    panics(|| block_on(outputs.next()));
    assert_eq!(block_on(outputs.collect::<Vec<_>>()), [3, 4]);
}

#[test]
fn dropping_a_keyed_stream_drops_everything_in_it() {
    let token = Rc::new(());
    let mut outputs = stream::iter(0..20)
        .map(|n| (n, token.clone()))
        .fan_out_with(4, |(_, token)| async move {
            pending::<()>().await;
            drop(token);
        })
        .keyed(|(n, token)| (n % 2, token.clone()))
        .window(9)
        .boxed_local();
    assert!(peek(&mut outputs).is_pending());
    // Nine items, and the keys of the two that have started.
    assert!(Rc::strong_count(&token) > 9);
    drop(outputs);
    assert_eq!(Rc::strong_count(&token), 1);
}

#[test]
fn ten_thousand_keys_take_no_longer_than_their_logarithm() {
    // With a scan of the window for each item this takes minutes.
    let jobs = stream::iter(0..60_000usize).fan_out_with(10_000, |n| {
        Box::pin(async move {
            yields(1).await;
            n
        })
    });
    assert_eq!(block_on(jobs.keyed(|n| n % 10_000).count()), 60_000);
}

#[test]
fn keys_work_inline_with_a_table() {
    static TABLE: WakeTable<1> = WakeTable::new();
    let gates = gates(8);
    let mut outputs =
        stream::iter(0..8).fan_out_inline_with::<8, _, _>(through_gate(&gates)).keyed(|n| n % 2).wake_table(&TABLE);
    assert!(peek(&mut outputs).is_pending());
    assert_eq!(started(&gates), [0, 1]);
    for (n, gate) in gates.iter().enumerate() {
        gate.open();
        assert_eq!(peek(&mut outputs), Poll::Ready(Some(n)));
    }
}

// === limits at run time ===

#[test]
fn raising_a_limit_wakes_and_lowering_it_only_keeps_from_starting() {
    let limit = Limit::new(2);
    let gates = gates(10);
    let mut outputs = stream::iter(0..10).fan_out_with(8, through_gate(&gates)).limit_by(&limit);
    let (wakes, waker) = Wakes::new();
    assert!(poll(&mut outputs, &waker).is_pending());
    assert_eq!((started(&gates).len(), outputs.waiting()), (2, 1), "one item is taken ahead");

    limit.set(4);
    assert_eq!(wakes.take(), 1);
    assert!(poll(&mut outputs, &waker).is_pending());
    assert_eq!(started(&gates).len(), 4);

    limit.set(1);
    assert_eq!(wakes.take(), 0);
    gates[..3].iter().for_each(Gate::open);
    for n in 0..3 {
        assert_eq!(poll(&mut outputs, &waker), Poll::Ready(Some(n)));
        assert_eq!(started(&gates).len(), 4, "three finished, and one is still enough");
    }
    assert!(poll(&mut outputs, &waker).is_pending());
    gates[3].open();
    assert_eq!(poll(&mut outputs, &waker), Poll::Ready(Some(3)));
    assert!(poll(&mut outputs, &waker).is_pending());
    assert_eq!(started(&gates).len(), 5);
    assert_eq!(limit.get(), 1);
}

#[test]
fn a_limit_of_zero_is_a_pause_in_which_nothing_is_taken() {
    let limit = Limit::new(0);
    let (source, given) = Source::new(5);
    let mut outputs = source.fan_out_with(3, ready).limit_by(&limit);
    let (wakes, waker) = Wakes::new();
    assert!(poll(&mut outputs, &waker).is_pending());
    assert_eq!((given.get(), wakes.take()), (0, 0));
    limit.set(1);
    assert_eq!(wakes.take(), 1);
    assert_eq!(poll(&mut outputs, &waker), Poll::Ready(Some(0)));
    limit.set(0);
    assert!(poll(&mut outputs, &waker).is_pending());
    assert_eq!(given.get(), 1);
    limit.set(usize::MAX);
    assert_eq!(wakes.take(), 1);
    assert_eq!(block_on(outputs.collect::<Vec<_>>()), [1, 2, 3, 4]);
    assert_eq!(limit.get(), usize::MAX);
}

#[test]
fn a_stream_that_is_paused_can_be_stopped() {
    let limit = Limit::new(0);
    for order_of_settings in 0..2 {
        let stop = Gate::default();
        let endless = stream::repeat(1).fan_out_with(3, ready);
        let mut outputs: Pin<Box<dyn Stream<Item = usize>>> = match order_of_settings {
            0 => Box::pin(endless.limit_by(&limit).stop_when(stop.clone().pass())),
            _ => Box::pin(endless.stop_when(stop.clone().pass()).limit_by(&limit)),
        };
        let (wakes, waker) = Wakes::new();
        assert!(poll(&mut outputs, &waker).is_pending());
        stop.open();
        assert_eq!(wakes.take(), 1);
        assert_eq!(poll(&mut outputs, &waker), Poll::Ready(None));
    }
}

#[test]
fn the_end_of_a_pause_is_seen_although_a_permit_is_missing_too() {
    let (limit, semaphore) = (Limit::new(0), Semaphore::new(0));
    for order_of_settings in 0..2 {
        limit.set(0);
        let nothing = stream::empty::<usize>().fan_out_with(3, ready);
        let mut outputs: Pin<Box<dyn Stream<Item = usize>>> = match order_of_settings {
            0 => Box::pin(nothing.shared(&semaphore).limit_by(&limit)),
            _ => Box::pin(nothing.limit_by(&limit).shared(&semaphore)),
        };
        let (wakes, waker) = Wakes::new();
        assert!(poll(&mut outputs, &waker).is_pending());
        limit.set(1);
        assert_eq!(wakes.take(), 1);
        assert_eq!(poll(&mut outputs, &waker), Poll::Ready(None));
    }
}

#[test]
fn a_stream_that_is_paused_finishes_what_runs() {
    let limit = Limit::new(2);
    let gates = gates(4);
    let mut outputs = stream::iter(0..4).fan_out_with(4, through_gate(&gates)).limit_by(&limit).ordered();
    assert!(peek(&mut outputs).is_pending());
    limit.set(0);
    gates.iter().for_each(Gate::open);
    assert_eq!(peek(&mut outputs), Poll::Ready(Some(0)));
    assert_eq!(peek(&mut outputs), Poll::Ready(Some(1)));
    assert!(peek(&mut outputs).is_pending());
    limit.set(1);
    assert_eq!(peek(&mut outputs), Poll::Ready(Some(2)));
    assert_eq!(peek(&mut outputs), Poll::Ready(Some(3)));
    assert_eq!(peek(&mut outputs), Poll::Ready(None));
}

#[test]
fn streams_that_share_a_limit_are_bounded_together_and_take_turns() {
    let limit = Arc::new(Limit::new(3));
    let gates = gates(12);
    let mut streams: Vec<_> = (0..3)
        .map(|s| stream::iter((0..4).map(move |n| s * 4 + n)).fan_out_with(4, through_gate(&gates)).limit_by(&limit))
        .collect();
    let (wakes, waker) = Wakes::new();
    for stream in &mut streams {
        assert!(poll(stream, &waker).is_pending());
    }
    assert_eq!(started(&gates), [0, 1, 2], "the first one took it all");
    // Each time one finishes, the one that has waited longest gets the room.
    let mut order = Vec::new();
    for _ in 0..9 {
        let running: Vec<_> = started(&gates).into_iter().filter(|&n| !gates[n].is_open()).collect();
        assert_eq!(running.len(), 3);
        gates[running[0]].open();
        for stream in &mut streams {
            while let Poll::Ready(Some(_)) = poll(stream, &waker) {}
        }
        for stream in &mut streams {
            while let Poll::Ready(Some(_)) = poll(stream, &waker) {}
        }
        assert!(wakes.take() > 0);
        let now = started(&gates);
        order.push(now.into_iter().find(|n| !running.contains(n) && !gates[*n].is_open()).unwrap() / 4);
    }
    assert_eq!(order[..3], [0, 1, 2], "the first one waited, too, and then those that have had nothing yet");
    assert_eq!(started(&gates).len(), 12);
    drop(streams);
    assert_eq!(limit.free(), 3);
}

#[test]
fn raising_a_limit_wakes_every_stream_that_can_start_something() {
    static LIMIT: Limit = Limit::new(0);
    let (one, one_waker) = Wakes::new();
    let (two, two_waker) = Wakes::new();
    let mut first = stream::iter(0..2).fan_out_with(2, |_| pending::<()>()).limit_by(&LIMIT);
    let mut second = stream::iter(0..2).fan_out_with(2, |_| pending::<()>()).limit_by(&LIMIT);
    assert!(poll(&mut first, &one_waker).is_pending());
    assert!(poll(&mut second, &two_waker).is_pending());
    LIMIT.set(4);
    assert_eq!((one.take(), two.take()), (1, 1));
    assert!(poll(&mut first, &one_waker).is_pending());
    assert!(poll(&mut second, &two_waker).is_pending());
    assert_eq!((first.in_flight(), second.in_flight(), LIMIT.free()), (2, 2, 0));
}

#[test]
fn room_that_a_paused_stream_has_no_use_for_goes_to_the_next() {
    let limit = Limit::new(0);
    // The first one's source has nothing when the room comes.
    let gate = Gate::default();
    let source = Box::pin(stream::once_future(gate.clone().pass()));
    let mut idle = source.fan_out_with(2, |()| pending::<()>()).limit_by(&limit);
    let mut busy = stream::iter(0..1).fan_out_with(2, |_| pending::<()>()).limit_by(&limit);
    assert!(peek(&mut idle).is_pending());
    assert!(peek(&mut busy).is_pending());
    limit.set(1);
    assert!(peek(&mut idle).is_pending());
    let (wakes, waker) = Wakes::new();
    assert!(poll(&mut busy, &waker).is_pending());
    assert_eq!((busy.in_flight(), wakes.take()), (1, 0));
}

#[test]
fn a_limit_kept_by_an_arc_needs_no_lifetime() {
    fn spawnable<S: Stream + Send + 'static>(stream: S) -> S {
        stream
    }
    let limit = Arc::new(Limit::new(1));
    let outputs = spawnable(stream::iter(0..4).fan_out_with(4, ready).limit_by(limit.clone()));
    assert_eq!(block_on(outputs.count()), 4);
    assert_eq!((limit.free(), Arc::strong_count(&limit)), (1, 1));
}

// === permits ===

#[test]
fn an_item_holds_a_permit_while_it_runs() {
    let semaphore = Semaphore::new(3);
    let gates = gates(6);
    let mut outputs = stream::iter(0..6).fan_out_with(6, through_gate(&gates)).shared(&semaphore).ordered();
    assert!(peek(&mut outputs).is_pending());
    assert_eq!((started(&gates).len(), semaphore.available_permits(), semaphore.waiters()), (3, 0, 1));
    gates[1].open();
    assert!(peek(&mut outputs).is_pending());
    assert_eq!((outputs.finished(), started(&gates).len()), (1, 4), "an output that waits holds no permit");
    drop(outputs);
    assert_eq!((semaphore.available_permits(), semaphore.waiters()), (3, 0));
}

#[test]
fn a_permit_that_is_given_back_elsewhere_wakes_the_stream() {
    let semaphore = Arc::new(Semaphore::new(1));
    let permit = semaphore.clone().try_acquire_owned().unwrap();
    let mut outputs = stream::iter(0..3).fan_out_with(2, ready).shared(semaphore.clone());
    let (wakes, waker) = Wakes::new();
    assert!(poll(&mut outputs, &waker).is_pending());
    assert_eq!((outputs.waiting(), semaphore.waiters(), wakes.take()), (1, 1, 0));
    drop(permit);
    assert_eq!(wakes.take(), 1);
    assert_eq!(poll(&mut outputs, &waker), Poll::Ready(Some(0)));
    assert_eq!(block_on(outputs.count()), 2);
    assert_eq!(semaphore.available_permits(), 1);
}

#[test]
fn no_place_in_the_queue_is_kept_while_the_consumer_is_away() {
    let semaphore = Semaphore::new(1);
    let gates = gates(4);
    let mut outputs = stream::iter(0..4).fan_out_with(4, through_gate(&gates)).shared(&semaphore);
    assert!(peek(&mut outputs).is_pending());
    assert_eq!((started(&gates), semaphore.waiters()), (vec![0], 1));
    gates[0].open();
    // The permit of the first goes to the second, which waited in line, and that is running. The third is in line no more.
    assert_eq!(peek(&mut outputs), Poll::Ready(Some(0)));
    assert_eq!((started(&gates), semaphore.waiters()), (vec![0, 1], 0));
    // So somebody else is next.
    let mut other = pin!(semaphore.acquire());
    let (wakes, waker) = Wakes::new();
    assert!(other.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    gates[1].open();
    assert_eq!(peek(&mut outputs), Poll::Ready(Some(1)));
    assert_eq!(wakes.take(), 1);
    assert!(other.poll(&mut Context::from_waker(&waker)).is_ready());
}

#[test]
fn a_stream_that_has_reached_its_own_limit_is_not_in_the_queue() {
    let semaphore = Semaphore::new(2);
    let outside = semaphore.try_acquire().unwrap();
    let gates = gates(4);
    let mut outputs = stream::iter(0..4).fan_out_with(1, through_gate(&gates)).window(3).shared(&semaphore);
    assert!(peek(&mut outputs).is_pending());
    assert_eq!((started(&gates), semaphore.waiters()), (vec![0], 0));
    drop(outside);
    assert_eq!(semaphore.available_permits(), 1);
}

#[test]
fn a_permit_is_given_back_before_the_stream_waits_for_its_source() {
    let limit = Limit::new(0);
    let mut outputs = stream::pending::<()>().fan_out_with(2, ready).limit_by(&limit);
    assert!(peek(&mut outputs).is_pending());
    limit.set(3);
    assert_eq!(limit.free(), 2, "one is granted, and not fetched yet");
    assert!(peek(&mut outputs).is_pending());
    assert_eq!(limit.free(), 3);
}

#[test]
fn a_consumer_that_needs_a_permit_itself_gets_it() {
    // One permit. The loop's body needs it, and so does each item. The stream must not sit on it while the body waits.
    let semaphore = Semaphore::new(1);
    let consumed = block_on(async {
        let mut outputs = stream::iter(0..20).fan_out_with(4, ready).shared(&semaphore);
        let mut consumed = 0;
        while let Some(n) = outputs.next().await {
            let _permit = semaphore.acquire().await.unwrap();
            assert_eq!(n, consumed);
            consumed += 1;
        }
        consumed
    });
    assert_eq!(consumed, 20);
}

#[test]
fn nothing_is_kept_of_a_semaphore_after_a_panic() {
    let semaphore = Semaphore::new(1);
    let gates = gates(2);
    let list = gates.clone();
    let mut outputs = stream::iter(0..3)
        .fan_out_with(3, move |n: usize| {
            let gate = list[n].clone();
            Box::pin(async move {
                gate.pass().await;
                panic!("on purpose");
            })
        })
        .shared(&semaphore);
    assert!(peek(&mut outputs).map(|_: Option<()>| ()).is_pending());
    assert_eq!(semaphore.waiters(), 1);
    gates[0].open();
    panics(|| peek(&mut outputs));
    assert_eq!((semaphore.waiters(), semaphore.available_permits()), (0, 1));
    // The closure panics for the third.
    gates[1].open();
    panics(|| peek(&mut outputs));
    panics(|| peek(&mut outputs));
    assert_eq!((semaphore.waiters(), semaphore.available_permits()), (0, 1));
    assert_eq!(peek(&mut outputs), Poll::Ready(None));
}

#[test]
fn driving_keeps_the_place_while_the_body_runs_and_not_after_it() {
    let semaphore = Semaphore::new(1);
    let permit = semaphore.try_acquire().unwrap();
    let mut outputs = stream::iter(0..3).fan_out_with(2, ready).shared(&semaphore);
    let body = Gate::default();
    {
        let mut driven = pin!(Pin::new(&mut outputs).drive_while(body.clone().pass()));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(driven.as_mut().poll(&mut cx).is_pending());
        assert_eq!(semaphore.waiters(), 1);
        body.open();
        assert!(driven.as_mut().poll(&mut cx).is_ready());
        assert_eq!(semaphore.waiters(), 0);
    }
    {
        let mut driven = pin!(Pin::new(&mut outputs).drive_while(pending::<()>()));
        assert!(driven.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        assert_eq!(semaphore.waiters(), 1);
    }
    assert_eq!(semaphore.waiters(), 0, "dropped, so nobody polls the stream");
    drop(permit);
    assert_eq!(block_on(outputs.count()), 3);
}

#[test]
fn a_closed_semaphore_stops_the_stream_and_drops_what_waits() {
    let semaphore = Semaphore::new(1);
    let gates = gates(6);
    let token = Rc::new(());
    let theirs = token.clone();
    let mut job = through_gate(&gates);
    let mut outputs = stream::iter(0..6)
        .map(move |n| (n, theirs.clone()))
        .fan_out_with(2, move |(n, _)| job(n))
        .window(4)
        .shared(&semaphore);
    let (wakes, waker) = Wakes::new();
    assert!(poll(&mut outputs, &waker).is_pending());
    assert_eq!((outputs.in_flight(), outputs.waiting()), (1, 3));
    semaphore.close();
    assert_eq!(wakes.take(), 1);
    assert!(poll(&mut outputs, &waker).is_pending());
    assert_eq!((outputs.in_flight(), outputs.waiting()), (1, 0));
    gates[0].open();
    assert_eq!(poll(&mut outputs, &waker), Poll::Ready(Some(0)));
    assert_eq!(poll(&mut outputs, &waker), Poll::Ready(None));

    let mut late = stream::iter(0..6).fan_out_with(2, ready).shared(&semaphore);
    assert_eq!(peek(&mut late), Poll::Ready(None));
    assert_eq!(late.size_hint(), (0, Some(0)));
}

#[test]
fn behind_a_closed_semaphore_nothing_is_taken_only_to_be_dropped() {
    let semaphore = Arc::new(Semaphore::new(1));
    let late = stream::iter(0..6).fan_out_with(2, ready).window(4);
    let mut late = late.shared(&semaphore);
    assert_eq!(peek(&mut late), Poll::Ready(Some(0)));
    let rest = late.get_ref().size_hint();
    semaphore.close();
    assert_eq!(peek(&mut late), Poll::Ready(None));
    assert_eq!(late.into_inner().size_hint(), rest);

    let mut waits =
        stream::pending::<usize>().fan_out_with(2, ready).limit_by(Arc::new(Limit::new(1))).shared(semaphore.clone());
    assert_eq!(peek(&mut waits), Poll::Ready(None), "whether its source has something or not");
}

#[test]
fn a_limit_and_a_semaphore_hold_together_and_nothing_is_held_while_waiting_for_the_other() {
    let limit = Limit::new(1);
    let semaphore = Semaphore::new(1);
    let permit = semaphore.try_acquire().unwrap();
    let mut outputs = stream::iter(0..2).fan_out_with(2, ready).limit_by(&limit).shared(&semaphore);
    assert!(peek(&mut outputs).is_pending());
    assert_eq!((limit.free(), semaphore.waiters()), (1, 1));
    drop(permit);
    limit.set(0);
    assert!(peek(&mut outputs).is_pending());
    assert_eq!(semaphore.available_permits(), 1);
    limit.set(1);
    assert_eq!(block_on(outputs.collect::<Vec<_>>()), [0, 1]);
}

#[test]
fn no_room_under_a_limit_is_kept_for_items_that_a_closed_semaphore_keeps_out() {
    let limit = Limit::new(2);
    let semaphore = Semaphore::new(1);
    let gates = gates(2);
    let mut outputs = stream::iter(0..2).fan_out_with(2, through_gate(&gates)).limit_by(&limit).shared(&semaphore);
    assert!(peek(&mut outputs).is_pending());
    semaphore.close();
    assert!(peek(&mut outputs).is_pending());
    assert_eq!((outputs.in_flight(), outputs.waiting(), limit.free()), (1, 0, 1));
}

#[test]
fn permits_work_inline_without_an_allocation() {
    let semaphore = Semaphore::new(1);
    let gates = gates(3);
    let mut outputs =
        pin!(stream::iter(0..3).fan_out_inline_with::<4, _, _>(through_gate(&gates)).shared(&semaphore).ordered());
    assert!(peek_pinned(outputs.as_mut()).is_pending());
    assert_eq!((started(&gates).len(), semaphore.waiters()), (1, 1));
    for (n, gate) in gates.iter().enumerate() {
        gate.open();
        assert_eq!(peek_pinned(outputs.as_mut()), Poll::Ready(Some(n)));
    }
    assert_eq!(peek_pinned(outputs.as_mut()), Poll::Ready(None));
}

#[test]
fn everything_at_once() {
    let limit = Limit::new(5);
    let semaphore = Semaphore::new(4);
    let running = Rc::new(Cell::new(0));
    let count = running.clone();
    let outputs = stream::iter(0..500usize)
        .fan_out_with(12, move |n| {
            let running = count.clone();
            Box::pin(async move {
                running.set(running.get() + 1);
                assert!(running.get() <= 4);
                yields(n % 4).await;
                running.set(running.get() - 1);
                n
            })
        })
        .weighted(|n| n % 5)
        .keyed(|n| n % 7)
        .window(40)
        .limit_by(&limit)
        .shared(&semaphore);
    let mut last = [None; 7];
    for n in block_on(outputs.collect::<Vec<_>>()) {
        assert!(last[n % 7] < Some(n));
        last[n % 7] = Some(n);
    }
    assert_eq!((running.get(), limit.free(), semaphore.available_permits()), (0, 5, 4));
}
