//! Settings that a stage would reject are reported with their position, and no others.

use proptest::prelude::*;
use wheeltapper_config::{Config, parse};

use crate::{assert_single_errors, errors_of};

#[test]
fn settings_that_a_stage_rejects_are_reported() {
    assert_single_errors(&[
        ("[alerts]\nopen_after = 5\nwithin = 3\n", "2:14", "from 1 to 3"),
        ("[alerts]\nopen_after = 0\n", "2:14", "from 1 to 3"),
        ("[alerts]\nwithin = 1\n", "2:10", "after 2 anomalous windows among the newest 1"),
        ("[alerts]\nwithin = 1001\n", "2:10", "from 1 to 1000"),
        ("[alerts]\nclose_after = 0\n", "2:15", "from 1 to 100000"),
        ("[alerts]\nclose_below = 1.5\n", "2:15", "at most 1"),
        ("[alerts]\nclose_below = nan\n", "2:15", "at most 1"),
        ("[alerts]\ncooldown = \"2 years\"\n", "2:12", "up to 366 days"),
        ("[alerts]\nminimum_severity = \"hihg\"\n", "2:20", "did you mean \"high\"?"),
        ("[windows]\nsize = \"2 years\"\n", "2:8", "to 365 days"),
        ("[windows]\nsize = \"0s\"\n", "2:8", "cannot be empty"),
        ("[windows]\nslide = \"1ns\"\n", "2:9", "above 0"),
        ("[windows]\nsize = \"5s\"\n", "2:8", "cannot slide by 10 s"),
        ("[windows]\nlateness = \"2 years\"\n", "2:12", "up to 365 days"),
        ("[ingest]\nmax_future = \"200 years\"\n", "2:14", "100 years"),
        ("[ingest]\nearliest = \"0001-01-01T00:00:00Z\"\n", "2:12", "1678"),
        ("[ingest]\nearliest = \"yesterday\"\n", "2:12", "not a time"),
        ("[detect]\nwarmup_windows = 4\n", "2:18", "fewer than 5"),
        ("[detect]\nwarmup_windows = 100001\n", "2:18", "from 5 to 100000"),
        ("[detect]\nspread_windows = 4000000000\n", "2:18", "to 100000"),
        ("[detect]\nlife_limit = 1.0\n", "2:14", "above 1"),
        ("[detect]\nlife_limit = inf\n", "2:14", "above 1"),
        ("[detect]\nthreshold = 1\n", "2:13", "between 0 and 1"),
        ("[detect]\nmodel = \"ensembel\"\n", "2:9", "did you mean \"ensemble\"?"),
        ("[schedule]\nhorizon = \"0s\"\n", "2:11", "must not be 0"),
        ("[schedule]\nhorizon = \"367 days\"\n", "2:11", "366 days"),
        ("[schedule]\nutc_offset_minutes = 3600\n", "2:22", "minutes, not seconds"),
        ("[line.components]\ndetcet = \"a.wasm\"\n", "2:10", "did you mean \"detect\"?"),
        ("[[technician]]\nname = \"\"\nskills = []\n", "2:8", "is empty"),
        ("[[technician]]\nname = \"A\"\nskills = [\"a\", \"\"]\n", "3:16", "is empty"),
        ("[[technician]]\nname = \"A\"\nskills = []\nhourly_cost = -1\n", "4:15", "from 0"),
        ("[[technician]]\nname = \"A\"\nskills = []\nhourly_cost = nan\n", "4:15", "from 0"),
        (
            "[[technician]]\nname = \"A\"\nskills = []\nshifts = [{ days = [], start = \"6:00\", end = \"14:00\" }]\n",
            "4:20",
            "has no days",
        ),
        (
            "[[technician]]\nname = \"A\"\nskills = []\nshifts = [{ days = [\"mon\"], start = \"6:00\", end = \"24:00\" }]\n",
            "4:51",
            "23:59",
        ),
        (
            "[[technician]]\nname = \"A\"\nskills = []\nshifts = [{ days = [\"Mon\"], start = \"6:00\", end = \"14:00\" }]\n",
            "4:21",
            "did you mean \"mon\"?",
        ),
    ]);
}

#[test]
fn errors_of_runs_to_failure_are_reported() {
    let files = "files = [\"1\", \"2\", \"3\", \"4\", \"5\", \"6\", \"7\", \"8\", \"9\", \"10\"]";
    let runs_to_failure = |sensors: &str, files: &str, horizon: &str| {
        format!("[detect.run_to_failure]\nsensors = {sensors}\n{files}\nhorizon_windows = {horizon}\n")
    };
    assert_eq!(errors_of(&runs_to_failure("[\"a\"]", files, "125.0")), "nothing");
    assert_single_errors(&[
        (&runs_to_failure("[]", files, "125.0"), "2:11", "list of sensors is empty"),
        (&runs_to_failure("[\"a\"]", "files = [\"1\"]", "125.0"), "3:9", "10 files or more"),
        (&runs_to_failure("[\"a\"]", files, "0"), "4:19", "above 0"),
    ]);
}

