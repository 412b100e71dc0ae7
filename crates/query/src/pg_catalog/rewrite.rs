//! Questions to PostgreSQL's catalog in words that DataFusion knows: what is written out (`pg_catalog.format_type`,
//! `OPERATOR(pg_catalog.~)`, `COLLATE`, `::regclass`) is written plainly, and of a column that is named twice
//! (`SELECT n.oid, n.*`) the first gets a name of its own. Questions over tables that are always empty need no plan at all.

use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    Array, ArrayElemTypeDef, BinaryOperator, CastKind, DataType as SqlType, Expr, Function, FunctionArg,
    FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident, JoinOperator, ObjectName, ObjectNamePart, Query,
    Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, Statement as SqlStatement, TableFactor,
    TableWithJoins, Value, Visit, VisitMut, Visitor, VisitorMut,
};

use super::functions::{REGCLASS, SCHEMAS};
use super::{PG_CATALOG, empty, has, written};

/// Functions that make one row of none.
const AGGREGATES: [&str; 8] = ["count", "sum", "min", "max", "avg", "array_agg", "string_agg", "bool_or"];

/// Writes a question plainly.
pub(crate) fn translate(statement: &mut SqlStatement) {
    let _ = VisitMut::visit(statement, &mut Translate);
}

struct Translate;

impl VisitorMut for Translate {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table { name, args, .. } = factor
            && args.is_some()
        {
            plain_name(name);
            // What PostgreSQL has a function for that gives a table is a table here.
            if has(last(name)) {
                name.0.insert(0, ObjectNamePart::Identifier(Ident::new(PG_CATALOG)));
                *args = None;
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
        match expression {
            Expr::Function(Function { name, args: FunctionArguments::Subquery(query), .. })
                if last(name).eq_ignore_ascii_case("array") && is_surely_empty(&query.body, &|_| true) =>
            {
                // As PostgreSQL writes an array without elements.
                *expression = Expr::Value(Value::SingleQuotedString("{}".to_owned()).into());
            }
            // How many schemas names are looked for in, as a literal: DataFusion makes rows of nothing else.
            Expr::Function(function)
                if last(&function.name).eq_ignore_ascii_case("array_upper") && is_of_schemas(function) =>
            {
                *expression = Expr::Value(Value::Number(SCHEMAS.len().to_string(), false).into());
            }
            Expr::Function(function)
                if matches!(function.args, FunctionArguments::None) && last(&function.name) == "user" =>
            {
                function.name = ObjectName::from(vec![Ident::new("current_user")]);
            }
            Expr::Function(function) => plain_name(&mut function.name),
            Expr::BinaryOp { op, .. } => {
                if let BinaryOperator::PGCustomBinaryOperator(parts) = op
                    && let Some(plain) = parts.last().and_then(|symbol| operator(symbol))
                {
                    *op = plain;
                }
            }
            Expr::Collate { expr, .. } => {
                let inner = std::mem::replace(expr.as_mut(), Expr::Identifier(Ident::new("")));
                *expression = inner;
            }
            Expr::Cast { data_type: SqlType::Custom(name, _), .. } => {
                let name = last(name).to_lowercase();
                cast(expression, &name);
            }
            Expr::Cast { data_type: SqlType::Regclass, .. } => cast(expression, "regclass"),
            Expr::Cast { expr, data_type: SqlType::Array(kind), .. } => {
                if let Some(list) = written_list(expr, element_type(kind)) {
                    *expression = list;
                }
            }
            Expr::AnyOp { right, .. } | Expr::AllOp { right, .. } => {
                let inner = if let Expr::Nested(inner) = right.as_ref() { inner.as_ref() } else { right.as_ref() };
                if let Some(list) = written_list(inner, None) {
                    **right = list;
                }
            }
            // A value of a table that has none; DataFusion would want to know that there is at most one.
            Expr::Subquery(query) if query.with.is_none() && is_surely_empty(&query.body, &|_| true) => {
                *expression = Expr::Value(Value::Null.into());
            }
            Expr::Subquery(query) => one_value(query),
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if let SetExpr::Select(select) = query.body.as_mut()
            && select.from.iter().any(is_of_catalog)
        {
            name_once(&mut select.projection);
        }
        ControlFlow::Continue(())
    }
}

fn is_of_catalog(joined: &TableWithJoins) -> bool {
    let TableFactor::Table { name, args: None, .. } = &joined.relation else { return false };
    match name.0.first().and_then(ObjectNamePart::as_ident) {
        Some(schema) if name.0.len() == 2 => schema.value.eq_ignore_ascii_case(PG_CATALOG),
        Some(table) => name.0.len() == 1 && has(&table.value),
        None => false,
    }
}

/// A column that also comes with `t.*` is called `column:`; who asks for it by name gets the other one, which is the same.
fn name_once(projection: &mut [SelectItem]) {
    let whole = |item: &SelectItem| match item {
        SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => {
            Some(last(name).to_owned())
        }
        _ => None,
    };
    let tables: Vec<String> = projection.iter().filter_map(whole).collect();
    for item in projection {
        if let SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) = item
            && let [table, column] = parts.as_slice()
            && tables.contains(&table.value)
        {
            let alias = Ident::with_quote('"', format!("{}:", column.value));
            *item = SelectItem::ExprWithAlias { expr: Expr::CompoundIdentifier(parts.clone()), alias };
        }
    }
}

/// Whether the first argument is `current_schemas(...)`.
fn is_of_schemas(function: &Function) -> bool {
    let FunctionArguments::List(arguments) = &function.args else { return false };
    matches!(
        arguments.args.first(),
        Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Function(inner))))
            if last(&inner.name).eq_ignore_ascii_case("current_schemas")
    )
}

