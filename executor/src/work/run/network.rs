//! Which network a step gets, and what is said if it can't be had.

use gantry_sandbox::{Network, NetworkError};
use gantry_solver::Task;
use gantry_solver::op::{self, RunOp};

use super::super::Executor;
use super::super::fault::Fault;
use crate::request::DefaultNetwork;

/// Makes the network of a step.
pub(super) fn prepare(executor: &Executor, task: &Task, op: &RunOp) -> Result<Network, Fault> {
    let granted = executor.allow.network_host || executor.network == DefaultNetwork::Host;
    match op.network {
        op::Network::None => Ok(Network::Lone(executor.networks().lone())),
        op::Network::Host if granted => Ok(Network::Host),
        op::Network::Host => Err(Fault::refused_with(
            "entitlement network.host is not allowed",
            "Allow it with `--allow network.host`",
        )),
        op::Network::Default => match executor.network {
            DefaultNetwork::None => Ok(Network::Lone(executor.networks().lone())),
            DefaultNetwork::Host => Ok(Network::Host),
            DefaultNetwork::Private => private(executor, task),
        },
    }
}

/// A private network, or the host's where this host has no way to make one.
fn private(executor: &Executor, task: &Task) -> Result<Network, Fault> {
    match executor.networks().handed_on() {
        Ok(network) => Ok(Network::Private(network)),
        Err(NetworkError::Unavailable { reason }) => {
            executor.warn_once(
                &task.events,
                "network",
                format!("Steps use the host's network, as no private one can be made: {reason}"),
            );
            Ok(Network::Host)
        }
        Err(error) => Err(Fault::Network(error)),
    }
}
