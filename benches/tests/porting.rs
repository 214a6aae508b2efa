//! Fifty lines that were written for tokio's semaphore run on this one, with other imports and names of errors.

macro_rules! program {
    ($name:ident, { $($imports:tt)* }) => {
        mod $name {
            use std::sync::Arc;
            use std::sync::atomic::{AtomicUsize, Ordering};
            $($imports)*

            static CONNECTIONS: Semaphore = semaphore(2);
            static BUSY: AtomicUsize = AtomicUsize::new(0);

            struct Pool {
                slots: Arc<Semaphore>,
            }

            impl Pool {
                fn new(slots: usize) -> Self {
                    Self { slots: Arc::new(Semaphore::new(slots)) }
                }

                async fn lease(&self) -> Result<OwnedPermit, Closed> {
                    self.slots.clone().acquire_owned().await
                }

                fn lease_now(&self) -> Option<OwnedPermit> {
                    match self.slots.clone().try_acquire_owned() {
                        Ok(permit) => Some(permit),
                        Err(TryAcquireError::NoPermits) => None,
                        Err(TryAcquireError::Closed) => panic!("the pool is closed"),
                    }
                }

                fn shut_down(&self) {
                    self.slots.close();
                }
            }

            async fn query() -> Result<usize, Closed> {
                let _connection = CONNECTIONS.acquire().await?;
                let busy = BUSY.fetch_add(1, Ordering::SeqCst) + 1;
                tokio::task::yield_now().await;
                BUSY.fetch_sub(1, Ordering::SeqCst);
                Ok(busy)
            }

            pub async fn main() -> Result<(), Closed> {
                let queries: Vec<_> = (0..20).map(|_| tokio::spawn(query())).collect();
                for query in queries {
                    assert!(query.await.unwrap()? <= 2);
                }
                let all = CONNECTIONS.acquire_many(2).await?;
                assert_eq!(CONNECTIONS.try_acquire().unwrap_err(), TryAcquireError::NoPermits);
                drop(all);

                let pool = Pool::new(2);
                let (one, mut two) = (pool.lease().await?, pool.lease_now().expect("a free slot"));
                assert!(pool.lease_now().is_none());
                two.merge(one);
                drop(two.split(1));
                assert_eq!(pool.slots.available_permits(), 1);
                two.forget();
                pool.slots.add_permits(1);
                assert_eq!(pool.slots.forget_permits(1), 1);

                let waiting = pool.slots.clone().acquire_many_owned(2);
                let waiting = tokio::spawn(waiting);
                tokio::task::yield_now().await;
                pool.shut_down();
                assert!(waiting.await.unwrap().is_err());
                assert!(pool.slots.is_closed() && pool.lease().await.is_err());
                Ok(())
            }
        }
    };
}

program!(written_for_tokio, {
    use tokio::sync::{AcquireError as Closed, OwnedSemaphorePermit as OwnedPermit, Semaphore, TryAcquireError};
    const fn semaphore(permits: usize) -> Semaphore {
        Semaphore::const_new(permits)
    }
});

program!(ported, {
    use tollgate::{Closed, OwnedPermit, Semaphore, TryAcquireError};
    const fn semaphore(permits: usize) -> Semaphore {
        Semaphore::new(permits)
    }
});

#[tokio::test]
async fn the_program_does_on_tokio_what_it_says() {
    written_for_tokio::main().await.unwrap();
}

#[tokio::test]
async fn the_ported_program_does_the_same() {
    ported::main().await.unwrap();
}
