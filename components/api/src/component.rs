//! The component's bindings: handles WASI HTTP requests and imports the line.

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri};
use wasi::{
    exports::http::incoming_handler::Guest,
    http::types::{Fields, IncomingRequest, Method as Verb, OutgoingBody, OutgoingResponse, ResponseOutparam},
    io::streams::StreamError,
};

use crate::{
    Action, ActionRequest, DetectRequest, Filter, LineApi, LineApiError, MAX_BODY_BYTES, Receipt, Rejection,
    RejectionReason, Settings, Submission, Table, Verdict, exceeds_body_limit, incomplete_request, respond,
};

#[allow(missing_docs, missing_debug_implementations, clippy::all, reason = "generated from wit/, which documents them")]
mod bindings {
    wit_bindgen::generate!({ path: "../../wit", world: "api" });
}

use bindings::wheeltapper::pipeline::{
    line_api::{self, Action as WitAction, Table as WitTable},
    types::Reason as WitReason,
};

/// Bytes read from a body at a time.
const READ_CHUNK_BYTES: u64 = 64 << 10;

struct Component;

wasi::http::proxy::export!(Component);

impl Guest for Component {
    fn handle(incoming: IncomingRequest, out: ResponseOutparam) {
        let settings = Settings::from_variables(|name| std::env::var(name).ok());
        let now = now();
        let response = match read(&incoming) {
            Ok(request) => respond(&ImportedLine, &settings, now, request),
            Err(reason) => incomplete_request(reason, now),
        };
        write(response, out);
    }
}

/// Returns the current time in nanoseconds since 1970.
fn now() -> i64 {
    let elapsed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(elapsed.as_nanos()).unwrap_or(i64::MAX)
}

/// Reads the request with its body. Reading stops once the body exceeds the limit.
fn read(incoming: &IncomingRequest) -> Result<Request<Vec<u8>>, &'static str> {
    let mut request = Request::new(Vec::new());
    *request.method_mut() = match incoming.method() {
        Verb::Get => Method::GET,
        Verb::Head => Method::HEAD,
        Verb::Post => Method::POST,
        Verb::Put => Method::PUT,
        Verb::Delete => Method::DELETE,
        Verb::Connect => Method::CONNECT,
        Verb::Options => Method::OPTIONS,
        Verb::Trace => Method::TRACE,
        Verb::Patch => Method::PATCH,
        Verb::Other(name) => Method::from_bytes(name.as_bytes()).map_err(|_| "the method is not valid")?,
    };
    let path = incoming.path_with_query().filter(|path| !path.is_empty()).unwrap_or_else(|| "/".to_owned());
    *request.uri_mut() = Uri::try_from(path).map_err(|_| "the path is not valid; percent-encode special characters")?;
    *request.headers_mut() = headers(incoming.headers().entries());
    // Other methods need no body. A body whose Content-Length exceeds the limit is not read at all.
    if matches!(*request.method(), Method::POST | Method::PATCH) && !exceeds_body_limit(&request) {
        *request.body_mut() = read_body(incoming)?;
    }
    Ok(request)
}

fn headers(entries: Vec<(String, Vec<u8>)>) -> HeaderMap {
    entries
        .into_iter()
        // WASI has the same rules for headers as HTTP; invalid headers are dropped.
        .filter_map(|(name, value)| Some((HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?)))
        .collect()
}

fn read_body(incoming: &IncomingRequest) -> Result<Vec<u8>, &'static str> {
    let mut bytes = Vec::new();
    let body = incoming.consume().map_err(|()| "the body cannot be read")?;
    // Declared after the body, so that it is dropped before it.
    let stream = body.stream().map_err(|()| "the body cannot be read")?;
    while bytes.len() <= MAX_BODY_BYTES {
        match stream.blocking_read(READ_CHUNK_BYTES) {
            Ok(chunk) => bytes.extend_from_slice(&chunk),
            Err(StreamError::Closed) => break,
            Err(StreamError::LastOperationFailed(_)) => return Err("the body is incomplete"),
        }
    }
    Ok(bytes)
}

