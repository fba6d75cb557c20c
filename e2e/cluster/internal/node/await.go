package node

import (
	"net"
	"path/filepath"
	"time"
)

// listens checks that something accepts connections at `host:port` or at a Unix socket's path.
func listens(address string) func() error {
	network := "tcp"
	if filepath.IsAbs(address) {
		network = "unix"
	}
	return func() error {
		connection, err := net.DialTimeout(network, address, time.Second)
		if err != nil {
			return err
		}
		return connection.Close()
	}
}

// authorizes checks that the API server is past its start-up, in which it refuses clients whose roles
// it has yet to create: they would end, or pause for seconds before they try again.
func authorizes(l Layout) func() error {
	return asks(l, (*client).apiReady)
}

// exists checks that the API server has an object, given by its path.
func exists(l Layout, path string) func() error {
	return asks(l, func(c *client) error {
		_, err := c.get(path)
		return err
	})
}

func asks(l Layout, question func(*client) error) func() error {
	return func() error {
		client, err := newClient(l)
		if err != nil {
			return err
		}
		defer client.http.CloseIdleConnections()
		return question(client)
	}
}
