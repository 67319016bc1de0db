//! Attacks while another user does ordinary work: nothing of theirs fails, they are not locked out, and memory stays within
//! its bound. That their p99 stays under a second is what `tests/faults/bombs.py` measures on a machine that does nothing
//! else; here only a standstill fails.

use wheeltapper_tests::faults::script;

fn attack(case: &str) {
    script("bombs.py", &["--only", case, "--seconds", "4", "--alone", "1", "--p99", "15000"]).unwrap();
}

#[test]
fn queries_of_graphql_that_double_with_every_fragment() {
    attack("graphql");
}

#[test]
fn lists_of_json_whose_elements_are_sensors() {
    attack("json-values,json-names,json-objects");
}

#[test]
fn tables_of_csv_whose_columns_are_sensors() {
    attack("csv-columns,csv-rows");
}

#[test]
fn names_without_end() {
    attack("new-names");
}

#[test]
fn bodies_that_unpack_to_gigabytes() {
    attack("gzip");
}

#[test]
fn bodies_that_come_byte_by_byte() {
    attack("dripped");
}

#[test]
fn bodies_that_never_end() {
    attack("unfinished,unfinished-forged");
}

#[test]
fn connections_that_say_nothing() {
    attack("idle");
}

#[test]
fn signatures_that_are_forged() {
    attack("forged-signatures");
}

#[test]
fn births_and_deaths_of_another_site() {
    attack("sparkplug-http,sparkplug-mqtt,events-mqtt,strangers-mqtt");
}

#[test]
fn passwords_guessed_over_http() {
    attack("logins-http");
}

#[test]
fn passwords_guessed_over_mqtt() {
    attack("logins-mqtt");
}
