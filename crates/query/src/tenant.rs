//! Names of two parts, a tenant's and a table's (`acme.logs`), as plans want them: one name, in quotes. Knows no tenants but by
//! the tables that they have.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, Ident, ObjectName, ObjectNamePart, Statement, VisitMut, VisitorMut};

use crate::snapshot::Snapshot;

/// Writes the names of tenants' tables, and of columns behind them, as one name each.
pub(crate) fn join_names(statement: &mut Statement, snapshot: &Snapshot) {
    if snapshot.tables.keys().any(|name| name.contains('.')) {
        let _ = VisitMut::visit(statement, &mut Join { snapshot });
    }
}

struct Join<'a> {
    snapshot: &'a Snapshot,
}

impl Join<'_> {
    /// The table that two parts name.
    fn table(&self, tenant: &Ident, table: &Ident) -> Option<Ident> {
        let folded = |part: &Ident| match part.quote_style {
            Some(_) => part.value.clone(),
            None => part.value.to_lowercase(),
        };
        let name = format!("{}.{}", folded(tenant), folded(table));
        self.snapshot.tables.contains_key(&name).then(|| Ident::with_quote('"', name))
    }
}

impl VisitorMut for Join<'_> {
    type Break = ();

    fn pre_visit_relation(&mut self, relation: &mut ObjectName) -> ControlFlow<()> {
        if let [tenant, table] = relation.0.as_slice()
            && let (Some(tenant), Some(table)) = (tenant.as_ident(), table.as_ident())
            && let Some(name) = self.table(tenant, table)
        {
            relation.0 = vec![ObjectNamePart::Identifier(name)];
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
        if let Expr::CompoundIdentifier(parts) = expression
            && let [tenant, table, _, ..] = parts.as_slice()
            && let Some(name) = self.table(tenant, table)
        {
            drop(parts.splice(..2, [name]));
        }
        ControlFlow::Continue(())
    }
}
