package node

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestHierarchies(t *testing.T) {
	for name, test := range map[string]struct {
		mountinfo string
		want      []hierarchy
	}{
		"none": {"22 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n", nil},
		"version 1 beside version 2": {
			"30 24 0:27 / /sys/fs/cgroup/cpu rw,nosuid shared:9 - cgroup cgroup rw,cpu\n" +
				"31 24 0:28 / /sys/fs/cgroup/unified rw,nosuid - cgroup2 cgroup2 rw\n" +
				"32 24 0:29 / /sys/fs/cgroup rw - tmpfs cgroup rw\n",
			[]hierarchy{{"/sys/fs/cgroup/cpu", 1}, {"/sys/fs/cgroup/unified", 2}},
		},
		"version 2 with two optional fields": {
			"30 24 0:27 / /sys/fs/cgroup rw shared:9 master:2 - cgroup2 cgroup2 rw,nsdelegate\n",
			[]hierarchy{{"/sys/fs/cgroup", 2}},
		},
		"cut off": {"30 24 0:27 / /sys/fs/cgroup rw\n", nil},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := hierarchies(strings.NewReader(test.mountinfo))
			if err != nil || !slices.Equal(got, test.want) {
				t.Errorf("got %v, %v; want %v", got, err, test.want)
			}
		})
	}
}

func TestRemoveTree(t *testing.T) {
	root := filepath.Join(t.TempDir(), "atelier")
	if err := os.MkdirAll(filepath.Join(root, "pods/a/b"), 0o755); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := removeTree(root); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(root); !os.IsNotExist(err) {
			t.Fatalf("%s is still there: %v", root, err)
		}
	}
}

func TestCopyIfThere(t *testing.T) {
	dir := t.TempDir()
	from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
	if err := os.WriteFile(to, []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct{ content, want string }{{"", "kept"}, {"0-1\n", "0-1\n"}} {
		if step.content != "" {
			if err := os.WriteFile(from, []byte(step.content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := copyIfThere(from, to); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(to); err != nil || string(got) != step.want {
			t.Errorf("got %q, %v; want %q", got, err, step.want)
		}
	}
}
