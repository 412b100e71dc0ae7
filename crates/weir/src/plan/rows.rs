//! The steps that look at rows one after the other: as written to as run, which fields they need, which columns they give.

use std::sync::Arc;

use arrow::datatypes::DataType;
use arrow::datatypes::{Field, Schema};
use weir_engine::{
    Begin, Clash, Empty, ExplodePlan, FlattenPlan, Into, JoinLinesPlan, MaskPlan, MaskWith, OnFailure, OperatorPlan,
    Others, Over, ParseHow, ParsePlan, ParseType, Pii, PlanFault, RateLimitPlan, RowsPlan, SamplePlan, exploded_schema,
    flat_schema,
};
use weir_model::Expression;
use weir_pipeline::{
    BeginConfig, ClashConfig, EmptyConfig, ExplodeConfig, FieldType, FlattenConfig, IntoConfig, JoinLinesConfig,
    MaskConfig, Named, OnFailureConfig, OverConfig, ParseConfig, ParseKind, PiiConfig, RateLimitConfig, SampleConfig,
};
use weir_sql::columns;

use super::Problem;
use super::fields::Need;
use super::types::{Checker, Known};

/// The operator of step `index`, if it makes sense in itself.
pub(super) fn plan(index: usize, plan: RowsPlan) -> Result<OperatorPlan, Vec<Problem>> {
    match plan.check() {
        Ok(()) => Ok(OperatorPlan::Rows(plan)),
        Err(fault) => Err(vec![problem(index, plan.kind(), fault)]),
    }
}

fn problem(index: usize, kind: &str, PlanFault { key, message, hint }: PlanFault) -> Problem {
    let path = if key.is_empty() { format!("steps[{index}].{kind}") } else { format!("steps[{index}].{kind}.{key}") };
    Problem { path, column: None, message, hint }
}

/// Names and texts.
pub(super) fn pairs(named: &Named) -> Vec<(String, String)> {
    named.iter().map(|(name, text)| (name.to_owned(), text.to_owned())).collect()
}

pub(super) fn flatten(config: &FlattenConfig) -> RowsPlan {
    RowsPlan::Flatten(FlattenPlan {
        columns: config.columns.clone(),
        separator: config.separator.clone(),
        depth: config.depth,
        prefix: config.prefix.clone(),
        clash: match config.on_clash {
            ClashConfig::Suffix => Clash::Suffix,
            ClashConfig::Refuse => Clash::Refuse,
        },
    })
}

pub(super) fn explode(config: &ExplodeConfig) -> RowsPlan {
    RowsPlan::Explode(ExplodePlan {
        column: config.column.clone(),
        into: config.into.clone(),
        index: config.index.clone(),
        empty: match config.empty {
            EmptyConfig::Drop => Empty::Drop,
            EmptyConfig::Keep => Empty::Keep,
        },
    })
}

pub(super) fn parse(config: &ParseConfig) -> RowsPlan {
    let parse_type = |field: &FieldType| match field {
        FieldType::String => ParseType::String,
        FieldType::Int64 => ParseType::Int64,
        FieldType::Float64 => ParseType::Float64,
        FieldType::Bool => ParseType::Bool,
        FieldType::Timestamp => ParseType::Timestamp,
    };
    RowsPlan::Parse(ParsePlan {
        column: config.column.clone(),
        how: match &config.how {
            ParseKind::Json(_) => ParseHow::Json,
            ParseKind::Regex(text) => ParseHow::Regex(text.clone()),
            ParseKind::Grok(pattern) => ParseHow::Grok { pattern: pattern.clone(), patterns: pairs(&config.patterns) },
            ParseKind::KeyValue(config) => ParseHow::KeyValue {
                pairs: config.pairs.as_ref().and_then(|pairs| pairs.chars().next()),
                equals: config.equals.chars().next().unwrap_or('='),
            },
        },
        types: config.types.iter().map(|(name, field)| (name.clone(), parse_type(field))).collect(),
        others: Others::All,
        into: match &config.into {
            None => Into::Columns { prefix: String::new() },
            Some(IntoConfig::Prefix(prefix)) => Into::Columns { prefix: prefix.clone() },
            Some(IntoConfig::Struct(name)) => Into::Struct(name.clone()),
        },
        on_failure: match config.on_failure {
            OnFailureConfig::Keep => OnFailure::Keep,
            OnFailureConfig::Null => OnFailure::Null,
            OnFailureConfig::DeadLetter => OnFailure::DeadLetter,
        },
        drop_source: config.drop_source,
    })
}

