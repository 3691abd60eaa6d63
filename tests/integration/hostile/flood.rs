//! HTTP/2 connections that are all frames and no request (RFC 9113 section 10.5).

use super::{
    MIB, Peak,
    frame::{
        CONTINUATION, DATA, END_HEADERS, END_STREAM, Frames, HEADERS, Outcome, PING, RST_STREAM,
        SETTINGS, WINDOW_UPDATE, frame, request,
    },
    others_are_served, server,
};

const THOUSANDS: u32 = 100_000;
/// Codes of RFC 9113 section 7.
const PROTOCOL_ERROR: u8 = 1;
const FLOW_CONTROL_ERROR: u8 = 3;
const REFUSED_STREAM: u8 = 7;
const ENHANCE_YOUR_CALM: u8 = 11;

/// The number of the client's stream after `number` others.
fn stream(number: u32) -> u32 {
    2 * number + 1
}

/// Runs `attack` on a connection of its own: others are served meanwhile and afterwards, and memory is bounded.
async fn attacked(attack: impl AsyncFnOnce(&mut Frames)) -> Outcome {
    let (server, client) = server().await;
    others_are_served(&client).await;
    let peak = Peak::of(&server);
    let mut frames = Frames::connect(&client).await;
    tokio::join!(attack(&mut frames), others_are_served(&client));
    let outcome = frames.end().await;
    others_are_served(&client).await;
    peak.stays_within(12 * MIB);
    outcome
}

#[tokio::test]
async fn streams_reset_by_the_hundred_thousand_end_the_connection() {
    let block = request(true, "/v1/key/hmac/a");
    let outcome = attacked(async |frames| {
        let cancel = |number| {
            let mut bytes = frame(HEADERS, END_HEADERS, stream(number), &block);
            bytes.extend(frame(RST_STREAM, 0, stream(number), &[0, 0, 0, 8]));
            bytes
        };
        frames.flood(THOUSANDS, cancel).await;
    })
    .await;
    assert!(outcome.cut || outcome.goodbye(ENHANCE_YOUR_CALM));
}

#[tokio::test]
async fn pings_by_the_hundred_thousand_are_answered_or_end_the_connection() {
    let ping = |number: u32| frame(PING, 0, 0, &u64::from(number).to_be_bytes());
    let outcome = attacked(async |frames| frames.flood(THOUSANDS, ping).await).await;
    assert!(outcome.count(PING) <= THOUSANDS as usize);
    assert!(outcome.cut || outcome.count(PING) > 0);
}

#[tokio::test]
async fn settings_by_the_hundred_thousand_are_acknowledged_or_end_the_connection() {
    // The size of the peer's table, the largest frame.
    let settings = |_| frame(SETTINGS, 0, 0, &[0, 1, 0, 0, 16, 0, 0, 5, 0, 0, 64, 0]);
    let outcome = attacked(async |frames| frames.flood(THOUSANDS, settings).await).await;
    assert!(outcome.cut || outcome.count(SETTINGS) > 1);
}

#[tokio::test]
async fn a_header_block_without_end_ends_the_connection() {
    for piece in [&b""[..], b"\0\x01a\x01b", &[0x88; 16_000][..]] {
        let outcome = attacked(async |frames| {
            let head = frame(HEADERS, 0, 1, &request(false, "/version"));
            frames.write(&head).await;
            frames
                .flood(20_000, |_| frame(CONTINUATION, 0, 1, piece))
                .await;
        })
        .await;
        let ended = outcome.goodbye(ENHANCE_YOUR_CALM) || outcome.goodbye(PROTOCOL_ERROR);
        assert!(outcome.cut || ended, "{} bytes each", piece.len());
    }
}

#[tokio::test]
async fn windows_that_cannot_be_end_the_connection() {
    let most = 0x7fff_ffff_u32.to_be_bytes();
    for (increment, code) in [([0; 4], PROTOCOL_ERROR), (most, FLOW_CONTROL_ERROR)] {
        let outcome = attacked(async |frames| {
            let update = |_| frame(WINDOW_UPDATE, 0, 0, &increment);
            frames.flood(THOUSANDS, update).await;
        })
        .await;
        assert!(outcome.cut || outcome.goodbye(code));
    }
}

#[tokio::test]
async fn empty_data_by_the_hundred_thousand_costs_no_memory() {
    for path in ["/v1/key/hmac/a", "/v1/key/create/b", "/v1/nothing"] {
        let outcome = attacked(async |frames| {
            let head = frame(HEADERS, END_HEADERS, 1, &request(true, path));
            frames.write(&head).await;
            frames.flood(THOUSANDS, |_| frame(DATA, 0, 1, &[])).await;
        })
        .await;
        assert!(outcome.cut || outcome.count(SETTINGS) > 0);
    }
}

#[tokio::test]
async fn a_stream_beyond_the_two_hundred_and_fiftieth_is_refused() {
    let block = request(true, "/v1/key/hmac/a");
    let outcome = attacked(async |frames| {
        let open = |number| frame(HEADERS, END_HEADERS, stream(number), &block);
        frames.flood(251, open).await;
    })
    .await;
    let refused = |(kind, stream, payload): &(u8, u32, Vec<u8>)| {
        (*kind == RST_STREAM && payload[3] == REFUSED_STREAM).then_some(*stream)
    };
    let refused: Vec<u32> = outcome.frames.iter().filter_map(refused).collect();
    assert_eq!(refused, [stream(250)]);
}

#[tokio::test]
async fn headers_that_unpack_to_gigabytes_are_refused() {
    // A header of 4,000 bytes that is remembered, then named by one byte each time.
    let mut first = request(false, "/version");
    first.extend([0x40, 1, b'a', 0x7f, 0xa1, 0x1e]);
    first.extend([b'x'; 4000]);
    let mut bomb = request(false, "/version");
    bomb.resize(16_000, 0xbe);
    let outcome = attacked(async |frames| {
        let flags = END_HEADERS | END_STREAM;
        frames.write(&frame(HEADERS, flags, 1, &first)).await;
        frames
            .flood(200, |number| {
                frame(HEADERS, flags, stream(number + 1), &bomb)
            })
            .await;
    })
    .await;
    // Status 431, literal with the name of `:status`, or the stream or connection is reset.
    let refused = outcome.frames.iter().any(|(kind, _, payload)| {
        *kind == RST_STREAM || (*kind == HEADERS && payload.windows(3).any(|w| w == b"431"))
    });
    assert!(outcome.cut || refused || outcome.count(super::frame::GOAWAY) > 0);
}
