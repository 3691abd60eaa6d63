//! [`Route`], [`Call`], and [`serve`]: the one road from a request to its response.

use std::{
    borrow::Cow,
    collections::HashMap,
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    sync::LazyLock,
    task::Poll,
    time::Duration,
};

use bytes::Bytes;
use http::{
    HeaderValue, Version,
    header::{ALLOW, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HOST},
    request::Parts,
};
use hyper::{Request, Response, StatusCode, body::Incoming};

use super::{
    ALIASES, RETIRED, ROUTES,
    auth::{Auth, Permit, authorize},
    body::{self, Body, RequestBody},
    error::Error,
    forwarded::{Caller, Judge},
    path::{Odd, Path},
    record::Record,
    takes::Takes,
};
use crate::{
    compat::Compat,
    name::{KeyName, ListPattern},
    state::{RouteSettings, Shared, State},
    telemetry::Subscription,
    tls::Peer,
    wire,
};

/// The content types of what is answered most. Clients compare them byte for byte.
static JSON: HeaderValue = HeaderValue::from_static("application/json");
static NDJSON: HeaderValue = HeaderValue::from_static("application/x-ndjson");

/// What a handler returns when it is polled to its end.
pub(super) type Handled<'a> = Pin<Box<dyn Future<Output = Result<Reply, Error>> + Send + 'a>>;

/// The method of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// DELETE.
    Delete,
    /// GET.
    Get,
    /// PUT; POST means the same.
    Put,
}

impl Method {
    /// The method's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delete => "DELETE",
            Self::Get => "GET",
            Self::Put => "PUT",
        }
    }

    /// All methods that a route of this one takes.
    pub fn allowed(self) -> &'static str {
        match self {
            Self::Delete => "DELETE",
            Self::Get => "GET",
            Self::Put => "PUT, POST",
        }
    }

    pub(super) fn takes(self, method: &http::Method) -> bool {
        match self {
            Self::Delete => method == http::Method::DELETE,
            Self::Get => method == http::Method::GET,
            Self::Put => method == http::Method::PUT || method == http::Method::POST,
        }
    }
}

/// One row of the route table.
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path; with a slash at its end where a name follows.
    pub path: &'static str,
    /// What follows the path.
    pub takes: Takes,
    /// Largest body in bytes, as `/v1/api` tells it.
    pub max_body: usize,
    /// Largest body in bytes that is read.
    pub limit: usize,
    /// Longest time a request may take, unless configured otherwise; `None` for streams.
    pub timeout: Option<Duration>,
    /// What it asks of its caller.
    pub auth: Auth,
    /// Whether `/v1/api` lists it.
    pub listed: bool,
    /// Whether its requests are counted in the metrics.
    pub counted: bool,
    /// Whether its requests are audited.
    pub audited: bool,
    handler: for<'a> fn(Call<'a>) -> Handled<'a>,
}

impl Route {
    #[expect(
        clippy::too_many_arguments,
        reason = "a row of the route table, read in columns"
    )]
    pub(super) const fn new(
        method: Method,
        path: &'static str,
        takes: Takes,
        max_body: usize,
        limit: usize,
        timeout: Option<Duration>,
        auth: Auth,
        listed: bool,
        counted: bool,
        audited: bool,
        handler: for<'a> fn(Call<'a>) -> Handled<'a>,
    ) -> Self {
        Self {
            method,
            path,
            takes,
            max_body,
            limit,
            timeout,
            auth,
            listed,
            counted,
            audited,
            handler,
        }
    }
}

/// An authorised request on its way to its handler.
pub struct Call<'a> {
    /// The snapshot it is answered by.
    pub state: &'a State,
    /// Proof that it may be.
    pub permit: Permit,
    /// What follows the route's path: decoded, and of the form that the route takes.
    pub resource: &'a str,
    takes: Takes,
    body: Option<RequestBody>,
}

