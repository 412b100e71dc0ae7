//! The steps that look at rows one after the other. Refuses what no single key can be right with; the rest is checked
//! where the plan is made.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use weir_model::{ByteSize, DurationText, Secret};

use super::{FieldType, Named};
use crate::tagged;

/// Replaces columns that are objects by what is inside of them: `payload.user.id` becomes the column `payload_user_id`, in
/// the place of `payload`. JSON that is text is for `parse`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FlattenConfig {
    /// The columns to flatten. Default: all objects.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("examples" = [["payload"]]))]
    pub columns: Vec<String>,
    /// What stands between names.
    #[serde(skip_serializing_if = "is_underscore")]
    pub separator: String,
    /// How many levels are opened; what is deeper stays an object. Default: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1), extend("examples" = [1]))]
    pub depth: Option<usize>,
    /// What new names begin with, in place of the column's name and the separator; `""` for nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["p_"]))]
    pub prefix: Option<String>,
    /// What happens when two columns would have one name.
    #[serde(skip_serializing_if = "ClashConfig::is_default")]
    pub on_clash: ClashConfig,
}

impl Default for FlattenConfig {
    fn default() -> Self {
        Self {
            columns: Vec::new(),
            separator: "_".to_owned(),
            depth: None,
            prefix: None,
            on_clash: ClashConfig::default(),
        }
    }
}

/// What happens when two columns would have one name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClashConfig {
    /// A column that is not flattened keeps its name; of the others the first has it, and the next get `_2`, `_3` behind
    /// it.
    #[default]
    Suffix,
    /// The rows go to the dead letters.
    Refuse,
}

impl ClashConfig {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Makes a row of each element of a list. All have the time and the position of the row that they come from; the balance
/// counts those after the first as added.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExplodeConfig {
    /// The column that holds lists.
    #[schemars(extend("examples" = ["tags"]))]
    pub column: String,
    /// What the column of the elements is called. Default: as the list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["tag"]))]
    pub into: Option<String>,
    /// A column that tells which element it was, from 0. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["tag_index"]))]
    pub index: Option<String>,
    /// What becomes of a row whose list is empty or null: `drop` (it counts as filtered) or `keep` (with null for the
    /// element).
    #[serde(default, skip_serializing_if = "EmptyConfig::is_default")]
    pub empty: EmptyConfig,
}

/// What becomes of a row whose list is empty or null.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EmptyConfig {
    /// It counts as filtered.
    #[default]
    Drop,
    /// It goes on with null for the element.
    Keep,
}

impl EmptyConfig {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Makes columns of what a text says.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ParseConfig {
    /// The column that holds the texts.
    #[schemars(extend("examples" = ["message"]))]
    pub column: String,
    /// How they are written.
    #[serde(flatten)]
    pub how: ParseKind,
    /// More grok patterns, by name; they come before those that are known.
    #[serde(default, skip_serializing_if = "Named::is_empty")]
    #[schemars(extend("examples" = [{ "ORDER": "[A-Z]{2}-[0-9]+" }]))]
    pub patterns: Named,
    /// The types of fields; others are text. With `json`, `user.id` is what is inside of the object `user`. A value that is
    /// not of its type is null, and `on_failure` says what becomes of its row.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("examples" = [{ "status": "int64" }]))]
    pub types: BTreeMap<String, FieldType>,
    /// Where the values go. Default: a column each, called as the field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub into: Option<IntoConfig>,
    /// What becomes of a row whose text is not as it should be. One without a text is right: its columns are null.
    #[serde(default, skip_serializing_if = "OnFailureConfig::is_default")]
    pub on_failure: OnFailureConfig,
    /// Whether the column of texts goes.
    #[serde(default, skip_serializing_if = "is_false")]
    pub drop_source: bool,
}

/// How texts are written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ParseKind {
    /// A JSON object. Where later steps do not say which fields they need, every field is a column.
    Json(ParseJsonConfig),
    /// A regular expression; its named groups are the fields. It takes time linear in the text, whatever the text is.
    #[schemars(extend("examples" = ["^(?<user>\\S+) took (?<ms>[0-9]+) ms"]))]
    Regex(String),
    /// A grok pattern: `%{IP:client}` is an address in the field `client`, `%{NUMBER:bytes:int}` a whole number.
    #[schemars(extend("examples" = ["%{IP:client} %{WORD:method} %{NUMBER:bytes:int}"]))]
    Grok(String),
    /// `key=value`, the value perhaps in double quotes (logfmt). Words without a value are passed over. Where later steps
    /// do not say which fields they need, every key is a column.
    KeyValue(KeyValueConfig),
}

