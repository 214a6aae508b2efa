//! A concurrency limit for tower services: `poll_ready` waits for a permit, the response's future holds it.
//!
//! One pinned `AcquireOwned` serves all requests: it is reset in place, so nothing is allocated for a request.
//!
//! ```sh
//! cargo run --example poll_ready
//! ```

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_lite::future;
use pin_project_lite::pin_project;
use tollgate::{AcquireOwned, OwnedPermit, Semaphore};
use tower_service::Service;

/// At most so many calls of `S` at once, over all clones.
struct ConcurrencyLimit<S> {
    inner: S,
    semaphore: Arc<Semaphore>,
    acquire: Pin<Box<AcquireOwned>>,
    permit: Option<OwnedPermit>,
}

pin_project! {
    /// A call under way; the permit goes back when it is over or dropped.
    struct Limited<F> {
        #[pin]
        call: F,
        permit: OwnedPermit,
    }
}

impl<S> ConcurrencyLimit<S> {
    fn new(inner: S, limit: usize) -> Self {
        Self::over(inner, Arc::new(Semaphore::new(limit)))
    }

    fn over(inner: S, semaphore: Arc<Semaphore>) -> Self {
        let acquire = Box::pin(semaphore.clone().acquire_owned());
        Self { inner, semaphore, acquire, permit: None }
    }
}

impl<S: Clone> Clone for ConcurrencyLimit<S> {
    /// A clone waits on its own. It takes neither the permit nor the place in the queue with it.
    fn clone(&self) -> Self {
        Self::over(self.inner.clone(), self.semaphore.clone())
    }
}

impl<S: Service<Request>, Request> Service<Request> for ConcurrencyLimit<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = Limited<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        if self.permit.is_none() {
            let permit = ready!(self.acquire.as_mut().poll(cx)).expect("this semaphore is never closed");
            self.acquire.as_mut().reset(self.semaphore.clone(), 1);
            self.permit = Some(permit);
        }
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let permit = self.permit.take().expect("`poll_ready` has to say yes before each call");
        Limited { call: self.inner.call(request), permit }
    }
}

impl<F: Future> Future for Limited<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().call.poll(cx)
    }
}

// === a service to limit ===

static RUNNING: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

#[derive(Clone)]
struct Double;

impl Service<u32> for Double {
    type Response = u32;
    type Error = std::convert::Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<u32, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, number: u32) -> Self::Future {
        Box::pin(async move {
            MOST.fetch_max(RUNNING.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
            std::thread::sleep(Duration::from_millis(1));
            future::yield_now().await;
            RUNNING.fetch_sub(1, Ordering::Relaxed);
            Ok(number * 2)
        })
    }
}

fn main() {
    let service = ConcurrencyLimit::new(Double, 3);
    let clients = (0..8u32).map(|client| {
        let mut service = service.clone();
        std::thread::spawn(move || {
            future::block_on(async {
                let mut sum = 0;
                for number in 0..10 {
                    future::poll_fn(|cx| service.poll_ready(cx)).await.expect("infallible");
                    sum += service.call(client * 10 + number).await.expect("infallible");
                }
                sum
            })
        })
    });
    let clients: Vec<_> = clients.collect();
    let sum: u32 = clients.into_iter().map(|client| client.join().expect("a client")).sum();
    let most = MOST.load(Ordering::Relaxed);
    println!("80 calls by 8 clients, at most {most} at once, sum {sum}");
    assert_eq!(sum, (0..80).map(|number| number * 2).sum());
    assert!(most <= 3, "the limit holds");
}
