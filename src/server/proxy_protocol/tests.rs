//! Headers as load balancers send them, and as they must not be.

use proptest::prelude::*;

use super::*;

/// Reads a header from `bytes`, and says what is left.
fn run(bytes: &[u8]) -> (Result<Option<Header>, Error>, usize) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let mut left = bytes;
    let result = runtime.block_on(read(&mut left));
    (result, left.len())
}

/// What is read from `header` when TLS follows at once: not one byte more than the header.
fn header(header: &[u8]) -> Header {
    let (read, left) = run(&[header, b"\x16\x03\x01"].concat());
    assert_eq!(left, 3, "{header:?}");
    read.unwrap().unwrap()
}

fn client(text: &str) -> Header {
    Header::Client(text.parse().unwrap())
}

fn error(bytes: &[u8]) -> String {
    run(bytes).0.unwrap_err().to_string()
}

/// A header of version 2.
fn v2(version: u8, family: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap();
    [
        b"\r\n\r\n\0\r\nQUIT\n",
        &[version, family][..],
        &length.to_be_bytes(),
        content,
    ]
    .concat()
}

const TCP4: [u8; 12] = [192, 0, 2, 1, 10, 0, 0, 9, 0xde, 0xad, 0x1c, 0xcd];

fn tcp6() -> Vec<u8> {
    let source: std::net::Ipv6Addr = "2001:db8::1".parse().unwrap();
    let mut block = source.octets().to_vec();
    block.extend([0; 15]);
    block.extend([1, 0x01, 0xbb, 0x1c, 0xcd]);
    block
}

#[test]
fn lines_of_version_1_are_read() {
    for (line, expected) in [
        (
            "PROXY TCP4 192.0.2.1 10.0.0.9 57005 7373\r\n",
            client("192.0.2.1:57005"),
        ),
        (
            "PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n",
            client("255.255.255.255:65535"),
        ),
        ("PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n", client("0.0.0.0:0")),
        (
            "PROXY TCP6 2001:db8::1 ::1 443 7373\r\n",
            client("[2001:db8::1]:443"),
        ),
        (
            "PROXY TCP6 ::ffff:192.0.2.1 ::1 443 7373\r\n",
            client("[::ffff:192.0.2.1]:443"),
        ),
        (
            "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
            client("[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"),
        ),
        ("PROXY UNKNOWN\r\n", Header::Itself),
        ("PROXY UNKNOWN what ever 1\r\n", Header::Itself),
        (
            "PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
            Header::Itself,
        ),
    ] {
        assert_eq!(header(line.as_bytes()), expected, "{line}");
    }
}

#[test]
fn lines_that_are_not_exactly_right_are_refused() {
    for line in [
        "PROXY TCP4 192.0.2.1 10.0.0.9 57005 7373\n",
        "PROXY TCP4 192.0.2.1 10.0.0.9 57005 7373 \r\n",
        "PROXY TCP4 192.0.2.1  10.0.0.9 57005 7373\r\n",
        "PROXY  TCP4 192.0.2.1 10.0.0.9 57005 7373\r\n",
        "PROXY TCP4 192.0.2.1 10.0.0.9 57005 7373 x\r\n",
        "PROXY TCP4 192.0.2.1 10.0.0.9 57005\r\n",
        "PROXY TCP4 192.0.2.01 10.0.0.9 57005 7373\r\n",
        "PROXY TCP4 192.0.2.1 10.0.0.9 057005 7373\r\n",
        "PROXY TCP4 192.0.2.1 10.0.0.9 65536 7373\r\n",
        "PROXY TCP4 192.0.2.1 10.0.0.9 +5 7373\r\n",
        "PROXY TCP4 192.0.2.1 10.0.0.9 1 \r\n",
        "PROXY TCP4 2001:db8::1 ::1 443 7373\r\n",
        "PROXY TCP6 192.0.2.1 10.0.0.9 443 7373\r\n",
        "PROXY TCP6 fe80::1%eth0 ::1 443 7373\r\n",
        "PROXY UDP4 192.0.2.1 10.0.0.9 443 7373\r\n",
        "PROXY tcp4 192.0.2.1 10.0.0.9 443 7373\r\n",
        "PROXY UNKNOWN\n\n\n",
        "PROXY UNKNOWNS\r\n",
        "PROXY TCP4 192.0.2.\u{661} 10.0.0.9 443 7373\r\n",
    ] {
        assert_eq!(
            error(line.as_bytes()),
            "the line of version 1 is malformed",
            "{line:?}"
        );
    }
    let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(92));
    assert_eq!(long.len(), 108);
    assert_eq!(error(long.as_bytes()), "the header is too long");
    assert_eq!(
        run(&[b'P'; 500]).1,
        485,
        "what is no header is not read to its end"
    );
}

