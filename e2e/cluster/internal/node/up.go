package node

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// readyPatience is how long a cluster may take to become ready: seconds on an idle machine.
const readyPatience = 4 * time.Minute

// Up starts a cluster, or reuses the one that runs, and returns once it is ready. Progress goes to `out`.
func Up(dir, containerdDir string, out io.Writer) error {
	unlock, err := lock(dir)
	if err != nil {
		return err
	}
	defer unlock()

	layout, err := Load(dir)
	switch {
	case errors.Is(err, ErrNoCluster):
		layout, err = create(dir, containerdDir, out)
	case err == nil:
		layout, err = reuse(layout, containerdDir, out)
	}
	if err != nil {
		return err
	}
	return awaitReady(layout, out)
}

// reuse keeps a cluster whose supervisor lives. Of any other it clears away the rests and starts anew.
func reuse(l Layout, containerdDir string, out io.Writer) (Layout, error) {
	supervisor, err := findSupervisor(l)
	if err != nil {
		return l, err
	}
	if supervisor != 0 {
		fmt.Fprintf(out, "the cluster in %s runs already\n", l.Dir)
		return l, nil
	}
	fmt.Fprintf(out, "clearing away what an earlier cluster left in %s\n", l.Dir)
	if err := clear(l); err != nil {
		return l, err
	}
	return create(l.Dir, containerdDir, out)
}

// create prepares a new cluster's directory and starts its supervisor.
func create(dir, containerdDir string, out io.Writer) (Layout, error) {
	layout, err := at(dir)
	if err != nil {
		return layout, err
	}
	if err := checkContainerd(containerdDir); err != nil {
		return layout, err
	}
	if layout.ContainerdDir, err = filepath.Abs(containerdDir); err != nil {
		return layout, fmt.Errorf("failed to resolve %s: %w", containerdDir, err)
	}
	if err := checkEmpty(layout.Dir); err != nil {
		return layout, err
	}
	if layout.Network, err = freeNetwork(); err != nil {
		return layout, err
	}
	fmt.Fprintf(out, "creating certificates and configuration in %s\n", layout.Dir)
	// The state comes first: a directory without it is never taken for a cluster's, and never removed.
	for _, prepare := range []func(Layout) error{Layout.save, writePki, writeConfigs} {
		if err := prepare(layout); err != nil {
			return layout, err
		}
	}
	fmt.Fprintf(out, "starting etcd, containerd and Kubernetes; the node is %s\n", layout.NodeIP())
	return layout, startSupervisor(layout)
}

// checkEmpty refuses to make a cluster among other files.
func checkEmpty(dir string) error {
	entries, err := os.ReadDir(dir)
	if err == nil && len(entries) > 0 {
		return fmt.Errorf("failed to create a cluster in %s: it is not empty, and `down` would remove what is in it", dir)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("failed to look into %s: %w", dir, err)
	}
	return nil
}

// startSupervisor starts it in new namespaces, connects those to this machine and lets it go on.
func startSupervisor(l Layout) error {
	if err := os.MkdirAll(filepath.Dir(l.Log("")), 0o755); err != nil {
		return fmt.Errorf("failed to create a directory: %w", err)
	}
	output, err := os.OpenFile(l.Log("supervisor"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("failed to open the supervisor's log: %w", err)
	}
	defer output.Close()
	waiting, goAhead, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("failed to create a pipe: %w", err)
	}
	defer waiting.Close()
	defer goAhead.Close()

	supervisor := exec.Cmd{
		Path:        "/proc/self/exe",
		Args:        supervisorArgs(l),
		Dir:         "/",
		Stdout:      output,
		Stderr:      output,
		ExtraFiles:  []*os.File{waiting},
		SysProcAttr: &syscall.SysProcAttr{Cloneflags: namespaces, Setsid: true},
	}
	if err := supervisor.Start(); err != nil {
		return fmt.Errorf("failed to start the supervisor in namespaces of its own (this takes root): %w", err)
	}
	if err := joinNetwork(l, supervisor.Process.Pid); err != nil {
		return errors.Join(err, supervisor.Process.Kill())
	}
	if _, err := goAhead.Write([]byte{1}); err != nil {
		return fmt.Errorf("failed to let the supervisor go on: %w", err)
	}
	return supervisor.Process.Release()
}

// awaitReady waits for the API server, the node, and a name that is resolved through a Service.
func awaitReady(l Layout, out io.Writer) error {
	begun := time.Now()
	client, err := newClient(l)
	if err != nil {
		return err
	}
	for _, step := range []struct {
		what  string
		check func() error
	}{
		{"the API server answers", client.apiReady},
		{"the addons are there", func() error { return applyAddons(l) }},
		{"the node is ready", func() error { return client.nodeReady(l.first()) }},
		{"pods may start", client.serviceAccountReady},
		{"Services and DNS work", func() error { return resolve(l) }},
	} {
		if err := await(l, begun, step.check); err != nil {
			return fmt.Errorf("failed to get the cluster to where %s: %w; its logs are in %s", step.what, err, filepath.Dir(l.Log("")))
		}
		fmt.Fprintf(out, "%s (after %.1f s)\n", step.what, time.Since(begun).Seconds())
	}
	return nil
}

// await repeats a check until it passes, the supervisor is gone or time is up.
func await(l Layout, begun time.Time, check func() error) error {
	for {
		err := check()
		if err == nil {
			return nil
		}
		supervisor, findErr := findSupervisor(l)
		if findErr != nil {
			return findErr
		}
		if supervisor == 0 {
			return fmt.Errorf("the supervisor has ended; last: %w", err)
		}
		if time.Since(begun) > readyPatience {
			return fmt.Errorf("not so after %s; last: %w", readyPatience, err)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// applyAddons creates what makes CoreDNS part of the cluster.
func applyAddons(l Layout) error {
	kubectl := exec.Command("/proc/self/exe", "kubectl", "apply", "--server-side", "--force-conflicts", "--filename", l.Config("addons.yaml"))
	kubectl.Env = append(os.Environ(), "KUBECONFIG="+l.Kubeconfig())
	if output, err := kubectl.CombinedOutput(); err != nil {
		return fmt.Errorf("failed to apply the addons: %w: %s", err, bytes.TrimSpace(output))
	}
	return nil
}

// lock keeps two commands from working on one cluster at once. It is on the parent directory, which stays.
func lock(dir string) (unlock func(), err error) {
	layout, err := at(dir)
	if err != nil {
		return nil, err
	}
	parent := filepath.Dir(layout.Dir)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return nil, fmt.Errorf("failed to create a directory: %w", err)
	}
	file, err := os.Open(parent)
	if err != nil {
		return nil, fmt.Errorf("failed to open %s: %w", parent, err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		file.Close()
		return nil, fmt.Errorf("failed to lock %s: %w", parent, err)
	}
	return func() { file.Close() }, nil
}
