//! A context without a lifetime.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::any::Any;
use core::fmt;
use core::iter;
use core::time::Duration;

use super::limits::{Limits, View};
use super::values::Values;
use super::{Context, Interrupted, Interruption, Run};
use crate::cancel::{CancellationToken, Cause, OwnedCancellationToken};
use crate::sync::{DefaultLock, RawLock, if_default_lock};
use crate::time::Timer;

/// A [`Context`] without a lifetime: it is cloned and moved into tasks, and keeps what is above it alive.
///
/// Clones are the same context. All else is as with the borrowed one, into which it goes by [`borrowed`](Self::borrowed); so
/// functions ask for a [`Context`] and serve both.
///
/// ```
/// use std::time::Duration;
/// use tollgate::context::{Context, Interrupted, OwnedContext};
/// use tollgate::time::ThreadTimer;
///
/// struct TraceId(u64);
///
/// async fn work(ctx: &Context<'_, ThreadTimer>) -> Result<u64, Interrupted> {
///     ctx.run(async { ctx.get::<TraceId>().unwrap().0 }).await
/// }
///
/// let request = OwnedContext::new(ThreadTimer).with_value(TraceId(7)).with_timeout(Duration::from_secs(5));
/// let task = request.child();
/// let thread = std::thread::spawn(move || futures_lite::future::block_on(work(&task.borrowed())));
/// assert_eq!(thread.join().unwrap(), Ok(7));
/// ```
///
/// # Size and cost
///
/// Two words, the timer and its instant. Each child allocates its token, each value itself and a link. Chains of any length
/// are taken apart without recursion.
pub struct OwnedContext<T: Timer, L: RawLock = DefaultLock> {
    token: OwnedCancellationToken<L>,
    limits: Limits<T>,
    values: OwnedValues,
}

/// A chain of values that owns them.
#[derive(Clone)]
pub(super) struct OwnedValues(Option<Arc<Link>>);

struct Link {
    value: Box<dyn Any + Send + Sync>,
    above: OwnedValues,
}

// === impl OwnedContext ===

if_default_lock! {
    impl<T: Timer> OwnedContext<T, DefaultLock> {
        /// A context without a parent, a deadline or a value, with the default lock.
        ///
        /// ```
        /// # use tollgate::context::OwnedContext;
        /// # use tollgate::time::ThreadTimer;
        /// let root = OwnedContext::new(ThreadTimer);
        /// let task = root.clone(); // the same context
        /// root.cancel();
        /// assert!(task.check().is_err());
        /// ```
        #[must_use]
        pub fn new(timer: T) -> Self {
            Self::with_lock(timer)
        }
    }
}

impl<T: Timer, L: RawLock> OwnedContext<T, L> {
    /// A context without a parent, a deadline or a value, with the lock that its type names.
    ///
    /// ```
    /// use tollgate::LocalLock;
    /// use tollgate::context::OwnedContext;
    /// use tollgate::time::ManualClock;
    ///
    /// let clock = ManualClock::<LocalLock>::with_lock();
    /// let root = OwnedContext::<_, LocalLock>::with_lock(&clock);
    /// assert_eq!(root.deadline(), None);
    /// ```
    #[must_use]
    pub fn with_lock(timer: T) -> Self {
        Self { token: OwnedCancellationToken::with_lock(), limits: Limits::none(timer), values: OwnedValues(None) }
    }

    /// A context that is stopped with `token`, as [`Context::under`]. The child of a static token is one way to get one.
    ///
    /// ```
    /// # use tollgate::context::OwnedContext;
    /// # use tollgate::time::ThreadTimer;
    /// use tollgate::CancellationToken;
    ///
    /// static SHUTDOWN: CancellationToken<'static> = CancellationToken::new();
    /// let root = OwnedContext::under(&SHUTDOWN.child_token_owned(), ThreadTimer);
    /// SHUTDOWN.cancel();
    /// assert!(root.check().is_err());
    /// ```
    #[must_use]
    pub fn under(token: &OwnedCancellationToken<L>, timer: T) -> Self {
        Self { token: token.child_token(), limits: Limits::none(timer), values: OwnedValues(None) }
    }

    /// A context that is stopped with this one and can be cancelled alone, as [`Context::child`].
    ///
    /// ```
    /// # use tollgate::context::OwnedContext;
    /// # use tollgate::time::ThreadTimer;
    /// let parent = OwnedContext::new(ThreadTimer);
    /// let child = parent.child();
    /// child.cancel();
    /// assert!(child.check().is_err() && parent.check().is_ok());
    /// ```
    #[must_use]
    pub fn child(&self) -> Self
    where
        T: Clone,
    {
        self.child_within(self.limits.deadline())
    }

