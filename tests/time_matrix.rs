//! Every wrapper on every timer, with every kind of future and every kind of limit: what comes of it, how early, and after
//! how many polls.
#![allow(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "tests always have std")]

use std::cell::Cell;
use std::fmt::Debug;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use embassy_time::MockDriver;
use futures_core::Stream;
use futures_lite::stream;
use tollgate::time::{
    AsyncIoTimer, Clock, EmbassyTimer, FnTimer, FuturesTimer, ManualClock, StdClock, ThreadTimer, Timer, TimerQueue,
    TokioTimer,
};
use tollgate::{DeadlineExt, DeadlineStreamExt, Elapsed};

const NANO: Duration = Duration::from_nanos(1);
const ORDINARY: Duration = Duration::from_millis(3);
const YEARS: Duration = Duration::from_secs(60 * 60 * 24 * 365 * 3);

/// What a future or a stream does.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Inner {
    AtOnce,
    Before,
    ExactlyAt,
    Never,
    /// Pending for ever, and wakes itself in each poll.
    Hot,
}

const INNERS: [Inner; 5] = [Inner::AtOnce, Inner::Before, Inner::ExactlyAt, Inner::Never, Inner::Hot];

#[derive(Debug, Clone, Copy, PartialEq)]
enum Wrapper {
    Timeout,
    Deadline,
    OnElapsed,
    ItemTimeout,
    RepeatingItemTimeout,
    StreamDeadline,
}

const WRAPPERS: [Wrapper; 6] = [
    Wrapper::Timeout,
    Wrapper::Deadline,
    Wrapper::OnElapsed,
    Wrapper::ItemTimeout,
    Wrapper::RepeatingItemTimeout,
    Wrapper::StreamDeadline,
];

impl Wrapper {
    fn counts_from_the_first_poll(self) -> bool {
        matches!(self, Self::Timeout | Self::ItemTimeout | Self::RepeatingItemTimeout)
    }
}

#[derive(Debug, Clone, Copy)]
enum Limit<I> {
    Lasts(Duration),
    At(I),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Got {
    Value,
    Elapsed,
}

/// A timer and a way to let its time pass.
struct Rig<'a, T: Timer> {
    name: &'static str,
    timer: T,
    /// A clock at the time of a new case.
    reset: &'a dyn Fn(),
    /// Lets time pass until then.
    go_to: &'a dyn Fn(T::Instant),
    /// Instants that are never reached.
    beyond: Vec<T::Instant>,
    /// Whether time passes by itself, so that nothing can be said of what just precedes an instant.
    real: bool,
}

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

type PollFn<'a> = Box<dyn FnMut(&mut Context<'_>) -> Poll<Got> + 'a>;

/// One case: polls, and how often the inner one was polled.
struct Case<'a> {
    poll: PollFn<'a>,
    inner_polls: Rc<Cell<usize>>,
}

impl<'a> Case<'a> {
    fn new<T: Timer + Copy + 'a>(
        wrapper: Wrapper,
        timer: T,
        limit: Limit<T::Instant>,
        inner: Inner,
        ready_at: Option<T::Instant>,
    ) -> Self {
        let inner_polls = Rc::new(Cell::new(0));
        let count = inner_polls.clone();
        let poll_inner = move |cx: &mut Context<'_>| {
            count.set(count.get() + 1);
            match inner {
                Inner::AtOnce => return Poll::Ready(()),
                Inner::Before | Inner::ExactlyAt if ready_at.is_some_and(|at| timer.now() >= at) => {
                    return Poll::Ready(());
                }
                Inner::Hot => cx.waker().wake_by_ref(),
                _ => {}
            }
            Poll::Pending
        };
        let poll: PollFn<'a> = match (wrapper, limit) {
            (Wrapper::Timeout, Limit::Lasts(d)) => from_future(poll_fn(poll_inner).timeout(timer, d)),
            (Wrapper::Deadline, Limit::At(at)) => from_future(poll_fn(poll_inner).deadline(timer, at)),
            (Wrapper::OnElapsed, Limit::At(at)) => {
                let ran = Rc::new(Cell::new(0));
                let runs = ran.clone();
                let mut future = Box::pin(poll_fn(poll_inner).on_elapsed(timer, at, move || runs.set(runs.get() + 1)));
                Box::new(move |cx| {
                    let polled = future.as_mut().poll(cx).map(|()| Got::Value);
                    assert!(ran.get() <= 1 && (ran.get() == 0 || polled.is_pending()));
                    if ran.get() == 1 { Poll::Ready(Got::Elapsed) } else { polled }
                })
            }
            (Wrapper::ItemTimeout, Limit::Lasts(d)) => {
                from_stream(stream::poll_fn(move |cx| poll_inner(cx).map(Some)).item_timeout(timer, d), true)
            }
            (Wrapper::RepeatingItemTimeout, Limit::Lasts(d)) => {
                let items = stream::poll_fn(move |cx| poll_inner(cx).map(Some));
                from_stream(items.item_timeout(timer, d).repeating(), false)
            }
            (Wrapper::StreamDeadline, Limit::At(at)) => {
                from_stream(stream::poll_fn(move |cx| poll_inner(cx).map(Some)).stream_deadline(timer, at), true)
            }
            _ => unreachable!("{wrapper:?} takes no such limit"),
        };
        Self { poll, inner_polls }
    }
}

