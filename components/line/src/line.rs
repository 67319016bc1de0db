//! The line over the ports of a platform.

use serde::{Deserialize, Serialize};

use crate::{
    Filter, LineError, Ports, Table, Topic,
    events::{Plan, Raw},
    look,
    plant::{KEPT, Plant},
    queue,
    rows::content_id,
    segment::PLANT,
    store,
};

/// How the stages that follow come to their turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drive {
    /// All of them at once, in the instance that took the event.
    Inline,
    /// Each is told on the platform's bus, and works in an instance of its own.
    Bus,
}

/// The line. Cheap to make: one for each event.
#[derive(Debug)]
pub struct Line<P> {
    pub(crate) ports: P,
    pub(crate) plant: Plant,
    pub(crate) drive: Drive,
}

/// What goes over the bus: that there is something new, not what.
#[derive(Debug, Serialize, Deserialize)]
struct Nudge {
    topic: String,
    key: String,
}

impl<P: Ports> Line<P> {
    /// The line of a plant, as `wheeltapper config plant` prints it; an empty text is a plant of which nothing is known.
    ///
    /// # Errors
    /// [`LineError::Broken`] when `plant` is something else.
    pub fn new(ports: P, plant: &str, drive: Drive) -> Result<Self, LineError> {
        Ok(Self { ports, plant: Plant::parse(plant)?, drive })
    }

    /// Takes an event of a device. What it held is durable when this returns; with [`Drive::Inline`] it has been through
    /// the line as well.
    ///
    /// # Errors
    /// [`LineError`]: nothing is lost if the event is sent again. That what is in the event is no reading is no error.
    #[cfg(feature = "ingest")]
    pub async fn submit(&self, event: crate::Submission, arrival: i64) -> Result<crate::Receipt, LineError> {
        let (receipt, assets) = crate::intake::submit(self, event, arrival).await?;
        for asset in &assets {
            match self.drive {
                Drive::Bus => self.nudge(Topic::Raw, asset).await,
                Drive::Inline => self.follow(asset, arrival).await?,
            }
        }
        if self.drive == Drive::Inline && !assets.is_empty() {
            self.work(Topic::Alerts, PLANT, arrival).await?;
        }
        Ok(receipt)
    }

    /// Does what a message on `topic` asks for. Messages that were lost, came twice or in another order do no harm.
    ///
    /// # Errors
    /// [`LineError`]: the platform may deliver the message again; a tick goes on with what was left lying too.
    pub async fn heard(&self, topic: Topic, body: &[u8], now: i64) -> Result<(), LineError> {
        let nudge: Nudge = serde_json::from_slice(body).map_err(|error| {
            LineError::Broken(format!(
                "a message on {} is not {{\"topic\": \"…\", \"key\": \"…\"}}: {error}; devices' messages go to the topic of the readings",
                topic.name()
            ))
        })?;
        self.work(topic, &nudge.key, now).await
    }

    /// As [`Self::heard`], where the platform does not tell on which topic the message came.
    ///
    /// # Errors
    /// As [`Self::heard`].
    pub async fn heard_somewhere(&self, body: &[u8], now: i64) -> Result<(), LineError> {
        let topic = serde_json::from_slice(body).ok().and_then(|nudge: Nudge| Topic::named(&nudge.topic));
        let topic = topic.ok_or_else(|| {
            LineError::Broken(
                "a message between the stages is not {\"topic\": \"…\", \"key\": \"…\"} with a topic that is known"
                    .into(),
            )
        })?;
        self.heard(topic, body, now).await
    }

    /// Lets time pass: windows of sensors that fell silent are closed, repairs planned anew, old events forgotten, and
    /// what an instance that died left lying is worked off.
    ///
    /// # Errors
    /// [`LineError`]; the next tick does the same again.
    pub async fn tick(&self, now: i64) -> Result<(), LineError> {
        let id = content_id(format!("tick|{now}").as_bytes());
        let broken = |error| LineError::Broken(format!("a tick cannot be written to the queue: {error}"));
        let body = postcard::to_allocvec(&Raw::Tick(now)).map_err(broken)?;
        for asset in self.assets().await? {
            queue::append(&self.ports, Topic::Raw, &asset, &id, now, &body).await?;
        }
        // First what the assets' ticks bring, then the plan.
        self.sweep(now).await?;
        let body = postcard::to_allocvec(&Plan::Tick(now)).map_err(broken)?;
        queue::append(&self.ports, Topic::Alerts, PLANT, &id, now, &body).await?;
        self.sweep(now).await?;
        queue::forget(&self.ports, now.saturating_sub(KEPT)).await?;
        Ok(())
    }

