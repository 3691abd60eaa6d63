//! Locked pages for secrets, and a heap that wipes what is freed. Only this file and those under `memory/` may hold `unsafe` code.
//!
//! A [`Region`] is a run of bytes for key material. Small regions are packed into slabs, one size class to a slab; larger ones have
//! pages of their own. Either way the pages
//! - are locked into memory, so that they never reach a swap device;
//! - are left out of core dumps and come up empty in a forked child;
//! - lie between two inaccessible guard pages;
//! - hand out zeroes, and are wiped before they are used again or given back to the system.
//!
//! How much may be locked is limited (`RLIMIT_MEMLOCK`, often 8 MiB), so pages that cannot be locked are served unlocked, with all
//! the other promises kept; [`stats`] shows both counts, [`lockable`] tells beforehand. 3,000 keys of two regions need less than
//! half a MiB.
//!
//! What it does not do: nothing here guards against who may read this process's memory (root, a debugger before [`harden`]),
//! against hibernation, or copies that code makes on its stack.
//!
//! When the system has no memory left, [`Region::zeroed`] says so on standard error and aborts, as the global allocator does.
#![expect(
    unsafe_code,
    reason = "locked and guarded pages are made by system calls and reached through raw pointers"
)]

use std::{
    io::{self, Write},
    process,
    ptr::{self, NonNull},
    slice,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use zeroize::Zeroize;

use self::slab::{Class, SlabKey};

mod allocator;
mod slab;

pub use self::allocator::Wiping;

/// The sizes of slots, in bytes: keys, stored records, longer ones, pages. Multiples of 16, for the alignment that is promised.
const SLOTS: [usize; 4] = [64, 256, 1024, 4096];

/// Usable bytes of a slab, rounded up to whole pages.
const SLAB: usize = 16 << 10;

/// Where all regions of the process come from.
static POOL: Pool = Pool::new(lock);

/// A run of bytes for key material, aligned to at least 16 bytes, wiped when dropped.
pub struct Region {
    start: NonNull<u8>,
    len: usize,
    home: Home,
}

/// What a region must give back.
enum Home {
    /// Nothing: the region is empty.
    Nowhere,
    /// A slot of the slab `key` among the slots of size `SLOTS[class]`.
    Slot {
        pool: &'static Pool,
        class: usize,
        key: SlabKey,
    },
    /// Pages of its own.
    Own { pool: &'static Pool, pages: Pages },
}

// SAFETY: a region owns its bytes alone, as a `Box<[u8]>` does; its home is reached through locks and atomics only.
unsafe impl Send for Region {}
// SAFETY: a shared region gives out shared slices only.
unsafe impl Sync for Region {}

impl Region {
    /// A zeroed region of `len` bytes. Aborts the process if the system has no memory left.
    pub fn zeroed(len: usize) -> Self {
        POOL.region(len)
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: `start` points to `len` initialised bytes that belong to this region until it is dropped.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }

    /// The bytes, to be filled.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: as in `as_slice`; `&mut self` makes the borrow the only one.
        unsafe { slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // Bytes past `len` were never reachable, so these are all that can be other than zero.
        self.as_mut_slice().zeroize();
        match std::mem::replace(&mut self.home, Home::Nowhere) {
            Home::Nowhere => {}
            Home::Slot { pool, class, key } => {
                pool.give_back(class, key, self.start);
                pool.regions.fetch_sub(1, Ordering::Relaxed);
            }
            Home::Own { pool, pages } => {
                pool.unmap(pages);
                pool.regions.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }
}

/// How much memory is held for secrets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Bytes of pages that are locked.
    pub locked_bytes: usize,
    /// Bytes of pages that could not be locked.
    pub unlocked_bytes: usize,
    /// Regions in use that hold at least one byte.
    pub regions: usize,
}

/// How much memory this process holds for secrets. The counts are read one after the other, not at one instant.
pub fn stats() -> Stats {
    POOL.stats()
}

/// Something [`harden`] or [`lockable`] could not have from the system.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct Shortfall {
    what: &'static str,
    remedy: &'static str,
    source: io::Error,
}

impl Shortfall {
    /// What the operator can do about it.
    pub fn remedy(&self) -> &'static str {
        self.remedy
    }
}

/// What [`harden`] achieved.
#[derive(Debug)]
pub struct Hardened {
    /// The process leaves no core file.
    pub core_files: Result<(), Shortfall>,
    /// The process cannot be dumped, nor traced by others of the same user.
    pub tracing: Result<(), Shortfall>,
    /// Pages for keys can be locked into memory (the banner's `MLock enabled`, config.md 13 and 15).
    pub locking: Result<(), Shortfall>,
}

impl Hardened {
    /// What could not be had, each to be warned of.
    pub fn shortfalls(&self) -> impl Iterator<Item = &Shortfall> {
        [&self.core_files, &self.tracing, &self.locking]
            .into_iter()
            .filter_map(|outcome| outcome.as_ref().err())
    }
}

/// Makes the process reveal less of its memory; to be called once, at start. Goes on after what it cannot have.
pub fn harden() -> Hardened {
    Hardened {
        core_files: no_core_files().map_err(|source| Shortfall {
            what: "core files cannot be turned off: a crash may write keys to disk",
            remedy: "start the process with a core limit of zero (systemd: LimitCORE=0)",
            source,
        }),
        tracing: no_tracing().map_err(|source| Shortfall {
            what: "the process cannot be made undumpable: other processes of the same user may read keys",
            remedy: "run the process as a user of its own",
            source,
        }),
        locking: lockable(),
    }
}

/// Whether a first slab could be locked into memory right now.
pub fn lockable() -> Result<(), Shortfall> {
    POOL.lockable()
}

/// Locks whole pages into memory, or says why not.
type Lock = fn(NonNull<u8>, usize) -> io::Result<()>;

/// Slabs of all classes, and the counts over them and over pages of single regions.
struct Pool {
    lock: Lock,
    classes: [Mutex<Class>; SLOTS.len()],
    locked: AtomicUsize,
    unlocked: AtomicUsize,
    regions: AtomicUsize,
}

impl Pool {
    const fn new(lock: Lock) -> Self {
        Self {
            lock,
            classes: [const { Mutex::new(Class::new()) }; SLOTS.len()],
            locked: AtomicUsize::new(0),
            unlocked: AtomicUsize::new(0),
            regions: AtomicUsize::new(0),
        }
    }

    fn region(&'static self, len: usize) -> Region {
        if len == 0 {
            return Region {
                start: NonNull::<u128>::dangling().cast(),
                len,
                home: Home::Nowhere,
            };
        }
        let (start, home) = self.place(len).unwrap_or_else(|err| exhausted(len, &err));
        self.regions.fetch_add(1, Ordering::Relaxed);
        Region { start, len, home }
    }

    fn place(&'static self, len: usize) -> io::Result<(NonNull<u8>, Home)> {
        let fitting = self
            .classes
            .iter()
            .zip(SLOTS)
            .enumerate()
            .find(|(_, (_, slot))| len <= *slot);
        let Some((class, (slabs, slot))) = fitting else {
            let pages = self.map(len)?;
            return Ok((pages.start, Home::Own { pool: self, pages }));
        };
        let mut slabs = slabs.lock().unwrap_or_else(PoisonError::into_inner);
        if slabs.is_full() {
            slabs.add(self.map(SLAB)?, slot);
        }
        let (key, start) = slabs.take(slot);
        let home = Home::Slot {
            pool: self,
            class,
            key,
        };
        Ok((start, home))
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "`place` numbered the class, and there are as many classes as slot sizes"
    )]
    fn give_back(&self, class: usize, key: SlabKey, start: NonNull<u8>) {
        let surplus = self.classes[class]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .give_back(key, start, SLOTS[class]);
        if let Some(pages) = surplus {
            self.unmap(pages);
        }
    }

    fn map(&self, len: usize) -> io::Result<Pages> {
        let pages = Pages::map(len, self.lock)?;
        self.count(&pages).fetch_add(pages.len, Ordering::Relaxed);
        Ok(pages)
    }

    fn unmap(&self, pages: Pages) {
        self.count(&pages).fetch_sub(pages.len, Ordering::Relaxed);
        drop(pages);
    }

    fn count(&self, pages: &Pages) -> &AtomicUsize {
        match pages.refusal {
            None => &self.locked,
            Some(_) => &self.unlocked,
        }
    }

    fn stats(&self) -> Stats {
        Stats {
            locked_bytes: self.locked.load(Ordering::Relaxed),
            unlocked_bytes: self.unlocked.load(Ordering::Relaxed),
            regions: self.regions.load(Ordering::Relaxed),
        }
    }

    fn lockable(&self) -> Result<(), Shortfall> {
        let probe = Pages::map(SLAB, self.lock).map(|mut pages| pages.refusal.take());
        match probe {
            Ok(None) => Ok(()),
            Ok(Some(source)) | Err(source) => Err(Shortfall {
                what: "memory for keys cannot be locked: keys may be written to swap",
                remedy: "grant CAP_IPC_LOCK or raise RLIMIT_MEMLOCK (systemd: AmbientCapabilities=CAP_IPC_LOCK or \
                         LimitMEMLOCK=64M; containers: --cap-add IPC_LOCK or --ulimit memlock=67108864)",
                source,
            }),
        }
    }
}

