//! The report as one HTML page that needs no other file, and its overview plots as files of their own.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::time::Duration;

use plotters::style::RGBColor;

use super::super::machine;
use super::super::record::{Run, Sample, Workload};
use super::plot::{self, Bar, Row, Scale, Series};
use super::summary::{self, Summary};
use super::table::{self, COLUMNS};
use super::unit;

/// The servers of the overview; all are in the sections.
const SHOWN: [&str; 7] = ["floor", "mayhttpd", "nginx", "lighttpd", "h2o", "go", "py-coroutines"];

/// A plot that stands at the top, and is a file too.
pub struct Plot {
    pub file: &'static str,
    pub svg: String,
}

/// Writes `index.html` and the overview's plots into `out`.
///
/// # Errors
/// Where a file can't be written.
pub fn write(run: &Run, out: &Path) -> Result<(), String> {
    let save = |name: &str, text: &str| {
        let file = out.join(name);
        fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()))
    };
    for plot in overview(run) {
        save(plot.file, &plot.svg)?;
    }
    save("index.html", &page(run))
}

/// The plots of the overview; those without anything to show are left out.
pub fn overview(run: &Run) -> Vec<Plot> {
    let all = summary::of(run);
    let main = run.networks.first().map_or("", |network| network.name.as_str());
    let present = |peer: &&str| all.iter().any(|it| it.peer == **peer);
    let peers: Vec<&str> = SHOWN.into_iter().filter(present).collect();
    let find = |network: &str, workload: &str, peer: &str| {
        all.iter().find(|it| it.network == network && it.workload == workload && it.peer == peer)
    };
    let series = |skip: usize| -> Vec<Series> {
        let series = |peer: &&str| Series { name: (*peer).to_owned(), colour: plot::colour(peer) };
        peers.iter().skip(skip).map(series).collect()
    };
    // A row for each workload, a dot for each server.
    let by_workload = |skip: usize, read: &dyn Fn(&Summary) -> Option<f64>| -> Vec<Row> {
        let row = |workload: &Workload| {
            let value = |peer: &&str| find(main, &workload.name, peer).and_then(read);
            Row { name: workload.name.clone(), values: peers.iter().skip(skip).map(value).collect() }
        };
        run.workloads.iter().map(row).filter(|row| row.values.iter().flatten().count() > 0).collect()
    };
    let floor = usize::from(peers.first() == Some(&"floor"));
    let requests = by_workload(0, &|it| Some(it.requests_per_second));
    let processor = by_workload(0, &|it| it.cpu_us);
    let latency = by_workload(0, &|it| it.p99_us);
    let ratio = by_workload(floor, &|it| it.over_floor);
    let tuned = tuned(run, &all);
    let log = Scale::Logarithmic;
    let plots = [
        ("requests.svg", plot::dots("Requests a second", &series(0), &requests, log, unit::count)),
        (
            "processor.svg",
            plot::dots("CPU time a request", &series(0), &processor, log, |us| unit::time(Some(us))),
        ),
        ("latency.svg", plot::dots("Latency, p99", &series(0), &latency, log, |us| unit::time(Some(us)))),
        (
            "floor.svg",
            plot::dots(
                "CPU time a request, as a multiple of the floor's",
                &series(floor),
                &ratio,
                log,
                multiple,
            ),
        ),
        ("tuned.svg", tuned),
    ];
    plots.into_iter().filter(|(_, svg)| !svg.is_empty()).map(|(file, svg)| Plot { file, svg }).collect()
}

fn multiple(value: f64) -> String {
    format!("{value:.1}")
}

