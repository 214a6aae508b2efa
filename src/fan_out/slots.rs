//! The slots: what each item is at, and how many are at what.
//!
//! ```text
//!            take an item                    start                poll: ready            hand out
//!   Free ──┬──────────────► Waiting(item) ──────────► Running(future) ──────► Done(output) ──────► Free
//!          └───────────────────────────────────────────►│ │
//!                  take and start                         └── panic, or ready and handed out at once ──► Free
//! ```
//!
//! Futures are pinned where they are: a slot never moves, and a future leaves it only by being dropped there. There is no
//! `unsafe` here, the projections see to it.

use core::future::Future;
use core::mem::needs_drop;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use pin_project_lite::pin_project;

use super::order::{Links, NIL};

pin_project! {
    /// What an item is at.
    #[project = SlotProj]
    #[project_replace = SlotReplace]
    pub enum Slot<I, F>
    where
        F: Future,
    {
        Free,
        Waiting { item: I },
        Running { #[pin] future: F },
        Done { output: F::Output },
    }
}

pin_project! {
    /// A slot, and what is written down about it.
    pub struct Entry<I, F, W, N>
    where
        F: Future,
    {
        // The next free slot, or the next in whatever list the order keeps.
        link: u32,
        // Of the item that waits or runs.
        weight: W,
        // What the order notes.
        note: N,
        #[pin]
        slot: Slot<I, F>,
    }
}

impl<I, F: Future, W: Weight, N: Default> Entry<I, F, W, N> {
    fn free() -> Self {
        Self { link: NIL, weight: W::default(), note: N::default(), slot: Slot::Free }
    }
}

/// What an item counts for. Without weights that is nothing to write down, and each counts for one.
pub trait Weight: Copy + Default {
    /// Whether items differ.
    const WEIGHED: bool;

    fn get(self) -> usize;

    /// The same, or `limit` if that is less.
    #[must_use]
    fn at_most(self, limit: usize) -> Self;
}

impl Weight for () {
    const WEIGHED: bool = false;

    #[inline]
    fn get(self) -> usize {
        1
    }

    #[inline]
    fn at_most(self, _: usize) {}
}

impl Weight for usize {
    const WEIGHED: bool = true;

    #[inline]
    fn get(self) -> usize {
        self
    }

    #[inline]
    fn at_most(self, limit: usize) -> Self {
        self.min(limit)
    }
}

/// How much room is worth asking for.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Entries in the first allocation.
    pub first: usize,
    /// Entries at most.
    pub most: usize,
}

/// Where the entries live, and how the futures in them are woken.
///
/// An entry stays where it was put until the bed is dropped.
pub trait Bed {
    type Entry;

    /// Adds an entry; numbers are not reused and need not be consecutive.
    fn push(self: Pin<&mut Self>, entry: Self::Entry, plan: impl FnOnce() -> Plan) -> u32;

    /// # Panics
    ///
    /// If no entry has that number, here and below.
    fn get(&self, number: u32) -> &Self::Entry;

    fn get_pin(self: Pin<&mut Self>, number: u32) -> Pin<&mut Self::Entry>;

    /// Hands out an entry together with the waker that is to wake the future in it; `task` is that of the task around.
    fn with_waker<R>(
        self: Pin<&mut Self>,
        number: u32,
        task: &Waker,
        f: impl FnOnce(Pin<&mut Self::Entry>, &Waker) -> R,
    ) -> R;

    /// The next entry that was woken. It may be in any state.
    fn next_woken(self: Pin<&mut Self>) -> Option<u32>;

    /// Whether [`next_woken`](Self::next_woken) would find nothing, for those who can tell quickly.
    #[inline]
    fn is_quiet(&self) -> bool {
        false
    }

    /// Prepares for `Pending`; false if something was woken already.
    fn sleep(self: Pin<&mut Self>, task: &Waker) -> bool;

    /// A poll of the whole begins. Without this a bed that does not know who was woken could not tell which of its
    /// entries saw the task's waker since then; one that does know has nothing to do.
    #[inline]
    fn begin_poll(self: Pin<&mut Self>) {}
}

pin_project! {
    /// Entries with their states counted, and the free ones on a list.
    pub struct Slots<B> {
        #[pin]
        bed: B,
        free: u32,
        taken: usize,
        waiting: usize,
        running: usize,
        // What all that runs weighs, where that is not the same.
        load: usize,
    }
}

impl<B> Slots<B> {
    pub fn new(bed: B) -> Self {
        Self { bed, free: NIL, taken: 0, waiting: 0, running: 0, load: 0 }
    }

    pub fn into_bed(self) -> B {
        self.bed
    }

    #[inline]
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    #[inline]
    pub fn running(&self) -> usize {
        self.running
    }

    #[inline]
    pub fn finished(&self) -> usize {
        self.taken - self.waiting - self.running
    }

    /// Waiting, running and finished.
    #[inline]
    pub fn taken(&self) -> usize {
        self.taken
    }
}

