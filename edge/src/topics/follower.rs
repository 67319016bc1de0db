//! Follows the partitions of a topic.
//!
//! A record is visible to followers once its writer has published an offset after it, for example when the record's
//! commit to the store is complete. The follower waits for that without polling; its user keeps the offsets, and
//! saves them where a restart finds them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use wheeltapper_log::{LogError, Reader, WakeSignal};

use super::reader::{ReadOutcome, read_or_skip};
use crate::supervisor::TaskContext;

/// The longest wait for a signal. All changes are signalled; this bounds the harm if one is not.
const MAX_WAIT: Duration = Duration::from_secs(1);

/// The offset up to which a partition is published.
#[derive(Clone, Debug)]
pub struct PublishedEnd {
    offset: Arc<AtomicU64>,
    signal: WakeSignal,
}

impl PublishedEnd {
    /// An end at offset 0, whose changes wake the threads that wait for `signal`.
    pub fn new(signal: &WakeSignal) -> Self {
        Self { offset: Arc::default(), signal: signal.clone() }
    }

    /// The offset.
    pub fn get(&self) -> u64 {
        self.offset.load(Ordering::Acquire)
    }

    /// Sets the offset and wakes the followers.
    pub fn publish(&self, offset: u64) {
        self.offset.store(offset, Ordering::Release);
        self.signal.wake_all();
    }
}

/// A partition up to its published end.
#[derive(Clone, Debug)]
pub struct PublishedPartition {
    /// Reads the records.
    pub reader: Reader,
    /// The offset up to which they are published.
    pub end: PublishedEnd,
}

/// The partitions of a topic, in order, with the signal of their ends. Clones have readers of their own.
#[derive(Clone, Debug)]
pub struct PublishedTopic {
    partitions: Vec<PublishedPartition>,
    signal: WakeSignal,
}

impl PublishedTopic {
    /// `signal` is the one of the partitions' ends.
    pub fn new(signal: WakeSignal, partitions: Vec<PublishedPartition>) -> Self {
        Self { partitions, signal }
    }

    /// The signal of a new end. It may also be given for another reason that the followers have to look for.
    pub fn signal(&self) -> &WakeSignal {
        &self.signal
    }

    /// The number of partitions.
    pub fn partitions(&self) -> usize {
        self.partitions.len()
    }

    /// The published end of each partition.
    pub fn ends(&self) -> Vec<u64> {
        self.partitions.iter().map(|partition| partition.end.get()).collect()
    }

    /// Raises each offset to the first one that the log still has.
    pub fn skip_expired(&self, offsets: &mut [u64]) {
        for (offset, partition) in offsets.iter_mut().zip(&self.partitions) {
            *offset = (*offset).max(partition.reader.start());
        }
    }

    /// The published records of a partition from `offset` on, up to `until` and about `max_bytes`; see
    /// [`read_or_skip`].
    ///
    /// # Errors
    /// [`LogError`] when reading may succeed later.
    pub(crate) fn read(
        &mut self,
        partition: usize,
        offset: u64,
        until: u64,
        max_bytes: usize,
    ) -> Result<ReadOutcome, LogError> {
        match self.partitions.get_mut(partition) {
            Some(partition) => read_or_skip(&mut partition.reader, offset, until.min(partition.end.get()), max_bytes),
            None => Ok(ReadOutcome::Records(Vec::new())),
        }
    }
}

/// What a follower does after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextStep {
    /// The next step, as there may be more to do.
    Now,
    /// The next step once the signal was given.
    WhenSignalled,
    /// The next step after a pause.
    After(Duration),
}

