//! Hosted models.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::common::{SecretKeyRef, pattern};

/// A model that somebody else hosts: exactly one of the services is set.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.openAI), has(self.azureOpenAI), has(self.anthropic), has(self.gemini), \
        has(self.openAICompatible)].filter(x, x).size() == 1")
    .message("source.provider needs exactly one of openAI, azureOpenAI, anthropic, gemini and openAICompatible"))]
pub struct Provider {
    /// OpenAI.
    #[serde(rename = "openAI")]
    pub open_ai: Option<OpenAi>,
    /// Azure OpenAI.
    #[serde(rename = "azureOpenAI")]
    pub azure_open_ai: Option<AzureOpenAi>,
    /// Anthropic.
    pub anthropic: Option<ProviderModel>,
    /// Google Gemini.
    pub gemini: Option<ProviderModel>,
    /// Any other service with OpenAI's API.
    #[serde(rename = "openAICompatible")]
    pub open_ai_compatible: Option<OpenAiCompatibleProvider>,
    /// What tokens cost, for budgets and reports. Default: nothing is reckoned.
    pub pricing: Option<Pricing>,
}

/// A model of a service that is known by its name and a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProviderModel {
    /// The service's name of the model.
    #[schemars(length(min = 1, max = 256))]
    pub model: String,
    /// API key.
    pub credentials_secret_ref: SecretKeyRef,
}

/// A model of OpenAI.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OpenAi {
    /// OpenAI's name of the model.
    #[schemars(length(min = 1, max = 256))]
    pub model: String,
    /// API key.
    pub credentials_secret_ref: SecretKeyRef,
    /// Organization that is billed. Default: the key's own.
    #[schemars(length(min = 1, max = 256))]
    pub organization: Option<String>,
}

/// A deployment of Azure OpenAI.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.credentialsSecretRef) != has(self.workloadIdentity)")
    .message("source.provider.azureOpenAI needs exactly one of credentialsSecretRef and workloadIdentity"))]
pub struct AzureOpenAi {
    /// Endpoint of the resource: `https://NAME.openai.azure.com`.
    #[schemars(length(max = 2048), regex(pattern = pattern::HTTP_URL))]
    pub endpoint: String,
    /// Name of the deployment.
    #[schemars(length(min = 1, max = 256))]
    pub deployment: String,
    /// Version of the API: `2024-10-21`.
    #[schemars(length(max = 32), regex(pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2}(-preview)?$"))]
    pub api_version: String,
    /// API key.
    pub credentials_secret_ref: Option<SecretKeyRef>,
    /// Microsoft Entra workload identity.
    pub workload_identity: Option<WorkloadIdentity>,
}

/// A Microsoft Entra identity, application or managed, with a federated credential for a ServiceAccount of the model's
/// namespace. The gateway takes it on once it may issue that ServiceAccount's tokens: a Role with the verb `create` on
/// `serviceaccounts/token` and its name under `resourceNames`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadIdentity {
    /// Client id of the identity.
    #[schemars(length(min = 1, max = 64))]
    pub client_id: String,
    /// Tenant of the identity.
    #[schemars(length(min = 1, max = 64), regex(pattern = "^[-.a-zA-Z0-9]+$"))]
    pub tenant_id: String,
    /// The ServiceAccount, in the model's namespace, that the identity trusts.
    #[schemars(length(min = 1, max = 253))]
    pub service_account_name: String,
}

/// A service with OpenAI's API.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.caSecretRef) || self.url.startsWith('https://')")
    .message("source.provider.openAICompatible.caSecretRef needs a url that begins with https://"))]
pub struct OpenAiCompatibleProvider {
    /// Base URL, up to and including the `/v1`.
    #[schemars(length(max = 2048), regex(pattern = pattern::HTTP_URL))]
    pub url: String,
    /// The service's name of the model.
    #[schemars(length(min = 1, max = 256))]
    pub model: String,
    /// API key. Default: requests carry none.
    pub credentials_secret_ref: Option<SecretKeyRef>,
    /// Certificates, in PEM, of authorities that the service's own may be from, beside the public ones. Default: the public ones alone.
    pub ca_secret_ref: Option<SecretKeyRef>,
}

/// What tokens cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Pricing {
    /// Price of a million prompt tokens, as a decimal string: `"0.15"`.
    #[schemars(length(max = 32), regex(pattern = pattern::DECIMAL))]
    pub input_per_million: String,
    /// Price of a million answer tokens, as a decimal string.
    #[schemars(length(max = 32), regex(pattern = pattern::DECIMAL))]
    pub output_per_million: String,
    /// Currency by ISO 4217. Default: USD.
    #[serde(default = "dollars")]
    #[schemars(length(max = 3), regex(pattern = "^[A-Z]{3}$"))]
    pub currency: String,
}

fn dollars() -> String {
    "USD".into()
}
