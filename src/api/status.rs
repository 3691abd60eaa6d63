//! Handlers that tell how the server is: `/version`, `/v1/ready`, `/v1/status`, `/v1/metrics`, `/v1/api` (api.md 7.1 to 7.5).

use bytes::Bytes;

use super::{
    ROUTES,
    error::Error,
    route::{Call, Reply, Route},
};
use crate::{
    keyring::Kind,
    telemetry::{self, System},
    wire::response::{ApiRoute, Status, Version},
};

/// `GET /version`.
pub(super) async fn version(_: Call<'_>) -> Result<Reply, Error> {
    Reply::json(&Version {
        version: crate::VERSION.to_owned(),
        commit: crate::COMMIT.to_owned(),
    })
}

/// `GET /v1/ready`.
pub(super) async fn ready(call: Call<'_>) -> Result<Reply, Error> {
    match call.state.keys.status().await {
        Ok(_) => Ok(Reply::empty()),
        Err(source) => Err(Error::NotReady {
            unreachable: source.kind() == Kind::Unreachable,
            source,
        }),
    }
}

/// `GET /v1/status`: status 200 also while the keystore is down.
pub(super) async fn status(call: Call<'_>) -> Result<Reply, Error> {
    let keystore = call.state.keys.status().await;
    let uptime = call.state.uptime();
    let system = System::read(uptime);
    let latency = |latency: &std::time::Duration| {
        // Rounded, and at least 1 when the store answered.
        u64::try_from((latency.as_micros() + 500) / 1000).map_or(u64::MAX, |ms| ms.max(1))
    };
    Reply::json(&Status {
        version: crate::VERSION.to_owned(),
        os: telemetry::os().to_owned(),
        arch: telemetry::arch().to_owned(),
        uptime: (uptime + std::time::Duration::from_millis(500)).as_secs(),
        num_cpu: system.num_cpu,
        num_cpu_used: system.num_cpu_used,
        mem_heap_used: system.mem_heap,
        mem_stack_used: system.mem_stack,
        keystore_latency: keystore.as_ref().map_or(0, latency),
        keystore_unreachable: matches!(&keystore, Err(error) if error.kind() == Kind::Unreachable),
        keystore_unavailable: keystore.is_err(),
    })
}

/// `GET /v1/metrics`.
pub(super) async fn metrics(call: Call<'_>) -> Result<Reply, Error> {
    let system = System::read(call.state.uptime());
    let page = call.state.telemetry.metrics.render(&system);
    Ok(Reply::text(telemetry::CONTENT_TYPE, Bytes::from(page)))
}

/// `GET /v1/api`: the routes, sorted by path, with their limits as configured.
pub(super) async fn api(call: Call<'_>) -> Result<Reply, Error> {
    let listed = |(index, route): (usize, &Route)| {
        let settings = call.state.routes.get(index);
        let timeout = settings.map_or(route.timeout, |settings| settings.timeout);
        route.listed.then(|| ApiRoute {
            method: route.method.as_str().to_owned(),
            path: route.path.to_owned(),
            max_body: route.max_body as u64,
            timeout: timeout.map_or(0, |limit| limit.as_secs()),
        })
    };
    let mut routes: Vec<_> = ROUTES.iter().enumerate().filter_map(listed).collect();
    routes.sort_by(|a, b| a.path.cmp(&b.path));
    Reply::json(&routes)
}
