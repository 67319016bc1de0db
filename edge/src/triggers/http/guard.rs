//! The guard authenticates the caller, checks permissions and rate limits, and records changes in the audit.
//!
//! The requirements of each route come from one table, [`wheeltapper_api::ROUTES`]. Without access control every caller
//! is the local admin; changes are recorded all the same.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    thread,
    time::Duration,
};

use axum::{
    body::Body,
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use serde_json::json;
use tokio::{sync::Semaphore, time::timeout};
use wheeltapper_access::{
    Access, AuthError, FetchUrl, Identity, NonceReservation, RateClass, RateLimitDecision, SIGNATURE_HEADERS,
    SignatureVerifier, client_key,
};

use super::{
    Problem,
    audit_layer::AuditRecorder,
    blocking, body,
    memory::{BodyMemory, BodyPermit},
    request_checks,
    response_headers::{ResponseHeaders, host_name},
    route_policy::{RequiredPermission, RoutePolicy, policy_for},
    session_revalidation::StreamSession,
    signature,
};
use crate::{access, api::Caller, clock, host::Host};

/// The prefix of the headers that identify a caller or its origin: only the guard may set them, not the client.
const RESERVED_PREFIX: &str = "x-wheeltapper-";
/// The maximum number of password checks that wait; further ones are answered with 503,
const MAX_WAITING_PASSWORD_CHECKS: usize = 16;
/// and so are those that wait longer than this.
const PASSWORD_CHECK_TIMEOUT: Duration = Duration::from_secs(5);
/// A larger body is not hashed on a thread that serves sockets.
const MAX_INLINE_HASH_BYTES: usize = 128 << 10;

/// The state of the guard and of the routes of accounts.
pub(super) struct AuthState {
    pub(super) access: Access,
    /// Whether no sign-in is required.
    pub(super) is_open: bool,
    passwords: Semaphore,
    passwords_waiting: Semaphore,
    pub(super) tls: bool,
    /// The origins whose pages may read and send.
    pub(super) origins: Vec<String>,
    /// Whether only programs on this machine can reach the host.
    local: bool,
    fetch: FetchUrl,
    /// The sources of signed webhooks.
    signatures: SignatureVerifier,
    pub(super) memory: Arc<BodyMemory>,
    /// The maximum size of a body of readings.
    max_body: usize,
}

impl std::fmt::Debug for AuthState {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("AuthState").field("open", &self.is_open).finish_non_exhaustive()
    }
}

/// The nonce of a signed request, and the memory of its body.
struct SignedRequest {
    nonce: Option<NonceReservation>,
    _permit: BodyPermit,
}

/// The key under which the connections, memory and rate limits of a client are counted.
#[derive(Clone, Debug)]
pub(super) struct AddressKey(pub(super) String);

/// The credential of a request.
enum RequestCredential {
    /// None that has to be checked: the caller is already known, or anonymous.
    NotNeeded(Option<Identity>),
    /// A token or API key.
    Secret(String),
}

impl RequestCredential {
    fn secret(&self) -> Option<&str> {
        match self {
            Self::NotNeeded(_) => None,
            Self::Secret(credential) => Some(credential),
        }
    }
}

impl AuthState {
    /// Opens the access database of the data folder, and creates the first admin if sign-in is required and there are
    /// no users.
    pub(super) fn new(host: &Host) -> anyhow::Result<Self> {
        let config = host.config();
        let (access, open) = (access::open(&config)?, access::is_open(&config));
        if !open && let Some(password) = access.first_admin(clock::now())? {
            print_first_password(&password);
        }
        Ok(Self {
            access,
            is_open: open,
            // Each check takes 19 MiB and a core: half of the cores are left to other work.
            passwords: Semaphore::new(thread::available_parallelism().map_or(1, |cores| cores.get().div_ceil(2))),
            passwords_waiting: Semaphore::new(MAX_WAITING_PASSWORD_CHECKS),
            tls: config.http.tls.is_some(),
            local: access::is_loopback(&config.http.listen),
            origins: config.http.origins.clone(),
            fetch: access::key_fetcher(),
            signatures: signature::load_sources(&config.http.sources, seconds())?,
            memory: BodyMemory::new(
                usize::try_from(config.http.body_memory()).unwrap_or(usize::MAX),
                Arc::clone(&host.metrics),
            ),
            max_body: usize::try_from(config.http.max_body.bytes()).unwrap_or(usize::MAX),
        })
    }

