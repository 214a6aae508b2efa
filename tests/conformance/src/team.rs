//! Several tasks, on as many threads as the executor likes.

use core::fmt;
use core::pin::pin;

use futures_lite::future::poll_once;
use portable_atomic::{AtomicUsize, Ordering::Relaxed};
use tollgate::cancel::Cause;
use tollgate::time::TimerQueue;
use tollgate::{CancellationToken, Semaphore};

use crate::Outcome;
use crate::help::{ensure, pause};

const ROUNDS: usize = 25;

/// What the members of a team share. Each run of a team needs one of its own; it can be a `static`.
pub struct Arena {
    one: Semaphore,
    two: Semaphore,
    ping: Semaphore,
    pong: Semaphore,
    stop: CancellationToken<'static>,
    timers: TimerQueue,
    inside: AtomicUsize,
    peak: AtomicUsize,
    count: AtomicUsize,
}

/// A case for several tasks.
#[derive(Debug, Clone, Copy)]
pub struct Team {
    /// A sentence.
    pub name: &'static str,
    members: usize,
    which: Which,
}

#[derive(Debug, Clone, Copy)]
enum Which {
    Turns,
    OneAtATime,
    PingPong,
    Leavers,
    Stop,
    Sleepers,
}

/// Cases for several tasks.
pub const TEAMS: &[Team] = &[
    Team { name: "team::no_more_are_inside_than_there_are_permits", members: 4, which: Which::Turns },
    Team { name: "team::what_one_did_the_next_sees", members: 4, which: Which::OneAtATime },
    Team { name: "team::two_tasks_take_turns", members: 2, which: Which::PingPong },
    Team { name: "team::whoever_leaves_takes_nothing_along", members: 4, which: Which::Leavers },
    Team { name: "team::one_task_stops_the_others", members: 4, which: Which::Stop },
    Team { name: "team::one_task_drives_the_sleeps_of_the_others", members: 4, which: Which::Sleepers },
];

impl Team {
    /// How many tasks it needs.
    #[must_use]
    pub const fn members(&self) -> usize {
        self.members
    }

    /// What the `n`th task awaits. All have to run, or none ends.
    pub async fn member(self, arena: &Arena, n: usize) -> Outcome {
        match self.which {
            Which::Turns => arena.turns(n).await,
            Which::OneAtATime => arena.one_at_a_time().await,
            Which::PingPong => arena.ping_pong(n).await,
            Which::Leavers => arena.leavers(n).await,
            Which::Stop => arena.stop(n).await,
            Which::Sleepers => arena.sleepers(n).await,
        }
    }

    /// What came of it, once all members have ended.
    ///
    /// # Errors
    ///
    /// The place and the condition that does not hold.
    pub fn verdict(&self, arena: &Arena) -> Outcome {
        let count = arena.count.load(Relaxed);
        match self.which {
            Which::Turns => {
                ensure!(count == 4 * ROUNDS);
                ensure!((1..=2).contains(&arena.peak.load(Relaxed)));
                ensure!(arena.two.available_permits() == 2 && arena.two.waiters() == 0);
            }
            Which::OneAtATime => ensure!(count == 4 * ROUNDS),
            Which::PingPong => ensure!(count == 2 * ROUNDS),
            Which::Leavers => ensure!(arena.one.available_permits() == 1 && arena.one.waiters() == 0),
            Which::Stop => ensure!(count == 3 && arena.stop.waiters() == 0),
            Which::Sleepers => ensure!(count == 3 * 10 && arena.timers.sleepers() == 0),
        }
        Ok(())
    }
}

impl Arena {
    /// An arena that nobody has used.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            one: Semaphore::new(1),
            two: Semaphore::new(2),
            ping: Semaphore::new(0),
            pong: Semaphore::new(0),
            stop: CancellationToken::new(),
            timers: TimerQueue::new(),
            inside: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
            count: AtomicUsize::new(0),
        }
    }

    async fn turns(&self, n: usize) -> Outcome {
        for _ in 0..ROUNDS {
            let permit = self.two.acquire_many(1 + n / 3).await.map_err(|_| "closed")?;
            let inside = self.inside.fetch_add(1, Relaxed) + 1;
            self.peak.fetch_max(inside, Relaxed);
            pause().await;
            self.inside.fetch_sub(1, Relaxed);
            self.count.fetch_add(1, Relaxed);
            drop(permit);
        }
        Ok(())
    }

    async fn one_at_a_time(&self) -> Outcome {
        for _ in 0..ROUNDS {
            let _permit = self.one.acquire().await.map_err(|_| "closed")?;
            // Read, let others run, and write: right only if nobody else does so meanwhile.
            let count = self.count.load(Relaxed);
            pause().await;
            self.count.store(count + 1, Relaxed);
        }
        Ok(())
    }

    async fn ping_pong(&self, n: usize) -> Outcome {
        let (mine, other) = if n == 0 { (&self.ping, &self.pong) } else { (&self.pong, &self.ping) };
        for round in 0..ROUNDS {
            if n == 0 {
                other.add_permits(1);
            }
            mine.acquire().await.map_err(|_| "closed")?.forget();
            let count = self.count.load(Relaxed);
            ensure!(count == 2 * round + 1 - n || count == 2 * round + n);
            self.count.fetch_add(1, Relaxed);
            if n == 1 {
                other.add_permits(1);
            }
        }
        Ok(())
    }

    async fn leavers(&self, n: usize) -> Outcome {
        for round in 0..ROUNDS {
            {
                let mut wait = pin!(self.one.acquire());
                if let Some(permit) = poll_once(wait.as_mut()).await {
                    let _permit = permit.map_err(|_| "closed")?;
                    pause().await;
                } else if (round + n) % 2 == 0 {
                    // Leaves, granted or not.
                    pause().await;
                } else {
                    drop(wait.await.map_err(|_| "closed")?);
                }
            }
            pause().await;
        }
        Ok(())
    }

    async fn stop(&self, n: usize) -> Outcome {
        if n < 3 {
            ensure!(self.stop.run_until_cancelled(core::future::pending::<()>()).await.is_none());
            ensure!(self.stop.cause() == Some(Cause::new("enough")));
            self.count.fetch_add(1, Relaxed);
        } else {
            while self.stop.waiters() < 3 {
                pause().await;
            }
            self.stop.cancel_with("enough");
        }
        Ok(())
    }

    async fn sleepers(&self, n: usize) -> Outcome {
        if n < 3 {
            for round in 1..=10 {
                let at = round * (n as u64 + 2);
                self.timers.sleep_until(at).await;
                ensure!(tollgate::time::Clock::now(&self.timers) >= at);
                self.count.fetch_add(1, Relaxed);
            }
        } else {
            let mut now = 0;
            while self.count.load(Relaxed) < 3 * 10 {
                now += 1;
                self.timers.advance(now);
                pause().await;
            }
        }
        Ok(())
    }
}

impl Default for Arena {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Arena {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arena").field("count", &self.count).finish_non_exhaustive()
    }
}
