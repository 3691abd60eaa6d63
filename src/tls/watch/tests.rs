//! Files that change in all the ways that files do.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use rcgen::{CertificateParams, KeyPair};
use tempfile::TempDir;

use super::*;

/// A certificate and its key, as PEM.
struct Pair {
    cert: String,
    key: String,
    serial: String,
}

impl Pair {
    fn new(serial: u8) -> Self {
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let mut params = CertificateParams::new(vec!["localhost".into()]).unwrap();
        params.serial_number = Some(vec![serial].into());
        Self {
            cert: params.self_signed(&key).unwrap().pem(),
            key: key.serialize_pem(),
            serial: format!("{serial:02X}"),
        }
    }

    fn write(&self, folder: &Path) {
        fs::write(folder.join("tls.crt"), &self.cert).unwrap();
        fs::write(folder.join("tls.key"), &self.key).unwrap();
    }
}

fn settings(folder: &Path) -> Settings {
    Settings {
        cert: folder.join("tls.crt"),
        key: folder.join("tls.key"),
        password: None,
        password_file: None,
        verify_clients: false,
        ca: None,
        optional: false,
    }
}

fn verifying(folder: &Path, ca: PathBuf) -> Settings {
    Settings {
        verify_clients: true,
        ca: Some(ca),
        ..settings(folder)
    }
}

fn start(settings: Settings) -> (Watch, Tls) {
    Watch::start(settings, Duration::ZERO).unwrap_or_else(|error| panic!("{error:?}"))
}

/// A folder with a pair in it, and a watch that has seen that nothing changes.
fn watched(first: &Pair) -> (TempDir, Watch) {
    let folder = tempfile::tempdir().unwrap();
    first.write(folder.path());
    let (mut watch, tls) = start(settings(folder.path()));
    assert_eq!(serial(&tls), first.serial);
    assert!(look(&mut watch).is_none());
    (folder, watch)
}

fn serial(tls: &Tls) -> &str {
    &tls.validity().unwrap().serial
}

fn look(watch: &mut Watch) -> Option<Result<Tls, Error>> {
    watch.look(EVERY)
}

fn new_serial(watch: &mut Watch) -> Option<String> {
    let tls = look(watch)?.unwrap_or_else(|error| panic!("{error:?}"));
    Some(serial(&tls).to_owned())
}

#[test]
fn files_that_are_written_to_are_taken_over_once() {
    let (folder, mut watch) = watched(&Pair::new(1));
    let second = Pair::new(2);
    second.write(folder.path());
    assert_eq!(new_serial(&mut watch), Some("02".into()));
    for _ in 0..3 {
        assert_eq!(new_serial(&mut watch), None);
    }
}

#[test]
fn files_that_are_renamed_into_place_are_noticed() {
    let (folder, mut watch) = watched(&Pair::new(1));
    let new = folder.path().join("new");
    fs::create_dir(&new).unwrap();
    Pair::new(2).write(&new);
    for file in ["tls.crt", "tls.key"] {
        fs::rename(new.join(file), folder.path().join(file)).unwrap();
    }
    assert_eq!(new_serial(&mut watch), Some("02".into()));
}

#[test]
fn a_directory_that_is_swapped_under_a_link_is_noticed() {
    // As Kubernetes mounts a secret: tls.crt -> ..data/tls.crt, ..data -> ..2024_01, and `..data` is replaced by a rename.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    for (version, serial) in [("..2024_01", 1), ("..2024_02", 2)] {
        fs::create_dir(path.join(version)).unwrap();
        Pair::new(serial).write(&path.join(version));
    }
    symlink("..2024_01", path.join("..data")).unwrap();
    for file in ["tls.crt", "tls.key"] {
        symlink(format!("..data/{file}"), path.join(file)).unwrap();
    }
    let (mut watch, tls) = start(settings(path));
    assert_eq!(serial(&tls), "01");
    assert!(look(&mut watch).is_none());
    symlink("..2024_02", path.join("..data_tmp")).unwrap();
    fs::rename(path.join("..data_tmp"), path.join("..data")).unwrap();
    fs::remove_dir_all(path.join("..2024_01")).unwrap();
    assert_eq!(new_serial(&mut watch), Some("02".into()));
    assert_eq!(new_serial(&mut watch), None);
}

#[test]
fn what_is_touched_but_the_same_is_not_news() {
    let first = Pair::new(1);
    let (folder, mut watch) = watched(&first);
    first.write(folder.path());
    for _ in 0..3 {
        assert!(look(&mut watch).is_none());
    }
}

#[test]
fn a_broken_file_is_told_once_and_a_mended_one_taken() {
    let (folder, mut watch) = watched(&Pair::new(1));
    let second = Pair::new(2);
    let half = &second.cert[..second.cert.len() / 2];
    fs::write(folder.path().join("tls.crt"), half).unwrap();
    let mut told = Vec::new();
    for _ in 0..5 {
        told.extend(look(&mut watch).map(|found| found.err().unwrap().to_string()));
    }
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("tls.crt"), "{told:?}");
    // Another fault is told again.
    fs::remove_file(folder.path().join("tls.crt")).unwrap();
    assert!(look(&mut watch).is_none());
    assert!(matches!(
        look(&mut watch),
        Some(Err(Error::Certificate { .. }))
    ));
    second.write(folder.path());
    assert_eq!(new_serial(&mut watch), Some("02".into()));
}

