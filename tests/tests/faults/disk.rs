//! Temporary faults of disk, process and clock under load: no reading is lost or duplicated, and the host recovers
//! without a restart.

use wheeltapper_tests::faults::run_script;

fn check_fault(case: &str) {
    run_script("disk.py", &["--only", case, "--hold", "6", "--within", "30", "--rate", "3000", "--sensors", "100"])
        .unwrap();
}

#[test]
fn the_host_recovers_from_a_full_disk() {
    check_fault("full-ext4");
}

#[test]
fn the_host_recovers_from_a_full_tmpfs() {
    check_fault("full-tmpfs");
}

#[test]
fn the_host_recovers_from_a_read_only_disk() {
    check_fault("read-only");
}

#[test]
fn the_host_recovers_from_a_hanging_disk() {
    check_fault("frozen");
}

#[test]
fn the_host_recovers_from_sigstop() {
    check_fault("stop");
}

#[test]
fn the_host_recovers_from_clock_jumps() {
    check_fault("clock");
}
