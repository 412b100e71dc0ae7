//! Which columns an expression uses, and as what; looks at no schema and plans nothing.
//!
//! A source without a schema (JSON) learns from here what to decode: a column that is added, or compared with a number,
//! is decoded as a number. The walk also writes every name as one quoted identifier (`tags.env` becomes `"tags.env"`),
//! so that nothing later folds its case or takes its dots for table names.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    AccessExpr, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, Query, Subscript, Value,
    VisitMut, VisitorMut,
};
use datafusion::sql::sqlparser::tokenizer::{Location, Span};

use crate::parse::{parse_expression, position};
use crate::{SqlError, SqlErrorKind, on_planning_stack};

mod kinds;

use kinds::{is_arithmetic, is_comparison, is_logical, is_number, is_numeric_function, is_temporal, passes_through};

/// A column that an expression uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnUse {
    /// Its name as written, without quotes; `tags.env` for a child of a struct, however that was written.
    pub name: String,
    /// It is used as a number somewhere: in arithmetic, compared with a number, argument of a numeric function.
    pub numeric: bool,
    /// It is used as a truth value somewhere: an operand of `AND`, `OR`, `NOT`, `IS TRUE`.
    pub boolean: bool,
    /// Where it is first used: characters from 1.
    pub column: usize,
}

/// Which columns the expression `text` uses, in the order of their first use.
///
/// # Errors
/// When `text` is not one scalar expression.
pub fn columns(text: &str) -> Result<Vec<ColumnUse>, SqlError> {
    on_planning_stack(|| Ok(named(text)?.1))
}

/// The expression `text` with all names written as one quoted identifier each, and the names.
pub(crate) fn named(text: &str) -> Result<(Expr, Vec<ColumnUse>), SqlError> {
    let mut expression = parse_expression(text)?;
    let mut walk = Walk { text, uses: Vec::new(), refused: None };
    walk.expression(&mut expression, Wanted::Any);
    match walk.refused {
        Some(error) => Err(error),
        None => Ok((expression, walk.uses)),
    }
}

/// The name that stands for `name` in the rewritten expression: DataFusion takes a leading `@` for a variable.
pub(crate) fn internal_name(name: &str) -> String {
    if name.starts_with('@') { format!(" {name}") } else { name.to_owned() }
}

/// What the surroundings of an expression want it to be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Any,
    Number,
    Boolean,
}

struct Walk<'a> {
    text: &'a str,
    uses: Vec<ColumnUse>,
    refused: Option<SqlError>,
}

impl Walk<'_> {
    fn refuse(&mut self, what: &str, hint: &str) {
        let error = SqlError::new(SqlErrorKind::NotAllowed, format!("{what} cannot be used in an expression"));
        self.refused.get_or_insert(error.hint(hint));
    }

    fn expression(&mut self, expression: &mut Expr, wanted: Wanted) {
        if let Some((name, start)) = dotted_name(expression) {
            self.name(name, start, wanted, expression);
            return;
        }
        match expression {
            Expr::Nested(inner) => self.expression(inner, wanted),
            Expr::BinaryOp { left, op, right } => {
                let wanted = operands(left, op, right);
                self.expression(left, wanted);
                self.expression(right, wanted);
            }
            Expr::UnaryOp { op, expr } => {
                let not = op.to_string().eq_ignore_ascii_case("not");
                self.expression(expr, if not { Wanted::Boolean } else { Wanted::Number });
            }
            Expr::IsTrue(inner) | Expr::IsFalse(inner) | Expr::IsNotTrue(inner) | Expr::IsNotFalse(inner) => {
                self.expression(inner, Wanted::Boolean);
            }
            Expr::Between { expr, low, high, .. } => {
                let wanted = number_if(is_number(low) || is_number(high) || is_number(expr));
                for part in [expr, low, high] {
                    self.expression(part, wanted);
                }
            }
            Expr::InList { expr, list, .. } => {
                let wanted = number_if(!list.is_empty() && list.iter().all(is_number));
                self.expression(expr, wanted);
                for item in list {
                    self.expression(item, wanted);
                }
            }
            Expr::Case { operand, conditions, else_result, .. } => {
                let condition_wanted = match operand {
                    Some(_) => number_if(conditions.iter().all(|when| is_number(&when.condition))),
                    None => Wanted::Boolean,
                };
                if let Some(operand) = operand {
                    self.expression(operand, condition_wanted);
                }
                for when in conditions {
                    self.expression(&mut when.condition, condition_wanted);
                    self.expression(&mut when.result, wanted);
                }
                if let Some(result) = else_result {
                    self.expression(result, wanted);
                }
            }
            Expr::Function(function) => self.function(function, wanted),
            Expr::Ceil { expr, .. } | Expr::Floor { expr, .. } => self.expression(expr, Wanted::Number),
            Expr::CompoundFieldAccess { root, access_chain } => {
                self.expression(root, Wanted::Any);
                for access in access_chain {
                    self.access(access);
                }
            }
            Expr::Value(value) if matches!(value.value, Value::Placeholder(_)) => {
                self.refuse("a placeholder", "write the value");
            }
            Expr::Wildcard(_) | Expr::QualifiedWildcard(..) => self.refuse("\"*\"", "name the columns"),
            Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. } => {
                self.refuse("a subquery", "an expression sees one row at a time");
            }
            Expr::Lambda(_) => self.refuse("a lambda", "write the expression out"),
            other => other.visit_children(self),
        }
    }

    fn function(&mut self, function: &mut Function, wanted: Wanted) {
        if function.over.is_some() || function.filter.is_some() || !function.within_group.is_empty() {
            self.refuse("an aggregate or window function", "aggregates belong into `compute` of a window step");
        }
        let name = function.name.to_string().to_ascii_lowercase();
        let FunctionArguments::List(list) = &mut function.args else {
            if matches!(function.args, FunctionArguments::Subquery(_)) {
                self.refuse("a subquery", "an expression sees one row at a time");
            }
            return;
        };
        let mut arguments: Vec<&mut Expr> = Vec::with_capacity(list.args.len());
        for argument in &mut list.args {
            match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expression))
                | FunctionArg::Named { arg: FunctionArgExpr::Expr(expression), .. }
                | FunctionArg::ExprNamed { arg: FunctionArgExpr::Expr(expression), .. } => arguments.push(expression),
                _ => self.refuse("\"*\"", "name the columns"),
            }
        }
        let wanted = match () {
            () if is_numeric_function(&name) => Wanted::Number,
            () if passes_through(&name) && arguments.iter().any(|argument| is_number(argument)) => Wanted::Number,
            () if passes_through(&name) => wanted,
            () => Wanted::Any,
        };
        for argument in arguments {
            self.expression(argument, wanted);
        }
    }

    fn access(&mut self, access: &mut AccessExpr) {
        match access {
            AccessExpr::Dot(_) => {}
            AccessExpr::Subscript(Subscript::Index { index }) => self.expression(index, Wanted::Any),
            AccessExpr::Subscript(Subscript::Slice { lower_bound, upper_bound, stride }) => {
                for bound in [lower_bound, upper_bound, stride].into_iter().flatten() {
                    self.expression(bound, Wanted::Any);
                }
            }
        }
    }

    fn name(&mut self, name: String, start: Location, wanted: Wanted, expression: &mut Expr) {
        let found = self.uses.iter().position(|known| known.name == name);
        let index = found.unwrap_or_else(|| {
            let column = position(self.text, start).unwrap_or(1);
            self.uses.push(ColumnUse { name: name.clone(), numeric: false, boolean: false, column });
            self.uses.len() - 1
        });
        let known = &mut self.uses[index];
        known.numeric |= wanted == Wanted::Number;
        known.boolean |= wanted == Wanted::Boolean;
        *expression = Expr::Identifier(Ident::with_quote_and_span('"', Span::empty(), internal_name(&name)));
    }
}

