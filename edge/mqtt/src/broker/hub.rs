//! State shared by all connections: sessions, subscriptions, retained messages and the sink.

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
    reserved_topics::is_reserved,
    retained::RetainedMessages,
    session::{ConnectionLink, Delivery, PendingWill, QueueLimits, Session},
    stats::{RejectionCounters, increment},
    subscriptions::{MatchingSubscription, SubscriptionOptions, SubscriptionTree},
    throttle::LoginThrottle,
};
use crate::{
    Exchange, ReleaseFuture, Sink, SinkMessage, Verdict, VerdictFuture,
    codec::reason,
    config::BrokerConfig,
    rights::{Authenticator, Grant},
    topic::{self, ParsedFilter, TopicError},
};

/// How long the messages of a closed connection may still wait for the sink's verdict.
pub(crate) const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// Maximum total size of the filters of one session in bytes.
const MAX_FILTER_BYTES: usize = 256 << 10;

pub(crate) struct Hub {
    pub(crate) config: BrokerConfig,
    pub(crate) auth: Arc<dyn Authenticator>,
    pub(crate) throttle: Mutex<LoginThrottle>,
    pub(crate) counters: RejectionCounters,
    /// Bytes of incomplete packets of all connections.
    pub(crate) input_bytes: AtomicUsize,
    pub(super) queued_bytes: Arc<AtomicUsize>,
    sink: Arc<dyn Sink>,
    ingest_all: bool,
    pub(super) sessions: Mutex<HashMap<Arc<str>, Arc<Session>>>,
    subscriptions: RwLock<SubscriptionTree<Arc<Session>>>,
    /// Number of subscriptions, kept outside the tree: without subscribers a publish takes no lock.
    pub(super) subscription_count: AtomicUsize,
    pub(super) retained: Mutex<RetainedMessages>,
    next_number_counter: AtomicU64,
    /// QoS 0 messages lost because the sink was busy.
    pub(super) lost_qos0_messages: AtomicU64,
    wills: mpsc::Sender<PendingWill>,
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub")
            .field("config", &self.config)
            .field("subscribed", &self.subscription_count)
            .finish_non_exhaustive()
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Exclusive use of a session by a connection. Dropping it frees the session for the client's next connection.
#[derive(Debug)]
pub(crate) struct SessionAttachment {
    hub: Arc<Hub>,
    pub(crate) session: Arc<Session>,
    pub(crate) link: Arc<ConnectionLink>,
    /// Whether the session existed before this connection.
    pub(crate) session_present: bool,
    _released: watch::Sender<()>,
}

impl Drop for SessionAttachment {
    fn drop(&mut self) {
        self.hub.detach(&self.session);
    }
}

/// The session parameters that a CONNECT requests.
#[derive(Debug)]
pub(crate) struct SessionRequest {
    pub(crate) client_id: Arc<str>,
    pub(crate) grant: Arc<dyn Grant>,
    pub(crate) clean_start: bool,
    pub(crate) expiry: Duration,
    pub(crate) will: Option<PendingWill>,
}

impl Hub {
    pub(crate) fn new(
        config: BrokerConfig,
        sink: Arc<dyn Sink>,
        auth: Arc<dyn Authenticator>,
        wills: mpsc::Sender<PendingWill>,
    ) -> Result<Self, TopicError> {
        for filter in &config.ingest {
            topic::validate_filter(filter)?;
        }
        Ok(Self {
            auth,
            throttle: Mutex::default(),
            counters: RejectionCounters::default(),
            input_bytes: AtomicUsize::new(0),
            queued_bytes: Arc::default(),
            sink,
            ingest_all: config.ingest.iter().any(|filter| filter == "#"),
            sessions: Mutex::default(),
            subscriptions: RwLock::default(),
            subscription_count: AtomicUsize::new(0),
            retained: Mutex::new(RetainedMessages::new(config.max_retained, config.max_retained_bytes)),
            next_number_counter: AtomicU64::new(1),
            lost_qos0_messages: AtomicU64::new(0),
            wills,
            config,
        })
    }

