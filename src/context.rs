//! What belongs to one request: who may stop it, until when it may run, and what it carries. See [`Context`].
//!
//! ```
//! use std::time::Duration;
//! use tollgate::context::{Context, Interrupted};
//! use tollgate::time::ThreadTimer;
//!
//! struct TraceId(u64);
//!
//! type Ctx<'a> = Context<'a, ThreadTimer>;
//!
//! async fn handle(ctx: &Ctx<'_>) -> Result<u64, Interrupted> {
//!     let ctx = ctx.with_timeout(Duration::from_secs(5)); // or earlier, if the caller has less
//!     let rows = ctx.run(query(&ctx)).await??;
//!     ctx.check()?; // between two steps that do not wait
//!     Ok(rows)
//! }
//!
//! async fn query(ctx: &Ctx<'_>) -> Result<u64, Interrupted> {
//!     Ok(ctx.get::<TraceId>().map_or(0, |trace| trace.0))
//! }
//!
//! static ROOT: Ctx<'static> = Context::new(ThreadTimer);
//!
//! # futures_lite::future::block_on(async {
//! let trace = TraceId(7);
//! assert_eq!(handle(&ROOT.with_value(&trace)).await, Ok(7));
//!
//! let request = ROOT.child();
//! request.cancel_with("the client went away");
//! assert_eq!(handle(&request).await, Err(Interrupted::Cancelled("the client went away".into())));
//! # });
//! ```
//!
//! A context is an argument, like any other. There is no thread-local one that would be there by itself, for a task moves
//! between threads, and what a function depends on should be seen where it is called.

mod interrupted;
mod limits;
#[cfg(all(test, feature = "std"))]
mod model;
#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
mod owned;
mod run;
mod values;
mod within;

use core::any::Any;
use core::fmt;
use core::time::Duration;

use crate::cancel::{CancellationToken, Cause};
use crate::sync::{DefaultLock, RawLock, const_fn, if_default_lock};
use crate::time::Timer;
use limits::{Limits, View};
use values::Values;

pub use interrupted::Interrupted;
#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
pub use owned::OwnedContext;
pub use run::{Interruption, Run};
pub use within::{Contextual, Within};

/// What belongs to one request: a [token](CancellationToken) that stops it, a deadline, and values such as a trace id.
///
/// A child is stopped with its parent, has no later deadline than it, and finds its values. It borrows its parent and needs no
/// allocation; where a lifetime is in the way there is `OwnedContext`.
///
/// # Deadlines
///
/// The deadline of a context is one instant, fixed when the context is made: the earlier of its parent's and its own. There
/// is no timer behind a context. Whoever waits under one, by [`run`](Self::run) or [`interrupted`](Self::interrupted), has a
/// sleep of its own, and [`check`](Self::check) reads the clock. Whoever finds the deadline passed cancels the context's
/// token, with the cause [`DEADLINE_EXCEEDED`](Cause::DEADLINE_EXCEEDED): so what happened first, a cancellation or the
/// deadline, stays what is reported, and those who only know the token hear of it.
///
/// # Size and cost
///
/// The token, the timer, its instant, and four words: 144 bytes with `ThreadTimer` on a 64-bit machine. A child is made
/// without a lock and without touching its parent; [`with_timeout`](Self::with_timeout) reads the clock once.
///
/// ```
/// # use std::time::Duration;
/// # use tollgate::context::{Context, Interrupted};
/// # use tollgate::time::ManualClock;
/// let clock = ManualClock::new();
/// let root = Context::new(&clock);
/// let request = root.with_timeout(Duration::from_secs(5));
/// let step = request.child();
/// assert_eq!(step.remaining(), Some(Duration::from_secs(5)));
/// request.cancel_with("the client went away");
/// assert_eq!(step.check(), Err(Interrupted::Cancelled("the client went away".into())));
/// ```
pub struct Context<'p, T: Timer, L: RawLock = DefaultLock> {
    token: CancellationToken<'p, L>,
    limits: Limits<T>,
    values: Values<'p>,
}

// === impl Context ===

if_default_lock! {
    impl<T: Timer> Context<'_, T, DefaultLock> {
        const_fn! {
            /// A context without a parent, a deadline or a value, with the default lock.
            ///
            /// ```
            /// use tollgate::context::Context;
            /// use tollgate::time::ThreadTimer;
            ///
            /// static ROOT: Context<'static, ThreadTimer> = Context::new(ThreadTimer);
            /// assert_eq!(ROOT.check(), Ok(()));
            /// ```
            #[must_use]
            pub const fn new(timer: T) -> Self {
                Self::with_lock(timer)
            }
        }
    }
}

