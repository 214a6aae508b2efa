//! The files under the paths that the user named, one after the other.

use std::ffi::OsString;
use std::path::{MAIN_SEPARATOR, PathBuf};
use std::{cmp, fs, io, vec};

use crate::failure::Failure;

/// Yields the files of each path in the order given; within one path, sorted by the bytes of the whole path.
///
/// Holds the names of one folder a level, whatever the size of the tree. Its calls block, so it runs on a thread of its own.
///
/// - A named path is followed wherever it leads. A folder is walked, anything else is a file to be read.
/// - Met on the way: files; links to files, followed; a link that leads nowhere is a failure. Links to folders are not
///   entered, so there are no loops. Pipes, sockets and devices are passed over: a walk must not wait for who writes to them.
/// - A folder that cannot be read is a failure, and the walk goes on behind it.
#[derive(Debug)]
pub struct Walk {
    roots: vec::IntoIter<PathBuf>,
    /// The folders that lead to the current one, which is last.
    folders: Vec<Folder>,
    /// Why the folder entered last is not listed, or not to its end; comes before what it does hold.
    broken: Option<Failure>,
}

#[derive(Debug)]
struct Folder {
    path: PathBuf,
    entries: vec::IntoIter<Entry>,
}

#[derive(Debug)]
struct Entry {
    name: OsString,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Folder,
    File,
    /// Where it leads is looked up when its turn comes.
    Link,
}

impl Walk {
    pub fn new(roots: Vec<PathBuf>) -> Walk {
        Walk { roots: roots.into_iter(), folders: Vec::new(), broken: None }
    }

    /// A path of the user's: the file to read, or nothing if it is a folder, which comes next then.
    fn root(&mut self, path: PathBuf) -> Option<Result<PathBuf, Failure>> {
        if path.as_os_str() == "-" {
            return Some(Ok(path));
        }
        match fs::metadata(&path) {
            Ok(metadata) if metadata.is_dir() => {
                self.enter(path);
                None
            }
            Ok(_) => Some(Ok(path)),
            Err(error) => Some(Err(Failure::io(path, &error))),
        }
    }

    /// An entry of the current folder: the file to read, or nothing if it is a folder or passed over.
    fn entry(&mut self, path: PathBuf, kind: Kind) -> Option<Result<PathBuf, Failure>> {
        match kind {
            Kind::File => Some(Ok(path)),
            Kind::Folder => {
                self.enter(path);
                None
            }
            Kind::Link => match fs::metadata(&path) {
                Ok(metadata) => metadata.is_file().then_some(Ok(path)),
                Err(error) => Some(Err(Failure::io(path, &error))),
            },
        }
    }

    /// Goes on with what `path` holds.
    fn enter(&mut self, path: PathBuf) {
        let mut entries = Vec::new();
        if let Err(error) = list(&path, &mut entries) {
            self.broken = Some(Failure::io(path.clone(), &error));
        }
        entries.sort_unstable_by(Entry::order);
        self.folders.push(Folder { path, entries: entries.into_iter() });
    }
}

impl Iterator for Walk {
    type Item = Result<PathBuf, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(failure) = self.broken.take() {
                return Some(Err(failure));
            }
            let found = match self.folders.last_mut() {
                None => {
                    let path = self.roots.next()?;
                    self.root(path)
                }
                Some(folder) => match folder.entries.next() {
                    None => {
                        self.folders.pop();
                        None
                    }
                    Some(entry) => {
                        let path = folder.path.join(entry.name);
                        self.entry(path, entry.kind)
                    }
                },
            };
            if found.is_some() {
                return found;
            }
        }
    }
}

impl Entry {
    /// The order of the whole walk comes from this one: a folder's name is taken with the separator that follows it in every
    /// path below, so `a.b` comes before `a/x`, as its bytes do.
    fn order(&self, other: &Entry) -> cmp::Ordering {
        let (one, two) = (self.name.as_encoded_bytes(), other.name.as_encoded_bytes());
        let common = one.len().min(two.len());
        one[..common].cmp(&two[..common]).then_with(|| self.byte(common).cmp(&other.byte(common)))
    }

    fn byte(&self, at: usize) -> Option<u8> {
        let name = self.name.as_encoded_bytes();
        let separator = (self.kind == Kind::Folder && at == name.len()).then_some(MAIN_SEPARATOR as u8);
        name.get(at).copied().or(separator)
    }
}

/// Adds what the folder holds to `entries`, pipes, sockets and devices left out; keeps what it got before an error.
fn list(folder: &PathBuf, entries: &mut Vec<Entry>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        let kind = if kind.is_dir() {
            Kind::Folder
        } else if kind.is_file() {
            Kind::File
        } else if kind.is_symlink() {
            Kind::Link
        } else {
            continue;
        };
        entries.push(Entry { name: entry.file_name(), kind });
    }
    Ok(())
}
