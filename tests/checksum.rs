//! The example `checksum`, run as its users run it.

#![cfg(unix)]
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::{env, str};

/// SHA-256 of nothing, of `a\n`, and of a million `a`, from FIPS 180 and sha256sum.
const OF_NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const OF_A_LINE: &str = "87428fc522803d31065e7bce3cf03fe475096631e5e07bbd7a0fde60c4cf25c7";
const OF_B_LINE: &str = "0263829989b6fd954f72baaf2fc64bc2e2f01d692d4de72986ea808f6e99813f";
const OF_A_MILLION: &str = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0";

#[test]
fn it_prints_what_sha256sum_prints() {
    let folder = Folder::new();
    plant(&folder);
    let ours = folder.checksum(&["--jobs", "8", "tree"]).succeeds();
    assert_eq!(ours.lines().count(), 205);
    assert!(ours.contains(&format!("{OF_A_MILLION}  tree/large\n")));
    assert!(ours.contains(&format!("{OF_NOTHING}  tree/empty\n")));

    if !sha256sum_is_installed() {
        return;
    }
    let names = ours.lines().map(|line| &line[66..]);
    let theirs = folder.command("sha256sum").args(names).output().unwrap();
    assert_eq!(ours, str::from_utf8(&theirs.stdout).unwrap());
}

#[test]
fn lines_are_sorted_by_the_bytes_of_the_path() {
    let folder = Folder::new();
    // `.` is less than `/`, which is less than `0`.
    for name in ["tree/a/x", "tree/a.b", "tree/a0", "tree/a/b/c", "tree/a/b.c", "tree/B", "tree/\u{e9}"] {
        folder.write(name, b"");
    }
    let names = ["tree/B", "tree/a.b", "tree/a/b.c", "tree/a/b/c", "tree/a/x", "tree/a0", "tree/\u{e9}"];
    let expected: String = names.iter().map(|name| format!("{OF_NOTHING}  {name}\n")).collect();
    assert_eq!(folder.checksum(&["tree"]).succeeds(), expected);
}

#[test]
fn each_path_is_printed_in_the_order_given() {
    let folder = Folder::new();
    for name in ["b/2", "b/1", "a"] {
        folder.write(name, b"");
    }
    let expected: String = ["b/1", "b/2", "a", "b/2"].iter().map(|name| format!("{OF_NOTHING}  {name}\n")).collect();
    assert_eq!(folder.checksum(&["b/", "a", "b/2"]).succeeds(), expected);
}

#[test]
fn the_number_of_jobs_changes_no_byte() {
    let folder = Folder::new();
    plant(&folder);
    let one = folder.checksum(&["--jobs", "1", "tree"]).succeeds();
    let many = folder.checksum(&["--jobs=64", "tree"]).succeeds();
    assert_eq!(one, many);

    let completed = folder.checksum(&["--jobs", "64", "--order", "completed", "tree"]).succeeds();
    assert_eq!(sorted(&one), sorted(&completed));
}

#[test]
fn by_key_the_lines_of_each_folder_are_in_order() {
    let folder = Folder::new();
    plant(&folder);
    let by_path = folder.checksum(&["--jobs", "1", "tree"]).succeeds();
    for jobs in ["1", "3", "64"] {
        let by_key = folder.checksum(&["--jobs", jobs, "--order", "key", "tree"]).succeeds();
        assert_eq!(lines_of_folders(&by_key), lines_of_folders(&by_path), "{jobs} jobs");
    }
}

#[test]
fn by_key_one_file_of_a_folder_is_read_at_a_time_and_folders_side_by_side() {
    let folder = Folder::new();
    for name in ["a", "b"] {
        fs::create_dir(folder.path.join(name)).unwrap();
        folder.make_pipe(&format!("{name}/first"));
        folder.make_pipe(&format!("{name}/second"));
    }
    for (paths, at_most) in [(&["a/first", "a/second"][..], 1), (&["a/first", "a/second", "b/first", "b/second"], 2)] {
        let mut arguments = vec!["--jobs", "8", "--order", "key", "--timeout", "500ms"];
        arguments.extend(paths);
        let run = folder.checksum(&arguments);
        assert_eq!(run.code(), 1);
        let expected = format!(" {} failures, at most {at_most} in flight, ", paths.len());
        assert!(run.summary().contains(&expected), "{}", run.summary());
    }
}

