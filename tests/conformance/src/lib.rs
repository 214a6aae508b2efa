//! Cases that hold on every executor, host or target: no thread, no allocator and no clock is needed to run them.
//!
//! Three lists, by what the runner has to offer:
//!
//! | list | a run of one entry |
//! |---|---|
//! | [`CASES`] | `case.run().await` in any task |
//! | [`TIMED`] | `case.run(timer).await` in any task, with the executor's timer |
//! | [`TEAMS`] | an [`Arena`] for the run; for each `n` below `team.members()` a task of its own that awaits `team.member(&arena, n)`; when all have ended, `team.verdict(&arena)` |
//!
//! All futures are `Send`; none lasts longer than a second or so of the timer. A wake that is
//! lost shows as a run that never ends, so the runner needs a watchdog. What is wrong comes back as an `Err` with the place
//! and the condition.
//!
//! ```
//! use tollgate_conformance::{Arena, CASES, TEAMS, TIMED};
//!
//! futures_lite::future::block_on(async {
//!     for case in CASES {
//!         assert_eq!(case.run().await, Ok(()), "{}", case.name);
//!     }
//!     for case in TIMED {
//!         assert_eq!(case.run(tollgate::time::ThreadTimer).await, Ok(()), "{}", case.name);
//!     }
//! });
//! for team in TEAMS {
//!     let arena = Arena::new();
//!     std::thread::scope(|scope| {
//!         for n in 0..team.members() {
//!             let member = team.member(&arena, n);
//!             scope.spawn(|| assert_eq!(futures_lite::future::block_on(member), Ok(())));
//!         }
//!     });
//!     assert_eq!(team.verdict(&arena), Ok(()), "{}", team.name);
//! }
//! ```
//!
//! With the feature `alloc` there are three more, of what needs an allocator, and of what is as good without one but takes more
//! memory than every target has:
//!
//! | list | a run of one entry |
//! |---|---|
//! | [`ALLOC_CASES`] | `case.run().await` in any task |
//! | [`ALLOC_TIMED`] | `case.run(timer).await` in any task, with the executor's timer |
//! | [`CREWS`] | for each future in `crew.members()` a task of its own that awaits it |
//!
//! With the feature `std` there are two more, of what goes on after a panic: [`STD_CASES`], as [`ALLOC_CASES`], and
//! [`STD_CREWS`], as [`CREWS`]. They catch their panics themselves.
#![no_std]
#![cfg_attr(not(feature = "std"), allow(rustdoc::broken_intra_doc_links))]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod cancel;
mod fan_out;
mod help;
mod semaphore;
mod team;
mod time;
mod timed;
mod track;
#[cfg(feature = "alloc")]
mod with_alloc;
#[cfg(feature = "std")]
mod with_std;

use core::pin::Pin;
use core::task::{Context, Poll};

pub use team::{Arena, TEAMS, Team};
#[cfg(feature = "alloc")]
pub use with_alloc::{ALLOC_CASES, ALLOC_TIMED, AllocCase, AllocTimedCase, CREWS, Crew, Run};
#[cfg(feature = "std")]
pub use with_std::{STD_CASES, STD_CREWS};

/// A future that may go to another thread, although the compiler cannot see it: it takes lifetimes in an async block for
/// any lifetimes, and then finds implementations "not general enough" (rust-lang/rust#100013).
struct Movable<F>(F);

// SAFETY: `new` demands it.
unsafe impl<F> Send for Movable<F> {}

impl<F> Movable<F> {
    /// # Safety
    ///
    /// All that the future ever keeps over an await is `Send`.
    unsafe fn new(future: F) -> Self {
        Self(future)
    }
}

impl<F: Future> Future for Movable<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        // SAFETY: the field is pinned as the whole is; nothing moves it.
        unsafe { self.map_unchecked_mut(|this| &mut this.0) }.poll(cx)
    }
}

/// What a case says: all is well, or where and what is not.
pub type Outcome = Result<(), &'static str>;

/// What a timer has to be for [`TIMED`]; every timer of the crate is.
pub trait AnyTimer: tollgate::time::Timer + Copy {}
impl<T: tollgate::time::Timer + Copy> AnyTimer for T {}

macro_rules! cases {
    ($($module:ident { $($name:ident,)* })*) => {
        #[derive(Debug, Clone, Copy)]
        #[allow(non_camel_case_types)]
        enum Plain { $($($name,)*)* }

        /// Cases for one task.
        pub const CASES: &[Case] = &[$($(
            Case { name: concat!(stringify!($module), "::", stringify!($name)), which: Plain::$name },
        )*)*];

        impl Case {
            /// Runs it, in whatever task awaits this.
            pub fn run(self) -> impl Future<Output = Outcome> + Send + use<> {
                // SAFETY: the cases keep in their futures what tollgate and this crate have, with its default lock, and atomics.
                unsafe { Movable::new(async move { match self.which { $($(Plain::$name => $module::$name().await,)*)* } }) }
            }
        }
    };
}

