//! `gantry plugin install` and `uninstall`.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use super::config;
use crate::sandbox::Sandbox;

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    let config = config(&sandbox);
    sandbox.env("DOCKER_CONFIG", config.to_str().unwrap())
}

#[test]
fn the_plugin_says_what_it_is() {
    let sandbox = sandbox();
    let plugin = config(&sandbox).join("cli-plugins/docker-buildx");
    for form in [&["plugin", "install"][..], &["plugin", "install", "--copy"]] {
        let said = sandbox.gantry_words(form).success();
        assert_eq!(said.stdout, "[DIR]/docker/cli-plugins/docker-buildx\n");
        let copy = form.contains(&"--copy");
        assert_eq!(plugin.is_symlink(), !copy);
        let answer = sandbox.run(&mut sandbox.other(&plugin, &["docker-cli-plugin-metadata"]));
        let answer: Value = serde_json::from_str(&answer.success().stdout).unwrap();
        assert_eq!(answer["SchemaVersion"], "0.1.0");
        assert_eq!(answer["Vendor"], "gantry");
        assert_eq!(answer["Version"], concat!("v", env!("CARGO_PKG_VERSION")));
        assert!(answer["ShortDescription"].as_str().is_some_and(|text| !text.is_empty()));
    }
    sandbox.gantry(["plugin", "uninstall"]).success();
    assert!(!plugin.exists());
    let again = sandbox.gantry(["plugin", "uninstall"]).success();
    assert_eq!(again.stderr, "gantry is not installed as a plugin\n");
}

#[test]
fn without_docker_config_it_goes_home() {
    let sandbox = Sandbox::new();
    let home = sandbox.project().with_file_name("home");
    sandbox.gantry(["plugin", "install"]).success();
    assert!(home.join(".docker/cli-plugins/docker-buildx").is_symlink());
}

#[test]
fn another_plugin_is_put_aside_and_put_back() {
    let sandbox = sandbox();
    let plugin = config(&sandbox).join("cli-plugins/docker-buildx");
    fs_err::create_dir_all(plugin.parent().unwrap()).unwrap();
    let theirs = "#!/bin/sh\necho '{\"Vendor\":\"Docker Inc.\"}'\n";
    fs_err::write(&plugin, theirs).unwrap();
    fs_err::set_permissions(&plugin, std::fs::Permissions::from_mode(0o755)).unwrap();
    let refused = sandbox.gantry(["plugin", "install"]).code(1);
    assert!(refused.stderr.contains("docker-buildx` is another plugin"), "{}", refused.stderr);
    assert_eq!(fs_err::read_to_string(&plugin).unwrap(), theirs);
    assert!(sandbox.gantry(["plugin", "uninstall"]).code(1).stderr.contains("and stays"));

    sandbox.gantry(["plugin", "install", "--force"]).success();
    assert!(plugin.is_symlink());
    // Once more changes nothing about what is kept.
    sandbox.gantry(["plugin", "install", "--force", "--copy"]).success();
    let back = sandbox.gantry(["plugin", "uninstall"]).success();
    assert!(back.stderr.contains("is back"), "{}", back.stderr);
    assert_eq!(fs_err::read_to_string(&plugin).unwrap(), theirs);
    assert_eq!(plugin.metadata().unwrap().permissions().mode() & 0o777, 0o755);
    let left: Vec<_> = fs_err::read_dir(plugin.parent().unwrap()).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn the_clients_configuration_is_kept_but_for_the_alias() {
    let sandbox = sandbox();
    let path = config(&sandbox).join("config.json");
    fs_err::create_dir_all(path.parent().unwrap()).unwrap();
    fs_err::write(&path, r#"{"auths":{"r":{"auth":"c2VjcmV0"}},"psFormat":"x"}"#).unwrap();
    fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let read = || serde_json::from_slice::<Value>(&fs_err::read(&path).unwrap()).unwrap();
    let before = read();
    sandbox.gantry(["plugin", "install", "--no-alias"]).success();
    assert_eq!(read(), before);
    sandbox.gantry(["plugin", "install"]).success();
    assert_eq!(read()["aliases"]["builder"], "buildx");
    assert_eq!(read()["auths"], before["auths"]);
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    sandbox.gantry(["plugin", "uninstall"]).success();
    assert_eq!(read(), before);
    fs_err::write(&path, "not json").unwrap();
    let said = sandbox.gantry(["plugin", "install"]).code(1).stderr;
    assert!(said.contains("is no JSON object"), "{said}");
    assert_eq!(fs_err::read_to_string(&path).unwrap(), "not json");
}
