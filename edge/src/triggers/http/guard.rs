//! The guard: finds out who asks, whether they may, whether it is too much, and writes down what they changed.
//!
//! What a route demands is told by one table, [`wheeltapper_api::ROUTES`]. Where access is off, everybody is the local
//! admin; what they change is written down all the same.

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
    Access, Allowance, AuthError, Class, Fetch, Identity, NoncePermit, SIGNATURE_HEADERS, Signatures, address_key,
};

use super::{
    Problem, blocking, body,
    demand::{Demand, Needs, demand},
    memory::{BodyMemory, BodyPermit},
    request_checks,
    seal::{Seal, host_name},
    signature,
    standing::Standing,
    trail::Trail,
};
use crate::{access, api::Caller, clock, host::Host};

/// Headers of this beginning say who somebody is or where they come from: the guard says that, not the client.
const OURS: &str = "x-wheeltapper-";
/// Passwords that wait to be checked; who comes beyond that is told to come again,
const PASSWORDS_WAITING: usize = 16;
/// and so is who waits longer than this.
const PASSWORD_PATIENCE: Duration = Duration::from_secs(5);
/// A body larger than this is not hashed on a thread that serves sockets.
const HASHED_AT_ONCE: usize = 128 << 10;

/// What the guard and the accounts share.
pub(super) struct Door {
    pub(super) access: Access,
    /// Whether nobody has to sign in.
    pub(super) open: bool,
    passwords: Semaphore,
    passwords_waiting: Semaphore,
    pub(super) tls: bool,
    /// Origins whose pages may read and send.
    pub(super) origins: Vec<String>,
    /// Whether only programs of this machine reach it.
    local: bool,
    fetch: Fetch,
    /// Webhooks that sign what they send.
    signatures: Signatures,
    pub(super) memory: Arc<BodyMemory>,
    /// The largest body of readings.
    max_body: usize,
}

impl std::fmt::Debug for Door {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Door").field("open", &self.open).finish_non_exhaustive()
    }
}

/// What holds a signed request's body, and its nonce.
struct Signed {
    nonce: Option<NoncePermit>,
    _permit: BodyPermit,
}

/// Whose share of connections, memory and allowances a client uses.
#[derive(Clone, Debug)]
pub(super) struct AddressKey(pub(super) String);

/// What a request shows.
enum Shown {
    /// Nothing that has to be checked: this is who asks, or a stranger.
    Nothing(Option<Identity>),
    /// A token or API key.
    Credential(String),
}

impl Shown {
    fn credential(&self) -> Option<&str> {
        match self {
            Self::Nothing(_) => None,
            Self::Credential(credential) => Some(credential),
        }
    }
}

impl Door {
    /// Opens the data folder's, and makes the first admin where one has to sign in and nobody can.
    pub(super) fn new(host: &Host) -> anyhow::Result<Self> {
        let config = host.config();
        let (access, open) = (access::open(&config)?, access::is_open(&config));
        if !open && let Some(password) = access.first_admin(clock::now())? {
            announce(&password);
        }
        Ok(Self {
            access,
            open,
            // Each takes 19 MiB and a core: half of the cores are left to others.
            passwords: Semaphore::new(thread::available_parallelism().map_or(1, |cores| cores.get().div_ceil(2))),
            passwords_waiting: Semaphore::new(PASSWORDS_WAITING),
            tls: config.http.tls.is_some(),
            local: access::is_loopback(&config.http.listen),
            origins: config.http.origins.clone(),
            fetch: access::fetch(),
            signatures: signature::load(&config.http.sources, seconds())?,
            memory: BodyMemory::new(
                usize::try_from(config.http.body_memory()).unwrap_or(usize::MAX),
                Arc::clone(&host.metrics),
            ),
            max_body: usize::try_from(config.http.max_body.bytes()).unwrap_or(usize::MAX),
        })
    }

    /// What a request shows to be known by.
    fn look(&self, demand: &Demand, request: &Request) -> Result<Shown, Problem> {
        if self.open {
            self.own_name(request)?;
            return self.same_site(request).map(|()| Shown::Nothing(Some(Identity::local())));
        }
        if demand.needs == Needs::Nothing {
            return Ok(Shown::Nothing(None));
        }
        let query = demand.stream.then(|| request.uri().query()).flatten();
        if let Some(credential) = credential(request.headers(), query) {
            return Ok(Shown::Credential(credential));
        }
        // Who signs need not sign in; whether the signature holds is seen before anything is done with the body.
        if demand.needs == Needs::Ingest
            && self.signatures.head(request.method(), request.uri(), request.headers(), seconds())?.is_some()
        {
            return Ok(Shown::Nothing(None));
        }
        Err(unknown("sign in first"))
    }