impl Call<'_> {
    /// The body, as far as it was read. Empty if there was none.
    pub fn body(&self) -> &[u8] {
        self.body.as_ref().map_or(&[], AsRef::as_ref)
    }

    /// Whether the request said that it has no body, or one of length 0. A body of undeclared length that turned out empty is not
    /// that (api.md 7.12).
    pub fn has_no_body(&self) -> bool {
        self.body.is_none()
    }

    /// The resource as a key's name.
    ///
    /// # Errors
    /// Never on a route that takes a key's name.
    pub fn key_name(&self) -> Result<KeyName, Error> {
        self.takes.key_name(self.resource, self.state.compat)
    }

    /// The resource as a pattern.
    ///
    /// # Errors
    /// Never on a route that takes a pattern.
    pub fn pattern(&self) -> Result<ListPattern, Error> {
        self.takes.pattern(self.resource, self.state.compat)
    }
}

/// What a handler answers: always status 200.
pub struct Reply {
    content_type: Option<HeaderValue>,
    body: Body,
    /// What the console's audit line says.
    message: Option<String>,
}

impl Reply {
    /// No body.
    pub fn empty() -> Self {
        Self {
            content_type: None,
            body: Body::empty(),
            message: None,
        }
    }

    /// A JSON body that is written already.
    pub fn bytes(body: Bytes) -> Self {
        Self::typed(&JSON, body)
    }

    /// A JSON body.
    ///
    /// # Errors
    /// Only if `value` cannot be JSON, which no type of [`wire`] is.
    pub fn json<T: serde::Serialize + ?Sized>(value: &T) -> Result<Self, Error> {
        Ok(Self::bytes(
            wire::write::json(value).map_err(|_| Error::Internal)?,
        ))
    }

    /// A body of another type.
    pub fn text(content_type: &'static str, body: Bytes) -> Self {
        Self::typed(&HeaderValue::from_static(content_type), body)
    }

    fn typed(content_type: &HeaderValue, body: Bytes) -> Self {
        Self {
            content_type: Some(content_type.clone()),
            body: Body::full(body),
            message: None,
        }
    }

    /// A stream of JSON lines.
    pub fn stream(events: Subscription) -> Self {
        Self {
            content_type: Some(NDJSON.clone()),
            body: Body::stream(events),
            message: None,
        }
    }

    /// JSON lines: what the predecessor's older releases listed with (minio.md B5).
    ///
    /// # Errors
    /// Only if a line cannot be JSON, which no type of [`wire`] is.
    pub fn lines<T: serde::Serialize>(lines: impl IntoIterator<Item = T>) -> Result<Self, Error> {
        let body = wire::write::lines(lines).map_err(|_| Error::Internal)?;
        Ok(Self::typed(&NDJSON, body))
    }

    /// Says what the console's audit line says.
    #[must_use]
    pub fn with_message(mut self, message: String) -> Self {
        self.message = Some(message);
        self
    }

    fn into_response(self) -> Response<Body> {
        let empty = http_body::Body::is_end_stream(&self.body);
        let mut response = Response::new(self.body);
        if empty {
            // HTTP/2 would leave it out.
            let zero = HeaderValue::from_static("0");
            response.headers_mut().insert(CONTENT_LENGTH, zero);
        }
        if let Some(content_type) = self.content_type {
            response.headers_mut().insert(CONTENT_TYPE, content_type);
        }
        response
    }
}

/// Answers one request of a connection with `peer` at its other end. `judge` is asked about certificates that proxies forward.
pub async fn serve(
    shared: &Shared,
    peer: &Peer,
    judge: &Judge<'_>,
    request: Request<Incoming>,
) -> Response<Body> {
    let state = shared.current();
    let (head, mut incoming) = request.into_parts();
    let caller = Caller::of(&state, peer, &head.headers, judge);
    if let Some(response) = refuse_unroutable(&head) {
        return response;
    }
    let Ok(path) = Path::parse(head.uri.path()) else {
        return bad_request("invalid URL escape");
    };
    let (mut response, in_time) = match find(&path) {
        Err(error) => (into_response(&error, state.compat), true),
        Ok(found) => answer(&state, &caller, &head, &mut incoming, &found).await,
    };
    // A client that waits for "100 Continue" sends no body once it has its answer. One whose time is over has no more of it for the
    // rest of its body.
    let reusable = if !in_time || head.headers.contains_key(EXPECT) {
        http_body::Body::is_end_stream(&incoming)
    } else {
        body::drain(&mut incoming).await
    };
    if !reusable && head.version < Version::HTTP_2 {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
    }
    if head.method == http::Method::HEAD {
        response = without_body(response);
    }
    response
}

