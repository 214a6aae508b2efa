//! `FutureSet`, polled by hand.
#![cfg(all(feature = "alloc", any(feature = "std", feature = "critical-section")))]
#![allow(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "tests always have std")]

use std::cell::{Cell, RefCell};
use std::future::{Future, pending, poll_fn, ready};
use std::marker::PhantomPinned;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll, Waker};
use std::thread;

use futures_core::stream::FusedStream;
use futures_core::{FusedFuture, Stream};
use futures_lite::StreamExt;
use futures_lite::future::{block_on, zip};
use futures_util::stream::FuturesUnordered;
use tollgate::fan_out::{Next, Push};
use tollgate::{FutureSet, LocalLock};

#[allow(dead_code, reason = "shared with others")]
#[path = "fan_out_suite/tools.rs"]
mod tools;
use tools::{Gate, Wakes, gates, yields};
mod support;
use support::hooked::Hooked;
use support::seeded::Seeded;

type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

fn turn<F: Future + ?Sized>(future: Pin<&mut F>, waker: &Waker) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(waker))
}

fn poll<F: Future>(set: &FutureSet<F>, waker: &Waker) -> Poll<Option<F::Output>> {
    set.poll_next(&mut Context::from_waker(waker))
}

fn peek<F: Future>(set: &FutureSet<F>) -> Poll<Option<F::Output>> {
    poll(set, Waker::noop())
}

fn pass(gate: &Gate, n: usize) -> Boxed<'static, usize> {
    let gate = gate.clone();
    Box::pin(async move {
        gate.pass().await;
        n
    })
}

/// What is left of a future: it counts itself down.
struct Alive(Rc<Cell<usize>>);

