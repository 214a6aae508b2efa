//! The same token behind an `Arc`: no lifetime.

use alloc::sync::Arc;
use core::fmt;
use core::ops::Deref;
use core::pin::Pin;
use core::task::{Context, Poll};

use futures_core::FusedFuture;
use pin_project_lite::pin_project;

use super::node::Node;
use super::wait::Wait;
use super::{CancelSignal, CancellationToken, Cause, OnCancel, RunUntilCancelled, sealed};
use crate::sync::{DefaultLock, RawLock, if_default_lock};

/// A [`CancellationToken`] behind an `Arc`: it is cloned and moved into tasks, and keeps its parents alive.
///
/// Clones are the same token. It derefs to the borrowed form, so all that can be done with that can be done with this; what
/// is here as well returns things without a lifetime.
///
/// ```
/// use tollgate::cancel::OwnedCancellationToken;
///
/// let token = OwnedCancellationToken::new();
/// let thread = std::thread::spawn({
///     let child = token.child_token();
///     move || futures_lite::future::block_on(child.cancelled())
/// });
/// token.cancel();
/// thread.join().unwrap();
/// ```
///
/// # Size and cost
///
/// 8 bytes, and one allocation of 112 a token, on a 64-bit machine with `std`. A child allocates itself and counts one up in
/// its parent's `Arc`; the parent keeps nothing of it. Chains of any length are taken apart without recursion.
pub struct OwnedCancellationToken<L: RawLock = DefaultLock> {
    token: Arc<CancellationToken<'static, L>>,
}

/// Cancels its token when it is dropped: see [`OwnedCancellationToken::drop_guard`].
///
/// # Panics
///
/// Dropping it panics if a waker does, after all others were woken.
#[must_use = "a guard that is dropped at once cancels at once"]
pub struct OwnedDropGuard<L: RawLock = DefaultLock> {
    /// `None` once it is disarmed.
    token: Option<OwnedCancellationToken<L>>,
    cause: Cause,
}

pin_project! {
    /// The future of [`OwnedCancellationToken::cancelled_owned`]: as [`Cancelled`](super::Cancelled), without a lifetime.
    #[must_use = "futures do nothing unless polled"]
    pub struct CancelledOwned<L = DefaultLock>
    where
        L: RawLock,
    {
        #[pin]
        wait: Wait<'static, Owned<L>, L>,
    }
}

struct Owned<L: RawLock>(OwnedCancellationToken<L>);