#[test]
fn a_pair_that_is_seen_half_replaced_is_not_told() {
    let (folder, mut watch) = watched(&Pair::new(1));
    let second = Pair::new(2);
    fs::write(folder.path().join("tls.crt"), &second.cert).unwrap();
    assert!(look(&mut watch).is_none());
    fs::write(folder.path().join("tls.key"), &second.key).unwrap();
    assert_eq!(new_serial(&mut watch), Some("02".into()));
    // One that stays is.
    fs::write(folder.path().join("tls.key"), Pair::new(3).key).unwrap();
    assert!(look(&mut watch).is_none());
    assert!(matches!(
        look(&mut watch),
        Some(Err(Error::Mismatch { .. }))
    ));
    assert!(look(&mut watch).is_none());
}

#[test]
fn what_goes_back_to_what_is_in_use_is_neither_news_nor_broken() {
    let first = Pair::new(1);
    let (folder, mut watch) = watched(&first);
    fs::write(folder.path().join("tls.crt"), "").unwrap();
    assert!(look(&mut watch).is_none());
    first.write(folder.path());
    assert!(look(&mut watch).is_none());
    assert!(look(&mut watch).is_none());
}

#[test]
fn a_change_within_one_tick_of_the_clock_is_noticed() {
    let (folder, mut watch) = watched(&Pair::new(1));
    Pair::new(2).write(folder.path());
    assert_eq!(new_serial(&mut watch), Some("02".into()));
    // Written at once, with the same size, and with the stamps of the write before.
    let third = Pair::new(3);
    third.write(folder.path());
    watch.stamps = Stamps::of(&watch.settings);
    assert_eq!(new_serial(&mut watch), Some("03".into()));
}

#[test]
fn everything_is_read_again_after_a_quarter_of_an_hour() {
    let (folder, mut watch) = watched(&Pair::new(1));
    Pair::new(2).write(folder.path());
    // A change that no stamp shows, and a look too early to care.
    watch.stamps = Stamps::of(&watch.settings);
    assert!(watch.look(SAFETY_NET / 2).is_none());
    let found = watch.look(SAFETY_NET).map(Result::unwrap);
    assert_eq!(serial(&found.unwrap()), "02");
    assert!(watch.look(SAFETY_NET * 2).is_none());
}

#[test]
fn files_of_a_directory_of_authorities_come_and_go() {
    let folder = tempfile::tempdir().unwrap();
    Pair::new(1).write(folder.path());
    let ca = folder.path().join("ca");
    let hidden = ca.join("..2024_01");
    fs::create_dir_all(&hidden).unwrap();
    fs::create_dir(ca.join("folder")).unwrap();
    fs::write(hidden.join("a.pem"), Pair::new(10).cert).unwrap();
    symlink("..2024_01", ca.join("..data")).unwrap();
    symlink("..data/a.pem", ca.join("a.pem")).unwrap();
    let (mut watch, first) = start(verifying(folder.path(), ca.clone()));
    let count = |tls: &Tls| tls.roots.as_ref().unwrap().len();
    assert!(look(&mut watch).is_none());

    fs::write(ca.join("b.pem"), Pair::new(11).cert).unwrap();
    let second = look(&mut watch).unwrap().unwrap();
    assert_eq!(count(&second), count(&first) + 1);
    assert!(!second.is_stricter_than(&first) && first.is_stricter_than(&second));
    assert!(look(&mut watch).is_none());

    fs::write(ca.join("c.pem"), "no certificate").unwrap();
    assert!(look(&mut watch).is_none());
    let error = look(&mut watch).unwrap().err().unwrap();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.ends_with("c.pem"), "{cause}");
    fs::remove_file(ca.join("c.pem")).unwrap();
    assert!(look(&mut watch).is_none());

    fs::remove_file(ca.join("b.pem")).unwrap();
    let third = look(&mut watch).unwrap().unwrap();
    assert_eq!(count(&third), count(&first));
    assert!(third.is_stricter_than(&second));
}

#[test]
fn authorities_are_not_looked_at_where_nobody_is_verified() {
    let folder = tempfile::tempdir().unwrap();
    Pair::new(1).write(folder.path());
    let mut open = verifying(folder.path(), folder.path().join("none"));
    assert!(matches!(
        Watch::start(
            verifying(folder.path(), folder.path().join("none")),
            Duration::ZERO
        ),
        Err(Error::Ca { .. })
    ));
    open.verify_clients = false;
    start(open);
}

#[test]
fn verification_and_obligation_make_stricter() {
    let folder = tempfile::tempdir().unwrap();
    Pair::new(1).write(folder.path());
    fs::write(folder.path().join("ca"), Pair::new(2).cert).unwrap();
    let tls = |settings| start(settings).1;
    let open = tls(settings(folder.path()));
    let anybody = tls(Settings {
        optional: true,
        ..settings(folder.path())
    });
    let verified = tls(verifying(folder.path(), folder.path().join("ca")));
    assert!(open.is_stricter_than(&anybody) && !anybody.is_stricter_than(&open));
    assert!(verified.is_stricter_than(&open) && !open.is_stricter_than(&verified));
    assert!(!open.is_stricter_than(&open) && !verified.is_stricter_than(&verified));
}

#[test]
fn a_key_that_comes_through_a_pipe_is_read_once() {
    let folder = tempfile::tempdir().unwrap();
    let pair = Pair::new(1);
    pair.write(folder.path());
    let pipe = folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let through_pipe = Settings {
        key: pipe.clone(),
        ..settings(folder.path())
    };
    let writer = std::thread::spawn(move || fs::write(pipe, pair.key).unwrap());
    let (mut watch, _) = start(through_pipe);
    writer.join().unwrap();
    // A second read would wait for a writer that never comes.
    for now in [EVERY, SAFETY_NET * 2] {
        assert!(watch.look(now).is_none());
    }
}
