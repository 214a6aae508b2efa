//! The one allocation of a stream: the words that its wakers write to, and the slots of its futures.
//!
//! ```text
//!            Header                    Block 0          Block 1        groups      entries
//!   ┌──────────────────────────────┬────────────────┬────────────────┬───┬───┬─────────┬─────────┬───┐
//!   │ refs  root  layout  hub      │ word …         │ word …         │ … │ … │ entry 0 │ entry 1 │ … │
//!   └──────────────────────────────┴────────────────┴────────────────┴───┴───┴─────────┴─────────┴───┘
//!                                  ▲    ▲
//!                     block of data┘    └ data of a waker = address of its block + number of its bit
//! ```
//!
//! A waker is two words, may be copied, kept and leaked, and cannot be called back. So what it points to has to outlive
//! every clone: the block is counted, by its stream and by each clone, and freed by the last of them. The futures are not
//! part of that. They are dropped in place with the stream, on its thread, and so need be neither `Send` nor `'static`;
//! what remains after that is bytes.
//!
//! A future gets its waker lent, uncounted, for the time of a poll. A block's alignment leaves room for the number of a bit
//! in the low end of its address, so a waker needs no memory of its own.
//!
//! A stream that may want very many slots begins with a small chunk and adds further ones, each twice the one before. They
//! share the hub of the first, and its groups, which they keep alive by a count.
//!
//! # Invariants
//!
//! * **B1** Every pointer here comes from the pointer that the allocator gave, by offsets, and never through a reference to
//!   a part. So it may be used for all of the allocation. A block's `header` is that of its allocation, its `hub` and
//!   its `group` are the root's.
//! * **B2** `refs` is one for the [`Chunk`], one for each waker clone, and one for each further chunk whose `root` this is.
//!   The allocation lives while it is not zero.
//! * **B3** `root`, `layout`, `flag`, `direct`, `member`, `group`, `hub` and `header` are written once, before anybody else knows
//!   of the allocation. All else in header, blocks and groups is atomic. So shared references are all that is ever made of them.
//! * **B4** Entries `0..len` are initialised, belong to the chunk alone, and stay where they are until it is dropped, which
//!   drops them in place. No waker touches them.
//! * **B5** A chunk of capacity 0 has no allocation; only a root that nothing was put into yet is one.
//! * **B6** A waker's data is the address of a block plus a number below [`BITS`], which is within that block.

use alloc::alloc::{alloc, dealloc, handle_alloc_error};
use alloc::vec::Vec;
use core::alloc::Layout;
use core::fmt;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ops::Range;
use core::pin::Pin;
use core::ptr::{self, NonNull};
use core::task::{RawWaker, RawWakerVTable, Waker};

use super::ready::{BITS, DIRECT, Hub, Path, Round, Word, Words, groups_for};
use super::slots::{Bed, Plan};
use crate::sync::{AtomicUsize, Ordering};

mod shelf;

pub use shelf::Shelf;

#[repr(C)]
#[repr(align(64))]
struct Header {
    refs: AtomicUsize,
    /// The header of the first chunk, which may be this one.
    root: NonNull<Header>,
    layout: Layout,
    /// Used in the root only.
    hub: Hub,
}

#[cfg_attr(target_pointer_width = "64", repr(C, align(64)))]
#[cfg_attr(target_pointer_width = "32", repr(C, align(32)))]
#[cfg_attr(target_pointer_width = "16", repr(C, align(16)))]
struct Block {
    word: Word,
    flag: usize,
    /// How many of its bits are on top of the hub: [`DIRECT`] in the first block of all, else none.
    direct: usize,
    /// The group that it belongs to, and its bit there.
    group: Option<NonNull<Word>>,
    member: usize,
    hub: NonNull<Hub>,
    header: NonNull<Header>,
}

const _: () = assert!(align_of::<Block>() >= BITS && size_of::<Header>() % align_of::<Block>() == 0);

/// Room for a fixed number of entries, with their wakers.
struct Chunk<T> {
    header: NonNull<Header>,
    /// The first entry.
    entries: NonNull<T>,
    len: usize,
    capacity: usize,
    /// The number of its first block, counted over all chunks, and of the one after its last.
    blocks: Range<usize>,
    groups: Groups,
    _owns: PhantomData<T>,
}

