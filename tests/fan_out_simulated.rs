//! Fan-outs of every kind against a simulator that knows what each may do at any moment.
//!
//! A run makes a stream at random, with a source and futures that do whatever sources and futures may do, and lets the world
//! around it act at random. The simulator sees each item taken, started, polled, finished and dropped. It checks at that
//! moment that no bound is exceeded and the turn is right, after each poll that what was handed out is what should come,
//! and between polls that a stream with something to do has woken its task.
//!
//! `STEPS` sets how many steps are made in all, `SEED` the first run. A run that fails says its seed. `fuzz` makes runs too.
#![cfg(feature = "std")]
#![allow(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "tests always have std")]

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures_core::Stream;
use futures_core::stream::FusedStream;
use tollgate::fan_out::{Launch, Limit, Order, Storage, WakeTable};
use tollgate::{FanOut, FanOutExt, Semaphore};

#[path = "fan_out_suite/tools.rs"]
#[allow(dead_code, reason = "shared with tests that need more of it")]
mod tools;
use tools::Wakes;

pub(crate) mod support;
use support::seeded::Seeded;

// === what may happen ===

/// What a future does in one of its polls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Wakes itself, once or twice, in the middle of the poll.
    Again(usize),
    /// Waits until the world opens it.
    Wait,
    Finish,
    /// Finishes, and then panics when it is dropped.
    FinishBadly,
    Panic,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    NotTaken,
    Waiting,
    Running,
    Finished,
    Given,
    /// By a panic of its own or of the closure.
    Gone,
    /// With the stream.
    Dropped,
}

struct Item {
    script: VecDeque<Step>,
    closure_panics: bool,
    key: usize,
    weight: usize,
    phase: Phase,
    open: bool,
    /// It was woken since it was last polled.
    woken: bool,
    waker: Option<Waker>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ordering {
    Unordered,
    Ordered,
    Keyed,
}

#[derive(Debug, Clone, Copy)]
struct Setup {
    ordering: Ordering,
    /// 0 is the heap, 1 inline, 2 inline with a table.
    storage: usize,
    limit: usize,
    window: Option<usize>,
    weighted: bool,
    limited: bool,
    shared: bool,
    count: usize,
}

// === the simulator ===

struct World {
    setup: Setup,
    items: Vec<Item>,
    next: usize,
    source_pending: bool,
    source_panics: usize,
    source_ended: bool,
    source_waker: Option<Waker>,
    stopped: bool,
    /// What may start, in turn; and what has finished and is not given out, as it finished.
    startable: VecDeque<usize>,
    finished: VecDeque<usize>,
    /// Wakers of futures that are gone.
    stale: Vec<Waker>,
    limit: Arc<Limit>,
    semaphore: Arc<Semaphore>,
    dropping: bool,
}

type Shared = Rc<RefCell<World>>;

impl World {
    fn window(&self) -> usize {
        let slots = if self.setup.storage == 0 { self.setup.limit } else { SLOTS };
        self.setup.window.unwrap_or(slots)
    }

    fn count(&self, phase: Phase) -> usize {
        self.items.iter().filter(|item| item.phase == phase).count()
    }

    fn taken(&self) -> usize {
        self.count(Phase::Waiting) + self.count(Phase::Running) + self.count(Phase::Finished)
    }

    fn weight(&self, n: usize) -> usize {
        if self.setup.weighted { self.items[n].weight.min(self.setup.limit) } else { 1 }
    }

    fn load(&self) -> usize {
        (0..self.next).filter(|&n| self.items[n].phase == Phase::Running).map(|n| self.weight(n)).sum()
    }

    fn fits(&self, n: usize) -> bool {
        self.load() + self.weight(n) <= self.setup.limit
    }

    fn key_is_busy(&self, n: usize) -> bool {
        self.setup.ordering == Ordering::Keyed
            && (0..n).any(|m| {
                self.items[m].key == self.items[n].key && matches!(self.items[m].phase, Phase::Waiting | Phase::Running)
            })
    }

