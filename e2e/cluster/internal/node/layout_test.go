package node

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	if _, err := Load(dir); !errors.Is(err, ErrNoCluster) {
		t.Errorf("without a cluster: %v", err)
	}
	saved := Layout{Dir: dir, ContainerdDir: "/opt/containerd", Network: 7}
	if err := saved.save(); err != nil {
		t.Fatal(err)
	}
	if got, err := Load(dir); err != nil || got != saved {
		t.Errorf("got %+v, %v; want %+v", got, err, saved)
	}
	for content, valid := range map[string]bool{"": true, "{": false} {
		if err := os.WriteFile(saved.stateFile(), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := Load(dir); (err == nil) != valid || got.Dir != dir {
			t.Errorf("state %q: got %+v, %v", content, got, err)
		}
	}
}

func TestSocketsFit(t *testing.T) {
	fits := "/" + strings.Repeat("d", longestDir-1)
	l, err := at(fits)
	if err != nil {
		t.Fatal(err)
	}
	// Linux takes 107 bytes and a zero.
	if longest := l.second().ContainerdSocket() + ".ttrpc"; len(longest) > 107 {
		t.Errorf("%s has %d bytes", longest, len(longest))
	}
	if _, err := at(fits + "d"); err == nil {
		t.Error("a directory one byte longer is accepted")
	}
}

func TestClustersDoNotMeet(t *testing.T) {
	one, other := Layout{Dir: "/srv/a"}, Layout{Dir: "/srv/b"}
	if one.Cgroup() == other.Cgroup() || one.HostLink() == other.HostLink() {
		t.Errorf("two directories share %s or %s", one.Cgroup(), one.HostLink())
	}
	first, second := one.first(), one.second()
	if first.Cgroup() == second.Cgroup() || first.NodeIP() == second.NodeIP() || first.NodeName() == second.NodeName() {
		t.Errorf("two nodes share %s, %s or %s", first.Cgroup(), first.NodeIP(), first.NodeName())
	}
	// IFNAMSIZ, less the zero.
	if len(one.HostLink()) > 15 {
		t.Errorf("%s is too long for a link", one.HostLink())
	}
	relative, err := at("x")
	if err != nil || !filepath.IsAbs(relative.Dir) {
		t.Errorf("got %+v, %v", relative, err)
	}
}
