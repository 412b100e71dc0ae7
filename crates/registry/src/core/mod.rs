//! What a registry holds and decides. Pure: every request gives an answer and the changes to keep; nothing has happened
//! until the changes are applied.

mod compatibility;
mod json_schema;
mod refusal;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use weir_model::{KnownSchema, ReferencedSchema, SchemaLanguage};

pub use refusal::Refusal;

/// A schema is no longer than this.
pub const SCHEMA_BYTES_MAX: usize = 1 << 20;
/// A registry holds no more schemas than this.
pub const SCHEMAS_MAX: usize = 100_000;
/// A schema refers to no more others than this, those that they refer to counted.
pub const REFERENCES_MAX: usize = 100;
/// A subject's name is no longer than this.
const SUBJECT_BYTES_MAX: usize = 255;

/// What a new version of a subject must be able to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Level {
    /// Anything goes.
    None,
    /// Read what the last version wrote.
    #[default]
    Backward,
    /// Read what every version wrote.
    BackwardTransitive,
    /// Be read by the last version.
    Forward,
    /// Be read by every version.
    ForwardTransitive,
    /// Both, with the last version.
    Full,
    /// Both, with every version.
    FullTransitive,
}

/// What may be done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Mode {
    /// Everything.
    #[default]
    Readwrite,
    /// No registration and no deletion.
    Readonly,
}

/// A schema that refers to another.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Reference {
    /// What the schema calls it.
    pub name: String,
    /// Where it is kept.
    pub subject: String,
    /// Which version.
    pub version: u32,
}

/// A schema as someone brings it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewSchema {
    /// Its text.
    pub schema: String,
    /// What it is written in: `AVRO` (where nothing is said), `JSON` or `PROTOBUF`.
    #[serde(rename = "schemaType", default = "avro", skip_serializing_if = "is_avro")]
    pub schema_type: String,
    /// What it refers to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<Reference>,
}

fn avro() -> String {
    "AVRO".to_owned()
}

fn is_avro(word: &str) -> bool {
    word == "AVRO"
}

/// Something to keep. The changes in their order are all that a registry is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// A schema got its number.
    Schema {
        /// The number.
        id: u32,
        /// The schema.
        schema: NewSchema,
    },
    /// A subject got a version.
    Version {
        /// The subject.
        subject: String,
        /// Which.
        version: u32,
        /// Its schema.
        id: u32,
    },
    /// A version was deleted: hidden, or for good.
    Deleted {
        /// The subject.
        subject: String,
        /// Which.
        version: u32,
        /// For good.
        permanent: bool,
    },
    /// A level was set, for one subject or for all; `None` takes a subject's own away.
    Level {
        /// The subject, or all.
        subject: Option<String>,
        /// The level.
        level: Option<Level>,
    },
    /// A mode was set, for one subject or for all.
    Mode {
        /// The subject, or all.
        subject: Option<String>,
        /// The mode.
        mode: Option<Mode>,
    },
}

/// A version of a subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// The subject.
    pub subject: String,
    /// Which, from 1.
    pub version: u32,
    /// The schema's number.
    pub id: u32,
    /// The schema.
    #[serde(flatten)]
    pub schema: NewSchema,
}

#[derive(Clone, Debug, Default)]
struct Subject {
    versions: BTreeMap<u32, Entry>,
    /// The highest version that ever was: none is given twice.
    last: u32,
    level: Option<Level>,
    mode: Option<Mode>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    id: u32,
    deleted: bool,
}

/// The schemas, subjects and rules of one registry.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    schemas: BTreeMap<u32, NewSchema>,
    ids: HashMap<NewSchemaKey, u32>,
    subjects: BTreeMap<String, Subject>,
    level: Level,
    mode: Mode,
}

/// What makes two schemas the same: the text without regard to blanks and the order of keys, and what it refers to.
type NewSchemaKey = (String, String, Vec<Reference>);

type Answer<T> = Result<T, Refusal>;

