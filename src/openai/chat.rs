//! Chat completions as types: only what a translation reads or writes.
