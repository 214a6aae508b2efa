//! Wakers that come back to the semaphore: when they are woken, cloned, replaced, cancelled, and when they panic.
//!
//! The table is that of the probe of other crates: every moment at which a waker's code runs, times everything that it may
//! do to the semaphore then. A deadlock is found by a time limit, a lost wake or permit by the bookkeeping.
#![cfg(any(feature = "std", feature = "critical-section"))]
#![allow(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "tests always have std")]

mod support;

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Poll, Waker};

use support::hooked::Hooked;
use support::watched_lock::WatchedLock;
use support::{Wakes, forever, in_time, panic_of, pending, poll, poll_with, ready, text_of};
use tollgate::{Acquire, Closed, DefaultLock, LocalLock, Permit, RawLock, Semaphore, TryAcquireError};

type Pinned<L> = Pin<Box<Acquire<'static, L>>>;

/// A future and how many permits it wants.
type Wanting<L> = (usize, Pinned<L>);

/// A semaphore with everything that is out of it, and the number of permits that should exist.
struct Scene<L: RawLock + 'static> {
    gate: &'static Semaphore<L>,
    total: Cell<isize>,
    lent: RefCell<Vec<Permit<'static, L>>>,
    /// Queued futures that a hook may cancel, or adds to.
    parked: RefCell<Vec<Wanting<L>>>,
    /// The future whose waker is hooked.
    subject: RefCell<Option<Wanting<L>>>,
    hooked: Rc<Hooked>,
}

impl<L: RawLock + 'static> Scene<L> {
    /// `permits` permits, all of them lent.
    fn new(permits: usize) -> Rc<Self> {
        let gate = forever(Semaphore::<L>::with_lock(permits));
        let lent = (0..permits).map(|_| gate.try_acquire().unwrap()).collect();
        Rc::new(Self {
            gate,
            total: Cell::new(permits as isize),
            lent: RefCell::new(lent),
            parked: RefCell::default(),
            subject: RefCell::default(),
            hooked: Hooked::new(),
        })
    }

    fn exist(&self, more: isize) {
        self.total.set(self.total.get() + more);
    }

    fn queue(&self, n: usize) {
        let mut acquire = Box::pin(self.gate.acquire_many(n));
        pending(acquire.as_mut());
        self.parked.borrow_mut().push((n, acquire));
    }

    /// Makes the hooked waiter.
    fn queue_subject(&self, n: usize) {
        let mut acquire = Box::pin(self.gate.acquire_many(n));
        let waker = self.hooked.waker();
        assert!(poll_with(acquire.as_mut(), &waker).is_pending());
        self.set_subject(n, acquire);
    }

    fn set_subject(&self, n: usize, acquire: Pinned<L>) {
        *self.subject.borrow_mut() = Some((n, acquire));
    }

    fn take_subject(&self) -> Pinned<L> {
        self.subject.borrow_mut().take().unwrap().1
    }

    /// Gives one permit back. The borrow ends before: giving back runs wakers.
    fn release(&self) {
        let permit = self.lent.borrow_mut().pop();
        drop(permit);
    }

    fn cancel_parked(&self) {
        let parked = self.parked.borrow_mut().pop();
        drop(parked);
    }

    fn keep(&self, permit: Permit<'static, L>) {
        self.lent.borrow_mut().push(permit);
    }

    /// Polls the subject, if it is there, and keeps what it gets.
    fn poll_subject(&self, waker: &Waker) {
        let Some((n, mut acquire)) = self.subject.borrow_mut().take() else { return };
        match poll_with(acquire.as_mut(), waker) {
            Poll::Ready(Ok(permit)) => self.keep(permit),
            Poll::Ready(Err(Closed)) => assert!(self.gate.is_closed()),
            Poll::Pending => self.set_subject(n, acquire),
        }
    }

    fn cancel_subject(&self) {
        let subject = self.subject.borrow_mut().take();
        drop(subject);
    }

    /// Nobody waits for what is free, nothing is lost, and all comes back in the end.
    fn settle(&self, cell: &str) {
        let idle = Waker::noop();
        for _ in 0..2 {
            self.poll_subject(idle);
            let parked = self.parked.take();
            for (n, mut acquire) in parked {
                match poll(acquire.as_mut()) {
                    Poll::Ready(Ok(permit)) => self.keep(permit),
                    Poll::Ready(Err(Closed)) => assert!(self.gate.is_closed(), "{cell}"),
                    Poll::Pending => self.parked.borrow_mut().push((n, acquire)),
                }
            }
        }
        let wanted: Vec<_> = self.parked.borrow().iter().chain(&*self.subject.borrow()).map(|(n, _)| *n).collect();
        let waiting = wanted.len();
        assert_eq!(self.gate.waiters(), waiting, "{cell}: a queue of those that wait");
        let most = wanted.into_iter().max().unwrap_or(usize::MAX);
        assert!(self.gate.available_permits() < most, "{cell}: waiting in vain");
        if self.gate.is_closed() {
            assert_eq!(waiting, 0, "{cell}: closed, and somebody waits");
        }
        self.cancel_subject();
        drop(self.parked.take());
        drop(self.lent.take());
        assert_eq!(self.gate.waiters(), 0, "{cell}");
        assert_eq!(self.gate.available_permits() as isize, self.total.get().max(0), "{cell}: permits lost or made");
        assert_eq!(self.hooked.alive(), 0, "{cell}: a waker was kept");
    }
}

