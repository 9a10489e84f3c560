//! Looks for changes of users files, and hands new versions to the workers that run.

use std::os::fd::AsFd;
use std::time::Duration;

use super::state::Master;
use super::supervisor::event::ChildKind;
use super::users_file::{FileChange, UsersFile};
use crate::error::cause;
use crate::ipc::ToChild;
use crate::sys::memory_file;
use crate::sys::timer;

impl Master {
    /// When the users files are to be looked at, if there are any.
    pub(super) fn users_due(&self) -> Option<Duration> {
        let mut files = self.generations.iter().flat_map(|generation| &generation.users);
        files.any(UsersFile::is_watched).then(|| self.users_watch.due())
    }

    /// Looks at the users files of all generations, if that is due. Workers that drain get new versions too.
    pub(super) fn check_users(&mut self) {
        if !self.users_watch.begin(timer::monotonic()) {
            return;
        }
        for index in 0..self.generations.len() {
            for file in 0..self.generations[index].users.len() {
                self.check_users_file(index, file);
            }
        }
    }

    fn check_users_file(&mut self, index: usize, number: usize) {
        let generation = &mut self.generations[index];
        let Some(file) = generation.users.get_mut(number) else { return };
        let (path, number) = (file.path().display().to_string(), u16::try_from(number).unwrap_or(u16::MAX));
        let bytes = match file.check() {
            None => return,
            Some(FileChange::Faulty(why)) => {
                ::log::error!("cannot use the users file {path}: {why}; its users stay as they were");
                return;
            }
            Some(FileChange::New(bytes)) => bytes,
        };
        ::log::info!("the users file {path} has changed: {} users", file.users().count());
        let workers = self.children.ids().into_iter().filter(|id| id.kind == ChildKind::Worker);
        let workers = workers.filter(|id| id.generation == generation.number);
        let sent = memory_file::sealed("users", &bytes).map(|memory| {
            let message = ToChild::Users(number);
            // All of them, also after one that does not read its messages.
            workers.filter(|id| !self.children.send(*id, &message, &[memory.as_fd()])).count() == 0
        });
        if let Err(error) = &sent {
            ::log::error!("cannot hand the users file {path} to the workers: {}", cause(error));
        }
        if !sent.unwrap_or(false) {
            // Again at the next check.
            file.forget_stamp();
        }
    }
}
