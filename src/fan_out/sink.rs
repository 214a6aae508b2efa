//! A source that is a sink as well can still be written to.

use core::pin::Pin;
use core::task::{Context, Poll};

use futures_core::Stream;
use futures_util::sink::Sink;

use super::{FanOut, Launch, Order, Storage};

/// What is written goes to the source.
impl<St, M, O, S, Item> Sink<Item> for FanOut<St, M, O, S>
where
    St: Stream + Sink<Item>,
    M: Launch<St::Item>,
    O: Order,
    S: Storage,
{
    type Error = St::Error;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), St::Error>> {
        self.get_pin_mut().poll_ready(cx)
    }

    fn start_send(self: Pin<&mut Self>, item: Item) -> Result<(), St::Error> {
        self.get_pin_mut().start_send(item)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), St::Error>> {
        self.get_pin_mut().poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), St::Error>> {
        self.get_pin_mut().poll_close(cx)
    }
}
