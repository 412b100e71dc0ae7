//! Whether the numbers of workers make sense. Refuses to know what can be shared: that is seen in the plan.

use super::Problem;
use crate::config::{KEY_GROUPS_MAX, PipelineConfig};

pub(super) fn check(config: &PipelineConfig, problems: &mut Vec<Problem>) {
    let Some(workers) = &config.workers else { return };
    let mut wrong = |key: &str, message: String| problems.push(Problem::new(format!("workers.{key}"), message));
    if !(1..=KEY_GROUPS_MAX).contains(&workers.key_groups) {
        wrong("key_groups", format!("{} key groups are not possible: 1 to {KEY_GROUPS_MAX}", workers.key_groups));
    }
    let names = [("group", workers.group.as_ref()), ("instance", workers.instance.as_ref())];
    for (key, name) in names.into_iter().filter_map(|(key, name)| Some((key, name?))) {
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if name.is_empty() || name.len() > 200 || !name.chars().all(is_name) {
            wrong(key, format!("`{name}` cannot be a name: letters, digits, `.`, `_` and `-`"));
        }
    }
    for (key, time) in [("session", workers.session), ("transaction", workers.transaction)] {
        if time.std() < std::time::Duration::from_secs(1) {
            wrong(key, format!("{time} is too short: at least 1s"));
        }
    }
}