/// The groups of a root.
#[derive(Clone, Copy)]
struct Groups {
    first: NonNull<Word>,
    count: usize,
}

/// A chunk, and further ones for those who need them.
struct Chunks<T> {
    root: Chunk<T>,
    more: Vec<Chunk<T>>,
    /// Blocks in all of them.
    count: usize,
    /// The logarithm of the number of blocks in the first of `more`.
    unit: u32,
}

/// Entries on the heap. The allocation is made when the first entry comes.
pub struct Heap<T> {
    chunks: Chunks<T>,
    round: Round,
}

// === wakers ===

/// A static, so that all wakers have the same address of it, which `will_wake` compares.
static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, release_waker);

/// The block and the number of the bit that a waker's data stand for.
///
/// # Safety
///
/// `data` is as in B6.
#[inline]
unsafe fn locate(data: *const ()) -> (*const Block, usize) {
    let bit = data.addr() % BITS;
    // SAFETY: B6 says that this is within the block.
    (unsafe { data.byte_sub(bit).cast() }, bit)
}

unsafe fn clone(data: *const ()) -> RawWaker {
    // SAFETY: the waker that is cloned has a share in the allocation, or was lent by its owner (B2).
    unsafe { retain((*locate(data).0).header) };
    RawWaker::new(data, &VTABLE)
}

/// Notes a wake, and says whether the task does not know yet.
///
/// # Safety
///
/// As for [`locate`], and the allocation is alive.
#[inline]
unsafe fn note(block: *const Block, bit: usize) -> bool {
    // SAFETY: alive. What is used is atomic or does not change (B3); the root is kept alive by a chunk that is (B2).
    unsafe {
        let hub = &*(*block).hub.as_ptr();
        if bit < (*block).direct {
            return hub.wake_direct(bit);
        }
        let group = (*block).group.map(|group| (&*group.as_ptr(), (*block).member));
        hub.wake(&(*block).word, bit, (*block).flag, group)
    }
}

unsafe fn wake(data: *const ()) {
    // SAFETY: alive by the waker's own share (B2), which goes last.
    unsafe {
        let (block, bit) = locate(data);
        if note(block, bit) {
            return ring_and_release(block);
        }
        drop(Share((*block).header));
    }
}

/// # Safety
///
/// As for [`wake`].
#[inline(never)]
unsafe fn ring_and_release(block: *const Block) {
    // SAFETY: as in `wake`. The share goes last, also if the task's waker panics.
    unsafe {
        let _share = Share((*block).header);
        (*(*block).hub.as_ptr()).ring();
    }
}

unsafe fn wake_by_ref(data: *const ()) {
    // SAFETY: alive as in `clone`.
    unsafe {
        let (block, bit) = locate(data);
        if note(block, bit) {
            ring(block);
        }
    }
}

/// # Safety
///
/// As for [`wake_by_ref`].
#[inline(never)]
unsafe fn ring(block: *const Block) {
    // SAFETY: as in `wake_by_ref`.
    unsafe { (*(*block).hub.as_ptr()).ring() };
}

unsafe fn release_waker(data: *const ()) {
    // SAFETY: the waker has a share, which this is the end of (B2).
    drop(Share(unsafe { (*locate(data).0).header }));
}

// === shares ===

/// One count of an allocation, given back on drop.
struct Share(NonNull<Header>);

/// # Safety
///
/// The allocation is alive.
unsafe fn retain(header: NonNull<Header>) {
    // ORDERING: Relaxed. Whoever clones holds the allocation alive meanwhile, and hands the clone on by means of its own.
    // SAFETY: alive, says the caller; the count is atomic (B3).
    let refs = unsafe { (*header.as_ptr()).refs.fetch_add(1, Ordering::Relaxed) };
    if refs > isize::MAX as usize {
        // Somebody leaks clones in a loop, and the count must not come round to zero. There is no `abort` in core; a panic
        // while panicking is one.
        struct Abort;
        impl Drop for Abort {
            fn drop(&mut self) {
                panic!("too many clones of a waker");
            }
        }
        let _abort = Abort;
        panic!("too many clones of a waker");
    }
}

