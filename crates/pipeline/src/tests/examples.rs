//! Every example of the repository loads, makes sense, and means what its comments say.

use std::path::{Path, PathBuf};

use crate::{Input, PipelineConfig, load};

pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples")
}

pub(crate) fn example(name: &str) -> PipelineConfig {
    match load(Input::File(&folder().join(name)), &[], []) {
        Ok((config, _)) => config,
        Err(errors) => panic!("{}", super::rendered(Err(errors))),
    }
}

pub(crate) fn names() -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".yaml"))
        .collect();
    names.sort();
    names
}

#[test]
fn every_example_loads_and_is_called_like_its_file() {
    let names = names();
    assert!(names.len() >= 5, "{names:?}");
    for name in names {
        assert_eq!(format!("{}.yaml", example(&name).name), name);
    }
}

#[test]
fn the_benchmark_can_set_its_files() {
    let overrides = ["sources.logs.file.paths=[\"/in\"]".to_owned(), "outputs.0.file.path=\"/out\"".to_owned()];
    let (config, _) = load(Input::File(&folder().join("bench-a.yaml")), &overrides, []).unwrap();
    assert_eq!(config.outputs[0].output.default_name(), "out");
}
