//! Mutations: user actions on anomalies and machines.

use async_graphql::{Context, Error, Object};

use super::data_loader::{DataLoader, RequestTime, graphql_error};
use crate::{
    Action, ActionRequest, Table, listing,
    rows::parse_reply,
    schemas::{ActionRow, Anomaly, ResetReason},
};

/// Maximum number of characters of a comment.
const MAX_COMMENT_CHARS: usize = 2_000;

async fn perform_action(
    context: &Context<'_>,
    action: Action,
    id: String,
    text: Option<String>,
) -> Result<Anomaly, Error> {
    let text = text.unwrap_or_default();
    check_comment(&text)?;
    let missing = || graphql_error(&listing::ANOMALIES.not_found(&id));
    if id.contains('\0') {
        return Err(missing());
    }
    let loader = context.data::<DataLoader>()?;
    let RequestTime(now) = *context.data::<RequestTime>()?;
    loader.perform_action(ActionRequest { action, id: id.clone(), text, now }).await?;
    loader.query(Table::Anomalies, listing::by_id(&id)).await?.pop().ok_or_else(missing)
}

fn check_comment(text: &str) -> Result<(), Error> {
    if text.chars().count() > MAX_COMMENT_CHARS || text.contains('\0') {
        return Err(Error::new(format!(
            "comment must have at most {MAX_COMMENT_CHARS} characters, without NUL; it has {}",
            text.chars().count()
        )));
    }
    Ok(())
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

    /// Resets the baseline of a machine: what was learnt about it is forgotten, and its alerts resolve.
    async fn reset_baseline(
        &self,
        context: &Context<'_>,
        asset: String,
        reason: ResetReason,
        comment: Option<String>,
    ) -> Result<ActionRow, Error> {
        let comment = comment.unwrap_or_default();
        check_comment(&comment)?;
        if asset.contains('\0') {
            return Err(graphql_error(&listing::MACHINES.not_found(&asset)));
        }
        let loader = context.data::<DataLoader>()?;
        let RequestTime(now) = *context.data::<RequestTime>()?;
        let text = reason.action_text(Some(&comment));
        let row = loader.perform_action(ActionRequest { action: Action::ResetBaseline, id: asset, text, now }).await?;
        parse_reply(&row, "the action").map_err(|problem| graphql_error(&problem))
    }
}
