//! The suite on a host: one task after the other, and members on threads of their own.

use std::time::Duration;

use futures_lite::future::block_on;
use tollgate::time::{ManualClock, ThreadTimer, TimerQueue};
use tollgate_conformance::{Arena, CASES, TEAMS, TIMED};

#[test]
fn every_case_holds_on_one_thread() {
    for case in CASES {
        assert_eq!(block_on(case.run()), Ok(()), "{}", case.name);
    }
}

#[test]
fn every_timed_case_holds_with_the_timer_thread() {
    for case in TIMED {
        assert_eq!(block_on(case.run(ThreadTimer)), Ok(()), "{}", case.name);
    }
}

#[test]
fn every_timed_case_holds_with_a_queue_that_a_thread_drives() {
    static TIMERS: TimerQueue = TimerQueue::new();
    std::thread::spawn(|| {
        for tick in 1.. {
            TIMERS.advance(tick);
            std::thread::sleep(Duration::from_millis(1));
        }
    });
    for case in TIMED {
        assert_eq!(block_on(case.run(&TIMERS)), Ok(()), "{}", case.name);
    }
}

#[test]
fn every_timed_case_holds_with_time_that_a_loop_advances() {
    for case in TIMED {
        let clock = ManualClock::new();
        let mut run = std::pin::pin!(case.run(&clock));
        let outcome = loop {
            if let Some(outcome) = block_on(futures_lite::future::poll_once(run.as_mut())) {
                break outcome;
            }
            clock.advance(Duration::from_millis(1));
        };
        assert_eq!(outcome, Ok(()), "{}", case.name);
    }
}

#[test]
fn every_team_wins_on_threads() {
    for team in TEAMS {
        let arena = Arena::new();
        std::thread::scope(|scope| {
            for n in 0..team.members() {
                let member = team.member(&arena, n);
                scope.spawn(|| assert_eq!(block_on(member), Ok(()), "{}", team.name));
            }
        });
        assert_eq!(team.verdict(&arena), Ok(()), "{}", team.name);
    }
}

#[cfg(feature = "alloc")]
#[test]
fn every_case_with_an_allocator_holds_on_one_thread() {
    for case in tollgate_conformance::ALLOC_CASES {
        assert_eq!(block_on(case.run()), Ok(()), "{}", case.name);
    }
    for case in tollgate_conformance::ALLOC_TIMED {
        assert_eq!(block_on(case.run(ThreadTimer)), Ok(()), "{}", case.name);
    }
}

#[cfg(feature = "alloc")]
#[test]
fn every_crew_wins_on_threads() {
    for crew in tollgate_conformance::CREWS {
        std::thread::scope(|scope| {
            for member in crew.members() {
                scope.spawn(|| assert_eq!(block_on(member), Ok(()), "{}", crew.name));
            }
        });
    }
}

#[cfg(feature = "std")]
#[test]
fn every_case_with_panics_holds_on_one_thread() {
    for case in tollgate_conformance::STD_CASES {
        assert_eq!(block_on(case.run()), Ok(()), "{}", case.name);
    }
}

#[cfg(feature = "std")]
#[test]
fn every_crew_with_panics_wins_on_threads() {
    for crew in tollgate_conformance::STD_CREWS {
        std::thread::scope(|scope| {
            for member in crew.members() {
                scope.spawn(|| assert_eq!(block_on(member), Ok(()), "{}", crew.name));
            }
        });
    }
}

#[test]
fn a_run_can_be_sent_to_another_thread() {
    fn is_send<T: Send>(_: T) {}
    is_send(CASES[0].run());
    is_send(TIMED[0].run(ThreadTimer));
    let arena = Arena::new();
    is_send(TEAMS[0].member(&arena, 0));
}

#[test]
fn the_lists_have_something_in_them_and_no_name_twice() {
    let mut names: Vec<_> = CASES.iter().map(|case| case.name).collect();
    names.extend(TIMED.iter().map(|case| case.name));
    names.extend(TEAMS.iter().map(|team| team.name));
    assert!(names.len() > 40, "{}", names.len());
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), CASES.len() + TIMED.len() + TEAMS.len());
}
