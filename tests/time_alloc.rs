//! A deadline allocates nothing, from its making to its drop.
#![cfg(feature = "std")]
#![allow(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "tests always have std")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::future::{Future, pending, ready};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tollgate::time::{ManualClock, ThreadTimer, TimerQueue};
use tollgate::{DeadlineExt, Elapsed};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: passes everything on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(f: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.with(Cell::get);
    f();
    ALLOCATIONS.with(Cell::get) - before
}

#[test]
fn the_count_is_not_always_zero() {
    assert_eq!(allocations(|| drop(std::hint::black_box(Box::new(1)))), 1);
}

#[test]
fn a_deadline_allocates_nothing() {
    static QUEUE: TimerQueue = TimerQueue::new();
    let second = Duration::from_secs(1);
    let mut cx = Context::from_waker(Waker::noop());
    let count = allocations(|| {
        let clock = ManualClock::new();
        let mut limited = pin!(pending::<()>().timeout(&clock, second).until(pending::<()>()));
        assert!(limited.as_mut().poll(&mut cx).is_pending());
        clock.advance(second);
        assert_eq!(limited.as_mut().poll(&mut cx), Poll::Ready(Ok(Err(Elapsed))));
        limited.as_mut().inner_pin_mut().extend(second);
        let mut queued = pin!(pending::<()>().deadline(&QUEUE, 9));
        assert!(queued.as_mut().poll(&mut cx).is_pending());
        queued.as_mut().reset(10);
        QUEUE.advance(10);
        assert_eq!(queued.as_mut().poll(&mut cx), Poll::Ready(Err(Elapsed)));
        assert!(pin!(ready(1).timeout(ThreadTimer, second)).poll(&mut cx).is_ready());
    });
    assert_eq!(count, 0);
}

#[test]
fn the_thread_allocates_nothing_once_it_runs() {
    let mut cx = Context::from_waker(Waker::noop());
    let mut one = || {
        let mut limited = pin!(pending::<()>().timeout(ThreadTimer, Duration::from_secs(1)));
        assert!(limited.as_mut().poll(&mut cx).is_pending());
    };
    one();
    assert_eq!(allocations(one), 0);
}
