//! Telling work to stop: [`CancellationToken`], its children, and what waits for it.
//!
//! ```
//! use tollgate::cancel::{CancellationToken, Cause};
//!
//! static SHUTDOWN: CancellationToken = CancellationToken::new(); // const, no allocation
//!
//! # futures_lite::future::block_on(async {
//! let request = SHUTDOWN.child_token(); // stops with its parent, and can be stopped alone
//! assert_eq!(request.run_until_cancelled(async { 6 * 7 }).await, Some(42));
//!
//! SHUTDOWN.cancel_with(Cause::new("terminated"));
//! assert!(request.is_cancelled());
//! assert_eq!(request.cause(), Some(Cause::new("terminated")));
//! assert_eq!(request.run_until_cancelled(async { 6 * 7 }).await, None, "nothing new is begun");
//! # });
//! ```
//!
//! | you want | you take |
//! |---|---|
//! | to tell work to stop, and say why | [`CancellationToken::cancel`], [`cancel_with`](CancellationToken::cancel_with) |
//! | to look, between two steps | [`CancellationToken::is_cancelled`] |
//! | to wait for it | [`CancellationToken::cancelled`] |
//! | to drop a future when it comes | [`CancellationToken::run_until_cancelled`] |
//! | to stop what you began when you leave, however you leave | [`CancellationToken::drop_guard`] |
//! | to do something when it comes, unless called off | [`CancellationToken::on_cancel`] |
//! | to clean up although it came | [`CancellationToken::detached`] |
//! | a token without a lifetime, for spawned tasks | `OwnedCancellationToken`, with feature `alloc` |

mod callback;
mod cause;
mod guard;
mod lineage;
#[cfg(all(test, feature = "alloc", target_has_atomic = "ptr"))]
mod model;
mod node;
#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
mod owned;
mod run;
mod wait;
mod walk;

use core::fmt;
use core::ops::Deref;
use core::pin::Pin;
use core::task::{Context, Poll};

use futures_core::FusedFuture;
use pin_project_lite::pin_project;

use crate::sync::{DefaultLock, RawLock, const_fn, if_default_lock};
use node::Node;
use wait::Wait;

pub use callback::OnCancel;
pub use cause::Cause;
pub use guard::DropGuard;
#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
pub use owned::{CancelledOwned, OwnedCancellationToken, OwnedDropGuard};
pub use run::RunUntilCancelled;

/// Tells work to stop: once it is cancelled it stays cancelled, and so do its children.
///
/// A token borrows its parent, if it has one, and is used through a reference. `new` is `const`, so a root can be a
/// `static`, and so can its children. Where a lifetime is in the way there is `OwnedCancellationToken`; the two mix in one
/// tree.
///
/// ```
/// use tollgate::CancellationToken;
///
/// static SHUTDOWN: CancellationToken = CancellationToken::new();
/// static WEB: CancellationToken = SHUTDOWN.child_token();
///
/// fn worker(stop: &CancellationToken) -> usize {
///     (0..10).take_while(|_| !stop.is_cancelled()).count()
/// }
///
/// assert_eq!(worker(&WEB), 10);
/// SHUTDOWN.cancel();
/// assert_eq!(worker(&WEB), 0);
/// ```
///
/// # Cancelling
///
/// Cancelling a token cancels all below it and touches nothing above. The first cause wins and stays, for each token: that
/// of the first on its way up to be cancelled. [`cancel`](Self::cancel) wakes whoever waits for it, and may be called from
/// an interrupt handler if the lock is a critical section.
///
/// # Memory ordering
///
/// What a task did before it cancelled is visible to whoever finds the token cancelled.
///
/// # Size and cost
///
/// 96 bytes on a 64-bit machine with `std`, and 64 for a waiting future.
///
/// * Making and dropping a child touches no shared state and takes no lock: a child knows its parent, and nobody knows a
///   child. Nothing is left behind in the parent.
/// * [`is_cancelled`](Self::is_cancelled) is one load for each token up to the root.
/// * Beginning to wait takes the root's lock once, and one count for each token up to the root; so does ceasing to.
/// * Cancelling takes the root's lock. If nobody waits for this token or one below it, that is all. Else it searches all
///   who wait in the tree, 32 at a time with the lock held, and wakes in rounds of at most eight, each with the lock let go.
///   That is linear in the number of those who wait: some 5 ns each. Where many thousands wait in one tree and single
///   tokens are cancelled all the time while somebody waits for them, give each group a root of its own, and cancel those.
///   A waiter at depth three or more may be woken for a stranger, seldom; it looks, and goes on waiting.
pub struct CancellationToken<'p, L: RawLock = DefaultLock> {
    node: Node<'p, L>,
}