/// Throughput in each namespace as a multiple of that with the kernel's defaults at the same MTU: the median
/// of the ratios within each round.
fn tuned(run: &Run, all: &[Summary]) -> String {
    let pairs =
        [("untuned", "tuned", RGBColor(200, 60, 20)), ("untuned-1500", "tuned-1500", RGBColor(40, 90, 190))];
    let series = pairs.map(|(before, _, colour)| {
        let mtu = if before.ends_with("1500") { "MTU 1500" } else { "MTU 65536" };
        Series { name: format!("sysctl.conf against defaults, {mtu}"), colour }
    });
    let rate = |network: &str, like: &Summary, round: u32| {
        let same = |it: &&Sample| {
            it.network == network && it.workload == like.workload && it.peer == like.peer && it.round == round
        };
        let found = run.samples.iter().find(same)?;
        let by_bytes =
            run.workloads.iter().any(|workload| workload.name == like.workload && workload.by_bytes);
        Some(if by_bytes { found.bytes_per_second } else { found.requests_per_second })
    };
    let rows: Vec<Row> = all
        .iter()
        .filter(|it| it.network == pairs[0].0)
        .map(|it| {
            let ratio = |(before, after, _): &(&str, &str, RGBColor)| {
                let ratios = (1..=run.rounds)
                    .filter_map(|round| Some(rate(after, it, round)? / rate(before, it, round)?));
                summary::median(ratios)
            };
            Row { name: format!("{} {}", it.workload, it.peer), values: pairs.iter().map(ratio).collect() }
        })
        .collect();
    plot::dots(
        "Throughput with sysctl.conf, as a multiple of that without",
        &series,
        &rows,
        Scale::Linear,
        multiple,
    )
}

/// The page, whole.
pub fn page(run: &Run) -> String {
    let mut html = String::new();
    let _ = write!(html, "{}", include_str!("head.html"));
    let all = summary::of(run);
    let took = machine::words(Duration::from_secs_f64(run.duration));
    let _ = write!(
        html,
        "<h1>mayhttpd under load</h1>\n<p>{}, {} rounds of {} s, {took} in all{}. Figures are medians of the rounds; \
         × floor and × nginx are medians of the ratios within each round. Latencies are as \
         the generators tell them; each connection asks again when its answer has come.</p>\n",
        escape(&run.started),
        run.rounds,
        run.seconds,
        if run.quick { ", a quick run" } else { "" },
    );
    for fault in table::faults(run) {
        let _ = writeln!(html, "<p class=\"fault\">mayhttpd failed: {}</p>", escape(&fault));
    }
    for plot in overview(run) {
        let _ = writeln!(html, "<figure>{}</figure>", plot.svg);
    }
    for network in &run.networks {
        for workload in &run.workloads {
            let here = |it: &&Summary| it.network == network.name && it.workload == workload.name;
            let here: Vec<&Summary> = all.iter().filter(here).collect();
            if !here.is_empty() {
                section(&mut html, &network.name, workload, &here);
            }
        }
    }
    facts(&mut html, run);
    html + "</body></html>\n"
}

/// A workload in a network: what it is, the table, and plots of throughput, CPU time and latency.
fn section(html: &mut String, network: &str, workload: &Workload, all: &[&Summary]) {
    let _ = write!(
        html,
        "<h2>{}: {} <small>({network})</small></h2>\n<p><code>{}</code><br>workers: {}, on CPU {:?}; clients on CPU {:?}</p>\n",
        workload.name,
        escape(&workload.what),
        escape(&workload.command),
        workload.workers,
        workload.server_cpus,
        workload.client_cpus,
    );
    rows(html, &COLUMNS, all.iter().map(|it| table::row(it).to_vec()));
    let bars = |read: &dyn Fn(&Summary) -> Option<(f64, String)>| -> Vec<Bar> {
        let bar = |it: &&Summary| read(it).map(|(value, words)| Bar { name: it.peer.clone(), value, words });
        all.iter().filter_map(bar).collect()
    };
    let throughput = if workload.by_bytes {
        let bars = bars(&|it| Some((it.bytes_per_second, unit::bytes(it.bytes_per_second))));
        plot::bars("Bytes a second", &bars, unit::bytes)
    } else {
        let bars = bars(&|it| Some((it.requests_per_second, unit::count(it.requests_per_second))));
        plot::bars("Requests a second", &bars, unit::count)
    };
    let processor = if workload.by_bytes {
        let bars = bars(&|it| Some((it.cpu_us_per_megabyte?, unit::time(it.cpu_us_per_megabyte))));
        plot::bars("CPU time a megabyte", &bars, |us| unit::time(Some(us)))
    } else {
        plot::bars("CPU time a request", &bars(&|it| Some((it.cpu_us?, unit::time(it.cpu_us)))), |us| {
            unit::time(Some(us))
        })
    };
    let percentiles = [("p50", (20, 130, 60)), ("p99", (215, 165, 0)), ("p99.9", (200, 60, 20))];
    let series = percentiles.map(|(name, (r, g, b))| Series { name: name.into(), colour: RGBColor(r, g, b) });
    let latency: Vec<Row> = all
        .iter()
        .filter(|it| it.p50_us.is_some())
        .map(|it| Row { name: it.peer.clone(), values: vec![it.p50_us, it.p99_us, it.p999_us] })
        .collect();
    let latency = plot::dots("Latency", &series, &latency, Scale::Logarithmic, |us| unit::time(Some(us)));
    let idle = bars(&|it| it.idle.map(|(_, late, _)| (late, unit::bytes(late))));
    let idle = plot::bars("Memory of an idle connection, after 3 s", &idle, unit::bytes);
    let _ =
        writeln!(html, "<details><summary>Plots</summary>{throughput}{processor}{latency}{idle}</details>");
    for (summary, (early, late, lost)) in all.iter().filter_map(|it| Some((it, it.idle?))) {
        let (early, late) = (unit::bytes(early), unit::bytes(late));
        let _ = writeln!(
            html,
            "<p>{}: {early} an idle connection at first, {late} after 3 s; {lost} lost.</p>",
            summary.peer
        );
    }
    for line in all.iter().flat_map(|it| table::beside(it).into_iter().chain(table::coded(it))) {
        let _ = writeln!(html, "<p>{}.</p>", escape(&line));
    }
}

