//! Slabs: pages cut into slots of one size, and which of the slots are taken. Bookkeeping only; nothing here touches the slots.

use std::{
    collections::{BTreeMap, BTreeSet},
    ptr::NonNull,
};

use super::Pages;

/// The slabs of one slot size.
pub(super) struct Class {
    pub(super) slabs: BTreeMap<SlabKey, Slab>,
    /// Those of `slabs` that have a free slot.
    pub(super) room: BTreeSet<SlabKey>,
    /// The one of `slabs` that is kept although it is empty, so that a lone region does not map and unmap each time.
    pub(super) spare: Option<SlabKey>,
}

impl Class {
    pub(super) const fn new() -> Self {
        Self {
            slabs: BTreeMap::new(),
            room: BTreeSet::new(),
            spare: None,
        }
    }

    /// Whether no slab has a free slot.
    pub(super) fn is_full(&self) -> bool {
        self.room.is_empty()
    }

    /// Adds an empty slab on `pages`. Its first slot is to be taken at once.
    pub(super) fn add(&mut self, pages: Pages, slot: usize) {
        let key = SlabKey {
            unlocked: pages.refusal.is_some(),
            address: pages.start.addr().get(),
        };
        let slots = pages.len / slot;
        self.slabs.insert(key, Slab::new(pages, slots));
        self.room.insert(key);
    }

    /// Takes a slot from the first slab with room, a locked one if there is any.
    #[expect(
        clippy::expect_used,
        reason = "the caller saw to it that there is room, and `room` names slabs with a free slot only"
    )]
    pub(super) fn take(&mut self, slot: usize) -> (SlabKey, NonNull<u8>) {
        let key = *self.room.first().expect("a slab has room");
        let slab = self.slabs.get_mut(&key).expect("room names slabs");
        let index = slab.take().expect("the slab has room");
        if slab.used == slab.slots {
            self.room.remove(&key);
        }
        if self.spare == Some(key) {
            self.spare = None;
        }
        let start = slab
            .pages
            .start
            .map_addr(|address| address.saturating_add(index * slot));
        (key, start)
    }

    /// Frees the slot at `start`. Returns the pages of a slab that is not needed any more.
    #[expect(
        clippy::expect_used,
        reason = "a slab lives as long as one of its slots is taken"
    )]
    pub(super) fn give_back(
        &mut self,
        key: SlabKey,
        start: NonNull<u8>,
        slot: usize,
    ) -> Option<Pages> {
        let slab = self
            .slabs
            .get_mut(&key)
            .expect("the slab of a taken slot is there");
        slab.free((start.addr().get() - key.address) / slot);
        self.room.insert(key);
        if slab.used > 0 {
            return None;
        }
        let Some(spare) = self.spare else {
            self.spare = Some(key);
            return None;
        };
        // The order of keys makes the locked one of the two the spare.
        self.spare = Some(spare.min(key));
        let surplus = spare.max(key);
        self.room.remove(&surplus);
        self.slabs.remove(&surplus).map(|slab| slab.pages)
    }
}

/// Pages cut into slots of one size.
pub(super) struct Slab {
    pages: Pages,
    /// One bit for each slot: whether it is taken.
    taken: Vec<u64>,
    slots: usize,
    used: usize,
}

impl Slab {
    fn new(pages: Pages, slots: usize) -> Self {
        Self {
            pages,
            taken: vec![0; slots.div_ceil(64)],
            slots,
            used: 0,
        }
    }

    /// Takes the first free slot.
    fn take(&mut self) -> Option<usize> {
        let (i, word) = self
            .taken
            .iter_mut()
            .enumerate()
            .find(|(_, word)| **word != u64::MAX)?;
        let bit = word.trailing_ones();
        let index = i * 64 + bit as usize;
        if index >= self.slots {
            return None;
        }
        *word |= 1 << bit;
        self.used += 1;
        Some(index)
    }

    fn free(&mut self, index: usize) {
        if let Some(word) = self.taken.get_mut(index / 64) {
            *word &= !(1 << (index % 64));
            self.used -= 1;
        }
    }
}

/// Names a slab and orders slabs: locked ones first, then by address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SlabKey {
    pub(super) unlocked: bool,
    address: usize,
}