impl Registry {
    /// Makes a change. Changes that were decided by this registry always apply.
    pub fn apply(&mut self, change: Change) {
        match change {
            Change::Schema { id, schema } => {
                self.ids.insert(key(&schema), id);
                self.schemas.insert(id, schema);
            }
            Change::Version { subject, version, id } => {
                let subject = self.subjects.entry(subject).or_default();
                subject.last = subject.last.max(version);
                subject.versions.insert(version, Entry { id, deleted: false });
            }
            Change::Deleted { subject, version, permanent } => {
                let Some(subject) = self.subjects.get_mut(&subject) else { return };
                if permanent {
                    subject.versions.remove(&version);
                } else if let Some(entry) = subject.versions.get_mut(&version) {
                    entry.deleted = true;
                }
            }
            Change::Level { subject: None, level } => self.level = level.unwrap_or_default(),
            Change::Level { subject: Some(subject), level } => self.subjects.entry(subject).or_default().level = level,
            Change::Mode { subject: None, mode } => self.mode = mode.unwrap_or_default(),
            Change::Mode { subject: Some(subject), mode } => self.subjects.entry(subject).or_default().mode = mode,
        }
    }

    /// The names of the subjects that have a version; with `deleted`, also of those whose versions are all hidden.
    pub fn subjects(&self, prefix: &str, deleted: bool) -> Vec<String> {
        let shown = |subject: &Subject| subject.versions.values().any(|entry| deleted || !entry.deleted);
        let found = self.subjects.iter().filter(|(name, subject)| name.starts_with(prefix) && shown(subject));
        found.map(|(name, _)| name.clone()).collect()
    }

    fn subject(&self, name: &str) -> Answer<&Subject> {
        match self.subjects.get(name) {
            Some(subject) if subject.versions.values().any(|entry| !entry.deleted) => Ok(subject),
            Some(_) | None => Err(Refusal::no_subject(name)),
        }
    }

    /// The versions of a subject.
    ///
    /// # Errors
    /// When there is no such subject.
    pub fn versions(&self, name: &str, deleted: bool) -> Answer<Vec<u32>> {
        let subject = if deleted { self.subjects.get(name) } else { self.subject(name).ok() };
        let subject =
            subject.filter(|subject| !subject.versions.is_empty()).ok_or_else(|| Refusal::no_subject(name))?;
        let shown = subject.versions.iter().filter(|(_, entry)| deleted || !entry.deleted);
        Ok(shown.map(|(version, _)| *version).collect())
    }

    /// A version of a subject: its number, `latest` or `-1`.
    ///
    /// # Errors
    /// When there is no such subject or version.
    pub fn version(&self, name: &str, version: &str, deleted: bool) -> Answer<Version> {
        let asked = parse_version(version)?;
        let shown = self.versions(name, deleted)?;
        let found = match asked {
            None => shown.last().copied(),
            Some(version) => Some(version).filter(|version| shown.contains(version)),
        };
        let version = found.ok_or_else(|| Refusal::no_version(version))?;
        let id = self.subjects[name].versions[&version].id;
        Ok(Version { subject: name.to_owned(), version, id, schema: self.schemas[&id].clone() })
    }

    /// A schema by its number.
    ///
    /// # Errors
    /// When there is none.
    pub fn schema(&self, id: u32) -> Answer<&NewSchema> {
        self.schemas.get(&id).ok_or_else(|| Refusal::no_schema(format!("Schema {id} not found")))
    }

    /// The same schema with another text: a Protobuf schema as its descriptor in base64, every other as it is.
    ///
    /// # Errors
    /// When it is no schema.
    pub fn serialized(&self, schema: &NewSchema) -> Answer<NewSchema> {
        let known = self.resolve(schema)?;
        if known.language != SchemaLanguage::Protobuf {
            return Ok(schema.clone());
        }
        let text = compatibility::descriptor(&known).map_err(Refusal::wrong_schema)?;
        Ok(NewSchema { schema: text, ..schema.clone() })
    }

    /// Where a schema is in use: subjects and versions.
    ///
    /// # Errors
    /// When there is no such schema.
    pub fn used_by(&self, id: u32) -> Answer<Vec<(String, u32)>> {
        self.schema(id)?;
        let mut found = Vec::new();
        for (name, subject) in &self.subjects {
            let versions = subject.versions.iter().filter(|(_, entry)| entry.id == id && !entry.deleted);
            found.extend(versions.map(|(version, _)| (name.clone(), *version)));
        }
        Ok(found)
    }

    /// The numbers of the schemas that refer to a version.
    pub fn referenced_by(&self, subject: &str, version: u32) -> Vec<u32> {
        let refers = |of: &NewSchema| of.references.iter().any(|to| to.subject == subject && to.version == version);
        let in_use: BTreeSet<u32> =
            self.subjects.values().flat_map(|subject| subject.versions.values().map(|entry| entry.id)).collect();
        self.schemas.iter().filter(|(id, of)| in_use.contains(id) && refers(of)).map(|(id, _)| *id).collect()
    }

