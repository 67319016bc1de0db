//! The protocols of ordinary plants on small generated folders, and the whole way from a simulated plant to its score.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::{fmt::Write as _, fs, io::Write as _, path::Path};

use flate2::{Compression, write::GzEncoder};
use wheeltapper_evaluate::{
    AlertUpdate, Error, NativeLine, PlantLine, ReadingBatch,
    plants::{SetReport, evaluate_set, sets::SETS},
    scenarios::{self, Selection},
};
use wheeltapper_simulate::{Scenario, ScenarioClass};

/// Opens an alert on a sensor's asset while a reading is above 1000, and names the sensor faulty while it is below
/// -1000.
struct Extremes {
    sensors: Vec<(String, String)>,
    open: bool,
}

impl PlantLine for Extremes {
    fn push(&mut self, batch: &ReadingBatch) -> Result<Vec<AlertUpdate>, Error> {
        let mut updates = Vec::new();
        let extremes = |value: f64| value.abs() > 1000.0;
        for ((sensor, time), value) in batch.sensor.iter().zip(&batch.time).zip(&batch.value) {
            if extremes(*value) != self.open && (extremes(*value) || *sensor == 0) {
                self.open = extremes(*value);
                let (sensor, asset) = self.sensors[*sensor as usize].clone();
                let fault_mode = (*value < 0.0).then(|| "sensor-range".to_owned());
                updates.push(update(asset, sensor, self.open, *time, fault_mode));
            }
        }
        for waveform in &batch.waveforms {
            let loud = waveform.samples.iter().any(|sample| sample.abs() > 1.0);
            if loud && !self.open {
                self.open = true;
                let (sensor, asset) = self.sensors[waveform.sensor as usize].clone();
                updates.push(update(asset, sensor, true, waveform.start, None));
            }
        }
        Ok(updates)
    }

    fn tick(&mut self, _: i64) -> Result<Vec<AlertUpdate>, Error> {
        Ok(Vec::new())
    }

    fn flush(&mut self) -> Result<Vec<AlertUpdate>, Error> {
        Ok(Vec::new())
    }
}

/// Raises no alert.
struct Quiet;

impl PlantLine for Quiet {
    fn push(&mut self, _: &ReadingBatch) -> Result<Vec<AlertUpdate>, Error> {
        Ok(Vec::new())
    }

    fn tick(&mut self, _: i64) -> Result<Vec<AlertUpdate>, Error> {
        Ok(Vec::new())
    }

    fn flush(&mut self) -> Result<Vec<AlertUpdate>, Error> {
        Ok(Vec::new())
    }
}

fn update(asset: String, sensor: String, is_open: bool, at: i64, fault_mode: Option<String>) -> AlertUpdate {
    let severity = wheeltapper_alert::Severity::Medium;
    AlertUpdate { id: "a".to_owned(), asset, sensor, severity, is_open, at, fault_mode, message: String::new() }
}

fn write_gz(path: &Path, text: &str) {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    fs::write(path, encoder.finish().unwrap()).unwrap();
}

fn run(folder: &Path) -> SetReport {
    let name = folder.file_name().unwrap().to_str().unwrap();
    let set = SETS.iter().find(|set| set.folder == name).unwrap();
    let open = |_: &str, sensors: &[(String, String)]| {
        Ok(Box::new(Extremes { sensors: sensors.to_vec(), open: false }) as Box<dyn PlantLine>)
    };
    let report = evaluate_set(set, folder, &open).unwrap();
    println!("{}", report.table());
    report
}

fn folder(name: &str) -> (tempfile::TempDir, std::path::PathBuf) {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join(name);
    fs::create_dir(&folder).unwrap();
    (root, folder)
}

/// Rows of hours from 2016-07-01 with two columns that go together; `extreme` replaces the first one.
fn hours(count: i64, first: &str, extreme: impl Fn(i64) -> Option<f64>) -> Vec<(String, f64, f64)> {
    let start: jiff::Timestamp = format!("{first}T00:00:00Z").parse().unwrap();
    (0..count)
        .map(|hour| {
            let time = start + jiff::SignedDuration::from_hours(hour);
            let wave = (hour as f64 / 4.0).sin();
            (time.strftime("%F %T").to_string(), extreme(hour).unwrap_or(wave), 2.0 * wave + 0.01 * (hour % 7) as f64)
        })
        .collect()
}