/// What a mask looks for when nobody says it.
const EVERY_PATTERN: [PiiConfig; 9] = [
    PiiConfig::Email,
    PiiConfig::Ipv4,
    PiiConfig::Ipv6,
    PiiConfig::CreditCard,
    PiiConfig::Iban,
    PiiConfig::Phone,
    PiiConfig::Jwt,
    PiiConfig::AwsKey,
    PiiConfig::BearerToken,
];

pub(super) fn mask(config: &MaskConfig) -> RowsPlan {
    let pii = |pattern: &PiiConfig| match pattern {
        PiiConfig::Email => Pii::Email,
        PiiConfig::Ipv4 => Pii::Ipv4,
        PiiConfig::Ipv6 => Pii::Ipv6,
        PiiConfig::CreditCard => Pii::CreditCard,
        PiiConfig::Iban => Pii::Iban,
        PiiConfig::Phone => Pii::Phone,
        PiiConfig::Jwt => Pii::Jwt,
        PiiConfig::AwsKey => Pii::AwsKey,
        PiiConfig::BearerToken => Pii::BearerToken,
        PiiConfig::Value => Pii::Value,
    };
    let named: &[PiiConfig] = match &config.patterns {
        Some(patterns) => patterns,
        None if config.regex.is_empty() => &EVERY_PATTERN,
        None => &[],
    };
    let own = config.regex.iter().map(|(name, regex)| Pii::Regex { name: name.to_owned(), regex: regex.to_owned() });
    let with = match (&config.with, config.keep_last, &config.hash) {
        (Some(text), ..) => MaskWith::Text(text.clone()),
        (None, Some(count), _) => MaskWith::KeepLast(count),
        (None, None, Some(hash)) => MaskWith::Hash { key: hash.key.clone() },
        (None, None, None) => MaskWith::Name,
    };
    RowsPlan::Mask(MaskPlan {
        columns: config.columns.clone(),
        patterns: named.iter().map(pii).chain(own).collect(),
        with,
    })
}

pub(super) fn sample(config: &SampleConfig) -> RowsPlan {
    RowsPlan::Sample(SamplePlan { keep: config.keep, by: config.by.clone() })
}

pub(super) fn rate_limit(config: &RateLimitConfig) -> RowsPlan {
    let over = match config.over {
        OverConfig::Drop => Over::Drop,
        OverConfig::DeadLetter => Over::DeadLetter,
    };
    RowsPlan::RateLimit(RateLimitPlan { rows: config.rows, per: config.per.delta(), by: config.by.clone(), over })
}

pub(super) fn join_lines(config: &JoinLinesConfig) -> RowsPlan {
    RowsPlan::JoinLines(JoinLinesPlan {
        column: config.column.clone(),
        begin: match &config.begin {
            BeginConfig::StartsWith(text) => Begin::StartsWith(text.clone()),
            BeginConfig::Continues(text) => Begin::Continues(text.clone()),
        },
        by: config.by.clone(),
        lines_max: config.max_lines,
        bytes_max: usize::try_from(config.max_bytes.0).unwrap_or(usize::MAX),
        max_wait: config.max_wait.map(|wait| wait.delta()),
    })
}

/// The keys of a step, if it has any.
fn keys(plan: &RowsPlan) -> &[String] {
    match plan {
        RowsPlan::Sample(plan) => &plan.by,
        RowsPlan::RateLimit(plan) => &plan.by,
        RowsPlan::JoinLines(plan) => &plan.by,
        RowsPlan::Add(_)
        | RowsPlan::Drop(_)
        | RowsPlan::Rename(_)
        | RowsPlan::Flatten(_)
        | RowsPlan::Explode(_)
        | RowsPlan::Parse(_)
        | RowsPlan::Mask(_) => &[],
    }
}

