//! Encrypted files.

use kes::{
    crypto::file::{Damaged, Header, MAX_HEADER, Malformed},
    secret::Secret,
};

/// Length of the MAC that ends a header.
const MAC: usize = 32;

/// What is read as a header says what stands there, does not open with a key that did not make it, and is no header when it is cut.
pub fn file(data: &[u8]) {
    let Ok((header, len)) = Header::parse(data) else {
        return;
    };
    assert!(len <= MAX_HEADER);
    let wrapped = u16::try_from(header.wrapped().len()).expect("4096 at most");
    let mut written = header.context().to_vec();
    written.extend_from_slice(&wrapped.to_be_bytes());
    written.extend_from_slice(header.wrapped());
    assert_eq!(written, data[..len - MAC]);
    assert!(header.context().ends_with(header.key().as_str().as_bytes()));
    let (again, same) = Header::parse(&data[..len]).expect("the header alone");
    assert_eq!((again, same), (header.clone(), len));
    let cut = Header::parse(&data[..len - 1]).expect_err("a cut header");
    assert_eq!(cut, Malformed::Cut);
    let opened = header.open(Secret::copy_from(&[0; 32]));
    assert!(matches!(opened, Err(Damaged::Header)), "a forged header");
}
