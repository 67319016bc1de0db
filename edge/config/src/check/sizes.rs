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
        checker.report(
            "data",
            "the path of the data folder is empty",
            "leave it out for \"data\", in the folder of this file",
        );
    }
    check_memory(checker, config);
    check_http(checker, config);
    check_log(checker, config);
    check_times(checker, config);
    for (key, value) in [
        ("line.max_sensors", config.line.max_sensors),
        ("line.max_sensors_per_machine", config.line.max_sensors_per_machine),
        ("line.max_sensors_per_sender", config.line.max_sensors_per_sender),
        ("ingest.max_sensors_per_event", config.ingest.max_sensors_per_event),
        ("ingest.max_readings_per_event", config.ingest.max_readings_per_event),
    ] {
        if !(1..=MAX_COUNT).contains(&value) {
            checker.report(
                key,
                format!("it must be from 1 to {MAX_COUNT}, but is {value}"),
                "leave it out for the default",
            );
        }
    }
    if !(1..=MAX_BATCH_READINGS).contains(&config.line.max_batch) {
        let message =
            format!("max_batch must be from 1 to {MAX_BATCH_READINGS} readings, but is {}", config.line.max_batch);
        checker.report("line.max_batch", message, "leave it out for 32768");
    }
}

impl Checker<'_> {
    /// Reports a size that is not between `from` and `to`.
    fn check_size(&mut self, path: &str, size: ByteSize, (from, to): (u64, u64), help: &str) {
        if !(from..=to).contains(&size.bytes()) {
            let key = path.rsplit('.').next().unwrap_or(path);
            self.report(
                path,
                format!(
                    "`{key}` must be from {} to {}, but is {}",
                    format_bytes(from),
                    format_bytes(to),
                    format_bytes(size.bytes())
                ),
                help,
            );
        }
    }
}

