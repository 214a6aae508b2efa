//! The bell, through every schedule under loom.

use alloc::task::Wake;
use core::task::Waker;

use super::{Bell, Tone};
use crate::sync::model::{check, thread};
use crate::sync::{AtomicUsize, Ordering};

/// What wakers of one task share, seen from outside of the model's schedules.
struct Count(core::sync::atomic::AtomicUsize);

impl Wake for Count {
    fn wake(self: alloc::sync::Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &alloc::sync::Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn counting() -> (alloc::sync::Arc<Count>, Waker) {
    let count = alloc::sync::Arc::new(Count(core::sync::atomic::AtomicUsize::new(0)));
    (count.clone(), Waker::from(count))
}

/// A bell, and a word that says whether somebody sleeps, as its users have one: 0 is asleep.
struct Shared {
    bell: Bell,
    awake: AtomicUsize,
}

impl Shared {
    fn new() -> crate::sync::model::Arc<Self> {
        crate::sync::model::Arc::new(Self { bell: Bell::new(), awake: AtomicUsize::new(1) })
    }

    /// True when it sleeps, or when it will come back because `waker` was woken.
    fn sleep(&self, waker: &Waker, tone: &mut Tone) -> bool {
        if !self.bell.set(waker, tone) {
            waker.wake_by_ref();
            return true;
        }
        self.awake.compare_exchange(1, 0, Ordering::Release, Ordering::Relaxed).is_ok()
    }

    fn notify(&self) {
        if self.awake.fetch_or(2, Ordering::AcqRel) == 0 {
            self.bell.ring();
        }
    }
}

#[test]
fn model_whoever_slept_last_is_woken() {
    check(3, || {
        let shared = Shared::new();
        let threads: alloc::vec::Vec<_> = (0..2)
            .map(|_| {
                let shared = shared.clone();
                thread::spawn(move || shared.notify())
            })
            .collect();
        let mut tone = Tone::NONE;
        let (mut slept, mut last) = (false, None);
        for _ in 0..2 {
            let (count, waker) = counting();
            slept = shared.sleep(&waker, &mut tone);
            last = Some(count);
            if !slept {
                break; // it saw that something came
            }
            shared.awake.fetch_or(1, Ordering::AcqRel);
        }
        // Once more, with the waker that it has.
        let (count, waker) = counting();
        if slept {
            shared.awake.swap(1, Ordering::AcqRel);
            slept = shared.sleep(&waker, &mut tone);
            last = Some(count);
        }
        let later = {
            let shared = shared.clone();
            thread::spawn(move || shared.notify())
        };
        for thread in threads {
            thread.join().unwrap();
        }
        later.join().unwrap();
        if slept {
            assert!(last.unwrap().0.load(Ordering::Relaxed) > 0, "asleep, and not woken");
        }
    });
}

#[test]
fn model_a_bell_that_is_cleared_keeps_no_waker() {
    check(3, || {
        let shared = Shared::new();
        let (count, waker) = counting();
        assert!(shared.bell.set(&waker, &mut Tone::NONE.clone()));
        drop(waker);
        let threads: alloc::vec::Vec<_> = (0..2)
            .map(|_| {
                let shared = shared.clone();
                thread::spawn(move || shared.bell.ring())
            })
            .collect();
        drop(shared.bell.clear());
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(alloc::sync::Arc::strong_count(&count), 1);
        // It serves the next owner.
        let (count, waker) = counting();
        assert!(shared.bell.set(&waker, &mut Tone::NONE.clone()));
        shared.bell.ring();
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn model_a_ringer_wakes_a_whole_waker_while_it_is_replaced() {
    check(3, || {
        let shared = Shared::new();
        let (one, waker) = counting();
        let mut tone = Tone::NONE;
        assert!(shared.bell.set(&waker, &mut tone));
        let thread = {
            let shared = shared.clone();
            thread::spawn(move || shared.bell.ring())
        };
        let (two, waker) = counting();
        let set = shared.bell.set(&waker, &mut tone);
        thread.join().unwrap();
        let woken = one.0.load(Ordering::Relaxed) + two.0.load(Ordering::Relaxed);
        assert!(woken == 1 || set && woken == 0, "the owner is awake while it replaces");
        assert!(set || one.0.load(Ordering::Relaxed) == 1);
    });
}
