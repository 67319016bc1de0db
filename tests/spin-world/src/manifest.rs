//! `spin.toml` by Spin's rules.
