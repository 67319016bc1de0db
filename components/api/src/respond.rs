//! Dispatches a request to its route and returns the response.

use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use serde_json::json;

use crate::{
    Filter, Front, FrontError, Settings, Table, access,
    answer::{Answer, request_id},
    assets, calendar, cors, deeds, detect, docs, graphql,
    ingest::ingest,
    listing, maintenance,
    names::check_name,
    openapi,
    overview::overview,
    page::{file, is_file, page},
    problem::Problem,
    query::Query,
    readings::readings,
    routes::{Op, Path, Permission, RouteInfo},
    stream, time,
};

/// Answers a request. `now` is the current time in nanoseconds since 1970.
pub fn respond(line: &impl Front, settings: &Settings, now: i64, mut request: Request<Vec<u8>>) -> Response<Vec<u8>> {
    let id = request_id(&request, now);
    let answer = answer(line, settings, now, &mut request).unwrap_or_else(Answer::from);
    cors::mark(answer, &request, settings).seal(&request, id)
}

/// Answers a request that was incomplete or whose head is not valid with 400. `reason` says what is wrong.
pub fn broken_off(reason: &str, now: i64) -> Response<Vec<u8>> {
    let request = Request::default();
    let id = request_id(&request, now);
    Answer::from(Problem::bad_request(format!("{reason}; send it again"))).seal(&request, id)
}

fn answer(line: &impl Front, settings: &Settings, now: i64, request: &mut Request<Vec<u8>>) -> Result<Answer, Problem> {
    let uri = request.uri().clone();
    let is_file = is_file(uri.path());
    let path = Path::of(if is_file { "/" } else { uri.path() });
    // The edge host answers its own routes before they get here; on other hosts they do not exist.
    let path = path.filter(|path| !path.routes().all(|route| route.edge_only)).ok_or_else(|| nothing(uri.path()));
    // Browsers send preflight requests without a token.
    if cors::is_preflight(request) {
        return Ok(cors::preflight(&allow(&path?)));
    }
    // Checked before the 404: without a token, a caller must not learn which paths exist.
    if let Some(token) = &settings.api_token
        && !path.as_ref().is_ok_and(|path| path.routes().any(|route| route.permission == Permission::None))
    {
        access::demand(request.headers(), token)?;
    }
    let path = path?;
    if let Some(Op::Tick) = path.routes().next().map(|route| route.op) {
        let Some(token) = &settings.tick_token else {
            return Err(Problem::not_found(
                "ticks by HTTP are off; set WHEELTAPPER_TICK_TOKEN, or let the platform's own timer tick",
            ));
        };
        access::demand(request.headers(), token)?;
    }
    if request.method() == Method::OPTIONS {
        return Ok(Answer::empty(StatusCode::NO_CONTENT).with(header::ALLOW, allow(&path)));
    }
    let Some(route) = path.route(request.method()) else {
        let detail = format!("{} does not allow {}; it allows {}", uri.path(), request.method(), path.methods());
        return Err(Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail).header(header::ALLOW, allow(&path)));
    };
    if is_file {
        return file(uri.path().trim_start_matches('/'), request.headers());
    }
    run(line, settings, now, request, route, &path, &uri)
}

/// Runs the handler of the route.
fn run(
    line: &impl Front,
    settings: &Settings,
    now: i64,
    request: &mut Request<Vec<u8>>,
    route: &'static RouteInfo,
    path: &Path<'_>,
    uri: &Uri,
) -> Result<Answer, Problem> {
    let id = path.id()?;
    if path.template.starts_with("/api/v1/sensors/") {
        check_name(&id).map_err(Problem::bad_request)?;
    }
    let (path, query) = (uri.path(), Query::of(uri.query(), route)?);
    match route.op {
        Op::Page => page(request.headers()),
        Op::Health => Ok(state("alive")),
        Op::Ready => ready(line),
        Op::OpenApi => {
            let kind = HeaderValue::from_static("application/json");
            Ok(Answer::text(StatusCode::OK, kind, openapi::text(settings.edge).to_owned()))
        }
        Op::Docs(name) => Ok(docs::file(name)),
        Op::Tick => {
            // A replayed recording advances the time by its own timestamps instead of the clock.
            let now = query.time("now").unwrap_or(now);
            line.tick(now)?;
            Ok(Answer::json(StatusCode::OK, &json!({ "now": time::text(now) })).fresh())
        }
        Op::Ingest => ingest(line, request, &query),
        Op::Overview => overview(line, now),
        Op::List(listing) => listing.page(line, path, &query),
        Op::Item(listing) if listing.table == Table::Anomalies => deeds::anomaly(line, &id),
        Op::Item(listing) => Ok(Answer::json(StatusCode::OK, &listing.item(line, &id)?)),
        Op::Readings => readings(line, &id, path, &query),
        Op::SensorStream => stream::readings(line, &id, request.headers(), &query),
        Op::AnomalyStream => stream::happenings(line, request.headers(), &query),
        Op::Assets => assets::assets(line),
        Op::Actions => {
            listing::ANOMALIES.item(line, &id)?;
            let filter = Filter { offset: query.offset(), ..deeds::done_to(&id, query.limit()) };
            listing::ACTIONS.narrowed(line, path, &query, filter)
        }
        Op::Deed(deed) => deeds::act(line, deed, &id, now, request),
        Op::Amend => deeds::amend(line, &id, now, request),
        Op::Detect => detect::detect(line, now, request),
        Op::Plan => maintenance::plan(line, now, request),
        Op::Task => maintenance::task(line, &id),
        Op::Calendar => calendar::calendar(line, now, &query),
        Op::GraphGet => graphql::by_get(line, now, request, &query),
        Op::GraphPost => graphql::by_post(line, now, request),
        // The edge host answers these before it calls the component.
        Op::Edge => Err(nothing(path)),
    }
}

/// Returns the `Allow` header with the methods of a path.
fn allow(path: &Path<'_>) -> HeaderValue {
    HeaderValue::try_from(path.methods()).unwrap_or_else(|_| HeaderValue::from_static("OPTIONS"))
}

fn nothing(path: &str) -> Problem {
    Problem::not_found(format!(
        "there is nothing at {path}; send readings to POST /api/v1/ingest, get an overview from GET /api/v1/overview; /api/docs lists all routes"
    ))
}

fn state(status: &str) -> Answer {
    Answer::json(StatusCode::OK, &json!({ "status": status })).fresh()
}

/// Responds 200 if the line answers, else 503 with `Retry-After`, also for a failure that needs an operator.
fn ready(line: &impl Front) -> Result<Answer, Problem> {
    match line.look(Table::Sensors, &Filter { limit: 1, ..Filter::default() }) {
        Ok(_) => Ok(state("ready")),
        Err(error) => {
            let seconds = if matches!(error, FrontError::Unavailable(_)) { 1 } else { 30 };
            let detail = format!("the line does not answer: {error}");
            Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(seconds))
        }
    }
}