/// The same headers and no body. With HTTP/2 the library would send it also to a HEAD.
fn without_body(mut response: Response<Body>) -> Response<Body> {
    if let Some(length) = http_body::Body::size_hint(response.body()).exact() {
        response
            .headers_mut()
            .insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    *response.body_mut() = Body::empty();
    response
}

/// Answers a request that has reached a route. False if its time was over.
async fn answer(
    state: &State,
    caller: &Caller<'_>,
    head: &Parts,
    incoming: &mut Incoming,
    found: &Found<'_>,
) -> (Response<Body>, bool) {
    let Found { route, .. } = found;
    let mut record = Record::open(state, caller, route, head.method.as_str(), &found.path);
    let settings = state
        .routes
        .get(found.index)
        .copied()
        .unwrap_or(RouteSettings {
            timeout: route.timeout,
            skip_auth: false,
        });
    let work = attempt(state, caller, head, incoming, found, settings, &mut record);
    let outcome = within(settings.timeout, work).await;
    match outcome {
        Ok(mut reply) => {
            record.served(reply.message.as_deref());
            reply.body.watch(|| record.reader());
            (reply.into_response(), true)
        }
        Err(error) => {
            record.failed(&error);
            let mut response = into_response(&error, state.compat);
            if matches!(error, Error::Method { .. }) {
                let allowed = HeaderValue::from_static(route.method.allowed());
                response.headers_mut().insert(ALLOW, allowed);
            }
            (response, !matches!(error, Error::TimedOut))
        }
    }
}

/// Bounds the time of a request.
async fn within(
    limit: Option<Duration>,
    work: impl Future<Output = Result<Reply, Error>>,
) -> Result<Reply, Error> {
    let mut work = pin!(work);
    // Nearly every request is answered without waiting for anything, and then needs no timer.
    let at_once = poll_fn(|cx| Poll::Ready(work.as_mut().poll(cx))).await;
    match (at_once, limit) {
        (Poll::Ready(outcome), _) => outcome,
        (Poll::Pending, None) => work.await,
        (Poll::Pending, Some(limit)) => tokio::time::timeout(limit, work)
            .await
            .unwrap_or(Err(Error::TimedOut)),
    }
}

/// The checks of api.md 5.1 in their order, then the handler.
async fn attempt(
    state: &State,
    caller: &Caller<'_>,
    head: &Parts,
    incoming: &mut Incoming,
    found: &Found<'_>,
    settings: RouteSettings,
    record: &mut Record<'_>,
) -> Result<Reply, Error> {
    let route = found.route;
    let peer = caller.admitted(settings.skip_auth)?;
    if !route.method.takes(&head.method) {
        return Err(Error::Method {
            received: head.method.to_string(),
            expected: route.method.as_str(),
        });
    }
    let permit = authorize(state, peer, route.auth, settings, &found.path)?;
    record.passed();
    route.takes.check(found.resource, state.compat)?;
    let body = request_body(head, incoming, route.limit).await;
    if is_lost(head, body.as_ref()) {
        return Err(Error::LostBody);
    }
    let call = Call {
        state,
        permit,
        resource: found.resource,
        takes: route.takes,
        body,
    };
    unpanicked((route.handler)(call)).await
}

/// The body that a route wants; `None` if it wants none, or if the request says that there is none.
async fn request_body(head: &Parts, incoming: &mut Incoming, limit: usize) -> Option<RequestBody> {
    let declared_empty = head
        .headers
        .get(CONTENT_LENGTH)
        .is_some_and(|length| length.as_bytes() == b"0");
    if limit == 0 || declared_empty || http_body::Body::is_end_stream(incoming) {
        return None;
    }
    Some(body::read(incoming, limit).await)
}

/// Whether a body has got lost on its way: announced without a length, and then empty. An SDK that gives up one server sends the next
/// one what is left of the body that it has sent before, which is nothing (api.md 14.2).
fn is_lost(head: &Parts, body: Option<&RequestBody>) -> bool {
    matches!(body, Some(RequestBody::Nothing)) && !head.headers.contains_key(CONTENT_LENGTH)
}

/// Turns a panic into an error, so that it costs one request and not the connection. The message of the panic is on standard error
/// already.
async fn unpanicked(handled: Handled<'_>) -> Result<Reply, Error> {
    let mut handled = pin!(handled);
    poll_fn(|cx| {
        let polled = catch_unwind(AssertUnwindSafe(|| handled.as_mut().poll(cx)));
        polled.unwrap_or(Poll::Ready(Err(Error::Internal)))
    })
    .await
}

/// A route that a path means.
pub(super) struct Found<'a> {
    pub(super) route: &'static Route,
    index: usize,
    /// The path as policies and audit see it.
    pub(super) path: Cow<'a, str>,
    resource: &'a str,
}

