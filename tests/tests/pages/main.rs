//! Tests of the dashboard in a browser.

mod dashboard;
mod journey;
