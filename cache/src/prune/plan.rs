//! x
use crate::store::Inner;
use crate::{PruneOptions, PruneReport, StoreError};
pub(super) struct Plan;
impl Plan {
    pub(super) fn into_report(self) -> PruneReport {
        todo!()
    }
}
pub(super) fn make(_i: &std::sync::Arc<Inner>, _o: &PruneOptions) -> Result<Plan, StoreError> {
    todo!()
}
