package node

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/serializer"
	auditapi "k8s.io/apiserver/pkg/apis/audit"
	"k8s.io/apiserver/pkg/audit/policy"
	kubeletapi "k8s.io/kubernetes/pkg/kubelet/apis/config"
	kubeletscheme "k8s.io/kubernetes/pkg/kubelet/apis/config/scheme"
)

var sample = Layout{Dir: "/srv/cluster", ContainerdDir: "/opt/containerd", Network: 5}

func rendered(t *testing.T, name string) []byte {
	t.Helper()
	text, err := render(sample, name)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestEveryTemplateIsRendered(t *testing.T) {
	entries, err := templates.ReadDir("config")
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != len(configs) {
		t.Errorf("there are %d templates, and %d are written", len(entries), len(configs))
	}
	for name := range configs {
		if text := string(rendered(t, name)); strings.Contains(text, "{{") || strings.Contains(text, "<no value>") {
			t.Errorf("%s is not fully rendered:\n%s", name, text)
		}
	}
}

func TestKubeletConfig(t *testing.T) {
	_, codecs, err := kubeletscheme.NewSchemeAndCodecs(serializer.EnableStrict)
	if err != nil {
		t.Fatal(err)
	}
	object, _, err := codecs.UniversalDecoder().Decode(rendered(t, "kubelet.yaml"), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	config, ok := object.(*kubeletapi.KubeletConfiguration)
	if !ok {
		t.Fatalf("got a %T", object)
	}
	if config.CgroupRoot != "/"+sample.Cgroup() || config.Address != sample.NodeIP() {
		t.Errorf("the kubelet would use the cgroup %s and the address %s", config.CgroupRoot, config.Address)
	}
	if len(config.ClusterDNS) != 1 || config.ClusterDNS[0] != sample.DNSServiceIP() {
		t.Errorf("pods would ask %q for names", config.ClusterDNS)
	}
}

func TestAuditPolicy(t *testing.T) {
	loaded, err := policy.LoadPolicyFromBytes(rendered(t, "audit.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if last := loaded.Rules[len(loaded.Rules)-1]; last.Level != auditapi.LevelNone {
		t.Errorf("what no rule names is logged at level %s", last.Level)
	}
}

func TestCniConfig(t *testing.T) {
	var config struct {
		Plugins []struct {
			Type string
			Ipam struct{ Ranges [][]struct{ Subnet string } }
		}
	}
	if err := json.Unmarshal(rendered(t, "cni.conflist"), &config); err != nil {
		t.Fatal(err)
	}
	if got := config.Plugins[0].Ipam.Ranges[0][0].Subnet; got != sample.PodCIDR() {
		t.Errorf("pods would get addresses of %s, not of %s", got, sample.PodCIDR())
	}
}

func TestContainerdStaysInTheCluster(t *testing.T) {
	text := string(rendered(t, "containerd.toml"))
	for _, want := range []string{sample.ContainerdSocket(), filepath.Dir(sample.Config("cni/x"))} {
		if !strings.Contains(text, "'"+want+"'") {
			t.Errorf("%s is not in containerd's configuration", want)
		}
	}
}

func TestComponentsAreToldApart(t *testing.T) {
	seen := map[string]bool{}
	for _, component := range Components(sample) {
		if component.Name == "" || seen[component.Name] {
			t.Errorf("the name %q is used twice or empty", component.Name)
		}
		seen[component.Name] = true
	}
}
