//! The platform: the only file that knows core, std, critical-section, portable-atomic and loom.
//!
//! Everything above uses these names and has no `cfg` of its own inside an algorithm.
//!
//! | name | loom build | std | no std |
//! |---|---|---|---|
//! | atomics | loom's | core's, or portable-atomic's under that feature | same |
//! | [`UnsafeCell`] | loom's, which sees races | a transparent wrapper | same |
//! | [`DefaultLock`] | loom's mutex | std's mutex | critical-section, or a compile error at first use |
//!
//! # Invariants
//!
//! * **S1** While a closure runs in [`RawLock::with`], no other one does in the same lock, and it sees what those before it did.
//! * **S2** The cell of loom's `AtomicWaker` belongs to whoever brought its state from `WAITING` to another one, until they bring
//!   it back.

use core::fmt;
use core::marker::PhantomData;

pub(crate) use core::sync::atomic::Ordering;

#[allow(unused_imports, reason = "what is used of the platform depends on the features")]
mod atomics {
    #[cfg(all(not(tollgate_loom), not(feature = "portable-atomic")))]
    pub(crate) use core::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize};
    #[cfg(tollgate_loom)]
    pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize};
    #[cfg(all(not(tollgate_loom), feature = "portable-atomic"))]
    pub(crate) use portable_atomic::{AtomicBool, AtomicU8, AtomicUsize};

    #[cfg(tollgate_loom)]
    pub(crate) use super::loom_waker::AtomicWaker;
    #[cfg(not(tollgate_loom))]
    pub(crate) use futures_util::task::AtomicWaker;
}
#[allow(unused_imports, reason = "as above")]
pub(crate) use atomics::*;

#[cfg(tollgate_loom)]
pub(crate) use loom::cell::UnsafeCell;

/// A cell with loom's interface, so that the same code runs under loom, which checks each access.
#[cfg(not(tollgate_loom))]
#[derive(Debug)]
#[repr(transparent)]
pub(crate) struct UnsafeCell<T>(core::cell::UnsafeCell<T>);

#[cfg(not(tollgate_loom))]
impl<T> UnsafeCell<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(core::cell::UnsafeCell::new(value))
    }

    /// Hands out a pointer that is only read through.
    #[inline(always)]
    pub(crate) fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
        f(self.0.get())
    }

    /// Hands out a pointer that may be written through.
    #[inline(always)]
    pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        f(self.0.get())
    }
}

/// Reads an atomic that is about to be changed by compare-and-swap or fetch-and-add. Relaxed: the change decides.
#[cfg(not(tollgate_loom))]
#[inline(always)]
pub(crate) fn peek(atomic: &AtomicUsize) -> usize {
    atomic.load(Ordering::Relaxed)
}

/// The same for loom, as a swap that fails.
///
/// Loom remembers one access for each atomic, the last. A plain load here would hide another thread's earlier load from
/// the change that follows, and the schedules in which the two come the other way round would never be tried.
#[cfg(tollgate_loom)]
pub(crate) fn peek(atomic: &AtomicUsize) -> usize {
    match atomic.compare_exchange(usize::MAX, usize::MAX, Ordering::Relaxed, Ordering::Relaxed) {
        Ok(value) | Err(value) => value,
    }
}

