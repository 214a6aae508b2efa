//! A waker that runs a closure when it is woken, cloned or dropped. For one thread.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::mem::ManuallyDrop;
use std::rc::Rc;
use std::task::{RawWaker, RawWakerVTable, Waker};

type Hook = RefCell<Option<Box<dyn FnOnce()>>>;

/// Each hook runs once, at the next event of its kind after it was set; further events only count.
#[derive(Default)]
pub struct Hooked {
    on_wake: Hook,
    on_clone: Hook,
    on_drop: Hook,
    wakes: Cell<usize>,
    /// Wakers alive.
    alive: Cell<usize>,
}

impl Hooked {
    pub fn new() -> Rc<Self> {
        Rc::default()
    }

    /// A waker that must stay on this thread.
    pub fn waker(self: &Rc<Self>) -> Waker {
        self.alive.set(self.alive.get() + 1);
        // SAFETY: the table keeps the contract of `RawWaker` (each waker owns one count of the `Rc`) but for threads: the
        // tests that use this never let the waker leave its thread.
        unsafe { Waker::from_raw(RawWaker::new(Rc::into_raw(self.clone()).cast(), &TABLE)) }
    }

    pub fn on_wake(&self, f: impl FnOnce() + 'static) {
        *self.on_wake.borrow_mut() = Some(Box::new(f));
    }

    pub fn on_clone(&self, f: impl FnOnce() + 'static) {
        *self.on_clone.borrow_mut() = Some(Box::new(f));
    }

    pub fn on_drop(&self, f: impl FnOnce() + 'static) {
        *self.on_drop.borrow_mut() = Some(Box::new(f));
    }

    pub fn wakes(&self) -> usize {
        self.wakes.get()
    }

    /// Wakers alive: 0 when nobody keeps one.
    pub fn alive(&self) -> usize {
        self.alive.get()
    }

    /// Whether every hook that was set has run.
    pub fn has_run(&self) -> bool {
        self.on_wake.borrow().is_none() && self.on_clone.borrow().is_none() && self.on_drop.borrow().is_none()
    }
}

impl fmt::Debug for Hooked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooked").field("wakes", &self.wakes).field("alive", &self.alive).finish_non_exhaustive()
    }
}

fn run(hook: &Hook) {
    // Taken out first: the hook may cause the next event.
    let hook = hook.borrow_mut().take();
    if let Some(hook) = hook {
        hook();
    }
}

static TABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, drop_waker);

/// Looks at the waker without taking its count.
unsafe fn borrow(data: *const ()) -> ManuallyDrop<Rc<Hooked>> {
    // SAFETY: `data` came from `Rc::into_raw` in `waker` or `clone`, and its waker is alive.
    ManuallyDrop::new(unsafe { Rc::from_raw(data.cast()) })
}

unsafe fn clone(data: *const ()) -> RawWaker {
    // SAFETY: the caller's waker is alive.
    let hooked = unsafe { borrow(data) };
    run(&hooked.on_clone);
    hooked.alive.set(hooked.alive.get() + 1);
    RawWaker::new(Rc::into_raw(Rc::clone(&hooked)).cast(), &TABLE)
}

unsafe fn wake(data: *const ()) {
    // SAFETY: the caller gives its waker up, and with it its count.
    let hooked: Rc<Hooked> = unsafe { Rc::from_raw(data.cast()) };
    hooked.alive.set(hooked.alive.get() - 1);
    hooked.wakes.set(hooked.wakes.get() + 1);
    run(&hooked.on_wake);
}

unsafe fn wake_by_ref(data: *const ()) {
    // SAFETY: the caller's waker is alive.
    let hooked = unsafe { borrow(data) };
    hooked.wakes.set(hooked.wakes.get() + 1);
    run(&hooked.on_wake);
}

unsafe fn drop_waker(data: *const ()) {
    // SAFETY: the caller gives its waker up, and with it its count.
    let hooked: Rc<Hooked> = unsafe { Rc::from_raw(data.cast()) };
    hooked.alive.set(hooked.alive.get() - 1);
    run(&hooked.on_drop);
}
