//! Mutations: user actions on anomalies.

use async_graphql::{Context, Error, Object};

use super::desk::{Desk, Now, wrong};
use crate::{Change, Deed, Table, listing, shapes::Anomaly};

/// Maximum number of characters of a comment.
const LONGEST: usize = 2_000;

async fn act(context: &Context<'_>, deed: Deed, id: String, text: Option<String>) -> Result<Anomaly, Error> {
    let text = text.unwrap_or_default();
    if text.chars().count() > LONGEST || text.contains('\0') {
        return Err(Error::new(format!(
            "comment must have at most {LONGEST} characters, without NUL; it has {}",
            text.chars().count()
        )));
    }
    let missing = || wrong(&listing::ANOMALIES.missing(&id));
    if id.contains('\0') {
        return Err(missing());
    }
    let desk = context.data::<Desk>()?;
    let Now(now) = *context.data::<Now>()?;
    desk.act(Change { deed, id: id.clone(), text, now }).await?;
    desk.look(Table::Anomalies, listing::by_id(&id)).await?.pop().ok_or_else(missing)
}

/// The root of mutations.
pub(super) struct Mutation;

#[Object]
impl Mutation {
    /// Acknowledges an anomaly.
    async fn acknowledge_anomaly(
        &self,
        context: &Context<'_>,
        id: String,
        comment: Option<String>,
    ) -> Result<Anomaly, Error> {
        act(context, Deed::Acknowledge, id, comment).await
    }

    /// Marks an anomaly as handled.
    async fn handle_anomaly(
        &self,
        context: &Context<'_>,
        id: String,
        comment: Option<String>,
    ) -> Result<Anomaly, Error> {
        act(context, Deed::Handle, id, comment).await
    }

    /// Marks an anomaly as a false alarm.
    async fn mark_false_alarm(
        &self,
        context: &Context<'_>,
        id: String,
        comment: Option<String>,
    ) -> Result<Anomaly, Error> {
        act(context, Deed::FalseAlarm, id, comment).await
    }

    /// Comments on an anomaly.
    async fn comment_anomaly(&self, context: &Context<'_>, id: String, comment: String) -> Result<Anomaly, Error> {
        act(context, Deed::Comment, id, Some(comment)).await
    }

    /// Orders the repair for an anomaly.
    async fn order_repair(&self, context: &Context<'_>, id: String, comment: Option<String>) -> Result<Anomaly, Error> {
        act(context, Deed::OrderRepair, id, comment).await
    }
}
