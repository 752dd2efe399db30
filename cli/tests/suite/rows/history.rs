//! What lands in the config and the history (B9).

use super::{build, config, history, project};

#[test]
fn b9_01_to_04_the_words_of_the_history() {
    let text = "FROM busybox\nRUN true\nRUN [\"echo\", \"a  b\"]\nCOPY --link f /z\n\
         COPY --chown=1:2 --chmod=700 f /q/\nCOPY --parents f /p/\nCOPY <<A <<B /h/\na\nA\nb\nB\nADD f /ad\n\
         WORKDIR w\nWORKDIR /\nENV A=1 B=\"two words\"\nENV L old style\nLABEL a=b \"q r\"=s\n\
         EXPOSE 80 53/udp\nVOLUME /a /b\nUSER nobody\nSTOPSIGNAL SIGTERM\n\
         HEALTHCHECK --interval=5s --retries=3 CMD x\nHEALTHCHECK NONE\nMAINTAINER me\nARG X=v Y\n\
         CMD echo $A\nENTRYPOINT [\"a\", \"b\\\"\"]\nSHELL [\"/bin/ash\", \"-c\"]\nONBUILD RUN x\n";
    let sandbox = project(text);
    sandbox.write("f", "");
    build(&sandbox, []);
    assert_eq!(
        history(&sandbox),
        [
            "RUN /bin/sh -c true # buildkit",
            "RUN echo a  b # buildkit",
            "COPY f /z # buildkit",
            "COPY --chown=1:2 --chmod=700 f /q/ # buildkit",
            "COPY --parents f /p/ # buildkit",
            "COPY <<A <<B /h/ # buildkit",
            "ADD f /ad # buildkit",
            "WORKDIR /w",
            "WORKDIR /",
            "ENV A=1 B=two words",
            "ENV L=old style",
            "LABEL a=b q r=s",
            "EXPOSE [53/udp 80/tcp]",
            "VOLUME [/a /b]",
            "USER nobody",
            "STOPSIGNAL SIGTERM",
            "HEALTHCHECK {Test:[CMD-SHELL x] Interval:5s Timeout:0s StartPeriod:0s StartInterval:0s Retries:3}",
            "HEALTHCHECK {Test:[NONE] Interval:0s Timeout:0s StartPeriod:0s StartInterval:0s Retries:0}",
            "MAINTAINER me",
            "ARG X=v Y",
            "CMD [\"/bin/sh\" \"-c\" \"echo $A\"]",
            "ENTRYPOINT [\"a\" \"b\\\"\"]",
            "SHELL [/bin/ash -c]",
        ]
    );
    assert_eq!(config(&sandbox)["ArgsEscaped"], true, "B9-07");
}

/// The config as it is stored: as many layers as entries that made one, and the base's untouched.
#[test]
fn b9_05_06_and_08_layers_and_times() {
    let text = "FROM busybox\nENV A=1\nRUN true\nWORKDIR /\nWORKDIR /w\nCMD x\n";
    let sandbox = project(text).at_time(1_000_000_000);
    build(&sandbox, []);
    sandbox.gantry(["save", "-o", "x.tar", "x"]).success();
    let mut config = None;
    let tar = sandbox.read("x.tar");
    for entry in tar::Archive::new(&tar[..]).entries().unwrap() {
        let found: Result<serde_json::Value, _> = serde_json::from_reader(entry.unwrap());
        config = found.ok().filter(|json| json.get("rootfs").is_some()).or(config);
    }
    let config = config.unwrap();
    let history = config["history"].as_array().unwrap();
    let (base, own) = history.split_first().unwrap();
    let empty: Vec<bool> =
        own.iter().map(|entry| entry["empty_layer"].as_bool().unwrap_or(false)).collect();
    assert_eq!(empty, [true, false, true, false, true]);
    assert_eq!(config["rootfs"]["diff_ids"].as_array().unwrap().len(), 3);
    for entry in own {
        assert_eq!(entry["created"], "2001-09-09T01:46:40Z");
        assert_eq!(entry["comment"], "buildkit.dockerfile.v0");
    }
    assert_eq!(config["created"], "2001-09-09T01:46:40Z");
    assert!(base["comment"].as_str().unwrap().starts_with("Imported from"));
}
