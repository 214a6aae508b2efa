//! What there is with an allocator: owned forms, sets of futures, workers, and the fan-out on the heap beside those inline.

mod bounds;
mod consumers;
mod context;
mod crew;
mod ends;
mod future_set;
pub(crate) mod order;
mod owned;
mod timed;
mod tracker;
pub(crate) mod workers;

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::pin::Pin;

use crate::{AnyTimer, Movable, Outcome};

/// What one task awaits.
pub type Run = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// A case for one task that allocates.
#[derive(Debug, Clone, Copy)]
pub struct AllocCase {
    /// A sentence.
    pub name: &'static str,
    pub(crate) run: fn() -> Run,
}

/// A case for several tasks that own what they share.
#[derive(Debug, Clone, Copy)]
pub struct Crew {
    /// A sentence.
    pub name: &'static str,
    pub(crate) members: fn() -> Vec<Run>,
}

impl AllocCase {
    /// Runs it, in whatever task awaits this.
    #[must_use]
    pub fn run(self) -> Run {
        (self.run)()
    }
}

impl Crew {
    /// What the members await, each in a task of its own, on any thread. All have to run, or none ends.
    #[must_use]
    pub fn members(self) -> Vec<Run> {
        (self.members)()
    }
}

macro_rules! alloc_timed {
    ($($name:ident,)*) => {
        #[derive(Debug, Clone, Copy)]
        #[allow(non_camel_case_types)]
        enum WithTimer { $($name,)* }

        /// Cases for one task and a timer, with an allocator.
        pub const ALLOC_TIMED: &[AllocTimedCase] = &[$(
            AllocTimedCase { name: concat!("timed::", stringify!($name)), which: WithTimer::$name },
        )*];

        impl AllocTimedCase {
            /// Runs it with `timer`, in whatever task awaits this.
            #[must_use]
            pub fn run<T>(self, timer: T) -> Run
            where
                T: AnyTimer + Send + Sync + 'static,
                T::Sleep: Send,
                T::Instant: Send,
            {
                let run = async move { match self.which { $(WithTimer::$name => timed::$name(timer).await,)* } };
                // SAFETY: as in `TimedCase::run`; what these own beside is as movable.
                Box::pin(unsafe { Movable::new(run) })
            }
        }
    };
}

/// A case for one task and a timer that allocates.
#[derive(Debug, Clone, Copy)]
pub struct AllocTimedCase {
    /// A sentence.
    pub name: &'static str,
    which: WithTimer,
}

alloc_timed! {
    each_future_of_many_has_its_own,
    a_stream_that_is_cut_off_drops_what_runs,
    results_end_with_their_context,
    leaks_are_told_in_time,
    owned_permits_that_do_not_come_in_time_are_not_lost,
    a_token_is_cancelled_when_it_takes_too_long,
    late_items_of_many_are_dropped_alone,
    a_fan_out_ends_with_its_context,
}

