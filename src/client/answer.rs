//! Reading answers: success, or the server's own words; current bodies and those of older servers (cli.md 3.4 and 5).

use http::StatusCode;
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    error::{Answer, Error},
    transport::{Call, Reply},
};
use crate::wire::reply::ErrorBody;

/// Longest message that is shown, in characters.
const MESSAGE_LIMIT: usize = 1000;

/// `reply` if its status is 200, which alone is success; else what the server said.
pub(super) fn success(reply: Reply, call: &Call) -> Result<Reply, Error> {
    if reply.status == StatusCode::OK {
        return Ok(reply);
    }
    let status = reply.status.as_u16();
    let mut message = message(&reply);
    match (status, message.as_str()) {
        (400, "key does already exist") => "key already exists".clone_into(&mut message),
        (403, "prohibited by policy") => {
            "not authorized: insufficient permissions".clone_into(&mut message);
        }
        _ => {}
    }
    Err(Error::Answer(Answer {
        status,
        message,
        method: call.method,
        path: percent_decode_str(&call.path)
            .decode_utf8_lossy()
            .into_owned(),
        repeated: reply.repeated,
    }))
}

/// The text of an error. Control characters are removed: it ends up on a terminal.
fn message(reply: &Reply) -> String {
    let raw = String::from_utf8_lossy(&reply.body);
    let json = reply.content_type.starts_with("application/json");
    let text = match serde_json::from_str::<ErrorBody>(&raw) {
        Ok(body) if json => body.text(),
        _ => raw.into_owned(),
    };
    text.trim()
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MESSAGE_LIMIT)
        .collect()
}

/// The JSON body of a successful reply.
pub(super) fn json<T: DeserializeOwned>(reply: &Reply) -> Result<T, Error> {
    parse(&reply.body, reply)
}

/// All JSON values of a successful reply, one after the other, that hold no secrets.
pub(super) fn json_values(reply: &Reply) -> Result<Vec<Value>, Error> {
    let values = serde_json::Deserializer::from_slice(&reply.body).into_iter();
    let values: Result<_, serde_json::Error> = values.collect();
    values.map_err(|error| failed_at(&error, reply))
}

/// Says where reading failed and not what was read: that may be a secret.
fn parse<T: DeserializeOwned>(body: &[u8], reply: &Reply) -> Result<T, Error> {
    serde_json::from_slice(body).map_err(|error| failed_at(&error, reply))
}

fn failed_at(error: &serde_json::Error, reply: &Reply) -> Error {
    let (line, column) = (error.line(), error.column());
    malformed(reply, &format!("line {line}, column {column}"))
}

pub(super) fn malformed(reply: &Reply, detail: &str) -> Error {
    unreadable(&reply.request, detail)
}

pub(super) fn unreadable(request: &str, detail: &str) -> Error {
    Error::Malformed {
        request: request.to_owned(),
        detail: detail.to_owned(),
    }
}