fn last(name: &ObjectName) -> &str {
    name.0.last().and_then(ObjectNamePart::as_ident).map_or("", |ident| ident.value.as_str())
}

/// Takes the name of the catalog away.
fn plain_name(name: &mut ObjectName) {
    let first = name.0.first().and_then(ObjectNamePart::as_ident);
    if name.0.len() == 2 && first.is_some_and(|first| first.value.eq_ignore_ascii_case(PG_CATALOG)) {
        name.0.remove(0);
    }
}

fn operator(symbol: &str) -> Option<BinaryOperator> {
    Some(match symbol {
        "=" => BinaryOperator::Eq,
        "<>" => BinaryOperator::NotEq,
        "~" => BinaryOperator::PGRegexMatch,
        "~*" => BinaryOperator::PGRegexIMatch,
        "!~" => BinaryOperator::PGRegexNotMatch,
        "!~*" => BinaryOperator::PGRegexNotIMatch,
        "~~" => BinaryOperator::PGLikeMatch,
        "!~~" => BinaryOperator::PGNotLikeMatch,
        _ => return None,
    })
}

/// Casts to types that only PostgreSQL has.
fn cast(expression: &mut Expr, name: &str) {
    let Expr::Cast { expr, data_type, .. } = expression else { return };
    match name {
        "text" | "name" | "regtype" | "regproc" | "regnamespace" | "regrole" | "bpchar" => *data_type = SqlType::Text,
        "oid" | "xid" | "int8" => *data_type = SqlType::BigInt(None),
        "int4" | "int2" => *data_type = SqlType::Int(None),
        "regclass" => {
            let inner = std::mem::replace(expr.as_mut(), Expr::Identifier(Ident::new("")));
            *expression = called(REGCLASS, inner);
        }
        _ => {}
    }
}

/// A list that is written as a text: `'{a,b}'::text[]`.
fn written_list(text: &Expr, kind: Option<&SqlType>) -> Option<Expr> {
    let Expr::Value(value) = text else { return None };
    let Value::SingleQuotedString(text) = &value.value else { return None };
    let element = |element: Option<String>| {
        let value = Expr::Value(element.map_or(Value::Null, Value::SingleQuotedString).into());
        let Some(kind) = kind else { return value };
        Expr::Cast { kind: CastKind::Cast, expr: Box::new(value), data_type: kind.clone(), array: false, format: None }
    };
    let elem = written::elements(text).ok()?.into_iter().map(element).collect();
    Some(Expr::Array(Array { elem, named: true }))
}

fn element_type(list: &ArrayElemTypeDef) -> Option<&SqlType> {
    match list {
        ArrayElemTypeDef::SquareBracket(kind, _) | ArrayElemTypeDef::AngleBracket(kind) => Some(kind),
        _ => None,
    }
}

/// What looks up one value of the catalog says so, as DataFusion wants to know that there is at most one.
fn one_value(query: &mut Query) {
    let SetExpr::Select(select) = query.body.as_mut() else { return };
    if query.limit_clause.is_some()
        || !select.from.iter().all(is_of_catalog)
        || select.projection.iter().any(aggregates)
    {
        return;
    }
    if let [SelectItem::UnnamedExpr(value) | SelectItem::ExprWithAlias { expr: value, .. }] =
        select.projection.as_mut_slice()
    {
        let inner = std::mem::replace(value, Expr::Identifier(Ident::new("")));
        *value = called("max", inner);
    }
}

