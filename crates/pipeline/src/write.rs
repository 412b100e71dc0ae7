//! A pipeline written as YAML that loads as the same pipeline. Refuses to keep comments and layout: they are not in
//! the types.

use crate::config::PipelineConfig;

impl PipelineConfig {
    /// The pipeline as YAML.
    pub fn to_yaml(&self) -> String {
        let yaml = serde_saphyr::to_string(self).expect("a pipeline is maps, lists and texts");
        // What looks like a reference to a secret is a text here: references were resolved when it was loaded.
        yaml.replace("${", "$${")
    }
}
