//! Validation of sizes, counts, timeouts and retention times.

use super::Checker;
use crate::{ByteSize, Config};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;
/// Maximum size of an MQTT packet with its header, in bytes.
const MAX_PACKET_BYTES: u64 = 268_435_460;
const DAY_SECONDS: f64 = 86_400.0;
/// Maximum value of a limit for the number of sensors or readings.
const MAX_COUNT: usize = 10_000_000;
/// Maximum size of a batch, in readings. Larger batches are not faster.
const MAX_BATCH_READINGS: usize = 10_000_000;

pub(super) fn check(checker: &mut Checker<'_>, config: &Config) {
    if config.data.as_os_str().is_empty() {
        checker.at(
            "data",
            "the path of the data folder is empty",
            "leave it out for \"data\", in the folder of this file",
        );
    }
    memory(checker, config);
    http(checker, config);
    log(checker, config);
    times(checker, config);
    for (key, value) in [
        ("line.max_sensors", config.line.max_sensors),
        ("line.max_sensors_per_machine", config.line.max_sensors_per_machine),
        ("line.max_sensors_per_sender", config.line.max_sensors_per_sender),
        ("ingest.max_sensors_per_event", config.ingest.max_sensors_per_event),
        ("ingest.max_readings_per_event", config.ingest.max_readings_per_event),
    ] {
        if !(1..=MAX_COUNT).contains(&value) {
            checker.at(
                key,
                format!("it must be from 1 to {MAX_COUNT}, but is {value}"),
                "leave it out for the default",
            );
        }
    }
    if !(1..=MAX_BATCH_READINGS).contains(&config.line.max_batch) {
        let message =
            format!("max_batch must be from 1 to {MAX_BATCH_READINGS} readings, but is {}", config.line.max_batch);
        checker.at("line.max_batch", message, "leave it out for 32768");
    }
}

impl Checker<'_> {
    /// Reports a size that is not between `from` and `to`.
    fn holds(&mut self, path: &str, size: ByteSize, (from, to): (u64, u64), help: &str) {
        if !(from..=to).contains(&size.bytes()) {
            let key = path.rsplit('.').next().unwrap_or(path);
            self.at(
                path,
                format!("`{key}` must be from {} to {}, but is {}", shown(from), shown(to), shown(size.bytes())),
                help,
            );
        }
    }
}

