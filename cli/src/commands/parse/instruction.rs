//! What each kind of instruction has besides what all have.

use gantry_parser::SourceFile;
use gantry_parser::ast::{
    CommandLine, From, Healthcheck, Heredoc, Instruction, KeyValue, KeyValueForm, Network, Run,
    Security, Source, Switch, Transfer,
};
use gantry_parser::mount::Mount;
use serde_json::{Map, Value, json};

use super::view::{span, statement, word, words};

/// The members as a JSON object.
pub(super) fn members(source: &SourceFile, instruction: &Instruction) -> Value {
    match instruction {
        Instruction::From(it) => from(it),
        Instruction::Arg(it) => {
            let definitions = it.definitions.iter().map(|definition| {
                json!({
                    "name": word(&definition.name),
                    "default": definition.default.as_ref().map(word),
                    "description": definition.description,
                })
            });
            json!({ "definitions": definitions.collect::<Vec<_>>() })
        }
        Instruction::Run(it) => run(it),
        Instruction::Copy(it) => with_transfer(
            json!({
                "from": it.from.as_ref().map(word),
                "parents": switch(it.parents.as_ref()),
            }),
            &it.transfer,
        ),
        Instruction::Add(it) => with_transfer(
            json!({
                "checksum": it.checksum.as_ref().map(word),
                "keepGitDir": switch(it.keep_git_dir.as_ref()),
                "unpack": switch(it.unpack.as_ref()),
            }),
            &it.transfer,
        ),
        Instruction::Env(it) => pairs(&it.pairs),
        Instruction::Label(it) => pairs(&it.pairs),
        Instruction::Workdir(it) => json!({ "path": word(&it.path) }),
        Instruction::User(it) => json!({ "user": word(&it.user) }),
        Instruction::Cmd(it) => json!({ "command": command(&it.command) }),
        Instruction::Entrypoint(it) => json!({ "command": command(&it.command) }),
        Instruction::Shell(it) => json!({ "argv": words(&it.argv) }),
        Instruction::Expose(it) => json!({ "ports": words(&it.ports) }),
        Instruction::Volume(it) => json!({ "paths": words(&it.paths) }),
        Instruction::Stopsignal(it) => json!({ "signal": word(&it.signal) }),
        Instruction::Maintainer(it) => json!({ "name": word(&it.name) }),
        Instruction::Healthcheck(it) => healthcheck(it),
        Instruction::Onbuild(it) => json!({
            "expression": it.expression,
            "trigger": statement(source, &it.trigger),
        }),
    }
}

fn from(from: &From) -> Value {
    json!({
        "platform": from.platform.as_ref().map(word),
        "image": word(&from.image),
        "asKeyword": from.as_keyword.as_ref().map(word),
        "name": from.name.as_ref().map(word),
        "description": from.description,
    })
}

fn run(run: &Run) -> Value {
    let devices = run.devices.iter();
    let devices =
        devices.map(|device| json!({ "name": word(&device.name), "required": device.required }));
    json!({
        "mounts": run.mounts.iter().map(mount).collect::<Vec<_>>(),
        "network": run.network.map(|network| json!({
            "value": match network.value {
                Network::Default => "default",
                Network::None => "none",
                Network::Host => "host",
            },
            "span": span(network.span),
        })),
        "security": run.security.map(|security| json!({
            "value": match security.value {
                Security::Sandbox => "sandbox",
                Security::Insecure => "insecure",
            },
            "span": span(security.span),
        })),
        "devices": devices.collect::<Vec<_>>(),
        "command": command(&run.command),
        "heredocs": run.heredocs.iter().map(heredoc).collect::<Vec<_>>(),
    })
}

fn mount(mount: &Mount) -> Value {
    let fields = mount.fields.iter().map(|field| {
        json!({
            "key": field.key,
            "value": field.value.as_ref().map(word),
            "span": span(field.text.span),
        })
    });
    json!({ "text": word(&mount.text), "fields": fields.collect::<Vec<_>>() })
}

fn with_transfer(own: Value, transfer: &Transfer) -> Value {
    let sources = transfer.sources.iter().map(|source| match source {
        Source::Path(path) => json!({ "path": word(path) }),
        Source::Heredoc(it) => json!({ "heredoc": heredoc(it) }),
    });
    let shared = json!({
        "sources": sources.collect::<Vec<_>>(),
        "dest": word(&transfer.dest),
        "chown": transfer.chown.as_ref().map(word),
        "chmod": transfer.chmod.as_ref().map(word),
        "link": switch(transfer.link.as_ref()),
        "exclude": words(&transfer.exclude),
    });
    let members: Map<String, Value> = [own, shared]
        .into_iter()
        .filter_map(|part| match part {
            Value::Object(part) => Some(part),
            _ => None,
        })
        .flatten()
        .collect();
    Value::Object(members)
}

fn heredoc(heredoc: &Heredoc) -> Value {
    json!({
        "name": word(&heredoc.name),
        "fd": heredoc.fd,
        "chomp": heredoc.chomp,
        "expand": heredoc.expand,
        "raw": heredoc.raw,
        "span": span(heredoc.span),
    })
}

fn pairs(pairs: &[KeyValue]) -> Value {
    let pairs = pairs.iter().map(|pair| {
        json!({
            "key": word(&pair.key),
            "value": word(&pair.value),
            "legacy": pair.form == KeyValueForm::Legacy,
        })
    });
    json!({ "pairs": pairs.collect::<Vec<_>>() })
}

fn command(command: &CommandLine) -> Value {
    match command {
        CommandLine::Shell(text) => json!({ "shell": word(text) }),
        CommandLine::Exec(argv) => json!({ "exec": words(argv) }),
    }
}

fn switch(switch: Option<&Switch>) -> Value {
    switch.map_or(Value::Null, |switch| json!({ "value": switch.value, "span": span(switch.span) }))
}

fn healthcheck(check: &Healthcheck) -> Value {
    let Healthcheck::Check(health) = check else {
        return json!({ "none": true, "command": null });
    };
    let time = |time: Option<gantry_parser::Spanned<std::time::Duration>>| {
        time.map(|time| {
            let nanos = u64::try_from(time.value.as_nanos()).unwrap_or(u64::MAX);
            json!({ "nanoseconds": nanos, "span": span(time.span) })
        })
    };
    json!({
        "none": false,
        "command": command(&health.command),
        "interval": time(health.interval),
        "timeout": time(health.timeout),
        "startPeriod": time(health.start_period),
        "startInterval": time(health.start_interval),
        "retries": health.retries.map(|it| json!({ "value": it.value, "span": span(it.span) })),
    })
}
