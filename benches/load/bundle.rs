//! A script of about 200 KB, as bundlers write them, and its variants. The kit's own is made of the same
//! statements with other names again and again, so that it compresses about as well as a real one.

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use super::peers::PROGRAM;

/// Bytes of the kit's own.
pub const LENGTH: usize = 200_000;

/// The statements; `$` stands for a short name, `@` for a word, `#` for a number.
const STATEMENTS: &[&str] = &[
    "function $($,$){return $.@===$?$.@:$($,#)}",
    "var $=$.@,$=$.@||{};",
    "if(null!==$&&\"@\"===typeof $.@){$.@($,\"@-@\");return}",
    "$.@=function($){var $=this.@[$];return void 0===$?$:$.@($)};",
    "for(var $=0;$<$.length;$++){var $=$[$];$.@&&$.@.push($)}",
    "case #:$=$.@($,$.@,$);break;",
    "const $=({@:$,@:$})=>$.jsx(\"@\",{className:\"@ @-#\",onClick:()=>$($),children:$.@});",
    "try{$($.@)}catch($){$($,$.return,$)}",
    "$=$&#|$.@<<#,",
    "throw Error(\"The @ of @ is no @: \"+$.@(\", \"));",
    "Object.defineProperty($,\"@\",{get:function(){return $(#).@},enumerable:!0});",
    "switch($.tag){default:$.@=$(null,$)}",
];

/// What words are made of.
const SYLLABLES: &[&str] = &[
    "ac", "ber", "child", "de", "ele", "fib", "get", "hook", "in", "key", "lane", "mem", "node", "on",
    "prop", "que", "ren", "set", "text", "up", "val", "wat", "ex", "root", "Dom", "State", "Ref", "Type",
];

/// Makes `app.js` in `directory` unless it is there, and its variants by `mayhttpd precompress`.
///
/// # Errors
/// What writing says, and where the program fails.
pub fn make(directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    let script = directory.join("app.js");
    if !script.exists() {
        fs::write(&script, text())?;
    }
    let mut command = Command::new(PROGRAM);
    command.args(["precompress", "--br", "--zst", "--gz"]).arg(directory);
    let output = command.stdin(Stdio::null()).output()?;
    match output.status.success() {
        true => Ok(()),
        false => Err(io::Error::other(String::from_utf8_lossy(&output.stderr).trim().to_owned())),
    }
}

/// Takes the script at `file` in place of the kit's own.
///
/// # Errors
/// What reading and writing say.
pub fn take(directory: &Path, file: &Path) -> Result<(), String> {
    let taken = fs::create_dir_all(directory).and_then(|()| fs::copy(file, directory.join("app.js")));
    taken.map(drop).map_err(|error| format!("{}: {error}", file.display()))
}

/// The kit's own script, the same each time.
pub fn text() -> String {
    let mut random = Random(20_240_229);
    let words: Vec<String> = (0..600)
        .map(|_| (0..1 + random.below(3)).map(|_| SYLLABLES[random.below(SYLLABLES.len())]).collect())
        .collect();
    let mut text = String::with_capacity(LENGTH);
    while text.len() < LENGTH {
        for character in STATEMENTS[random.below(STATEMENTS.len())].chars() {
            match character {
                '$' => text.push_str(&name(random.skewed(400))),
                '@' => text.push_str(&words[random.skewed(words.len())]),
                '#' => text.push_str(&random.below(4096).to_string()),
                other => text.push(other),
            }
        }
    }
    text.truncate(LENGTH);
    text
}

/// The short name of this number: a to z, then two letters.
fn name(number: usize) -> String {
    let letter = |number: usize| char::from(b'a' + (number % 26) as u8);
    match number {
        0..26 => letter(number).to_string(),
        _ => [letter(number / 26), letter(number)].iter().collect(),
    }
}

/// Park and Miller's generator, from a fixed seed.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0 * 16_807 % 2_147_483_647;
        self.0 as usize % limit
    }

    /// Small numbers more often than large ones, as names in a script are.
    fn skewed(&mut self, limit: usize) -> usize {
        self.below(limit) * self.below(limit) / limit
    }
}