    /// The source gave an item.
    fn take(&mut self) -> usize {
        let n = self.next;
        self.next += 1;
        assert!(!self.stopped && !self.source_ended, "taken after the end");
        assert!(self.taken() < self.window(), "the window is exceeded");
        assert_eq!(self.items[n].phase, Phase::NotTaken);
        self.items[n].phase = Phase::Waiting;
        if !self.key_is_busy(n) {
            self.startable.push_back(n);
        }
        n
    }

    /// An item starts.
    fn start(&mut self, n: usize) {
        assert_eq!(self.items[n].phase, Phase::Waiting);
        assert!(self.fits(n), "{n} of weight {} beside {} of {}", self.weight(n), self.load(), self.setup.limit);
        assert!(!self.key_is_busy(n), "two of a key");
        assert_eq!(self.startable.pop_front(), Some(n), "out of turn");
        if self.setup.limited {
            // The permit for this one is taken by now.
            assert!(self.count(Phase::Running) < self.limit.get(), "more than the limit allows");
        }
        self.items[n].phase = Phase::Running;
    }

    /// What ran is over, one way or another.
    fn over(&mut self, n: usize, phase: Phase) {
        assert_eq!(self.items[n].phase, Phase::Running);
        self.items[n].phase = phase;
        if phase == Phase::Finished {
            self.finished.push_back(n);
        }
        if let Some(waker) = self.items[n].waker.take() {
            self.stale.push(waker);
        }
        if self.setup.ordering == Ordering::Keyed {
            let key = self.items[n].key;
            let next = (n + 1..self.next).find(|&m| self.items[m].key == key && self.items[m].phase == Phase::Waiting);
            self.startable.extend(next);
        }
    }

    /// What should be handed out now.
    fn due(&self) -> Option<usize> {
        match self.setup.ordering {
            Ordering::Ordered => {
                let inside = |phase| matches!(phase, Phase::Waiting | Phase::Running | Phase::Finished);
                let head = (0..self.next).find(|&n| inside(self.items[n].phase))?;
                (self.items[head].phase == Phase::Finished).then_some(head)
            }
            _ => self.finished.front().copied(),
        }
    }

    fn give(&mut self, n: usize) {
        assert_eq!(self.due(), Some(n), "handed out in the wrong order");
        self.finished.retain(|&m| m != n);
        self.items[n].phase = Phase::Given;
    }

    fn has_permits(&self) -> bool {
        (!self.setup.limited || self.limit.free() > 0) && (!self.setup.shared || self.semaphore.available_permits() > 0)
    }

    /// Whether a poll would find something to do.
    fn has_work(&self) -> Option<&'static str> {
        let Setup { weighted, limited, shared, limit, .. } = self.setup;
        if self.items.iter().any(|item| item.phase == Phase::Running && item.woken) {
            return Some("a future was woken");
        }
        if self.due().is_some() {
            return Some("an output is there");
        }
        if self.startable.front().is_some_and(|&n| self.fits(n)) && self.has_permits() {
            return Some("an item can start");
        }
        // Without a window of their own, streams whose items wait for more than a place take no further than one.
        let ahead = match self.setup.window {
            Some(window) => weighted || window > limit,
            None => self.setup.storage != 0 && (weighted || limit < SLOTS),
        };
        let no_further = (weighted || limited || shared) && !ahead;
        let ended = self.source_ended || self.stopped;
        let takes = self.taken() < self.window() && (self.startable.is_empty() || !no_further);
        // What could not start anyway may be taken, but need not.
        (takes && !ended && !self.source_pending && self.has_permits()).then_some("an item can be taken")
    }
}

// === items, futures and outputs that tell the simulator ===

struct Token {
    n: usize,
    world: Shared,
    /// What it is if it is dropped now.
    phase: Option<Phase>,
}