impl<I, F, W, N, B> Slots<B>
where
    F: Future,
    W: Weight,
    N: Default,
    B: Bed<Entry = Entry<I, F, W, N>>,
{
    /// What all that runs weighs.
    #[inline]
    pub fn load(&self) -> usize {
        if W::WEIGHED { self.load } else { self.running }
    }

    /// What the item in a slot weighs.
    #[inline]
    pub fn weight(&self, number: u32) -> W {
        self.bed.get(number).weight
    }

    /// The number of a free slot, which is still among the free.
    #[inline]
    pub fn reserve(self: Pin<&mut Self>, plan: impl FnOnce() -> Plan) -> u32 {
        let this = self.project();
        if *this.free == NIL {
            *this.free = this.bed.push(Entry::free(), plan);
        }
        *this.free
    }

    /// Takes what [`reserve`](Self::reserve) named out of the free.
    #[inline]
    fn occupy(self: Pin<&mut Self>) {
        let this = self.project();
        *this.free = this.bed.get(*this.free).link;
        *this.taken += 1;
    }

    /// Puts an item into a free slot.
    #[inline]
    pub fn insert_item(mut self: Pin<&mut Self>, item: I, weight: W, plan: impl FnOnce() -> Plan) -> u32 {
        let number = self.as_mut().reserve(plan);
        let mut entry = self.as_mut().project().bed.get_pin(number).project();
        *entry.weight = weight;
        entry.slot.set(Slot::Waiting { item });
        self.as_mut().occupy();
        *self.project().waiting += 1;
        number
    }

    /// Puts a future into the slot that is [reserved](Self::reserve) and polls it.
    ///
    /// The slot stays free if the future finishes.
    ///
    /// A panic, of the poll or of the drop of a finished future, needs a [`settle_start`](Self::settle_start).
    #[inline(always)]
    pub fn start(self: Pin<&mut Self>, future: F, weight: W, task: &Waker) -> Option<F::Output> {
        let this = self.project();
        let (free, running, taken, load) = (this.free, this.running, this.taken, this.load);
        let number = *free;
        this.bed.with_waker(number, task, |entry, waker| {
            let mut entry = entry.project();
            entry.slot.set(Slot::Running { future });
            let output = poll_out(entry.slot, waker);
            if output.is_none() {
                *running += 1;
                *taken += 1;
                *free = *entry.link;
                if W::WEIGHED {
                    *entry.weight = weight;
                    *load += weight.get();
                }
            }
            output
        })
    }

    /// Puts the output that [`start`](Self::start) brought into the slot, to wait there.
    pub fn keep(mut self: Pin<&mut Self>, output: F::Output) {
        let this = self.as_mut().project();
        this.bed.get_pin(*this.free).project().slot.set(Slot::Done { output });
        self.occupy();
    }

    /// Tidies up after a future panicked that was to start, and says whether its output is there all the same. Then the
    /// slot is taken, else it is still free.
    #[cold]
    pub fn settle_start(mut self: Pin<&mut Self>) -> bool {
        let this = self.as_mut().project();
        let mut slot = this.bed.get_pin(*this.free).project().slot;
        let finished = matches!(slot.as_mut().project(), SlotProj::Done { .. });
        if finished {
            self.occupy();
        } else {
            slot.set(Slot::Free);
        }
        finished
    }

    /// Takes a waiting item out to be made into a future, which [`run`](Self::run) puts in its place. Until then the slot
    /// counts as running.
    pub fn begin(self: Pin<&mut Self>, number: u32) -> I {
        let this = self.project();
        let entry = this.bed.get_pin(number).project();
        let SlotReplace::Waiting { item } = entry.slot.project_replace(Slot::Free) else {
            unreachable!("what starts was waiting")
        };
        *this.waiting -= 1;
        *this.running += 1;
        if W::WEIGHED {
            *this.load += entry.weight.get();
        }
        item
    }

    /// Ends what [`begin`](Self::begin) began.
    pub fn run(self: Pin<&mut Self>, number: u32, future: F) {
        self.project().bed.get_pin(number).project().slot.set(Slot::Running { future });
    }

    /// Polls the future in a slot, if there is one, and says whether it finished. Its output stays in the slot.
    ///
    /// A panic, of the poll or of the drop of a finished future, needs a [`settle`](Self::settle).
    #[inline]
    pub fn poll(self: Pin<&mut Self>, number: u32, task: &Waker) -> bool {
        let this = self.project();
        let load = this.load;
        let finished = this.bed.with_waker(number, task, |entry, waker| {
            let entry = entry.project();
            let mut slot = entry.slot;
            let SlotProj::Running { future } = slot.as_mut().project() else { return false };
            let Poll::Ready(output) = future.poll(&mut Context::from_waker(waker)) else { return false };
            slot.project_replace(Slot::Done { output });
            if W::WEIGHED {
                *load -= entry.weight.get();
            }
            true
        });
        if finished {
            *this.running -= 1;
        }
        finished
    }

    /// Polls the future in a slot, if there is one. If it finished, the slot is freed, and its output and what was its
    /// link are handed out.
    ///
    /// A panic, of the poll or of the drop of a finished future, needs a [`settle`](Self::settle).
    #[inline(always)]
    pub fn poll_out(self: Pin<&mut Self>, number: u32, task: &Waker) -> Option<(F::Output, u32)> {
        let this = self.project();
        let (free, running, taken, load) = (this.free, this.running, this.taken, this.load);
        this.bed.with_waker(number, task, |entry, waker| {
            let entry = entry.project();
            let output = poll_out(entry.slot, waker)?;
            *running -= 1;
            *taken -= 1;
            if W::WEIGHED {
                *load -= entry.weight.get();
            }
            let link = core::mem::replace(entry.link, core::mem::replace(free, number));
            Some((output, link))
        })
    }

    /// Counts a slot anew whose future panicked, and says whether its output is there all the same.
    ///
    /// If not, the slot is empty, and is to be [`release`](Self::release)d.
    #[cold]
    pub fn settle(self: Pin<&mut Self>, number: u32) -> bool {
        let this = self.project();
        *this.running -= 1;
        let entry = this.bed.get_pin(number).project();
        if W::WEIGHED {
            *this.load -= entry.weight.get();
        }
        let mut slot = entry.slot;
        let finished = matches!(slot.as_mut().project(), SlotProj::Done { .. });
        if !finished {
            slot.set(Slot::Free);
        }
        finished
    }

    #[inline]
    pub fn is_done(&self, number: u32) -> bool {
        matches!(self.bed.get(number).slot, Slot::Done { .. })
    }

    /// Takes the output out of a slot and frees the slot.
    #[inline]
    pub fn take_output(self: Pin<&mut Self>, number: u32) -> F::Output {
        let this = self.project();
        let entry = this.bed.get_pin(number).project();
        let SlotReplace::Done { output } = entry.slot.project_replace(Slot::Free) else {
            unreachable!("what is handed out was finished")
        };
        *entry.link = *this.free;
        *this.free = number;
        *this.taken -= 1;
        output
    }

    /// Puts an empty slot back among the free.
    pub fn release(self: Pin<&mut Self>, number: u32) {
        let this = self.project();
        *this.bed.get_pin(number).project().link = *this.free;
        *this.free = number;
        *this.taken -= 1;
    }

    #[inline]
    pub fn begin_poll(self: Pin<&mut Self>) {
        self.project().bed.begin_poll();
    }

    #[inline]
    pub fn is_quiet(&self) -> bool {
        self.bed.is_quiet()
    }

    #[inline]
    pub fn next_woken(self: Pin<&mut Self>) -> Option<u32> {
        self.project().bed.next_woken()
    }

    #[inline]
    pub fn sleep(self: Pin<&mut Self>, task: &Waker) -> bool {
        self.project().bed.sleep(task)
    }
}

