//! Leaks and where they are, as tests see them.
#![cfg(all(feature = "std", feature = "locations"))]
#![allow(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "tests always have std")]

use std::future::{pending, ready};
use std::panic::Location;
use std::process::Command;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use futures_lite::future::block_on;
use tollgate::Tracker;
use tollgate::time::ThreadTimer;
use tollgate::track::{Leak, Leaks};

fn leaks(tracker: &Tracker) -> Leaks {
    tracker.verify_none().unwrap_err()
}

/// file:line of whoever calls.
#[track_caller]
fn here(lines_on: u32) -> String {
    let location = Location::caller();
    format!("{}:{}", location.file(), location.line() + lines_on)
}

// === what is told ===

#[test]
fn leaks_display_place_count_and_name() {
    let tracker = Tracker::new();
    let workers = tracker.named("worker");
    let place = here(1);
    let jobs = [1, 2].map(|_| workers.track(pending::<()>()));
    let text = leaks(&tracker).to_string();
    assert!(text.starts_with(&format!("2 leaked: {place}:")), "{text}");
    assert!(text.ends_with(" x2 \"worker\""), "{text}");
    assert_eq!(text.matches(':').count(), 3, "one place with file, line and column: {text}");
    drop(jobs);
}

#[test]
fn each_way_in_tells_the_line_that_used_it() {
    let tracker = Tracker::new();
    macro_rules! tells {
        ($way:expr) => {{
            let place = here(0);
            let alive = $way;
            let leaks = leaks(&tracker);
            assert!(leaks.to_string().contains(&place), "{leaks} is not at {place}");
            drop(alive);
        }};
    }
    tells!(tracker.track(ready(())));
    tells!(tracker.try_track(ready(())).ok());
    tells!(tracker.guard());
    tells!(tracker.try_guard().unwrap());
    tells!(tracker.named("name").track(ready(())));
    tells!(tracker.named("name").try_track(ready(())).ok());
    tells!(tracker.named("name").guard());
    tells!(tracker.named("name").try_guard().unwrap());
    assert_eq!(tracker.verify_none(), Ok(()));
}

#[test]
fn a_function_may_pass_its_callers_place_on() {
    #[track_caller]
    fn spawn(tracker: &Tracker) {
        std::mem::forget(tracker.guard());
    }
    let tracker = Tracker::new();
    let place = here(1);
    spawn(&tracker);
    assert!(leaks(&tracker).to_string().contains(&place));
}

#[test]
fn places_with_the_most_come_first() {
    let tracker = Tracker::new();
    let few = tracker.named("few").guard();
    let many = [(); 3].map(|()| tracker.named("many").guard());
    let leaks = leaks(&tracker);
    let told: Vec<_> = leaks.iter().map(|leak| (leak.name(), leak.count())).collect();
    assert_eq!(told, [(Some("many"), 3), (Some("few"), 1)]);
    let lines: Vec<_> = leaks.iter().map(|leak| leak.location().line()).collect();
    assert_eq!(lines[0], lines[1] + 1);
    assert_eq!(leaks.to_string().matches(", ").count(), 1);
    drop((few, many));
}

#[test]
fn what_has_ended_is_not_told() {
    let tracker = Tracker::new();
    block_on(tracker.named("finished").track(ready(())));
    drop(tracker.named("dropped").track(ready(())));
    let alive = tracker.guard();
    let leaks = leaks(&tracker);
    assert_eq!(leaks.iter().map(|leak| leak.name()).collect::<Vec<_>>(), [None]);
    drop(alive);
}

#[test]
fn what_finds_no_line_in_the_table_is_counted_as_being_elsewhere() {
    const NAMES: &str = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrst";
    let tracker = Tracker::new();
    let guards: Vec<_> = (0..40).map(|n| tracker.named(&NAMES[..n]).guard()).collect();
    let full = leaks(&tracker);
    assert_eq!((full.count(), full.elsewhere(), full.iter().count()), (40, 8, 32));
    assert!(full.to_string().ends_with(", elsewhere x8"), "{full}");
    // Lines are free again once their work has ended.
    drop(guards);
    assert_eq!(tracker.verify_none(), Ok(()));
    let guards: Vec<_> = (0..32).map(|n| tracker.named(&NAMES[n..]).guard()).collect();
    assert_eq!(leaks(&tracker).elsewhere(), 0);
    drop(guards);
}