/// A terminal that says that there is something to read, and then lets the read wait for more: that thread cannot be ended.
#[test]
#[cfg(target_os = "linux")]
fn a_read_that_does_not_end_is_told_of_at_the_end() {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    use rustix::termios::{OptionalActions, SpecialCodeIndex, tcgetattr, tcsetattr};

    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let name = ptsname(&ours, Vec::new()).unwrap();
    let no_controlling_terminal = rustix::fs::OFlags::NOCTTY.bits() as i32;
    let mut open = File::options();
    open.read(true).write(true).custom_flags(no_controlling_terminal);
    let theirs = open.open(OsStr::from_bytes(name.to_bytes())).unwrap();
    // A read returns after so many bytes, or after the last of fewer and 25 seconds.
    let mut settings = tcgetattr(&theirs).unwrap();
    settings.make_raw();
    settings.special_codes[SpecialCodeIndex::VMIN] = 255;
    settings.special_codes[SpecialCodeIndex::VTIME] = 255;
    tcsetattr(&theirs, OptionalActions::Now, &settings).unwrap();
    rustix::io::write(&ours, b"x").unwrap();

    let folder = Folder::new();
    folder.write("a", b"a\n");
    let run = folder.command_with(&["--timeout", "100ms", "-", "a"]).stdin(theirs).output().unwrap();
    let run = Run { output: run };
    assert_eq!(run.code(), 1);
    assert_eq!(run.stdout(), format!("{OF_A_LINE}  a\n"));
    let complaints: Vec<_> = run.complaints().collect();
    assert_eq!(complaints[0], "checksum: -: timed out after 100ms");
    assert!(complaints[1].starts_with("checksum: still alive at the end: 1 leaked"), "{}", run.stderr());
    assert!(run.summary().starts_with("checksum: 1 file, 2 bytes, 1 failure, "), "{}", run.summary());
}

#[test]
fn without_a_path_it_walks_the_current_folder() {
    let folder = Folder::new();
    folder.write("f", b"a\n");
    assert_eq!(folder.checksum(&[]).succeeds(), format!("{OF_A_LINE}  ./f\n"));
}

#[test]
fn names_that_are_no_plain_text_are_written_as_sha256sum_does() {
    let folder = Folder::new();
    let names: [&[u8]; 6] = [b"a\nb", b"a\rb", b"a\\nb", b"raw\xff", b"tab\t and space ", b"\\lead"];
    for name in names {
        folder.write(OsStr::from_bytes(name), b"a\n");
    }
    let run = folder.checksum(&["."]);
    assert_eq!(run.code(), 0);
    let mut expected = Vec::new();
    for (mark, name) in [
        ("\\", &b"\\\\lead"[..]),
        ("\\", b"a\\nb"),
        ("\\", b"a\\rb"),
        ("\\", b"a\\\\nb"),
        ("", b"raw\xff"),
        ("", b"tab\t and space "),
    ] {
        expected.extend_from_slice(format!("{mark}{OF_A_LINE}  ./").as_bytes());
        expected.extend_from_slice(name);
        expected.push(b'\n');
    }
    assert_eq!(run.output.stdout.escape_ascii().to_string(), expected.escape_ascii().to_string());

    if sha256sum_is_installed() {
        fs::write(folder.path.join("sums"), &run.output.stdout).unwrap();
        let check = folder.command("sha256sum").args(["--check", "--quiet", "sums"]).output().unwrap();
        assert!(check.status.success(), "{check:?}");
    }
}

#[test]
fn links_to_files_are_followed_and_links_to_folders_are_not() {
    let folder = Folder::new();
    folder.write("tree/file", b"a\n");
    symlink("file", folder.path.join("tree/link")).unwrap();
    symlink(".", folder.path.join("tree/loop")).unwrap();
    symlink("../tree", folder.path.join("tree/up")).unwrap();
    assert_eq!(folder.checksum(&["tree"]).succeeds(), format!("{OF_A_LINE}  tree/file\n{OF_A_LINE}  tree/link\n"));
    let named = folder.checksum(&["tree/loop"]).succeeds();
    assert_eq!(named, format!("{OF_A_LINE}  tree/loop/file\n{OF_A_LINE}  tree/loop/link\n"));
}

