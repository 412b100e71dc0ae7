//! The name that somebody probably meant.

/// What other systems call things, and what they are called here.
const SYNONYMS: [(&str, &str); 14] = [
    ("filter", "where"),
    ("map", "select"),
    ("project", "select"),
    ("aggregate", "window"),
    ("group_by", "by"),
    ("aggregates", "compute"),
    ("sinks", "outputs"),
    ("output", "outputs"),
    ("inputs", "sources"),
    ("input", "sources"),
    ("transforms", "steps"),
    ("dlq", "dead_letters"),
    ("checkpoint_interval", "epoch"),
    ("allowed_lateness", "lateness"),
];

/// The one of `names` that is most like `word`, when one is like it at all.
pub(crate) fn nearest<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let names: Vec<&str> = names.into_iter().collect();
    let synonym = SYNONYMS.iter().find(|(other, here)| *other == word && names.contains(here));
    if let Some((_, here)) = synonym {
        return Some((*here).to_owned());
    }
    let mistakes_max = (word.chars().count() / 3).max(1);
    let distance = |name: &str| strsim::osa_distance(&word.to_lowercase(), &name.to_lowercase());
    let best = names.iter().map(|name| (distance(name), *name)).min()?;
    if best.0 <= mistakes_max {
        return Some(best.1.to_owned());
    }
    let longer = names.iter().find(|name| word.len() >= 3 && (name.starts_with(word) || word.starts_with(**name)));
    longer.map(|name| (*name).to_owned())
}