impl Drop for Token {
    fn drop(&mut self) {
        let Some(phase) = self.phase.take() else { return };
        if std::thread::panicking() {
            return; // something is wrong already
        }
        let mut world = self.world.borrow_mut();
        assert!(world.dropping, "{phase:?} {} was dropped, and the stream is there", self.n);
        assert_eq!(world.items[self.n].phase, phase);
        world.items[self.n].phase = Phase::Dropped;
    }
}

impl Token {
    fn become_(mut self, phase: Phase) -> Self {
        self.phase = None;
        Self { n: self.n, world: self.world.clone(), phase: Some(phase) }
    }

    fn disarm(mut self) {
        self.phase = None;
    }
}

struct Source(Shared);

impl Stream for Source {
    type Item = Token;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Token>> {
        let mut world = self.0.borrow_mut();
        assert!(!world.source_ended, "polled after its end");
        if world.source_pending {
            world.source_waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        if world.source_panics > 0 && world.next % 7 == 3 {
            world.source_panics -= 1;
            drop(world);
            panic!("on purpose: the source");
        }
        if world.next == world.items.len() {
            world.source_ended = true;
            return Poll::Ready(None);
        }
        let n = world.take();
        // Now and then it has nothing more for a while.
        world.source_pending = n % 5 == 4;
        Poll::Ready(Some(Token { n, world: self.0.clone(), phase: Some(Phase::Waiting) }))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let world = self.0.borrow();
        let left = world.items.len() - world.next;
        (left, Some(left))
    }
}

struct Job(Option<Token>, bool);

fn launch(token: Token) -> Job {
    let n = token.n;
    let world = token.world.clone();
    let mut world = world.borrow_mut();
    world.start(n);
    if world.items[n].closure_panics {
        world.over(n, Phase::Gone);
        drop(world);
        token.disarm();
        panic!("on purpose: the closure");
    }
    drop(world);
    Job(Some(token.become_(Phase::Running)), false)
}

impl Future for Job {
    type Output = Token;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Token> {
        let (n, world) = {
            let token = self.0.as_ref().expect("polled after it was finished");
            (token.n, token.world.clone())
        };
        let step = {
            let mut world = world.borrow_mut();
            let item = &mut world.items[n];
            assert_eq!(item.phase, Phase::Running);
            item.woken = false;
            let step = item.script.front().copied().expect("a script ends with its end");
            if step == Step::Wait && !item.open {
                // Some keep the waker they have if it is as good.
                if !item.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                    item.waker = Some(cx.waker().clone());
                }
                return Poll::Pending;
            }
            item.script.pop_front();
            match step {
                Step::Again(_) => item.woken = true,
                Step::Wait => {
                    item.open = false;
                    item.woken = true;
                }
                Step::Finish | Step::FinishBadly => world.over(n, Phase::Finished),
                Step::Panic => world.over(n, Phase::Gone),
            }
            step
        };
        match step {
            Step::Again(times) => (0..times).for_each(|_| cx.waker().wake_by_ref()),
            Step::Wait => {
                let own = cx.waker().clone();
                own.wake();
            }
            Step::Panic => {
                self.0.take().unwrap().disarm();
                panic!("on purpose: the future");
            }
            Step::Finish | Step::FinishBadly => {
                self.1 = step == Step::FinishBadly;
                return Poll::Ready(self.0.take().unwrap().become_(Phase::Finished));
            }
        }
        Poll::Pending
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        if mem::take(&mut self.1) {
            panic!("on purpose: the drop");
        }
    }
}

// === the streams ===

const SLOTS: usize = 24;

trait Subject: Stream<Item = Token> {
    /// In flight, waiting, finished.
    fn numbers(&self) -> (usize, usize, usize);
    fn stop(&self);
    fn is_over(&self) -> bool;
}

impl<M, O, S> Subject for FanOut<Source, M, O, S>
where
    M: Launch<Token>,
    M::Future: Future<Output = Token>,
    O: Order,
    S: Storage,
{
    fn numbers(&self) -> (usize, usize, usize) {
        (self.in_flight(), self.waiting(), self.finished())
    }

    fn stop(&self) {
        self.stop();
    }

    fn is_over(&self) -> bool {
        self.is_terminated()
    }
}

