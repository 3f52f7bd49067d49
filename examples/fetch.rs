//! Fetches the pages of a Parquet column of URLs: many calls wait at once, some are slow, some
//! fail, and the table keeps its order.
//!
//! `cargo run --release --example fetch`

#![expect(clippy::print_stdout, reason = "a program for a terminal")]

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use hypernodes::prelude::*;

const PAGES: usize = 2_000;

/// The stub's calls: now, and at their peak.
#[derive(Default)]
struct InFlight {
    now: AtomicUsize,
    peak: AtomicUsize,
}

/// One page in a hundred takes 300 ms, the others 20 ms; one in fifty fails.
async fn page(State(calls): State<Arc<InFlight>>, Path(number): Path<u64>) -> (StatusCode, String) {
    let now = calls.now.fetch_add(1, Ordering::SeqCst) + 1;
    calls.peak.fetch_max(now, Ordering::SeqCst);
    let wait = if number % 100 == 1 { 300 } else { 20 };
    tokio::time::sleep(Duration::from_millis(wait)).await;
    calls.now.fetch_sub(1, Ordering::SeqCst);
    if number % 50 == 2 {
        return (StatusCode::INTERNAL_SERVER_ERROR, "broken".into());
    }
    (StatusCode::OK, format!("page {number}"))
}

/// The body's length; null where the server answers with an error.
#[node(max_in_flight = 200)]
async fn length(
    url: &str,
    #[shared] client: &reqwest::Client,
) -> Result<Option<i64>, reqwest::Error> {
    let response = client.get(url).send().await?;
    if !response.status().is_success() {
        return Ok(None);
    }
    Ok(Some(response.text().await?.len() as i64))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let calls = Arc::new(InFlight::default());
    let stub = axum::Router::new()
        .route("/{number}", get(page))
        .with_state(Arc::clone(&calls));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let server = async move { axum::serve(listener, stub).await };
    let server = hypernodes::datafusion::common::runtime::SpawnedTask::spawn(server);

    let folder = std::env::temp_dir();
    let urls = folder.join(format!("hypernodes-fetch-{}.parquet", std::process::id()));
    let session = Session::new()?;
    let query = format!(
        "SELECT value AS n, 'http://{address}/' || value AS url FROM generate_series(1, {PAGES})"
    );
    session.sql(&query).await?.save_parquet(&urls).await?;

    let pipeline = Pipeline::new(nodes![length])?.bind_shared("client", reqwest::Client::new())?;
    println!("fetching {PAGES} pages from {address}");
    let began = Instant::now();
    let table = session.read_parquet(&urls.to_string_lossy()).await?;
    let fetched = table.apply(&pipeline)?.collect().await?;
    let took = began.elapsed();
    std::fs::remove_file(&urls)?;
    drop(server);

    let batch =
        hypernodes::datafusion::arrow::compute::concat_batches(&fetched[0].schema(), &fetched)?;
    let fetched = Outputs::from(batch);
    let numbers: Vec<i64> = fetched.column("n")?;
    assert_eq!(numbers, (1..=PAGES as i64).collect::<Vec<_>>(), "in order");
    let lengths: Vec<Option<i64>> = fetched.column("length")?;
    for (number, length) in std::iter::zip(&numbers, &lengths) {
        let expected = (number % 50 != 2).then(|| format!("page {number}").len() as i64);
        assert_eq!(*length, expected, "page {number}");
    }
    let failed = lengths.iter().filter(|length| length.is_none()).count();
    let rate = PAGES as f64 / took.as_secs_f64();
    let peak = calls.peak.load(Ordering::SeqCst);
    println!("{rate:.0} rows/s, {peak} calls in flight at the peak, {failed} pages failed");
    Ok(())
}