    /// Who asks; nobody where the route lets anybody in.
    async fn identify(self: &Arc<Self>, shown: Shown) -> Result<Option<Identity>, Problem> {
        let credential = match shown {
            Shown::Nothing(who) => return Ok(who),
            Shown::Credential(credential) => credential,
        };
        match self.authenticate(&credential).await? {
            Err(AuthError::KeysNeeded(issuer)) => self.identify_anew(issuer, credential).await,
            told => identity(told),
        }
        .map(Some)
    }

    /// Whose credential it is, from memory where that is enough, else on a thread that may wait for the disk.
    ///
    /// # Errors
    /// As [`blocking::Blocking::run`].
    pub(super) async fn authenticate(
        self: &Arc<Self>,
        credential: &str,
    ) -> Result<Result<Identity, AuthError>, Problem> {
        if let Some(known) = self.access.authenticate_cached(credential, clock::now()) {
            return Ok(known);
        }
        let (door, credential) = (Arc::clone(self), credential.to_owned());
        blocking::AUTHENTICATION.run(move || door.access.authenticate(&credential, clock::now())).await
    }

    /// Gets the issuer's keys, then tries once more.
    async fn identify_anew(self: &Arc<Self>, issuer: usize, credential: String) -> Result<Identity, Problem> {
        let door = Arc::clone(self);
        let told = blocking::AUTHENTICATION.run(move || {
            if let Err(error) = door.access.fetch_keys(issuer, &door.fetch) {
                tracing::warn!(%error, "the keys of an issuer of tokens could not be read");
            }
            door.access.authenticate(&credential, clock::now())
        });
        identity(told.await?)
    }

    /// Checks a password, which takes a core and 19 MiB for a while: few at a time, and few that wait.
    pub(super) async fn with_password<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let busy = || {
            let detail = "too many passwords wait to be checked; try again in a moment";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(5)
        };
        let _place = self.passwords_waiting.try_acquire().map_err(|_| busy())?;
        let Ok(Ok(_turn)) = timeout(PASSWORD_PATIENCE, self.passwords.acquire()).await else { return Err(busy()) };
        let door = Arc::clone(self);
        blocking::ROUTES.run(move || work(&door)).await
    }

    /// Holds what is signed to its signature, and refuses what is not signed where it has to be.
    async fn verify_signature(
        self: &Arc<Self>,
        key: &str,
        request: Request,
    ) -> Result<(Request, Option<Signed>), Problem> {
        let head = self.signatures.head(request.method(), request.uri(), request.headers(), seconds())?;
        let Some(head) = head else { return Ok((request, None)) };
        let (parts, body) = request.into_parts();
        let announced = parts.headers.get(header::CONTENT_LENGTH);
        let announced = announced.and_then(|length| length.to_str().ok()?.parse().ok());
        let mut permit = self.memory.permit(key.to_owned());
        let bytes = body::read(body, announced, self.max_body, &mut permit).await.map_err(|error| error.problem)?;
        let nonce = if bytes.len() <= HASHED_AT_ONCE {
            self.signatures.verify(&head, &bytes, seconds())?
        } else {
            let (door, bytes) = (Arc::clone(self), bytes.clone());
            blocking::ROUTES.run(move || door.signatures.verify(&head, &bytes, seconds())).await??
        };
        Ok((Request::from_parts(parts, Body::from(bytes)), Some(Signed { nonce, _permit: permit })))
    }

    /// Where nobody signs in, a page of another site must not act in the name of who looks at it, nor listen.
    fn same_site(&self, request: &Request) -> Result<(), Problem> {
        let text = |name: HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok());
        // Browsers let any page open a WebSocket anywhere.
        let is_harmless = request.method().is_safe() && !request.headers().contains_key(header::UPGRADE);
        let Some(origin) = text(header::ORIGIN).filter(|_| !is_harmless) else { return Ok(()) };
        let own = text(header::HOST).is_some_and(|host| origin.split_once("://").is_some_and(|(_, of)| of == host));
        let listed = self.origins.iter().any(|known| known == "*" || known.eq_ignore_ascii_case(origin));
        if own || listed {
            return Ok(());
        }
        let detail = format!("pages of {origin} may do nothing here; list it in [http] origins if they should");
        Err(Problem::new(StatusCode::FORBIDDEN, detail))
    }

    /// Where nobody signs in and only this machine is served, a name of elsewhere that leads here is a trick: a page may
    /// have its own name point to 127.0.0.1, and is then of the same origin (DNS rebinding).
    fn own_name(&self, request: &Request) -> Result<(), Problem> {
        let Some(host) = request.headers().get(header::HOST).filter(|_| self.local) else { return Ok(()) };
        let name = host.to_str().map(host_name).unwrap_or_default();
        let of_origin = |origin: &String| {
            origin.split_once("://").is_some_and(|(_, host)| host_name(host).eq_ignore_ascii_case(name))
        };
        // What nobody elsewhere can own: an address, or a name that only this machine's own settings lead anywhere.
        let local = !name.contains('.') || name.parse::<IpAddr>().is_ok();
        if local || self.origins.iter().any(of_origin) {
            return Ok(());
        }
        let detail = format!(
            "this host serves its own machine and does not answer to {name:?}; ask http://localhost, or list http://{name} in [http] origins"
        );
        Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, detail))
    }

    /// Takes from the bucket of whoever asks.
    fn limit(&self, demand: &Demand, who: Option<&Identity>, address: &str, length: u64) -> Option<Allowance> {
        let name = match (demand.class, who) {
            // Guessing is counted by address also where nobody has to sign in.
            (Class::Login, _) | (_, None) => address,
            (_, Some(_)) if self.open => return None,
            (_, Some(identity)) => &identity.name,
        };
        let cost = if demand.class == Class::Ingest { length.max(1) } else { 1 };
        let free = demand.needs == Needs::Nothing && demand.class == Class::Other;
        (!free).then(|| self.access.limits().take(demand.class, name, cost))
    }
}

