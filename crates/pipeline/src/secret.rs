//! References to secrets inside values: `${env:NAME}` and `${file:/path}`. Refuses to look anything up in the
//! environment by itself: what is there is passed in.

use std::collections::BTreeMap;
use std::io::Read;

use crate::nearest::nearest;
use crate::tree::{Node, ParseError, Style};

/// The longest file that is taken as a secret.
const SECRET_BYTES_MAX: u64 = 64 << 10;
const KINDS: [&str; 3] = ["env", "file", "vault"];

/// Resolves every reference in the tree. Returns the values with the references they came from.
pub(crate) fn resolve(root: &mut Node, env: &BTreeMap<String, String>) -> (Vec<(String, String)>, Vec<ParseError>) {
    let (mut secrets, mut errors) = (Vec::new(), Vec::new());
    root.each_scalar(&mut |scalar, place| {
        if !scalar.text.contains("${") {
            return;
        }
        match resolve_text(&scalar.text, env) {
            Ok((text, found)) if found.is_empty() => scalar.text = text,
            Ok((text, found)) => {
                secrets.extend(found);
                let reference = std::mem::replace(&mut scalar.text, text);
                (scalar.style, scalar.secret) = (Style::Given, Some(reference));
            }
            Err((message, hint)) => errors.push(ParseError { place, message, hint }),
        }
    });
    // Keys hold no secrets, but write `${` like values do.
    root.each_key(&mut |key| *key = key.replace("$${", "${"));
    // A secret that contains another one is replaced first.
    secrets.sort_by_key(|(value, _): &(String, String)| std::cmp::Reverse(value.len()));
    secrets.dedup();
    (secrets, errors)
}

type Problem = (String, Option<String>);

/// The text with its references resolved; `$${` stands for `${` itself.
fn resolve_text(text: &str, env: &BTreeMap<String, String>) -> Result<(String, Vec<(String, String)>), Problem> {
    let (mut out, mut found, mut rest) = (String::new(), Vec::new(), text);
    while let Some(at) = rest.find("${") {
        let escaped = rest[..at].ends_with('$');
        out.push_str(&rest[..at - usize::from(escaped)]);
        let body = &rest[at + 2..];
        let end = body.find('}');
        match end.map(|end| &body[..end]).and_then(|inside| inside.split_once(':')) {
            Some((kind, name)) if !escaped && is_word(kind) => {
                let reference = format!("${{{kind}:{name}}}");
                let value = look_up(kind, name, env)?;
                out.push_str(&value);
                rest = &body[kind.len() + name.len() + 2..];
                found.push((value, reference));
            }
            _ => {
                out.push_str("${");
                rest = body;
            }
        }
    }
    out.push_str(rest);
    Ok((out, found))
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase())
}

fn look_up(kind: &str, name: &str, env: &BTreeMap<String, String>) -> Result<String, Problem> {
    match kind {
        "env" => env.get(name).cloned().ok_or_else(|| {
            let similar = nearest(name, env.keys().map(String::as_str)).map(|name| format!("did you mean `{name}`?"));
            (format!("the environment variable `{name}` is not set"), similar)
        }),
        "file" => read(name).map_err(|reason| (format!("cannot read the secret in `{name}`: {reason}"), None)),
        "vault" => {
            let message = format!("`${{vault:{name}}}`: secrets from a vault are not supported yet");
            Err((message, Some("use ${env:NAME} or ${file:/path}".to_owned())))
        }
        _ => {
            let message = format!("unknown kind of reference `{kind}` in `${{{kind}:{name}}}`");
            let hint = match nearest(kind, KINDS) {
                Some(kind) => format!("did you mean `${{{kind}:...}}`? For the text itself write $${{"),
                None => "allowed: ${env:NAME}, ${file:/path}; for the text itself write $${".to_owned(),
            };
            Err((message, Some(hint)))
        }
    }
}

fn read(path: &str) -> Result<String, String> {
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    file.take(SECRET_BYTES_MAX + 1).read_to_string(&mut text).map_err(|error| error.to_string())?;
    if text.len() as u64 > SECRET_BYTES_MAX {
        return Err(format!("longer than {SECRET_BYTES_MAX} bytes"));
    }
    text.truncate(text.trim_end_matches(['\n', '\r']).len());
    Ok(text)
}
