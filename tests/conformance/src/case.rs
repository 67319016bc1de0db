//! Reads the folder of a case.

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
    /// The name of the folder.
    pub name: String,
    /// The path of the folder.
    pub folder: PathBuf,
    /// What the case tests, in one sentence.
    pub description: String,
    /// The plant's configuration for the edge host.
    pub config: Config,
    /// The plant as JSON for the other hosts, as printed by `wheeltapper config plant`.
    pub plant: String,
    /// The steps, in order.
    pub steps: Vec<Step>,
}

/// A step of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A device sends an event.
    Event(Event),
    /// The time advances to this value, in nanoseconds since 1970.
    Tick(i64),
}

/// An event as a trigger receives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The topic, path or subject.
    pub source: String,
    /// A media type or a format's short name. `None`: the format is detected from the bytes.
    pub format: Option<String>,
    /// The sensor of a payload that names none.
    pub sensor: Option<String>,
    /// The payload.
    pub payload: Vec<u8>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseToml {
    description: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, tag = "kind", rename_all = "kebab-case")]
enum StepLine {
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
    /// Reads the cases of this repository, sorted by name. The variable `CASE` selects one case by its name.
    ///
    /// # Errors
    /// If a case cannot be read, or there is none.
    pub fn all() -> anyhow::Result<Vec<Self>> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
        let selected = std::env::var("CASE").ok().filter(|name| !name.is_empty());
        let mut cases = Vec::new();
        for entry in fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.file_type()?.is_dir() && selected.as_ref().is_none_or(|selected| *selected == name) {
                cases.push(Self::read(&entry.path()).with_context(|| format!("the case {name}"))?);
            }
        }
        if cases.is_empty() {
            bail!("no case {} in {}", selected.unwrap_or_default(), folder.display());
        }
        cases.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(cases)
    }

    /// Reads one case.
    ///
    /// # Errors
    /// If one of its files cannot be read.
    pub fn read(folder: &Path) -> anyhow::Result<Self> {
        let text = |name: &str| {
            let path = folder.join(name);
            fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))
        };
        let case: CaseToml = toml::from_str(&text("case.toml")?).context("case.toml")?;
        let config = wheeltapper_config::parse(&text("plant.toml")?, "plant.toml")?;
        let steps = text("events.ndjson")?
            .lines()
            .zip(1..)
            .map(|(line, number)| parse_step(line).with_context(|| format!("events.ndjson, line {number}")))
            .collect::<anyhow::Result<_>>()?;
        Ok(Self {
            name: folder.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            folder: folder.to_owned(),
            description: case.description,
            // No case uses runs to failure, which are separate files.
            plant: config.plant_json(&[]),
            config,
            steps,
        })
    }
}

fn parse_step(line: &str) -> anyhow::Result<Step> {
    Ok(match serde_json::from_str(line)? {
        StepLine::Tick { now } => Step::Tick(i64::try_from(now.parse::<jiff::Timestamp>()?.as_nanosecond())?),
        StepLine::Event { source, format, sensor, payload, payload_base64 } => {
            let payload = match (payload, payload_base64) {
                (Some(text), None) => text.into_bytes(),
                (None, Some(text)) => STANDARD.decode(text)?,
                _ => bail!("expected either payload or payload_base64"),
            };
            Step::Event(Event { source, format, sensor, payload })
        }
    })
}
