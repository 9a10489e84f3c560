//! Plots as SVG text: bars for one number of many servers, dots for several numbers in each of many rows.

use plotters::coord::ranged1d::{AsRangedCoord, Ranged, SegmentedCoord, ValueFormatter};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// The width of every plot in pixels.
const WIDTH: u32 = 860;
/// The height of a row.
const ROW: u32 = 24;
/// The room for the names of rows.
const NAMES: u32 = 190;
/// The room for what stands behind a bar.
const BEHIND: u32 = 90;
const FONT: &str = "sans-serif";

/// A name and its value, with the words for it.
pub struct Bar {
    pub name: String,
    pub value: f64,
    pub words: String,
}

/// A colour and what it stands for.
pub struct Series {
    pub name: String,
    pub colour: RGBColor,
}

/// A name and a value for each series that has one.
pub struct Row {
    pub name: String,
    pub values: Vec<Option<f64>>,
}

/// How values lie along a plot.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// From zero.
    Linear,
    /// By powers of ten, or of two where there are few of ten.
    Logarithmic,
}

/// The colour of a server: the same in every plot.
pub fn colour(peer: &str) -> RGBColor {
    match peer {
        "mayhttpd" => RGBColor(200, 60, 20),
        "floor" => RGBColor(120, 120, 120),
        "nginx" => RGBColor(20, 130, 60),
        "nginx-default" => RGBColor(120, 190, 130),
        "nginx-threads" => RGBColor(70, 160, 95),
        "lighttpd" => RGBColor(40, 90, 190),
        "h2o" => RGBColor(150, 80, 180),
        "go" => RGBColor(0, 160, 180),
        "static-web-server" => RGBColor(170, 120, 40),
        _ => RGBColor(215, 165, 0),
    }
}

/// Bars from zero, the first at the top. Without bars there is no plot.
pub fn bars(title: &str, bars: &[Bar], format: fn(f64) -> String) -> String {
    let most = bars.iter().map(|bar| bar.value).fold(0.0, f64::max);
    if most <= 0.0 {
        return String::new();
    }
    let height = 70 + ROW * slots(bars.len()) as u32;
    let mut svg = String::new();
    let names: Vec<&str> = bars.iter().map(|bar| bar.name.as_str()).collect();
    drawn(draw_frame(&mut svg, height, title, &names, 0.0..most * 1.02, BEHIND, format, |chart| {
        for (index, bar) in bars.iter().enumerate() {
            let (top, bottom) = edges(index, bars.len());
            let style = colour(&bar.name).filled();
            let mut area = Rectangle::new([(0.0, top), (bar.value, bottom)], style);
            area.set_margin(3, 3, 0, 0);
            chart.draw_series(std::iter::once(area))?;
            let middle = centre(index, bars.len());
            let words = Text::new(bar.words.clone(), (5, 0), text(13, HPos::Left));
            chart.draw_series(std::iter::once(EmptyElement::at((bar.value, middle)) + words))?;
        }
        Ok(())
    }));
    svg
}

/// Dots in rows, the first row at the top, and a legend. Without values there is no plot.
pub fn dots(title: &str, series: &[Series], rows: &[Row], scale: Scale, format: fn(f64) -> String) -> String {
    let values =
        || rows.iter().flat_map(|row| row.values.iter().flatten().copied()).filter(|value| *value > 0.0);
    let (Some(least), Some(most)) = (values().reduce(f64::min), values().reduce(f64::max)) else {
        return String::new();
    };
    let height = 92 + ROW * slots(rows.len()) as u32;
    let names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
    let mut svg = String::new();
    match scale {
        Scale::Linear => {
            let range = 0.0..most * 1.05;
            drawn(draw_frame(&mut svg, height, title, &names, range, 20, format, |chart| {
                points(chart, series, rows)
            }));
        }
        Scale::Logarithmic => {
            let range =
                (least / 1.3..most * 1.3).log_scale().base(if most / least < 100.0 { 2.0 } else { 10.0 });
            drawn(draw_frame(&mut svg, height, title, &names, range, 20, format, |chart| {
                points(chart, series, rows)
            }));
        }
    }
    legend(svg, series, height)
}

/// The places for so many rows. One place alone has no height.
fn slots(rows: usize) -> usize {
    rows.max(2)
}

/// The middle of a row; the first is at the top, which is the last place. The range of places has both its
/// ends.
fn centre(row: usize, rows: usize) -> SegmentValue<usize> {
    SegmentValue::CenterOf(slots(rows) - 1 - row)
}

