//! Files that were damaged, removed or edited while the host was stopped: nothing vanishes without a word.

use wheeltapper_tests::faults::script;

fn damage(case: &str) {
    script("damage.py", &["--only", case, "--messages", "200"]).unwrap();
}

#[test]
fn the_log_is_deleted_after_a_stop() {
    damage("log-deleted");
}

#[test]
fn the_log_is_deleted_after_a_kill() {
    damage("log-deleted-kill");
}

#[test]
fn a_bit_of_what_is_stored_flips() {
    damage("flipped-bit");
}

#[test]
fn a_bit_of_what_is_not_stored_yet_flips() {
    damage("flipped-bit-kill,flipped-length-kill,flipped-checksum-kill");
}

#[test]
fn the_last_write_is_torn() {
    damage("torn-tail");
}

#[test]
fn the_number_of_partitions_is_removed_or_edited() {
    damage("partitions-removed,partitions-fewer");
}

#[test]
fn the_store_is_deleted_and_the_log_kept() {
    damage("store-deleted");
}

#[test]
fn a_page_of_the_database_is_corrupt() {
    damage("corrupt-page");
}