/// A child's link to its parent. Dropping the last one to a node drops the node, and so on up, in a loop.
pub(super) struct Upward<L: RawLock>(Option<Arc<CancellationToken<'static, L>>>);

// === impl OwnedCancellationToken ===

if_default_lock! {
    impl OwnedCancellationToken<DefaultLock> {
        /// A token without a parent, with the default lock.
        ///
        /// ```
        /// # use tollgate::cancel::OwnedCancellationToken;
        /// let token = OwnedCancellationToken::new();
        /// let same = token.clone();
        /// std::thread::spawn(move || same.cancel()).join().unwrap();
        /// assert!(token.is_cancelled());
        /// ```
        #[must_use]
        pub fn new() -> Self {
            Self::with_lock()
        }
    }

    impl Default for OwnedCancellationToken<DefaultLock> {
        fn default() -> Self {
            Self::new()
        }
    }
}

impl<L: RawLock> OwnedCancellationToken<L> {
    /// A token without a parent, with the lock that its type names.
    ///
    /// ```
    /// # use tollgate::cancel::OwnedCancellationToken;
    /// use tollgate::LocalLock;
    ///
    /// let token = OwnedCancellationToken::<LocalLock>::with_lock();
    /// let child = token.child_token(); // for a task of the same thread
    /// token.cancel();
    /// assert!(child.is_cancelled());
    /// ```
    #[must_use]
    pub fn with_lock() -> Self {
        Self::at(Node::root())
    }

    fn at(node: Node<'static, L>) -> Self {
        Self { token: Arc::new(CancellationToken { node }) }
    }

    /// A token that is cancelled with this one, and can be cancelled alone. It keeps this one alive.
    ///
    /// ```
    /// # use tollgate::cancel::OwnedCancellationToken;
    /// let parent = OwnedCancellationToken::new();
    /// let child = parent.child_token();
    /// drop(parent);
    /// assert!(!child.is_cancelled(), "dropping a token cancels nothing");
    /// ```
    #[must_use]
    pub fn child_token(&self) -> Self {
        Self::at(Node::under_owned(Upward(Some(self.token.clone()))))
    }

    /// A token of its own, which nothing that happens to this one reaches: see [`CancellationToken::detached`].
    ///
    /// ```
    /// # use tollgate::cancel::OwnedCancellationToken;
    /// let token = OwnedCancellationToken::new();
    /// token.cancel();
    /// let cleanup = token.detached().run_until_cancelled_owned(async { "flushed" });
    /// let thread = std::thread::spawn(|| futures_lite::future::block_on(cleanup));
    /// assert_eq!(thread.join().unwrap(), Some("flushed"));
    /// ```
    #[must_use]
    pub fn detached(&self) -> Self {
        Self::with_lock()
    }

    /// Waits until this token is cancelled, and keeps it alive meanwhile.
    ///
    /// ```
    /// # use tollgate::cancel::OwnedCancellationToken;
    /// let token = OwnedCancellationToken::new();
    /// let cancelled = token.clone().cancelled_owned();
    /// let thread = std::thread::spawn(|| futures_lite::future::block_on(cancelled));
    /// token.cancel();
    /// assert!(thread.join().is_ok(), "it is woken and ends");
    /// ```
    pub fn cancelled_owned(self) -> CancelledOwned<L> {
        CancelledOwned { wait: Wait::new(Owned(self)) }
    }

    /// As [`run_until_cancelled`](CancellationToken::run_until_cancelled), without a lifetime: to be spawned.
    ///
    /// ```
    /// # use tollgate::cancel::OwnedCancellationToken;
    /// let token = OwnedCancellationToken::new();
    /// let job = token.clone().run_until_cancelled_owned(core::future::pending::<()>());
    /// let thread = std::thread::spawn(|| futures_lite::future::block_on(job));
    /// token.cancel();
    /// assert_eq!(thread.join().unwrap(), None);
    /// ```
    pub fn run_until_cancelled_owned<F>(self, future: F) -> RunUntilCancelled<F::IntoFuture, CancelledOwned<L>>
    where
        F: IntoFuture,
    {
        RunUntilCancelled::new(future.into_future(), self.cancelled_owned())
    }

    /// As [`on_cancel`](CancellationToken::on_cancel), without a lifetime: to be spawned.
    ///
    /// ```
    /// # use tollgate::cancel::OwnedCancellationToken;
    /// let token = OwnedCancellationToken::new();
    /// let closing = token.clone().on_cancel_owned(|| "closed");
    /// let thread = std::thread::spawn(|| futures_lite::future::block_on(closing));
    /// token.cancel();
    /// assert_eq!(thread.join().unwrap(), "closed");
    /// ```
    pub fn on_cancel_owned<F, T>(self, f: F) -> OnCancel<F, CancelledOwned<L>>
    where
        F: FnOnce() -> T,
    {
        OnCancel::new(f, self.cancelled_owned())
    }

    /// Cancels this token when the guard is dropped, unless it is disarmed: see [`CancellationToken::drop_guard`].
    ///
    /// ```
    /// # use tollgate::cancel::OwnedCancellationToken;
    /// let token = OwnedCancellationToken::new();
    /// let guard = token.clone().drop_guard();
    /// std::thread::spawn(move || drop(guard)).join().unwrap();
    /// assert!(token.is_cancelled());
    /// ```
    pub fn drop_guard(self) -> OwnedDropGuard<L> {
        OwnedDropGuard { token: Some(self), cause: Cause::GUARD_DROPPED }
    }
}

impl<L: RawLock> CancellationToken<'static, L> {
    /// An owned child of a static token.
    ///
    /// ```
    /// use tollgate::CancellationToken;
    ///
    /// static SHUTDOWN: CancellationToken = CancellationToken::new();
    ///
    /// let request = SHUTDOWN.child_token_owned();
    /// SHUTDOWN.cancel();
    /// assert!(request.is_cancelled());
    /// ```
    #[must_use]
    pub fn child_token_owned(&'static self) -> OwnedCancellationToken<L> {
        OwnedCancellationToken::at(Node::under(&self.node))
    }
}

impl<L: RawLock> Deref for OwnedCancellationToken<L> {
    type Target = CancellationToken<'static, L>;

