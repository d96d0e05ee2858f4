//! JSON without a second parse: an index over the members of one object, and splices into its bytes.

pub mod edit;
pub mod literal;
pub mod members;
pub mod scan;
pub mod splice;

pub use literal::{Literal, Text};
pub use members::Members;
pub use scan::{Index, Shape};
pub use splice::Splice;