/// Emits a `const fn`, or a plain `fn` under loom, whose atomics and cells have no const constructor.
macro_rules! const_fn {
    ($(#[$meta:meta])* $vis:vis const fn $($rest:tt)*) => {
        #[cfg(not(tollgate_loom))]
        $(#[$meta])* $vis const fn $($rest)*
        #[cfg(tollgate_loom)]
        $(#[$meta])* $vis fn $($rest)*
    };
}
pub(crate) use const_fn;

/// Makes a lock of type `$L: RawLock`, in const context where there is one.
macro_rules! new_lock {
    ($L:ty) => {{
        #[cfg(not(tollgate_loom))]
        let lock = <$L as $crate::sync::RawLock>::INIT;
        #[cfg(tollgate_loom)]
        let lock = <$L as $crate::sync::RawLock>::init();
        lock
    }};
}
pub(crate) use new_lock;

/// Makes an array of `$n` times `$value`, in const context where atomics can be made there.
macro_rules! new_array {
    ($value:expr; $n:expr) => {{
        #[cfg(not(tollgate_loom))]
        let array = [const { $value }; $n];
        #[cfg(tollgate_loom)]
        let array = core::array::from_fn(|_| $value);
        array
    }};
}
pub(crate) use new_array;

/// Compiles its items where [`DefaultLock`] can be made without naming another lock.
macro_rules! if_default_lock {
    ($($item:item)*) => {$(
        #[cfg(any(feature = "std", feature = "critical-section", tollgate_loom))]
        $item
    )*};
}
pub(crate) use if_default_lock;

/// A lock in closure form: what the crate's waiting queues are protected by.
///
/// The closure form fits a mutex, a critical section and "nothing at all" alike; a guard form does not fit a critical
/// section. The crate never calls user code (wakers, futures, closures) inside [`with`](Self::with), never calls it
/// recursively on one lock, and keeps it for a bounded number of steps.
///
/// [`DefaultLock`] and [`LocalLock`] are ready made. Implement the trait for a lock of your platform:
///
/// ```
/// use tollgate::{RawLock, Semaphore};
///
/// struct Mine(std::sync::Mutex<()>);
///
/// // SAFETY: the mutex is held while the closure runs, so two closures never overlap.
/// unsafe impl RawLock for Mine {
///     const INIT: Self = Self(std::sync::Mutex::new(()));
///     fn with<R>(&self, f: impl FnOnce() -> R) -> R {
///         let _guard = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
///         f()
///     }
/// }
///
/// static GATE: Semaphore<Mine> = Semaphore::with_lock(2);
/// assert!(GATE.try_acquire().is_ok());
/// ```
///
/// # Safety
///
/// For one lock value, two closures never run at the same time, and what the earlier one wrote is visible to the later.
/// "At the same time" includes an interrupt handler that comes between. Where [`EXCLUSIVE`](Self::EXCLUSIVE) is true,
/// the type must not be `Sync`.
pub unsafe trait RawLock: Sized + 'static {
    /// An open lock.
    #[cfg(not(tollgate_loom))]
    const INIT: Self;

    /// An open lock, under loom, where nothing is const.
    #[cfg(tollgate_loom)]
    #[doc(hidden)]
    fn init() -> Self;

    /// True when the lock's owner can only be reached from one thread and no interrupt, so that plain loads and stores
    /// may stand in for atomic read-modify-writes.
    const EXCLUSIVE: bool = false;

    /// True when taking the lock costs no more than an atomic operation or two, so that one way through it for all cases is
    /// better than ways around it for the usual ones: a third of the code, which on a microcontroller is what counts.
    ///
    /// True for [`DefaultLock`] where it is a critical section. It changes nothing but size and speed.
    const CHEAP: bool = false;

    /// Runs `f` alone.
    ///
    /// ```
    /// use tollgate::{DefaultLock, RawLock};
    ///
    /// static LOCK: DefaultLock = DefaultLock::INIT;
    /// assert_eq!(LOCK.with(|| "alone"), "alone");
    /// ```
    fn with<R>(&self, f: impl FnOnce() -> R) -> R;
}

/// The lock that types use when none is named: the system's mutex with feature `std`, else a critical section with
/// feature `critical-section`.
///
/// With neither feature there is no default. Using it is then an error at compile time, never a silent spin lock: a spin
/// lock taken in an interrupt handler that came while the lock was held would hang the machine. Name a lock instead, as in
/// `Semaphore<LocalLock>` or with your own [`RawLock`].
///
/// # Cost
///
/// 8 bytes with `std` on Linux, none with `critical-section`.
///
/// ```
/// use tollgate::{DefaultLock, Semaphore};
///
/// static GATE: Semaphore<DefaultLock> = Semaphore::new(1); // or, without naming it, `Semaphore`
/// assert!(GATE.try_acquire().is_ok());
/// ```
pub struct DefaultLock(default_lock::Inner);

/// No lock: for state that one thread uses and no interrupt handler touches.
///
/// The type is not `Sync`, and so nothing that contains it is; the compiler keeps it on one thread at a time.
///
/// ```
/// use tollgate::{LocalLock, Semaphore};
///
/// let gate = Semaphore::<LocalLock>::with_lock(1);
/// assert!(gate.try_acquire().is_ok());
/// ```
///
/// ```compile_fail
/// use tollgate::{LocalLock, Semaphore};
///
/// static GATE: Semaphore<LocalLock> = Semaphore::with_lock(1); // not `Sync`
/// ```
pub struct LocalLock(PhantomData<core::cell::Cell<()>>);

// === impl DefaultLock ===

#[cfg(tollgate_loom)]
mod default_lock {
    pub(super) type Inner = loom::sync::Mutex<()>;

    // SAFETY: loom's mutex is held while the closure runs (S1).
    unsafe impl super::RawLock for super::DefaultLock {
        fn init() -> Self {
            Self(loom::sync::Mutex::new(()))
        }

        fn with<R>(&self, f: impl FnOnce() -> R) -> R {
            let _held = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            f()
        }
    }
}

#[cfg(all(not(tollgate_loom), feature = "std"))]
mod default_lock {
    use std::sync::{Mutex, PoisonError};

    pub(super) type Inner = Mutex<()>;

    // SAFETY: the mutex is held while the closure runs, and hands memory on from one holder to the next (S1).
    unsafe impl super::RawLock for super::DefaultLock {
        const INIT: Self = Self(Mutex::new(()));

        #[inline]
        fn with<R>(&self, f: impl FnOnce() -> R) -> R {
            // Poison says that a closure panicked. Ours run no user code, and leave no state half written.
            let _held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            f()
        }
    }
}

#[cfg(all(not(tollgate_loom), not(feature = "std"), feature = "critical-section"))]
mod default_lock {
    pub(super) type Inner = ();

    // SAFETY: a critical section excludes every other one, those of interrupt handlers and other cores included (S1).
    unsafe impl super::RawLock for super::DefaultLock {
        const INIT: Self = Self(());
        const CHEAP: bool = true;

        #[inline]
        fn with<R>(&self, f: impl FnOnce() -> R) -> R {
            critical_section::with(|_| f())
        }
    }
}

#[cfg(all(not(tollgate_loom), not(feature = "std"), not(feature = "critical-section")))]
mod default_lock {
    #[derive(Debug)]
    pub(super) enum Inner {}

    // SAFETY: there is no value of this type, so S1 holds.
    unsafe impl super::RawLock for super::DefaultLock {
        const INIT: Self = panic!(
            "tollgate has no default lock: enable its feature `std` or `critical-section`, or name a lock, as in `Semaphore::<LocalLock>::with_lock(..)`"
        );

        fn with<R>(&self, _: impl FnOnce() -> R) -> R {
            match self.0 {}
        }
    }
}

impl fmt::Debug for DefaultLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DefaultLock")
    }
}

