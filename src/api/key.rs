//! Handlers of `/v1/key/…` (api.md 7.6 to 7.14, minio.md B3).

use std::sync::Arc;

use super::{
    error::{Error, Named},
    route::{Call, Reply},
};
use crate::{
    crypto::{Cipher, ImportError, KeyVersion, Plaintext},
    keyring,
    name::KeyName,
    secret::{NoRandomness, Secret},
    wire::{
        request::{BulkDecrypt, Decrypt, Encrypt, Generate, Hmac, Import},
        response::{KeyInfo, KeyList, OldKeyLine},
        write,
    },
};

/// Length of imported secrets and HMAC keys in bytes.
const KEY_LEN: usize = 32;
/// Largest listing in bytes: clients read at most 1 MiB (api.md 8).
const LISTING: usize = 1_000_000;
/// Most names that are asked of the keystore at once: more than a listing of the shortest names holds.
const NAMES: usize = 250_000;

/// `PUT /v1/key/create/`.
pub(super) async fn create(call: Call<'_>) -> Result<Reply, Error> {
    let name = call.key_name()?;
    let key = KeyVersion::generate(
        Cipher::for_this_cpu(),
        creator(&call),
        call.state.clock.now_utc(),
    )
    .map_err(no_randomness("failed to generate encryption key"))?;
    store(&call, &name, &key).await
}

/// `PUT /v1/key/import/`: the current form of the body, and the older ones (decision 19).
pub(super) async fn import(call: Call<'_>) -> Result<Reply, Error> {
    let name = call.key_name()?;
    let body = Import::parse(call.body()).map_err(|_| Error::ImportBody)?;
    // The oldest bodies have `bytes` only, and mean AES256.
    let (secret, cipher) = match (body.has_key, body.has_bytes) {
        (false, true) if body.algorithm.is_empty() => (&body.bytes, "AES256"),
        (false, true) => (&body.bytes, body.algorithm.as_str()),
        _ => (&body.key, body.cipher.as_str()),
    };
    let kind = Cipher::parse(cipher).ok_or_else(|| Error::Cipher(shown(cipher)))?;
    if secret.len() != KEY_LEN {
        return Err(Error::KeySize(cipher.to_owned()));
    }
    if body.has_hmac && body.hmac.len() != KEY_LEN {
        return Err(Error::HmacKeySize);
    }
    let key = KeyVersion::import(
        kind,
        Secret::copy_from(secret),
        body.has_hmac.then(|| Secret::copy_from(&body.hmac)),
        creator(&call),
        call.state.clock.now_utc(),
    )
    .map_err(|error| match error {
        ImportError::SecretLength(_) => Error::KeySize(cipher.to_owned()),
        ImportError::HmacLength(_) => Error::HmacKeySize,
        ImportError::NoRandomness(source) => no_randomness("failed to create key")(source),
    })?;
    store(&call, &name, &key).await
}

async fn store(call: &Call<'_>, name: &KeyName, key: &KeyVersion) -> Result<Reply, Error> {
    let created = call.state.keys.create(name, key).await;
    created.map_err(|error| Error::store("create key", error))?;
    Ok(Reply::empty().with_message(format!("secret key '{name}' created")))
}

/// `GET /v1/key/describe/`.
pub(super) async fn describe(call: Call<'_>) -> Result<Reply, Error> {
    let name = call.key_name()?;
    let key = fetch(&call, &name).await?;
    Reply::json(&KeyInfo {
        name: name.to_string(),
        algorithm: key.cipher().as_str().to_owned(),
        created_at: key.created_at(),
        created_by: key.created_by().to_owned(),
    })
}

/// `GET /v1/key/list/`: all names at once as long as the body stays below what clients read (api.md 8).
pub(super) async fn list(call: Call<'_>) -> Result<Reply, Error> {
    let pattern = call.pattern()?;
    let lines = call.state.compat.ndjson_lists;
    // Lines have no place to say where to continue.
    let limit = if lines { usize::MAX } else { NAMES };
    let page = call.state.keys.list(&pattern, limit).await;
    let page = page.map_err(|source| Error::Store {
        doing: "list keys",
        source,
    })?;
    if lines {
        let names = page.names.iter().map(KeyName::as_str);
        return Reply::lines(names.map(|name| OldKeyLine { name }));
    }
    let mut names = Vec::with_capacity(page.names.len());
    let mut next = page.next;
    let mut size = 0;
    for name in page.names {
        // Two quotes and a comma.
        size += name.as_str().len() + 3;
        if size > LISTING {
            next = Some(name);
            break;
        }
        names.push(name.to_string());
    }
    Reply::json(&KeyList {
        names,
        continue_at: next
            .map(|name| pattern.continue_at(name.as_str()))
            .unwrap_or_default(),
    })
}

