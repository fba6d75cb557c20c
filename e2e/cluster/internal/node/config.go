package node

import (
	"bytes"
	"embed"
	"fmt"
	"text/template"
)

//go:embed config
var templates embed.FS

// configs maps a template to the name that its rendering has in the cluster's directory.
var configs = map[string]string{
	"audit.yaml":      "audit.yaml",
	"kubelet.yaml":    "kubelet.yaml",
	"containerd.toml": "containerd.toml",
	"cni.conflist":    "cni/10-atelier.conflist",
	"Corefile":        "Corefile",
	"addons.yaml":     "addons.yaml",
}

// writeConfigs renders the configuration of all components.
func writeConfigs(l Layout) error {
	for name, target := range configs {
		text, err := render(l, name)
		if err != nil {
			return err
		}
		if err := writeFile(l.Config(target), text); err != nil {
			return err
		}
	}
	return nil
}

func render(l Layout, name string) ([]byte, error) {
	parsed, err := template.ParseFS(templates, "config/"+name)
	if err != nil {
		return nil, fmt.Errorf("failed to parse the template %s: %w", name, err)
	}
	var text bytes.Buffer
	if err := parsed.Execute(&text, l); err != nil {
		return nil, fmt.Errorf("failed to render %s: %w", name, err)
	}
	return text.Bytes(), nil
}
