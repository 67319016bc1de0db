//! Which path is what.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::{
    listing::{LISTINGS, Listing},
    page::is_file,
    problem::Problem,
};

/// A route.
#[derive(Debug)]
pub(crate) enum Route<'a> {
    Page,
    /// Of the dashboard, by its name.
    File(&'a str),
    Health,
    Ready,
    Ingest,
    Overview,
    Tick,
    List(&'static Listing),
    Item(&'static Listing, Cow<'a, str>),
    /// With the listing of the sensors.
    Readings(&'static Listing, Cow<'a, str>),
}

impl<'a> Route<'a> {
    /// The route of a path.
    pub(crate) fn of(path: &'a str) -> Result<Self, Problem> {
        match path {
            "/" => return Ok(Self::Page),
            "/health" => return Ok(Self::Health),
            "/ready" => return Ok(Self::Ready),
            _ if is_file(path) => return Ok(Self::File(path.trim_start_matches('/'))),
            _ => {}
        }
        let Some(below) = path.strip_prefix("/api/v1/") else { return Err(nothing(path)) };
        match below {
            "ingest" => return Ok(Self::Ingest),
            "overview" => return Ok(Self::Overview),
            "tick" => return Ok(Self::Tick),
            _ => {}
        }
        let (name, rest) = below.split_once('/').map_or((below, None), |(name, rest)| (name, Some(rest)));
        let Some(listing) = LISTINGS.iter().find(|listing| listing.name == name) else { return Err(nothing(path)) };
        match rest {
            None => Ok(Self::List(listing)),
            Some("") => Err(nothing(path)),
            Some(_) if !listing.single => Err(nothing(path)),
            Some(rest) => match rest.strip_suffix("/readings") {
                // Before it is decoded: a sensor whose own name ends so writes its last slash as %2F.
                Some(id) if listing.name == "sensors" && !id.is_empty() => Ok(Self::Readings(listing, decode(id)?)),
                _ => Ok(Self::Item(listing, decode(rest)?)),
            },
        }
    }

    /// The methods that it takes, for `Allow`.
    pub(crate) const fn methods(&self) -> &'static str {
        match self {
            Self::Ingest | Self::Tick => "POST, OPTIONS",
            _ => "GET, HEAD, OPTIONS",
        }
    }
}

fn nothing(path: &str) -> Problem {
    Problem::not_found(format!(
        "there is nothing at {path}; readings go to POST /api/v1/ingest, and GET /api/v1/overview shows what became of them"
    ))
}

/// An id in a path. A plus is a plus there.
fn decode(id: &str) -> Result<Cow<'_, str>, Problem> {
    percent_decode_str(id).decode_utf8().map_err(|_| {
        Problem::bad_request(format!("{id} is not UTF-8 once its percent signs are undone; encode the id as UTF-8"))
    })
}
