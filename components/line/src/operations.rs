//! What an adapter calls: submit an event, pass on a message, tick, query, and execute a user's action.

use wheeltapper_domain::content_id;

use crate::{
    Dispatch, Filter, Line, LineError, Ports, Table, Topic,
    events::{FeaturizeEvent, PlannerCommand},
    notification::Notification,
    plant::EVENT_RETENTION,
    query, queue,
    stage_driver::PLANT_KEY,
    store,
};

impl<P: Ports> Line<P> {
    /// Takes an event of a device. Its readings are durable when this returns; with [`Dispatch::Inline`] all stages
    /// have processed them as well.
    ///
    /// # Errors
    /// [`LineError`]: send the event again, nothing is lost. Readings that are rejected are no error; see the receipt.
    #[cfg(feature = "ingest")]
    pub async fn submit(&self, event: crate::Submission, arrival: i64) -> Result<crate::Receipt, LineError> {
        let (receipt, assets) = crate::intake::submit(self, event, arrival).await?;
        self.process_assets(&assets, arrival).await?;
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

    /// Runs the stages on new events of these assets: at once with [`Dispatch::Inline`], else by a notification.
    pub(crate) async fn process_assets(&self, assets: &[String], now: i64) -> Result<(), LineError> {
        for asset in assets {
            match self.dispatch {
                Dispatch::Bus => self.notify(Topic::Raw, asset).await,
                Dispatch::Inline => {
                    for topic in [Topic::Raw, Topic::Processed, Topic::Anomalies] {
                        self.process_queue(topic, asset, now).await?;
                    }
                }
            }
        }
        if self.dispatch == Dispatch::Inline && !assets.is_empty() {
            self.process_queue(Topic::Alerts, PLANT_KEY, now).await?;
        }
        Ok(())
    }
}