/// Walks the children of a kind of expression that has no rule of its own: the visitor of the parser's library cannot
/// leave a child out, so the grandchildren come by once more; their names are then already rewritten.
trait VisitChildren {
    fn visit_children(&mut self, walk: &mut Walk<'_>);
}

impl VisitChildren for Expr {
    fn visit_children(&mut self, walk: &mut Walk<'_>) {
        let _ = VisitMut::visit(self, &mut Children { walk, depth: 0 });
    }
}

struct Children<'a, 'b> {
    walk: &'a mut Walk<'b>,
    depth: usize,
}

impl VisitorMut for Children<'_, '_> {
    type Break = ();

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.walk.refuse("a subquery", "an expression sees one row at a time");
        ControlFlow::Break(())
    }

    fn pre_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
        if self.depth == 1 {
            self.walk.expression(expression, Wanted::Any);
        }
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, _: &mut Expr) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }
}

fn number_if(is_number: bool) -> Wanted {
    if is_number { Wanted::Number } else { Wanted::Any }
}

fn operands(left: &Expr, op: &datafusion::sql::sqlparser::ast::BinaryOperator, right: &Expr) -> Wanted {
    if is_logical(op) {
        return Wanted::Boolean;
    }
    if is_arithmetic(op) {
        return number_if(!is_temporal(left) && !is_temporal(right));
    }
    number_if(is_comparison(op) && (is_number(left) || is_number(right)))
}

/// The dotted name that an expression is, and where it starts: `a`, `a.b`, `a['b']`, `a.b['c']`. Names that were
/// rewritten already are not taken again.
fn dotted_name(expression: &Expr) -> Option<(String, Location)> {
    match expression {
        Expr::Identifier(ident) if ident.span == Span::empty() => None,
        Expr::Identifier(ident) => Some((ident.value.clone(), ident.span.start)),
        Expr::CompoundIdentifier(parts) => {
            let names: Vec<&str> = parts.iter().map(|part| part.value.as_str()).collect();
            Some((names.join("."), parts.first()?.span.start))
        }
        Expr::CompoundFieldAccess { root, access_chain } => {
            let (mut name, start) = dotted_name(root)?;
            for access in access_chain {
                name.push('.');
                name.push_str(&child_name(access)?);
            }
            Some((name, start))
        }
        _ => None,
    }
}

fn child_name(access: &AccessExpr) -> Option<String> {
    match access {
        AccessExpr::Dot(Expr::Identifier(ident)) => Some(ident.value.clone()),
        AccessExpr::Subscript(Subscript::Index { index: Expr::Value(value) }) => match &value.value {
            Value::SingleQuotedString(name) => Some(name.clone()),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests;
