//! Verifies the signatures of webhooks.

use std::sync::Arc;

use axum::{body::Body, extract::Request, http::header};
use wheeltapper_access::NonceReservation;

use super::auth_state::{AuthState, seconds};
use crate::triggers::http::{
    blocking,
    body::{self, BodyPermit},
    problem::Problem,
};

/// A larger body is not hashed on a thread that serves sockets.
const MAX_INLINE_HASH_BYTES: usize = 128 << 10;

/// The nonce of a signed request, and the memory of its body.
pub(super) struct SignedRequest {
    pub(super) nonce: Option<NonceReservation>,
    _permit: BodyPermit,
}

impl AuthState {
    /// Verifies the signature of a signed request, and rejects an unsigned one if a signature is required.
    pub(super) async fn verify_signature(
        self: &Arc<Self>,
        key: &str,
        request: Request,
    ) -> Result<(Request, Option<SignedRequest>), Problem> {
        let head = self.signatures.check_headers(request.method(), request.uri(), request.headers(), seconds())?;
        let Some(head) = head else { return Ok((request, None)) };
        let (parts, body) = request.into_parts();
        let content_length = parts.headers.get(header::CONTENT_LENGTH);
        let content_length = content_length.and_then(|length| length.to_str().ok()?.parse().ok());
        let mut permit = self.memory.permit(key.to_owned());
        let bytes =
            body::read(body, content_length, self.max_body, &mut permit).await.map_err(|error| error.problem)?;
        let nonce = if bytes.len() <= MAX_INLINE_HASH_BYTES {
            self.signatures.verify(&head, &bytes, seconds())?
        } else {
            let (auth, bytes) = (Arc::clone(self), bytes.clone());
            blocking::ROUTES.run(move || auth.signatures.verify(&head, &bytes, seconds())).await??
        };
        Ok((Request::from_parts(parts, Body::from(bytes)), Some(SignedRequest { nonce, _permit: permit })))
    }
}
