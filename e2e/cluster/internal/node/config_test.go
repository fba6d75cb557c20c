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

func rendered(t *testing.T, values any, name string) []byte {
	t.Helper()
	text, err := render(values, name)
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
	if written := len(configs) + len(nodeConfigs); len(entries) != written {
		t.Errorf("there are %d templates, and %d are written", len(entries), written)
	}
	for _, entry := range entries {
		name := entry.Name()
		if text := string(rendered(t, sample.second(), name)); strings.Contains(text, "{{") || strings.Contains(text, "<no value>") {
			t.Errorf("%s is not fully rendered:\n%s", name, text)
		}
	}
}

func TestKubeletConfig(t *testing.T) {
	_, codecs, err := kubeletscheme.NewSchemeAndCodecs(serializer.EnableStrict)
	if err != nil {
		t.Fatal(err)
	}
	for taints, member := range []Member{sample.first(), sample.second()} {
		object, _, err := codecs.UniversalDecoder().Decode(rendered(t, member, "kubelet.yaml"), nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		config, ok := object.(*kubeletapi.KubeletConfiguration)
		if !ok {
			t.Fatalf("got a %T", object)
		}
		if config.CgroupRoot != "/"+member.Cgroup() || config.Address != member.NodeIP() {
			t.Errorf("the kubelet would use the cgroup %s and the address %s", config.CgroupRoot, config.Address)
		}
		if len(config.ClusterDNS) != 1 || config.ClusterDNS[0] != sample.DNSServiceIP() {
			t.Errorf("pods would ask %q for names", config.ClusterDNS)
		}
		if len(config.RegisterWithTaints) != taints {
			t.Errorf("%s would have the taints %v", member.NodeName(), config.RegisterWithTaints)
		}
	}
}

func TestAuditPolicy(t *testing.T) {
	loaded, err := policy.LoadPolicyFromBytes(rendered(t, sample, "audit.yaml"))
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
	if err := json.Unmarshal(rendered(t, sample, "cni.conflist"), &config); err != nil {
		t.Fatal(err)
	}
	if got := config.Plugins[0].Ipam.Ranges[0][0].Subnet; got != sample.PodCIDR() {
		t.Errorf("pods would get addresses of %s, not of %s", got, sample.PodCIDR())
	}
}

func TestContainerdStaysInTheCluster(t *testing.T) {
	for _, member := range []Member{sample.first(), sample.second()} {
		text := string(rendered(t, member, "containerd.toml"))
		for _, want := range []string{member.ContainerdSocket(), filepath.Dir(sample.Config("cni/x"))} {
			if !strings.Contains(text, "'"+want+"'") {
				t.Errorf("%s is not in containerd's configuration", want)
			}
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
