//! What is built by BuildKit and by gantry.

/// The context: paths and their content.
pub(super) const CONTEXT: [(&str, &str); 8] = [
    ("ctx/a", "a\n"),
    ("ctx/b", "b\n"),
    ("ctx/dir/x", "x\n"),
    ("ctx/dir/sub/y", "y\n"),
    ("ctx/src/main.c", "s\n"),
    ("ctx/secret", "s\n"),
    ("ctx/odd name", "o\n"),
    ("ctx/.dockerignore", "secret\n**/*.none\n"),
];

/// What else the context has: modes, links, archives.
pub(super) const MORE: &str = "cd ctx && chmod 750 dir/sub && chmod 604 dir/x && ln -s x dir/link \
    && ln a hard && tar --owner=7 --group=8 --sort=name -cf t.tar dir && gzip -nk t.tar";

/// Each with a name.
pub(super) const CASES: [(&str, &str); 38] = [
    (
        "copy-destinations",
        "FROM busybox\nCOPY dir /d\nCOPY dir/. /e/\nCOPY dir/link /l\nCOPY a b /t/\nCOPY . /all\nCOPY [\"odd name\", \"/odd/\"]\n",
    ),
    (
        "copy-relative",
        "FROM busybox\nWORKDIR /x/y\nCOPY a .\nCOPY a ./z/\nCOPY dir z2\nCOPY dir/* w/\nCOPY dir/s* w2/\n",
    ),
    (
        "copy-over-links",
        "FROM busybox\nRUN mkdir -m 700 /p && ln -s /p /q\nCOPY a /q/\nCOPY a /q/c\nCOPY dir /q\nCOPY --chown=1:2 dir /o\nCOPY --chmod=640 dir /m\nCOPY --chmod=755 --chown=3 a /m2\n",
    ),
    ("copy-link", "FROM busybox\nCOPY --link a /n/e/w\nCOPY --link --chown=5:6 dir /lk/\n"),
    (
        "copy-same-twice",
        "FROM busybox\nCOPY dir /z\nRUN rm -r /z\nCOPY dir /z\nRUN cat /z/x /z/sub/y > /whole\n",
    ),
    (
        "copy-globs",
        "FROM busybox\nCOPY [a-b] /g/\nCOPY d*r/x /h/\nCOPY */x /i/\nCOPY ?ir /j\nCOPY d* s* /k/\nCOPY none* /l\n",
    ),
    (
        "copy-owners",
        "FROM busybox\nCOPY --chown=nobody a /a\nCOPY --chown=nobody:staff a /b\nCOPY --chown=:50 a /c\nCOPY --chown=9 a /d\nCOPY --chown=nobody:nogroup dir /e\n",
    ),
    (
        "copy-from-stage",
        "FROM busybox AS a\nRUN mkdir -p /o/p && echo 1 > /o/p/q && chown -R 3:4 /o && chmod 2750 /o/p && ln -s q /o/p/r\nFROM busybox\nCOPY --from=a /o /o\nCOPY --from=a /o/p/ /pp\nCOPY --from=a /o/p/r /rr\nCOPY --from=busybox /etc/passwd /bb\nCOPY --from=0 /o/p/q /num\n",
    ),
    (
        "made-directories",
        "FROM busybox\nUSER 1000\nCOPY a /n1/n2/a\nADD t.tar /n3/n4\nCOPY --chown=5:5 a /n5/n6/a\nWORKDIR /n7/n8\n",
    ),
    ("add-archives", "FROM busybox\nADD t.tar.gz /u/\nADD t.tar /v\nADD a /w\nCOPY t.tar /\n"),
    (
        "run-files",
        "FROM busybox\nRUN echo hi > /x && ln /x /y && ln -s x /z && mkfifo /f && chmod 4755 /x\nRUN rm /y && rm -rf /home && mkdir /home && echo q > /home/q\nRUN true\n",
    ),
    (
        "run-deletions",
        "FROM busybox\nRUN mkdir -p /d/e && touch /d/1 /d/e/2\nRUN rm -r /d && mkdir /d && touch /d/3\nRUN mv /d /d2\nRUN rm /etc/group && mkdir /etc/group && touch /etc/group/x\n",
    ),
    (
        "run-sees",
        "FROM busybox\nRUN hostname > /hn; id > /id; env | sort > /env; grep -E 'Cap|Seccomp|NoNew' /proc/self/status > /caps; pwd > /pwd; umask > /um; cat /proc/self/oom_score_adj > /oom; ls -ld / /proc /sys /dev /dev/shm /dev/pts | awk '{print $1,$3,$4,$NF}' > /modes; ls /proc/self/fd | wc -l > /fds\n",
    ),
    (
        "users",
        "FROM busybox\nENV HOME=\nUSER 1000:1000\nRUN id > /tmp/i; echo $HOME > /tmp/h; env | sort > /tmp/env\nUSER nobody\nRUN echo $HOME >> /tmp/h2; id >> /tmp/h2\nWORKDIR /made/by/nobody\nRUN touch /tmp/z\nUSER nobody:staff\nRUN id > /tmp/i3\nUSER 0\nWORKDIR /r\n",
    ),
    (
        "workdir",
        "FROM busybox\nWORKDIR /a\nWORKDIR b\nWORKDIR ../c/./d\nENV X=/q\nWORKDIR $X/r\nWORKDIR /\nRUN pwd > /p\nWORKDIR /bin\nWORKDIR sub\n",
    ),
    ("workdir-link", "FROM busybox\nRUN mkdir /t && ln -s /t /s\nWORKDIR /s/in\nCOPY a .\n"),
    (
        "mounts",
        "FROM busybox AS b\nRUN echo 1 > /one\nFROM busybox\nRUN --mount=type=bind,target=/m1 ls /m1 > /o1\nRUN --mount=type=bind,from=b,source=/one,target=/m2/f cat /m2/f > /o2\nRUN --mount=type=tmpfs,target=/m3 mount | grep m3 | sed s/,.*// > /o3\nRUN --mount=type=cache,target=/m4,uid=5,gid=6,mode=0750 stat -c '%u %g %a' /m4 > /o4\nRUN --mount=type=cache,target=/m4/deep/er touch /m4/deep/er/f\nRUN --mount=type=bind,target=/m5,rw touch /m5/new && ls /m5 > /o5\n",
    ),
    (
        "heredocs",
        "FROM busybox\nRUN <<EOF\necho a > /a1\ncd /\nEOF\nRUN <<EOF cat > /b1\nhi $HOME\nEOF\nCOPY <<EOF /c1\nx $PATH\nEOF\nCOPY <<\"EOF\" <<-E2 /d1/\nraw $PATH\nEOF\n\ttabbed\nE2\nCOPY --chmod=700 --chown=7:8 <<s /e1\n#!/bin/sh\ns\nRUN <<EOF\n#!/bin/sh\necho $0 > /f1\nEOF\n",
    ),
    (
        "onbuild",
        "FROM busybox AS p\nONBUILD RUN echo fired > /fired\nONBUILD COPY a /ob\nONBUILD ENV Q=1\nFROM p\nRUN echo $Q > /q\n",
    ),
    (
        "args",
        "ARG A=1\nFROM busybox\nARG A\nARG B=$A-2\nARG C\nRUN echo $A $B $C > /v; env | sort > /env\nENV B=3\nRUN echo $B > /v2\nARG TARGETARCH TARGETOS TARGETPLATFORM BUILDPLATFORM TARGETVARIANT\nRUN echo $TARGETARCH $TARGETOS $TARGETPLATFORM $BUILDPLATFORM $TARGETVARIANT > /v3\nLABEL v=$A-$B-${C:-d}\n",
    ),
    (
        "config",
        "FROM busybox\nCMD echo hi\nENTRYPOINT [\"a\"]\nCMD [\"x\"]\nEXPOSE 80 443/udp\nVOLUME /v [\"/w\"]\nVOLUME [\"/z\"]\nLABEL a=b \"c d\"=e\nSTOPSIGNAL 9\nSHELL [\"/bin/sh\",\"-e\",\"-c\"]\nRUN echo x > /x\nUSER a:b\nENV P Q R\nENV M=1 N=\"2 3\"\nMAINTAINER me you\nWORKDIR /\n",
    ),
    ("config-empty", "FROM busybox\nCMD\nENTRYPOINT\n"),
    ("config-cleared", "FROM busybox\nENTRYPOINT [\"x\"]\nCMD []\nENTRYPOINT []\n"),
    ("scratch", "FROM scratch\nCOPY a /\nCMD [\"/a\"]\n"),
    ("scratch-workdir", "FROM scratch\nWORKDIR /q\nADD t.tar /\nLABEL x=y\n"),
    ("scratch-alone", "FROM scratch\nLABEL x=y\n"),
    (
        "stage-config",
        "FROM busybox AS a\nENV A=1\nWORKDIR /w\nUSER 1\nCMD [\"x\"]\nLABEL l=1\nFROM a\nENTRYPOINT [\"e\"]\n",
    ),
    (
        "chmod",
        "FROM busybox\nCOPY --chmod=4755 a /s\nCOPY --chmod=0 a /z\nADD --chmod=600 a /tt/\n",
    ),
    (
        "environment",
        "FROM busybox\nENV A=a\\ b B=\"c d\" C='e f' D=$A E=${A}x F=\\$A\nENV G hello   world\nRUN env | sort > /e\nENV PATH=/x:$PATH\n",
    ),
    ("labels", "FROM busybox\nLABEL \"a\"=\"b\" c='d' e=f\\ g h=\"i\\\nj\"\nLABEL k l m\n"),
    (
        "forms",
        "FROM busybox\nRUN [\"echo\", \"$HOME\"]\nRUN [\"sh\",\"-c\",\"echo $HOME > /h\"]\nRUN [ \"a\", b ]; true\nCMD [ \"a\", b ]\n",
    ),
    ("expose", "FROM busybox\nARG P=8080\nEXPOSE $P 9000-9002/udp\nEXPOSE 80/TCP\n"),
    (
        "healthcheck",
        "FROM busybox\nHEALTHCHECK --interval=5s --timeout=3s --start-period=1m --retries=4 CMD curl x || exit 1\n",
    ),
    ("escape", "# escape=`\nFROM busybox\nRUN echo a `\n && echo b > /b\nENV A=`$x\n"),
    ("continued", "FROM busybox\nRUN echo a \\\n# c\n\n && echo b > /b\n"),
    (
        "long-names",
        "FROM busybox\nRUN n=$(printf '%0120d' 1); mkdir -p /$n/$n && echo > /$n/$n/$n; ln -s $n$n /lnk; printf x > '/sp ace'; printf x > '/uni-\u{e9}'\n",
    ),
    ("sparse", "FROM busybox\nRUN truncate -s 100000 /sp && echo a >> /sp\n"),
    ("ignored", "FROM busybox\nCOPY . /c/\n"),
];

/// What both refuse, with the same last line on stderr.
pub(super) const REFUSED: [&str; 13] = [
    "FROM busybox\nCOPY nope /\n",
    "FROM busybox\nCOPY secret /\n",
    "FROM busybox\nRUN exit 7\n",
    "FROM busybox\nUSER x\nRUN true\n",
    "FROM busybox\nFORM x\n",
    "FROM busybox AS a\nFROM BUSYBOX\n",
    "FROM $X\n",
    "RUN true\n",
    "FROM busybox\nCOPY --from=9 / /\n",
    "FROM busybox\nCOPY a\n",
    "FROM busybox\nWORKDIR\n",
    "FROM busybox\nENV A\n",
    "FROM busybox\nSTOPSIGNAL X\n",
];
