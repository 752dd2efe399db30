//! x
use crate::StoreError;
use crate::store::Inner;
pub(super) fn all(
    _i: &std::sync::Arc<Inner>,
    _d: &mut super::check::Findings,
) -> Result<(), StoreError> {
    todo!()
}