impl Drop for Share {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: this share keeps the allocation alive up to the decrement (B2); the last one is alone with it after that,
        // and no references to it are left.
        unsafe {
            // ORDERING: Release pairs with the Acquire of the last decrement, which thus comes after everybody's last use.
            if (*self.0.as_ptr()).refs.fetch_sub(1, Ordering::AcqRel) == 1 {
                free(self.0);
            }
        }
    }
}

/// # Safety
///
/// The count has just become zero.
#[cold]
unsafe fn free(header: NonNull<Header>) {
    // SAFETY: nobody else has it (B2). The layout is the one that it was made with.
    unsafe {
        let (root, layout) = ((*header.as_ptr()).root, (*header.as_ptr()).layout);
        let _root = (root != header).then(|| Share(root));
        ptr::drop_in_place(&raw mut (*header.as_ptr()).hub);
        dealloc(header.as_ptr().cast(), layout);
    }
}

// === impl Chunk ===

// SAFETY: a chunk owns its entries as a box would (B4); header and blocks are atomic or do not change (B3).
unsafe impl<T: Send> Send for Chunk<T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for Chunk<T> {}

impl<T> Chunk<T> {
    const fn none() -> Self {
        Self {
            header: NonNull::dangling(),
            entries: NonNull::dangling(),
            len: 0,
            capacity: 0,
            blocks: 0..0,
            groups: Groups { first: NonNull::dangling(), count: 0 },
            _owns: PhantomData,
        }
    }

    /// Allocates room for `capacity` entries, in a root for `most` in all chunks.
    fn root(capacity: usize, most: usize) -> Self {
        // Two chunks may each leave a part of their last block unused.
        Self::new(capacity, 0, Err(groups_for(most.div_ceil(BITS) + 1)))
    }

    /// Allocates room for `capacity` entries, whose blocks are numbered from `first` on, in addition to a root; or in a root
    /// with that many groups.
    fn new(capacity: usize, first: usize, root: Result<&Self, usize>) -> Self {
        assert!(capacity > 0);
        let count = capacity.div_ceil(BITS);
        let (layout, groups_at, entries_at) =
            layout::<T>(capacity, count, root.err().unwrap_or(0)).expect("room for the fan-out is beyond all memory");
        // SAFETY: the layout is not empty, for there is a header in it (B5).
        let Some(base) = NonNull::new(unsafe { alloc(layout) }) else { handle_alloc_error(layout) };
        let header = base.cast::<Header>();
        let (root, groups) = match root {
            Ok(root) => {
                // SAFETY: the root chunk has a share. The one taken here is the new chunk's (B2).
                unsafe { retain(root.header) };
                (root.header, root.groups)
            }
            // SAFETY: all of this is within the allocation and aligned, as the layout has it (B1).
            Err(count) => unsafe {
                let first = base.add(groups_at).cast::<Word>();
                (0..count).for_each(|number| first.add(number).write(Word::new()));
                (header, Groups { first, count })
            },
        };
        // SAFETY: as above (B1).
        let entries = unsafe {
            header.write(Header { refs: AtomicUsize::new(1), root, layout, hub: Hub::new() });
            let hub = NonNull::new_unchecked(&raw mut (*root.as_ptr()).hub);
            let blocks = header.add(1).cast::<Block>();
            for number in first..first + count {
                let Path { flag, far } = Path::to(number);
                let direct = if number == 0 { DIRECT } else { 0 };
                let (group, member) = match far {
                    None => (None, 0),
                    Some((group, member)) => (Some(groups.first.add(group)), member),
                };
                blocks.add(number - first).write(Block { word: Word::new(), flag, direct, group, member, hub, header });
            }
            base.add(entries_at).cast::<T>()
        };
        Self { header, entries, len: 0, capacity, blocks: first..first + count, groups, _owns: PhantomData }
    }

    /// The hub of a root.
    #[inline]
    fn hub(&self) -> Option<&Hub> {
        // SAFETY: there is an allocation (B5), and the chunk's share keeps it alive (B2); atomics only (B3).
        (self.capacity > 0).then(|| unsafe { &(*self.header.as_ptr()).hub })
    }

    /// The word of block `number`, counted over all chunks.
    #[inline]
    fn word(&self, number: usize) -> Option<&Word> {
        if !self.blocks.contains(&number) {
            return None;
        }
        let at = number - self.blocks.start;
        // SAFETY: that many blocks follow the header (B1), the chunk's share keeps them alive (B2), an atomic (B3).
        unsafe { Some(&(*self.header.add(1).cast::<Block>().add(at).as_ptr()).word) }
    }