#[test]
fn transformers_count_alerts_by_month_and_frozen_sensors() {
    let (_root, folder) = folder("transformers-ett");
    // A false alert on day 70, and a sensor fault on day 80.
    let extreme = |hour: i64| match hour {
        1680..1690 => Some(5000.0),
        1920..1950 => Some(-5000.0),
        _ => None,
    };
    let mut text = "date,HUFL,OT\n".to_owned();
    for (time, one, other) in hours(24 * 121, "2016-07-01", extreme) {
        writeln!(text, "{time},{one},{other}").unwrap();
    }
    write_gz(&folder.join("ETTh9.csv.gz"), &text);
    let frozen = "station,column,first,last,hours,value\nETTh9,HUFL,2016-09-19 00:00:00,2016-09-20 05:00:00,30,-5000\n\
                  ETTh1,OT,2016-09-19 00:00:00,2016-09-20 05:00:00,30,1\n";
    fs::write(folder.join("frozen_derived.csv"), frozen).unwrap();
    let report = run(&folder);
    let total = report.total();
    assert_eq!(total.false_episodes, 1);
    assert!((total.units - 2.0).abs() < 0.1, "{}", total.units);
    assert_eq!(total.events.len(), 1);
    assert!(total.events[0].is_sensor_fault && total.events[0].is_found());
    assert_eq!(report.simple_rule.len(), 1);
    assert!(report.simple_rule[0].1.false_episodes >= 1, "PCA sees the break as well");
}

#[test]
fn batadal_scores_attacks_with_the_day_first() {
    let (_root, folder) = folder("batadal-water");
    let extreme = |hour: i64| (1500..1510).contains(&hour).then_some(5000.0);
    let mut text = "DATETIME,L_T1,F_PU1,ATT_FLAG\n".to_owned();
    for (time, one, other) in hours(24 * 100, "2016-07-04", extreme) {
        let (date, clock) = time.split_once(' ').unwrap();
        let parts: Vec<&str> = date.split('-').collect();
        writeln!(text, "{}/{}/{} {}, {one}, {other}, -999", parts[2], parts[1], &parts[0][2..], &clock[..2]).unwrap();
    }
    write_gz(&folder.join("BATADAL_dataset04.csv.gz"), &text);
    let attacks = "file,attack,first_hour,last_hour\ndataset04,1,2016-09-04T10:00,2016-09-04T20:00\n\
                   dataset04,2,2016-09-20T10:00,2016-09-20T20:00\ntest,8,2017-01-16T09:00,2017-01-19T06:00\n";
    fs::write(folder.join("attacks.csv"), attacks).unwrap();
    let report = run(&folder);
    let events = &report.total().events;
    // Hour 1500 is 2016-09-04 12:00.
    assert_eq!(events.iter().map(|event| event.hours).collect::<Vec<_>>(), [Some(2.0), None]);
    assert_eq!(report.total().false_episodes, 0);
}

#[test]
fn chillers_excuse_services_and_join_points() {
    let (_root, folder) = folder("chillers-real");
    let extreme = |hour: i64| match hour {
        800..810 | 1000..1005 => Some(5000.0),
        _ => None,
    };
    let mut text = "timestamp_local,date_as_exported,Actual Line Current,Oil Sump Temp\n".to_owned();
    for (time, one, other) in hours(1200, "2025-03-09", extreme) {
        writeln!(text, "{},x,{},{other}", time.replace(' ', "T"), one.max(0.0)).unwrap();
    }
    write_gz(&folder.join("monash_chiller1_hourly.csv.gz"), &text);
    write_gz(&folder.join("bartech_chiller2_flow.csv.gz"), "save_time,value\n1726630200,22.5\n1726631100,22.6\n");
    write_gz(&folder.join("bartech_chiller2_status.csv.gz"), "save_time,value\n1726630200,1\n");
    let events = "machine,first_local,last_local,kind,evidence\n\
                  monash_chiller1,2025-04-11T00:00,2025-04-12T23:00,service (apparent),\"steps, for good\"\n\
                  monash_chiller1,2025-04-19T15:00,2025-04-19T17:00,polling lost,zeros\n";
    fs::write(folder.join("events_derived.csv"), events).unwrap();
    let report = run(&folder);
    assert_eq!(report.line.len(), 2);
    let chiller = &report.line[0].1;
    // Hour 800 is 2025-04-11 08:00, in the service; hour 1000 is 2025-04-19 16:00, at the lost polling.
    assert_eq!(chiller.false_episodes, 1);
    assert!(chiller.events[0].is_service && chiller.events[0].hours == Some(8.0));
    assert!(chiller.apart.contains(&("at lost polling", 1)));
}

