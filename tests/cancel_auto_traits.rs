//! Which types of `cancel` are `Send`, `Sync`, `Unpin` and safe to carry across a caught panic.
#![cfg(feature = "std")]
#![allow(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "tests always have std")]

use std::future::Ready;
use std::marker::{PhantomData, PhantomPinned};
use std::panic::{RefUnwindSafe, UnwindSafe};

use tollgate::LocalLock;
use tollgate::cancel::{
    CancellationToken, Cancelled, CancelledOwned, Cause, DropGuard, OnCancel, OwnedCancellationToken, OwnedDropGuard,
    RunUntilCancelled,
};

/// Has an inherent constant where the bound holds, which hides the one of [`No`].
struct Probe<T: ?Sized>(PhantomData<T>);

trait No {
    const SEND: bool = false;
    const SYNC: bool = false;
    const UNPIN: bool = false;
    const UNWIND: bool = false;
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

impl<T: ?Sized + UnwindSafe + RefUnwindSafe> Probe<T> {
    const UNWIND: bool = true;
}

macro_rules! traits_of {
    ($type:ty) => {
        [Probe::<$type>::SEND, Probe::<$type>::SYNC, Probe::<$type>::UNPIN, Probe::<$type>::UNWIND]
    };
}

#[test]
fn types_with_the_default_lock_go_anywhere() {
    assert_eq!(traits_of!(CancellationToken<'static>), [true; 4]);
    assert_eq!(traits_of!(OwnedCancellationToken), [true; 4]);
    assert_eq!(traits_of!(DropGuard<'static>), [true; 4]);
    assert_eq!(traits_of!(OwnedDropGuard), [true; 4]);
    assert_eq!(traits_of!(Cause), [true; 4]);
    assert_eq!(traits_of!(Cancelled<'static>), [true, true, false, true]);
    assert_eq!(traits_of!(CancelledOwned), [true, true, false, true]);
    assert_eq!(traits_of!(RunUntilCancelled<Ready<()>, CancelledOwned>), [true, true, false, true]);
    assert_eq!(traits_of!(OnCancel<fn(), Cancelled<'static>>), [true, true, false, true]);
}

#[test]
fn what_is_inside_counts() {
    assert_eq!(traits_of!(RunUntilCancelled<*const u8, CancelledOwned>)[..2], [false, false]);
    assert_eq!(traits_of!(OnCancel<*const u8, CancelledOwned>)[..2], [false, false]);
    assert_eq!(traits_of!(RunUntilCancelled<PhantomPinned, Ready<()>>)[2..3], [false]);
    assert!(!traits_of!(OnCancel<&'static mut u8, CancelledOwned>)[3]);
}

#[test]
fn types_for_one_thread_stay_on_it() {
    assert_eq!(traits_of!(CancellationToken<'static, LocalLock>)[..2], [false, false]);
    assert_eq!(traits_of!(OwnedCancellationToken<LocalLock>)[..2], [false, false]);
    assert_eq!(traits_of!(Cancelled<'static, LocalLock>)[..2], [false, false]);
    assert_eq!(traits_of!(CancelledOwned<LocalLock>)[..2], [false, false]);
    assert_eq!(traits_of!(DropGuard<'static, LocalLock>)[..2], [false, false]);
    assert_eq!(traits_of!(OwnedDropGuard<LocalLock>)[..2], [false, false]);
}

/// A token may be given to a function that asks for a shorter life, its own or its parent's.
#[test]
fn tokens_may_live_shorter_than_their_type_says() {
    fn child_of<'a>(token: &'a CancellationToken<'static>) -> CancellationToken<'a> {
        let short: &'a CancellationToken<'a> = token;
        short.child_token()
    }
    static ROOT: CancellationToken = CancellationToken::new();
    let child = child_of(&ROOT);
    assert!(!child.is_cancelled());
}