macro_rules! timed {
    ($($name:ident,)*) => {
        #[derive(Debug, Clone, Copy)]
        #[allow(non_camel_case_types)]
        enum WithTimer { $($name,)* }

        /// Cases for one task and a timer.
        pub const TIMED: &[TimedCase] = &[$(
            TimedCase { name: concat!("timed::", stringify!($name)), which: WithTimer::$name },
        )*];

        impl TimedCase {
            /// Runs it with `timer`, in whatever task awaits this.
            pub fn run<T>(self, timer: T) -> impl Future<Output = Outcome> + Send + use<T>
            where
                T: AnyTimer + Send + Sync,
                T::Sleep: Send,
                T::Instant: Send,
            {
                let run = async move { match self.which { $(WithTimer::$name => timed::$name(timer).await,)* } };
                // SAFETY: as in `Case::run`, and there are the timer, its sleeps and its instants.
                unsafe { Movable::new(run) }
            }
        }
    };
}

/// A case for one task.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// A sentence.
    pub name: &'static str,
    which: Plain,
}

/// A case for one task and a timer.
#[derive(Debug, Clone, Copy)]
pub struct TimedCase {
    /// A sentence.
    pub name: &'static str,
    which: WithTimer,
}

cases! {
    semaphore {
        waiters_are_served_in_the_order_in_which_they_came,
        a_release_wakes_the_task_that_waits,
        a_large_request_is_not_overtaken,
        who_may_overtake_does,
        a_higher_priority_is_served_first,
        a_waiter_that_leaves_lets_the_next_go_on,
        a_grant_that_nobody_looks_at_goes_on,
        closing_ends_all_waits_and_no_permit,
        a_debt_is_paid_before_anyone_is_served,
        a_range_takes_what_there_is,
        permits_are_split_merged_and_forgotten,
        one_pinned_future_serves_many_rounds,
        one_thread_needs_no_lock,
        a_limit_that_is_raised_serves_who_waits,
    }
    fan_out {
        outputs_come_as_they_complete,
        ordered_outputs_come_in_the_order_of_the_input,
        no_more_run_than_the_limit,
        the_window_is_never_exceeded,
        without_a_table_futures_see_the_tasks_own_waker,
        with_a_table_only_what_was_woken_is_polled,
        a_table_serves_one_stream_after_the_other,
        a_future_that_never_rests_starves_nobody,
        dropping_the_stream_drops_what_runs,
        stopping_finishes_what_runs_and_takes_no_more,
        a_signal_stops_it_too,
        what_is_left_is_told_exactly,
        futures_in_it_wait_for_permits_in_turn,
        one_at_a_time_runs_of_each_key,
        weights_count_against_the_limit,
        a_semaphore_is_shared_with_others,
        a_limit_that_is_raised_wakes_the_stream,
        consumers_keep_what_runs_running,
        a_limit_of_nothing_stops_nothing_that_runs,
        a_loop_of_ones_own_keeps_what_runs_running,
        the_first_error_does_what_was_asked_for,
        each_item_has_its_time_from_its_own_start,
        the_end_of_its_context_drops_what_runs,
        what_is_written_goes_to_the_source,
    }
    time {
        a_ready_value_wins_over_a_deadline_long_past,
        nothing_left_means_elapsed_in_the_same_poll,
        what_cannot_be_represented_is_never,
        sleeps_end_in_the_order_of_their_times,
        a_task_that_never_rests_meets_its_deadline,
        what_ran_out_of_time_can_be_given_more,
        a_signal_ends_a_wait,
        a_sleep_that_is_dropped_leaves_nothing,
        a_deadline_is_moved_and_taken_away,
        a_callback_is_for_what_is_not_over_in_time,
        each_wait_for_an_item_has_its_own_time,
    }
    cancel {
        cancelling_wakes_whoever_waits,
        the_first_cause_stays,
        a_child_stops_with_its_parent_and_alone,
        nothing_new_is_begun,
        what_runs_is_dropped_at_once,
        a_callback_runs_unless_it_is_stopped,
        a_guard_cancels_however_one_leaves,
        a_context_ends_by_its_token_and_by_its_deadline,
        a_callback_is_woken_from_above,
        a_ready_value_wins_over_the_end_of_its_context,
        what_a_context_has_interrupted_can_be_finished,
        a_child_ends_with_the_deadline_of_its_parent,
    }
    track {
        what_is_alive_is_counted_until_it_is_gone,
        the_last_to_go_wakes_whoever_waits_for_none,
        a_closed_tracker_takes_nothing_new,
        what_is_left_is_told,
        all_who_wait_for_none_are_woken,
        what_ends_in_time_is_no_leak,
    }
}

timed! {
    it_is_never_early,
    a_ready_value_wins,
    zero_and_the_past_are_over_at_once,
    the_longest_duration_is_never_over,
    a_task_that_never_rests_is_stopped,
    what_ran_out_of_time_goes_on_with_more,
    each_future_of_a_fan_out_has_its_own,
    an_item_and_a_whole_stream_have_theirs,
    a_callback_runs_once_and_the_future_goes_on,
    permits_that_do_not_come_in_time_are_not_lost,
    a_context_runs_out,
    what_is_late_in_a_fan_out_is_dropped_alone,
    a_fan_out_runs_out_with_its_context,
}
