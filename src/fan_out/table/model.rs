//! A table that goes from one owner to the next while wakers of the first go on, through every schedule under loom.

use alloc::boxed::Box;
use core::future::poll_fn;
use core::task::Poll;

use super::super::ready::NEAR;
use super::*;
use crate::sync::UnsafeCell;
use crate::sync::model::{Arc, block_on, check, thread};

/// Lives as long as a static would, for loom cannot make one.
fn table<const W: usize>() -> &'static WakeTable<W> {
    // Kept where a leak checker sees it: tables live for ever, and a static cannot be made under loom.
    static KEPT: std::sync::Mutex<alloc::vec::Vec<usize>> = std::sync::Mutex::new(alloc::vec::Vec::new());
    let table = Box::leak(Box::new(WakeTable::new()));
    KEPT.lock().unwrap().push((&raw const *table).expose_provenance());
    table
}

impl<const W: usize> Tabled<W> {
    fn waker(&mut self, number: usize) -> Waker {
        self.with_waker(number, Waker::noop(), Waker::clone)
    }

    /// Sleeps whenever nothing is woken, until `number` was woken and `done` says so.
    fn until(&mut self, number: usize, done: impl Fn() -> bool) {
        block_on(poll_fn(|cx| {
            loop {
                match self.next() {
                    Some(woken) if woken == number && done() => return Poll::Ready(()),
                    Some(_) => {}
                    None if self.sleep(cx.waker()) => return Poll::Pending,
                    None => {}
                }
            }
        }));
    }
}

/// What a waker has to carry over: what was written before the wake.
struct Written {
    flag: AtomicBool,
    value: UnsafeCell<usize>,
}

// SAFETY: the value is written before the wake and read after it, which is what the models check.
unsafe impl Sync for Written {}

impl Written {
    fn new() -> Arc<Self> {
        Arc::new(Self { flag: AtomicBool::new(false), value: UnsafeCell::new(0) })
    }

    fn write(&self) {
        // SAFETY: see `Sync`.
        self.value.with_mut(|value| unsafe { *value = 1 });
        // ORDERING: Relaxed, for it is the wake that has to carry both over.
        self.flag.store(true, Ordering::Relaxed);
    }

    fn is_there(&self) -> bool {
        // ORDERING: as above.
        self.flag.load(Ordering::Relaxed)
    }

    fn read(&self) -> usize {
        // SAFETY: see `Sync`.
        self.value.with(|value| unsafe { *value })
    }
}

/// Wakes on another thread, with something written before.
fn write_and_wake(waker: Waker) -> (Arc<Written>, thread::JoinHandle<()>) {
    let written = Written::new();
    let thread = {
        let written = written.clone();
        thread::spawn(move || {
            written.write();
            waker.wake();
        })
    };
    (written, thread)
}

#[test]
fn two_claims_exclude_each_other_and_the_later_sees_what_the_earlier_did() {
    struct Owned(UnsafeCell<usize>);
    // SAFETY: whoever has the table has the cell, which is what the model checks.
    unsafe impl Sync for Owned {}

    check(3, || {
        let table = table::<1>();
        let owned = Arc::new(Owned(UnsafeCell::new(0)));
        let try_once = {
            let owned = owned.clone();
            move || {
                let claimed = table.claim();
                // SAFETY: see `Sync`.
                claimed.iter().for_each(|_| owned.0.with_mut(|count| unsafe { *count += 1 }));
            }
        };
        let threads = [thread::spawn(try_once.clone()), thread::spawn(try_once)];
        for thread in threads {
            thread.join().unwrap();
        }
        // SAFETY: the others are done.
        let count = owned.0.with(|count| unsafe { *count });
        assert!((1..=2).contains(&count));
        assert!(table.claim().is_some());
    });
}

