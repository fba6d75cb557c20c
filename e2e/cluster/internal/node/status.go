package node

import (
	"errors"
	"fmt"
	"io"
)

// Status prints what runs, and fails unless the cluster is up.
func Status(dir string, out io.Writer) error {
	layout, err := Load(dir)
	if err != nil {
		return err
	}
	supervisor, err := findSupervisor(layout)
	if err != nil {
		return err
	}
	if supervisor == 0 {
		return fmt.Errorf("the cluster in %s does not run; `up` or `down` clears away what it left", layout.Dir)
	}
	fmt.Fprintf(out, "%-24s %d\n", "supervisor", supervisor)
	var faults []error
	for _, name := range componentNames(layout) {
		pid, err := findComponent(supervisor, name)
		if err != nil {
			return err
		}
		if pid == 0 {
			faults = append(faults, fmt.Errorf("%s does not run", name))
			continue
		}
		fmt.Fprintf(out, "%-24s %d\n", name, pid)
	}
	client, err := newClient(layout)
	if err != nil {
		return err
	}
	faults = append(faults, client.apiReady(), client.nodeReady(layout.first()))
	if err := errors.Join(faults...); err != nil {
		return fmt.Errorf("the cluster is not ready: %w", err)
	}
	fmt.Fprintf(out, "ready: KUBECONFIG=%s, this machine is %s to pods\n", layout.Kubeconfig(), layout.HostIP())
	return nil
}