#[test]
fn wind_turbines_need_long_stops_to_be_noticed() {
    let (_root, folder) = folder("wind-haute-borne");
    let extreme = |hour: i64| (1600..1610).contains(&hour).then_some(5000.0);
    let mut text = "Wind_turbine_name,Date_time,P_avg,Ws_avg\n".to_owned();
    for (time, one, other) in hours(2000, "2014-01-01", extreme) {
        writeln!(text, "R1,{}+01:00,{one},{other}", time.replace(' ', "T")).unwrap();
    }
    write_gz(&folder.join("R1.csv.gz"), &text);
    // Hour 1600 is 2014-03-08 16:00, an hour less in UTC.
    let stops = "turbine,first,last,hours,mean_wind_ms\nR1,2014-03-08T15:00:00+00:00,2014-03-09T01:00:00+00:00,10,7\n\
                 R1,2014-03-15T15:00:00+00:00,2014-03-15T16:00:00+00:00,1,7\n";
    fs::write(folder.join("stops_derived.csv"), stops).unwrap();
    let faults =
        "turbine,what,first,last,rows\nR1,Ws_avg constant,2014-03-18T15:00:00+00:00,2014-03-18T18:00:00+00:00,9\n";
    fs::write(folder.join("sensor_faults_derived.csv"), faults).unwrap();
    let total = run(&folder).total();
    assert_eq!((total.false_episodes, total.events.len()), (0, 2));
    assert_eq!(total.events[0].hours, Some(0.0));
    assert!(total.events[1].is_sensor_fault && !total.events[1].is_found());
}

#[test]
fn each_day_of_the_air_handler_follows_the_learnt_ones() {
    let (_root, folder) = folder("hvac-lbnl-ahu");
    let mut text = "Datetime,AHU: Supply,AHU: Valve,Fault Detection Ground Truth\n".to_owned();
    for day in 1..=11 {
        for minute in (0..1440).step_by(10) {
            let extreme = day == 1 && (400..500).contains(&minute);
            let value = if extreme { 5000.0 } else { f64::from(minute % 60) };
            let valve = if minute == 0 { "#VALUE!".to_owned() } else { format!("{}", minute % 60) };
            writeln!(text, "8/{day}/2007 {}:{:02},{value},{valve},0", minute / 60, minute % 60).unwrap();
        }
    }
    write_gz(&folder.join("MZVAV-2-1.csv.gz"), &text);
    fs::write(folder.join("faults.csv"), "file,day,fault,intensity\nMZVAV-2-1,2007-08-01,leak,1\n").unwrap();
    let report = run(&folder);
    let names: Vec<&str> = report.line.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["leak 2007-08-01", "healthy 2007-08-10", "healthy 2007-08-11"]);
    assert!(report.line[0].1.events[0].is_found());
    let hours = report.line[0].1.events[0].hours.unwrap();
    assert!((hours - 40.0 / 60.0).abs() < 1e-6, "{hours}");
    assert_eq!((report.total().false_episodes, report.total().units), (0, 2.0));
}

#[test]
fn sites_have_a_meter_without_a_header_and_days_with_a_log() {
    let (_root, folder) = folder("phm15-sites");
    let mut text = String::new();
    for (hour, (time, one, other)) in hours(1000, "2011-07-14", |_| None).into_iter().enumerate() {
        let power = if (800..806).contains(&hour) || (900..906).contains(&hour) { 5000.0 } else { one };
        writeln!(text, "METER,{time},{power},{other}").unwrap();
    }
    write_gz(&folder.join("site9b.csv.gz"), &text);
    // Hour 800 is 2011-08-16 08:00.
    write_gz(
        &folder.join("site9c.csv.gz"),
        "2011-08-16 06:00:00,\\N,SupplyTempTooCold\n2011-08-20 06:00:00,\\N,DATACHECK\n",
    );
    let total = run(&folder).total();
    assert_eq!((total.false_episodes, total.events.len()), (1, 1));
    assert!(total.events[0].hours.is_some());
}

#[test]
fn a_turbine_counts_by_rows_and_a_record_ends_with_its_failure() {
    let (_root, turbine) = folder("gas-turbine");
    let mut text = "Ambient temperature,NOx\n".to_owned();
    for row in 0..2440 {
        let value = if row == 1500 { 5000.0 } else { f64::from(row % 10) };
        writeln!(text, "{value},{}", row % 10).unwrap();
    }
    write_gz(&turbine.join("gt.csv.gz"), &text);
    let total = run(&turbine).total();
    assert!(total.false_episodes == 1 && (total.false_rate() - 0.5).abs() < 0.01, "{}", total.false_rate());

    let (_root, plant) = folder("plant-runtofail-init");
    let mut text = "Timestamp,L_1,A_1\n".to_owned();
    for row in 0..5000 {
        let value = if row == 2000 || row == 4700 { 5000.0 } else { f64::from(row % 10) };
        writeln!(text, "{row},{value},{}", row % 10).unwrap();
    }
    write_gz(&plant.join("C1.csv.gz"), &text);
    write_gz(&plant.join("C2-1.csv.gz"), &text);
    let report = run(&plant);
    assert!(report.line[0].1.events[0].is_found() && report.line[1].1.events.is_empty());
    assert_eq!((report.total().false_episodes, report.total().units), (2, 0.6));
}