#[test]
fn headers_of_version_2_are_read() {
    let with = |block: &[u8], extensions: &[u8]| [block, extensions].concat();
    let unix = [7; 216];
    for (bytes, expected) in [
        (v2(0x21, 0x11, &TCP4), client("192.0.2.1:57005")),
        (v2(0x21, 0x21, &tcp6()), client("[2001:db8::1]:443")),
        // A name of a host and four bytes of nothing.
        (
            v2(0x21, 0x11, &with(&TCP4, b"\x02\0\x03kes\x04\0\x04\0\0\0\0")),
            client("192.0.2.1:57005"),
        ),
        (
            v2(0x21, 0x21, &with(&tcp6(), &[0xea, 0, 0])),
            client("[2001:db8::1]:443"),
        ),
        // The right checksum, made with another program.
        (
            v2(0x21, 0x11, &with(&TCP4, &[3, 0, 4, 0x2f, 0xb7, 0xc3, 0x1d])),
            client("192.0.2.1:57005"),
        ),
        // Nothing that a client over TCP could be.
        (v2(0x21, 0x00, b""), Header::Itself),
        (v2(0x21, 0x00, b"\x04\0\x01\0"), Header::Itself),
        (v2(0x21, 0x31, &unix), Header::Itself),
        (v2(0x21, 0x12, &TCP4), Header::Itself),
        (v2(0x21, 0x10, &TCP4), Header::Itself),
        // Its own connections, whatever it says with them.
        (v2(0x20, 0x00, b""), Header::Itself),
        (v2(0x20, 0x11, &TCP4), Header::Itself),
        (v2(0x20, 0x11, b"odd"), Header::Itself),
    ] {
        assert_eq!(header(&bytes), expected, "{bytes:?}");
    }
}

#[test]
fn headers_of_version_2_that_are_not_right_are_refused() {
    let with = |extensions: &[u8]| v2(0x21, 0x11, &[&TCP4, extensions].concat());
    let unknown = "the header is of an unknown kind";
    let extensions = "the extensions are malformed";
    for (bytes, why) in [
        (v2(0x11, 0x11, &TCP4), unknown),
        (v2(0x31, 0x11, &TCP4), unknown),
        (v2(0x22, 0x11, &TCP4), unknown),
        (v2(0x21, 0x41, &TCP4), unknown),
        (v2(0x21, 0x13, &TCP4), unknown),
        (v2(0x20, 0xf1, b""), unknown),
        (
            v2(0x21, 0x11, &TCP4[..11]),
            "the header is too short for its addresses",
        ),
        (
            v2(0x21, 0x21, &TCP4),
            "the header is too short for its addresses",
        ),
        (
            v2(0x21, 0x31, &[0; 215]),
            "the header is too short for its addresses",
        ),
        (with(&[4]), extensions),
        (with(&[4, 0]), extensions),
        (with(&[4, 0, 1]), extensions),
        (with(&[4, 0xff, 0xff, 0]), extensions),
        (with(&[3, 0, 3, 1, 2, 3]), extensions),
        (with(&[3, 0, 4, 1, 2, 3, 4]), "the checksum is wrong"),
        (
            with(&[3, 0, 4, 0, 0, 0, 0, 3, 0, 4, 0, 0, 0, 0]),
            extensions,
        ),
        (v2(0x21, 0x11, &vec![0; LONGEST]), "the header is too long"),
    ] {
        assert_eq!(error(&bytes), why, "{bytes:?}");
    }
    assert!(run(&with(&[0xea; 1])).0.is_err());
}

#[test]
fn what_is_no_header_is_told_from_one() {
    for bytes in [
        &b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\0\0\0\0\0\0\0"[..],
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"PUT /v1/key/create/a HTTP/1.1\r\n",
        b"PROXYTCP4 192.0.2.1 ",
        b"\r\n\r\n\0\r\nQUIT\r\x21\x11\0\x0c",
    ] {
        let why = error(bytes);
        assert!(
            why.starts_with("there is no PROXY protocol header"),
            "{why}"
        );
        assert!(!starts_with_header(bytes));
    }
    assert!(starts_with_header(b"PROXY TCP4 "));
    assert!(starts_with_header(&v2(0x21, 0x11, &TCP4)));
    assert_eq!(run(b"").0.unwrap(), None);
}

#[test]
fn a_header_that_ends_too_early_is_an_error() {
    for whole in [
        &b"PROXY TCP4 192.0.2.1 10.0.0.9 57005 7373\r\n"[..],
        &v2(0x21, 0x21, &tcp6()),
    ] {
        for cut in 1..whole.len() {
            assert!(matches!(run(&whole[..cut]).0, Err(Error::Io(_))), "{cut}");
        }
    }
}

proptest! {
    #[test]
    fn no_byte_behind_a_header_is_taken(
        ip in any::<[u8; 16]>(),
        port in any::<u16>(),
        extension in proptest::collection::vec(any::<u8>(), 0..300),
        behind in proptest::collection::vec(any::<u8>(), 0..20),
    ) {
        let address = SocketAddr::from((ip, port));
        let line = format!("PROXY TCP6 {} ::1 {port} 7373\r\n", address.ip());
        let length = u16::try_from(extension.len()).unwrap().to_be_bytes();
        let block = [&ip[..], &[0; 16], &port.to_be_bytes(), &[0; 2], &[0xe0], &length, &extension].concat();
        for header in [line.into_bytes(), v2(0x21, 0x21, &block)] {
            let (read, left) = run(&[&header, &behind[..]].concat());
            prop_assert_eq!(left, behind.len());
            prop_assert_eq!(read.unwrap(), Some(Header::Client(address)));
        }
    }
}
