//! kill -9 under load: what was acknowledged is stored exactly once.

use wheeltapper_tests::faults::script;

/// A short life each, so that kills hit restarts and replays as well.
fn kills(arguments: &[&str]) {
    script("exactly_once.py", &[&["--kills", "4", "--seconds", "1"], arguments].concat()).unwrap();
}

#[test]
fn http_is_stored_exactly_once() {
    kills(&["--transport", "http", "--sensors", "400"]);
}

#[test]
fn mqtt_at_quality_1_is_stored_exactly_once() {
    kills(&["--transport", "mqtt1", "--sensors", "400"]);
}

#[test]
fn mqtt_at_quality_2_is_stored_exactly_once() {
    kills(&["--transport", "mqtt2", "--sensors", "400"]);
}

#[test]
fn a_session_of_mqtt_5_outlives_kills_and_orderly_stops() {
    kills(&["--transport", "mqtt2", "--sensors", "200", "--mqtt-version", "5", "--terminate"]);
}

/// More sensors than a transaction of a checkpoint takes, so that kills hit checkpoints that are half written.
#[test]
fn a_checkpoint_that_is_half_written_is_not_stored_twice() {
    let case = ["--sensors", "2400", "--partitions", "1", "--checkpoint", "50ms", "--stamps", "with"];
    script("exactly_once.py", &[&["--transport", "http", "--kills", "8", "--seconds", "1.5"][..], &case].concat())
        .unwrap();
}

/// The count can fail.
#[test]
fn the_count_finds_losses_and_copies() {
    script("selftest.py", &[]).unwrap();
}
