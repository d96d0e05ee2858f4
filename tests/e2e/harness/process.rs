//! Child processes that never outlive the test binary, however it ends.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use super::dist;

/// Runs `"$@"` until it ends by itself or nobody holds the other end of standard input any more.
///
/// A pipe needs no clean end of the parent, as a guard's `Drop` does, and no thread that lives as long, as Linux's
/// parent death signal does.
const GUARD: &str = r#"exec 3<&0
"$@" 3<&- </dev/null &
pid=$!
(cat <&3; kill -9 $pid) >/dev/null 2>&1 &
wait $pid"#;

/// A running child.
pub(crate) struct Process {
    child: Child,
}

impl Process {
    /// Starts `command` with its output in files of `folder`.
    pub(crate) fn start(command: &[&str], env: &[(&str, &str)], folder: &Path) -> Self {
        let file = |name: &str| File::create(folder.join(name)).unwrap();
        let mut sh = Command::new("sh");
        sh.args(["-c", GUARD, "sh"]).args(command).envs(env.iter().copied());
        sh.stdin(Stdio::piped()).stdout(file("stdout")).stderr(file("stderr"));
        Self { child: sh.spawn().expect("sh is there") }
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// Runs the native command to its end.
pub(crate) fn tollgate(args: &[&str]) -> Output {
    Command::new(dist("tollgate")).args(args).output().unwrap()
}
