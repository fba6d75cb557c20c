package node

import (
	"strings"
	"testing"
)

func TestNodeCondition(t *testing.T) {
	const ready = `{"type": "DiskPressure", "status": "False"}, {"type": "Ready", "status": "True"}`
	for name, test := range map[string]struct{ body, fault string }{
		"ready":         {`{"status": {"conditions": [` + ready + `]}}`, ""},
		"tainted":       {`{"spec": {"taints": [{"key": "node.kubernetes.io/not-ready"}]}, "status": {"conditions": [` + ready + `]}}`, "taint node.kubernetes.io/not-ready"},
		"its own taint": {`{"spec": {"taints": [{"key": "expected"}]}, "status": {"conditions": [` + ready + `]}}`, ""},
		"not ready":     {`{"status": {"conditions": [{"type": "Ready", "status": "False", "message": "no CNI"}]}}`, "no CNI"},
		"no report":     {`{"status": {}}`, "not reported"},
		"not a node":    {`[]`, "failed to parse"},
		"unknown state": {`{"status": {"conditions": [{"type": "Ready", "status": "Unknown", "message": "gone"}]}}`, "gone"},
	} {
		t.Run(name, func(t *testing.T) {
			err := nodeCondition([]byte(test.body), "expected")
			if test.fault == "" && err != nil {
				t.Errorf("got %v", err)
			}
			if test.fault != "" && (err == nil || !strings.Contains(err.Error(), test.fault)) {
				t.Errorf("got %v, want %q in it", err, test.fault)
			}
		})
	}
}
