//! A sensor's readings as they arrive. All listeners of one sensor share its frames.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use serde_json::json;
use tokio::{
    runtime::Handle,
    sync::{Semaphore, broadcast, oneshot, watch},
    task::spawn_blocking,
    time::timeout,
};
use wheeltapper_store::{Store, StoreError};

use super::time_text;
use crate::{
    api::history,
    host::Host,
    line::{Unstored, UnstoredQuery, WorkerHandle, WorkerQuery},
    registry::SensorLocation,
    supervisor::TaskHandle,
    topics::{NextStep, follow},
};

/// The minimum time between two queries of the line.
const QUERY_INTERVAL: Duration = Duration::from_millis(200);
/// The number of frames that a listener may be behind before it queries the line.
const CHANNEL_CAPACITY: usize = 64;
/// The maximum time that a worker takes to answer; after that it is queried again.
const WORKER_TIMEOUT: Duration = Duration::from_secs(5);
/// The maximum number of stored readings that a reconnected listener gets, the newest ones.
const MAX_CATCH_UP: u64 = 100_000;
/// The threads that read the store for listeners.
static STORE_READERS: Semaphore = Semaphore::const_new(4);
/// The maximum number of readings of a frame.
const MAX_FRAME_READINGS: usize = 2_000;

/// New readings of one sensor, in order of time.
#[derive(Clone, Debug, PartialEq)]
pub struct ReadingFrame {
    /// Times in nanoseconds since 1970, and values.
    pub readings: Vec<(i64, f64)>,
}

impl ReadingFrame {
    /// The data of the event with the readings later than `after`, and the time of the newest; `None` if there are no
    /// later ones.
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

/// A sensor with listeners.
#[derive(Debug)]
struct WatchedSensor {
    partition: u16,
    frames: broadcast::Sender<Arc<ReadingFrame>>,
    /// The time of the newest reading that was sent.
    last_sent: i64,
}

/// The sensors with listeners, and their new readings.
#[derive(Debug)]
pub struct LiveReadings {
    host: Arc<Host>,
    watched: Mutex<HashMap<u32, WatchedSensor>>,
    /// The number of sensors that got their first listener.
    first_listeners: AtomicU64,
    task: Mutex<Option<TaskHandle>>,
}

impl LiveReadings {
    /// Starts to follow the line; `stopping` ends it when it turns true.
    ///
    /// # Errors
    /// If no thread can be started.
    pub fn start(host: Arc<Host>, stopping: watch::Receiver<bool>) -> std::io::Result<Arc<Self>> {
        let live = Arc::new(Self {
            host,
            watched: Mutex::default(),
            first_listeners: AtomicU64::new(0),
            task: Mutex::default(),
        });
        let (sender, runtime) = (Arc::clone(&live), Handle::current());
        let mut last = None;
        let task = live.host.supervisor.spawn("live-readings", move |task| {
            follow(task, sender.host.progress(), || {
                let positions: Vec<u64> = sender.host.workers().iter().map(WorkerHandle::position).collect();
                let now = Some((positions, sender.first_listeners.load(Ordering::Acquire)));
                if task.is_stopping() || now == last {
                    return Ok(NextStep::WhenSignalled);
                }
                let mut stopping = stopping.clone();
                runtime.block_on(async {
                    tokio::select! {
                        () = sender.send_new_readings() => {}
                        _ = stopping.wait_for(|&stopping| stopping) => {}
                    }
                });
                last = now;
                Ok(NextStep::After(QUERY_INTERVAL))
            })
        })?;
        *live.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
        Ok(live)
    }

    /// Stops the thread.
    pub fn stop(&self) {
        if let Some(task) = &*self.task.lock().unwrap_or_else(PoisonError::into_inner) {
            task.request_stop();
        }
    }

    /// Sends the new readings of the sensors with listeners.
    async fn send_new_readings(&self) {
        // All partitions at once: a partition that does not answer delays only its own listeners.
        join_all(self.queries().into_iter().map(async |(partition, sensors)| {
            let unstored =
                self.query_worker(partition, UnstoredQuery { readings: sensors, ..UnstoredQuery::default() }).await;
            self.send_frames(unstored);
        }))
        .await;
    }

    /// The frames of a sensor from now on, and the time of its newest reading before them.
    pub async fn subscribe(&self, location: SensorLocation) -> (broadcast::Receiver<Arc<ReadingFrame>>, i64) {
        if let Some(known) = self.subscribe_existing(location.sensor) {
            return known;
        }
        let query = UnstoredQuery { readings: vec![(location.sensor, i64::MIN)], ..UnstoredQuery::default() };
        let unstored = self.query_worker(location.partition, query).await;
        let newest = unstored.readings.iter().flat_map(|column| &column.times).max().copied();
        let last_sent = match newest {
            Some(newest) => newest,
            None => self
                .read(move |store| store.newest_reading_time(location.sensor))
                .await
                .ok()
                .flatten()
                .unwrap_or(i64::MIN),
        };
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = watched.entry(location.sensor).or_insert_with(|| WatchedSensor {
            partition: location.partition,
            frames: broadcast::channel(CHANNEL_CAPACITY).0,
            last_sent,
        });
        let subscribed = (entry.frames.subscribe(), entry.last_sent);
        drop(watched);
        // What was processed meanwhile is not announced again.
        self.first_listeners.fetch_add(1, Ordering::Release);
        self.host.progress().wake_all();
        subscribed
    }

