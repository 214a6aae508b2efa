//! Waiting until a node is cancelled.

use core::fmt;
use core::ops::Deref;
use core::pin::Pin;
use core::task::{Poll, Waker};

use pin_project_lite::pin_project;

use super::lineage::Lineage;
use super::node::{Node, TOO_LATE};
use crate::sync::{RawLock, const_fn};
use crate::wait::waiting::Waiting;

pin_project! {
    /// A place in the queue, and a count in each node from `H` up while there is one.
    pub(super) struct Wait<'p, H, L>
    where
        H: Deref<Target = Node<'p, L>>,
        L: RawLock,
    {
        #[pin]
        waiting: Waiting<H, Node<'p, L>>,
    }

    impl<'p, H, L> PinnedDrop for Wait<'p, H, L>
    where
        H: Deref<Target = Node<'p, L>>,
        L: RawLock,
    {
        fn drop(this: Pin<&mut Self>) {
            this.leave();
        }
    }
}

// === impl Wait ===

impl<'p, H: Deref<Target = Node<'p, L>>, L: RawLock> Wait<'p, H, L> {
    const_fn! {
        pub(super) const fn new(node: H) -> Self {
            Self { waiting: Waiting::new(node, Lineage::UNKNOWN, 0) }
        }
    }

    pub(super) fn handle(&self) -> &H {
        self.waiting.handle()
    }

    pub(super) fn is_done(&self) -> bool {
        self.waiting.is_done()
    }

    /// Once ready, always ready.
    #[inline]
    pub(super) fn poll(mut self: Pin<&mut Self>, waker: &Waker) -> Poll<()> {
        if self.is_done() {
            return Poll::Ready(());
        }
        loop {
            // What the tokens say is what counts. To be found in the queue is a reason to look.
            if self.handle().is_cancelled() {
                self.end();
                return Poll::Ready(());
            }
            let mut waiting = self.as_mut().project().waiting;
            match waiting.as_mut().poll(waker, |node, _, lineage| node.admit(lineage)) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready((TOO_LATE, _)) => return Poll::Ready(()),
                // Found, perhaps for a token with a similar name.
                Poll::Ready((_, lineage)) => {
                    waiting.as_mut().restart(None, lineage);
                    self.handle().let_out();
                }
            }
        }
    }

    /// Gives up the place, if there is one, and is ready from then on.
    pub(super) fn end(mut self: Pin<&mut Self>) {
        if !self.is_done() {
            self.as_mut().leave();
            self.project().waiting.skip();
        }
    }

    /// Gives up the place, if there is one.
    fn leave(self: Pin<&mut Self>) {
        if self.waiting.is_idle() || self.waiting.is_done() {
            return;
        }
        let mut waiting = self.project().waiting;
        waiting.as_mut().cancel();
        waiting.handle().let_out();
    }
}

impl<'p, H: Deref<Target = Node<'p, L>>, L: RawLock> fmt::Debug for Wait<'p, H, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.waiting, f)
    }
}
