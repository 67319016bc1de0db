//! The outcome of an attempt to send a notification.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

/// The outcome of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The receiver has the notification.
    Delivered,
    /// A server has accepted the notification; what it does with it is not known here.
    Accepted {
        /// Where to see what became of it.
        note: String,
    },
    /// The receiver will never accept this notification.
    Rejected {
        /// What is wrong and what to do. Contains no secret.
        why: String,
    },
    /// The receiver may accept it later.
    Failed {
        /// What is wrong and what to do. Contains no secret.
        why: String,
        /// The pause that the receiver asks for.
        retry_after: Option<Duration>,
    },
}

impl Outcome {
    /// A failure without a pause that the receiver asks for.
    pub(crate) fn failed(why: impl Into<String>) -> Self {
        Self::Failed { why: why.into(), retry_after: None }
    }

    /// A rejection.
    pub(crate) fn rejected(why: impl Into<String>) -> Self {
        Self::Rejected { why: why.into() }
    }

    /// Whether the receiver, or a server on the way, has taken the notification.
    pub fn is_success(&self) -> bool {
        matches!(self, Self::Delivered | Self::Accepted { .. })
    }
}

/// An attempt to send a notification to all recipients of a channel that did not get it yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The outcome for all recipients together: `Failed` if one of them should be tried again.
    pub outcome: Outcome,
    /// Recipients that are finished: they have the notification, or will never accept it. They are left out of the
    /// next attempt.
    pub finished: Vec<String>,
    /// Recipients that will never accept it, and why.
    pub refused: Vec<(String, String)>,
}

impl From<Outcome> for Attempt {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, finished: Vec::new(), refused: Vec::new() }
    }
}

impl Attempt {
    /// Sends to each recipient that is not in `finished`. A receiver that is down lets each one wait until its time-out,
    /// so after `limit` the others are left for the next attempt.
    pub(crate) fn to_each(
        recipients: &[String],
        finished: &BTreeSet<String>,
        limit: Duration,
        send: impl Fn(&str) -> Outcome,
    ) -> Self {
        let began = Instant::now();
        let open = recipients.iter().filter(|recipient| !finished.contains(*recipient));
        let outcomes = open.map(|recipient| {
            let is_late = began.elapsed() > limit;
            let outcome =
                if is_late { Outcome::failed("not tried yet, as the receiver is slow") } else { send(recipient) };
            (recipient.clone(), outcome)
        });
        Self::of_recipients(outcomes.collect())
    }

    /// Combines the outcomes of several recipients: a refused recipient does not lose the message of the others.
    pub(crate) fn of_recipients(outcomes: Vec<(String, Outcome)>) -> Self {
        let (mut finished, mut refused) = (Vec::new(), Vec::new());
        let (mut failure, mut success) = (None, None);
        for (recipient, outcome) in outcomes {
            match outcome {
                Outcome::Failed { why, retry_after } => {
                    let why = format!("{recipient}: {why}");
                    failure = Some(match failure {
                        Some(Outcome::Failed { why: first, retry_after: pause }) => {
                            Outcome::Failed { why: first, retry_after: retry_after.max(pause) }
                        }
                        _ => Outcome::Failed { why, retry_after },
                    });
                }
                Outcome::Rejected { why } => {
                    finished.push(recipient.clone());
                    refused.push((recipient, why));
                }
                accepted => {
                    finished.push(recipient);
                    success = Some(accepted);
                }
            }
        }
        let rejected = || {
            let all: Vec<String> = refused.iter().map(|(recipient, why)| format!("{recipient}: {why}")).collect();
            Outcome::Rejected { why: all.join("; ") }
        };
        // Nobody left to send to: an earlier attempt has reached all of them.
        let nobody = finished.is_empty() && failure.is_none();
        let outcome = failure.or(success).unwrap_or_else(|| if nobody { Outcome::Delivered } else { rejected() });
        Self { outcome, finished, refused }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_receiver_does_not_hold_up_the_channel() {
        let recipients: Vec<String> = (0..5).map(|number| number.to_string()).collect();
        let attempt =
            Attempt::to_each(&recipients, &BTreeSet::from(["0".into()]), Duration::from_millis(20), |recipient| {
                std::thread::sleep(Duration::from_millis(30));
                if recipient == "1" { Outcome::Delivered } else { Outcome::failed("time-out") }
            });
        assert_eq!(attempt.finished, ["1"]);
        assert_eq!(attempt.outcome, Outcome::failed("2: not tried yet, as the receiver is slow"));
    }

    #[test]
    fn a_refused_recipient_does_not_lose_the_message_of_the_others() {
        let of = |outcomes: &[(&str, Outcome)]| {
            Attempt::of_recipients(
                outcomes.iter().map(|(name, outcome)| ((*name).to_owned(), outcome.clone())).collect(),
            )
        };
        let (refused, later) = (Outcome::rejected("no such user"), Outcome::failed("try later"));
        let attempt = of(&[("a", Outcome::Delivered), ("b", refused.clone())]);
        assert_eq!(attempt.outcome, Outcome::Delivered);
        assert_eq!(attempt.finished, ["a", "b"]);
        assert_eq!(attempt.refused, [("b".to_owned(), "no such user".to_owned())]);
        let attempt = of(&[("a", Outcome::Delivered), ("b", refused.clone()), ("c", later)]);
        assert_eq!(attempt.outcome, Outcome::failed("c: try later"));
        assert_eq!(attempt.finished, ["a", "b"]);
        assert_eq!(of(&[("b", refused)]).outcome, Outcome::rejected("b: no such user"));
        assert_eq!(of(&[]).outcome, Outcome::Delivered);
    }
}