#[test]
fn a_pipe_met_in_a_walk_is_passed_over() {
    let folder = Folder::new();
    folder.write("tree/file", b"a\n");
    folder.make_pipe("tree/pipe");
    assert_eq!(folder.checksum(&["tree"]).succeeds(), format!("{OF_A_LINE}  tree/file\n"));
}

#[test]
fn a_pipe_named_as_path_is_read_and_so_is_the_standard_input() {
    let folder = Folder::new();
    folder.make_pipe("pipe");
    let mut run = folder.start(&["pipe", "-"]);
    // Opening waits until the other side has opened too.
    fs::write(folder.path.join("pipe"), "a\n").unwrap();
    run.stdin.take().unwrap().write_all(b"b\n").unwrap();
    assert_eq!(Run::end(run).succeeds(), format!("{OF_A_LINE}  pipe\n{OF_B_LINE}  -\n"));
}

#[test]
fn a_file_that_fails_is_reported_and_the_others_go_on() {
    let folder = Folder::new();
    folder.write("a", b"a\n");
    folder.write("b", b"b\n");
    symlink("nowhere", folder.path.join("dead\nlink")).unwrap();
    for order in ["input", "completed", "key"] {
        let run = folder.checksum(&["--order", order, "a", "missing", ".", "b"]);
        assert_eq!(run.code(), 1);
        let expected = [("a", OF_A_LINE), ("./a", OF_A_LINE), ("./b", OF_B_LINE), ("b", OF_B_LINE)]
            .map(|(n, d)| format!("{d}  {n}\n"));
        assert_eq!(sorted(&run.stdout()), sorted(&expected.concat()));
        assert_eq!(run.complaints().count(), 3, "{}", run.stderr());
        assert!(run.complaints().any(|line| line == "checksum: missing: No such file or directory"));
        assert!(run.complaints().any(|line| line == "checksum: ./dead\\nlink: No such file or directory"));
        assert!(run.summary().starts_with("checksum: 4 files, 8 bytes, 2 failures, at most "), "{}", run.summary());
    }
}

#[test]
fn a_file_and_a_folder_that_may_not_be_read_are_reported() {
    let folder = Folder::new();
    for name in ["tree/a/locked/file", "tree/a/open", "tree/file", "tree/z"] {
        folder.write(name, b"a\n");
    }
    let locked = ["tree/a/locked", "tree/file"].map(|name| folder.path.join(name));
    for path in &locked {
        fs::set_permissions(path, PermissionsExt::from_mode(0o000)).unwrap();
    }
    let root_reads_all = File::open(&locked[1]).is_ok();
    let run = folder.checksum(&["tree"]);
    for path in &locked {
        fs::set_permissions(path, PermissionsExt::from_mode(0o700)).unwrap();
    }
    if root_reads_all {
        return;
    }
    assert_eq!(run.code(), 1);
    assert_eq!(run.stdout(), format!("{OF_A_LINE}  tree/a/open\n{OF_A_LINE}  tree/z\n"));
    let complaints: Vec<_> = run.complaints().collect();
    assert_eq!(
        complaints[..2],
        ["checksum: tree/a/locked: Permission denied", "checksum: tree/file: Permission denied"].map(str::to_owned)
    );
}

#[test]
fn unusable_arguments_give_one_line_and_code_2() {
    let folder = Folder::new();
    folder.write("f", b"");
    for arguments in [
        &["--unknown"][..],
        &["-x", "f"],
        &["--new\nline"],
        &["--jobs"],
        &["--jobs", "0"],
        &["--jobs", "-1"],
        &["--jobs", "many"],
        &["--jobs", ""],
        &["--jobs", "99999999999999999999999"],
        &["--order", "random"],
        &["--order"],
        &["--timeout"],
        &["--timeout", "5"],
        &["--timeout", "s"],
        &["--timeout", "-1s"],
        &["--timeout", ".5s"],
        &["--timeout", "1.s"],
        &["--timeout", "1.2.3s"],
        &["--timeout", "1 s"],
        &["--timeout", "0s"],
        &["--timeout", "999999999999999999999h"],
        &["--timeout", "999999999999999999999999999999999999999999h"],
        &["--timeout", "1s\n"],
        &["--help=me"],
    ] {
        let run = folder.checksum(arguments);
        assert_eq!(run.code(), 2, "{arguments:?}");
        assert_eq!(run.stdout(), "", "{arguments:?}");
        assert_eq!(run.stderr().lines().count(), 1, "{arguments:?}: {}", run.stderr());
        assert!(run.stderr().starts_with("checksum: "), "{}", run.stderr());
    }
}

