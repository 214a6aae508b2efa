//! Who a waiter belongs to, in a form that needs no pointer: what a cancelled token is compared with.
//!
//! A waiter in the root's queue may outlive the token that it waits on, for a future may be leaked, and a token moves.
//! So the queue has addresses for names, which are compared and never followed. While a wait lives its token and all above
//! are borrowed and stay where they are; a name that is out of date belongs to a wait that nobody polls.

use core::num::NonZeroUsize;
use core::ptr::NonNull;

/// How many bits of the filter one address sets.
const BITS: u32 = 4;
/// An odd number near the golden ratio: multiplying by it spreads neighbouring addresses.
const SPREAD: usize = 0x9e37_79b9_7f4a_7c15_u64 as usize;

/// The address of a node. Live ones differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Name(NonZeroUsize);

/// The node that somebody waits on, and those between it and the root.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lineage {
    own: Name,
    /// A Bloom filter (Bloom 1970) of those between.
    above: usize,
}

// === impl Name ===

impl Name {
    pub(super) fn of<T>(node: &T) -> Self {
        Self(NonNull::from(node).addr())
    }

    fn bits(self) -> usize {
        // The upper bits of a product are the well mixed ones.
        let (mut hash, width) = (self.0.get().wrapping_mul(SPREAD), usize::BITS.ilog2());
        let mut bits = 0;
        for _ in 0..BITS {
            hash = hash.rotate_left(width);
            bits |= 1 << (hash % usize::BITS as usize);
        }
        bits
    }
}

// === impl Lineage ===

impl Lineage {
    /// Of a waiter that has no place yet.
    pub(super) const UNKNOWN: Self = Self { own: Name(NonZeroUsize::MIN), above: 0 };

    pub(super) fn new(own: Name, between: impl Iterator<Item = Name>) -> Self {
        Self { own, above: between.fold(0, |above, name| above | name.bits()) }
    }

    /// Whether the node of this name may be in it. It says yes for each that is, and seldom for one that is not.
    pub(super) fn may_have(self, name: Name) -> bool {
        self.own == name || {
            let bits = name.bits();
            self.above & bits == bits
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(n: usize) -> impl Iterator<Item = Name> {
        // Tokens side by side, as in an array.
        (1..=n).map(|i| name(0x7f00_1000 + i * 88))
    }

    fn name(address: usize) -> Name {
        Name(NonZeroUsize::new(address).unwrap())
    }

    #[test]
    fn whoever_is_in_it_is_found() {
        let own = name(64);
        for depth in 0..100 {
            let lineage = Lineage::new(own, names(depth));
            assert!(lineage.may_have(own));
            assert!(names(depth).all(|name| lineage.may_have(name)), "depth {depth}");
        }
    }

    #[test]
    fn with_nobody_between_only_the_own_name_is_found() {
        let mut all = names(1000);
        let lineage = Lineage::new(all.next().unwrap(), core::iter::empty());
        assert!(all.all(|name| !lineage.may_have(name)));
    }

    #[test]
    fn strangers_are_seldom_taken_for_kin() {
        for (depth, most) in [(1, 5), (2, 10), (4, 60)] {
            let lineage = Lineage::new(name(64), names(depth));
            // A filter of half the bits lets in about eight times as many.
            let most = if usize::BITS < 64 { 12 * most } else { most };
            let strangers = names(10_000).skip(depth).filter(|stranger| lineage.may_have(*stranger)).count();
            assert!(strangers <= most, "{strangers} of 10000 at depth {depth}");
        }
    }
}
