//! The Python extension `sopasync._core`.