type Action<L> = (&'static str, fn(&Scene<L>));

/// What a hook does to the semaphore.
fn actions<L: RawLock + 'static>() -> Vec<Action<L>> {
    vec![
        ("looks", |scene| {
            let _ = (scene.gate.available_permits(), scene.gate.waiters(), scene.gate.is_closed());
            let _ = format!("{:?}", scene.gate);
        }),
        ("tries", |scene| match scene.gate.try_acquire() {
            Ok(permit) => scene.keep(permit),
            Err(TryAcquireError::NoPermits) => {}
            Err(TryAcquireError::Closed) => assert!(scene.gate.is_closed()),
        }),
        ("tries barging", |scene| {
            if let Ok(permit) = scene.gate.try_acquire_barging() {
                scene.keep(permit);
            }
        }),
        ("acquires and gives up", |scene| drop(poll(Box::pin(scene.gate.acquire()).as_mut()))),
        ("acquires and stays", |scene| {
            let mut acquire = Box::pin(scene.gate.acquire());
            match poll(acquire.as_mut()) {
                Poll::Ready(permit) => permit.into_iter().for_each(|permit| scene.keep(permit)),
                Poll::Pending => scene.parked.borrow_mut().push((1, acquire)),
            }
        }),
        ("acquires ahead of all and stays", |scene| {
            let mut acquire = Box::pin(scene.gate.acquire().priority(255));
            match poll(acquire.as_mut()) {
                Poll::Ready(permit) => permit.into_iter().for_each(|permit| scene.keep(permit)),
                Poll::Pending => scene.parked.borrow_mut().push((1, acquire)),
            }
        }),
        ("gives back", Scene::release),
        ("adds one", |scene| {
            scene.exist(1);
            scene.gate.add_permits(1);
        }),
        ("adds twenty", |scene| {
            scene.exist(20);
            scene.gate.add_permits(20);
        }),
        ("forgets one", |scene| scene.exist(-(scene.gate.forget_permits(1) as isize))),
        ("reduces by one", |scene| {
            scene.exist(-1);
            scene.gate.reduce_permits(1);
        }),
        ("sets a limit", |scene| {
            scene.total.set(3);
            scene.gate.set_limit(3);
        }),
        ("closes", |scene| scene.gate.close()),
        ("cancels another", Scene::cancel_parked),
        ("cancels all others", |scene| drop(scene.parked.take())),
        ("gives all back", |scene| drop(scene.lent.take())),
    ]
}

type Act<L> = fn(&Rc<Scene<L>>, Box<dyn FnOnce()>);

