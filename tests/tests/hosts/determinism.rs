//! The same recording gives identical results: repeatedly, with any batch size and any number of partitions.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt::Write as _;

use wheeltapper_tests::TestHost;

/// Writes recordings of three machines for 40 minutes, one file each; one machine heats up after 25 minutes.
fn recordings(test_host: &TestHost) {
    let folder = test_host.path().join("recordings");
    std::fs::create_dir_all(&folder).unwrap();
    let mut noise = 1_u64;
    let mut random = || {
        noise ^= noise << 13;
        noise ^= noise >> 7;
        noise ^= noise << 17;
        f64::from(u32::try_from(noise % 1000).unwrap()) / 1000.0 - 0.5
    };
    for machine in 0..3 {
        let mut csv = String::from("datetime;vibration;temperature;current\n");
        for second in 0..2400 {
            let load = (f64::from(second) / 20.0).sin();
            let hot = if machine == 1 && second > 1500 { f64::from(second - 1500) * 0.05 } else { 0.0 };
            let (a, b, c) =
                (2.0 + 0.1 * load + 0.1 * random(), 50.0 + load + random() + hot, 10.0 + load + 0.2 * random());
            writeln!(csv, "2026-01-01 00:{:02}:{:02};{a};{b};{c}", second / 60, second % 60).unwrap();
        }
        std::fs::write(folder.join(format!("machine-{machine}.csv")), csv).unwrap();
    }
}

/// Exported windows, anomalies and alerts, sorted so that the order does not depend on the partitions.
fn findings(config: &str) -> Vec<(&'static str, String)> {
    // The default detector learns for an hour; these recordings are shorter.
    let test_host = TestHost::new(&format!("{config}\n[detect]\nmodel = \"ensemble\"\n")).unwrap();
    recordings(&test_host);
    test_host.output(&["replay", "recordings"]).unwrap();
    let export_sorted = |table: &'static str| {
        let csv = test_host.output(&["export", table, "-"]).unwrap();
        let mut lines: Vec<&str> = csv.lines().collect();
        lines.sort_unstable();
        (table, lines.join("\n"))
    };
    ["windows", "anomalies", "alerts"].map(export_sorted).to_vec()
}

#[test]
fn the_same_recording_gives_identical_results() {
    let reference = findings("partitions = 1");
    for (table, text) in &reference {
        assert!(text.lines().count() > 1, "no {table}");
    }
    let configs = [
        "partitions = 1",
        "partitions = 4",
        "partitions = 2\n[line]\nmax_batch = 1",
        "partitions = 1\n[line]\nmax_batch = 37\ncheckpoint = \"50ms\"",
        "partitions = 7\n[line]\nmax_batch = 100000",
    ];
    for config in configs {
        for ((table, actual), (_, expected)) in findings(config).iter().zip(&reference) {
            let differs = actual.lines().zip(expected.lines()).find(|(actual, expected)| actual != expected);
            assert!(actual == expected, "{table} differ with\n{config}\n{differs:?}");
        }
    }
}
