//! The windows of a pipeline as the engine takes them. Validates nothing: `weir-pipeline` has.

use weir_engine::{CalendarUnit as EngineUnit, EmitMode, EmitPlan, GlobalPlan, LateEmit, WindowKind as EngineKind};
use weir_pipeline::{
    CalendarConfig, CalendarUnit, EmitConfig, LateConfig, ModeConfig, SlidingConfig, Weekday, WindowConfig, WindowKind,
};

/// Which spans of time a window covers, as the engine has it.
pub(super) fn kind(window: &WindowConfig) -> EngineKind {
    let offset = window.offset.delta();
    match &window.kind {
        WindowKind::Global(global) => EngineKind::Global(GlobalPlan {
            every_rows: window.emit.every_rows,
            forget_after: global.forget_after.map(|after| after.delta()),
        }),
        WindowKind::Session(gap) => EngineKind::Session { gap: gap.delta() },
        WindowKind::Tumbling(size) => EngineKind::Tumbling { size: size.delta(), offset },
        WindowKind::Sliding(SlidingConfig { size, slide }) => {
            EngineKind::Sliding { size: size.delta(), slide: slide.delta(), offset }
        }
        WindowKind::Calendar(calendar) => EngineKind::Calendar {
            unit: calendar_unit(calendar),
            zone: calendar.zone.parse().expect("the pipeline was validated"),
            offset,
        },
    }
}

fn calendar_unit(calendar: &CalendarConfig) -> EngineUnit {
    let starts = match calendar.week_starts {
        Weekday::Monday => weir_engine::Weekday::Mon,
        Weekday::Tuesday => weir_engine::Weekday::Tue,
        Weekday::Wednesday => weir_engine::Weekday::Wed,
        Weekday::Thursday => weir_engine::Weekday::Thu,
        Weekday::Friday => weir_engine::Weekday::Fri,
        Weekday::Saturday => weir_engine::Weekday::Sat,
        Weekday::Sunday => weir_engine::Weekday::Sun,
    };
    match calendar.unit {
        CalendarUnit::Hour => EngineUnit::Hour,
        CalendarUnit::Day => EngineUnit::Day,
        CalendarUnit::Week => EngineUnit::Week { starts },
        CalendarUnit::Month => EngineUnit::Month,
        CalendarUnit::Quarter => EngineUnit::Quarter,
        CalendarUnit::Year => EngineUnit::Year,
    }
}

/// When a window emits, as the engine has it.
pub(super) fn emit(emit: &EmitConfig) -> EmitPlan {
    EmitPlan {
        mode: match emit.mode {
            ModeConfig::Accumulating => EmitMode::Accumulating,
            ModeConfig::Discarding => EmitMode::Discarding,
        },
        late: match emit.late {
            None => EmitPlan::default().late,
            Some(LateConfig::Immediately) => LateEmit::Immediately,
            Some(LateConfig::Every(every)) => LateEmit::Every(every.delta()),
        },
        early_every: emit.early.map(|every| every.delta()),
        early_rows: emit.early_rows,
    }
}
