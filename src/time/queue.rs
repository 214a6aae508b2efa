//! A timer for any target: sleeps in a queue by their ends, and somebody who says what time it is.
//!
//! The queue is the crate's [`Queue`] of waiters in the form of a [`Forest`], with the ends as its entries. Beside it, under
//! the same lock, is the time.
//!
//! What holds while the lock is free:
//!
//! * No entry in the queue is [`NEVER`], nor due but while `advance` is between two rounds.
//! * Whoever drives the queue has been told of a time at or before the first entry, by `advance` returning it or by the
//!   hook. [`Times::told`] is that time.

use core::fmt;
use core::num::NonZeroU32;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;

use futures_core::FusedFuture;
use pin_project_lite::pin_project;

use super::{Clock, Timer};
use crate::sync::{DefaultLock, RawLock, const_fn, if_default_lock};
use crate::wait::batch::{wake_each, wake_rounds};
use crate::wait::forest::Forest;
use crate::wait::queue::{List, Outcome, Queue};
use crate::wait::waiting::{Admission, Waitable, Waiting};

/// The instant that is never reached.
pub(super) const NEVER: u64 = u64::MAX;

const FIRED: Outcome = Outcome::new(0);

/// Ranks say nothing of a sleep's place, so they say whether its first poll looks at the clock, to be ready at once if the time
/// has come meanwhile. Who has just read it can do without: the driver comes then, for it has been told.
const CLOCK_NOT_READ: u8 = 0;
const CLOCK_READ: u8 = 1;

/// How many pairs of sleeps one critical section compares. One in model builds, to see what comes between two.
const PAIRS: usize = if cfg!(any(test, tollgate_loom)) { 1 } else { 32 };

/// Sleeps without a runtime and without an allocator: somebody calls [`advance`](Self::advance) with the time, and
/// whoever has slept long enough is woken.
///
/// It is made to be a static. Its reference is a [`Clock`] and a [`Timer`], whose instants are ticks.
///
/// ```
/// use core::time::Duration;
/// use tollgate::DeadlineExt;
/// use tollgate::time::TimerQueue;
///
/// static TIMERS: TimerQueue = TimerQueue::new(); // a tick is a millisecond
///
/// // In the tick interrupt, or in the main loop:
/// fn on_tick(ticks: u64) {
///     TIMERS.advance(ticks);
/// }
///
/// // In a task:
/// async fn patient() {
///     let _ = core::future::pending::<()>().timeout(&TIMERS, Duration::from_millis(20)).await;
/// }
/// # let thread = std::thread::spawn(|| futures_lite::future::block_on(patient()));
/// # let mut ticks = 0;
/// # while !thread.is_finished() { ticks += 1; on_tick(ticks); std::thread::yield_now(); }
/// ```
///
/// # Ticks
///
/// Time is a `u64` of ticks, of [`ticks_per_second`](Self::ticks_per_second) to the second, 1000 if nothing else is
/// said. It never goes back. Durations are rounded up to whole ticks, and what counts from now gets one more, as
/// part of the present tick is over already: nothing ends early. `u64::MAX` is never reached, and sleeps that never end are
/// not kept.
///
/// # Driving it
///
/// * *A periodic tick*: call `advance` with the count in each, and ignore what it returns. The time is that of the last
///   tick.
/// * *A tickless timer*: give it the free-running counter with [`clock`](Self::clock), and with
///   [`on_earlier`](Self::on_earlier) a function that makes the timer's interrupt pending. The handler alone calls `advance`
///   and sets the compare register to what it returns; then it reads the counter again, and starts over if that has
///   passed meanwhile. As only the handler sets the register, a later deadline cannot overwrite an earlier one.
/// * *A loop*: `advance`, run the tasks, then sleep until [`next_deadline`](Self::next_deadline), which may have changed while
///   they ran.
///
/// # Cost
///
/// No allocation: a [`QueueSleep`] is linked into the queue where it is pinned. Beginning to sleep and dropping take one
/// short critical section each, whatever their number and their times. Who asks for the next end, as `advance` does, pays for
/// the order: about log₂ of their number in comparisons for each sleep that ends, and one for each that began since. It
/// does so in critical sections of at most 32 comparisons, and wakes in rounds of at most eight with the lock let go.
pub struct TimerQueue<L = DefaultLock> {
    queue: Queue<u64, L, Times, Forest>,
    rate: NonZeroU32,
    clock: Option<fn() -> u64>,
    on_earlier: Option<fn(u64)>,
}

