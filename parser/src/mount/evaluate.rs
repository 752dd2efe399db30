//! Fields with values into a [`MountSpec`], one key after the other.

use super::{Field, Invalid, Mount, MountError, MountKind, MountSpec, Sharing};
use crate::go::{parse_bool, parse_uint, quote};
use crate::suggest::suggested;
use crate::{Span, Word};

/// All keys, for suggestions.
const KEYS: [&str; 19] = [
    "type",
    "from",
    "source",
    "target",
    "readonly",
    "id",
    "sharing",
    "required",
    "size",
    "mode",
    "uid",
    "gid",
    "src",
    "dst",
    "destination",
    "ro",
    "rw",
    "readwrite",
    "env",
];

/// See [`Mount::evaluate`].
pub(super) fn evaluate<E>(
    mount: &Mount,
    mut expand: impl FnMut(&Word) -> Result<String, E>,
) -> Result<MountSpec, MountError<E>> {
    let mut spec = MountSpec::default();
    let mut read_only = None;
    for field in &mount.fields {
        let invalid = |wrong: Wrong| MountError::Invalid(wrong.at(field.text.span));
        match &field.value {
            None => bare(field, &mut spec, &mut read_only).map_err(invalid)?,
            Some(value) => {
                let value = expand(value).map_err(MountError::Expand)?;
                set(field, value, &mut spec, &mut read_only).map_err(invalid)?;
            }
        }
    }
    spec.read_only = read_only.unwrap_or(!matches!(spec.kind, MountKind::Cache | MountKind::Tmpfs));
    check(&spec).map_err(|wrong| MountError::Invalid(wrong.at(mount.text.span)))?;
    Ok(spec)
}

/// What is wrong, and what to do about it.
struct Wrong {
    message: String,
    hint: String,
}

impl Wrong {
    fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: hint.into() }
    }

    fn at(self, span: Span) -> Invalid {
        Invalid { message: self.message, span, hint: self.hint }
    }
}

/// A key without a value.
fn bare(field: &Field, spec: &mut MountSpec, read_only: &mut Option<bool>) -> Result<(), Wrong> {
    match field.key.as_str() {
        "readonly" | "ro" => *read_only = Some(true),
        "readwrite" | "rw" => *read_only = Some(false),
        "required" => {
            only_for(field, spec, &[MountKind::Secret, MountKind::Ssh])?;
            spec.required = true;
        }
        _ => {
            let key = &field.key;
            let hint = match KEYS.contains(&key.as_str()) {
                true => format!("Write `{key}=…`"),
                false => "Only `ro`, `rw` and `required` may stand without a value".to_owned(),
            };
            let message = format!("invalid field '{}' must be a key=value pair", field.text.text);
            return Err(Wrong::new(message, hint));
        }
    }
    Ok(())
}

