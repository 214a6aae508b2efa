//! The semaphores of the crates behind one trait, each used as its own docs say.
//!
//! All of them are leaked: futures and permits then live as long as they like, and no row pays for a reference count.

use std::future::Future;
use std::sync::{Mutex, PoisonError};

use embassy_sync::blocking_mutex::raw::{NoopRawMutex, RawMutex};
use embassy_sync::semaphore::Semaphore as _;

/// A semaphore whose futures may go from thread to thread.
pub trait Gate: Sync + Sized + 'static {
    const NAME: &'static str;
    /// Whether several permits can be asked for at once.
    const WEIGHTED: bool = true;
    /// What its acquire future gives, untouched.
    type Lent: Send + 'static;

    fn new(permits: usize) -> Self;

    /// One that lives for good.
    fn leaked(permits: usize) -> &'static Self {
        leak(Self::new(permits))
    }

    fn lend<const N: usize>(&'static self) -> impl Future<Output = Self::Lent> + Send + 'static;

    fn try_lend<const N: usize>(&'static self) -> Option<Self::Lent>;

    /// Gives back what was lent.
    #[inline(always)]
    fn give_back<const N: usize>(&'static self, lent: Self::Lent) {
        drop(lent);
    }
}

pub fn leak<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}

pub type Tollgate = tollgate::Semaphore;
/// The same, whose requests may overtake.
pub struct TollgateBarging(tollgate::Semaphore);
pub type Tokio = tokio::sync::Semaphore;
pub type AsyncLock = async_lock::Semaphore;
pub type Asyncband = asyncband::semaphore::Semaphore;
/// The fair one, with parking_lot's lock.
pub type Intrusive = futures_intrusive::sync::Semaphore;
/// With its default spin lock.
pub type Maitake = maitake_sync::Semaphore;
/// Its queue has room for `N` waiters.
pub type Embassy<const N: usize> = embassy_sync::semaphore::FairSemaphore<StdRawMutex, N>;
/// It keeps one waker only.
pub type EmbassyGreedy = embassy_sync::semaphore::GreedySemaphore<StdRawMutex>;
/// At most 63 permits.
pub type Saa = saa::Semaphore;

/// The system's lock for embassy-sync, cheaper here than the one lock for everything that `critical-section` has on an
/// operating system.
pub struct StdRawMutex(Mutex<()>);

pub fn noop_embassy<const N: usize>() -> &'static embassy_sync::semaphore::FairSemaphore<NoopRawMutex, N> {
    leak(embassy_sync::semaphore::FairSemaphore::new(1))
}

// SAFETY: the mutex is held while the closure runs.
unsafe impl RawMutex for StdRawMutex {
    const INIT: Self = Self(Mutex::new(()));

    #[inline]
    fn lock<R>(&self, f: impl FnOnce() -> R) -> R {
        let _held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        f()
    }
}

// === the gates ===

impl Gate for Tollgate {
    const NAME: &'static str = "tollgate";
    type Lent = Result<tollgate::Permit<'static>, tollgate::Closed>;

    fn new(permits: usize) -> Self {
        Self::new(permits)
    }

    #[inline(always)]
    fn lend<const N: usize>(&'static self) -> impl Future<Output = Self::Lent> + Send + 'static {
        if N == 1 { self.acquire() } else { self.acquire_many(N) }
    }

    #[inline(always)]
    fn try_lend<const N: usize>(&'static self) -> Option<Self::Lent> {
        if N == 1 { self.try_acquire().ok().map(Ok) } else { self.try_acquire_many(N).ok().map(Ok) }
    }
}

impl Gate for TollgateBarging {
    const NAME: &'static str = "tollgate barging";
    type Lent = Result<tollgate::Permit<'static>, tollgate::Closed>;

    fn new(permits: usize) -> Self {
        Self(tollgate::Semaphore::new(permits))
    }

    #[inline(always)]
    fn lend<const N: usize>(&'static self) -> impl Future<Output = Self::Lent> + Send + 'static {
        self.0.acquire_many(N).barging()
    }

    #[inline(always)]
    fn try_lend<const N: usize>(&'static self) -> Option<Self::Lent> {
        self.0.try_acquire_barging().ok().map(Ok)
    }
}

impl Gate for Tokio {
    const NAME: &'static str = "tokio";
    type Lent = Result<tokio::sync::SemaphorePermit<'static>, tokio::sync::AcquireError>;

    fn new(permits: usize) -> Self {
        Self::new(permits)
    }

