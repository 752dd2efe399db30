//! Reading OCI layouts.