    /// The credential of a request.
    fn find_credential(&self, policy: &RoutePolicy, request: &Request) -> Result<RequestCredential, Problem> {
        if self.is_open {
            self.check_host_name(request)?;
            return self.check_origin(request).map(|()| RequestCredential::NotNeeded(Some(Identity::local())));
        }
        if policy.required == RequiredPermission::Public {
            return Ok(RequestCredential::NotNeeded(None));
        }
        let query = policy.is_stream.then(|| request.uri().query()).flatten();
        if let Some(credential) = extract_credential(request.headers(), query) {
            return Ok(RequestCredential::Secret(credential));
        }
        // A signed request needs no sign-in; its signature is verified before its body is processed.
        if policy.required == RequiredPermission::Ingest
            && self.signatures.check_headers(request.method(), request.uri(), request.headers(), seconds())?.is_some()
        {
            return Ok(RequestCredential::NotNeeded(None));
        }
        Err(unauthorized("sign in first"))
    }

    /// The identity of the caller; `None` if the route is public.
    async fn identify(self: &Arc<Self>, request_credential: RequestCredential) -> Result<Option<Identity>, Problem> {
        let credential = match request_credential {
            RequestCredential::NotNeeded(identity) => return Ok(identity),
            RequestCredential::Secret(credential) => credential,
        };
        match self.authenticate(&credential).await? {
            Err(AuthError::IssuerKeysNeeded(issuer)) => self.identify_with_new_keys(issuer, credential).await,
            result => checked_identity(result),
        }
        .map(Some)
    }

    /// The identity of a credential, from the cache if possible, otherwise on a thread that may wait for the disk.
    ///
    /// # Errors
    /// See [`blocking::BlockingPool::run`].
    pub(super) async fn authenticate(
        self: &Arc<Self>,
        credential: &str,
    ) -> Result<Result<Identity, AuthError>, Problem> {
        if let Some(known) = self.access.authenticate_cached(credential, clock::now()) {
            return Ok(known);
        }
        let (auth, credential) = (Arc::clone(self), credential.to_owned());
        blocking::AUTHENTICATION.run(move || auth.access.authenticate(&credential, clock::now())).await
    }

    /// Fetches the issuer's keys, then tries once more.
    async fn identify_with_new_keys(self: &Arc<Self>, issuer: usize, credential: String) -> Result<Identity, Problem> {
        let auth = Arc::clone(self);
        let result = blocking::AUTHENTICATION.run(move || {
            if let Err(error) = auth.access.fetch_issuer_keys(issuer, &auth.fetch) {
                tracing::warn!(%error, "the keys of a token issuer could not be fetched");
            }
            auth.access.authenticate(&credential, clock::now())
        });
        checked_identity(result.await?)
    }

