//! Handlers of `/v1/log/…` (api.md 7.21, 10.3): streams of what happens from now on.

use super::{
    error::Error,
    route::{Call, Reply},
};

/// `GET /v1/log/error`.
pub(super) async fn error(call: Call<'_>) -> Result<Reply, Error> {
    Ok(Reply::stream(call.state.telemetry.log.subscribe()))
}

/// `GET /v1/log/audit`.
pub(super) async fn audit(call: Call<'_>) -> Result<Reply, Error> {
    Ok(Reply::stream(call.state.telemetry.audit.subscribe()))
}