    /// The version of a subject that `schema` is.
    ///
    /// # Errors
    /// When the subject, or the schema in it, does not exist.
    pub fn lookup(&self, name: &str, schema: &NewSchema) -> Answer<Version> {
        let subject = self.subject(name)?;
        let id = self.ids.get(&key(schema));
        let found = subject.versions.iter().find(|(_, entry)| Some(&entry.id) == id && !entry.deleted);
        match found {
            Some((version, entry)) => Ok(Version {
                subject: name.to_owned(),
                version: *version,
                id: entry.id,
                schema: self.schemas[&entry.id].clone(),
            }),
            None => Err(Refusal::no_schema("Schema not found".to_owned())),
        }
    }

    /// Registers `schema` as the newest version of a subject, which it may be already.
    ///
    /// # Errors
    /// When it is no schema, is not compatible, or may not be registered.
    pub fn register(&self, name: &str, schema: NewSchema) -> Answer<(u32, Vec<Change>)> {
        if let Ok(known) = self.lookup(name, &schema) {
            return Ok((known.id, Vec::new()));
        }
        self.check_writable(name)?;
        if name.is_empty() || name.len() > SUBJECT_BYTES_MAX || name.chars().any(char::is_control) {
            return Err(Refusal::wrong_subject(name));
        }
        let known = self.resolve(&schema)?;
        compatibility::check(&known).map_err(Refusal::wrong_schema)?;
        let level = self.subjects.get(name).and_then(|subject| subject.level).unwrap_or(self.level);
        let faults = self.incompatible(name, &known, level, None)?;
        if !faults.is_empty() {
            return Err(Refusal::incompatible(name, level, &faults));
        }
        let mut changes = Vec::new();
        let id = match self.ids.get(&key(&schema)) {
            Some(id) => *id,
            None if self.schemas.len() >= SCHEMAS_MAX => return Err(Refusal::full()),
            None => {
                let id = self.schemas.last_key_value().map_or(1, |(id, _)| id + 1);
                changes.push(Change::Schema { id, schema });
                id
            }
        };
        let version = self.subjects.get(name).map_or(1, |subject| subject.last + 1);
        changes.push(Change::Version { subject: name.to_owned(), version, id });
        Ok((id, changes))
    }

    /// What keeps `schema` from being compatible with a version of a subject, or with all that its level asks for; nothing
    /// when it is.
    ///
    /// # Errors
    /// When it is no schema, or there is no such version.
    pub fn compatibility(&self, name: &str, version: Option<&str>, schema: &NewSchema) -> Answer<Vec<String>> {
        let known = self.resolve(schema)?;
        compatibility::check(&known).map_err(Refusal::wrong_schema)?;
        let level = self.subjects.get(name).and_then(|subject| subject.level).unwrap_or(self.level);
        self.subject(name)?;
        let version = version.map(|version| self.version(name, version, false)).transpose()?;
        self.incompatible(name, &known, level, version.as_ref())
    }

    fn incompatible(
        &self,
        name: &str,
        schema: &KnownSchema,
        level: Level,
        only: Option<&Version>,
    ) -> Answer<Vec<String>> {
        let Some(subject) = self.subjects.get(name) else { return Ok(Vec::new()) };
        let earlier = subject.versions.iter().rev().filter(|(_, entry)| !entry.deleted);
        let all = matches!(level, Level::BackwardTransitive | Level::ForwardTransitive | Level::FullTransitive);
        let earlier: Vec<(u32, u32)> = match only {
            Some(version) => vec![(version.version, version.id)],
            None => {
                earlier.take(if all { usize::MAX } else { 1 }).map(|(version, entry)| (*version, entry.id)).collect()
            }
        };
        let mut faults = Vec::new();
        for (version, id) in earlier {
            let other = self.resolve(&self.schemas[&id])?;
            let found = compatibility::faults(schema, &other, level);
            faults.extend(found.into_iter().map(|fault| format!("version {version}: {fault}")));
        }
        Ok(faults)
    }

    /// A schema with all that it refers to, each before those that refer to it.
    fn resolve(&self, schema: &NewSchema) -> Answer<KnownSchema> {
        if schema.schema.len() > SCHEMA_BYTES_MAX {
            return Err(Refusal::wrong_schema(format!("it is longer than {SCHEMA_BYTES_MAX} bytes")));
        }
        let Some(language) = SchemaLanguage::from_word(&schema.schema_type) else {
            return Err(Refusal::wrong_schema(format!(
                "schemaType {} is none of AVRO, JSON, PROTOBUF",
                schema.schema_type
            )));
        };
        let (mut references, mut seen) = (Vec::new(), BTreeSet::new());
        self.collect(&schema.references, &mut references, &mut seen)?;
        Ok(KnownSchema { language, text: schema.schema.as_str().into(), references })
    }

