//! Reads and hashes the files of a folder, by default of this repository: a blocking function
//! over a column of paths, without settings.
//!
//! `cargo run --release --example files -- FOLDER`

#![expect(clippy::print_stdout, reason = "a program for a terminal")]

use std::error::Error;
use std::hash::{DefaultHasher, Hasher};
use std::time::Instant;

use hypernodes::prelude::*;
use walkdir::{DirEntry, WalkDir};

/// A file's length and the hash of what it holds.
#[node(outputs = ["length", "hash"])]
fn hashed(path: &str) -> std::io::Result<(u64, u64)> {
    let content = std::fs::read(path)?;
    let mut hasher = DefaultHasher::new();
    hasher.write(&content);
    Ok((content.len() as u64, hasher.finish()))
}

/// The files of a folder and of those in it, by name, without hidden ones and what Cargo builds.
fn list(folder: &str) -> walkdir::Result<Vec<String>> {
    let is_wanted = |entry: &DirEntry| {
        let name = entry.file_name().to_string_lossy();
        entry.depth() == 0 || !(name == "target" || name.starts_with('.'))
    };
    let entries = WalkDir::new(folder).sort_by_file_name().into_iter();
    let mut found = Vec::new();
    for entry in entries.filter_entry(is_wanted) {
        let entry = entry?;
        if entry.file_type().is_file() {
            found.push(entry.path().to_string_lossy().into_owned());
        }
    }
    Ok(found)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let repository = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let folder = std::env::args().nth(1);
    let paths = list(folder.as_deref().unwrap_or(repository))?;

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