    #[inline]
    fn deref(&self) -> &CancellationToken<'static, L> {
        &self.token
    }
}

impl<L: RawLock> AsRef<CancellationToken<'static, L>> for OwnedCancellationToken<L> {
    fn as_ref(&self) -> &CancellationToken<'static, L> {
        self
    }
}

impl<L: RawLock> Clone for OwnedCancellationToken<L> {
    fn clone(&self) -> Self {
        Self { token: self.token.clone() }
    }
}

impl<L: RawLock> fmt::Debug for OwnedCancellationToken<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.node.fmt_as("OwnedCancellationToken", f)
    }
}

// === impl OwnedDropGuard ===

impl<L: RawLock> OwnedDropGuard<L> {
    /// Sets what it gives as the cause instead of [`Cause::GUARD_DROPPED`].
    ///
    /// ```
    /// # use tollgate::cancel::OwnedCancellationToken;
    /// let token = OwnedCancellationToken::new();
    /// let guard = token.clone().drop_guard().because("the worker is gone");
    /// std::thread::spawn(move || drop(guard)).join().unwrap();
    /// assert_eq!(token.cause().unwrap().reason(), "the worker is gone");
    /// ```
    pub fn because(mut self, cause: impl Into<Cause>) -> Self {
        self.cause = cause.into();
        self
    }

    /// The token.
    ///
    /// ```
    /// # use tollgate::cancel::OwnedCancellationToken;
    /// let guard = OwnedCancellationToken::new().drop_guard();
    /// let token = guard.token().clone();
    /// std::thread::spawn(move || drop(guard)).join().unwrap();
    /// assert!(token.is_cancelled());
    /// ```
    #[must_use]
    pub fn token(&self) -> &OwnedCancellationToken<L> {
        self.token.as_ref().expect("only disarming takes it")
    }

    /// Lets the token be, and returns it.
    ///
    /// ```
    /// # use tollgate::cancel::OwnedCancellationToken;
    /// let guard = OwnedCancellationToken::new().drop_guard();
    /// let thread = std::thread::spawn(|| guard.disarm()); // it ends well
    /// let token = thread.join().unwrap();
    /// assert!(!token.is_cancelled());
    /// ```
    pub fn disarm(mut self) -> OwnedCancellationToken<L> {
        self.token.take().expect("only disarming takes it")
    }
}

impl<L: RawLock> Drop for OwnedDropGuard<L> {
    fn drop(&mut self) {
        if let Some(token) = &self.token {
            token.cancel_with(self.cause);
        }
    }
}

impl<L: RawLock> fmt::Debug for OwnedDropGuard<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedDropGuard").field("token", self.token()).field("cause", &self.cause).finish()
    }
}

// === impl CancelledOwned ===

impl<L: RawLock> Future for CancelledOwned<L> {
    type Output = ();

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().wait.poll(cx.waker())
    }
}

impl<L: RawLock> FusedFuture for CancelledOwned<L> {
    fn is_terminated(&self) -> bool {
        self.wait.is_done()
    }
}

impl<L: RawLock> CancelSignal for CancelledOwned<L> {
    #[inline]
    fn is_cancelled(&self) -> bool {
        self.wait.handle().is_cancelled()
    }

    fn end(self: Pin<&mut Self>) {
        self.project().wait.end();
    }
}

impl<L: RawLock> sealed::Sealed for CancelledOwned<L> {}

impl<L: RawLock> fmt::Debug for CancelledOwned<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CancelledOwned").field(&self.wait).finish()
    }
}

impl<L: RawLock> Deref for Owned<L> {
    type Target = Node<'static, L>;

    #[inline]
    fn deref(&self) -> &Node<'static, L> {
        &self.0.token.node
    }
}

// === impl Upward ===

impl<L: RawLock> Upward<L> {
    #[inline]
    pub(super) fn node(&self) -> &Node<'static, L> {
        &self.0.as_ref().expect("it is only taken to be dropped").node
    }
}

impl<L: RawLock> Drop for Upward<L> {
    fn drop(&mut self) {
        let mut last = self.0.take();
        while let Some(token) = last {
            // Of several who let go at once exactly one gets the node, and goes on.
            last = Arc::into_inner(token).and_then(|mut token| token.node.upward()?.0.take());
        }
    }
}
