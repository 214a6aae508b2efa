//! The semaphore against a model of it that is too simple to be wrong: the same random steps, and after each the same
//! counts, the same grants and the same wakes.
//!
//! `TOLLGATE_SEED` repeats a run, `TOLLGATE_STEPS` makes it longer or shorter, `TOLLGATE_TRACE` shows each step.
#![cfg(all(any(feature = "std", feature = "critical-section"), feature = "alloc"))]
#![allow(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "tests always have std")]

pub(crate) mod support;

use std::collections::VecDeque;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, Waker};

use support::seeded::{Seeded, steps};
use support::watched_lock::WatchedLock;
use support::{Wakes, panic_of, poll_with};
use tollgate::{
    Acquire, AcquireOwned, Closed, DefaultLock, LocalLock, OwnedPermit, Permit, RawLock, Semaphore, TryAcquireError,
};

const MAX: usize = <Semaphore>::MAX_PERMITS;

// === the model ===

#[derive(Debug, Clone, Copy)]
struct Request {
    min: usize,
    max: usize,
    priority: u8,
    barging: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    Unpolled,
    Queued,
    Granted(usize),
    Closed,
    Done,
}

/// What the model knows of a future.
#[derive(Debug)]
struct Entry {
    request: Request,
    state: State,
    /// Which of its wakers was the last that it was polled with.
    waker: Option<usize>,
    /// How often each of its wakers should have been woken.
    wakes: [usize; 2],
}

/// A semaphore as its contract tells it, one obvious step after another. Futures are indices.
#[derive(Debug)]
struct Model {
    available: isize,
    closed: bool,
    queue: VecDeque<usize>,
    entries: Vec<Entry>,
}

impl Model {
    /// What a newcomer gets without waiting.
    fn take(&mut self, request: Request) -> Option<Result<usize, Closed>> {
        if self.closed {
            return Some(Err(Closed));
        }
        let first = self.queue.front().is_none_or(|&head| self.entries[head].request.priority < request.priority);
        let free = if first || request.barging { self.available.max(0) as usize } else { 0 };
        if free < request.min {
            return None;
        }
        let taken = free.min(request.max);
        self.available -= taken as isize;
        Some(Ok(taken))
    }

    /// Polls for the first time, or enrols.
    fn join(&mut self, index: usize) {
        let request = self.entries[index].request;
        self.entries[index].state = match self.take(request) {
            Some(Ok(taken)) => State::Granted(taken),
            Some(Err(Closed)) => State::Closed,
            None => {
                let ahead = |&other: &usize| self.entries[other].request.priority >= request.priority;
                let place = self.queue.iter().take_while(|other| ahead(other)).count();
                self.queue.insert(place, index);
                State::Queued
            }
        };
    }

    fn resolve(&mut self, index: usize, state: State) {
        let entry = &mut self.entries[index];
        entry.state = state;
        if let Some(waker) = entry.waker.take() {
            entry.wakes[waker] += 1;
        }
    }

    /// Serves the queue from its head as long as the head fits.
    fn serve(&mut self) {
        while let Some(&head) = self.queue.front() {
            let request = self.entries[head].request;
            if self.available < request.min as isize {
                break;
            }
            let taken = request.max.min(self.available as usize);
            self.available -= taken as isize;
            self.queue.pop_front();
            self.resolve(head, State::Granted(taken));
        }
    }

    fn give(&mut self, permits: usize) {
        self.available += permits as isize;
        self.serve();
    }

    /// A future is dropped or reset.
    fn leave(&mut self, index: usize) {
        match mem::replace(&mut self.entries[index].state, State::Done) {
            State::Queued => {
                self.queue.retain(|&other| other != index);
                self.entries[index].waker = None;
                self.serve();
            }
            State::Granted(permits) => self.give(permits),
            State::Unpolled | State::Closed | State::Done => {}
        }
    }

    fn close(&mut self) {
        self.closed = true;
        while let Some(index) = self.queue.pop_front() {
            self.resolve(index, State::Closed);
        }
    }
}

// === both forms under one roof ===

enum Waiting<'a, L: RawLock> {
    Borrowed(Pin<Box<Acquire<'a, L>>>),
    Owned(Pin<Box<AcquireOwned<L>>>),
}

