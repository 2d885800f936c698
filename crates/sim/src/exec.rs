//! Driving futures by hand: nothing wakes anything, the simulation polls what it chooses.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// One poll.
pub fn poll<T>(future: &mut Pin<Box<dyn Future<Output = T> + '_>>) -> Poll<T> {
    future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

/// Polls until it is done, at most so often.
pub fn finish<T>(future: impl Future<Output = T>, polls: u32) -> Option<T> {
    let mut future: Pin<Box<dyn Future<Output = T> + '_>> = Box::pin(future);
    (0..polls).find_map(|_| match poll(&mut future) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    })
}

/// Is pending once: whoever polls may do something else first, or never come back.
#[derive(Debug, Default)]
pub struct Yield(bool);

impl Future for Yield {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.0 {
            return Poll::Ready(());
        }
        self.0 = true;
        // What polls several at once polls only those that were woken.
        context.waker().wake_by_ref();
        Poll::Pending
    }
}
