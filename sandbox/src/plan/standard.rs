//! The mounts that every sandbox has: `/proc`, `/sys`, `/dev`.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

use gantry_tree::Root;

use super::cgroups::{self, Hierarchies};
use super::dev::Devices;
use super::place::Places;
use super::{Prepared, command, detached, dev, mounts, setup, system};
use crate::cgroup::Shown;
use crate::sys::mounting::MountOp;
use crate::userns::ids;
use crate::{Network, SpawnError, Spec, Stdio};

/// `/proc` and `/sys`, in which are the groups `shown`.
pub(super) fn system_mounts(
    spec: &Spec,
    sandboxed: bool,
    shown: &[Shown],
    places: &mut Places,
    prepared: &mut Prepared,
) -> Result<(), SpawnError> {
    let at = prepared.hold(places.system("/proc")?);
    prepared.push("/proc", MountOp::Own(system::proc(at, sandboxed)));
    places.mounted(mounts::fixed("proc"), None);
    let at = places.system("/sys")?;
    // Whoever is no root of the network namespace cannot mount a sysfs of it.
    if matches!(spec.network, Network::Host) && ids::in_user_namespace() {
        let host = mounts::open_path(Path::new("/sys"))?;
        let copy = detached::copy(host.as_fd(), true, system::read_only_if(sandboxed))
            .map_err(|cause| mounts::failed("/sys", "copy the host's", cause))?;
        prepared.attach("/sys", copy, at);
    } else {
        let at = prepared.hold(at);
        if shown.is_empty() {
            prepared.push("/sys", MountOp::Own(system::sys(at, sandboxed, None)));
        } else {
            let Hierarchies { tmpfs, groups } = cgroups::hierarchies(shown, sandboxed)
                .map_err(setup("prepare `/sys/fs/cgroup`"))?;
            let tmpfs = prepared.hold(tmpfs);
            prepared.push("/sys", MountOp::Own(system::sys(at, sandboxed, Some(tmpfs))));
            for (name, mount, at) in groups {
                prepared.attach(format!("/sys/fs/cgroup/{name}"), mount, at);
            }
        }
    }
    places.mounted(mounts::fixed("sys"), None);
    Ok(())
}

/// `/dev` and what lies in it. Returns its devpts.
pub(super) fn devices(
    spec: &Spec,
    places: &mut Places,
    prepared: &mut Prepared,
) -> Result<OwnedFd, SpawnError> {
    let console = matches!(spec.stdio, Stdio::Terminal(_));
    let Devices { dev, root, nodes, pts, shm } =
        dev::devices(spec.shm_size, console).map_err(setup("prepare `/dev`"))?;
    let terminals = pts.try_clone().map_err(setup("prepare `/dev/pts`"))?;
    let place = |name| dev::place(&root, name).map_err(setup("prepare `/dev`"));
    let (pts_at, shm_at, mqueue_at) = (place("pts")?, place("shm")?, place("mqueue")?);
    let at = places.system("/dev")?;
    prepared.attach("/dev", dev, at);
    for (name, mount, at) in nodes {
        prepared.attach(format!("/dev/{name}"), mount, at);
        places.mounted(mounts::fixed(&format!("dev/{name}")), None);
    }
    let shm_root = shm.try_clone().map_err(setup("prepare `/dev/shm`"))?;
    prepared.attach("/dev/pts", pts, pts_at);
    prepared.attach("/dev/shm", shm, shm_at);
    let mqueue_at = prepared.hold(mqueue_at);
    prepared.push("/dev/mqueue", MountOp::Own(system::message_queues(mqueue_at)));
    places.mounted(mounts::fixed("dev"), Some(root));
    places.mounted(mounts::fixed("dev/shm"), Some(Root::from_fd(shm_root)));
    places.mounted(mounts::fixed("dev/pts"), None);
    places.mounted(mounts::fixed("dev/mqueue"), None);
    Ok(terminals)
}

/// `/dev/console` is the terminal.
pub(super) fn console(
    name: &str,
    terminals: &OwnedFd,
    places: &Places,
    prepared: &mut Prepared,
) -> Result<(), SpawnError> {
    let Some(dev) = places.inside(&mounts::fixed("dev")) else { return Ok(()) };
    let at = dev::place(&dev, "console").map_err(setup("prepare `/dev/console`"))?;
    let op = MountOp::Copy {
        base: terminals.as_raw_fd(),
        name: command::c_string("The terminal", name.into())?,
        target: prepared.hold(at),
        attributes: 0,
    };
    prepared.push("/dev/console", op);
    Ok(())
}