enum Lent<'a, L: RawLock> {
    Borrowed(Permit<'a, L>),
    Owned(OwnedPermit<L>),
}

impl<'a, L: RawLock> Waiting<'a, L> {
    fn poll(&mut self, waker: &Waker) -> Poll<Result<Lent<'a, L>, Closed>> {
        match self {
            Self::Borrowed(future) => poll_with(future.as_mut(), waker).map_ok(Lent::Borrowed),
            Self::Owned(future) => poll_with(future.as_mut(), waker).map_ok(Lent::Owned),
        }
    }

    fn enroll(&mut self) {
        match self {
            Self::Borrowed(future) => future.as_mut().enroll(),
            Self::Owned(future) => future.as_mut().enroll(),
        }
    }

    fn reset(&mut self, gate: &Arc<Semaphore<L>>, n: usize) {
        match self {
            Self::Borrowed(future) => future.as_mut().reset(n),
            Self::Owned(future) => future.as_mut().reset(gate.clone(), n),
        }
    }
}

impl<L: RawLock> Lent<'_, L> {
    fn permits(&self) -> usize {
        match self {
            Self::Borrowed(permit) => permit.permits(),
            Self::Owned(permit) => permit.permits(),
        }
    }

    fn split(&mut self, n: usize) -> Option<Self> {
        match self {
            Self::Borrowed(permit) => permit.split(n).map(Self::Borrowed),
            Self::Owned(permit) => permit.split(n).map(Self::Owned),
        }
    }

    /// Merges where both have the same form.
    fn merge(&mut self, other: Self) -> Option<Self> {
        match (self, other) {
            (Self::Borrowed(permit), Self::Borrowed(other)) => permit.merge(other),
            (Self::Owned(permit), Self::Owned(other)) => permit.merge(other),
            (_, other) => return Some(other),
        }
        None
    }

    fn forget(self) {
        match self {
            Self::Borrowed(permit) => permit.forget(),
            Self::Owned(permit) => permit.forget(),
        }
    }
}

// === one run on one semaphore ===

/// A live future, its two wakers, and where the model keeps its twin.
struct Slot<'a, L: RawLock> {
    future: Waiting<'a, L>,
    wakers: [(Arc<Wakes>, Waker); 2],
    index: usize,
}

struct Run<'a, L: RawLock> {
    gate: &'a Arc<Semaphore<L>>,
    model: Model,
    /// The permits that should exist.
    total: isize,
    slots: Vec<Slot<'a, L>>,
    lent: Vec<Lent<'a, L>>,
}

const SLOTS: usize = 24;

impl<'a, L: RawLock> Run<'a, L> {
    fn lent(&self) -> usize {
        self.lent.iter().map(Lent::permits).sum()
    }

    fn request(&self, random: &mut Seeded) -> Request {
        let min = match random.below(12) {
            0 => 0,
            1..=6 => 1,
            _ => random.below(7),
        };
        let max = if random.once_in(4) { min + random.below(5) } else { min };
        let priority = if random.once_in(4) { random.below(4) as u8 } else { 0 };
        Request { min, max, priority, barging: random.once_in(8) }
    }

    fn create(&mut self, random: &mut Seeded) {
        let request = self.request(random);
        let Request { min, max, priority, barging } = request;
        // An end beyond the maximum means all; the model has no more than that either.
        let end = if max > min && random.once_in(10) { usize::MAX } else { max };
        let request = if end == usize::MAX { Request { max: MAX, ..request } } else { request };
        let gate: &'a Arc<Semaphore<L>> = self.gate;
        let future = if random.once_in(3) {
            let gate = gate.clone();
            let future = if (min, end) == (1, 1) {
                gate.acquire_owned()
            } else if min == end {
                gate.acquire_many_owned(min)
            } else {
                gate.acquire_up_to_owned(min..=end)
            };
            let future = if barging { future.barging() } else { future };
            Waiting::Owned(Box::pin(future.priority(priority)))
        } else {
            let future = if (min, end) == (1, 1) {
                gate.acquire()
            } else if min == end {
                gate.acquire_many(min)
            } else {
                gate.acquire_up_to(min..=end)
            };
            let future = future.priority(priority);
            Waiting::Borrowed(Box::pin(if barging { future.barging() } else { future }))
        };
        let index = self.model.entries.len();
        self.model.entries.push(Entry { request, state: State::Unpolled, waker: None, wakes: [0; 2] });
        self.slots.push(Slot { future, wakers: [Wakes::new(), Wakes::new()], index });
    }