    #[inline(always)]
    fn lend<const N: usize>(&'static self) -> impl Future<Output = Self::Lent> + Send + 'static {
        self.acquire_many(N as u32)
    }

    #[inline(always)]
    fn try_lend<const N: usize>(&'static self) -> Option<Self::Lent> {
        self.try_acquire_many(N as u32).ok().map(Ok)
    }
}

impl Gate for AsyncLock {
    const NAME: &'static str = "async-lock";
    const WEIGHTED: bool = false;
    type Lent = async_lock::SemaphoreGuard<'static>;

    fn new(permits: usize) -> Self {
        Self::new(permits)
    }

    #[inline(always)]
    fn lend<const N: usize>(&'static self) -> impl Future<Output = Self::Lent> + Send + 'static {
        self.acquire()
    }

    #[inline(always)]
    fn try_lend<const N: usize>(&'static self) -> Option<Self::Lent> {
        self.try_acquire()
    }
}

impl Gate for Asyncband {
    const NAME: &'static str = "asyncband";
    type Lent = asyncband::semaphore::SemaphorePermit<'static>;

    fn new(permits: usize) -> Self {
        Self::new(permits)
    }

    #[inline(always)]
    fn lend<const N: usize>(&'static self) -> impl Future<Output = Self::Lent> + Send + 'static {
        self.acquire(N)
    }

    #[inline(always)]
    fn try_lend<const N: usize>(&'static self) -> Option<Self::Lent> {
        self.try_acquire(N)
    }
}

impl Gate for Intrusive {
    const NAME: &'static str = "futures-intrusive";
    type Lent = futures_intrusive::sync::SemaphoreReleaser<'static>;

    fn new(permits: usize) -> Self {
        Self::new(true, permits)
    }

    #[inline(always)]
    fn lend<const N: usize>(&'static self) -> impl Future<Output = Self::Lent> + Send + 'static {
        self.acquire(N)
    }

    #[inline(always)]
    fn try_lend<const N: usize>(&'static self) -> Option<Self::Lent> {
        self.try_acquire(N)
    }
}

impl Gate for Maitake {
    const NAME: &'static str = "maitake-sync";
    type Lent = Result<maitake_sync::semaphore::Permit<'static>, maitake_sync::Closed>;

    fn new(permits: usize) -> Self {
        Self::new(permits)
    }

    #[inline(always)]
    fn lend<const N: usize>(&'static self) -> impl Future<Output = Self::Lent> + Send + 'static {
        self.acquire(N)
    }

    #[inline(always)]
    fn try_lend<const N: usize>(&'static self) -> Option<Self::Lent> {
        self.try_acquire(N).ok().map(Ok)
    }
}

impl<const ROOM: usize> Gate for Embassy<ROOM> {
    const NAME: &'static str = "embassy-sync fair";
    type Lent =
        Result<embassy_sync::semaphore::SemaphoreReleaser<'static, Self>, embassy_sync::semaphore::WaitQueueFull>;

    fn new(permits: usize) -> Self {
        Self::new(permits)
    }

    #[inline(always)]
    fn lend<const N: usize>(&'static self) -> impl Future<Output = Self::Lent> + Send + 'static {
        self.acquire(N)
    }

    #[inline(always)]
    fn try_lend<const N: usize>(&'static self) -> Option<Self::Lent> {
        self.try_acquire(N).map(Ok)
    }
}

impl Gate for EmbassyGreedy {
    const NAME: &'static str = "embassy-sync greedy";
    type Lent = Result<embassy_sync::semaphore::SemaphoreReleaser<'static, Self>, std::convert::Infallible>;

    fn new(permits: usize) -> Self {
        Self::new(permits)
    }

    #[inline(always)]
    fn lend<const N: usize>(&'static self) -> impl Future<Output = Self::Lent> + Send + 'static {
        self.acquire(N)
    }

    #[inline(always)]
    fn try_lend<const N: usize>(&'static self) -> Option<Self::Lent> {
        self.try_acquire(N).map(Ok)
    }
}

impl Gate for Saa {
    const NAME: &'static str = "saa";
    /// It has no guards: `false` if more was asked for than can ever be.
    type Lent = bool;

    fn new(permits: usize) -> Self {
        Self::with_permits(permits)
    }

    #[inline(always)]
    fn lend<const N: usize>(&'static self) -> impl Future<Output = bool> + Send + 'static {
        self.acquire_many_async(N)
    }

    #[inline(always)]
    fn try_lend<const N: usize>(&'static self) -> Option<bool> {
        if N == 1 { self.try_acquire() } else { self.try_acquire_many(N) }.then_some(true)
    }

    #[inline(always)]
    fn give_back<const N: usize>(&'static self, _: bool) {
        if N == 1 {
            self.release()
        } else {
            self.release_many(N)
        };
    }
}
