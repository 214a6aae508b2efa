//! The one allocation of a stream: the words that its wakers write to, and the slots of its futures.
//!
//! ```text
//!            Header                    Block 0          Block 1              entries
//!   ┌──────────────────────────────┬────────────────┬────────────────┬───┬─────────┬─────────┬───┐
//!   │ refs  root  layout  hub      │ word flag back │ word flag back │ … │ entry 0 │ entry 1 │ … │
//!   └──────────────────────────────┴────────────────┴────────────────┴───┴─────────┴─────────┴───┘
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
//! share the hub of the first, which they keep alive by a count.
//!
//! # Invariants
//!
//! * **B1** Every pointer here comes from the pointer that the allocator gave, by offsets, and never through a reference to
//!   a part. So it may be used for all of the allocation, and from a waker's data there is a way back to the header.
//! * **B2** `refs` is one for the [`Chunk`], one for each waker clone, and one for each further chunk whose `root` this is.
//!   The allocation lives while it is not zero.
//! * **B3** `root`, `layout`, `flag` and `back` are written once, before anybody else knows of the allocation. All else in
//!   header and blocks is atomic. So shared references are all that is ever made of them.
//! * **B4** Entries `0..len` are initialised, belong to the chunk alone, and stay where they are until it is dropped, which
//!   drops them in place. No waker touches them.
//! * **B5** A waker's data is the address of a block plus a number below [`BITS`], which is within that block.

use alloc::alloc::{alloc, dealloc, handle_alloc_error};
use alloc::vec::Vec;
use core::alloc::Layout;
use core::fmt;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::pin::Pin;
use core::ptr::{self, NonNull};
use core::task::{RawWaker, RawWakerVTable, Waker};

use super::ready::{BITS, Hub, Round, Word, Words};
use super::slots::{Bed, Plan};
use crate::sync::{AtomicUsize, Ordering};

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
    /// How many blocks come before this one in its chunk.
    back: usize,
}

const _: () = assert!(align_of::<Block>() >= BITS && size_of::<Header>() % align_of::<Block>() == 0);

/// Room for a fixed number of entries, with their wakers.
struct Chunk<T> {
    header: NonNull<Header>,
    /// The first entry.
    entries: NonNull<T>,
    capacity: usize,
    blocks: usize,
    len: usize,
    /// Number of the first block, counted over all chunks.
    first: usize,
    _owns: PhantomData<T>,
}

/// Entries on the heap: a chunk, and further ones for those who need them.
pub struct Heap<T> {
    chunks: Chunks<T>,
    round: Round,
}

struct Chunks<T> {
    /// Made when the first entry comes.
    root: Option<Chunk<T>>,
    more: Vec<Chunk<T>>,
    /// Entries there is room for.
    capacity: usize,
}

// === wakers ===

/// A static, so that all wakers have the same address of it, which `will_wake` compares.
static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, release_waker);

/// # Safety
///
/// `data` is as in B5, and the allocation is alive.
#[inline]
unsafe fn locate(data: *const ()) -> (NonNull<Header>, NonNull<Block>, usize) {
    let bit = data.addr() % BITS;
    // SAFETY: B5 says that this is within the block, B1 that the pointer is good for all of the allocation, in which the
    // blocks follow the header. `back` does not change (B3).
    unsafe {
        let block = data.byte_sub(bit).cast::<Block>().cast_mut();
        let header = block.sub((*block).back).cast::<Header>().sub(1);
        (NonNull::new_unchecked(header), NonNull::new_unchecked(block), bit)
    }
}

unsafe fn clone(data: *const ()) -> RawWaker {
    // SAFETY: the waker that is cloned has a share in the allocation, or was lent by its owner (B2).
    unsafe { retain(locate(data).0) };
    RawWaker::new(data, &VTABLE)
}

unsafe fn wake(data: *const ()) {
    // SAFETY: the waker's own share goes last, also if the task's waker panics.
    unsafe {
        let _share = Share(locate(data).0);
        wake_by_ref(data);
    }
}

unsafe fn wake_by_ref(data: *const ()) {
    // SAFETY: alive as in `clone`. References to parts that are atomic or do not change (B3); the root is kept alive by a
    // chunk that is (B2).
    unsafe {
        let (header, block, bit) = locate(data);
        let block = block.as_ref();
        let hub = &(*header.as_ref().root.as_ptr()).hub;
        hub.wake(&block.word, 1 << bit, block.flag);
    }
}

unsafe fn release_waker(data: *const ()) {
    // SAFETY: the waker has a share, which this is the end of.
    drop(Share(unsafe { locate(data).0 }));
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
    fn drop(&mut self) {
        // SAFETY: this share keeps the allocation alive up to the decrement (B2); the last one is alone with it after that,
        // and no references to it are left. The layout is the one that it was made with.
        unsafe {
            // ORDERING: Release pairs with the Acquire of the last decrement, which thus comes after everybody's last use.
            if (*self.0.as_ptr()).refs.fetch_sub(1, Ordering::AcqRel) != 1 {
                return;
            }
            let (root, layout) = ((*self.0.as_ptr()).root, (*self.0.as_ptr()).layout);
            let _root = (root != self.0).then(|| Share(root));
            ptr::drop_in_place(&raw mut (*self.0.as_ptr()).hub);
            dealloc(self.0.as_ptr().cast(), layout);
        }
    }
}

