//! What a fan-out allocates: one block a stream, nothing an item, and everything is given back.
#![cfg(feature = "alloc")]
#![allow(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "tests always have std")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::future::{Future, poll_fn, ready};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use futures_core::Stream;
use futures_lite::stream;
use tollgate::fan_out::WakeTable;
use tollgate::{FanOutExt, FutureSet, LocalLock};

/// Counts per thread, for tests run side by side.
struct Counting;

std::thread_local! {
    static MADE: Cell<usize> = const { Cell::new(0) };
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static BYTES: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: all is left to the system's allocator; the counters do not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = MADE.try_with(|made| made.set(made.get() + 1));
        let _ = LIVE.try_with(|live| live.set(live.get() + 1));
        let _ = BYTES.try_with(|bytes| bytes.set(bytes.get() + layout.size()));
        // SAFETY: the caller's promise is handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        let _ = LIVE.try_with(|live| live.set(live.get() - 1));
        // SAFETY: the caller's promise is handed on.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// How many allocations `f` makes on this thread, and how many bytes they have.
fn allocations<R>(f: impl FnOnce() -> R) -> (usize, usize, R) {
    let (made, bytes) = (MADE.get(), BYTES.get());
    let result = f();
    (MADE.get() - made, BYTES.get() - bytes, result)
}

fn drain<S: Stream>(stream: S) -> usize {
    let mut stream = pin!(stream);
    let mut cx = Context::from_waker(Waker::noop());
    let mut count = 0;
    loop {
        match stream.as_mut().poll_next(&mut cx) {
            Poll::Ready(Some(_)) => count += 1,
            Poll::Ready(None) => return count,
            Poll::Pending => {}
        }
    }
}

/// Wakes itself and clones its waker, so that every path is taken.
fn steps(n: usize) -> impl Future<Output = usize> {
    let mut left = n % 4;
    poll_fn(move |cx| {
        if left == 0 {
            return Poll::Ready(n);
        }
        left -= 1;
        let waker = cx.waker().clone();
        waker.wake();
        Poll::Pending
    })
}

/// A source that gives no hint.
fn unknown(count: usize) -> impl Stream<Item = usize> {
    let mut next = 0;
    stream::poll_fn(move |_| {
        next += 1;
        Poll::Ready((next <= count).then_some(next))
    })
}

#[test]
fn one_allocation_a_stream_and_none_an_item() {
    for limit in [1, 8, 64, 65, 1000, 16 * 1024] {
        let (made, _, count) = allocations(|| drain(unknown(50_000).fan_out_with(limit, steps)));
        assert_eq!((made, count), (1, 50_000), "limit {limit}");
        let (made, _, count) = allocations(|| drain(unknown(50_000).fan_out_with(limit, steps).ordered()));
        assert_eq!((made, count), (1, 50_000), "limit {limit}, ordered");
    }
    let (made, ..) = allocations(|| drain(unknown(50_000).fan_out_with(8, steps).ordered().window(500)));
    assert_eq!(made, 1);
}

#[test]
fn nothing_is_allocated_before_the_first_item_and_for_an_empty_source() {
    let (made, ..) = allocations(|| {
        drop(stream::iter(0..10).fan_out_with(8, steps).ordered().window(20));
        assert_eq!(drain(stream::iter(0..0).fan_out_with(8, steps)), 0);
    });
    assert_eq!(made, 0);
}

#[test]
fn room_is_made_for_what_the_source_can_yield_and_no_more() {
    let (made, bytes, _) = allocations(|| drain(stream::iter(0..3).fan_out_with(10_000, steps)));
    assert_eq!(made, 1);
    assert!(bytes < 1024, "{bytes} bytes for three items");
}

#[test]
fn no_limit_allocates_nothing_ahead_and_doubles_as_it_grows() {
    let (made, bytes, _) = allocations(|| drain(unknown(10).fan_out_with(usize::MAX, ready)));
    assert_eq!(made, 1);
    assert!(bytes < 8 * 1024, "{bytes} bytes for ten items");

    let mut outputs = Box::pin(unknown(20_000).fan_out_with(usize::MAX, |_| std::future::pending::<[u64; 2]>()));
    let (made, ..) = allocations(|| {
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..40 {
            assert!(outputs.as_mut().poll_next(&mut cx).is_pending());
        }
    });
    assert_eq!(outputs.in_flight(), 20_000);
    assert!(made < 16, "{made} allocations for 20000 in flight");
}

#[test]
fn a_window_that_is_known_to_be_filled_begins_with_much() {
    let (made, ..) = allocations(|| drain(stream::iter(0..20_000).fan_out_with(20_000, steps)));
    assert!(made <= 3, "{made} allocations");
}

#[test]
fn everything_is_given_back_with_the_last_waker() {
    for limit in [4, 70, 100_000] {
        let live = LIVE.get();
        let kept = std::rc::Rc::new(Cell::new(None));
        let keep = kept.clone();
        let mut outputs = Box::pin(unknown(300).fan_out_with(limit, move |n| {
            let keep = keep.clone();
            poll_fn(move |cx| -> Poll<()> {
                if n % 3 == 0 || n == 299 {
                    keep.set(Some(cx.waker().clone()));
                }
                Poll::Pending
            })
        }));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(outputs.as_mut().poll_next(&mut cx).is_pending());
        drop(outputs);
        let waker = kept.take().unwrap();
        drop(kept);
        assert!(LIVE.get() > live, "a waker keeps its block");
        let clone = waker.clone();
        waker.wake();
        clone.wake_by_ref();
        drop(clone);
        assert_eq!(LIVE.get(), live, "limit {limit}");
    }
}

#[test]
fn waking_and_cloning_wakers_allocates_nothing() {
    let kept = std::rc::Rc::new(Cell::new(None));
    let keep = kept.clone();
    let job = poll_fn(move |cx| -> Poll<()> {
        keep.set(Some(cx.waker().clone()));
        Poll::Pending
    });
    let mut outputs = pin!(stream::iter([job]).fan_out(1));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(Pin::new(&mut outputs).poll_next(&mut cx).is_pending());
    let (made, ..) = allocations(|| {
        let waker = kept.take().unwrap();
        waker.wake_by_ref();
        let clone = waker.clone();
        clone.wake();
        assert!(Pin::new(&mut outputs).poll_next(&mut cx).is_pending());
    });
    assert_eq!(made, 0);
}

#[test]
fn inline_forms_allocate_nothing() {
    static TABLE: WakeTable<4> = WakeTable::new();
    let (made, bytes, _) = allocations(|| {
        assert_eq!(drain(unknown(5000).fan_out_inline_with::<1, _, _>(steps)), 5000);
        assert_eq!(drain(unknown(5000).fan_out_inline_with::<8, _, _>(steps).ordered()), 5000);
        assert_eq!(drain(unknown(5000).fan_out_inline_with::<100, _, _>(steps).limit(7).ordered()), 5000);
        assert_eq!(drain(unknown(5000).fan_out_inline_with::<8, _, _>(steps).wake_table(&TABLE)), 5000);
        let outputs = unknown(5000).fan_out_inline_with::<100, _, _>(steps).wake_table(&TABLE);
        assert_eq!(drain(outputs.ordered().stop_when(std::future::pending::<()>())), 5000);
    });
    assert_eq!((made, bytes), (0, 0));
}

#[test]
fn a_set_makes_one_allocation_and_none_a_future() {
    for capacity in [1, 64, 65, 1000] {
        let (made, bytes, count) = allocations(|| {
            let set = FutureSet::<_, LocalLock>::with_lock(capacity);
            let mut given = 0;
            for n in 0..3 * capacity {
                let mut future = steps(n % 3);
                while let Err(back) = set.try_push(future) {
                    future = back;
                    given += usize::from(matches!(
                        set.poll_next(&mut Context::from_waker(Waker::noop())),
                        Poll::Ready(Some(_))
                    ));
                }
            }
            given + drain(&set)
        });
        assert_eq!((made, count), (1, 3 * capacity), "capacity {capacity}");
        let room = size_of_val(&steps(0)) + 16;
        assert!(bytes <= 256 + capacity.next_multiple_of(64) + capacity * room, "{bytes} bytes for {capacity}");
    }
}
