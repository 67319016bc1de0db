//! The formats of events.
//!
//! The format of an event is the one that the trigger names (a media type or a short name), else it is chosen by the
//! topic (`spBv1.0/…` is Sparkplug B), else by the first bytes.

mod aliases;
mod csv;
pub mod json;
mod line_protocol;
mod senml;
mod sparkplug;
mod waveform;

pub use aliases::{Aliases, AliasesV1};

use crate::{
    collector::{Envelope, ReadingCollector},
    rejection::{Rejection, excerpt},
};

/// The format of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object, an array of objects, or a sequence of objects.
    Json,
    /// One JSON object per line.
    Ndjson,
    /// InfluxDB line protocol.
    LineProtocol,
    /// SenML, RFC 8428, as JSON.
    Senml,
    /// Comma-separated values with a header.
    Csv,
    /// Eclipse Sparkplug B payloads.
    Sparkplug,
    /// Raw float32 samples after a short header.
    Waveform,
}

/// The short name of each format.
const SHORT_NAMES: [(&str, Format); 7] = [
    ("json", Format::Json),
    ("ndjson", Format::Ndjson),
    ("line-protocol", Format::LineProtocol),
    ("senml", Format::Senml),
    ("csv", Format::Csv),
    ("sparkplug", Format::Sparkplug),
    ("waveform", Format::Waveform),
];

impl Format {
    /// Parses a short name or a media type. Returns None for types that do not determine the format
    /// (`application/octet-stream`, `text/plain`).
    ///
    /// # Errors
    /// Malformed if the name is not that of a supported format.
    pub fn parse(name: &str) -> Result<Option<Self>, Rejection> {
        let essence = name.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if let Some((_, format)) = SHORT_NAMES.iter().find(|(short, _)| *short == essence) {
            return Ok(Some(*format));
        }
        Ok(Some(match essence.as_str() {
            "" | "application/octet-stream" | "text/plain" | "application/x-www-form-urlencoded" | "*/*" => {
                return Ok(None);
            }
            "application/json" | "text/json" => Self::Json,
            "application/x-ndjson"
            | "application/ndjson"
            | "application/jsonl"
            | "application/x-jsonlines"
            | "application/json-lines" => Self::Ndjson,
            "application/senml+json" | "application/sensml+json" => Self::Senml,
            "text/csv" | "application/csv" => Self::Csv,
            "application/vnd.influxdata.line-protocol"
            | "application/x-influxdb-line-protocol"
            | "text/x-influxdb-line-protocol" => Self::LineProtocol,
            "application/vnd.sparkplug"
            | "application/vnd.eclipse.sparkplug"
            | "application/x-protobuf"
            | "application/protobuf" => Self::Sparkplug,
            "application/vnd.wheeltapper.waveform" => Self::Waveform,
            _ => {
                return Err(Rejection::malformed(format!(
                    "{:?} is not a supported format; expected one of application/json, application/x-ndjson, application/senml+json, text/csv, \
                     application/vnd.influxdata.line-protocol, application/vnd.sparkplug, application/vnd.wheeltapper.waveform, or a short name: {}",
                    excerpt(name.as_bytes()),
                    SHORT_NAMES.map(|(short, _)| short).join(", ")
                )));
            }
        }))
    }

    /// Returns the short name.
    pub(crate) fn name(self) -> &'static str {
        SHORT_NAMES.iter().find(|(_, format)| *format == self).map_or("json", |(name, _)| name)
    }

    /// Guesses the format from the first bytes.
    fn sniff(payload: &[u8]) -> Option<Self> {
        if payload.starts_with(waveform::MAGIC) {
            return Some(Self::Waveform);
        }
        let text = payload.trim_ascii_start();
        match text.first()? {
            b'{' => Some(Self::Json),
            b'[' if senml::looks_like_senml(text) => Some(Self::Senml),
            b'[' => Some(Self::Json),
            _ => {
                let line = text.split(|&byte| byte == b'\n').find(|line| !line.starts_with(b"#"))?.trim_ascii();
                std::str::from_utf8(line).ok()?;
                if line_protocol::looks_like_line_protocol(line) {
                    Some(Self::LineProtocol)
                } else if csv::looks_like_csv(line) {
                    Some(Self::Csv)
                } else if json::is_bare_number(line) {
                    Some(Self::Json)
                } else {
                    None
                }
            }
        }
    }
}

/// Decodes one event.
pub(crate) fn decode(envelope: &Envelope<'_>, aliases: &mut Aliases, collector: &mut ReadingCollector<'_>) {
    let payload = envelope.payload.strip_prefix(b"\xef\xbb\xbf").unwrap_or(envelope.payload);
    if payload.trim_ascii().is_empty() && !envelope.source.starts_with(sparkplug::TOPIC_PREFIX) {
        collector.reject(0, Rejection::malformed("the event is empty; expected readings"), payload, 1);
        return;
    }
    let named = match envelope.format.map_or(Ok(None), Format::parse) {
        Ok(named) => named,
        Err(rejection) => return collector.reject(0, rejection, payload, 1),
    };
    let by_topic = || envelope.source.starts_with(sparkplug::TOPIC_PREFIX).then_some(Format::Sparkplug);
    let Some(format) = named.or_else(by_topic).or_else(|| Format::sniff(payload)) else {
        let rejection = Rejection::malformed(format!(
            "the format of these bytes is unknown: {:?}; expected JSON, NDJSON, line protocol, SenML, CSV with a header, Sparkplug B or a waveform; name the format",
            excerpt(payload)
        ));
        return collector.reject(0, rejection, payload, 1);
    };
    // A media type from the sender is kept as it is, because it may have parameters such as the precision of times.
    if named.is_none() {
        collector.format = Some(format.name());
    }
    match format {
        Format::Json => json::decode_document(payload, envelope.sensor, collector),
        Format::Ndjson => json::decode_lines(payload, envelope.sensor, collector),
        Format::LineProtocol => line_protocol::decode(payload, envelope.format, collector),
        Format::Senml => senml::decode(payload, envelope.sensor, collector),
        Format::Csv => csv::decode(payload, envelope.sensor, collector),
        Format::Sparkplug => sparkplug::decode(envelope.source, payload, aliases, collector),
        Format::Waveform => waveform::decode(payload, envelope.sensor, collector),
    }
}
