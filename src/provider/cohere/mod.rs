//! Cohere.
