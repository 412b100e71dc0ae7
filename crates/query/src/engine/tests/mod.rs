//! Queries over real files and fresh rows.
#![allow(clippy::unwrap_used)]

mod answers;
mod attacks;
mod conditions;
mod damage;
mod indexed;
mod picked;
mod scarce;
mod tenants;
