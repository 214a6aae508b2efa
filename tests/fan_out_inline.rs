//! The fan-out inline, polled by hand: what every fan-out does, and what is special when all futures are polled.
#![allow(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "tests always have std")]

use std::cell::{Cell, RefCell};
use std::future::{Future, pending, poll_fn, ready};
use std::marker::PhantomPinned;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};

use futures_core::Stream;
use futures_lite::future::{block_on, yield_now};
use futures_lite::{StreamExt, stream};
use tollgate::fan_out::{Direct, Inline, PollAll, Unordered, With};
use tollgate::{FanOut, FanOutExt};

mod fan_out_suite;

use fan_out_suite::tools::*;

const SLOTS: usize = 256;
type Store = Inline<SLOTS>;

/// The methods that the suite wants, which sets limits and windows at run time.
trait Form: Stream + Sized {
    #[track_caller]
    fn fan_out(self, limit: usize) -> FanOut<Self, Direct, Unordered, Store>
    where
        Self::Item: Future,
    {
        self.fan_out_inline().limit(limit).window(limit)
    }

    #[track_caller]
    fn fan_out_with<F, Fut>(self, limit: usize, f: F) -> FanOut<Self, With<F>, Unordered, Store>
    where
        F: FnMut(Self::Item) -> Fut,
        Fut: Future,
    {
        self.fan_out_inline_with(f).limit(limit).window(limit)
    }
}

impl<St: Stream> Form for St {}

// === limits ===

#[test]
#[should_panic(expected = "limit of 0")]
fn no_slots_panic_instead_of_hanging() {
    let _ = stream::iter([ready(1)]).fan_out_inline::<0>();
}

#[test]
#[should_panic(expected = "limit of 0")]
fn a_limit_of_zero_panics() {
    let _ = stream::iter([ready(1)]).fan_out_inline::<4>().limit(0);
}

#[test]
#[should_panic(expected = "a window of 4 is too narrow for a limit of 5")]
fn a_limit_above_the_slots_panics() {
    let _ = stream::iter([ready(1)]).fan_out_inline::<4>().limit(5);
}

#[test]
#[should_panic(expected = "a window of 5 is more than the 4 slots that there are")]
fn a_window_above_the_slots_panics() {
    let _ = stream::iter([ready(1)]).fan_out_inline::<4>().window(5);
}

#[test]
fn the_slots_are_the_limit_and_the_window_unless_those_are_set() {
    let jobs = || stream::repeat_with(pending::<()>);
    let mut outputs = jobs().fan_out_inline::<5>();
    assert!(peek(&mut outputs).is_pending());
    assert_eq!((outputs.in_flight(), outputs.waiting()), (5, 0));
    let mut outputs = jobs().fan_out_inline::<5>().limit(2).ordered();
    assert!(peek(&mut outputs).is_pending());
    assert_eq!((outputs.in_flight(), outputs.waiting()), (2, 3));
    let mut outputs = jobs().fan_out_inline::<5>().limit(2).window(3);
    assert!(peek(&mut outputs).is_pending());
    assert_eq!((outputs.in_flight(), outputs.waiting()), (2, 1));
}

// === polling all ===

/// A task whose executor and timers, like embassy's, know only wakers of their own.
fn own_waker() -> Waker {
    static VTABLE: RawWakerVTable = RawWakerVTable::new(|data| RawWaker::new(data, &VTABLE), |_| {}, |_| {}, |_| {});
    // SAFETY: the functions do nothing, whatever the data.
    unsafe { Waker::from_raw(RawWaker::new(std::ptr::dangling(), &VTABLE)) }
}

#[test]
fn futures_see_no_waker_but_that_of_the_task() {
    let task = own_waker();
    let seen = Cell::new(0);
    let jobs = stream::iter(0..20).map(|n| {
        let (task, seen) = (&task, &seen);
        let mut left = n % 4;
        poll_fn(move |cx| {
            assert_eq!((cx.waker().data(), cx.waker().vtable()), (task.data(), task.vtable()));
            seen.set(seen.get() + 1);
            left -= 1;
            if left < 0 { Poll::Ready(n) } else { Poll::Pending }
        })
    });
    let mut outputs = pin!(jobs.fan_out_inline::<4>());
    let mut cx = Context::from_waker(&task);
    let mut count = 0;
    loop {
        match outputs.as_mut().poll_next(&mut cx) {
            Poll::Ready(Some(_)) => count += 1,
            Poll::Ready(None) => break,
            Poll::Pending => {}
        }
    }
    assert_eq!((count, seen.get()), (20, 50));
}

#[test]
fn all_that_runs_is_polled_once_when_the_task_is_woken() {
    let gates = gates(100);
    let mut outputs = through(&gates).fan_out_inline::<70>();
    for polls in 1..4 {
        assert!(peek(&mut outputs).is_pending());
        assert!(gates[..70].iter().all(|gate| gate.polls() == polls));
        assert!(gates[70..].iter().all(|gate| gate.polls() == 0));
    }
}

#[test]
fn the_next_round_goes_on_behind_the_last() {
    // Always ready, and each notes its turn.
    let turns = Rc::new(RefCell::new(Vec::new()));
    let log = turns.clone();
    let jobs = stream::iter(0..5).chain(stream::pending()).fan_out_inline_with::<5, _, _>(move |n| {
        let turns = log.clone();
        let mut begun = false;
        poll_fn(move |_| {
            if !std::mem::replace(&mut begun, true) {
                return Poll::Pending;
            }
            turns.borrow_mut().push(n);
            Poll::Ready(n)
        })
    });
    let mut outputs = jobs;
    assert!(peek(&mut outputs).is_pending());
    for n in 0..5 {
        assert_eq!(peek(&mut outputs), Poll::Ready(Some(n)));
        assert_eq!(*turns.borrow(), (0..=n).collect::<Vec<_>>(), "one a poll, as each has an output");
    }
}