    fn poll(&mut self, place: usize, random: &mut Seeded) {
        let slot = &mut self.slots[place];
        let which = random.below(2);
        if self.model.entries[slot.index].state == State::Unpolled {
            self.model.join(slot.index);
        }
        let entry = &mut self.model.entries[slot.index];
        match (slot.future.poll(&slot.wakers[which].1), entry.state) {
            (Poll::Pending, State::Queued) => entry.waker = Some(which),
            (Poll::Ready(Ok(permit)), State::Granted(permits)) => {
                assert_eq!(permit.permits(), permits, "granted another number: {entry:?}");
                entry.state = State::Done;
                self.lent.push(permit);
            }
            (Poll::Ready(Err(Closed)), State::Closed) => entry.state = State::Done,
            (outcome, state) => {
                let outcome = outcome.map_ok(|permit| permit.permits());
                panic!("polled {outcome:?} where the model is {state:?}");
            }
        }
        if self.model.entries[self.slots[place].index].state == State::Done && random.once_in(2) {
            self.slots.swap_remove(place);
        }
    }

    fn try_acquire(&mut self, random: &mut Seeded) {
        let Request { min, max, .. } = self.request(random);
        let gate: &'a Arc<Semaphore<L>> = self.gate;
        let (outcome, min, max, barging) = match random.below(7) {
            0 => (gate.try_acquire().map(Lent::Borrowed), 1, 1, false),
            1 => (gate.try_acquire_many(min).map(Lent::Borrowed), min, min, false),
            2 => (gate.try_acquire_up_to(min..=max).map(Lent::Borrowed), min, max, false),
            3 => (gate.try_acquire_barging().map(Lent::Borrowed), 1, 1, true),
            4 => (gate.clone().try_acquire_owned().map(Lent::Owned), 1, 1, false),
            5 => (gate.clone().try_acquire_many_owned(min).map(Lent::Owned), min, min, false),
            _ => (gate.clone().try_acquire_up_to_owned(min..=max).map(Lent::Owned), min, max, false),
        };
        let expected = match self.model.take(Request { min, max, priority: 0, barging }) {
            Some(Ok(taken)) => Ok(taken),
            Some(Err(Closed)) => Err(TryAcquireError::Closed),
            None => Err(TryAcquireError::NoPermits),
        };
        assert_eq!(
            outcome.as_ref().map(Lent::permits).map_err(|error| *error),
            expected,
            "try {min}..={max} {barging}"
        );
        self.lent.extend(outcome);
    }

    fn change_permit(&mut self, random: &mut Seeded) {
        if self.lent.is_empty() {
            return;
        }
        let place = random.below(self.lent.len());
        match random.below(10) {
            0 => {
                let had = self.lent[place].permits();
                let n = random.below(4);
                let part = self.lent[place].split(n);
                assert_eq!(part.as_ref().map(Lent::permits), (n <= had).then_some(n));
                assert_eq!(self.lent[place].permits(), if n <= had { had - n } else { had });
                self.lent.extend(part);
            }
            1 => {
                let mut permit = self.lent.swap_remove(place);
                let had = permit.permits() + self.lent.last().map_or(0, Lent::permits);
                if let Some(other) = self.lent.pop() {
                    let refused = permit.merge(other);
                    assert_eq!(permit.permits() + refused.as_ref().map_or(0, Lent::permits), had);
                    self.lent.extend(refused);
                }
                self.lent.push(permit);
            }
            2 if random.once_in(3) => {
                let permit = self.lent.swap_remove(place);
                self.total -= permit.permits() as isize;
                permit.forget();
            }
            _ => {
                let permit = self.lent.swap_remove(place);
                self.model.give(permit.permits());
                drop(permit);
            }
        }
    }

