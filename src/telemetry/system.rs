//! [`System`]: what the machine and the process look like from outside (api.md 7.3, 11.2).
//!
//! There are no statistics of the allocator behind these figures: they are what the kernel tells about the process, so the price
//! of a request does not depend on them. Clients take a zero for a broken server; no figure is ever zero.

use std::{fs, num::NonZero, thread, time::Duration};

/// The size by which resident memory is counted as objects: the kernel's usual page.
const PAGE: u64 = 4096;

/// Figures of one moment. All are at least 1, except the up time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct System {
    /// Since the server started.
    pub uptime: Duration,
    /// Logical CPUs of the machine that are online.
    pub num_cpu: u64,
    /// CPUs that the process may use: affinity and control groups are taken off.
    pub num_cpu_used: u64,
    /// Threads of the process.
    pub threads: u64,
    /// Bytes of anonymous resident memory: heap, locked pages and stacks, without the program itself.
    pub mem_heap: u64,
    /// An estimate of live heap objects, which nobody counts: one for each page of `mem_heap`.
    pub heap_objects: u64,
    /// An estimate of the stacks in bytes: each thread's is taken to be as deep as the main thread's.
    pub mem_stack: u64,
}

impl System {
    /// The figures of now, for a server that has been up for `uptime`. Reads a handful of small kernel files.
    pub fn read(uptime: Duration) -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let num_cpu_used = thread::available_parallelism().map_or(1, NonZero::get) as u64;
        let num_cpu = fs::read_to_string("/sys/devices/system/cpu/online")
            .ok()
            .and_then(|list| count_cpus(list.trim()))
            .unwrap_or(num_cpu_used);
        Self::new(uptime, num_cpu, num_cpu_used, &status)
    }

    /// From the text of `/proc/self/status`, which is empty where there is none.
    fn new(uptime: Duration, num_cpu: u64, num_cpu_used: u64, status: &str) -> Self {
        // Older and emulated kernels do not tell anonymous memory apart.
        let mem_heap = bytes(status, "RssAnon").or_else(|| bytes(status, "VmRSS"));
        let mem_heap = mem_heap.unwrap_or(0).max(1);
        let threads = field(status, "Threads").unwrap_or(0).max(1);
        let stack = bytes(status, "VmStk").unwrap_or(0).max(1);
        Self {
            uptime,
            num_cpu: num_cpu.max(1),
            num_cpu_used: num_cpu_used.max(1),
            threads,
            mem_heap,
            heap_objects: (mem_heap / PAGE).max(1),
            mem_stack: stack.saturating_mul(threads),
        }
    }
}

/// The operating system, as Go names it: `linux`, `darwin`.
pub fn os() -> &'static str {
    go_os(std::env::consts::OS)
}

/// The processor, as Go names it: `amd64`, `arm64`.
pub fn arch() -> &'static str {
    go_arch(std::env::consts::ARCH, cfg!(target_endian = "little"))
}

fn go_os(os: &'static str) -> &'static str {
    match os {
        "macos" => "darwin",
        same => same,
    }
}

fn go_arch(arch: &'static str, little_endian: bool) -> &'static str {
    match (arch, little_endian) {
        ("x86_64", _) => "amd64",
        ("x86", _) => "386",
        ("aarch64", _) => "arm64",
        ("powerpc64", true) => "ppc64le",
        ("powerpc64", false) => "ppc64",
        ("loongarch64", _) => "loong64",
        ("mips64", true) => "mips64le",
        (same, _) => same,
    }
}

/// The number behind `name:`.
fn field(status: &str, name: &str) -> Option<u64> {
    status
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .and_then(|value| value.split_whitespace().next()?.parse().ok())
}

/// The number behind `name:` in bytes; the kernel gives it in KiB and writes `kB`.
fn bytes(status: &str, name: &str) -> Option<u64> {
    field(status, name)?.checked_mul(1024)
}

/// How many CPUs a list such as `0-3,6` names.
fn count_cpus(ranges: &str) -> Option<u64> {
    ranges.split(',').try_fold(0_u64, |sum, range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last) = (first.parse::<u64>().ok()?, last.parse::<u64>().ok()?);
        sum.checked_add(last.checked_sub(first)?.checked_add(1)?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str = "Name:\tkes\nVmPeak:\t  300000 kB\nVmStk:\t     132 kB\nVmRSS:\t   14000 kB\n\
                          RssAnon:\t    6000 kB\nThreads:\t7\n";

    #[test]
    fn the_figures_come_from_the_kernel() {
        assert_eq!(
            System::new(Duration::from_secs(5), 8, 4, STATUS),
            System {
                uptime: Duration::from_secs(5),
                num_cpu: 8,
                num_cpu_used: 4,
                threads: 7,
                mem_heap: 6_144_000,
                heap_objects: 1500,
                mem_stack: 946_176,
            }
        );
    }

    #[test]
    fn without_anonymous_memory_all_resident_memory_counts() {
        let status = STATUS.replace("RssAnon", "Other");
        assert_eq!(
            System::new(Duration::ZERO, 1, 1, &status).mem_heap,
            14_336_000
        );
    }

    #[test]
    fn no_figure_is_zero_where_the_kernel_tells_nothing() {
        let system = System::new(Duration::ZERO, 0, 0, "");
        let figures = [
            system.num_cpu,
            system.num_cpu_used,
            system.threads,
            system.mem_heap,
            system.heap_objects,
            system.mem_stack,
        ];
        assert!(figures.iter().all(|&figure| figure > 0), "{system:?}");
    }

    #[test]
    fn cpus_are_counted_from_their_list() {
        for (list, count) in [("0", 1), ("0-7", 8), ("0-3,6,8-9", 7)] {
            assert_eq!(count_cpus(list), Some(count), "{list}");
        }
        for bad in ["", "x", "3-1", "0-", "0-18446744073709551615"] {
            assert_eq!(count_cpus(bad), None, "{bad}");
        }
    }

    #[test]
    fn systems_and_processors_have_go_names() {
        assert_eq!(go_os("macos"), "darwin");
        assert_eq!(go_os("linux"), "linux");
        for (arch, name) in [
            ("x86_64", "amd64"),
            ("aarch64", "arm64"),
            ("powerpc64", "ppc64le"),
            ("s390x", "s390x"),
            ("riscv64", "riscv64"),
        ] {
            assert_eq!(go_arch(arch, true), name);
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_has_threads_memory_and_cpus() {
        let system = System::read(Duration::ZERO);
        assert!(system.threads >= 2, "the test and the harness: {system:?}");
        assert!(system.mem_heap >= 64 * 1024, "{system:?}");
        assert!(system.mem_stack >= system.threads * 4096, "{system:?}");
        assert!(system.num_cpu >= system.num_cpu_used, "{system:?}");
    }
}
