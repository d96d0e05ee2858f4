//! (skeleton)
/// Prices.
#[derive(Debug)] pub struct Price;
/// Window.
#[derive(Clone, Debug, PartialEq, Eq)] pub struct Window;
