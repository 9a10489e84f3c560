//! The table of `kernel check`: as wide as the terminal, or one line for each row if the output is no
//! terminal.
//!
//! The verdict is the first column. A colour code has no width, and can be added around it after the layout.

use std::io::IsTerminal;

use anstyle::{AnsiColor, Style};
use comfy_table::{ColumnConstraint, ContentArrangement, Table};

use crate::commands::kernel::row::{CheckRow, CheckVerdict};

/// The width and the colours of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Columns of the terminal; `None` if the output is no terminal.
    pub width: Option<u16>,
    /// True to use colours.
    pub colour: bool,
}

impl Layout {
    /// The layout for standard output.
    pub fn of_stdout() -> Layout {
        let stdout = std::io::stdout();
        if !stdout.is_terminal() {
            return Layout { width: None, colour: false };
        }
        // A terminal of unknown size reports 0.
        let width =
            terminal_size::terminal_size_of(&stdout).map(|(width, _)| width.0).filter(|width| *width > 0);
        // https://no-color.org: set and not empty.
        let unwelcome = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        Layout { width: Some(width.unwrap_or(80)), colour: !unwelcome && !dumb }
    }
}

/// From this width on, the costs are a column of the table.
const WIDE: u16 = 132;

/// From this width on, keys are not broken.
const ROOMY: u16 = 80;

/// Renders the table, the costs below it if it has no room for them, and the meaning of the verdicts.
pub fn draw(rows: &[CheckRow], layout: Layout) -> String {
    let beside = layout.width.is_none_or(|width| width >= WIDE);
    let mut table = empty(layout.width);
    let costs = "left as it is";
    let head = ["", "setting", "running", "recommended", "scope", costs];
    let columns = if beside { head.len() } else { head.len() - 1 };
    table.set_header(&head[..columns]);
    for row in rows {
        let CheckRow { subject, running, recommended, scope, verdict, cost } = row;
        let cells: [&str; 6] = [verdict.word(), subject, dash(running), dash(recommended), scope, cost];
        table.add_row(&cells[..columns]);
    }
    finish(&mut table, layout.width, &[0, 4], &[1]);
    let mut text = lines(&table, layout.colour);
    if !beside {
        let mut table = empty(layout.width);
        table.set_header(["setting", costs]);
        for row in rows.iter().filter(|row| !row.cost.is_empty()) {
            table.add_row([&row.subject, &row.cost]);
        }
        finish(&mut table, layout.width, &[], &[0]);
        text += &format!("\n{}", lines(&table, false));
    }
    text.push('\n');
    let mut table = empty(layout.width);
    for verdict in [CheckVerdict::Matters, CheckVerdict::Low, CheckVerdict::Client, CheckVerdict::Absent] {
        if let Some(meaning) = verdict.meaning().filter(|_| rows.iter().any(|row| row.verdict == verdict)) {
            table.add_row([verdict.word(), meaning]);
        }
    }
    finish(&mut table, layout.width, &[0], &[]);
    text + &lines(&table, layout.colour)
}

fn empty(width: Option<u16>) -> Table {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    match width {
        Some(width) => table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width),
        None => table.set_content_arrangement(ContentArrangement::Disabled),
    };
    table
}

/// Sets the widths of the columns. Words are never broken, keys only in a narrow terminal.
fn finish(table: &mut Table, width: Option<u16>, words: &[usize], keys: &[usize]) {
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        let roomy = width.is_none_or(|width| width >= ROOMY);
        if words.contains(&index) || (roomy && keys.contains(&index)) {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
}

/// The lines of the table without trailing blanks.
fn lines(table: &Table, colour: bool) -> String {
    table.lines().map(|line| coloured(line.trim_end(), colour) + "\n").collect()
}

fn dash(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}

/// A line with its verdict in colour, if it begins with one.
fn coloured(line: &str, colour: bool) -> String {
    let styles = [
        (CheckVerdict::Fine, AnsiColor::Green.on_default()),
        (CheckVerdict::Low, AnsiColor::Yellow.on_default()),
        (CheckVerdict::Matters, AnsiColor::Red.on_default().bold()),
    ];
    let found = styles.iter().find_map(|(verdict, style): &(CheckVerdict, Style)| {
        line.strip_prefix(verdict.word()).map(|rest| (verdict.word(), rest, style))
    });
    match found {
        Some((word, rest, style)) if colour => format!("{style}{word}{style:#}{rest}"),
        _ => line.to_owned(),
    }
}