impl<'p, T: Timer, L: RawLock> Context<'p, T, L> {
    const_fn! {
        /// A context without a parent, a deadline or a value, with the lock that its type names.
        ///
        /// ```
        /// use tollgate::LocalLock;
        /// use tollgate::context::Context;
        /// use tollgate::time::TimerQueue;
        ///
        /// let timers = TimerQueue::<LocalLock>::with_lock();
        /// let root = Context::<_, LocalLock>::with_lock(&timers);
        /// assert_eq!(root.deadline(), None);
        /// ```
        #[must_use]
        pub const fn with_lock(timer: T) -> Self {
            Self { token: CancellationToken::with_lock(), limits: Limits::none(timer), values: Values::NONE }
        }
    }

    const_fn! {
        /// A context that is stopped with `token`, without a deadline or a value. Cancelling the context does not cancel
        /// `token`.
        ///
        /// ```
        /// use tollgate::CancellationToken;
        /// use tollgate::context::Context;
        /// use tollgate::time::ThreadTimer;
        ///
        /// let shutdown = CancellationToken::new();
        /// let root = Context::under(&shutdown, ThreadTimer);
        /// shutdown.cancel();
        /// assert!(root.check().is_err());
        /// ```
        #[must_use]
        pub const fn under(token: &'p CancellationToken<'p, L>, timer: T) -> Self {
            Self { token: token.child_token(), limits: Limits::none(timer), values: Values::NONE }
        }
    }

    /// A context that is stopped with this one and can be cancelled alone, with the same deadline and the same values.
    ///
    /// ```
    /// # use tollgate::context::Context;
    /// # use tollgate::time::ThreadTimer;
    /// let parent = Context::new(ThreadTimer);
    /// let child = parent.child();
    /// child.cancel();
    /// assert!(child.check().is_err() && parent.check().is_ok());
    /// ```
    #[must_use]
    pub fn child(&self) -> Context<'_, T, L>
    where
        T: Clone,
    {
        self.child_within(self.limits.deadline())
    }

    /// A child whose deadline is `timeout` from now, or the parent's if that is earlier.
    ///
    /// It counts from this call, as the deadline is one instant for all that happens under it. A timeout that the clock cannot
    /// represent adds no deadline; one of zero has passed.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tollgate::context::{Context, Interrupted};
    /// use tollgate::time::ManualClock;
    ///
    /// let clock = ManualClock::new();
    /// let root = Context::new(&clock);
    /// let request = root.with_timeout(Duration::from_secs(3));
    /// let step = request.with_timeout(Duration::from_secs(10)); // there are three seconds left
    /// clock.advance(Duration::from_secs(3));
    /// assert_eq!(step.check(), Err(Interrupted::DeadlineExceeded));
    /// assert_eq!(root.check(), Ok(()));
    /// ```
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Context<'_, T, L>
    where
        T: Clone,
    {
        self.child_within(self.limits.after(timeout))
    }

    /// A child whose deadline is `at`, or the parent's if that is earlier.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tollgate::context::Context;
    /// # use tollgate::time::ManualClock;
    /// let clock = ManualClock::new();
    /// let root = Context::new(&clock);
    /// let request = root.with_deadline(Duration::from_secs(3));
    /// assert_eq!(request.with_deadline(Duration::from_secs(2)).deadline(), Some(Duration::from_secs(2)));
    /// assert_eq!(request.with_deadline(Duration::from_secs(4)).deadline(), Some(Duration::from_secs(3)));
    /// ```
    #[must_use]
    pub fn with_deadline(&self, at: T::Instant) -> Context<'_, T, L>
    where
        T: Clone,
    {
        self.child_within(self.limits.at(at))
    }

    fn child_within(&self, deadline: Option<T::Instant>) -> Context<'_, T, L>
    where
        T: Clone,
    {
        Context { token: self.token.child_token(), limits: self.limits.replaced(deadline), values: self.values.below() }
    }

