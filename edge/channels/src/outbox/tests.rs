#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::{Wording, notification::tests::message};

const START: i64 = 1_767_600_000 * SECOND;

/// An outbox with the rows that a store would have.
struct Stored {
    outbox: Outbox,
    rows: BTreeMap<String, Vec<u8>>,
}

fn settings(max_per_minute: u32, has_fallback: bool) -> OutboxSettings {
    OutboxSettings { channel: "mail".into(), max_per_minute, group_wait: Duration::from_secs(5), has_fallback }
}

fn free(_: &AlertMessage) -> Option<i64> {
    None
}

impl Stored {
    fn new(max_per_minute: u32, has_fallback: bool) -> Self {
        Self { outbox: Outbox::new(settings(max_per_minute, has_fallback)), rows: BTreeMap::new() }
    }

    fn store(&mut self) {
        for (key, value) in self.outbox.take_changes() {
            match value {
                Some(value) => self.rows.insert(key, value),
                None => self.rows.remove(&key),
            };
        }
    }

    /// What a killed process finds at its next start.
    fn restart(&mut self) {
        let (outbox, unreadable) = Outbox::restore(self.outbox.settings.clone(), self.rows.clone());
        assert_eq!(unreadable, 0);
        self.outbox = outbox;
    }

    fn push(&mut self, id: &str, event: Event, severity: Severity, now: i64) {
        self.outbox.push(message(id, event, severity), now, free);
        self.store();
    }

    fn next(&mut self, now: i64) -> Step {
        let step = self.outbox.next(now, free);
        self.store();
        step
    }

    fn send(&mut self, now: i64) -> Option<Parcel> {
        match self.next(now) {
            Step::Send(parcel) => Some(*parcel),
            _ => None,
        }
    }

    fn record(&mut self, parcel: &Parcel, outcome: Outcome, now: i64) -> Effect {
        let effect = self.outbox.record(parcel.key(), &outcome.into(), now);
        self.store();
        effect
    }
}

#[test]
fn a_message_waits_for_others_and_is_sent_once() {
    let mut mail = Stored::new(10, false);
    mail.push("1", Event::Opened, Severity::High, START);
    assert_eq!(mail.next(START), Step::Wait(Some(START + 5 * SECOND)));
    // The same message again, as after a crash.
    mail.push("1", Event::Opened, Severity::High, START + SECOND);
    let parcel = mail.send(START + 5 * SECOND).unwrap();
    assert_eq!(parcel.key(), message("1", Event::Opened, Severity::High).key);
    assert_eq!(mail.record(&parcel, Outcome::Delivered, START + 6 * SECOND), Effect::Done);
    mail.push("1", Event::Opened, Severity::High, START + 7 * SECOND);
    assert_eq!(mail.next(START + 60 * SECOND), Step::Wait(None));
    assert!(mail.outbox.is_empty());
}

#[test]
fn a_power_cut_is_one_summary_that_names_what_happened() {
    let mut mail = Stored::new(10, false);
    for number in 0..10_000 {
        let severity = if number % 100 == 0 { Severity::Critical } else { Severity::Medium };
        let mut alert = message(&number.to_string(), Event::Opened, severity);
        alert.asset = format!("site-{}/hall/pump-{number}", number % 3);
        mail.outbox.push(alert, START + number * SECOND / 10_000, free);
    }
    mail.store();
    assert!(mail.rows.len() <= MAX_WAITING + 1, "{}", mail.rows.len());
    let parcel = mail.send(START + 5 * SECOND).unwrap();
    let notification = parcel.notification(&Wording::default());
    assert_eq!(notification.subject, "10000 alerts, 100 critical: site-0, site-1, site-2");
    assert_eq!(notification.severity, Severity::Critical);
    let named = &notification.sections[0].text;
    assert_eq!(named.lines().count(), MAX_NAMED_LINES);
    assert!(named.lines().take(20).all(|line| line.ends_with("(critical)")), "{named}");
    assert!(named.ends_with("and 9980 more"), "{named}");
    let fact = |label: &str| notification.facts.iter().find(|fact| fact.label == label).unwrap().value.clone();
    assert_eq!(fact("Alerts"), "10000 opened");
    assert_eq!(fact("Severity"), "100 critical, 9900 medium");
    assert_eq!(fact("Sites"), "site-0 3334, site-1 3333, site-2 3333");
    mail.record(&parcel, Outcome::Delivered, START + 6 * SECOND);
    assert_eq!(mail.next(START + 7 * SECOND), Step::Wait(None));
}

