//! A pipeline written as YAML and loaded again is the same pipeline.

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};
use weir_collect::{FileConfig, HttpConfig, Lost, SourceConfig};
use weir_decode::FormatConfig;
use weir_deliver::{FileFormat, FileMode, FileOutput, OutputConfig};
use weir_model::{ByteSize, DurationText, EventTime};

use super::examples::{example, names};
use super::tables::tables;
use crate::config::{
    BoundedConfig, CalendarConfig, CalendarUnit, EmitConfig, FieldType, GlobalConfig, LateConfig, ModeConfig, Named,
    OutputEntry, PeriodicConfig, PipelineConfig, PunctuatedConfig, SlidingConfig, SourceEntry, Step, StepKind,
    TimeConfig, TimeText, WatermarkConfig, Weekday, WindowConfig, WindowKind,
};
use crate::de::from_tree;
use crate::secret::resolve;
use crate::tree::parse;

/// Without validation: most made-up pipelines make no sense.
fn reload(text: &str) -> PipelineConfig {
    let (root, errors) = parse(text, 0);
    assert!(errors.is_empty(), "{errors:?}\n{text}");
    let mut root = root.unwrap();
    let (_, errors) = resolve(&mut root, &Default::default());
    assert!(errors.is_empty(), "{errors:?}\n{text}");
    from_tree(&root).unwrap_or_else(|fault| panic!("{fault} at {:?}\n{text}", fault.path))
}

#[test]
fn examples_survive_being_written_and_read() {
    for name in names() {
        let config = example(&name);
        assert_eq!(reload(&config.to_yaml()), config, "{name}");
    }
}

#[test]
fn texts_that_look_like_something_else_stay_texts() {
    let texts = [
        "true",
        "5",
        "1.5",
        "null",
        "~",
        "",
        " x ",
        "a: b",
        "# c",
        "'",
        "\"",
        "*x",
        "&x",
        "- x",
        "a\nb\n",
        "${env:X}",
        "$${env:X}",
        "$",
        "\u{7f}\u{1}",
        "é\u{2028}",
        "{a}",
        "[",
        "yes",
        "2026-01-01",
        "|",
        ">",
        "%",
        "@",
        "`",
        "0x10",
        "1_0",
        "\t",
    ];
    let mut config = example("bench-store.yaml");
    config.steps.extend(texts.iter().map(|text| Step::from(StepKind::Where((*text).to_owned()))));
    config.steps.push(Step::from(StepKind::Select(texts.iter().map(|text| (*text, *text)).collect())));
    assert_eq!(reload(&config.to_yaml()), config);
}

proptest! {
    #[test]
    fn any_pipeline_survives_being_written_and_read(config in pipelines()) {
        let text = config.to_yaml();
        assert_eq!(reload(&text), config, "{text}");
    }
}

pub(super) fn texts() -> impl Strategy<Value = String> {
    prop_oneof!["[ -~]{0,20}", "[a-z_]{1,8}", "\\PC{0,10}", "[a-z \n'\":#-]{0,30}"]
}

pub(super) fn durations() -> impl Strategy<Value = DurationText> {
    (0i64..1 << 50).prop_map(|micros| format!("{micros}us").parse().unwrap())
}

pub(super) fn named() -> impl Strategy<Value = Named> {
    btree_map(texts(), texts(), 0..4).prop_shuffle_entries()
}

/// Columns keep the order in which they are written, so any order is made.
trait ShuffleEntries {
    fn prop_shuffle_entries(self) -> impl Strategy<Value = Named>;
}

impl<S: Strategy<Value = std::collections::BTreeMap<String, String>>> ShuffleEntries for S {
    fn prop_shuffle_entries(self) -> impl Strategy<Value = Named> {
        self.prop_map(|map| map.into_iter().collect::<Vec<_>>()).prop_shuffle().prop_map(Named::from_iter)
    }
}

