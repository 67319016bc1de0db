//! Scoring units. A unit is a group of sensors that are scored together: the scalar sensors of an asset, or one
//! waveform sensor. It collects the rows of its sensors into windows.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    condition::ConditionModel,
    scalars::ScalarModel,
    waveform::WaveformModel,
    window::{FeatureRow, MAX_ABSENT, Member, Window},
};

/// A window is scored without its missing sensors once this many later ones are pending.
const MAX_PENDING: usize = 3;

/// Most sensors of a unit, the first ones that send; work and state grow with them.
const MAX_MEMBERS: usize = 1_024;

/// Windows that wait for sensors, by `(start, end)`.
type PendingWindows = BTreeMap<(i64, i64), Vec<Option<FeatureRow>>>;

/// Model of a unit.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum UnitModel {
    Scalars(Box<ScalarModel>),
    Waveform(Box<WaveformModel>),
    Condition(Box<ConditionModel>),
}

/// A scoring unit; see the module documentation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ScoringUnit {
    pub(crate) asset: Box<str>,
    /// Index of the feature list.
    pub(crate) feature_list: u32,
    pub(crate) members: Vec<Member>,
    pending: PendingWindows,
    /// Start of the last released window.
    last_released: Option<i64>,
    release_count: u32,
    has_new_rows: bool,
    pub(crate) model: UnitModel,
}

impl ScoringUnit {
    pub(crate) fn new(asset: &str, list: u32, model: UnitModel) -> Self {
        Self {
            asset: asset.into(),
            feature_list: list,
            members: Vec::new(),
            pending: PendingWindows::new(),
            last_released: None,
            release_count: 0,
            has_new_rows: false,
            model,
        }
    }

    /// Adds a row of a sensor and appends the windows that are now complete to `out`, oldest first.
    pub(crate) fn add_row(&mut self, sensor: &str, start: i64, end: i64, row: FeatureRow, out: &mut Vec<Window>) {
        self.has_new_rows = true;
        let index = match self.members.iter().position(|member| &*member.name == sensor) {
            Some(index) => index,
            None => {
                self.members.push(Member { name: sensor.into(), missed_windows: 0 });
                self.members.len() - 1
            }
        };
        // The window was already scored without this row.
        if self.last_released.is_some_and(|released| start <= released) {
            return;
        }
        let rows = self.pending.entry((start, end)).or_default();
        if rows.len() <= index {
            rows.resize(index + 1, None);
        }
        if let Some(slot) = rows.get_mut(index) {
            *slot = Some(row);
        }
        while let Some(first) = self.pending.first_entry() {
            // At first the set of sensors is unknown.
            let members_known = self.release_count >= 3;
            let complete = self.members.iter().enumerate().all(|(at, member)| {
                member.missed_windows >= MAX_ABSENT || first.get().get(at).is_some_and(Option::is_some)
            });
            if !(members_known && complete) && self.pending.len() <= MAX_PENDING {
                break;
            }
            self.release(out);
        }
    }

    /// True if the sensor belongs to the unit or can be added.
    pub(crate) fn accepts(&self, sensor: &str) -> bool {
        self.members.len() < MAX_MEMBERS || self.members.iter().any(|member| &*member.name == sensor)
    }

    /// True if windows are pending.
    pub(crate) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// True if windows are pending and no row came since the last call.
    pub(crate) fn is_due(&mut self) -> bool {
        !std::mem::take(&mut self.has_new_rows) && self.has_pending()
    }

    /// Discards all pending windows. Rows of them that come later are dropped too.
    pub(crate) fn discard_pending(&mut self) {
        if let Some(((start, _), _)) = self.pending.last_key_value() {
            self.last_released = Some(*start);
        }
        self.pending.clear();
    }

    /// Appends all pending windows to `out`.
    pub(crate) fn flush(&mut self, out: &mut Vec<Window>) {
        while !self.pending.is_empty() {
            self.release(out);
        }
    }

    fn release(&mut self, out: &mut Vec<Window>) {
        let Some(((start, end), mut rows)) = self.pending.pop_first() else { return };
        rows.resize(self.members.len(), None);
        for (member, row) in self.members.iter_mut().zip(&rows) {
            member.missed_windows = if row.is_some() { 0 } else { member.missed_windows.saturating_add(1) };
        }
        self.last_released = Some(start);
        self.release_count = self.release_count.saturating_add(1);
        out.push(Window { start, end, rows });
    }
}
