//! The fan-out on the heap, polled by hand.
#![cfg(feature = "alloc")]
#![allow(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "tests always have std")]

use std::cell::Cell;
use std::future::{pending, ready};
use std::marker::PhantomPinned;
use std::rc::Rc;
use std::task::Poll;

use futures_lite::future::block_on;
use futures_lite::{StreamExt, stream};
use tollgate::fan_out::{Direct, Heap as Store, Ordered, Unordered, With};
use tollgate::{FanOut, FanOutExt as Form};

mod fan_out_suite;
#[path = "fan_out_suite/precise.rs"]
mod precise;

use fan_out_suite::tools::*;

#[test]
fn a_thousand_places_are_filled_by_one_poll() {
    let mut outputs = stream::repeat_with(|| Box::pin(pending::<()>())).fan_out(1000);
    assert!(peek(&mut outputs).is_pending());
    assert_eq!(outputs.in_flight(), 1000);
}

#[test]
fn ten_thousand_wakes_at_once_are_all_seen() {
    // More words than there are flags for them, so that one flag stands for several.
    let gates = gates(10_000);
    let mut outputs = through(&gates).fan_out(10_000);
    let (wakes, waker) = Wakes::new();
    while outputs.in_flight() < 10_000 {
        assert!(poll(&mut outputs, &waker).is_pending());
        assert_eq!(wakes.take(), usize::from(outputs.in_flight() < 10_000));
    }
    for step in [3, 2] {
        gates.iter().step_by(step).for_each(Gate::open);
        assert_eq!(wakes.take(), 1);
        let open = gates.iter().filter(|gate| gate.is_open()).count();
        while outputs.in_flight() + open > 10_000 {
            assert!(poll(&mut outputs, &waker).is_ready());
        }
        assert!(poll(&mut outputs, &waker).is_pending());
        assert_eq!(wakes.take(), 0);
    }
    gates.iter().for_each(Gate::open);
    assert_eq!(block_on(outputs.count()), 10_000 / 3);
}

#[test]
fn an_unlimited_fan_out_of_an_endless_source_lets_its_task_go() {
    let (source, given) = Source::new(usize::MAX);
    let mut outputs = source.fan_out_with(usize::MAX, |_| pending::<()>());
    let (wakes, waker) = Wakes::new();
    for polls in 1..=3 {
        assert!(poll(&mut outputs, &waker).is_pending());
        assert_eq!(wakes.take(), 1, "it is not done, and says so");
        assert!(given.get() <= polls * 2048);
    }
    assert_eq!(outputs.in_flight(), given.get());
}

#[test]
fn an_endless_source_of_ready_items_does_not_delay_the_first_output() {
    let (source, given) = Source::new(usize::MAX);
    let mut outputs = source.fan_out_with(100_000, ready);
    assert_eq!(peek(&mut outputs), Poll::Ready(Some(0)));
    assert!(given.get() <= 256, "{} were taken before the first was handed out", given.get());
}

#[test]
fn pinned_futures_stay_where_they_are_when_the_stream_grows_or_moves() {
    let jobs = stream::unfold(0, |n: usize| async move { (n < 5000).then_some((n, n + 1)) });
    let mut outputs = Box::pin(jobs).fan_out_with(100_000, |n| async move {
        let here = &raw const n as usize;
        yields(n % 3).await;
        assert_eq!(here, &raw const n as usize);
        n
    });
    let mut first = None;
    while first.is_none() {
        if let Poll::Ready(output) = peek(&mut outputs) {
            first = output;
        }
    }
    let moved = outputs;
    let mut out: Vec<_> = block_on(moved.collect());
    out.extend(first);
    out.sort_unstable();
    assert_eq!(out, (0..5000).collect::<Vec<_>>());
}

#[test]
fn auto_traits_follow_from_the_parts() {
    fn send<T: Send>() {}
    fn sync<T: Sync>() {}
    fn unpin<T: Unpin>() {}
    type Plain = stream::Iter<std::vec::IntoIter<usize>>;
    type Job = fn(usize) -> std::future::Ready<usize>;
    send::<FanOut<Plain, With<Job>>>();
    sync::<FanOut<Plain, With<Job>, Ordered>>();
    unpin::<FanOut<stream::Iter<std::vec::IntoIter<std::future::Pending<PhantomPinned>>>, Direct, Unordered>>();

    /// `true` where `T` is `Send`, by preferring the inherent method.
    struct Probe<T>(std::marker::PhantomData<T>);
    trait Fallback {
        fn is_send(&self) -> bool {
            false
        }
        fn is_sync(&self) -> bool {
            false
        }
    }
    impl<T> Fallback for &Probe<T> {}
    trait IsSend {
        fn is_send(&self) -> bool {
            true
        }
    }
    impl<T: Send> IsSend for Probe<T> {}
    trait IsSync {
        fn is_sync(&self) -> bool {
            true
        }
    }
    impl<T: Sync> IsSync for Probe<T> {}
    macro_rules! probe {
        ($T:ty) => {
            (&Probe::<$T>(std::marker::PhantomData))
        };
    }
    // An output, a future, an item, a closure and a source that may not change threads.
    type RcJob = fn(usize) -> std::future::Ready<Rc<()>>;
    assert!((probe!(FanOut<Plain, With<Job>>)).is_send());
    assert!(!(probe!(FanOut<Plain, With<RcJob>>)).is_send());
    assert!(
        !(probe!(FanOut<stream::Iter<std::vec::IntoIter<Rc<()>>>, With<fn(Rc<()>) -> std::future::Ready<()>>>))
            .is_send()
    );
    assert!(!(probe!(FanOut<stream::Pending<std::future::Ready<Rc<()>>>, Direct>)).is_send());
    assert!(
        !(probe!(FanOut<stream::Iter<std::vec::IntoIter<usize>>, With<fn(usize) -> std::future::Pending<*const ()>>>))
            .is_send()
    );
    // `Cell` may change threads and may not be shared.
    type CellJob = fn(usize) -> std::future::Ready<Cell<usize>>;
    assert!((probe!(FanOut<Plain, With<Job>>)).is_sync());
    assert!((probe!(FanOut<Plain, With<CellJob>>)).is_send());
    assert!(!(probe!(FanOut<Plain, With<CellJob>>)).is_sync());
}

#[test]
fn wakers_may_outlive_a_stream_that_grows() {
    fan_out_suite::wakers_outlive_the_stream(100_000);
}
