//! Faults of disk, process and clock under load, then healing: nothing lost, nothing twice, ready again without a restart.

use wheeltapper_tests::faults::script;

fn fault(case: &str) {
    script("disk.py", &["--only", case, "--hold", "6", "--within", "30", "--rate", "3000", "--sensors", "100"])
        .unwrap();
}

#[test]
fn a_full_disk() {
    fault("full-ext4");
}

#[test]
fn a_full_memory_disk() {
    fault("full-tmpfs");
}

#[test]
fn a_read_only_disk() {
    fault("read-only");
}

#[test]
fn a_disk_that_hangs() {
    fault("frozen");
}

#[test]
fn a_stopped_process() {
    fault("stop");
}

#[test]
fn a_clock_that_jumps() {
    fault("clock");
}
