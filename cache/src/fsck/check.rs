//! x
use crate::store::Inner;
use crate::{FsckReport, StoreError};
pub(super) struct Findings {
    pub(super) report: FsckReport,
}
pub(super) fn all(_i: &std::sync::Arc<Inner>, _d: bool) -> Result<Findings, StoreError> {
    todo!()
}
