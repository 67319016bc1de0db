//! A unit is what is scored together: the scalar sensors of an asset, or one sensor that sends bursts. Here its sensors' rows
//! are gathered into windows.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{burst::Burst, scalars::Scalars};

/// A window is scored without its missing sensors when so many later ones wait.
const LAG: usize = 3;
/// A sensor that missed so many windows is no longer waited for.
pub(crate) const ABSENT: u32 = 3;

/// Sensors by which an asset is scored, the first that send; work and state grow with them.
const MOST_MEMBERS: usize = 1_024;

/// One sensor's row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) count: u32,
    pub(crate) values: Vec<f64>,
}

/// A sensor of the unit.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Member {
    pub(crate) name: Box<str>,
    /// Windows in a row that came without it.
    pub(crate) absent: u32,
}

/// A window that waits for its sensors; `(start, end)` is its key.
type Pending = BTreeMap<(i64, i64), Vec<Option<Row>>>;

/// A window with all its sensors that came, in the order of the unit's members.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    pub(crate) start: i64,
    pub(crate) end: i64,
    pub(crate) rows: Vec<Option<Row>>,
}

/// What is known of a unit.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Subject {
    Scalars(Box<Scalars>),
    Burst(Box<Burst>),
}

/// See the module.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Unit {
    pub(crate) asset: Box<str>,
    /// The feature list's number.
    pub(crate) list: u32,
    pub(crate) members: Vec<Member>,
    pending: Pending,
    /// Start of the last window released.
    released: Option<i64>,
    releases: u32,
    touched: bool,
    pub(crate) subject: Subject,
}

impl Unit {
    pub(crate) fn new(asset: &str, list: u32, subject: Subject) -> Self {
        Self {
            asset: asset.into(),
            list,
            members: Vec::new(),
            pending: Pending::new(),
            released: None,
            releases: 0,
            touched: false,
            subject,
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

    /// Whether the sensor is one that the unit is scored by, or can become one.
    pub(crate) fn admits(&self, sensor: &str) -> bool {
        self.members.len() < MOST_MEMBERS || self.members.iter().any(|member| &*member.name == sensor)
    }

    /// Whether windows wait.
    pub(crate) fn waits(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Whether windows wait, and nothing came since the last time this was asked.
    pub(crate) fn is_due(&mut self) -> bool {
        !std::mem::take(&mut self.touched) && self.waits()
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
}
