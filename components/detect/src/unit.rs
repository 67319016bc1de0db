//! A unit is what is scored together: the scalar sensors of an asset, or one sensor that sends bursts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    columns::{Column, Normal},
    detectors::{Any, Detector as _, Kind},
};

/// A window is scored without its missing sensors when so many later ones wait.
const LAG: usize = 3;
/// A sensor that missed so many windows is no longer waited for.
const ABSENT: u32 = 3;
/// Windows with fewer readings than this share of what is usual say nothing: the start and the end of a stretch of data.
const WHOLE: f64 = 0.5;
/// Learning goes on with windows that are no anomalies up to this multiple of the warm-up; then what is normal stands.
const LEARN: usize = 2;

/// One sensor's row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) count: u32,
    pub(crate) values: Vec<f64>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Member {
    name: Box<str>,
    /// Windows in a row that came without it.
    absent: u32,
}

/// A window that waits for its sensors; `(start, end)` is its key.
type Pending = BTreeMap<(i64, i64), Vec<Option<Row>>>;

/// What was learnt.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Model {
    /// Names of the sensors, in the order of the z-values.
    pub(crate) sensors: Vec<Box<str>>,
    /// Usual readings in a window, one a sensor.
    counts: Vec<f64>,
    /// `sensors · columns`.
    pub(crate) normals: Vec<Normal>,
    pub(crate) detector: Any,
    /// Windows it was learnt from.
    pub(crate) windows: u32,
}

/// A window with all its sensors that came.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    pub(crate) start: i64,
    pub(crate) end: i64,
    pub(crate) rows: Vec<Option<Row>>,
}

/// See the module.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Unit {
    pub(crate) asset: Box<str>,
    /// The feature list's number.
    pub(crate) list: u32,
    members: Vec<Member>,
    pending: Pending,
    /// Start of the last window released.
    released: Option<i64>,
    releases: u32,
    /// Windows to learn from, oldest first; empty once all is learnt.
    learning: Vec<Vec<Option<Row>>>,
    warmup: usize,
    pub(crate) model: Option<Model>,
    touched: bool,
}

impl Unit {
    pub(crate) fn new(asset: &str, list: u32, warmup: usize) -> Self {
        Self {
            asset: asset.into(),
            list,
            members: Vec::new(),
            pending: Pending::new(),
            released: None,
            releases: 0,
            learning: Vec::new(),
            warmup,
            model: None,
            touched: false,
        }
    }

    /// Takes a sensor's row; the windows that are complete by it come out, oldest first.
    pub(crate) fn take(&mut self, sensor: &str, start: i64, end: i64, row: Row, out: &mut Vec<Window>) {
        self.touched = true;
        let place = match self.members.iter().position(|member| &*member.name == sensor) {
            Some(place) => place,
            None => {
                self.members.push(Member { name: sensor.into(), absent: 0 });
                self.members.len() - 1
            }
        };
        // Its window was scored without it.
        if self.released.is_some_and(|released| start <= released) {
            return;
        }
        let rows = self.pending.entry((start, end)).or_default();
        if rows.len() <= place {
            rows.resize(place + 1, None);
        }
        if let Some(slot) = rows.get_mut(place) {
            *slot = Some(row);
        }
        while let Some(first) = self.pending.first_entry() {
            // At first it is not known which sensors there are.
            let known = self.releases >= 3;
            let whole = self
                .members
                .iter()
                .enumerate()
                .all(|(at, member)| member.absent >= ABSENT || first.get().get(at).is_some_and(Option::is_some));
            if !(known && whole) && self.pending.len() <= LAG {
                break;
            }
            self.release(out);
        }
    }

    /// All windows that wait, if nothing came since the last time this was asked.
    pub(crate) fn tick(&mut self, out: &mut Vec<Window>) {
        if !std::mem::take(&mut self.touched) {
            self.flush(out);
        }
    }