/// JSON needs no settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ParseJsonConfig {}

/// How keys and values are written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct KeyValueConfig {
    /// The character between pairs. Default: white space.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["&"]))]
    pub pairs: Option<String>,
    /// The character between a key and its value.
    pub equals: String,
}

impl Default for KeyValueConfig {
    fn default() -> Self {
        Self { pairs: None, equals: "=".to_owned() }
    }
}

/// Where the values of a `parse` step go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IntoConfig {
    /// A column each, called as the field with this in front.
    #[schemars(extend("examples" = ["http_"]))]
    Prefix(String),
    /// One column of this name, an object with all of them.
    #[schemars(extend("examples" = ["request"]))]
    Struct(String),
}

/// What becomes of a row whose text is not as it should be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnFailureConfig {
    /// It goes on with null for what could not be read, and with its text also where `drop_source` takes that away.
    #[default]
    Keep,
    /// It goes on with null for what could not be read.
    Null,
    /// It goes to the dead letters.
    DeadLetter,
}

impl OnFailureConfig {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ParseKeys {
    column: String,
    #[serde(default)]
    patterns: Named,
    #[serde(default)]
    types: BTreeMap<String, FieldType>,
    into: Option<IntoConfig>,
    #[serde(default)]
    on_failure: OnFailureConfig,
    #[serde(default)]
    drop_source: bool,
}

impl ParseConfig {
    /// Its keys in the order of the reference page.
    pub(crate) fn keys() -> Vec<&'static str> {
        tagged::keys::<ParseKind, ParseKeys>()
    }
}

impl<'de> Deserialize<'de> for ParseConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (how, keys): (ParseKind, ParseKeys) = tagged::deserialize(deserializer)?;
        let ParseKeys { column, patterns, types, into, on_failure, drop_source } = keys;
        Ok(Self { column, how, patterns, types, into, on_failure, drop_source })
    }
}

/// Replaces what tells who somebody is, in texts and in the texts inside of objects and lists. It is gone from every later
/// step, from late rows, and from dead letters of later steps, which hold the masked row in place of the record. Dead
/// letters of earlier steps, and of records that cannot be decoded, hold the record as it came: mask first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MaskConfig {
    /// The columns to mask; numbers and times among them become text. Default: every text, but no number.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("examples" = [["message", "user"]]))]
    pub columns: Vec<String>,
    /// What is looked for. Default: all but `value`, when no `regex` is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = [["email", "credit_card"]]))]
    pub patterns: Option<Vec<PiiConfig>>,
    /// Regular expressions, by the name that stands in place of what they find.
    #[serde(skip_serializing_if = "Named::is_empty")]
    #[schemars(extend("examples" = [{ "customer": "C-[0-9]{6}" }]))]
    pub regex: Named,
    /// A text in place of what is found. Default: its name, such as `<email>`.
    #[serde(rename = "with", skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["***"]))]
    pub with: Option<String>,
    /// Instead: `*` for each letter and digit of it but so many at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = [4]))]
    pub keep_last: Option<usize>,
    /// Instead: a hash of it, the same for the same text, so that it can still be counted and joined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash: Option<HashConfig>,
}

/// The hash that a mask puts in place of a text: the first 32 hexadecimal digits of HMAC-SHA-256.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HashConfig {
    /// The key, at least 16 bytes. Who has it can find out whether a hash is that of a certain text.
    pub key: Secret,
}

/// What a mask looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PiiConfig {
    /// An e-mail address.
    Email,
    /// An IPv4 address.
    Ipv4,
    /// An IPv6 address.
    Ipv6,
    /// 13 to 19 digits, perhaps in groups, with a right check digit (Luhn).
    CreditCard,
    /// An account number with right check digits (ISO 13616).
    Iban,
    /// A phone number: `+` and a country before it, or in the form 555-010-9999.
    Phone,
    /// A JSON web token.
    Jwt,
    /// The id of a key of Amazon Web Services, or a secret behind `aws_secret_access_key`.
    AwsKey,
    /// What follows the word `Bearer`.
    BearerToken,
    /// The whole text, whatever it is: only with `columns`.
    Value,
}

/// Keeps a share of the rows, in a replay the same ones. The others count as filtered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SampleConfig {
    /// The share that is kept, from 0 to 1.
    #[schemars(extend("examples" = [0.1]))]
    pub keep: f64,
    /// Rows with the same values of these are all kept or all not. Default: the position of the row decides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("examples" = [["trace_id"]]))]
    pub by: Vec<String>,
}

