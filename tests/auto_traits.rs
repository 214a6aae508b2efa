//! Which public types are `Send`, `Sync`, `Unpin` and safe to carry across a caught panic.
#![cfg(any(feature = "std", feature = "critical-section"))]
#![allow(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "tests always have std")]

use std::marker::PhantomData;
use std::panic::{RefUnwindSafe, UnwindSafe};

use tollgate::{Acquire, Closed, DefaultLock, LocalLock, Permit, Semaphore, TryAcquireError};

/// Has an inherent constant where the bound holds, which hides the one of [`No`].
struct Probe<T: ?Sized>(PhantomData<T>);

trait No {
    const SEND: bool = false;
    const SYNC: bool = false;
    const UNPIN: bool = false;
    const UNWIND: bool = false;
    const REF_UNWIND: bool = false;
}

impl<T: ?Sized> No for Probe<T> {}

impl<T: ?Sized + Send> Probe<T> {
    const SEND: bool = true;
}

impl<T: ?Sized + Sync> Probe<T> {
    const SYNC: bool = true;
}

impl<T: ?Sized + Unpin> Probe<T> {
    const UNPIN: bool = true;
}

impl<T: ?Sized + UnwindSafe> Probe<T> {
    const UNWIND: bool = true;
}

impl<T: ?Sized + RefUnwindSafe> Probe<T> {
    const REF_UNWIND: bool = true;
}

/// The traits that a type has, in the order of the table's columns.
macro_rules! traits_of {
    ($type:ty) => {
        [
            ("Send", Probe::<$type>::SEND),
            ("Sync", Probe::<$type>::SYNC),
            ("Unpin", Probe::<$type>::UNPIN),
            ("UnwindSafe", Probe::<$type>::UNWIND),
            ("RefUnwindSafe", Probe::<$type>::REF_UNWIND),
        ]
    };
}

/// One line a type; `y` has the trait, `-` has it not, `?` is not promised.
macro_rules! table {
    ($($type:ty: $send:tt $sync:tt $unpin:tt $unwind:tt $ref_unwind:tt;)*) => {{
        let mut wrong = Vec::new();
        $(
            let expected =
                [stringify!($send), stringify!($sync), stringify!($unpin), stringify!($unwind), stringify!($ref_unwind)];
            for ((name, has), expected) in traits_of!($type).into_iter().zip(expected) {
                if expected != "?" && has != (expected == "y") {
                    wrong.push(format!("{} {} {name}", stringify!($type), if has { "is" } else { "is not" }));
                }
            }
        )*
        assert!(wrong.is_empty(), "{wrong:#?}");
    }};
}

#[test]
fn the_probe_tells_types_apart() {
    table! {
        //                                Send Sync Unpin Unwind RefUnwind
        u8:                               y y y y y;
        *const u8:                        - - y y y;
        std::cell::Cell<u8>:              y - y y -;
        std::marker::PhantomPinned:       y y - y y;
        &'static mut u8:                  y y y - y;
    }
}

#[test]
fn types_with_the_default_lock_go_anywhere() {
    table! {
        //                                Send Sync Unpin Unwind RefUnwind
        Semaphore:                        y y y y y;
        Permit<'static>:                  y y y y y;
        Acquire<'static>:                 y y - y y;
        DefaultLock:                      y y y y y;
        Closed:                           y y y y y;
        TryAcquireError:                  y y y y y;
    }
}

#[test]
fn types_for_one_thread_stay_on_it() {
    table! {
        //                                Send Sync Unpin Unwind RefUnwind
        Semaphore<LocalLock>:             y - y y ?;
        Permit<'static, LocalLock>:       - - y ? ?;
        Acquire<'static, LocalLock>:      - - - ? ?;
        LocalLock:                        y - y y ?;
    }
}

#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
#[test]
fn owned_types_are_as_the_borrowed_ones() {
    use tollgate::{AcquireOwned, OwnedPermit};
    table! {
        //                                Send Sync Unpin Unwind RefUnwind
        OwnedPermit:                      y y y y y;
        AcquireOwned:                     y y - y y;
        OwnedPermit<LocalLock>:           - - y ? ?;
        AcquireOwned<LocalLock>:          - - - ? ?;
    }
}

#[test]
fn the_future_of_a_task_that_holds_permits_across_awaits_is_send() {
    fn is_send<T: Send>(value: T) -> T {
        value
    }
    static GATE: Semaphore = Semaphore::new(2);
    let _unpolled = is_send(async {
        let one = GATE.acquire().await?;
        let two = GATE.acquire_up_to(1..=2).priority(1).await?;
        drop((one, two));
        Ok::<(), Closed>(())
    });
}