fn sources() -> impl Strategy<Value = SourceEntry> {
    let file = (vec(texts(), 0..3), any::<bool>(), 0u64..1 << 40).prop_map(|(paths, follow, bytes)| {
        SourceConfig::File(FileConfig { paths, follow, max_record_bytes: ByteSize(bytes), ..FileConfig::default() })
    });
    let http = (texts(), 1u32..64, any::<bool>()).prop_map(|(stream, partitions, skip)| {
        let lost = if skip { Lost::Skip } else { Lost::Stop };
        SourceConfig::Http(HttpConfig { partitions, lost, ..HttpConfig::new(stream) })
    });
    let stdin = Just(SourceConfig::Stdin(Default::default()));
    let format = prop_oneof![
        Just(FormatConfig::Json(Default::default())),
        Just(FormatConfig::Text(Default::default())),
        Just(FormatConfig::SparkLog(Default::default())),
    ];
    let types = prop_oneof![Just(FieldType::String), Just(FieldType::Float64), Just(FieldType::Timestamp)];
    let schema = btree_map(texts(), types, 0..3);
    (prop_oneof![file, http, stdin], format, schema).prop_map(|(source, format, schema)| SourceEntry {
        source,
        format,
        schema,
    })
}

fn times() -> impl Strategy<Value = TimeConfig> {
    let watermark = prop_oneof![
        durations().prop_map(|delay| WatermarkConfig::Bounded(BoundedConfig { delay })),
        (durations(), durations())
            .prop_map(|(delay, every)| WatermarkConfig::Periodic(PeriodicConfig { delay, every })),
        (texts(), durations())
            .prop_map(|(r#where, delay)| WatermarkConfig::Punctuated(PunctuatedConfig { r#where, delay })),
    ];
    (texts(), watermark, durations(), 0i64..1 << 55, option::of(durations())).prop_map(
        |(field, watermark, idle_after, not_before, max_drift)| TimeConfig {
            watermark,
            idle_after,
            not_before: TimeText(EventTime::from_micros(not_before)),
            max_drift,
            ..TimeConfig::field(field)
        },
    )
}

fn steps() -> impl Strategy<Value = Step> {
    let kind = prop_oneof![
        durations().prop_map(WindowKind::Tumbling),
        (durations(), durations()).prop_map(|(size, slide)| WindowKind::Sliding(SlidingConfig { size, slide })),
        option::of(durations()).prop_map(|forget_after| WindowKind::Global(GlobalConfig { forget_after })),
        (texts(), proptest::bool::ANY).prop_map(|(zone, week)| WindowKind::Calendar(CalendarConfig {
            unit: if week { CalendarUnit::Week } else { CalendarUnit::Quarter },
            zone,
            week_starts: if week { Weekday::Sunday } else { Weekday::Monday },
        })),
    ];
    let late = prop_oneof![Just(LateConfig::Immediately), durations().prop_map(LateConfig::Every)];
    let mode = prop_oneof![Just(ModeConfig::Accumulating), Just(ModeConfig::Discarding)];
    let emit = (option::of(durations()), option::of(0u64..1 << 40), option::of(late), mode).prop_map(
        |(early, early_rows, late, mode)| EmitConfig { early, early_rows, every_rows: early_rows, late, mode },
    );
    let window = (kind, durations(), vec(texts(), 0..3), named(), durations(), emit).prop_map(
        |(kind, offset, by, compute, lateness, emit)| {
            StepKind::Window(WindowConfig { kind, offset, by, compute, lateness, emit })
        },
    );
    let kind = prop_oneof![
        texts().prop_map(StepKind::Where),
        named().prop_map(StepKind::Select),
        window,
        super::memory::kinds()
    ];
    (option::of(texts()), option::of(texts()), kind).prop_map(|(name, from, kind)| Step { name, from, kind })
}

fn outputs() -> impl Strategy<Value = OutputConfig> {
    let file = (texts(), prop_oneof![Just(FileFormat::Ndjson), Just(FileFormat::Csv)])
        .prop_map(|(path, format)| OutputConfig::File(FileOutput { path, format, mode: FileMode::Append }));
    prop_oneof![tables(), file, Just(OutputConfig::Stdout(Default::default()))]
}

fn pipelines() -> impl Strategy<Value = PipelineConfig> {
    let entry = (outputs(), option::of(texts()), option::of(texts())).prop_map(|(output, from, name)| OutputEntry {
        output,
        from,
        name,
        retry: None,
    });
    let parts =
        (texts(), btree_map(texts(), sources(), 0..3), option::of(times()), vec(steps(), 0..4), vec(entry, 0..3));
    let ends = (outputs(), durations(), option::of(1..=64_u32));
    (parts, ends).prop_map(|((name, sources, time, steps, outputs), (late, epoch, tasks))| PipelineConfig {
        sources,
        time,
        steps,
        outputs,
        late,
        epoch,
        tasks,
        ..PipelineConfig::named(name)
    })
}