#[test]
fn alerts_that_arrive_over_a_minute_are_two_summaries() {
    let mut mail = Stored::new(10, false);
    let (mut sent, mut singles) = (Vec::new(), 0);
    for tenth in 0..900 {
        let now = START + tenth * SECOND / 10;
        if tenth < 500 {
            mail.push(&tenth.to_string(), Event::Opened, Severity::High, now);
        }
        while let Some(parcel) = mail.send(now) {
            mail.record(&parcel, Outcome::Delivered, now);
            if parcel.count() == 1 {
                singles += 1;
            } else {
                sent.push((tenth / 10, parcel.count()));
            }
        }
    }
    assert_eq!((sent.as_slice(), singles), (&[(5, 51), (65, 449)][..], 0));
    // A few later ones are sent one by one, without waiting for the next summary.
    mail.push("later", Event::Opened, Severity::High, START + 90 * SECOND);
    assert_eq!(mail.send(START + 95 * SECOND).map(|parcel| parcel.count()), Some(1));
}

/// Twenty named alerts, and the number of the others.
const MAX_NAMED_LINES: usize = 21;

#[test]
fn the_rate_is_limited_and_the_rest_is_summarised() {
    let mut mail = Stored::new(2, false);
    let mut sent = Vec::new();
    for second in 0..600 {
        let now = START + second * SECOND;
        mail.push(&second.to_string(), Event::Opened, Severity::Low, now);
        while let Some(parcel) = mail.send(now) {
            sent.push(parcel.count());
            mail.record(&parcel, Outcome::Delivered, now);
        }
    }
    assert!(sent.len() <= 2 + 20, "{sent:?}");
    assert_eq!(sent.iter().sum::<usize>() + mail.outbox.len(), 600);
}

#[test]
fn an_alert_that_resolves_before_it_is_sent_is_not_told() {
    let mut mail = Stored::new(10, false);
    mail.push("1", Event::Opened, Severity::Low, START);
    mail.push("1", Event::Raised, Severity::Critical, START + SECOND);
    // It is still news that it opened, now with the higher severity.
    let notification = {
        let mut copy = Stored::new(10, false);
        copy.rows = mail.rows.clone();
        copy.restart();
        copy.send(START + 5 * SECOND).unwrap().notification(&Wording::default())
    };
    assert_eq!((notification.event, notification.severity), (Event::Opened, Severity::Critical));
    mail.push("1", Event::Resolved, Severity::Critical, START + 2 * SECOND);
    assert_eq!(mail.next(START + 60 * SECOND), Step::Wait(None));
    // A raise of an alert that was told, and its end, are one message.
    mail.push("2", Event::Raised, Severity::High, START);
    mail.push("2", Event::Resolved, Severity::High, START + SECOND);
    assert_eq!(mail.send(START + 10 * SECOND).unwrap().notification(&Wording::default()).event, Event::Resolved);
}

#[test]
fn a_held_message_waits_and_a_raise_above_the_limit_is_sent() {
    let morning = START + 8 * 3600 * SECOND;
    let quiet = |message: &AlertMessage| (message.severity < Severity::Critical).then_some(morning);
    let mut mail = Stored::new(10, false);
    mail.outbox.push(message("1", Event::Opened, Severity::High), START, quiet);
    mail.outbox.push(message("2", Event::Opened, Severity::High), START, quiet);
    assert_eq!(mail.outbox.next(START + 5 * SECOND, quiet), Step::Wait(Some(morning)));
    mail.outbox.push(message("2", Event::Raised, Severity::Critical), START + 60 * SECOND, quiet);
    let Step::Send(parcel) = mail.outbox.next(START + 60 * SECOND, quiet) else { panic!("nothing is sent") };
    assert_eq!(parcel.notification(&Wording::default()).thread, "2");
    mail.outbox.record(parcel.key(), &Outcome::Delivered.into(), START + 61 * SECOND);
    // A silence that was added in the meantime holds it further.
    let noon = morning + 4 * 3600 * SECOND;
    assert_eq!(mail.outbox.next(morning, |_| Some(noon)), Step::Wait(Some(noon)));
    let Step::Send(parcel) = mail.outbox.next(noon, free) else { panic!("nothing is sent") };
    assert_eq!(parcel.notification(&Wording::default()).thread, "1");
}