    /// A child whose deadline is `timeout` from now or earlier, as [`Context::with_timeout`].
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tollgate::context::{Interrupted, OwnedContext};
    /// # use tollgate::time::ManualClock;
    /// let clock = ManualClock::new();
    /// let request = OwnedContext::new(&clock).with_timeout(Duration::from_secs(3));
    /// clock.advance(Duration::from_secs(3));
    /// assert_eq!(request.check(), Err(Interrupted::DeadlineExceeded));
    /// ```
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self
    where
        T: Clone,
    {
        self.child_within(self.limits.after(timeout))
    }

    /// A child whose deadline is `at` or earlier, as [`Context::with_deadline`].
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tollgate::context::OwnedContext;
    /// # use tollgate::time::ManualClock;
    /// let clock = ManualClock::new();
    /// let request = OwnedContext::new(&clock).with_deadline(Duration::from_secs(3));
    /// assert_eq!(request.with_deadline(Duration::from_secs(4)).deadline(), Some(Duration::from_secs(3)));
    /// ```
    #[must_use]
    pub fn with_deadline(&self, at: T::Instant) -> Self
    where
        T: Clone,
    {
        self.child_within(self.limits.at(at))
    }

    fn child_within(&self, deadline: Option<T::Instant>) -> Self
    where
        T: Clone,
    {
        Self { token: self.token.child_token(), limits: self.limits.replaced(deadline), values: self.values.clone() }
    }

    /// A child that owns `value` too. It hides a value of the same type further up.
    ///
    /// ```
    /// # use tollgate::context::OwnedContext;
    /// # use tollgate::time::ManualClock;
    /// #[derive(Debug, PartialEq)]
    /// struct User(String);
    ///
    /// let clock = ManualClock::new();
    /// let root = OwnedContext::new(&clock);
    /// let request = root.with_value(User("ann".into()));
    /// assert_eq!(request.child().get(), Some(&User("ann".into())));
    /// assert_eq!(root.get::<User>(), None);
    /// ```
    #[must_use]
    pub fn with_value<V>(&self, value: V) -> Self
    where
        T: Clone,
        V: Any + Send + Sync,
    {
        let link = Link { value: Box::new(value), above: self.values.clone() };
        Self { values: OwnedValues(Some(Arc::new(link))), ..self.child() }
    }

    /// A context with the same values that nothing above can stop, and without a deadline, as [`Context::detached`].
    ///
    /// ```
    /// # use tollgate::context::OwnedContext;
    /// # use tollgate::time::ManualClock;
    /// let clock = ManualClock::new();
    /// let request = OwnedContext::new(&clock);
    /// request.cancel();
    /// let cleanup = request.detached();
    /// assert_eq!(futures_lite::future::block_on(cleanup.run(async { "flushed" })), Ok("flushed"));
    /// ```
    #[must_use]
    pub fn detached(&self) -> Self
    where
        T: Clone,
    {
        Self { token: self.token.detached(), limits: self.limits.replaced(None), values: self.values.clone() }
    }

    /// A borrowed child, to be given to functions that ask for one.
    ///
    /// ```
    /// # use tollgate::context::{Context, Interrupted, OwnedContext};
    /// # use tollgate::time::ManualClock;
    /// fn step(ctx: &Context<'_, &ManualClock>) -> Result<(), Interrupted> {
    ///     ctx.check()
    /// }
    ///
    /// let clock = ManualClock::new();
    /// let request = OwnedContext::new(&clock);
    /// assert_eq!(step(&request.borrowed()), Ok(()));
    /// request.cancel();
    /// assert!(step(&request.borrowed()).is_err());
    /// ```
    #[must_use]
    pub fn borrowed(&self) -> Context<'_, T, L>
    where
        T: Clone,
    {
        let token: &CancellationToken<'static, L> = &self.token;
        Context {
            token: token.child_token(),
            limits: self.limits.replaced(self.limits.deadline()),
            values: Values::of_owned(&self.values),
        }
    }

    /// Cancels this context and all below it.
    ///
    /// ```
    /// # use tollgate::context::OwnedContext;
    /// # use tollgate::time::ThreadTimer;
    /// let request = OwnedContext::new(ThreadTimer);
    /// let step = request.child();
    /// let task = std::thread::spawn(move || futures_lite::future::block_on(step.interrupted()));
    /// request.cancel();
    /// assert!(task.join().is_ok());
    /// ```
    pub fn cancel(&self) {
        self.token.cancel();
    }

    /// Cancels this context and all below it, and says why. The first cause wins.
    ///
    /// ```
    /// # use tollgate::context::{Interrupted, OwnedContext};
    /// # use tollgate::time::ThreadTimer;
    /// let request = OwnedContext::new(ThreadTimer);
    /// let step = request.child();
    /// request.cancel_with("the client went away");
    /// assert_eq!(step.check(), Err(Interrupted::Cancelled("the client went away".into())));
    /// ```
    pub fn cancel_with(&self, cause: impl Into<Cause>) {
        self.token.cancel_with(cause);
    }

