//! Dispatches a request to its route and returns the response.

use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use serde_json::json;

use crate::{
    Filter, LineApi, LineApiError, Settings, Table, actions,
    api_response::{ApiResponse, request_id},
    assets, bearer_token, calendar, cors,
    dashboard::{file, index, is_file},
    detect, docs, event_stream, graphql,
    ingest::ingest,
    listing, maintenance,
    names::check_name,
    openapi,
    overview::overview,
    problem::Problem,
    query_params::QueryParams,
    readings::readings,
    routes::{Handler, MatchedPath, Permission, RouteInfo, has_name},
    time,
};

/// Answers a request. `now` is the current time in nanoseconds since 1970.
pub fn respond(line: &impl LineApi, settings: &Settings, now: i64, mut request: Request<Vec<u8>>) -> Response<Vec<u8>> {
    let id = request_id(&request, now);
    let response = route_request(line, settings, now, &mut request).unwrap_or_else(ApiResponse::from);
    cors::add_cors_headers(response, &request, settings).finish(&request, id)
}

/// Answers a request that was incomplete or whose head is not valid with 400. `reason` says what is wrong.
pub fn incomplete_request(reason: &str, now: i64) -> Response<Vec<u8>> {
    let request = Request::default();
    let id = request_id(&request, now);
    ApiResponse::from(Problem::bad_request(format!("{reason}; send it again"))).finish(&request, id)
}

fn route_request(
    line: &impl LineApi,
    settings: &Settings,
    now: i64,
    request: &mut Request<Vec<u8>>,
) -> Result<ApiResponse, Problem> {
    let uri = request.uri().clone();
    let is_file = is_file(uri.path());
    let path = MatchedPath::match_path(if is_file { "/" } else { uri.path() });
    // The edge host answers its own routes before they get here; on other hosts they do not exist.
    let path = path.filter(|path| !path.routes().all(|route| route.edge_only)).ok_or_else(|| unknown_path(uri.path()));
    // Browsers send preflight requests without a token.
    if cors::is_preflight(request) {
        return Ok(cors::preflight(&allow_header(&path?)));
    }
    // Checked before the 404: without a token, a caller must not learn which paths exist.
    if let Some(token) = &settings.api_token
        && !path.as_ref().is_ok_and(|path| path.routes().any(|route| route.permission == Permission::None))
    {
        bearer_token::require_token(request.headers(), token)?;
    }
    let path = path?;
    if let Some(Handler::Tick) = path.routes().next().map(|route| route.handler) {
        let Some(token) = &settings.tick_token else {
            return Err(Problem::not_found(
                "ticks by HTTP are off; set WHEELTAPPER_TICK_TOKEN, or let the platform's own timer tick",
            ));
        };
        bearer_token::require_token(request.headers(), token)?;
    }
    if request.method() == Method::OPTIONS {
        return Ok(ApiResponse::empty(StatusCode::NO_CONTENT).with_header(header::ALLOW, allow_header(&path)));
    }
    let Some(route) = path.route(request.method()) else {
        let detail = format!("{} does not allow {}; it allows {}", uri.path(), request.method(), path.methods());
        return Err(
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail).with_header(header::ALLOW, allow_header(&path))
        );
    };
    if is_file {
        return file(uri.path().trim_start_matches('/'), request.headers());
    }
    dispatch(line, settings, now, request, route, &path, &uri)
}

/// Runs the handler of the route.
fn dispatch(
    line: &impl LineApi,
    settings: &Settings,
    now: i64,
    request: &mut Request<Vec<u8>>,
    route: &'static RouteInfo,
    path: &MatchedPath<'_>,
    uri: &Uri,
) -> Result<ApiResponse, Problem> {
    let id = path.decoded_id()?;
    if has_name(path.template) {
        check_name(&id).map_err(Problem::bad_request)?;
    }
    let (path, query) = (uri.path(), QueryParams::from_query(uri.query(), route)?);
    match route.handler {
        Handler::Dashboard => index(request.headers()),
        Handler::Health => Ok(status_response("alive")),
        Handler::Ready => ready(line),
        Handler::OpenApi => {
            let kind = HeaderValue::from_static("application/json");
            Ok(ApiResponse::text(StatusCode::OK, kind, openapi::document_text(settings.is_edge_host).to_owned()))
        }
        Handler::Docs(name) => Ok(docs::file(name)),
        Handler::Tick => {
            // A replayed recording advances the time by its own timestamps instead of the clock.
            let now = query.time("now").unwrap_or(now);
            line.tick(now)?;
            Ok(ApiResponse::json(StatusCode::OK, &json!({ "now": time::format_rfc3339(now) })).no_store())
        }
        Handler::Ingest => ingest(line, request, &query),
        Handler::Overview => overview(line, now),
        Handler::List(listing) => listing.respond_with_page(line, path, &query),
        Handler::Item(listing) if listing.table == Table::Anomalies => actions::anomaly_response(line, &id),
        Handler::Item(listing) => Ok(ApiResponse::json(StatusCode::OK, &listing.item(line, &id)?)),
        Handler::Readings => readings(line, &id, path, &query),
        Handler::SensorStream => event_stream::stream_readings(line, &id, request.headers(), &query),
        Handler::AnomalyStream => event_stream::stream_plant_events(line, request.headers(), &query),
        Handler::Assets => assets::assets(line),
        Handler::AnomalyActions => {
            listing::ANOMALIES.item(line, &id)?;
            let filter = Filter { offset: query.offset(), ..actions::actions_on(&id, query.limit()) };
            listing::ACTIONS.respond_with_filtered_page(line, path, &query, filter)
        }
        Handler::Action(action) => actions::respond_to_action(line, action, &id, now, request),
        Handler::AmendWorkOrder => actions::amend_work_order(line, &id, now, request),
        Handler::ResetBaseline => actions::reset_baseline(line, &id, now, request),
        Handler::Detect => detect::detect(line, now, request),
        Handler::RequestPlan => maintenance::request_plan(line, now, request),
        Handler::PlanStatus => maintenance::plan_status(line, &id),
        Handler::Calendar => calendar::calendar(line, now, &query),
        Handler::GraphQlGet => graphql::handle_get(line, now, request, &query),
        Handler::GraphQlPost => graphql::handle_post(line, now, request),
        // The edge host answers these before it calls the component.
        Handler::EdgeHost => Err(unknown_path(path)),
    }
}

/// Returns the `Allow` header with the methods of a path.
fn allow_header(path: &MatchedPath<'_>) -> HeaderValue {
    HeaderValue::try_from(path.methods()).unwrap_or_else(|_| HeaderValue::from_static("OPTIONS"))
}

fn unknown_path(path: &str) -> Problem {
    Problem::not_found(format!(
        "there is nothing at {path}; send readings to POST /api/v1/ingest, get an overview from GET /api/v1/overview; /api/docs lists all routes"
    ))
}

fn status_response(status: &str) -> ApiResponse {
    ApiResponse::json(StatusCode::OK, &json!({ "status": status })).no_store()
}

/// Responds 200 if the line answers, else 503 with `Retry-After`, also for a failure that needs an operator.
fn ready(line: &impl LineApi) -> Result<ApiResponse, Problem> {
    match line.query(Table::Sensors, &Filter { limit: 1, ..Filter::default() }) {
        Ok(_) => Ok(status_response("ready")),
        Err(error) => {
            let seconds = if matches!(error, LineApiError::Unavailable(_)) { 1 } else { 30 };
            let detail = format!("the line does not answer: {error}");
            Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(seconds))
        }
    }
}
