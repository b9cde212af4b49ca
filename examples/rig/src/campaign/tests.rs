//! Small campaigns.