/// Tells a step that takes JSON or `key=value` apart which fields are needed of it.
pub(super) fn fill_parsed(parse: &mut ParsePlan, need: &Need) {
    let whole = |name: &str| matches!(&parse.into, Into::Struct(into) if into == name);
    if !parse.has_others() || need.is_all() || need.uses().any(|(name, ..)| whole(name)) {
        return;
    }
    let inner = |name: &str| match &parse.into {
        Into::Columns { prefix } => name.strip_prefix(prefix.as_str()).map(str::to_owned),
        Into::Struct(into) => name.strip_prefix(into.as_str())?.strip_prefix('.').map(str::to_owned),
    };
    let others = need.uses().filter_map(|(name, numeric, boolean)| {
        let parse_type = match (numeric, boolean) {
            (true, _) => ParseType::Float64,
            (false, true) => ParseType::Bool,
            (false, false) => ParseType::String,
        };
        Some((inner(name)?, parse_type)).filter(|(name, _)| !name.is_empty() && *name != parse.column)
    });
    parse.others = Others::These(others.collect());
}

/// What a step needs of what it takes from, when `need` is needed of what it gives.
pub(super) fn need(plan: &RowsPlan, need: &Need, index: usize) -> Result<Need, Problem> {
    let same = |name: &str| Some(name.to_owned());
    Ok(match plan {
        RowsPlan::Add(list) => {
            let made = |name: &str| list.iter().any(|(made, _)| made == name);
            let mut upstream = need.renamed(|name| same(name).filter(|name| !made(name)));
            for (name, text) in list {
                let uses = columns(text).map_err(|error| Problem::sql(format!("steps[{index}].add.{name}"), error))?;
                upstream.add_uses(&uses);
            }
            upstream
        }
        RowsPlan::Drop(list) => need.renamed(|name| same(name).filter(|name| !list.contains(name))),
        RowsPlan::Rename(list) => {
            let old = |name: &str| list.iter().find(|(new, _)| new == name).map(|(_, old)| old.clone());
            let mut upstream = need.renamed(|name| old(name).or_else(|| same(name)));
            list.iter().for_each(|(_, old)| upstream.add(old, false, false, false));
            upstream
        }
        // Objects and lists are built only where everything is.
        RowsPlan::Flatten(_) | RowsPlan::Explode(_) => need.renamed(same).everything(),
        RowsPlan::Parse(parse) => {
            let made = |name: &str| match &parse.into {
                Into::Columns { prefix } if parse.has_others() => {
                    name.strip_prefix(prefix.as_str()).is_some_and(|field| parse.declares(field))
                }
                Into::Columns { prefix } => parse.fields().iter().any(|(field, _)| format!("{prefix}{field}") == name),
                Into::Struct(into) => into == name,
            };
            let mut upstream = need.renamed(|name| same(name).filter(|name| !made(name)));
            upstream.add(&parse.column, false, false, false);
            upstream
        }
        RowsPlan::Mask(_) => need.renamed(same),
        RowsPlan::Sample(_) | RowsPlan::RateLimit(_) | RowsPlan::JoinLines(_) => {
            let mut upstream = need.renamed(same);
            for (position, key) in keys(plan).iter().enumerate() {
                let path = format!("steps[{index}].{}.by[{position}]", plan.kind());
                upstream.add_uses(&columns(key).map_err(|error| Problem::sql(path, error))?);
            }
            if let RowsPlan::JoinLines(lines) = plan {
                upstream.add(&lines.column, false, false, false);
            }
            upstream
        }
    })
}

