//! What the query says.

use form_urlencoded::{Serializer, parse};

use crate::{
    names::{check_name, is_hidden},
    problem::Problem,
    routes::{Kind, Parameter, Place, RouteInfo},
    time,
};

/// Rows of an answer, if the client does not say.
pub(crate) const LIMIT: u32 = 100;
/// Characters of a name, at most.
pub(crate) const LONGEST: usize = 256;

/// The parameters of a request. One that is empty is none: forms send what was left empty.
#[derive(Debug)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// What the query says, held to what the route takes. One that was misspelt would narrow nothing, and nobody would see
    /// it; so it is a mistake, but on routes that are lax about it.
    pub(crate) fn of(query: Option<&str>, route: &RouteInfo) -> Result<Self, Problem> {
        let is_object =
            |name: &str| route.parameters.iter().any(|known| known.name == name && known.kind == Kind::Object);
        let pairs: Vec<(String, String)> = parse(query.unwrap_or_default().as_bytes())
            .into_owned()
            .filter(|(name, value)| !value.is_empty() || is_object(name))
            .collect();
        for (index, (name, value)) in pairs.iter().enumerate() {
            let known = route.parameters.iter().find(|known| known.place == Place::Query && known.name == name);
            let Some(known) = known else {
                if route.lax {
                    continue;
                }
                return Err(unknown(name, route));
            };
            if pairs[..index].iter().any(|(earlier, _)| earlier == name) {
                return Err(Problem::bad_request(format!("the query names {name:?} twice; name it once")));
            }
            check(known, value)?;
        }
        Ok(Self(pairs))
    }

    /// The value of a parameter.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The value of a parameter, its own.
    pub(crate) fn owned(&self, name: &str) -> Option<String> {
        self.get(name).map(str::to_owned)
    }

    /// A whole number, which was checked.
    pub(crate) fn number(&self, name: &str) -> Option<u32> {
        self.get(name)?.parse().ok()
    }

    /// A time, which was checked.
    pub(crate) fn time(&self, name: &str) -> Option<i64> {
        time::parse(self.get(name)?)
    }

    /// `from` and `to` as [`Filter::after`](crate::Filter::after) and [`Filter::before`](crate::Filter::before): what ends
    /// at `from` is in, what begins at `to` out.
    pub(crate) fn span(&self) -> (Option<i64>, Option<i64>) {
        (self.time("from").map(|from| from.saturating_sub(1)), self.time("to"))
    }

    /// How many rows are asked for.
    pub(crate) fn limit(&self) -> u32 {
        self.number("limit").unwrap_or(LIMIT)
    }

    /// How many rows the earlier pages had.
    pub(crate) fn offset(&self) -> u32 {
        self.get("cursor").and_then(cursor).unwrap_or(0)
    }

    /// The same question from this row on.
    pub(crate) fn link(&self, path: &str, offset: u32) -> String {
        let mut pairs = Serializer::new(String::new());
        pairs.extend_pairs(self.0.iter().filter(|(name, _)| name != "cursor"));
        pairs.append_pair("cursor", &cursor_of(offset));
        format!("{path}?{}", pairs.finish())
    }
}

/// The row that a cursor speaks of: eight hexadecimal digits.
pub(crate) fn cursor(text: &str) -> Option<u32> {
    let is_ours = text.len() == 8 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if is_ours { u32::from_str_radix(text, 16).ok() } else { None }
}

/// The cursor of a row.
pub(crate) fn cursor_of(row: u32) -> String {
    format!("{row:08x}")
}

fn unknown(name: &str, route: &RouteInfo) -> Problem {
    let known = route.parameters.iter().filter(|known| known.place == Place::Query).map(|known| known.name);
    let known = known.collect::<Vec<_>>().join(", ");
    let taken = if known.is_empty() { "none" } else { &known };
    Problem::bad_request(format!("the query names {name:?}; this route takes {taken}: leave it out or mend its name"))
}

/// Holds a value to what its parameter may be.
fn check(known: &Parameter, value: &str) -> Result<(), Problem> {
    let name = known.name;
    let wrong = |detail: String| Err(Problem::bad_request(detail));
    match known.kind {
        Kind::Sensor => check_name(value).map_err(|why| Problem::bad_request(format!("{name}: {why}"))),
        Kind::Text | Kind::Visible if value.chars().count() > LONGEST => {
            wrong(format!("{name} has {} characters; give at most {LONGEST}", value.chars().count()))
        }
        Kind::Text | Kind::Long if value.contains('\0') => {
            wrong(format!("{name}={value:?} has the character NUL in it; leave it out"))
        }
        Kind::Visible if value.chars().any(is_hidden) => {
            wrong(format!("{name}={value:?} has control characters; leave them out"))
        }
        Kind::Text | Kind::Visible | Kind::Long => Ok(()),
        Kind::Time if time::parse(value).is_none() => wrong(format!(
            "{name}={value:?} is no time; give RFC 3339, such as 2026-01-31T13:45:00Z, or nanoseconds since 1970"
        )),
        Kind::Number(least, most, _) if !is_number(value, least, most) => {
            wrong(format!("{name}={value:?} is no whole number from {least} to {most}; give one, or leave it out"))
        }
        Kind::OneOf(values) if !values.contains(&value) => {
            wrong(format!("{name}={value:?} is not one of {}", values.join(", ")))
        }
        Kind::Cursor if cursor(value).is_none() => wrong(format!(
            "{name}={value:?} is none that was given out; follow `next` of the page before, or leave it out"
        )),
        Kind::Object if serde_json::from_str::<serde_json::Map<_, _>>(value).is_err() => {
            wrong(format!("{name}={value:?} is no JSON object; give one, such as {{}}"))
        }
        Kind::Time | Kind::Number(..) | Kind::OneOf(_) | Kind::Cursor | Kind::Object => Ok(()),
    }
}

/// In digits alone: a plus, which `parse` takes, is a space in a query.
fn is_number(text: &str, least: u32, most: u32) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse().is_ok_and(|number| (least..=most).contains(&number))
}
