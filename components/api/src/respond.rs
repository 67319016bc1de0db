//! From a request to its response.

use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use serde_json::json;

use crate::{
    Filter, Front, FrontError, Settings, Table, access,
    answer::{Answer, request_id},
    cors,
    ingest::ingest,
    overview::overview,
    page::{file, page},
    problem::Problem,
    query::Query,
    readings::readings,
    routes::Route,
    time,
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
    let (path, query, headers) = (uri.path(), uri.query(), request.headers());
    let route = Route::of(path);
    // Browsers ask what may be asked without a token.
    if cors::is_preflight(request) {
        return Ok(cors::preflight(route?.methods()));
    }
    // Before anything is told of what is there: which paths exist is no stranger's business either.
    if let Some(token) = &settings.api_token
        && !matches!(route, Ok(Route::Page | Route::File(_) | Route::Health | Route::Tick))
    {
        access::demand(headers, token)?;
    }
    let route = route?;
    if let Route::Tick = route {
        let Some(token) = &settings.tick_token else {
            return Err(Problem::not_found(
                "ticks by HTTP are off; set WHEELTAPPER_TICK_TOKEN, or let the platform's own timer tick",
            ));
        };
        access::demand(headers, token)?;
    }
    let methods = route.methods();
    match *request.method() {
        Method::POST if methods.starts_with("POST") => {}
        Method::GET | Method::HEAD if methods.starts_with("GET") => {}
        Method::OPTIONS => {
            let allow = HeaderValue::from_static(methods);
            return Ok(Answer::empty(StatusCode::NO_CONTENT).with(header::ALLOW, allow));
        }
        ref other => {
            let detail = format!("{path} does not take {other}; it takes {methods}");
            return Err(Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail)
                .header(header::ALLOW, HeaderValue::from_static(methods)));
        }
    }
    match route {
        Route::Page => page(request.headers()),
        Route::File(name) => file(name, request.headers()),
        Route::Health => Ok(state("alive")),
        Route::Ready => ready(front),
        Route::Ingest => ingest(front, request),
        Route::Overview => {
            Query::of(query, &[])?;
            overview(front, now)
        }
        Route::Tick => {
            // Whoever plays a recording lets its time pass, not the clock's.
            let now = Query::of(query, &["now"])?.time("now")?.unwrap_or(now);
            front.tick(now)?;
            Ok(Answer::json(StatusCode::OK, &json!({ "now": time::text(now) }))
                .with(header::CACHE_CONTROL, HeaderValue::from_static("no-store")))
        }
        Route::List(listing) => listing.page(front, path, query),
        Route::Item(listing, id) => listing.item(front, &id, query),
        Route::Readings(sensors, id) => readings(front, sensors, &id, path, query),
    }
}

fn state(word: &str) -> Answer {
    Answer::json(StatusCode::OK, &json!({ "status": word }))
        .with(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))
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