/// Runs `act` with every action, each cell with a time limit of its own.
fn table<L: RawLock + 'static>(moment: &'static str, act: Act<L>) {
    for (place, (action, _)) in actions::<L>().into_iter().enumerate() {
        let lock = std::any::type_name::<L>();
        let cell = format!("{lock}: a waker that {action} on {moment}");
        in_time(&cell.clone(), move || {
            // One permit, out; room for others around the subject is made by the moment itself.
            let scene = Scene::<L>::new(2);
            let hook = {
                let scene = scene.clone();
                Box::new(move || actions::<L>()[place].1(&scene))
            };
            act(&scene, hook);
            assert!(scene.hooked.has_run(), "{cell}: its moment did not come");
            scene.settle(&cell);
        });
    }
}

/// A moment, for every lock.
macro_rules! moments {
    ($($name:ident: $moment:literal => |$scene:ident, $hook:ident| $act:block)*) => {$(
        #[test]
        fn $name() {
            fn act<L: RawLock + 'static>($scene: &Rc<Scene<L>>, $hook: Box<dyn FnOnce()>) $act
            table::<DefaultLock>($moment, act);
            table::<LocalLock>($moment, act);
            table::<WatchedLock>($moment, act);
        }
    )*};
}

moments! {
    a_waker_may_come_back_when_a_release_wakes_it: "the wake of a release" => |scene, hook| {
        scene.queue_subject(1);
        scene.queue(1);
        scene.hooked.on_wake(hook);
        scene.release();
    }

    a_waker_may_come_back_when_added_permits_wake_it: "the wake of added permits" => |scene, hook| {
        scene.queue_subject(1);
        scene.queue(2);
        scene.queue(1);
        scene.hooked.on_wake(hook);
        scene.exist(2);
        scene.gate.add_permits(2);
    }

    a_waker_may_come_back_when_a_limit_wakes_it: "the wake of a limit" => |scene, hook| {
        scene.queue_subject(1);
        scene.queue(1);
        scene.hooked.on_wake(hook);
        // Before the call, for the hook may set another.
        scene.total.set(4);
        scene.gate.set_limit(4);
    }

    a_waker_may_come_back_when_the_close_wakes_it: "the wake of the close" => |scene, hook| {
        scene.queue(1);
        scene.queue_subject(1);
        scene.queue(1);
        scene.hooked.on_wake(hook);
        scene.gate.close();
    }

    a_waker_may_come_back_when_the_cancelled_head_wakes_it: "the wake of a head's cancel" => |scene, hook| {
        scene.queue(2);
        scene.queue_subject(1);
        scene.hooked.on_wake(hook);
        scene.release();
        assert_eq!(scene.hooked.wakes(), 0);
        scene.cancel_parked();
    }

    a_waker_may_come_back_when_the_reset_head_wakes_it: "the wake of a head's reset" => |scene, hook| {
        scene.queue(2);
        scene.queue_subject(1);
        scene.hooked.on_wake(hook);
        scene.release();
        let (_, mut head) = scene.parked.borrow_mut().pop().unwrap();
        head.as_mut().reset(1);
        drop(head);
    }

    a_waker_may_come_back_when_a_dropped_grant_wakes_it: "the wake of a dropped grant" => |scene, hook| {
        scene.queue(1);
        scene.queue_subject(1);
        scene.hooked.on_wake(hook);
        scene.release();
        assert_eq!(scene.hooked.wakes(), 0);
        scene.cancel_parked();
    }

    a_waker_may_come_back_amid_a_large_batch: "a wake amid thirty" => |scene, hook| {
        (0..11).for_each(|_| scene.queue(1));
        scene.queue_subject(1);
        (0..18).for_each(|_| scene.queue(1));
        scene.hooked.on_wake(hook);
        scene.exist(30);
        scene.gate.add_permits(30);
    }

    a_waker_may_come_back_amid_a_large_close: "a wake amid a close of thirty" => |scene, hook| {
        (0..11).for_each(|_| scene.queue(1));
        scene.queue_subject(1);
        (0..18).for_each(|_| scene.queue(1));
        scene.hooked.on_wake(hook);
        scene.gate.close();
    }

    a_replaced_waker_may_come_back_when_it_is_dropped: "the drop of a replaced waker" => |scene, hook| {
        scene.queue_subject(1);
        scene.queue(1);
        scene.hooked.on_drop(hook);
        scene.poll_subject(Waker::noop());
    }

    a_cancelled_waker_may_come_back_when_it_is_dropped: "the drop of a cancelled waker" => |scene, hook| {
        scene.queue(1);
        scene.queue_subject(1);
        scene.queue(1);
        scene.hooked.on_drop(hook);
        scene.cancel_subject();
    }

    the_waker_of_a_cancelled_head_may_come_back_when_it_is_dropped: "the drop of a cancelled head's waker" => |scene, hook| {
        scene.queue_subject(2);
        scene.queue(1);
        scene.release();
        scene.hooked.on_drop(hook);
        scene.cancel_subject();
    }

    the_waker_of_a_reset_future_may_come_back_when_it_is_dropped: "the drop of a reset future's waker" => |scene, hook| {
        scene.queue_subject(1);
        scene.queue(1);
        scene.hooked.on_drop(hook);
        let mut subject = scene.take_subject();
        subject.as_mut().reset(2);
        scene.set_subject(2, subject);
    }

    a_waker_may_come_back_when_the_first_poll_clones_it: "the clone of a first poll" => |scene, hook| {
        scene.queue(1);
        scene.hooked.on_clone(hook);
        scene.set_subject(1, Box::pin(scene.gate.acquire()));
        scene.poll_subject(&scene.hooked.waker());
    }

    a_waker_may_come_back_when_an_only_waiter_clones_it: "the clone of an only waiter" => |scene, hook| {
        scene.hooked.on_clone(hook);
        scene.set_subject(2, Box::pin(scene.gate.acquire_many(2)));
        scene.poll_subject(&scene.hooked.waker());
    }

    a_waker_may_come_back_when_a_later_poll_clones_it: "the clone of a later poll" => |scene, hook| {
        scene.set_subject(1, Box::pin(scene.gate.acquire()));
        scene.poll_subject(Waker::noop());
        scene.queue(1);
        scene.hooked.on_clone(hook);
        scene.poll_subject(&scene.hooked.waker());
    }

    a_waker_may_come_back_when_the_first_poll_of_an_enrolled_future_clones_it: "the clone after enrolling" => |scene, hook| {
        let mut acquire = Box::pin(scene.gate.acquire());
        acquire.as_mut().enroll();
        scene.queue(1);
        scene.set_subject(1, acquire);
        scene.hooked.on_clone(hook);
        scene.poll_subject(&scene.hooked.waker());
    }
}