    fn collect(
        &self,
        references: &[Reference],
        found: &mut Vec<ReferencedSchema>,
        seen: &mut BTreeSet<(String, u32)>,
    ) -> Answer<()> {
        for reference in references {
            if !seen.insert((reference.subject.clone(), reference.version)) {
                continue;
            }
            if seen.len() > REFERENCES_MAX {
                return Err(Refusal::wrong_schema(format!("it refers to more than {REFERENCES_MAX} others")));
            }
            let version = self.version(&reference.subject, &reference.version.to_string(), true).map_err(|_| {
                let (subject, version) = (&reference.subject, reference.version);
                Refusal::wrong_schema(format!("it refers to version {version} of {subject}, which does not exist"))
            })?;
            self.collect(&version.schema.references, found, seen)?;
            found.push(ReferencedSchema {
                name: reference.name.clone(),
                text: Arc::from(version.schema.schema.as_str()),
            });
        }
        Ok(())
    }

    fn check_writable(&self, name: &str) -> Answer<()> {
        match self.subjects.get(name).and_then(|subject| subject.mode).unwrap_or(self.mode) {
            Mode::Readwrite => Ok(()),
            Mode::Readonly => Err(Refusal::read_only(name)),
        }
    }

    /// Deletes a version: hides it, or takes a hidden one away for good.
    ///
    /// # Errors
    /// When it does not exist, is referred to, or is not hidden and should be taken away.
    pub fn delete_version(&self, name: &str, version: &str, permanent: bool) -> Answer<(u32, Vec<Change>)> {
        self.check_writable(name)?;
        let found = self.version(name, version, permanent)?;
        let hidden = self.subjects[name].versions[&found.version].deleted;
        if permanent && !hidden {
            return Err(Refusal::not_hidden(name, Some(found.version)));
        }
        if !self.referenced_by(name, found.version).is_empty() {
            return Err(Refusal::referenced(name, found.version));
        }
        let change = Change::Deleted { subject: name.to_owned(), version: found.version, permanent };
        Ok((found.version, vec![change]))
    }

    /// Deletes all versions of a subject.
    ///
    /// # Errors
    /// As for one version.
    pub fn delete_subject(&self, name: &str, permanent: bool) -> Answer<(Vec<u32>, Vec<Change>)> {
        self.check_writable(name)?;
        let versions = self.versions(name, permanent)?;
        let mut changes = Vec::new();
        for version in &versions {
            if permanent && !self.subjects[name].versions[version].deleted {
                return Err(Refusal::not_hidden(name, None));
            }
            changes.extend(self.delete_version(name, &version.to_string(), permanent)?.1);
        }
        Ok((versions, changes))
    }

    /// The level of a subject, or of all. A subject without its own has none unless `or_global`.
    ///
    /// # Errors
    /// When the subject has no level of its own.
    pub fn level(&self, subject: Option<&str>, or_global: bool) -> Answer<Level> {
        let Some(name) = subject else { return Ok(self.level) };
        match self.subjects.get(name).and_then(|subject| subject.level) {
            Some(level) => Ok(level),
            None if or_global => Ok(self.level),
            None => Err(Refusal::no_level(name)),
        }
    }

    /// The mode of a subject, or of all.
    pub fn mode(&self, subject: Option<&str>) -> Mode {
        subject.and_then(|name| self.subjects.get(name)?.mode).unwrap_or(self.mode)
    }
}

/// `None` is the latest.
fn parse_version(version: &str) -> Answer<Option<u32>> {
    match version {
        "latest" | "-1" => Ok(None),
        number => match number.parse::<u32>() {
            Ok(version) if version > 0 => Ok(Some(version)),
            Ok(_) | Err(_) => Err(Refusal::wrong_version(number)),
        },
    }
}

fn key(schema: &NewSchema) -> NewSchemaKey {
    let text = match serde_json::from_str::<serde_json::Value>(&schema.schema) {
        Ok(value) => value.to_string(),
        Err(_) => schema.schema.trim().to_owned(),
    };
    (text, schema.schema_type.clone(), schema.references.clone())
}
