//! Why a token was cancelled.

use core::fmt;

/// Why a token was cancelled: a few words and, if you like, a number.
///
/// It is small and copied, so that giving a reason needs no allocator and is possible in an interrupt handler. Declare the
/// causes of a program as constants; they compare by value and can be matched against.
///
/// ```
/// use tollgate::cancel::{CancellationToken, Cause};
///
/// const SHUTDOWN: Cause = Cause::new("shutting down");
/// const OVERHEATED: Cause = Cause::with_code("overheated", 85);
///
/// let token = CancellationToken::new();
/// token.cancel_with(OVERHEATED);
/// match token.cause() {
///     Some(SHUTDOWN) => unreachable!(),
///     Some(cause) => assert_eq!((cause.reason(), cause.code()), ("overheated", 85)),
///     None => unreachable!(),
/// }
/// ```
///
/// # Size
///
/// 24 bytes on a 64-bit machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Cause {
    reason: &'static str,
    code: u32,
}

// === impl Cause ===

impl Cause {
    /// What [`cancel`](super::CancellationToken::cancel) gives.
    pub const CANCELLED: Self = Self::new("cancelled");

    /// What a [`DropGuard`](super::DropGuard) gives unless told otherwise.
    pub const GUARD_DROPPED: Self = Self::new("its guard was dropped");

    /// What a [`Context`](crate::context::Context) gives whose deadline has passed.
    pub const DEADLINE_EXCEEDED: Self = Self::new("deadline exceeded");

    /// A cause in words, with code 0.
    ///
    /// ```
    /// # use tollgate::cancel::{CancellationToken, Cause};
    /// const DISK_FULL: Cause = Cause::new("the disk is full");
    ///
    /// let token = CancellationToken::new();
    /// token.cancel_with(DISK_FULL);
    /// assert_eq!(token.cause(), Some(DISK_FULL));
    /// ```
    #[must_use]
    pub const fn new(reason: &'static str) -> Self {
        Self::with_code(reason, 0)
    }

    /// A cause in words and with a code, whose meaning is yours.
    ///
    /// ```
    /// # use tollgate::cancel::Cause;
    /// const TERMINATED: Cause = Cause::with_code("signal", 15);
    ///
    /// assert_eq!(TERMINATED.to_string(), "signal (code 15)");
    /// assert_ne!(TERMINATED, Cause::with_code("signal", 2), "the code tells them apart");
    /// ```
    #[must_use]
    pub const fn with_code(reason: &'static str, code: u32) -> Self {
        Self { reason, code }
    }

    /// The words.
    ///
    /// ```
    /// # use tollgate::cancel::{CancellationToken, Cause};
    /// let token = CancellationToken::new();
    /// token.cancel_with("low battery");
    /// let answer = token.cause().map_or("done", |cause| cause.reason());
    /// assert_eq!(answer, "low battery");
    /// ```
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        self.reason
    }

    /// The code.
    ///
    /// ```
    /// # use tollgate::cancel::Cause;
    /// let cause = Cause::with_code("signal", 15);
    /// assert_eq!(128 + cause.code(), 143, "what a shell would return");
    /// assert_eq!(Cause::new("overheated").code(), 0);
    /// ```
    #[must_use]
    pub const fn code(&self) -> u32 {
        self.code
    }
}

impl From<&'static str> for Cause {
    fn from(reason: &'static str) -> Self {
        Self::new(reason)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            0 => f.pad(self.reason),
            code => write!(f, "{} (code {code})", self.reason),
        }
    }
}

impl core::error::Error for Cause {}