    pub(crate) fn next_number(&self) -> u64 {
        self.next_number_counter.fetch_add(1, Ordering::Relaxed)
    }

    /// Counts a lost QoS 0 message. Logs a warning whenever the count is a power of two.
    pub(crate) fn count_lost_qos0(&self, client_id: &str) {
        let lost = self.lost_qos0_messages.fetch_add(1, Ordering::Relaxed) + 1;
        if lost.is_power_of_two() {
            tracing::warn!(
                client = client_id,
                lost,
                "MQTT messages of QoS 0 are lost because the sink was busy; publish with QoS 1"
            );
        }
    }

    fn queue_limits(&self) -> QueueLimits {
        QueueLimits {
            messages: self.config.max_offline_messages,
            bytes: self.config.max_offline_bytes,
            total_bytes: self.config.max_queued_bytes,
        }
    }

    /// Whether messages of this topic go to the sink. Topics of the broker and of the host do not, so that findings are
    /// not ingested as readings.
    pub(crate) fn is_ingested(&self, name: &str) -> bool {
        !name.starts_with('$')
            && !is_reserved(name)
            && (self.ingest_all || self.config.ingest.iter().any(|filter| topic::matches(filter, name)))
    }

    pub(crate) fn accept(
        &self,
        message: &Message,
        client_id: &str,
        connection: u64,
        (owner, sites): (&str, Option<Arc<[String]>>),
        exchange: Option<Exchange>,
    ) -> VerdictFuture {
        self.sink.accept(SinkMessage {
            topic: Arc::clone(&message.topic),
            payload: message.payload.clone(),
            qos: message.qos,
            retain: message.retain,
            connection_id: connection,
            client_id: client_id.into(),
            content_type: message.content_type().map(Into::into),
            owner: owner.to_owned(),
            sites,
            exchange,
        })
    }

    /// Informs the sink that the client has released a QoS 2 message (PUBREL).
    pub(crate) fn release(&self, session: &Session, id: u16) -> ReleaseFuture {
        self.sink.release(Exchange { session: Arc::clone(&session.name), packet_id: id, dup: false })
    }

    /// Delivers a message to its subscribers, and retains it if its retain flag is set.
    pub(crate) fn route(&self, message: Message) {
        let subscribed = self.subscription_count.load(Ordering::Acquire) > 0;
        if !subscribed && !message.retain {
            return;
        }
        let message = Arc::new(message);
        if message.retain && !lock(&self.retained).set(&message) {
            tracing::warn!(topic = %message.topic, "an MQTT message is not retained: the limit for retained messages is reached");
        }
        if !subscribed {
            return;
        }
        let mut matches = Vec::new();
        let tree = self.subscriptions.read().unwrap_or_else(PoisonError::into_inner);
        let can_read = |session: &Arc<Session>| session.may_read(&message.topic);
        tree.matches(&message.topic, &can_read, &|session| session.is_connected(), &mut matches);
        drop(tree);
        // A client with overlapping subscriptions gets one copy with the highest QoS and all subscription identifiers.
        matches.sort_by_key(|found: &MatchingSubscription<Arc<Session>>| (found.shared, found.key));
        let mut matches = matches
            .into_iter()
            .filter(|found| !(found.options.no_local && found.key == message.publisher_key))
            .peekable();
        while let Some(found) = matches.next() {
            let mut qos = found.options.qos;
            let mut as_published = found.options.retain_as_published;
            let mut ids = Vec::new();
            ids.extend(Some(found.options.subscription_id).filter(|id| *id != 0));
            while let Some(other) = matches.next_if(|other| !found.shared && !other.shared && other.key == found.key) {
                qos = qos.max(other.options.qos);
                as_published |= other.options.retain_as_published;
                ids.extend(Some(other.options.subscription_id).filter(|id| *id != 0));
            }
            let delivery = Delivery {
                qos: qos.min(message.qos),
                retain: message.retain && as_published,
                subscription_ids: ids,
                message: Arc::clone(&message),
            };
            found.subscriber.enqueue(delivery, self.queue_limits());
        }
    }

