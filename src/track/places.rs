//! Where live work was tracked: a fixed table, one line a place.
//!
//! A line is in use while something from its place is alive, and free for another place after that. So the table bounds how
//! many places have live work at once, and not how many there are in the program. What finds no line is counted all the
//! same, as being elsewhere.
//!
//! Places are compared by value, for one line of a source may have several `Location`s.
//!
//! Why not a list through the tracked futures, which would have no bound: work counts before it is pinned, and may be moved
//! until then.

use core::cmp::Reverse;
use core::panic::Location;

use super::leaks::Leak;

/// How many places the table tells apart.
pub(super) const PLACES: usize = 32;

/// The name that work is given.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Name(Option<&'static str>);

/// Where work was tracked, and its name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    location: &'static Location<'static>,
    name: Name,
}

/// The number of a line, or [`Slot::NONE`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot(u8);

/// A moment: work that came before it is in lines of earlier marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark(u32);

#[derive(Debug, Clone)]
pub(super) struct Table {
    lines: [Line; PLACES],
    mark: Mark,
}

#[derive(Debug, Clone, Copy)]
struct Line {
    place: Option<Place>,
    mark: Mark,
    live: u32,
}

/// The places of live work, those with most of it first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Report {
    leaks: [Option<Leak>; PLACES],
}

impl Name {
    pub(super) const NONE: Self = Self(None);

    pub(super) const fn new(name: &'static str) -> Self {
        Self(Some(name))
    }
}

impl Place {
    #[inline]
    #[track_caller]
    pub(super) fn here(name: Name) -> Self {
        Self { location: Location::caller(), name }
    }
}

impl PartialEq for Place {
    fn eq(&self, other: &Self) -> bool {
        let (a, b) = (self.location, other.location);
        // Numbers first: most places differ in their lines.
        (core::ptr::eq(a, b) || a.line() == b.line() && a.column() == b.column() && a.file() == b.file())
            && self.name.0 == other.name.0
    }
}

impl Slot {
    pub(super) const NONE: Self = Self(u8::MAX);
}

impl Table {
    /// Whether this table holds anything.
    pub(super) const KEPT: bool = true;

    pub(super) const fn new() -> Self {
        Self { lines: [Line { place: None, mark: Mark(0), live: 0 }; PLACES], mark: Mark(0) }
    }

    /// Counts work from `place`, if there is a line for it.
    pub(super) fn add(&mut self, place: Place) -> Slot {
        let mark = self.mark;
        let of_place = |line: &Line| line.live > 0 && line.mark == mark && line.place == Some(place);
        let found = self.lines.iter().position(of_place).or_else(|| self.lines.iter().position(|line| line.live == 0));
        let Some(index) = found else { return Slot::NONE };
        let line = &mut self.lines[index];
        *line = Line { place: Some(place), mark, live: line.live + 1 };
        Slot(index as u8)
    }

    pub(super) fn remove(&mut self, slot: Slot) {
        if let Some(line) = self.lines.get_mut(usize::from(slot.0)) {
            line.live -= 1;
        }
    }

    /// Separates what comes from now on from what came before.
    pub(super) fn mark(&mut self) -> Mark {
        self.mark = Mark(self.mark.0.wrapping_add(1));
        self.mark
    }

    /// The places of what is alive, or of what of it came after `since`.
    pub(super) fn report(&self, since: Option<Mark>) -> Report {
        let mut report = Report { leaks: [None; PLACES] };
        for line in self.lines.iter().filter(|line| since.is_none_or(|since| line.mark.is_after(since))) {
            if let Some(place) = line.place.filter(|_| line.live > 0) {
                report.add(place, line.live as usize);
            }
        }
        report.leaks.sort_unstable_by_key(|leak| leak.map(|leak| (Reverse(leak.count()), leak.key())).ok_or(()));
        report
    }
}