#[test]
fn wells_learn_normal_rows_and_judge_those_of_the_other_files() {
    let (_root, folder) = folder("wells-3w");
    let file = |name: &str, date: &str, onset: usize, extreme: usize| {
        let mut text = "timestamp,P-PDG,T-TPT,class\n".to_owned();
        for second in 0..400 {
            let value = if second == extreme { 5000.0 } else { (second % 10) as f64 };
            let class = if second < onset { "0" } else { "102" };
            writeln!(text, "{date} 10:{:02}:{:02}.000000,{value},,{class}", second / 60, second % 60).unwrap();
        }
        write_gz(&folder.join(name), &text);
    };
    file("WELL-1_2014.csv.gz", "2014-05-15", 300, 330);
    file("WELL-1_2015.csv.gz", "2015-05-15", 300, 100);
    file("WELL-2_2015.csv.gz", "2015-05-15", 200, 250);
    let report = run(&folder);
    let row = |name: &str| report.line.iter().find(|(found, _)| found == name).map(|(_, score)| score).unwrap();
    assert_eq!(row("WELL-1_2014").events[0].hours, Some(30.0 / 3600.0));
    assert_eq!(row("WELL-1_2015").events[0].hours, None);
    assert_eq!(row("WELL-1, normal rows").false_episodes, 1);
    assert!(row("WELL-1, normal rows").judged_hours < 0.1, "not the year between the files");
    assert_eq!(report.line.len(), 4);
}

#[test]
fn folders_of_plants_with_another_layout_are_rejected() {
    let open =
        |_: &str, _: &[(String, String)]| -> Result<Box<dyn PlantLine>, Error> { unreachable!("nothing to run") };
    for set in SETS {
        let (_root, folder) = folder(set.folder);
        let message = evaluate_set(&set, &folder, &open).unwrap_err().to_string();
        assert!(message.contains(set.folder), "{message}");
    }
}

/// The stages run on a simulated plant, twice with the same result, and a line that raises no alert finds nothing.
#[test]
fn a_scenario_is_scored_from_the_plant_to_the_table() {
    let selected = [Scenario::named("wear-hourly-sensors").unwrap(), Scenario::named("hourly-sensors").unwrap()];
    let selection = Selection::all_seeds(&selected, 2, 30.0);
    let native = |toml: &str, sensors: &[(String, String)]| {
        NativeLine::open(toml, sensors).map(|line| Box::new(line) as Box<dyn PlantLine>)
    };
    let report = scenarios::evaluate(&selection, &native, &|| ()).unwrap();
    assert_eq!(report, scenarios::evaluate(&selection, &native, &|| ()).unwrap());
    println!("{}", report.table());

    let quiet = |_: &str, _: &[(String, String)]| Ok(Box::new(Quiet) as Box<dyn PlantLine>);
    let report = scenarios::evaluate(&selection, &quiet, &|| ()).unwrap();
    let wear = report.totals(&[ScenarioClass::SlowWear]);
    assert_eq!((wear.runs, wear.faults.len(), wear.found_before(1.0)), (2, 2, 0.0));
    let healthy = report.totals(&[ScenarioClass::Healthy]);
    assert_eq!((healthy.false_episodes, healthy.healthy_days), (0, 60.0));
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["scenarios"][0]["name"], "wear-hourly-sensors");
}

#[test]
fn a_fleet_has_healthy_and_failing_machines() {
    let fleet = Selection::fleet(16, 1, 30.0);
    let healthy = fleet.runs.iter().filter(|(scenario, _)| scenario.class == ScenarioClass::Healthy).count();
    assert_eq!((fleet.runs.len(), healthy), (16, 8));
    assert!(fleet.runs.iter().any(|(scenario, _)| scenario.class == ScenarioClass::SensorFault));
    let seeds =
        |seed| Selection::fleet(16, seed, 30.0).runs.iter().map(|(each, seed)| (each.name, *seed)).collect::<Vec<_>>();
    assert!(seeds(1) == seeds(1) && seeds(1) != seeds(2));
}