/// A key with its expanded value.
fn set(
    field: &Field,
    value: String,
    spec: &mut MountSpec,
    read_only: &mut Option<bool>,
) -> Result<(), Wrong> {
    let key = field.key.as_str();
    let boolean = |v: &str| {
        parse_bool(v).ok_or_else(|| {
            let hint = format!("Write `{key}` or `{key}=false`");
            Wrong::new(format!("invalid value for {key}: {v}"), hint)
        })
    };
    let number = |v: &str, base| {
        parse_uint(v, base, u32::MAX.into()).map(|n| Some(n as u32)).ok_or_else(|| {
            let hint = match base {
                8 => "Write octal digits, such as `mode=0755`".to_owned(),
                _ => format!("Give a number, such as `{key}=1000`"),
            };
            Wrong::new(format!("invalid value {v} for {key}"), hint)
        })
    };
    match key {
        "type" => {
            spec.kind = pick(&MountKind::ALL, &value)
                .ok_or_else(|| unsupported("mount type", &value, &MountKind::ALL))?;
        }
        "sharing" => {
            let found = pick(&Sharing::ALL, &value)
                .ok_or_else(|| unsupported("sharing value", &value, &Sharing::ALL))?;
            spec.sharing = Some(found);
        }
        "from" => spec.from = some(value),
        "source" | "src" => spec.source = some(value),
        "target" | "dst" | "destination" => spec.target = some(value),
        "id" => spec.id = some(value),
        "env" => {
            only_for(field, spec, &[MountKind::Secret])?;
            spec.env = some(value);
        }
        "readonly" | "ro" => *read_only = Some(boolean(&value)?),
        "readwrite" | "rw" => *read_only = Some(!boolean(&value)?),
        "required" => {
            only_for(field, spec, &[MountKind::Secret, MountKind::Ssh])?;
            spec.required = boolean(&value)?;
        }
        "size" => {
            only_for(field, spec, &[MountKind::Tmpfs])?;
            let size = ram_in_bytes(&value);
            spec.size = Some(size.ok_or_else(|| {
                let hint = "Give bytes, or a number with a unit, such as `size=64m`";
                Wrong::new(format!("invalid value for {key}: {value}"), hint)
            })?);
        }
        "mode" => spec.mode = number(&value, 8)?,
        "uid" => spec.uid = number(&value, 10)?,
        "gid" => spec.gid = number(&value, 10)?,
        _ => {
            let message = format!("unexpected key '{key}' in '{}'", field.text.text);
            let (message, near) = suggested(message, key, KEYS, true);
            let hint = match near {
                Some(near) => format!("Write `{near}=…`"),
                None => format!("Keys are {}", KEYS.join(", ")),
            };
            return Err(Wrong::new(message, hint));
        }
    }
    Ok(())
}

/// What must hold of the mount as a whole.
fn check(spec: &MountSpec) -> Result<(), Wrong> {
    let kind = spec.kind;
    let wrong = |message: &str, hint: &str| Err(Wrong::new(message, hint));
    if matches!(kind, MountKind::Bind | MountKind::Tmpfs) {
        let given = [("mode", spec.mode), ("uid", spec.uid), ("gid", spec.gid)];
        if let Some((key, _)) = given.iter().find(|(_, value)| value.is_some()) {
            let message = format!("{key} not allowed for {} type mounts", quote(kind.name()));
            let hint = format!("Remove `{key}`: it is for cache, secret and ssh mounts");
            return Err(Wrong::new(message, hint));
        }
    }
    if kind == MountKind::Secret {
        if spec.from.is_some() {
            let hint = "Remove `from`: secrets come from the command line, with `--secret`";
            return wrong("secret mount should not have a from", hint);
        }
        if spec.sharing.is_some() {
            let hint = "Remove `sharing`: it is for cache mounts";
            return wrong("secret mount should not define sharing", hint);
        }
        if spec.source.is_none() && spec.target.is_none() && spec.id.is_none() {
            let hint = "Name the secret: `type=secret,id=NAME`";
            return wrong("invalid secret mount. one of source, target required", hint);
        }
        if spec.source.is_some() && spec.id.is_some() {
            let hint = "Keep `id`: for a secret, `source` means the same";
            return wrong("both source and id can't be set", hint);
        }
    }
    if spec.sharing.is_some() && kind != MountKind::Cache {
        let message = format!("invalid cache sharing set for {} mount", kind.name());
        return wrong(&message, "Remove `sharing`, or write `type=cache`");
    }
    if kind == MountKind::Ssh && spec.source.is_some() {
        let hint = "Remove `source`: the agent comes from the command line, with `--ssh`";
        return wrong("ssh does not support source", hint);
    }
    Ok(())
}

fn only_for(field: &Field, spec: &MountSpec, kinds: &[MountKind]) -> Result<(), Wrong> {
    if kinds.contains(&spec.kind) {
        return Ok(());
    }
    let (key, kind) = (&field.key, spec.kind.name());
    let types: Vec<String> = kinds.iter().map(|kind| format!("`type={}`", kind.name())).collect();
    Err(Wrong::new(
        format!("unexpected key '{key}' for mount type '{kind}'"),
        format!("Put {} before it, or remove it", types.join(" or ")),
    ))
}

fn some(value: String) -> Option<String> {
    (!value.is_empty()).then_some(value)
}

