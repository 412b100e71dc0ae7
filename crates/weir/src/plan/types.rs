//! Checks every expression against the columns it will see, where those are known before any data is: the fields of a
//! fixed format, those a step selects, those a window gives. Fields of free-form data are taken as they come.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use weir_engine::{Aggregate, OperatorPlan, Plan, Upstream, WindowPlan, result_type};
use weir_model::{Expression, FieldKind, Fields};
use weir_sql::{SqlCompiler, SqlExpression, columns, nearest};

use super::lowering::Place;
use super::{JobSource, Problem, fields, memory, rows};

/// The columns of a source or a step.
#[derive(Clone)]
pub(super) enum Known {
    /// Exactly these.
    Columns(SchemaRef),
    /// At least these, and others when the data has them.
    Open,
}

impl Known {
    /// The columns, if they are known.
    pub(super) fn columns(&self) -> Option<SchemaRef> {
        match self {
            Self::Columns(schema) => Some(Arc::clone(schema)),
            Self::Open => None,
        }
    }
}

/// Of a join, by the index of its node, the columns that its left and its right rows are known to have.
pub(super) type JoinColumns = (usize, [Vec<(String, DataType)>; 2]);
/// The columns of each output, of each step, and of the joins.
type AllKnown = (Vec<Known>, Vec<Known>, Vec<JoinColumns>);

/// The columns of each output and of the joins, or what is wrong with the expressions of `plan`.
pub(super) fn check(
    plan: &Plan,
    sources: &[JobSource],
    places: &[Place],
) -> Result<(Vec<Known>, Vec<JoinColumns>), Vec<Problem>> {
    check_all(plan, sources, places).map(|(outputs, _, joins)| (outputs, joins))
}

/// The columns of each output, of each step and of the joins.
pub(super) fn check_all(plan: &Plan, sources: &[JobSource], places: &[Place]) -> Result<AllKnown, Vec<Problem>> {
    let mut checker = Checker { compiler: SqlCompiler::new(), problems: Vec::new() };
    let sources: Vec<Known> = sources.iter().map(source_columns).collect();
    let mut nodes: Vec<Known> = Vec::new();
    let mut joined = Vec::new();
    let known = |nodes: &[Known], from: Upstream| match from {
        Upstream::Source(source) => sources[source].clone(),
        Upstream::AllSources if sources.len() == 1 => sources[0].clone(),
        Upstream::AllSources => Known::Open,
        Upstream::Node(earlier) => nodes[earlier].clone(),
    };
    if let Some(condition) = fields::punctuation(plan) {
        // A source without its columns would never tell the time. One such source is enough to say so.
        let wrong = |source: &Known| {
            checker.condition(fields::PUNCTUATION, condition, source);
            !checker.problems.is_empty()
        };
        sources.iter().any(wrong);
    }
    for (index, node) in plan.nodes.iter().enumerate() {
        let inputs: Vec<Known> = node.inputs().into_iter().map(|from| known(&nodes, from)).collect();
        if let OperatorPlan::Join(_) = node.operator {
            joined.push((index, [memory::columns_of(&inputs[0]), memory::columns_of(&inputs[1])]));
        }
        let already = checker.problems.len();
        nodes.push(checker.node(&places[index], &node.operator, &inputs));
        if places[index].repeats {
            checker.problems.truncate(already);
        }
    }
    if checker.problems.is_empty() {
        Ok((plan.outputs.iter().map(|output| known(&nodes, output.from)).collect(), nodes, joined))
    } else {
        Err(checker.problems)
    }
}

fn source_columns(source: &JobSource) -> Known {
    match (&source.wanted.fields, source.format.fixed_schema()) {
        (_, Some(schema)) => Known::Columns(schema),
        (Fields::All, None) => Known::Open,
        (Fields::These(wanted), None) => Known::Columns(Arc::new(Schema::new(
            wanted
                .iter()
                .map(|field| {
                    let data_type = match &field.kind {
                        FieldKind::Key => DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
                        FieldKind::Value(data_type) => data_type.clone(),
                    };
                    Field::new(field.name.as_ref(), data_type, true)
                })
                .collect::<Vec<_>>(),
        ))),
    }
}

pub(super) struct Checker {
    compiler: SqlCompiler,
    pub(super) problems: Vec<Problem>,
}

impl Checker {
    /// Checks a step and tells which columns it gives.
    fn node(&mut self, place: &Place, operator: &OperatorPlan, inputs: &[Known]) -> Known {
        let (index, input) = (place.step, &inputs[0]);
        match operator {
            OperatorPlan::Where(text) => {
                self.condition(&place.condition(), text, input);
                input.clone()
            }
            OperatorPlan::Select(list) => {
                let types: Vec<Option<Field>> = list
                    .iter()
                    .map(|(name, text)| {
                        let expression = self.expression(&format!("steps[{index}].select.{name}"), text, input)?;
                        Some(Field::new(name, expression.data_type().clone(), true))
                    })
                    .collect();
                types
                    .into_iter()
                    .collect::<Option<Vec<_>>>()
                    .map_or(Known::Open, |fields| Known::Columns(Arc::new(Schema::new(fields))))
            }
            OperatorPlan::Rows(plan) => rows::check(self, index, plan, input),
            OperatorPlan::Join(plan) => memory::join_check(self, index, plan, input, &inputs[1]),
            OperatorPlan::Enrich(plan) => memory::enrich_check(self, index, plan, input),
            OperatorPlan::Deduplicate(plan) => memory::deduplicate_check(self, index, plan, input),
            OperatorPlan::Window(window) => self.window(index, window, input),
        }
    }

