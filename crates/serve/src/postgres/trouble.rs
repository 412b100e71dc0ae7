//! What goes wrong, in the words of the protocol: errors of questions with their SQLSTATE and the character at which they are.

use weir_query::{Place, QueryError, QueryErrorCode};

use super::message::{Severity, Trouble};

pub(super) fn trouble(severity: Severity, code: &'static str, message: impl Into<String>) -> Trouble {
    Trouble { severity, code, message: message.into(), hint: None, position: None }
}

/// An error of a question, in the protocol's words.
pub(super) fn told(error: &QueryError, sql: &str) -> Trouble {
    let code = match error.code {
        QueryErrorCode::SqlSyntax | QueryErrorCode::SearchSyntax => "42601",
        QueryErrorCode::UnknownTable => "42P01",
        QueryErrorCode::UnknownColumn => "42703",
        QueryErrorCode::UnknownFunction => "42883",
        QueryErrorCode::InvalidQuery | QueryErrorCode::NoTime => "42000",
        QueryErrorCode::TooLong | QueryErrorCode::TooComplex | QueryErrorCode::TooManyRows => "54000",
        QueryErrorCode::ReadOnly => "25006",
        QueryErrorCode::Timeout => "57014",
        QueryErrorCode::Memory => "53200",
        QueryErrorCode::Busy => "53300",
        QueryErrorCode::CorruptSegment => "58030",
        QueryErrorCode::Failed => "22000",
        QueryErrorCode::InvalidRequest => "22023",
        QueryErrorCode::Internal => "XX000",
    };
    let position = error.place.map(|place| character(sql, place));
    let hint = error.hint.clone().or_else(|| {
        sql.contains("pg_catalog").then(|| {
            "of PostgreSQL's catalog only what tools browse by is here; information_schema.columns says what there is".to_owned()
        })
    });
    Trouble { severity: Severity::Error, code, message: error.message.clone(), hint, position }
}

/// The character of a place, from 1.
fn character(sql: &str, place: Place) -> usize {
    let before: usize = sql.split_inclusive('\n').take(place.line - 1).map(|line| line.chars().count()).sum();
    before + place.column
}