impl Alive {
    fn new(count: &Rc<Cell<usize>>) -> Self {
        count.set(count.get() + 1);
        Self(count.clone())
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

// === room ===

#[test]
#[should_panic(expected = "capacity of 0")]
fn a_capacity_of_zero_panics_instead_of_hanging() {
    let _ = FutureSet::<std::future::Ready<()>>::with_capacity(0);
}

#[test]
#[should_panic(expected = "too large")]
fn a_capacity_beyond_all_numbers_panics() {
    let _ = FutureSet::<std::future::Ready<()>>::with_capacity(usize::MAX);
}

#[test]
fn a_full_set_gives_the_future_back() {
    let set = FutureSet::with_capacity(2);
    assert!(set.try_push(Box::new(ready(1))).is_ok());
    assert!(set.try_push(Box::new(ready(2))).is_ok());
    let third = set.try_push(Box::new(ready(3))).unwrap_err();
    assert_eq!((set.len(), set.capacity(), set.is_empty()), (2, 2, false));
    assert!(peek(&set).is_ready());
    assert!(set.try_push(third).is_ok());
    let mut out = [peek(&set), peek(&set)];
    out.sort();
    assert!(out == [Poll::Ready(Some(2)), Poll::Ready(Some(3))] || out == [Poll::Ready(Some(1)), Poll::Ready(Some(3))]);
    assert!(set.is_empty());
}

#[test]
fn a_push_waits_for_room_and_is_woken_when_an_output_is_handed_out() {
    let set = FutureSet::with_capacity(1);
    set.try_push(ready(1)).unwrap();
    let mut push = pin!(set.push(ready(2)));
    let (wakes, waker) = Wakes::new();
    assert!(turn(push.as_mut(), &waker).is_pending());
    assert!(!push.is_terminated());
    assert_eq!(set.len(), 1);
    assert_eq!(peek(&set), Poll::Ready(Some(1)));
    assert_eq!(wakes.take(), 1);
    assert!(turn(push.as_mut(), &waker).is_ready());
    assert!(push.is_terminated());
    assert_eq!(set.len(), 1);
    assert_eq!(peek(&set), Poll::Ready(Some(2)));
    assert_eq!(peek(&set), Poll::Ready(None));
}

#[test]
fn those_who_wait_are_served_in_turn_and_try_push_overtakes_nobody() {
    let set = FutureSet::with_capacity(1);
    set.try_push(ready(0)).unwrap();
    let mut pushes: Vec<_> = (1..4).map(|n| Box::pin(set.push(ready(n)))).collect();
    for push in &mut pushes {
        assert!(turn(push.as_mut(), Waker::noop()).is_pending());
    }
    for n in 0..4 {
        assert_eq!(peek(&set), Poll::Ready(Some(n)));
        if n < 3 {
            assert!(set.try_push(ready(9)).is_err(), "the room belongs to who waits for it");
        }
        for (push, number) in pushes.iter_mut().zip(1..) {
            if number > n {
                assert_eq!(turn(push.as_mut(), Waker::noop()).is_ready(), number == n + 1);
            }
        }
    }
}

#[test]
fn a_push_that_is_dropped_gives_its_turn_on_and_drops_its_future() {
    let alive = Rc::new(Cell::new(0));
    let set = FutureSet::<Boxed<'_, ()>>::with_capacity(1);
    let future = || -> Boxed<'_, ()> {
        let alive = Alive::new(&alive);
        Box::pin(async move { drop(alive) })
    };
    set.try_push(future()).ok().unwrap();
    let mut first = Box::pin(set.push(future()));
    let mut second = Box::pin(set.push(future()));
    let (wakes, waker) = Wakes::new();
    assert!(turn(first.as_mut(), Waker::noop()).is_pending());
    assert!(turn(second.as_mut(), &waker).is_pending());
    assert!(peek(&set).is_ready());
    assert_eq!((alive.get(), wakes.take()), (2, 0));
    drop(first);
    assert_eq!((alive.get(), wakes.take()), (1, 1));
    assert!(turn(second.as_mut(), &waker).is_ready());
    assert!(peek(&set).is_ready());
    assert_eq!(alive.get(), 0);
}

#[test]
fn the_future_of_a_push_can_be_had_back() {
    let set = FutureSet::with_capacity(1);
    set.try_push(ready(1)).unwrap();
    let mut push = pin!(set.push(ready(2)));
    assert!(turn(push.as_mut(), Waker::noop()).is_pending());
    assert_eq!(block_on(push.as_mut().take().unwrap()), 2);
    assert!(push.is_terminated());
    assert!(catch_unwind(AssertUnwindSafe(|| turn(push.as_mut(), Waker::noop()))).is_err());
}

#[test]
fn a_set_is_at_its_end_when_nobody_waits_to_add_to_it() {
    let set = FutureSet::with_capacity(1);
    let (wakes, waker) = Wakes::new();
    let not_polled = set.push(ready(2));
    for take in [false, true] {
        set.try_push(ready(1)).unwrap();
        wakes.take();
        let mut push = Box::pin(set.push(ready(3)));
        assert!(turn(push.as_mut(), Waker::noop()).is_pending());
        assert_eq!(poll(&set, &waker), Poll::Ready(Some(1)));
        assert!(poll(&set, &waker).is_pending());
        assert_eq!(wakes.take(), 0);
        if take {
            assert!(push.as_mut().take().is_some());
        } else {
            drop(push);
        }
        assert_eq!(wakes.take(), 1);
        assert_eq!(poll(&set, &waker), Poll::Ready(None));
    }
    drop(not_polled);
    assert_eq!(wakes.take(), 0);
}

#[test]
fn two_parts_of_one_task_may_add_and_take() {
    let set = FutureSet::with_capacity(3);
    let add = async {
        for n in 0..100 {
            set.push(async move {
                yields(n % 5).await;
                n
            })
            .await;
            assert!(set.len() <= 3);
        }
    };
    let take = async {
        let mut out = Vec::new();
        while let Some(n) = set.next().await {
            out.push(n);
        }
        out
    };
    let ((), mut out) = block_on(zip(add, take));
    out.sort_unstable();
    assert_eq!(out, (0..100).collect::<Vec<_>>());
}

// === wakes ===

#[test]
fn adding_a_future_wakes_the_task_that_waits_and_only_then_is_it_polled() {
    let set = FutureSet::with_capacity(3);
    set.try_push(Box::pin(pending()) as Boxed<'_, usize>).ok().unwrap();
    let (wakes, waker) = Wakes::new();
    assert!(poll(&set, &waker).is_pending());
    assert_eq!(wakes.take(), 0);
    let gate = Gate::default();
    set.try_push(pass(&gate, 1)).ok().unwrap();
    assert_eq!((wakes.take(), gate.polls()), (1, 0));
    set.try_push(Box::pin(pending())).ok().unwrap();
    assert_eq!(wakes.take(), 0, "the task is awake already");
    assert!(poll(&set, &waker).is_pending());
    assert_eq!(gate.polls(), 1);
    gate.open();
    assert_eq!(wakes.take(), 1);
    assert_eq!(poll(&set, &waker), Poll::Ready(Some(1)));
}

#[test]
fn adding_a_future_wakes_the_task_that_found_the_set_empty() {
    let set = FutureSet::with_capacity(1);
    let (wakes, waker) = Wakes::new();
    for _ in 0..2 {
        assert_eq!(poll(&set, &waker), Poll::Ready(None));
        set.try_push(ready(1)).unwrap();
        assert_eq!(wakes.take(), 1);
        assert_eq!(poll(&set, &waker), Poll::Ready(Some(1)));
    }
}

#[test]
fn a_push_that_waited_wakes_the_task_too() {
    let set = FutureSet::with_capacity(1);
    let gate = Gate::default();
    set.try_push(pass(&gate, 1)).ok().unwrap();
    let (wakes, waker) = Wakes::new();
    let mut push = pin!(set.push(Box::pin(ready(2))));
    assert!(turn(push.as_mut(), Waker::noop()).is_pending());
    gate.open();
    assert_eq!(poll(&set, &waker), Poll::Ready(Some(1)));
    assert!(poll(&set, &waker).is_pending(), "somebody is about to add to it");
    assert!(turn(push.as_mut(), Waker::noop()).is_ready());
    assert_eq!(wakes.take(), 1);
    assert_eq!(poll(&set, &waker), Poll::Ready(Some(2)));
}

#[test]
fn only_futures_that_were_woken_are_polled() {
    let set = FutureSet::with_capacity(100);
    let gates = gates(100);
    for (n, gate) in gates.iter().enumerate() {
        set.try_push(pass(gate, n)).ok().unwrap();
    }
    assert!(peek(&set).is_pending());
    for n in [70, 3, 99, 64, 63] {
        gates[n].open();
        assert_eq!(peek(&set), Poll::Ready(Some(n)));
        assert!(peek(&set).is_pending());
    }
    for (n, gate) in gates.iter().enumerate() {
        assert_eq!(gate.polls(), if [70, 3, 99, 64, 63].contains(&n) { 2 } else { 1 });
    }
}

#[test]
fn the_task_that_polled_last_is_woken() {
    let set = FutureSet::with_capacity(1);
    let gate = Gate::default();
    set.try_push(pass(&gate, 1)).ok().unwrap();
    let (first, first_waker) = Wakes::new();
    let (second, second_waker) = Wakes::new();
    assert!(poll(&set, &first_waker).is_pending());
    assert!(poll(&set, &second_waker).is_pending());
    gate.open();
    assert_eq!((first.take(), second.take()), (0, 1));
}

#[test]
fn a_waker_that_outlives_the_set_is_harmless() {
    let gate = Gate::default();
    let set = FutureSet::with_capacity(1);
    set.try_push(pass(&gate, 1)).ok().unwrap();
    let (wakes, waker) = Wakes::new();
    assert!(poll(&set, &waker).is_pending());
    let kept = gate.waker();
    drop(set);
    assert_eq!(Arc::strong_count(&wakes), 2, "the task's waker is not kept");
    thread::spawn(move || kept.wake()).join().unwrap();
    assert_eq!(wakes.take(), 0);
}

#[test]
fn a_waker_of_one_who_is_gone_polls_the_next_one_once_for_nothing() {
    let (old, new) = (Gate::default(), Gate::default());
    let set = FutureSet::with_capacity(1);
    set.try_push(pass(&old, 1)).ok().unwrap();
    assert!(peek(&set).is_pending());
    let stale = old.waker();
    old.open();
    assert_eq!(peek(&set), Poll::Ready(Some(1)));
    stale.wake_by_ref();
    assert_eq!(peek(&set), Poll::Ready(None), "there is nobody to poll");
    set.try_push(pass(&new, 2)).ok().unwrap();
    assert!(peek(&set).is_pending());
    stale.wake_by_ref();
    assert!(peek(&set).is_pending());
    assert_eq!(new.polls(), 2);
    new.open();
    assert_eq!(peek(&set), Poll::Ready(Some(2)));
}

// === fairness ===

#[test]
fn a_future_that_wakes_itself_keeps_neither_its_siblings_nor_the_task_from_their_turn() {
    let polls = Cell::new(0);
    let set = FutureSet::<Boxed<'_, usize>>::with_capacity(3);
    set.try_push(Box::pin(poll_fn(|cx| {
        polls.set(polls.get() + 1);
        cx.waker().wake_by_ref();
        Poll::Pending
    })))
    .ok()
    .unwrap();
    set.try_push(Box::pin(async {
        yields(3).await;
        7
    }))
    .ok()
    .unwrap();
    let (wakes, waker) = Wakes::new();
    let mut out = Poll::Pending;
    for _ in 0..4 {
        out = poll(&set, &waker);
        if out.is_ready() {
            break;
        }
        assert_eq!(wakes.take(), 1, "it is not done, and says so");
    }
    assert_eq!(out, Poll::Ready(Some(7)));
    assert!(polls.get() <= 8, "{} polls", polls.get());
}

#[test]
fn members_that_are_always_ready_get_the_same_share() {
    let set = FutureSet::with_capacity(4);
    (0..4).for_each(|n| set.try_push(ready(n)).unwrap());
    let mut shares = [0; 4];
    for _ in 0..400 {
        let Poll::Ready(Some(n)) = peek(&set) else { panic!("they are always ready") };
        shares[n] += 1;
        set.try_push(ready(n)).unwrap();
    }
    assert_eq!(shares, [100; 4]);
}

// === the end ===

#[test]
fn it_is_terminated_when_futures_unordered_is() {
    let set = FutureSet::with_capacity(4);
    let mut theirs = FuturesUnordered::new();
    let mut random = Seeded::new(3);
    assert!(!FusedStream::is_terminated(&set) && !theirs.is_terminated());
    for _ in 0..1000 {
        if random.once_in(3) && theirs.len() < 4 {
            theirs.push(ready(1));
            set.try_push(ready(1)).unwrap();
        } else {
            let ours = peek(&set);
            assert_eq!(ours, Pin::new(&mut theirs).poll_next(&mut Context::from_waker(Waker::noop())));
        }
        assert_eq!(FusedStream::is_terminated(&set), theirs.is_terminated());
        assert_eq!((set.len(), set.is_empty()), (theirs.len(), theirs.is_empty()));
        assert_eq!(Stream::size_hint(&set), theirs.size_hint());
    }
}

#[test]
fn it_hands_out_what_futures_unordered_does() {
    const MEMBERS: usize = 12;

    /// Polls as long as the task is woken.
    fn take<S: Stream<Item = usize> + Unpin>(mut set: S, wakes: &Wakes, waker: &Waker) -> Vec<usize> {
        let mut out = Vec::new();
        while wakes.take() > 0 {
            while let Poll::Ready(Some(n)) = Pin::new(&mut set).poll_next(&mut Context::from_waker(waker)) {
                out.push(n);
            }
        }
        out
    }

    let mut random = Seeded::new(4);
    for _ in 0..300 {
        let ours = FutureSet::with_capacity(MEMBERS);
        let mut theirs = FuturesUnordered::new();
        let (ours_gates, theirs_gates) = (gates(MEMBERS), gates(MEMBERS));
        let ((ours_wakes, ours_waker), (theirs_wakes, theirs_waker)) = (Wakes::new(), Wakes::new());
        assert_eq!(poll(&ours, &ours_waker), Poll::Ready(None));
        let mut added = 0;
        for _ in 0..4 * MEMBERS {
            if random.once_in(2) && added < MEMBERS {
                ours.try_push(pass(&ours_gates[added], added)).ok().unwrap();
                theirs.push(pass(&theirs_gates[added], added));
                theirs_waker.wake_by_ref(); // which theirs does not do
                added += 1;
            } else if added > 0 {
                let n = random.below(added);
                ours_gates[n].open();
                theirs_gates[n].open();
            }
            let out = take(&ours, &ours_wakes, &ours_waker);
            assert_eq!(out, take(&mut theirs, &theirs_wakes, &theirs_waker));
            assert_eq!(ours.len(), theirs.len());
        }
    }
}

#[test]
fn it_is_a_stream_and_so_is_a_reference_to_it() {
    let mut set = FutureSet::with_capacity(2);
    set.try_push(ready(1)).unwrap();
    assert_eq!(Stream::size_hint(&&set), (1, Some(1)));
    assert_eq!(block_on((&set).collect::<Vec<_>>()), [1]);
    set.try_push(ready(2)).unwrap();
    assert_eq!(block_on(StreamExt::next(&mut set)), Some(2));
    assert_eq!(Pin::new(&mut set).poll_next(&mut Context::from_waker(Waker::noop())), Poll::Ready(None));
    assert!(FusedStream::is_terminated(&&set));
}

#[test]
fn clear_drops_what_is_in_it_and_makes_room() {
    let alive = Rc::new(Cell::new(0));
    let set = FutureSet::<Boxed<'_, usize>>::with_capacity(2);
    let future = || -> Boxed<'_, usize> {
        let alive = Alive::new(&alive);
        Box::pin(async move {
            pending::<()>().await;
            drop(alive);
            0
        })
    };
    set.try_push(future()).ok().unwrap();
    set.try_push(future()).ok().unwrap();
    let (wakes, waker) = Wakes::new();
    {
        let mut push = pin!(set.push(Box::pin(ready(5))));
        assert!(turn(push.as_mut(), &waker).is_pending());
        assert!(peek(&set).is_pending());
        set.clear();
        assert_eq!((alive.get(), set.len(), wakes.take()), (0, 0, 1));
        assert!(turn(push.as_mut(), &waker).is_ready());
    }
    assert_eq!(peek(&set), Poll::Ready(Some(5)));
    assert!(set.try_push(future()).is_ok());
    assert!(set.try_push(future()).is_ok());
    drop(set);
    assert_eq!(alive.get(), 0);
}

// === panics ===

#[test]
fn a_future_that_panics_is_gone_and_makes_room() {
    let set = FutureSet::<Boxed<'_, usize>>::with_capacity(2);
    let gate = Gate::default();
    set.try_push(Box::pin(async { panic!("the future") })).ok().unwrap();
    set.try_push(pass(&gate, 1)).ok().unwrap();
    let (wakes, waker) = Wakes::new();
    let mut push = pin!(set.push(Box::pin(ready(2))));
    assert!(turn(push.as_mut(), &waker).is_pending());
    assert!(catch_unwind(AssertUnwindSafe(|| peek(&set))).is_err());
    assert_eq!((set.len(), wakes.take()), (1, 1));
    assert!(turn(push.as_mut(), &waker).is_ready());
    gate.open();
    let mut out: Vec<_> = [peek(&set), peek(&set)].into_iter().collect();
    out.sort();
    assert_eq!(out, [Poll::Ready(Some(1)), Poll::Ready(Some(2))]);
    assert_eq!(peek(&set), Poll::Ready(None));
}

/// Panics when dropped.
struct Bomb(Rc<Cell<usize>>, bool);

impl Future for Bomb {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if self.1 { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Drop for Bomb {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
        if self.0.get() == 1 {
            panic!("the drop of a future");
        }
    }
}

#[test]
fn a_future_that_panics_when_it_is_dropped_leaves_the_set_as_it_should_be() {
    for ready in [true, false] {
        let dropped = Rc::new(Cell::new(0));
        let set = FutureSet::with_capacity(3);
        for _ in 0..3 {
            assert!(set.try_push(Bomb(dropped.clone(), ready)).is_ok());
        }
        let panic = catch_unwind(AssertUnwindSafe(|| {
            if ready {
                let _ = peek(&set);
            } else {
                set.clear()
            }
        }));
        assert!(panic.is_err());
        if ready {
            assert_eq!((set.len(), dropped.get()), (2, 1));
            assert!(peek(&set).is_ready() && peek(&set).is_ready());
        }
        assert_eq!((set.len(), dropped.get()), (0, 3));
        assert_eq!(peek(&set), Poll::Ready(None));
        for _ in 0..3 {
            assert!(set.try_push(Bomb(dropped.clone(), true)).is_ok());
        }
    }
}

#[test]
fn dropping_the_set_drops_the_rest_when_one_panics() {
    let dropped = Rc::new(Cell::new(0));
    let set = FutureSet::with_capacity(4);
    for _ in 0..3 {
        assert!(set.try_push(Bomb(dropped.clone(), false)).is_ok());
    }
    assert!(catch_unwind(AssertUnwindSafe(|| drop(set))).is_err());
    assert_eq!(dropped.get(), 3);
}

#[test]
fn polling_a_set_from_one_of_its_own_futures_panics_and_changes_nothing() {
    let set = Rc::new(FutureSet::<Boxed<'static, usize>>::with_capacity(2));
    let inside = Rc::downgrade(&set);
    set.try_push(Box::pin(async move {
        let set = inside.upgrade().unwrap();
        assert!(catch_unwind(AssertUnwindSafe(|| peek(&set))).is_err());
        assert!(catch_unwind(AssertUnwindSafe(|| set.clear())).is_err());
        // Adding is another matter.
        set.try_push(Box::pin(ready(2))).ok().unwrap();
        1
    }))
    .ok()
    .unwrap();
    assert_eq!(peek(&set), Poll::Ready(Some(1)));
    assert_eq!(peek(&set), Poll::Ready(Some(2)));
    assert_eq!(peek(&set), Poll::Ready(None));
}

// === wakers that come back ===

#[test]
fn a_waker_may_poll_the_set_that_wakes_it() {
    let set = Rc::new(FutureSet::with_capacity(1));
    let hooked = Hooked::new();
    let waker = hooked.waker();
    assert_eq!(poll(&set, &waker), Poll::Ready(None));
    let seen = Rc::new(RefCell::new(Vec::new()));
    hooked.on_wake({
        let (set, seen) = (set.clone(), seen.clone());
        move || seen.borrow_mut().push(peek(&set))
    });
    set.try_push(ready(1)).unwrap();
    assert_eq!(*seen.borrow(), [Poll::Ready(Some(1))]);
}

#[test]
fn a_waker_of_one_who_waits_for_room_may_poll_the_set_and_add_to_it() {
    // What the hook has is static.
    static SET: LazyLock<FutureSet<std::future::Ready<i32>>> = LazyLock::new(|| FutureSet::with_capacity(1));
    let set = &*SET;
    set.try_push(ready(1)).unwrap();
    let push = Rc::new(RefCell::new(Box::pin(set.push(ready(2)))));
    let hooked = Hooked::new();
    let waker = hooked.waker();
    assert!(turn(push.borrow_mut().as_mut(), &waker).is_pending());
    let seen = Rc::new(RefCell::new(Vec::new()));
    hooked.on_wake({
        let (push, seen) = (push.clone(), seen.clone());
        move || {
            assert!(turn(push.borrow_mut().as_mut(), Waker::noop()).is_ready());
            seen.borrow_mut().push(peek(set));
        }
    });
    assert_eq!(peek(set), Poll::Ready(Some(1)));
    assert_eq!(*seen.borrow(), [Poll::Ready(Some(2))]);
}

// === which futures ===

#[test]
fn futures_need_not_be_movable_nor_static_nor_send() {
    let text = String::from("text");
    let count = Rc::new(Cell::new(0));
    let set = FutureSet::with_capacity(3);
    for n in 1..4 {
        let (text, count) = (&text, &count);
        let future = async move {
            let pinned = (PhantomPinned, n);
            let here = &raw const pinned as usize;
            yields(n).await;
            assert_eq!(here, &raw const pinned as usize);
            count.set(count.get() + 1);
            &text[..n]
        };
        assert!(set.try_push(future).is_ok());
    }
    let moved = set;
    assert_eq!(block_on((&moved).collect::<Vec<_>>()), ["t", "te", "tex"]);
    assert_eq!(count.get(), 3);
}

#[test]
fn a_set_for_one_thread_needs_no_lock() {
    let set = FutureSet::<_, LocalLock>::with_lock(2);
    assert!(set.try_push(ready(1)).is_ok());
    assert_eq!(block_on(set.next()), Some(1));
}

#[test]
fn auto_traits_follow_from_the_futures() {
    fn send<T: Send>() {}
    fn sync<T: Sync>() {}
    fn unpin<T: Unpin>() {}
    type Plain = FutureSet<std::future::Ready<u8>>;
    // Shared by threads that send futures in, though nobody shares a future.
    type NotSync = FutureSet<std::future::Ready<Cell<u8>>>;
    type Pinned = FutureSet<PhantomPinned>;
    send::<Plain>();
    sync::<Plain>();
    send::<NotSync>();
    sync::<NotSync>();
    unpin::<Pinned>();
    send::<Push<'static, std::future::Ready<u8>>>();
    send::<Next<'static, std::future::Ready<u8>>>();
    send::<FutureSet<std::future::Ready<u8>, LocalLock>>();
}

#[test]
fn debug_says_how_full_it_is() {
    let set = FutureSet::with_capacity(3);
    set.try_push(ready(1)).unwrap();
    assert_eq!(format!("{set:?}"), "FutureSet { len: 1, capacity: 3, .. }");
    assert!(format!("{:?}", set.push(ready(1))).starts_with("Push"));
    assert!(format!("{:?}", set.next()).starts_with("Next"));
}

// === threads ===

#[test]
fn threads_add_while_one_polls() {
    const EACH: usize = 2000;
    const THREADS: usize = 3;
    for capacity in [1, 2, 70] {
        let (running, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let set = FutureSet::with_capacity(capacity);
        let sum = thread::scope(|scope| {
            for thread in 0..THREADS {
                let (set, running, most) = (&set, &running, &most);
                scope.spawn(move || {
                    for n in 0..EACH {
                        block_on(set.push(async move {
                            let now = running.fetch_add(1, Ordering::Relaxed) + 1;
                            most.fetch_max(now, Ordering::Relaxed);
                            yields(n % 3).await;
                            running.fetch_sub(1, Ordering::Relaxed);
                            thread * EACH + n
                        }));
                    }
                });
            }
            let mut left = EACH * THREADS;
            let mut sum = 0;
            block_on(poll_fn(|cx| {
                while left > 0 {
                    match set.poll_next(cx) {
                        Poll::Ready(Some(n)) => sum += n,
                        _ => return Poll::Pending,
                    }
                    left -= 1;
                }
                Poll::Ready(sum)
            }))
        });
        assert_eq!(sum, (0..EACH * THREADS).sum());
        assert!(most.load(Ordering::Relaxed) <= capacity);
        assert!(set.is_empty());
    }
}