/// `DELETE /v1/key/delete/`.
pub(super) async fn delete(call: Call<'_>) -> Result<Reply, Error> {
    let name = call.key_name()?;
    let deleted = call.state.keys.delete(&name).await;
    deleted.map_err(|error| Error::store("delete key", error))?;
    Ok(Reply::empty().with_message(format!("secret key '{name}' deleted")))
}

/// `PUT /v1/key/encrypt/`.
pub(super) async fn encrypt(call: Call<'_>) -> Result<Reply, Error> {
    let name = call.key_name()?;
    let body = Encrypt::parse(call.body()).map_err(|_| Error::Body)?;
    let key = fetch(&call, &name).await?;
    let ciphertext = key
        .seal(&body.plaintext, &body.context)
        .map_err(no_randomness("failed to encrypt plaintext"))?;
    Ok(Reply::bytes(write::secrets(&[("ciphertext", &ciphertext)])))
}

/// `PUT /v1/key/generate/`: a data key, in plain and encrypted.
pub(super) async fn generate(call: Call<'_>) -> Result<Reply, Error> {
    let name = call.key_name()?;
    // Only who declares that there is no body gets a data key without context: one that was lost on its way has been refused already
    // (api.md 7.12).
    let body = if call.has_no_body() {
        Generate::default()
    } else {
        Generate::parse(call.body()).map_err(|_| Error::Body)?
    };
    let key = fetch(&call, &name).await?;
    let (data_key, ciphertext) = key
        .seal_data_key(&body.context)
        .map_err(no_randomness("failed to generate encryption key"))?;
    Ok(Reply::bytes(write::secrets(&[
        ("plaintext", data_key.expose()),
        ("ciphertext", &ciphertext),
    ])))
}

/// `PUT /v1/key/decrypt/`.
pub(super) async fn decrypt(call: Call<'_>) -> Result<Reply, Error> {
    let name = call.key_name()?;
    let body = Decrypt::parse(call.body()).map_err(|_| Error::Body)?;
    let key = fetch(&call, &name).await?;
    let plaintext = key
        .open(&body.ciphertext, &body.context)
        .map_err(|_| Error::Decrypt)?;
    Ok(Reply::bytes(write::secrets(&[(
        "plaintext",
        plaintext.expose(),
    )])))
}

/// `PUT /v1/key/bulk/decrypt/`: all entries or none.
pub(super) async fn bulk_decrypt(call: Call<'_>) -> Result<Reply, Error> {
    let name = call.key_name()?;
    // Here the key is looked up before the body is read, as the predecessor did.
    let key = fetch(&call, &name).await?;
    let entries = match BulkDecrypt::parse(call.body()).map_err(|_| Error::Body)? {
        BulkDecrypt::Entries(entries) => entries,
        BulkDecrypt::TooMany => return Err(Error::TooMany),
    };
    let mut plaintexts = Vec::with_capacity(entries.len());
    for entry in &entries {
        let plaintext = key.open(&entry.ciphertext, &entry.context);
        plaintexts.push(plaintext.map_err(|_| Error::Decrypt)?);
    }
    let plaintexts = plaintexts.iter().map(Plaintext::expose);
    Ok(Reply::bytes(write::secret_list("plaintext", plaintexts)))
}

/// `PUT /v1/key/hmac/`.
pub(super) async fn hmac(call: Call<'_>) -> Result<Reply, Error> {
    let name = call.key_name()?;
    let body = Hmac::parse(call.body()).map_err(|_| Error::Body)?;
    let key = fetch(&call, &name).await?;
    let sum = key.hmac(&body.message).map_err(|_| Error::NoHmac)?;
    Ok(Reply::bytes(write::secrets(&[("hmac", &sum[..])])))
}

async fn fetch(call: &Call<'_>, name: &KeyName) -> Result<Arc<KeyVersion>, Error> {
    let key = call.state.keys.get(name).await;
    key.map_err(|error| match error.kind() {
        keyring::Kind::NotFound => Error::NotFound(Named::Key),
        keyring::Kind::Exists | keyring::Kind::Other | keyring::Kind::Unreachable => Error::Store {
            doing: "read key",
            source: error,
        },
    })
}

/// The name of an unknown cipher, as messages show it. What is too long for any name is cut to a beginning that tells little: it may be
/// a key in the wrong field, and messages are logged.
fn shown(cipher: &str) -> String {
    if cipher.len() <= 32 {
        return cipher.to_owned();
    }
    cipher.chars().take(8).chain(['…']).collect()
}

/// Who makes a key. Empty for a caller without a certificate, who cannot get here unless a route is open to all.
fn creator<'a>(call: &'a Call<'_>) -> &'a str {
    call.permit
        .identity()
        .map_or("", crate::identity::Identity::as_str)
}

fn no_randomness(failed: &'static str) -> impl Fn(NoRandomness) -> Error {
    move |source| Error::Randomness { failed, source }
}