/// Checks a step and tells which columns it gives.
pub(super) fn check(checker: &mut Checker, index: usize, plan: &RowsPlan, input: &Known) -> Known {
    let fields = input.columns().map(|schema| schema.fields().to_vec());
    for (position, key) in keys(plan).iter().enumerate() {
        checker.expression(&format!("steps[{index}].{}.by[{position}]", plan.kind()), key, input);
    }
    match plan {
        RowsPlan::Add(list) => {
            let path = |name: &str| format!("steps[{index}].add.{name}");
            let made: Vec<Option<Field>> = list
                .iter()
                .map(|(name, text)| {
                    let expression = checker.expression(&path(name), text, input)?;
                    Some(Field::new(name, expression.data_type().clone(), true))
                })
                .collect();
            let (Some(mut fields), Some(made)) = (fields, made.into_iter().collect::<Option<Vec<_>>>()) else {
                return Known::Open;
            };
            for field in made.into_iter().map(Arc::new) {
                match fields.iter_mut().find(|known| known.name() == field.name()) {
                    Some(known) => *known = field,
                    None => fields.push(field),
                }
            }
            Known::Columns(Arc::new(Schema::new(fields)))
        }
        // What a step leaves out need not be there: fields of free-form data that nobody needs are not decoded.
        RowsPlan::Drop(list) => known(fields, |field| (!list.contains(field.name())).then_some(field)),
        RowsPlan::Rename(list) => {
            for (new, old) in list {
                checker.column(&format!("steps[{index}].rename.{new}"), old, input);
            }
            known(fields, |field| match list.iter().find(|(_, old)| old == field.name()) {
                Some((new, _)) => Some(Arc::new(field.as_ref().clone().with_name(new))),
                None => (!list.iter().any(|(new, _)| new == field.name())).then_some(field),
            })
        }
        RowsPlan::Flatten(flatten) => match input.columns().map(|schema| flat_schema(flatten, &schema)) {
            Some(Ok(schema)) => Known::Columns(schema),
            Some(Err(message)) => {
                checker.problems.push(problem(index, "flatten", PlanFault { key: String::new(), message, hint: None }));
                Known::Open
            }
            None => Known::Open,
        },
        RowsPlan::Explode(explode) => {
            let path = format!("steps[{index}].explode.column");
            checker.column(&path, &explode.column, input);
            match input.columns().map(|schema| exploded_schema(explode, &schema)) {
                Some(Ok(schema)) => Known::Columns(Arc::new(schema)),
                Some(Err(message)) => {
                    checker.problems.push(Problem { path, column: None, message, hint: None });
                    Known::Open
                }
                None => Known::Open,
            }
        }
        RowsPlan::Parse(parse) => {
            text_column(checker, &format!("steps[{index}].parse.column"), &parse.column, input);
            parsed(parse, fields)
        }
        RowsPlan::Mask(mask) => {
            for (position, column) in mask.columns.iter().enumerate() {
                // A column that nobody needs is not decoded, and need not be masked.
                if fields.as_ref().is_some_and(|fields| fields.iter().any(|field| field.name() == column)) {
                    checker.column(&format!("steps[{index}].mask.columns[{position}]"), column, input);
                }
            }
            known(fields, |field| {
                let text = field.data_type().is_string() || field.data_type().is_nested();
                let stays = text
                    || matches!(field.data_type(), DataType::Dictionary(..))
                    || !mask.columns.contains(field.name());
                Some(if stays { field } else { Arc::new(Field::new(field.name(), DataType::Utf8, true)) })
            })
        }
        RowsPlan::Sample(_) | RowsPlan::RateLimit(_) => input.clone(),
        RowsPlan::JoinLines(lines) => {
            text_column(checker, &format!("steps[{index}].join_lines.column"), &lines.column, input);
            known(fields, |field| {
                let is_text = *field.name() == lines.column;
                Some(if is_text { Arc::new(Field::new(field.name(), DataType::Utf8, true)) } else { field })
            })
        }
    }
}

/// Checks that a column is there and is text, where the columns are known.
fn text_column(checker: &mut Checker, path: &str, name: &str, input: &Known) {
    checker.column(path, name, input);
    let Some(schema) = input.columns() else { return };
    let Some((_, field)) = schema.column_with_name(name) else { return };
    let is_text = match field.data_type() {
        DataType::Dictionary(_, values) => values.is_string(),
        other => other.is_string(),
    };
    if !is_text {
        let message = format!("`{name}` is {}, not text", field.data_type());
        checker.problems.push(Problem { path: path.to_owned(), column: None, message, hint: None });
    }
}

