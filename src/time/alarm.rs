//! The engine of everything with a deadline: an instant, and the sleep that wakes its task then.
//!
//! ```text
//!          first poll              timer needed            at reached
//!   After ────────────► At ──────────────────────► Armed ─────────────► At, which is past
//!     │                  ▲  ◄──────────────────────  │
//!     └──► Never         │      late enough, or early twice in one poll
//!   any ── clear ──► Never       any ── reset ──► At, or Armed in place        any ── finish ──► Over
//!                                any ── restart ──► After
//! ```

use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use core::time::Duration;

use pin_project_lite::pin_project;

use super::{Elapsed, Timer};

pin_project! {
    /// A deadline, its timer, and the timer's sleep while one is needed.
    pub(super) struct Alarm<T>
    where
        T: Timer,
    {
        #[pin]
        stage: Stage<T>,
        timer: T,
    }
}

pin_project! {
    /// An instant and the sleep until then, without the timer.
    #[project = StageProj]
    pub(crate) enum Stage<T>
    where
        T: Timer,
    {
        /// Counts from the first poll, which was not yet.
        After { duration: Duration },
        /// Fixed, and no sleep is under way.
        At { at: T::Instant },
        /// Fixed, and the sleep has this task's waker.
        Armed { at: T::Instant, #[pin] sleep: T::Sleep },
        /// No deadline.
        Never,
        /// What it was for is finished.
        Over,
    }
}

// === impl Alarm ===

impl<T: Timer> Alarm<T> {
    pub(super) const fn after(timer: T, duration: Duration) -> Self {
        Self { stage: Stage::After { duration }, timer }
    }

    pub(super) const fn at(timer: T, at: T::Instant) -> Self {
        Self { stage: Stage::At { at }, timer }
    }

    pub(super) fn timer(&self) -> &T {
        &self.timer
    }

    /// The instant, if it is fixed and there is one.
    pub(super) fn instant(&self) -> Option<T::Instant> {
        self.stage.instant()
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over)
    }

    /// Reads the clock, and looks at the timer only if the instant is still to come.
    ///
    /// Ready leaves no sleep behind. Pending means that the task will be woken at the instant, if there is one.
    pub(super) fn poll_elapsed(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match self.as_mut().look() {
            Ok(now) => self.poll_sleep(now, cx),
            Err(Elapsed) => Poll::Ready(()),
        }
    }

    /// Reads the clock, and returns the time if there is an instant and it is still to come. The timer is not asked, and
    /// no sleep is left behind after an error.
    pub(super) fn look(self: Pin<&mut Self>) -> Result<Option<T::Instant>, Elapsed> {
        let mut this = self.project();
        match this.stage.as_mut().fix(this.timer) {
            Some((at, now)) if now >= at => {
                this.stage.set(Stage::At { at });
                Err(Elapsed)
            }
            fixed => Ok(fixed.map(|(_, now)| now)),
        }
    }

    /// Asks the timer alone, after [`look`](Self::look). `now` is the time if it was read just now.
    pub(super) fn poll_sleep(self: Pin<&mut Self>, now: Option<T::Instant>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let Some(at) = this.stage.instant() else { return Poll::Pending };
        ready!(this.stage.as_mut().poll_sleep(this.timer, at, now, cx));
        this.stage.set(Stage::At { at });
        Poll::Ready(())
    }

    /// Counts `duration` from the next poll that asks.
    pub(super) fn restart(self: Pin<&mut Self>, duration: Duration) {
        self.project().stage.set(Stage::After { duration });
    }

    /// Ends it: no more sleep, and never elapsed.
    pub(super) fn finish(self: Pin<&mut Self>) {
        self.project().stage.set(Stage::Over);
    }

    pub(super) fn clear(self: Pin<&mut Self>) {
        let mut this = self.project();
        if !matches!(*this.stage, Stage::Over) {
            this.stage.set(Stage::Never);
        }
    }

    pub(super) fn reset(self: Pin<&mut Self>, new: T::Instant) {
        let mut this = self.project();
        this.stage.as_mut().reset(this.timer, new);
    }

    pub(super) fn extend(self: Pin<&mut Self>, by: Duration) {
        if let Some(at) = self.instant() {
            match self.timer.checked_add(at, by) {
                Some(at) => self.reset(at),
                None => self.clear(),
            }
            return;
        }
        let mut this = self.project();
        if let StageProj::After { duration } = this.stage.as_mut().project() {
            match duration.checked_add(by) {
                Some(sum) => *duration = sum,
                None => this.stage.set(Stage::Never),
            }
        }
    }
}

impl<T: Timer> fmt::Debug for Alarm<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.stage {
            Stage::After { duration } => write!(f, "{duration:?} after the first poll"),
            Stage::At { .. } => f.write_str("not armed"),
            Stage::Armed { .. } => f.write_str("armed"),
            Stage::Never => f.write_str("never"),
            Stage::Over => f.write_str("over"),
        }
    }
}

// === impl Stage ===

impl<T: Timer> Stage<T> {
    fn instant(&self) -> Option<T::Instant> {
        match self {
            Self::At { at } | Self::Armed { at, .. } => Some(*at),
            Self::After { .. } | Self::Never | Self::Over => None,
        }
    }

    /// The instant and the time now, unless there is nothing to wait for. A duration is counted from here.
    fn fix(mut self: Pin<&mut Self>, timer: &T) -> Option<(T::Instant, T::Instant)> {
        match self.as_mut().project() {
            StageProj::At { at } | StageProj::Armed { at, .. } => Some((*at, timer.now())),
            StageProj::After { duration } => {
                let now = timer.now();
                match timer.after(now, *duration) {
                    Some(at) => {
                        self.set(Self::At { at });
                        Some((at, now))
                    }
                    None => {
                        self.set(Self::Never);
                        None
                    }
                }
            }
            StageProj::Never | StageProj::Over => None,
        }
    }

    /// Puts the instant at `new`. A sleep that is under way, or over, is moved in place.
    pub(crate) fn reset(mut self: Pin<&mut Self>, timer: &T, new: T::Instant) {
        match self.as_mut().project() {
            StageProj::Over => {}
            StageProj::Armed { at, sleep } => {
                *at = new;
                timer.reset(sleep, new);
            }
            StageProj::After { .. } | StageProj::At { .. } | StageProj::Never => self.set(Self::At { at: new }),
        }
    }

    /// Sleeps until `at`; a sleep that is under way for an earlier instant is moved there when it is over. Ready means that
    /// the clock says so, not only the timer, and that the sleep needs a [`reset`](Self::reset) before it is polled again.
    pub(crate) fn poll_sleep(
        mut self: Pin<&mut Self>,
        timer: &T,
        at: T::Instant,
        now: Option<T::Instant>,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        if let Self::At { .. } = *self {
            let sleep = now.map_or_else(|| timer.sleep_until(at), |now| timer.sleep_from(now, at));
            self.set(Self::Armed { at, sleep });
        }
        let StageProj::Armed { mut sleep, .. } = self.as_mut().project() else { return Poll::Pending };
        if sleep.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        if timer.now() >= at {
            return Poll::Ready(());
        }
        // Early. Once more, and if the timer insists, the task has to come back: neither a loop here nor a panic.
        timer.reset(sleep.as_mut(), at);
        if sleep.poll(cx).is_pending() {
            return Poll::Pending;
        }
        if timer.now() >= at {
            return Poll::Ready(());
        }
        self.set(Self::At { at });
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
