//! A kill at every system call by which anything reaches the disk, one life per call: strace ends the unmodified binary as
//! the call begins. In further lives the syncs fail, and there is no room for the writes. Which calls there are says a life in
//! which nothing happens. What comes after is left alone, and must end as if nothing had happened.

mod fault;
mod script;
mod trace;

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::{Options, Verdict};
use crate::shell::Outcome;
use fault::Fault;
use script::{End, Script};
use trace::Call;

/// So many lives are tried for one call: in some of them a thread does less than in the first, or an epoch more.
const TRIES: u32 = 3;
/// After so many findings there is enough to look at.
const FINDINGS_MAX: usize = 10;

/// What the kills of a script came to.
#[derive(Default)]
struct Tally {
    kills: u64,
    /// Syncs that failed.
    syncs: u64,
    /// Writes for which there was no room.
    writes: u64,
    /// Calls that no life came to: by another thread, or as another epoch's.
    not_reached: u64,
    verdict: Verdict,
    findings: Vec<String>,
}

impl Tally {
    /// Says it at once: what follows may take long.
    fn find(&mut self, finding: String) {
        println!("{finding}");
        self.findings.push(finding);
    }
}

pub(super) fn run(options: &Options, scratch: &Path) -> Outcome {
    let mut whole = Tally::default();
    for script in Script::all(&options.weir, scratch, options.only.as_deref())? {
        let began = Instant::now();
        let (calls, all) = script.calls()?;
        let every = options.every as usize;
        let faults = calls.iter().flat_map(|call| Fault::at(call).iter().map(move |fault| (call, *fault)));
        let chosen: Vec<(&Call, Fault)> = faults.skip(options.seed as usize % every).step_by(every).collect();
        let tally = disturb_each(&script, &chosen, options.jobs);
        println!(
            "{}: {all} calls, {} that can be told apart: {} kills, {} failed syncs, {} writes without room, {} not reached, {} s",
            script.name(),
            calls.len(),
            tally.kills,
            tally.syncs,
            tally.writes,
            tally.not_reached,
            began.elapsed().as_secs()
        );
        whole.kills += tally.kills;
        whole.syncs += tally.syncs;
        whole.writes += tally.writes;
        whole.not_reached += tally.not_reached;
        whole.verdict.add(&tally.verdict);
        whole.findings.extend(tally.findings);
    }
    let (every, Tally { kills, syncs, writes, .. }) = (options.every, &whole);
    whole.verdict.judge(&format!(
        "{kills} kills at calls that change what is on disk, {syncs} failed syncs, {writes} writes without room, one of every \
         {every} there are"
    ))?;
    if whole.findings.is_empty() { Ok(()) } else { Err(format!("{} findings", whole.findings.len())) }
}

/// A life for each of `faults`, `jobs` side by side, each in a folder of its own.
fn disturb_each(script: &Script, faults: &[(&Call, Fault)], jobs: usize) -> Tally {
    let (next, tally) = (AtomicUsize::new(0), Mutex::new(Tally::default()));
    let work = |job: usize| {
        while let Some((call, fault)) = faults.get(next.fetch_add(1, Ordering::Relaxed)) {
            let outcome = one(script, job, (call, *fault));
            let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
            match outcome {
                Ok(None) => tally.not_reached += 1,
                Ok(Some(found)) => {
                    *match fault {
                        Fault::Kill => &mut tally.kills,
                        Fault::SyncFails => &mut tally.syncs,
                        Fault::NoRoom => &mut tally.writes,
                    } += 1;
                    tally.verdict.add(&found);
                    if found != Verdict::default() {
                        let kept = script.keep(job, tally.findings.len());
                        tally.find(told(script, (call, *fault), &format!("{found:?}; {kept}")));
                    }
                }
                Err(error) => {
                    let kept = script.keep(job, tally.findings.len());
                    tally.find(told(script, (call, *fault), &format!("{error}; {kept}")));
                }
            }
            if tally.findings.len() >= FINDINGS_MAX {
                return;
            }
        }
    };
    std::thread::scope(|scope| {
        (0..jobs).for_each(|job| {
            let work = &work;
            scope.spawn(move || work(job));
        });
    });
    tally.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// A life with a fault, and what there is at the end of the next one; `None` when no life came to the call.
fn one(script: &Script, job: usize, (call, fault): (&Call, Fault)) -> Outcome<Option<Verdict>> {
    let place = script.place(job);
    for _ in 0..TRIES {
        script.prepare(&place)?;
        let life = script.live(&place, &fault.strace(&place, call))?;
        match (fault, fault.has_happened(&place, &life)) {
            (_, false) => continue,
            (Fault::SyncFails, true) if life.end == End::Done && !Fault::may_go_on(&place, call) => {
                return Err("it went on as if the sync had not failed".to_owned());
            }
            (Fault::Kill | Fault::SyncFails | Fault::NoRoom, true) => return script.finish(&place, &life).map(Some),
        }
    }
    Ok(None)
}

fn told(script: &Script, (call, fault): (&Call, Fault), found: &str) -> String {
    let (script, Call { name, path, nth }) = (script.name(), call);
    format!("{script}: {fault:?} at {name} number {nth} of a thread on {}: {found}", path.display())
}
