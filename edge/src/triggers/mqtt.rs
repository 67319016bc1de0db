//! MQTT: the embedded broker and clients of external ones, feeding the intake.

use std::{future::Future, pin::Pin, sync::Arc};

use wheeltapper_mqtt::{Mapping, Publish, Sink, Verdict};

use crate::{
    clock,
    host::Host,
    intake::{Envelope, IntakeError},
};

/// Takes publishes into the intake; the verdict comes when they are durable.
#[derive(Debug)]
pub struct IntakeSink {
    host: Arc<Host>,
    mapping: Arc<Mapping>,
    /// Told apart so that two triggers' connections do not share a lane's number.
    lanes: u64,
}

impl IntakeSink {
    /// A sink for the connections of one broker or client.
    pub fn new(host: Arc<Host>, mapping: Arc<Mapping>, lanes: u64) -> Self {
        Self { host, mapping, lanes }
    }
}

impl Sink for IntakeSink {
    fn accept(&self, publish: Publish) -> Pin<Box<dyn Future<Output = Verdict> + Send>> {
        let (sensor, format) = self.mapping.map(&publish.topic).unwrap_or_default();
        let envelope = Envelope {
            source: publish.topic.to_string(),
            format: publish.content_type.or(format),
            sensor,
            arrival: clock::now(),
            payload: publish.payload,
        };
        self.host.metrics.events("mqtt").inc();
        // Submitted here, in the order of the packets; only the waiting is asynchronous.
        let answer = self.host.intake.submit(self.lanes.wrapping_add(publish.connection), vec![envelope]);
        Box::pin(async move {
            let answer = match answer {
                Ok(answer) => answer.await.unwrap_or(Err(IntakeError::Closed)),
                Err(error) => Err(error),
            };
            match answer {
                Ok(receipts) => match receipts.iter().flat_map(|receipt| &receipt.refused).next() {
                    Some(refused) => Verdict::Refused(format!("{}: {}", refused.reason, refused.message)),
                    None => Verdict::Stored,
                },
                Err(error) => {
                    tracing::debug!(%error, "an MQTT message was not taken");
                    Verdict::Busy
                }
            }
        })
    }
}