fn a_stale_waker_beside_a_real_one<const W: usize>(stale_place: usize, real: usize, preemptions: usize) {
    check(preemptions, move || {
        let table = table::<W>();
        let mut first = table.claim().unwrap();
        let stale = first.waker(stale_place);
        drop(first);
        let noise = thread::spawn(move || stale.wake());

        let mut second = table.claim().unwrap();
        let (written, thread) = write_and_wake(second.waker(real));
        second.until(real, || written.is_there());
        // In one place, the flag may be seen by way of the wrong wake.
        assert!(stale_place == real || written.read() == 1);
        drop(second);
        noise.join().unwrap();
        thread.join().unwrap();
    });
}

#[test]
fn a_stale_waker_hides_no_wake_of_another_place() {
    a_stale_waker_beside_a_real_one::<1>(0, 1, 3);
}

#[test]
fn a_stale_waker_hides_no_wake_of_the_same_place() {
    a_stale_waker_beside_a_real_one::<1>(0, 0, 3);
}

#[test]
fn a_stale_waker_far_off_hides_no_wake_of_its_word() {
    a_stale_waker_beside_a_real_one::<{ NEAR + 1 }>(NEAR * BITS, NEAR * BITS + 1, 3);
}

#[test]
fn bits_that_the_last_owner_left_hide_no_wake() {
    left_by_the_last_owner::<2>(0, BITS);
}

#[test]
fn nor_do_those_that_it_left_in_a_group() {
    left_by_the_last_owner::<{ NEAR + 1 }>(0, NEAR * BITS);
    left_by_the_last_owner::<{ NEAR + 2 }>(NEAR * BITS, (NEAR + 1) * BITS);
}

fn left_by_the_last_owner<const W: usize>(one: usize, other: usize) {
    check(2, move || {
        let table = table::<W>();
        let mut first = table.claim().unwrap();
        let (seen, left) = (first.waker(one), first.waker(other));
        seen.wake();
        left.wake_by_ref();
        assert_eq!(first.next(), Some(one));
        // It has taken what leads to the other word, and goes before it looks there.
        drop(first);

        let mut second = table.claim().unwrap();
        let (written, thread) = write_and_wake(second.waker(other));
        second.until(other, || written.is_there());
        assert_eq!(written.read(), 1);
        thread.join().unwrap();
    });
}

#[test]
fn an_owner_that_leaves_takes_its_own_waker_and_no_other() {
    check(2, || {
        let table = table::<1>();
        let first = table.claim().unwrap();
        let leaving = thread::spawn(move || drop(first));
        if let Some(mut second) = table.claim() {
            let (written, thread) = write_and_wake(second.waker(0));
            second.until(0, || written.is_there());
            assert_eq!(written.read(), 1);
            thread.join().unwrap();
        }
        leaving.join().unwrap();
        assert!(table.claim().is_some());
    });
}

#[test]
fn an_owner_that_leaves_while_it_is_woken_leaves_nothing_behind() {
    struct Task;
    impl alloc::task::Wake for Task {
        fn wake(self: alloc::sync::Arc<Self>) {}
    }

    check(3, || {
        let table = table::<1>();
        let task = alloc::sync::Arc::new(Task);
        let mut first = table.claim().unwrap();
        let stale = first.waker(0);
        assert_eq!(first.next(), None);
        assert!(first.sleep(&Waker::from(task.clone())));
        let noise = thread::spawn(move || stale.wake());
        drop(first);
        noise.join().unwrap();
        assert_eq!(alloc::sync::Arc::strong_count(&task), 1, "the table does not keep its waker");
    });
}

#[test]
fn a_waker_finds_its_place_in_every_word() {
    check(1, || {
        let table = table::<{ NEAR + 2 }>();
        let mut claimed = table.claim().unwrap();
        let far = [NEAR * BITS - 1, NEAR * BITS, (NEAR + 2) * BITS - 1];
        for number in [0, 1, BITS - 1, BITS, 2 * BITS - 1, 2 * BITS, 3 * BITS - 1].into_iter().chain(far) {
            claimed.waker(number).wake();
            assert_eq!((claimed.next(), claimed.next()), (Some(number), None));
        }
        assert!(claimed.waker(7).will_wake(&claimed.waker(7)));
        assert!(!claimed.waker(7).will_wake(&claimed.waker(8)));
    });
}
