//! The two forms of an event, to the letter.

use time::macros::{datetime, offset};

use super::*;

const EVENT: AuditEvent<'_> = AuditEvent {
    time: datetime!(2024-09-11 8:00:01.937_123_456 UTC),
    ip: Some(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST)),
    method: "POST",
    path: "/v1/key/create/k1",
    identity: Some("3ecf"),
    status: 200,
    duration: Duration::from_nanos(1_590_131),
    message: "secret key 'k1' created",
};

fn line(event: &AuditEvent<'_>, offset: UtcOffset) -> String {
    let mut out = Vec::new();
    event.push_line(&mut out, offset);
    String::from_utf8(out).unwrap()
}

fn json(event: &AuditEvent<'_>) -> String {
    let mut out = Vec::new();
    event.push_json(&mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn an_event_reads_as_it_always_did() {
    assert_eq!(
        line(&EVENT, UtcOffset::UTC),
        "time=2024-09-11T08:00:01.937Z level=INFO msg=\"secret key 'k1' created\" req.method=POST \
         req.path=/v1/key/create/k1 req.ip=127.0.0.1 req.identity=3ecf res.code=200 res.time=1.590131ms\n"
    );
    assert_eq!(
        json(&EVENT),
        "{\"time\":\"2024-09-11T08:00:01.937123456Z\",\"request\":{\"ip\":\"127.0.0.1\",\
         \"path\":\"/v1/key/create/k1\",\"identity\":\"3ecf\"},\"response\":{\"code\":200,\"time\":1590131}}\n"
    );
}

#[test]
fn what_is_unknown_is_empty_on_the_console_and_absent_in_the_stream() {
    let event = AuditEvent {
        ip: None,
        identity: None,
        ..EVENT
    };
    assert!(line(&event, UtcOffset::UTC).contains(" req.ip=\"\" req.identity=\"\" res.code=200 "));
    let expected = "{\"time\":\"2024-09-11T08:00:01.937123456Z\",\"request\":{\"path\":\"/v1/key/create/k1\"},\
                    \"response\":{\"code\":200,\"time\":1590131}}\n";
    assert_eq!(json(&event), expected);
    assert_eq!(
        json(&AuditEvent {
            identity: Some(""),
            ..event
        }),
        expected
    );
}

#[test]
fn mapped_addresses_are_dotted_and_others_plain() {
    for (ip, text) in [
        ("::ffff:10.0.0.7", "10.0.0.7"),
        ("2001:db8::1", "2001:db8::1"),
    ] {
        let event = AuditEvent {
            ip: Some(ip.parse().unwrap()),
            ..EVENT
        };
        assert!(line(&event, UtcOffset::UTC).contains(&format!(" req.ip={text} ")));
        assert!(json(&event).contains(&format!("\"ip\":\"{text}\",")));
    }
}

#[test]
fn the_console_has_local_time_and_the_stream_has_utc() {
    let event = AuditEvent {
        time: EVENT.time.to_offset(offset!(-8)),
        ..EVENT
    };
    assert!(line(&event, offset!(+2)).starts_with("time=2024-09-11T10:00:01.937+02:00 "));
    assert!(json(&event).starts_with("{\"time\":\"2024-09-11T08:00:01.937123456Z\""));
}

#[test]
fn a_hostile_path_stays_on_its_line() {
    let event = AuditEvent {
        path: "/v1/key/create/a\nlevel=ERROR \"\u{1b}[2J\u{202e}",
        ..EVENT
    };
    let line = line(&event, UtcOffset::UTC);
    assert!(
        line.contains(r#" req.path="/v1/key/create/a\nlevel=ERROR \"\x1b[2J\u202e" "#),
        "{line}"
    );
    assert_eq!(line.matches('\n').count(), 1);
    let json = json(&event);
    assert_eq!(json.matches('\n').count(), 1);
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(value["request"]["path"], event.path);
}