/// Sends the response. Errors are ignored: the client has disconnected.
fn write(response: Response<Vec<u8>>, out: ResponseOutparam) {
    let (head, bytes) = response.into_parts();
    let fields = Fields::new();
    for (name, value) in &head.headers {
        // A host rejects headers that it sets itself.
        let _ = fields.append(&name.as_str().to_owned(), &value.as_bytes().to_vec());
    }
    let outgoing = OutgoingResponse::new(fields);
    let _ = outgoing.set_status_code(head.status.as_u16());
    let body = outgoing.body();
    // The head goes first: a host may accept no body before it.
    ResponseOutparam::set(out, Ok(outgoing));
    let Ok(body) = body else { return };
    if write_body(&body, &bytes).is_ok() {
        let _ = OutgoingBody::finish(body, None);
    }
}

fn write_body(body: &OutgoingBody, mut bytes: &[u8]) -> Result<(), StreamError> {
    let Ok(stream) = body.write() else { return Err(StreamError::Closed) };
    while !bytes.is_empty() {
        let writable = usize::try_from(stream.check_write()?).unwrap_or(usize::MAX);
        if writable == 0 {
            stream.subscribe().block();
            continue;
        }
        let (chunk, rest) = bytes.split_at(writable.min(bytes.len()));
        stream.write(chunk)?;
        bytes = rest;
    }
    stream.blocking_flush()
}

/// The line, imported through `wheeltapper:pipeline/line-api`.
struct ImportedLine;

impl LineApi for ImportedLine {
    fn submit(&self, event: Submission) -> Result<Receipt, LineApiError> {
        let Submission { source, format, sensor, payload } = event;
        let receipt = line_api::submit(&line_api::Submission { source, format, sensor, payload })?;
        let rejections = receipt.rejections.into_iter().map(|rejection| Rejection {
            position: rejection.position,
            reason: wheeltapper_line_api::convert_reason!(rejection.reason, WitReason => RejectionReason),
            message: rejection.message,
            readings: rejection.readings,
        });
        Ok(Receipt { accepted: receipt.accepted, rejections: rejections.collect() })
    }

    fn query(&self, table: Table, filter: &Filter) -> Result<String, LineApiError> {
        let table = wheeltapper_line_api::convert_table!(table, Table => WitTable);
        let Filter { id, asset, sensor, kind, after, before, limit, offset, points } = filter.clone();
        Ok(line_api::query(table, &line_api::Filter { id, asset, sensor, kind, after, before, limit, offset, points })?)
    }

    fn tick(&self, now: i64) -> Result<(), LineApiError> {
        Ok(line_api::tick(now)?)
    }

    fn perform_action(&self, request: &ActionRequest) -> Result<String, LineApiError> {
        let ActionRequest { action, id, text, now } = request.clone();
        let action = wheeltapper_line_api::convert_action!(action, Action => WitAction);
        Ok(line_api::perform_action(&line_api::ActionRequest { action, id, text, now })?)
    }

    fn detect(&self, request: &DetectRequest) -> Result<Verdict, LineApiError> {
        let DetectRequest { payload, model, now } = request.clone();
        let line_api::Verdict { asset, sensor, score, threshold, confidence, model, explanation } =
            line_api::detect(&line_api::DetectRequest { payload, model, now })?;
        Ok(Verdict { asset, sensor, score, threshold, confidence, model, explanation })
    }
}

impl From<line_api::LineApiError> for LineApiError {
    fn from(error: line_api::LineApiError) -> Self {
        match error {
            line_api::LineApiError::Unavailable(text) => Self::Unavailable(text),
            line_api::LineApiError::Internal(text) => Self::Internal(text),
            line_api::LineApiError::NotFound(text) => Self::NotFound(text),
            line_api::LineApiError::Invalid(text) => Self::Invalid(text),
            line_api::LineApiError::Conflict(text) => Self::Conflict(text),
        }
    }
}
