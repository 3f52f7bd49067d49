//! The package of the examples, which lie beside this folder: one story each.
