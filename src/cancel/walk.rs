//! A search through the root's waiters, in steps, by whoever cancels.
//!
//! The queue is turned as it is searched, so that the lock can be let go between rounds: the front is what was not looked
//! at yet, and newcomers join behind what was. Several may cancel at once, from an interrupt or a waker, say. Then there is
//! still one search, from the start again and for all of them, and each goes on until it is over. So when `cancel` returns
//! its own waiters were found, and whoever found them wakes them.

use super::lineage::{Lineage, Name};
use crate::wait::batch::Batch;
use crate::wait::queue::{List, Outcome};

/// What becomes of a waiter that is found: it has to look at its tokens.
pub(super) const FOUND: Outcome = Outcome::new(0);

/// How many waiters are looked at with the lock held.
const STEPS: usize = if cfg!(any(test, tollgate_loom)) { 2 } else { 32 };
/// How many different tokens are searched for at once. If it is more, everyone is told to look.
const NAMES: usize = if cfg!(any(test, tollgate_loom)) { 1 } else { 3 };

/// How far the search is. Protected by the root's lock.
#[derive(Debug)]
pub(super) struct Walk {
    /// How many from the front have not been looked at.
    left: usize,
    wanted: Wanted,
}

#[derive(Debug, Clone, Copy)]
enum Wanted {
    These([Option<Name>; NAMES]),
    Everyone,
}

type Waiters<'a> = List<'a, Lineage, Walk>;

// === impl Walk ===

impl Walk {
    pub(super) const fn new() -> Self {
        Self { left: 0, wanted: Wanted::These([None; NAMES]) }
    }

    /// Begins to search for those of one token too, or for everyone.
    pub(super) fn begin(list: &mut Waiters<'_>, name: Option<Name>) {
        list.state.left = list.len();
        list.state.wanted = list.state.wanted.and(name);
    }

    /// Looks at some more, and returns whether there are others.
    pub(super) fn round(list: &mut Waiters<'_>, batch: &mut Batch) -> bool {
        for _ in 0..STEPS {
            let Some(lineage) = list.front().filter(|_| list.state.left > 0) else {
                *list.state = Self::new();
                return false;
            };
            if batch.room() == 0 {
                break;
            }
            list.state.left -= 1;
            if list.state.wanted.may_have(lineage) {
                list.resolve_front(lineage, FOUND, batch);
            } else {
                list.rotate();
            }
        }
        true
    }
}

// === impl Wanted ===

impl Wanted {
    fn and(self, name: Option<Name>) -> Self {
        let (Self::These(mut names), Some(name)) = (self, name) else { return Self::Everyone };
        match names.iter_mut().find(|place| place.is_none_or(|other| other == name)) {
            Some(place) => *place = Some(name),
            None => return Self::Everyone,
        }
        Self::These(names)
    }

    fn may_have(self, lineage: Lineage) -> bool {
        match self {
            Self::These(names) => names.into_iter().flatten().any(|name| lineage.may_have(name)),
            Self::Everyone => true,
        }
    }
}
