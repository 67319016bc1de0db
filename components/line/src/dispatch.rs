//! Selects the stage that processes a queue.

use crate::{Dispatch, Line, LineError, Ports, Topic, queue};

impl<P: Ports> Line<P> {
    /// Processes every queue that has pending events.
    pub(crate) async fn process_pending_queues(&self, now: i64) -> Result<(), LineError> {
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
