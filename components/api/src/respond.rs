//! From a request to its response.

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

/// Answers a request at `now`, in nanoseconds since 1970.
pub fn respond(front: &impl Front, settings: &Settings, now: i64, mut request: Request<Vec<u8>>) -> Response<Vec<u8>> {
    let id = request_id(&request, now);
    let answer = answer(front, settings, now, &mut request).unwrap_or_else(Answer::from);
    cors::mark(answer, &request, settings).seal(&request, id)
}

/// The answer to a request that did not come whole, or whose head is none.
pub fn broken_off(why: &str, now: i64) -> Response<Vec<u8>> {
    let request = Request::default();
    let id = request_id(&request, now);
    Answer::from(Problem::bad_request(format!("{why}; send it again"))).seal(&request, id)
}

fn answer(
    front: &impl Front,
    settings: &Settings,
    now: i64,
    request: &mut Request<Vec<u8>>,
) -> Result<Answer, Problem> {
    let uri = request.uri().clone();
    let is_file = is_file(uri.path());
    let path = Path::of(if is_file { "/" } else { uri.path() });
    // What the edge host answers itself does not get here; elsewhere it is not there.
    let path = path.filter(|path| !path.routes().all(|route| route.edge_only)).ok_or_else(|| nothing(uri.path()));
    // Browsers ask what may be asked without a token.
    if cors::is_preflight(request) {
        return Ok(cors::preflight(&allow(&path?)));
    }
    // Before anything is told of what is there: which paths exist is no stranger's business either.
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
        let detail = format!("{} does not take {}; it takes {}", uri.path(), request.method(), path.methods());
        return Err(Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail).header(header::ALLOW, allow(&path)));
    };
    if is_file {
        return file(uri.path().trim_start_matches('/'), request.headers());
    }
    run(front, settings, now, request, route, &path, &uri)
}

/// Does what the route is for.
fn run(
    front: &impl Front,
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
        Op::Ready => ready(front),
        Op::OpenApi => {
            let kind = HeaderValue::from_static("application/json");
            Ok(Answer::text(StatusCode::OK, kind, openapi::text(settings.edge).to_owned()))
        }
        Op::Docs(name) => Ok(docs::file(name)),
        Op::Tick => {
            // Whoever plays a recording lets its time pass, not the clock's.
            let now = query.time("now").unwrap_or(now);
            front.tick(now)?;
            Ok(Answer::json(StatusCode::OK, &json!({ "now": time::text(now) })).fresh())
        }
        Op::Ingest => ingest(front, request, &query),
        Op::Overview => overview(front, now),
        Op::List(listing) => listing.page(front, path, &query),
        Op::Item(listing) if listing.table == Table::Anomalies => deeds::anomaly(front, &id),
        Op::Item(listing) => Ok(Answer::json(StatusCode::OK, &listing.item(front, &id)?)),
        Op::Readings => readings(front, &id, path, &query),
        Op::SensorStream => stream::readings(front, &id, request.headers(), &query),
        Op::AnomalyStream => stream::happenings(front, request.headers(), &query),
        Op::Assets => assets::assets(front),
        Op::Actions => {
            listing::ANOMALIES.item(front, &id)?;
            let filter = Filter { offset: query.offset(), ..deeds::done_to(&id, query.limit()) };
            listing::ACTIONS.narrowed(front, path, &query, filter)
        }
        Op::Deed(deed) => deeds::act(front, deed, &id, now, request),
        Op::Amend => deeds::amend(front, &id, now, request),
        Op::Detect => detect::detect(front, now, request),
        Op::Plan => maintenance::plan(front, now, request),
        Op::Task => maintenance::task(front, &id),
        Op::Calendar => calendar::calendar(front, now, &query),
        Op::GraphGet => graphql::by_get(front, now, request, &query),
        Op::GraphPost => graphql::by_post(front, now, request),
        // It answers before it asks here.
        Op::Edge => Err(nothing(path)),
    }
}

/// The header that tells which methods a path takes.
fn allow(path: &Path<'_>) -> HeaderValue {
    HeaderValue::try_from(path.methods()).unwrap_or_else(|_| HeaderValue::from_static("OPTIONS"))
}

fn nothing(path: &str) -> Problem {
    Problem::not_found(format!(
        "there is nothing at {path}; readings go to POST /api/v1/ingest, GET /api/v1/overview shows what became of them, and /api/docs tells what else there is"
    ))
}

fn state(word: &str) -> Answer {
    Answer::json(StatusCode::OK, &json!({ "status": word })).fresh()
}

/// Ready is who gets an answer from the line. Also what only a person can mend is no reason to give up asking.
fn ready(front: &impl Front) -> Result<Answer, Problem> {
    match front.look(Table::Sensors, &Filter { limit: 1, ..Filter::default() }) {
        Ok(_) => Ok(state("ready")),
        Err(error) => {
            let seconds = if matches!(error, FrontError::Unavailable(_)) { 1 } else { 30 };
            let detail = format!("the line does not answer: {error}");
            Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(seconds))
        }
    }
}
