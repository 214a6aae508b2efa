//! What there is with an allocator.

extern crate alloc;

use alloc::alloc::{GlobalAlloc, Layout};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::UnsafeCell;
use core::pin::pin;

use futures_lite::future::{poll_once, yield_now};
use futures_lite::{StreamExt, stream};
use tollgate::{FanOutExt, OwnedCancellationToken, Semaphore};
use tollgate_conformance::Outcome;

/// Hands out a megabyte from the bottom up, and is empty again when all is given back.
struct Arena(UnsafeCell<(usize, usize)>, UnsafeCell<[u64; 1 << 17]>);

#[global_allocator]
static ARENA: Arena = Arena(UnsafeCell::new((0, 0)), UnsafeCell::new([0; 1 << 17]));

// SAFETY: there is one thread.
unsafe impl Sync for Arena {}

// SAFETY: the parts that are handed out do not overlap until all were given back.
unsafe impl GlobalAlloc for Arena {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: one thread, and nothing in here allocates.
        let (used, live) = unsafe { &mut *self.0.get() };
        let base = self.1.get().cast::<u8>();
        let start = (base.addr() + *used).next_multiple_of(layout.align()) - base.addr();
        if start + layout.size() > size_of::<[u64; 1 << 17]>() {
            return core::ptr::null_mut();
        }
        *used = start + layout.size();
        *live += 1;
        base.wrapping_add(start)
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {
        // SAFETY: as above.
        let (used, live) = unsafe { &mut *self.0.get() };
        *live -= 1;
        if *live == 0 {
            *used = 0;
        }
    }
}

fn live() -> usize {
    // SAFETY: one thread.
    unsafe { (*ARENA.0.get()).1 }
}

pub(crate) const CASES: &[(&str, fn(usize) -> Outcome)] = &[
    ("alloc::owned_permits_outlive_their_place", owned_permits),
    ("alloc::a_fan_out_keeps_its_futures_in_one_allocation", fan_out),
    ("alloc::owned_tokens_cancel_a_tree", tokens),
    ("alloc::all_is_given_back", |_| if live() == 0 { Ok(()) } else { Err("something is still allocated") }),
];

fn owned_permits(_: usize) -> Outcome {
    crate::block_on(pin!(async {
        let gate = Arc::new(Semaphore::new(1));
        let permit = gate.clone().acquire_owned().await.map_err(|_| "closed")?;
        let mut waiter = pin!(gate.clone().acquire_owned());
        if poll_once(waiter.as_mut()).await.is_some() {
            return Err("one permit for two");
        }
        drop(permit);
        waiter.await.map(drop).map_err(|_| "closed")
    }))?
}

fn fan_out(_: usize) -> Outcome {
    crate::block_on(pin!(async {
        let before = live();
        let mut jobs = pin!(stream::iter(0..100).fan_out_with(8, async |n: usize| {
            for _ in 0..n % 7 {
                yield_now().await;
            }
            n
        }));
        let first = jobs.next().await;
        if live() != before + 1 {
            return Err("more than one allocation");
        }
        let mut all: Vec<usize> = jobs.collect().await;
        all.extend(first);
        all.sort_unstable();
        if all.iter().copied().eq(0..100) { Ok(()) } else { Err("an output is missing") }
    }))?
}

fn tokens(_: usize) -> Outcome {
    crate::block_on(pin!(async {
        let root = OwnedCancellationToken::new();
        let child = root.child_token().child_token();
        let mut wait = pin!(child.clone().cancelled_owned());
        if poll_once(wait.as_mut()).await.is_some() {
            return Err("not cancelled yet");
        }
        root.cancel();
        wait.await;
        if child.is_cancelled() { Ok(()) } else { Err("the child goes on") }
    }))?
}