    /// Runs a password check, which takes a core and 19 MiB for a while: few run at a time, and few wait.
    pub(super) async fn with_password_permit<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let busy = || {
            let detail = "too many password checks are waiting; try again in a moment";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(5)
        };
        let _queue_slot = self.passwords_waiting.try_acquire().map_err(|_| busy())?;
        let Ok(Ok(_permit)) = timeout(PASSWORD_CHECK_TIMEOUT, self.passwords.acquire()).await else {
            return Err(busy());
        };
        let auth = Arc::clone(self);
        blocking::ROUTES.run(move || work(&auth)).await
    }

    /// Verifies the signature of a signed request, and rejects an unsigned one if a signature is required.
    async fn verify_signature(
        self: &Arc<Self>,
        key: &str,
        request: Request,
    ) -> Result<(Request, Option<SignedRequest>), Problem> {
        let head = self.signatures.check_headers(request.method(), request.uri(), request.headers(), seconds())?;
        let Some(head) = head else { return Ok((request, None)) };
        let (parts, body) = request.into_parts();
        let content_length = parts.headers.get(header::CONTENT_LENGTH);
        let content_length = content_length.and_then(|length| length.to_str().ok()?.parse().ok());
        let mut permit = self.memory.permit(key.to_owned());
        let bytes =
            body::read(body, content_length, self.max_body, &mut permit).await.map_err(|error| error.problem)?;
        let nonce = if bytes.len() <= MAX_INLINE_HASH_BYTES {
            self.signatures.verify(&head, &bytes, seconds())?
        } else {
            let (auth, bytes) = (Arc::clone(self), bytes.clone());
            blocking::ROUTES.run(move || auth.signatures.verify(&head, &bytes, seconds())).await??
        };
        Ok((Request::from_parts(parts, Body::from(bytes)), Some(SignedRequest { nonce, _permit: permit })))
    }

    /// Without sign-in, a page of another origin must neither change anything in the name of the user who opened it,
    /// nor listen.
    fn check_origin(&self, request: &Request) -> Result<(), Problem> {
        let text = |name: HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok());
        // Browsers let any page open a WebSocket to any origin.
        let is_harmless = request.method().is_safe() && !request.headers().contains_key(header::UPGRADE);
        let Some(origin) = text(header::ORIGIN).filter(|_| !is_harmless) else { return Ok(()) };
        let is_own = text(header::HOST).is_some_and(|host| origin.split_once("://").is_some_and(|(_, of)| of == host));
        let is_listed = self.origins.iter().any(|known| known == "*" || known.eq_ignore_ascii_case(origin));
        if is_own || is_listed {
            return Ok(());
        }
        let detail =
            format!("pages of {origin} are not allowed to use this host; if they should be, list it in [http] origins");
        Err(Problem::new(StatusCode::FORBIDDEN, detail))
    }

    /// Without sign-in and on a loopback address, a foreign host name indicates an attack: a page may let its own name
    /// resolve to 127.0.0.1, and then has the same origin (DNS rebinding).
    fn check_host_name(&self, request: &Request) -> Result<(), Problem> {
        let Some(host) = request.headers().get(header::HOST).filter(|_| self.local) else { return Ok(()) };
        let name = host.to_str().map(host_name).unwrap_or_default();
        let of_origin = |origin: &String| {
            origin.split_once("://").is_some_and(|(_, host)| host_name(host).eq_ignore_ascii_case(name))
        };
        // An address, or a name without a dot: nobody else can own such a name.
        let is_local = !name.contains('.') || name.parse::<IpAddr>().is_ok();
        if is_local || self.origins.iter().any(of_origin) {
            return Ok(());
        }
        let detail = format!(
            "this host serves only this machine and does not answer requests for {name:?}; use http://localhost, or list http://{name} in [http] origins"
        );
        Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, detail))
    }

    /// Takes the cost of the request from the caller's rate limit.
    fn take_allowance(
        &self,
        policy: &RoutePolicy,
        identity: Option<&Identity>,
        address: &str,
        length: u64,
    ) -> Option<RateLimitDecision> {
        let name = match (policy.class, identity) {
            // Password guesses are counted by address, even where no sign-in is required.
            (RateClass::Login, _) | (_, None) => address,
            (_, Some(_)) if self.is_open => return None,
            (_, Some(identity)) => &identity.name,
        };
        let cost = if policy.class == RateClass::Ingest { length.max(1) } else { 1 };
        let free = policy.required == RequiredPermission::Public && policy.class == RateClass::Other;
        (!free).then(|| self.access.rate_limiter().try_take(policy.class, name, cost))
    }
}

