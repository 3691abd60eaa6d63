//! A server whose power fails: right after what it acknowledged, and in the midst of work.
//!
//! [`CASES`] lists every answer that a client may rely on and that costs a flush, each with the flushes it takes. One test goes through
//! the list and finds nothing lost. The other takes out each flush by itself (strace makes the call succeed without making it)
//! and must find a loss, so that the first one cannot be blind.

use std::{collections::BTreeSet, fs, path::Path, time::SystemTime};

use super::{
    Random,
    churn::{Ledger, value},
    disk::{self, Disk},
    open, times,
    worker::{
        self,
        Fault::{self, FailSync, KillAtSync, NoHardLinks, SkipSync},
        Worker,
    },
};

/// How often to go through the cases, and how often to cut the power in the midst of work.
const ROUNDS: usize = 3;
const INTERRUPTIONS: usize = 12;

/// How often to look for the loss that a missing flush must cause. Once is enough, unless somebody else on the machine runs sync(1).
const TRIES: usize = 3;

/// A file in the directory of the keys that has nothing to do with them.
const FOREIGN: &str = ".gitkeep";

/// Something that is answered, and must be so after a power failure, too.
struct Case {
    what: &'static str,
    /// What happens before, each in a process of its own.
    before: &'static [Before],
    /// What is asked, and the answer. No command: that the store has been opened.
    asked: &'static str,
    answer: &'static str,
    /// Whether the key is there afterwards.
    there: bool,
    /// The flushes of the process that is asked.
    syncs: usize,
    /// Whether files can have two names.
    hard_links: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    /// The key is created.
    Created,
    /// A server is killed while it creates the key: the name is there, and not flushed.
    HalfCreated,
    /// The key is created, but the flush of its name fails: nothing is acknowledged.
    UnflushedCreated,
    /// A server is killed while it deletes the key: the name is gone, and that is not flushed.
    HalfDeleted,
    /// A server is killed while it makes the directory: its name is not flushed.
    HalfMade,
    /// What a server leaves behind becomes so old that the next one removes it.
    Aged,
    /// The directory of the store is not there yet.
    NoDirectory,
}

use Before::{Aged, Created, HalfCreated, HalfDeleted, HalfMade, NoDirectory, UnflushedCreated};

#[rustfmt::skip] // A table.
const CASES: &[Case] = &[
    Case { what: "a key that was created",                 before: &[],                      asked: "create", answer: "created",   there: true,  syncs: 2, hard_links: true },
    Case { what: "a key that was created by renaming",     before: &[],                      asked: "create", answer: "created",   there: true,  syncs: 2, hard_links: false },
    Case { what: "a key that was deleted",                 before: &[Created],               asked: "delete", answer: "deleted",   there: false, syncs: 1, hard_links: true },
    Case { what: "a key that exists already",              before: &[HalfCreated],           asked: "create", answer: "exists",    there: true,  syncs: 1, hard_links: true },
    Case { what: "a key that was gone already",            before: &[Created, HalfDeleted],  asked: "delete", answer: "not found", there: false, syncs: 1, hard_links: true },
    Case { what: "a key that was read",                    before: &[HalfCreated],           asked: "get",    answer: "",          there: true,  syncs: 1, hard_links: true },
    Case { what: "a key that could not be flushed",        before: &[UnflushedCreated],      asked: "get",    answer: "",          there: true,  syncs: 1, hard_links: true },
    Case { what: "a key that was renamed and read",        before: &[HalfCreated],           asked: "get",    answer: "",          there: true,  syncs: 1, hard_links: false },
    Case { what: "a key whose left-over was removed",      before: &[HalfCreated, Aged],     asked: "get",    answer: "",          there: true,  syncs: 1, hard_links: true },
    Case { what: "a directory that was made",              before: &[NoDirectory],           asked: "",       answer: "opened",    there: false, syncs: 1, hard_links: true },
    Case { what: "a directory that an earlier start made", before: &[NoDirectory, HalfMade], asked: "",       answer: "opened",    there: false, syncs: 1, hard_links: true },
];

/// A store on a disk, and what was acknowledged about it.
struct Bench<'a> {
    test: &'static str,
    place: &'a Path,
    disk: Disk,
    ledger: Ledger,
    keys: usize,
}

impl<'a> Bench<'a> {
    async fn new(test: &'static str, place: &'a Path) -> Self {
        let disk = Disk::new(place);
        open(&disk.join("keys")).await;
        // A start flushes the names of an empty directory: flushes that would be counted among those of the operations.
        fs::write(disk.join("keys").join(FOREIGN), "").unwrap();
        Self {
            test,
            place,
            disk,
            ledger: Ledger::default(),
            keys: 0,
        }
    }

    fn worker(&self, store: &Path, case: &Case, fault: Option<Fault>) -> Worker {
        let links = (!case.hard_links).then_some(NoHardLinks);
        let faults: Vec<Fault> = links.into_iter().chain(fault).collect();
        Worker::start(self.test, self.place, store, &faults)
    }

