//! Each table is bounded by time, and the store by its size.

use std::time::Duration;

use wheeltapper_store::{
    ActionRow, ActionWrite, AlertRow, AnomalyRow, Commit, DeadLetter, DriftRow, PrognosisRow, SensorReadings,
    SkippedRange, Store, StoreError, StoreRetention, TaskRow, WaveformRow, WindowBlock, WindowRow, WorkOrderRow,
};

const HOUR: i64 = 3_600_000_000_000;
const DAY: i64 = 24 * HOUR;

fn open() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("s.db")).unwrap();
    (folder, store)
}

fn anomaly(id: &str, time: i64) -> AnomalyRow {
    AnomalyRow {
        id: id.into(),
        detection_time: time,
        sensor: "s".into(),
        asset: "m".into(),
        start_time: time,
        end_time: time,
        score: 0.9,
        model: "m".into(),
        severity: "high".into(),
        handled: false,
        threshold: 0.5,
        confidence: 0.5,
        fault_mode: None,
        message: String::new(),
        metadata: "{}".into(),
    }
}

fn alert(id: &str, state: &str, anomaly: &str, time: i64) -> AlertRow {
    AlertRow {
        id: id.into(),
        asset: "m".into(),
        sensor: "s".into(),
        severity: "high".into(),
        state: state.into(),
        opened: time,
        updated: time,
        resolved: (state == "resolved").then_some(time),
        anomalies: 1,
        peak_score: 0.9,
        anomaly: anomaly.into(),
        fault_mode: None,
        title: String::new(),
        message: String::new(),
        recommendation: String::new(),
    }
}

fn work_order(id: &str, status: &str, time: Option<i64>) -> WorkOrderRow {
    WorkOrderRow {
        id: id.into(),
        alert: "open".into(),
        asset: "m".into(),
        kind: "inspection".into(),
        priority: 3,
        status: status.into(),
        scheduled: time,
        duration_minutes: 60,
        technician: None,
        skills: Vec::new(),
        after: Vec::new(),
        cost: 0.0,
        notes: String::new(),
        pinned: false,
    }
}

fn dead_letter(id: usize, time: i64, size: usize) -> DeadLetter {
    DeadLetter {
        id: id.to_string(),
        time,
        source: "s".into(),
        reason: "late".into(),
        message: String::new(),
        payload: vec![1; size],
        readings: 1,
        sensor: None,
        format: None,
    }
}

fn ids(store: &Store, table: &str) -> Vec<String> {
    let statement = format!("SELECT id FROM {table} ORDER BY id");
    let (_, rows) = store.query_sql(&statement).unwrap();
    rows.into_iter().map(|row| row[0].as_str().unwrap().to_owned()).collect()
}

fn row_count(store: &Store, table: &str) -> i64 {
    let (_, rows) = store.query_sql(&format!("SELECT count(*) FROM {table}")).unwrap();
    rows[0][0].as_i64().unwrap()
}