    /// Adds a subscription. Returns whether it is new, or `None` if the session has too many subscriptions.
    pub(crate) fn subscribe(
        &self,
        session: &Arc<Session>,
        text: &str,
        filter: ParsedFilter<'_>,
        options: SubscriptionOptions,
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
        self.subscription_count.store(tree.len(), Ordering::Release);
        Some(new)
    }

    pub(crate) fn unsubscribe(&self, session: &Session, text: &str, filter: ParsedFilter<'_>) -> bool {
        {
            let mut state = session.lock();
            if state.filters.remove(text) {
                state.filter_bytes = state.filter_bytes.saturating_sub(text.len());
            }
        }
        let mut tree = self.subscriptions.write().unwrap_or_else(PoisonError::into_inner);
        let removed = tree.remove(filter, session.key);
        self.subscription_count.store(tree.len(), Ordering::Release);
        removed
    }

    /// Queues the retained messages that match a new subscription.
    pub(crate) fn send_retained(&self, session: &Session, filter: &str, options: SubscriptionOptions) {
        let mut state = session.lock();
        lock(&self.retained).for_each_matching(filter, |message| {
            if !(options.no_local && message.publisher_key == session.key) && session.may_read(&message.topic) {
                let ids = if options.subscription_id == 0 { Vec::new() } else { vec![options.subscription_id] };
                let qos = options.qos.min(message.qos);
                let delivery = Delivery { message: Arc::clone(message), qos, retain: true, subscription_ids: ids };
                state.push_retained(delivery, self.config.max_retained);
            }
        });
    }

    /// Attaches a new connection to the client's session. An earlier connection of the session is closed first. The
    /// error is a reason code.
    pub(crate) async fn attach(self: &Arc<Self>, mut request: SessionRequest) -> Result<SessionAttachment, u8> {
        let deadline = tokio::time::Instant::now() + DRAIN_TIMEOUT * 2;
        loop {
            let mut earlier_connection = match self.try_attach(&mut request) {
                Ok(attached) => return attached,
                Err(earlier_connection) => earlier_connection,
            };
            // The earlier connection drops the sender when it has released the session; it never sends a value.
            if tokio::time::timeout_at(deadline, earlier_connection.changed()).await.is_err() {
                return Err(reason::SERVER_BUSY);
            }
        }
    }

    /// The outer `Err` means that an earlier connection still uses the session. That connection has been asked to
    /// close, and the channel closes when it has.
    fn try_attach(
        self: &Arc<Self>,
        request: &mut SessionRequest,
    ) -> Result<Result<SessionAttachment, u8>, watch::Receiver<()>> {
        let name: Arc<str> = format!("{}\0{}", request.grant.owner(), request.client_id).into();
        let mut sessions = lock(&self.sessions);
        let mut is_resumed = false;
        if let Some(session) = sessions.get(&name).map(Arc::clone) {
            let state = session.lock();
            if let Some((link, gone)) = &state.link {
                link.close(reason::SESSION_TAKEN_OVER);
                return Err(gone.clone());
            }
            is_resumed = !request.clean_start && state.expires_at.is_none_or(|at| at > Instant::now());
            drop(state);
            if !is_resumed {
                sessions.remove(&name);
                self.end_session(&session);
            }
        }
        if !is_resumed && sessions.len() >= self.config.max_sessions {
            return Ok(Err(reason::QUOTA_EXCEEDED));
        }
        if request.clean_start {
            // This also ends exchanges of a session from before the last restart of this process.
            self.sink.end_session(&name);
        }
        let session = Arc::clone(sessions.entry(Arc::clone(&name)).or_insert_with(|| {
            let (grant, total) = (Arc::clone(&request.grant), Arc::clone(&self.queued_bytes));
            Arc::new(Session::new(name, Arc::clone(&request.client_id), self.next_number(), grant, total))
        }));
        session.set_grant(&request.grant);
        session.set_persistent(!request.expiry.is_zero());
        let (gone, watcher) = watch::channel(());
        let link = Arc::new(ConnectionLink::default());
        let mut state = session.lock();
        state.link = Some((Arc::clone(&link), watcher));
        state.expiry_interval = request.expiry;
        state.expires_at = None;
        state.will = request.will.take();
        state.will_due_at = None;
        if let Some(will) = &mut state.will {
            will.message.publisher_key = session.key;
        }
        state.prepare_resend();
        session.set_connected(true);
        drop(state);
        Ok(Ok(SessionAttachment { hub: Arc::clone(self), session, link, session_present: is_resumed, _released: gone }))
    }