/// The middleware before all routes.
pub(super) async fn guard(State(auth): State<Arc<AuthState>>, mut request: Request, next: Next) -> Response {
    strip_reserved_headers(request.headers_mut());
    let response_headers = ResponseHeaders::for_request(&request);
    if let Err(problem) = request_checks::check(&request) {
        let mut response = problem.into_response();
        response_headers.apply(&auth, &mut response);
        return response;
    }
    let policy = policy_for(request.method(), request.uri().path());
    let address = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip());
    let address = address.map_or_else(|| "unknown".to_owned(), |address| address.to_canonical().to_string());
    let identity = match auth.find_credential(&policy, &request) {
        Ok(request_credential) => {
            let credential = request_credential.secret().filter(|_| policy.is_stream).map(str::to_owned);
            let identity = auth.identify(request_credential).await;
            if let (Ok(Some(identity)), Some(credential)) = (&identity, credential) {
                let session = StreamSession::new(Arc::clone(&auth), credential, identity.clone());
                request.extensions_mut().insert(session);
            }
            identity
        }
        Err(problem) => Err(problem),
    };
    let (mut response, allowance) = match identity {
        Ok(identity) => {
            let admitted = admit(Arc::clone(&auth), policy, identity, address, request, next);
            if policy.must_complete() { run_to_completion(admitted).await } else { admitted.await }
        }
        Err(problem) => (problem.into_response(), None),
    };
    if let Some(allowance) = allowance {
        add_rate_limit_headers(&allowance, response.headers_mut());
    }
    response_headers.apply(&auth, &mut response);
    response
}

/// The response, and the state of the caller's rate limit.
type AdmittedResponse = (Response, Option<RateLimitDecision>);

/// Runs to the end even if the client disconnects.
async fn run_to_completion(admitted: impl Future<Output = AdmittedResponse> + Send + 'static) -> AdmittedResponse {
    tokio::spawn(admitted).await.unwrap_or_else(|_| {
        let detail = "the request failed inside the host; see the host's log for the reason";
        (Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail).into_response(), None)
    })
}

/// Checks the rate limit, the permission and the signature, then runs the handler.
async fn admit(
    auth: Arc<AuthState>,
    policy: RoutePolicy,
    identity: Option<Identity>,
    address: String,
    mut request: Request,
    next: Next,
) -> AdmittedResponse {
    let length = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let key = address.parse().map_or_else(|_| address.clone(), client_key);
    let allowance = auth.take_allowance(&policy, identity.as_ref(), &key, length.unwrap_or(0));
    if let Some(allowance) = allowance.filter(|allowance| !allowance.allowed) {
        return (rate_limited(&allowance).into_response(), Some(allowance));
    }
    let denied = identity.as_ref().and_then(|identity| policy.denial(identity));
    request.extensions_mut().insert(AddressKey(key.clone()));
    let mut signed = None;
    if policy.required == RequiredPermission::Ingest && denied.is_none() {
        match auth.verify_signature(&key, request).await {
            Ok((same, signature)) => (request, signed) = (same, signature),
            Err(problem) => return (problem.into_response(), allowance),
        }
        if identity.is_none() && signed.is_none() {
            return (unauthorized("sign in first").into_response(), allowance);
        }
        if identity.is_none() && length.is_none() {
            use hyper::body::Body as _;
            let bytes = request.body().size_hint().exact().unwrap_or(0);
            auth.access.rate_limiter().charge(RateClass::Ingest, &key, bytes);
        }
    }
    let recorder = AuditRecorder::begin(&policy, identity.as_ref(), &address, &mut request);
    if let Some(problem) = denied {
        let response = recorder.end(&auth, problem.into_response()).await;
        return (response, allowance);
    }
    if let Some(identity) = identity {
        if length.is_none() && policy.class == RateClass::Ingest && !auth.is_open {
            request = charge_streamed_body(&auth, &identity.name, request);
        }
        request.extensions_mut().insert(Caller {
            actor: identity.name.clone(),
            sites: identity.sites.clone(),
            read_only: !identity.has_permission(wheeltapper_access::Permission::Write),
            actions: recorder.actions.clone(),
        });
        request.extensions_mut().insert(identity);
    }
    remove_credentials(&mut request);
    let response = next.run(request).await;
    if let Some(nonce) = signed.and_then(|signed| signed.nonce)
        && !nothing_accepted(response.status())
    {
        nonce.commit();
    }
    (recorder.end(&auth, response).await, allowance)
}

/// Whether a response with this status means that nothing was accepted, so that the same nonce may be used again.
fn nothing_accepted(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT)
}

