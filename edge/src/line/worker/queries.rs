//! Answers queries between two steps.

use super::{Worker, error::WorkerError};
use crate::{
    components::CallError,
    line::worker_queries::{Unstored, WorkerQuery},
};

impl Worker {
    /// Answers the queries that have arrived since the last step. It is harmless if the sender no longer waits.
    pub(super) fn answer_queries(&mut self) -> Result<(), WorkerError> {
        for query in self.shared.take_queries() {
            match query {
                WorkerQuery::Unstored(unstored_query, answer) => {
                    let mut unstored = Unstored::default();
                    if let Some(storing) = &self.checkpoint_data {
                        unstored.add_checkpoint_data(&unstored_query, storing);
                    }
                    self.output.add_unstored(&unstored_query, &mut unstored);
                    let _ = answer.send(unstored);
                }
                WorkerQuery::DryRun(batches, model, answer) => {
                    let result = self.stages.dry_run(&batches, model.as_deref());
                    let lost = result
                        .as_ref()
                        .err()
                        .filter(|error| matches!(error, CallError::InstanceFailed { .. }))
                        .cloned();
                    let _ = answer.send(result);
                    if let Some(error) = lost {
                        self.replace_stages(&error)?;
                    }
                }
            }
        }
        Ok(())
    }
}
