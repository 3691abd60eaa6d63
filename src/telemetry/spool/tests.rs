//! Nothing is lost or doubled, nobody waits, memory stays bounded.

use std::sync::mpsc::{Receiver, Sender, channel};

use super::*;

const LONG: Duration = Duration::from_mins(1);

/// Says when it has a batch, and keeps it until it is let go. Once the other end is gone it lets all pass.
struct Gate {
    delivered: Sender<(String, u64)>,
    go: Receiver<()>,
}

impl Sink for Gate {
    fn deliver(&mut self, batch: &mut Batch) -> u64 {
        let text = String::from_utf8(batch.text.clone()).unwrap();
        let _ = self.delivered.send((text, batch.missing));
        let _ = self.go.recv();
        0
    }

    fn finish(&mut self) {
        let _ = self.delivered.send(("finished".to_owned(), 0));
    }
}

fn gate() -> (Spool, Receiver<(String, u64)>, Sender<()>) {
    let (delivered, batches) = channel();
    let (go_on, go) = channel();
    let spool = Spool::start("test", Gate { delivered, go }).unwrap();
    (spool, batches, go_on)
}

fn at(nanos: i128) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(nanos).unwrap()
}

fn push(spool: &Spool, time: i128, line: &str) {
    spool.push(at(time), |out| out.extend_from_slice(line.as_bytes()));
}

/// What lies in the buffers, and what they have allocated, in bytes.
fn held(spool: &Spool) -> (usize, usize) {
    spool
        .shared
        .buffers
        .iter()
        .fold((0, 0), |(len, capacity), buffer| {
            let buffer = lock(buffer);
            (len + buffer.text.len(), capacity + buffer.text.capacity())
        })
}

#[test]
fn a_line_is_delivered_without_anybody_asking() {
    let (spool, batches, _go_on) = gate();
    push(&spool, 1, "a\n");
    assert_eq!(batches.recv().unwrap(), ("a\n".to_owned(), 0));
}

#[test]
fn lines_of_several_threads_come_in_order_of_time() {
    let (spool, batches, go_on) = gate();
    push(&spool, 0, "0\n");
    batches.recv().unwrap();
    thread::scope(|scope| {
        for thread in 0..5 {
            let spool = &spool;
            scope.spawn(move || {
                for n in 0..3 {
                    let time = 5 * n + thread;
                    push(spool, time, &format!("{time}\n"));
                }
            });
        }
    });
    go_on.send(()).unwrap();
    let expected: String = (0..15).map(|time| time.to_string() + "\n").collect();
    assert_eq!(batches.recv().unwrap(), (expected, 0));
}

#[test]
fn when_nobody_takes_the_lines_memory_is_bounded_and_the_missing_are_counted() {
    const LINES: usize = 100_000;
    let (spool, batches, go_on) = gate();
    push(&spool, 0, "first\n");
    batches.recv().unwrap();
    // The sink holds its batch: from here on nothing is taken, and still nothing waits.
    let line = "x".repeat(99) + "\n";
    for _ in 0..LINES {
        push(&spool, 1, &line);
    }
    let (len, capacity) = held(&spool);
    assert!((FULL..FULL + line.len()).contains(&len), "{len}");
    assert!(capacity <= 2 * FULL + line.len(), "{capacity}");
    drop(go_on);
    let (text, missing) = batches.recv().unwrap();
    assert_eq!(text.len(), len);
    assert_eq!(
        text.len() / line.len() + usize::try_from(missing).unwrap(),
        LINES
    );
    // With room again, lines come through again, and the loss is told once.
    push(&spool, 2, "last\n");
    assert_eq!(batches.recv().unwrap(), ("last\n".to_owned(), 0));
}

#[test]
fn a_line_beyond_measure_is_missing_and_the_next_one_is_not() {
    let (spool, batches, go_on) = gate();
    push(&spool, 0, "first\n");
    batches.recv().unwrap();
    push(&spool, 1, &"x".repeat(FULL + 1));
    push(&spool, 2, "next\n");
    go_on.send(()).unwrap();
    assert_eq!(batches.recv().unwrap(), ("next\n".to_owned(), 1));
}