    fn resize(&mut self, random: &mut Seeded) {
        match random.below(6) {
            // Rare enough for the others to matter in between.
            0 => {
                let n = random.below(16);
                self.gate.set_limit(n);
                self.model.available += n as isize - self.total;
                self.total = n as isize;
                self.model.serve();
            }
            1 => {
                let n = random.below(4);
                let expected = n.min(self.model.available.max(0) as usize);
                assert_eq!(self.gate.forget_permits(n), expected);
                self.model.available -= expected as isize;
                self.total -= expected as isize;
            }
            2 => {
                let n = random.below(4);
                self.gate.reduce_permits(n);
                self.model.available -= n as isize;
                self.total -= n as isize;
            }
            3 => {
                // Towards a total that keeps things moving.
                let n = (12 - self.total).max(0) as usize;
                self.gate.add_permits(n);
                self.total += n as isize;
                self.model.give(n);
            }
            4 if random.once_in(200) => {
                let too_many = (MAX as isize - self.total + 1) as usize;
                assert!(panic_of(|| self.gate.add_permits(too_many)).contains("MAX_PERMITS"));
                assert!(panic_of(|| self.gate.set_limit(MAX + 1)).contains("MAX_PERMITS"));
                assert!(panic_of(|| self.gate.reduce_permits(MAX + 1)).contains("MAX_PERMITS"));
            }
            _ => {
                let n = random.below(3);
                self.gate.add_permits(n);
                self.total += n as isize;
                self.model.give(n);
            }
        }
    }

    fn step(&mut self, random: &mut Seeded) {
        let place = if self.slots.is_empty() { None } else { Some(random.below(self.slots.len())) };
        let live = |run: &Self, place: usize| run.model.entries[run.slots[place].index].state != State::Done;
        match (random.below(20), place) {
            (0..=4, _) if self.slots.len() < SLOTS => {
                self.create(random);
                if !random.once_in(4) {
                    self.poll(self.slots.len() - 1, random);
                }
            }
            (5..=7, Some(place)) if live(self, place) => self.poll(place, random),
            (8, Some(place)) if live(self, place) => {
                self.slots[place].future.enroll();
                if self.model.entries[self.slots[place].index].state == State::Unpolled {
                    self.model.join(self.slots[place].index);
                }
            }
            (9, Some(place)) => {
                let n = random.below(5);
                let slot = &mut self.slots[place];
                slot.future.reset(self.gate, n);
                self.model.leave(slot.index);
                let entry = &mut self.model.entries[slot.index];
                entry.state = State::Unpolled;
                entry.request = Request { min: n, max: n, barging: false, priority: entry.request.priority };
            }
            (10 | 11, Some(place)) => {
                let slot = self.slots.swap_remove(place);
                let Slot { future, wakers, index } = slot;
                drop(future);
                self.model.leave(index);
                for (wakes, _) in &wakers {
                    assert_eq!(Arc::strong_count(wakes), 2, "a dropped future kept a waker");
                }
            }
            (12 | 13, _) => self.try_acquire(random),
            (14 | 15, _) => self.resize(random),
            _ => self.change_permit(random),
        }
        if !self.model.closed && random.once_in(2000) {
            self.gate.close();
            self.model.close();
        }
    }

    fn compare(&mut self) {
        let model = &self.model;
        assert_eq!(self.gate.available_permits() as isize, model.available.max(0), "available");
        assert_eq!(self.gate.waiters(), model.queue.len(), "waiters");
        assert_eq!(self.gate.is_closed(), model.closed, "closed");
        let granted: usize = model.entries.iter().map(|it| if let State::Granted(n) = it.state { n } else { 0 }).sum();
        assert_eq!(model.available + (granted + self.lent()) as isize, self.total, "the model's own sum");
        for slot in &self.slots {
            let entry = &model.entries[slot.index];
            let woken = [slot.wakers[0].0.count(), slot.wakers[1].0.count()];
            assert_eq!(woken, entry.wakes, "wakes of {entry:?}");
        }
    }

    /// What the model holds, one line a step.
    fn show(&self) {
        let Model { available, closed, queue, entries } = &self.model;
        let slots: Vec<_> = self.slots.iter().map(|slot| (slot.index, &entries[slot.index])).collect();
        eprintln!("{available} available of {}, {} lent, closed {closed}, queue {queue:?}", self.total, self.lent());
        eprintln!("    {slots:?}");
    }

