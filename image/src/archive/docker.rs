//! Reading docker archives.
