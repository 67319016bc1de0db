//! Tests of users, keys, tokens and the audit.

mod audit;
mod cache;
mod common;
mod lockout;
mod tokens;
mod users;
