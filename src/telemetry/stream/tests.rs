//! A reader sees everything from its beginning to its end, or is cut off; a slow one costs the others nothing.

use std::pin::pin;

use super::*;

const LONG: Duration = Duration::from_mins(1);

fn publish(stream: &Stream, line: &str) {
    stream.publish(OffsetDateTime::UNIX_EPOCH, |out| {
        out.extend_from_slice(line.as_bytes());
        out.push(b'\n');
    });
}

/// Publishes `line` and sees to it that it waits for the readers, as a batch of its own.
fn deliver(stream: &Stream, line: &str) {
    publish(stream, line);
    assert!(stream.flush(LONG));
}

/// What waits for the reader now, all at once.
fn take(reader: &mut Subscription) -> String {
    let mut text = Vec::new();
    let mut context = Context::from_waker(Waker::noop());
    while let Poll::Ready(Some(chunk)) = reader.poll_next(&mut context) {
        text.extend_from_slice(&chunk);
    }
    String::from_utf8(text).unwrap()
}

fn has_ended(reader: &mut Subscription) -> bool {
    reader.poll_next(&mut Context::from_waker(Waker::noop())) == Poll::Ready(None)
}

fn size(reader: &Subscription) -> usize {
    lock(&reader.queue.0).size
}

#[tokio::test]
async fn a_waiting_reader_is_woken_by_an_event() {
    let stream = Stream::start("test").unwrap();
    let mut reader = stream.subscribe();
    let (next, ()) = tokio::join!(reader.next(), async { publish(&stream, "a") });
    assert_eq!(next.unwrap(), "a\n");
}

#[test]
fn a_reader_sees_only_what_comes_after_it_subscribed() {
    let stream = Stream::start("test").unwrap();
    let mut first = stream.subscribe();
    // Most likely all in one batch; at any rate the second reader must not see what was published before it.
    publish(&stream, "a");
    let mut second = stream.subscribe();
    publish(&stream, "b");
    assert!(stream.flush(LONG));
    assert_eq!(take(&mut first), "a\nb\n");
    assert_eq!(take(&mut second), "b\n");
}

#[test]
fn a_batch_of_two_eras_is_split_for_the_later_reader() {
    let hub = Arc::<Hub>::default();
    let reader = |since| {
        let queue = Arc::<Queue>::default();
        lock(&hub.readers).list.push(Reader {
            since,
            queue: Arc::clone(&queue),
        });
        Subscription {
            hub: Arc::clone(&hub),
            queue,
        }
    };
    let (mut early, mut late, mut later) = (reader(1), reader(2), reader(3));
    let mut batch = Batch {
        text: b"a\nbb\nc\n".to_vec(),
        // Lines lie in order of time, which need not be that of their eras.
        ends: vec![(2, 2), (5, 1), (7, 2)],
        missing: 0,
    };
    assert_eq!(Distributor(Arc::clone(&hub)).deliver(&mut batch), 0);
    assert_eq!(take(&mut early), "a\nbb\nc\n");
    assert_eq!(take(&mut late), "a\nc\n");
    assert_eq!(take(&mut later), "");
    assert!(!has_ended(&mut later));
}

#[test]
fn readers_of_the_same_events_share_their_bytes() {
    let stream = Stream::start("test").unwrap();
    let readers = [stream.subscribe(), stream.subscribe()];
    deliver(&stream, "a");
    let places = readers
        .each_ref()
        .map(|reader| lock(&reader.queue.0).chunks[0].as_ptr());
    assert_eq!(places[0], places[1]);
}

#[test]
fn a_reader_that_does_not_read_is_cut_off_and_holds_nothing() {
    let stream = Stream::start("test").unwrap();
    let mut slow = stream.subscribe();
    let mut quick = stream.subscribe();
    let line = "x".repeat(100_000);
    let mut seen = 0;
    let mut most = 0;
    for _ in 0..100 {
        // Nothing here waits for the slow reader.
        deliver(&stream, &line);
        seen += take(&mut quick).len();
        most = most.max(size(&slow));
    }
    assert_eq!(seen, 100 * (line.len() + 1));
    assert!((LIMIT - 200_000..=LIMIT).contains(&most), "{most}");
    assert!(slow.was_cut_off() && has_ended(&mut slow));
    assert_eq!(size(&slow), 0);
    assert_eq!(lock(&slow.queue.0).chunks.capacity(), 0);
    assert!(!quick.was_cut_off() && !has_ended(&mut quick));
    assert!(stream.is_heard());
    drop(quick);
    assert!(!stream.is_heard(), "the slow one is forgotten");
}

#[test]
fn many_small_events_count_for_more_than_their_length() {
    let queue = Queue::default();
    let mut pushed = 0;
    while queue.push(Bytes::from_static(b"{}\n")) {
        pushed += 1;
        assert!(pushed < LIMIT / CHUNK);
    }
    assert!(lock(&queue.0).cut_off);
}

#[test]
fn a_reader_with_nothing_waiting_takes_a_batch_of_any_size() {
    let queue = Queue::default();
    assert!(queue.push(Bytes::from(vec![b'x'; LIMIT + 1])));
    assert!(!queue.push(Bytes::from_static(b"{}\n")));
}

#[test]
fn a_gap_ends_every_stream() {
    let stream = Stream::start("test").unwrap();
    let mut reader = stream.subscribe();
    let mut batch = Batch {
        text: b"a\n".to_vec(),
        ends: vec![(2, 1)],
        missing: 1,
    };
    assert_eq!(Distributor(Arc::clone(&stream.hub)).deliver(&mut batch), 0);
    assert!(reader.was_cut_off() && has_ended(&mut reader));
    assert!(!stream.is_heard());
}

#[tokio::test]
async fn closing_ends_the_streams_behind_the_last_event() {
    let stream = Stream::start("test").unwrap();
    let mut reader = stream.subscribe();
    publish(&stream, "a");
    stream.close();
    assert_eq!(reader.next().await.unwrap(), "a\n");
    assert_eq!(reader.next().await, None);
    assert_eq!(reader.next().await, None);
    assert!(!reader.was_cut_off());
    assert_eq!(stream.subscribe().next().await, None);
}

#[tokio::test]
async fn closing_wakes_a_waiting_reader() {
    let stream = Stream::start("test").unwrap();
    let mut reader = stream.subscribe();
    let (next, ()) = tokio::join!(reader.next(), async { stream.close() });
    assert_eq!(next, None);
}

#[test]
fn a_reader_that_goes_away_is_forgotten() {
    let stream = Stream::start("test").unwrap();
    assert!(!stream.is_heard());
    let readers: Vec<_> = (0..3).map(|_| stream.subscribe()).collect();
    assert!(stream.is_heard());
    drop(readers);
    assert!(!stream.is_heard());
    assert!(lock(&stream.hub.readers).list.is_empty());
}

#[tokio::test]
async fn a_cancelled_wait_loses_nothing() {
    let stream = Stream::start("test").unwrap();
    let mut reader = stream.subscribe();
    {
        let mut next = pin!(reader.next());
        let mut context = Context::from_waker(Waker::noop());
        assert!(next.as_mut().poll(&mut context).is_pending());
        deliver(&stream, "a");
    }
    assert_eq!(reader.next().await.unwrap(), "a\n");
}