// === impl Chunk ===

// SAFETY: a chunk owns its entries as a box would (B4); header and blocks are atomic or do not change (B3).
unsafe impl<T: Send> Send for Chunk<T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for Chunk<T> {}

impl<T> Chunk<T> {
    /// Allocates room for `capacity` entries, whose blocks are numbered from `first` on.
    fn new(capacity: usize, first: usize, root: Option<&Chunk<T>>) -> Self {
        let count = capacity.div_ceil(BITS);
        let (layout, entries_at) = layout::<T>(capacity, count).expect("room for the fan-out is beyond all memory");
        // SAFETY: the layout is not empty, for there is a header in it.
        let Some(base) = NonNull::new(unsafe { alloc(layout) }) else { handle_alloc_error(layout) };
        let header = base.cast::<Header>();
        let root = root.map_or(header, |root| {
            // SAFETY: the root chunk has a share. The one taken here is the new chunk's (B2).
            unsafe { retain(root.header) };
            root.header
        });
        // SAFETY: all of this is within the allocation and aligned, as the layout has it.
        let entries = unsafe {
            header.write(Header { refs: AtomicUsize::new(1), root, layout, hub: Hub::new() });
            let blocks = header.add(1).cast::<Block>();
            for back in 0..count {
                blocks.add(back).write(Block { word: Word::new(), flag: Hub::flag(first + back), back });
            }
            base.add(entries_at).cast::<T>()
        };
        Self { header, entries, capacity, blocks: count, len: 0, first, _owns: PhantomData }
    }

    fn hub(&self) -> &Hub {
        // SAFETY: the chunk's share keeps the allocation alive, which keeps the root alive (B2); atomics only (B3).
        unsafe { &(*(*self.header.as_ptr()).root.as_ptr()).hub }
    }

    /// How many blocks there are.
    #[inline]
    fn count(&self) -> usize {
        self.blocks
    }

    #[inline]
    fn word(&self, back: usize) -> &Word {
        assert!(back < self.count());
        // SAFETY: that many blocks follow the header (B1), the chunk's share keeps them alive (B2), an atomic (B3).
        unsafe { &(*self.header.add(1).cast::<Block>().add(back).as_ptr()).word }
    }

    fn push(&mut self, entry: T) -> usize {
        let at = self.len;
        assert!(at < self.capacity);
        // SAFETY: within the allocation, and not initialised (B4).
        unsafe { self.entries.add(at).write(entry) };
        self.len += 1;
        at
    }

    #[inline]
    fn get(&self, at: usize) -> &T {
        assert!(at < self.len);
        // SAFETY: initialised and ours (B4).
        unsafe { self.entries.add(at).as_ref() }
    }

    #[inline]
    fn get_pin(&mut self, at: usize) -> Pin<&mut T> {
        assert!(at < self.len);
        // SAFETY: initialised and ours; it stays there until it is dropped there (B4).
        unsafe { Pin::new_unchecked(self.entries.add(at).as_mut()) }
    }

    /// The entry and its waker, which has no share in the allocation.
    #[inline]
    fn with_waker<R>(&mut self, at: usize, f: impl FnOnce(Pin<&mut T>, &Waker) -> R) -> R {
        assert!(at < self.len);
        // SAFETY: there is an entry `at`, so there is a block for it, and the data is as in B5, by way of B1. The functions
        // of the table do what wakers should: they touch atomics only, and a clone has a share. The waker itself is gone
        // when this returns, until when the chunk is borrowed.
        let waker = unsafe {
            let block = self.header.add(1).cast::<Block>().add(at / BITS).as_ptr().cast_const();
            ManuallyDrop::new(Waker::new(block.byte_add(at % BITS).cast(), &VTABLE))
        };
        f(self.get_pin(at), &waker)
    }
}

impl<T> Drop for Chunk<T> {
    fn drop(&mut self) {
        let _share = Share(self.header);
        // SAFETY: initialised and ours, and not used after this (B4). One that panics does not keep the others from being
        // dropped, nor the share.
        unsafe { ptr::drop_in_place(ptr::slice_from_raw_parts_mut(self.entries.as_ptr(), self.len)) };
    }
}

/// The layout of a chunk, and where its entries begin.
fn layout<T>(capacity: usize, blocks: usize) -> Option<(Layout, usize)> {
    let (layout, blocks_at) = Layout::new::<Header>().extend(Layout::array::<Block>(blocks).ok()?).ok()?;
    debug_assert_eq!(blocks_at, size_of::<Header>());
    let (layout, entries_at) = layout.extend(Layout::array::<T>(capacity).ok()?).ok()?;
    Some((layout.pad_to_align(), entries_at))
}

// === impl Chunks ===

