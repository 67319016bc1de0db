//! What all connections share: sessions, subscriptions, retained messages, and the way to the sink.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::{mpsc, watch};

use super::{
    message::Message,
    retained::Retained,
    session::{Delivery, Link, QueueLimits, Session, Will},
    stats::{Counters, count},
    subscriptions::{Match, Options, Subscriptions},
    throttle::Throttle,
};
use crate::{
    Answer, Exchange, Publish, Released, Sink, Verdict,
    codec::reason,
    config::BrokerConfig,
    rights::{Authenticator, Grant},
    topic::{self, Filter, TopicError},
};

/// How long a closed connection's messages may still wait for the sink's verdict.
pub(crate) const DRAIN: Duration = Duration::from_secs(5);

/// Bytes of all filters of one session.
const MAX_FILTER_BYTES: usize = 256 << 10;

pub(crate) struct Hub {
    pub(crate) config: BrokerConfig,
    pub(crate) auth: Arc<dyn Authenticator>,
    pub(crate) throttle: Mutex<Throttle>,
    pub(crate) counters: Counters,
    /// Bytes of packets that are not complete, of all connections.
    pub(crate) input_bytes: AtomicUsize,
    pub(super) queued_bytes: Arc<AtomicUsize>,
    sink: Arc<dyn Sink>,
    ingest_all: bool,
    pub(super) sessions: Mutex<HashMap<Arc<str>, Arc<Session>>>,
    subscriptions: RwLock<Subscriptions<Arc<Session>>>,
    /// Kept beside the tree, so that without subscribers a publish takes no lock.
    pub(super) subscribed: AtomicUsize,
    pub(super) retained: Mutex<Retained>,
    numbers: AtomicU64,
    /// Messages of QoS 0 that the sink was too busy for.
    pub(super) lost: AtomicU64,
    wills: mpsc::Sender<Will>,
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub")
            .field("config", &self.config)
            .field("subscribed", &self.subscribed)
            .finish_non_exhaustive()
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A connection's hold of a session; on dropping it the session is free for the client's next connection.
#[derive(Debug)]
pub(crate) struct Attachment {
    hub: Arc<Hub>,
    pub(crate) session: Arc<Session>,
    pub(crate) link: Arc<Link>,
    /// The session is from an earlier connection.
    pub(crate) present: bool,
    _gone: watch::Sender<()>,
}

impl Drop for Attachment {
    fn drop(&mut self) {
        self.hub.detach(&self.session);
    }
}

/// What a CONNECT asks of its session.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) client_id: Arc<str>,
    pub(crate) grant: Arc<dyn Grant>,
    pub(crate) clean_start: bool,
    pub(crate) expiry: Duration,
    pub(crate) will: Option<Will>,
}

impl Hub {
    pub(crate) fn new(
        config: BrokerConfig,
        sink: Arc<dyn Sink>,
        auth: Arc<dyn Authenticator>,
        wills: mpsc::Sender<Will>,
    ) -> Result<Self, TopicError> {
        for filter in &config.ingest {
            topic::check_filter(filter)?;
        }
        Ok(Self {
            auth,
            throttle: Mutex::default(),
            counters: Counters::default(),
            input_bytes: AtomicUsize::new(0),
            queued_bytes: Arc::default(),
            sink,
            ingest_all: config.ingest.iter().any(|filter| filter == "#"),
            sessions: Mutex::default(),
            subscriptions: RwLock::default(),
            subscribed: AtomicUsize::new(0),
            retained: Mutex::new(Retained::new(config.max_retained, config.max_retained_bytes)),
            numbers: AtomicU64::new(1),
            lost: AtomicU64::new(0),
            wills,
            config,
        })
    }

