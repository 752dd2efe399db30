//! What counts for a key and what does not: features B10, and the bytes of the encoding.
