//! Notes for the technician.

use crate::Alert;
use crate::catalogue::JobTemplate;
use crate::config::{Technician, ValidatedConfig};

/// Why a job has no slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum UnscheduledReason {
    /// No technician is configured.
    NoTechnicians,
    /// No technician has all the skills.
    MissingSkills,
    /// No technician with the skills works long enough without a break; the longest time, in minutes.
    ShiftsTooShort(i64),
    /// There is no free time before the horizon.
    HorizonFull,
    /// A predecessor has no slot; its kind.
    PredecessorUnscheduled(String),
}

/// Returns the notes of a job: reason, tools, predecessors, and cost or the reason why it is not scheduled.
pub(crate) fn notes(
    config: &ValidatedConfig,
    alert: &Alert,
    job: &JobTemplate,
    technician: Result<&Technician, &UnscheduledReason>,
) -> String {
    let mut notes = format!("{}.", alert.title.trim_end_matches('.'));
    if !alert.recommendation.is_empty() {
        notes.push(' ');
        notes.push_str(&alert.recommendation);
    }
    if let Some(tools) = tools_text(&job.kind) {
        notes.push_str(&format!(" Bring {tools}."));
    }
    if !job.after.is_empty() {
        notes.push_str(&format!(" After {}.", job.after.join(" and ")));
    }
    let currency = &config.currency;
    match technician {
        Ok(technician) => notes.push_str(&format!(
            " Labour {:.2} {currency}, parts {:.2} {currency}.",
            labour_cost(technician, job),
            job.parts_cost
        )),
        Err(reason) => notes.push_str(&format!(" Not scheduled: {}", reason_text(config, job, reason))),
    }
    notes
}

/// Cost of labour.
pub(crate) fn labour_cost(technician: &Technician, job: &JobTemplate) -> f64 {
    technician.hourly_cost * f64::from(job.duration_minutes) / 60.0
}

fn reason_text(config: &ValidatedConfig, job: &JobTemplate, reason: &UnscheduledReason) -> String {
    let skills = skills_text(job);
    match reason {
        UnscheduledReason::NoTechnicians => format!("no technician is configured; add one {skills}."),
        UnscheduledReason::MissingSkills => {
            let exists =
                |skill: &&String| config.technicians.iter().any(|technician| technician.skills.contains(*skill));
            let missing: Vec<&str> = job.skills.iter().filter(|skill| !exists(skill)).map(String::as_str).collect();
            if missing.is_empty() {
                format!("each skill exists, but no single technician comes {skills}.")
            } else {
                format!("no technician has skill {}.", missing.join(", "))
            }
        }
        UnscheduledReason::ShiftsTooShort(longest) => format!(
            "no shift is long enough: the job takes {} minutes, and the longest shift of a technician {skills} has {longest}.",
            job.duration_minutes
        ),
        UnscheduledReason::HorizonFull => format!(
            "the horizon of {} hours is full: no technician {skills} has {} free minutes while the machine is free too. \
             The planner retries as time passes.",
            config.horizon / 60,
            job.duration_minutes
        ),
        UnscheduledReason::PredecessorUnscheduled(kind) => format!("its predecessor {kind} is not scheduled."),
    }
}

fn skills_text(job: &JobTemplate) -> String {
    if job.skills.is_empty() { "of any skill".into() } else { format!("with {}", job.skills.join(" and ")) }
}

fn tools_text(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "inspection" => "vibration meter, infrared thermometer, stethoscope and torch",
        "bearing-replacement" => "the spare bearing, puller, induction heater, fresh grease and lock-out tags",
        "balancing" => "balancing set with phase reference, trial weights and cleaning tools",
        "alignment" => "laser alignment set, shims, torque wrench and lock-out tags",
        "lubrication" => "the grease or oil specified for the machine, and a metered grease gun",
        "electrical-inspection" => "clamp meter, insulation tester, thermal camera and lock-out tags",
        "sensor-repair" => "a spare sensor and cable, multimeter and a hand-held reference instrument",
        _ => return None,
    })
}
