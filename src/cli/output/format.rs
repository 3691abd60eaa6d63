//! The forms a result can take: text for people, documents for programs (cli.md 19.2).

use clap::ValueEnum;
use serde::Serialize;

use crate::cli::error::Error;

/// What a result looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Format {
    /// Sentences and fields.
    #[default]
    Text,
    /// One document.
    Json,
    /// One JSON object a line.
    #[value(alias = "json-lines")]
    Jsonl,
    /// One document.
    Yaml,
    /// Text with headers, also where no terminal is.
    Table,
}

impl Format {
    /// Whether programs read it.
    pub(in crate::cli) fn is_document(self) -> bool {
        matches!(self, Self::Json | Self::Jsonl | Self::Yaml)
    }
}

/// `value` as a document without the newline at its end. `pretty` spreads JSON over several lines.
pub(super) fn document<T: Serialize + ?Sized>(
    value: &T,
    format: Format,
    pretty: bool,
) -> Result<String, Error> {
    let failed = |error: serde_json::Error| Error::Setup(Box::new(error));
    match format {
        Format::Yaml => {
            let yaml = serde_saphyr::to_string(&value);
            let yaml = yaml.map_err(|error| Error::Setup(Box::new(error)))?;
            Ok(yaml.trim_end().to_owned())
        }
        _ if pretty => serde_json::to_string_pretty(value)
            .map(escaped)
            .map_err(failed),
        _ => serde_json::to_string(value).map(escaped).map_err(failed),
    }
}

/// These stand in strings only; whoever puts the document into HTML is safe.
fn escaped(json: String) -> String {
    if json.contains(['<', '>', '&']) {
        json.replace('<', "\\u003c")
            .replace('>', "\\u003e")
            .replace('&', "\\u0026")
    } else {
        json
    }
}
