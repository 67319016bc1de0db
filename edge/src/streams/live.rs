//! A sensor's readings as they come. All who watch one sensor share its frames.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::future::join_all;
use serde_json::json;
use tokio::{
    sync::{Semaphore, broadcast, oneshot},
    task::spawn_blocking,
    time::timeout,
};
use wheeltapper_store::{Store, StoreError};

use super::time_text;
use crate::{
    api::history,
    host::Host,
    line::{Fresh, Question, Wanted},
    registry::Place,
};

/// How often is looked for new readings.
const PAUSE: Duration = Duration::from_millis(200);
/// Frames that a listener may be behind before it asks the line.
const KEPT: usize = 64;
/// A worker that does not answer within this time is asked again with the next look.
const PATIENCE: Duration = Duration::from_secs(5);
/// Stored readings that a listener who was away gets at most, the newest.
const CAUGHT_UP: u64 = 100_000;
/// Threads that read the store for listeners.
static READERS: Semaphore = Semaphore::const_new(4);
/// Readings of a frame, at most.
const FRAME: usize = 2_000;

/// Readings of one sensor, in order of time.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    /// Times and values.
    pub readings: Vec<(i64, f64)>,
}

impl Frame {
    /// As the event's data; only what is later than `after`. None when nothing is.
    pub fn text(&self, sensor: &str, after: i64) -> Option<(i64, String)> {
        let items: Vec<_> = self
            .readings
            .iter()
            .filter(|&&(time, _)| time > after)
            .map(|&(time, value)| json!({ "time": time_text(time), "value": value }))
            .collect();
        let newest = self.readings.last()?.0;
        (!items.is_empty()).then(|| (newest, json!({ "sensor": sensor, "items": items }).to_string()))
    }
}

/// A sensor that somebody watches.
#[derive(Debug)]
struct Watched {
    partition: u16,
    frames: broadcast::Sender<Arc<Frame>>,
    /// The newest reading that was told.
    after: i64,
}

/// The sensors that are watched.
#[derive(Debug)]
pub struct Live {
    host: Arc<Host>,
    watched: Mutex<HashMap<u32, Watched>>,
}

impl Live {
    /// Watches nothing yet; [`Self::run`] has to run.
    pub fn new(host: Arc<Host>) -> Arc<Self> {
        Arc::new(Self { host, watched: Mutex::default() })
    }

    /// Looks for new readings of the sensors that are watched, for ever.
    pub async fn run(self: Arc<Self>) {
        loop {
            tokio::time::sleep(PAUSE).await;
            // At once: a partition that does not answer holds up its own listeners only.
            join_all(self.wanted().into_iter().map(async |(partition, wanted)| {
                let fresh = self.ask(partition, Wanted { readings: wanted, ..Wanted::default() }).await;
                self.tell(fresh);
            }))
            .await;
        }
    }

    /// Frames of a sensor from now on, and the newest reading that came before.
    pub async fn listen(&self, place: Place) -> (broadcast::Receiver<Arc<Frame>>, i64) {
        if let Some(known) = self.join(place.sensor) {
            return known;
        }
        let wanted = Wanted { readings: vec![(place.sensor, i64::MIN)], ..Wanted::default() };
        let fresh = self.ask(place.partition, wanted).await;
        let newest = fresh.readings.iter().flat_map(|column| &column.times).max().copied();
        let after = match newest {
            Some(newest) => newest,
            None => self.read(move |store| store.newest_reading(place.sensor)).await.ok().flatten().unwrap_or(i64::MIN),
        };
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = watched.entry(place.sensor).or_insert_with(|| Watched {
            partition: place.partition,
            frames: broadcast::channel(KEPT).0,
            after,
        });
        (entry.frames.subscribe(), entry.after)
    }

    fn join(&self, sensor: u32) -> Option<(broadcast::Receiver<Arc<Frame>>, i64)> {
        let watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        watched.get(&sensor).map(|watched| (watched.frames.subscribe(), watched.after))
    }

    /// Readings later than `after`, from store and line, in frames; of very many the newest.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn since(&self, place: Place, after: i64) -> anyhow::Result<Vec<Frame>> {
        let wanted = Wanted { readings: vec![(place.sensor, after)], ..Wanted::default() };
        let fresh = self.ask(place.partition, wanted).await;
        let from = after.saturating_add(1);
        let mut readings = self.read(move |store| history::newest(store, place.sensor, from, CAUGHT_UP)).await?;
        for column in fresh.readings {
            readings.extend(column.times.into_iter().zip(column.values));
        }
        order(&mut readings);
        Ok(readings.chunks(FRAME).map(|part| Frame { readings: part.to_vec() }).collect())
    }

    /// What is asked of each partition. Sensors that nobody watches any more are forgotten.
    fn wanted(&self) -> Vec<(u16, Vec<(u32, i64)>)> {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        watched.retain(|_, watched| watched.frames.receiver_count() > 0);
        let mut wanted: HashMap<u16, Vec<(u32, i64)>> = HashMap::new();
        for (&sensor, watched) in watched.iter() {
            wanted.entry(watched.partition).or_default().push((sensor, watched.after));
        }
        wanted.into_iter().collect()
    }

    async fn ask(&self, partition: u16, wanted: Wanted) -> Fresh {
        let (sender, receiver) = oneshot::channel();
        if let Some(worker) = self.host.worker(partition) {
            worker.ask(Question::Fresh(wanted, sender));
        }
        timeout(PATIENCE, receiver).await.ok().and_then(Result::ok).unwrap_or_default()
    }

    /// Reads the store on a thread that may wait for the disk; few at a time.
    async fn read<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
    ) -> anyhow::Result<T> {
        let turn = READERS.acquire().await?;
        let store = self.host.store.clone();
        let read = spawn_blocking(move || {
            let _turn = turn;
            look(&store)
        });
        Ok(read.await??)
    }

    fn tell(&self, fresh: Fresh) {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let mut frames: HashMap<u32, Vec<(i64, f64)>> = HashMap::new();
        for column in fresh.readings {
            frames.entry(column.sensor).or_default().extend(column.times.into_iter().zip(column.values));
        }
        for (sensor, mut readings) in frames {
            let Some(watched) = watched.get_mut(&sensor) else { continue };
            order(&mut readings);
            if let Some(&(newest, _)) = readings.last() {
                watched.after = watched.after.max(newest);
            }
            for part in readings.chunks(FRAME) {
                // Whoever listened has gone.
                let _ = watched.frames.send(Arc::new(Frame { readings: part.to_vec() }));
            }
        }
    }
}

/// By time; what lies both in the store and on its way there is kept once.
fn order(readings: &mut Vec<(i64, f64)>) {
    readings.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
    readings.dedup_by(|a, b| a.0 == b.0 && a.1.to_bits() == b.1.to_bits());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_tells_what_is_new() {
        let frame = Frame { readings: vec![(1_000_000_000, 1.5), (2_000_000_000, 2.0)] };
        let (newest, text) = frame.text("a/b", 1_000_000_000).unwrap_or_default();
        assert_eq!(newest, 2_000_000_000);
        assert_eq!(text, r#"{"items":[{"time":"1970-01-01T00:00:02Z","value":2.0}],"sensor":"a/b"}"#);
        assert_eq!(frame.text("a/b", 2_000_000_000), None);
    }

    #[test]
    fn readings_met_twice_are_told_once() {
        let mut readings = vec![(2, 1.0), (1, 1.0), (2, 1.0), (2, 3.0)];
        order(&mut readings);
        assert_eq!(readings, [(1, 1.0), (2, 1.0), (2, 3.0)]);
    }
}
