//! Processes that train together. The transport is a trait: TCP on CPUs now, NCCL on GPUs later.

pub mod ring;

/// A process among those of a training, which all call the same operations in the same order.
pub trait Group: Send {
    /// Its number, from 0.
    fn rank(&self) -> usize;
    /// How many there are.
    fn size(&self) -> usize;
    /// Adds the values of all, element by element; everybody gets the same sums, bit by bit.
    ///
    /// # Errors
    /// When another process is lost.
    fn all_reduce(&mut self, values: &mut [f32]) -> Result<(), Lost>;
    /// Gives everybody what rank 0 has.
    ///
    /// # Errors
    /// When another process is lost.
    fn broadcast(&mut self, bytes: &mut Vec<u8>) -> Result<(), Lost>;
}

/// Another process is lost: all begin again from the last checkpoint.
#[derive(Debug, thiserror::Error)]
#[error("rank {rank} was lost: {why}")]
pub struct Lost {
    /// Whose connection it was.
    pub rank: usize,
    /// What happened to it.
    pub why: String,
}

/// A training in one process.
#[derive(Clone, Copy, Debug, Default)]
pub struct Alone;

impl Group for Alone {
    fn rank(&self) -> usize {
        0
    }

    fn size(&self) -> usize {
        1
    }

    fn all_reduce(&mut self, _values: &mut [f32]) -> Result<(), Lost> {
        Ok(())
    }

    fn broadcast(&mut self, _bytes: &mut Vec<u8>) -> Result<(), Lost> {
        Ok(())
    }
}
