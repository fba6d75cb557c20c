//! Training on libtorch's automatic differentiation: networks, methods, objectives, optimizers, and states that a
//! training goes on from exactly.