/// Machine, networks, programs and configurations.
fn facts(html: &mut String, run: &Run) {
    let machine = &run.machine;
    html.push_str("<h2>What it ran on</h2>\n");
    let pairs = [
        ("processor", format!("{}, {} CPUs", machine.processor, machine.cpus)),
        ("memory", unit::bytes(machine.memory_bytes as f64)),
        ("kernel", machine.kernel.clone()),
        ("system", machine.system.clone()),
        ("load average before and after", format!("{} and {}", machine.load_before, machine.load_after)),
        ("open files", machine.open_files.to_string()),
    ];
    let mitigations = machine.mitigations.iter().map(|(name, what)| vec![name.clone(), what.clone()]);
    let pairs = pairs.into_iter().map(|(name, value)| vec![name.to_owned(), value]);
    rows(html, &["fact", "value"], pairs.chain(mitigations));
    html.push_str("<h2>Networks</h2>\n");
    let network = |network: &super::super::record::Network| {
        let settings: Vec<String> =
            network.sysctl.iter().map(|(key, value)| format!("{key} = {value}")).collect();
        vec![network.name.clone(), network.what.clone(), settings.join("; ")]
    };
    rows(html, &["network", "what it is", "settings"], run.networks.iter().map(network));
    html.push_str("<h2>Programs</h2>\n");
    let tool = |tool: &super::super::record::Tool| {
        let version =
            if tool.path.is_some() { tool.version.clone() } else { format!("missing: {}", tool.install) };
        vec![tool.name.clone(), version]
    };
    rows(html, &["program", "version"], run.tools.iter().map(tool));
    html.push_str("<h2>Servers</h2>\n");
    for peer in &run.peers {
        let _ = writeln!(
            html,
            "<details><summary>{}: {} ({})</summary><pre>{}</pre></details>",
            escape(&peer.name),
            escape(&peer.what),
            escape(&peer.version),
            escape(&peer.configuration),
        );
    }
    if !run.remarks.is_empty() {
        html.push_str("<h2>Not measured</h2>\n");
        let remark = |it: &super::super::record::Remark| {
            vec![it.network.clone(), it.workload.clone(), it.peer.clone(), it.why.clone()]
        };
        rows(html, &["network", "workload", "server", "why"], run.remarks.iter().map(remark));
    }
}

fn rows(html: &mut String, heads: &[&str], rows: impl Iterator<Item = Vec<String>>) {
    let cells = |kind: &str, cells: &mut dyn Iterator<Item = String>| {
        cells.map(|cell| format!("<{kind}>{}</{kind}>", escape(&cell))).collect::<String>()
    };
    let head = cells("th", &mut heads.iter().map(|head| (*head).to_owned()));
    let _ = writeln!(html, "<table><tr>{head}</tr>");
    for row in rows {
        let class = if row.first().is_some_and(|name| name == "mayhttpd") { " class=\"ours\"" } else { "" };
        let _ = writeln!(html, "<tr{class}>{}</tr>", cells("td", &mut row.into_iter()));
    }
    html.push_str("</table>\n");
}

/// Text that is no markup.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