type Sleepers<'a> = List<'a, u64, Times, Forest>;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    /// What `advance` said last, below [`NEVER`].
    now: u64,
    /// The driver comes back then by itself, or before.
    told: u64,
}

pin_project! {
    /// A sleep in a [`TimerQueue`]. It counts as soon as it is polled, and dropping it takes it out.
    ///
    /// Once over it stays over, and polling it again is ready again, until it is [`reset`](Self::reset).
    ///
    /// ```
    /// use core::{pin::pin, time::Duration};
    /// use futures_lite::future::{block_on, poll_once};
    /// use tollgate::time::TimerQueue;
    ///
    /// let timers = TimerQueue::new();
    /// let mut sleep = pin!(timers.sleep_until(2));
    /// assert_eq!(block_on(poll_once(sleep.as_mut())), None);
    /// timers.advance(2);
    /// block_on(sleep.as_mut());
    /// sleep.as_mut().reset(4);
    /// assert_eq!(block_on(poll_once(sleep)), None);
    /// ```
    #[must_use = "futures do nothing unless polled"]
    pub struct QueueSleep<'q, L = DefaultLock>
    where
        L: RawLock,
    {
        #[pin]
        waiting: Waiting<&'q TimerQueue<L>, TimerQueue<L>>,
    }
}

// === impl TimerQueue ===

if_default_lock! {
    impl TimerQueue<DefaultLock> {
        const_fn! {
            /// An empty queue at time zero with a tick of a millisecond and the default lock.
            ///
            /// ```
            /// use tollgate::time::{Clock, TimerQueue};
            ///
            /// static TIMERS: TimerQueue = TimerQueue::new();
            /// TIMERS.advance(20);
            /// assert_eq!(TIMERS.now(), 20);
            /// ```
            #[must_use]
            pub const fn new() -> Self {
                Self::with_lock()
            }
        }
    }

    impl Default for TimerQueue<DefaultLock> {
        fn default() -> Self {
            Self::new()
        }
    }
}

impl<L: RawLock> TimerQueue<L> {
    const_fn! {
        /// As `new`, with a lock of another type.
        ///
        /// ```
        /// use tollgate::LocalLock;
        /// use tollgate::time::TimerQueue;
        ///
        /// let timers = TimerQueue::<LocalLock>::with_lock();
        /// assert_eq!(timers.advance(1), None);
        /// ```
        #[must_use]
        pub const fn with_lock() -> Self {
            Self {
                queue: Queue::with_state(Times { now: 0, told: NEVER }),
                rate: NonZeroU32::new(1000).unwrap(),
                clock: None,
                on_earlier: None,
            }
        }
    }

    /// Sets how many ticks a second has.
    ///
    /// # Panics
    ///
    /// If that is zero; in a static, when it is compiled.
    ///
    /// ```
    /// use core::time::Duration;
    /// use tollgate::time::{Clock, TimerQueue};
    ///
    /// static TIMERS: TimerQueue = TimerQueue::new().ticks_per_second(32_768);
    /// assert_eq!(TIMERS.checked_add(0, Duration::from_secs(2)), Some(65_536));
    /// ```
    #[track_caller]
    #[must_use = "the queue is in what this returns"]
    pub const fn ticks_per_second(mut self, rate: u32) -> Self {
        self.rate = NonZeroU32::new(rate).expect("a second has at least one tick");
        self
    }

