//! `mayhttpd password`: what it writes, what other programs read of it, and what is seen at the terminal.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Command, Output, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};

use crate::support::{DEADLINE, Tree, eventually, skipped};

const PROGRAM: &str = env!("CARGO_BIN_EXE_mayhttpd");

/// Runs it with this standard input.
fn with_input(words: &[&str], input: &[u8]) -> Output {
    let mut command = Command::new(PROGRAM);
    command.arg("password").args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // One that refuses the words reads nothing.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

/// The line that it writes.
#[track_caller]
fn line(words: &[&str], input: &[u8]) -> String {
    let output = with_input(words, input);
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()), "{words:?}");
    text(&output.stdout)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_line_has_the_user_and_a_new_hash_of_the_first_line_of_standard_input() {
    for (words, beginning) in [
        (&["anna"][..], "anna:$2y$12$"),
        (&["--argon2id", "anna b"], "anna b:$argon2id$v=19$m=19456,t=2,p=1$"),
        (&["\u{fc}", "--sha512"], "\u{fc}:$6$rounds=100000$"),
    ] {
        let first = line(words, b"secret\nmore\n");
        assert!(
            first.starts_with(beginning) && first.ends_with('\n') && first.lines().count() == 1,
            "{first}"
        );
        assert_ne!(line(words, b"secret"), first, "each has a salt of its own");
    }
}

#[test]
fn what_can_be_no_user_and_no_password_is_refused() {
    let long = "x".repeat(300);
    for (words, input, code, why) in [
        (&["a:b"][..], &b"secret"[..], 2, "colon"),
        (&[""], b"secret", 2, "empty"),
        (&["#a"], b"secret", 2, "comment"),
        (&["a\nb"], b"secret", 2, "control"),
        (&[" a"], b"secret", 2, "space"),
        (&[&long], b"secret", 2, "255"),
        (&[], b"secret", 2, "USER"),
        (&["a", "--sha512", "--argon2id"], b"secret", 2, "cannot be used with"),
        (&["a"], b"", 1, "empty"),
        (&["a"], b"\r\nsecret", 1, "empty"),
        (&["a"], b"a\tb", 1, "control"),
        (&["a"], &[b'x'; 73], 1, "--argon2id"),
        (&["a", "--argon2id"], long.as_bytes(), 1, "255"),
    ] {
        let output = with_input(words, input);
        let errors = text(&output.stderr);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(code), 0), "{words:?} {errors}");
        assert!(errors.contains(why) && !errors.contains("secret"), "{words:?}: {errors}");
    }
}

#[test]
fn apache_reads_the_default() {
    let test = "apache_reads_the_default";
    let tree = Tree::empty();
    let users = tree.file("users", line(&["anna"], "pa\u{df}word\r\n".as_bytes()));
    for (password, code) in [("pa\u{df}word", 0), ("password", 3)] {
        let mut verify = Command::new("htpasswd");
        verify.args(["-vb", users.to_str().unwrap(), "anna", password]);
        match verify.output() {
            Ok(output) => assert_eq!(output.status.code(), Some(code), "{}", text(&output.stderr)),
            Err(error) => {
                skipped(test, &format!("htpasswd: {error}"));
            }
        }
    }
}

#[test]
fn a_password_is_typed_twice_and_not_shown() {
    let output = Terminal::new().says("secret\n").says("secret\n").end();
    assert_eq!(output.code, Some(0));
    assert_eq!(output.shown, "Password: \r\nAgain: \r\n");
    assert!(output.written.starts_with("anna:$2y$12$"), "{}", output.written);

    let output = Terminal::new().says("secret\n").says("other\n").end();
    assert_eq!((output.code, output.written.as_str()), (Some(1), ""));
    assert!(output.shown.contains("not the same") && !output.shown.contains("secret"), "{}", output.shown);
}

#[test]
fn an_interrupt_leaves_a_terminal_with_its_echo() {
    // Ctrl-C, in the middle of a line.
    let output = Terminal::new().says("sec\u{3}").end();
    assert_eq!((output.code, output.written.as_str()), (Some(1), ""));
    assert!(output.shown.contains("interrupted") && !output.shown.contains("sec"), "{}", output.shown);
}

/// The program at a terminal of its own, with a pipe for its standard output.
struct Terminal {
    child: std::process::Child,
    keyboard: File,
    screen: OwnedFd,
    shown: String,
}

/// How it ended.
struct Ended {
    code: Option<i32>,
    shown: String,
    written: String,
}

impl Terminal {
    fn new() -> Terminal {
        let keyboard = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&keyboard).unwrap();
        unlockpt(&keyboard).unwrap();
        let name = ptsname(&keyboard, Vec::new()).unwrap().into_string().unwrap();
        let screen = File::options().read(true).write(true).open(&name).unwrap();
        let side = || Stdio::from(screen.try_clone().unwrap());
        // In a session of its own, whose terminal this is, so that Ctrl-C reaches it.
        let mut command = Command::new("setsid");
        command.args(["--ctty", "--wait", PROGRAM, "password", "anna"]);
        command.stdin(side()).stderr(side()).stdout(Stdio::piped());
        let child = command.spawn().unwrap();
        Terminal { child, keyboard: keyboard.into(), screen: screen.into(), shown: String::new() }
    }

    /// Types this when the program has asked and shows nothing any more.
    fn says(mut self, words: &str) -> Terminal {
        let asked = self.shown.matches(": ").count();
        self.read_until(|shown| shown.matches(": ").count() > asked);
        eventually("the echo is off", || {
            (!tcgetattr(&self.screen).unwrap().local_modes.contains(LocalModes::ECHO)).then_some(())
        });
        self.keyboard.write_all(words.as_bytes()).unwrap();
        self
    }

    fn end(mut self) -> Ended {
        let mut written = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut written).unwrap();
        let code = self.child.wait().unwrap().code();
        let modes = tcgetattr(&self.screen).unwrap().local_modes;
        assert!(modes.contains(LocalModes::ECHO | LocalModes::ICANON), "{modes:?}");
        while self.has_more(0) {
            self.read();
        }
        Ended { code, shown: self.shown, written }
    }

    fn read_until(&mut self, mut is_enough: impl FnMut(&str) -> bool) {
        while !is_enough(&self.shown) {
            assert!(self.has_more(DEADLINE.as_secs()), "only {:?}", self.shown);
            self.read();
        }
    }

    fn has_more(&self, seconds: u64) -> bool {
        let mut fds = [PollFd::from_borrowed_fd(self.keyboard.as_fd(), PollFlags::IN)];
        let timeout = Timespec { tv_sec: seconds.cast_signed(), tv_nsec: 0 };
        poll(&mut fds, Some(&timeout)).unwrap() > 0
    }

    fn read(&mut self) {
        let mut buffer = [0; 1024];
        let count = self.keyboard.read(&mut buffer).unwrap();
        self.shown.push_str(str::from_utf8(&buffer[..count]).unwrap());
    }
}
