//! The whole of it: what reaches which console and which stream, and what is counted.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{Mutex, mpsc},
    thread,
};

use bytes::Bytes;
use time::macros::{datetime, offset};

use super::*;

const LONG: Duration = Duration::from_mins(1);

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Shared {
    /// What was written since the last call.
    fn take(&self) -> String {
        String::from_utf8(std::mem::take(&mut self.0.lock().unwrap())).unwrap()
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A pipe that nobody reads, until the other end is dropped.
struct Stuck(mpsc::Receiver<()>);

impl Write for Stuck {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.0.recv();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn start(audit: Level, error: Level) -> (Arc<Telemetry>, Shared, Shared) {
    let (out, err) = (Shared::default(), Shared::default());
    let output = Output {
        audit: Box::new(out.clone()),
        error: Box::new(err.clone()),
    };
    let settings = Settings {
        audit,
        error,
        format: Format::Text,
    };
    let telemetry = Telemetry::start(settings, offset!(+2), &Clock::test(), output).unwrap();
    (telemetry, out, err)
}

fn event() -> AuditEvent<'static> {
    AuditEvent {
        time: datetime!(2024-01-01 0:00:00.5 UTC),
        ip: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        method: "PUT",
        path: "/v1/key/create/k1",
        identity: Some("3ecf"),
        status: 200,
        duration: Duration::from_millis(2),
        message: "secret key 'k1' created",
    }
}

fn request() -> Request<'static> {
    Request {
        method: "GET",
        path: "/v1/key/describe/a b",
        ip: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        identity: None,
    }
}

fn count(telemetry: &Telemetry, family: &str) -> String {
    let page = telemetry.metrics.render(&System::read(Duration::ZERO));
    let mut lines = page.lines();
    let value = lines.find_map(|line| line.strip_prefix(family)?.strip_prefix(' '));
    value.unwrap().to_owned()
}

#[test]
fn each_log_has_its_console() {
    let (telemetry, out, err) = start(Level::INFO, Level::INFO);
    telemetry.audit.record(event);
    telemetry
        .log
        .log(Level::ERROR, "backend broke", Some(request()));
    telemetry.log.log(Level::new(5), "started", None);
    assert!(telemetry.flush(LONG));
    assert_eq!(
        out.take(),
        "time=2024-01-01T02:00:00.500+02:00 level=INFO msg=\"secret key 'k1' created\" req.method=PUT \
         req.path=/v1/key/create/k1 req.ip=127.0.0.1 req.identity=3ecf res.code=200 res.time=2ms\n"
    );
    assert_eq!(
        err.take(),
        "time=2024-01-01T02:00:00.000+02:00 level=ERROR msg=\"backend broke\" req.method=GET \
         req.path=\"/v1/key/describe/a b\" req.ip=127.0.0.1 req.identity=<unknown>\n\
         time=2024-01-01T02:00:00.000+02:00 level=WARN+1 msg=started\n"
    );
}

#[test]
fn new_levels_hold_at_once() {
    let (telemetry, out, err) = start(Level::OFF, Level::ERROR);
    let speak = || {
        telemetry.audit.record(event);
        telemetry.log.log(Level::WARN, "warning", None);
        telemetry.log.log(Level::DEBUG, "detail", None);
        assert!(telemetry.flush(LONG));
        let text = err.take();
        let messages = text.lines().map(|line| line.split("msg=").nth(1).unwrap());
        (
            out.take().lines().count(),
            messages.map(str::to_owned).collect::<Vec<_>>(),
        )
    };
    assert_eq!(speak(), (0, vec![]));
    telemetry.set(Settings {
        audit: Level::DEBUG,
        error: Level::DEBUG,
        ..Settings::default()
    });
    assert_eq!(
        speak(),
        (1, vec!["warning".to_owned(), "detail".to_owned()])
    );
    telemetry.set(Settings {
        audit: Level::new(1),
        error: Level::OFF,
        ..Settings::default()
    });
    assert_eq!(speak(), (0, vec![]));
    telemetry.set(Settings::default());
    assert_eq!(speak(), (0, vec!["warning".to_owned()]));
}

#[tokio::test]
async fn a_new_format_holds_at_once_on_both_consoles_and_never_in_streams() {
    let (telemetry, out, err) = start(Level::INFO, Level::INFO);
    let mut error = telemetry.log.subscribe();
    telemetry.set(Settings {
        audit: Level::INFO,
        error: Level::INFO,
        format: Format::Json,
    });
    telemetry.audit.record(event);
    telemetry
        .log
        .log(Level::ERROR, "backend broke", Some(request()));
    assert!(telemetry.flush(LONG));
    assert_eq!(
        out.take(),
        "{\"time\":\"2024-01-01T02:00:00.500+02:00\",\"level\":\"INFO\",\"msg\":\"secret key 'k1' created\",\
         \"req\":{\"method\":\"PUT\",\"path\":\"/v1/key/create/k1\",\"ip\":\"127.0.0.1\",\"identity\":\"3ecf\"},\
         \"res\":{\"code\":200,\"time\":2000000}}\n"
    );
    assert_eq!(
        err.take(),
        "{\"time\":\"2024-01-01T02:00:00.000+02:00\",\"level\":\"ERROR\",\"msg\":\"backend broke\",\
         \"req\":{\"method\":\"GET\",\"path\":\"/v1/key/describe/a b\",\"ip\":\"127.0.0.1\"}}\n"
    );
    assert_eq!(
        error.next().await.unwrap(),
        r#"{"message":"time=2024-01-01T02:00:00.000+02:00 level=ERROR msg=\"backend broke\" req.method=GET req.path=\"/v1/key/describe/a b\" req.ip=127.0.0.1 req.identity=<unknown>"}"#
            .to_owned()
            + "\n"
    );
    telemetry.set(Settings::default());
    telemetry.log.log(Level::WARN, "as before", None);
    assert!(telemetry.flush(LONG));
    let text = err.take();
    assert!(text.starts_with("time="), "{text}");
}

#[tokio::test]
async fn streams_carry_everything_from_info_on_when_the_consoles_are_off() {
    let (telemetry, out, err) = start(Level::OFF, Level::OFF);
    let (mut audit, mut error) = (telemetry.audit.subscribe(), telemetry.log.subscribe());
    telemetry.audit.record(event);
    telemetry.log.log(Level::DEBUG, "not for streams", None);
    telemetry
        .log
        .log(Level::INFO, "say \"hi\"", Some(request()));
    assert_eq!(
        audit.next().await.unwrap(),
        "{\"time\":\"2024-01-01T00:00:00.5Z\",\"request\":{\"ip\":\"127.0.0.1\",\"path\":\"/v1/key/create/k1\",\
         \"identity\":\"3ecf\"},\"response\":{\"code\":200,\"time\":2000000}}\n"
    );
    assert_eq!(
        error.next().await.unwrap(),
        r#"{"message":"time=2024-01-01T02:00:00.000+02:00 level=INFO msg=\"say \\\"hi\\\"\" req.method=GET req.path=\"/v1/key/describe/a b\" req.ip=127.0.0.1 req.identity=<unknown>"}"#
            .to_owned()
            + "\n"
    );
    telemetry.close_streams();
    assert_eq!((audit.next().await, error.next().await), (None, None));
    assert!(telemetry.flush(LONG));
    assert_eq!((out.take(), err.take()), (String::new(), String::new()));
}

#[test]
fn a_debug_console_does_not_show_in_the_stream() {
    let (telemetry, _, err) = start(Level::OFF, Level::DEBUG);
    let error = telemetry.log.subscribe();
    telemetry.log.log(Level::DEBUG, "detail", None);
    telemetry.log.log(Level::INFO, "news", None);
    assert!(telemetry.flush(LONG));
    assert_eq!(err.take().lines().count(), 2);
    telemetry.close_streams();
    let text = all(error);
    assert!(text.contains("news") && !text.contains("detail"), "{text}");
}

/// What a closed stream still holds.
fn all(mut reader: Subscription) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let chunks = runtime.block_on(async {
        let mut chunks: Vec<Bytes> = Vec::new();
        while let Some(chunk) = reader.next().await {
            chunks.push(chunk);
        }
        chunks
    });
    String::from_utf8(chunks.concat()).unwrap()
}

