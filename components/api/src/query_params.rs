//! The query parameters of a request.

use form_urlencoded::{Serializer, parse};

use crate::{
    names::{check_name, is_hidden_character},
    problem::Problem,
    routes::{Parameter, ParameterKind, ParameterLocation, RouteInfo},
    time,
};

/// Default number of rows in a response.
pub(crate) const DEFAULT_LIMIT: u32 = 100;
/// Maximum number of characters of a name.
pub(crate) const MAX_PARAM_CHARS: usize = 256;

/// The query parameters of a request, checked against the route. Empty ones are dropped: forms send fields that were
/// left empty.
#[derive(Debug)]
pub(crate) struct QueryParams(Vec<(String, String)>);

impl QueryParams {
    /// Parses the query and checks it against the parameters of the route. An unknown parameter is an error, except on
    /// lax routes: a misspelt filter would silently select everything.
    pub(crate) fn from_query(query: Option<&str>, route: &RouteInfo) -> Result<Self, Problem> {
        let is_object = |name: &str| {
            route.parameters.iter().any(|parameter| parameter.name == name && parameter.kind == ParameterKind::Object)
        };
        let pairs: Vec<(String, String)> = parse(query.unwrap_or_default().as_bytes())
            .into_owned()
            .filter(|(name, value)| !value.is_empty() || is_object(name))
            .collect();
        for (index, (name, value)) in pairs.iter().enumerate() {
            let parameter = route
                .parameters
                .iter()
                .find(|parameter| parameter.location == ParameterLocation::Query && parameter.name == name);
            let Some(parameter) = parameter else {
                if route.allows_unknown_params {
                    continue;
                }
                return Err(unknown_param(name, route));
            };
            if pairs[..index].iter().any(|(earlier, _)| earlier == name) {
                return Err(Problem::bad_request(format!("the query names {name:?} twice; give it once")));
            }
            check_value(parameter, value)?;
        }
        Ok(Self(pairs))
    }

    /// Returns the value of a parameter.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Returns the value of a parameter as an owned string.
    pub(crate) fn get_owned(&self, name: &str) -> Option<String> {
        self.get(name).map(str::to_owned)
    }

    /// Returns the value of an integer parameter, which was checked before.
    pub(crate) fn number(&self, name: &str) -> Option<u32> {
        self.get(name)?.parse().ok()
    }

    /// Returns the value of a time parameter in nanoseconds since 1970, which was checked before.
    pub(crate) fn time(&self, name: &str) -> Option<i64> {
        time::parse_time(self.get(name)?)
    }

    /// Returns `from` and `to` as [`Filter::after`](crate::Filter::after) and
    /// [`Filter::before`](crate::Filter::before). Rows that end at `from` are included, rows that begin at `to` are
    /// not.
    pub(crate) fn time_range(&self) -> (Option<i64>, Option<i64>) {
        (self.time("from").map(|from| from.saturating_sub(1)), self.time("to"))
    }

    /// Returns the requested number of rows.
    pub(crate) fn limit(&self) -> u32 {
        self.number("limit").unwrap_or(DEFAULT_LIMIT)
    }

    /// Returns the number of rows on the previous pages.
    pub(crate) fn offset(&self) -> u32 {
        self.get("cursor").and_then(parse_cursor).unwrap_or(0)
    }

    /// Returns the path and query of the page that starts at this row.
    pub(crate) fn page_url(&self, path: &str, offset: u32) -> String {
        let mut pairs = Serializer::new(String::new());
        pairs.extend_pairs(self.0.iter().filter(|(name, _)| name != "cursor"));
        pairs.append_pair("cursor", &format_cursor(offset));
        format!("{path}?{}", pairs.finish())
    }
}

/// Parses a cursor, eight hexadecimal digits, to the row that it stands for.
pub(crate) fn parse_cursor(text: &str) -> Option<u32> {
    let is_cursor = text.len() == 8 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if is_cursor { u32::from_str_radix(text, 16).ok() } else { None }
}

/// Formats the cursor of a row.
pub(crate) fn format_cursor(row: u32) -> String {
    format!("{row:08x}")
}

fn unknown_param(name: &str, route: &RouteInfo) -> Problem {
    let names = route
        .parameters
        .iter()
        .filter(|parameter| parameter.location == ParameterLocation::Query)
        .map(|parameter| parameter.name);
    let names = names.collect::<Vec<_>>().join(", ");
    let names = if names.is_empty() { "none" } else { &names };
    Problem::bad_request(format!(
        "the query names {name:?}; this route takes {names}: leave it out or correct its name"
    ))
}

/// Checks a value against the kind of its parameter.
fn check_value(parameter: &Parameter, value: &str) -> Result<(), Problem> {
    let name = parameter.name;
    let reject = |detail: String| Err(Problem::bad_request(detail));
    match parameter.kind {
        ParameterKind::SensorName => {
            check_name(value).map_err(|reason| Problem::bad_request(format!("{name}: {reason}")))
        }
        ParameterKind::Text | ParameterKind::VisibleText if value.chars().count() > MAX_PARAM_CHARS => {
            reject(format!("{name} has {} characters; give at most {MAX_PARAM_CHARS}", value.chars().count()))
        }
        ParameterKind::Text | ParameterKind::LongText if value.contains('\0') => {
            reject(format!("{name}={value:?} contains the character NUL; remove it"))
        }
        ParameterKind::VisibleText if value.chars().any(is_hidden_character) => {
            reject(format!("{name}={value:?} contains control characters; remove them"))
        }
        ParameterKind::Text | ParameterKind::VisibleText | ParameterKind::LongText => Ok(()),
        ParameterKind::Time if time::parse_time(value).is_none() => reject(format!(
            "{name}={value:?} is not a time; give RFC 3339, such as 2026-01-31T13:45:00Z, or nanoseconds since 1970"
        )),
        ParameterKind::Number(min, max, _) if !is_number(value, min, max) => {
            reject(format!("{name}={value:?} is not a whole number from {min} to {max}; give one, or leave it out"))
        }
        ParameterKind::OneOf(values) if !values.contains(&value) => {
            reject(format!("{name}={value:?} is not one of {}", values.join(", ")))
        }
        ParameterKind::Cursor if parse_cursor(value).is_none() => {
            reject(format!("{name}={value:?} is not a cursor; follow `next` of the previous page, or leave it out"))
        }
        ParameterKind::Object if serde_json::from_str::<serde_json::Map<_, _>>(value).is_err() => {
            reject(format!("{name}={value:?} is not a JSON object; give one, such as {{}}"))
        }
        ParameterKind::Time
        | ParameterKind::Number(..)
        | ParameterKind::OneOf(_)
        | ParameterKind::Cursor
        | ParameterKind::Object => Ok(()),
    }
}

/// Returns whether the text is a number in the range, of digits only. `parse` would accept a plus, which is a space in
/// a query.
fn is_number(text: &str, min: u32, max: u32) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse().is_ok_and(|number| (min..=max).contains(&number))
}
