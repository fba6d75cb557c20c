package node

import (
	"net"
	"path/filepath"
	"testing"
)

func TestListens(t *testing.T) {
	for network, address := range map[string]string{
		"tcp":  "127.0.0.1:0",
		"unix": filepath.Join(t.TempDir(), "socket"),
	} {
		listener, err := net.Listen(network, address)
		if err != nil {
			t.Fatal(err)
		}
		check := listens(listener.Addr().String())
		if err := check(); err != nil {
			t.Errorf("%s: it listens, but: %v", network, err)
		}
		listener.Close()
		if check() == nil {
			t.Errorf("%s: nothing listens, but no error", network)
		}
	}
}
