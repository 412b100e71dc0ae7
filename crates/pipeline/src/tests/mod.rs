//! What loading a pipeline promises, as stories: text in, a pipeline or exact errors out.
#![allow(clippy::unwrap_used)]

mod builder;
mod chains;
mod connections;
mod errors;
mod examples;
mod limits;
mod memory;
mod overrides;
mod reference;
mod round_trip;
mod rows;
mod secrets;
mod tables;
mod validation;
mod windows;

use crate::{Diagnostic, Document, Input, PipelineConfig, load};

/// The smallest pipeline.
pub(crate) const SMALL: &str = "\
name: small
sources:
  logs:
    file: { paths: [\"/x/*.log\"], follow: false }
    format: json
outputs:
  - table: logs
";

pub(crate) fn load_text(text: &str) -> Result<(PipelineConfig, Document), Vec<Diagnostic>> {
    load(Input::Text { name: "p.yaml", text }, &[], [])
}

pub(crate) fn load_with(
    text: &str,
    overrides: &[&str],
    env: &[(&str, &str)],
) -> Result<(PipelineConfig, Document), Vec<Diagnostic>> {
    let overrides: Vec<String> = overrides.iter().map(|text| (*text).to_owned()).collect();
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    load(Input::Text { name: "p.yaml", text }, &overrides, env)
}

/// Every error as people see it.
pub(crate) fn rendered(result: Result<(PipelineConfig, Document), Vec<Diagnostic>>) -> String {
    match result {
        Ok(_) => "no error\n".to_owned(),
        Err(diagnostics) => {
            assert!(!diagnostics.is_empty(), "an error says why");
            diagnostics.iter().map(Diagnostic::render).collect::<Vec<_>>().join("\n")
        }
    }
}
