//! The HTTP API: [`ROUTES`] is its table of contents; [`serve`] is the one road from a request to its response.

use std::time::Duration;

mod auth;
mod body;
mod error;
mod forwarded;
mod identity;
mod key;
mod log;
mod offline;
mod path;
mod policy;
mod record;
mod route;
mod status;
mod takes;

pub use auth::{Auth, Decision, Permit};
pub use body::Body;
pub use error::{Error, Named};
pub use forwarded::{Judge, Refusal};
pub use offline::{Caller, Door, Outcome, ask};
pub use route::{Call, Method, Reply, Route, reached, serve};
pub use takes::Takes;

use Auth::{Identify, Open, Policy};
use Method::{Delete, Get, Put};
use Takes::{Identity, Key, KeyPattern, Nothing, OldKey, Pattern, PolicyName};

/// Largest request body of most routes, in bytes.
const BODY: usize = 1_000_000;
/// Largest body of decryptions: what could be encrypted must be small enough to be decrypted again (api.md D-25).
const DECRYPT_BODY: usize = 1 << 20;

const SHORT: Option<Duration> = Some(Duration::from_secs(10));
const LONG: Option<Duration> = Some(Duration::from_secs(15));

/// Every route, in the order of the documentation (api.md 7). Router, `/v1/api`, metrics, README and the tests that walk all routes are
/// made from this table.
#[rustfmt::skip]
pub static ROUTES: &[Route] = &[
    // method, path,                          takes,      listed body, limit, timeout, auth,  in /v1/api, counted, audited, handler
    Route::new(Get,    "/version",                   Nothing,    0,    0,            SHORT, Open,     true,  false, true,  |c| Box::pin(status::version(c))),
    Route::new(Get,    "/v1/ready",                  Nothing,    0,    0,            LONG,  Policy,   true,  false, true,  |c| Box::pin(status::ready(c))),
    Route::new(Get,    "/v1/status",                 Nothing,    0,    0,            LONG,  Policy,   true,  false, true,  |c| Box::pin(status::status(c))),
    Route::new(Get,    "/v1/metrics",                Nothing,    0,    0,            LONG,  Policy,   true,  false, false, |c| Box::pin(status::metrics(c))),
    Route::new(Get,    "/v1/api",                    Nothing,    0,    0,            SHORT, Policy,   true,  false, true,  |c| Box::pin(status::api(c))),
    Route::new(Put,    "/v1/key/create/",            Key,        0,    0,            LONG,  Policy,   true,  true,  true,  |c| Box::pin(key::create(c))),
    Route::new(Put,    "/v1/key/import/",            Key,        BODY, BODY,         LONG,  Policy,   true,  true,  true,  |c| Box::pin(key::import(c))),
    Route::new(Get,    "/v1/key/describe/",          OldKey,     0,    0,            LONG,  Policy,   true,  true,  true,  |c| Box::pin(key::describe(c))),
    Route::new(Get,    "/v1/key/list/",              KeyPattern, 0,    0,            LONG,  Policy,   true,  true,  true,  |c| Box::pin(key::list(c))),
    Route::new(Delete, "/v1/key/delete/",            OldKey,     0,    0,            LONG,  Policy,   true,  true,  true,  |c| Box::pin(key::delete(c))),
    Route::new(Put,    "/v1/key/encrypt/",           Key,        BODY, BODY,         LONG,  Policy,   true,  true,  true,  |c| Box::pin(key::encrypt(c))),
    Route::new(Put,    "/v1/key/generate/",          OldKey,     BODY, BODY,         LONG,  Policy,   true,  true,  true,  |c| Box::pin(key::generate(c))),
    Route::new(Put,    "/v1/key/decrypt/",           OldKey,     BODY, DECRYPT_BODY, LONG,  Policy,   true,  true,  true,  |c| Box::pin(key::decrypt(c))),
    Route::new(Put,    "/v1/key/hmac/",              Key,        BODY, BODY,         LONG,  Policy,   true,  true,  true,  |c| Box::pin(key::hmac(c))),
    Route::new(Put,    "/v1/key/bulk/decrypt/",      OldKey,     BODY, DECRYPT_BODY, LONG,  Policy,   false, true,  true,  |c| Box::pin(key::bulk_decrypt(c))),
    Route::new(Get,    "/v1/policy/describe/",       PolicyName, 0,    0,            LONG,  Policy,   true,  true,  true,  |c| Box::pin(policy::describe(c))),
    Route::new(Get,    "/v1/policy/read/",           PolicyName, 0,    0,            LONG,  Policy,   true,  true,  true,  |c| Box::pin(policy::read(c))),
    Route::new(Get,    "/v1/policy/list/",           Pattern,    0,    0,            LONG,  Policy,   true,  true,  true,  |c| Box::pin(policy::list(c))),
    Route::new(Get,    "/v1/identity/describe/",     Identity,   0,    0,            LONG,  Policy,   true,  true,  true,  |c| Box::pin(identity::describe(c))),
    Route::new(Get,    "/v1/identity/list/",         Pattern,    0,    0,            LONG,  Policy,   true,  true,  true,  |c| Box::pin(identity::list(c))),
    Route::new(Get,    "/v1/identity/self/describe", Nothing,    0,    0,            LONG,  Identify, true,  true,  true,  |c| Box::pin(identity::describe_self(c))),
    Route::new(Get,    "/v1/log/error",              Nothing,    0,    0,            None,  Policy,   true,  false, true,  |c| Box::pin(log::error(c))),
    Route::new(Get,    "/v1/log/audit",              Nothing,    0,    0,            None,  Policy,   true,  false, true,  |c| Box::pin(log::audit(c))),
];

/// Other spellings of routes, with the route they mean; authorised and audited as that route (decision 2).
static ALIASES: &[(&str, &str)] = &[
    ("/v1/log/audit/trace", "/v1/log/audit"),
    ("/v1/log/error/trace", "/v1/log/error"),
];

/// Routes that the predecessor gave up (minio.md B2), answered with 501 so that old clients say "not implemented".
static RETIRED: &[&str] = &[
    "/v1/enclave/create/",
    "/v1/enclave/delete/",
    "/v1/enclave/describe/",
    "/v1/identity/assign/",
    "/v1/identity/delete/",
    "/v1/identity/forget/",
    "/v1/policy/assign/",
    "/v1/policy/delete/",
    "/v1/policy/write/",
    "/v1/secret/create/",
    "/v1/secret/delete/",
    "/v1/secret/describe/",
    "/v1/secret/list/",
    "/v1/secret/read/",
    "/v1/sys/seal",
];

/// Paths of the routes that a configuration may name under `api`, in the order of [`ROUTES`].
pub fn configurable() -> Vec<&'static str> {
    ROUTES.iter().map(|route| route.path).collect()
}
