//! How many partitions, and which rows each has.

use std::ops::Range;

use hypernodes_graph::WorkloadType;

fn partitions_per_worker(workload: WorkloadType) -> usize {
    match workload {
        WorkloadType::Io => 4,
        WorkloadType::Cpu => 2,
        WorkloadType::Mixed => 3,
    }
}

/// Rows of a partition at least and at most, where nobody says otherwise.
const ROWS: (usize, usize) = (10, 1000);
/// Partitions for each worker at most.
const PER_WORKER: usize = 10;

/// The number of partitions for `rows` rows on so many workers.
///
/// What the workload asks for, within one and ten partitions for each worker; then what keeps
/// partitions between 10 and 1,000 rows, which counts for more; then the nearest power of two,
/// if it is less than 30 % away.
pub(super) fn automatic(rows: usize, workers: usize, workload: WorkloadType) -> usize {
    let least = workers.max(2);
    let most = rows.min(workers.saturating_mul(PER_WORKER));
    let wished = workers.saturating_mul(partitions_per_worker(workload));
    let bounded = wished.min(most).max(least);
    let (fewest, finest) = ((rows / ROWS.1).max(1), (rows / ROWS.0).max(1));
    let bounded = bounded.min(finest).max(fewest);
    let power = nearest_power_of_two(bounded);
    if power.abs_diff(bounded).saturating_mul(10) < bounded.saturating_mul(3) {
        power
    } else {
        bounded
    }
}

/// The power of two that is nearest by its exponent.
fn nearest_power_of_two(number: usize) -> usize {
    let exponent = number.ilog2();
    let below = 1_usize << exponent;
    // The middle between two exponents is below * sqrt(2).
    let is_upper = (number as f64) > (below as f64) * std::f64::consts::SQRT_2;
    if is_upper {
        below.saturating_mul(2)
    } else {
        below
    }
}

/// The rows of partition `part` of `parts`, whose sizes differ by one at most.
pub(super) fn range(rows: usize, part: usize, parts: usize) -> Range<usize> {
    let (size, longer) = (rows / parts, rows % parts);
    let start = part * size + part.min(longer);
    start..start + size + usize::from(part < longer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e09_e10_partitions_follow_workload_workers_and_rows() {
        use WorkloadType::{Cpu, Io, Mixed};
        for (rows, workers, workload, expected) in [
            // By the workload: 4, 2 and 3 for each of 8 workers; 24 is too far from 32 and 16.
            (10_000, 8, Io, 32),
            (10_000, 8, Cpu, 16),
            (10_000, 8, Mixed, 24),
            // 16 is too far from 12, 8 from 6; 4 is not from 5.
            (10_000, 4, Mixed, 12),
            (5_000, 2, Mixed, 6),
            (50, 4, Mixed, 4),
            // Ten rows at least: fewer partitions than workers, at last one.
            (40, 8, Cpu, 4),
            (19, 8, Io, 1),
            (5, 4, Mixed, 1),
            (0, 4, Mixed, 1),
            // A thousand rows at most, whatever the workers.
            (1_000_000, 2, Cpu, 1024),
            (10_000, 2, Mixed, 8),
            (100_000, 1, Cpu, 128),
            (60_000, 1, Io, 64),
            // Two at least where there are rows enough.
            (1_000, 1, Cpu, 2),
        ] {
            let made = automatic(rows, workers, workload);
            assert_eq!(
                made, expected,
                "{rows} rows, {workers} workers, {workload:?}"
            );
        }
    }

    #[test]
    fn partitions_cover_the_rows_in_order() {
        for (rows, parts) in [(10, 3), (3, 3), (1, 1), (1000, 7)] {
            let rows_of_parts = (0..parts).flat_map(|part| range(rows, part, parts));
            assert_eq!(
                rows_of_parts.collect::<Vec<_>>(),
                (0..rows).collect::<Vec<_>>()
            );
            let sizes = (0..parts).map(|part| range(rows, part, parts).len());
            assert!(sizes.clone().max() <= sizes.min().map(|least| least + 1));
        }
    }
}
