//! Here-documents and triggers (B8).

use super::{build, config, history, project, refusal, steps, told};

#[test]
fn b8_02_and_10_bodies_in_their_order() {
    let text = "FROM busybox\nARG A=arg\nCOPY <<one <<\"two\" /h/\n# kept\n\n$A\none \none\nb\\\nc\ntwo\n\
         RUN cat /h/one /h/two\n";
    assert_eq!(steps(text), "# kept\n\narg\none \nb\\\nc\n");
    assert_eq!(refusal("RUN <<EOF\ntrue"), "unterminated heredoc");
}

#[test]
fn b8_03_and_08_expansion_of_files() {
    let text = "FROM busybox\nENV E=env\n\
         COPY <<plain <<\"quoted\" <<'single' /h/\n$E ${NO:-def} \"q\" '$E' \\$E\nplain\n$E\nquoted\n$E\nsingle\n\
         COPY <<at /\nx\nat\nCOPY --chmod=751 --chown=3:4 <<o /own\nx\no\n\
         RUN cat /h/*; stat -c '%n %a %u:%g' /h/plain /at /own\n";
    assert_eq!(
        steps(text),
        "env def \"q\" 'env' $E\n$E\n$E\n/h/plain 644 0:0\n/at 644 0:0\n/own 751 3:4\n"
    );
    assert_eq!(refusal("COPY a <<b\nb"), "COPY cannot accept a heredoc as a destination");
}

#[test]
fn b8_04_only_tabs_are_stripped() {
    let text = "FROM busybox\nCOPY <<-t /t\n\t\tone\n\t  two\n  three\n\tt\nRUN cat /t\n";
    assert_eq!(steps(text), "one\n  two\n  three\n");
}

#[test]
fn b8_05_a_body_is_the_shells() {
    let text = "FROM busybox\nARG A=arg\nSHELL [\"/bin/sh\", \"-ec\"]\n\
         RUN <<EOF\nA=shell\necho $A \"$0\"\nfalse || echo still\nEOF\n";
    assert_eq!(steps(text), "shell /bin/sh\nstill\n");
}

#[test]
fn b8_06_a_shebang_is_a_file() {
    let text = "FROM busybox\nRUN <<EOF\n#!/bin/sh -e\necho $0\nstat -c %a $0\nEOF\n";
    assert_eq!(steps(text), "/dev/pipes/EOF\n755\n");
}

#[test]
fn b8_07_mixed_bodies_are_put_together_again() {
    let text = "FROM busybox\nENV E=env\nRUN cat <<F > /f && cat <<-\"G\" > /g && cat 3<<H <&3 /f /g -\n\
         f $E\nF\n\tg $E\nG\nthird\nH\n";
    assert_eq!(steps(text), "f env\ng $E\nthird\n");
}

#[test]
fn b8_11_to_13_triggers() {
    let base = "FROM busybox\nONBUILD ARG V=default\nONBUILD RUN echo fired $V\n\
         ONBUILD COPY --from=tool /t /t\nONBUILD ENV E=1\nRUN echo base\n";
    let sandbox = project(base);
    assert_eq!(build(&sandbox, []), "base\n");
    assert_eq!(
        config(&sandbox)["OnBuild"],
        serde_json::json!([
            "ARG V=default",
            "RUN echo fired $V",
            "COPY --from=tool /t /t",
            "ENV E=1"
        ])
    );
    assert_eq!(history(&sandbox), ["RUN /bin/sh -c echo base # buildkit"]);
    sandbox.gantry(["tag", "x", "parent"]).success();
    // B8-15: the stage is one of the child's file.
    let child = "FROM busybox AS tool\nRUN echo tool > /t\nFROM parent\nRUN cat /t; echo $E\n";
    sandbox.write("Dockerfile", child);
    let told = told(&sandbox, ["--build-arg", "V=given"]);
    assert!(told.contains("2/4] ONBUILD RUN echo fired given\n"), "{told}");
    assert_eq!(super::printed(&told), "fired given\ntool\n1\n");
    assert_eq!(config(&sandbox)["OnBuild"], serde_json::Value::Null);
}

#[test]
fn b8_13_triggers_of_a_stage_fire_once() {
    let text = "FROM busybox AS a\nONBUILD RUN echo fired\nRUN echo a\n\
         FROM a AS b\nRUN echo b\nFROM b\nRUN echo c\n";
    assert_eq!(steps(text), "a\nfired\nb\nc\n");
}

#[test]
fn b8_14_what_no_trigger_is() {
    for (line, error) in [
        ("ONBUILD ONBUILD RUN x", "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"),
        ("ONBUILD FROM x", "FROM isn't allowed as an ONBUILD trigger"),
        ("ONBUILD MAINTAINER x", "MAINTAINER isn't allowed as an ONBUILD trigger"),
        ("ONBUILD", "ONBUILD requires at least one argument"),
    ] {
        assert_eq!(refusal(line), error);
    }
}
