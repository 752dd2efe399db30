//! How far a vertex is.