    fn window(&mut self, index: usize, window: &WindowPlan, input: &Known) -> Known {
        let mut given = vec![
            Some(Field::new("window_start", fields::timestamp(), false)),
            Some(Field::new("window_end", fields::timestamp(), false)),
        ];
        for (position, key) in window.by.iter().enumerate() {
            let expression = self.expression(&format!("steps[{index}].window.by[{position}]"), key, input);
            given.push(expression.map(|expression| Field::new(key, expression.data_type().clone(), true)));
        }
        for aggregate in &window.compute {
            let path = format!("steps[{index}].window.compute.{}", aggregate.name);
            if let Some(filter) = &aggregate.filter {
                self.expression(&path, filter, input);
            }
            let arguments = aggregate.arguments().iter().map(|text| self.expression(&path, text, input));
            let arguments: Option<Vec<SqlExpression>> = arguments.collect();
            let data_type = arguments.map(|arguments| self.result_type(&path, &aggregate.function, &arguments));
            given.push(data_type.map(|data_type| Field::new(&aggregate.name, data_type, true)));
        }
        given.push(Some(Field::new("pane", DataType::Utf8, false)));
        given.push(Some(Field::new("revision", DataType::Int64, false)));
        given.push(Some(Field::new("row_id", DataType::Utf8, false)));
        given
            .into_iter()
            .collect::<Option<Vec<_>>>()
            .map_or(Known::Open, |fields| Known::Columns(Arc::new(Schema::new(fields))))
    }

    pub(super) fn condition(&mut self, path: &str, text: &str, input: &Known) {
        if let Some(expression) = self.expression(path, text, input)
            && !matches!(expression.data_type(), DataType::Boolean | DataType::Null)
        {
            self.problems.push(Problem {
                path: path.to_owned(),
                column: None,
                message: format!("a condition is true or false, but this is {}", expression.data_type()),
                hint: Some("compare it with something: `... = 'x'`, `... > 0`, `... IS NOT NULL`".to_owned()),
            });
        }
    }

    fn result_type(&mut self, path: &str, function: &Aggregate, arguments: &[SqlExpression]) -> DataType {
        let types: Vec<DataType> = arguments.iter().map(|argument| argument.data_type().clone()).collect();
        if types.contains(&DataType::Null) {
            return DataType::Null;
        }
        result_type(function, &types, &self.compiler).unwrap_or_else(|message| {
            let is_number = types.iter().all(DataType::is_numeric);
            let hint = (!is_number).then(|| "turn it into what is needed, such as `cast(... AS double)`".to_owned());
            self.problems.push(Problem { path: path.to_owned(), column: None, message, hint });
            DataType::Null
        })
    }

    /// Checks that there is a column `name` where the columns are known.
    pub(super) fn column(&mut self, path: &str, name: &str, input: &Known) {
        let Known::Columns(schema) = input else { return };
        self.problems.extend(unknown_column(path, name, name, schema));
    }

    /// Compiles `text` where the columns are known; otherwise only its syntax is checked, which was done already.
    pub(super) fn expression(&mut self, path: &str, text: &str, input: &Known) -> Option<SqlExpression> {
        let Known::Columns(schema) = input else { return None };
        for used in columns(text).unwrap_or_default() {
            if let Some(problem) = unknown_column(path, text, &used.name, schema) {
                self.problems.push(problem);
                return None;
            }
        }
        match self.compiler.compile_sql(text, schema) {
            Ok(expression) => Some(expression),
            Err(error) => {
                self.problems.push(Problem::sql(path, error));
                None
            }
        }
    }
}

fn unknown_column(path: &str, text: &str, name: &str, schema: &Schema) -> Option<Problem> {
    let known = |candidate: &str| schema.fields().iter().any(|field| field.name().eq_ignore_ascii_case(candidate));
    let root = name.split('.').next().unwrap_or(name);
    if known(name) || known(root) {
        return None;
    }
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let hint = match nearest(name, names.iter().copied()) {
        Some(near) => format!("did you mean `{near}`? There are {}", names.join(", ")),
        None => format!("there are {}", names.join(", ")),
    };
    Some(Problem {
        path: path.to_owned(),
        column: text.find(name).map(|bytes| text[..bytes].chars().count() + 1),
        message: format!("there is no column `{name}` here"),
        hint: Some(hint),
    })
}

/// The columns that late rows have besides those of the row.
pub(super) fn late_columns() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("event_time", fields::timestamp(), true),
        Field::new("late_by_ms", DataType::Int64, true),
        Field::new("window_start", fields::timestamp(), true),
        Field::new("window_end", fields::timestamp(), true),
        Field::new("source_file", DataType::Utf8, true),
        Field::new("source_offset", DataType::Int64, true),
        Field::new("pipeline", DataType::Utf8, true),
        Field::new("row_id", DataType::Utf8, true),
    ]))
}
