//! A story file as people write it: which pipeline, and what happens to it. Refuses nothing that only the pipeline can
//! tell, such as the names of outputs.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use weir_model::DurationText;
use weir_pipeline::TimeText;

/// A file of stories.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Script {
    /// The pipeline's file, seen from the folder of this one.
    pub(super) pipeline: String,
    /// Changes to the pipeline, as `--set` takes them.
    #[serde(default)]
    pub(super) set: Vec<String>,
    /// What the clock says when a story begins. Default: the latest event time among its records, so that none of them
    /// is from the future.
    #[serde(default)]
    pub(super) clock: Option<TimeText>,
    /// Whether each story is also played cut into single rows and with restarts between its steps.
    #[serde(default = "yes")]
    pub(super) replay: bool,
    /// What happens, by the sentence that it shows.
    pub(super) stories: InOrder<Vec<Step>>,
}

fn yes() -> bool {
    true
}

/// One thing that happens.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Step {
    /// A partition yields records.
    Records(Records),
    /// A partition appears, and holds event time back until it is read.
    Added(Place),
    /// A partition, or all, were read to their present end.
    CaughtUp(Place),
    /// Nothing more comes from a partition, or from all.
    Finished(Place),
    /// Processing time goes on.
    Wait(DurationText),
    /// An epoch is committed.
    Checkpoint,
    /// The process dies, starts again from the last checkpoint and reads again what came after it.
    Crash,
    /// All sources have ended.
    End,
    /// What must have come out since it was last looked at.
    Expect(InOrder<Expected>),
}

impl Step {
    /// The word that begins it.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Records(_) => "records",
            Self::Added(_) => "added",
            Self::CaughtUp(_) => "caught_up",
            Self::Finished(_) => "finished",
            Self::Wait(_) => "wait",
            Self::Checkpoint => "checkpoint",
            Self::Crash => "crash",
            Self::End => "end",
            Self::Expect(_) => "expect",
        }
    }
}

/// Records: their text alone, a list of them, or with the source and the partition that they are of.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RecordsMap {
    #[serde(default)]
    pub(super) source: Option<String>,
    #[serde(default)]
    pub(super) partition: Option<String>,
    #[serde(default)]
    pub(super) lines: Option<Lines>,
    #[serde(default)]
    pub(super) file: Option<String>,
}

/// Records in any of their forms.
#[derive(Debug)]
pub(super) struct Records(pub(super) RecordsMap);

/// The bytes of records: text as it is, or one record per item, of which those that are no text are written as JSON.
#[derive(Debug)]
pub(super) struct Lines(pub(super) String);

/// A partition: its name alone, or with its source; nothing means all, or the only one.
#[derive(Debug, Default)]
pub(super) struct Place(pub(super) PlaceMap);

/// A partition and its source.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PlaceMap {
    #[serde(default)]
    pub(super) source: Option<String>,
    #[serde(default)]
    pub(super) partition: Option<String>,
}

/// What is expected of an output, in the form in which it is written.
#[derive(Debug)]
pub(super) enum Expected {
    /// Nothing is written yet: `--update` fills it in.
    Blank,
    /// So many rows, whatever they hold.
    Count(u64),
    /// A table, `none`, or a word.
    Text(String),
    /// Rows one by one.
    Rows(Vec<InOrder<Value>>),
    /// Values by name.
    Fields(InOrder<Value>),
}

/// A map in the order in which it was written.
#[derive(Debug)]
pub(super) struct InOrder<T>(pub(super) Vec<(String, T)>);

impl<'de, T: DeserializeOwned> Deserialize<'de> for InOrder<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<T>(std::marker::PhantomData<T>);
        impl<'de, T: DeserializeOwned> Visitor<'de> for Entries<T> {
            type Value = InOrder<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<InOrder<T>, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(InOrder(entries))
            }
        }
        deserializer.deserialize_map(Entries(std::marker::PhantomData))
    }
}

/// Text, or a list.
struct LinesVisitor;

impl<'de> Visitor<'de> for LinesVisitor {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("records: a text, or a list of records")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<String, A::Error> {
        let mut lines = String::new();
        while let Some(item) = items.next_element::<Value>()? {
            match item {
                Value::String(line) => lines.push_str(&line),
                record => lines.push_str(&record.to_string()),
            }
            lines.push('\n');
        }
        Ok(lines)
    }
}

impl<'de> Deserialize<'de> for Lines {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LinesVisitor).map(Self)
    }
}

impl<'de> Deserialize<'de> for Records {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Records;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("records: a text, a list, or a map with `lines` or `file`")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Records, E> {
                LinesVisitor.visit_str(text).map(|text| only(Lines(text)))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Records, A::Error> {
                LinesVisitor.visit_seq(items).map(|text| only(Lines(text)))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Records, A::Error> {
                let map = RecordsMap::deserialize(MapAccessDeserializer::new(map))?;
                match (&map.lines, &map.file) {
                    (Some(_), None) | (None, Some(_)) => Ok(Records(map)),
                    (None, None) => Err(A::Error::custom("`lines` or `file` is missing: what are the records?")),
                    (Some(_), Some(_)) => {
                        Err(A::Error::custom("`lines` and `file` exclude each other: only one of them can be given"))
                    }
                }
            }
        }
        fn only(lines: Lines) -> Records {
            Records(RecordsMap { lines: Some(lines), ..RecordsMap::default() })
        }
        deserializer.deserialize_any(Any)
    }
}

impl<'de> Deserialize<'de> for Place {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Place;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a partition, or a map with `source` and `partition`")
            }
            fn visit_unit<E: Error>(self) -> Result<Place, E> {
                Ok(Place::default())
            }
            fn visit_str<E: Error>(self, name: &str) -> Result<Place, E> {
                Ok(Place(PlaceMap { source: None, partition: Some(name.to_owned()) }))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Place, A::Error> {
                PlaceMap::deserialize(MapAccessDeserializer::new(map)).map(Place)
            }
        }
        deserializer.deserialize_any(Any)
    }
}

impl<'de> Deserialize<'de> for Expected {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Expected;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("rows: a table, a list of maps, how many, or `none`")
            }
            fn visit_unit<E: Error>(self) -> Result<Expected, E> {
                Ok(Expected::Blank)
            }
            fn visit_i64<E: Error>(self, rows: i64) -> Result<Expected, E> {
                u64::try_from(rows).map(Expected::Count).map_err(|_| E::custom("a number of rows is not negative"))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Expected, E> {
                Ok(Expected::Text(text.to_owned()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Expected, A::Error> {
                let mut rows = Vec::new();
                while let Some(row) = items.next_element()? {
                    rows.push(row);
                }
                Ok(Expected::Rows(rows))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Expected, A::Error> {
                InOrder::deserialize(MapAccessDeserializer::new(map)).map(Expected::Fields)
            }
        }
        deserializer.deserialize_any(Any)
    }
}
