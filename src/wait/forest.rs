//! A form for waiters that are served by what they ask for, whenever they came: a forest of heaps, made lazily.
//!
//! ```text
//! head ──► a ⇄ b ⇄ c ⇄ (a)         tops: a ring, in no order
//!          │       │
//!          ▼       ▼
//!          d ⇄ e   f               children: they come after their parent. d.prev = e, and e.next = a, marked `up`
//! ```
//!
//! Linking makes a waiter a top. Unlinking makes its children tops. Neither compares anything, and both take a few
//! steps however many there are. Only who asks for the first pays: [`settle`](List::settle) pairs neighbouring tops, and
//! makes of each pair the one that comes later a child of the other, until one top is left. It may stop after any pair and go
//! on later, so the lock is never held for long either. The winner of a pair moves to the back of the ring, so that the next
//! turn pairs winners, and nobody gets more than log₂ of them as children in one go.
//!
//! It is a pairing heap in its multipass form (Fredman, Sedgewick, Sleator and Tarjan, *The pairing heap*, Algorithmica 1986)
//! whose insertions and deletions are put off. Taking all `n` out one by one costs about `n` log₂ `n` comparisons.
//!
//! Why not something else: a sorted list walks past half of all waiters for each newcomer with a time of its own. A
//! balanced tree compares log₂ `n` waiters, most of them not in the cache, for those too that leave before their time, as most
//! timeouts do. A wheel that is exact to the tick and reaches far takes kilobytes in an empty queue.
//!
//! # Invariants
//!
//! Beside those of the queue:
//!
//! * **F1** `head` is `None`, or a top. `next` and `prev` of the tops make a ring, and no top is marked `up`.
//! * **F2** `child` of a waiter is `None`, or the first of its children. `next` leads from each child to the following one,
//!   and from the last, which alone is marked `up`, to the parent. `prev` leads back, and from the first to the last.
//! * **F3** No child comes before its parent.
//!
//! Linked waiters reach none but linked ones, for unlinking mends all links that lead to a waiter.

use core::fmt;
use core::ptr::NonNull;

use super::queue::{Form, Link, List, Waiter};

/// In the order of what is asked for, and among equals in that of coming.
#[derive(Debug)]
pub(crate) enum Forest {}

type Tree<T> = NonNull<Waiter<T, Forest>>;

pub(crate) struct Root<T: Copy> {
    head: Link<T, Forest>,
    len: u32,
    /// The next newcomer's, see [`Note`].
    ticket: u32,
}

pub(crate) struct Links<T: Copy> {
    prev: Tree<T>,
    next: Tree<T>,
    child: Link<T, Forest>,
}

/// Whether `next` leads up, in the lowest bit, and above it the ticket, a number that grows from one newcomer to the next.
///
/// Tickets wrap. Two that ask for the same are told apart rightly unless a thousand million came between them, and if not
/// then only their order is wrong.
#[derive(Clone, Copy)]
struct Note(u32);

// === impl Forest ===

impl<T: Copy> Form<T> for Forest {
    type Root = Root<T>;
    type Links = Links<T>;

    const EMPTY: Root<T> = Root { head: None, len: 0, ticket: 0 };

    #[inline]
    fn first(root: &Root<T>) -> Link<T, Self> {
        // SAFETY: the head is linked, hence alive (Q3); callers hold the lock (Q1).
        root.head.filter(|head| unsafe { links(*head) }.next == *head)
    }

    /// `overtakes` is for [`settle`](List::settle) to ask.
    unsafe fn link(root: &mut Root<T>, waiter: Tree<T>, _: impl Fn(&Waiter<T, Self>) -> bool) {
        root.len += 1;
        // SAFETY: the caller vouches for `waiter` and the lock (Q1). A ring of one is added as the tops' last (F1).
        unsafe {
            waiter.as_ref().set_note(Note::new(root.ticket).0);
            waiter.as_ref().set_links(Links { prev: waiter, next: waiter, child: None });
            root.append(waiter);
        }
        root.ticket = root.ticket.wrapping_add(1);
    }

    unsafe fn unlink(root: &mut Root<T>, waiter: Tree<T>) {
        root.len -= 1;
        // SAFETY: linked, as the caller promises, with the lock held. Cut off it is reached by its children alone, and
        // those become tops: a ring once the last of them leads on to the first, and is not marked (F1).
        unsafe {
            root.cut(waiter);
            if let Some(first) = links(waiter).child {
                let last = links(first).prev;
                set_up(last, false);
                last.as_ref().relink(|links| links.next = first);
                root.append(first);
            }
        }
    }
}

impl<T: Copy> Root<T> {
    /// Puts the ring of `first` behind the tops.
    ///
    /// # Safety
    ///
    /// The lock is held. All in that ring are linked or about to be, none is a top or marked `up`.
    unsafe fn append(&mut self, first: Tree<T>) {
        let Some(head) = self.head else {
            self.head = Some(first);
            return;
        };
        // SAFETY: as the caller promises, and the tops are linked (F1, Q3). Two rings that swap their ends are one.
        unsafe {
            let (end, last) = (links(head).prev, links(first).prev);
            end.as_ref().relink(|links| links.next = first);
            first.as_ref().relink(|links| links.prev = end);
            last.as_ref().relink(|links| links.next = head);
            head.as_ref().relink(|links| links.prev = last);
        }
    }

