//! Rounds put together: medians of what was measured, and of the ratios within each round, in which the
//! machine's moods cancel out.

use super::super::peers::{FLOOR, NGINX};
use super::super::record::{Beside, Coded, Run, Sample};

/// One server at one workload in one network.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    pub network: String,
    pub workload: String,
    pub peer: String,
    pub rounds: usize,
    pub requests_per_second: f64,
    pub bytes_per_second: f64,
    pub cpu_us: Option<f64>,
    pub cpu_us_per_megabyte: Option<f64>,
    pub p50_us: Option<f64>,
    pub p99_us: Option<f64>,
    pub p999_us: Option<f64>,
    pub memory_bytes: f64,
    /// Sums, and not medians: one is too many.
    pub failed: u64,
    pub non_2xx: u64,
    /// Processor time a request as a multiple of the floor's.
    pub over_floor: Option<f64>,
    /// The same of nginx's.
    pub over_nginx: Option<f64>,
    /// The distance of the extremes of processor time a request, as a share of its median.
    pub spread: Option<f64>,
    /// Bytes an idle connection, early and late, in the first round; and how many were lost in all.
    pub idle: Option<(f64, f64, u64)>,
    /// One client beside the others: medians.
    pub beside: Option<Beside>,
    /// The coding of the answers in the first round.
    pub coded: Option<Coded>,
}

/// All summaries, in the order in which they were measured first.
pub fn of(run: &Run) -> Vec<Summary> {
    let mut all: Vec<Summary> = Vec::new();
    for sample in &run.samples {
        let known = |it: &Summary| {
            it.network == sample.network && it.workload == sample.workload && it.peer == sample.peer
        };
        if !all.iter().any(known) {
            all.push(one(run, sample));
        }
    }
    all
}

/// The summary that `like` belongs to.
fn one(run: &Run, like: &Sample) -> Summary {
    let together = |it: &&Sample, peer: &str| {
        it.network == like.network && it.workload == like.workload && it.peer == peer
    };
    let samples: Vec<&Sample> = run.samples.iter().filter(|it| together(it, &like.peer)).collect();
    let over = |peer: &str| {
        median(samples.iter().filter_map(|sample| {
            let beside = run.samples.iter().find(|it| together(it, peer) && it.round == sample.round)?;
            Some(sample.cpu_us_per_request? / beside.cpu_us_per_request?)
        }))
    };
    let all = |read: fn(&Sample) -> Option<f64>| median(samples.iter().filter_map(|it| read(it)));
    let cpu: Vec<f64> = samples.iter().filter_map(|it| it.cpu_us_per_request).collect();
    let extremes = cpu.iter().copied().reduce(f64::max).zip(cpu.iter().copied().reduce(f64::min));
    let cpu_us = median(cpu.iter().copied());
    Summary {
        network: like.network.clone(),
        workload: like.workload.clone(),
        peer: like.peer.clone(),
        rounds: samples.len(),
        requests_per_second: all(|it| Some(it.requests_per_second)).unwrap_or_default(),
        bytes_per_second: all(|it| Some(it.bytes_per_second)).unwrap_or_default(),
        cpu_us,
        cpu_us_per_megabyte: all(|it| it.cpu_us_per_megabyte),
        p50_us: all(|it| it.p50_us),
        p99_us: all(|it| it.p99_us),
        p999_us: all(|it| it.p999_us),
        memory_bytes: all(|it| Some(it.memory_bytes as f64)).unwrap_or_default(),
        failed: samples.iter().map(|it| it.failed).sum(),
        non_2xx: samples.iter().map(|it| it.non_2xx).sum(),
        over_floor: over(FLOOR),
        over_nginx: over(NGINX),
        spread: extremes.zip(cpu_us).map(|((most, least), middle)| (most - least) / middle),
        idle: idle(&samples),
        beside: beside(&samples),
        coded: like.coded.clone(),
    }
}

/// What idle connections cost in the first round: in later ones they get memory that the server has kept from
/// it.
fn idle(samples: &[&Sample]) -> Option<(f64, f64, u64)> {
    let first = samples.iter().min_by_key(|it| it.round)?.idle.as_ref()?;
    let lost = samples.iter().filter_map(|it| Some(it.idle.as_ref()?.lost)).sum();
    Some((first.early_bytes, first.late_bytes, lost))
}

fn beside(samples: &[&Sample]) -> Option<Beside> {
    let all = |read: fn(&Beside) -> f64| median(samples.iter().filter_map(|it| it.beside.as_ref().map(read)));
    Some(Beside {
        answers_per_second: all(|it| it.answers_per_second)?,
        max_us: all(|it| it.max_us)?,
        alone_p99_us: all(|it| it.alone_p99_us)?,
    })
}

/// The middle one, or the mean of the two in the middle; of nothing there is none.
pub fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(values[middle]),
        _ => Some((values[middle - 1] + values[middle]) / 2.0),
    }
}
