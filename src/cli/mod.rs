//! (skeleton)
pub mod check;