/// Stands before all routes.
pub(super) async fn guard(State(door): State<Arc<Door>>, mut request: Request, next: Next) -> Response {
    clean(request.headers_mut());
    let seal = Seal::of(&request);
    if let Err(problem) = request_checks::check(&request) {
        let mut response = problem.into_response();
        seal.put(&door, &mut response);
        return response;
    }
    let demand = demand(request.method(), request.uri().path());
    let address = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip());
    let address = address.map_or_else(|| "unknown".to_owned(), |address| address.to_canonical().to_string());
    let who = match door.look(&demand, &request) {
        Ok(shown) => {
            let credential = shown.credential().filter(|_| demand.stream).map(str::to_owned);
            let who = door.identify(shown).await;
            if let (Ok(Some(identity)), Some(credential)) = (&who, credential) {
                let standing = Standing::new(Arc::clone(&door), credential, identity.clone());
                request.extensions_mut().insert(standing);
            }
            who
        }
        Err(problem) => Err(problem),
    };
    let (mut response, allowance) = match who {
        Ok(who) => {
            let admitted = admit(Arc::clone(&door), demand, who, address, request, next);
            if demand.is_lasting() { lasting(admitted).await } else { admitted.await }
        }
        Err(problem) => (problem.into_response(), None),
    };
    if let Some(allowance) = allowance {
        tell_limits(&allowance, response.headers_mut());
    }
    seal.put(&door, &mut response);
    response
}

/// The answer, and what is left to whoever asked.
type Admitted = (Response, Option<Allowance>);

/// Goes on where whoever asked hangs up.
async fn lasting(admitted: impl Future<Output = Admitted> + Send + 'static) -> Admitted {
    tokio::spawn(admitted).await.unwrap_or_else(|_| {
        let detail = "the host gave up on this; its log tells why";
        (Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail).into_response(), None)
    })
}

/// Lets a request through that may pass.
async fn admit(
    door: Arc<Door>,
    demand: Demand,
    who: Option<Identity>,
    address: String,
    mut request: Request,
    next: Next,
) -> Admitted {
    let length = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let key = address.parse().map_or_else(|_| address.clone(), address_key);
    let allowance = door.limit(&demand, who.as_ref(), &key, length.unwrap_or(0));
    if let Some(allowance) = allowance.filter(|allowance| !allowance.allowed) {
        return (too_much(&allowance).into_response(), Some(allowance));
    }
    let refused = who.as_ref().and_then(|identity| demand.refuse(identity));
    request.extensions_mut().insert(AddressKey(key.clone()));
    let mut signed = None;
    if demand.needs == Needs::Ingest && refused.is_none() {
        match door.verify_signature(&key, request).await {
            Ok((same, held)) => (request, signed) = (same, held),
            Err(problem) => return (problem.into_response(), allowance),
        }
        if who.is_none() && signed.is_none() {
            return (unknown("sign in first").into_response(), allowance);
        }
        if who.is_none() && length.is_none() {
            use hyper::body::Body as _;
            let bytes = request.body().size_hint().exact().unwrap_or(0);
            door.access.limits().charge(Class::Ingest, &key, bytes);
        }
    }
    let trail = Trail::begin(&demand, who.as_ref(), &address, &mut request);
    if let Some(problem) = refused {
        let response = trail.end(&door, problem.into_response()).await;
        return (response, allowance);
    }
    if let Some(identity) = who {
        if length.is_none() && demand.class == Class::Ingest && !door.open {
            request = charge_as_it_comes(&door, &identity.name, request);
        }
        request.extensions_mut().insert(Caller {
            actor: identity.name.clone(),
            sites: identity.sites.clone(),
            read_only: !identity.may(wheeltapper_access::Permission::Write),
            deeds: trail.deeds.clone(),
        });
        request.extensions_mut().insert(identity);
    }
    forget_credentials(&mut request);
    let response = next.run(request).await;
    if let Some(nonce) = signed.and_then(|signed| signed.nonce)
        && !leaves_nothing(response.status())
    {
        nonce.keep();
    }
    (trail.end(&door, response).await, allowance)
}