fn from_future<'a>(future: impl Future<Output = Result<(), Elapsed>> + 'a) -> PollFn<'a> {
    let mut future = Box::pin(future);
    Box::new(move |cx| future.as_mut().poll(cx).map(|got| if got.is_ok() { Got::Value } else { Got::Elapsed }))
}

fn from_stream<'a>(stream: impl Stream<Item = Result<(), Elapsed>> + 'a, ends: bool) -> PollFn<'a> {
    let mut stream = Box::pin(stream);
    Box::new(move |cx| {
        stream.as_mut().poll_next(cx).map(|item| match item.expect("an item or an error") {
            Ok(()) => Got::Value,
            Err(Elapsed) => {
                if ends {
                    assert_eq!(stream.as_mut().poll_next(cx), Poll::Ready(None), "one error, then the end");
                }
                Got::Elapsed
            }
        })
    })
}

impl<T> Rig<'_, T>
where
    T: Timer + Copy,
    T::Instant: Debug,
{
    /// All cases.
    fn run(&self) {
        let mut cases = 0;
        for wrapper in WRAPPERS {
            for inner in INNERS {
                if wrapper.counts_from_the_first_poll() {
                    for d in [Duration::ZERO, NANO, ORDINARY, YEARS, Duration::MAX] {
                        (self.reset)();
                        self.run_case(wrapper, inner, Limit::Lasts(d), self.timer.now());
                        cases += 1;
                    }
                } else {
                    (self.reset)();
                    let past = self.timer.now();
                    (self.go_to)(self.timer.after(past, NANO).unwrap());
                    self.run_case(wrapper, inner, Limit::At(past), self.timer.now());
                    for d in [Duration::ZERO, NANO, ORDINARY, YEARS] {
                        (self.reset)();
                        let start = self.timer.now();
                        self.run_case(wrapper, inner, Limit::At(self.timer.checked_add(start, d).unwrap()), start);
                    }
                    for at in &self.beyond {
                        (self.reset)();
                        self.run_case(wrapper, inner, Limit::At(*at), self.timer.now());
                    }
                    cases += 5 + self.beyond.len();
                }
            }
        }
        assert!(cases >= 150, "{}: {cases}", self.name);
    }

    /// When it is over, unless it never is, for all that a test can wait.
    fn end(&self, limit: Limit<T::Instant>, start: T::Instant) -> Option<T::Instant> {
        let at = match limit {
            Limit::Lasts(d) => self.timer.after(start, d),
            Limit::At(at) => Some(at).filter(|at| !self.beyond.contains(at)),
        };
        at.filter(|at| !self.real || self.timer.saturating_since(*at, start) <= 2 * ORDINARY)
    }

    fn run_case(&self, wrapper: Wrapper, inner: Inner, limit: Limit<T::Instant>, start: T::Instant) {
        let what = format!("{}: {wrapper:?}, {inner:?}, {limit:?} from {start:?}", self.name);
        let end = self.end(limit, start);
        let long_enough = end.is_some_and(|at| self.timer.saturating_since(at, start) >= ORDINARY);
        let ready_at = match inner {
            Inner::Before if long_enough => self.timer.checked_add(start, ORDINARY / 3),
            Inner::ExactlyAt => end,
            _ => None,
        };
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(wakes.clone());
        let mut cx = Context::from_waker(&waker);
        let mut case = Case::new(wrapper, self.timer, limit, inner, ready_at);

        let past = end.is_some_and(|at| at <= start);
        let first = (case.poll)(&mut cx);
        let now = self.timer.now();
        if self.real && wrapper == Wrapper::StreamDeadline && end.is_some_and(|at| !past && now >= at) {
            // Time has passed by itself, before the clock was read or after.
            return;
        }
        if inner == Inner::AtOnce || past {
            // One poll has to do.
            let late =
                past && (wrapper == Wrapper::StreamDeadline || !matches!(inner, Inner::AtOnce | Inner::ExactlyAt));
            self.check(&what, first, if late { Got::Elapsed } else { Got::Value }, end, now);
            assert_eq!(case.inner_polls.get(), usize::from(!(past && wrapper == Wrapper::StreamDeadline)), "{what}");
            return;
        }
        if let Poll::Ready(got) = first {
            // Time has passed by itself.
            assert!(self.real && end.is_some_and(|at| now >= at), "{what}: {got:?} too early");
            return;
        }
        assert_eq!(case.inner_polls.get(), 1, "{what}");
        let timed_out = self.real && end.is_some_and(|at| self.timer.now() >= at);
        let woken = wakes.0.load(Ordering::SeqCst);
        assert!(timed_out || woken == usize::from(inner == Inner::Hot), "{what}: woken {woken} times");

        let Some(end) = end else {
            self.see_nothing_come(&what, &mut case, &mut cx);
            return;
        };
        if let Some(ready_at) = ready_at.filter(|at| *at < end) {
            (self.go_to)(ready_at);
            let before = self.timer.now();
            let got = (case.poll)(&mut cx);
            if before < end || wrapper != Wrapper::StreamDeadline {
                assert!(matches!(got, Poll::Ready(Got::Value)) || self.timer.now() >= end, "{what}: {got:?}");
            }
            assert!(self.real || case.inner_polls.get() == 2, "{what}");
            return;
        }
        // However often it is polled, it is not early.
        for _ in 0..3 {
            let early = (case.poll)(&mut cx);
            assert!(early.is_pending() || self.real && self.timer.now() >= end, "{what}: early");
            if early.is_ready() {
                return;
            }
        }
        let polls = case.inner_polls.get();
        assert_eq!(polls, 4, "{what}");
        (self.go_to)(end);
        if inner == Inner::Never {
            self.see_a_wake(&what, &wakes);
        }
        let got = (case.poll)(&mut cx);
        let wins = inner == Inner::ExactlyAt && wrapper != Wrapper::StreamDeadline;
        self.check(&what, got, if wins { Got::Value } else { Got::Elapsed }, Some(end), self.timer.now());
        assert_eq!(case.inner_polls.get(), polls + usize::from(wrapper != Wrapper::StreamDeadline), "{what}");
    }

    fn check(&self, what: &str, got: Poll<Got>, expected: Got, end: Option<T::Instant>, now: T::Instant) {
        assert_eq!(got, Poll::Ready(expected), "{what}");
        assert!(expected == Got::Value || end.is_some_and(|end| now >= end), "{what}: early");
    }

    fn see_nothing_come(&self, what: &str, case: &mut Case<'_>, cx: &mut Context<'_>) {
        let some = if self.real { NANO } else { 1000 * ORDINARY };
        (self.go_to)(self.timer.checked_add(self.timer.now(), some).unwrap());
        for _ in 0..3 {
            assert!((case.poll)(cx).is_pending(), "{what}: never is not so soon");
        }
    }

    fn see_a_wake(&self, what: &str, wakes: &Wakes) {
        let begun = Instant::now();
        while wakes.0.load(Ordering::SeqCst) == 0 {
            assert!(self.real && begun.elapsed() < Duration::from_secs(20), "{what}: nobody wakes it");
            std::thread::sleep(Duration::from_micros(100));
        }
        assert_eq!(wakes.0.load(Ordering::SeqCst), 1, "{what}: one wake is enough");
    }
}

