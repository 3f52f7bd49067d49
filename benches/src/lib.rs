//! The package of the benchmarks, each beside its baseline in the same process.