#[test]
fn old_rows_are_deleted_from_each_table_and_open_ones_kept() {
    let (_folder, store) = open();
    let now = 1_000 * DAY;
    for time in [now - 800 * DAY, now - 500 * DAY, now - 100 * DAY, now - DAY] {
        let readings =
            [0_u32, 1].map(|sensor| SensorReadings { sensor, times: vec![time, time + 1], values: vec![1.0, 2.0] });
        let waveforms = [WaveformRow { sensor: 2, start: time, rate: 100.0, samples: vec![1.0; 64] }];
        let row = WindowRow { sensor: 0, start: time, end: time + 5, count: 1 };
        let windows =
            [WindowBlock { asset: "m".into(), features: vec!["mean".into()], rows: vec![row], values: vec![1.0] }];
        let drifts = [DriftRow {
            id: format!("{time}"),
            asset: "m".into(),
            time,
            kind: "drifted".into(),
            sensors: Vec::new(),
            p_value: 0.1,
            message: String::new(),
        }];
        let prognoses = [PrognosisRow {
            asset: "m".into(),
            time,
            health: 0.5,
            p10_hours: None,
            p50_hours: None,
            p90_hours: None,
            model: "library".into(),
        }];
        store
            .commit(&Commit {
                readings: &readings,
                waveforms: &waveforms,
                windows: &windows,
                drifts: &drifts,
                prognoses: &prognoses,
                dead_letters: &[dead_letter(usize::try_from(time / DAY).unwrap(), time, 10)],
                ..Commit::default()
            })
            .unwrap();
        let action = ActionRow {
            id: format!("{time}"),
            time,
            action: "comment".into(),
            target: "a".into(),
            asset: "m".into(),
            actor: "ada".into(),
            text: String::new(),
        };
        let tasks =
            ["queued", "done"].map(|status| TaskRow { id: format!("{status} {time}"), time, request: "{}".into() });
        let [queued, done] = tasks;
        store
            .record_action(&ActionWrite { action: Some(action), task: Some(queued), ..ActionWrite::default() })
            .unwrap();
        store.record_action(&ActionWrite { task: Some(done), ..ActionWrite::default() }).unwrap();
        store.finish_task(&format!("done {time}"), "done", "{}", time).unwrap();
    }
    let old = now - 500 * DAY;
    let anomalies = [anomaly("old", old), anomaly("of the open alert", old), anomaly("new", now - DAY)];
    let alerts = [
        alert("open", "open", "of the open alert", old),
        alert("resolved", "resolved", "old", old),
        alert("resolved lately", "resolved", "old", now - DAY),
    ];
    let orders = [
        work_order("closed", "done", Some(old)),
        work_order("planned", "planned", Some(old)),
        work_order("dropped", "cancelled", None),
    ];
    store
        .commit(&Commit { anomalies: &anomalies, alerts: &alerts, work_orders: &orders, ..Commit::default() })
        .unwrap();
    // The newest plan's number is read from its orders.
    let newest = [work_order("newest plan", "done", Some(old))];
    let applied = wheeltapper_store::AppliedOffset { offset: 9, topic_ends: "{}" };
    store.commit(&Commit { work_orders: &newest, applied: Some(applied), ..Commit::default() }).unwrap();

    let expired = store.expire(now, &StoreRetention::default()).unwrap();
    assert_eq!((expired.reading_chunks, expired.waveforms, expired.window_chunks), (6, 3, 3), "{expired:?}");
    assert_eq!(store.readings(1, i64::MIN, i64::MAX).unwrap().0, [now - DAY, now - DAY + 1]);
    assert_eq!((expired.hourly_sums, row_count(&store, "reading_hourly_sums")), (2, 6));
    assert_eq!((expired.dead_letters, row_count(&store, "dead_letters")), (3, 1));
    assert_eq!((expired.drifts, expired.prognoses, expired.actions, expired.tasks), (2, 2, 2, 2));
    assert_eq!(ids(&store, "tasks").len(), 6, "unfinished tasks are kept");
    assert_eq!(ids(&store, "anomalies"), ["new", "of the open alert"]);
    assert_eq!(ids(&store, "alerts"), ["open", "resolved lately"]);
    assert_eq!(ids(&store, "work_orders"), ["dropped", "newest plan", "planned"]);
    assert_eq!(expired.total_rows(), 6 + 3 + 3 + 2 + 3 + 8 + 1 + 1 + 1);
    let again = store.expire(now, &StoreRetention::default()).unwrap();
    assert_eq!(again.total_rows(), 0, "{again:?}");
    // Without any retention, nothing is deleted.
    let never = StoreRetention {
        readings: None,
        waveforms: None,
        windows: None,
        hourly: None,
        findings: None,
        dead_letters: None,
        dead_letter_bytes: None,
        max_bytes: None,
    };
    assert_eq!(store.expire(i64::MAX, &never).unwrap().total_rows(), 0);
}