    /// Gives it a counter of ticks to read the time from.
    ///
    /// Without one, now is when [`advance`](Self::advance) was called last, which is right if that is called each tick.
    ///
    /// `clock` is called with no lock held. It must not go back, and must run at
    /// [`ticks_per_second`](Self::ticks_per_second).
    ///
    /// ```
    /// use std::sync::atomic::{AtomicU64, Ordering};
    /// use tollgate::time::{Clock, TimerQueue};
    ///
    /// static COUNTER: AtomicU64 = AtomicU64::new(0); // a register of the chip
    /// static TIMERS: TimerQueue = TimerQueue::new().clock(|| COUNTER.load(Ordering::Relaxed));
    /// COUNTER.store(7, Ordering::Relaxed);
    /// assert_eq!(TIMERS.now(), 7, "though nobody called `advance`");
    /// ```
    #[must_use = "the queue is in what this returns"]
    pub const fn clock(mut self, clock: fn() -> u64) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Sets a function that is told when somebody begins to sleep who wants to be woken before [`advance`](Self::advance) was
    /// going to be called, judging from what it returned last.
    ///
    /// It runs in the task that polls the sleep, with no lock held, and gets the tick. Two tasks may call it the wrong way
    /// round, so it should not set a timer, but see to it that `advance` is called soon, whose result is right.
    ///
    /// ```
    /// use std::sync::atomic::{AtomicBool, Ordering};
    /// use futures_lite::future::{block_on, poll_once};
    /// use tollgate::time::TimerQueue;
    ///
    /// static PENDING: AtomicBool = AtomicBool::new(false); // that of the timer's interrupt
    /// static TIMERS: TimerQueue = TimerQueue::new().on_earlier(|_| PENDING.store(true, Ordering::Relaxed));
    /// assert_eq!(TIMERS.advance(1), None, "there is no need to call it again");
    /// block_on(poll_once(TIMERS.sleep_until(9)));
    /// assert!(PENDING.load(Ordering::Relaxed), "now there is");
    /// ```
    #[must_use = "the queue is in what this returns"]
    pub const fn on_earlier(mut self, hook: fn(u64)) -> Self {
        self.on_earlier = Some(hook);
        self
    }

    /// Sets the time, wakes whoever sleeps until then or before, and returns when the next one wants to be woken.
    ///
    /// May be called from an interrupt handler, if the lock is a critical section. A time before an earlier one counts as that
    /// earlier one. Wakers are woken in the order in which the sleeps end, and in that of their first polls among equals.
    ///
    /// # Panics
    ///
    /// If a waker panics, after all others were woken.
    ///
    /// ```
    /// use core::pin::pin;
    /// use futures_lite::future::{block_on, poll_once};
    /// use tollgate::time::TimerQueue;
    ///
    /// let timers = TimerQueue::new();
    /// let (mut first, mut second) = (pin!(timers.sleep_until(5)), pin!(timers.sleep_until(9)));
    /// block_on(poll_once(first.as_mut()));
    /// block_on(poll_once(second.as_mut()));
    /// assert_eq!(timers.advance(5), Some(9), "call again then");
    /// block_on(first);
    /// ```
    pub fn advance(&self, now: u64) -> Option<u64> {
        let mut next = None;
        if L::CHEAP {
            // One by one, which is less code.
            wake_each(|| {
                self.settled(|list| {
                    list.state.now = list.state.now.max(now.min(NEVER - 1));
                    let Some(at) = list.front().filter(|at| *at <= list.state.now) else {
                        next = tell_front(list);
                        return None;
                    };
                    Some(list.take_front(at, FIRED))
                })
            });
            return next;
        }
        let mut woken = false;
        wake_rounds(|batch| {
            self.queue.with(|list| {
                list.state.now = list.state.now.max(now.min(NEVER - 1));
                let mut pairs = PAIRS;
                while list.settle(&mut pairs, Self::overtakes) {
                    let Some(at) = list.front().filter(|at| *at <= list.state.now) else {
                        next = tell_front(list);
                        return false;
                    };
                    if batch.room() == 0 {
                        break;
                    }
                    list.resolve_front(at, FIRED, batch);
                    woken = true;
                }
                true
            })
        });
        // A waker may have polled its task on the spot, which may have gone to sleep again.
        if woken { self.next_deadline() } else { next }
    }