pin_project! {
    /// The future of [`CancellationToken::cancelled`]: ready once the token is cancelled, and from then on.
    ///
    /// It takes its place in the queue at its first poll, if the token is not cancelled then. It may be polled by one task
    /// after another; the newest waker counts.
    ///
    /// ```
    /// # use tollgate::CancellationToken;
    /// # use core::pin::pin;
    /// # futures_lite::future::block_on(async {
    /// let token = CancellationToken::new();
    /// let mut stop = pin!(token.cancelled());
    /// token.cancel();
    /// stop.as_mut().await;
    /// stop.await; // it may be asked again
    /// # });
    /// ```
    ///
    /// # Cancel safety
    ///
    /// Drop it at any moment; it leaves nothing behind.
    #[must_use = "futures do nothing unless polled"]
    pub struct Cancelled<'a, L = DefaultLock>
    where
        L: RawLock,
    {
        #[pin]
        wait: Wait<'a, Borrowed<'a, L>, L>,
    }
}

struct Borrowed<'a, L: RawLock>(&'a CancellationToken<'a, L>);

/// The future of a token's cancellation: [`Cancelled`] or `CancelledOwned`.
///
/// It is sealed: [`RunUntilCancelled`] and [`OnCancel`] rely on what these two do.
pub trait CancelSignal: Future<Output = ()> + sealed::Sealed {
    /// Whether the token is cancelled, which needs no waiting and no lock.
    ///
    /// ```
    /// use tollgate::cancel::{CancelSignal, CancellationToken};
    ///
    /// let token = CancellationToken::new();
    /// let signal = token.cancelled();
    /// assert!(!signal.is_cancelled());
    /// token.cancel();
    /// assert!(signal.is_cancelled(), "nobody had to poll it");
    /// ```
    fn is_cancelled(&self) -> bool;

    /// Stops waiting, for one who need not be woken any more. It is ready from then on.
    #[doc(hidden)]
    fn end(self: Pin<&mut Self>);
}

mod sealed {
    pub trait Sealed {}
}

// === impl CancellationToken ===

if_default_lock! {
    impl CancellationToken<'_, DefaultLock> {
        const_fn! {
            /// A token without a parent, with the default lock.
            ///
            /// ```
            /// use tollgate::CancellationToken;
            ///
            /// static SHUTDOWN: CancellationToken = CancellationToken::new();
            /// assert!(!SHUTDOWN.is_cancelled());
            /// ```
            #[must_use]
            pub const fn new() -> Self {
                Self::with_lock()
            }
        }
    }

    impl Default for CancellationToken<'_, DefaultLock> {
        fn default() -> Self {
            Self::new()
        }
    }
}

impl<'p, L: RawLock> CancellationToken<'p, L> {
    const_fn! {
        /// A token without a parent, with the lock that its type names. Its children use the same one.
        ///
        /// ```
        /// use tollgate::{CancellationToken, LocalLock};
        ///
        /// let token = CancellationToken::<LocalLock>::with_lock();
        /// token.cancel();
        /// assert!(token.is_cancelled());
        /// ```
        #[must_use]
        pub const fn with_lock() -> Self {
            Self { node: Node::root() }
        }
    }

