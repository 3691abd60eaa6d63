//! The context that a ciphertext is bound to.

use zeroize::Zeroizing;

use crate::{cli::error::Error, wire::base64};

/// Flags that give a context.
#[derive(clap::Args, Clone)]
#[group(multiple = false)]
pub(super) struct ContextArgs {
    /// Bind the ciphertext to this context, in base64
    #[arg(long, value_name = "BASE64")]
    context: Option<String>,
    /// Bind the ciphertext to this context, as it is
    #[arg(long, value_name = "TEXT")]
    context_raw: Option<String>,
}

impl ContextArgs {
    /// The context, empty if none is given. `argument` is an older way to give one, in base64.
    pub(super) fn bytes(&self, argument: Option<&str>) -> Result<Zeroizing<Vec<u8>>, Error> {
        let flag = self.context.as_deref();
        match (flag.or(argument), self.context_raw.as_deref()) {
            _ if argument.is_some() && (flag.is_some() || self.context_raw.is_some()) => Err(
                Error::Usage("the context is given twice: as argument and as flag".to_owned()),
            ),
            (Some(text), _) => decode("the context", text),
            (None, Some(text)) => Ok(Zeroizing::new(text.as_bytes().to_vec())),
            (None, None) => Ok(Zeroizing::default()),
        }
    }
}

/// Decodes base64 of the user's; white space around it is ignored.
pub(super) fn decode(what: &str, text: &str) -> Result<Zeroizing<Vec<u8>>, Error> {
    base64::decode(text.trim()).map_err(|error| Error::Invalid(format!("{what} is {error}")))
}