#[test]
fn times_are_read_with_and_without_fractions() {
    let folder = Folder::new();
    folder.write("f", b"a\n");
    for timeout in ["500s", "1.5m", "0.0000000001h", "90000ms", "1h", "18446744073709551615s"] {
        assert_ne!(folder.checksum(&["--timeout", timeout, "-j1", "--", "f"]).code(), 2, "{timeout}");
    }
}

#[test]
fn help_and_version_are_printed() {
    let folder = Folder::new();
    let help = folder.checksum(&["--help"]).succeeds();
    for word in ["--jobs", "--order", "--timeout", "--help", "--version", "default"] {
        assert!(help.contains(word), "{word}");
    }
    assert!(folder.checksum(&["-V"]).succeeds().contains(env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_read_that_takes_too_long_is_reported_and_the_program_ends() {
    let folder = Folder::new();
    folder.write("a", b"a\n");
    folder.write("b", b"b\n");
    folder.make_pipe("pipe");
    for jobs in ["1", "4"] {
        let started = Instant::now();
        let run = folder.checksum(&["--jobs", jobs, "--timeout", "1s", "a", "pipe", "b"]);
        let took = started.elapsed();
        assert_eq!(run.code(), 1);
        assert_eq!(run.stdout(), format!("{OF_A_LINE}  a\n{OF_B_LINE}  b\n"));
        assert_eq!(run.complaints().next().unwrap(), "checksum: pipe: timed out after 1s");
        assert!(took >= Duration::from_secs(1) && took < Duration::from_secs(10), "{took:?}");
    }
}

#[test]
fn never_more_files_are_in_flight_than_jobs() {
    let folder = Folder::new();
    for number in 0..50 {
        folder.write(format!("tree/{number}"), b"a\n");
    }
    let pipes: Vec<String> = (0..5).map(|number| format!("pipe{number}")).collect();
    for pipe in &pipes {
        folder.make_pipe(pipe);
    }
    let mut arguments = vec!["--jobs", "3", "--timeout", "1s", "--order", "completed", "tree"];
    arguments.extend(pipes.iter().map(String::as_str));
    let run = folder.checksum(&arguments);
    assert_eq!(run.code(), 1);
    assert!(run.summary().contains(" 50 files, "), "{}", run.summary());
    assert!(run.summary().contains(", 5 failures, at most 3 in flight, "), "{}", run.summary());
}

#[test]
fn more_jobs_than_files_may_be_open_are_no_failure() {
    let folder = Folder::new();
    folder.write("a", b"a\n");
    let pipes: Vec<String> = (0..40).map(|number| format!("pipe{number:02}")).collect();
    for pipe in &pipes {
        folder.make_pipe(pipe);
    }
    let program = "ulimit -S -n 24; exec \"$0\" --jobs 64 --timeout 1s a pipe*";
    let run = Run { output: folder.command("sh").args(["-c", program]).arg(example()).output().unwrap() };
    assert_eq!(run.stdout(), format!("{OF_A_LINE}  a\n"));
    assert_eq!(run.complaints().filter(|line| line.ends_with(": timed out after 1s")).count(), 40, "{}", run.stderr());
}

#[test]
fn ctrl_c_finishes_what_is_being_read_and_takes_nothing_more() {
    let folder = Folder::new();
    folder.write("a", b"a\n");
    folder.write("b", b"b\n");
    folder.make_pipe("pipe");
    let mut run = folder.start(&["--jobs", "1", "a", "pipe", "b"]);
    // The pipe is open on both sides, so its read has begun.
    let mut pipe = File::options().write(true).open(folder.path.join("pipe")).unwrap();
    let mut stderr = BufReader::new(run.stderr.take().unwrap());
    interrupt(run.id());
    let mut notice = String::new();
    stderr.read_line(&mut notice).unwrap();
    assert!(notice.starts_with("checksum: interrupted"), "{notice}");

    pipe.write_all(b"a\n").unwrap();
    drop(pipe);
    let mut summary = String::new();
    stderr.read_to_string(&mut summary).unwrap();
    let run = Run::end(run);
    assert_eq!(run.code(), 130);
    assert_eq!(run.stdout(), format!("{OF_A_LINE}  a\n{OF_A_LINE}  pipe\n"));
    assert!(summary.starts_with("checksum: 2 files, 4 bytes, 0 failures, at most 1 in flight"), "{summary}");
}

#[test]
fn a_second_ctrl_c_ends_the_program_at_once() {
    let folder = Folder::new();
    folder.make_pipe("pipe");
    let mut run = folder.start(&["pipe"]);
    let pipe = File::options().write(true).open(folder.path.join("pipe")).unwrap();
    let mut stderr = BufReader::new(run.stderr.take().unwrap());
    interrupt(run.id());
    stderr.read_line(&mut String::new()).unwrap();
    interrupt(run.id());
    assert_eq!(Run::end(run).code(), 130);
    drop(pipe);
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly() {
    let folder = Folder::new();
    plant(&folder);
    let completed = ["--jobs", "64", "--order", "completed", "tree"];
    let by_key = ["--order", "key", "tree"];
    for arguments in [&["tree"][..], &completed, &by_key, &["--help"]] {
        let mut run = folder.command_with(arguments).stdout(closed_pipe()).spawn().unwrap();
        drop(run.stdin.take());
        let run = Run::end(run);
        assert_eq!(run.code(), 141, "{arguments:?}");
        assert_eq!(run.stderr(), "", "{arguments:?}");
    }
}

#[test]
fn a_standard_error_that_nobody_reads_changes_nothing() {
    let folder = Folder::new();
    folder.write("a", b"a\n");
    let run = folder.command_with(&["missing", "a"]).stderr(closed_pipe()).output().unwrap();
    let run = Run { output: run };
    assert_eq!(run.code(), 1);
    assert_eq!(run.stdout(), format!("{OF_A_LINE}  a\n"));
}

#[test]
fn output_that_cannot_be_written_is_reported() {
    let Ok(full) = File::options().write(true).open("/dev/full") else { return };
    let folder = Folder::new();
    folder.write("a", b"a\n");
    for arguments in [&["a"][..], &["--help"]] {
        let run = folder.command_with(arguments).stdout(full.try_clone().unwrap()).output().unwrap();
        let run = Run { output: run };
        assert_eq!(run.code(), 1);
        assert_eq!(run.stderr(), "checksum: standard output: No space left on device\n");
    }
}

/// 205 files in folders, of sizes around those at which something changes.
fn plant(folder: &Folder) {
    for number in 0..200_usize {
        let name = format!("tree/{}/{}/{number}", number % 7, number % 3);
        folder.write(name, number.to_string().repeat(number).as_bytes());
    }
    folder.write("tree/large", &b"a".repeat(1_000_000));
    folder.write("tree/empty", b"");
    for size in [65_535, 65_536, 65_537] {
        folder.write(format!("tree/chunk-{size}"), &b"c".repeat(size));
    }
}

/// Names are plain here.
fn lines_of_folders(lines: &str) -> BTreeMap<&str, Vec<&str>> {
    let mut folders = BTreeMap::<_, Vec<_>>::new();
    for line in lines.lines() {
        let (folder, _) = line[66..].rsplit_once('/').unwrap();
        folders.entry(folder).or_default().push(line);
    }
    folders
}

fn sorted(lines: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = lines.lines().collect();
    lines.sort_unstable();
    lines
}

fn sha256sum_is_installed() -> bool {
    Command::new("sha256sum")
        .arg("--version")
        .output()
        .is_ok_and(|version| version.stdout.starts_with(b"sha256sum (GNU"))
}

fn interrupt(process: u32) {
    let kill = Command::new("sh").arg("-c").arg(format!("kill -INT {process}")).status().unwrap();
    assert!(kill.success());
}

/// The writing end of a pipe whose reading end is gone.
fn closed_pipe() -> Stdio {
    let mut reader = Command::new("true").stdin(Stdio::piped()).spawn().unwrap();
    let writer = reader.stdin.take().unwrap();
    reader.wait().unwrap();
    Stdio::from(writer)
}

/// A folder of one test's own, which is removed at its end.
struct Folder {
    path: PathBuf,
}

impl Folder {
    fn new() -> Folder {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("checksum-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Folder { path }
    }

    fn write(&self, name: impl AsRef<Path>, bytes: &[u8]) {
        let path = self.path.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn make_pipe(&self, name: &str) {
        assert!(self.command("mkfifo").arg(name).status().unwrap().success());
    }

    fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.path).env("LC_ALL", "C");
        command
    }

    /// The example, all of its ends piped.
    fn command_with(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(example());
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn start(&self, arguments: &[&str]) -> std::process::Child {
        self.command_with(arguments).spawn().unwrap()
    }

    fn checksum(&self, arguments: &[&str]) -> Run {
        Run::end(self.start(arguments))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// What the example did.
struct Run {
    output: Output,
}

impl Run {
    fn end(run: std::process::Child) -> Run {
        Run { output: run.wait_with_output().unwrap() }
    }

    /// Its lines, given that all went well.
    #[track_caller]
    fn succeeds(self) -> String {
        assert_eq!(self.code(), 0, "{}", self.stderr());
        assert!(self.complaints().count() <= 1, "more than the summary: {}", self.stderr());
        self.stdout()
    }

    #[track_caller]
    fn code(&self) -> i32 {
        self.output.status.code().unwrap_or_else(|| panic!("ended by a signal: {:?}", self.output))
    }

    fn stdout(&self) -> String {
        String::from_utf8(self.output.stdout.clone()).unwrap()
    }

    fn stderr(&self) -> String {
        String::from_utf8(self.output.stderr.clone()).unwrap()
    }

    fn complaints(&self) -> impl Iterator<Item = String> {
        self.stderr().lines().map(str::to_owned).collect::<Vec<_>>().into_iter()
    }

    fn summary(&self) -> String {
        self.complaints().last().unwrap()
    }
}

/// The example, which `cargo test` puts beside the tests. `cargo test --test checksum` does not, or leaves an old one; then it is
/// built here.
fn example() -> &'static Path {
    static EXAMPLE: OnceLock<PathBuf> = OnceLock::new();
    EXAMPLE.get_or_init(|| {
        // target/[TRIPLE/]PROFILE/deps/checksum-HASH
        let test = env::current_exe().unwrap();
        let profile = test.parent().and_then(Path::parent).unwrap();
        let example = profile.join("examples/checksum");
        if !is_newer(&example, &["src", "examples/checksum", "Cargo.toml"]) {
            build(profile);
        }
        example
    })
}

fn is_newer(file: &Path, sources: &[&str]) -> bool {
    let Ok(built) = fs::metadata(file).and_then(|metadata| metadata.modified()) else { return false };
    let mut left: Vec<PathBuf> = sources.iter().map(|name| Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).collect();
    while let Some(path) = left.pop() {
        let metadata = fs::metadata(&path).unwrap();
        if metadata.is_dir() {
            left.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if metadata.modified().unwrap() > built {
            return false;
        }
    }
    true
}

fn build(profile: &Path) {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.current_dir(env!("CARGO_MANIFEST_DIR")).args(["build", "--quiet", "--example", "checksum"]);
    build.arg("--profile").arg(match profile.file_name().unwrap() {
        name if name == "debug" => OsStr::new("dev"),
        name => name,
    });
    let above = profile.parent().unwrap();
    let name = above.file_name().unwrap();
    // A target's triple, as in x86_64-unknown-linux-gnu, when the tests were built for a named target.
    if name.to_string_lossy().matches('-').count() >= 2 {
        build.arg("--target").arg(name).arg("--target-dir").arg(above.parent().unwrap());
    } else {
        build.arg("--target-dir").arg(above);
    }
    assert!(build.status().unwrap().success(), "the example does not build");
}