#[test]
fn the_oldest_dead_letters_are_deleted_above_the_payload_limit() {
    let (_folder, store) = open();
    let dead_letters: Vec<DeadLetter> = (0..1_000).map(|id| dead_letter(id, id as i64, 1_000)).collect();
    store.commit(&Commit { dead_letters: &dead_letters, ..Commit::default() }).unwrap();
    assert_eq!(store.sizes().unwrap().dead_letter_bytes, 1_000_000);
    let retention =
        StoreRetention { dead_letters: None, dead_letter_bytes: Some(500_000), ..StoreRetention::default() };
    let expired = store.expire(2_000, &retention).unwrap();
    let left = store.sizes().unwrap().dead_letter_bytes;
    assert!((400_000..=500_000).contains(&left), "{left}");
    assert_eq!(store.dead_letter_ids(&wheeltapper_store::Filter::default()).unwrap()[0], "999");
    assert_eq!(store.counts().unwrap().dead_letters, 1_000 - expired.dead_letters);
    assert_eq!(store.counts().unwrap().rejected_readings, 1_000, "deleted dead letters still count as rejected");
}

#[test]
fn above_the_size_limit_the_oldest_raw_data_is_deleted_and_the_file_shrinks() {
    let (folder, store) = open();
    let mut noise = 1_u64;
    for hour in 0..200_i64 {
        let readings: Vec<SensorReadings> = (0..5_u32)
            .map(|sensor| SensorReadings {
                sensor,
                times: (0..3_600).map(|second| hour * HOUR + second * 1_000_000_000).collect(),
                values: (0..3_600)
                    .map(|_| {
                        noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                        f64::from_bits(noise >> 12 | 0x3ff0_0000_0000_0000)
                    })
                    .collect(),
            })
            .collect();
        store.commit(&Commit { readings: &readings, ..Commit::default() }).unwrap();
    }
    let before = store.sizes().unwrap();
    assert!(before.used_bytes() > 24 << 20, "{before:?}");
    let most = 4 << 20;
    let retention = StoreRetention { max_bytes: Some(most), ..StoreRetention::default() };
    let expired = store.expire(200 * HOUR, &retention).unwrap();
    let after = store.sizes().unwrap();
    assert!(after.used_bytes() <= most && after.used_bytes() > most / 2, "{after:?}");
    let (times, _) = store.readings(3, i64::MIN, i64::MAX).unwrap();
    assert_eq!(times.last(), Some(&(199 * HOUR + 3_599 * 1_000_000_000)), "the newest readings are kept");
    assert!(times[0] > 100 * HOUR && expired.hourly_sums == 0);
    assert_eq!(row_count(&store, "reading_hourly_sums"), 1_000);
    assert!(expired.pages > 0, "{expired:?}");
    drop(store);
    let length = std::fs::metadata(folder.path().join("s.db")).unwrap().len();
    assert!(length < before.database_bytes.max(24 << 20) * 9 / 10 && length <= most + (17 << 20), "{length}");
}

#[test]
fn a_clock_that_jumps_ahead_and_an_old_recording_do_not_empty_the_store() {
    let (_folder, store) = open();
    let readings = [SensorReadings { sensor: 0, times: vec![5 * DAY, 100 * DAY], values: vec![1.0, 2.0] }];
    store.commit(&Commit { readings: &readings, anomalies: &[anomaly("a", 9)], ..Commit::default() }).unwrap();
    assert_eq!(store.expire(i64::MAX, &StoreRetention::default()).unwrap().total_rows(), 0);
    assert_eq!(store.readings(0, i64::MIN, i64::MAX).unwrap().0.len(), 2);
    // A reading with a time ahead of the clock does not empty the store either.
    let ahead = [SensorReadings { sensor: 1, times: vec![9_000 * DAY], values: vec![1.0] }];
    store.commit(&Commit { readings: &ahead, ..Commit::default() }).unwrap();
    assert_eq!(store.expire(101 * DAY, &StoreRetention::default()).unwrap().total_rows(), 0);
    assert_eq!(store.readings(0, i64::MIN, i64::MAX).unwrap().0.len(), 2);
}

