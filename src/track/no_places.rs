//! What stands for [`places`](super::places) without the feature `locations`: nothing at all, in no bytes.

use super::leaks::Leak;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Name;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Place;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Slot;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark;

#[derive(Debug, Clone)]
pub(super) struct Table;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Report;

impl Name {
    pub(super) const NONE: Self = Self;

    pub(super) const fn new(_: &'static str) -> Self {
        Self
    }
}

impl Place {
    #[inline(always)]
    pub(super) fn here(_: Name) -> Self {
        Self
    }
}

impl Slot {
    pub(super) const NONE: Self = Self;
}

impl Table {
    /// Whether this table holds anything.
    pub(super) const KEPT: bool = false;

    pub(super) const fn new() -> Self {
        Self
    }

    pub(super) fn add(&mut self, _: Place) -> Slot {
        Slot::NONE
    }

    pub(super) fn remove(&mut self, _: Slot) {}

    pub(super) fn mark(&mut self) -> Mark {
        Mark
    }

    pub(super) fn report(&self, _: Option<Mark>) -> Report {
        Report
    }
}

impl Report {
    pub(super) fn sum(&self) -> usize {
        0
    }

    pub(super) fn leaks(&self) -> impl Iterator<Item = Leak> {
        core::iter::empty()
    }
}
