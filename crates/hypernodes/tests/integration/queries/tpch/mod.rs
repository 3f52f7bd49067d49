//! The 22 queries of TPC-H with nodes in the places of expensive functions: what each calls,
//! against a count of the rows that need it.

mod cases;
mod counted;
mod functions;
mod tables;