    pub(crate) fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// Tells now and then that messages of QoS 0 are lost.
    pub(crate) fn lose(&self, client_id: &str) {
        let lost = self.lost.fetch_add(1, Ordering::Relaxed) + 1;
        if lost.is_power_of_two() {
            tracing::warn!(
                client = client_id,
                lost,
                "MQTT messages of QoS 0 could not be taken in time and are lost; publish with QoS 1"
            );
        }
    }

    fn limits(&self) -> QueueLimits {
        QueueLimits {
            messages: self.config.max_offline_messages,
            bytes: self.config.max_offline_bytes,
            total: self.config.max_queued_bytes,
        }
    }

    /// Whether messages of this topic go to the sink. The broker's own and what the host publishes do not, so that
    /// findings are not taken for readings.
    pub(crate) fn ingests(&self, name: &str) -> bool {
        !name.starts_with('$')
            && !super::inbound::is_reserved(name)
            && (self.ingest_all || self.config.ingest.iter().any(|filter| topic::matches(filter, name)))
    }

    pub(crate) fn accept(
        &self,
        message: &Message,
        client_id: &str,
        connection: u64,
        (owner, sites): (&str, Option<Arc<[String]>>),
        exchange: Option<Exchange>,
    ) -> Answer {
        self.sink.accept(Publish {
            topic: Arc::clone(&message.topic),
            payload: message.payload.clone(),
            qos: message.qos,
            retain: message.retain,
            connection,
            client_id: client_id.into(),
            content_type: message.content_type().map(Into::into),
            owner: owner.to_owned(),
            sites,
            exchange,
        })
    }

    /// Tells the sink that the client released a QoS 2 message.
    pub(crate) fn release(&self, session: &Session, id: u16) -> Released {
        self.sink.release(Exchange { session: Arc::clone(&session.name), id, dup: false })
    }

    /// Delivers a message to the subscribers and retains it where it asks for that.
    pub(crate) fn route(&self, message: Message) {
        let subscribed = self.subscribed.load(Ordering::Acquire) > 0;
        if !subscribed && !message.retain {
            return;
        }
        let message = Arc::new(message);
        if message.retain && !lock(&self.retained).set(&message) {
            tracing::warn!(topic = %message.topic, "there is no room to retain more MQTT messages");
        }
        if !subscribed {
            return;
        }
        let mut matches = Vec::new();
        let tree = self.subscriptions.read().unwrap_or_else(PoisonError::into_inner);
        let may = |session: &Arc<Session>| session.may_read(&message.topic);
        tree.matches(&message.topic, &may, &|session| session.is_connected(), &mut matches);
        drop(tree);
        // A client with overlapping subscriptions gets one copy, at the highest QoS, with all its identifiers.
        matches.sort_by_key(|found: &Match<Arc<Session>>| (found.shared, found.key));
        let mut matches =
            matches.into_iter().filter(|found| !(found.options.no_local && found.key == message.publisher)).peekable();
        while let Some(found) = matches.next() {
            let mut qos = found.options.qos;
            let mut as_published = found.options.retain_as_published;
            let mut ids = Vec::new();
            ids.extend(Some(found.options.id).filter(|id| *id != 0));
            while let Some(other) = matches.next_if(|other| !found.shared && !other.shared && other.key == found.key) {
                qos = qos.max(other.options.qos);
                as_published |= other.options.retain_as_published;
                ids.extend(Some(other.options.id).filter(|id| *id != 0));
            }
            let delivery = Delivery {
                qos: qos.min(message.qos),
                retain: message.retain && as_published,
                ids,
                message: Arc::clone(&message),
            };
            found.subscriber.push(delivery, self.limits());
        }
    }

