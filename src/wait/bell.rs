//! The waker of the one task that waits, rung again and again.
//!
//! An [`AtomicWaker`](crate::sync::AtomicWaker) hands its waker out, so that each wait has to clone one in. This one keeps
//! it: a task that waits many times stores it once, and ringing neither clones nor drops it.
//!
//! The state counts the ringers that are inside, beside two marks:
//!
//! ```text
//!            owner: replace                       ringer: enter
//!   WRITING ◄──────────────── 0 ◄──────────────────────────────► n * RINGER
//!      │ done                 ▲        leave                          │ owner: clear
//!      └──────────────────────┤                                       ▼
//!                             └── the last one that leaves clears ◄── n * RINGER + GONE
//! ```
//!
//! # Invariants
//!
//! * **W1** The waker is written by whoever brought the state from 0, or from [`GONE`] alone, to [`WRITING`], until they
//!   take that mark off.
//! * **W2** The waker is read by ringers that are inside and did not find `WRITING` when they entered. While one is, the
//!   state is neither 0 nor `GONE` alone.
//!
//! Wakers are cloned and dropped outside of that. They are woken inside: a ringer that is inside keeps nobody waiting.

use core::task::Waker;

use crate::sync::{AtomicUsize, Ordering, UnsafeCell, const_fn};

/// The waker is being replaced.
const WRITING: usize = 1;
/// The owner is gone, and the last ringer clears up.
const GONE: usize = 2;
/// One ringer.
const RINGER: usize = 4;

/// A waker that many may ring, and that one owner sets.
#[derive(Debug)]
pub(crate) struct Bell {
    state: AtomicUsize,
    waker: UnsafeCell<Option<Waker>>,
}

/// Which waker a bell was last set to. The owner keeps it, to see without a look at the bell that nothing has changed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tone {
    data: usize,
    vtable: usize,
}

// SAFETY: a waker may be sent and shared, and the state says who may touch it (W1, W2).
unsafe impl Send for Bell {}
// SAFETY: as above.
unsafe impl Sync for Bell {}

impl Bell {
    const_fn! {
        pub(crate) const fn new() -> Self {
            Self { state: AtomicUsize::new(0), waker: UnsafeCell::new(None) }
        }
    }

    /// Sets the waker that is to be woken. False if that cannot be done because the old one is just being woken.
    ///
    /// `tone` is what this owner has set before. A bell is to have one owner at a time. With several, each would still
    /// wake valid wakers, but not those that the others expect.
    #[inline]
    pub(crate) fn set(&self, waker: &Waker, tone: &mut Tone) -> bool {
        let new = Tone::of(waker);
        if (tone.data, tone.vtable) == (new.data, new.vtable) {
            return true; // it is kept alive here, so this is still its name
        }
        let set = self.replace(Some(waker.clone())).is_ok();
        *tone = if set { new } else { Tone::NONE };
        set
    }

    /// Takes the waker out, for the caller to drop, or has the last one who rings drop it.
    pub(crate) fn clear(&self) -> Option<Waker> {
        if let Ok(old) = self.replace(None) {
            return old;
        }
        // ORDERING: AcqRel, as in `leave`: whoever comes last clears up.
        if self.state.fetch_or(GONE, Ordering::AcqRel) == 0 {
            self.clear_gone();
        }
        None
    }

    /// Wakes the waker that was set last.
    ///
    /// While the owner replaces it, nothing happens: the owner is awake.
    #[inline]
    pub(crate) fn ring(&self) {
        struct Inside<'a>(&'a Bell);

        impl Drop for Inside<'_> {
            #[inline]
            fn drop(&mut self) {
                self.0.leave();
            }
        }

        // ORDERING: Acquire pairs with the Release with which `replace` ends.
        let before = self.state.fetch_add(RINGER, Ordering::Acquire);
        let _inside = Inside(self);
        if before & WRITING == 0 {
            self.waker.with(|waker| {
                // SAFETY: inside, and nobody was writing (W2).
                if let Some(waker) = unsafe { &*waker } {
                    waker.wake_by_ref();
                }
            });
        }
    }

    #[inline]
    fn leave(&self) {
        // ORDERING: Release pairs with the Acquire with which `replace` begins: writing comes after reading. Acquire is for
        // `clear_gone`, which begins here.
        if self.state.fetch_sub(RINGER, Ordering::AcqRel) == RINGER + GONE {
            self.clear_gone();
        }
    }

    /// Puts a waker in, and hands out the old one. Gives the new one back if somebody is inside.
    #[cold]
    fn replace(&self, waker: Option<Waker>) -> Result<Option<Waker>, Option<Waker>> {
        // ORDERING: Acquire pairs with the Release in `leave`.
        if self.state.compare_exchange(0, WRITING, Ordering::Acquire, Ordering::Relaxed).is_err() {
            return Err(waker);
        }
        // SAFETY: the mark is ours (W1).
        let old = self.waker.with_mut(|place| unsafe { core::mem::replace(&mut *place, waker) });
        // ORDERING: Release pairs with the Acquire in `ring`.
        self.state.fetch_sub(WRITING, Ordering::Release);
        Ok(old)
    }

    #[cold]
    fn clear_gone(&self) {
        // ORDERING: Acquire pairs with the Release in `leave`. Who fails leaves it to a ringer that is inside.
        if self.state.compare_exchange(GONE, WRITING, Ordering::Acquire, Ordering::Relaxed).is_ok() {
            // SAFETY: the mark is ours (W1).
            let waker = self.waker.with_mut(|place| unsafe { (*place).take() });
            // ORDERING: Release pairs with the Acquire in `ring` and in `replace`.
            self.state.fetch_sub(WRITING, Ordering::Release);
            drop(waker);
        }
    }
}

impl Tone {
    /// Of no waker.
    pub(crate) const NONE: Self = Self { data: 0, vtable: 0 };

    #[inline]
    fn of(waker: &Waker) -> Self {
        Self { data: waker.data().addr(), vtable: (&raw const *waker.vtable()).addr() }
    }
}

#[cfg(test)]
mod model;