    /// The token of this context, as [`Context::token`].
    ///
    /// ```
    /// # use tollgate::context::OwnedContext;
    /// # use tollgate::time::ThreadTimer;
    /// let request = OwnedContext::new(ThreadTimer);
    /// let part = request.token().child_token(); // for what knows tokens alone
    /// request.cancel();
    /// assert!(part.is_cancelled());
    /// ```
    #[must_use]
    pub const fn token(&self) -> &OwnedCancellationToken<L> {
        &self.token
    }

    /// The timer.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tollgate::DeadlineExt;
    /// # use tollgate::context::OwnedContext;
    /// # use tollgate::time::{Elapsed, ManualClock};
    /// let clock = ManualClock::new();
    /// let request = OwnedContext::new(&clock);
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
    /// # use tollgate::context::OwnedContext;
    /// # use tollgate::time::ManualClock;
    /// let clock = ManualClock::new();
    /// let root = OwnedContext::new(&clock);
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
    /// # use tollgate::context::OwnedContext;
    /// # use tollgate::time::ManualClock;
    /// let clock = ManualClock::new();
    /// let request = OwnedContext::new(&clock).with_timeout(Duration::from_secs(3));
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
    /// # use tollgate::context::OwnedContext;
    /// # use tollgate::time::ThreadTimer;
    /// struct TraceId(u64);
    ///
    /// let request = OwnedContext::new(ThreadTimer).with_value(TraceId(7));
    /// assert_eq!(request.get::<TraceId>().map(|trace| trace.0), Some(7));
    /// ```
    #[must_use]
    pub fn get<V: Any>(&self) -> Option<&V> {
        self.values.get()
    }

    /// Whether to go on, as [`Context::check`].
    ///
    /// # Errors
    ///
    /// [`Interrupted`], with what happened first.
    ///
    /// ```
    /// # use tollgate::context::OwnedContext;
    /// # use tollgate::time::ThreadTimer;
    /// let request = OwnedContext::new(ThreadTimer);
    /// let mut done = 0;
    /// while request.check().is_ok() {
    ///     done += 1;
    ///     if done == 3 {
    ///         request.cancel();
    ///     }
    /// }
    /// assert_eq!(done, 3);
    /// ```
    pub fn check(&self) -> Result<(), Interrupted> {
        self.view().check()
    }

    /// Waits until this context is cancelled or its deadline passes, as [`Context::interrupted`].
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tollgate::context::{Interrupted, OwnedContext};
    /// # use tollgate::time::ManualClock;
    /// let clock = ManualClock::new();
    /// let request = OwnedContext::new(&clock).with_timeout(Duration::from_secs(3));
    /// clock.advance(Duration::from_secs(3));
    /// assert_eq!(futures_lite::future::block_on(request.interrupted()), Interrupted::DeadlineExceeded);
    /// ```
    pub fn interrupted(&self) -> Interruption<'_, T, L> {
        Interruption::new(self.view())
    }

    /// Runs `future` until it is ready or this context is interrupted, as [`Context::run`].
    ///
    /// # Errors
    ///
    /// [`Interrupted`], with what happened first.
    ///
    /// ```
    /// # use futures_lite::future::block_on;
    /// # use tollgate::context::{Interrupted, OwnedContext};
    /// # use tollgate::time::ThreadTimer;
    /// let request = OwnedContext::new(ThreadTimer);
    /// assert_eq!(block_on(request.run(async { 1 })), Ok(1));
    /// request.cancel_with("the client went away");
    /// let late = block_on(request.run(async { 2 })); // is not begun
    /// assert_eq!(late, Err(Interrupted::Cancelled("the client went away".into())));
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

impl<T: Timer + Clone, L: RawLock> Clone for OwnedContext<T, L> {
    fn clone(&self) -> Self {
        Self {
            token: self.token.clone(),
            limits: self.limits.replaced(self.limits.deadline()),
            values: self.values.clone(),
        }
    }
}

impl<T: Timer, L: RawLock> fmt::Debug for OwnedContext<T, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.view().fmt_as("OwnedContext", f)
    }
}

// === impl OwnedValues ===

impl OwnedValues {
    pub(super) fn get<V: Any>(&self) -> Option<&V> {
        iter::successors(self.0.as_deref(), |link| link.above.0.as_deref())
            .find_map(|link| (&*link.value as &dyn Any).downcast_ref())
    }
}

impl Drop for OwnedValues {
    fn drop(&mut self) {
        let mut last = self.0.take();
        while let Some(link) = last {
            // Of several who let go at once exactly one gets the link, and goes on.
            last = Arc::into_inner(link).and_then(|mut link| link.above.0.take());
        }
    }
}