// === impl LocalLock ===

// SAFETY: the type is not `Sync`, so only one thread can be in `with`; a static of it is impossible, so no interrupt
// handler can be either (S1).
unsafe impl RawLock for LocalLock {
    #[cfg(not(tollgate_loom))]
    const INIT: Self = Self(PhantomData);

    #[cfg(tollgate_loom)]
    fn init() -> Self {
        Self(PhantomData)
    }

    const EXCLUSIVE: bool = true;

    #[inline(always)]
    fn with<R>(&self, f: impl FnOnce() -> R) -> R {
        f()
    }
}

impl fmt::Debug for LocalLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LocalLock")
    }
}

// === panics ===

/// A panic on its way, kept until the work that others depend on is done.
#[cfg(feature = "std")]
pub(crate) type Panic = alloc::boxed::Box<dyn core::any::Any + Send>;
/// Without std a panic cannot be held back; this type has no value.
#[cfg(not(feature = "std"))]
pub(crate) type Panic = core::convert::Infallible;

/// Runs `f` and holds its panic back where the platform can.
#[cfg(feature = "std")]
pub(crate) fn hold_panic(f: impl FnOnce()) -> Result<(), Panic> {
    std::panic::catch_unwind(core::panic::AssertUnwindSafe(f))
}

/// Runs `f`. A panic goes straight through: the caller's own drop guards have to finish the work.
#[cfg(not(feature = "std"))]
pub(crate) fn hold_panic(f: impl FnOnce()) -> Result<(), Panic> {
    f();
    Ok(())
}

/// Whether a panic is under way on this thread, so that a second one would end the process.
#[cfg(feature = "std")]
#[inline]
pub(crate) fn is_panicking() -> bool {
    std::thread::panicking()
}

/// Without std nobody can tell.
#[cfg(not(feature = "std"))]
#[inline]
pub(crate) fn is_panicking() -> bool {
    false
}

/// Lets a panic that was held back go on, unless one is under way already: a second one would end the process.
#[cfg(feature = "std")]
pub(crate) fn resume_panic(panic: Panic) {
    if !is_panicking() {
        std::panic::resume_unwind(panic)
    }
}

/// Never called: there is no value to call it with.
#[cfg(not(feature = "std"))]
pub(crate) fn resume_panic(panic: Panic) {
    match panic {}
}

// === time and threads of the system ===

#[cfg(feature = "std")]
pub(crate) use std::{io, time::Instant};
#[cfg(all(feature = "std", not(tollgate_loom)))]
pub(crate) use std::{sync::OnceLock, thread};

// === blocking ===

/// Runs `future` on this thread and parks the thread while it waits.
#[cfg(feature = "std")]
pub(crate) fn block_on<F: Future>(mut future: core::pin::Pin<&mut F>) -> F::Output {
    use alloc::sync::Arc;
    use alloc::task::Wake;
    use core::task::{Context, Poll, Waker};
    use std::thread::{self, Thread};

    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    std::thread_local! {
        // One waker a thread, not one a wait.
        static UNPARK: Waker = Waker::from(Arc::new(Unpark(thread::current())));
    }

    let waker = UNPARK.with(Waker::clone);
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            // A left-over token makes this return early; then the poll finds nothing new and the next park sleeps.
            Poll::Pending => thread::park(),
        }
    }
}

