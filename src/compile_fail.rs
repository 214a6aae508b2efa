//! What must not compile, each beside the nearest thing that must, so that it does not fail for another reason.
//!
//! A permit cannot outlive its semaphore:
//!
//! ```
//! use tollgate::Semaphore;
//! let gate = Semaphore::new(1);
//! let permit = gate.try_acquire().unwrap();
//! drop(permit);
//! drop(gate);
//! ```
//!
//! ```compile_fail,E0505
//! use tollgate::Semaphore;
//! let gate = Semaphore::new(1);
//! let permit = gate.try_acquire().unwrap();
//! drop(gate);
//! drop(permit);
//! ```
//!
//! Nor can a waiting future:
//!
//! ```compile_fail,E0597
//! use tollgate::Semaphore;
//! let acquire = {
//!     let gate = Semaphore::new(1);
//!     gate.acquire()
//! };
//! drop(acquire);
//! ```
//!
//! A future that has to stay where it is cannot be polled where it may move:
//!
//! ```
//! use std::{pin::pin, task::{Context, Waker}};
//! use tollgate::Semaphore;
//! let gate = Semaphore::new(1);
//! let acquire = pin!(gate.acquire());
//! let _ = acquire.poll(&mut Context::from_waker(Waker::noop()));
//! ```
//!
//! ```compile_fail,E0277
//! use std::{pin::Pin, task::{Context, Waker}};
//! use tollgate::Semaphore;
//! let gate = Semaphore::new(1);
//! let mut acquire = gate.acquire();
//! let _ = Pin::new(&mut acquire).poll(&mut Context::from_waker(Waker::noop()));
//! ```
//!
//! Barging and priority are chosen before the future is pinned, so before it can have a place:
//!
//! ```compile_fail,E0507
//! use std::pin::pin;
//! use tollgate::Semaphore;
//! let gate = Semaphore::new(1);
//! let acquire = pin!(gate.acquire());
//! let _ = acquire.priority(1);
//! ```
//!
//! A permit is not copied, and a merged or forgotten one is gone:
//!
//! ```compile_fail,E0382
//! use tollgate::Semaphore;
//! let gate = Semaphore::new(2);
//! let mut one = gate.try_acquire().unwrap();
//! let two = gate.try_acquire().unwrap();
//! one.merge(two);
//! drop(two);
//! ```
//!
//! A semaphore for one thread, its permits and its futures stay there:
//!
//! ```
//! use tollgate::Semaphore;
//! let gate = Semaphore::new(1);
//! std::thread::scope(|scope| {
//!     scope.spawn(|| gate.try_acquire().is_ok());
//! });
//! ```
//!
//! ```compile_fail,E0277
//! use tollgate::{LocalLock, Semaphore};
//! let gate = Semaphore::<LocalLock>::with_lock(1);
//! std::thread::scope(|scope| {
//!     scope.spawn(|| gate.try_acquire().is_ok());
//! });
//! ```
//!
//! ```compile_fail,E0277
//! use tollgate::{LocalLock, Semaphore};
//! fn is_send<T: Send>(_: T) {}
//! let gate = Semaphore::<LocalLock>::with_lock(1);
//! is_send(gate.try_acquire());
//! ```
//!
//! ```compile_fail,E0277
//! use tollgate::{LocalLock, Semaphore};
//! fn is_send<T: Send>(_: T) {}
//! let gate = Semaphore::<LocalLock>::with_lock(1);
//! is_send(gate.acquire());
//! ```
//!
//! Too many permits in a `static` are found by the compiler:
//!
//! ```
//! use tollgate::Semaphore;
//! static GATE: Semaphore = Semaphore::new(Semaphore::MAX_PERMITS);
//! assert_eq!(GATE.available_permits(), Semaphore::MAX_PERMITS);
//! ```
//!
//! ```compile_fail,E0080
//! use tollgate::Semaphore;
//! static GATE: Semaphore = Semaphore::new(usize::MAX);
//! ```
//!
//! What does nothing unless it is used says so:
//!
//! ```compile_fail
//! #![deny(unused_must_use)]
//! use tollgate::Semaphore;
//! fn forgot_to_await(gate: &Semaphore) {
//!     gate.acquire();
//! }
//! ```
//!
//! ```compile_fail
//! #![deny(unused_must_use)]
//! use tollgate::Semaphore;
//! fn forgot_to_hold(gate: &Semaphore) {
//!     let Ok(mut both) = gate.try_acquire_many(2) else { return };
//!     both.split(1);
//! }
//! ```
//!
//! ```compile_fail
//! #![deny(unused_must_use)]
//! use tollgate::Semaphore;
//! async fn forgot_to_hold(gate: &Semaphore) {
//!     gate.acquire().await;
//! }
//! ```