impl<T> Chunks<T> {
    /// The chunk that an entry is in, and where there.
    #[inline]
    fn find(&self, number: usize) -> (&Chunk<T>, usize) {
        let chunk = self.chunk(number / BITS);
        (chunk, number - chunk.first * BITS)
    }

    #[inline]
    fn find_mut(&mut self, number: usize) -> (&mut Chunk<T>, usize) {
        let root = self.root.as_mut().expect("a chunk to look into");
        let count = root.count();
        if number < count * BITS {
            return (root, number);
        }
        let chunk = &mut self.more[index_beyond(count, number / BITS)];
        let at = number - chunk.first * BITS;
        (chunk, at)
    }

    /// The chunk that the block with this number is in.
    #[inline]
    fn chunk(&self, number: usize) -> &Chunk<T> {
        let root = self.root.as_ref().expect("a chunk to look into");
        let count = root.count();
        if number < count { root } else { &self.more[index_beyond(count, number)] }
    }

    #[cold]
    fn grow(&mut self, plan: Plan) {
        let Some(root) = &self.root else {
            let first = plan.first.max(1);
            self.root = Some(Chunk::new(first, 0, None));
            self.capacity = first;
            return;
        };
        let last = self.more.last().unwrap_or(root);
        let first = last.first + last.count();
        let size = (unit(root.count()) * BITS) << self.more.len();
        // Only the last of all may be shorter, or `index` would be wrong.
        assert!(plan.most > self.capacity, "more entries than were planned");
        let size = size.min(plan.most - self.capacity);
        let chunk = Chunk::new(size, first, Some(root));
        self.more.push(chunk);
        self.capacity += size;
    }
}

/// Blocks of the second chunk, given those of the root. Each further chunk has twice as many as the one before.
fn unit(root: usize) -> usize {
    root.next_power_of_two()
}

/// Which chunk after the root has the block with this number, given the number of blocks in the root.
fn index_beyond(root: usize, number: usize) -> usize {
    // Before chunk `k` there are `unit * (2^k - 1)` blocks.
    ((number - root) / unit(root) + 1).ilog2() as usize
}

impl<T> Words for Chunks<T> {
    #[inline]
    fn count(&self) -> usize {
        match (&self.root, self.more.last()) {
            (_, Some(last)) => last.first + last.count(),
            (Some(root), None) => root.count(),
            (None, None) => 0,
        }
    }

    #[inline]
    fn word(&self, number: usize) -> &Word {
        let chunk = self.chunk(number);
        chunk.word(number - chunk.first)
    }
}

// === impl Heap ===

/// The entries are not where the heap is, so they do not care if it moves.
impl<T> Unpin for Heap<T> {}

impl<T> Heap<T> {
    pub fn new() -> Self {
        Self { chunks: Chunks { root: None, more: Vec::new(), capacity: 0 }, round: Round::new() }
    }
}

impl<T> Bed for Heap<T> {
    type Entry = T;

    fn push(self: Pin<&mut Self>, entry: T, plan: impl FnOnce() -> Plan) -> u32 {
        let chunks = &mut self.get_mut().chunks;
        let full = match &chunks.root {
            None => true,
            Some(root) => {
                let last = chunks.more.last().unwrap_or(root);
                last.len == last.capacity
            }
        };
        if full {
            chunks.grow(plan());
        }
        let last = chunks.more.last_mut().or(chunks.root.as_mut()).expect("a chunk that has room");
        (last.first * BITS + last.push(entry)) as u32
    }

    #[inline]
    fn get(&self, number: u32) -> &T {
        let (chunk, at) = self.chunks.find(number as usize);
        chunk.get(at)
    }

    #[inline]
    fn get_pin(self: Pin<&mut Self>, number: u32) -> Pin<&mut T> {
        let (chunk, at) = self.get_mut().chunks.find_mut(number as usize);
        chunk.get_pin(at)
    }

    #[inline]
    fn with_waker<R>(self: Pin<&mut Self>, number: u32, _task: &Waker, f: impl FnOnce(Pin<&mut T>, &Waker) -> R) -> R {
        let (chunk, at) = self.get_mut().chunks.find_mut(number as usize);
        chunk.with_waker(at, f)
    }

    #[inline]
    fn next_woken(self: Pin<&mut Self>) -> Option<u32> {
        let this = self.get_mut();
        let root = this.chunks.root.as_ref()?;
        this.round.next(root.hub(), &this.chunks).map(|number| number as u32)
    }

    #[inline]
    fn sleep(self: Pin<&mut Self>, task: &Waker) -> bool {
        // Without entries there is nobody to wake anybody.
        self.chunks.root.as_ref().is_none_or(|root| root.hub().sleep(task))
    }
}

impl<T> Drop for Heap<T> {
    fn drop(&mut self) {
        if let Some(root) = &self.chunks.root {
            root.hub().forget_task();
        }
    }
}

impl<T> fmt::Debug for Heap<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Heap").field("capacity", &self.chunks.capacity).finish_non_exhaustive()
    }
}
