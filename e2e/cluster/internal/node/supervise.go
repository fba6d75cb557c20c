package node

import (
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// shortestPause before a component that ended is started again; it doubles with each quick end.
	shortestPause = 500 * time.Millisecond
	// longestPause is where the doubling stops.
	longestPause = 10 * time.Second
	// settled is how long a component must run for its next end to count as the first.
	settled = 30 * time.Second
	// awaitPause is how often what a component comes after is looked for.
	awaitPause = 100 * time.Millisecond
	// goSignal is the descriptor over which `up` says that the network is there.
	goSignal = 3
)

// supervisor keeps components running. It is process 1 of its namespace, so it also reaps all orphans:
// one loop waits for every child and tells whoever started it.
type supervisor struct {
	layout Layout
	mutex  sync.Mutex
	ends   map[int]chan syscall.WaitStatus
}

// Supervise runs a cluster; it returns only if that could not start.
func Supervise(dir string) error {
	layout, err := Load(dir)
	if err != nil {
		return err
	}
	if os.Getpid() != 1 {
		return fmt.Errorf("failed to supervise: only `up` starts %s", Supervisor)
	}
	// Installed before anything else: process 1 gets no signal that it does not handle.
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGCHLD)

	// If `up` dies first, the pipe closes empty and nothing has been started yet.
	pipe := os.NewFile(goSignal, "go")
	if _, err := io.ReadFull(pipe, make([]byte, 1)); err != nil {
		return fmt.Errorf("failed to start: `up` ended before the network was there: %w", err)
	}
	pipe.Close()
	if err := isolateMounts(layout); err != nil {
		return err
	}
	if err := setUpNetwork(layout); err != nil {
		return err
	}
	for _, member := range []Member{layout.first(), layout.second()} {
		if err := createCgroups(member); err != nil {
			return err
		}
	}

	s := &supervisor{layout: layout, ends: map[int]chan syscall.WaitStatus{}}
	for _, component := range Components(layout) {
		go s.keep(component)
	}
	for {
		select {
		case <-ended:
			s.reap()
		case received := <-stop:
			// With process 1 the kernel ends all others.
			log.Printf("%s: ending the cluster", received)
			os.Exit(0)
		}
	}
}

// keep starts a component again and again.
func (s *supervisor) keep(component Component) {
	pause := shortestPause
	for {
		for _, check := range component.After {
			for check() != nil {
				time.Sleep(awaitPause)
			}
		}
		begun := time.Now()
		end, err := s.start(component)
		if err != nil {
			log.Printf("%s: failed to start: %v", component.Name, err)
		} else {
			status := <-end
			log.Printf("%s ended after %s: %s", component.Name, time.Since(begun).Round(time.Millisecond), describe(status))
		}
		pause = nextPause(pause, time.Since(begun))
		time.Sleep(pause)
	}
}

// nextPause doubles the pause after a quick end and starts over after a long run.
func nextPause(last, ran time.Duration) time.Duration {
	if ran >= settled {
		return shortestPause
	}
	return min(2*last, longestPause)
}

// start forks a component and returns the channel that tells its end.
func (s *supervisor) start(component Component) (<-chan syscall.WaitStatus, error) {
	path := component.Path
	if path == "" {
		// Works even after the file has been replaced or removed.
		path = "/proc/self/exe"
	}
	output, err := os.OpenFile(s.layout.Log(component.Name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer output.Close()
	input, err := os.Open(os.DevNull)
	if err != nil {
		return nil, err
	}
	defer input.Close()

	// Under the lock, so that the end of a very short run is not reaped before it can be told to anyone.
	s.mutex.Lock()
	defer s.mutex.Unlock()
	pid, err := syscall.ForkExec(path, append([]string{component.Name}, component.Args...), &syscall.ProcAttr{
		Dir:   "/",
		Env:   s.environment(),
		Files: []uintptr{input.Fd(), output.Fd(), output.Fd()},
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return nil, err
	}
	end := make(chan syscall.WaitStatus, 1)
	s.ends[pid] = end
	log.Printf("%s started as process %d", component.Name, pid)
	return end, nil
}

// environment has nothing of the user's: what works for one works for all.
func (s *supervisor) environment() []string {
	return []string{
		"HOME=/root",
		"PATH=" + strings.Join([]string{s.layout.ContainerdDir, "/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"}, ":"),
	}
}

// reap collects all children that have ended.
func (s *supervisor) reap() {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil || pid <= 0 {
			return
		}
		if end, ours := s.ends[pid]; ours {
			delete(s.ends, pid)
			end <- status
		}
	}
}

func describe(status syscall.WaitStatus) string {
	if status.Signaled() {
		return status.Signal().String()
	}
	return fmt.Sprintf("exit status %d", status.ExitStatus())
}
