//! How many tasks, which are processes and threads, the server needs of the limit of its control group
//! (`pids.max`).

use crate::config::Settings;

/// Threads of a worker beside its background threads: those of the scheduler.
const SCHEDULER_THREADS: u64 = 3;

/// Threads of the admin process.
const ADMIN_THREADS: u64 = 4;

/// Tasks of a running server.
pub fn need(settings: &Settings) -> u64 {
    let worker = SCHEDULER_THREADS + settings.background_threads() as u64;
    let admin = if settings.admin.is_some() { ADMIN_THREADS } else { 0 };
    1 + admin + settings.workers as u64 * worker
}

/// Tasks during a reload or an upgrade, when everything can exist twice.
pub fn need_in_reload(settings: &Settings) -> u64 {
    2 * need(settings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::location::{Files, LocationSettings};

    #[test]
    fn a_server_needs_all_its_threads_and_twice_as_many_in_a_reload() {
        let mut settings = Settings { workers: 2, disk_threads: 16, cpu_threads: 1, ..Settings::default() };
        assert_eq!((need(&settings), need_in_reload(&settings)), (41, 82));
        settings.admin = "127.0.0.1:9000".parse().ok();
        settings.disk_threads = 0;
        assert_eq!(need(&settings), 13);
    }

    #[test]
    fn a_directory_whose_names_are_read_takes_one_thread_however_many_locations_it_has() {
        let by_name = |path: &str, files| LocationSettings {
            files,
            find_by_name: true,
            ..LocationSettings::at(path.to_owned())
        };
        let mut settings = Settings { workers: 1, ..Settings::default() };
        let before = need(&settings);
        settings.locations = vec![
            by_name("/a", Files::Site),
            by_name("/b", Files::Root("/srv/b".into())),
            by_name("/c", Files::Alias("/srv/b".into())),
            LocationSettings::at("/d".to_owned()),
        ];
        assert_eq!(need(&settings), before + 2);
    }
}