    fn subscribe_existing(&self, sensor: u32) -> Option<(broadcast::Receiver<Arc<ReadingFrame>>, i64)> {
        let watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        watched.get(&sensor).map(|watched| (watched.frames.subscribe(), watched.last_sent))
    }

    /// The readings later than `after`, from store and line, in frames; at most the newest [`MAX_CATCH_UP`] stored
    /// ones.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn readings_since(&self, location: SensorLocation, after: i64) -> anyhow::Result<Vec<ReadingFrame>> {
        let query = UnstoredQuery { readings: vec![(location.sensor, after)], ..UnstoredQuery::default() };
        let unstored = self.query_worker(location.partition, query).await;
        let from = after.saturating_add(1);
        let mut readings = self.read(move |store| history::newest(store, location.sensor, from, MAX_CATCH_UP)).await?;
        for column in unstored.readings {
            readings.extend(column.times.into_iter().zip(column.values));
        }
        sort_unique(&mut readings);
        Ok(readings.chunks(MAX_FRAME_READINGS).map(|chunk| ReadingFrame { readings: chunk.to_vec() }).collect())
    }

    /// The queries for each partition. Sensors without listeners are removed.
    fn queries(&self) -> Vec<(u16, Vec<(u32, i64)>)> {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        watched.retain(|_, watched| watched.frames.receiver_count() > 0);
        let mut queries: HashMap<u16, Vec<(u32, i64)>> = HashMap::new();
        for (&sensor, watched) in watched.iter() {
            queries.entry(watched.partition).or_default().push((sensor, watched.last_sent));
        }
        queries.into_iter().collect()
    }

    async fn query_worker(&self, partition: u16, query: UnstoredQuery) -> Unstored {
        let (sender, receiver) = oneshot::channel();
        if let Some(worker) = self.host.worker(partition) {
            worker.query(WorkerQuery::Unstored(query, sender));
        }
        timeout(WORKER_TIMEOUT, receiver).await.ok().and_then(Result::ok).unwrap_or_default()
    }

    /// Reads the store on a thread that may wait for the disk; few reads run at a time.
    async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
    ) -> anyhow::Result<T> {
        let permit = STORE_READERS.acquire().await?;
        let store = self.host.store.clone();
        let read = spawn_blocking(move || {
            let _permit = permit;
            query(&store)
        });
        Ok(read.await??)
    }

    fn send_frames(&self, unstored: Unstored) {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let mut frames: HashMap<u32, Vec<(i64, f64)>> = HashMap::new();
        for column in unstored.readings {
            frames.entry(column.sensor).or_default().extend(column.times.into_iter().zip(column.values));
        }
        for (sensor, mut readings) in frames {
            let Some(watched) = watched.get_mut(&sensor) else { continue };
            sort_unique(&mut readings);
            if let Some(&(newest, _)) = readings.last() {
                watched.last_sent = watched.last_sent.max(newest);
            }
            for chunk in readings.chunks(MAX_FRAME_READINGS) {
                // The listener may have disconnected.
                let _ = watched.frames.send(Arc::new(ReadingFrame { readings: chunk.to_vec() }));
            }
        }
    }
}

/// Sorts by time; a reading that is both in the store and in the line is kept once.
fn sort_unique(readings: &mut Vec<(i64, f64)>) {
    readings.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
    readings.dedup_by(|a, b| a.0 == b.0 && a.1.to_bits() == b.1.to_bits());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_contains_only_new_readings() {
        let frame = ReadingFrame { readings: vec![(1_000_000_000, 1.5), (2_000_000_000, 2.0)] };
        let (newest, text) = frame.text("a/b", 1_000_000_000).unwrap_or_default();
        assert_eq!(newest, 2_000_000_000);
        assert_eq!(text, r#"{"items":[{"time":"1970-01-01T00:00:02Z","value":2.0}],"sensor":"a/b"}"#);
        assert_eq!(frame.text("a/b", 2_000_000_000), None);
    }

    #[test]
    fn duplicate_readings_are_sent_once() {
        let mut readings = vec![(2, 1.0), (1, 1.0), (2, 1.0), (2, 3.0)];
        sort_unique(&mut readings);
        assert_eq!(readings, [(1, 1.0), (2, 1.0), (2, 3.0)]);
    }
}
