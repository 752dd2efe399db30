//! Variables of a build (B7), and where they surprise (G-01, G-03, G-16).

use super::{build, cached, config, history, project, steps, told};
use crate::repositories::Server;

#[test]
fn b7_01_globals_and_g_01_and_g_03() {
    let text = "ARG G=global\nARG BASE=\"busybox\"\nARG TWICE=$G$G\nFROM ${BASE}\n\
         RUN echo \"[$G]\"\nARG G TWICE\nRUN echo \"[$G][$TWICE]\"\n";
    assert_eq!(steps(text), "[]\n[global][globalglobal]\n");
}

#[test]
fn b7_02_a_stage_hands_its_variables_down() {
    let text = "FROM busybox AS one\nRUN echo \"[$A]\"\nARG A=1\nRUN echo $A > /f\n\
         FROM one AS two\nRUN echo \"[$A]\"\n\
         FROM busybox\nCOPY --from=two /f /f\nRUN echo \"[$A]\" $(cat /f)\n";
    assert_eq!(steps(text), "[]\n[1]\n[] 1\n");
}

#[test]
fn b7_03_who_wins() {
    let text = "ARG X=global\nARG Y=global\nFROM busybox\nARG X=stage\nARG Y\nRUN echo $X $Y\n";
    let sandbox = project(text);
    assert_eq!(build(&sandbox, []), "stage global\n");
    let given = ["--build-arg", "X=given", "--build-arg", "Y=given"];
    assert_eq!(build(&sandbox, given), "given given\n");
}

#[test]
fn b7_04_and_05_unset_is_not_empty() {
    let text = "FROM busybox\nARG BARE\nARG EMPTY=\nRUN echo ${BARE-unset}${EMPTY-unset}\n";
    assert_eq!(steps(text), "unset\n");
    // G-16: a name alone takes its value from outside, if there is one.
    let sandbox = project(text);
    assert_eq!(build(&sandbox, ["--build-arg", "BARE"]), "unset\n");
    assert_eq!(build(&sandbox.env("BARE", "outside"), ["--build-arg", "BARE"]), "outside\n");
}

/// The later of the two wins in the build; the image has what ENV says.
#[test]
fn b7_06_arg_and_env_of_one_name() {
    let text = "FROM busybox AS base\nENV A=env B=env C=env\nFROM base\nARG A=arg\nARG B\n\
         RUN echo $A $B $C\nARG C=arg\nENV C=later\nRUN echo $C\nARG C=last\nWORKDIR /$C\nRUN pwd\n";
    let sandbox = project(text);
    assert_eq!(build(&sandbox, []), "arg env env\nlater\n/last\n");
    let env = config(&sandbox)["Env"].to_string();
    assert!(env.contains("\"A=env\",\"B=env\",\"C=later\""), "{env}");
}

#[test]
fn b7_07_undeclared_arguments_are_told() {
    let sandbox = project("FROM busybox\nARG VERSION\nRUN true\n");
    let told = told(&sandbox, ["--build-arg", "VERSOIN=1"]);
    assert!(told.contains("`VERSOIN`") && told.contains("VERSION"), "{told}");
}

#[test]
fn b7_08_a_declared_value_counts() {
    let text = "FROM busybox\nRUN true\nARG A\nRUN true # a\n";
    let sandbox = project(text);
    build(&sandbox, ["--build-arg", "A=1"]);
    assert_eq!(cached(&told(&sandbox, ["--build-arg", "A=1"])), 2);
    assert_eq!(cached(&told(&sandbox, ["--build-arg", "A=2"])), 1);
}

#[test]
fn b7_09_history_shows_values() {
    let sandbox = project("FROM busybox\nARG A=1 B\nRUN true\nARG A=2\nRUN [\"true\"]\n");
    build(&sandbox, []);
    assert_eq!(
        history(&sandbox),
        [
            "ARG A=1 B",
            "RUN |2 A=1 B= /bin/sh -c true # buildkit",
            "ARG A=2",
            "RUN |2 A=2 B= true # buildkit"
        ]
    );
}

