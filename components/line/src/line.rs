//! The line over the ports of a platform.

use serde::{Deserialize, Serialize};

use crate::{
    Filter, LineError, Ports, Table, Topic,
    events::{FeaturizeEvent, PlannerCommand},
    plant::{EVENT_RETENTION, PlantConfig},
    query, queue,
    rows::content_id,
    stage_driver::PLANT_KEY,
    store,
};

/// How the stages after ingest are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dispatch {
    /// All at once, in the instance that took the event.
    Inline,
    /// Each in an instance of its own, notified over the platform's bus.
    Bus,
}

/// The line. Cheap to create: one is made for each event.
#[derive(Debug)]
pub struct Line<P> {
    pub(crate) ports: P,
    pub(crate) plant: PlantConfig,
    pub(crate) dispatch: Dispatch,
}

/// The body of a bus message. It names the queue that has new events, not the events.
#[derive(Debug, Serialize, Deserialize)]
struct Notification {
    topic: String,
    key: String,
}

impl<P: Ports> Line<P> {
    /// Creates the line of a plant. `plant` is the output of `wheeltapper config plant`; an empty text is a plant
    /// without configured machines.
    ///
    /// # Errors
    /// [`LineError::Broken`] if `plant` is anything else.
    pub fn new(ports: P, plant: &str, dispatch: Dispatch) -> Result<Self, LineError> {
        Ok(Self { ports, plant: PlantConfig::parse(plant)?, dispatch })
    }

    /// Takes an event of a device. Its readings are durable when this returns; with [`Dispatch::Inline`] all stages
    /// have processed them as well.
    ///
    /// # Errors
    /// [`LineError`]: send the event again, nothing is lost. Readings that are rejected are no error; see the receipt.
    #[cfg(feature = "ingest")]
    pub async fn submit(&self, event: crate::Submission, arrival: i64) -> Result<crate::Receipt, LineError> {
        let (receipt, assets) = crate::intake::submit(self, event, arrival).await?;
        for asset in &assets {
            match self.dispatch {
                Dispatch::Bus => self.notify(Topic::Raw, asset).await,
                Dispatch::Inline => self.process_asset_queues(asset, arrival).await?,
            }
        }
        if self.dispatch == Dispatch::Inline && !assets.is_empty() {
            self.process_queue(Topic::Alerts, PLANT_KEY, arrival).await?;
        }
        Ok(receipt)
    }

    /// Processes the queue that a message on `topic` names. Lost, repeated and reordered messages do no harm.
    ///
    /// # Errors
    /// [`LineError`]: the platform may deliver the message again; a tick processes the queue in any case.
    pub async fn on_message(&self, topic: Topic, body: &[u8], now: i64) -> Result<(), LineError> {
        let notification: Notification = serde_json::from_slice(body).map_err(|error| {
            LineError::Broken(format!(
                "a message on {} is not {{\"topic\": \"…\", \"key\": \"…\"}}: {error}; devices send to the topic of the readings",
                topic.name()
            ))
        })?;
        self.process_queue(topic, &notification.key, now).await
    }

    /// As [`Self::on_message`], for platforms that do not pass on the topic of a message. The topic is taken from the
    /// body.
    ///
    /// # Errors
    /// As [`Self::on_message`].
    pub async fn on_message_without_topic(&self, body: &[u8], now: i64) -> Result<(), LineError> {
        let topic = serde_json::from_slice(body)
            .ok()
            .and_then(|notification: Notification| Topic::from_name(&notification.topic));
        let topic = topic.ok_or_else(|| {
            LineError::Broken(
                "a message between the stages is not {\"topic\": \"…\", \"key\": \"…\"} with a known topic".into(),
            )
        })?;
        self.on_message(topic, body, now).await
    }

    /// Advances the time to `now` (nanoseconds since 1970): closes the windows of silent sensors, replans the
    /// repairs, prunes old events, and processes the events that a lost instance left in a queue.
    ///
    /// # Errors
    /// [`LineError`]; the next tick repeats the work.
    pub async fn tick(&self, now: i64) -> Result<(), LineError> {
        let id = content_id(format!("tick|{now}").as_bytes());
        let broken = |error| LineError::Broken(format!("cannot encode a tick for the queue: {error}"));
        let body = postcard::to_allocvec(&FeaturizeEvent::Tick(now)).map_err(broken)?;
        for asset in self.assets().await? {
            queue::append(&self.ports, Topic::Raw, &asset, &id, now, &body).await?;
        }
        // The assets' ticks come first, as the plan depends on their alerts.
        self.process_pending_queues(now).await?;
        let body = postcard::to_allocvec(&PlannerCommand::Tick(now)).map_err(broken)?;
        queue::append(&self.ports, Topic::Alerts, PLANT_KEY, &id, now, &body).await?;
        self.process_pending_queues(now).await?;
        queue::prune(&self.ports, now.saturating_sub(EVENT_RETENTION)).await?;
        Ok(())
    }