    /// A group of the root, which this chunk keeps alive.
    fn group(&self, number: usize) -> &Word {
        assert!(number < self.groups.count);
        // SAFETY: that many are in the root (B1), which the chunk's share keeps alive (B2), an atomic (B3).
        unsafe { self.groups.first.add(number).as_ref() }
    }

    fn is_full(&self) -> bool {
        self.len == self.capacity
    }

    fn push(&mut self, entry: T) -> usize {
        assert!(!self.is_full());
        // SAFETY: within the allocation, and not initialised (B4).
        unsafe { self.entries.add(self.len).write(entry) };
        self.len += 1;
        self.len - 1
    }

    /// The address of an entry and the data of its waker.
    #[inline]
    fn entry(&self, at: usize) -> Option<(NonNull<T>, *const ())> {
        if at >= self.len {
            return None;
        }
        // SAFETY: initialised, hence within the allocation (B4); and where there is an entry there is a block for it (B6).
        unsafe {
            let blocks = self.header.add(1).cast::<Block>().as_ptr().cast_const();
            let data = if size_of::<Block>() == BITS {
                blocks.byte_add(at) // the same, in one step
            } else {
                blocks.add(at / BITS).byte_add(at % BITS)
            };
            Some((self.entries.add(at), data.cast()))
        }
    }
}

impl<T> Drop for Chunk<T> {
    fn drop(&mut self) {
        if self.capacity == 0 {
            return;
        }
        let _share = Share(self.header);
        // SAFETY: initialised and ours, and not used after this (B4). One that panics does not keep the others from being
        // dropped, nor the share.
        unsafe { ptr::drop_in_place(ptr::slice_from_raw_parts_mut(self.entries.as_ptr(), self.len)) };
    }
}

/// The layout of a chunk, and where its groups and its entries begin.
fn layout<T>(capacity: usize, blocks: usize, groups: usize) -> Option<(Layout, usize, usize)> {
    let (layout, blocks_at) = Layout::new::<Header>().extend(Layout::array::<Block>(blocks).ok()?).ok()?;
    debug_assert_eq!(blocks_at, size_of::<Header>());
    let (layout, groups_at) = layout.extend(Layout::array::<Word>(groups).ok()?).ok()?;
    let (layout, entries_at) = layout.extend(Layout::array::<T>(capacity).ok()?).ok()?;
    Some((layout.pad_to_align(), groups_at, entries_at))
}

// === impl Chunks ===

impl<T> Chunks<T> {
    /// The address of an entry and the data of its waker.
    ///
    /// # Panics
    ///
    /// If there is no such entry.
    #[inline]
    fn entry(&self, number: usize) -> (NonNull<T>, *const ()) {
        match self.root.entry(number) {
            Some(found) => found,
            None => self.entry_beyond_root(number),
        }
    }

    /// Cold, although with very many entries most are there: otherwise the way to all others gets longer.
    #[cold]
    fn entry_beyond_root(&self, number: usize) -> (NonNull<T>, *const ()) {
        let chunk = self.chunk(number / BITS);
        chunk.entry(number - chunk.blocks.start * BITS).expect("an entry that was made")
    }

    #[cold]
    fn word_beyond_root(&self, number: usize) -> &Word {
        self.chunk(number).word(number).expect("a block of this chunk")
    }

    /// The chunk that the block with this number is in.
    fn chunk(&self, number: usize) -> &Chunk<T> {
        match number.checked_sub(self.root.blocks.end) {
            None => &self.root,
            // The chunks after the root have `u`, `2 * u`, `4 * u` blocks and so on, where `u` is `1 << unit`, so before chunk
            // `k` of them there are `u * (2^k - 1)`.
            Some(beyond) => &self.more[((beyond >> self.unit) + 1).ilog2() as usize],
        }
    }

    #[inline]
    fn last(&self) -> &Chunk<T> {
        self.more.last().unwrap_or(&self.root)
    }