/// Seconds since 1970.
fn seconds() -> i64 {
    clock::now().div_euclid(1_000_000_000)
}

/// Charges the bytes of a body without Content-Length while they are received.
fn charge_streamed_body(auth: &Arc<AuthState>, name: &str, request: Request) -> Request {
    use http_body_util::BodyExt as _;
    let (auth, name) = (Arc::clone(auth), name.to_owned());
    request.map(|body| {
        axum::body::Body::new(body.map_frame(move |frame| {
            let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
            auth.access.rate_limiter().charge(RateClass::Ingest, &name, bytes);
            frame
        }))
    })
}

/// Removes the headers that only the guard may set.
fn strip_reserved_headers(headers: &mut HeaderMap) {
    let reserved: Vec<HeaderName> = headers
        .keys()
        .filter(|name| name.as_str().starts_with(RESERVED_PREFIX) && !SIGNATURE_HEADERS.contains(&name.as_str()))
        .cloned()
        .collect();
    for name in reserved {
        headers.remove(name);
    }
}

/// The token or API key of a request. Streams of browsers cannot set headers, so theirs may be in the query.
fn extract_credential(headers: &HeaderMap, query: Option<&str>) -> Option<String> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let bearer = text("authorization").and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
    });
    let key = || text("x-api-key").map(|key| key.trim().to_owned());
    let asked = || query?.split('&').find_map(|pair| pair.strip_prefix("access_token=")).map(str::to_owned);
    bearer.or_else(key).or_else(asked)
}

/// Removes the credentials from a request, so that no handler and no log gets them.
fn remove_credentials(request: &mut Request) {
    request.headers_mut().remove(header::AUTHORIZATION);
    request.headers_mut().remove("x-api-key");
    let Some(query) = request.uri().query().filter(|query| query.contains("access_token=")) else { return };
    let remaining: Vec<&str> = query.split('&').filter(|pair| !pair.starts_with("access_token=")).collect();
    let path = request.uri().path();
    let bare = if remaining.is_empty() { path.to_owned() } else { format!("{path}?{}", remaining.join("&")) };
    if let Ok(uri) = bare.parse::<Uri>() {
        *request.uri_mut() = uri;
    }
}

fn checked_identity(result: Result<Identity, AuthError>) -> Result<Identity, Problem> {
    result.map_err(|error| match error {
        AuthError::Access(error) => {
            tracing::error!(%error, "a caller's identity cannot be checked");
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "your identity cannot be checked now; try again")
                .retry_after(5)
        }
        AuthError::Rejected(reason) => {
            tracing::debug!(%reason, "a token or key was rejected");
            unauthorized("the token or key is invalid or has expired; sign in again")
        }
        AuthError::IssuerKeysNeeded(_) => unauthorized("the token is invalid; sign in again"),
    })
}

fn unauthorized(detail: &str) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, detail)
        .header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"wheeltapper\""))
}

fn rate_limited(allowance: &RateLimitDecision) -> Problem {
    let RateLimitDecision { quota, class, .. } = allowance;
    let detail = format!(
        "the rate limit is {} ({}) in {} s; try again in {} s",
        quota.amount,
        class.name(),
        quota.window.as_secs().max(1),
        allowance.retry_after_seconds()
    );
    Problem::new(StatusCode::TOO_MANY_REQUESTS, detail)
        .with_member("limit", json!(quota.amount))
        .retry_after(allowance.retry_after_seconds())
}

fn add_rate_limit_headers(allowance: &RateLimitDecision, headers: &mut HeaderMap) {
    for (name, text) in [("ratelimit-policy", allowance.policy_header()), ("ratelimit", allowance.state_header())] {
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
}

/// Prints the first password once, and not to the log, which others may read.
#[allow(clippy::print_stderr, reason = "it must not reach the log")]
fn print_first_password(password: &str) {
    eprintln!(
        "\n  The first user is `admin`, with the one-time password\n\n      {password}\n\n  It is shown only once. Sign in and set your own; `wheeltapper user reset admin` makes another.\n"
    );
}
