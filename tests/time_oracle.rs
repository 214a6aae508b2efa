//! The timer queue against a sorted map: the same random steps, and after each the same order of wakes, the same next
//! end, the same word to the driver.
//!
//! `TOLLGATE_SEED` repeats a run, `TOLLGATE_STEPS` makes it longer or shorter.
#![cfg(any(feature = "std", feature = "critical-section"))]
#![allow(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "tests always have std")]

pub(crate) mod support;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Wake, Waker};

use support::poll_with;
use support::seeded::{Seeded, steps};
use tollgate::time::{Clock, QueueSleep, TimerQueue};
use tollgate::{DefaultLock, LocalLock, RawLock};

const NEVER: u64 = u64::MAX;

type Id = usize;

// === the model ===

#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    Idle(u64),
    /// The end, and the place among equals.
    Queued(u64, u64),
    Fired,
    Done,
}

/// What the driver was told, if it was told something.
type Told = Option<u64>;

#[derive(Debug)]
struct Model {
    now: u64,
    told: u64,
    newcomers: u64,
    queue: BTreeMap<(u64, u64), Id>,
    states: Vec<State>,
}

impl Model {
    fn new() -> Self {
        Self { now: 0, told: NEVER, newcomers: 0, queue: BTreeMap::new(), states: Vec::new() }
    }

    fn enter(&mut self, id: Id, at: u64) -> Told {
        self.newcomers += 1;
        self.queue.insert((at, self.newcomers), id);
        self.states[id] = State::Queued(at, self.newcomers);
        let earlier = at < self.told;
        self.told = self.told.min(at);
        earlier.then_some(at)
    }

    fn leave(&mut self, id: Id) {
        if let State::Queued(at, place) = self.states[id] {
            assert_eq!(self.queue.remove(&(at, place)), Some(id));
        }
    }

    fn poll(&mut self, id: Id) -> (bool, Told) {
        match self.states[id] {
            State::Idle(NEVER) | State::Queued(..) => (false, None),
            State::Idle(at) if at > self.now => (false, self.enter(id, at)),
            State::Idle(_) | State::Fired | State::Done => {
                self.states[id] = State::Done;
                (true, None)
            }
        }
    }

    /// Whether it is woken at once.
    fn reset(&mut self, id: Id, at: u64) -> (bool, Told) {
        let queued = matches!(self.states[id], State::Queued(..));
        self.leave(id);
        if !queued || at == NEVER {
            self.states[id] = State::Idle(at);
            return (false, None);
        }
        if at > self.now {
            return (false, self.enter(id, at));
        }
        self.states[id] = State::Fired;
        (true, None)
    }

    fn drop(&mut self, id: Id) {
        self.leave(id);
        let last = self.states.len() - 1;
        self.states.swap_remove(id);
        for moved in self.queue.values_mut() {
            if *moved == last {
                *moved = id;
            }
        }
    }

    fn next(&mut self) -> Option<u64> {
        let next = self.queue.keys().next().map(|(at, _)| *at);
        self.told = next.unwrap_or(NEVER);
        next
    }

    fn advance(&mut self, now: u64) -> Vec<Id> {
        self.now = self.now.max(now.min(NEVER - 1));
        let mut fired = Vec::new();
        while let Some(first) = self.queue.first_entry().filter(|first| first.key().0 <= self.now) {
            fired.push(first.remove());
        }
        for id in &fired {
            self.states[*id] = State::Fired;
        }
        fired
    }
}

// === the real one ===

type Log = Arc<Mutex<Vec<u64>>>;

/// Says whom it was woken for.
struct Name {
    name: u64,
    log: Log,
}

impl Wake for Name {
    fn wake(self: Arc<Self>) {
        self.log.lock().unwrap().push(self.name);
    }
}

thread_local! {
    static HEARD: Cell<Told> = const { Cell::new(None) };
}

struct Sleeper<'q, L: RawLock> {
    sleep: Pin<Box<QueueSleep<'q, L>>>,
    /// Of the waker it was polled with last.
    name: u64,
}

struct Pair<'q, L: RawLock> {
    queue: &'q TimerQueue<L>,
    sleepers: Vec<Sleeper<'q, L>>,
    model: Model,
    names: u64,
    log: Log,
}

impl<'q, L: RawLock> Pair<'q, L> {
    fn new(queue: &'q TimerQueue<L>) -> Self {
        Self { queue, sleepers: Vec::new(), model: Model::new(), names: 0, log: Log::default() }
    }

    fn waker(&mut self) -> (u64, Waker) {
        self.names += 1;
        (self.names, Waker::from(Arc::new(Name { name: self.names, log: self.log.clone() })))
    }

    /// Most ends are near and shared with others, some are far, and some past or never.
    fn some_end(&self, random: &mut Seeded) -> u64 {
        let now = self.model.now;
        match random.below(20) {
            0 => NEVER,
            1 => now.saturating_sub(random.below(5) as u64),
            2 => NEVER - 1 - random.below(3) as u64,
            3..8 => now + random.below(1_000_000) as u64,
            8..12 => now + random.below(1000) as u64,
            _ => now + random.below(20) as u64,
        }
    }