    /// Every future is what the model says that it is.
    fn poll_all(&mut self, random: &mut Seeded) {
        for place in (0..self.slots.len()).rev() {
            if self.model.entries[self.slots[place].index].state != State::Done {
                self.poll(place, random);
            }
        }
    }

    /// Entries of futures that are gone would make every comparison slower.
    fn compact(&mut self) {
        if self.model.entries.len() < 4 * SLOTS {
            return;
        }
        let mut old: Vec<_> = mem::take(&mut self.model.entries).into_iter().map(Some).collect();
        let mut new_index = vec![usize::MAX; old.len()];
        for slot in &mut self.slots {
            new_index[slot.index] = self.model.entries.len();
            self.model.entries.push(old[slot.index].take().unwrap());
            slot.index = new_index[slot.index];
        }
        for index in &mut self.model.queue {
            *index = new_index[*index];
        }
    }
}

/// Steps until the semaphore was closed and used for a while, or `steps` are done, or what a fuzzer has is used up. Returns
/// how many were done.
fn run<L: RawLock>(random: &mut Seeded, steps: u64) -> u64 {
    let permits = random.below(10);
    let gate = Arc::new(Semaphore::<L>::with_lock(permits));
    let mut run = Run {
        gate: &gate,
        model: Model { available: permits as isize, closed: false, queue: VecDeque::new(), entries: Vec::new() },
        total: permits as isize,
        slots: Vec::new(),
        lent: Vec::new(),
    };
    let trace = std::env::var_os("TOLLGATE_TRACE").is_some();
    let mut done = 0;
    let mut left_after_close = 100;
    while done < steps && left_after_close > 0 && !random.is_over() {
        run.step(random);
        if trace {
            run.show();
        }
        run.compare();
        if random.once_in(16) {
            run.poll_all(random);
            run.compare();
        }
        run.compact();
        done += 1;
        left_after_close -= u64::from(run.model.closed);
    }
    let Run { slots, lent, total, .. } = run;
    if random.once_in(2) {
        drop(slots);
        drop(lent);
    } else {
        drop(lent);
        drop(slots);
    }
    assert_eq!(gate.available_permits() as isize, total.max(0), "all came back");
    assert_eq!((gate.waiters(), Arc::strong_count(&gate)), (0, 1));
    done
}

/// What a fuzzer has.
#[allow(dead_code, unreachable_pub, reason = "for `fuzz`, which has this file as a module")]
pub fn follow(random: &mut Seeded) {
    run::<DefaultLock>(random, u64::MAX);
}

fn agree<L: RawLock>(seed: u64) {
    let mut random = Seeded::new(seed);
    let mut left = steps(100_000, 1_000_000);
    while left > 0 {
        left -= run::<L>(&mut random, left);
    }
}

#[test]
fn the_semaphore_does_what_the_model_does() {
    agree::<DefaultLock>(0x7011_6a7e);
}

#[test]
fn the_semaphore_for_one_thread_does_what_the_model_does() {
    agree::<LocalLock>(0x10ca_110c);
}

#[test]
fn the_semaphore_with_a_watched_lock_does_what_the_model_does() {
    agree::<WatchedLock>(0x3a7c_4ed0);
}

/// The seed of every run differs from the others' by one; a hundred short runs start from small and odd states.
#[test]
fn many_short_runs_do_what_the_model_does() {
    for seed in 0..100 {
        let mut random = Seeded::new(seed);
        run::<DefaultLock>(&mut random, steps(100_000, 1_000_000) / 1000);
    }
}

#[test]
fn the_model_itself_serves_in_order() {
    let request = |min, priority| Request { min, max: min, priority, barging: false };
    let entry = |request| Entry { request, state: State::Unpolled, waker: None, wakes: [0; 2] };
    let mut model = Model {
        available: 1,
        closed: false,
        queue: VecDeque::new(),
        entries: [request(2, 0), request(1, 0), request(2, 1)].map(entry).into(),
    };
    (0..3).for_each(|index| model.join(index));
    assert_eq!(model.queue, [2, 0, 1]);
    model.leave(2);
    assert_eq!(model.queue, [0, 1]);
    model.leave(0);
    assert_eq!(model.entries[1].state, State::Granted(1));
}
