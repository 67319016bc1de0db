//! SIGKILL under load: each acknowledged reading is stored exactly once.

use wheeltapper_tests::faults::run_script;

/// Runs `exactly_once.py` with short host lifetimes, so that kills also hit restarts and replays.
fn check_kills(arguments: &[&str]) {
    run_script("exactly_once.py", &[&["--kills", "4", "--seconds", "1"], arguments].concat()).unwrap();
}

#[test]
fn http_is_stored_exactly_once() {
    check_kills(&["--transport", "http", "--sensors", "400"]);
}

#[test]
fn mqtt_qos_1_is_stored_exactly_once() {
    check_kills(&["--transport", "mqtt1", "--sensors", "400"]);
}

#[test]
fn mqtt_qos_2_is_stored_exactly_once() {
    check_kills(&["--transport", "mqtt2", "--sensors", "400"]);
}

#[test]
fn an_mqtt_5_session_survives_kills_and_stops() {
    check_kills(&["--transport", "mqtt2", "--sensors", "200", "--mqtt-version", "5", "--terminate"]);
}

/// Uses more sensors than fit into one transaction of a checkpoint, so that kills hit partly written checkpoints.
#[test]
fn a_partly_written_checkpoint_is_not_stored_twice() {
    let case = ["--sensors", "2400", "--partitions", "1", "--checkpoint", "50ms", "--stamps", "with"];
    run_script("exactly_once.py", &[&["--transport", "http", "--kills", "8", "--seconds", "1.5"][..], &case].concat())
        .unwrap();
}

/// Checks that the comparison itself can fail.
#[test]
fn the_comparison_detects_losses_and_duplicates() {
    run_script("selftest.py", &[]).unwrap();
}