    /// When the next one wants to be woken, if anyone does. `advance` should be called by then.
    ///
    /// ```
    /// use core::pin::pin;
    /// use futures_lite::future::{block_on, poll_once};
    /// use tollgate::time::TimerQueue;
    ///
    /// let timers = TimerQueue::new();
    /// assert_eq!(timers.next_deadline(), None);
    /// let mut sleep = pin!(timers.sleep_until(9));
    /// block_on(poll_once(sleep.as_mut()));
    /// assert_eq!(timers.next_deadline(), Some(9));
    /// ```
    pub fn next_deadline(&self) -> Option<u64> {
        self.settled(tell_front)
    }

    /// How many sleeps are waiting to be woken.
    ///
    /// ```
    /// use core::pin::pin;
    /// use futures_lite::future::{block_on, poll_once};
    /// use tollgate::time::TimerQueue;
    ///
    /// let timers = TimerQueue::new();
    /// let mut sleep = pin!(timers.sleep_until(9));
    /// assert_eq!(timers.sleepers(), 0, "it was not polled");
    /// block_on(poll_once(sleep.as_mut()));
    /// assert_eq!(timers.sleepers(), 1);
    /// ```
    pub fn sleepers(&self) -> usize {
        self.queue.with(|list| list.len())
    }

    /// A sleep that ends at `at`, and never if that is `u64::MAX`.
    ///
    /// ```
    /// use core::pin::pin;
    /// use futures_lite::future::{block_on, poll_once};
    /// use tollgate::time::TimerQueue;
    ///
    /// let timers = TimerQueue::new();
    /// let mut sleep = pin!(timers.sleep_until(9));
    /// timers.advance(8);
    /// assert_eq!(block_on(poll_once(sleep.as_mut())), None);
    /// timers.advance(9);
    /// block_on(sleep);
    /// ```
    pub fn sleep_until(&self, at: u64) -> QueueSleep<'_, L> {
        QueueSleep { waiting: Waiting::new(self, at, CLOCK_NOT_READ) }
    }

    /// A sleep that ends `duration` after this call.
    ///
    /// ```
    /// use core::{pin::pin, time::Duration};
    /// use futures_lite::future::{block_on, poll_once};
    /// use tollgate::time::TimerQueue;
    ///
    /// let timers = TimerQueue::new(); // a tick is a millisecond
    /// let mut sleep = pin!(timers.sleep(Duration::from_millis(2)));
    /// timers.advance(2); // part of the first tick may have been over
    /// assert_eq!(block_on(poll_once(sleep.as_mut())), None);
    /// timers.advance(3);
    /// block_on(sleep);
    /// ```
    pub fn sleep(&self, duration: Duration) -> QueueSleep<'_, L> {
        self.sleep_until(self.after(self.now(), duration).unwrap_or(NEVER))
    }

    /// Runs `f` on the queue once its front is known.
    #[inline]
    fn settled<R>(&self, mut f: impl FnMut(&mut Sleepers<'_>) -> R) -> R {
        loop {
            let done = self.queue.with(|list| list.settle(&mut { PAIRS }, Self::overtakes).then(|| f(list)));
            if let Some(done) = done {
                return done;
            }
        }
    }

    /// Whether a sleep until `at` has to wait, and whether the driver has to hear of it.
    fn admit(list: &mut Sleepers<'_>, at: u64, now: u64, earlier: &mut bool) -> Admission {
        if at <= list.state.now.max(now) {
            return Admission::Now(FIRED);
        }
        if at < list.state.told {
            list.state.told = at;
            *earlier = true;
        }
        Admission::Queue
    }

    /// Calls the hook.
    fn tell(&self, at: u64) {
        if let Some(hook) = self.on_earlier {
            hook(at);
        }
    }

    fn ticks(&self, duration: Duration) -> Option<u64> {
        let rate = self.rate.get();
        let part = part_of(rate, duration.subsec_nanos());
        duration.as_secs().checked_mul(u64::from(rate))?.checked_add(u64::from(part))
    }
}