#[test]
fn a_flush_tells_the_missing_even_without_another_line() {
    let (spool, batches, _go_on) = gate();
    push(&spool, 1, &"x".repeat(FULL + 1));
    assert!(!spool.flush(Duration::ZERO));
    assert_eq!(batches.recv().unwrap(), (String::new(), 1));
}

#[test]
fn a_flush_waits_for_the_sink_but_not_for_ever() {
    let (spool, batches, go_on) = gate();
    push(&spool, 1, "a\n");
    batches.recv().unwrap();
    push(&spool, 2, "b\n");
    assert!(!spool.flush(Duration::from_millis(1)));
    drop(go_on);
    assert!(spool.flush(LONG));
    assert_eq!(batches.try_recv().unwrap().0, "b\n");
    // With nothing to do it has nothing to wait for.
    assert!(spool.flush(LONG));
    assert!(batches.try_recv().is_err());
}

#[test]
fn every_line_of_every_thread_arrives_once() {
    let (spool, batches, go_on) = gate();
    drop(go_on);
    thread::scope(|scope| {
        for thread in 0..20 {
            let spool = &spool;
            scope.spawn(move || {
                for n in 0..500 {
                    push(spool, n, &format!("{thread}-{n}\n"));
                }
            });
        }
    });
    assert!(spool.flush(LONG));
    let mut lines = Vec::new();
    for (text, missing) in batches.try_iter() {
        assert_eq!(missing, 0);
        lines.extend(text.lines().map(str::to_owned));
    }
    lines.sort_unstable();
    let mut expected: Vec<_> = (0..20)
        .flat_map(|thread| (0..500).map(move |n| format!("{thread}-{n}")))
        .collect();
    expected.sort_unstable();
    assert_eq!(lines, expected);
}

#[test]
fn memory_is_given_back_after_a_burst() {
    let (spool, batches, go_on) = gate();
    push(&spool, 0, "first\n");
    batches.recv().unwrap();
    let line = "x".repeat(999) + "\n";
    for n in 0..200 {
        push(&spool, n, &line);
    }
    drop(go_on);
    assert!(spool.flush(LONG));
    // It does so when it finds nothing to do, which it may not have done yet.
    let give_back = || {
        spool.thread.unpark();
        held(&spool).1 <= KEPT * spool.shared.buffers.iter().count()
    };
    while !give_back() {
        thread::yield_now();
    }
}

#[test]
fn finishing_and_dropping_come_behind_the_last_line() {
    let (spool, batches, go_on) = gate();
    drop(go_on);
    push(&spool, 1, "a\n");
    spool.finish();
    push(&spool, 2, "b\n");
    drop(spool);
    let all: Vec<_> = batches.iter().map(|(text, _)| text).collect();
    let a = all.iter().position(|text| text.starts_with("a\n")).unwrap();
    let finished = all.iter().position(|text| text == "finished").unwrap();
    assert!(a < finished, "{all:?}");
    assert_eq!(all.concat().replace("finished", ""), "a\nb\n");
    assert_eq!(all.last().unwrap(), "finished");
}

#[test]
fn a_line_knows_its_era() {
    struct Eras(Sender<(usize, u64)>);
    impl Sink for Eras {
        fn deliver(&mut self, batch: &mut Batch) -> u64 {
            for &end in &batch.ends {
                let _ = self.0.send(end);
            }
            0
        }
    }
    let (sender, eras) = channel();
    let spool = Spool::start("test", Eras(sender)).unwrap();
    push(&spool, 0, "a\n");
    let first = spool.next_era();
    push(&spool, 1, "b\n");
    let second = spool.next_era();
    push(&spool, 2, "c\n");
    drop(spool);
    let eras: Vec<_> = eras.iter().map(|(_, era)| era).collect();
    assert_eq!(eras, [first - 1, first, second]);
}