/// Whether a request that was answered so may come again: nothing of it was taken.
fn leaves_nothing(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT)
}

/// Seconds since 1970.
fn seconds() -> i64 {
    clock::now().div_euclid(1_000_000_000)
}

/// Counts the bytes of a body that did not say how long it is.
fn charge_as_it_comes(door: &Arc<Door>, name: &str, request: Request) -> Request {
    use http_body_util::BodyExt as _;
    let (door, name) = (Arc::clone(door), name.to_owned());
    request.map(|body| {
        axum::body::Body::new(body.map_frame(move |frame| {
            let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
            door.access.limits().charge(Class::Ingest, &name, bytes);
            frame
        }))
    })
}

/// Takes away what only the guard may say.
fn clean(headers: &mut HeaderMap) {
    let ours: Vec<HeaderName> = headers
        .keys()
        .filter(|name| name.as_str().starts_with(OURS) && !SIGNATURE_HEADERS.contains(&name.as_str()))
        .cloned()
        .collect();
    for name in ours {
        headers.remove(name);
    }
}

/// What somebody shows to be known by. A browser's streams cannot set headers: there the query may hold it.
fn credential(headers: &HeaderMap, query: Option<&str>) -> Option<String> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let bearer = text("authorization").and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
    });
    let key = || text("x-api-key").map(|key| key.trim().to_owned());
    let asked = || query?.split('&').find_map(|pair| pair.strip_prefix("access_token=")).map(str::to_owned);
    bearer.or_else(key).or_else(asked)
}

/// Nobody behind the guard has to see them, least of all a log.
fn forget_credentials(request: &mut Request) {
    request.headers_mut().remove(header::AUTHORIZATION);
    request.headers_mut().remove("x-api-key");
    let Some(query) = request.uri().query().filter(|query| query.contains("access_token=")) else { return };
    let kept: Vec<&str> = query.split('&').filter(|pair| !pair.starts_with("access_token=")).collect();
    let path = request.uri().path();
    let bare = if kept.is_empty() { path.to_owned() } else { format!("{path}?{}", kept.join("&")) };
    if let Ok(uri) = bare.parse::<Uri>() {
        *request.uri_mut() = uri;
    }
}

fn identity(told: Result<Identity, AuthError>) -> Result<Identity, Problem> {
    told.map_err(|error| match error {
        AuthError::Access(error) => {
            tracing::error!(%error, "who asks cannot be found out");
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "who you are cannot be checked now; try again").retry_after(5)
        }
        AuthError::Refused(refusal) => {
            tracing::debug!(%refusal, "a token or key was refused");
            unknown("the token or key is not good, or no longer; sign in anew")
        }
        AuthError::KeysNeeded(_) => unknown("the token is not good; sign in anew"),
    })
}

fn unknown(detail: &str) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, detail)
        .header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"wheeltapper\""))
}

fn too_much(allowance: &Allowance) -> Problem {
    let Allowance { quota, class, .. } = allowance;
    let detail = format!(
        "that is more than {} ({}) in {} s; come again in {} s",
        quota.amount,
        class.name(),
        quota.window.as_secs().max(1),
        allowance.retry_after_seconds()
    );
    Problem::new(StatusCode::TOO_MANY_REQUESTS, detail)
        .with("limit", json!(quota.amount))
        .retry_after(allowance.retry_after_seconds())
}

fn tell_limits(allowance: &Allowance, headers: &mut HeaderMap) {
    for (name, text) in [("ratelimit-policy", allowance.policy()), ("ratelimit", allowance.state())] {
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
}

/// Once, and not by way of the log, which others may read.
#[allow(clippy::print_stderr, reason = "it must not reach the log")]
fn announce(password: &str) {
    eprintln!(
        "\n  The first user is `admin`, with the one-time password\n\n      {password}\n\n  It is shown this once. Sign in and choose your own; `wheeltapper user reset admin` makes another.\n"
    );
}
