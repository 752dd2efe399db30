//! What `--help` and `version` print: the manual must not change by accident.

use crate::sandbox::{Sandbox, snapshot};

#[test]
fn the_manual() {
    snapshot!(Sandbox::new().gantry(["--help"]), @"
    exit: 0
    ----- stdout -----
    Builds, keeps and runs container images, without a daemon

    Usage: gantry [OPTIONS] COMMAND

    Commands:
      build       Build an image from a Dockerfile
      check       Check a Dockerfile for what is legal and still unwise
      fmt         Format Dockerfiles
      parse       Show what a Dockerfile says, without building it
      builds      Look at running builds and those of the past
      why         Say why steps of a build ran instead of coming from the cache
      context     Look at a build context
      run         Create and run a new container from an image
      pull        Download an image from a registry
      push        Upload an image to a registry
      search      Search Docker Hub (or the registry in front of the term) for images
      login       Authenticate to a registry
      logout      Log out from a registry
      images      List images
      history     Show the history of an image
      inspect     Return low-level information on images
      tag         Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE
      rmi         Remove one or more images
      load        Load an image from a tar archive or STDIN
      import      Import the contents from a tarball to create a filesystem image
      save        Save one or more images to a tar archive (streamed to STDOUT by default)
      ps          List containers
      rm          Remove one or more containers
      commit      Create a new image from a container's changes
      diff        Inspect changes to files or directories on a container's filesystem
      du          Disk usage
      fsck        Check the store, and repair it on request
      prune       Remove build cache
      info        Display system-wide information
      version     Show the gantry version information
      image       Manage images
      container   Manage containers
      builder     Manage the build cache
      buildx      Build with the spelling of docker's build plugin
      manifest    Manage manifests and manifest lists in registries
      system      Manage gantry
      plugin      Have `docker build` run gantry
      completion  Generate the autocompletion script for the specified shell

    Options:
      -h, --help  Print help

    Global options:
          --root <DIR>  Directory of the store (default /var/lib/gantry, or ~/.local/share/gantry if not
                        root) [env: GANTRY_ROOT]
      -D, --debug       Explain more: warnings with their places
      -v, --version     Print version information and quit
    ----- stderr -----
    ");
}

#[test]
fn the_version_in_three_forms() {
    let sandbox = Sandbox::new();
    snapshot!(sandbox.gantry(["--version"]), @"
    exit: 0
    ----- stdout -----
    gantry 0.1.0
    ----- stderr -----
    ");
    let text = sandbox.gantry(["version"]).success().stdout;
    assert!(text.starts_with("Gantry:\n Version:           "), "{text}");
    let text = sandbox.gantry(["version", "--format", "{{.Server.Version}}"]).success().stdout;
    assert_eq!(text.trim(), env!("CARGO_PKG_VERSION"));
}

/// E-23: how to log in where nobody types.
#[test]
fn e_23_logins_in_ci_are_explained() {
    let help = Sandbox::new().gantry(["login", "--help"]).success().stdout;
    for part in [
        "echo \"$GITHUB_TOKEN\" | gantry login -u \"$GITHUB_ACTOR\" --password-stdin ghcr.io\n",
        "\"$CI_REGISTRY\"\n",
        "ecr-login, gcr, acr-env",
    ] {
        assert!(help.contains(part), "{part}: {help}");
    }
}

#[test]
fn images_and_run_speak_docker() {
    let sandbox = Sandbox::new();
    snapshot!(sandbox.gantry(["images", "--help"]), @"
    exit: 0
    ----- stdout -----
    List images

    Usage: gantry images [OPTIONS] [REPOSITORY[:TAG]]

    Arguments:
      [REPOSITORY[:TAG]]  Show only images whose name fits

    Options:
      -a, --all              Show all images (default hides those that were built with an image for
                             another platform)
          --digests          Show digests
      -f, --filter <filter>  Filter output based on conditions provided
          --format <string>  Format output: 'table', 'table TEMPLATE', 'json' or a Go template
          --no-trunc         Don't truncate output
      -q, --quiet            Only show image IDs
      -h, --help             Print help

    Global options:
          --root <DIR>  Directory of the store (default /var/lib/gantry, or ~/.local/share/gantry if not
                        root) [env: GANTRY_ROOT]
      -D, --debug       Explain more: warnings with their places
    ----- stderr -----
    ");
}

#[test]
fn completion_scripts_are_written() {
    let sandbox = Sandbox::new();
    for (shell, mark) in
        [("bash", "_gantry()"), ("zsh", "#compdef gantry"), ("fish", "complete -c gantry")]
    {
        let script = sandbox.gantry(["completion", shell]).success().stdout;
        assert!(script.contains(mark), "{shell}");
    }
}
