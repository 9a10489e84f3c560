//! The page of a fixed run.

use super::run::fixed;
use crate::load::report::page::{escape, overview, page};
use crate::load::report::{summary, unit};

#[test]
fn the_page_of_a_fixed_run_has_its_figures_plots_and_facts_and_asks_for_nothing() {
    let run = fixed();
    let html = page(&run);
    let ours = summary::of(&run).into_iter().find(|it| it.peer == "mayhttpd").unwrap();
    for text in [&run.machine.kernel, &run.workloads[0].what, &unit::count(ours.requests_per_second)] {
        assert!(html.contains(&escape(text)), "{text} is missing");
    }
    assert!(html.matches("<svg").count() > run.workloads.len(), "plots are missing");
    assert_eq!(html.matches("<table").count(), html.matches("</table>").count());
    let loads = ["src=", "href=", "url(", "@import", "<script"];
    assert!(loads.iter().all(|load| !html.contains(load)), "the page asks for another file");
}

#[test]
fn the_overview_compares_tuned_with_untuned() {
    let files: Vec<&str> = overview(&fixed()).iter().map(|plot| plot.file).collect();
    assert_eq!(files, ["requests.svg", "processor.svg", "latency.svg", "floor.svg", "tuned.svg"]);
}

#[test]
fn text_can_be_no_markup() {
    assert_eq!(escape("<a b=\"c\"> & d"), "&lt;a b=&quot;c&quot;&gt; &amp; d");
}
