//! Silences: alerts of some machines are not sent for some time.

use wheeltapper_config::{Silence, parse_instant};

use crate::ChannelError;

/// The silences of `[[alerts.silence]]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Silences(Vec<Window>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Window {
    sites: Vec<String>,
    machines: Vec<String>,
    from: i64,
    to: i64,
}

impl Silences {
    /// # Errors
    /// If a time is not valid or has no zone.
    pub fn new(settings: &[Silence]) -> Result<Self, ChannelError> {
        settings.iter().map(Window::new).collect::<Result<_, _>>().map(Self)
    }

    /// Returns when alerts of a machine may be sent, if that is after `now` (nanoseconds since 1970).
    pub fn hold_until(&self, asset: &str, now: i64) -> Option<i64> {
        let mut until = now;
        // Each window can extend the silence once.
        for _ in 0..self.0.len() {
            let covers = |window: &&Window| window.matches(asset) && window.from <= until && until < window.to;
            match self.0.iter().filter(covers).map(|window| window.to).max() {
                Some(to) => until = to,
                None => break,
            }
        }
        (until > now).then_some(until)
    }
}

impl Window {
    fn new(silence: &Silence) -> Result<Self, ChannelError> {
        let instant = |key: &str, text: &str| {
            parse_instant(text).map_err(|why| {
                let help = "write it as 2026-12-01T22:00:00+01:00 or 2026-12-01T22:00[Europe/Berlin]";
                ChannelError::new(format!("[[alerts.silence]] {key}: {why}"), help)
            })
        };
        Ok(Self {
            sites: silence.sites.clone(),
            machines: silence.machines.clone(),
            from: instant("from", &silence.from)?,
            to: instant("to", &silence.to)?,
        })
    }

    fn matches(&self, asset: &str) -> bool {
        let is_at = |site: &String| {
            asset.strip_prefix(site.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.machines.iter().any(|machine| machine == asset) || self.sites.iter().any(is_at)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn silence(sites: &[&str], machines: &[&str], from: &str, to: &str) -> Silence {
        let list = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        Silence { sites: list(sites), machines: list(machines), from: from.into(), to: to.into(), ..Silence::default() }
    }

    #[test]
    fn silences_hold_the_alerts_of_their_machines() {
        let silences = Silences::new(&[
            silence(&["north/hall-1"], &[], "2026-12-01T22:00[Europe/Amsterdam]", "2026-12-02T06:00:00+01:00"),
            silence(&[], &["south/pump"], "2026-12-01T21:00:00Z", "2026-12-01T22:00:00Z"),
            silence(&["south"], &[], "2026-12-01T22:00:00Z", "2026-12-01T23:00:00Z"),
        ])
        .unwrap();
        let until = |asset: &str, time: &str| {
            let hold = silences.hold_until(asset, parse_instant(time).unwrap());
            hold.map_or("sent".to_owned(), |until| crate::clock::timestamp(until).to_string())
        };
        assert_eq!(until("north/hall-1/pump", "2026-12-01T21:00:00Z"), "2026-12-02T05:00:00Z");
        assert_eq!(until("north/hall-1/pump", "2026-12-02T05:00:00Z"), "sent");
        assert_eq!(until("north/hall-10/pump", "2026-12-01T21:00:00Z"), "sent");
        // Two that follow each other.
        assert_eq!(until("south/pump", "2026-12-01T21:30:00Z"), "2026-12-01T23:00:00Z");
        assert_eq!(until("south/fan", "2026-12-01T21:30:00Z"), "sent");
    }

    #[test]
    fn a_local_time_without_a_zone_is_rejected() {
        let error = Silences::new(&[silence(&["a"], &[], "2026-12-01T22:00", "2026-12-02T22:00")]).unwrap_err();
        assert!(error.to_string().contains("no time zone"), "{error}");
    }
}
