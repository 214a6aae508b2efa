//! A form for waiters that are served in turn: a circular doubly linked list.
//!
//! ```text
//! head ──► first ⇄ second ⇄ … ⇄ last ⇄ (first)       first.note = how many there are
//! ```
//!
//! One pointer in the queue is enough, for the last is the first's `prev`; the length lives in the first waiter, in what
//! would be padding. That keeps a semaphore at 32 bytes.
//!
//! Linking walks from the back past all that are overtaken, and so is best where few are. Unlinking takes constant time.

use core::fmt;
use core::marker::PhantomData;
use core::ptr::NonNull;

use super::queue::{Form, Link, List, Waiter};

/// First come, first served, but for those that overtake.
#[derive(Debug)]
pub(crate) enum Line {}

pub(crate) struct Links<T: Copy> {
    prev: NonNull<Waiter<T, Line>>,
    next: NonNull<Waiter<T, Line>>,
}

type Front<T> = Link<T, Line>;

// === impl Line ===

impl<T: Copy> Form<T> for Line {
    type Root = Front<T>;
    type Links = Links<T>;

    const EMPTY: Front<T> = None;

    #[inline]
    fn first(root: &Front<T>) -> Link<T, Self> {
        *root
    }

    unsafe fn link(head: &mut Front<T>, waiter: NonNull<Waiter<T>>, overtakes: impl Fn(&Waiter<T>) -> bool) {
        // SAFETY: the caller vouches for `waiter`; all others are linked, hence alive (Q3); the lock is held (Q1, Q2).
        unsafe {
            let new = waiter.as_ref();
            let Some(first) = *head else {
                new.set_links(Links { prev: waiter, next: waiter });
                set_front(head, waiter, 1);
                return;
            };
            let mut next = first;
            let mut prev = first.as_ref().links().prev;
            let mut leads = false;
            while !leads && overtakes(prev.as_ref()) {
                leads = prev == first;
                next = prev;
                prev = prev.as_ref().links().prev;
            }
            let len = first.as_ref().note() + 1;
            new.set_links(Links { prev, next });
            prev.as_ref().relink(|links| links.next = waiter);
            next.as_ref().relink(|links| links.prev = waiter);
            set_front(head, if leads { waiter } else { first }, len);
        }
    }

    unsafe fn unlink(head: &mut Front<T>, waiter: NonNull<Waiter<T>>) {
        // SAFETY: `waiter` and so its neighbours are linked, hence alive (Q3); the lock is held (Q1).
        unsafe {
            let Links { prev, next } = waiter.as_ref().links();
            let Some(first) = head.filter(|_| next != waiter) else {
                *head = None;
                return;
            };
            let len = first.as_ref().note() - 1;
            prev.as_ref().relink(|links| links.next = next);
            next.as_ref().relink(|links| links.prev = prev);
            set_front(head, if first == waiter { next } else { first }, len);
        }
    }
}

/// # Safety
///
/// `front` is linked in the queue of `head`, whose lock is held.
#[inline]
unsafe fn set_front<T: Copy>(head: &mut Front<T>, front: NonNull<Waiter<T>>, len: u32) {
    *head = Some(front);
    // SAFETY: linked, hence alive (Q3); the note is ours under the lock (Q1).
    unsafe { front.as_ref().set_note(len) };
}

impl<T: Copy, S> List<'_, T, S> {
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.root.is_none()
    }

    pub(crate) fn len(&self) -> usize {
        // SAFETY: the first is linked, hence alive (Q3), and has the length as its note; the lock is held (Q1).
        self.root.map_or(0, |first| unsafe { first.as_ref().note() as usize })
    }

    /// The first waiter's rank.
    #[inline]
    pub(crate) fn front_rank(&self) -> Option<u8> {
        // SAFETY: the first is linked, hence alive (Q3); ranks of linked waiters do not change.
        self.root.map(|first| unsafe { first.as_ref().rank() })
    }

    /// Whether there is exactly one waiter.
    #[inline]
    pub(crate) fn is_single(&self) -> bool {
        // SAFETY: the first is linked, hence alive (Q3); we hold the lock (Q1).
        self.root.is_some_and(|first| unsafe { first.as_ref().links() }.next == first)
    }

    /// Makes the second waiter the first, and the first the last.
    ///
    /// So a search through the queue may let go of the lock half way: what it has seen is at the back.
    #[inline]
    pub(crate) fn rotate(&mut self) {
        let Some(first) = *self.root else { return };
        // SAFETY: the first and so its neighbours are linked, hence alive (Q3); we hold the lock (Q1).
        unsafe { set_front(self.root, first.as_ref().links().next, first.as_ref().note()) };
    }

    /// All entries, first to last.
    #[inline]
    pub(crate) fn entries(&self) -> Entries<'_, T> {
        Entries { next: *self.root, first: *self.root, _list: PhantomData }
    }
}

/// The entries of a line, first to last.
pub(crate) struct Entries<'a, T: Copy> {
    next: Front<T>,
    first: Front<T>,
    _list: PhantomData<&'a T>,
}

impl<T: Copy> Iterator for Entries<'_, T> {
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        let current = self.next?;
        // SAFETY: linked, hence alive (Q3), for the list is borrowed and so cannot change; the lock is held (Q1, Q6).
        let (entry, next) = unsafe { (current.as_ref().entry(), current.as_ref().links().next) };
        self.next = (Some(next) != self.first).then_some(next);
        Some(entry)
    }
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
