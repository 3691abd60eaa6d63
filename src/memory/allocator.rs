//! [`Wiping`]: a heap that overwrites every block when it is given back.
//!
//! Keys and data keys pass through buffers that libraries own: records of TLS, bodies of HTTP, scratch of the JSON parser. None of
//! them wipes what it frees, and a freed block keeps its bytes until somebody else happens to need the room. As the allocator of the
//! whole program this ends that at one place (docs/decisions/0004 has the price, and what was considered instead).
//!
//! What it does not do: bytes that a library keeps *in use* are none of its business, nor are stacks and static memory.
#![expect(
    unsafe_code,
    reason = "the trait of allocators is an unsafe one: it deals in raw memory"
)]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    ptr, slice,
};

use zeroize::optimization_barrier;

/// An allocator that overwrites every block with zeroes before it goes back to `A`.
#[derive(Debug, Default)]
pub struct Wiping<A = System>(A);

impl Wiping {
    /// The system's heap, wiped.
    pub const fn new() -> Self {
        Self(System)
    }
}

// SAFETY: blocks come from `A` and return to it with the layout they were asked with; between the two they are the caller's alone.
//
// `realloc` is the trait's own: a new block, a copy, and the old block given back through `dealloc`. The system's `realloc` could
// move the bytes and free the old block, or cut off an end, without telling.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Wiping<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the promises of this very function.
        unsafe { self.0.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as for `alloc`.
        unsafe { self.0.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the block has as many bytes as its layout says, and is nobody's but ours until it is passed on.
        let wiped = unsafe {
            ptr::write_bytes(block, 0, layout.size());
            slice::from_raw_parts(block, layout.size())
        };
        // The compiler must take it that these bytes are read, or it would leave out writes to a block that is freed next.
        optimization_barrier(wiped);
        // SAFETY: the caller promises that the block came from `alloc` with this layout, and thus from `A`.
        unsafe { self.0.dealloc(block, layout) };
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Counts the blocks that come back, and the bytes in them that are not zero.
    #[derive(Default)]
    struct Inspector {
        blocks: AtomicUsize,
        dirty: AtomicUsize,
    }

    // SAFETY: everything is passed on to the system's allocator; blocks are looked at while they are still whole.
    unsafe impl GlobalAlloc for Inspector {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            // SAFETY: passed on. Zeroed, so that it may be looked at whatever the caller wrote.
            unsafe { System.alloc_zeroed(layout) }
        }

        unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
            // SAFETY: initialised by `alloc`, and not freed yet.
            let bytes = unsafe { slice::from_raw_parts(block, layout.size()) };
            let dirty = bytes.iter().filter(|byte| **byte != 0).count();
            self.blocks.fetch_add(1, Ordering::Relaxed);
            self.dirty.fetch_add(dirty, Ordering::Relaxed);
            // SAFETY: passed on.
            unsafe { System.dealloc(block, layout) };
        }
    }

    #[test]
    fn a_block_is_wiped_when_it_is_freed_and_when_it_moves() {
        let heap = Wiping(Inspector::default());
        let layout = Layout::from_size_align(1000, 16).unwrap();
        // SAFETY: a block is asked for, filled, resized and freed with the layout that it has.
        let kept = unsafe {
            let block = heap.alloc(layout);
            ptr::write_bytes(block, 7, 1000);
            let block = heap.realloc(block, layout, 3000);
            let larger = Layout::from_size_align(3000, 16).unwrap();
            let block = heap.realloc(block, larger, 500);
            let kept = slice::from_raw_parts(block, 500).iter().all(|b| *b == 7);
            heap.dealloc(block, Layout::from_size_align(500, 16).unwrap());
            kept
        };
        assert!(kept);
        assert_eq!(heap.0.blocks.into_inner(), 3);
        assert_eq!(heap.0.dirty.into_inner(), 0);
    }
}
