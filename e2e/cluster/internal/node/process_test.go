package node

import (
	"os"
	"strings"
	"testing"
)

func TestParseStatus(t *testing.T) {
	for name, test := range map[string]struct {
		status string
		parent int
		first  bool
	}{
		"outside of any namespace":   {"Name:\tbash\nPPid:\t7\nNSpid:\t1\n", 7, false},
		"first of a namespace":       {"PPid:\t30\nNSpid:\t4711\t1\n", 30, true},
		"its child":                  {"PPid:\t4711\nNSpid:\t4720\t9\n", 4711, false},
		"first of a namespace in it": {"PPid:\t4720\nNSpid:\t4730\t12\t1\n", 4720, true},
		"cut off":                    {"PPid:\n", 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			parent, first := parseStatus(test.status)
			if parent != test.parent || first != test.first {
				t.Errorf("got %d, %v; want %d, %v", parent, first, test.parent, test.first)
			}
		})
	}
}

func TestProcessesKnowThisOne(t *testing.T) {
	all, err := processes()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		if p.pid == os.Getpid() {
			if p.parent != os.Getppid() || p.args[0] != os.Args[0] {
				t.Errorf("got %+v", p)
			}
			return
		}
	}
	t.Error("this process is not in the list")
}

func TestSignalNeedsACluster(t *testing.T) {
	err := Signal(Layout{Dir: t.TempDir()}, "etcd", "KILL")
	if err == nil || !strings.Contains(err.Error(), "does not run") {
		t.Errorf("got %v", err)
	}
}
