//! What is told when something is still alive.

use core::fmt;
use core::panic::Location;

use super::places::Report;

/// Work that is still alive, and where it was tracked: the error of [`Tracker::verify_none`](super::Tracker::verify_none).
///
/// It displays as `3 leaked: src/a.rs:10:5 x2 "worker", src/b.rs:7:9 x1`, and debugs as the same, so that an `unwrap` in a test
/// tells it too. Without the feature `locations` it knows no places, and says how many alone.
///
/// ```
/// use tollgate::Tracker;
///
/// let tracker = Tracker::new();
/// let forgotten = tracker.named("worker").guard();
/// let leaks = tracker.verify_none().unwrap_err();
/// assert!(leaks.to_string().starts_with("1 leaked"));
/// # drop(forgotten);
/// ```
///
/// # Size and cost
///
/// With `alloc`, the places are in one allocation, made when there is something to tell. Without it they are inside: nothing
/// without `locations`, about 1 KB on 64-bit and 640 bytes on 32-bit with it.
#[derive(Clone, PartialEq, Eq)]
pub struct Leaks {
    count: usize,
    report: Kept,
}

/// One place in [`Leaks`], and how much of what was tracked there is alive.
///
/// ```
/// use tollgate::Tracker;
///
/// let tracker = Tracker::new();
/// let workers = [(); 2].map(|()| tracker.named("worker").guard());
/// for leak in tracker.verify_none().unwrap_err().iter() { // with the feature `locations`
///     assert!(leak.to_string().ends_with(r#" x2 "worker""#), "{leak}");
/// }
/// # drop(workers);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leak {
    location: &'static Location<'static>,
    name: Option<&'static str>,
    count: usize,
}

#[cfg(feature = "alloc")]
type Kept = alloc::boxed::Box<Report>;
#[cfg(not(feature = "alloc"))]
type Kept = Report;

// === impl Leaks ===

impl Leaks {
    pub(super) fn new((count, report): (usize, Report)) -> Self {
        #[allow(clippy::useless_conversion, reason = "into a box, where there are boxes")]
        let report = report.into();
        Self { count, report }
    }

    /// How much is alive.
    ///
    /// ```
    /// # use tollgate::Tracker;
    /// let tracker = Tracker::new();
    /// let forgotten = (tracker.guard(), tracker.track(async {}));
    /// assert_eq!(tracker.verify_none().unwrap_err().count(), 2);
    /// # drop(forgotten);
    /// ```
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// The places where it was tracked, those with most of it first. There are none without the feature `locations`.
    ///
    /// ```
    /// # use tollgate::Tracker;
    /// let tracker = Tracker::new();
    /// let workers = [(); 2].map(|()| tracker.named("worker").guard());
    /// let reader = tracker.named("reader").guard();
    /// let leaks = tracker.verify_none().unwrap_err();
    /// let names: Vec<_> = leaks.iter().filter_map(|leak| leak.name()).collect();
    /// assert_eq!(names, if cfg!(feature = "locations") { vec!["worker", "reader"] } else { vec![] });
    /// # drop((workers, reader));
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = Leak> {
        self.report.leaks()
    }

    /// How much of it was tracked at places that are not in [`iter`](Self::iter), as the table of places was full.
    ///
    /// Without the feature `locations` that is all of it.
    ///
    /// ```
    /// # use tollgate::Tracker;
    /// let tracker = Tracker::new();
    /// let forgotten = (tracker.guard(), tracker.guard());
    /// let leaks = tracker.verify_none().unwrap_err();
    /// let at_places: usize = leaks.iter().map(|leak| leak.count()).sum();
    /// assert_eq!(at_places + leaks.elsewhere(), leaks.count());
    /// # drop(forgotten);
    /// ```
    #[must_use]
    pub fn elsewhere(&self) -> usize {
        self.count.saturating_sub(self.report.sum())
    }
}

impl fmt::Display for Leaks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} leaked", self.count)?;
        if cfg!(not(feature = "locations")) {
            return f.write_str(" (tollgate's feature `locations` tells where)");
        }
        let mut separator = ": ";
        for leak in self.iter() {
            write!(f, "{separator}{leak}")?;
            separator = ", ";
        }
        match self.elsewhere() {
            0 => Ok(()),
            more => write!(f, "{separator}elsewhere x{more}"),
        }
    }
}

impl fmt::Debug for Leaks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl core::error::Error for Leaks {}

#[cfg(feature = "defmt")]
impl defmt::Format for Leaks {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "{=usize} leaked", self.count);
        for leak in self.iter() {
            defmt::write!(f, ", {}", leak);
        }
        defmt::write!(f, ", elsewhere x{=usize}", self.elsewhere());
    }
}

// === impl Leak ===

impl Leak {
    #[allow(dead_code, reason = "made with the feature `locations` only")]
    pub(super) const fn new(location: &'static Location<'static>, name: Option<&'static str>, count: usize) -> Self {
        Self { location, name, count }
    }

    /// What tells one place from another.
    #[allow(dead_code, reason = "needed with the feature `locations` only")]
    pub(super) fn key(&self) -> (&'static str, u32, u32, Option<&'static str>) {
        (self.location.file(), self.location.line(), self.location.column(), self.name)
    }

    /// The line of source that tracked it.
    ///
    /// ```
    /// # use tollgate::Tracker;
    /// let tracker = Tracker::new();
    /// let (line, forgotten) = (line!(), tracker.guard());
    /// for leak in tracker.verify_none().unwrap_err().iter() { // with the feature `locations`
    ///     assert_eq!((leak.location().file(), leak.location().line()), (file!(), line));
    /// }
    /// # drop(forgotten);
    /// ```
    #[must_use]
    pub fn location(&self) -> &'static Location<'static> {
        self.location
    }

    /// The name that it was tracked under.
    ///
    /// ```
    /// # use tollgate::Tracker;
    /// let tracker = Tracker::new();
    /// let forgotten = tracker.named("worker").guard();
    /// for leak in tracker.verify_none().unwrap_err().iter() { // with the feature `locations`
    ///     assert_eq!(leak.name(), Some("worker"));
    /// }
    /// # drop(forgotten);
    /// ```
    #[must_use]
    pub fn name(&self) -> Option<&'static str> {
        self.name
    }

    /// How much from there is alive.
    ///
    /// ```
    /// # use tollgate::Tracker;
    /// let tracker = Tracker::new();
    /// let forgotten = [(); 3].map(|()| tracker.guard()); // all at one place
    /// for leak in tracker.verify_none().unwrap_err().iter() { // with the feature `locations`
    ///     assert_eq!(leak.count(), 3);
    /// }
    /// # drop(forgotten);
    /// ```
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }
}

impl fmt::Display for Leak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} x{}", self.location, self.count)?;
        match self.name {
            Some(name) => write!(f, " {name:?}"),
            None => Ok(()),
        }
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Leak {
    fn format(&self, f: defmt::Formatter<'_>) {
        let (file, line, column, name) = self.key();
        defmt::write!(f, "{=str}:{=u32}:{=u32} x{=usize} {}", file, line, column, self.count, name);
    }
}