    /// Rows of the store as a JSON array of objects.
    ///
    /// # Errors
    /// [`LineError::Unavailable`] when the store does not answer.
    pub async fn look(&self, table: Table, filter: &Filter) -> Result<String, LineError> {
        look::look(&self.ports, table, filter).await
    }

    /// Does what a person wants, durably; gives the row that changed or came, as an object of [`Self::look`].
    ///
    /// # Errors
    /// [`LineError::Refused`]: nothing changed. Otherwise the same again does what is left.
    pub async fn act(&self, change: &crate::Change) -> Result<String, LineError> {
        crate::deeds::act(self, change).await
    }

    /// Judges values against what the machine's normal is, and learns nothing from them.
    ///
    /// # Errors
    /// [`LineError::Refused`] where the sensor is not known, its machine is still learnt, or there is nothing to judge.
    #[cfg(all(feature = "ingest", feature = "featurize", feature = "detect"))]
    pub async fn detect(&self, sample: &crate::Sample) -> Result<crate::Verdict, LineError> {
        crate::verdict::detect(self, sample).await
    }

    /// Tells the bus; that it does not answer costs time, not data.
    pub(crate) async fn nudge(&self, topic: Topic, key: &str) {
        let nudge = Nudge { topic: topic.name().to_owned(), key: key.to_owned() };
        let Ok(body) = serde_json::to_vec(&nudge) else { return };
        if let Err(error) = self.ports.publish(topic, key, &body).await {
            eprintln!(
                "wheeltapper: {} of {key} could not be told on the bus: {error}; the next tick finds it",
                topic.name()
            );
        }
    }

    /// Every queue in which something waits.
    async fn sweep(&self, now: i64) -> Result<(), LineError> {
        for topic in Topic::ALL {
            // Asked anew for each topic, as the one before fills it.
            for (found, key) in queue::waiting(&self.ports).await? {
                if found != topic {
                    continue;
                }
                match self.drive {
                    Drive::Bus => self.nudge(topic, &key).await,
                    Drive::Inline => self.work(topic, &key, now).await?,
                }
            }
        }
        Ok(())
    }

    async fn assets(&self) -> Result<Vec<String>, LineError> {
        let rows = store::run(&self.ports, "SELECT DISTINCT asset FROM sensors ORDER BY asset", &[]).await?;
        Ok(rows
            .into_iter()
            .filter_map(|row| match row.into_iter().next() {
                Some(crate::Value::Text(asset)) => Some(asset),
                _ => None,
            })
            .collect())
    }

    /// The stages of one asset, one after the other.
    #[cfg(feature = "ingest")]
    async fn follow(&self, asset: &str, now: i64) -> Result<(), LineError> {
        for topic in [Topic::Raw, Topic::Processed, Topic::Anomalies] {
            self.work(topic, asset, now).await?;
        }
        Ok(())
    }

    /// Works off one queue, if its stage is in this component.
    #[allow(unused_variables, reason = "without any stage nothing is worked off")]
    pub(crate) async fn work(&self, topic: Topic, key: &str, now: i64) -> Result<(), LineError> {
        match topic {
            #[cfg(feature = "featurize")]
            Topic::Raw => crate::segment::drain::<crate::segments::featurize::Features, P>(self, key, now).await,
            #[cfg(feature = "detect")]
            Topic::Processed => crate::segment::drain::<crate::segments::detect::Detection, P>(self, key, now).await,
            #[cfg(feature = "alert")]
            Topic::Anomalies => crate::segment::drain::<crate::segments::alert::Alerts, P>(self, key, now).await,
            #[cfg(feature = "schedule")]
            Topic::Alerts => crate::segment::drain::<crate::segments::schedule::Planning, P>(self, key, now).await,
            _ => Ok(()),
        }
    }
}