/// Runs `step` on a supervised thread: again and again, with waits for `signal` in between, until the task is stopped
/// and the step has nothing more to do. A step that is not needed any more once the task stops checks
/// [`TaskContext::is_stopping`] itself.
///
/// # Errors
/// The error of a step. The supervisor then runs the task's body again after a pause, which grows with each failure.
pub fn follow(
    task: &TaskContext,
    signal: &WakeSignal,
    mut step: impl FnMut() -> anyhow::Result<NextStep>,
) -> anyhow::Result<()> {
    loop {
        // Before the step, so that whatever happens during it causes another step.
        let (signals, is_stopping) = (signal.count(), task.is_stopping());
        let next = step()?;
        task.mark_healthy();
        match next {
            NextStep::Now => {}
            _ if is_stopping => return Ok(()),
            NextStep::WhenSignalled => task.wait(signal, signals, MAX_WAIT),
            NextStep::After(pause) => {
                task.sleep(pause);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::{sync::mpsc, time::Instant};

    use wheeltapper_log::Partition;

    use super::*;
    use crate::supervisor::Supervisor;

    const LIMIT: Duration = Duration::from_secs(20);

    /// Two partitions with one writer; a follower sends each record that it reads.
    struct Followed {
        _folder: tempfile::TempDir,
        logs: Vec<Partition>,
        topic: PublishedTopic,
    }

    impl Followed {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let signal = WakeSignal::default();
            let logs: Vec<Partition> =
                ["0", "1"].iter().map(|name| Partition::open(&folder.path().join(name), 1 << 20).unwrap()).collect();
            let partitions = logs
                .iter()
                .map(|log| PublishedPartition { reader: log.reader(), end: PublishedEnd::new(&signal) })
                .collect();
            Self { _folder: folder, logs, topic: PublishedTopic::new(signal, partitions) }
        }

        fn append(&mut self, partition: usize, record: &[u8]) -> u64 {
            self.logs[partition].append(record).unwrap();
            self.logs[partition].sync().unwrap();
            self.logs[partition].end()
        }

        fn publish(&self, partition: usize, end: u64) {
            self.topic.partitions[partition].end.publish(end);
        }
    }

    #[test]
    fn records_are_read_once_they_are_published_and_the_rest_before_the_stop() {
        let mut followed = Followed::new();
        let supervisor = Supervisor::new(Arc::default());
        let mut topic = followed.topic.clone();
        let (found, records) = mpsc::channel();
        let mut offsets = vec![0; topic.partitions()];
        let mut task = supervisor
            .spawn("follower", move |task| {
                let signal = topic.signal().clone();
                follow(task, &signal, || {
                    let mut next = NextStep::WhenSignalled;
                    for (partition, offset) in offsets.iter_mut().enumerate() {
                        let ReadOutcome::Records(read) = topic.read(partition, *offset, u64::MAX, 1)? else { continue };
                        for record in read {
                            *offset = record.next_offset;
                            next = NextStep::Now;
                            found.send(record.payload).unwrap();
                        }
                    }
                    Ok(next)
                })
            })
            .unwrap();
        let first = followed.append(0, b"first");
        assert!(records.recv_timeout(Duration::from_millis(50)).is_err(), "it is durable, but not published");
        followed.publish(0, first);
        assert_eq!(records.recv_timeout(LIMIT).unwrap(), b"first");
        let other = followed.append(1, b"other");
        followed.publish(1, other);
        assert_eq!(records.recv_timeout(LIMIT).unwrap(), b"other");
        for number in 0..20_u8 {
            let end = followed.append(0, &[number]);
            followed.publish(0, end);
        }
        assert!(task.stop_within(LIMIT));
        assert_eq!(records.iter().map(|record| record[0]).collect::<Vec<_>>(), (0..20).collect::<Vec<_>>());
    }

    #[test]
    fn a_stop_ends_the_wait_and_a_failed_step_is_tried_again() {
        let supervisor = Supervisor::new(Arc::default());
        let signal = WakeSignal::default();
        let (began, steps) = mpsc::channel();
        let mut count = 0;
        let mut task = supervisor
            .spawn("follower", move |task| {
                follow(task, &signal, || {
                    count += 1;
                    began.send(count).unwrap();
                    anyhow::ensure!(count > 1, "the disk is full");
                    Ok(NextStep::After(Duration::from_secs(600)))
                })
            })
            .unwrap();
        assert_eq!(steps.recv_timeout(LIMIT), Ok(1));
        assert_eq!(steps.recv_timeout(LIMIT), Ok(2));
        let stopped = Instant::now();
        assert!(task.stop_within(LIMIT) && stopped.elapsed() < LIMIT);
    }
}