#[test]
fn b7_10_proxies_are_there_and_do_not_count() {
    let text = "FROM busybox\nRUN echo $http_proxy $HTTP_PROXY $no_proxy; test -z \"$FTP_PROXY\"\n";
    let sandbox = project(text);
    let first = ["--build-arg", "HTTP_PROXY=http://p", "--build-arg", "no_proxy=x"];
    assert_eq!(build(&sandbox, first), "http://p http://p x\n");
    assert_eq!(cached(&told(&sandbox, ["--build-arg", "http_proxy=http://other"])), 1);
    let [run] = &history(&sandbox)[..] else { panic!("one entry") };
    assert!(!run.contains("http://") && !run.contains('|'), "{run}");
}

#[test]
fn b7_11_and_12_platforms_and_the_target() {
    let text = "FROM busybox AS first\nARG TARGETOS BUILDPLATFORM TARGETSTAGE\n\
         RUN echo [$TARGETARCH] $TARGETOS ${BUILDPLATFORM%/*} $TARGETSTAGE\n";
    let sandbox = project(text);
    assert_eq!(build(&sandbox, ["--target", "first"]), "[] linux linux first\n");
    let other = ["--build-arg", "TARGETOS=mine", "--target", "first"];
    assert_eq!(build(&sandbox, other), "[] mine linux first\n");
}

#[test]
fn b7_13_the_name_of_the_host() {
    let sandbox = project("FROM busybox\nRUN hostname\n");
    assert_eq!(build(&sandbox, []), "buildkitsandbox\n");
    let named = ["--build-arg", "BUILDKIT_SANDBOX_HOSTNAME=mine"];
    assert_eq!(build(&sandbox, named), "mine\n");
}

#[test]
fn b7_14_a_bad_time() {
    let sandbox = project("FROM busybox\n");
    let shown = sandbox.gantry(["build", "--build-arg", "SOURCE_DATE_EPOCH=x", "."]);
    let shown = shown.code(1).stderr;
    assert!(shown.contains("invalid SOURCE_DATE_EPOCH: x"), "{shown}");
}

/// The time of a build is that of what it is built from, wherever the name of it is said; what has
/// no time leaves it unset.
#[test]
fn b7_14_the_time_of_the_source() {
    let text = "FROM busybox\nARG SOURCE_DATE_EPOCH\nRUN echo \"[$SOURCE_DATE_EPOCH]\"\n";
    let server = Server::start();
    let repository = server.repository("r", &[("Dockerfile", text)]);
    let sandbox = project(text);
    let shown = |args: &[&str]| {
        let all = [&["build", "--progress=plain", "-t", "x"], args].concat();
        let shown = sandbox.gantry_words(&all).success().stderr;
        let line = shown.lines().filter_map(|line| line.rsplit_once(" [")).find(|(_, rest)| {
            rest.ends_with(']') && rest.bytes().all(|b| b.is_ascii_digit() || b == b']')
        });
        line.map(|(_, rest)| rest.trim_end_matches(']').to_owned()).unwrap_or(shown)
    };
    let commit = "1700000000";
    let context = "SOURCE_DATE_EPOCH=context";
    assert_eq!(shown(&["--build-arg", context, &repository.url]), commit);
    let created = sandbox.gantry(["inspect", "-f", "{{.Created}}", "x"]).success().stdout;
    assert!(created.starts_with("2023-11-14T22:13:20"), "{created}");
    // The same step, so it does not run again.
    let named = format!("--build-context=src={}", repository.url);
    sandbox.gantry(["build", "-t", "y", "--source-date-epoch=src", &named, "."]).success();
    let created = sandbox.gantry(["inspect", "-f", "{{.Created}}", "y"]).success().stdout;
    assert!(created.starts_with("2023-11-14T22:13:20"), "{created}");
    // A directory has no time.
    assert_eq!(shown(&["--build-arg", context, "."]), "");
    let dry = ["build", "--dry-run", "--source-date-epoch=src", &named, "."];
    let refused = sandbox.gantry(dry).code(1).stderr;
    assert!(refused.contains("a dry run fetches nothing"), "{refused}");
}

/// They configure the builder, and are no variables.
#[test]
fn b7_15_sbom_arguments_are_not_exported() {
    let text = "FROM busybox\nARG BUILDKIT_SBOM_SCAN_STAGE=true\n\
         RUN echo \"[$BUILDKIT_SBOM_SCAN_STAGE]\"\n";
    assert_eq!(steps(text), "[]\n");
}
