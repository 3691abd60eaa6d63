//! Tests of the locked pages: what they promise is checked against the kernel's own account in `/proc/self`.

use std::{fs, process::Command, thread};

use super::*;

/// A pool of its own, so that its counts belong to one test.
fn pool(lock: Lock) -> &'static Pool {
    Box::leak(Box::new(Pool::new(lock)))
}

fn refuse(_: NonNull<u8>, _: usize) -> io::Result<()> {
    Err(io::ErrorKind::PermissionDenied.into())
}

/// A mapping of this process as `/proc/self/smaps` describes it.
struct Mapping {
    start: usize,
    end: usize,
    access: String,
    flags: Vec<String>,
}

fn mappings() -> Vec<Mapping> {
    let mut found: Vec<Mapping> = Vec::new();
    for line in fs::read_to_string("/proc/self/smaps").unwrap().lines() {
        let mut words = line.split_whitespace();
        let first = words.next().unwrap();
        if first == "VmFlags:" {
            found.last_mut().unwrap().flags = words.map(str::to_owned).collect();
        } else if let Some((start, end)) = first.split_once('-') {
            found.push(Mapping {
                start: usize::from_str_radix(start, 16).unwrap(),
                end: usize::from_str_radix(end, 16).unwrap(),
                access: words.next().unwrap().to_owned(),
                flags: Vec::new(),
            });
        }
    }
    found
}

fn mapping_at(address: usize) -> Mapping {
    mappings()
        .into_iter()
        .find(|m| m.start <= address && address < m.end)
        .expect("the address is mapped")
}

#[test]
fn regions_of_any_size_are_zeroed_aligned_and_apart() {
    let pool = pool(lock);
    let sizes = [
        0,
        1,
        15,
        16,
        32,
        63,
        64,
        65,
        255,
        256,
        257,
        1024,
        1025,
        4095,
        4096,
        4097,
        16_384,
        65_537,
        1 << 20,
    ];
    let mut regions: Vec<Region> = sizes.iter().map(|len| pool.region(*len)).collect();
    for (i, (region, len)) in regions.iter_mut().zip(sizes).enumerate() {
        assert_eq!(region.as_slice().len(), len);
        assert!(region.as_slice().iter().all(|b| *b == 0));
        assert_eq!(region.start.addr().get() % 16, 0);
        region.as_mut_slice().fill(u8::try_from(i + 1).unwrap());
    }
    for (i, region) in regions.iter().enumerate() {
        assert!(region.as_slice().iter().all(|b| usize::from(*b) == i + 1));
    }
    assert_eq!(pool.stats().regions, sizes.len() - 1);
}

#[test]
fn a_slot_is_zeroed_before_it_is_used_again() {
    let pool = pool(lock);
    for len in [32, 200, 1000, 4096] {
        let mut first = pool.region(len);
        first.as_mut_slice().fill(0xa5);
        let at = first.start;
        drop(first);
        let again = pool.region(len);
        assert_eq!(again.start, at, "the first free slot is taken");
        assert!(again.as_slice().iter().all(|b| *b == 0));
    }
}

#[test]
fn memory_is_returned_but_for_one_spare_slab_a_class() {
    let pool = pool(lock);
    let mut regions = Vec::new();
    for round in 0..3000 {
        regions.push(pool.region(32));
        regions.push(pool.region(32));
        regions.push(pool.region([100, 1000, 4000, 10_000][round % 4]));
    }
    let full = pool.stats();
    assert_eq!(full.regions, 9000);
    // Every second one first, so that slabs become empty in no simple order.
    let mut index = 0;
    regions.retain(|_| {
        index += 1;
        index % 2 == 0
    });
    assert_eq!(pool.stats().regions, 4500);
    drop(regions);
    let empty = pool.stats();
    assert_eq!(empty.regions, 0);
    let slab = SLAB.next_multiple_of(page_size());
    assert_eq!(
        empty.locked_bytes + empty.unlocked_bytes,
        SLOTS.len() * slab
    );
    for class in &pool.classes {
        let class = class.lock().unwrap();
        assert_eq!(class.slabs.len(), 1);
        assert_eq!(class.room.len(), 1);
        assert_eq!(class.room.first(), class.spare.as_ref());
    }
}

#[test]
fn three_thousand_keys_fit_well_into_the_usual_limit() {
    let pool = pool(lock);
    let regions: Vec<Region> = (0..6000).map(|_| pool.region(32)).collect();
    let stats = pool.stats();
    assert_eq!(stats.regions, regions.len());
    assert!(stats.locked_bytes + stats.unlocked_bytes < 512 << 10);
}

#[test]
fn pages_are_locked_undumpable_wiped_on_fork_and_guarded() {
    let pool = pool(lock);
    for len in [32, 200, 1000, 4096, 100_000] {
        let region = pool.region(len);
        let at = region.start.addr().get();
        let mapping = mapping_at(at);
        assert_eq!(mapping.access, "rw-p");
        let has = |flag: &str| mapping.flags.iter().any(|f| f == flag);
        assert!(has("dd"), "left out of core dumps: {:?}", mapping.flags);
        assert!(has("wf"), "wiped on fork: {:?}", mapping.flags);
        // Where the limit is low, tests that run at the same time may have used it up.
        let refused = match &region.home {
            Home::Nowhere => unreachable!("the region is not empty"),
            Home::Slot { key, .. } => key.unlocked,
            Home::Own { pages, .. } => pages.refusal.is_some(),
        };
        assert_eq!(has("lo"), !refused, "{:?}", mapping.flags);
        assert_eq!(mapping_at(mapping.start - 1).access, "---p");
        assert_eq!(mapping_at(mapping.end).access, "---p");
        assert!(at + len <= mapping.end);
    }
}

