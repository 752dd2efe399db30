//! The task that owns all states.
use super::*;
pub(super) struct Owner;
impl Owner {
    pub(super) fn new(_: Arc<Graph>, _: &[VertexId], _: World, _: &Options, _: &CancelToken) -> Self { todo!() }
    pub(super) async fn run(self) -> Result<Solved, SolveError> { todo!() }
}
