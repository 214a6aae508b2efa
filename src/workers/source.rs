//! The input that the workers share, one at a time.
//!
//! # Invariant
//!
//! * **I1** The cell is reached only by the worker that has the turn (W5 of the board), and a turn goes from one to the next
//!   through a semaphore, which orders what they do.

use alloc::boxed::Box;
use core::pin::Pin;
use core::task::{Context, Poll};

use futures_core::Stream;

use crate::sync::UnsafeCell;

pub struct Source<St> {
    input: UnsafeCell<Input<St>>,
}

struct Input<St> {
    /// None when it is over.
    stream: Option<Pin<Box<St>>>,
    /// How many items were taken.
    taken: usize,
}

// SAFETY: one worker at a time reaches the stream (I1), from its own thread, so it has to be `Send` and no more.
unsafe impl<St: Send> Sync for Source<St> {}

impl<St: Stream> Source<St> {
    pub fn new(stream: St) -> Self {
        Self { input: UnsafeCell::new(Input { stream: Some(Box::pin(stream)), taken: 0 }) }
    }

    /// The next item and its number. After the end, and after a panic, there is none.
    ///
    /// # Safety
    ///
    /// The caller has the turn, and keeps it until this has returned.
    pub unsafe fn poll_take(&self, cx: &mut Context<'_>) -> Poll<Option<(usize, St::Item)>> {
        self.input.with_mut(|input| {
            // SAFETY: the caller has the turn (I1), and the stream cannot come back here: it does not have the worker.
            let input = unsafe { &mut *input };
            // Taken out, so that a stream that panics is gone.
            let Some(mut stream) = input.stream.take() else { return Poll::Ready(None) };
            let polled = stream.as_mut().poll_next(cx);
            if !matches!(polled, Poll::Ready(None)) {
                input.stream = Some(stream);
            }
            polled.map(|item| {
                let item = item?;
                input.taken += 1;
                Some((input.taken - 1, item))
            })
        })
    }
}