    /// Enters a subscription; whether it is new. `None`: the session has too many.
    pub(crate) fn subscribe(
        &self,
        session: &Arc<Session>,
        text: &str,
        filter: Filter<'_>,
        options: Options,
    ) -> Option<bool> {
        {
            let mut state = session.lock();
            if !state.filters.contains(text) {
                let bytes = state.filter_bytes + text.len();
                if state.filters.len() >= self.config.max_subscriptions || bytes > MAX_FILTER_BYTES {
                    return None;
                }
                state.filter_bytes = bytes;
                state.filters.insert(text.to_owned());
            }
        }
        let mut tree = self.subscriptions.write().unwrap_or_else(PoisonError::into_inner);
        let new = tree.insert(filter, session.key, Arc::clone(session), options);
        self.subscribed.store(tree.len(), Ordering::Release);
        Some(new)
    }

    pub(crate) fn unsubscribe(&self, session: &Session, text: &str, filter: Filter<'_>) -> bool {
        {
            let mut state = session.lock();
            if state.filters.remove(text) {
                state.filter_bytes = state.filter_bytes.saturating_sub(text.len());
            }
        }
        let mut tree = self.subscriptions.write().unwrap_or_else(PoisonError::into_inner);
        let removed = tree.remove(filter, session.key);
        self.subscribed.store(tree.len(), Ordering::Release);
        removed
    }

    /// Queues the retained messages that a new subscription is to get.
    pub(crate) fn send_retained(&self, session: &Session, filter: &str, options: Options) {
        let mut state = session.lock();
        lock(&self.retained).matching(filter, |message| {
            if !(options.no_local && message.publisher == session.key) && session.may_read(&message.topic) {
                let ids = if options.id == 0 { Vec::new() } else { vec![options.id] };
                let qos = options.qos.min(message.qos);
                let delivery = Delivery { message: Arc::clone(message), qos, retain: true, ids };
                state.push_retained(delivery, self.config.max_retained);
            }
        });
    }

    /// Gives the client's session to a new connection, after taking it from an earlier one. `Err`: a reason code.
    pub(crate) async fn attach(self: &Arc<Self>, mut wanted: Wanted) -> Result<Attachment, u8> {
        let deadline = tokio::time::Instant::now() + DRAIN * 2;
        loop {
            let mut taken = match self.try_attach(&mut wanted) {
                Ok(attached) => return attached,
                Err(taken) => taken,
            };
            // The sender is dropped, never used, when the earlier connection has let go.
            if tokio::time::timeout_at(deadline, taken.changed()).await.is_err() {
                return Err(reason::SERVER_BUSY);
            }
        }
    }

    /// `Err`: an earlier connection has the session; it has been told to close, and closes the channel when it has.
    fn try_attach(self: &Arc<Self>, wanted: &mut Wanted) -> Result<Result<Attachment, u8>, watch::Receiver<()>> {
        let name: Arc<str> = format!("{}\0{}", wanted.grant.owner(), wanted.client_id).into();
        let mut sessions = lock(&self.sessions);
        let mut present = false;
        if let Some(session) = sessions.get(&name).map(Arc::clone) {
            let state = session.lock();
            if let Some((link, gone)) = &state.link {
                link.kick(reason::TAKEN_OVER);
                return Err(gone.clone());
            }
            present = !wanted.clean_start && state.expires.is_none_or(|at| at > Instant::now());
            drop(state);
            if !present {
                sessions.remove(&name);
                self.forget(&session);
            }
        }
        if !present && sessions.len() >= self.config.max_sessions {
            return Ok(Err(reason::QUOTA));
        }
        if wanted.clean_start {
            // Exchanges of a session before the last restart of this process are over too.
            self.sink.forget(&name);
        }
        let session = Arc::clone(sessions.entry(Arc::clone(&name)).or_insert_with(|| {
            let (grant, total) = (Arc::clone(&wanted.grant), Arc::clone(&self.queued_bytes));
            Arc::new(Session::new(name, Arc::clone(&wanted.client_id), self.number(), grant, total))
        }));
        session.set_grant(&wanted.grant);
        session.set_lasting(!wanted.expiry.is_zero());
        let (gone, watcher) = watch::channel(());
        let link = Arc::new(Link::default());
        let mut state = session.lock();
        state.link = Some((Arc::clone(&link), watcher));
        state.expiry = wanted.expiry;
        state.expires = None;
        state.will = wanted.will.take();
        state.will_due = None;
        if let Some(will) = &mut state.will {
            will.message.publisher = session.key;
        }
        state.resume();
        session.set_connected(true);
        drop(state);
        Ok(Ok(Attachment { hub: Arc::clone(self), session, link, present, _gone: gone }))
    }

