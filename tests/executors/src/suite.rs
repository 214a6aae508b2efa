//! The suite as a list: each case, and each case that needs a timer with each timer.

use std::pin::Pin;
use std::sync::OnceLock;
use std::time::Duration;

use tollgate::time::{AsyncIoTimer, EmbassyTimer, FuturesTimer, ThreadTimer, TimerQueue, TokioTimer};
use tollgate_conformance::{Arena, CASES, Case, Outcome, TEAMS, TIMED, Team, TimedCase};

use crate::executors::Executor;
use crate::watch::Verdict;

/// What one task awaits.
pub type Part = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// A timer, as one that cases can be run with.
#[derive(Debug)]
pub struct AnyTimer {
    name: &'static str,
    run: fn(TimedCase) -> Part,
}

/// A case, or one with a timer.
#[derive(Debug)]
pub enum Entry {
    Plain(Case),
    Timed(TimedCase, &'static AnyTimer),
    Team(Team),
}

const TIMERS: &[AnyTimer] = &[
    AnyTimer { name: "TokioTimer", run: |case| Box::pin(case.run(TokioTimer)) },
    AnyTimer { name: "AsyncIoTimer", run: |case| Box::pin(case.run(AsyncIoTimer)) },
    AnyTimer { name: "FuturesTimer", run: |case| Box::pin(case.run(FuturesTimer)) },
    AnyTimer { name: "ThreadTimer", run: |case| Box::pin(case.run(ThreadTimer)) },
    AnyTimer { name: "EmbassyTimer", run: |case| Box::pin(case.run(EmbassyTimer)) },
    AnyTimer { name: "TimerQueue", run: |case| Box::pin(case.run(queue())) },
];

/// A queue that a thread drives, as a tick interrupt would.
fn queue() -> &'static TimerQueue {
    static TIMERS: TimerQueue = TimerQueue::new();
    static DRIVER: OnceLock<()> = OnceLock::new();
    DRIVER.get_or_init(|| {
        std::thread::spawn(|| {
            for tick in 1.. {
                TIMERS.advance(tick);
                std::thread::sleep(Duration::from_millis(1));
            }
        });
    });
    &TIMERS
}

pub fn entries() -> Vec<Entry> {
    let plain = CASES.iter().copied().map(Entry::Plain);
    let timed = TIMERS.iter().flat_map(|timer| TIMED.iter().map(move |case| Entry::Timed(*case, timer)));
    let teams = TEAMS.iter().copied().map(Entry::Team);
    plain.chain(teams).chain(timed).collect()
}

impl Entry {
    pub fn title(&self) -> String {
        match self {
            Self::Plain(case) => case.name.into(),
            Self::Timed(case, timer) => format!("{} with {}", case.name, timer.name),
            Self::Team(team) => team.name.into(),
        }
    }

    /// The row that it counts in.
    pub fn noun(&self) -> String {
        let name = match self {
            Self::Plain(case) => case.name,
            Self::Timed(_, timer) => return format!("`{}`", timer.name),
            Self::Team(team) => team.name,
        };
        name.split("::").next().unwrap_or(name).replace('_', " ")
    }

    /// Whether the pair makes sense.
    pub fn runs_on(&self, executor: &Executor) -> bool {
        match self {
            Self::Timed(_, timer) => match timer.name {
                "TokioTimer" => executor.name.starts_with("tokio"),
                // Its driver wakes with its own lock held, so who is woken must not set a timer on the spot.
                "EmbassyTimer" => !executor.polls_in_wake,
                // Its time stands still while its driver polls whom it woke, and that may be a task that waits for time to
                // go by.
                "TimerQueue" => !executor.polls_in_wake,
                _ => true,
            },
            _ => true,
        }
    }

    /// How often it is run: more often where each run is another one, but what waits for time costs time.
    pub fn rounds(&self, executor: &Executor) -> u64 {
        match self {
            Self::Timed(..) => 1 + u64::from(executor.by_seed),
            _ if executor.by_seed => 20,
            _ if executor.threads > 1 => 10,
            _ => 1,
        }
    }

    /// What there is to await, each in a task of its own, and what to ask afterwards.
    pub fn parts(&self) -> (Vec<Part>, Verdict) {
        match self {
            Self::Plain(case) => (vec![Box::pin(case.run())], Box::new(|| Ok(()))),
            Self::Timed(case, timer) => (vec![(timer.run)(*case)], Box::new(|| Ok(()))),
            Self::Team(team) => {
                let arena: &'static Arena = Box::leak(Box::new(Arena::new()));
                let parts = (0..team.members()).map(|n| Box::pin(team.member(arena, n)) as Part).collect();
                let team = *team;
                (parts, Box::new(move || team.verdict(arena)))
            }
        }
    }
}
