//! The suite as a list: each case, and each case that needs a timer with each timer.

use std::sync::OnceLock;
use std::time::Duration;

use tollgate::time::{
    AsyncIoTimer, EmbassyTimer, FnTimer, FuturesTimer, ManualClock, StdClock, ThreadTimer, TimerQueue, TokioTimer,
};
use tollgate_conformance::{
    ALLOC_CASES, ALLOC_TIMED, AllocCase, AllocTimedCase, Arena, CASES, CREWS, Case, Crew, Run, STD_CASES, STD_CREWS,
    TEAMS, TIMED, Team, TimedCase,
};

use crate::executors::Executor;
use crate::watch::Verdict;

/// A timer, as one that cases can be run with.
#[derive(Debug)]
pub struct AnyTimer {
    name: &'static str,
    run: fn(Timed) -> Run,
}

/// A case that needs a timer.
#[derive(Debug, Clone, Copy)]
pub enum Timed {
    Plain(TimedCase),
    Alloc(AllocTimedCase),
}

/// A case, or one with a timer.
#[derive(Debug)]
pub enum Entry {
    Plain(Case),
    Timed(Timed, &'static AnyTimer),
    Team(Team),
    Alloc(AllocCase),
    Crew(Crew),
    /// Everything that needs no timer, each case in a task of its own, side by side.
    Cases,
    /// Every case that needs a timer with every timer that makes sense, likewise.
    Timers,
}

macro_rules! timers {
    ($($name:literal: $timer:expr,)*) => {
        const TIMERS: &[AnyTimer] = &[$(
            AnyTimer {
                name: $name,
                run: |case| match case {
                    Timed::Plain(case) => Box::pin(case.run($timer)),
                    Timed::Alloc(case) => case.run($timer),
                },
            },
        )*];
    };
}

timers! {
    "TokioTimer": TokioTimer,
    "AsyncIoTimer": AsyncIoTimer,
    "FuturesTimer": FuturesTimer,
    "ThreadTimer": ThreadTimer,
    "EmbassyTimer": EmbassyTimer,
    "FnTimer": FnTimer(StdClock, futures_timer::Delay::new),
    // Half of the time, half of the rest, and so on: a deadline must not trust it.
    "FnTimer, early": FnTimer(StdClock, |duration: Duration| futures_timer::Delay::new(duration / 2)),
    "TimerQueue": &driven().0,
    "ManualClock": &driven().1,
}

/// Two that a thread drives, as a tick interrupt would.
fn driven() -> &'static (TimerQueue, ManualClock) {
    const TICK: Duration = Duration::from_millis(1);
    static BOTH: (TimerQueue, ManualClock) = (TimerQueue::new(), ManualClock::new());
    static DRIVER: OnceLock<()> = OnceLock::new();
    DRIVER.get_or_init(|| {
        std::thread::spawn(|| {
            for tick in 1.. {
                BOTH.0.advance(tick);
                BOTH.1.advance(TICK);
                std::thread::sleep(TICK);
            }
        });
    });
    &BOTH
}

/// All that need a timer.
fn timed() -> impl Iterator<Item = Timed> {
    TIMED.iter().copied().map(Timed::Plain).chain(ALLOC_TIMED.iter().copied().map(Timed::Alloc))
}

/// All that are one task and need an allocator.
fn alloc() -> impl Iterator<Item = AllocCase> {
    ALLOC_CASES.iter().chain(STD_CASES).copied()
}

/// All that are several tasks and need an allocator.
fn crews() -> impl Iterator<Item = Crew> {
    CREWS.iter().chain(STD_CREWS).copied()
}

pub fn entries() -> Vec<Entry> {
    let plain = CASES.iter().copied().map(Entry::Plain);
    let timed = TIMERS.iter().flat_map(|timer| timed().map(move |case| Entry::Timed(case, timer)));
    let teams = TEAMS.iter().copied().map(Entry::Team);
    let (alloc, crews) = (alloc().map(Entry::Alloc), crews().map(Entry::Crew));
    plain.chain(teams).chain(alloc).chain(crews).chain(timed).chain([Entry::Cases, Entry::Timers]).collect()
}