type Stream_ = Pin<Box<dyn Subject>>;

/// One run at a time.
static TABLE: WakeTable<1> = WakeTable::new();

fn subject(world: &Shared) -> Stream_ {
    let Setup { storage, limit, .. } = world.borrow().setup;
    let source = Source(world.clone());
    match storage {
        0 => with_window(world, source.fan_out_with(limit, launch)),
        1 => {
            let outputs = source.fan_out_inline_with::<SLOTS, _, _>(launch);
            if world.borrow().setup.weighted {
                with_bounds(world, outputs.weighted(weigh).limit(limit))
            } else {
                with_window(world, outputs.limit(limit))
            }
        }
        _ => {
            let outputs = source.fan_out_inline_with::<SLOTS, _, _>(launch).wake_table(&TABLE);
            if world.borrow().setup.weighted {
                with_bounds(world, outputs.weighted(weigh).limit(limit))
            } else {
                with_window(world, outputs.limit(limit))
            }
        }
    }
}

fn weigh(token: &Token) -> usize {
    token.world.borrow().items[token.n].weight
}

fn with_window<M, S>(world: &Shared, outputs: FanOut<Source, M, tollgate::fan_out::Unordered, S>) -> Stream_
where
    M: Launch<Token> + 'static,
    M::Future: Future<Output = Token> + 'static,
    S: Storage + 'static,
{
    if world.borrow().setup.weighted {
        with_bounds(world, outputs.weighted(weigh))
    } else {
        with_bounds(world, outputs)
    }
}

fn with_bounds<M, S>(world: &Shared, outputs: FanOut<Source, M, tollgate::fan_out::Unordered, S>) -> Stream_
where
    M: Launch<Token> + 'static,
    M::Future: Future<Output = Token> + 'static,
    S: Storage + 'static,
{
    let Setup { window, limited, shared, .. } = world.borrow().setup;
    let outputs = match window {
        Some(window) => outputs.window(window),
        None => outputs,
    };
    let (limit, semaphore) = (world.borrow().limit.clone(), world.borrow().semaphore.clone());
    match (limited, shared) {
        (false, false) => with_order(world, outputs),
        (true, false) => with_order(world, outputs.limit_by(limit)),
        (false, true) => with_order(world, outputs.shared(semaphore)),
        (true, true) => with_order(world, outputs.limit_by(limit).shared(semaphore)),
    }
}

fn with_order<M, S>(world: &Shared, outputs: FanOut<Source, M, tollgate::fan_out::Unordered, S>) -> Stream_
where
    M: Launch<Token> + 'static,
    M::Future: Future<Output = Token> + 'static,
    S: Storage + 'static,
{
    match world.borrow().setup.ordering {
        Ordering::Unordered => Box::pin(outputs),
        Ordering::Ordered => Box::pin(outputs.ordered()),
        Ordering::Keyed => Box::pin(outputs.keyed(|token| token.world.borrow().items[token.n].key)),
    }
}

// === a run ===

fn chance(random: &mut Seeded, one_in: usize) -> bool {
    random.below(one_in) == 0
}