    /// All windows that wait.
    pub(crate) fn flush(&mut self, out: &mut Vec<Window>) {
        while !self.pending.is_empty() {
            self.release(out);
        }
    }

    fn release(&mut self, out: &mut Vec<Window>) {
        let Some(((start, end), mut rows)) = self.pending.pop_first() else { return };
        rows.resize(self.members.len(), None);
        for (member, row) in self.members.iter_mut().zip(&rows) {
            member.absent = if row.is_some() { 0 } else { member.absent.saturating_add(1) };
        }
        self.released = Some(start);
        self.releases = self.releases.saturating_add(1);
        out.push(Window { start, end, rows });
    }

    /// How far the window is from normal, and its z-values. None while learning, or when it has too few readings.
    pub(crate) fn score(&self, window: &Window, columns: &[Column]) -> Option<(f64, Vec<f64>)> {
        let model = self.model.as_ref()?;
        let z = model.z(&window.rows, columns)?;
        Some((model.detector.ratio(&z), z))
    }

    /// Learns from a window that is no anomaly.
    pub(crate) fn learn(&mut self, window: Window, columns: &[Column], kind: Kind) {
        let most = LEARN * self.warmup;
        if self.model.as_ref().is_some_and(|model| model.windows as usize >= most) {
            return;
        }
        self.learning.push(window.rows);
        let count = self.learning.len();
        if count == self.warmup || count == most {
            let names = self.members.iter().map(|member| member.name.clone()).collect();
            self.model = Some(Model::fit(&self.learning, names, columns, kind));
        }
        if count == most {
            self.learning = Vec::new();
        }
    }
}

impl Model {
    fn fit(windows: &[Vec<Option<Row>>], sensors: Vec<Box<str>>, columns: &[Column], kind: Kind) -> Self {
        let mut counts = Vec::with_capacity(sensors.len());
        let mut normals = Vec::with_capacity(sensors.len() * columns.len());
        for at in 0..sensors.len() {
            let rows = || windows.iter().filter_map(move |rows| rows.get(at)?.as_ref());
            let usual = crate::robust::median(&mut rows().map(|row| f64::from(row.count)).collect());
            let whole = || rows().filter(move |row| f64::from(row.count) >= WHOLE * usual);
            counts.push(usual);
            let mut level = 0.0;
            for column in columns {
                let mut values: Vec<f64> =
                    whole().filter_map(|row| row.values.get(column.at as usize).copied()).collect();
                let normal = Normal::fit(column.shape, &mut values, level);
                // The first column is the mean: the level that the others are measured by.
                if level == 0.0 && normal.expected.is_finite() {
                    level = normal.expected;
                }
                normals.push(normal);
            }
        }
        let windows_learnt = u32::try_from(windows.len()).unwrap_or(u32::MAX);
        let mut model = Self { sensors, counts, normals, detector: Any::new(kind), windows: windows_learnt };
        let z: Vec<_> = windows.iter().filter_map(|rows| model.z(rows, columns)).collect();
        model.detector.fit(&z, columns.len());
        model
    }

    /// The z-values of a window; a sensor that is missing, new, or has too few readings has none that stand out.
    fn z(&self, rows: &[Option<Row>], columns: &[Column]) -> Option<Vec<f64>> {
        let mut z = Vec::with_capacity(self.normals.len());
        let mut any = false;
        for (at, (normals, usual)) in self.normals.chunks(columns.len().max(1)).zip(&self.counts).enumerate() {
            let row = rows.get(at).and_then(Option::as_ref).filter(|row| f64::from(row.count) >= WHOLE * usual);
            any |= row.is_some();
            for (column, normal) in columns.iter().zip(normals) {
                let value = row.and_then(|row| row.values.get(column.at as usize).copied());
                z.push(value.map_or(0.0, |value| normal.z(column.shape, value)));
            }
        }
        any.then_some(z)
    }
}
