//! Who runs it.

use std::os::unix::fs::symlink;
use std::process::Command;

use gantry_sandbox::{SpawnError, UserSpec};

use crate::support::{World, run};

fn id(world: &World, user: &str) -> Result<String, SpawnError> {
    let mut spec = world.spec(["sh", "-c", "id -u; id -g; id -G; echo $HOME"]);
    spec.user = UserSpec::Text(user.to_owned());
    run(spec).map(|ran| ran.ok().split_whitespace().collect::<Vec<_>>().join(" "))
}

/// What has to work everywhere, for tests that are started again by others.
pub(crate) fn smoke() {
    users_come_from_the_images_own_files();
    an_ordinary_user_has_no_capabilities_and_can_still_write_its_output();
}

#[test]
fn users_come_from_the_images_own_files() {
    let Some(world) = World::new() else { return };
    assert_eq!(id(&world, "").unwrap(), "0 0 0 /root");
    if gantry_sandbox::probe().id_map() == gantry_sandbox::IdMap::Single {
        let error = id(&world, "app").unwrap_err();
        assert!(matches!(error, SpawnError::NotMapped { .. }), "{error:?}");
        return;
    }
    assert_eq!(id(&world, "app").unwrap(), "1000 1001 1001 50 /home/app");
    assert_eq!(id(&world, "app:staff").unwrap(), "1000 50 50 /home/app");
    assert_eq!(id(&world, "4242").unwrap(), "4242 0 0 /");
    let error = id(&world, "x").unwrap_err().to_string();
    assert_eq!(error, "unable to find user x: no matching entries in passwd file");
    let error = id(&world, "app:x").unwrap_err().to_string();
    assert_eq!(error, "unable to find group x: no matching entries in group file");
}

#[test]
fn an_ordinary_user_has_no_capabilities_and_can_still_write_its_output() {
    let Some(world) = World::new() else { return };
    if gantry_sandbox::probe().id_map() == gantry_sandbox::IdMap::Single {
        return;
    }
    let script = "grep -E '^Cap(Eff|Prm)' /proc/self/status; echo again > /dev/stdout";
    let mut spec = world.spec(["sh", "-c", script]);
    spec.user = UserSpec::Text("app".to_owned());
    let none = "0000000000000000";
    assert_eq!(run(spec).unwrap().ok(), format!("CapPrm:\t{none}\nCapEff:\t{none}\nagain\n"));
}

#[test]
fn hostile_account_files_are_refused_and_never_read() {
    let Some(world) = World::new() else { return };
    let passwd = world.base().join("etc/passwd");
    let refused = |why: &str| {
        let error = id(&world, "app").unwrap_err();
        assert!(matches!(error, SpawnError::AccountFile { .. }), "{why}: {error:?}");
        // Root needs no file.
        assert!(run(world.spec(["true"])).unwrap().status.success(), "{why}");
    };

    fs_err::remove_file(&passwd).unwrap();
    assert!(Command::new("mkfifo").arg(&passwd).status().unwrap().success());
    refused("a fifo would block");

    fs_err::remove_file(&passwd).unwrap();
    let file = fs_err::File::create(&passwd).unwrap();
    file.set_len(10 << 30).unwrap();
    refused("ten gigabytes");

    // Out of the root: the host's file, in which root is known, must not be read.
    for target in ["/../../../../etc/shadow", "/proc/self/root/etc/passwd", "/dev/zero"] {
        fs_err::remove_file(&passwd).unwrap();
        symlink(target, &passwd).unwrap();
        let error = id(&world, "daemon").unwrap_err().to_string();
        assert_eq!(error, "unable to find user daemon: no matching entries in passwd file");
    }
}