#[test]
fn a_failing_message_is_retried_and_does_not_hold_up_others() {
    let mut mail = Stored::new(60, false);
    mail.push("poison", Event::Opened, Severity::High, START);
    let poison = mail.send(START + 5 * SECOND).unwrap();
    let Effect::Retry { at } = mail.record(&poison, Outcome::failed("500"), START + 5 * SECOND) else { panic!() };
    assert!(at > START + 5 * SECOND && at <= START + 6 * SECOND);
    // That it resolved is not told before that it opened.
    mail.push("poison", Event::Resolved, Severity::High, START + 5 * SECOND);
    mail.push("good", Event::Opened, Severity::Low, START);
    let good = mail.send(START + 5 * SECOND).unwrap();
    assert_eq!(good.notification(&Wording::default()).thread, "good");
    mail.record(&good, Outcome::Delivered, START + 5 * SECOND);
    let mut now = at;
    for _ in 0..100 {
        match mail.next(now) {
            Step::Send(parcel) => {
                assert_eq!(parcel.key(), poison.key(), "the key is the same for each attempt");
                mail.record(&parcel, Outcome::failed("500"), now);
            }
            Step::Wait(Some(until)) => now = until,
            other => panic!("{other:?}"),
        }
    }
    // A pause that the receiver asks for is kept.
    let parcel = std::iter::from_fn(|| {
        let step = mail.next(now);
        if let Step::Wait(Some(until)) = step {
            now = until;
        }
        Some(step)
    })
    .find_map(|step| if let Step::Send(parcel) = step { Some(parcel) } else { None })
    .unwrap();
    let slow = Outcome::Failed { why: "429".into(), retry_after: Some(Duration::from_secs(300)) };
    assert_eq!(mail.record(&parcel, slow, now), Effect::Retry { at: now + 300 * SECOND });
}

#[test]
fn after_a_day_without_success_messages_are_abandoned() {
    let mut mail = Stored::new(60, false);
    mail.push("1", Event::Opened, Severity::High, START);
    let parcel = mail.send(START + 5 * SECOND).unwrap();
    assert!(matches!(mail.record(&parcel, Outcome::failed("down"), START + 5 * SECOND), Effect::Retry { .. }));
    let almost = START + 86_400 * SECOND;
    let parcel = mail.send(almost).unwrap();
    assert!(matches!(mail.record(&parcel, Outcome::failed("down"), almost), Effect::Retry { .. }));
    let day = START + 86_500 * SECOND;
    let parcel = mail.send(day).unwrap();
    assert_eq!(mail.record(&parcel, Outcome::failed("down"), day), Effect::Abandoned);
    assert!(mail.outbox.is_empty());
    mail.push("2", Event::Opened, Severity::High, day);
    let parcel = mail.send(day + 60 * SECOND).unwrap();
    assert_eq!(mail.record(&parcel, Outcome::rejected("410 gone"), day + 60 * SECOND), Effect::Abandoned);
}

#[test]
fn the_fallback_gets_what_the_channel_does_not_accept() {
    let (mut mail, mut phone) = (Stored::new(60, true), Stored::new(60, false));
    mail.push("1", Event::Opened, Severity::High, START);
    mail.push("2", Event::Opened, Severity::High, START);
    let mut now = START + 5 * SECOND;
    let state = loop {
        match mail.next(now) {
            Step::Send(parcel) => {
                mail.record(&parcel, Outcome::failed("down"), now);
            }
            Step::Wait(until) => now = until.unwrap(),
            Step::HandOver(state) => break *state,
        }
    };
    assert_eq!(mail.outbox.breaker(now), BreakerState::Open);
    assert!(mail.outbox.is_empty() && mail.rows.len() == 1);
    phone.outbox.take_over(state, now, free);
    let mut keys: Vec<String> = Vec::new();
    while let Some(parcel) = phone.send(now + 5 * SECOND) {
        phone.record(&parcel, Outcome::Delivered, now + 5 * SECOND);
        keys.push(parcel.key().to_owned());
    }
    keys.sort();
    assert_eq!(
        keys,
        [message("1", Event::Opened, Severity::High).key, message("2", Event::Opened, Severity::High).key]
    );
    // A message that is rejected for good goes there too.
    let mut mail = Stored::new(60, true);
    mail.push("3", Event::Opened, Severity::High, START);
    let parcel = mail.send(START + 5 * SECOND).unwrap();
    assert_eq!(mail.record(&parcel, Outcome::rejected("too odd"), START + 5 * SECOND), Effect::HandedOver);
    mail.restart();
    let Step::HandOver(state) = mail.next(START + 5 * SECOND) else { panic!() };
    assert_eq!(state.messages[0].alert, "3");
    assert!(mail.outbox.is_empty());
}