// === the woken future itself ===

#[test]
fn a_waker_may_poll_the_woken_future_inline() {
    fn check<L: RawLock + 'static>(wake: fn(&Scene<L>), gets_permit: bool) {
        let scene = Scene::<L>::new(2);
        scene.queue_subject(2);
        scene.hooked.on_wake({
            let scene = scene.clone();
            move || scene.poll_subject(Waker::noop())
        });
        wake(&scene);
        assert!(scene.hooked.has_run() && scene.subject.borrow().is_none(), "the inline poll had its output");
        assert_eq!(scene.lent.borrow().iter().any(|permit| permit.permits() == 2), gets_permit);
        scene.settle("inline poll");
    }
    fn all<L: RawLock + 'static>() {
        check::<L>(|scene| (0..2).for_each(|_| scene.release()), true);
        check::<L>(|scene| scene.gate.close(), false);
        check::<L>(
            |scene| {
                scene.exist(2);
                scene.gate.add_permits(2);
            },
            true,
        );
        check::<L>(
            |scene| {
                scene.total.set(4);
                scene.gate.set_limit(4);
            },
            true,
        );
    }
    in_time("inline polls", || {
        all::<DefaultLock>();
        all::<LocalLock>();
        all::<WatchedLock>();
    });
}

#[test]
fn a_waker_may_drop_the_woken_future() {
    in_time("a drop inside the wake", || {
        for closing in [false, true] {
            let scene = Scene::<DefaultLock>::new(1);
            scene.queue_subject(1);
            scene.queue(1);
            scene.hooked.on_wake({
                let scene = scene.clone();
                move || scene.cancel_subject()
            });
            if closing {
                scene.gate.close();
            } else {
                scene.release();
                let (_, mut next) = scene.parked.borrow_mut().pop().unwrap();
                scene.keep(ready(next.as_mut()).expect("the dropped grant went on"));
            }
            scene.settle("dropped inside its wake");
        }
    });
}