    fn detach(&self, session: &Arc<Session>) {
        let mut sessions = lock(&self.sessions);
        session.set_connected(false);
        let mut state = session.lock();
        state.link = None;
        state.drop_qos0();
        let now = Instant::now();
        if state.expiry_interval.is_zero() {
            drop(state);
            if sessions.get(&session.name).is_some_and(|kept| kept.key == session.key) {
                sessions.remove(&session.name);
            }
            self.end_session(session);
            return;
        }
        state.expires_at = now.checked_add(state.expiry_interval);
        let delay = state.will.as_ref().map(|will| will.delay);
        match delay {
            Some(Duration::ZERO) => {
                let will = state.will.take();
                drop(state);
                self.queue_will(will, session);
            }
            Some(delay) => state.will_due_at = now.checked_add(delay),
            None => {}
        }
    }

    /// Ends a session that has been removed from `sessions`.
    pub(super) fn end_session(&self, session: &Session) {
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
            self.subscription_count.store(tree.len(), Ordering::Release);
        }
        self.queue_will(will, session);
        if session.is_persistent() {
            self.sink.end_session(&session.name);
        }
    }

    /// Publishes a will if the client still has the right to: its rights may have changed since it connected.
    fn queue_will(&self, will: Option<PendingWill>, session: &Session) {
        if let Some(will) = will {
            if !session.grant().may_publish(&will.message.topic) {
                increment(&self.counters.denied_publishes);
                tracing::warn!(client = %session.client_id, topic = %will.message.topic, "an MQTT client may no longer publish its will");
                return;
            }
            let topic = Arc::clone(&will.message.topic);
            if self.wills.try_send(will).is_err() {
                tracing::warn!(%topic, "an MQTT will is dropped: too many wills are waiting to be published");
            }
        }
    }

    /// Ends expired sessions and publishes the wills that are due. Called once per second.
    pub(crate) fn expire_sessions(&self) {
        let now = Instant::now();
        let mut sessions = lock(&self.sessions);
        let mut over = Vec::new();
        for session in sessions.values() {
            let mut state = session.lock();
            if state.link.is_some() {
                continue;
            }
            if state.expires_at.is_some_and(|at| at <= now) {
                over.push(Arc::clone(session));
            } else if state.will_due_at.is_some_and(|at| at <= now) {
                state.will_due_at = None;
                let will = state.will.take();
                drop(state);
                self.queue_will(will, session);
            }
        }
        for session in over {
            sessions.remove(&session.name);
            self.end_session(&session);
        }
    }

    /// Handles a will like any other message: sends it to the sink, then to the subscribers.
    pub(crate) async fn deliver_will(&self, will: PendingWill) {
        let mut message = will.message;
        message.expires_at = will.expiry.and_then(|expiry| Instant::now().checked_add(expiry));
        if self.is_ingested(&message.topic) {
            let mut pause = Duration::from_millis(100);
            let accept =
                || self.accept(&message, &will.client_id, will.connection_id, (&will.owner, will.sites.clone()), None);
            while accept().await == Verdict::Busy {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(DRAIN_TIMEOUT);
            }
        }
        self.route(message);
    }
}