/// Polls the future in a slot, if there is one, and takes its output out.
///
/// If a future that finished panics when it is dropped, its output is left in the slot.
#[inline(always)]
fn poll_out<I, F: Future>(mut slot: Pin<&mut Slot<I, F>>, waker: &Waker) -> Option<F::Output> {
    struct Keep<'a, I, F: Future> {
        slot: Pin<&'a mut Slot<I, F>>,
        output: Option<F::Output>,
    }

    impl<I, F: Future> Drop for Keep<'_, I, F> {
        #[inline]
        fn drop(&mut self) {
            if let Some(output) = self.output.take() {
                self.slot.set(Slot::Done { output });
            }
        }
    }

    let SlotProj::Running { future } = slot.as_mut().project() else { return None };
    let Poll::Ready(output) = future.poll(&mut Context::from_waker(waker)) else { return None };
    if !needs_drop::<F>() {
        slot.set(Slot::Free);
        return Some(output);
    }
    let mut keep = Keep { slot, output: Some(output) };
    keep.slot.set(Slot::Free);
    keep.output.take()
}

impl<I, F, W, N, B> Links for Pin<&mut Slots<B>>
where
    F: Future,
    B: Bed<Entry = Entry<I, F, W, N>>,
{
    type Note = N;

    #[inline]
    fn read<R>(&self, slot: u32, f: impl FnOnce(&N) -> R) -> R {
        f(&self.bed.get(slot).note)
    }

    #[inline]
    fn write<R>(&mut self, slot: u32, f: impl FnOnce(&mut N) -> R) -> R {
        f(self.as_mut().project().bed.get_pin(slot).project().note)
    }

    #[inline]
    fn next(&self, slot: u32) -> u32 {
        self.bed.get(slot).link
    }

    #[inline]
    fn set_next(&mut self, slot: u32, next: u32) {
        *self.as_mut().project().bed.get_pin(slot).project().link = next;
    }
}