/// D-15: neither once per reader nor only with readers.
#[test]
fn an_event_counts_once_whoever_listens() {
    let (telemetry, ..) = start(Level::OFF, Level::OFF);
    let speak = || {
        telemetry.audit.record(event);
        telemetry.log.log(Level::ERROR, "broken", None);
        telemetry
            .log
            .log(Level::DEBUG, "no event: nothing shows it", None);
    };
    speak();
    let _readers = [(); 3].map(|()| (telemetry.audit.subscribe(), telemetry.log.subscribe()));
    speak();
    telemetry.set(Settings {
        audit: Level::INFO,
        error: Level::INFO,
        ..Settings::default()
    });
    speak();
    assert_eq!(count(&telemetry, "kes_log_audit_events"), "3");
    assert_eq!(count(&telemetry, "kes_log_error_events"), "3");
}

#[test]
fn a_stuck_console_holds_up_neither_who_logs_nor_the_streams() {
    let (release, stuck) = mpsc::channel();
    let err = Shared::default();
    let output = Output {
        audit: Box::new(Stuck(stuck)),
        error: Box::new(err.clone()),
    };
    let settings = Settings {
        audit: Level::INFO,
        error: Level::INFO,
        ..Settings::default()
    };
    let telemetry = Telemetry::start(settings, UtcOffset::UTC, &Clock::test(), output).unwrap();
    let audit = telemetry.audit.subscribe();
    let reader = thread::spawn(move || all(audit));
    for _ in 0..1_000 {
        telemetry.audit.record(event);
    }
    telemetry.log.log(Level::ERROR, "still here", None);
    telemetry.close_streams();
    assert_eq!(reader.join().unwrap().lines().count(), 1_000);
    assert!(!telemetry.flush(Duration::from_millis(1)));
    drop(release);
    assert!(telemetry.flush(LONG));
    assert!(err.take().contains("still here"));
    assert_eq!(count(&telemetry, "kes_log_audit_events"), "1000");
}

#[test]
fn what_was_recorded_is_written_even_if_nobody_flushes() {
    let (telemetry, out, _) = start(Level::INFO, Level::OFF);
    telemetry.audit.record(event);
    drop(telemetry);
    // The thread drops its end when it is done.
    while Arc::strong_count(&out.0) > 1 {
        thread::yield_now();
    }
    assert_eq!(out.take().lines().count(), 1);
}