#[test]
fn a_waker_may_reset_the_woken_future_and_queue_it_again() {
    in_time("a reset inside the wake", || {
        let scene = Scene::<DefaultLock>::new(1);
        scene.queue_subject(1);
        scene.hooked.on_wake({
            let scene = scene.clone();
            move || {
                let mut subject = scene.take_subject();
                subject.as_mut().reset(2);
                pending(subject.as_mut());
                scene.set_subject(2, subject);
            }
        });
        scene.release();
        assert_eq!((scene.gate.available_permits(), scene.gate.waiters()), (1, 1));
        scene.cancel_subject();
        scene.settle("reset inside its wake");
    });
}

#[test]
fn a_chain_of_inline_polls_runs_through_the_whole_queue() {
    // Each wake polls its future at once, which gives its permit back at once, which wakes the next, inside the first call.
    in_time("a chain of wakes", || {
        let gate = forever(Semaphore::new(1));
        let held = gate.try_acquire().unwrap();
        let order = Rc::new(RefCell::new(Vec::new()));
        for place in 0..100 {
            let hooked = Hooked::new();
            let mut acquire = Box::pin(gate.acquire());
            assert!(poll_with(acquire.as_mut(), &hooked.waker()).is_pending());
            let order = order.clone();
            hooked.on_wake(move || {
                let permit = ready(acquire.as_mut()).expect("woken, so granted");
                order.borrow_mut().push(place);
                drop(permit);
            });
        }
        drop(held);
        assert!(order.borrow().iter().copied().eq(0..100), "{:?}", order.borrow());
        assert_eq!((gate.available_permits(), gate.waiters()), (1, 0));
    });
}

#[test]
fn wakers_that_queue_a_newcomer_at_every_wake_keep_the_order() {
    in_time("newcomers at every wake", || {
        let gate = forever(Semaphore::new(0));
        let newcomers = Rc::new(RefCell::new(Vec::new()));
        let mut waiting = Vec::new();
        for _ in 0..20 {
            let hooked = Hooked::new();
            let mut acquire = Box::pin(gate.acquire());
            assert!(poll_with(acquire.as_mut(), &hooked.waker()).is_pending());
            hooked.on_wake({
                let newcomers = newcomers.clone();
                move || {
                    let mut newcomer = Box::pin(gate.acquire());
                    let _ = poll(newcomer.as_mut()).map(|permit| permit.unwrap().forget());
                    newcomers.borrow_mut().push(newcomer);
                }
            });
            waiting.push(acquire);
        }
        gate.add_permits(20);
        assert!(waiting.iter_mut().all(|acquire| poll(acquire.as_mut()).map(|it| it.unwrap().forget()).is_ready()));
        assert_eq!(
            (gate.waiters(), gate.available_permits()),
            (20, 0),
            "no newcomer took what was meant for the queue"
        );
        newcomers.borrow_mut().clear();
        assert_eq!(gate.waiters(), 0);
    });
}

// === panics ===