/// As late as the clock goes.
fn last_instant<C: Clock>(clock: C) -> C::Instant {
    let (mut at, mut step) = (clock.now(), Duration::MAX);
    while step > NANO {
        match clock.checked_add(at, step) {
            Some(later) => at = later,
            None => step /= 2,
        }
    }
    at
}

// === time that a test makes pass ===

#[test]
fn on_a_manual_clock() {
    let clock = ManualClock::new();
    Rig {
        name: "ManualClock",
        timer: &clock,
        reset: &|| clock.advance(NANO),
        go_to: &|at| clock.advance(at.saturating_sub(clock.now())),
        beyond: vec![last_instant(&clock) + NANO, Duration::MAX],
        real: false,
    }
    .run();
    assert_eq!(clock.sleepers(), 0, "all are gone");
}

fn on_a_queue(rate: u32) {
    let queue = TimerQueue::new().ticks_per_second(rate);
    Rig {
        name: "TimerQueue",
        timer: &queue,
        reset: &|| _ = queue.advance(queue.now() + 1),
        go_to: &|at| _ = queue.advance(at),
        beyond: vec![u64::MAX],
        real: false,
    }
    .run();
    assert_eq!(queue.sleepers(), 0, "all are gone");
}

#[test]
fn on_a_queue_of_milliseconds() {
    on_a_queue(1000);
}

