//! What an identity can be computed from: API keys, certificates, private and public keys.

use std::path::Path;

use rustls::crypto::aws_lc_rs;
use rustls_pki_types::PrivateKeyDer;

use crate::{
    apikey::{self, ApiKey},
    cli::{error::Error, file},
    identity::Identity,
    pem::{self, Block},
};

/// The identity of one argument, and the name to show it under, which is never a secret.
pub(super) fn identity_of(argument: &str) -> Result<(String, Identity), Error> {
    let path = Path::new(argument);
    if argument.starts_with(apikey::PREFIX) || !path.exists() {
        if let Ok(key) = ApiKey::parse(argument) {
            return Ok(("API key".to_owned(), key.identity()));
        }
        if argument.starts_with(apikey::PREFIX) {
            return Err(Error::Invalid(apikey::InvalidApiKey.to_string()));
        }
    }
    let text = if argument == "-" {
        file::stdin()?
    } else {
        file::read(path)?
    };
    let key = std::str::from_utf8(&text).ok();
    if let Some(key) = key.and_then(|text| ApiKey::parse(text.trim()).ok()) {
        return Ok((argument.to_owned(), key.identity()));
    }
    let blocks = blocks(&text, argument)?;
    // A certificate says most surely who its owner is; a file may hold its key as well.
    let block = blocks
        .iter()
        .find(|block| block.is_certificate())
        .or_else(|| blocks.iter().find(|block| block.is_private_key()))
        .or_else(|| blocks.iter().find(|block| block.is_public_key()));
    let block = block.ok_or_else(|| {
        Error::Invalid(format!(
            "there is no certificate, key or API key in '{argument}'"
        ))
    })?;
    Ok((argument.to_owned(), identity_of_block(block, argument)?))
}

/// The identity that an argument names: itself, or that of an API key or of a file.
pub(super) fn identity(argument: &str) -> Result<String, Error> {
    let is_hash = Identity::from_text(argument).is_some_and(|identity| identity.is_hash());
    let is_source = argument == "-"
        || argument.starts_with(apikey::PREFIX)
        || ApiKey::parse(argument).is_ok()
        || Path::new(argument).exists();
    if is_hash || !is_source {
        return Ok(argument.to_owned());
    }
    let (_, identity) = identity_of(argument)?;
    Ok(identity.to_string())
}

/// The PEM blocks of a file's content.
pub(super) fn blocks(text: &[u8], name: &str) -> Result<Vec<Block>, Error> {
    pem::decode(text).map_err(|error| Error::Invalid(format!("'{name}': {error}")))
}

/// The identity of a certificate, a private or a public key.
pub(super) fn identity_of_block(block: &Block, name: &str) -> Result<Identity, Error> {
    let malformed = || Error::Invalid(format!("the {} in '{name}' is malformed", block.label()));
    if block.is_certificate() {
        return Identity::of_certificate(block.der()).map_err(|_| malformed());
    }
    if block.is_public_key() {
        return Ok(Identity::of_public_key(block.der()));
    }
    if block.is_encrypted() {
        return Err(encrypted(name));
    }
    let der = PrivateKeyDer::try_from(block.der()).map_err(|_| malformed())?;
    let key = aws_lc_rs::sign::any_supported_type(&der).map_err(|_| malformed())?;
    let public = key.public_key().ok_or_else(malformed)?;
    Ok(Identity::of_public_key(&public))
}

pub(super) fn encrypted(name: &str) -> Error {
    Error::Invalid(format!(
        "the private key in '{name}' is encrypted: use its certificate"
    ))
}