    fn detach(&self, session: &Arc<Session>) {
        let mut sessions = lock(&self.sessions);
        session.set_connected(false);
        let mut state = session.lock();
        state.link = None;
        state.forget_unassured();
        let now = Instant::now();
        if state.expiry.is_zero() {
            drop(state);
            if sessions.get(&session.name).is_some_and(|kept| kept.key == session.key) {
                sessions.remove(&session.name);
            }
            self.forget(session);
            return;
        }
        state.expires = now.checked_add(state.expiry);
        let delay = state.will.as_ref().map(|will| will.delay);
        match delay {
            Some(Duration::ZERO) => {
                let will = state.will.take();
                drop(state);
                self.publish_will(will, session);
            }
            Some(delay) => state.will_due = now.checked_add(delay),
            None => {}
        }
    }

    /// Ends a session that is no longer among the sessions.
    pub(super) fn forget(&self, session: &Session) {
        let mut state = session.lock();
        let filters = std::mem::take(&mut state.filters);
        state.filter_bytes = 0;
        let will = state.will.take();
        drop(state);
        if !filters.is_empty() {
            let mut tree = self.subscriptions.write().unwrap_or_else(PoisonError::into_inner);
            for filter in filters.iter().filter_map(|filter| topic::parse_filter(filter).ok()) {
                tree.remove(filter, session.key);
            }
            self.subscribed.store(tree.len(), Ordering::Release);
        }
        self.publish_will(will, session);
        if session.is_lasting() {
            self.sink.forget(&session.name);
        }
    }

    /// Publishes a will by what its client may do now: its rights may have changed since it connected.
    fn publish_will(&self, will: Option<Will>, session: &Session) {
        if let Some(will) = will {
            if !session.grant().may_publish(&will.message.topic) {
                count(&self.counters.denied_publishes);
                tracing::warn!(client = %session.client_id, topic = %will.message.topic, "an MQTT client may no longer publish its will");
                return;
            }
            let topic = Arc::clone(&will.message.topic);
            if self.wills.try_send(will).is_err() {
                tracing::warn!(%topic, "too many MQTT wills at once; one is dropped");
            }
        }
    }

    /// Ends the sessions whose time is over and publishes the wills that are due.
    pub(crate) fn keep_house(&self) {
        let now = Instant::now();
        let mut sessions = lock(&self.sessions);
        let mut over = Vec::new();
        for session in sessions.values() {
            let mut state = session.lock();
            if state.link.is_some() {
                continue;
            }
            if state.expires.is_some_and(|at| at <= now) {
                over.push(Arc::clone(session));
            } else if state.will_due.is_some_and(|at| at <= now) {
                state.will_due = None;
                let will = state.will.take();
                drop(state);
                self.publish_will(will, session);
            }
        }
        for session in over {
            sessions.remove(&session.name);
            self.forget(&session);
        }
    }

    /// Takes a will the way of any message: to the sink, then to the subscribers.
    pub(crate) async fn take_will(&self, will: Will) {
        let mut message = will.message;
        message.expires = will.expiry.and_then(|expiry| Instant::now().checked_add(expiry));
        if self.ingests(&message.topic) {
            let mut pause = Duration::from_millis(100);
            let accept =
                || self.accept(&message, &will.client_id, will.connection, (&will.owner, will.sites.clone()), None);
            while accept().await == Verdict::Busy {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(DRAIN);
            }
        }
        self.route(message);
    }
}