#[test]
fn an_old_recording_is_kept_alongside_current_data() {
    let (_folder, store) = open();
    let day = 86_400_000_000_000_i64;
    let ids = store.register_sensors(&[("a/m/old", "a/m", "", ""), ("a/m/now", "a/m", "", "")]).unwrap();
    let now = 1_000 * day;
    for (sensor, times) in [(ids[0], [5 * day, 6 * day]), (ids[1], [now - 200 * day, now])] {
        for time in times {
            let readings = [SensorReadings { sensor, times: vec![time], values: vec![1.0] }];
            store.commit(&Commit { readings: &readings, ..Commit::default() }).unwrap();
        }
    }
    store.expire(now, &StoreRetention::default()).unwrap();
    assert_eq!(store.readings(ids[0], 0, i64::MAX).unwrap().0, [5 * day, 6 * day], "its own newest counts");
    assert_eq!(store.readings(ids[1], 0, i64::MAX).unwrap().0, [now]);
}

#[test]
fn a_chunk_that_is_partly_too_old_is_trimmed() {
    let (_folder, store) = open();
    let sensor = store.register_sensors(&[("a/m/seldom", "a/m", "", "")]).unwrap()[0];
    let times: Vec<i64> = (0..200).map(|day| day * DAY).collect();
    let values: Vec<f64> = (0..200).map(f64::from).collect();
    let readings = [SensorReadings { sensor, times: times.clone(), values: values.clone() }];
    store.commit(&Commit { readings: &readings, ..Commit::default() }).unwrap();
    store.expire(199 * DAY, &StoreRetention::default()).unwrap();
    assert_eq!(store.readings(sensor, 0, i64::MAX).unwrap(), (times[109..].to_vec(), values[109..].to_vec()));
    // Not every day, but when an eighth of the retention is exceeded.
    for (last, first) in [(210, 109), (211, 121)] {
        let readings = [SensorReadings { sensor, times: vec![last * DAY], values: vec![1.0] }];
        store.commit(&Commit { readings: &readings, ..Commit::default() }).unwrap();
        store.expire(last * DAY, &StoreRetention::default()).unwrap();
        assert_eq!(store.readings(sensor, 0, i64::MAX).unwrap().0[0], first * DAY, "at day {last}");
    }
    assert_eq!(store.counts().unwrap().readings, 202, "deleted readings are still counted");
}

#[test]
fn old_skipped_ranges_are_deleted() {
    let (_folder, store) = open();
    let skipped: Vec<SkippedRange> =
        (0..10_500).map(|at| SkippedRange { start: at * 2, stop: at * 2 + 1, asset: None }).collect();
    let mut commit = super::checkpoint(0, &[], 15_000);
    commit.skipped = &skipped;
    store.commit(&commit).unwrap();
    let expired = store.expire(0, &StoreRetention::default()).unwrap();
    assert_eq!((expired.skipped, row_count(&store, "skipped")), (499, 10_001));
}

#[test]
fn waiting_planner_commands_are_bounded() {
    let (_folder, store) = open();
    let request = ActionWrite { planner_command: Some(vec![1]), ..ActionWrite::default() };
    let raw_rows = "INSERT INTO planner_commands (body) WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 10000) SELECT x'00' FROM n";
    let (folder, bounded) = open();
    rusqlite::Connection::open(folder.path().join("s.db")).unwrap().execute_batch(raw_rows).unwrap();
    let error = bounded.record_action(&request).unwrap_err();
    assert!(matches!(error, StoreError::TooManyPlannerCommands(10_000)) && error.is_transient(), "{error}");
    bounded.delete_planner_commands(5).unwrap();
    bounded.record_action(&request).unwrap();
    store.record_action(&request).unwrap();
}

#[test]
fn writers_do_not_wait_long_during_a_large_deletion() {
    let (_folder, store) = open();
    for part in 0..60 {
        store.commit(&super::checkpoint(0, &super::columns(0..1_000, part * 10, 5), part as u64 + 1)).unwrap();
    }
    let deleting = store.clone();
    let thread = std::thread::spawn(move || deleting.expire_raw_data(DAY).unwrap());
    let mut slowest = Duration::ZERO;
    while !thread.is_finished() {
        let began = std::time::Instant::now();
        store.state_put("key", b"value").unwrap();
        slowest = slowest.max(began.elapsed());
    }
    println!("slowest commit beside the deletion: {slowest:?}");
    assert_eq!(thread.join().unwrap(), 60_000);
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
}