#[test]
fn whoever_is_always_ready_does_not_keep_the_others_from_being_polled() {
    // In slot 0 there is always one that is ready the second time, so each poll could end with it.
    let late = gates(3);
    let sleepers = late.clone();
    let jobs = stream::iter(0..).map(move |n: usize| -> Pin<Box<dyn Future<Output = usize>>> {
        match n {
            1..=3 => {
                let gate = sleepers[n - 1].clone();
                Box::pin(async move {
                    gate.pass().await;
                    n
                })
            }
            _ => Box::pin(async move {
                yield_now().await;
                n
            }),
        }
    });
    let mut outputs = jobs.fan_out_inline::<4>();
    for _ in 0..20 {
        let _ = peek(&mut outputs);
    }
    late.iter().for_each(Gate::open);
    let soon: Vec<_> = (0..12)
        .filter_map(|_| match peek(&mut outputs) {
            Poll::Ready(n) => n,
            Poll::Pending => None,
        })
        .collect();
    assert!((1..=3).all(|n| soon.contains(&n)), "{soon:?}");
}

#[test]
fn a_poll_that_is_pending_has_polled_everything_with_its_own_waker() {
    let gates = gates(9);
    let mut outputs = through(&gates).fan_out_inline::<8>();
    let (_, first) = Wakes::new();
    assert!(poll(&mut outputs, &first).is_pending());
    for ready in 0..8 {
        // One poll ends early with an output; the wake of a future that it did or did not come by is the next one's job.
        gates[ready].open();
        let (_, old) = Wakes::new();
        assert_eq!(poll(&mut outputs, &old), Poll::Ready(Some(ready)));
        let (_, new) = Wakes::new();
        assert!(poll(&mut outputs, &new).is_pending());
        for gate in &gates[ready + 1..] {
            assert!(gate.waker().will_wake(&new));
        }
    }
}

#[test]
fn what_starts_in_the_place_of_another_is_polled_once() {
    let gates = gates(8);
    let mut outputs = through(&gates).fan_out_inline::<4>();
    assert!(peek(&mut outputs).is_pending());
    gates[1].open();
    gates[3].open();
    assert_eq!(peek(&mut outputs), Poll::Ready(Some(1)));
    assert_eq!(gates[4].polls(), 0);
    assert_eq!(peek(&mut outputs), Poll::Ready(Some(3)));
    assert_eq!(gates[4].polls(), 1);
    assert!(peek(&mut outputs).is_pending());
    assert_eq!((gates[4].polls(), gates[5].polls()), (2, 1));
}

// === futures in place ===

#[test]
fn futures_in_place_may_borrow_and_need_not_move() {
    let text = String::from("borrowed");
    let words = RefCell::new(Vec::new());
    let mut outputs = pin!(stream::iter(0..30).fan_out_inline_with::<4, _, _>(|n| {
        let (text, words) = (&text, &words);
        async move {
            let here = &raw const n;
            for _ in 0..n % 3 {
                yield_now().await;
            }
            assert_eq!(here, &raw const n);
            words.borrow_mut().push(&text[..n % 8]);
            Rc::new(n)
        }
    }));
    assert_eq!(block_on(outputs.as_mut().count()), 30);
    assert_eq!(words.borrow().len(), 30);
}

type Jobs<Fut> = FanOut<stream::Iter<std::vec::IntoIter<Fut>>, Direct, Unordered, Inline<4>>;

#[test]
fn the_stream_can_be_moved_and_sent_and_shared_if_its_futures_can() {
    fn all<T: Send + Sync + Unpin>() {}
    all::<Jobs<std::future::Ready<usize>>>();
    all::<Inline<4, PollAll>>();

    struct Fixed(#[allow(dead_code)] PhantomPinned);
    impl Future for Fixed {
        type Output = Rc<usize>;
        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Rc<usize>> {
            Poll::Pending
        }
    }

    /// Ambiguous, and so no program, where the type has the trait.
    macro_rules! not {
        ($bound:ident, $T:ty) => {{
            trait Either<A> {
                fn either() {}
            }
            impl<T> Either<()> for T {}
            impl<T: $bound> Either<u8> for T {}
            <$T as Either<_>>::either();
        }};
    }
    not!(Unpin, Jobs<Fixed>);
    not!(Send, Jobs<Fixed>);
    not!(Sync, Jobs<Fixed>);
    not!(Send, Jobs<std::future::Ready<Rc<()>>>);
    not!(Sync, Jobs<std::future::Ready<Cell<()>>>);
}

#[test]
fn a_slot_costs_no_more_than_what_is_in_it() {
    type Job = std::future::Pending<[u64; 4]>;
    fn size<const N: usize>() -> usize {
        size_of::<FanOut<stream::Empty<Job>, Direct, Unordered, Inline<N>>>()
    }
    // The output, the link between slots, and what tells the states apart; nothing more for an empty one.
    let slot = if usize::BITS < 64 { 40 } else { 48 };
    assert_eq!(size::<9>() - size::<8>(), slot);
    assert!(size::<8>() < 8 * slot + 160, "{} bytes", size::<8>());
}