#[test]
fn the_end_of_an_alert_is_told_where_its_beginning_was() {
    // The fallback told that it opened, so it tells that it resolved.
    let (mut mail, mut phone) = (Stored::new(60, true), Stored::new(60, false));
    mail.push("1", Event::Opened, Severity::High, START);
    let parcel = mail.send(START + 5 * SECOND).unwrap();
    assert_eq!(mail.record(&parcel, Outcome::rejected("too odd"), START + 5 * SECOND), Effect::HandedOver);
    let mut told = Vec::new();
    for (event, second) in [(Event::Raised, 6), (Event::Resolved, 20), (Event::Opened, 40)] {
        let now = START + second * SECOND;
        while let Step::HandOver(state) = mail.next(now) {
            phone.outbox.take_over(*state, now, free);
        }
        while let Some(parcel) = phone.send(now + 6 * SECOND) {
            told.push(parcel.notification(&Wording::default()).event);
            phone.record(&parcel, Outcome::Delivered, now);
        }
        mail.restart();
        mail.push("1", event, Severity::High, now);
    }
    assert_eq!(told, [Event::Opened, Event::Raised, Event::Resolved]);
    // It is a new beginning, for the channel itself.
    assert_eq!(mail.send(START + 50 * SECOND).unwrap().notification(&Wording::default()).event, Event::Opened);

    // Without a fallback nobody knows that it opened.
    let mut mail = Stored::new(60, false);
    for (id, event, expected) in [("1", Event::Resolved, None), ("2", Event::Raised, Some(Event::Opened))] {
        mail.push(id, Event::Opened, Severity::High, START);
        let parcel = mail.send(START + 5 * SECOND).unwrap();
        assert_eq!(mail.record(&parcel, Outcome::rejected("too odd"), START + 5 * SECOND), Effect::Abandoned);
        mail.restart();
        mail.push(id, event, Severity::High, START + 6 * SECOND);
        let told = mail.send(START + 20 * SECOND);
        assert_eq!(told.as_ref().map(|parcel| parcel.notification(&Wording::default()).event), expected);
        if let Some(parcel) = told {
            mail.record(&parcel, Outcome::Delivered, START + 20 * SECOND);
        }
    }
}

#[test]
fn recipients_that_are_finished_are_remembered_across_a_restart() {
    let mut mail = Stored::new(60, false);
    mail.push("1", Event::Opened, Severity::High, START);
    let parcel = mail.send(START + 5 * SECOND).unwrap();
    let attempt =
        Attempt { outcome: Outcome::failed("b: greylisted"), finished: vec!["a@plant".into()], refused: Vec::new() };
    mail.outbox.record(parcel.key(), &attempt, START + 5 * SECOND);
    mail.store();
    mail.restart();
    let again = mail.send(START + 7 * SECOND).unwrap();
    assert_eq!(again.finished().iter().collect::<Vec<_>>(), ["a@plant"]);
}

#[derive(Clone, Debug)]
enum Op {
    Push(usize, Event),
    Next,
    Outcome(usize),
    Restart,
    Pass(i64),
}

fn op() -> impl Strategy<Value = Op> {
    let event = prop::sample::select(vec![Event::Opened, Event::Raised, Event::Resolved]);
    prop_oneof![
        4 => (0_usize..30, event).prop_map(|(id, event)| Op::Push(id, event)),
        4 => Just(Op::Next),
        4 => (0_usize..4).prop_map(Op::Outcome),
        1 => Just(Op::Restart),
        3 => (0_i64..120).prop_map(Op::Pass),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever fails and whenever the process is killed: no message is lost, and none is delivered twice unless the
    /// process was killed between sending and recording.
    #[test]
    fn no_message_is_lost(ops in prop::collection::vec(op(), 1..200), max in 1_u32..20, has_fallback: bool) {
        let mut mail = Stored::new(max, has_fallback);
        let (mut now, mut number) = (START, 0);
        let (mut pushed, mut done, mut merged) = (0_usize, 0_usize, 0_usize);
        let mut on_the_way: Option<Parcel> = None;
        for op in ops {
            match op {
                Op::Push(id, event) => {
                    number += 1;
                    let mut alert = message(&id.to_string(), event, Severity::High);
                    alert.key = format!("{number}");
                    let before = mail.outbox.len();
                    mail.outbox.push(alert, now, free);
                    mail.store();
                    pushed += 1;
                    // Each message is added, merged with one that waits, or takes that one away with it.
                    merged += before + 1 - mail.outbox.len();
                }
                Op::Next => match mail.next(now) {
                    Step::Send(parcel) => on_the_way = Some(*parcel),
                    Step::HandOver(state) => {
                        prop_assert!(has_fallback && !state.is_empty());
                        done += state.messages.len() + state.summary.count();
                        on_the_way = None;
                    }
                    Step::Wait(until) => prop_assert!(until.is_none_or(|until| until >= now)),
                },
                Op::Outcome(kind) => if let Some(parcel) = on_the_way.take() {
                    let outcome = match kind {
                        0 => Outcome::Delivered,
                        1 => Outcome::rejected("no"),
                        _ => Outcome::failed("later"),
                    };
                    let effect = mail.record(&parcel, outcome, now);
                    if matches!(effect, Effect::Done | Effect::Abandoned) {
                        done += parcel.count();
                    }
                },
                Op::Restart => {
                    mail.restart();
                    on_the_way = None;
                }
                Op::Pass(seconds) => now += seconds * SECOND,
            }
            prop_assert_eq!(pushed, done + merged + mail.outbox.len());
        }
    }
}
