//! How the rows of `kernel check` look: a table in the width of the terminal, or elsewhere a line for each row.
//!
//! It owns colours and widths and knows no key. The subtle rule: the verdict is the first column, so that a colour,
//! which has no width, can be put around it in the lines when they are done.

use std::io::IsTerminal;

use anstyle::{AnsiColor, Style};
use comfy_table::{ColumnConstraint, ContentArrangement, Table};

use super::row::{Row, Verdict};

/// What the output is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Columns of the terminal; `None` for no terminal.
    pub width: Option<u16>,
    /// Whether colours are welcome.
    pub colour: bool,
}

impl Layout {
    /// What standard output is like.
    pub fn of_stdout() -> Layout {
        let stdout = std::io::stdout();
        if !stdout.is_terminal() {
            return Layout { width: None, colour: false };
        }
        // A terminal that doesn't know its size says 0.
        let width =
            terminal_size::terminal_size_of(&stdout).map(|(width, _)| width.0).filter(|width| *width > 0);
        // As https://no-color.org has it: set to anything but nothing.
        let unwelcome = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        Layout { width: Some(width.unwrap_or(80)), colour: !unwelcome && !dumb }
    }
}

/// The width from which the costs have room beside the rest.
const WIDE: u16 = 132;

/// The width from which keys need not be broken.
const ROOMY: u16 = 80;

/// The table, what it costs to leave things where there was no room for that beside it, and what the verdicts mean.
pub fn draw(rows: &[Row], layout: Layout) -> String {
    let beside = layout.width.is_none_or(|width| width >= WIDE);
    let mut table = empty(layout.width);
    let costs = "left as it is";
    let head = ["", "setting", "running", "wanted", "scope", costs];
    let columns = if beside { head.len() } else { head.len() - 1 };
    table.set_header(&head[..columns]);
    for row in rows {
        let Row { subject, running, wanted, scope, verdict, cost } = row;
        let cells: [&str; 6] = [verdict.word(), subject, dash(running), dash(wanted), scope, cost];
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
    for verdict in [Verdict::Matters, Verdict::Low, Verdict::Client, Verdict::Absent] {
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

/// Sets the columns' widths: words stay whole, keys as long as there is room for them.
fn finish(table: &mut Table, width: Option<u16>, words: &[usize], keys: &[usize]) {
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        let roomy = width.is_none_or(|width| width >= ROOMY);
        if words.contains(&index) || (roomy && keys.contains(&index)) {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
}

/// The table's lines, without the blanks at their ends.
fn lines(table: &Table, colour: bool) -> String {
    table.lines().map(|line| coloured(line.trim_end(), colour) + "\n").collect()
}

fn dash(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}

/// A line with its verdict in colour, where it begins with one.
fn coloured(line: &str, colour: bool) -> String {
    let styles = [
        (Verdict::Fine, AnsiColor::Green.on_default()),
        (Verdict::Low, AnsiColor::Yellow.on_default()),
        (Verdict::Matters, AnsiColor::Red.on_default().bold()),
    ];
    let found = styles.iter().find_map(|(verdict, style): &(Verdict, Style)| {
        line.strip_prefix(verdict.word()).map(|rest| (verdict.word(), rest, style))
    });
    match found {
        Some((word, rest, style)) if colour => format!("{style}{word}{style:#}{rest}"),
        _ => line.to_owned(),
    }
}