impl<L: RawLock> fmt::Debug for TimerQueue<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sleepers, times) = self.queue.with(|list| (list.len(), *list.state));
        f.debug_struct("TimerQueue")
            .field("now", &times.now)
            .field("driver_comes_at", &Some(times.told).filter(|told| *told != NEVER))
            .field("sleepers", &sleepers)
            .field("ticks_per_second", &self.rate)
            .finish_non_exhaustive()
    }
}

impl<L: RawLock> Clock for TimerQueue<L> {
    /// Ticks.
    type Instant = u64;

    fn now(&self) -> u64 {
        let counter = self.clock.map_or(0, |clock| clock());
        // No sleep ends before this clock says so, even if `advance` runs ahead of the counter.
        self.queue.with(|list| list.state.now).max(counter)
    }

    fn checked_add(&self, at: u64, duration: Duration) -> Option<u64> {
        at.checked_add(self.ticks(duration)?).filter(|at| *at != NEVER)
    }

    fn saturating_since(&self, later: u64, earlier: u64) -> Duration {
        let (ticks, rate) = (later.saturating_sub(earlier), u64::from(self.rate.get()));
        // The rest is below 2^32, so this fits too. Rounded up it may be a whole second, which is carried.
        let nanos = (ticks % rate * 1_000_000_000).div_ceil(rate);
        Duration::new(ticks / rate, nanos as u32)
    }

    fn after(&self, now: u64, duration: Duration) -> Option<u64> {
        if duration.is_zero() {
            return Some(now);
        }
        self.checked_add(now, duration)?.checked_add(1).filter(|at| *at != NEVER)
    }
}

impl<'q, L: RawLock> Timer for &'q TimerQueue<L> {
    type Sleep = QueueSleep<'q, L>;

    fn sleep_until(&self, at: u64) -> QueueSleep<'q, L> {
        TimerQueue::sleep_until(self, at)
    }

    fn sleep_from(&self, _: u64, at: u64) -> QueueSleep<'q, L> {
        QueueSleep { waiting: Waiting::new(self, at, CLOCK_READ) }
    }

    fn reset(&self, sleep: Pin<&mut QueueSleep<'q, L>>, at: u64) {
        sleep.reset(at);
    }
}

impl<L: RawLock> Waitable for TimerQueue<L> {
    type Lock = L;
    /// The end of the sleep.
    type Entry = u64;
    type State = Times;
    type Form = Forest;

    fn queue(&self) -> &Queue<u64, L, Times, Forest> {
        &self.queue
    }

    fn overtakes(newcomer: (u64, u8), queued: (u64, u8)) -> bool {
        newcomer.0 < queued.0
    }

    fn left(&self, _: &mut Sleepers<'_>) -> bool {
        false
    }

    fn serve_on(&self) {}

    fn unclaimed(&self, _: Outcome, _: u64) {}
}

// === impl QueueSleep ===

impl<L: RawLock> QueueSleep<'_, L> {
    /// Makes it end at `at`, whether it is over or not.
    ///
    /// If it was polled and is not over, its task is woken at the new time without polling it again, and at once if that is
    /// past.
    ///
    /// ```
    /// use core::pin::pin;
    /// use futures_lite::future::{block_on, poll_once};
    /// use tollgate::time::TimerQueue;
    ///
    /// let timers = TimerQueue::new();
    /// let mut sleep = pin!(timers.sleep_until(2));
    /// block_on(poll_once(sleep.as_mut()));
    /// sleep.as_mut().reset(9);
    /// block_on(poll_once(sleep.as_mut()));
    /// assert_eq!(timers.next_deadline(), Some(9));
    /// ```
    pub fn reset(self: Pin<&mut Self>, at: u64) {
        let waiting = self.project().waiting;
        let queue = waiting.queue();
        if at == NEVER {
            return waiting.restart(None, at);
        }
        let mut earlier = false;
        waiting.requeue(at, |_, list, at| TimerQueue::<L>::admit(list, *at, 0, &mut earlier));
        if earlier {
            queue.tell(at);
        }
    }
}

