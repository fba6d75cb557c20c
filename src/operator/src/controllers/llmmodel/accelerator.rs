//! Accelerators of pods, and what their names tell of their vendors.

use api::common;

/// Vendors by the domain of their extended resources and the end of their device classes' names, with the taint that
/// their device plugins, or clouds, usually put on nodes with their devices.
const VENDORS: [(&str, &str, &str); 5] = [
    ("nvidia.com", "nvidia.com", NVIDIA),
    ("amd.com", "amd.com", "amd.com/gpu"),
    ("habana.ai", "gaudi.intel.com", "habana.ai/gaudi"),
    ("aws.amazon.com", "neuron.aws.com", "aws.amazon.com/neuron"),
    ("google.com", "tpu.google.com", "google.com/tpu"),
];
const NVIDIA: &str = "nvidia.com/gpu";

/// Devices that each pod gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accelerator {
    /// How they are asked for.
    pub kind: Kind,
    /// How many.
    pub count: i32,
}

/// How devices are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An extended resource of a device plugin.
    Resource(String),
    /// A DeviceClass of dynamic resource allocation.
    Class(String),
}

impl Accelerator {
    /// What a spec asks for; the schema sees to it that it names one of both.
    pub fn new(asked: &common::Accelerator) -> Option<Self> {
        let resource = asked.resource_name.clone().map(Kind::Resource);
        let class = || asked.device_class_name.clone().map(Kind::Class);
        Some(Self {
            kind: resource.or_else(class)?,
            count: asked.count,
        })
    }

    /// Name of the resource or of the class.
    pub fn name(&self) -> &str {
        match &self.kind {
            Kind::Resource(name) | Kind::Class(name) => name,
        }
    }

    /// Name of the class, with dynamic resource allocation.
    pub fn class(&self) -> Option<&str> {
        match &self.kind {
            Kind::Class(name) => Some(name),
            Kind::Resource(_) => None,
        }
    }

    /// Name of the extended resource.
    pub fn resource(&self) -> Option<&str> {
        match &self.kind {
            Kind::Resource(name) => Some(name),
            Kind::Class(_) => None,
        }
    }

    /// Whether the devices are known to be NVIDIA's.
    pub fn is_nvidia(&self) -> bool {
        self.vendors_taint() == Some(NVIDIA)
    }

    /// The key of the taint that keeps other pods off nodes with such devices, where it is known: that of the vendor,
    /// or the name of the resource, as Kubernetes' admission plugin ExtendedResourceToleration has it.
    pub fn taint(&self) -> Option<&str> {
        self.vendors_taint()
            .or_else(|| self.resource().filter(|name| name.contains('/')))
    }

    fn vendors_taint(&self) -> Option<&'static str> {
        let is_of = |domain: &str, class: &str| match &self.kind {
            Kind::Resource(name) => name.split_once('/').is_some_and(|(found, _)| found == domain),
            Kind::Class(name) => is_below(name, class),
        };
        let mut vendors = VENDORS.into_iter();
        let (_, _, taint) = vendors.find(|(domain, class, _)| is_of(domain, class))?;
        Some(taint)
    }
}

/// Whether a name is a domain or one below it.
fn is_below(name: &str, domain: &str) -> bool {
    let rest = name.strip_suffix(domain);
    rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("nvidia.com/gpu", Some("nvidia.com/gpu"), true)]
    #[case("nvidia.com/mig-1g.5gb", Some("nvidia.com/gpu"), true)]
    #[case("amd.com/gpu", Some("amd.com/gpu"), false)]
    #[case("habana.ai/gaudi", Some("habana.ai/gaudi"), false)]
    #[case("aws.amazon.com/neuroncore", Some("aws.amazon.com/neuron"), false)]
    #[case("google.com/tpu", Some("google.com/tpu"), false)]
    #[case("gpu.intel.com/xe", Some("gpu.intel.com/xe"), false)]
    #[case("npu", None, false)]
    fn resources_tell_their_vendor(#[case] name: &str, #[case] taint: Option<&str>, #[case] nvidia: bool) {
        let kind = Kind::Resource(name.into());
        let asked = Accelerator { kind, count: 1 };
        assert_eq!((asked.taint(), asked.is_nvidia()), (taint, nvidia));
    }

    #[rstest]
    #[case("gpu.nvidia.com", Some("nvidia.com/gpu"), true)]
    #[case("mig.nvidia.com", Some("nvidia.com/gpu"), true)]
    #[case("notnvidia.com", None, false)]
    #[case("gpu.amd.com", Some("amd.com/gpu"), false)]
    #[case("gaudi.intel.com", Some("habana.ai/gaudi"), false)]
    #[case("gpu.intel.com", None, false)]
    #[case("large", None, false)]
    fn classes_tell_their_vendor(#[case] name: &str, #[case] taint: Option<&str>, #[case] nvidia: bool) {
        let kind = Kind::Class(name.into());
        let asked = Accelerator { kind, count: 1 };
        assert_eq!((asked.taint(), asked.is_nvidia()), (taint, nvidia));
    }
}
