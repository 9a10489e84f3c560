//! The plots, by what is in them.

use plotters::style::BLUE;

use crate::load::report::plot::{Bar, Row, Scale, Series, bars, dots};

fn number(value: f64) -> String {
    format!("{value}")
}

#[test]
fn a_bar_is_as_long_as_its_value() {
    let bar = |name: &str, value| Bar { name: name.into(), value, words: format!("{value} words") };
    let svg = bars("Title", &[bar("mayhttpd", 50.0), bar("nginx", 25.0)], number);
    let width = |fill: &str| {
        let line = svg.lines().find(|line| line.starts_with("<rect") && line.contains(fill)).unwrap();
        line.split("width=\"").nth(1).unwrap().split('"').next().unwrap().parse::<f64>().unwrap()
    };
    let (ours, other) = (width("#C83C14"), width("#14823C"));
    assert!((ours / other - 2.0).abs() < 0.02, "{ours} {other}");
    for text in ["Title", "mayhttpd", "50 words", "nginx", "25 words"] {
        assert!(svg.contains(text), "{text} is not in {svg}");
    }
    assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
}

#[test]
fn there_is_a_dot_for_each_value_and_a_legend() {
    let series = ["p50", "p99"].map(|name| Series { name: name.into(), colour: BLUE });
    let row = |name: &str, values: [Option<f64>; 2]| Row { name: name.into(), values: values.into() };
    let rows = [row("mayhttpd", [Some(10.0), Some(1000.0)]), row("nginx", [Some(20.0), None])];
    for scale in [Scale::Linear, Scale::Logarithmic] {
        let svg = dots("Latency", &series, &rows, scale, number);
        assert_eq!(svg.matches("<circle").count(), 3 + series.len(), "{svg}");
        assert!(svg.contains("p99") && svg.contains("mayhttpd") && svg.trim_end().ends_with("</svg>"));
    }
}

#[test]
fn one_row_is_drawn_too() {
    let svg = bars("x", &[Bar { name: "nginx".into(), value: 3.0, words: "three".into() }], number);
    assert!(svg.contains("three") && !svg.contains("NaN"), "{svg}");
}

#[test]
fn nothing_gives_no_plot() {
    assert_eq!(bars("x", &[], number), "");
    assert_eq!(dots("x", &[], &[], Scale::Linear, number), "");
}
