//! Ids of applications and executors, in text and in paths.

/// Whose log a file is, as its path says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) app: Option<String>,
    pub(crate) executor: Option<String>,
}

/// The first application id in `text`: `app-yyyyMMddHHmmss-NNNN` (standalone), `application_N_N` (YARN), `spark-` and
/// 32 hexadecimal digits (Kubernetes), `local-` and 13 digits.
pub(crate) fn app_id(text: &[u8]) -> Option<&[u8]> {
    let ids = memchr::memchr2_iter(b'-', b'_', text).filter_map(|at| {
        let (start, bytes) = if text[at] == b'-' { dashed(text, at)? } else { yarn(text, at)? };
        is_apart(text, start, start + bytes).then(|| &text[start..start + bytes])
    });
    { ids }.next()
}

/// The id around the first `-` of which is at `dash`: where it begins and its length.
fn dashed(text: &[u8], dash: usize) -> Option<(usize, usize)> {
    let (before, after) = (&text[..dash], &text[dash + 1..]);
    let digits = |text: &[u8]| text.iter().take_while(|b| b.is_ascii_digit()).count();
    if before.ends_with(b"app") && digits(after) == 14 && after.get(14) == Some(&b'-') && digits(&after[15..]) >= 4 {
        return Some((dash - 3, 4 + 15 + digits(&after[15..])));
    }
    if before.ends_with(b"local") && digits(after) == 13 {
        return Some((dash - 5, 6 + 13));
    }
    let hex = after.iter().take_while(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')).count();
    (before.ends_with(b"spark") && hex == 32).then_some((dash.checked_sub(5)?, 6 + 32))
}

/// The same for the `_` after `application`.
fn yarn(text: &[u8], underscore: usize) -> Option<(usize, usize)> {
    let (before, rest) = (&text[..underscore], &text[underscore + 1..]);
    let first = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    let second = rest.get(first + 1..)?.iter().take_while(|b| b.is_ascii_digit()).count();
    let is_id = before.ends_with(b"application") && first >= 10 && rest[first] == b'_' && second >= 4;
    is_id.then_some((underscore.checked_sub(11)?, 12 + first + 1 + second))
}

/// Whether `start..end` is a word of its own in `text`.
fn is_apart(text: &[u8], start: usize, end: usize) -> bool {
    let is_inside = |b: &u8| b.is_ascii_alphanumeric() || *b == b'-';
    !text[..start].last().is_some_and(is_inside) && !text.get(end).is_some_and(is_inside)
}

/// Whose log the file at `path` is: `work/APP/EXECUTOR/stderr` (standalone), an application id anywhere in it,
/// `container_N_N_N_N` (YARN), `...-exec-N` and `spark-kubernetes-driver` (Kubernetes).
pub(crate) fn owner_of(path: &str) -> Owner {
    let bytes = path.as_bytes();
    let app = app_id(bytes).map(|id| String::from_utf8_lossy(id).into_owned());
    let below = app.as_deref().and_then(|app| path.split(&format!("/{app}/")).nth(1));
    let worked = below.and_then(|below| below.split_once('/')).map(|(folder, _)| folder);
    let worked = worked.filter(|folder| !folder.is_empty() && folder.bytes().all(|b| b.is_ascii_digit()));
    let executor = worked.map(str::to_owned).or_else(|| pod_executor(path));
    Owner { app: app.or_else(|| container_app(path)), executor }
}

fn pod_executor(path: &str) -> Option<String> {
    let after = path.rsplit_once("-exec-").map(|(_, after)| after);
    let number = after.map(|after| &after[..after.bytes().take_while(u8::is_ascii_digit).count()]);
    match number {
        Some(number) if !number.is_empty() => Some(number.to_owned()),
        Some(_) | None => path.contains("spark-kubernetes-driver").then(|| "driver".to_owned()),
    }
}

/// The application of a YARN container: `container_e17_1410901177871_0001_01_000005`.
fn container_app(path: &str) -> Option<String> {
    let (_, after) = path.split_once("container_")?;
    let parts: Vec<&str> = after.split(['_', '/', '.']).collect();
    let parts = if parts.first().is_some_and(|part| part.starts_with('e')) { &parts[1..] } else { &parts[..] };
    let is_number = |part: &str, digits: usize| part.len() >= digits && part.bytes().all(|b| b.is_ascii_digit());
    match parts {
        [cluster, app, attempt, container, ..]
            if is_number(cluster, 10) && is_number(app, 4) && is_number(attempt, 1) && is_number(container, 1) =>
        {
            Some(format!("application_{cluster}_{app}"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn application_ids_are_found_in_text() {
        for (text, id) in [
            ("Connected to Spark cluster with app ID app-20261121011825-0000", Some("app-20261121011825-0000")),
            ("Executor app-20261121011825-0000/1 finished", Some("app-20261121011825-0000")),
            ("Submitted application application_1795225394246_0001 to", Some("application_1795225394246_0001")),
            ("selector spark-0123456789abcdef0123456789abcdef,", Some("spark-0123456789abcdef0123456789abcdef")),
            ("local-1795225394246", Some("local-1795225394246")),
            ("local-1795225394246 and app-20261121011825-0000", Some("local-1795225394246")),
            ("/tmp/spark-0123456789abcdef0123456789abcdef0", None),
            ("/tmp/spark-01234567-89ab-cdef-0123-456789abcdef", None),
            ("my-app-20261121011825-0000", None),
            ("app-2026-0000", None),
            ("application_1_1", None),
            ("-", None),
            ("spark-", None),
            ("app-20261121011825-", None),
        ] {
            assert_eq!(
                app_id(text.as_bytes()).map(|id| String::from_utf8_lossy(id).into_owned()).as_deref(),
                id,
                "{text}"
            );
        }
    }

    #[test]
    fn paths_say_whose_log_it_is() {
        let owner = |path: &str| {
            let owner = owner_of(path);
            (owner.app.unwrap_or_default(), owner.executor.unwrap_or_default())
        };
        let both = |app: &str, executor: &str| (app.to_owned(), executor.to_owned());
        assert_eq!(owner("/opt/work/app-20261121011825-0000/1/stderr"), both("app-20261121011825-0000", "1"));
        assert_eq!(owner("/var/log/pods/ns_etl-exec-12_uid/spark-kubernetes-executor/0.log"), both("", "12"));
        assert_eq!(owner("ns_etl-driver_spark-kubernetes-driver-0.log"), both("", "driver"));
        assert_eq!(
            owner("/logs/application_1795225394246_0001/container_1795225394246_0001_01_000002/stderr"),
            both("application_1795225394246_0001", "")
        );
        assert_eq!(
            owner("/logs/container_e17_1795225394246_0001_01_000002/stderr"),
            both("application_1795225394246_0001", "")
        );
        assert_eq!(
            owner("/logs/container_1795225394246_0001_01_000002/stderr"),
            both("application_1795225394246_0001", "")
        );
        assert_eq!(owner("classic/executor-etl-0.stderr"), both("", ""));
    }
}