fn pick<T: Copy>(all: &[(&str, T)], value: &str) -> Option<T> {
    all.iter().find(|(name, _)| name.eq_ignore_ascii_case(value)).map(|(_, found)| *found)
}

fn unsupported<T>(what: &str, value: &str, all: &[(&str, T)]) -> Wrong {
    let names: Vec<&str> = all.iter().map(|(name, _)| *name).collect();
    let message = format!("unsupported {what} {}", quote(value));
    let (message, near) = suggested(message, value, &names, true);
    Wrong::new(
        message,
        match near {
            Some(near) => format!("Write `{near}`"),
            None => format!("There are {}", names.join(", ")),
        },
    )
}

/// `units.RAMInBytes`: a number with an optional binary unit, such as `64m`, `1.5GB`, `100`.
fn ram_in_bytes(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: f64 = number.parse().ok()?;
    let unit = unit.strip_prefix(' ').unwrap_or(unit).to_lowercase();
    let power = match unit.as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 1,
        "m" | "mb" | "mib" => 2,
        "g" | "gb" | "gib" => 3,
        "t" | "tb" | "tib" => 4,
        "p" | "pb" | "pib" => 5,
        _ => return None,
    };
    let bytes = number * 1024_f64.powi(power);
    (bytes < i64::MAX as f64).then_some(bytes as u64)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use crate::Span;

    fn evaluated(text: &str) -> Result<MountSpec, String> {
        let word = Word::new(text, Span::new(0, text.len()));
        let mount = Mount::parse(&word).map_err(|e| e.to_string())?;
        mount.evaluate(|word| Ok::<_, Infallible>(word.text.clone())).map_err(|e| e.to_string())
    }

    fn fails(text: &str, message: &str) {
        assert_eq!(evaluated(text).unwrap_err(), message, "{text}");
    }

    #[test]
    fn every_kind() {
        let bind = evaluated("source=a,target=/b").unwrap();
        assert_eq!((bind.kind, bind.read_only), (MountKind::Bind, true));
        assert!(!evaluated("type=bind,target=/b,rw").unwrap().read_only);
        let cache =
            evaluated("TYPE=Cache,target=/c,id=x,sharing=locked,mode=0700,uid=1,gid=2").unwrap();
        assert_eq!(cache.sharing, Some(Sharing::Locked));
        assert_eq!((cache.mode, cache.uid, cache.gid), (Some(0o700), Some(1), Some(2)));
        assert!(!cache.read_only);
        assert_eq!(evaluated("type=tmpfs,target=/t,size=1.5m").unwrap().size, Some(1_572_864));
        let secret = evaluated("type=secret,id=s,env=TOKEN,required").unwrap();
        assert_eq!((secret.env.as_deref(), secret.required), (Some("TOKEN"), true));
        assert_eq!(evaluated("type=ssh,required=false").unwrap().kind, MountKind::Ssh);
    }

    #[test]
    fn texts_are_buildkits() {
        fails("typ=x", "unexpected key 'typ' in 'typ=x' (did you mean type?)");
        fails("x", "invalid field 'x' must be a key=value pair");
        fails("type=tmp", "unsupported mount type \"tmp\" (did you mean tmpfs?)");
        fails("type=overlay", "unsupported mount type \"overlay\"");
        fails(
            "type=cache,sharing=lock",
            "unsupported sharing value \"lock\" (did you mean locked?)",
        );
        fails("sharing=shared", "invalid cache sharing set for bind mount");
        fails("size=1m", "unexpected key 'size' for mount type 'bind'");
        fails("type=tmpfs,size=x", "invalid value for size: x");
        fails("type=secret", "invalid secret mount. one of source, target required");
        fails("type=secret,id=a,source=b", "both source and id can't be set");
        fails("type=secret,id=a,from=b", "secret mount should not have a from");
        fails("uid=1", "uid not allowed for \"bind\" type mounts");
        fails("type=cache,mode=9", "invalid value 9 for mode");
        fails("type=ssh,source=x", "ssh does not support source");
        fails("ro=maybe", "invalid value for ro: maybe");
        fails("from=$x", "'from' doesn't support variable expansion, define alias stage instead");
    }
}