    const_fn! {
        /// A token that is cancelled with this one, and can be cancelled alone.
        ///
        /// It borrows this one, which does not notice: nothing is written, and nothing is left behind when it goes.
        ///
        /// ```
        /// # use tollgate::CancellationToken;
        /// let parent = CancellationToken::new();
        /// let (one, two) = (parent.child_token(), parent.child_token());
        /// one.cancel();
        /// assert!(one.is_cancelled() && !two.is_cancelled() && !parent.is_cancelled());
        /// parent.cancel();
        /// assert!(two.is_cancelled());
        /// ```
        #[must_use]
        pub const fn child_token(&self) -> CancellationToken<'_, L> {
            CancellationToken { node: Node::under(&self.node) }
        }
    }

    /// A token of its own, which nothing that happens to this one reaches: for cleaning up after a cancellation.
    ///
    /// ```
    /// # use tollgate::CancellationToken;
    /// # futures_lite::future::block_on(async {
    /// let token = CancellationToken::new();
    /// token.cancel();
    /// let cleanup = token.detached(); // give it a deadline, so that cleaning up ends too
    /// assert_eq!(cleanup.run_until_cancelled(async { "flushed" }).await, Some("flushed"));
    /// # });
    /// ```
    #[must_use]
    pub fn detached(&self) -> CancellationToken<'static, L> {
        CancellationToken::with_lock()
    }

    /// Cancels this token and all below it, because of [`Cause::CANCELLED`].
    ///
    /// Does nothing if it was cancelled before. When it returns, whoever waits has been woken, or is about to be by another
    /// `cancel` that runs in the same tree at the same time.
    ///
    /// # Panics
    ///
    /// If a waker panics, after all others were woken.
    ///
    /// ```
    /// # use tollgate::CancellationToken;
    /// let token = CancellationToken::new();
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| futures_lite::future::block_on(token.cancelled()));
    ///     token.cancel();
    /// });
    /// ```
    pub fn cancel(&self) {
        self.node.cancel(Cause::CANCELLED);
    }

    /// Cancels this token and all below it, and says why.
    ///
    /// The first cause wins: if this token was cancelled before, by itself or from above, nothing changes.
    ///
    /// # Panics
    ///
    /// As [`cancel`](Self::cancel).
    ///
    /// ```
    /// # use tollgate::CancellationToken;
    /// let token = CancellationToken::new();
    /// token.cancel_with("out of disk");
    /// token.cancel_with("out of patience");
    /// assert_eq!(token.cause().unwrap().reason(), "out of disk");
    /// ```
    pub fn cancel_with(&self, cause: impl Into<Cause>) {
        self.node.cancel(cause.into());
    }

    /// Whether this token was cancelled, by itself or from above. Takes no lock.
    ///
    /// ```
    /// # use tollgate::CancellationToken;
    /// let stop = CancellationToken::new();
    /// let mut steps = 0;
    /// while !stop.is_cancelled() {
    ///     steps += 1;
    ///     if steps == 3 {
    ///         stop.cancel();
    ///     }
    /// }
    /// assert_eq!(steps, 3);
    /// ```
    #[inline]
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.node.is_cancelled()
    }

    /// Why this token was cancelled, if it was. Takes no lock. Once there is an answer it stays the same.
    ///
    /// ```
    /// # use tollgate::CancellationToken;
    /// # use tollgate::cancel::Cause;
    /// let token = CancellationToken::new();
    /// assert_eq!(token.cause(), None);
    /// token.cancel();
    /// assert_eq!(token.cause(), Some(Cause::CANCELLED));
    /// ```
    #[must_use]
    pub fn cause(&self) -> Option<Cause> {
        self.node.cause()
    }

    /// How many futures wait for this token or one below it, as they were counted a moment ago. Takes no lock.
    ///
    /// ```
    /// # use tollgate::CancellationToken;
    /// # let token = CancellationToken::new();
    /// # let child = token.child_token();
    /// # let mut wait = std::pin::pin!(child.cancelled());
    /// # let _ = wait.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
    /// assert_eq!((token.waiters(), child.waiters()), (1, 1));
    /// ```
    #[must_use]
    pub fn waiters(&self) -> usize {
        self.node.waiters()
    }

    /// Waits until this token is cancelled. [`cause`](Self::cause) says why.
    ///
    /// It goes wherever a future without an output is asked for, as the signal of [`until`](crate::DeadlineExt::until),
    /// say.
    ///
    /// ```
    /// use tollgate::{CancellationToken, DeadlineExt};
    ///
    /// # futures_lite::future::block_on(async {
    /// let token = CancellationToken::new();
    /// token.cancel();
    /// assert_eq!(core::future::pending::<()>().until(token.cancelled()).await, Err(()));
    /// # });
    /// ```
    pub fn cancelled(&self) -> Cancelled<'_, L> {
        Cancelled { wait: Wait::new(Borrowed(self)) }
    }

    /// Runs `future` until it is ready, `Some`, or this token is cancelled, `None`.
    ///
    /// The token is looked at before `future` is polled for the first time: under a cancelled token nothing is begun, so
    /// a loop around a stream that always has more ends too. In later polls `future` comes first, so a value
    /// that is ready is not thrown away.
    ///
    /// ```
    /// use futures_lite::{StreamExt, stream};
    /// use tollgate::CancellationToken;
    ///
    /// # futures_lite::future::block_on(async {
    /// let token = CancellationToken::new();
    /// let mut numbers = stream::iter(1..); // always has more
    /// let mut sum = 0;
    /// while let Some(Some(number)) = token.run_until_cancelled(numbers.next()).await {
    ///     sum += number;
    ///     if number == 10 {
    ///         token.cancel();
    ///     }
    /// }
    /// assert_eq!(sum, 55);
    /// # });
    /// ```
    pub fn run_until_cancelled<F>(&self, future: F) -> RunUntilCancelled<F::IntoFuture, Cancelled<'_, L>>
    where
        F: IntoFuture,
    {
        RunUntilCancelled::new(future.into_future(), self.cancelled())
    }

    /// A future that calls `f` when this token is cancelled, unless it is [stopped](OnCancel::stop) or dropped before.
    ///
    /// `f` is run by the task that polls the future, and never in the middle of somebody's `cancel`: see [`OnCancel`].
    ///
    /// ```
    /// use futures_lite::future::{block_on, zip};
    /// use tollgate::CancellationToken;
    ///
    /// let token = CancellationToken::new();
    /// let told = token.on_cancel(|| "closing the connection");
    /// let (told, ()) = block_on(zip(told, async { token.cancel() }));
    /// assert_eq!(told, "closing the connection");
    /// ```
    pub fn on_cancel<F, T>(&self, f: F) -> OnCancel<F, Cancelled<'_, L>>
    where
        F: FnOnce() -> T,
    {
        OnCancel::new(f, self.cancelled())
    }

    /// Cancels this token when the guard is dropped, unless it is [disarmed](DropGuard::disarm).
    ///
    /// So what a function has begun stops when the function ends, by `?`, by a panic, or because its future is dropped.
    ///
    /// ```
    /// # use tollgate::CancellationToken;
    /// fn fetch(token: &CancellationToken) -> Result<(), std::num::ParseIntError> {
    ///     let guard = token.drop_guard();
    ///     let _port: u16 = "eighty".parse()?;
    ///     guard.disarm();
    ///     Ok(())
    /// }
    ///
    /// let token = CancellationToken::new();
    /// assert!(fetch(&token).is_err());
    /// assert!(token.is_cancelled());
    /// ```
    pub fn drop_guard(&self) -> DropGuard<'_, L> {
        DropGuard::new(self)
    }
}

impl<L: RawLock> fmt::Debug for CancellationToken<'_, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.node.fmt_as("CancellationToken", f)
    }
}

// === impl Cancelled ===

impl<L: RawLock> Future for Cancelled<'_, L> {
    type Output = ();

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().wait.poll(cx.waker())
    }
}

impl<L: RawLock> FusedFuture for Cancelled<'_, L> {
    fn is_terminated(&self) -> bool {
        self.wait.is_done()
    }
}

impl<L: RawLock> CancelSignal for Cancelled<'_, L> {
    #[inline]
    fn is_cancelled(&self) -> bool {
        self.wait.handle().is_cancelled()
    }

    fn end(self: Pin<&mut Self>) {
        self.project().wait.end();
    }
}

impl<L: RawLock> sealed::Sealed for Cancelled<'_, L> {}

impl<L: RawLock> fmt::Debug for Cancelled<'_, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cancelled").field(&self.wait).finish()
    }
}

impl<'a, L: RawLock> Deref for Borrowed<'a, L> {
    type Target = Node<'a, L>;

    #[inline]
    fn deref(&self) -> &Node<'a, L> {
        &self.0.node
    }
}