/// The columns that a text gives besides those that are there.
fn parsed(parse: &ParsePlan, fields: Option<Vec<Arc<Field>>>) -> Known {
    let Some(mut fields) = fields.filter(|_| !parse.finds_fields()) else { return Known::Open };
    if parse.drop_source && parse.on_failure != OnFailure::Keep {
        fields.retain(|field| *field.name() != parse.column);
    }
    let made = parse.fields().into_iter().map(|(name, parse_type)| Field::new(name, parse_type.data_type(), true));
    let made: Vec<Field> = match &parse.into {
        Into::Struct(name) => vec![Field::new(name, DataType::Struct(made.collect()), true)],
        Into::Columns { prefix } => made
            .map(|field| {
                let name = format!("{prefix}{}", field.name());
                field.with_name(name)
            })
            .collect(),
    };
    for field in made {
        match fields.iter_mut().find(|known| known.name() == field.name()) {
            // Undeclared fields fill the column that is there.
            Some(_) if parse.has_others() && !parse.declares(field.name()) => {}
            Some(known) => *known = Arc::new(field),
            None => fields.push(Arc::new(field)),
        }
    }
    Known::Columns(Arc::new(Schema::new(fields)))
}

fn known(fields: Option<Vec<Arc<Field>>>, change: impl Fn(Arc<Field>) -> Option<Arc<Field>>) -> Known {
    let Some(fields) = fields else { return Known::Open };
    Known::Columns(Arc::new(Schema::new(fields.into_iter().filter_map(change).collect::<Vec<_>>())))
}

/// What the column `time`, by which rows are kept, is called after a step; `None` when it is gone.
pub(super) fn time_column(plan: &RowsPlan, time: String) -> Option<String> {
    match plan {
        RowsPlan::Add(_) => Some(time),
        RowsPlan::Drop(list) => Some(time).filter(|time| !list.contains(time)),
        RowsPlan::Rename(list) => match list.iter().find(|(_, old)| *old == time) {
            Some((new, _)) => Some(new.clone()),
            None => Some(time).filter(|time| !list.iter().any(|(new, _)| new == time)),
        },
        RowsPlan::Mask(plan) => Some(time).filter(|time| !plan.columns.contains(time)),
        RowsPlan::Explode(plan) => Some(time).filter(|time| *time != plan.column && Some(time) != plan.index.as_ref()),
        RowsPlan::Flatten(_)
        | RowsPlan::Parse(_)
        | RowsPlan::Sample(_)
        | RowsPlan::RateLimit(_)
        | RowsPlan::JoinLines(_) => Some(time),
    }
}

/// What a step does, for a person.
pub(crate) fn describe(plan: &RowsPlan) -> String {
    let pairs = |list: &[(String, String)]| {
        list.iter().map(|(name, text)| format!("{name} = {text}")).collect::<Vec<_>>().join(", ")
    };
    match plan {
        RowsPlan::Add(list) => format!("also {}", pairs(list)),
        RowsPlan::Drop(list) => format!("without {}", list.join(", ")),
        RowsPlan::Rename(list) => format!("with {} renamed", pairs(list)),
        RowsPlan::Flatten(plan) if plan.columns.is_empty() => "every object as columns".to_owned(),
        RowsPlan::Flatten(plan) => format!("{} as columns", plan.columns.join(", ")),
        RowsPlan::Explode(plan) => format!("a row per element of {}", plan.column),
        RowsPlan::Parse(plan) => {
            let fields: Vec<String> = plan.fields().into_iter().map(|(name, _)| name).collect();
            let fields = if plan.finds_fields() { "every field".to_owned() } else { fields.join(", ") };
            format!("{fields} out of {}", plan.column)
        }
        RowsPlan::Mask(plan) => {
            let patterns: Vec<&str> = plan.patterns.iter().map(Pii::name).collect();
            let columns = if plan.columns.is_empty() { "every text".to_owned() } else { plan.columns.join(", ") };
            format!("{} masked in {columns}", patterns.join(", "))
        }
        RowsPlan::Sample(plan) => format!("{}% of the rows{}", plan.keep * 100.0, by(&plan.by)),
        RowsPlan::RateLimit(plan) => {
            format!("up to {} rows per {} of event time and partition{}", plan.rows, plan.per, by(&plan.by))
        }
        RowsPlan::JoinLines(plan) => format!("lines in {} joined{}", plan.column, by(&plan.by)),
    }
}

fn by(keys: &[String]) -> String {
    if keys.is_empty() { String::new() } else { format!(" by {}", keys.join(", ")) }
}