    /// Goes through a case, cuts the power right after the answer, and says what is wrong afterwards. `fault`: of the process that answers.
    async fn run(&mut self, case: &Case, fault: Option<Fault>) -> Result<(), String> {
        self.keys += 1;
        let key = format!("case-{}", self.keys);
        let value = value(&key, &format!("mark-{}", self.keys));
        let directory = if case.before.contains(&NoDirectory) {
            self.disk.join(&key)
        } else {
            self.disk.join("keys")
        };
        let create = format!("create {key} {value}");
        let delete = format!("delete {key}");
        for before in case.before {
            let (command, fault) = match before {
                NoDirectory => continue,
                Aged => {
                    age(&directory);
                    continue;
                }
                Created => (&create, None),
                // After the file itself.
                HalfCreated => (&create, Some(KillAtSync(2))),
                UnflushedCreated => (&create, Some(FailSync(2))),
                HalfDeleted => (&delete, Some(KillAtSync(1))),
                HalfMade => (&String::new(), Some(KillAtSync(1))),
            };
            self.prepare(case, &directory, command, fault);
        }

        let mut worker = self.worker(&directory, case, fault);
        let switch = self.disk.switch();
        let opened = worker.answer();
        let (answer, expected) = match case.asked {
            "" => (opened, case.answer),
            "get" => (worker.ask(&format!("get {key}")), value.as_str()),
            "create" => (worker.ask(&create), case.answer),
            "delete" => (worker.ask(&delete), case.answer),
            asked => panic!("{asked}"),
        };
        switch.cut();
        worker.end();
        assert_eq!(answer.as_deref(), Some(expected), "{}", case.what);

        self.disk.restart();
        if case.before.contains(&NoDirectory) && !directory.is_dir() {
            return Err(format!("{}: it is gone", case.what));
        }
        self.ledger.set(&key, case.there.then_some(value.as_str()));
        let store = open(&self.disk.join("keys")).await;
        let checked = self.ledger.check(&*store).await;
        checked.map_err(|wrong| format!("{}:\n{wrong}", case.what))?;
        Ok(())
    }

    /// One step before the power fails: done and ended in order, or killed by its fault.
    fn prepare(&self, case: &Case, directory: &Path, command: &str, fault: Option<Fault>) {
        let mut worker = self.worker(directory, case, fault);
        let opened = worker.answer();
        let answer = if command.is_empty() {
            opened
        } else {
            worker.ask(command)
        };
        match fault {
            Some(KillAtSync(_)) => assert_eq!(answer, None),
            Some(_) => assert!(answer.unwrap().contains("Unreachable")),
            None => assert_eq!(answer.as_deref(), Some("created")),
        }
        worker.end();
    }
}

/// Makes what servers left behind old.
fn age(directory: &Path) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let file = fs::File::options().append(true).open(path).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
    }
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_power_failure() {
    worker::serve_if_asked().await;
    let test = "durability::power::what_was_acknowledged_survives_a_power_failure";
    let Some(place) = disk::place(test) else {
        return;
    };
    let mut bench = Bench::new(test, &place).await;
    for round in 0..ROUNDS * times() {
        for case in CASES {
            let run = bench.run(case, None).await;
            run.unwrap_or_else(|wrong| panic!("round {round}: {wrong}"));
        }
    }
    // Every name can be used again, what a power failure left behind goes, and nothing else does.
    let path = bench.disk.join("keys");
    age(&path);
    let store = open(&path).await;
    let files: BTreeSet<String> = fs::read_dir(&path)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let page = store.list("", None, usize::MAX).await.unwrap();
    let names = page.names.iter().map(ToString::to_string);
    let expected: BTreeSet<String> = names.chain([FOREIGN.to_owned()]).collect();
    assert_eq!(files, expected);
    bench.ledger.check(&*store).await.unwrap();
}

#[tokio::test]
async fn without_any_one_of_its_flushes_something_is_lost() {
    worker::serve_if_asked().await;
    let test = "durability::power::without_any_one_of_its_flushes_something_is_lost";
    let Some(place) = disk::place(test) else {
        return;
    };
    for case in CASES {
        for sync in 1..=case.syncs {
            let mut tries = 0..TRIES;
            let lost = loop {
                if tries.next().is_none() {
                    break false;
                }
                let mut bench = Bench::new(test, &place).await;
                if bench.run(case, Some(SkipSync(sync))).await.is_err() {
                    break true;
                }
            };
            assert!(lost, "{}: nobody misses flush {sync}", case.what);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_power_failure_in_the_midst_of_work_leaves_whole_keys_and_free_names() {
    worker::serve_if_asked().await;
    let test =
        "durability::power::a_power_failure_in_the_midst_of_work_leaves_whole_keys_and_free_names";
    let Some(place) = disk::place(test) else {
        return;
    };
    let mut bench = Bench::new(test, &place).await;
    let mut random = Random::new();
    let path = bench.disk.join("keys");
    for round in 0..INTERRUPTIONS * times() {
        let mut worker = Worker::start(test, &place, &path, &[]);
        let switch = bench.disk.switch();
        worker.tell(&format!("churn {round}"));
        for _ in 0..2 + random.below(60) {
            bench.ledger.hear(&worker.answer().expect("it works"));
        }
        switch.cut();
        worker.kill();
        while let Some(line) = worker.answer() {
            bench.ledger.hear(&line);
        }
        worker.end();
        bench.disk.restart();
        let store = open(&path).await;
        let checked = bench.ledger.check(&*store).await;
        checked.unwrap_or_else(|wrong| panic!("failure {round}:\n{wrong}"));
        bench.ledger.use_names_again(&*store).await;
    }
}
