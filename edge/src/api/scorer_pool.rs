//! Instances of ingest and featurize for samples that clients send.

use std::sync::{Arc, Mutex, PoisonError};

use wheeltapper_config::Config;

use super::{bindings::wheeltapper::pipeline::line_api::LineApiError, errors::internal_error};
use crate::{
    components::{Featurizer, Ingester},
    host::Host,
};

/// The maximum number of idle scorers that are kept for the next sample.
const MAX_IDLE_SCORERS: usize = 4;

/// Instances of ingest and featurize that are not part of the line.
pub(super) struct SampleScorer {
    pub(super) config: Arc<Config>,
    pub(super) ingester: Ingester,
    pub(super) featurizer: Featurizer,
}

/// The idle scorers.
#[derive(Default)]
pub(super) struct ScorerPool(Mutex<Vec<SampleScorer>>);

impl ScorerPool {
    /// An idle scorer with the host's configuration, or a new one.
    pub(super) fn take(&self, host: &Host) -> Result<SampleScorer, LineApiError> {
        let config = host.config();
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // After a change of the configuration the old scorers are useless.
        idle.retain(|scorer| Arc::ptr_eq(&scorer.config, &config));
        if let Some(scorer) = idle.pop() {
            return Ok(scorer);
        }
        drop(idle);
        let sandbox = host.sandbox();
        Ok(SampleScorer {
            ingester: Ingester::open(sandbox, &config.ingest_json(), None).map_err(internal_error)?,
            featurizer: Featurizer::open(sandbox, &config.featurize_json(), None).map_err(internal_error)?,
            config,
        })
    }

    /// Keeps a scorer for the next sample.
    pub(super) fn put_back(&self, scorer: SampleScorer) {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MAX_IDLE_SCORERS {
            idle.push(scorer);
        }
    }
}
