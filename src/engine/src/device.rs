//! Where the model is computed.

use std::{fmt, str::FromStr};

use crate::LoadError;

/// What holds the tensors and computes with them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Device {
    /// The processor.
    #[default]
    Cpu,
    /// A GPU, counted from 0 among those that the process may use.
    Cuda(usize),
}

impl Device {
    /// libtorch's name of it. For GPUs this loads libtorch's CUDA half, which programs for machines
    /// without one need not have.
    ///
    /// # Errors
    /// When there is no such device.
    pub(crate) fn open(self) -> Result<tch::Device, LoadError> {
        let Self::Cuda(index) = self else {
            return Ok(tch::Device::Cpu);
        };
        engine_sys::cuda::load().map_err(LoadError::Device)?;
        let count = tch::Cuda::device_count();
        match usize::try_from(count).is_ok_and(|count| index < count) {
            true => Ok(tch::Device::Cuda(index)),
            false => Err(LoadError::Device(format!(
                "no CUDA device {index}: there are {count}, counted from 0"
            ))),
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
        }
    }
}

impl FromStr for Device {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let index = |text: &str| text.strip_prefix("cuda:")?.parse().ok();
        match text {
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            other => index(other)
                .map(Self::Cuda)
                .ok_or_else(|| format!("{other:?} is not a device: use cpu, cuda or cuda:N")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_written_as_they_are_read() {
        for text in ["cpu", "cuda:0", "cuda:3"] {
            assert_eq!(text.parse::<Device>().unwrap().to_string(), text);
        }
        assert_eq!("cuda".parse(), Ok(Device::Cuda(0)));
        for text in ["gpu", "cuda:", "cuda:-1", "CPU"] {
            assert!(text.parse::<Device>().unwrap_err().contains("cuda:N"));
        }
    }

    #[test]
    fn a_device_that_is_not_there_is_refused() {
        let error = Device::Cuda(4096).open().unwrap_err().to_string();
        assert!(error.contains("no CUDA device"), "{error}");
    }
}