    /// Returns rows of the store as a JSON array of objects.
    ///
    /// # Errors
    /// [`LineError::Unavailable`] if the store does not answer.
    pub async fn query(&self, table: Table, filter: &Filter) -> Result<String, LineError> {
        query::query_table(&self.ports, table, filter).await
    }

    /// Executes a user's action durably. Returns the row that it changed or created, as an object of [`Self::query`].
    ///
    /// # Errors
    /// [`LineError::Rejected`] if the action is rejected and nothing changed. After any other error a retry completes
    /// the action.
    pub async fn execute(&self, request: &crate::ActionRequest) -> Result<String, LineError> {
        crate::actions::execute(self, request).await
    }

    /// Scores a sample against the machine's baseline, without learning from it.
    ///
    /// # Errors
    /// [`LineError::Rejected`] if the sensor is unknown, its model is still learning, or the sample has no values.
    #[cfg(all(feature = "ingest", feature = "featurize", feature = "detect"))]
    pub async fn detect(&self, sample: &crate::DetectRequest) -> Result<crate::Verdict, LineError> {
        crate::sample_scoring::score(self, sample).await
    }

    /// Publishes a notification on the bus. If the bus does not answer, the next tick processes the queue.
    pub(crate) async fn notify(&self, topic: Topic, key: &str) {
        let notification = Notification { topic: topic.name().to_owned(), key: key.to_owned() };
        let Ok(body) = serde_json::to_vec(&notification) else { return };
        if let Err(error) = self.ports.publish(topic, key, &body).await {
            eprintln!(
                "wheeltapper: cannot publish the notification for {} of {key}: {error}; the next tick processes the queue",
                topic.name()
            );
        }
    }

    /// Processes every queue that has pending events.
    async fn process_pending_queues(&self, now: i64) -> Result<(), LineError> {
        for topic in Topic::ALL {
            // Queried again for each topic, because the topic before it adds events.
            for (pending_topic, key) in queue::pending_queues(&self.ports).await? {
                if pending_topic != topic {
                    continue;
                }
                match self.dispatch {
                    Dispatch::Bus => self.notify(topic, &key).await,
                    Dispatch::Inline => self.process_queue(topic, &key, now).await?,
                }
            }
        }
        Ok(())
    }

    async fn assets(&self) -> Result<Vec<String>, LineError> {
        let rows = store::execute(&self.ports, "SELECT DISTINCT asset FROM sensors ORDER BY asset", &[]).await?;
        Ok(rows
            .into_iter()
            .filter_map(|row| match row.into_iter().next() {
                Some(crate::Value::Text(asset)) => Some(asset),
                _ => None,
            })
            .collect())
    }

    /// Runs the stages of one asset in order.
    #[cfg(feature = "ingest")]
    async fn process_asset_queues(&self, asset: &str, now: i64) -> Result<(), LineError> {
        for topic in [Topic::Raw, Topic::Processed, Topic::Anomalies] {
            self.process_queue(topic, asset, now).await?;
        }
        Ok(())
    }

    /// Processes one queue, if its stage is compiled into this component.
    #[allow(unused_variables, reason = "a component without stages has no queue to process")]
    pub(crate) async fn process_queue(&self, topic: Topic, key: &str, now: i64) -> Result<(), LineError> {
        match topic {
            #[cfg(feature = "featurize")]
            Topic::Raw => {
                crate::stage_driver::drain_queue::<crate::stages::featurize::FeaturizeStage, P>(self, key, now).await
            }
            #[cfg(feature = "detect")]
            Topic::Processed => {
                crate::stage_driver::drain_queue::<crate::stages::detect::DetectStage, P>(self, key, now).await
            }
            #[cfg(feature = "alert")]
            Topic::Anomalies => {
                crate::stage_driver::drain_queue::<crate::stages::alert::AlertStage, P>(self, key, now).await
            }
            #[cfg(feature = "schedule")]
            Topic::Alerts => {
                crate::stage_driver::drain_queue::<crate::stages::schedule::ScheduleStage, P>(self, key, now).await
            }
            _ => Ok(()),
        }
    }
}