/// How a queue of twenty waiters comes to be woken.
type Way = (&'static str, fn(&mut Crowd));

struct Crowd {
    gate: &'static Semaphore,
    head: Option<Pinned<DefaultLock>>,
    held: Option<Permit<'static>>,
}

const WAYS: [Way; 6] = [
    ("a release", |crowd| drop(crowd.held.take())),
    ("added permits", |crowd| crowd.gate.add_permits(20)),
    ("a limit", |crowd| crowd.gate.set_limit(40)),
    ("the close", |crowd| crowd.gate.close()),
    ("the head's cancel", |crowd| drop(crowd.head.take())),
    ("the head's reset", |crowd| crowd.head.as_mut().unwrap().as_mut().reset(1)),
];

/// Twenty waiters of which those in `broken` panic when woken, woken in every way.
fn crowd_with_panicking(broken: &'static [usize]) {
    for (way, wake) in WAYS {
        in_time(way, move || {
            let gate = forever(Semaphore::new(20));
            let mut crowd = Crowd { gate, head: None, held: gate.try_acquire_many(20).ok() };
            let starts_with_head = way.contains("head");
            if starts_with_head {
                let mut head = Box::pin(gate.acquire_many(21));
                pending(head.as_mut());
                crowd.head = Some(head);
            }
            let mut waiting: Vec<_> =
                (0..20).map(|_| (Box::pin(gate.acquire()), Wakes::new(), Hooked::new())).collect();
            for (place, (acquire, (_, waker), hooked)) in waiting.iter_mut().enumerate() {
                if broken.contains(&place) {
                    hooked.on_wake(move || panic!("waker {place} panics"));
                    assert!(poll_with(acquire.as_mut(), &hooked.waker()).is_pending());
                } else {
                    assert!(poll_with(acquire.as_mut(), waker).is_pending());
                }
            }
            if starts_with_head {
                drop(crowd.held.take());
                assert_eq!(gate.waiters(), 21);
            }
            let outcome = catch_unwind(AssertUnwindSafe(|| wake(&mut crowd)));
            let text = text_of(&*outcome.expect_err("the panic goes on to whoever woke"));
            assert!(text.starts_with("waker "), "{way}: {text}");
            for (place, (acquire, (wakes, _), hooked)) in waiting.iter_mut().enumerate() {
                let count = wakes.count() + hooked.wakes();
                assert_eq!(count, 1, "{way} with panics in {broken:?}: waker {place} was woken {count} times");
                match ready(acquire.as_mut()) {
                    Ok(permit) => permit.forget(),
                    Err(Closed) => assert_eq!(way, "the close"),
                }
            }
            drop((waiting, crowd));
            assert_eq!(gate.waiters(), 0, "{way}");
            let left = if ["added permits", "a limit", "the close"].contains(&way) { 20 } else { 0 };
            assert_eq!(gate.available_permits(), left, "{way}");
        });
    }
}

#[test]
fn a_panic_in_the_first_waker_loses_nobodys_wake() {
    crowd_with_panicking(&[0]);
}

#[test]
fn a_panic_in_the_last_waker_loses_nobodys_wake() {
    crowd_with_panicking(&[19]);
}

#[test]
fn a_panic_at_the_end_of_a_batch_loses_nobodys_wake() {
    crowd_with_panicking(&[7]);
    crowd_with_panicking(&[8]);
}

/// Without std a panic cannot be held back, and a second one during the first ends the process.
#[cfg(feature = "std")]
#[test]
fn panics_in_several_wakers_lose_nobodys_wake() {
    crowd_with_panicking(&[0, 1, 9, 18, 19]);
    crowd_with_panicking(&[7, 8, 15, 16]);
    crowd_with_panicking(&[3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
}

#[cfg(feature = "std")]
#[test]
fn panics_in_all_wakers_leave_a_semaphore_that_works() {
    crowd_with_panicking(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19]);
}

#[test]
fn a_panic_while_a_waker_is_cloned_leaves_the_future_and_the_semaphore_usable() {
    in_time("a panicking clone", || {
        let gate = forever(Semaphore::new(0));
        let hooked = Hooked::new();
        let waker = hooked.waker();
        let mut acquire = Box::pin(gate.acquire());
        hooked.on_clone(|| panic!("no clones"));
        assert_eq!(panic_of(|| poll_with(acquire.as_mut(), &waker).is_ready()), "no clones");
        // Polled again it works, wherever the panic left it.
        let (wakes, sound) = Wakes::new();
        assert!(poll_with(acquire.as_mut(), &sound).is_pending());
        assert_eq!(gate.waiters(), 1);
        hooked.on_clone(|| panic!("no clones"));
        assert_eq!(panic_of(|| poll_with(acquire.as_mut(), &waker).is_ready()), "no clones");
        let other_wakes = hooked.wakes();
        gate.add_permits(1);
        assert_eq!(wakes.count() + hooked.wakes() - other_wakes, 1, "the old waker stays");
        drop(ready(acquire.as_mut()).unwrap());

        let mut dropped = Box::pin(gate.acquire_many(2));
        hooked.on_clone(|| panic!("no clones"));
        panic_of(|| poll_with(dropped.as_mut(), &waker).is_ready());
        drop(dropped);
        assert_eq!((gate.waiters(), gate.available_permits()), (0, 1));
        drop(waker);
        assert_eq!(hooked.alive(), 0);
    });
}

#[test]
fn a_panic_while_a_waker_is_cloned_does_not_block_those_behind() {
    in_time("a panicking clone at the head", || {
        let gate = forever(Semaphore::new(0));
        let hooked = Hooked::new();
        let mut head = Box::pin(gate.acquire());
        hooked.on_clone(|| panic!("no clones"));
        panic_of(|| poll_with(head.as_mut(), &hooked.waker()).is_ready());
        let (wakes, waker) = Wakes::new();
        let mut behind = Box::pin(gate.acquire());
        assert!(poll_with(behind.as_mut(), &waker).is_pending());
        drop(head);
        gate.add_permits(1);
        assert_eq!(wakes.count(), 1);
        assert!(ready(behind.as_mut()).is_ok());
    });
}

#[test]
fn a_panic_while_a_replaced_waker_is_dropped_leaves_the_new_one_in_place() {
    in_time("a panicking drop", || {
        let gate = forever(Semaphore::new(0));
        let hooked = Hooked::new();
        let mut acquire = Box::pin(gate.acquire());
        assert!(poll_with(acquire.as_mut(), &hooked.waker()).is_pending());
        hooked.on_drop(|| panic!("no drops"));
        let (wakes, waker) = Wakes::new();
        assert_eq!(panic_of(|| poll_with(acquire.as_mut(), &waker).is_ready()), "no drops");
        gate.add_permits(1);
        assert_eq!(wakes.count(), 1);
        assert!(ready(acquire.as_mut()).is_ok());
    });
}

#[test]
fn a_panic_while_a_cancelled_waker_is_dropped_still_cancels_and_serves_those_behind() {
    in_time("a panicking drop at a cancel", || {
        let gate = forever(Semaphore::new(1));
        let hooked = Hooked::new();
        let mut head = Box::pin(gate.acquire_many(2));
        assert!(poll_with(head.as_mut(), &hooked.waker()).is_pending());
        let (wakes, waker) = Wakes::new();
        let mut behind = Box::pin(gate.acquire());
        assert!(poll_with(behind.as_mut(), &waker).is_pending());
        hooked.on_drop(|| panic!("no drops"));
        assert_eq!(panic_of(move || drop(head)), "no drops");
        assert_eq!((wakes.count(), gate.waiters()), (1, 0));
        assert!(ready(behind.as_mut()).is_ok());
    });
}

#[test]
fn a_panic_in_a_waker_during_a_merge_of_foreign_permits_is_not_needed_for_both_to_come_back() {
    // The panic is the merge's own; what is given back on the way out wakes as usual.
    in_time("a foreign merge with waiters", || {
        let ours = forever(Semaphore::new(1));
        let theirs = forever(Semaphore::new(1));
        let (mut one, two) = (ours.try_acquire().unwrap(), theirs.try_acquire().unwrap());
        let (wakes, waker) = Wakes::new();
        let mut waiting = [Box::pin(ours.acquire()), Box::pin(theirs.acquire())];
        for acquire in &mut waiting {
            assert!(poll_with(acquire.as_mut(), &waker).is_pending());
        }
        panic_of(move || one.merge(two));
        assert_eq!(wakes.count(), 2);
        assert!(waiting.iter_mut().all(|acquire| ready(acquire.as_mut()).is_ok()));
    });
}
