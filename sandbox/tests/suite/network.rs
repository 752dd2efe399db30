//! Private networks: behind the bridge as root, through pasta in a user namespace.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use gantry_sandbox::{Capabilities, ExtraHost, Network, Networks, Security, Spec, probe, spawn};

use crate::support::{Elsewhere, World, finish, interface, run, skip};

fn interfaces() -> Vec<String> {
    let mut names: Vec<_> = fs_err::read_dir("/sys/class/net")
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn bridge_of(state: &Path) -> String {
    let text = fs_err::read_to_string(state.join("bridge")).unwrap();
    text.split(' ').next().unwrap().to_owned()
}

fn has_table(bridge: &str) -> bool {
    let table = if bridge == "gantry0" { "gantry" } else { bridge };
    let list = Command::new("nft").args(["list", "table", "ip", table]).output().unwrap();
    list.status.success()
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(5), "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A world and its networks, where the bridge can be made.
fn bridged() -> Option<(World, Networks)> {
    let world = World::new()?;
    let host = probe();
    if host.in_user_namespace() {
        return None; // Run by the process outside.
    }
    if let Err(reason) = host.bridge() {
        skip("network", &reason);
        return None;
    }
    let networks = Networks::new(&host, world.path("net"));
    Some((world, networks))
}

#[test]
fn two_sandboxes_reach_the_bridge_and_each_other_and_all_is_gone_afterwards() {
    let Some((world, networks)) = bridged() else { return };
    let first = networks.private().unwrap();
    let second = networks.private().unwrap();
    assert_ne!(first.address(), second.address());
    assert_eq!(first.gateway(), second.gateway());
    let bridge = bridge_of(&world.path("net"));
    let index = interface(&bridge);
    assert!(index.is_some() && has_table(&bridge));

    let (gateway, other) = (first.gateway(), first.address());
    let mut waiting = world.spec(["sleep", "100"]);
    waiting.network = Network::Private(first);
    let waiting = spawn(waiting).unwrap();

    // A listener on the bridge's address, as a service of the host.
    let listener = TcpListener::bind((gateway, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = std::thread::spawn(move || {
        let (mut stream, peer) = listener.accept().unwrap();
        stream.write_all(b"hello").unwrap();
        peer.ip()
    });
    let mut spec = world.spec([
        "sh",
        "-c",
        &format!(
            "ping -c1 -W2 {gateway} >/dev/null && echo gateway
             ping -c1 -W2 {other} >/dev/null && echo other
             nc {gateway} {port} </dev/null; echo
             grep host-gw /etc/hosts | cut -f1; hostname; grep -c box /etc/hosts"
        ),
    ]);
    spec.upper_elsewhere(&world);
    spec.hostname = "box".to_owned();
    spec.extra_hosts = vec![ExtraHost { name: "host-gw".to_owned(), address: None }];
    let own = second.address();
    spec.network = Network::Private(second);
    let ran = run(spec).unwrap();
    assert_eq!(ran.ok(), format!("gateway\nother\nhello\n{gateway}\nbox\n1\n"));
    assert_eq!(server.join().unwrap(), own);

    drop(waiting);
    drop(networks);
    assert_ne!(interface(&bridge), index, "the bridge goes with its last user");
    assert!(!world.path("net/bridge").exists());
    let pair = format!("gve{}x", &bridge["gantry".len()..]);
    until("interfaces of sandboxes go", || {
        interfaces().iter().all(|name| !name.starts_with(&pair))
    });
    let leases = fs_err::read_dir(world.path("net/leases")).unwrap().count();
    assert_eq!(leases, 0);
}

/// Runs a script in a network that is handed on, and returns the address and what it printed.
fn in_turn(
    world: &World,
    networks: &Networks,
    change: impl FnOnce(&mut Spec),
) -> (Ipv4Addr, String) {
    let network = networks.handed_on().unwrap();
    let address = network.address();
    let mut spec = world.spec(["sh", "-c", "readlink /proc/self/ns/net; ip -4 -o addr show eth0"]);
    spec.network = Network::Private(network);
    change(&mut spec);
    (address, run(spec).unwrap().ok())
}

#[test]
fn a_network_is_handed_on_if_it_is_as_it_was() {
    let Some((world, networks)) = bridged() else { return };
    let first = in_turn(&world, &networks, |_| ());
    assert!(first.1.contains(&format!("inet {}/", first.0)), "{first:?}");
    assert_eq!(in_turn(&world, &networks, |_| ()), first, "the next one gets the same");

    let held = networks.handed_on().unwrap();
    assert_eq!(held.address(), first.0);
    let second = in_turn(&world, &networks, |_| ());
    assert_ne!(second.0, first.0, "what somebody is in is nobody else's");
    drop(held);
    assert_eq!(in_turn(&world, &networks, |_| ()), second);

    // Whoever ends a connection keeps its port busy for a minute.
    let listener = TcpListener::bind((networks.handed_on().unwrap().gateway(), 0)).unwrap();
    let to = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let mut text = String::new();
        listener.accept().unwrap().0.read_to_string(&mut text).unwrap();
    });
    let connect = format!("nc {} {} </dev/null", to.ip(), to.port());
    let third = in_turn(&world, &networks, |spec| {
        spec.argv = ["sh", "-c", &connect].map(Into::into).to_vec()
    });
    server.join().unwrap();
    let fourth = in_turn(&world, &networks, |spec| spec.security = Security::Insecure);
    let fifth = in_turn(&world, &networks, |spec| {
        spec.capabilities = spec.capabilities.with(Capabilities::from_name("NET_ADMIN").unwrap());
    });
    let sixth = in_turn(&world, &networks, |_| ());
    let addresses = [first.0, second.0, third.0, fourth.0, fifth.0, sixth.0];
    let different: std::collections::HashSet<_> = addresses.iter().collect();
    assert_eq!(different.len(), addresses.len(), "{addresses:?}");
}

#[test]
fn networks_that_were_retired_are_made_anew() {
    let Some((world, networks)) = bridged() else { return };
    let first = in_turn(&world, &networks, |_| ());
    let bridge = bridge_of(&world.path("net"));
    let index = interface(&bridge);
    assert!(index.is_some());
    drop(networks.retire());
    assert_ne!(interface(&bridge), index);
    assert_eq!(fs_err::read_dir(world.path("net/leases")).unwrap().count(), 0);
    let second = in_turn(&world, &networks, |_| ());
    assert_ne!(second.0, first.0, "an address rests");
    drop(networks.retire());
    drop(networks.retire());
}

/// A container keeps nothing but its own network.
#[test]
fn the_last_sandbox_takes_the_bridge_away() {
    let Some((world, networks)) = bridged() else { return };
    let private = networks.private().unwrap();
    drop(networks);
    let bridge = bridge_of(&world.path("net"));
    let index = interface(&bridge);
    assert!(index.is_some());
    let mut spec = world.spec(["true"]);
    spec.network = Network::Private(private);
    run(spec).unwrap().ok();
    assert_ne!(interface(&bridge), index);

    // So does one that was never begun.
    let networks = Networks::new(&probe(), world.path("net"));
    let private = networks.private().unwrap();
    drop(networks);
    let bridge = bridge_of(&world.path("net"));
    let index = interface(&bridge);
    let mut spec = world.spec(["/no/such/program"]);
    spec.network = Network::Private(private);
    run(spec).unwrap_err();
    assert!(index.is_some());
    assert_ne!(interface(&bridge), index);
}

#[test]
fn what_a_killed_owner_left_is_taken_away_by_the_next() {
    let Some((world, networks)) = bridged() else { return };
    let state = world.path("net");
    drop(networks.private().unwrap());
    let bridge = bridge_of(&state);
    // As after `kill -9`: the locks are gone, and nothing else is.
    std::mem::forget(networks);
    let users: Vec<_> = fs_err::read_dir(state.join("users")).unwrap().collect();
    assert_eq!(users.len(), 1);
    let user = users[0].as_ref().unwrap().path();
    // (This process itself still holds the lock of the forgotten one.)
    fs_err::remove_file(&user).unwrap();
    let index = interface(&bridge);
    assert!(index.is_some());

    let networks = Networks::new(&probe(), &state);
    let private = networks.private().unwrap();
    let again = bridge_of(&state);
    let second = interface(&again);
    assert!(second.is_some() && second != index);
    let mut spec = world.spec(["ping", "-c1", "-W2", &private.gateway().to_string()]);
    spec.network = Network::Private(private);
    assert!(run(spec).unwrap().ok().contains("1 packets received"));
    drop(networks);
    assert_ne!(interface(&again), second);
}

#[test]
fn two_stores_on_one_host_do_not_meet() {
    let Some((world, networks)) = bridged() else { return };
    let others = Networks::new(&probe(), world.path("net2"));
    let (first, second) = (networks.private().unwrap(), others.private().unwrap());
    assert_ne!(first.gateway(), second.gateway());
    assert_ne!(bridge_of(&world.path("net")), bridge_of(&world.path("net2")));
}

#[test]
fn a_bridge_that_has_a_dead_ones_name_is_left_alone() {
    let Some((world, networks)) = bridged() else { return };
    let private = networks.private().unwrap();
    let bridge = bridge_of(&world.path("net"));
    let index = interface(&bridge);
    // As after `kill -9` between choosing a name and making the bridge: meanwhile it is another's.
    let dead = world.path("dead");
    fs_err::create_dir(&dead).unwrap();
    let text = fs_err::read_to_string(world.path("net").join("bridge")).unwrap();
    let (rest, address) = text.trim().rsplit_once(' ').unwrap();
    let other = format!("{rest} {:012x}\n", u64::from_str_radix(address, 16).unwrap() ^ 1);
    fs_err::write(dead.join("bridge"), other).unwrap();
    let others = Networks::new(&probe(), &dead);
    drop(others.private().unwrap());
    drop(others);
    assert_eq!(interface(&bridge), index);
    let mut spec = world.spec(["ping", "-c1", "-W2", &private.gateway().to_string()]);
    spec.network = Network::Private(private);
    assert!(run(spec).unwrap().ok().contains("1 packets received"));
}

#[test]
fn the_hosts_network_is_the_hosts() {
    let Some(world) = World::new() else { return };
    let mut spec = world.spec(["sh", "-c", "ls /sys/class/net; mkdir /sys/x || echo ro"]);
    spec.network = Network::Host;
    let text = run(spec).unwrap().ok();
    let mut expect = interfaces().join("\n");
    expect.push_str("\nro\n");
    // Other tests make and remove interfaces meanwhile.
    let lasting = |text: &str| {
        let temporary = |line: &&str| !line.starts_with("gve") && !line.starts_with("gantry");
        text.lines().filter(temporary).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(lasting(&text), lasting(&expect));
}

#[test]
fn pasta_gives_a_network_without_privileges() {
    let Some(world) = World::new() else { return };
    let host = probe();
    if !host.in_user_namespace() {
        return; // Run again in one by `userns`.
    }
    let networks = Networks::new(&host, world.path("net"));
    let private = match networks.private() {
        Ok(private) => private,
        Err(error) => {
            let reason = host.pasta().unwrap_err();
            assert!(error.to_string().contains(&reason), "{error}");
            skip("network", &reason);
            return;
        }
    };
    let own = private.address().to_string();
    // An address of the host that is not its loopback; traffic to it stays on this machine.
    let mut spec = world.spec(["sh", "-c", "ip -4 -o addr show up scope global; sleep 0.2"]);
    spec.network = Network::Private(private);
    let mut child = spawn(spec).unwrap();
    let mut text = String::new();
    child.take_stdout().unwrap().read_to_string(&mut text).unwrap();
    assert!(text.contains(&format!("inet {own}/")), "{text}");
    assert!(finish(child).status.success());
    assert!(!world.path("net/bridge").exists());
}