fn called(name: &str, argument: Expr) -> Expr {
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new(name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: vec![FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))],
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

/// The columns of an answer of which it is certain, without a plan, that it has no rows: it joins a table that is always
/// empty, and is none of those that are ours. They are all texts.
pub(crate) fn empty_answer(statement: &Statement, is_ours: &dyn Fn(&str) -> bool) -> Option<SchemaRef> {
    let Statement::Statement(statement) = statement else { return None };
    let SqlStatement::Query(query) = statement.as_ref() else { return None };
    if query.with.is_some() || !is_surely_empty(&query.body, is_ours) {
        return None;
    }
    let names = first_select(query)?.projection.iter().map(column_name).collect::<Option<Vec<String>>>()?;
    let fields: Vec<Field> = names.into_iter().map(|name| Field::new(name, DataType::Utf8, true)).collect();
    Some(Arc::new(Schema::new(fields)))
}

fn first_select(query: &Query) -> Option<&Select> {
    let mut body = query.body.as_ref();
    loop {
        match body {
            SetExpr::Select(select) => return Some(select),
            SetExpr::SetOperation { left, .. } => body = left,
            SetExpr::Query(query) => body = &query.body,
            _ => return None,
        }
    }
}

fn is_surely_empty(body: &SetExpr, is_ours: &dyn Fn(&str) -> bool) -> bool {
    match body {
        SetExpr::Select(select) => {
            !select.projection.iter().any(aggregates)
                && select.from.iter().any(|joined| {
                    let only_inner = joined.joins.iter().all(|join| {
                        is_inner(&join.join_operator)
                            || matches!(join.join_operator, JoinOperator::Left(_) | JoinOperator::LeftOuter(_))
                    });
                    only_inner && has_empty(joined, is_ours)
                })
        }
        SetExpr::SetOperation { left, right, .. } => is_surely_empty(left, is_ours) && is_surely_empty(right, is_ours),
        SetExpr::Query(query) => query.with.is_none() && is_surely_empty(&query.body, is_ours),
        _ => false,
    }
}

fn is_inner(join: &JoinOperator) -> bool {
    matches!(join, JoinOperator::Join(_) | JoinOperator::Inner(_) | JoinOperator::CrossJoin(_))
}

fn has_empty(joined: &TableWithJoins, is_ours: &dyn Fn(&str) -> bool) -> bool {
    let inner = joined.joins.iter().filter(|join| is_inner(&join.join_operator)).map(|join| &join.relation);
    std::iter::once(&joined.relation).chain(inner).any(|relation| match relation {
        TableFactor::Table { name, args: None, .. } => {
            let schema = (name.0.len() > 1).then(|| name.0.first().and_then(ObjectNamePart::as_ident)).flatten();
            let of_catalog = schema.map_or_else(|| !is_ours(last(name)), |schema| schema.value == PG_CATALOG);
            of_catalog && empty::has(last(name))
        }
        TableFactor::Derived { subquery, .. } => subquery.with.is_none() && is_surely_empty(&subquery.body, is_ours),
        _ => false,
    })
}

/// Whether a column is made of all rows together; what subqueries in it make of theirs is another matter.
fn aggregates(item: &SelectItem) -> bool {
    item.visit(&mut Aggregates { queries: 0 }).is_break()
}

struct Aggregates {
    /// Subqueries that are open.
    queries: usize,
}

impl Visitor for Aggregates {
    type Break = ();

    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.queries += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.queries -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expression: &Expr) -> ControlFlow<()> {
        match expression {
            Expr::Function(function) if self.queries == 0 => {
                let name = last(&function.name).to_lowercase();
                if AGGREGATES.contains(&name.as_str()) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            }
            _ => ControlFlow::Continue(()),
        }
    }
}

/// What PostgreSQL calls a column; `None` where that takes a plan.
fn column_name(item: &SelectItem) -> Option<String> {
    match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(alias.value.clone()),
        SelectItem::UnnamedExpr(expression) => Some(name_of(expression)),
        _ => None,
    }
}

fn name_of(expression: &Expr) -> String {
    match expression {
        Expr::Identifier(name) => name.value.clone(),
        Expr::CompoundIdentifier(parts) => parts.last().map_or_else(String::new, |part| part.value.clone()),
        Expr::Function(function) => last(&function.name).to_owned(),
        Expr::Cast { expr, kind: CastKind::DoubleColon | CastKind::Cast, .. } => name_of(expr),
        Expr::Case { .. } => "case".to_owned(),
        _ => "?column?".to_owned(),
    }
}