#[test]
fn errors_of_the_plant_are_reported() {
    let area = "[[site]]\nname = \"s\"\n[[site.area]]\nname = \"a\"\n";
    let machine = format!("{area}[[site.area.machine]]\nname = \"m\"\n");
    let sensor = |rest: &str| format!("{machine}[[site.area.machine.sensor]]\nname = \"v\"\n{rest}\n");
    let long = "x".repeat(600);
    assert_single_errors(&[
        ("[[site]]\nname = \"s\"\n[[site]]\nname = \"s\"\n", "4:8", "the site s occurs twice"),
        (&format!("{area}[[site.area]]\nname = \"a\"\n"), "6:8", "the area s/a occurs twice"),
        (&format!("{machine}[[site.area.machine]]\nname = \"m\"\n"), "8:8", "the machine s/a/m occurs twice"),
        (&sensor("[[site.area.machine.sensor]]\nname = \"v\""), "10:8", "the sensor s/a/m/v occurs twice"),
        ("[[site]]\nname = \" \"\n", "2:8", "not a valid level"),
        ("[[site]]\nname = \"hall \"\n", "2:8", "write \"hall\""),
        (&format!("{machine}[[site.area.machine.sensor]]\nname = \"{long}\"\n"), "8:8", "512 bytes"),
        (&sensor("limits = { min = nan }"), "9:10", "finite"),
        (&sensor("limits = { max = inf }"), "9:10", "finite"),
        (&sensor("limits = { min = 3, max = 3 }"), "9:10", "not below"),
        (&sensor("sampling_hz = inf"), "9:15", "above 0"),
    ]);
}

#[test]
fn errors_of_routes_are_reported() {
    assert_single_errors(&[
        ("[[alerts.route]]\nname = \"\"\nwebhook_env = \"HOOK\"\n", "2:8", "is empty"),
        ("[[alerts.route]]\nname = \"a\"\n", "2:8", "either webhook or webhook_env"),
        ("[[alerts.route]]\nname = \"a\"\nwebhook = \"hook.example\"\n", "3:11", "https://host/path"),
        ("[[alerts.route]]\nname = \"a\"\nwebhook = \"http://h/\"\nsites = [\"plant/\"]\n", "4:10", "plant/hall-1"),
        ("[[alerts.route]]\nname = \"a\"\nseverity = \"hgih\"\nwebhook_env = \"HOOK\"\n", "3:12", "\"high\""),
    ]);
}

/// Whether all stages accept the configuration.
fn stages_accept(config: &Config) -> bool {
    wheeltapper_ingest::Ingester::open(&config.ingest_json()).is_ok()
        && wheeltapper_featurize::Featurizer::open(&config.featurize_json()).is_ok()
        && wheeltapper_detect::Stage::open(&config.detect_json(&[])).is_ok()
        && wheeltapper_alert::Alerter::open(&config.alert_json()).is_ok()
        && wheeltapper_schedule::Scheduler::open(&config.schedule_json()).is_ok()
}

fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        (-2..8_i64).prop_map(|number| number.to_string()),
        prop::sample::select(vec!["1000", "1001", "5000", "100000", "100001", "-1", "0.5", "1.0", "1.5", "nan", "inf"])
            .prop_map(str::to_owned),
    ]
}

fn time() -> impl Strategy<Value = String> {
    let times = ["0s", "1ns", "1us", "10s", "30s", "1h", "364 days", "366 days", "367 days", "90 years", "200 years"];
    prop::sample::select(times.map(|time| format!("{time:?}")).to_vec())
}

fn time_of_day() -> impl Strategy<Value = String> {
    prop_oneof!["[0-9]{1,2}:[0-9]{1,2}", "[0-2 +-]{0,2}:?[0-9]{0,3}"]
}

fn setting() -> impl Strategy<Value = String> {
    let key = |keys: &'static [&'static str]| prop::sample::select(keys);
    prop_oneof![
        (key(&["open_after", "within", "close_after", "close_below"]), number())
            .prop_map(|(key, value)| format!("alerts.{key} = {value}")),
        (key(&["threshold", "warmup_windows", "life_limit"]), number())
            .prop_map(|(key, value)| format!("detect.{key} = {value}")),
        (key(&["size", "slide", "lateness"]), time()).prop_map(|(key, value)| format!("windows.{key} = {value}")),
        time().prop_map(|value| format!("ingest.max_future = {value}")),
        time().prop_map(|value| format!("alerts.cooldown = {value}")),
        time().prop_map(|value| format!("schedule.horizon = {value}")),
        number().prop_map(|value| format!("schedule.utc_offset_minutes = {value}")),
        (time_of_day(), time_of_day(), number()).prop_map(|(start, end, cost)| {
            format!("technician = [{{ name = \"A\", skills = [], hourly_cost = {cost}, shifts = [{{ days = [\"mon\"], start = {start:?}, end = {end:?} }}] }}]")
        }),
        (number(), number(), number()).prop_map(|(rate, rpm, teeth)| {
            format!("site = [{{ name = \"s\", area = [{{ name = \"a\", machine = [{{ name = \"m\", rated_rpm = {rpm}, teeth = {teeth}, sensor = [{{ name = \"v\", kind = \"vibration\", sampling_hz = {rate} }}] }}] }}] }}]")
        }),
    ]
}

proptest! {
    #[test]
    fn a_configuration_is_valid_exactly_if_the_stages_accept_it(settings in prop::collection::vec(setting(), 1..4)) {
        let text = settings.join("\n");
        // Skip texts with syntax or type errors.
        let Ok(config) = toml::from_str::<Config>(&text) else { return Ok(()) };
        let (valid, runs) = (parse(&text, "x").is_ok(), stages_accept(&config));
        // JSON has no such numbers, so the stages would use their defaults.
        let is_not_json = text.contains("nan") || text.contains("inf");
        prop_assert!(valid == runs || (is_not_json && !valid), "{}\n{}", text, errors_of(&text));
    }
}
