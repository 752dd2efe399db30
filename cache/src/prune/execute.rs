//! x
use crate::store::Inner;
use crate::{PruneReport, StoreError};
pub(super) fn run(
    _i: &std::sync::Arc<Inner>,
    _p: super::plan::Plan,
) -> Result<PruneReport, StoreError> {
    todo!()
}