impl Mark {
    fn is_after(self, since: Self) -> bool {
        self.0.wrapping_sub(since.0) as i32 >= 0
    }
}

impl Report {
    /// Adds to what is there of the place, from before some mark.
    fn add(&mut self, place: Place, live: usize) {
        let new = Leak::new(place.location, place.name.0, live);
        let same = |leak: &&mut Option<Leak>| leak.is_none_or(|leak| leak.key() == new.key());
        if let Some(slot) = self.leaks.iter_mut().find(same) {
            let before = slot.map_or(0, |leak| leak.count());
            *slot = Some(Leak::new(place.location, place.name.0, before + live));
        }
    }

    pub(super) fn sum(&self) -> usize {
        self.leaks().map(|leak| leak.count()).sum()
    }

    pub(super) fn leaks(&self) -> impl Iterator<Item = Leak> {
        self.leaks.iter().copied().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[track_caller]
    fn here() -> Place {
        Place::here(Name::NONE)
    }

    fn counts(report: &Report) -> Vec<usize> {
        report.leaks().map(|leak| leak.count()).collect()
    }

    /// Places that differ in their names alone.
    fn named(name: &'static str) -> Place {
        Place::here(Name::new(name))
    }

    const NAMES: [&str; PLACES + 1] = {
        // Prefixes of one string, all different.
        let all = "................................................................";
        let mut names = [""; PLACES + 1];
        let mut len = 0;
        while len < names.len() {
            names[len] = all.split_at(len).0;
            len += 1;
        }
        names
    };

    #[test]
    fn work_from_one_place_shares_a_line_and_names_tell_it_apart() {
        let mut table = Table::new();
        let places = [(); 3].map(|()| here());
        let slots = places.map(|place| table.add(place));
        assert!(slots.iter().all(|slot| *slot == slots[0]));
        assert_ne!(table.add(here()), slots[0], "another line of this file");
        assert_ne!(table.add(named("a")), table.add(named("b")));
        assert_eq!(counts(&table.report(None)), [3, 1, 1, 1]);
    }

    #[test]
    fn places_are_compared_by_value() {
        // The same text of a source may be compiled to several statics.
        let location = Location::caller();
        static COPY: std::sync::OnceLock<Location<'static>> = std::sync::OnceLock::new();
        let copy = COPY.get_or_init(|| *location);
        let mut table = Table::new();
        let slot = table.add(Place { location, name: Name::NONE });
        assert_eq!(table.add(Place { location: copy, name: Name::NONE }), slot);
    }

    #[test]
    fn a_line_is_free_again_once_its_work_has_ended() {
        let mut table = Table::new();
        let slots = NAMES.map(|name| table.add(named(name)));
        assert_eq!(slots.iter().filter(|slot| **slot == Slot::NONE).count(), 1);
        table.remove(Slot::NONE);
        assert_eq!(table.report(None).sum(), PLACES);
        table.remove(slots[7]);
        assert_eq!(table.add(here()), slots[7]);
    }

    #[test]
    fn a_mark_separates_old_from_new_and_the_report_joins_them() {
        let mut table = Table::new();
        let place = here();
        let old = table.add(place);
        let mark = table.mark();
        let new = table.add(place);
        assert_ne!(old, new);
        assert_eq!(counts(&table.report(None)), [2]);
        assert_eq!(counts(&table.report(Some(mark))), [1]);
        let later = table.mark();
        assert_eq!(table.report(Some(later)).sum(), 0);
        table.remove(new);
        assert_eq!(table.report(Some(mark)).sum(), 0);
        assert_eq!(table.report(None).sum(), 1);
    }

    #[test]
    fn marks_wrap() {
        let mut table = Table { mark: Mark(u32::MAX), ..Table::new() };
        let old = table.add(here());
        let mark = table.mark();
        assert_eq!(table.report(Some(mark)).sum(), 0);
        table.remove(old);
        table.add(here());
        assert_eq!(table.report(Some(mark)).sum(), 1);
    }
}