fn make(random: &mut Seeded) -> Shared {
    let storage = random.below(3);
    let most = if chance(random, 4) { 20 } else { 6 };
    let limit = 1 + random.below(most);
    let weighted = chance(random, 3);
    let most_items = if chance(random, 8) { 400 } else { 60 };
    let room = SLOTS - if weighted { 1 } else { limit };
    let window = chance(random, 2).then(|| {
        let most = if storage == 0 { 80 } else { room };
        if weighted { 1 + random.below(most) } else { limit + random.below(most) }
    });
    let setup = Setup {
        ordering: [Ordering::Unordered, Ordering::Ordered, Ordering::Keyed][random.below(3)],
        storage,
        limit,
        window,
        weighted,
        limited: chance(random, 3),
        shared: chance(random, 3),
        count: random.below(most_items),
    };
    let (panics, keys) = (chance(random, 3), 1 + random.below(8));
    let waits = 1 + random.below(4);
    let one_in = |random: &mut Seeded, n| panics && chance(random, n);
    let items = (0..setup.count)
        .map(|_| {
            let mut script: VecDeque<_> = (0..random.below(4))
                .map(|_| if random.below(4) < waits { Step::Wait } else { Step::Again(1 + random.below(2)) })
                .collect();
            script.push_back(match () {
                () if one_in(random, 12) => Step::Panic,
                () if one_in(random, 12) => Step::FinishBadly,
                () => Step::Finish,
            });
            Item {
                script,
                closure_panics: one_in(random, 15),
                key: random.below(keys),
                weight: random.below(setup.limit + 2),
                phase: Phase::NotTaken,
                open: false,
                woken: false,
                waker: None,
            }
        })
        .collect();
    Rc::new(RefCell::new(World {
        setup,
        items,
        next: 0,
        source_pending: chance(random, 4),
        source_panics: if panics { random.below(3) } else { 0 },
        source_ended: false,
        source_waker: None,
        stopped: false,
        startable: VecDeque::new(),
        finished: VecDeque::new(),
        stale: Vec::new(),
        limit: Arc::new(Limit::new(1 + random.below(5))),
        semaphore: Arc::new(Semaphore::new(1 + random.below(5))),
        dropping: false,
    }))
}

/// Something in the world happens.
fn act(random: &mut Seeded, world: &Shared, outside: &mut Vec<tollgate::OwnedPermit>) {
    let mut woken = Vec::new();
    {
        let mut world = world.borrow_mut();
        match random.below(16) {
            0..8 => {
                let waiting: Vec<_> = (0..world.next)
                    .filter(|&n| world.items[n].phase == Phase::Running && world.items[n].waker.is_some())
                    .collect();
                if !waiting.is_empty() {
                    let n = waiting[random.below(waiting.len())];
                    let item = &mut world.items[n];
                    // Sometimes for nothing.
                    item.open |= random.below(6) > 0;
                    item.woken = true;
                    let waker = if chance(random, 3) { item.waker.clone() } else { item.waker.take() };
                    woken.extend(waker);
                    if chance(random, 4) {
                        woken.extend(item.waker.clone());
                    }
                }
            }
            8..11 => {
                world.source_pending = false;
                woken.extend(world.source_waker.take());
            }
            11 => {
                if let Some(waker) = world.stale.pop() {
                    woken.push(waker);
                }
            }
            12 => {
                let (limit, n) = (world.limit.clone(), random.below(6));
                drop(world);
                limit.set(n);
            }
            13 => {
                let semaphore = world.semaphore.clone();
                drop(world);
                outside.extend(semaphore.try_acquire_owned().ok());
            }
            14 => {
                drop(world);
                outside.pop();
            }
            _ => {}
        }
    }
    for waker in woken {
        if chance(random, 2) { waker.wake() } else { waker.wake_by_ref() }
    }
}

/// Says what kind of run it is that fails.
struct Told(Setup);

impl Drop for Told {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("failed: {:?}", self.0);
        }
    }
}