/// Formats a number of bytes in the largest unit that divides it.
fn shown(bytes: u64) -> String {
    let units = [(TIB, "TiB"), (GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")];
    match units.into_iter().find(|(unit, _)| bytes >= *unit && bytes.is_multiple_of(*unit)) {
        Some((unit, name)) => format!("{} {name}", bytes / unit),
        None => format!("{bytes} bytes"),
    }
}

fn memory(checker: &mut Checker<'_>, config: &Config) {
    let help = "leave it out for 16 MiB: the whole body is in memory";
    checker.holds("http.max_body", config.http.max_body, (KIB, GIB), help);
    if let Some(broker) = config.mqtt.broker.as_ref().filter(|broker| broker.enabled) {
        let help = "leave it out for 16 MiB; MQTT allows no packet above 256 MiB";
        checker.holds("mqtt.broker.max_packet", broker.max_packet, (128, MAX_PACKET_BYTES), help);
    }
    let help = "leave it out for 2 GiB; an instance cannot address more than 4 GiB";
    checker.holds("line.memory", config.line.memory, (2 * MIB, 4 * GIB), help);
    checker.holds("line.queue", config.line.queue, (64 * KIB, TIB), "leave it out for 64 MiB: the queue is in memory");
}

fn http(checker: &mut Checker<'_>, config: &Config) {
    let limits = &config.http.limits;
    let max = 65_535;
    for (key, count) in
        [("connections", limits.connections), ("connections_per_address", limits.connections_per_address)]
    {
        if !(1..=max).contains(&count) {
            let message = format!("{key} must be from 1 to {max}, but is {count}");
            checker.at(&format!("http.limits.{key}"), message, "leave it out for 4096, and 512 for one address");
        }
    }
    let range = (0.1, 3600.0);
    let words = "from 100ms to 1 hour";
    checker.lasts("http.limits.head_timeout", limits.head_timeout, range, words, "leave it out for 30s");
    checker.lasts("http.limits.body_timeout", limits.body_timeout, range, words, "leave it out for 5 min");
    checker.lasts("http.limits.write_timeout", limits.write_timeout, range, words, "leave it out for 60s");
    let help = "leave it out for 1 KiB: a request with a slower body is aborted";
    checker.holds("http.limits.body_min_rate", limits.body_min_rate, (1, GIB), help);
    let help = "leave it out for 256 MiB, or four times max_body if that is more";
    let Some(memory) = limits.body_memory else { return };
    checker.holds("http.limits.body_memory", memory, (4 * KIB, TIB), help);
    // One address may use half of it, and a body can be in memory both compressed and decompressed.
    let needed = config.http.max_body.bytes().saturating_mul(4);
    if (4 * KIB..=TIB).contains(&memory.bytes()) && memory.bytes() < needed {
        let (body, memory) = (shown(config.http.max_body.bytes()), shown(memory.bytes()));
        let message = format!("bodies of {body} do not fit into a body_memory of {memory}");
        checker.at("http.limits.body_memory", message, &format!("write at least {}, or leave it out", shown(needed)));
    }
}

fn log(checker: &mut Checker<'_>, config: &Config) {
    let log = &config.log;
    checker.holds(
        "log.segment",
        log.segment,
        (4 * KIB, TIB),
        "leave it out for 64 MiB: it is the size of one segment file",
    );
    checker.holds("log.retention_size", log.retention_size, (4 * KIB, KIB * TIB), "leave it out for 10 GiB");
    if log.retention_size < log.segment {
        let at = if checker.written("log.retention_size") { "log.retention_size" } else { "log.segment" };
        let message = format!(
            "segments of {} do not fit into the {} of a partition",
            shown(log.segment.bytes()),
            shown(log.retention_size.bytes())
        );
        checker.at(at, message, "write a retention_size of several segments; the defaults are 10 GiB and 64 MiB");
    }
    if log.retention_age.get().is_zero() {
        checker.at("log.retention_age", "a log without retention cannot be replayed", "leave it out for 7 days");
    }
    checker.lasts(
        "log.group_commit",
        log.group_commit,
        (0.0, 10.0),
        "up to 10s",
        "leave it out: senders wait this long for the acknowledgement",
    );
}

fn times(checker: &mut Checker<'_>, config: &Config) {
    let line = &config.line;
    let help = "leave it out for 5s: a call that takes longer is aborted";
    checker.lasts("line.deadline", line.deadline, (0.01, DAY_SECONDS), "from 10ms to 1 day", help);
    let help = "leave it out for 30s: after a crash, the readings since the last checkpoint are processed again";
    checker.lasts("line.checkpoint", line.checkpoint, (0.01, DAY_SECONDS), "from 10ms to 1 day", help);
    let help = "leave it out for 15s: it closes the windows of sensors that stopped sending";
    checker.lasts("line.tick", line.tick, (0.01, DAY_SECONDS), "from 10ms to 1 day", help);
    let store = &config.store;
    for (at, retention, help) in [
        ("store.retention", store.retention, "leave it out for 90 days, or write \"100 years\""),
        ("store.hourly_retention", store.hourly_retention, "leave it out for 730 days, or write \"100 years\""),
        ("store.findings_retention", store.findings_retention, "leave it out for 400 days, or write \"100 years\""),
        ("store.dead_letters_retention", store.dead_letters_retention, "leave it out for 90 days"),
    ] {
        checker.lasts(at, retention, (3_600.0, 36_525.0 * DAY_SECONDS), "from 1 hour to 100 years", help);
    }
    let help = "leave it out for 1 GiB";
    checker.holds("store.dead_letters_size", store.dead_letters_size, (KIB, KIB * TIB), help);
    checker.holds("store.max_size", store.max_size, (16 * MIB, KIB * TIB), "leave it out for 50 GiB");
    let (range, words) = ((0.0, 36_525.0 * DAY_SECONDS), "up to 100 years");
    checker.lasts("access.token_lifetime", config.access.token_lifetime, range, words, "leave it out for 24 hours");
    checker.lasts("access.refresh_lifetime", config.access.refresh_lifetime, range, words, "leave it out for 30 days");
}