#[test]
fn what_cannot_be_locked_is_served_unlocked_and_wiped() {
    let pool = pool(refuse);
    let mut small = pool.region(32);
    let large = pool.region(100_000);
    small.as_mut_slice().fill(7);
    let at = small.start;
    let mapping = mapping_at(at.addr().get());
    let has = |flag: &str| mapping.flags.iter().any(|f| f == flag);
    assert!(has("dd") && !has("lo"), "{:?}", mapping.flags);
    assert_eq!(mapping_at(mapping.start - 1).access, "---p");
    let stats = pool.stats();
    assert_eq!((stats.locked_bytes, stats.regions), (0, 2));
    assert!(stats.unlocked_bytes >= 100_000 + SLAB);
    drop(small);
    let again = pool.region(32);
    assert_eq!(again.start, at);
    assert!(again.as_slice().iter().all(|b| *b == 0));
    drop((again, large));
    assert_eq!(pool.stats().regions, 0);
    let shortfall = pool.lockable().unwrap_err();
    assert!(shortfall.remedy().contains("CAP_IPC_LOCK"));
    assert!(shortfall.remedy().contains("LimitMEMLOCK"));
}

#[test]
fn a_locked_slab_is_preferred_to_an_unlocked_one() {
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    let pool = pool(|_, _| match CALLS.fetch_add(1, Ordering::Relaxed) {
        0 => Err(io::ErrorKind::PermissionDenied.into()),
        _ => Ok(()),
    });
    let slots = SLAB.next_multiple_of(page_size()) / 64;
    let unlocked: Vec<Region> = (0..slots).map(|_| pool.region(64)).collect();
    let locked = pool.region(64);
    drop(unlocked);
    // Both slabs have room now, the unlocked one much more.
    let next = pool.region(64);
    let distance = next.start.addr().get().abs_diff(locked.start.addr().get());
    assert_eq!(distance, 64);
}

#[test]
fn threads_never_see_the_bytes_of_others() {
    let pool = pool(lock);
    thread::scope(|scope| {
        for seed in 1_u8..=8 {
            scope.spawn(move || {
                let mut held: Vec<(Region, u8)> = Vec::new();
                let mut state = u32::from(seed).wrapping_mul(2_654_435_761);
                for round in 0..4000_u32 {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    let draw = (state >> 8) as usize;
                    if held.len() > 200 || (draw.is_multiple_of(3) && !held.is_empty()) {
                        let (region, fill) = held.swap_remove(draw % held.len());
                        assert!(region.as_slice().iter().all(|b| *b == fill));
                    } else {
                        let mut region = pool.region([32, 64, 200, 900, 4096, 6000][draw % 6]);
                        assert!(region.as_slice().iter().all(|b| *b == 0));
                        // No two threads share a pattern.
                        let fill = seed + u8::try_from(round % 31).unwrap() * 8;
                        region.as_mut_slice().fill(fill);
                        held.push((region, fill));
                    }
                }
            });
        }
    });
    assert_eq!(pool.stats().regions, 0);
}

#[test]
fn a_region_may_be_moved_to_another_thread_and_shared() {
    fn moves_and_shares<T: Send + Sync>() {}
    moves_and_shares::<Region>();
}

#[test]
fn hardening_turns_core_files_and_tracing_off() {
    let hardened = harden();
    hardened.core_files.as_ref().unwrap();
    hardened.tracing.as_ref().unwrap();
    assert_eq!(
        hardened.shortfalls().count(),
        usize::from(hardened.locking.is_err())
    );
    assert_eq!(hardened.locking.is_ok(), lockable().is_ok());
    let limits = fs::read_to_string("/proc/self/limits").unwrap();
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"))
        .unwrap();
    let words: Vec<&str> = core.split_whitespace().collect();
    assert_eq!(&words[4..6], ["0", "0"]);
}

/// What the child of the next test prints when it was served in spite of the limit.
const SERVED: &str = "served without locked memory";

#[test]
fn a_process_that_may_lock_nothing_is_served_all_the_same() {
    // Root may lock without limit as long as it has the capability, so the child is started without it.
    let limited = |script: &str| {
        let mut command = Command::new("setpriv");
        command.args([
            "--bounding-set=-ipc_lock",
            "--inh-caps=-ipc_lock",
            "sh",
            "-c",
            script,
        ]);
        command
    };
    let able = limited("ulimit -l 0").output();
    if !able.is_ok_and(|out| out.status.success()) {
        println!("skipped: setpriv and the right to drop capabilities are needed");
        return;
    }
    let output = limited(
        r#"ulimit -l 0 && exec "$0" --exact memory::tests::child_of_the_limited_process --ignored --nocapture"#,
    )
    .arg(std::env::current_exe().unwrap())
    .output()
    .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert!(said.contains(SERVED), "{said}");
}

#[test]
#[ignore = "run by `a_process_that_may_lock_nothing_is_served_all_the_same` under a limit of zero"]
fn child_of_the_limited_process() {
    let limits = fs::read_to_string("/proc/self/limits").unwrap();
    let limited = limits
        .lines()
        .any(|line| line.starts_with("Max locked memory") && line.contains(" 0 "));
    if !limited {
        println!("skipped: this process may lock memory");
        return;
    }
    lockable().unwrap_err();
    let mut region = Region::zeroed(32);
    region.as_mut_slice().fill(9);
    assert_eq!(region.as_slice(), [9; 32]);
    let stats = stats();
    assert_eq!((stats.locked_bytes, stats.regions), (0, 1));
    assert!(stats.unlocked_bytes > 0);
    println!("{SERVED}");
}