/// One run; returns how many steps it was.
#[allow(unreachable_pub, reason = "for `fuzz`, which has this file as a module")]
pub fn follow(random: &mut Seeded) -> usize {
    let world = make(random);
    let _told = Told(world.borrow().setup);
    let mut stream = subject(&world);
    let (wakes, waker) = Wakes::new();
    let mut outside = Vec::new();
    let mut pending = false;
    let mut notified = true;
    let mut steps = 0;
    let mut idle = 0;
    let end_early = if chance(random, 5) { random.below(200) } else { usize::MAX };
    let stop_at = if chance(random, 5) { random.below(200) } else { usize::MAX };
    loop {
        steps += 1;
        if steps == end_early {
            break;
        }
        if steps == stop_at {
            stream.stop();
            world.borrow_mut().stopped = true;
            notified = true;
        }
        notified |= wakes.take() > 0;
        if pending && !notified {
            let work = world.borrow().has_work();
            assert_eq!(work, None, "there is something to do, and nobody was told");
        }
        let extra = chance(random, 10);
        if !notified && !extra || notified && chance(random, 3) {
            act(random, &world, &mut outside);
            idle += 1;
            if idle > 200 {
                // Whatever blocks it goes away.
                world.borrow().limit.set(3);
                outside.clear();
                idle = 0;
            }
            continue;
        }
        let was_notified = mem::take(&mut notified);
        // An item may be taken that cannot start.
        let seen = |world: &World| (if world.setup.limited { 0 } else { world.next }, world.count(Phase::Running));
        let before = seen(&world.borrow());
        let mut cx = Context::from_waker(&waker);
        let outcome = catch_unwind(AssertUnwindSafe(|| stream.as_mut().poll_next(&mut cx)));
        pending = false;
        match outcome {
            Err(panic) => {
                let text = panic.downcast_ref::<&str>().copied().unwrap_or_default();
                if !text.starts_with("on purpose") {
                    resume_unwind(panic);
                }
                notified = true;
            }
            Ok(Poll::Ready(Some(token))) => {
                world.borrow_mut().give(token.n);
                token.disarm();
                notified = true;
                idle = 0;
            }
            Ok(Poll::Ready(None)) => {
                let world = world.borrow();
                assert!(world.source_ended || world.stopped);
                assert_eq!(world.taken(), 0, "ended with items inside");
                assert!(stream.is_over());
                break;
            }
            Ok(Poll::Pending) => {
                pending = true;
                let after = seen(&world.borrow());
                assert!(was_notified || before == after, "a poll that nobody asked for did something");
            }
        }
        let world = world.borrow();
        let expected = (world.count(Phase::Running), world.count(Phase::Waiting), world.count(Phase::Finished));
        assert_eq!(stream.numbers(), expected);
        let left = if world.stopped || world.source_ended { 0 } else { world.items.len() - world.next };
        assert_eq!(stream.size_hint(), (left + world.taken(), Some(left + world.taken())));
    }

    world.borrow_mut().dropping = true;
    drop(stream);
    outside.clear();
    let stale: Vec<_> = {
        let mut world = world.borrow_mut();
        let world = &mut *world;
        world.stale.drain(..).chain(world.items.iter_mut().filter_map(|item| item.waker.take())).collect()
    };
    stale.into_iter().for_each(Waker::wake);
    let world = Rc::try_unwrap(world).unwrap_or_else(|_| panic!("something of the stream is left")).into_inner();
    for (n, item) in world.items.iter().enumerate() {
        let expected = if n < world.next { [Phase::Given, Phase::Gone, Phase::Dropped] } else { [Phase::NotTaken; 3] };
        assert!(expected.contains(&item.phase), "{n} is {:?}", item.phase);
    }
    let permits = world.semaphore.available_permits();
    assert!(world.semaphore.waiters() == 0 && (1..=5).contains(&permits), "{permits} permits");
    assert_eq!(world.limit.free(), world.limit.get());
    steps
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

#[test]
fn every_kind_of_fan_out_does_what_the_simulator_says() {
    let most = number("STEPS").unwrap_or(if cfg!(debug_assertions) { 60_000 } else { 1_000_000 });
    // Panics on purpose say nothing.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let text = info.payload().downcast_ref::<&str>().copied().unwrap_or_default();
        if !text.starts_with("on purpose") {
            hook(info);
        }
    }));
    let mut seed = number("SEED").unwrap_or(1);
    let mut steps = 0;
    while steps < most {
        steps += follow(&mut Seeded::exactly(seed)) as u64;
        seed += 1;
    }
}