    /// A child that carries `value` too. It hides a value of the same type further up.
    ///
    /// The value is borrowed, so that no allocator is needed. Give it a type of its own: the type is its name.
    ///
    /// ```
    /// # use tollgate::context::Context;
    /// # use tollgate::time::ThreadTimer;
    /// #[derive(Debug, PartialEq)]
    /// struct TraceId(u128);
    ///
    /// let root = Context::new(ThreadTimer);
    /// let trace = TraceId(0x2a);
    /// let request = root.with_value(&trace);
    /// assert_eq!(request.child().get::<TraceId>(), Some(&TraceId(0x2a)));
    /// assert_eq!(root.get::<TraceId>(), None);
    /// ```
    #[must_use]
    pub fn with_value<'a, V>(&'a self, value: &'a V) -> Context<'a, T, L>
    where
        T: Clone,
        V: Any + Sync,
    {
        let mut child: Context<'a, T, L> = self.child();
        child.values = self.values.with(value);
        child
    }

    /// A context with the same values that nothing above can stop, and without a deadline: for cleaning up.
    ///
    /// Give it a timeout, so that cleaning up ends too.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tollgate::context::Context;
    /// # use tollgate::time::ThreadTimer;
    /// # futures_lite::future::block_on(async {
    /// # let root = Context::new(ThreadTimer);
    /// # let request = root.child();
    /// # request.cancel();
    /// let detached = request.detached();
    /// let cleanup = detached.with_timeout(Duration::from_secs(1));
    /// assert_eq!(cleanup.run(async { "flushed" }).await, Ok("flushed"));
    /// # });
    /// ```
    #[must_use]
    pub fn detached(&self) -> Context<'_, T, L>
    where
        T: Clone,
    {
        Context { token: self.token.detached(), limits: self.limits.replaced(None), values: self.values.below() }
    }

    /// Cancels this context and all below it.
    ///
    /// ```
    /// # use tollgate::context::Context;
    /// # use tollgate::time::ManualClock;
    /// let clock = ManualClock::new();
    /// let request = Context::new(&clock);
    /// let step = request.child();
    /// request.cancel();
    /// assert!(step.check().is_err());
    /// ```
    pub fn cancel(&self) {
        self.token.cancel();
    }

    /// Cancels this context and all below it, and says why. The first cause wins.
    ///
    /// ```
    /// # use tollgate::context::{Context, Interrupted};
    /// # use tollgate::time::ManualClock;
    /// let clock = ManualClock::new();
    /// let request = Context::new(&clock);
    /// request.cancel_with("the client went away");
    /// request.cancel_with("shutting down"); // too late
    /// assert_eq!(request.check(), Err(Interrupted::Cancelled("the client went away".into())));
    /// ```
    pub fn cancel_with(&self, cause: impl Into<Cause>) {
        self.token.cancel_with(cause);
    }

