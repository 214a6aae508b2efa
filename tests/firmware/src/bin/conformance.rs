//! The suite that hosts run too: each case in a task, each member of a team in a task of its own.
#![no_std]
#![no_main]

use embassy_executor::Spawner;
use firmware::{pass, println};
use tollgate::Semaphore;
use tollgate::time::{EmbassyTimer, TimerQueue};
use tollgate_conformance::{Arena, CASES, Outcome, TEAMS, TIMED, Team};

const MOST: usize = 4;

static TIMERS: TimerQueue = TimerQueue::new();
static ARENAS: [Arena; TEAMS.len()] = [const { Arena::new() }; TEAMS.len()];
static ENDED: Semaphore = Semaphore::new(0);

fn expect(name: &str, outcome: Outcome) {
    match outcome {
        Ok(()) => println!("ok {name}"),
        Err(wrong) => panic!("{name}: {wrong}"),
    }
}

#[embassy_executor::task(pool_size = MOST)]
async fn member(team: Team, arena: &'static Arena, n: usize) {
    if let Err(wrong) = team.member(arena, n).await {
        panic!("{}: {wrong}", team.name);
    }
    ENDED.add_permits(1);
}

#[embassy_executor::task]
async fn all(spawner: Spawner) {
    for case in CASES {
        expect(case.name, case.run().await);
    }
    for case in TIMED {
        expect(case.name, case.run(EmbassyTimer).await);
        expect(case.name, case.run(&TIMERS).await);
    }
    for (team, arena) in TEAMS.iter().zip(&ARENAS) {
        for n in 0..team.members() {
            spawner.spawn(member(*team, arena, n).expect("a task for each member"));
        }
        ENDED.acquire_many(team.members()).await.unwrap().forget();
        // The last member's task is free for the next team once it has returned.
        embassy_time::Timer::after_millis(2).await;
        expect(team.name, team.verdict(arena));
    }
    pass()
}

#[firmware::entry]
fn main() -> ! {
    firmware::on_tick(|now| _ = TIMERS.advance(now));
    firmware::run(|spawner| spawner.spawn(all(spawner).unwrap()))
}
