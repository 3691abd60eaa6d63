//! The long form of a listing: one description for each name, several at a time.

use std::sync::Arc;

use serde::Serialize;
use time::OffsetDateTime;
use tokio::task::JoinSet;

use crate::{
    cli::{
        connect::Session,
        error::Error,
        output::{Output, Style},
    },
    client::{error, listing::Kind},
    wire::response::timestamp,
};

/// Descriptions under way at a time.
const AT_ONCE: usize = 16;

/// A name and what is known of it.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    #[serde(skip_serializing_if = "String::is_empty")]
    name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    identity: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    algorithm: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    policy: String,
    #[serde(with = "timestamp", skip_serializing_if = "is_unknown")]
    created_at: OffsetDateTime,
    #[serde(skip_serializing_if = "String::is_empty")]
    created_by: String,
}

fn is_unknown(at: &OffsetDateTime) -> bool {
    *at == timestamp::none()
}

/// Describes all names, in their order. What is gone meanwhile, or what the server cannot describe, has a row with its name alone.
pub(super) async fn describe(
    session: Session,
    kind: Kind,
    names: Vec<String>,
) -> Result<Vec<Row>, Error> {
    let session = Arc::new(session);
    let mut rows: Vec<(usize, Row)> = Vec::with_capacity(names.len());
    let mut under_way = JoinSet::new();
    for (at, name) in names.into_iter().enumerate() {
        if under_way.len() >= AT_ONCE
            && let Some(row) = under_way.join_next().await
        {
            rows.push(joined(row)?);
        }
        let session = session.clone();
        under_way.spawn(async move {
            let row = row(&session, kind, name).await;
            row.map(|row| (at, row))
        });
    }
    while let Some(row) = under_way.join_next().await {
        rows.push(joined(row)?);
    }
    rows.sort_by_key(|(at, _)| *at);
    Ok(rows.into_iter().map(|(_, row)| row).collect())
}

fn joined<T>(outcome: Result<Result<T, Error>, tokio::task::JoinError>) -> Result<T, Error> {
    outcome.map_err(|error| Error::Setup(Box::new(error)))?
}

async fn row(session: &Session, kind: Kind, name: String) -> Result<Row, Error> {
    let doing = format!("failed to describe \"{name}\"");
    let client = &session.client;
    let mut row = Row {
        name: String::new(),
        identity: String::new(),
        algorithm: String::new(),
        policy: String::new(),
        created_at: timestamp::none(),
        created_by: String::new(),
    };
    match kind {
        Kind::Keys => {
            if let Some(info) = known(session.call(doing, client.describe_key(&name)).await)? {
                row.algorithm = info.algorithm;
                row.created_at = info.created_at;
                row.created_by = info.created_by;
            }
            row.name = name;
        }
        Kind::Policies => {
            if let Some(info) = known(session.call(doing, client.describe_policy(&name)).await)? {
                row.created_at = info.created_at;
                row.created_by = info.created_by;
            }
            row.name = name;
        }
        Kind::Identities => {
            let described = session.call(doing, client.describe_identity(&name)).await;
            if let Some(info) = known(described)? {
                row.policy = if info.admin {
                    "(admin)".to_owned()
                } else {
                    info.policy
                };
                row.created_at = info.created_at;
                row.created_by = info.created_by;
            }
            row.identity = name;
        }
    }
    Ok(row)
}

/// `None` for what is not there.
fn known<T>(outcome: Result<T, Error>) -> Result<Option<T>, Error> {
    match outcome {
        Ok(info) => Ok(Some(info)),
        Err(Error::Call {
            source: error::Error::Answer(answer),
            ..
        }) if answer.status == 404 => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes columns: the name, what else is known, and `-` for what is not.
pub(super) fn print(
    rows: &[Row],
    header: Option<&str>,
    utc: bool,
    out: &Output,
) -> Result<(), Error> {
    if rows.is_empty() {
        return Ok(());
    }
    let mut lines: Vec<[String; 4]> = Vec::with_capacity(rows.len() + 1);
    if let Some(title) = header {
        let second = match title {
            "Key" => "Algorithm",
            "Identity" => "Policy",
            _ => "",
        };
        lines.push([title, second, "Created At", "Created By"].map(str::to_owned));
    }
    for row in rows {
        let or_dash = |text: &str| if text.is_empty() { "-" } else { text }.to_owned();
        let created = if is_unknown(&row.created_at) {
            "-".to_owned()
        } else {
            out.time(row.created_at, utc)
        };
        let (name, second) = if row.identity.is_empty() {
            (row.name.clone(), row.algorithm.clone())
        } else {
            (row.identity.clone(), or_dash(&row.policy))
        };
        lines.push([name, second, created, or_dash(&row.created_by)]);
    }
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        cells
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or_default()
    };
    let widths = [width(0), width(1), width(2)];
    let text: Vec<String> = lines
        .iter()
        .enumerate()
        .map(|(at, [name, second, created, by])| {
            let [first, middle, third] = widths;
            let second = if middle == 0 {
                String::new()
            } else {
                format!("{second:middle$}  ")
            };
            let line = format!("{name:first$}  {second}{created:third$}  {by}");
            if at == 0 && header.is_some() {
                out.styled(Style::Underline, &line)
            } else {
                line
            }
        })
        .collect();
    out.text(&text.join("\n"))
}
