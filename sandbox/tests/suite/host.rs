//! What the host is found to offer.

use gantry_sandbox::{Overlay, State, probe};

use crate::support::World;

#[test]
fn every_finding_has_words_and_what_lacks_has_a_fix() {
    let store = tempfile::tempdir().unwrap();
    let findings = probe().report(store.path());
    let names: Vec<_> = findings.iter().map(|finding| finding.name).collect();
    for name in ["kernel", "overlay", "cgroups", "seccomp", "bridge and NAT", "pasta"] {
        assert!(names.contains(&name), "{names:?}");
    }
    for finding in &findings {
        assert!(!finding.detail.is_empty(), "{finding:?}");
        assert!(finding.state != State::Missing || finding.fix.is_some(), "{finding:?}");
    }
    assert_eq!(fs_err::read_dir(store.path()).unwrap().count(), 0, "trials leave nothing behind");
}

#[test]
fn overlay_is_tried_where_the_store_will_be() {
    let Some(world) = World::new() else { return };
    let host = probe();
    // A store that nobody has made yet is looked for where it would be made.
    assert_eq!(host.overlay(&world.path("no/store/yet")), host.overlay(&world.path("")));
    assert!(!world.path("no").exists(), "trials make nothing");
    // No upper directory can lie on procfs.
    let proc = host.overlay(std::path::Path::new("/proc/self"));
    let Overlay::Unavailable { reason } = proc else { panic!("{proc:?}") };
    assert!(reason.contains("/proc/self"), "{reason}");
}