impl Timed {
    const fn name(&self) -> &'static str {
        match self {
            Self::Plain(case) => case.name,
            Self::Alloc(case) => case.name,
        }
    }
}

impl AnyTimer {
    /// Whether the pair makes sense.
    fn runs_on(&self, executor: &Executor) -> bool {
        match self.name {
            "TokioTimer" => executor.name.starts_with("tokio"),
            // Its driver wakes with its own lock held, so who is woken must not set a timer on the spot.
            "EmbassyTimer" => !executor.polls_in_wake,
            // Its time stands still while its driver polls whom it woke, and that may be a task that waits for time to go by.
            "TimerQueue" | "ManualClock" => !executor.polls_in_wake,
            _ => true,
        }
    }
}

impl Entry {
    pub fn title(&self) -> String {
        match self {
            Self::Plain(case) => case.name.into(),
            Self::Timed(case, timer) => format!("{} with {}", case.name(), timer.name),
            Self::Team(team) => team.name.into(),
            Self::Alloc(case) => case.name.into(),
            Self::Crew(crew) => crew.name.into(),
            Self::Cases => "all at once::cases".into(),
            Self::Timers => "all at once::timers".into(),
        }
    }

    /// The row that it counts in.
    pub fn noun(&self) -> String {
        let name = match self {
            Self::Plain(case) => case.name,
            Self::Timed(_, timer) => return format!("on {}", timer.name),
            Self::Team(team) => team.name,
            Self::Alloc(case) => case.name,
            Self::Crew(crew) => crew.name,
            Self::Cases | Self::Timers => "all at once",
        };
        name.split("::").next().unwrap_or(name).replace('_', " ")
    }

    /// Whether the pair makes sense.
    pub fn runs_on(&self, executor: &Executor) -> bool {
        match self {
            Self::Timed(_, timer) => timer.runs_on(executor),
            _ => true,
        }
    }

    /// How often it is run: more often where each run is another one, but what waits for time costs time.
    pub fn rounds(&self, executor: &Executor) -> u64 {
        match self {
            Self::Timed(..) | Self::Timers => 1 + u64::from(executor.by_seed),
            _ if executor.by_seed => 20,
            _ if executor.threads > 1 => 10,
            _ => 1,
        }
    }

    /// What there is to await, each in a task of its own, and what to ask afterwards.
    pub fn parts(&self, executor: &Executor) -> (Vec<Run>, Verdict) {
        match self {
            Self::Plain(case) => (vec![Box::pin(case.run())], Box::new(|| Ok(()))),
            Self::Timed(case, timer) => (vec![(timer.run)(*case)], Box::new(|| Ok(()))),
            Self::Alloc(case) => (vec![case.run()], Box::new(|| Ok(()))),
            Self::Crew(crew) => (crew.members(), Box::new(|| Ok(()))),
            Self::Cases => {
                let cases = CASES.iter().map(|case| Box::pin(case.run()) as Run);
                let alloc = alloc().map(AllocCase::run);
                let crews = crews().flat_map(Crew::members);
                (cases.chain(alloc).chain(crews).collect(), Box::new(|| Ok(())))
            }
            Self::Timers => {
                let timers = TIMERS.iter().filter(|timer| timer.runs_on(executor));
                let runs = timers.flat_map(|timer| timed().map(|case| (timer.run)(case)));
                (runs.collect(), Box::new(|| Ok(())))
            }
            Self::Team(team) => {
                let arena: &'static Arena = Box::leak(Box::new(Arena::new()));
                let parts = (0..team.members()).map(|n| Box::pin(team.member(arena, n)) as Run).collect();
                let team = *team;
                (parts, Box::new(move || team.verdict(arena)))
            }
        }
    }
}