    #[cold]
    fn grow(&mut self, plan: Plan) {
        if self.root.capacity == 0 {
            self.root = Chunk::root(plan.first.max(1), plan.most.max(1));
            self.count = self.root.blocks.end;
            self.unit = self.count.next_power_of_two().ilog2();
            return;
        }
        let made = self.root.capacity + self.more.iter().map(|chunk| chunk.capacity).sum::<usize>();
        // Only the last of all may be shorter, or `chunk` would be wrong.
        assert!(plan.most > made, "more entries than were planned");
        let size = ((BITS << self.unit) << self.more.len()).min(plan.most - made);
        let chunk = Chunk::new(size, self.count, Ok(&self.root));
        self.count = chunk.blocks.end;
        self.more.push(chunk);
    }
}

impl<T> Words for Chunks<T> {
    #[inline]
    fn count(&self) -> usize {
        self.count
    }

    #[inline]
    fn word(&self, number: usize) -> &Word {
        match self.root.word(number) {
            Some(word) => word,
            None => self.word_beyond_root(number),
        }
    }

    #[inline]
    fn groups(&self) -> usize {
        self.root.groups.count
    }

    #[inline]
    fn group(&self, number: usize) -> &Word {
        self.root.group(number)
    }
}

// === impl Heap ===

/// The entries are not where the heap is, so they do not care if it moves.
impl<T> Unpin for Heap<T> {}

impl<T> Heap<T> {
    pub const fn new() -> Self {
        Self { chunks: Chunks { root: Chunk::none(), more: Vec::new(), count: 0, unit: 0 }, round: Round::new() }
    }
}

impl<T> Bed for Heap<T> {
    type Entry = T;

    #[cold]
    fn push(self: Pin<&mut Self>, entry: T, plan: impl FnOnce() -> Plan) -> u32 {
        let chunks = &mut self.get_mut().chunks;
        if chunks.last().is_full() {
            chunks.grow(plan());
        }
        let last = chunks.more.last_mut().unwrap_or(&mut chunks.root);
        (last.blocks.start * BITS + last.push(entry)) as u32
    }

    #[inline]
    fn get(&self, number: u32) -> &T {
        // SAFETY: ours, and borrowed as the heap is (B4).
        unsafe { self.chunks.entry(number as usize).0.as_ref() }
    }

    #[inline]
    fn get_pin(self: Pin<&mut Self>, number: u32) -> Pin<&mut T> {
        // SAFETY: ours, borrowed as the heap is, and it stays there until it is dropped there (B4).
        unsafe { Pin::new_unchecked(self.chunks.entry(number as usize).0.as_mut()) }
    }

    #[inline(always)]
    fn with_waker<R>(self: Pin<&mut Self>, number: u32, _task: &Waker, f: impl FnOnce(Pin<&mut T>, &Waker) -> R) -> R {
        let (mut entry, data) = self.chunks.entry(number as usize);
        // SAFETY: the data is as in B6, by way of B1. The functions of the table do what wakers should: they touch atomics
        // only, and a clone has a share. This one has none, and is gone when we return, until when the heap is borrowed.
        let waker = unsafe { ManuallyDrop::new(Waker::new(data, &VTABLE)) };
        // SAFETY: as in `get_pin`.
        f(unsafe { Pin::new_unchecked(entry.as_mut()) }, &waker)
    }

    #[inline(always)]
    fn next_woken(self: Pin<&mut Self>) -> Option<u32> {
        let Self { chunks, round } = self.get_mut();
        if round.is_over() {
            round.find(chunks.root.hub()?, chunks);
        }
        round.next().map(|number| number as u32)
    }

    #[inline]
    fn is_quiet(&self) -> bool {
        self.chunks.root.hub().is_none_or(|hub| self.round.is_quiet(hub))
    }

    #[inline]
    fn sleep(self: Pin<&mut Self>, task: &Waker) -> bool {
        // Without entries there is nobody to wake anybody.
        let Self { chunks, round } = self.get_mut();
        chunks.root.hub().is_none_or(|hub| round.sleep(hub, task))
    }
}

impl<T> fmt::Debug for Heap<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Heap").field("blocks", &self.chunks.count).finish_non_exhaustive()
    }
}

impl<T> Drop for Heap<T> {
    fn drop(&mut self) {
        if let Some(hub) = self.chunks.root.hub() {
            drop(hub.take_task());
        }
    }
}