    fn see_told(&self, told: Told) {
        assert_eq!(HEARD.take(), told, "what the driver hears");
    }

    fn poll(&mut self, id: Id) {
        let (name, waker) = self.waker();
        let sleeper = &mut self.sleepers[id];
        let ready = poll_with(sleeper.sleep.as_mut(), &waker) == Poll::Ready(());
        sleeper.name = name;
        let (expected, told) = self.model.poll(id);
        assert_eq!(ready, expected);
        self.see_told(told);
    }

    fn begin(&mut self, random: &mut Seeded) {
        let at = self.some_end(random);
        self.sleepers.push(Sleeper { sleep: Box::pin(self.queue.sleep_until(at)), name: 0 });
        self.model.states.push(State::Idle(at));
        if !random.once_in(20) {
            self.poll(self.sleepers.len() - 1);
        }
    }

    fn reset(&mut self, id: Id, random: &mut Seeded) {
        let at = self.some_end(random);
        self.sleepers[id].sleep.as_mut().reset(at);
        let (woken, told) = self.model.reset(id, at);
        self.see_told(told);
        self.see_woken(&[id][..usize::from(woken)]);
    }

    fn drop(&mut self, id: Id) {
        self.sleepers.swap_remove(id);
        self.model.drop(id);
    }

    fn advance(&mut self, random: &mut Seeded) {
        let step = [0, 1, 10, 100, 10_000][random.below(5)];
        // Now and then time seems to go back.
        let to = if random.once_in(50) { self.model.now / 2 } else { self.model.now + random.below(step + 1) as u64 };
        let next = self.queue.advance(to);
        let fired = self.model.advance(to);
        self.see_woken(&fired);
        assert_eq!(next, self.model.next());
        assert_eq!(self.queue.now(), self.model.now);
    }

    /// In this order, by their newest wakers, and nobody else.
    fn see_woken(&self, ids: &[Id]) {
        let names: Vec<_> = ids.iter().map(|id| self.sleepers[*id].name).collect();
        assert_eq!(std::mem::take(&mut *self.log.lock().unwrap()), names);
    }

    fn step(&mut self, random: &mut Seeded, crowd: usize) {
        let len = self.sleepers.len();
        match random.below(100) {
            _ if len == 0 => self.begin(random),
            0..30 if len < crowd => self.begin(random),
            0..45 => self.drop(random.below(len)),
            45..60 => self.reset(random.below(len), random),
            60..75 => self.poll(random.below(len)),
            75..80 => assert_eq!(self.queue.next_deadline(), self.model.next()),
            80..82 => self.advance(random),
            // Newcomers come in swarms, so that much is unsettled when somebody asks.
            82..84 => (0..random.below(40)).for_each(|_| self.begin(random)),
            84..86 => (0..random.below(40).min(len)).for_each(|_| self.drop(random.below(self.sleepers.len()))),
            _ => {}
        }
        assert_eq!(self.queue.sleepers(), self.model.queue.len());
        self.see_woken(&[]);
    }
}

/// What a fuzzer has.
#[allow(dead_code, unreachable_pub, reason = "for `fuzz`, which has this file as a module")]
pub fn follow(random: &mut Seeded) {
    let queue = TimerQueue::<DefaultLock>::with_lock().on_earlier(|at| HEARD.set(Some(at)));
    let mut pair = Pair::new(&queue);
    let crowd = [4, 20, 100][random.below(3)];
    while !random.is_over() {
        pair.step(random, crowd);
    }
    while !pair.sleepers.is_empty() {
        pair.drop(random.below(pair.sleepers.len()));
    }
    assert_eq!((queue.next_deadline(), queue.sleepers()), (None, 0));
}

fn compare<L: RawLock>(seed: u64, crowd: usize) {
    let mut random = Seeded::new(seed);
    let queue = TimerQueue::<L>::with_lock().on_earlier(|at| HEARD.set(Some(at)));
    let mut pair = Pair::new(&queue);
    for step in 0..steps(20_000, 1_000_000) {
        // From time to time everybody goes.
        if step % 10_000 == 9_999 {
            while !pair.sleepers.is_empty() {
                pair.drop(random.below(pair.sleepers.len()));
            }
            assert_eq!(queue.next_deadline(), pair.model.next());
        }
        pair.step(&mut random, crowd);
    }
}

#[test]
fn a_queue_of_a_few_is_what_a_sorted_map_is() {
    compare::<DefaultLock>(1, 8);
}

#[test]
fn a_queue_of_many_is_what_a_sorted_map_is() {
    compare::<DefaultLock>(2, 300);
}

#[test]
fn a_queue_without_a_lock_is_what_a_sorted_map_is() {
    compare::<LocalLock>(3, 60);
}
