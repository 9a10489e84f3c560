//! The report in a terminal: a table for each workload, and first of all what is missing.

use comfy_table::{Cell, CellAlignment, Table, presets};

use super::super::peers::{self, FLOOR, NGINX, OURS};
use super::super::record::{Run, Tool};
use super::super::workloads;
use super::summary::{self, Summary};
use super::unit;

/// The heads of the columns.
pub const COLUMNS: [&str; 12] = [
    "server",
    "requests/s",
    "CPU/request",
    "× floor",
    "× nginx",
    "spread",
    "p50",
    "p99",
    "p99.9",
    "bytes/s",
    "memory",
    "bad",
];

/// What the columns hold, for a server at a workload.
pub fn row(summary: &Summary) -> [String; 12] {
    let bad = match (summary.failed, summary.non_2xx) {
        (0, 0) => "0".to_owned(),
        (failed, statuses) => format!("{failed} failed, {statuses} not 2xx"),
    };
    let over = |peer: &str, ratio| if summary.peer == peer { "1".to_owned() } else { unit::times(ratio) };
    [
        summary.peer.clone(),
        unit::count(summary.requests_per_second),
        unit::time(summary.cpu_us),
        over(FLOOR, summary.over_floor),
        over(NGINX, summary.over_nginx),
        unit::percent(summary.spread.filter(|_| summary.rounds > 1)),
        unit::time(summary.p50_us),
        unit::time(summary.p99_us),
        unit::time(summary.p999_us),
        unit::bytes(summary.bytes_per_second),
        unit::bytes(summary.memory_bytes),
        bad,
    ]
}

/// The whole report as text.
pub fn text(run: &Run) -> String {
    let all = summary::of(run);
    let mut text = String::new();
    for network in &run.networks {
        for workload in &run.workloads {
            let here = |it: &&Summary| it.network == network.name && it.workload == workload.name;
            let mut table = table(&COLUMNS);
            let mut below = String::new();
            for summary in all.iter().filter(here) {
                table.add_row(row(summary).map(Cell::new));
                if let Some((early, late, lost)) = summary.idle {
                    let (early, late) = (unit::bytes(early), unit::bytes(late));
                    below += &format!(
                        "  {}: {early} at first and {late} later for each idle connection, {lost} lost\n",
                        summary.peer
                    );
                }
                let further = beside(summary).into_iter().chain(coded(summary));
                below += &further.map(|line| format!("  {line}\n")).collect::<String>();
            }
            if !table.is_empty() {
                align(&mut table);
                text +=
                    &format!("\n{}: {} ({})\n{table}\n{below}", workload.name, workload.what, network.name);
            }
        }
    }
    for remark in &run.remarks {
        text += &format!(
            "not measured: {} {} {}: {}\n",
            remark.network, remark.workload, remark.peer, remark.why
        );
    }
    text
}

/// What a server did for the one client beside the others.
pub fn beside(summary: &Summary) -> Option<String> {
    let beside = summary.beside.as_ref()?;
    Some(format!(
        "{}: the one client had {} answers/s, {} at most; p99 {} when it was alone",
        summary.peer,
        unit::count(beside.answers_per_second),
        unit::time(Some(beside.max_us)),
        unit::time(Some(beside.alone_p99_us)),
    ))
}

/// The coding and the length of a server's answers, where they are in one.
pub fn coded(summary: &Summary) -> Option<String> {
    let coded = summary.coded.as_ref()?;
    let length = unit::bytes(coded.length as f64);
    Some(format!("{}: a body has {length} in {}", summary.peer, coded.coding))
}

/// What went wrong with mayhttpd itself: each a line.
pub fn faults(run: &Run) -> Vec<String> {
    let bad = |it: &&Summary| it.peer == OURS && it.failed + it.non_2xx > 0;
    let mut faults: Vec<String> = summary::of(run)
        .iter()
        .filter(bad)
        .map(|it| format!("{} ({}): {} failed, {} not 2xx", it.workload, it.network, it.failed, it.non_2xx))
        .collect();
    let missing = run.remarks.iter().filter(|remark| remark.peer == OURS);
    faults.extend(missing.map(|remark| format!("{} ({}): {}", remark.workload, remark.network, remark.why)));
    faults
}

/// Prints the report; false when requests of mayhttpd failed, or it could not be measured.
pub fn print(run: &Run) -> bool {
    print!("{}", text(run));
    let faults = faults(run);
    if !faults.is_empty() {
        println!("\n!!!! mayhttpd FAILED:");
        faults.iter().for_each(|fault| println!("!!!!   {fault}"));
    }
    faults.is_empty()
}

/// Prints which tools are missing, and with `all` those that are here too.
pub fn missing(tools: &[Tool], all: bool) {
    let mut table = table(&["program", "what for", "version", "to install"]);
    for tool in tools.iter().filter(|tool| all || tool.path.is_none()) {
        let state = if tool.path.is_some() { tool.version.as_str() } else { "missing" };
        let install = if tool.path.is_some() { "" } else { tool.install.as_str() };
        table.add_row([tool.name.as_str(), &what_for(&tool.name), state, install]);
    }
    if !table.is_empty() {
        println!("{table}");
    }
}

/// The servers that a program is or runs, or the workloads that it drives; what is left places the others.
pub fn what_for(tool: &str) -> String {
    let peers = peers::ALL.iter().filter(|peer| peer.tool == Some(tool)).map(|peer| peer.name);
    let driven = workloads::ALL.iter().filter(|workload| workload.generator.program() == tool);
    let names: Vec<&str> = peers.chain(driven.map(|workload| workload.name)).collect();
    match names.as_slice() {
        [] if ["unshare", "nsenter", "ip"].contains(&tool) => "the namespaces".to_owned(),
        [] => "every measurement".to_owned(),
        names if names.len() > 6 => format!("{} workloads", names.len()),
        names => names.join(" "),
    }
}

/// Prints what can be measured.
pub fn list() {
    let mut servers = table(&["server", "what it is"]);
    for peer in peers::ALL {
        servers.add_row([peer.name, peer.what]);
    }
    let mut workloads = table(&["workload", "what it is", "applies to"]);
    for workload in workloads::ALL {
        let applies = peers::ALL.iter().filter(|peer| workload.applies(peer, workload.workers));
        let names: Vec<&str> = applies.map(|peer| peer.name).collect();
        let names = if names.len() == peers::ALL.len() { "all".to_owned() } else { names.join(" ") };
        workloads.add_row([workload.name, workload.what, &names]);
    }
    println!("{servers}\n{workloads}");
}

fn table(heads: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_header(heads.to_vec());
    table
}

/// Numbers stand on the right.
fn align(table: &mut Table) {
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
}
