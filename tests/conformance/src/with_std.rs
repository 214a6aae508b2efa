//! What panics, and what goes on after it. Somebody has to catch it, so this is for hosts.

mod futures;
mod wakers;

use alloc::boxed::Box;
use core::future::poll_fn;
use core::task::{Context, Poll};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use crate::with_alloc::{alloc_cases, crews};

/// What is thrown on purpose. Any other panic goes on and fails the case.
#[derive(Debug, PartialEq)]
struct Thrown;

/// Panics, without a word on standard error.
fn throw() -> ! {
    resume_unwind(Box::new(Thrown))
}

fn catch<T>(run: impl FnOnce() -> T) -> Result<T, Thrown> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|panic| match panic.downcast() {
        Ok(thrown) => *thrown,
        Err(other) => resume_unwind(other),
    })
}

/// Waits for an output, or for a panic instead of one. What has panicked may be polled again.
async fn caught<T>(mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> Result<T, Thrown> {
    poll_fn(|cx| match catch(|| poll(cx)) {
        Ok(polled) => polled.map(Ok),
        Err(thrown) => Poll::Ready(Err(thrown)),
    })
    .await
}

alloc_cases! {
    /// Cases for one task, with panics in it.
    STD_CASES
    "panics" futures {
        a_future_that_panics_frees_its_place,
        a_future_that_panics_gives_back_what_it_held,
        a_function_that_panics_loses_its_item_alone,
        a_future_that_panics_in_a_set_makes_room,
        a_body_that_panics_is_gone_and_the_rest_goes_on,
        a_worker_that_panics_strands_nobody,
        a_deadline_outlives_a_panic,
        a_tracker_sees_what_has_panicked_go,
        a_task_whose_waker_panics_finds_what_was_woken,
    }
}

crews! {
    /// Cases for several tasks, with panics in them.
    STD_CREWS
    "panics, with several tasks" wakers {
        a_worker_that_panics_strands_no_other,
        a_waker_that_panics_keeps_no_permit_from_the_others,
        a_waker_that_panics_leaves_the_others_cancelled,
        a_waker_that_panics_leaves_nobody_asleep,
        a_waker_that_panics_hides_no_end_of_work,
        a_waker_that_panics_keeps_no_limit_from_the_others,
        a_waker_that_panics_keeps_no_room_from_the_others,
    }
}
