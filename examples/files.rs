//! Reads and hashes the files of a folder, by default of this repository: a blocking function
//! over a column of paths, without settings.
//!
//! `cargo run --release --example files -- FOLDER`

#![expect(clippy::print_stdout, reason = "a program for a terminal")]

use std::error::Error;
use std::hash::{DefaultHasher, Hasher};
use std::path::Path;
use std::time::Instant;

use hypernodes::prelude::*;

/// A file's length and the hash of what it holds.
#[node(outputs = ["length", "hash"])]
fn hashed(path: &str) -> std::io::Result<(u64, u64)> {
    let content = std::fs::read(path)?;
    let mut hasher = DefaultHasher::new();
    hasher.write(&content);
    Ok((content.len() as u64, hasher.finish()))
}

/// The files of a folder and of those in it, without hidden ones and what Cargo builds.
fn list(folder: &Path, found: &mut Vec<String>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let (name, kind) = (entry.file_name(), entry.file_type()?);
        if name == "target" || name.to_string_lossy().starts_with('.') {
            continue;
        }
        if kind.is_dir() {
            list(&entry.path(), found)?;
        } else if kind.is_file() {
            found.push(entry.path().to_string_lossy().into_owned());
        }
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let repository = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let folder = std::env::args().nth(1);
    let folder = Path::new(folder.as_deref().unwrap_or(repository));
    let mut paths = Vec::new();
    list(folder, &mut paths)?;
    paths.sort();

    let pipeline = Pipeline::new(nodes![hashed])?;
    let began = Instant::now();
    let made = pipeline
        .map(inputs! { path: items(paths.clone()) })
        .over("path")
        .await?;
    let took = began.elapsed();

    let (lengths, hashes): (Vec<u64>, Vec<u64>) = (made.column("length")?, made.column("hash")?);
    for ((path, length), hash) in paths.iter().zip(&lengths).zip(&hashes) {
        assert_eq!(hashed(path)?, (*length, *hash), "{path}");
    }
    println!(
        "{} files of {} bytes hashed in {took:.1?}",
        paths.len(),
        lengths.iter().sum::<u64>()
    );
    Ok(())
}