/// Lets so many rows pass per span of event time. Each partition of a source is counted for itself, so that a replay lets
/// the same rows pass; the limit of all together is that many times higher.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RateLimitConfig {
    /// How many rows pass.
    #[schemars(extend("examples" = [100]))]
    pub rows: u64,
    /// In which span of event time. Spans begin at multiples of it.
    #[schemars(extend("examples" = ["1s"]))]
    pub per: DurationText,
    /// Each combination of the values of these has a limit of its own; at most 100,000 per partition at a time, rows of
    /// others go to the dead letters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("examples" = [["app"]]))]
    pub by: Vec<String>,
    /// What becomes of the other rows: `drop` (they count as filtered) or `dead_letter`.
    #[serde(default, skip_serializing_if = "OverConfig::is_default")]
    pub over: OverConfig,
}

/// What becomes of the rows over a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OverConfig {
    /// They count as filtered.
    #[default]
    Drop,
    /// They go to the dead letters.
    DeadLetter,
}

impl OverConfig {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Joins rows of one partition whose texts are lines of one record, such as a stack trace. The other columns are those of
/// the first row; the balance counts the lines after it as merged. A record is done when the next one begins, when its
/// partition ends or is idle, and, where a window follows, when the watermark has passed its event time: there, `delay`
/// must be longer than it takes to write a record.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct JoinLinesConfig {
    /// The column with the lines.
    #[schemars(extend("examples" = ["message"]))]
    pub column: String,
    /// Where a record begins.
    #[serde(flatten)]
    pub begin: BeginConfig,
    /// Only rows with the same values of these belong together.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("examples" = [["container"]]))]
    pub by: Vec<String>,
    /// How many lines a record may have; the next one begins another.
    #[serde(default = "max_lines", skip_serializing_if = "is_max_lines")]
    #[schemars(range(min = 1))]
    pub max_lines: usize,
    /// How long its text may be; a line that would make it longer begins another.
    #[serde(default = "max_bytes", skip_serializing_if = "is_max_bytes")]
    pub max_bytes: ByteSize,
    /// A line so much later (event time) than the first begins another record. Default: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["5s"]))]
    pub max_wait: Option<DurationText>,
}

/// Where a record of several lines begins. The expression must match at the beginning of a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BeginConfig {
    /// With a line that this regular expression matches.
    #[schemars(extend("examples" = ["[0-9]{4}-[0-9]{2}-[0-9]{2}"]))]
    StartsWith(String),
    /// With a line that it does not match: those that it matches continue the record before.
    #[schemars(extend("examples" = ["\\s|Caused by:"]))]
    Continues(String),
}

fn max_lines() -> usize {
    1_000
}

fn max_bytes() -> ByteSize {
    ByteSize(1 << 20)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JoinLinesKeys {
    column: String,
    #[serde(default)]
    by: Vec<String>,
    #[serde(default = "max_lines")]
    max_lines: usize,
    #[serde(default = "max_bytes")]
    max_bytes: ByteSize,
    max_wait: Option<DurationText>,
}

impl JoinLinesConfig {
    /// Lines of `column`, with every other key at its default.
    pub fn new(column: impl Into<String>, begin: BeginConfig) -> Self {
        Self {
            column: column.into(),
            begin,
            by: Vec::new(),
            max_lines: max_lines(),
            max_bytes: max_bytes(),
            max_wait: None,
        }
    }

    /// Its keys in the order of the reference page.
    pub(crate) fn keys() -> Vec<&'static str> {
        tagged::keys::<BeginConfig, JoinLinesKeys>()
    }
}

impl<'de> Deserialize<'de> for JoinLinesConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (begin, keys): (BeginConfig, JoinLinesKeys) = tagged::deserialize(deserializer)?;
        let JoinLinesKeys { column, by, max_lines, max_bytes, max_wait } = keys;
        Ok(Self { column, begin, by, max_lines, max_bytes, max_wait })
    }
}

impl ParseConfig {
    /// Texts of `column`, with every other key at its default.
    pub fn new(column: impl Into<String>, how: ParseKind) -> Self {
        Self {
            column: column.into(),
            how,
            patterns: Named::default(),
            types: BTreeMap::new(),
            into: None,
            on_failure: OnFailureConfig::default(),
            drop_source: false,
        }
    }
}

fn is_underscore(text: &str) -> bool {
    text == "_"
}

fn is_false(value: &bool) -> bool {
    !value
}

fn is_max_lines(lines: &usize) -> bool {
    *lines == max_lines()
}

fn is_max_bytes(bytes: &ByteSize) -> bool {
    *bytes == max_bytes()
}