    /// The token of this context. It is cancelled by the deadline only once somebody has found that it has passed.
    ///
    /// ```
    /// # use tollgate::context::Context;
    /// # use tollgate::time::ManualClock;
    /// let clock = ManualClock::new();
    /// let request = Context::new(&clock);
    /// let part = request.token().child_token(); // for what knows tokens alone
    /// request.cancel();
    /// assert!(part.is_cancelled());
    /// ```
    #[must_use]
    pub const fn token(&self) -> &CancellationToken<'p, L> {
        &self.token
    }

    /// The timer.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tollgate::DeadlineExt;
    /// # use tollgate::context::Context;
    /// # use tollgate::time::{Elapsed, ManualClock};
    /// let clock = ManualClock::new();
    /// let request = Context::new(&clock);
    /// let slow = core::future::pending::<()>().timeout(request.timer(), Duration::ZERO); // this step's alone
    /// assert_eq!(futures_lite::future::block_on(slow), Err(Elapsed));
    /// ```
    #[must_use]
    pub const fn timer(&self) -> &T {
        self.limits.timer()
    }

    /// The deadline, if there is one: the earliest on the way up.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tollgate::context::Context;
    /// # use tollgate::time::ManualClock;
    /// let clock = ManualClock::new();
    /// let root = Context::new(&clock);
    /// assert_eq!(root.deadline(), None);
    /// assert_eq!(root.with_timeout(Duration::from_secs(3)).deadline(), Some(Duration::from_secs(3)));
    /// ```
    #[must_use]
    pub const fn deadline(&self) -> Option<T::Instant> {
        self.limits.deadline()
    }

    /// How long it is from now to the deadline, if there is one; zero if it has passed.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tollgate::context::Context;
    /// # use tollgate::time::ManualClock;
    /// let clock = ManualClock::new();
    /// let root = Context::new(&clock);
    /// let request = root.with_timeout(Duration::from_secs(3));
    /// clock.advance(Duration::from_secs(1));
    /// assert_eq!(request.remaining(), Some(Duration::from_secs(2))); // to be sent along to the next server
    /// ```
    #[must_use]
    pub fn remaining(&self) -> Option<Duration> {
        self.limits.remaining()
    }

    /// The nearest value of this type.
    ///
    /// ```
    /// # use tollgate::context::Context;
    /// # use tollgate::time::ManualClock;
    /// struct TraceId(u64);
    ///
    /// let clock = ManualClock::new();
    /// let (root, trace) = (Context::new(&clock), TraceId(7));
    /// assert!(root.get::<TraceId>().is_none());
    /// assert_eq!(root.with_value(&trace).get::<TraceId>().map(|trace| trace.0), Some(7));
    /// ```
    #[must_use]
    pub fn get<V: Any>(&self) -> Option<&'p V> {
        self.values.get()
    }

    /// Whether to go on: for work between two awaits, or without any.
    ///
    /// # Errors
    ///
    /// [`Interrupted`], with what happened first.
    ///
    /// # Cost
    ///
    /// One load for each context up to the root, and if there is a deadline the clock is read. The first that finds it passed
    /// cancels the token, and wakes who waits for that.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tollgate::context::{Context, Interrupted};
    /// # use tollgate::time::ManualClock;
    /// fn sum(ctx: &Context<'_, &ManualClock>, numbers: &[u64]) -> Result<u64, Interrupted> {
    ///     let mut sum = 0;
    ///     for part in numbers.chunks(1024) {
    ///         ctx.check()?;
    ///         sum += part.iter().sum::<u64>();
    ///     }
    ///     Ok(sum)
    /// }
    ///
    /// let clock = ManualClock::new();
    /// let root = Context::new(&clock);
    /// assert_eq!(sum(&root, &[1, 2, 3]), Ok(6));
    /// assert_eq!(sum(&root.with_timeout(Duration::ZERO), &[1, 2, 3]), Err(Interrupted::DeadlineExceeded));
    /// ```
    pub fn check(&self) -> Result<(), Interrupted> {
        self.view().check()
    }

    /// Waits until this context is cancelled or its deadline passes, and says which.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tollgate::context::{Context, Interrupted};
    /// # use tollgate::time::ThreadTimer;
    /// # futures_lite::future::block_on(async {
    /// let root = Context::new(ThreadTimer);
    /// let soon = root.with_timeout(Duration::from_millis(1));
    /// assert_eq!(soon.interrupted().await, Interrupted::DeadlineExceeded);
    /// # });
    /// ```
    pub fn interrupted(&self) -> Interruption<'_, T, L> {
        Interruption::new(self.view())
    }

    /// Runs `future` until it is ready, this context is cancelled, or its deadline passes.
    ///
    /// The context is [checked](Self::check) before `future` is polled for the first time: under one that is interrupted
    /// nothing is begun, so a loop around a stream that always has more ends too. In later polls `future` comes first, so a
    /// value that is ready is not thrown away.
    ///
    /// # Errors
    ///
    /// [`Interrupted`], with what happened first. `future` is dropped with the [`Run`].
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tollgate::context::{Context, Interrupted};
    /// # use tollgate::time::ThreadTimer;
    /// # futures_lite::future::block_on(async {
    /// let root = Context::new(ThreadTimer);
    /// assert_eq!(root.run(async { 1 }).await, Ok(1));
    /// let soon = root.with_timeout(Duration::from_millis(1));
    /// assert_eq!(soon.run(core::future::pending::<()>()).await, Err(Interrupted::DeadlineExceeded));
    /// # });
    /// ```
    pub fn run<F>(&self, future: F) -> Run<'_, F::IntoFuture, T, L>
    where
        F: IntoFuture,
    {
        Run::new(future.into_future(), self.view())
    }

    fn view(&self) -> View<'_, T, L> {
        View::new(&self.token, &self.limits)
    }
}

impl<T: Timer, L: RawLock> fmt::Debug for Context<'_, T, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.view().fmt_as("Context", f)
    }
}
