//! Bodies of requests and of answers.

use std::slice;

use kes::wire::{
    outgoing, reply,
    request::{BulkDecrypt, Decrypt, Encrypt, Generate, Hmac, Import},
    response,
    scan::Scanner,
};
use serde::de::{DeserializeOwned, IgnoredAny};

/// The bodies agree on what they share, and our own spelling of what was read reads the same.
pub fn request_body(data: &[u8]) {
    let context = Generate::parse(data).map(|body| body.context);
    if let Ok(context) = &context {
        assert!(is_object(data));
        let again = Generate::parse(&outgoing::generate(context)).expect("our own body");
        assert_eq!(*again.context, **context);
    }
    if let Ok(body) = Encrypt::parse(data) {
        assert_eq!(context.as_ref(), Ok(&body.context));
        let own = outgoing::encrypt(&body.plaintext, &body.context);
        let again = Encrypt::parse(&own).expect("our own body");
        assert_eq!(*again.plaintext, *body.plaintext);
        assert_eq!(*again.context, *body.context);
    }
    if let Ok(body) = Decrypt::parse(data) {
        assert_eq!(context.as_ref(), Ok(&body.context));
        let own = outgoing::decrypt(&body.ciphertext, &body.context);
        let again = Decrypt::parse(&own).expect("our own body");
        assert_eq!(*again.ciphertext, *body.ciphertext);
        let entry = [b"[", &*own, b"]"].concat();
        let Ok(BulkDecrypt::Entries(entries)) = BulkDecrypt::parse(&entry) else {
            panic!("one entry is refused");
        };
        assert_eq!(*entries[0].ciphertext, *body.ciphertext);
        assert_eq!(*entries[0].context, *body.context);
    }
    if let Ok(body) = Hmac::parse(data) {
        let again = Hmac::parse(&outgoing::hmac(&body.message)).expect("our own body");
        assert_eq!(*again.message, *body.message);
    }
    if let Ok(body) = Import::parse(data) {
        assert!(is_object(data));
        assert!(body.has_key || body.key.is_empty());
        assert!(body.has_bytes || body.bytes.is_empty());
        assert!(body.has_hmac || body.hmac.is_empty());
    }
    if let Ok(BulkDecrypt::Entries(entries)) = BulkDecrypt::parse(data) {
        assert!(entries.len() <= BulkDecrypt::MAX);
    }
}

/// Whether a body is an object, or `null`, which stands for an empty one.
fn is_object(body: &[u8]) -> bool {
    matches!(body.trim_ascii_start().first(), Some(b'{' | b'n'))
}

/// A body may be cut where the scanner says that it is complete: that is never before the end of its first value, and no parser reads
/// the rest.
pub fn body_end(data: &[u8]) {
    let mut scanner = Scanner::default();
    let end = data
        .iter()
        .position(|byte| scanner.feed(slice::from_ref(byte)))
        .map(|last| last + 1);

    // However a body comes in pieces.
    let (first, second) = data.split_at(data.len() / 3);
    let mut scanner = Scanner::default();
    let complete = scanner.feed(first) || scanner.feed(second);
    assert_eq!(complete, end.is_some());

    let mut values = serde_json::Deserializer::from_slice(data).into_iter::<IgnoredAny>();
    if let Some(Ok(_)) = values.next() {
        let value_end = values.byte_offset();
        if matches!(data.trim_ascii_start().first(), Some(b'{' | b'[')) {
            assert_eq!(end, Some(value_end));
        }
        assert!(end.is_none_or(|end| end >= value_end));
    }
    if let Some(end) = end {
        assert_eq!(readings(&data[..end]), readings(data));
    }
}

/// What each parser makes of `body`.
fn readings(body: &[u8]) -> Vec<Option<Vec<Vec<u8>>>> {
    let bulk = |body| match body {
        BulkDecrypt::TooMany => vec![b"too many".to_vec()],
        BulkDecrypt::Entries(entries) => entries
            .into_iter()
            .flat_map(|entry| [entry.ciphertext.to_vec(), entry.context.to_vec()])
            .collect(),
    };
    let encrypt = |body: Encrypt| vec![body.plaintext.to_vec(), body.context.to_vec()];
    let import = |body: Import| {
        let given = [body.has_key, body.has_bytes, body.has_hmac].map(u8::from);
        let bytes = [body.key, body.bytes, body.hmac].map(|bytes| bytes.to_vec());
        let texts = [body.cipher, body.algorithm].map(String::into_bytes);
        [vec![given.to_vec()], bytes.to_vec(), texts.to_vec()].concat()
    };
    vec![
        BulkDecrypt::parse(body).ok().map(bulk),
        Encrypt::parse(body).ok().map(encrypt),
        Import::parse(body).ok().map(import),
    ]
}

/// What a server may answer to the command line: read, or refused with a reason.
pub fn answer(data: &[u8]) {
    fn read<T: DeserializeOwned>(data: &[u8]) {
        if let Err(error) = serde_json::from_slice::<T>(data) {
            assert!(!error.to_string().is_empty());
        }
    }
    read::<reply::Encrypted>(data);
    read::<reply::Generated>(data);
    read::<reply::Decrypted>(data);
    read::<reply::Hmac>(data);
    read::<response::Version>(data);
    read::<response::Status>(data);
    read::<Vec<response::ApiRoute>>(data);
    read::<response::KeyInfo>(data);
    read::<response::KeyList>(data);
    read::<response::PolicyList>(data);
    read::<response::IdentityList>(data);
    read::<response::PolicyInfo>(data);
    read::<response::PolicyRules>(data);
    read::<response::IdentityInfo>(data);
    read::<response::SelfInfo>(data);
    if let Ok(error) = serde_json::from_slice::<reply::ErrorBody>(data) {
        let _ = error.text();
    }
}