macro_rules! alloc_cases {
    ($(#[$doc:meta])* $list:ident $($noun:literal $module:ident { $($name:ident,)* })*) => {
        $(#[$doc])*
        pub const $list: &[$crate::AllocCase] = &[$($(
            $crate::AllocCase {
                name: concat!($noun, "::", stringify!($name)),
                // SAFETY: as in `Case::run`; what these own beside is as movable.
                run: || alloc::boxed::Box::pin(unsafe { $crate::Movable::new($module::$name()) }),
            },
        )*)*];
    };
}
#[cfg(feature = "std")]
pub(crate) use alloc_cases;

macro_rules! crews {
    ($(#[$doc:meta])* $list:ident $($noun:literal $module:ident { $($name:ident,)* })*) => {
        $(#[$doc])*
        pub const $list: &[$crate::Crew] = &[$($(
            $crate::Crew { name: concat!($noun, "::", stringify!($name)), members: $module::$name },
        )*)*];
    };
}
#[cfg(feature = "std")]
pub(crate) use crews;

alloc_cases! {
    /// Cases for one task, with an allocator.
    ALLOC_CASES
    "fan_out, unordered" order {
        outputs_come_in_the_order_of_their_wakes,
        more_run_at_once_than_a_word_has_bits,
        a_table_of_several_words_tells_them_apart,
        one_that_never_rests_starves_nobody,
        a_stream_of_futures_needs_no_function,
        dropping_a_stream_drops_all_of_it,
    }
    "fan_out, ordered" order {
        the_order_of_the_input_survives_any_order_of_wakes,
        a_slow_first_item_holds_up_no_more_than_the_window,
    }
    "fan_out, keyed" bounds {
        items_of_one_key_run_one_after_another,
        keys_run_side_by_side,
    }
    "fan_out, weighted" bounds {
        weights_stay_within_the_limit,
        what_is_too_heavy_runs_alone,
    }
    "fan_out, limited" bounds {
        a_limit_of_nothing_is_a_pause,
        two_streams_stay_within_one_limit,
        a_limit_that_is_lowered_stops_nothing_that_runs,
        a_limit_of_nothing_stops_nothing_that_runs,
    }
    "fan_out, shared" bounds {
        items_hold_permits_while_they_run,
        no_permit_is_kept_while_the_consumer_is_away,
        a_stream_without_items_keeps_no_permit,
        a_closed_semaphore_ends_the_stream,
    }
    "fan_out, ended" ends {
        what_runs_is_finished_and_no_more_taken,
        a_signal_from_elsewhere_wakes_and_ends_it,
        what_is_left_is_told,
    }
    "fan_out, within a context" ends {
        a_cancelled_context_drops_what_runs,
        a_deadline_of_a_context_wakes_who_waits,
        one_that_never_rests_does_not_outrun_its_context,
    }
    "fan_out, timed" ends {
        what_is_late_has_an_error_in_its_place,
        what_is_late_makes_room_for_its_key,
    }
    "fan_out, written to" ends {
        what_is_written_goes_to_the_source,
    }
    "fan_out, consumed" consumers {
        a_body_runs_beside_what_is_in_flight,
        the_first_error_drops_the_rest,
        outputs_are_folded_in_turn,
        what_worked_is_told_from_what_failed,
        a_loop_of_ones_own_keeps_it_going,
        what_becomes_of_the_rest_is_a_choice,
    }
    "future_set" future_set {
        a_full_set_takes_one_when_one_is_done,
        pushing_wakes_whoever_waits_for_outputs,
        clearing_drops_what_runs,
        a_future_adds_another_one,
        who_waits_for_room_gets_it_in_turn,
        who_gives_up_leaves_its_turn_to_the_next,
    }
    "workers" workers {
        all_items_come_out_once,
        results_come_in_the_order_of_the_input,
        stopped_workers_finish_what_they_have,
        without_results_workers_stop,
        a_worker_that_is_dropped_strands_nobody,
        a_context_stops_the_results,
        a_cancelled_context_drops_what_they_run,
        a_context_around_one_worker_is_for_that_one,
    }
    "tracker" tracker {
        it_counts_what_lives_and_what_has_ended,
        the_last_one_wakes_whoever_waits,
        a_closed_tracker_takes_nothing,
        leaks_are_told_when_time_is_up,
    }
    "context" context {
        owned_contexts_share_values_and_end_apart,
        a_deadline_goes_down_the_tree,
        what_runs_in_it_is_dropped_with_it,
        a_ready_value_wins_over_its_end,
        what_it_has_interrupted_can_be_finished,
    }
    "owned" owned {
        permits_outlive_what_acquired_them,
        permits_are_split_and_merged,
        closing_ends_owned_waits,
        a_tree_of_tokens_is_cancelled_from_the_top,
        a_token_that_is_dropped_leaves_its_parent_alone,
        a_callback_runs_or_is_stopped,
        a_child_is_cancelled_alone,
        some_owned_waits_come_before_others,
    }
}

crews! {
    /// Cases for several tasks, with an allocator.
    CREWS
    "workers, each a task" crew {
        all_items_come_out_once,
        results_come_in_the_order_of_the_input,
        one_leaves_and_the_others_go_on,
        without_results_workers_stop,
        no_more_is_kept_than_the_window,
        a_context_stops_them_all,
    }
    "team, with owned parts" crew {
        permits_go_from_task_to_task,
        several_tasks_add_to_one_set,
        streams_in_two_tasks_stay_within_one_limit,
        streams_and_others_share_permits,
        a_tree_of_tokens_stops_all_tasks,
        one_task_waits_for_the_end_of_the_others,
        a_context_stops_all_tasks,
        a_context_ends_the_streams_of_all_tasks,
        callbacks_run_in_the_tasks_that_await_them,
    }
}
