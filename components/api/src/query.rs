//! What the query says.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use form_urlencoded::{Serializer, parse};

use crate::{Filter, problem::Problem, time};

/// Rows of an answer, if the client does not say.
const LIMIT: u32 = 100;

/// The parameters of a request. One that is empty is none: forms send what was left empty.
#[derive(Debug)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Whatever it says.
    pub(crate) fn any(query: Option<&str>) -> Self {
        let pairs = parse(query.unwrap_or_default().as_bytes());
        Self(pairs.into_owned().filter(|(_, value)| !value.is_empty()).collect())
    }

    /// A query that says nothing but what is in `known`. One that was misspelt would narrow nothing, and nobody would
    /// see it.
    pub(crate) fn of(query: Option<&str>, known: &[&str]) -> Result<Self, Problem> {
        let Self(pairs) = Self::any(query);
        for (index, (name, _)) in pairs.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                let taken = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                return Err(Problem::bad_request(format!(
                    "the query names {name:?}; this route takes {taken}: leave it out or mend its name"
                )));
            }
            if pairs[..index].iter().any(|(earlier, _)| earlier == name) {
                return Err(Problem::bad_request(format!("the query names {name:?} twice; name it once")));
            }
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

    /// A whole number within a range.
    pub(crate) fn number(&self, name: &str, least: u32, most: u32) -> Result<Option<u32>, Problem> {
        let Some(value) = self.get(name) else { return Ok(None) };
        match value.parse() {
            Ok(number) if (least..=most).contains(&number) => Ok(Some(number)),
            _ => Err(Problem::bad_request(format!(
                "{name}={value:?} is no whole number from {least} to {most}; give one, or leave it out"
            ))),
        }
    }

    pub(crate) fn time(&self, name: &str) -> Result<Option<i64>, Problem> {
        let Some(value) = self.get(name) else { return Ok(None) };
        time::parse(value).map(Some).ok_or_else(|| {
            Problem::bad_request(format!(
                "{name}={value:?} is no time from 1678 to 2262; give RFC 3339, such as 2026-01-31T13:45:00Z, or nanoseconds since 1970"
            ))
        })
    }

    /// `from` and `to` as [`Filter::after`] and [`Filter::before`]: what ends at `from` is in, what begins at `to` out.
    pub(crate) fn span(&self) -> Result<(Option<i64>, Option<i64>), Problem> {
        let (from, to) = (self.time("from")?, self.time("to")?);
        if let (Some(from), Some(to)) = (from, to)
            && from >= to
        {
            return Err(Problem::bad_request(format!(
                "from ({}) has to be before to ({})",
                time::text(from),
                time::text(to)
            )));
        }
        Ok((from.map(|from| from.saturating_sub(1)), to))
    }

    /// How many rows are asked for.
    pub(crate) fn limit(&self) -> Result<u32, Problem> {
        Ok(self.number("limit", 1, Filter::MOST)?.unwrap_or(LIMIT))
    }

    /// How many rows the earlier pages had.
    pub(crate) fn offset(&self) -> Result<u32, Problem> {
        let Some(cursor) = self.get("cursor") else { return Ok(0) };
        let offset = URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|bytes| String::from_utf8(bytes).ok()?.parse().ok());
        offset.ok_or_else(|| {
            Problem::bad_request(format!(
                "cursor={cursor:?} is none that was given out; follow `next` of the page before, or leave it out"
            ))
        })
    }

    /// The same question from this row on.
    pub(crate) fn link(&self, path: &str, offset: u32) -> String {
        let mut pairs = Serializer::new(String::new());
        pairs.extend_pairs(self.0.iter().filter(|(name, _)| name != "cursor"));
        pairs.append_pair("cursor", &URL_SAFE_NO_PAD.encode(offset.to_string()));
        format!("{path}?{}", pairs.finish())
    }
}
