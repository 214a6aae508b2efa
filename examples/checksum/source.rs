//! What a path's bytes come from.

use std::fs::File;
use std::io;
use std::path::Path;

use tollgate::context::OwnedContext;
use tollgate::time::ThreadTimer;

/// Until when a file may be read, and whether anybody still wants to know.
pub type Allowance = OwnedContext<ThreadTimer>;

/// An open file, pipe or device, read in chunks until its end or until its allowance is over.
///
/// A pipe without a writer, or a terminal, may keep a plain read for ever. Here every wait is in small pieces, so a read that is
/// interrupted ends soon. Only a system that does not answer at all, as for a file on a lost network disk, holds it longer.
#[derive(Debug)]
pub struct Source {
    file: File,
    /// A read may have to wait for somebody to write.
    waits: bool,
}

impl Source {
    /// Opens `path`, `-` being the standard input.
    pub fn open(path: &Path) -> io::Result<Source> {
        let file = if path.as_os_str() == "-" { system::standard_input()? } else { system::open(path)? };
        let waits = !file.metadata()?.is_file();
        Ok(Source { file, waits })
    }

    /// Fills some of `chunk`; 0 is the end.
    pub fn read(&mut self, chunk: &mut [u8], allowance: &Allowance) -> io::Result<usize> {
        loop {
            allowance.check()?;
            if self.waits && !system::has_bytes(&self.file)? {
                continue;
            }
            match io::Read::read(&mut self.file, chunk) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Somebody else read what was there.
                Err(error) if self.waits && error.kind() == io::ErrorKind::WouldBlock => {}
                read => return read,
            }
        }
    }
}

pub use system::make_room;

#[cfg(unix)]
mod system {
    use std::fs::{File, OpenOptions};
    use std::io;
    use std::os::fd::AsFd;
    use std::os::unix::fs::OpenOptionsExt;
    use std::path::Path;

    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::fs::OFlags;
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    /// How long a read may stay deaf to an interruption.
    const LISTEN: Timespec = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };

    /// Asks the system to let so many files be open at once, and a few that are open anyway. If it refuses, the files that
    /// find no room are reported.
    pub fn make_room(files: usize) {
        let wanted = files as u64 + 64;
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        if current.is_some_and(|current| current < wanted) {
            let current = Some(maximum.map_or(wanted, |maximum| maximum.min(wanted)));
            let _ = setrlimit(Resource::Nofile, Rlimit { current, maximum });
        }
    }

    /// A plain `open` of a pipe waits for its writer, where nothing can end it.
    pub fn open(path: &Path) -> io::Result<File> {
        let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
        OpenOptions::new().read(true).custom_flags(flags.bits() as i32).open(path)
    }

    /// Its flags stay as they are, since it is shared with whoever started this program.
    pub fn standard_input() -> io::Result<File> {
        Ok(File::from(io::stdin().as_fd().try_clone_to_owned()?))
    }

    /// Waits a little for bytes or the end.
    pub fn has_bytes(file: &File) -> io::Result<bool> {
        match poll(&mut [PollFd::new(file, PollFlags::IN)], Some(&LISTEN)) {
            Ok(ready) => Ok(ready > 0),
            Err(rustix::io::Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// Elsewhere a waiting read ends when it ends.
#[cfg(windows)]
mod system {
    use std::fs::File;
    use std::io;
    use std::os::windows::io::AsHandle;
    use std::path::Path;

    /// There is always room.
    pub fn make_room(_files: usize) {}

    pub fn open(path: &Path) -> io::Result<File> {
        File::open(path)
    }

    pub fn standard_input() -> io::Result<File> {
        Ok(File::from(io::stdin().as_handle().try_clone_to_owned()?))
    }

    pub fn has_bytes(_file: &File) -> io::Result<bool> {
        Ok(true)
    }
}