impl<L: RawLock> Future for QueueSleep<'_, L> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let waiting = self.project().waiting;
        if waiting.is_done() {
            return Poll::Ready(());
        }
        let queue = waiting.queue();
        let mut now = 0;
        if let Some(at) = waiting.idle_entry() {
            if at == NEVER {
                return Poll::Pending;
            }
            now = queue.clock.filter(|_| waiting.rank() != CLOCK_READ).map_or(0, |clock| clock());
        }
        let (mut end, mut earlier) = (NEVER, false);
        let polled = waiting.poll(cx.waker(), |_, list, at| {
            end = *at;
            TimerQueue::<L>::admit(list, end, now, &mut earlier)
        });
        if earlier {
            queue.tell(end);
        }
        polled.map(|_| ())
    }
}

impl<L: RawLock> FusedFuture for QueueSleep<'_, L> {
    /// True once it is over.
    fn is_terminated(&self) -> bool {
        self.waiting.is_done()
    }
}

impl<L: RawLock> fmt::Debug for QueueSleep<'_, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("QueueSleep").field(&self.waiting).finish()
    }
}

impl<'q, L: RawLock> Waiting<&'q TimerQueue<L>, TimerQueue<L>> {
    fn queue(&self) -> &'q TimerQueue<L> {
        self.handle()
    }
}

const SECOND: u32 = 1_000_000_000;

/// `whole` times `nanos` / 10^9, rounded up; `nanos` is below 10^9.
fn part_of(whole: u32, nanos: u32) -> u32 {
    if usize::BITS < 64 { part_bit_by_bit(whole, nanos) } else { part_at_once(whole, nanos) }
}

fn part_at_once(whole: u32, nanos: u32) -> u32 {
    // Below 2^32 times 10^9, so the product fits.
    (u64::from(whole) * u64::from(nanos)).div_ceil(u64::from(SECOND)) as u32
}

/// Long division. Where words are short, a division of 64 bits is ten times this code.
fn part_bit_by_bit(whole: u32, nanos: u32) -> u32 {
    let (mut part, mut rest) = (0, 0);
    for bit in (0..u32::BITS).rev() {
        // Less than three seconds, which fits.
        rest = 2 * rest + if whole >> bit & 1 == 1 { nanos } else { 0 };
        part *= 2;
        while rest >= SECOND {
            rest -= SECOND;
            part += 1;
        }
    }
    part + u32::from(rest > 0)
}

// === impl Sleepers ===

/// Tells the driver, who has asked, when to come back. The front is known.
fn tell_front(list: &mut Sleepers<'_>) -> Option<u64> {
    let front = list.front();
    list.state.told = front.unwrap_or(NEVER);
    front
}

#[cfg(test)]
mod tests {
    use super::{part_at_once, part_bit_by_bit};

    #[test]
    fn a_part_of_a_second_is_rounded_up() {
        for whole in [1, 2, 3, 7, 999, 1000, 32_768, 1_000_000, 80_000_000, 999_999_999, 1 << 31, u32::MAX] {
            for nanos in [0, 1, 2, 999, 1000, 30_517, 500_000_000, 500_000_001, 999_999_998, 999_999_999] {
                let exact = (u128::from(whole) * u128::from(nanos)).div_ceil(1_000_000_000);
                assert_eq!(u128::from(part_at_once(whole, nanos)), exact, "{whole} times {nanos} ns");
                assert_eq!(u128::from(part_bit_by_bit(whole, nanos)), exact, "{whole} times {nanos} ns");
            }
        }
    }
}
