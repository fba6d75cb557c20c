package node

import (
	"bytes"
	"embed"
	"fmt"
	"strings"
	"text/template"
)

//go:embed config
var templates embed.FS

// configs maps a template to the name that its rendering has in the cluster's directory.
var configs = map[string]string{
	"audit.yaml":   "audit.yaml",
	"cni.conflist": "cni/10-atelier.conflist",
	"Corefile":     "Corefile",
	"addons.yaml":  "addons.yaml",
}

// nodeConfigs are rendered for each node, with its suffix before the extension.
var nodeConfigs = []string{"kubelet.yaml", "containerd.toml"}

// writeConfigs renders the configuration of all components.
func writeConfigs(l Layout) error {
	for name, target := range configs {
		if err := writeConfig(l, name, l.Config(target)); err != nil {
			return err
		}
	}
	for _, member := range []Member{l.first(), l.second()} {
		for _, name := range nodeConfigs {
			base, extension, _ := strings.Cut(name, ".")
			if err := writeConfig(member, name, l.Config(base+member.Suffix()+"."+extension)); err != nil {
				return err
			}
		}
	}
	return nil
}

func writeConfig(values any, name, target string) error {
	text, err := render(values, name)
	if err != nil {
		return err
	}
	return writeFile(target, text)
}

// render fills in a template from the methods of a Layout or a Member.
func render(values any, name string) ([]byte, error) {
	parsed, err := template.ParseFS(templates, "config/"+name)
	if err != nil {
		return nil, fmt.Errorf("failed to parse the template %s: %w", name, err)
	}
	var text bytes.Buffer
	if err := parsed.Execute(&text, values); err != nil {
		return nil, fmt.Errorf("failed to render %s: %w", name, err)
	}
	return text.Bytes(), nil
}
