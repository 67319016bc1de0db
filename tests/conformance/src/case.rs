//! Reading a case's folder.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use wheeltapper_config::Config;

/// A case.
#[derive(Clone, Debug)]
pub struct Case {
    /// The folder's name.
    pub name: String,
    /// The folder.
    pub folder: PathBuf,
    /// What it shows, in a sentence.
    pub shows: String,
    /// The plant as the edge host takes it.
    pub config: Config,
    /// The plant as JSON, as the other hosts take it.
    pub plant: String,
    /// What happens.
    pub steps: Vec<Step>,
}

/// What happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A device sends something.
    Event(Event),
    /// Time passes, to this in nanoseconds since 1970.
    Tick(i64),
}

/// An event as a trigger receives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Topic, path or subject.
    pub source: String,
    /// A media type, or a format's short name; none: the bytes tell.
    pub format: Option<String>,
    /// Stands in for a payload that names no sensor.
    pub sensor: Option<String>,
    /// What was sent.
    pub payload: Vec<u8>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct About {
    shows: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, tag = "kind", rename_all = "kebab-case")]
enum Line {
    Event {
        source: String,
        #[serde(default)]
        format: Option<String>,
        #[serde(default)]
        sensor: Option<String>,
        #[serde(default)]
        payload: Option<String>,
        #[serde(default)]
        payload_base64: Option<String>,
    },
    Tick {
        now: String,
    },
}

impl Case {
    /// The cases of this repository, by name. `CASE=name` in the environment leaves only that one.
    ///
    /// # Errors
    /// When one of them cannot be read.
    pub fn all() -> anyhow::Result<Vec<Self>> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
        let wanted = std::env::var("CASE").ok().filter(|name| !name.is_empty());
        let mut cases = Vec::new();
        for entry in fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.file_type()?.is_dir() && wanted.as_ref().is_none_or(|wanted| *wanted == name) {
                cases.push(Self::read(&entry.path()).with_context(|| format!("the case {name}"))?);
            }
        }
        if cases.is_empty() {
            bail!("no case {} in {}", wanted.unwrap_or_default(), folder.display());
        }
        cases.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(cases)
    }

    /// One case.
    ///
    /// # Errors
    /// When its files cannot be read.
    pub fn read(folder: &Path) -> anyhow::Result<Self> {
        let text = |name: &str| {
            let path = folder.join(name);
            fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))
        };
        let about: About = toml::from_str(&text("case.toml")?).context("case.toml")?;
        let config = wheeltapper_config::parse(&text("plant.toml")?, "plant.toml")?;
        let steps = text("events.ndjson")?
            .lines()
            .zip(1..)
            .map(|(line, number)| step(line).with_context(|| format!("events.ndjson, line {number}")))
            .collect::<anyhow::Result<_>>()?;
        Ok(Self {
            name: folder.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            folder: folder.to_owned(),
            shows: about.shows,
            // No case learns from runs to failure, which are files beside the configuration.
            plant: config.plant_json(&[]),
            config,
            steps,
        })
    }
}

fn step(line: &str) -> anyhow::Result<Step> {
    Ok(match serde_json::from_str(line)? {
        Line::Tick { now } => Step::Tick(i64::try_from(now.parse::<jiff::Timestamp>()?.as_nanosecond())?),
        Line::Event { source, format, sensor, payload, payload_base64 } => {
            let payload = match (payload, payload_base64) {
                (Some(text), None) => text.into_bytes(),
                (None, Some(text)) => STANDARD.decode(text)?,
                _ => bail!("expected either payload or payload_base64"),
            };
            Step::Event(Event { source, format, sensor, payload })
        }
    })
}