/// The upper and the lower edge of a row.
fn edges(row: usize, rows: usize) -> (SegmentValue<usize>, SegmentValue<usize>) {
    let place = slots(rows) - 1 - row;
    let top = if row == 0 { SegmentValue::Last } else { SegmentValue::Exact(place + 1) };
    (top, SegmentValue::Exact(place))
}

type Rows = SegmentedCoord<plotters::coord::types::RangedCoordusize>;
type Chart<'a, 'b, X> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<X, Rows>>;
type Drawn<'b> = Result<(), DrawingAreaErrorKind<<SVGBackend<'b> as DrawingBackend>::ErrorType>>;

/// Writing into a text can't fail; what plotters says otherwise is a plot that this file describes wrongly.
fn drawn<E: std::fmt::Debug>(result: Result<(), E>) {
    if let Err(error) = result {
        eprintln!("a plot is missing: {error:?}");
    }
}

/// Title, axes and names; then `fill` draws.
#[allow(clippy::too_many_arguments, reason = "the parts of a frame")]
fn draw_frame<'b, A, X>(
    svg: &'b mut String,
    height: u32,
    title: &str,
    names: &[&str],
    range: A,
    right: u32,
    format: fn(f64) -> String,
    fill: impl FnOnce(&mut Chart<'_, 'b, X>) -> Drawn<'b>,
) -> Drawn<'b>
where
    A: AsRangedCoord<CoordDescType = X, Value = f64>,
    X: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    let area = SVGBackend::with_string(svg, (WIDTH, height)).into_drawing_area();
    area.fill(&WHITE)?;
    area.draw(&Text::new(
        title.to_owned(),
        (10, 8),
        (FONT, 16).into_font().style(FontStyle::Bold).color(&BLACK),
    ))?;
    let count = names.len();
    let mut chart = ChartBuilder::on(&area)
        .margin_top(34)
        .margin_right(right)
        .margin_left(4)
        .margin_bottom(if height > 70 + ROW * slots(count) as u32 { 26 } else { 4 })
        .x_label_area_size(28)
        .y_label_area_size(NAMES)
        .build_cartesian_2d(range, (0..slots(count) - 1).into_segmented())?;
    let name = |place: &SegmentValue<usize>| match place {
        SegmentValue::CenterOf(place) => {
            let row = (slots(count) - 1).checked_sub(*place);
            row.and_then(|row| names.get(row)).map_or_else(String::new, |name| (*name).to_owned())
        }
        _ => String::new(),
    };
    chart
        .configure_mesh()
        .disable_y_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(RGBColor(225, 225, 225))
        .axis_style(RGBColor(150, 150, 150))
        .x_labels(8)
        .y_labels(slots(count))
        .x_label_formatter(&|value| format(*value))
        .y_label_formatter(&name)
        .label_style((FONT, 13))
        .draw()?;
    fill(&mut chart)?;
    area.present()
}

fn points<'b, X>(chart: &mut Chart<'_, 'b, X>, series: &[Series], rows: &[Row]) -> Drawn<'b>
where
    X: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    for (index, row) in rows.iter().enumerate() {
        let middle = centre(index, rows.len());
        let values = || row.values.iter().flatten().copied().filter(|value| *value > 0.0);
        if let (Some(least), Some(most)) = (values().reduce(f64::min), values().reduce(f64::max)) {
            let line = vec![(least, middle.clone()), (most, middle.clone())];
            chart.draw_series(std::iter::once(PathElement::new(line, RGBColor(200, 200, 200))))?;
        }
        for (value, series) in row.values.iter().zip(series) {
            if let Some(value) = value.filter(|value| *value > 0.0) {
                let dot = Circle::new((value, middle.clone()), 5, series.colour.mix(0.85).filled());
                chart.draw_series(std::iter::once(dot))?;
            }
        }
    }
    Ok(())
}

/// Puts what the colours mean at the foot.
fn legend(mut svg: String, series: &[Series], height: u32) -> String {
    let end = svg.trim_end().len() - "</svg>".len();
    svg.truncate(end);
    let mut left = NAMES as usize;
    let y = height - 12;
    for series in series {
        let RGBColor(red, green, blue) = series.colour;
        svg += &format!("<circle cx=\"{left}\" cy=\"{y}\" r=\"5\" fill=\"rgb({red},{green},{blue})\"/>\n");
        let at = left + 10;
        let name = &series.name;
        svg += &format!(
            "<text x=\"{at}\" y=\"{}\" font-family=\"{FONT}\" font-size=\"13\">{name}</text>\n",
            y + 4
        );
        left += 26 + name.len() * 8;
    }
    svg + "</svg>\n"
}

fn text(size: i32, side: HPos) -> TextStyle<'static> {
    (FONT, size).into_font().color(&BLACK).pos(Pos::new(side, VPos::Center))
}
