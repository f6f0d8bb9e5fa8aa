//! The same handler as webhook-intake's in Python, on boto3, and in JavaScript, on the AWS SDK: signature, reading,
//! queueing, one line of log. They serve the Runtime API with what their languages bring, and so leave out what their
//! runtimes on Lambda add.

use std::path::{Path, PathBuf};

/// Another program for the same work.
#[derive(Debug, Clone)]
pub struct Rival {
    /// What it is called.
    pub name: &'static str,
    /// How it is started.
    pub command: Vec<PathBuf>,
}

/// Those that can be run here.
#[derive(Debug, Clone, Default)]
pub struct Rivals {
    rivals: Vec<Rival>,
    missing: Vec<String>,
}

impl Rivals {
    /// Looks for them. `python` has boto3, and `node_modules` the SDK, when they are there.
    pub fn find(root: &Path, python: Option<PathBuf>, node: Option<PathBuf>) -> Self {
        let below = root.join("tests/bench/rivals");
        let mut found = Self::default();
        for (name, interpreter, file) in [("Python", python, "intake.py"), ("Node", node, "intake.mjs")] {
            match interpreter {
                Some(interpreter) => found.rivals.push(Rival { name, command: vec![interpreter, below.join(file)] }),
                None => found.missing.push(format!("{name} is not there, so nothing was measured beside it.")),
            }
        }
        found
    }

    /// Each of them.
    pub fn programs(&self) -> &[Rival] {
        &self.rivals
    }

    /// A sentence for each that is missing.
    pub fn missing(&self) -> &[String] {
        &self.missing
    }
}