/// Formats a number of bytes in the largest unit that divides it.
fn format_bytes(bytes: u64) -> String {
    let units = [(TIB, "TiB"), (GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")];
    match units.into_iter().find(|(unit, _)| bytes >= *unit && bytes.is_multiple_of(*unit)) {
        Some((unit, name)) => format!("{} {name}", bytes / unit),
        None => format!("{bytes} bytes"),
    }
}

fn check_memory(checker: &mut Checker<'_>, config: &Config) {
    let help = "leave it out for 16 MiB: the whole body is in memory";
    checker.check_size("http.max_body", config.http.max_body, (KIB, GIB), help);
    if let Some(broker) = config.mqtt.broker.as_ref().filter(|broker| broker.enabled) {
        let help = "leave it out for 16 MiB; MQTT allows no packet above 256 MiB";
        checker.check_size("mqtt.broker.max_packet", broker.max_packet, (128, MAX_PACKET_BYTES), help);
    }
    let help = "leave it out for 2 GiB; an instance cannot address more than 4 GiB";
    checker.check_size("line.memory", config.line.memory, (2 * MIB, 4 * GIB), help);
    checker.check_size(
        "line.queue",
        config.line.queue,
        (64 * KIB, TIB),
        "leave it out for 64 MiB: the queue is in memory",
    );
}

fn check_http(checker: &mut Checker<'_>, config: &Config) {
    let limits = &config.http.limits;
    let max = 65_535;
    for (key, count) in
        [("connections", limits.connections), ("connections_per_address", limits.connections_per_address)]
    {
        if !(1..=max).contains(&count) {
            let message = format!("{key} must be from 1 to {max}, but is {count}");
            checker.report(&format!("http.limits.{key}"), message, "leave it out for 4096, and 512 for one address");
        }
    }
    let range = (0.1, 3600.0);
    let words = "from 100ms to 1 hour";
    checker.check_duration("http.limits.head_timeout", limits.head_timeout, range, words, "leave it out for 30s");
    checker.check_duration("http.limits.body_timeout", limits.body_timeout, range, words, "leave it out for 5 min");
    checker.check_duration("http.limits.write_timeout", limits.write_timeout, range, words, "leave it out for 60s");
    let help = "leave it out for 1 KiB: a request with a slower body is aborted";
    checker.check_size("http.limits.body_min_rate", limits.body_min_rate, (1, GIB), help);
    let help = "leave it out for 256 MiB, or four times max_body if that is more";
    let Some(memory) = limits.body_memory else { return };
    checker.check_size("http.limits.body_memory", memory, (4 * KIB, TIB), help);
    // One address may use half of it, and a body can be in memory both compressed and decompressed.
    let needed = config.http.max_body.bytes().saturating_mul(4);
    if (4 * KIB..=TIB).contains(&memory.bytes()) && memory.bytes() < needed {
        let (body, memory) = (format_bytes(config.http.max_body.bytes()), format_bytes(memory.bytes()));
        let message = format!("bodies of {body} do not fit into a body_memory of {memory}");
        checker.report(
            "http.limits.body_memory",
            message,
            &format!("write at least {}, or leave it out", format_bytes(needed)),
        );
    }
}

fn check_log(checker: &mut Checker<'_>, config: &Config) {
    let log = &config.log;
    checker.check_size(
        "log.segment",
        log.segment,
        (4 * KIB, TIB),
        "leave it out for 64 MiB: it is the size of one segment file",
    );
    checker.check_size("log.retention_size", log.retention_size, (4 * KIB, KIB * TIB), "leave it out for 10 GiB");
    if log.retention_size < log.segment {
        let at = if checker.is_set("log.retention_size") { "log.retention_size" } else { "log.segment" };
        let message = format!(
            "segments of {} do not fit into the {} of a partition",
            format_bytes(log.segment.bytes()),
            format_bytes(log.retention_size.bytes())
        );
        checker.report(at, message, "write a retention_size of several segments; the defaults are 10 GiB and 64 MiB");
    }
    if log.retention_age.to_std().is_zero() {
        checker.report("log.retention_age", "a log without retention cannot be replayed", "leave it out for 7 days");
    }
    checker.check_duration(
        "log.group_commit",
        log.group_commit,
        (0.0, 10.0),
        "up to 10s",
        "leave it out: senders wait this long for the acknowledgement",
    );
}

fn check_times(checker: &mut Checker<'_>, config: &Config) {
    let line = &config.line;
    let help = "leave it out for 5s: a call that takes longer is aborted";
    checker.check_duration("line.deadline", line.deadline, (0.01, DAY_SECONDS), "from 10ms to 1 day", help);
    let help = "leave it out for 30s: after a crash, the readings since the last checkpoint are processed again";
    checker.check_duration("line.checkpoint", line.checkpoint, (0.01, DAY_SECONDS), "from 10ms to 1 day", help);
    let help = "leave it out for 15s: it closes the windows of sensors that stopped sending";
    checker.check_duration("line.tick", line.tick, (0.01, DAY_SECONDS), "from 10ms to 1 day", help);
    let store = &config.store;
    for (at, retention, help) in [
        ("store.retention", store.retention, "leave it out for 90 days, or write \"100 years\""),
        ("store.hourly_retention", store.hourly_retention, "leave it out for 730 days, or write \"100 years\""),
        ("store.findings_retention", store.findings_retention, "leave it out for 400 days, or write \"100 years\""),
        ("store.dead_letters_retention", store.dead_letters_retention, "leave it out for 90 days"),
    ] {
        checker.check_duration(at, retention, (3_600.0, 36_525.0 * DAY_SECONDS), "from 1 hour to 100 years", help);
    }
    let help = "leave it out for 1 GiB";
    checker.check_size("store.dead_letters_size", store.dead_letters_size, (KIB, KIB * TIB), help);
    checker.check_size("store.max_size", store.max_size, (16 * MIB, KIB * TIB), "leave it out for 50 GiB");
    let (range, words) = ((0.0, 36_525.0 * DAY_SECONDS), "up to 100 years");
    checker.check_duration(
        "access.token_lifetime",
        config.access.token_lifetime,
        range,
        words,
        "leave it out for 24 hours",
    );
    checker.check_duration(
        "access.refresh_lifetime",
        config.access.refresh_lifetime,
        range,
        words,
        "leave it out for 30 days",
    );
}
