//! Files are one noun each and functions one step: how long both may be.

use crate::none;
use crate::source::SourceFile;

/// Lines of a file before its unit tests: the median, nine in ten, and all.
const FILE: (usize, usize, usize) = (120, 300, 450);

/// Lines of a function: nine in ten, and all.
const FUNCTION: (usize, usize) = (25, 60);

/// The value that this share of the sorted values does not exceed.
fn share(sorted: &[usize], percent: usize) -> usize {
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
}

#[test]
fn files_are_short() {
    let files = SourceFile::all();
    let (median, most, all) = FILE;
    let mut lines: Vec<usize> = files.iter().map(|file| file.lines).collect();
    lines.sort_unstable();
    let mut faults: Vec<String> = files
        .iter()
        .filter(|file| file.lines > all)
        .map(|file| format!("{} has {} lines before its tests, more than {all}", file.name(), file.lines))
        .collect();
    let (half, nine) = (share(&lines, 50), share(&lines, 90));
    if half > median {
        faults.push(format!("the median file has {half} lines before its tests, more than {median}"));
    }
    if nine > most {
        let long: Vec<String> = files
            .iter()
            .filter(|file| file.lines > most)
            .map(|file| format!("{} {}", file.name(), file.lines))
            .collect();
        faults.push(format!(
            "one file in ten has more than {most} lines before its tests ({nine}): {}",
            long.join(", ")
        ));
    }
    none(faults);
}

#[test]
fn functions_are_short() {
    let (most, all) = FUNCTION;
    let mut lines = Vec::new();
    let mut faults = Vec::new();
    for file in SourceFile::all() {
        for function in file.functions() {
            lines.push(function.lines);
            if function.lines > all {
                let (name, at) = (&function.name, function.line);
                faults.push(format!(
                    "{}:{at}: {name} has {} lines, more than {all}",
                    file.name(),
                    function.lines
                ));
            }
        }
    }
    lines.sort_unstable();
    let nine = share(&lines, 90);
    if nine > most {
        faults.push(format!("one function in ten has more than {most} lines: {nine}"));
    }
    none(faults);
}
