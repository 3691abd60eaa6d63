//! [`Disk`]: a file system in a file, whose power can be cut.
//!
//! Cutting means that ext4 is told to shut down as it is (`EXT4_IOC_SHUTDOWN`, include/uapi/linux/ext4.h): from then on nothing is
//! written, and what was only in memory is gone with the mount. Mounted again, the file system is what a power failure would have left.
//! It is a stricter test than a real failure in that its journal is never written by itself (`commit=`), and a weaker one in that the drive
//! below keeps all that it was given: whether a flush reaches the medium is the file system's promise, not ours.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use crate::keystore::child;
use crate::support::need::{all_met, works};

/// Says `ready`, and at the next line cuts the power. Perl is on every Debian, and makes a system call that safe Rust cannot make.
/// 0x8004587d is `_IOR('X', 125, __u32)`; 2 is `EXT4_GOING_FLAGS_NOLOGFLUSH`: not even the journal in memory is written.
const CUT: &str = r#"
$| = 1;
open(my $disk, "<", $ARGV[0]) or die "open: $!";
my $how = pack("L", 2);
print "ready\n";
exit unless <STDIN>;
ioctl($disk, 0x8004587d, $how) or die "ioctl: $!";
print "cut\n";
"#;

/// A mounted file system. Only inside of [`place`]: the mount ends with the process.
pub(crate) struct Disk {
    image: PathBuf,
    mount: PathBuf,
}

/// In a process with mounts of its own, where to work. Elsewhere runs `test` again in such a process and returns nothing; it
/// must then return, too.
pub(crate) fn place(test: &str) -> Option<PathBuf> {
    let place = child::place();
    if place.is_none() {
        let tool = |program| works(program, &["-V"]);
        let needs = [
            ("root", child::is_root()),
            ("the right to mount", works("unshare", &["--mount", "true"])),
            ("loop devices", Path::new("/dev/loop-control").exists()),
            ("mkfs.ext4 (e2fsprogs)", tool("mkfs.ext4")),
            ("e2fsck (e2fsprogs)", tool("e2fsck")),
            ("mount", tool("mount")),
            ("perl", works("perl", &["-e", "1"])),
            ("strace", works("strace", &["-o", "/dev/null", "true"])),
        ];
        if all_met(&needs) {
            let place = tempfile::tempdir().unwrap();
            child::run_mounted(test, place.path(), ":");
        }
    }
    place
}

/// Whether a test may mount something for itself. If not, says so.
pub(crate) fn is_mountable() -> bool {
    let flags: &[&str] = if child::is_root() {
        &["--mount", "true"]
    } else {
        &["--mount", "--map-root-user", "true"]
    };
    all_met(&[
        ("the right to mount", works("unshare", flags)),
        ("mount", works("mount", &["-V"])),
    ])
}

impl Disk {
    /// Makes an empty file system in `place`, instead of one that was there, and mounts it.
    pub(crate) fn new(place: &Path) -> Self {
        let disk = Self {
            image: place.join("image"),
            mount: place.join("mount"),
        };
        if disk.mount.exists() {
            run(Command::new("umount").arg(&disk.mount), &[0]);
        } else {
            std::fs::create_dir(&disk.mount).unwrap();
        }
        let image = File::create(&disk.image).unwrap();
        image.set_len(64 << 20).unwrap();
        // All at once, so that no thread of the kernel goes on writing in the background.
        let options = ["-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0"];
        run(
            Command::new("mkfs.ext4").args(options).arg(&disk.image),
            &[0],
        );
        disk.mount();
        disk
    }

    /// A directory on it.
    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.mount.join(name)
    }

    fn mount(&self) {
        // Written to the disk is what is flushed, or waits for ten minutes.
        let mut command = Command::new("mount");
        command.args(["-t", "ext4", "-o", "loop,commit=600"]);
        run(command.arg(&self.image).arg(&self.mount), &[0]);
    }

    /// Gets everything ready for cutting the power at once.
    pub(crate) fn switch(&self) -> Switch {
        let mut child = Command::new("perl")
            .args(["-e", CUT])
            .arg(&self.mount)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut says = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        says.read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        Switch { child, says }
    }

    /// Brings it up after a power failure: nobody may use it any more.
    pub(crate) fn restart(&self) {
        run(Command::new("umount").arg(&self.mount), &[0]);
        // 1: it found something to repair, as after any power failure, and did.
        run(
            Command::new("e2fsck").args(["-f", "-p"]).arg(&self.image),
            &[0, 1],
        );
        self.mount();
    }
}

/// Cuts the power of a [`Disk`].
pub(crate) struct Switch {
    child: Child,
    says: BufReader<std::process::ChildStdout>,
}

impl Switch {
    /// Cuts it.
    pub(crate) fn cut(mut self) {
        self.child.stdin.take().unwrap().write_all(b"\n").unwrap();
        let mut line = String::new();
        self.says.read_line(&mut line).unwrap();
        assert_eq!(line, "cut\n");
        assert!(self.child.wait().unwrap().success());
    }
}

/// Runs a command that must end with one of these codes.
fn run(command: &mut Command, good: &[i32]) {
    let output = command.output().unwrap();
    assert!(
        output
            .status
            .code()
            .is_some_and(|code| good.contains(&code)),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
}
