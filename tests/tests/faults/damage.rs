//! Files damaged, removed or edited while the host was stopped: no data is lost without a report.

use wheeltapper_tests::faults::run_script;

fn check_damage(case: &str) {
    run_script("damage.py", &["--only", case, "--messages", "200"]).unwrap();
}

#[test]
fn a_log_deleted_after_a_stop_is_reported() {
    check_damage("log-deleted");
}

#[test]
fn a_log_deleted_after_a_kill_is_reported() {
    check_damage("log-deleted-kill");
}

#[test]
fn a_flipped_bit_in_stored_records_loses_nothing() {
    check_damage("flipped-bit");
}

#[test]
fn a_flipped_bit_in_unstored_records_is_reported() {
    check_damage("flipped-bit-kill,flipped-length-kill,flipped-checksum-kill");
}

#[test]
fn a_torn_last_write_is_ignored() {
    check_damage("torn-tail");
}

#[test]
fn a_removed_or_changed_partition_count_loses_nothing() {
    check_damage("partitions-removed,partitions-fewer");
}

#[test]
fn a_deleted_store_is_rebuilt_or_reported() {
    check_damage("store-deleted");
}

#[test]
fn a_corrupt_database_page_is_reported() {
    check_damage("corrupt-page");
}
