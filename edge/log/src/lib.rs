//! The durable log: topics divided into partitions. Each partition is an append-only stream of records on disk.
//!
//! An **offset** is a position in bytes from the start of the partition's stream. A record's offset is where the record
//! starts; the offset after it is where the next record starts. Records are stored in segment files named by the offset
//! of their first byte, so old records are dropped by deleting files. This crate's `README.md` describes the file
//! format and the recovery rules.
//!
//! [`Partition`] writes and reads one stream. [`Committer`] owns the partitions that many senders append to. It makes
//! all records that arrived during the previous commit durable with one `fdatasync` per partition and then acknowledges
//! them. Both access files and the clock through [`storage::Storage`], so that a test can make either fail.

mod committer;
mod error;
mod format;
mod partition;
mod reader;
mod scan;
mod segments;
pub mod storage;
mod wake_signal;

pub use committer::{Append, CommitError, CommitErrorKind, Committer, CommitterCore, Job, PartitionHealth};
pub use error::LogError;
pub use format::{FRAME_HEADER_LEN, MAX_PAYLOAD, SEGMENT_HEADER_LEN, encode_frame};
pub use partition::{Damage, LogRetention, Partition, Recovery};
pub use reader::{Reader, Record};
pub use scan::{SegmentScan, scan_segment_bytes};
pub use wake_signal::WakeSignal;
