//! A server that is killed: two hundred times, at moments that chance picks.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    time::{Duration, SystemTime},
};

use super::{
    Random,
    churn::Ledger,
    open, times,
    worker::{self, Worker},
};

/// How often to kill.
const KILLS: usize = 200;

/// The files that are no keys and not empty: values that were being written.
fn left_overs(path: &Path) -> BTreeSet<String> {
    fs::read_dir(path)
        .unwrap()
        .map(Result::unwrap)
        .filter(|entry| entry.metadata().unwrap().len() > 0)
        .map(|entry| entry.file_name().into_string().unwrap())
        .filter(|name| name.starts_with('.'))
        .collect()
}

#[tokio::test]
async fn two_hundred_kills_lose_nothing_and_leave_nothing_half() {
    worker::serve_if_asked().await;
    let test = "durability::kill::two_hundred_kills_lose_nothing_and_leave_nothing_half";
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("keys");
    let store = open(&path).await;
    let mut random = Random::new();
    let mut ledger = Ledger::default();
    let kills = KILLS * times();
    let (mut between, mut unanswered) = (0, 0);
    for round in 0..kills {
        let before = left_overs(&path);
        let mut worker = Worker::start(test, place.path(), &path, &[]);
        worker.tell(&format!("churn {round}"));
        // Its own words pick the moment roughly, and a wait that has nothing to do with them picks it finely.
        for _ in 0..2 + random.below(30) {
            ledger.hear(&worker.answer().expect("the worker works"));
        }
        std::thread::sleep(Duration::from_micros(random.below(1_000)));
        worker.kill();
        while let Some(line) = worker.answer() {
            ledger.hear(&line);
        }
        worker.end();
        assert!(ledger.failures.is_empty(), "{:?}", ledger.failures);

        // Between the first write and the answer: a value is there under no name of a key, or a change that was not acknowledged.
        let written = left_overs(&path).difference(&before).next().is_some();
        let passed = ledger
            .check(&*store)
            .await
            .unwrap_or_else(|wrong| panic!("kill {round}:\n{wrong}"));
        if written || passed > 0 {
            between += 1;
        }
        unanswered += passed;
        ledger.use_names_again(&*store).await;
    }
    println!(
        "{kills} kills, {between} between first write and answer, {unanswered} changes without an answer"
    );
    assert!(between >= kills.div_ceil(3), "{between} of {kills} kills");

    // What was being written goes once it is old, and the keys stay.
    for file in left_overs(&path) {
        let file = fs::File::options().append(true).open(path.join(file));
        file.unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
    }
    let store = open(&path).await;
    assert_eq!(left_overs(&path), BTreeSet::new());
    ledger.check(&*store).await.unwrap();
}