    /// Takes `tree` away from its siblings, and its parent if it has one. Its own links stay as they were.
    ///
    /// # Safety
    ///
    /// The lock is held, and `tree` is linked.
    unsafe fn cut(&mut self, tree: Tree<T>) {
        // SAFETY: linked waiters reach none but linked ones, all of them alive (Q3), and we hold the lock (Q1).
        unsafe {
            let Links { prev, next, .. } = links(tree);
            if is_up(tree) {
                // The last of its parent's children.
                let parent = next;
                if prev == tree {
                    parent.as_ref().relink(|links| links.child = None);
                    return;
                }
                let first = links(parent).child.expect("a parent's first child");
                prev.as_ref().relink(|links| links.next = parent);
                set_up(prev, true);
                first.as_ref().relink(|links| links.prev = prev);
                return;
            }
            if is_up(prev) {
                // The first of several: `prev` is the last, which leads up.
                links(prev).next.as_ref().relink(|links| links.child = Some(next));
            } else {
                prev.as_ref().relink(|links| links.next = next);
            }
            next.as_ref().relink(|links| links.prev = prev);
            if self.head == Some(tree) {
                self.head = Some(next).filter(|next| *next != tree);
            }
        }
    }

    /// Makes `child` the first of the children of `parent`.
    ///
    /// # Safety
    ///
    /// The lock is held. Both were tops, and `child` is cut off.
    unsafe fn adopt(parent: Tree<T>, child: Tree<T>) {
        // SAFETY: as in `cut`. What is written is F2.
        unsafe {
            let first = links(parent).child;
            let (prev, next) = match first {
                None => (child, parent),
                Some(first) => (links(first).prev, first),
            };
            child.as_ref().relink(|links| (links.prev, links.next) = (prev, next));
            match first {
                None => set_up(child, true),
                Some(first) => first.as_ref().relink(|links| links.prev = child),
            }
            parent.as_ref().relink(|links| links.child = Some(child));
        }
    }
}

impl<T: Copy, S> List<'_, T, S, Forest> {
    pub(crate) fn len(&self) -> usize {
        self.root.len as usize
    }

    /// Sees to it that the first is known, if there is one. Takes at most `pairs` steps, and counts them down; returns
    /// whether that was enough.
    ///
    /// `overtakes` says whether a newcomer comes before one that was there, entries and ranks as (entry, rank). It does not
    /// change its mind.
    pub(crate) fn settle(&mut self, pairs: &mut usize, overtakes: impl Fn((T, u8), (T, u8)) -> bool) -> bool {
        let Some(mut head) = self.root.head else { return true };
        // SAFETY: tops are linked, hence alive (F1, Q3), we hold the lock (Q1, Q6), and each tree is a top when it is cut
        // and when it adopts.
        unsafe {
            loop {
                let second = links(head).next;
                if second == head {
                    return true;
                }
                if *pairs == 0 {
                    return false;
                }
                *pairs -= 1;
                let (older, newer) = if note(head).is_before(note(second)) { (head, second) } else { (second, head) };
                let (old, new) = (older.as_ref(), newer.as_ref());
                let newer_leads = overtakes((new.entry(), new.rank()), (old.entry(), old.rank()));
                let (winner, loser) = if newer_leads { (newer, older) } else { (older, newer) };
                self.root.cut(loser);
                Root::adopt(winner, loser);
                // Before the head is the back of the ring.
                head = links(winner).next;
                self.root.head = Some(head);
            }
        }
    }
}

// === impl Note ===

impl Note {
    const UP: u32 = 1;

    fn new(ticket: u32) -> Self {
        Self(ticket << 1)
    }

    fn is_before(self, other: Self) -> bool {
        // Negative as a signed number.
        (self.0 & !Self::UP).wrapping_sub(other.0 & !Self::UP) > u32::MAX / 2
    }
}

/// # Safety
///
/// For these four: `tree` is linked or about to be, its links and its note were set, and the lock is held.
#[inline]
unsafe fn links<T: Copy>(tree: Tree<T>) -> Links<T> {
    // SAFETY: as the caller promises (Q1, Q3).
    unsafe { tree.as_ref().links() }
}

/// # Safety
///
/// As above.
#[inline]
unsafe fn note<T: Copy>(tree: Tree<T>) -> Note {
    // SAFETY: as the caller promises (Q1, Q3).
    Note(unsafe { tree.as_ref().note() })
}

/// # Safety
///
/// As above.
#[inline]
unsafe fn is_up<T: Copy>(tree: Tree<T>) -> bool {
    // SAFETY: as the caller promises.
    unsafe { note(tree) }.0 & Note::UP != 0
}

/// # Safety
///
/// As above.
#[inline]
unsafe fn set_up<T: Copy>(tree: Tree<T>, up: bool) {
    // SAFETY: as the caller promises (Q1, Q3).
    unsafe { tree.as_ref().set_note(note(tree).0 & !Note::UP | u32::from(up)) };
}

// === impl Links ===

impl<T: Copy> Clone for Links<T> {
    #[inline]
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Copy> Copy for Links<T> {}

impl<T: Copy> fmt::Debug for Links<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Links")
    }
}

impl<T: Copy> fmt::Debug for Root<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Root").field("len", &self.len).finish_non_exhaustive()
    }
}