#[test]
fn on_a_queue_of_uneven_ticks() {
    on_a_queue(32_768);
}

#[test]
fn on_a_function() {
    let clock = ManualClock::new();
    let timer = FnTimer(&clock, |d: Duration| clock.sleep(d));
    Rig {
        name: "FnTimer",
        timer: &timer,
        reset: &|| clock.advance(NANO),
        go_to: &|at| clock.advance(at.saturating_sub(clock.now())),
        beyond: vec![Duration::MAX],
        real: false,
    }
    .run();
    assert_eq!(clock.sleepers(), 0, "all are gone");
}

#[test]
fn on_a_mock_of_embassy() {
    let driver = MockDriver::get();
    Rig {
        name: "EmbassyTimer",
        timer: EmbassyTimer,
        reset: &|| driver.reset(),
        go_to: &|at| driver.advance(at - EmbassyTimer.now()),
        beyond: vec![embassy_time::Instant::from_ticks(u64::MAX - 1), embassy_time::Instant::MAX],
        real: false,
    }
    .run();
}

#[test]
fn on_tokio_with_its_clock_paused() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let _inside = runtime.enter();
    Rig {
        name: "TokioTimer",
        timer: TokioTimer,
        reset: &|| {},
        go_to: &|at| {
            runtime.block_on(async {
                tokio::time::advance(TokioTimer.saturating_since(at, TokioTimer.now())).await;
                // Its driver counts whole milliseconds.
                tokio::time::advance(Duration::from_millis(1)).await;
            });
        },
        beyond: vec![last_instant(TokioTimer)],
        real: false,
    }
    .run();
}

// === time that passes by itself ===

fn on_real_time<T: Timer<Instant = Instant> + Copy>(name: &'static str, timer: T) {
    Rig {
        name,
        timer,
        reset: &|| {},
        go_to: &|at| {
            while Instant::now() < at {
                std::thread::sleep(at.saturating_duration_since(Instant::now()));
            }
        },
        beyond: vec![last_instant(StdClock)],
        real: true,
    }
    .run();
}

#[test]
fn on_a_thread() {
    on_real_time("ThreadTimer", ThreadTimer);
}

#[test]
fn on_async_io() {
    on_real_time("AsyncIoTimer", AsyncIoTimer);
}

#[test]
fn on_futures_timer() {
    on_real_time("FuturesTimer", FuturesTimer);
}

#[test]
fn on_a_function_of_a_runtime() {
    let timer = FnTimer(StdClock, |d: Duration| futures_timer::Delay::new(d.min(YEARS)));
    on_real_time("FnTimer of futures-timer", timer);
}

/// What fires early is not believed, on any wrapper.
#[test]
fn on_a_timer_that_is_always_early() {
    let clock = ManualClock::new();
    let timer = FnTimer(&clock, |_| std::future::ready(()));
    for wrapper in WRAPPERS {
        let limit = if wrapper.counts_from_the_first_poll() {
            Limit::Lasts(ORDINARY)
        } else {
            Limit::At(clock.now() + ORDINARY)
        };
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(wakes.clone());
        let mut cx = Context::from_waker(&waker);
        let mut case = Case::new(wrapper, &timer, limit, Inner::Never, None);
        for turn in 1..4 {
            assert_eq!((case.poll)(&mut cx), Poll::Pending, "{wrapper:?}");
            assert_eq!(wakes.0.load(Ordering::SeqCst), turn, "{wrapper:?}: its task is asked back");
        }
        clock.advance(ORDINARY);
        assert_eq!((case.poll)(&mut cx), Poll::Ready(Got::Elapsed), "{wrapper:?}");
    }
}
