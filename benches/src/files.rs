//! The files of this repository, read and hashed, several times so that there are thousands.

use std::hash::{DefaultHasher, Hasher};
use std::path::Path;
use std::sync::Arc;

use hypernodes::prelude::*;
use tokio::runtime::Runtime;
use walkdir::WalkDir;

use crate::Workload;
use crate::calls::{by_turns, cores, map};

fn hashed(path: &str) -> std::io::Result<u64> {
    let mut hasher = DefaultHasher::new();
    hasher.write(&std::fs::read(path)?);
    Ok(hasher.finish())
}

/// How often each file is read.
const TIMES: usize = 20;

/// Every file of the crates.
fn paths() -> Vec<String> {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates");
    let entries = WalkDir::new(crates).into_iter().map(Result::unwrap);
    let files = entries.filter(|entry| entry.file_type().is_file());
    let paths = files.map(|file| file.path().to_string_lossy().into_owned());
    let paths: Vec<_> = paths.collect();
    std::iter::repeat_n(paths, TIMES).flatten().collect()
}

/// The workload.
pub fn workloads(runtime: &Arc<Runtime>) -> Vec<Workload> {
    let (paths, runtime) = (paths(), Arc::clone(runtime));
    let session = Session::new().unwrap();
    let pipeline = Pipeline::new([Node::map("hash", ["path"], hashed)]).unwrap();
    let inputs = inputs! { path: items(paths.clone()) };
    let n = paths.len();
    vec![Workload {
        name: "the crates' files read and hashed, 20 times",
        strategy: "no settings",
        n,
        baseline: "a bare thread a core",
        target: 1.3,
        repeats: 15,
        run: Box::new(move || map(&runtime, &session, &pipeline, inputs.clone(), "path", n)),
        base: Box::new(move || {
            by_turns(cores(), n, |file| {
                hashed(&paths[file]).unwrap();
            });
        }),
    }]
}