#[test]
fn a_snapshot_tells_new_from_old_one_by_one() {
    static TRACKER: Tracker = Tracker::new();
    let worker = || TRACKER.named("worker").guard();
    let old = worker();
    let before = TRACKER.snapshot();
    let new = worker();
    drop(old);
    let leaks = before.verify_none().unwrap_err();
    assert_eq!((leaks.count(), leaks.elsewhere()), (1, 0), "as many are alive as before, but not the same");
    drop(new);
    assert_eq!(before.verify_none(), Ok(()));
}

#[test]
fn a_snapshot_finds_what_has_no_line_if_more_are_alive() {
    const NAMES: &str = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrst";
    let tracker = Tracker::new();
    let old: Vec<_> = (0..32).map(|n| tracker.named(&NAMES[..n]).guard()).collect();
    let before = tracker.snapshot();
    let new = tracker.guard();
    let leaks = before.verify_none().unwrap_err();
    assert_eq!((leaks.count(), leaks.elsewhere()), (1, 1));
    drop((old, new));
}

#[test]
fn a_leak_has_all_of_its_parts() {
    let tracker = Tracker::new();
    let alive = tracker.named("conn \"7\"").guard();
    let leak: Leak = leaks(&tracker).iter().next().unwrap();
    assert_eq!((leak.name(), leak.count(), leak.location().file()), (Some("conn \"7\""), 1, file!()));
    assert_eq!(leak.to_string(), format!("{} x1 \"conn \\\"7\\\"\"", leak.location()));
    assert!(format!("{leak:?} {:?}", leaks(&tracker)).contains("conn"));
    drop(alive);
}

// === a leak test that must fail, and tests beside it ===

/// Run by the test below in a process of its own, all at the same time. One of them leaks, and fails.
mod on_purpose {
    use super::*;

    static ALL_AT_WORK: Barrier = Barrier::new(4);

    #[test]
    #[ignore = "fails on purpose"]
    fn leaks() {
        let tracker = Tracker::new();
        let forgotten = tracker.named("forgotten worker").track(pending::<()>());
        ALL_AT_WORK.wait();
        block_on(tracker.verify_none_within(ThreadTimer, Duration::from_millis(10))).unwrap();
        drop(forgotten);
    }

    /// Has live work while the others look, the same as `leaks` has, but ends it before it looks itself.
    fn works_beside() {
        let tracker = Tracker::new();
        let ended = tracker.named("forgotten worker").track(pending::<()>());
        ALL_AT_WORK.wait();
        drop(ended);
        block_on(tracker.verify_none_within(ThreadTimer, Duration::from_secs(60))).unwrap();
    }

    #[test]
    #[ignore = "waits for the others"]
    fn works_beside_1() {
        works_beside();
    }

    #[test]
    #[ignore = "waits for the others"]
    fn works_beside_2() {
        works_beside();
    }

    #[test]
    #[ignore = "waits for the others"]
    fn works_beside_3() {
        works_beside();
    }
}

/// The line that leaks.
fn line_that_leaks() -> usize {
    let needle = concat!("let forgotten = tracker.named(\"forgotten", " worker\")");
    include_str!("track_leaks.rs").lines().position(|line| line.contains(needle)).unwrap() + 1
}

#[test]
fn of_tests_in_parallel_only_the_one_that_leaks_fails_and_tells_file_line_and_name() {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "on_purpose::", "--test-threads=4"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{text}");
    assert!(text.contains("3 passed; 1 failed"), "{text}");
    let (place, name) = (format!("1 leaked: {}:{}:", file!(), line_that_leaks()), " x1 \"forgotten worker\"");
    assert!(text.contains(&place) && text.contains(name), "{place} or {name} is not in: {text}");
}

#[test]
fn tests_side_by_side_do_not_see_each_others_work() {
    const TESTS: usize = 8;
    let all_at_work = Barrier::new(TESTS);
    thread::scope(|scope| {
        for number in 0..TESTS {
            let all_at_work = &all_at_work;
            scope.spawn(move || {
                let tracker = Tracker::new();
                let alive: Vec<_> = (0..number).map(|_| tracker.guard()).collect();
                all_at_work.wait();
                let found = tracker.verify_none().map_err(|leaks| leaks.count());
                assert_eq!(found, if number == 0 { Ok(()) } else { Err(number) });
                all_at_work.wait();
                drop(alive);
                assert_eq!(tracker.verify_none(), Ok(()));
            });
        }
    });
}