/// Whole pages between two guard pages, unmapped when dropped. Whoever wrote to them wipes them before.
struct Pages {
    start: NonNull<u8>,
    /// Usable bytes, a multiple of the page size.
    len: usize,
    /// Why the pages are not locked, if they are not.
    refusal: Option<io::Error>,
}

// SAFETY: pages are owned alone by the slab or region that holds them.
unsafe impl Send for Pages {}

impl Pages {
    /// Maps zeroed pages for at least `len` bytes and tries to lock them.
    fn map(len: usize, lock: Lock) -> io::Result<Self> {
        let page = page_size();
        let sizes = len
            .checked_next_multiple_of(page)
            .and_then(|len| Some((len, len.checked_add(2 * page)?)));
        let Some((len, total)) = sizes else {
            return Err(io::ErrorKind::OutOfMemory.into());
        };
        // SAFETY: a fresh private mapping at an address of the system's choice touches no memory that is in use.
        let all = unsafe {
            libc::mmap(
                ptr::null_mut(),
                total,
                libc::PROT_NONE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if all == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the mapping is longer than one page, so the sum stays inside it.
        let start = unsafe { all.byte_add(page) };
        // SAFETY: the `len` bytes from `start` are whole pages of the mapping just made, which nothing refers to yet.
        let opened = unsafe { libc::mprotect(start, len, libc::PROT_READ | libc::PROT_WRITE) };
        let (0, Some(start)) = (opened, NonNull::new(start.cast::<u8>())) else {
            let err = io::Error::last_os_error();
            // SAFETY: the mapping just made, of which no pointer leaves this function.
            unsafe { libc::munmap(all, total) };
            return Err(err);
        };
        for advice in ADVICE {
            // An old kernel that knows no such advice serves plain pages: better than none.
            // SAFETY: the advice concerns whole pages of the mapping just made, and leaves their contents as they are.
            unsafe { libc::madvise(start.as_ptr().cast(), len, *advice) };
        }
        let refusal = lock(start, len).err();
        Ok(Self {
            start,
            len,
            refusal,
        })
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        let page = page_size();
        // SAFETY: exactly the mapping that `map` made, guard pages included; its owner is gone, so nothing points into it.
        unsafe {
            libc::munmap(
                self.start.as_ptr().byte_sub(page).cast(),
                self.len + 2 * page,
            )
        };
    }
}

/// Left out of core dumps, and zeroes instead of secrets in a forked child.
#[cfg(target_os = "linux")]
const ADVICE: &[libc::c_int] = &[libc::MADV_DONTDUMP, libc::MADV_WIPEONFORK];
#[cfg(not(target_os = "linux"))]
const ADVICE: &[libc::c_int] = &[];

/// The system's lock. Locked pages are unlocked by being unmapped.
fn lock(start: NonNull<u8>, len: usize) -> io::Result<()> {
    // SAFETY: `mlock` changes where pages may lie, not what is in them; it fails on pages that are not mapped.
    match unsafe { libc::mlock(start.as_ptr().cast(), len) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The system's page size in bytes.
fn page_size() -> usize {
    static KNOWN: AtomicUsize = AtomicUsize::new(0);
    let known = KNOWN.load(Ordering::Relaxed);
    if known != 0 {
        return known;
    }
    // SAFETY: `sysconf` only reads a number of the system.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    let size = usize::try_from(size)
        .ok()
        .filter(|size| size.is_power_of_two())
        .unwrap_or(64 << 10);
    KNOWN.store(size, Ordering::Relaxed);
    size
}

fn no_core_files() -> io::Result<()> {
    let none = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the call reads the limit it is given and keeps no pointer to it.
    match unsafe { libc::setrlimit(libc::RLIMIT_CORE, &raw const none) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(target_os = "linux")]
fn no_tracing() -> io::Result<()> {
    // SAFETY: this option takes one number and touches no memory of ours.
    match unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(not(target_os = "linux"))]
fn no_tracing() -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Ends the process when there is no memory for a secret: nothing sensible can be answered, and unwinding would need memory too.
fn exhausted(len: usize, err: &io::Error) -> ! {
    // If standard error is gone as well there is nobody to tell.
    let _ = writeln!(
        io::stderr(),
        "Error: no memory for a secret of {len} bytes: {err}"
    );
    process::abort()
}

#[cfg(test)]
mod tests;