// === an atomic waker for loom ===

/// The protocol of futures-util's atomic waker over loom's atomics. Loom's own waker is a mutex, which orders more than
/// the real one does, and so hides what the models are to find.
#[cfg(tollgate_loom)]
mod loom_waker {
    use core::task::Waker;

    use super::{AtomicUsize, Ordering, UnsafeCell};

    const WAITING: usize = 0;
    const REGISTERING: usize = 1;
    const WAKING: usize = 2;

    #[derive(Debug)]
    pub(crate) struct AtomicWaker {
        state: AtomicUsize,
        waker: UnsafeCell<Option<Waker>>,
    }

    // SAFETY: one at a time has the cell (S2), and wakers may be sent.
    unsafe impl Send for AtomicWaker {}
    // SAFETY: as above.
    unsafe impl Sync for AtomicWaker {}

    impl AtomicWaker {
        pub(crate) fn new() -> Self {
            Self { state: AtomicUsize::new(WAITING), waker: UnsafeCell::new(None) }
        }

        pub(crate) fn register(&self, waker: &Waker) {
            // ORDERING: Acquire pairs with the Release with which the cell was last handed back.
            if self.state.compare_exchange(WAITING, REGISTERING, Ordering::Acquire, Ordering::Acquire).is_err() {
                waker.wake_by_ref();
                // Or the model would spin through this while the other side is about to finish.
                loom::thread::yield_now();
                return;
            }
            // SAFETY: the cell is ours (S2).
            self.waker.with_mut(|cell| unsafe { *cell = Some(waker.clone()) });
            // ORDERING: Release hands the cell back; Acquire pairs with the Release half in `take`.
            if self.state.compare_exchange(REGISTERING, WAITING, Ordering::AcqRel, Ordering::Acquire).is_err() {
                // SAFETY: the cell is still ours (S2): the other side only left a mark.
                let waker = self.waker.with_mut(|cell| unsafe { (*cell).take() });
                // ORDERING: AcqRel, as above.
                self.state.swap(WAITING, Ordering::AcqRel);
                waker.expect("just registered").wake();
            }
        }

        pub(crate) fn take(&self) -> Option<Waker> {
            // ORDERING: Acquire pairs with the Release with which the cell was last handed back; Release passes on what
            // happened before the wake.
            if self.state.fetch_or(WAKING, Ordering::AcqRel) != WAITING {
                return None;
            }
            // SAFETY: the cell is ours (S2).
            let waker = self.waker.with_mut(|cell| unsafe { (*cell).take() });
            // ORDERING: Release hands the cell back.
            self.state.fetch_and(!WAKING, Ordering::Release);
            waker
        }

        pub(crate) fn wake(&self) {
            if let Some(waker) = self.take() {
                waker.wake();
            }
        }
    }
}

// === models ===

/// What model tests stand on: the same test runs once with real threads, or through every schedule under loom.
#[cfg(test)]
pub(crate) mod model {
    #[cfg(tollgate_loom)]
    pub(crate) use loom::{future::block_on, sync::Arc, thread};

    #[cfg(not(tollgate_loom))]
    pub(crate) use {alloc::sync::Arc, futures_lite::future::block_on, std::thread};

    /// Explores `f` under loom with at most `preemptions` forced switches a run (`LOOM_MAX_PREEMPTIONS` overrides it).
    #[cfg(tollgate_loom)]
    pub(crate) fn check(preemptions: usize, f: impl Fn() + Sync + Send + 'static) {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = builder.preemption_bound.or(Some(preemptions));
        builder.check(f);
    }

    /// The default lock, but that it counts as cheap.
    pub(crate) struct CheapLock(super::DefaultLock);

    // SAFETY: it is the default lock (S1).
    unsafe impl super::RawLock for CheapLock {
        #[cfg(not(tollgate_loom))]
        const INIT: Self = Self(super::DefaultLock::INIT);

        #[cfg(tollgate_loom)]
        fn init() -> Self {
            Self(super::DefaultLock::init())
        }

        const CHEAP: bool = true;

        fn with<R>(&self, f: impl FnOnce() -> R) -> R {
            self.0.with(f)
        }
    }

    /// Runs `f` a few hundred times on real threads.
    #[cfg(not(tollgate_loom))]
    pub(crate) fn check(_preemptions: usize, f: impl Fn() + Sync + Send + 'static) {
        for _ in 0..200 {
            f();
        }
    }
}
