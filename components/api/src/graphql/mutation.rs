//! Mutations: user actions on anomalies.

use async_graphql::{Context, Error, Object};

use super::data_loader::{DataLoader, RequestTime, graphql_error};
use crate::{Action, ActionRequest, Table, listing, schemas::Anomaly};

/// Maximum number of characters of a comment.
const MAX_COMMENT_CHARS: usize = 2_000;

async fn perform_action(
    context: &Context<'_>,
    action: Action,
    id: String,
    text: Option<String>,
) -> Result<Anomaly, Error> {
    let text = text.unwrap_or_default();
    if text.chars().count() > MAX_COMMENT_CHARS || text.contains('\0') {
        return Err(Error::new(format!(
            "comment must have at most {MAX_COMMENT_CHARS} characters, without NUL; it has {}",
            text.chars().count()
        )));
    }
    let missing = || graphql_error(&listing::ANOMALIES.not_found(&id));
    if id.contains('\0') {
        return Err(missing());
    }
    let loader = context.data::<DataLoader>()?;
    let RequestTime(now) = *context.data::<RequestTime>()?;
    loader.perform_action(ActionRequest { action, id: id.clone(), text, now }).await?;
    loader.query(Table::Anomalies, listing::by_id(&id)).await?.pop().ok_or_else(missing)
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
        perform_action(context, Action::Acknowledge, id, comment).await
    }

    /// Marks an anomaly as handled.
    async fn handle_anomaly(
        &self,
        context: &Context<'_>,
        id: String,
        comment: Option<String>,
    ) -> Result<Anomaly, Error> {
        perform_action(context, Action::Handle, id, comment).await
    }

    /// Marks an anomaly as a false alarm.
    async fn mark_false_alarm(
        &self,
        context: &Context<'_>,
        id: String,
        comment: Option<String>,
    ) -> Result<Anomaly, Error> {
        perform_action(context, Action::FalseAlarm, id, comment).await
    }

    /// Comments on an anomaly.
    async fn comment_anomaly(&self, context: &Context<'_>, id: String, comment: String) -> Result<Anomaly, Error> {
        perform_action(context, Action::Comment, id, Some(comment)).await
    }

    /// Orders the repair for an anomaly.
    async fn order_repair(&self, context: &Context<'_>, id: String, comment: Option<String>) -> Result<Anomaly, Error> {
        perform_action(context, Action::OrderRepair, id, comment).await
    }
}