/// What a table of paths leads to.
#[derive(Clone, Copy)]
enum Target {
    Route(usize),
    Alias(usize),
    Retired,
}

/// The tables, folded once: paths without the slash at their end, with the number of their segments.
static TARGETS: LazyLock<HashMap<&'static str, (usize, Target)>> = LazyLock::new(|| {
    let mut targets = HashMap::new();
    let mut add = |path: &'static str, target| {
        let key = path.trim_end_matches('/');
        let depth = key.matches('/').count();
        targets.insert(key, (depth, target));
    };
    for path in RETIRED {
        add(path, Target::Retired);
    }
    for (index, route) in ROUTES.iter().enumerate() {
        add(route.path, Target::Route(index));
        for (alias, _) in ALIASES.iter().filter(|(_, path)| *path == route.path) {
            add(alias, Target::Alias(index));
        }
    }
    targets
});

/// Finds the route that a path means.
pub(super) fn find<'a>(path: &'a Path<'a>) -> Result<Found<'a>, Error> {
    // Nearly all requests are for routes of three segments and a name.
    for depth in [3, 4, 2, 1] {
        let target = path.head(depth).and_then(|head| TARGETS.get(head));
        // A decoded slash could make fewer segments look like the right ones.
        let Some((_, target)) = target.filter(|(segments, _)| *segments == depth) else {
            continue;
        };
        let (index, alias) = match *target {
            Target::Retired => return Err(Error::Retired),
            Target::Route(index) => (index, false),
            Target::Alias(index) => (index, true),
        };
        let Some(route) = ROUTES.get(index) else {
            continue;
        };
        let resource = path.rest(depth);
        if route.takes == Takes::Nothing && !resource.is_empty() {
            continue;
        }
        let canonical = if alias || resource.is_empty() {
            Cow::Borrowed(route.path)
        } else {
            Cow::Borrowed(path.text())
        };
        return Ok(Found {
            route,
            index,
            path: canonical,
            resource,
        });
    }
    match path.odd() {
        Some(Odd::Dots) => Err(Error::Path),
        Some(Odd::Slash) | None => Err(Error::NoRoute),
    }
}

/// The path of the route that a request for `path` reaches, as it stands in the table; `None` if it reaches none. For those who
/// measure, and for tools that tell what a path means.
pub fn reached(path: &str) -> Option<&'static str> {
    let path = Path::parse(path).ok()?;
    find(&path).ok().map(|found| found.route.path)
}

/// Answers what is not a request for a path at all (api.md 5.2 and 1.4).
fn refuse_unroutable(head: &Parts) -> Option<Response<Body>> {
    if head.uri.path() == "*" {
        if head.method == http::Method::OPTIONS {
            return Some(Response::new(Body::empty()));
        }
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::BAD_REQUEST;
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
        return Some(response);
    }
    if !head.uri.path().starts_with('/') {
        return Some(bad_request("the request target is not a path"));
    }
    if head.version == Version::HTTP_11 && !head.headers.contains_key(HOST) {
        return Some(bad_request("missing required Host header"));
    }
    None
}

/// A request that is not well-formed HTTP.
fn bad_request(why: &str) -> Response<Body> {
    let text = format!("400 Bad Request: {why}");
    let mut response = Response::new(Body::full(Bytes::from(text)));
    *response.status_mut() = StatusCode::BAD_REQUEST;
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// An error as it travels.
fn into_response(error: &Error, compat: Compat) -> Response<Body> {
    let text = error.to_string();
    let body = match error.old_text().filter(|_| compat.legacy_errors) {
        Some(old) => wire::write::old_error(old, &text),
        None => wire::write::error(&text),
    };
    let mut response = Response::new(Body::full(body));
    *response.status_mut() = error.status();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, JSON.clone());
    response
}
